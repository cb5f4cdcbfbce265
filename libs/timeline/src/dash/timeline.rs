//! The SegmentTimeline of one track in one Period (§5.3.9.6).

use reelay_model::{Micros, SegmentNumber, Ticks, Timescale};
use reelay_wire::Anchor;

use crate::{gaps::to_ticks, track::Segment};

/// What a segment is announced to last where nothing is known of its stream.
const USUAL: Micros = Micros(2_000_000);

/// A run of segments of equal duration (`S`): the first starts where the run before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub duration: Ticks,
    /// How many segments follow the first (`@r`).
    pub repeats: u64,
}

/// The segments of a track in a Period, without a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    pub timescale: Timescale,
    /// Decode time of the Period's start.
    pub offset: Ticks,
    /// Decode time of the first segment.
    pub start: Ticks,
    pub runs: Vec<Run>,
}

impl Timeline {
    /// Of `segments` with media, oldest first, one at least. `open` is the number of the segment
    /// that grows, `usual` how long a segment may be expected to last.
    ///
    /// A segment is announced up to the start of the next one. That is its end, unless a gap
    /// follows: players that do not look beyond a hole in the time line wait there for ever, but
    /// all play over media that turns out to be shorter.
    pub fn of(
        anchor: &Anchor,
        segments: &[&Segment],
        open: Option<SegmentNumber>,
        usual: Option<Ticks>,
    ) -> Option<Self> {
        let (first, last) = (segments.first()?, segments.last()?);
        let timescale = first.timescale;
        // What grows is announced as long as the longest before: where it turns out shorter, the
        // next one begins earlier; were it longer, players would fetch it twice.
        let expected = usual.unwrap_or_else(|| to_ticks(USUAL, timescale));
        let rest = match open == Some(last.number) {
            true => last.duration.max(expected),
            false => last.duration,
        };
        let starts = segments.windows(2).filter_map(|pair| match pair {
            [one, next] => Some(Ticks(next.decode_time.0.saturating_sub(one.decode_time.0))),
            _ => None,
        });
        let mut runs: Vec<Run> = Vec::new();
        for duration in starts.chain([rest]) {
            match runs.last_mut() {
                Some(run) if run.duration == duration => run.repeats += 1,
                _ => runs.push(Run {
                    duration,
                    repeats: 0,
                }),
            }
        }
        Some(Self {
            timescale,
            offset: to_ticks(anchor.time, timescale),
            start: first.decode_time,
            runs,
        })
    }

    /// Decode time at the end of the last segment.
    pub fn end(&self) -> Micros {
        let length = |run: &Run| run.duration.0.saturating_mul(run.repeats.saturating_add(1));
        let length: u64 = self.runs.iter().map(length).sum();
        Ticks(self.start.0.saturating_add(length)).to_micros(self.timescale)
    }
}
