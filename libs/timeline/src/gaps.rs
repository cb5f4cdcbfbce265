//! Gap records: what stands in the log where a segment is missing.

use reelay_model::{Epoch, Micros, SegmentNumber, StreamId, StreamUid, Ticks, Timescale, Track};
use reelay_wire::{Header, IndexRecord, Kind};

/// A segment that is missing. The gap record takes its number and duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The stream.
    pub stream: StreamId,
    /// Its incarnation.
    pub uid: StreamUid,
    /// The track that lacks the segment.
    pub track: Track,
    /// Epoch of the writer of the gap record.
    pub epoch: Epoch,
    /// The number.
    pub segment: SegmentNumber,
    /// Discontinuity sequence of the segment.
    pub discontinuity_sequence: u64,
    /// Ticks per second.
    pub timescale: Timescale,
    /// Decode time at which the segment would begin.
    pub decode_time: Ticks,
    /// How long it would be.
    pub duration: Ticks,
    /// When its first frame would have been captured.
    pub capture_time: Micros,
}

/// Header of the gap record in the track's media topic.
pub fn header(gap: Gap) -> Header {
    let mut header = Header::new(gap.stream, gap.uid, gap.track, Kind::Gap);
    header.epoch = Some(gap.epoch);
    header.segment = gap.segment;
    header.discontinuity_sequence = gap.discontinuity_sequence;
    header.timescale = gap.timescale;
    header.decode_time = gap.decode_time;
    header.duration = gap.duration;
    header.capture_time = gap.capture_time;
    header
}

/// The record in `index` of the gap whose media-topic header is `gap`, written by the owner of
/// epoch `writer`.
pub fn index_record(gap: &Header, writer: Epoch) -> (Header, IndexRecord) {
    let mut header = gap.clone();
    header.epoch = Some(writer);
    (header, IndexRecord::gap(gap.epoch.unwrap_or(writer)))
}

/// `time` of `from` in `to`, rounded to the nearest tick; exact in 128 bits between.
pub const fn rescale(time: Ticks, from: Timescale, to: Timescale) -> Ticks {
    if from.0 == to.0 || from.0 == 0 {
        return time;
    }
    let from = from.0 as u128;
    Ticks(((time.0 as u128 * to.0 as u128 + from / 2) / from) as u64)
}

/// A duration in ticks of `timescale`, rounded to the nearest; 0 where it is negative.
pub const fn to_ticks(duration: Micros, timescale: Timescale) -> Ticks {
    let micros = if duration.0 < 0 { 0 } else { duration.0 as u64 };
    rescale(Ticks(micros), Timescale(1_000_000), timescale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_rounded_to_the_nearest_tick() {
        let rescale = |time, from, to| rescale(Ticks(time), Timescale(from), Timescale(to)).0;
        assert_eq!(rescale(90_000, 90_000, 48_000), 48_000);
        assert_eq!(rescale(1, 90_000, 48_000), 1);
        assert_eq!(
            rescale(u64::from(u32::MAX) << 20, 48_000, 48_000),
            u64::from(u32::MAX) << 20
        );
        assert_eq!(to_ticks(Micros(200_000), Timescale(90_000)), Ticks(18_000));
        assert_eq!(to_ticks(Micros(-1), Timescale(90_000)), Ticks(0));
    }

    proptest! {
        #[test]
        fn rescaling_there_and_back_loses_less_than_a_tick_of_the_coarser(
            time in 0..u64::from(u32::MAX), from in 1..200_000_u32, to in 1..200_000_u32,
        ) {
            let (from, to) = (Timescale(from), Timescale(to));
            let back = rescale(rescale(Ticks(time), from, to), to, from).0;
            let coarser = u64::from(from.0.div_ceil(to.0)).max(1);
            prop_assert!(back.abs_diff(time) <= coarser, "{back} {time}");
        }
    }
}
