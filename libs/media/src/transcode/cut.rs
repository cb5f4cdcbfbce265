//! Cuts a rung's frames into parts, by the rule by which the source is cut (see `segmenter`): a
//! part is closed when one more frame like its last would make it longer than the part target.
//! Functions of data.

use std::collections::VecDeque;

use super::timeline::Slot;
use crate::segmenter::Placed;

/// A coded frame, in decode order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coded<P> {
    pub presentation: i64,
    pub sync: bool,
    pub payload: P,
}

/// One part, in 1/90,000 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RungPart<P> {
    pub part: u32,
    pub independent: bool,
    pub last: bool,
    pub decode_time: i64,
    pub duration: i64,
    pub frames: Vec<Placed<P>>,
}

/// Cuts one segment of one rung.
#[derive(Debug)]
pub(super) struct Cutter<P> {
    target: i64,
    /// Of frames that have gone into the encoder: the n-th frame that comes out takes the n-th
    /// slot as its decode time, since these are the presentation times, sorted.
    slots: VecDeque<Slot>,
    part: u32,
    open: Option<RungPart<P>>,
}

impl<P> Cutter<P> {
    /// `target` is the greatest duration of a part of more than one frame.
    pub(super) fn new(target: i64) -> Self {
        Self {
            target,
            slots: VecDeque::new(),
            part: 0,
            open: None,
        }
    }

    /// A frame goes into the encoder.
    pub(super) fn expect(&mut self, slot: Slot) {
        self.slots.push_back(slot);
    }

    /// A frame has come out of it; `give` gets the parts that are complete.
    pub(super) fn push(&mut self, frame: Coded<P>, mut give: impl FnMut(RungPart<P>)) {
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        let target = self.target;
        let overflows = |part: &RungPart<P>| part.duration + slot.duration > target;
        if self.open.as_ref().is_some_and(overflows) {
            self.close(false, &mut give);
        }
        let number = self.part;
        let part = self.open.get_or_insert_with(|| RungPart {
            part: number,
            independent: frame.sync,
            last: false,
            decode_time: slot.time,
            duration: 0,
            frames: Vec::with_capacity(8),
        });
        part.duration += slot.duration;
        part.frames.push(Placed {
            // Both are far below 2³¹ ticks (6 hours): a segment is at most some seconds.
            duration: slot.duration.clamp(0, i64::from(u32::MAX)) as u32,
            composition_offset: (frame.presentation - slot.time)
                .clamp(i64::from(i32::MIN), i64::from(i32::MAX))
                as i32,
            sync: frame.sync,
            payload: frame.payload,
        });
        if slot.last {
            self.close(true, &mut give);
        } else if self.open.as_ref().is_some_and(overflows) {
            self.close(false, &mut give);
        }
    }

    /// Closes what is open as the last part.
    pub(super) fn finish(&mut self, mut give: impl FnMut(RungPart<P>)) {
        self.close(true, &mut give);
    }

    fn close(&mut self, last: bool, give: &mut impl FnMut(RungPart<P>)) {
        if let Some(part) = self.open.take() {
            self.part += 1;
            give(RungPart { last, ..part });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reelay_model::Micros;

    use super::*;
    use crate::{
        codec::FrameKind,
        segmenter::{Event, Segmenter, VideoFrame, VideoRules},
    };

    /// Durations of parts, cut by the source's segmenter.
    fn source_parts(durations: &[i64], target: i64) -> Vec<(i64, bool)> {
        let mut segmenter = Segmenter::new(
            Some(VideoRules {
                least_segment: 1 << 40,
                greatest_segment: 1 << 40,
                part_target: target,
            }),
            None,
        );
        let mut time = 0;
        for (n, duration) in durations.iter().enumerate() {
            segmenter.push_video(VideoFrame {
                presentation: time,
                decode_bound: Some(time),
                reorder: None,
                kind: if n == 0 {
                    FrameKind::Idr
                } else {
                    FrameKind::Delta
                },
                discontinuity: false,
                format: 0,
                capture: Micros(0),
                cursor: None,
                payload: (),
            });
            time += duration;
        }
        segmenter.finish(durations[durations.len() - 1]);
        std::iter::from_fn(|| segmenter.next())
            .filter_map(|event| match event {
                Event::Part(part) => Some((part.duration, part.last)),
                _ => None,
            })
            .collect()
    }

    proptest! {
        /// The parts are those of the source, and come without waiting for the next frame.
        #[test]
        fn parts_are_cut_as_the_source_is(
            durations in prop::collection::vec(1_i64..12_000, 1..80),
            target in 1_i64..40_000,
        ) {
            let mut cutter = Cutter::new(target);
            let mut parts = Vec::new();
            let mut time = 0;
            for (n, duration) in durations.iter().enumerate() {
                let last = n + 1 == durations.len();
                cutter.expect(Slot { time, duration: *duration, last });
                let frame = Coded { presentation: time, sync: n == 0, payload: () };
                cutter.push(frame, |part| parts.push(part));
                time += duration;
            }
            cutter.finish(|part| parts.push(part));
            let cut: Vec<_> = parts.iter().map(|part| (part.duration, part.last)).collect();
            prop_assert_eq!(cut, source_parts(&durations, target));
            prop_assert!(parts.iter().enumerate().all(|(n, part)| part.part == n as u32));
            prop_assert!(parts.iter().all(|part| part.independent == (part.part == 0)));
        }
    }
}
