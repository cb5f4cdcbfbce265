//! What a reader of the log knows of a segment.

use std::sync::Arc;

use reelay_model::{Epoch, Micros, Offset, SegmentNumber, Ticks, Timescale};
use reelay_wire::{Fingerprint, Format};

/// One part (a CMAF chunk) of a segment, and where its bytes lie in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Offset of its record in the track's topic.
    pub offset: Offset,
    /// Bytes of the init segment that stand before the media in the record's value.
    pub init_length: u32,
    /// Bytes of media: the value without the init segment.
    pub length: u32,
    /// Decode time of its first sample.
    pub decode_time: Ticks,
    /// Its duration.
    pub duration: Ticks,
    /// Whether it begins with a frame that needs no other (`INDEPENDENT=YES`).
    pub independent: bool,
}

/// What a segment consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Media: parts from 0 on, without a hole.
    Media {
        /// The format of the media, with the fingerprint that stands in the media URLs.
        format: Arc<Format>,
        /// Start of the SHA-256 of the init segment that the parts need: its URL.
        init: Fingerprint,
        /// The parts read so far; all of them once the segment is finished.
        parts: Vec<Part>,
    },
    /// Nothing: a gap record stands in its place, or the log lacks this number altogether.
    Gap,
}

/// A segment of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number, the HLS media sequence number.
    pub number: SegmentNumber,
    /// The epoch that it was written in.
    pub epoch: Epoch,
    /// Its discontinuity sequence number (RFC 8216bis §4.4.3.3).
    pub discontinuity_sequence: u64,
    /// Ticks per second of its times.
    pub timescale: Timescale,
    /// Decode time at which it starts.
    pub decode_time: Ticks,
    /// Its duration; of an open segment, that of the parts read so far.
    pub duration: Ticks,
    /// Wall-clock time of its first sample.
    pub capture_time: Micros,
    /// What it consists of.
    pub content: Content,
}

fn between(start: Ticks, duration: Ticks, timescale: Timescale) -> Micros {
    // Absolute times are converted and durations are their differences: rounding then never
    // adds up over a playlist.
    let end = Ticks(start.0.saturating_add(duration.0)).to_micros(timescale);
    Micros(end.0 - start.to_micros(timescale).0)
}

impl Segment {
    /// Its duration in microseconds.
    pub fn duration_micros(&self) -> Micros {
        between(self.decode_time, self.duration, self.timescale)
    }

    /// The duration of one of its parts in microseconds.
    pub fn part_micros(&self, part: &Part) -> Micros {
        between(part.decode_time, part.duration, self.timescale)
    }

    /// Decode time at its end.
    pub fn end(&self) -> Ticks {
        Ticks(self.decode_time.0.saturating_add(self.duration.0))
    }

    /// The parts; none for a gap.
    pub fn parts(&self) -> &[Part] {
        match &self.content {
            Content::Media { parts, .. } => parts,
            Content::Gap => &[],
        }
    }

    /// Whether nothing stands in its place.
    pub const fn is_gap(&self) -> bool {
        matches!(self.content, Content::Gap)
    }

    /// The fingerprint of its encoding, if it has media.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.format().map(|format| format.fingerprint)
    }

    /// The format of its media, if it has any.
    pub const fn format(&self) -> Option<&Arc<Format>> {
        match &self.content {
            Content::Media { format, .. } => Some(format),
            Content::Gap => None,
        }
    }

    /// The init segment that its media needs, if it has any.
    pub const fn init(&self) -> Option<Fingerprint> {
        match &self.content {
            Content::Media { init, .. } => Some(*init),
            Content::Gap => None,
        }
    }

    /// Bytes of its media.
    pub fn length(&self) -> u64 {
        self.parts().iter().map(|part| u64::from(part.length)).sum()
    }
}
