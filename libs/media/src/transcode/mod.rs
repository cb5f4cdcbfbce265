//! Transcoding: one source segment in, one segment per rung out. A pure function: the same
//! segment, rungs and latency give the same bytes on every machine of one architecture that has
//! the same libraries ([`fingerprint`]). So a retry is a copy, and a takeover is not seen.
//!
//! The way of the data: `input` reads the boxes, `decode` makes pictures of the samples,
//! `timeline` says when each is shown, and for each rung on a thread of its own (`rung`) `scale`
//! brings them to its size, `encode` encodes them, `cut` makes parts, `stream` and `cmaf` pack
//! them. `segment` holds it together.
//!
//! What makes it deterministic: a fresh decoder and fresh encoders for each segment, of one
//! thread each; swscale and MJPEG bit-exact; encoders told not to look at the CPU; nothing from a
//! clock.

mod cpu;
mod cut;
mod decode;
mod encode;
mod fingerprint;
mod input;
mod job;
mod message;
mod options;
mod rung;
mod scale;
mod segment;
mod size;
mod stream;
mod thumbnail;
mod timeline;

use bytes::Bytes;

pub use fingerprint::fingerprint;
pub use job::SegmentJob;
pub use message::{
    RungChunk, RungReport, SegmentReport, TranscodeMessage, TranscodeProblem, TranscodeProblemCode,
};
pub(crate) use segment::Segment;

use crate::{codec::Malformed, worker::Gone};

/// Who gets what a segment becomes, from several threads.
pub(crate) trait Listener: Send + Sync {
    /// A part of a rung.
    fn chunk(&self, chunk: RungChunk) -> Result<(), Gone>;
    /// The picture.
    fn thumbnail(&self, jpeg: Bytes) -> Result<(), Gone>;
    /// Something has been done: a sign of life.
    fn alive(&self) -> Result<(), Gone>;
}

/// Why a segment ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody listens any more.
    Gone(Gone),
    /// To be said.
    Problem(TranscodeProblem),
}

impl Failure {
    fn internal(message: impl Into<String>) -> Self {
        Self::Problem(TranscodeProblem::new(
            TranscodeProblemCode::Internal,
            message,
        ))
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
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
