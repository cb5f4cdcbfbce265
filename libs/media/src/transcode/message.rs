//! What a transcode worker says.

use std::fmt;

use bytes::Bytes;
use reelay_model::{Micros, PartNumber, RungId, Ticks};
use serde::{Deserialize, Serialize};

/// A message about the segment that was begun first of those that have not been ended by
/// [`Done`](Self::Done) or [`Failed`](Self::Failed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TranscodeMessage {
    /// A part of a rung. Those of one rung come in order; rungs come in any order.
    Chunk(RungChunk),
    /// The segment's first frame as JPEG.
    Thumbnail(Bytes),
    /// All of the segment has been said.
    Done(SegmentReport),
    /// Nothing more of this segment will come. What has been said of it is good as far as it goes.
    Failed(TranscodeProblem),
}

/// One CMAF chunk of a rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungChunk {
    /// The rung.
    pub rung: RungId,
    /// Part of the segment, from 0, without holes.
    pub part: PartNumber,
    /// Starts with a keyframe: true for the first part alone.
    pub independent: bool,
    /// Last part of the segment.
    pub last: bool,
    /// Earliest presentation time, and `tfdt`, in 1/90,000 s.
    pub decode_time: Ticks,
    /// Duration in 1/90,000 s, 1 or more.
    pub duration: Ticks,
    /// RFC 6381 codecs.
    pub codecs: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The source's frames per 1000 seconds; 0 where they vary.
    pub frame_rate_milli: u32,
    /// Init segment; in part 0 only.
    #[serde(skip)]
    pub init: Option<Bytes>,
    /// `moof` + `mdat`, without init segment.
    #[serde(skip)]
    pub data: Bytes,
}

/// What one segment took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Frames of the source segment by its boxes.
    pub source_frames: u32,
    /// Of these, frames that could not be decoded: the frame before each is shown longer.
    pub bridged_frames: u32,
    /// Duration of the segment in 1/90,000 s.
    pub duration: Ticks,
    /// The rungs' last parts say that they are the last. False only where the source's did not,
    /// and the rungs' were out before the segment's end was known.
    pub last_said: bool,
    /// CPU time of decoding, and of the thumbnail.
    pub decode_cpu: Micros,
    /// By rung, in the order of the job.
    pub rungs: Vec<RungReport>,
}

/// What one rung of a segment took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungReport {
    /// The rung.
    pub rung: RungId,
    /// Frames encoded.
    pub frames: u32,
    /// Its last part says that it is.
    pub last_said: bool,
    /// Bytes of all chunks, without the init segment.
    pub bytes: u64,
    /// CPU time of scaling and encoding.
    pub cpu: Micros,
}

/// Why a segment cannot be transcoded. The worker itself is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct TranscodeProblem {
    /// What kind of problem.
    pub code: TranscodeProblemCode,
    /// In words, with values.
    pub message: String,
}

impl TranscodeProblem {
    pub(crate) fn new(code: TranscodeProblemCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Kinds of problems of transcoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TranscodeProblemCode {
    /// The init segment cannot be read.
    InvalidInit,
    /// No decoder for the source's codec, or no encoder for a rung's.
    UnsupportedCodec,
    /// Not one frame of the segment could be decoded.
    NothingDecodes,
    /// Another segment was begun before this one was ended.
    Abandoned,
    /// An encoder or the worker itself failed.
    Internal,
}

impl TranscodeProblemCode {
    /// The code in kebab-case, as in statuses and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInit => "invalid-init",
            Self::UnsupportedCodec => "unsupported-codec",
            Self::NothingDecodes => "nothing-decodes",
            Self::Abandoned => "abandoned",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for TranscodeProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
