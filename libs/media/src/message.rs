//! What a worker says to its parent.

use std::fmt;

use bytes::Bytes;
use reelay_model::{Micros, PartNumber, Ticks, Timescale, Track};
use serde::{Deserialize, Serialize};

/// A message of a source worker.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceMessage {
    /// The tracks of the segments that follow. Comes before the first chunk, and again with
    /// `discontinuity` wherever the time line breaks or the format changes.
    Tracks(TracksMessage),
    /// One CMAF chunk.
    Chunk(MediaChunk),
    /// Something is wrong with the source. What is [fatal](SourceProblem::fatal) is followed by
    /// [`SourceMessage::Ended`].
    Problem(SourceProblem),
    /// A lasting problem of this kind is over.
    Recovered(SourceProblemCode),
    /// Nothing follows: the worker was asked to stop, or it met a fatal problem.
    Ended,
}

/// The set of tracks, fixed until the next such message.
#[derive(Debug, Clone, PartialEq)]
pub struct TracksMessage {
    /// Ordinal of the first segment with these tracks. Chunks of earlier segments may still
    /// follow this message, since audio comes after the video that it belongs to.
    pub first_segment: u64,
    /// Whether that segment follows the one before it without continuing its time line or
    /// format. In the first message of a worker: whether it could not go on where its
    /// predecessor stopped.
    pub discontinuity: bool,
    /// Video first. Never empty.
    pub tracks: Vec<TrackInfo>,
}

/// Format of one track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// [`Track::Video`] or [`Track::Audio`].
    pub track: Track,
    /// RFC 6381 codecs.
    pub codecs: String,
    /// Ticks per second: 90,000 for video, the sample rate for audio.
    pub timescale: Timescale,
    /// Width in pixels; 0 for audio.
    pub width: u32,
    /// Height in pixels; 0 for audio.
    pub height: u32,
    /// Frames per 1000 seconds; 0 for audio and where it varies.
    pub frame_rate_milli: u32,
    /// Channels; 0 for video.
    pub channels: u32,
    /// Samples per second; 0 for video.
    pub sample_rate: u32,
    /// Bits per second as the source says or the file's size tells; 0 if not known.
    pub bandwidth: u32,
    /// Greatest duration of a part (EXT-X-PART-INF PART-TARGET). Where the frame rate varies, a
    /// single frame that lasts longer is a longer part.
    pub part_target: Micros,
    /// Init segment (`ftyp` + `moov`). Video has track_ID 1, audio 2.
    #[serde(skip)]
    pub init: Bytes,
}

/// One CMAF chunk: one part of a segment of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaChunk {
    /// [`Track::Video`] or [`Track::Audio`].
    pub track: Track,
    /// Ordinal of the segment in this job, from 0, the same for video and audio that belong
    /// together. Each track's segments come in order, without holes.
    pub segment: u64,
    /// Part of the segment, from 0, without holes.
    pub part: PartNumber,
    /// Starts with a keyframe; true for all audio.
    pub independent: bool,
    /// The segment starts with a keyframe that is no IDR (a recovery point).
    pub open: bool,
    /// Last part of its segment.
    pub last: bool,
    /// Earliest presentation time, and `tfdt`, in the track's timescale.
    pub decode_time: Ticks,
    /// Duration in the track's timescale, 1 or more.
    pub duration: Ticks,
    /// When its first frame was captured, by the wall clock.
    pub capture_time: Micros,
    /// Where in a seekable source this segment begins; in the first part of a segment of video,
    /// or of audio in a stream without video.
    pub cursor: Option<u64>,
    /// `moof` + `mdat`, without init segment.
    pub data: Bytes,
}

/// Something that is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProblem {
    /// What kind of problem.
    pub code: SourceProblemCode,
    /// In words for the user, with values, and what to do about it. Holds no secrets.
    pub message: String,
    /// It lasts until [`SourceMessage::Recovered`] or the worker's end; else it was an event.
    pub lasting: bool,
    /// The worker cannot go on: [`SourceMessage::Ended`] follows.
    pub fatal: bool,
}

impl fmt::Display for SourceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Kinds of problems of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceProblemCode {
    /// The file does not exist, or the server says so. Fatal.
    NotFound,
    /// The file may not be read, or the server refuses. Fatal.
    AccessDenied,
    /// The address leads to a place that may not be fetched from. Fatal.
    AddressRefused,
    /// The server cannot be reached or answers with an error. Fatal.
    Unreachable,
    /// The source gave nothing for some time. Fatal.
    Stalled,
    /// It is no media file, or it breaks off in its header. Fatal.
    InvalidFormat,
    /// A codec that this version does not carry. Fatal.
    UnsupportedCodec,
    /// It has neither video nor audio, or not one frame of them. Fatal.
    NoMedia,
    /// Parts of the media are damaged or missing; what is sound is played. An event.
    CorruptMedia,
    /// Timestamps jump forward or back: the time line goes on with a discontinuity. An event.
    TimestampJump,
    /// Keyframes come too seldom for the greatest segment: frames are left out. Lasting.
    KeyframeInterval,
    /// Audio has stopped and is replaced by silence. Lasting.
    AudioStopped,
    /// Video has stopped while audio goes on. Lasting.
    VideoStopped,
    /// The worker itself failed. Fatal.
    Internal,
}

impl SourceProblemCode {
    /// The code in kebab-case, as in statuses and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::AccessDenied => "access-denied",
            Self::AddressRefused => "address-refused",
            Self::Unreachable => "unreachable",
            Self::Stalled => "stalled",
            Self::InvalidFormat => "invalid-format",
            Self::UnsupportedCodec => "unsupported-codec",
            Self::NoMedia => "no-media",
            Self::CorruptMedia => "corrupt-media",
            Self::TimestampJump => "timestamp-jump",
            Self::KeyframeInterval => "keyframe-interval",
            Self::AudioStopped => "audio-stopped",
            Self::VideoStopped => "video-stopped",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for SourceProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_serialised() {
        for code in [
            SourceProblemCode::NotFound,
            SourceProblemCode::UnsupportedCodec,
            SourceProblemCode::KeyframeInterval,
            SourceProblemCode::Internal,
        ] {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }
}
