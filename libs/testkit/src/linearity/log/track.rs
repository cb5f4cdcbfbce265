//! One track of one stream: its valid segments in the order of the log.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reelay_wire::{Epoch, Format, Header, Kind, Micros, Offset, Opening};
use sha2::{Digest, Sha256};

use super::Fault;
use super::media::{self, KnownInit, Said};
use crate::linearity::finding::Rule;

/// A valid chunk.
#[derive(Debug, Clone)]
pub struct PartSeen {
    /// Its offset.
    pub offset: Offset,
    /// Bytes without an init segment.
    pub bytes: u32,
    /// SHA-256 of these bytes.
    pub hash: [u8; 32],
    /// Ticks.
    pub duration: u64,
    /// As its header says.
    pub independent: bool,
    /// Offsets of later copies of the same bytes; only what is derived has any.
    pub copies: Vec<Offset>,
}

impl PartSeen {
    /// The part whose bytes without an init segment are `chunk`.
    pub fn of(offset: Offset, duration: u64, independent: bool, chunk: &[u8]) -> Self {
        Self {
            offset,
            bytes: u32::try_from(chunk.len()).unwrap_or(u32::MAX),
            hash: Sha256::digest(chunk).into(),
            duration,
            independent,
            copies: Vec::new(),
        }
    }
}

/// What ended a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The last-part flag, or it is a gap.
    Whole,
    /// A close record.
    Close,
    /// A claim.
    Claim,
}

/// A valid segment or gap.
#[derive(Debug, Clone)]
pub struct SegmentSeen {
    /// Epoch of its records.
    pub epoch: Epoch,
    /// A gap record stands for it.
    pub gap: bool,
    /// Ticks a second.
    pub timescale: u32,
    /// Decode time of its first part, ticks.
    pub start: u64,
    /// Decode time behind its last part, ticks.
    pub end: u64,
    /// When its first frame was captured.
    pub capture: Micros,
    /// Its discontinuity sequence.
    pub discontinuity: u64,
    /// Its parts in order.
    pub parts: Vec<PartSeen>,
    /// SHA-256 of all parts one behind the other.
    pub hash: [u8; 32],
    /// Its init segment.
    pub init: Option<KnownInit>,
    /// From its first part.
    pub format: Option<Format>,
    /// Keyframe is no IDR.
    pub open: bool,
    /// Where it begins in a seekable source.
    pub cursor: Option<u64>,
    /// Duration of its first sample, ticks.
    pub frame: u64,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    hasher: Sha256,
}

/// What a record did to its track.
#[derive(Debug, Default)]
pub struct Change {
    /// A segment (or gap) that ended with it.
    pub ended: Option<u64>,
    /// The discontinuity sequence rose.
    pub discontinuity: bool,
}

/// All valid segments of a track.
#[derive(Debug, Default)]
pub struct TrackSeen {
    /// By number.
    pub segments: BTreeMap<u64, SegmentSeen>,
    /// Of a rung: numbers that have ended and were not compared with the source's yet.
    pub uncompared: BTreeSet<u64>,
}

impl TrackSeen {
    fn last(&self) -> Option<(u64, &SegmentSeen)> {
        self.segments.last_key_value().map(|(n, s)| (*n, s))
    }

    /// A claim cuts off the segment that is open.
    pub fn cut_off(&mut self, by: Ended) -> Option<u64> {
        let mut last = self.segments.last_entry()?;
        let number = *last.key();
        let segment = last.get_mut();
        if segment.ended.is_some() {
            return None;
        }
        segment.end_now(by);
        Some(number)
    }

    /// Takes a close record.
    pub fn close(&mut self, number: u64, faults: &mut Vec<Fault>) -> Change {
        let open = self
            .last()
            .filter(|(_, s)| s.ended.is_none())
            .map(|(n, _)| n);
        if open != Some(number) {
            let expected = open.map_or("no close record".into(), |n| format!("segment {n}"));
            faults.push((
                Rule::Parts,
                expected,
                format!("a close record of segment {number}"),
            ));
            return Change::default();
        }
        Change {
            ended: self.cut_off(Ended::Close),
            ..Change::default()
        }
    }

    /// Takes a valid gap record.
    pub fn gap(
        &mut self,
        header: &Header,
        opening: Option<&Opening>,
        faults: &mut Vec<Fault>,
    ) -> Change {
        let number = header.segment.0;
        if !self.may_begin(number, faults) {
            return Change::default();
        }
        let discontinuity = self.timing(header, true, opening, faults);
        let mut segment = SegmentSeen::new(header, true);
        segment.end_now(Ended::Whole);
        self.segments.insert(number, segment);
        Change {
            ended: Some(number),
            discontinuity,
        }
    }

