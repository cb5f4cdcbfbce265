//! FFmpeg and its worker processes: demux, cut into segments, CMAF chunks, transcode segments.
//!
//! This is the only crate that uses FFmpeg. FFmpeg meets foreign bytes only inside a *media
//! worker*: a supervised child process without secrets or connections to the rest of the system.
//!
//! - A service starts a worker with [`SourceWorker::spawn`] and reads [`SourceMessage`]s from it.
//! - The worker is the service's own program with a hidden argument that calls [`worker_main`].
//!
//! - Segments are made into rungs by a [`TranscodeWorker`], any number of them one after the other.
//!
//! The way of the data through a source worker: `source` (a file or the synthetic camera) gives packets,
//! `line` puts them on one time line, `segmenter` cuts them into parts and segments (plain
//! functions of data, no FFmpeg), `cmaf` makes boxes of them, `worker` hands them to the parent. `transcode` says its own way.

mod av;
mod camera;
mod cmaf;
mod codec;
mod cpu_level;
mod credentials;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod job;
mod message;
mod pace;
mod publish;
mod rtp;
mod segmenter;
mod source;
mod transcode;
mod worker;

pub use camera::read_clock;
#[doc(hidden)]
pub use cpu_level::{CpuLevel, limit_cpu};
pub use credentials::Credentials;
pub use job::{DeviceKind, Resume, SourceInput, SourceJob, WorkerProgram};
pub use message::{
    MediaChunk, SourceMessage, SourceProblem, SourceProblemCode, TrackInfo, TracksMessage,
};
pub use transcode::{
    RungChunk, RungReport, SegmentJob, SegmentReport, TranscodeMessage, TranscodeProblem,
    TranscodeProblemCode, fingerprint,
};
pub use worker::{SourceWorker, TranscodeInput, TranscodeWorker, Work, WorkerError, worker_main};
