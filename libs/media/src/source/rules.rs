//! From a job to the segmenter's rules.

use reelay_model::Micros;

use crate::{
    SourceJob,
    segmenter::{VIDEO_TIMESCALE, VideoRules, rescale},
};

/// A keyframe so long after the start of a segment starts the next.
const LEAST_SEGMENT: i64 = VIDEO_TIMESCALE as i64 * 3 / 2;

/// What no segment may exceed: what rounds to the greatest segment is allowed (RFC 8216bis
/// §4.4.3.1).
pub(super) fn greatest_segment(job: &SourceJob) -> Micros {
    Micros(job.greatest_segment.0 + 499_999)
}

/// How this job's video is cut.
pub(super) fn video(job: &SourceJob, part_target: Micros) -> VideoRules {
    VideoRules {
        least_segment: LEAST_SEGMENT,
        greatest_segment: rescale(greatest_segment(job).0, 1_000_000, VIDEO_TIMESCALE),
        part_target: samples(part_target, VIDEO_TIMESCALE),
    }
}

/// A duration in µs that was rounded up, in ticks.
pub(super) fn samples(time: Micros, rate: u32) -> i64 {
    (i128::from(time.0) * i128::from(rate) / 1_000_000) as i64
}
