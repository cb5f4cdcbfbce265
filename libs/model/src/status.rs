//! How a stream fares, as its components report it in topic `status`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Epoch, Micros, PartNumber, RungId, SegmentNumber, StreamId, StreamUid, Ticks, Timescale, Track,
};

/// What a component is doing with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Claiming the stream or opening its source; nothing has been published yet.
    Starting,
    /// Media is being published.
    Live,
    /// The source was lost or never found; it is tried again.
    Reconnecting,
    /// The source cannot be used as it is; it is tried again, seldom.
    Failed,
    /// The component stopped working on the stream in good order.
    Offline,
}

/// What is wrong with a stream, since when, and what happens next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A stable code, such as `unsupported-codec`; docs/operations/troubleshooting.md lists them.
    pub code: String,
    /// What is wrong, in words, with the values at fault. Never a secret.
    pub message: String,
    /// When it was first seen, in microseconds since 1970.
    pub since: Micros,
    /// What happens next, in words, such as `tried again in 8 s`.
    pub next: String,
}

/// One track as it is published now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrackStatus {
    /// Which track.
    pub track: Track,
    /// Codecs (RFC 6381), such as `avc1.64001f`.
    pub codecs: String,
    /// Width in pixels; 0 for audio.
    #[serde(default)]
    pub width: u32,
    /// Height in pixels; 0 for audio.
    #[serde(default)]
    pub height: u32,
    /// Frames per second; 0 for audio or where it varies.
    #[serde(default)]
    pub frame_rate: f64,
    /// Samples per second; 0 for video.
    #[serde(default)]
    pub sample_rate: u32,
    /// Channels; 0 for video.
    #[serde(default)]
    pub channels: u32,
    /// Peak bit rate in bit/s; 0 while it is not known.
    #[serde(default)]
    pub bandwidth: u32,
}

/// How far a track is durable: delivery reports have come for all up to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DurableMark {
    /// Which track.
    pub track: Track,
    /// Segment of the last durable part.
    pub segment: SegmentNumber,
    /// The last durable part.
    pub part: PartNumber,
    /// Decode time at the end of that part.
    pub decode_time: Ticks,
    /// Timescale of the decode time.
    pub timescale: Timescale,
}

/// The highest numbers that a stream has used: a number is never used twice, not even when
/// retention has removed all records that used it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct HighWater {
    /// Epoch of the owner that wrote the mark.
    pub epoch: Epoch,
    /// The greatest segment number that the owner may have used.
    pub segment: SegmentNumber,
    /// The discontinuity sequence of that segment (RFC 8216bis §4.4.3.3).
    pub discontinuity_sequence: u64,
}

/// What making one rung costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RungWork {
    /// The rung.
    pub rung: RungId,
    /// CPU seconds per second of media, over the last segments.
    pub cpu_per_media_second: f64,
    /// Whether it is left out for now, so that the lower rungs keep up.
    #[serde(default)]
    pub dropped: bool,
}

/// How transcoding of a stream fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TranscodeStatus {
    /// Seconds of source media that are in the log and not yet in the rungs, in media time.
    pub lag_seconds: f64,
    /// Source frames decoded a second of wall time, over the last segments.
    pub frames_per_second: f64,
    /// Finished source segments that still lack a rung, those written off as gaps included.
    pub behind_segments: u64,
    /// The rungs that are made, the highest first.
    pub rungs: Vec<RungWork>,
}

/// A record of topic `status`, key `<stream id>/<component>`: what one component says of one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// The stream.
    pub id: StreamId,
    /// The stream's incarnation.
    pub uid: StreamUid,
    /// Who speaks, such as `ingest`.
    pub component: String,
    /// Which process speaks, such as `ingest-0`.
    pub instance: String,
    /// When it was written, in microseconds since 1970.
    pub at: Micros,
    /// What the component is doing.
    pub phase: Phase,
    /// When this phase began, in microseconds since 1970.
    pub since: Micros,
    /// What is wrong, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The tracks as they are published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<TrackStatus>,
    /// How far each track is durable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub durable: Vec<DurableMark>,
    /// The stream's highest numbers; written by the owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_water: Option<HighWater>,
    /// How transcoding fares; written by transcode alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcode: Option<TranscodeStatus>,
}