    /// Takes a valid chunk.
    pub fn chunk(
        &mut self,
        header: &Header,
        offset: Offset,
        value: &Bytes,
        opening: Option<&Opening>,
        faults: &mut Vec<Fault>,
    ) -> Change {
        let Kind::Chunk {
            part,
            independent,
            last_part,
            open,
            init_length,
            cursor,
            format,
        } = &header.kind
        else {
            return Change::default();
        };
        let number = header.segment.0;
        let mut change = Change::default();
        let goes_on = self.last().is_some_and(|(n, s)| {
            n == number && s.ended.is_none() && Some(s.epoch) == header.epoch
        });
        if goes_on {
            self.check_part(header, part.0, format, faults);
        } else {
            if !self.may_begin(number, faults) {
                return change;
            }
            if part.0 != 0 {
                let found = format!("part {part}");
                faults.push((Rule::Parts, "part 0 first".into(), found));
            }
            change.discontinuity = self.timing(header, false, opening, faults);
        }

        let said = Said {
            part: part.0,
            independent: *independent,
            open: *open,
            init_length: *init_length,
            format,
        };
        let known = if goes_on {
            self.last().and_then(|(_, s)| s.init.as_ref())
        } else {
            None
        };
        let facts = media::examine(header, &said, value, known, faults);
        if !goes_on {
            let init = facts.init.clone();
            self.check_init(header, init.as_ref(), faults);
            let mut segment = SegmentSeen::new(header, false);
            segment.init = init;
            segment.format = Some(format.clone());
            segment.open = *open;
            segment.cursor = *cursor;
            segment.frame = facts.frame;
            self.segments.insert(number, segment);
        }
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.end = header.end_time().0;
            let part = PartSeen::of(offset, header.duration.0, *independent, &facts.chunk);
            segment.add(part, &facts.chunk);
            if *last_part {
                segment.end_now(Ended::Whole);
                change.ended = Some(number);
            }
        }
        change
    }

    /// Whether a segment of this number may begin now; says so if not.
    fn may_begin(&self, number: u64, faults: &mut Vec<Fault>) -> bool {
        let Some((last, segment)) = self.last() else {
            return true;
        };
        if number <= last {
            let (rule, found) = match self.segments.get(&number) {
                Some(s) if number == last && s.ended == Some(Ended::Whole) && !s.gap => (
                    Rule::Repeat,
                    format!("more of segment {number} behind its last part"),
                ),
                _ => (Rule::Repeat, format!("segment {number} again")),
            };
            faults.push((rule, format!("segment {}", last + 1), found));
            return false;
        }
        if segment.ended.is_none() {
            let expected = format!("the end of segment {last} (last part, close or claim)");
            faults.push((Rule::Parts, expected, format!("segment {number}")));
        }
        if number > last + 1 {
            let found = format!("segment {number}");
            faults.push((Rule::Hole, format!("segment {}", last + 1), found));
        }
        true
    }

    fn check_part(&self, header: &Header, part: u32, format: &Format, faults: &mut Vec<Fault>) {
        let Some((_, segment)) = self.last() else {
            return;
        };
        let next = u32::try_from(segment.parts.len()).unwrap_or(u32::MAX);
        if part != next {
            let rule = if part < next {
                Rule::Repeat
            } else {
                Rule::Parts
            };
            faults.push((rule, format!("part {next}"), format!("part {part}")));
        }
        if header.decode_time.0 != segment.end {
            let expected = format!(
                "decode time {}, where part {} ended",
                segment.end,
                next.saturating_sub(1)
            );
            faults.push((Rule::DecodeTime, expected, header.decode_time.to_string()));
        }
        let same = segment
            .format
            .as_ref()
            .is_none_or(|first| same_format(first, format));
        if header.timescale.0 != segment.timescale || !same {
            let expected = "the format of the segment's first part".into();
            faults.push((
                Rule::Init,
                expected,
                format!("{format:?} at {} Hz", header.timescale),
            ));
        }
        if header.discontinuity_sequence != segment.discontinuity {
            let expected = format!("discontinuity sequence {}", segment.discontinuity);
            faults.push((
                Rule::Discontinuity,
                expected,
                header.discontinuity_sequence.to_string(),
            ));
        }
    }

    /// The first record of a segment against the segment before. Returns whether the
    /// discontinuity sequence rose.
    fn timing(
        &self,
        header: &Header,
        gap: bool,
        opening: Option<&Opening>,
        faults: &mut Vec<Fault>,
    ) -> bool {
        let number = header.segment.0;
        let sequence = header.discontinuity_sequence;
        if let Some(opening) = opening {
            let first = opening.first_segment.0;
            if number < first && !gap {
                let expected = format!("segment {first} or above, as the epoch opened");
                faults.push((Rule::Opening, expected, format!("segment {number}")));
            }
            if number == first && sequence != opening.discontinuity_sequence {
                let expected = format!("{} as the epoch opened", opening.discontinuity_sequence);
                faults.push((Rule::Discontinuity, expected, sequence.to_string()));
            }
        }
        let Some((last, before)) = self.last() else {
            return false;
        };
        if sequence < before.discontinuity {
            let expected = format!("discontinuity sequence {} or above", before.discontinuity);
            faults.push((Rule::Discontinuity, expected, sequence.to_string()));
            return false;
        }
        let same_epoch = header.epoch == Some(before.epoch);
        if sequence > before.discontinuity {
            // An owner that published nothing may have used a number up.
            if same_epoch && sequence > before.discontinuity + 1 {
                let expected = format!("discontinuity sequence {}", before.discontinuity + 1);
                faults.push((Rule::Discontinuity, expected, sequence.to_string()));
            }
            return true;
        }
        let breaks =
            !same_epoch && opening.is_some_and(|o| !o.continues && o.first_segment.0 == number);
        if breaks {
            let expected = "a higher discontinuity sequence, as the opening does not continue";
            faults.push((Rule::Discontinuity, expected.into(), sequence.to_string()));
        }
        // Beside a gap, what goes on is only as exact as the tracks are cut together.
        let slack = if gap || before.gap {
            u64::from(header.timescale.0) * 1024 / 48_000 / 2 + 1
        } else {
            0
        };
        let differs = header.decode_time.0.abs_diff(before.end) > slack;
        // After a hole nothing can be said of times.
        if number == last + 1 && (differs || header.timescale.0 != before.timescale) {
            let expected = format!(
                "decode time {} at {} Hz, where segment {last} ended, or a declared discontinuity",
                before.end, before.timescale
            );
            let found = format!("{} at {} Hz", header.decode_time, header.timescale);
            faults.push((Rule::DecodeTime, expected, found));
        }
        false
    }

    /// A changed init segment needs a discontinuity.
    fn check_init(&self, header: &Header, init: Option<&KnownInit>, faults: &mut Vec<Fault>) {
        let before = self.segments.values().rev().find(|s| s.init.is_some());
        if let (Some(before), Some(init)) = (before, init)
            && let Some(known) = &before.init
            && known.hash != init.hash
            && before.discontinuity == header.discontinuity_sequence
        {
            let expected = "the init segment as before, or a discontinuity".into();
            faults.push((Rule::Init, expected, "another init segment".into()));
        }
    }
}

