//! Says problems that are events, each kind once in a while.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use super::Failure;
use crate::{SourceProblem, SourceProblemCode, worker::Output};

/// Problems that are events are said once in so long.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What has been said lately.
#[derive(Debug, Default)]
pub(super) struct Events {
    said: Vec<(SourceProblemCode, Instant)>,
}

impl Events {
    /// Says an event, if it has not been said lately.
    pub(super) fn say<W: Write>(
        &mut self,
        code: SourceProblemCode,
        message: impl Into<String>,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        self.said.retain(|(_, at)| at.elapsed() < SAY_AGAIN);
        if self.said.iter().any(|(said, _)| *said == code) {
            return Ok(());
        }
        self.said.push((code, Instant::now()));
        output.problem(SourceProblem {
            code,
            message: message.into(),
            lasting: false,
            fatal: false,
        })?;
        Ok(())
    }

    pub(super) fn damaged<W: Write>(
        &mut self,
        what: &str,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        self.say(
            SourceProblemCode::CorruptMedia,
            format!("part of the source is damaged: {what}; what is sound is played"),
            output,
        )
    }

    /// The timestamps of a track jump by so many units of `rate`.
    pub(super) fn jumped<W: Write>(
        &mut self,
        what: &str,
        jump: i64,
        rate: u32,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let seconds = jump as f64 / f64::from(rate);
        let way = if jump > 0 { "forward" } else { "back" };
        self.say(
            SourceProblemCode::TimestampJump,
            format!(
                "the source's timestamps of {what} jump {way} by {:.1} s: it is played on without \
                 the jump",
                seconds.abs()
            ),
            output,
        )
    }
}
