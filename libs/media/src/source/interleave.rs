//! Puts the frames of two tracks into the order in which they are due.

use std::collections::VecDeque;

/// Video does not wait for longer for audio that does not come; in µs.
const VIDEO_WAITS: i64 = 2_000_000;
/// Audio waits longer, since without video nothing can be cut.
const AUDIO_WAITS: i64 = 60_000_000;
/// Nor is more kept than this.
const MOST_BYTES: usize = 64 << 20;

/// One of two tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Video,
    Audio,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<(i64, usize, T)>,
    /// No more will come, in this pass.
    ended: bool,
    waits: i64,
}

/// Two queues of items with the time at which they are due, in µs.
#[derive(Debug)]
pub(super) struct Interleaver<T> {
    video: Queue<T>,
    audio: Queue<T>,
    bytes: usize,
}

impl<T> Interleaver<T> {
    pub(super) fn new(video: bool, audio: bool) -> Self {
        let queue = |there: bool, waits| Queue {
            items: VecDeque::new(),
            ended: !there,
            waits,
        };
        Self {
            video: queue(video, VIDEO_WAITS),
            audio: queue(audio, AUDIO_WAITS),
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, which: Which, due: i64, bytes: usize, item: T) {
        self.bytes += bytes;
        match which {
            Which::Video => self.video.items.push_back((due, bytes, item)),
            Which::Audio => self.audio.items.push_back((due, bytes, item)),
        }
    }

    /// The pass has ended: what is there can go.
    pub(super) fn end_pass(&mut self) {
        self.video.ended = true;
        self.audio.ended = true;
    }

    /// A new pass with these tracks.
    pub(super) fn start_pass(&mut self, video: bool, audio: bool) {
        self.video.ended = !video;
        self.audio.ended = !audio;
    }

    /// Leaves out items of the audio.
    pub(super) fn retain_audio(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let bytes = &mut self.bytes;
        self.audio.items.retain(|(_, size, item)| {
            let kept = keep(item);
            if !kept {
                *bytes -= size;
            }
            kept
        });
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.video.items.is_empty() && self.audio.items.is_empty()
    }

    /// The item that is due first, if nothing can come before it any more.
    pub(super) fn pop(&mut self) -> Option<(i64, T)> {
        let full = self.bytes > MOST_BYTES;
        let head = |queue: &Queue<T>| queue.items.front().map(|(due, ..)| *due);
        let may_go = |queue: &Queue<T>, other: &Queue<T>| {
            let long = match (queue.items.front(), queue.items.back()) {
                (Some((first, ..)), Some((last, ..))) => last - first > queue.waits,
                _ => false,
            };
            other.ended || full || long
        };
        let video_first = match (head(&self.video), head(&self.audio)) {
            (Some(video), Some(audio)) => video <= audio,
            (Some(_), None) if may_go(&self.video, &self.audio) => true,
            (None, Some(_)) if may_go(&self.audio, &self.video) => false,
            _ => return None,
        };
        let queue = if video_first {
            &mut self.video
        } else {
            &mut self.audio
        };
        let (due, bytes, item) = queue.items.pop_front()?;
        self.bytes -= bytes;
        Some((due, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_leave_in_the_order_of_their_times() {
        let mut queues = Interleaver::new(true, true);
        for at in 0..50 {
            queues.push(Which::Video, at * 40_000, 1, ('v', at));
        }
        assert_eq!(queues.pop(), None, "audio may still come before");
        for at in 0..60 {
            queues.push(Which::Audio, at * 20_000 + 1, 1, ('a', at));
        }
        let mut times = Vec::new();
        while let Some((due, _)) = queues.pop() {
            times.push(due);
        }
        assert!(times.is_sorted());
        assert_eq!(times.len(), 60 + 30, "the rest waits for audio");
        queues.end_pass();
        while queues.pop().is_some() {}
        assert!(queues.is_empty());
        assert_eq!(queues.bytes, 0);
    }

    #[test]
    fn video_does_not_wait_for_audio_for_ever() {
        let mut queues = Interleaver::new(true, true);
        for at in 0..100 {
            queues.push(Which::Video, at * 40_000, 1, at);
        }
        assert_eq!(queues.pop(), Some((0, 0)));
    }
}
