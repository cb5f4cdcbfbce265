//! The worker's side of its stdout.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::frame::{ChunkHead, Head, write_frame};
use crate::{SourceProblem, SourceProblemCode, TracksMessage, credentials};

/// Silence after which a heartbeat is due.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The parent does not read any more: there is nothing left to do.
#[derive(Debug, thiserror::Error)]
#[error("the parent does not read any more: {0}")]
pub(crate) struct Gone(#[from] io::Error);

/// Writes frames. A parent that reads slowly blocks these calls; nothing is queued.
pub(super) struct Frames<W> {
    to: W,
    last_write: Instant,
}

impl<W: Write> Frames<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            last_write: Instant::now(),
        }
    }

    pub(super) fn write<H: Serialize>(&mut self, head: &H, body: &[&[u8]]) -> Result<(), Gone> {
        write_frame(&mut self.to, head, body)?;
        self.to.flush()?;
        self.last_write = Instant::now();
        Ok(())
    }

    /// Writes the heartbeat, if nothing has been written lately.
    pub(super) fn tick<H: Serialize>(&mut self, heartbeat: &H) -> Result<(), Gone> {
        if self.last_write.elapsed() < HEARTBEAT {
            return Ok(());
        }
        self.write(heartbeat, &[])
    }
}

/// Writes the messages of a source worker.
pub(crate) struct Output<W>(Frames<W>);

impl<W: Write> Output<W> {
    pub(crate) fn new(to: W) -> Self {
        Self(Frames::new(to))
    }

    fn write(&mut self, head: &Head, body: &[&[u8]]) -> Result<(), Gone> {
        self.0.write(head, body)
    }

    /// Says that the worker is alive, if it has not said anything lately. To be called at least
    /// twice a second by the loop that does the work, so that a hung loop is silent.
    pub(crate) fn tick(&mut self) -> Result<(), Gone> {
        self.0.tick(&Head::Heartbeat)
    }

    pub(crate) fn tracks(&mut self, message: TracksMessage) -> Result<(), Gone> {
        let TracksMessage {
            first_segment,
            discontinuity,
            tracks,
        } = message;
        let inits: Vec<_> = tracks.iter().map(|track| track.init.clone()).collect();
        let pieces: Vec<&[u8]> = inits.iter().map(|init| &init[..]).collect();
        let head = Head::Tracks {
            first_segment,
            discontinuity,
            tracks,
            init_lengths: pieces.iter().map(|piece| piece.len() as u32).collect(),
        };
        self.write(&head, &pieces)
    }

    pub(crate) fn chunk(&mut self, head: ChunkHead, pieces: &[&[u8]]) -> Result<(), Gone> {
        self.write(&Head::Chunk(head), pieces)
    }

    pub(crate) fn problem(&mut self, mut problem: SourceProblem) -> Result<(), Gone> {
        problem.message = credentials::clean(&problem.message).into_owned();
        self.write(&Head::Problem(problem), &[])
    }

    pub(crate) fn recovered(&mut self, code: SourceProblemCode) -> Result<(), Gone> {
        self.write(&Head::Recovered(code), &[])
    }

    pub(crate) fn ended(&mut self) -> Result<(), Gone> {
        self.write(&Head::Ended, &[])
    }
}
