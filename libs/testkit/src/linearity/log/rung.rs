//! One rung of one stream: segments that were made of the source's.
//!
//! What is derived is never fenced: it counts by identity. Of every part the first copy in the
//! log is the one, and of every segment the first part says with what it was encoded. Others
//! may follow, since two transcodes may work on one segment; with the same fingerprint they
//! have to be the same bytes.

use bytes::Bytes;
use reelay_wire::{Format, Header, Kind, Offset};
use sha2::{Digest, Sha256};

use super::Fault;
use super::media::{self, Said};
use super::track::{Change, Ended, PartSeen, SegmentSeen, TrackSeen};
use crate::linearity::finding::Rule;

/// Finished source segments that a rung may be behind at the end of a check.
pub const BEHIND: usize = 6;

/// What a chunk's header says of it.
struct Chunk<'a> {
    part: u32,
    independent: bool,
    last: bool,
    open: bool,
    init_length: u32,
    format: &'a Format,
}

impl TrackSeen {
    /// Takes a chunk, gap or close record of a rung.
    /// `from_start`: its topic was read from the first record on.
    pub fn derived(
        &mut self,
        header: &Header,
        (offset, value): (Offset, &Bytes),
        from_start: bool,
        copies: &mut u64,
        faults: &mut Vec<Fault>,
    ) -> Change {
        let number = header.segment.0;
        let last = self.segments.last_key_value().map(|(n, _)| *n);
        if header.late {
            // For rewind playlists, behind a gap that stays one in live playlists.
            if last.is_none_or(|last| number > last) {
                let expected = "a segment that the live edge has passed by".into();
                faults.push((Rule::Late, expected, format!("late segment {number}")));
            }
            return Change::default();
        }
        match &header.kind {
            Kind::Chunk {
                part,
                independent,
                last_part,
                open,
                init_length,
                format,
                ..
            } => {
                let chunk = Chunk {
                    part: part.0,
                    independent: *independent,
                    last: *last_part,
                    open: *open,
                    init_length: *init_length,
                    format,
                };
                let started = from_start || !self.segments.is_empty();
                if chunk.part != 0 && !started {
                    return Change::default();
                }
                self.derived_chunk(header, &chunk, (offset, value), copies, faults)
            }
            Kind::Gap if self.segments.contains_key(&number) => {
                *copies += 1;
                // What was shown of it stays, and no more comes.
                self.end_derived(number)
            }
            Kind::Gap => {
                let mut change = self.begin_derived(header, faults);
                let mut segment = SegmentSeen::new(header, true);
                segment.end_now(Ended::Whole);
                self.segments.insert(number, segment);
                change.ended = Some(number);
                change
            }
            Kind::Close => {
                if !self.segments.contains_key(&number) {
                    let found = format!("a close record of segment {number}");
                    faults.push((Rule::Parts, "a segment that has begun".into(), found));
                }
                self.end_derived(number)
            }
            _ => Change::default(),
        }
    }

    fn end_derived(&mut self, number: u64) -> Change {
        match self.segments.get_mut(&number) {
            Some(segment) if segment.ended.is_none() => {
                segment.end_now(Ended::Close);
                Change {
                    ended: Some(number),
                    ..Change::default()
                }
            }
            _ => Change::default(),
        }
    }

    /// The first record of a segment: the one after the last.
    fn begin_derived(&self, header: &Header, faults: &mut Vec<Fault>) -> Change {
        let number = header.segment.0;
        let Some((last, before)) = self.segments.last_key_value() else {
            return Change::default();
        };
        if before.ended.is_none() {
            let expected = format!("the end of segment {last} (last part or close)");
            faults.push((Rule::Parts, expected, format!("segment {number}")));
        }
        if number != last + 1 {
            let found = format!("segment {number}");
            faults.push((Rule::Hole, format!("segment {}", last + 1), found));
        }
        Change {
            discontinuity: header.discontinuity_sequence > before.discontinuity,
            ended: None,
        }
    }

    fn derived_chunk(
        &mut self,
        header: &Header,
        chunk: &Chunk<'_>,
        (offset, value): (Offset, &Bytes),
        copies: &mut u64,
        faults: &mut Vec<Fault>,
    ) -> Change {
        let number = header.segment.0;
        let first = self.segments.first_key_value().map(|(n, _)| *n);
        if let Some(segment) = self.segments.get_mut(&number) {
            let same = segment.format.as_ref().map(|f| f.fingerprint);
            if same != Some(chunk.format.fingerprint) {
                // A copy of what is a gap, or is encoded otherwise: no reader takes it.
                *copies += 1;
                return Change::default();
            }
            let next = u32::try_from(segment.parts.len()).unwrap_or(u32::MAX);
            if chunk.part < next {
                *copies += 1;
                copy(segment, chunk, offset, value, faults);
                return Change::default();
            }
            if chunk.part > next || segment.ended.is_some() {
                let expected = match segment.ended {
                    Some(_) => format!("no part {next}: the segment has ended"),
                    None => format!("part {next}"),
                };
                faults.push((Rule::Parts, expected, format!("part {}", chunk.part)));
                return Change::default();
            }
            if header.decode_time.0 != segment.end {
                let expected = format!("decode time {}, where the part before ended", segment.end);
                faults.push((Rule::DecodeTime, expected, header.decode_time.to_string()));
            }
            if segment.format.as_ref() != Some(chunk.format) || header.epoch != Some(segment.epoch)
            {
                let expected = "format and epoch of the segment's first part".into();
                let found = format!("{:?} of epoch {:?}", chunk.format, header.epoch);
                faults.push((Rule::Init, expected, found));
            }
        } else if first.is_some_and(|first| number < first) {
            // Its first copies lie before where the reading began.
            *copies += 1;
            return Change::default();
        }
        let mut change = Change::default();
        if !self.segments.contains_key(&number) {
            if chunk.part != 0 {
                let found = format!("part {}", chunk.part);
                faults.push((Rule::Parts, "part 0 first".into(), found));
                return change;
            }
            change = self.begin_derived(header, faults);
        }
        self.take_part(header, chunk, offset, value, faults);
        if chunk.last
            && let Some(segment) = self.segments.get_mut(&number)
        {
            segment.end_now(Ended::Whole);
            change.ended = Some(number);
        }
        change
    }

