//! What a transcode worker is asked, one source segment after the other.

use bytes::Bytes;
use reelay_model::{LatencyMode, Micros, RungProfile, SegmentNumber, Ticks};
use serde::{Deserialize, Serialize};

/// One source segment to be made into rungs. Its chunks follow by
/// [`TranscodeInput::push`](crate::TranscodeInput::push).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentJob {
    /// Id of the stream, for messages and logs only.
    pub stream: String,
    /// Number of the segment, for messages and logs only.
    pub segment: SegmentNumber,
    /// The source segment's earliest presentation time, in the timescale of `init`. The rungs'
    /// segments start at it.
    pub decode_time: Ticks,
    /// The source's init segment (`ftyp` and `moov`).
    #[serde(skip)]
    pub init: Bytes,
    /// Of a segment that is marked `open`: the chunks of the segment before it, which its
    /// leading pictures refer to. Nothing of them is shown. Else empty.
    #[serde(skip)]
    pub pre_roll: Vec<Bytes>,
    /// The rungs to make; none if only a thumbnail is wanted.
    pub rungs: Vec<RungProfile>,
    /// How the rungs are encoded.
    pub latency: LatencyMode,
    /// The source's greatest duration of a part; the rungs are cut by it.
    pub part_target: Micros,
    /// The source's frames per 1000 seconds by its records; 0 where they vary. The encoders plan
    /// with it; frames keep their own times.
    pub frame_rate_milli: u32,
    /// Whether a picture of the segment's first frame is wanted.
    pub thumbnail: bool,
}