impl SegmentSeen {
    pub(super) fn new(header: &Header, gap: bool) -> Self {
        Self {
            epoch: header.epoch.unwrap_or_default(),
            gap,
            timescale: header.timescale.0,
            start: header.decode_time.0,
            end: header.end_time().0,
            capture: header.capture_time,
            discontinuity: header.discontinuity_sequence,
            parts: Vec::new(),
            hash: [0; 32],
            init: None,
            format: None,
            open: false,
            cursor: None,
            frame: 0,
            ended: None,
            hasher: Sha256::new(),
        }
    }

    /// Adds the next part.
    pub(super) fn add(&mut self, part: PartSeen, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.parts.push(part);
    }

    pub(super) fn end_now(&mut self, by: Ended) {
        self.ended = Some(by);
        self.hash = std::mem::take(&mut self.hasher).finalize().into();
    }

    /// Ticks of this segment's timescale in µs, to the nearest.
    pub fn micros(&self, ticks: u64) -> i128 {
        let scale = i128::from(self.timescale.max(1));
        (i128::from(ticks) * 1_000_000 + scale / 2) / scale
    }
}

/// Compares a video and an audio segment of one number.
pub fn cut_together(video: &SegmentSeen, audio: &SegmentSeen, faults: &mut Vec<Fault>) {
    if video.epoch != audio.epoch {
        let expected = format!("epoch {} as the video segment of this number", video.epoch);
        faults.push((Rule::Repeat, expected, format!("epoch {}", audio.epoch)));
        return;
    }
    if video.discontinuity != audio.discontinuity {
        let expected = format!("discontinuity sequence {} as video's", video.discontinuity);
        faults.push((
            Rule::Discontinuity,
            expected,
            audio.discontinuity.to_string(),
        ));
    }
    // Half an audio frame, and what the rounding of both to µs may add.
    let limit = audio.micros(audio.frame) / 2 + 2;
    let mut compare = |what: &str, video_us: i128, audio_us: i128| {
        if (video_us - audio_us).abs() > limit {
            let expected = format!("{what} at {video_us} µs as video's, within {limit} µs");
            faults.push((Rule::Cut, expected, format!("{audio_us} µs")));
        }
    };
    compare(
        "a start",
        video.micros(video.start),
        audio.micros(audio.start),
    );
    if video.ended == Some(Ended::Whole) && audio.ended == Some(Ended::Whole) {
        compare("an end", video.micros(video.end), audio.micros(audio.end));
    }
}

/// All but the bandwidth, which may become known later.
pub fn same_format(a: &Format, b: &Format) -> bool {
    let b = Format {
        bandwidth: a.bandwidth,
        ..b.clone()
    };
    *a == b
}
