//! Decode times for frames that come in decode order with presentation times.
//!
//! A segment's `tfdt` is the earliest presentation time in it, and there are no edit lists: so
//! the decode times are the presentation times, sorted. The n-th frame gets the n-th smallest
//! presentation time, which is final as soon as no later frame can come before it. That holds
//! for open groups of pictures and for variable frame rates, too; the durations of a segment sum
//! up to the distance of its presentation times, without drift.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// Greatest number of frames by which H.264 can reorder (§A.3.1, MaxDpbFrames); what waits
/// longer waits for a wrong timestamp.
const MAX_REORDER: usize = 16;

/// Gives frames their decode times.
#[derive(Debug)]
pub(crate) struct DecodeOrder<F> {
    waiting: VecDeque<F>,
    /// Presentation times of the waiting frames (and of frames before them that were reordered).
    times: BinaryHeap<Reverse<i64>>,
    last: Option<i64>,
}

impl<F> DecodeOrder<F> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            times: BinaryHeap::new(),
            last: None,
        }
    }

    /// Takes the next frame in decode order; gives those whose decode time is now known.
    ///
    /// `bound` is a time before which no later frame is presented: the frame's own decode time
    /// by the source's clock, since that grows and is never after its presentation.
    /// `depth`: how many frames can come before one that is presented earlier, where that is known.
    /// `restart`: nothing after this frame is presented before it, and all before it come before
    /// it (an IDR picture).
    pub(crate) fn push(
        &mut self,
        frame: F,
        presentation: i64,
        bound: Option<i64>,
        depth: Option<usize>,
        restart: bool,
        mut give: impl FnMut(F, i64),
    ) {
        if restart {
            self.flush(&mut give);
        }
        // A presentation time that comes too late cannot be sorted in any more; the line of
        // decode times goes on by a tick instead.
        let time = self
            .last
            .map_or(presentation, |last| presentation.max(last + 1));
        self.times.push(Reverse(time));
        self.waiting.push_back(frame);
        let bound = if restart { Some(presentation) } else { bound };
        let depth = depth.unwrap_or(MAX_REORDER).min(MAX_REORDER);
        while self.times.peek().is_some_and(|Reverse(time)| {
            bound.is_some_and(|bound| *time <= bound) || self.waiting.len() > depth
        }) {
            self.give_one(&mut give);
        }
    }

    /// Gives all waiting frames.
    pub(crate) fn flush(&mut self, mut give: impl FnMut(F, i64)) {
        while !self.waiting.is_empty() {
            self.give_one(&mut give);
        }
    }

    /// Forgets all waiting frames.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.times.clear();
    }

    fn give_one(&mut self, give: &mut impl FnMut(F, i64)) {
        // Both always have the same length.
        if let (Some(Reverse(time)), Some(frame)) = (self.times.pop(), self.waiting.pop_front()) {
            let time = self.last.map_or(time, |last| time.max(last + 1));
            self.last = Some(time);
            give(frame, time);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(frames: &[(i64, i64, bool)]) -> Vec<(i64, i64)> {
        let mut order = DecodeOrder::new();
        let mut out = Vec::new();
        for (pts, dts, restart) in frames {
            order.push(*pts, *pts, Some(*dts), None, *restart, |pts, time| {
                out.push((time, pts))
            });
        }
        order.flush(|pts, time| out.push((time, pts)));
        out
    }

    #[test]
    fn frames_in_order_pass_at_once() {
        let mut order = DecodeOrder::new();
        for n in 0..10 {
            let mut given = Vec::new();
            order.push((), n, Some(n), None, n == 0, |(), time| given.push(time));
            assert_eq!(given, [n]);
        }
    }

    #[test]
    fn a_known_depth_stands_in_for_decode_times() {
        let mut order = DecodeOrder::new();
        let mut given = Vec::new();
        for (n, pts) in [0, 3, 1, 2, 6, 4, 5].into_iter().enumerate() {
            order.push(pts, pts, None, Some(1), n == 0, |pts, time| {
                given.push((pts, time))
            });
        }
        assert_eq!(given, [(0, 0), (3, 1), (1, 2), (2, 3), (6, 4), (4, 5)]);
    }

    #[test]
    fn reordered_frames_get_sorted_times() {
        // I P B B P B B, as x264 stamps it.
        let frames = [
            (0, -2, true),
            (3, -1, false),
            (1, 0, false),
            (2, 1, false),
            (6, 2, false),
            (4, 3, false),
            (5, 4, false),
        ];
        let times: Vec<_> = run(&frames).iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [0, 1, 2, 3, 4, 5, 6]);
    }

    proptest! {
        /// Whatever the gaps between frames and the depth of reordering, decode times are the
        /// sorted presentation times.
        #[test]
        fn decode_times_are_sorted_presentation_times(
            gaps in prop::collection::vec(1_i64..5000, 1..200),
            group in 1_usize..8,
        ) {
            let mut presentation: Vec<i64> = Vec::new();
            let mut time = 0;
            for gap in &gaps {
                presentation.push(time);
                time += gap;
            }
            // An IDR, then groups in which the last frame is coded first.
            let mut coded = vec![presentation[0]];
            for chunk in presentation[1..].chunks(group) {
                coded.push(chunk[chunk.len() - 1]);
                coded.extend_from_slice(&chunk[..chunk.len() - 1]);
            }
            let frames: Vec<_> = coded
                .iter()
                .enumerate()
                // Decode times run a frame behind, as a muxer would have them.
                .map(|(n, pts)| (*pts, if n == 0 { -1 } else { presentation[n - 1] - 1 }, n == 0))
                .collect();
            let out = run(&frames);
            let times: Vec<_> = out.iter().map(|(time, _)| *time).collect();
            prop_assert_eq!(&times, &presentation);
            let order: Vec<_> = out.iter().map(|(_, pts)| *pts).collect();
            prop_assert_eq!(order, coded);
        }

        /// Nonsense neither stops the line nor turns it back, nor keeps frames for ever.
        #[test]
        fn times_always_grow(frames in prop::collection::vec((-1000_i64..1000, -1000_i64..1000, any::<bool>()), 0..200)) {
            let out = run(&frames);
            prop_assert_eq!(out.len(), frames.len());
            prop_assert!(out.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
