//! FFmpeg and its worker processes: demux, cut into segments, CMAF chunks.
//!
//! This is the only crate that uses FFmpeg. FFmpeg meets foreign bytes only inside a *media
//! worker*: a supervised child process without secrets or connections to the rest of the system.
//!
//! - A service starts a worker with [`SourceWorker::spawn`] and reads [`SourceMessage`]s from it.
//! - The worker is the service's own program with a hidden argument that calls [`worker_main`].
//!
//! The way of the data through a worker: `source` (a file or the synthetic camera) gives packets,
//! `line` puts them on one time line, `segmenter` cuts them into parts and segments (plain
//! functions of data, no FFmpeg), `cmaf` makes boxes of them, `worker` hands them to the parent.

mod av;
mod camera;
mod cmaf;
mod codec;
mod job;
mod message;
mod pace;
mod publish;
mod segmenter;
mod source;
mod worker;

pub use camera::read_clock;
pub use job::{Resume, SourceInput, SourceJob, WorkerProgram};
pub use message::{
    MediaChunk, SourceMessage, SourceProblem, SourceProblemCode, TrackInfo, TracksMessage,
};
pub use worker::{SourceWorker, WorkerError, worker_main};
