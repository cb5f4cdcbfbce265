//! Which picture is shown when: every frame of the source has its place in the rung, whether it
//! decodes or not. Functions of data.
//!
//! The source's decode times are its presentation times, sorted (see `segmenter`). So they are
//! the line of *slots*, each with a duration; the pictures take them in the order in which they
//! are shown. A picture that does not come is bridged: the one before it takes its slot, too.

use std::collections::{BTreeSet, VecDeque};

use super::input::SourceSample;

/// The place of one frame, in the source's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub time: i64,
    pub duration: i64,
    /// Nothing comes after it in this segment.
    pub last: bool,
}

/// The slots of one segment that have no picture yet.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Presentation times of the pictures that are expected, one for each slot.
    expected: BTreeSet<i64>,
    slots: VecDeque<Slot>,
    /// Where the known slots end.
    end: i64,
    start: i64,
}

/// The slots that a picture decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Of pictures before it that did not come.
    pub missing: Vec<Slot>,
    /// Its own.
    pub own: Slot,
}

impl Timeline {
    /// A segment that starts at this time.
    pub(super) fn new(start: i64) -> Self {
        Self {
            expected: BTreeSet::new(),
            slots: VecDeque::new(),
            end: start,
            start,
        }
    }

    /// Duration of what is known.
    pub(super) fn duration(&self) -> i64 {
        self.end - self.start
    }

    /// Takes the samples of a chunk; `last`: of the segment's last.
    pub(super) fn add(&mut self, samples: &[SourceSample], last: bool) {
        for sample in samples {
            self.fill_up_to(sample.decode);
            let end = sample.decode.saturating_add(sample.duration);
            if end <= self.end {
                // Twice the same time: damage. Its picture is not expected.
                continue;
            }
            self.expect(sample.presentation, end);
        }
        if last && let Some(slot) = self.slots.back_mut() {
            slot.last = true;
        }
    }

    /// What is missing in the line gets a slot, for whose picture nobody has to wait.
    fn fill_up_to(&mut self, time: i64) {
        if time > self.end {
            self.expect(self.end, time);
        }
    }

    fn expect(&mut self, presentation: i64, end: i64) {
        if self.expected.insert(presentation) {
            self.slots.push_back(Slot {
                time: self.end,
                duration: end - self.end,
                last: false,
            });
        } else if let Some(slot) = self.slots.back_mut() {
            slot.duration += end - self.end;
        }
        self.end = end;
    }

    /// The slots that are decided by a picture; none if it is not expected (any more), such as
    /// one of the segment before.
    pub(super) fn show(&mut self, presentation: i64) -> Option<Shown> {
        if !self.expected.contains(&presentation) {
            return None;
        }
        let mut missing = Vec::new();
        loop {
            let first = self.expected.pop_first()?;
            let slot = self.slots.pop_front()?;
            if first == presentation {
                return Some(Shown { missing, own: slot });
            }
            missing.push(slot);
        }
    }

    /// The slots that are left when nothing more comes; `duration` is the segment's, if known.
    pub(super) fn finish(&mut self, duration: Option<i64>) -> Vec<Slot> {
        if let Some(duration) = duration {
            self.fill_up_to(self.start.saturating_add(duration));
        }
        self.expected.clear();
        let mut left: Vec<_> = self.slots.drain(..).collect();
        if let Some(slot) = left.last_mut() {
            slot.last = true;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(decode: i64, presentation: i64, duration: i64) -> SourceSample {
        SourceSample {
            decode,
            presentation,
            duration,
            sync: false,
            data: 0..1,
        }
    }

    fn slot(time: i64, duration: i64) -> Slot {
        Slot {
            time,
            duration,
            last: false,
        }
    }

    #[test]
    fn a_picture_that_does_not_come_is_bridged_by_the_one_before() {
        let mut line = Timeline::new(10);
        line.add(
            &[sample(10, 10, 5), sample(15, 15, 5), sample(20, 20, 6)],
            true,
        );
        assert_eq!(line.show(10).unwrap().own, slot(10, 5));
        let shown = line.show(20).unwrap();
        assert_eq!(shown.missing, [slot(15, 5)]);
        assert_eq!((shown.own.duration, shown.own.last), (6, true));
        assert!(line.show(15).is_none());
        assert!(line.finish(None).is_empty());
        assert_eq!(line.duration(), 16);
    }

    #[test]
    fn chunks_that_cannot_be_read_leave_a_slot() {
        let mut line = Timeline::new(0);
        line.add(&[sample(0, 0, 5)], false);
        line.add(&[sample(20, 20, 5)], false);
        line.show(0);
        assert_eq!(line.show(20).unwrap().missing, [slot(5, 15)]);
        let left = line.finish(Some(40));
        assert_eq!(
            left,
            [Slot {
                time: 25,
                duration: 15,
                last: true
            }]
        );
    }

    proptest! {
        /// Whatever is lost: the slots that are shown follow each other without a hole.
        #[test]
        fn the_line_has_no_hole(
            frames in prop::collection::vec((1_i64..100, any::<bool>(), any::<bool>()), 1..60),
            depth in 1_usize..4,
        ) {
            let mut at = 0;
            let times: Vec<_> = frames
                .iter()
                .map(|(duration, ..)| {
                    at += duration;
                    (at - duration, *duration)
                })
                .collect();
            // In decode order the last of each group comes first.
            let mut coded: Vec<i64> = Vec::new();
            for group in times.chunks(depth) {
                coded.push(group[group.len() - 1].0);
                coded.extend(group[..group.len() - 1].iter().map(|(time, _)| *time));
            }
            let mut line = Timeline::new(0);
            for ((decode, duration), (presentation, (_, readable, _))) in
                times.iter().zip(coded.iter().zip(&frames))
            {
                if *readable {
                    line.add(&[sample(*decode, *presentation, *duration)], false);
                }
            }
            let mut slots = Vec::new();
            for ((time, _), (_, _, decodes)) in times.iter().zip(&frames) {
                if *decodes && let Some(shown) = line.show(*time) {
                    slots.extend(shown.missing);
                    slots.push(shown.own);
                }
            }
            slots.extend(line.finish(Some(at)));
            let mut end = 0;
            for slot in slots {
                prop_assert_eq!(slot.time, end);
                prop_assert!(slot.duration > 0);
                end += slot.duration;
            }
            prop_assert_eq!(end, at);
        }
    }
}
