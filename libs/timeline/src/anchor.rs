//! Anchors: where decode times were tied to the wall clock.
//!
//! Decode times run on the source's clock and go on over reconnects; the wall clock does not wait.
//! HLS writes a wall-clock time on every segment. DASH has one for each Period, and a Period must
//! never change its start: so the owner of a stream puts down in its openings where the mapping in
//! force began, and every replica, whenever it began to read, derives the same Periods.

use std::collections::BTreeMap;

use reelay_model::{Micros, SegmentNumber};
use reelay_wire::Anchor;

/// The wall clock is followed when it is further off than this. It is far above the jitter of
/// arrival and well below the latency that players aim at.
const MOST_OFF: i64 = 500_000;
/// Anchors that set the time line back come no closer together than this.
const LEAST_APART: i64 = 10_000_000;
/// Anchors that are remembered: more than a window with a break at every segment has.
const MOST_REMEMBERED: usize = 1024;

/// The anchor that `segment` needs, if the one in force does not fit it: a segment of the leading
/// track that starts at `time` and was captured at `captured`. `breaks`: its times do not go on
/// from those before, or its format is another.
///
/// Wall-clock times of anchors only grow, whatever the clock does: Periods cannot change order.
pub fn after(
    before: Option<&Anchor>,
    breaks: bool,
    segment: SegmentNumber,
    time: Micros,
    captured: Micros,
) -> Option<Anchor> {
    let at = |capture_time| Anchor {
        segment,
        time,
        capture_time,
    };
    let Some(before) = before else {
        return Some(at(captured));
    };
    // Where the media before ends, if it came up to here.
    let expected = before.wall(time);
    let off = captured.0.saturating_sub(expected.0);
    if breaks {
        let earliest = before.capture_time.0.saturating_add(1);
        return Some(at(Micros(captured.0.max(expected.0).max(earliest))));
    }
    let behind = off < -MOST_OFF && captured.0 > before.capture_time.0.saturating_add(LEAST_APART);
    (off > MOST_OFF || behind).then(|| at(captured))
}

/// The anchors that are known of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(BTreeMap<SegmentNumber, Anchor>);

impl Anchors {
    /// None are known.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Takes in what an opening says. The last word on a segment counts: an owner may end before
    /// it publishes what it has announced.
    pub fn insert(&mut self, anchor: Anchor) {
        self.0.insert(anchor.segment, anchor);
        if self.0.len() > MOST_REMEMBERED {
            self.0.pop_first();
        }
    }

    /// Takes in those of `others` that are not known.
    pub fn extend(&mut self, others: &Self) {
        for (segment, anchor) in &others.0 {
            self.0.entry(*segment).or_insert(*anchor);
        }
    }

    /// Whether this one is known.
    pub fn holds(&self, anchor: &Anchor) -> bool {
        self.0.get(&anchor.segment) == Some(anchor)
    }

    /// The one in force for `segment`: that of the highest number up to its own.
    pub fn of(&self, segment: SegmentNumber) -> Option<&Anchor> {
        self.0.range(..=segment).next_back().map(|(_, known)| known)
    }

    /// Those from `segment` on.
    pub fn from(&self, segment: SegmentNumber) -> impl Iterator<Item = &Anchor> {
        self.0.range(segment..).map(|(_, anchor)| anchor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn anchor(segment: u64, time: i64, capture: i64) -> Anchor {
        Anchor {
            segment: SegmentNumber(segment),
            time: Micros(time * SECOND),
            capture_time: Micros(capture * SECOND),
        }
    }

    fn next(before: &Anchor, breaks: bool, time: i64, captured_ms: i64) -> Option<Anchor> {
        let captured = Micros(captured_ms * 1000);
        after(
            Some(before),
            breaks,
            SegmentNumber(9),
            Micros(time * SECOND),
            captured,
        )
    }

    #[test]
    fn a_clock_that_is_followed_closely_needs_none() {
        let first = after(
            None,
            false,
            SegmentNumber(3),
            Micros(0),
            Micros(100 * SECOND),
        )
        .unwrap();
        assert_eq!(first, anchor(3, 0, 100));
        for captured in [159_600, 160_000, 160_400] {
            assert_eq!(next(&first, false, 60, captured), None);
        }
    }

    #[test]
    fn time_that_went_by_without_media_is_followed() {
        let first = anchor(3, 0, 100);
        assert_eq!(next(&first, false, 60, 190_000), Some(anchor(9, 60, 190)));
        assert_eq!(next(&first, true, 60, 160_000), Some(anchor(9, 60, 160)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_set_periods_back() {
        let first = anchor(3, 0, 100);
        assert_eq!(next(&first, true, 60, 1_000), Some(anchor(9, 60, 160)));
        assert_eq!(next(&first, false, 60, 1_000), None);
        // A source that runs fast: what is too much overlaps.
        assert_eq!(next(&first, false, 60, 159_000), Some(anchor(9, 60, 159)));
    }

    proptest! {
        #[test]
        fn wall_clock_times_of_anchors_only_grow(
            steps in proptest::collection::vec((any::<bool>(), 0..10_i64, -100..100_i64), 1..50)
        ) {
            let (mut before, mut time, mut wall) = (None::<Anchor>, 0, 1_000_000);
            for (number, (breaks, length, passed)) in steps.into_iter().enumerate() {
                time += length * SECOND;
                wall += passed * SECOND;
                let segment = SegmentNumber(number as u64);
                let new = after(before.as_ref(), breaks, segment, Micros(time), Micros(wall));
                if let (Some(before), Some(new)) = (before, new) {
                    prop_assert!(new.capture_time > before.capture_time);
                    prop_assert!(new.segment > before.segment);
                }
                prop_assert!(new.is_some() || before.is_some());
                before = new.or(before);
            }
        }
    }
}
