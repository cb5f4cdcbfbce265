//! Where packets come from.

mod rules;
mod synthetic;

use std::{io::Write, sync::atomic::AtomicBool};

use crate::{
    SourceInput, SourceJob, SourceProblem, SourceProblemCode, av,
    codec::Malformed,
    worker::{Gone, Output},
};

/// Why a source ends before it is asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody listens any more.
    Gone(Gone),
    /// To be said as a fatal problem.
    Problem(SourceProblemCode, String),
}

impl Failure {
    /// The worker's own fault.
    fn internal(message: impl Into<String>) -> Self {
        Self::Problem(SourceProblemCode::Internal, message.into())
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<ffmpeg_next::Error> for Failure {
    fn from(error: ffmpeg_next::Error) -> Self {
        Self::internal(format!("the encoder failed: {error}"))
    }
}

impl From<mp4_atom::Error> for Failure {
    fn from(error: mp4_atom::Error) -> Self {
        Self::internal(format!("a box cannot be written: {error}"))
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::internal(format!("the encoder's output cannot be read: {error}"))
    }
}

/// Runs a job to its end; fatal problems are said.
pub(crate) fn run<W: Write>(
    job: &SourceJob,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Gone> {
    let result = match (av::init(), &job.source) {
        (Err(error), _) => Err(error.into()),
        (Ok(()), SourceInput::Synthetic(settings)) => synthetic::run(job, settings, stop, output),
        (Ok(()), SourceInput::File { .. } | SourceInput::Http { .. }) => {
            Err(Failure::internal("not yet"))
        }
    };
    match result {
        Ok(()) => Ok(()),
        Err(Failure::Gone(gone)) => Err(gone),
        Err(Failure::Problem(code, message)) => output.problem(SourceProblem {
            code,
            message,
            lasting: true,
            fatal: true,
        }),
    }
}