    fn take_part(
        &mut self,
        header: &Header,
        chunk: &Chunk<'_>,
        offset: Offset,
        value: &Bytes,
        faults: &mut Vec<Fault>,
    ) {
        let number = header.segment.0;
        let said = Said {
            part: chunk.part,
            independent: chunk.independent,
            open: false,
            init_length: chunk.init_length,
            format: chunk.format,
        };
        let known = self.segments.get(&number).and_then(|s| s.init.as_ref());
        let facts = media::examine(header, &said, value, known, faults);
        if chunk.part == 0 {
            self.check_derived_init(header, chunk.format, facts.init.as_ref(), faults);
            let mut segment = SegmentSeen::new(header, false);
            segment.init = facts.init.clone();
            segment.format = Some(chunk.format.clone());
            segment.open = chunk.open;
            segment.frame = facts.frame;
            self.segments.insert(number, segment);
        }
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.end = header.end_time().0;
            segment.add(
                PartSeen::of(offset, header.duration.0, chunk.independent, &facts.chunk),
                &facts.chunk,
            );
        }
    }

    /// One encoding and one format have one init segment.
    fn check_derived_init(
        &self,
        header: &Header,
        format: &Format,
        init: Option<&media::KnownInit>,
        faults: &mut Vec<Fault>,
    ) {
        let before = self.segments.values().rev().find(|s| s.init.is_some());
        if let (Some(before), Some(init)) = (before, init)
            && before.format.as_ref() == Some(format)
            && before.discontinuity == header.discontinuity_sequence
            && before
                .init
                .as_ref()
                .is_some_and(|known| known.hash != init.hash)
        {
            let expected = "the init segment as before, or another fingerprint or format".into();
            faults.push((Rule::Init, expected, "another init segment".into()));
        }
    }
}

/// A later copy of a part: the same bytes, as its fingerprint is the same.
fn copy(
    segment: &mut SegmentSeen,
    chunk: &Chunk<'_>,
    offset: Offset,
    value: &Bytes,
    faults: &mut Vec<Fault>,
) {
    let split = (chunk.init_length as usize).min(value.len());
    let (init, media) = value.split_at(split);
    let init_hash: [u8; 32] = Sha256::digest(init).into();
    let hash: [u8; 32] = Sha256::digest(media).into();
    let known_init = segment.init.as_ref().filter(|_| chunk.part == 0);
    let Some(first) = segment.parts.get_mut(chunk.part as usize) else {
        return;
    };
    first.copies.push(offset);
    if first.hash != hash || known_init.is_some_and(|known| known.hash != init_hash) {
        let fingerprint = chunk.format.fingerprint;
        let expected = format!("the bytes of the copy at offset {}", first.offset);
        let found = format!("others at offset {offset}, of the same fingerprint {fingerprint}");
        faults.push((Rule::Copy, expected, found));
    }
}

/// Compares a rung's segment with the source's of the same number.
pub fn compare(source: &SegmentSeen, rung: &SegmentSeen, faults: &mut Vec<Fault>) {
    let mut differ = |rule, what: &str, source: String, rung: String| {
        if source != rung {
            faults.push((
                rule,
                format!("{what} {source} as the source segment's"),
                rung,
            ));
        }
    };
    differ(
        Rule::Rung,
        "epoch",
        source.epoch.to_string(),
        rung.epoch.to_string(),
    );
    let sequences = (
        source.discontinuity.to_string(),
        rung.discontinuity.to_string(),
    );
    differ(
        Rule::Discontinuity,
        "discontinuity sequence",
        sequences.0,
        sequences.1,
    );
    if source.gap && !rung.gap {
        differ(Rule::Rung, "gap", "true".into(), "false".into());
    }
    // A tick of the rung's clock, where the source's is another one.
    let scales = (i128::from(source.timescale), i128::from(rung.timescale));
    let slack = if scales.0 == scales.1 {
        0
    } else {
        scales.0.max(scales.1)
    };
    let mut cut = |what: &str, source_at: u64, rung_at: u64| {
        let difference = i128::from(source_at) * scales.1 - i128::from(rung_at) * scales.0;
        if difference.abs() > slack {
            let expected = format!(
                "{what} at {source_at}/{} s as the source segment's",
                scales.0
            );
            faults.push((Rule::Cut, expected, format!("{rung_at}/{} s", scales.1)));
        }
    };
    cut("a start", source.start, rung.start);
    // A rung that was cut short by a close record ends where it was cut.
    if rung.ended == Some(Ended::Whole) {
        cut("an end", source.end, rung.end);
    }
    if rung.gap || source.gap {
        return;
    }
    if source.capture != rung.capture {
        let expected = format!("capture time {} as the source segment's", source.capture);
        faults.push((Rule::Rung, expected, rung.capture.to_string()));
    }
    if let (Some(of), Some(made)) = (&source.format, &rung.format)
        && of.height > 0
        && (made.height > of.height + of.height % 2 || made.width > of.width + of.width % 2)
    {
        let expected = format!("a picture of at most {}x{}", of.width, of.height);
        faults.push((
            Rule::Rung,
            expected,
            format!("{}x{}", made.width, made.height),
        ));
    }
}
