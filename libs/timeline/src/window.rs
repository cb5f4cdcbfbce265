//! The live window: which finished segments a live playlist lists.
//!
//! The rule, the same for every replica: **the smallest suffix of the finished segments whose
//! durations add up to at least `max(20 s, 4 × target duration)`**, or all of them while there
//! is less. Adding a segment makes every suffix longer, so the first listed segment only ever
//! moves forward: playlists append and trim, as RFC 8216bis §6.2.1 asks, and stay longer than
//! the three target durations that §6.2.2 sets as the least. The rule looks at nothing but
//! segments of the log, so it does not matter where or when a reader began, as long as it
//! began at or before the window.

use std::{collections::VecDeque, sync::Arc};

use reelay_model::{Epoch, Micros};
use reelay_wire::Opening;

use crate::{
    anchor::Anchors,
    track::{Entry, Outcome, Segment, TrackReader},
};

/// Least length of the window, where the target duration asks for no more.
const LEAST: Micros = Micros(20_000_000);
/// Least length of the window in target durations.
const LEAST_TARGETS: i64 = 4;

/// The finished segments that a live playlist lists, oldest first.
#[derive(Debug, Clone)]
pub struct Window {
    least: Micros,
    total: Micros,
    segments: VecDeque<Arc<Segment>>,
}

/// The least length of the live window of a stream with this target duration.
pub const fn least_length(target_seconds: u32) -> Micros {
    let targets = LEAST_TARGETS * 1_000_000 * target_seconds as i64;
    if targets > LEAST.0 {
        Micros(targets)
    } else {
        LEAST
    }
}

impl Window {
    /// An empty window for a stream with this target duration.
    pub const fn new(target_seconds: u32) -> Self {
        Self {
            least: least_length(target_seconds),
            total: Micros(0),
            segments: VecDeque::new(),
        }
    }

    /// Appends a finished segment and trims what the rule no longer lists.
    pub fn push(&mut self, segment: Arc<Segment>) {
        self.total.0 += segment.duration_micros().0;
        self.segments.push_back(segment);
        while let Some(first) = self.segments.front() {
            let without = self.total.0 - first.duration_micros().0;
            if without < self.least.0 {
                break;
            }
            self.total.0 = without;
            self.segments.pop_front();
        }
    }

    /// Forgets all segments: the numbers that follow do not go on from them.
    pub fn clear(&mut self) {
        self.segments.clear();
        self.total = Micros(0);
    }

    /// The listed segments, oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> + ExactSizeIterator {
        self.segments.iter()
    }

    /// The newest finished segment.
    pub fn last(&self) -> Option<&Arc<Segment>> {
        self.segments.back()
    }

    /// The oldest listed segment.
    pub fn first(&self) -> Option<&Arc<Segment>> {
        self.segments.front()
    }

    /// What the listed segments last together.
    pub const fn total(&self) -> Micros {
        self.total
    }
}

/// Where in `durations` (of finished segments, oldest first) the window of a stream with this
/// target duration begins: an index, 0 while all are listed.
pub fn start_of(target_seconds: u32, durations: &[Micros]) -> usize {
    let least = least_length(target_seconds).0;
    let mut total = 0;
    for (index, duration) in durations.iter().enumerate().rev() {
        total += duration.0;
        if total >= least {
            return index;
        }
    }
    0
}

/// One track as live playlists show it: its reader and its window.
#[derive(Debug, Clone)]
pub struct LiveTrack {
    reader: TrackReader,
    window: Window,
}

impl LiveTrack {
    /// Nothing yet of the track that `reader` reads, in a stream with this target duration.
    pub const fn new(reader: TrackReader, target_seconds: u32) -> Self {
        Self {
            reader,
            window: Window::new(target_seconds),
        }
    }

    /// Feeds the next record of the track's media topic.
    pub fn read(&mut self, entry: Entry<'_>) -> Outcome {
        let outcome = self.reader.read(entry);
        if outcome.restarted {
            self.window.clear();
        }
        for segment in &outcome.finished {
            self.window.push(segment.clone());
        }
        outcome
    }

    /// What the log says of the track.
    pub const fn reader(&self) -> &TrackReader {
        &self.reader
    }

    /// See [`TrackReader::learn_opening`].
    pub fn learn_opening(&mut self, epoch: Epoch, opening: Arc<Opening>) {
        self.reader.learn_opening(epoch, opening);
    }

    /// See [`TrackReader::learn_anchors`].
    pub fn learn_anchors(&mut self, anchors: &Anchors) {
        self.reader.learn_anchors(anchors);
    }

    /// The finished segments that a live playlist lists.
    pub const fn window(&self) -> &Window {
        &self.window
    }
}
