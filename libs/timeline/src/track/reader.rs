//! Reads one track of one stream from the records of its media topic.
//!
//! The reader is fed every record of the stream's key in log order and says what became of it.
//! It never looks at a clock, and what it derives depends on the records alone: two readers
//! that have read up to the same offset agree on every segment that both know.

use std::sync::Arc;

use reelay_model::{Epoch, Micros, Offset, PartNumber, SegmentNumber, StreamUid, Ticks, Track};
use reelay_wire::{Fingerprint, Format, Header, Kind, Opening, Topic};
use sha2::{Digest, Sha256};

use super::{Content, Part, Segment};
use crate::{
    anchor::Anchors,
    fence::{Fence, Verdict},
};

/// More missing numbers in a row than this are not shown as gaps: the track starts anew.
const MOST_MISSING: u64 = 100;

/// Where in the log a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At log start or anywhere before a claim: nothing counts until the first claim whose epoch
    /// is this one or a higher one has been opened.
    Claim(Epoch),
    /// At the first part of a segment that is known to be valid there (from `index`).
    Segment {
        /// The segment's epoch: the highest claim before it.
        epoch: Epoch,
        /// The segment's number: lower ones do not count.
        number: SegmentNumber,
    },
}

/// A record of a media topic as the reader needs it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its header `chunk`.
    pub header: &'a Header,
    /// Its value.
    pub value: &'a [u8],
}

/// What a record changed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The segment that the record became the newest part of.
    pub part: Option<SegmentNumber>,
    /// The segments that it finished, oldest first.
    pub finished: Vec<Arc<Segment>>,
    /// The numbers do not go on from those before: what was known is to be forgotten.
    pub restarted: bool,
    /// Whether anything changed that a playlist shows.
    pub changed: bool,
}

/// The part that the track goes on with if all goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its segment.
    pub segment: SegmentNumber,
    /// Its part.
    pub part: PartNumber,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
}

/// A reader of one track of one incarnation of a stream.
#[derive(Debug, Clone)]
pub struct TrackReader {
    uid: StreamUid,
    track: Track,
    topic: Topic,
    fence: Fence,
    /// Nothing counts before a claim of at least this epoch.
    awaited: Option<Epoch>,
    /// Numbers below do not count.
    first: SegmentNumber,
    opening: Option<(Epoch, Arc<Opening>)>,
    anchors: Arc<Anchors>,
    last: Option<Arc<Segment>>,
    open: Option<Arc<Segment>>,
    format: Option<(Arc<Format>, Fingerprint)>,
}

impl TrackReader {
    /// A reader of `track` of `uid` that is fed from `start` on.
    pub fn new(uid: StreamUid, track: Track, start: Start) -> Self {
        let (fence, awaited, first) = match start {
            Start::Claim(epoch) => (Fence::new(), Some(epoch), SegmentNumber(0)),
            Start::Segment { epoch, number } => (Fence::in_force(epoch), None, number),
        };
        Self {
            uid,
            topic: Topic::of_track(&track),
            track,
            fence,
            awaited,
            first,
            opening: None,
            anchors: Arc::default(),
            last: None,
            open: None,
            format: None,
        }
    }

    /// Feeds the next record of the topic. Records of other streams, incarnations and tracks
    /// change nothing.
    pub fn read(&mut self, entry: Entry<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let header = entry.header;
        if header.uid != self.uid || header.track != self.track || self.awaits(&entry) {
            return outcome;
        }
        match self.fence.judge(&self.topic, entry.offset, header) {
            Verdict::Void(_) => {}
            Verdict::Claimed(_) => {
                self.finish(&mut outcome);
                // The hint names the epoch of what comes next.
                outcome.changed = true;
            }
            Verdict::Opened(epoch) => self.open_epoch(epoch, entry.value, &mut outcome),
            Verdict::Repeated => {
                if let (Kind::Opening { .. }, Some(epoch)) = (&header.kind, header.epoch) {
                    self.open_epoch(epoch, entry.value, &mut outcome);
                }
            }
            Verdict::Ended => {
                self.finish(&mut outcome);
                outcome.changed = true;
            }
            Verdict::Counts if header.late => {}
            // What counts has an epoch; derived records carry that of their source segment.
            Verdict::Counts => self.media(header.epoch.unwrap_or_default(), entry, &mut outcome),
        }
        outcome
    }

    /// Whether the claim that the reader was told to wait for is still to come.
    fn awaits(&mut self, entry: &Entry<'_>) -> bool {
        let Some(awaited) = self.awaited else {
            return false;
        };
        // A claim without an epoch is a first claim in `source`: its offset is the epoch.
        let epoch = entry
            .header
            .epoch
            .unwrap_or_else(|| Epoch(entry.offset.max(0).cast_unsigned()));
        let is_claim = matches!(entry.header.kind, Kind::Claim { .. });
        if is_claim && epoch >= awaited {
            self.awaited = None;
        }
        self.awaited.is_some()
    }

    fn media(&mut self, epoch: Epoch, entry: Entry<'_>, outcome: &mut Outcome) {
        match &entry.header.kind {
            Kind::Chunk { .. } => self.chunk(epoch, entry, outcome),
            Kind::Gap => self.gap(epoch, entry.header, outcome),
            Kind::Close => {
                let number = entry.header.segment;
                if self.open.as_ref().is_some_and(|open| open.number == number) {
                    self.finish(outcome);
                }
            }
            Kind::Claim { .. } | Kind::Opening { .. } | Kind::End | Kind::Attempt => {}
        }
    }

    /// Only what an ingest wrote is fenced; derived tracks count by identity.
    const fn is_fenced(&self) -> bool {
        matches!(self.track, Track::Video | Track::Audio)
    }

    fn open_epoch(&mut self, epoch: Epoch, value: &[u8], outcome: &mut Outcome) {
        let newer = self.opening.as_ref().is_none_or(|(of, _)| epoch > *of);
        // An owner whose source is silent opens without tracks, and names them in another
        // opening before its first media; until then the one before stays in force.
        let Ok(opening) = Opening::decode(value) else {
            return;
        };
        if let Some(anchor) = opening.anchor
            && !self.anchors.holds(&anchor)
        {
            Arc::make_mut(&mut self.anchors).insert(anchor);
            outcome.changed = true;
        }
        if newer && !opening.part_targets.is_empty() {
            self.opening = Some((epoch, Arc::new(opening)));
            outcome.changed = true;
        }
    }

    /// Makes `opening` known from elsewhere (`index`), unless a newer one was read.
    pub fn learn_opening(&mut self, epoch: Epoch, opening: Arc<Opening>) {
        if self.opening.as_ref().is_none_or(|(of, _)| epoch > *of) {
            self.opening = Some((epoch, opening));
        }
    }

    /// Makes anchors known from elsewhere (`index`).
    pub fn learn_anchors(&mut self, anchors: &Anchors) {
        Arc::make_mut(&mut self.anchors).extend(anchors);
    }

    fn finish(&mut self, outcome: &mut Outcome) {
        if let Some(open) = self.open.take() {
            self.last = Some(open.clone());
            outcome.finished.push(open);
            outcome.changed = true;
        }
    }

    /// Number of the newest segment, open or finished.
    pub fn tip(&self) -> Option<SegmentNumber> {
        let newest = self.open.as_ref().or(self.last.as_ref());
        newest.map(|segment| segment.number)
    }

    fn is_past(&self, number: SegmentNumber) -> bool {
        number < self.first || self.last.as_ref().is_some_and(|last| number <= last.number)
    }

    fn chunk(&mut self, epoch: Epoch, entry: Entry<'_>, outcome: &mut Outcome) {
        let header = entry.header;
        let Kind::Chunk {
            part,
            independent,
            last_part,
            init_length,
            ref format,
            ..
        } = header.kind
        else {
            return;
        };
        let Some(length) = (entry.value.len() as u64)
            .checked_sub(init_length.into())
            .and_then(|length| u32::try_from(length).ok())
        else {
            return;
        };
        if self.is_past(header.segment) {
            return;
        }
        let new_part = Part {
            offset: entry.offset,
            init_length,
            length,
            decode_time: header.decode_time,
            duration: header.duration,
            independent,
        };
        if let Some(open) = &mut self.open
            && open.number == header.segment
        {
            let next = open.parts().len() as u32;
            if part.0 != next || open.fingerprint() != Some(format.fingerprint) {
                return;
            }
            let open = Arc::make_mut(open);
            open.duration = Ticks(header.end_time().0.saturating_sub(open.decode_time.0));
            if let Content::Media { parts, .. } = &mut open.content {
                parts.push(new_part);
            }
        } else {
            // Without its first part a segment cannot be played: it is not begun.
            if part.0 != 0 {
                return;
            }
            self.go_to(header, outcome);
            let (format, init) = self.format_of(format, &entry.value[..init_length as usize]);
            self.open = Some(Arc::new(Segment {
                number: header.segment,
                epoch,
                discontinuity_sequence: header.discontinuity_sequence,
                timescale: header.timescale,
                decode_time: header.decode_time,
                duration: header.duration,
                capture_time: header.capture_time,
                content: Content::Media {
                    format,
                    init,
                    parts: vec![new_part],
                },
            }));
        }
        outcome.part = Some(header.segment);
        outcome.changed = true;
        if last_part {
            self.finish(outcome);
        }
    }

    fn gap(&mut self, epoch: Epoch, header: &Header, outcome: &mut Outcome) {
        if self.is_past(header.segment) {
            return;
        }
        if self
            .open
            .as_ref()
            .is_some_and(|o| o.number == header.segment)
        {
            // Its first parts were shown: they stay, and no more come.
            self.finish(outcome);
            return;
        }
        self.go_to(header, outcome);
        let gap = Arc::new(Segment {
            number: header.segment,
            epoch,
            discontinuity_sequence: header.discontinuity_sequence,
            timescale: header.timescale,
            decode_time: header.decode_time,
            duration: header.duration,
            capture_time: header.capture_time,
            content: Content::Gap,
        });
        self.last = Some(gap.clone());
        outcome.finished.push(gap);
        outcome.changed = true;
    }

    /// Finishes what is open and stands gaps in for numbers that the log lacks, so that the
    /// segment of `header` follows directly.
    fn go_to(&mut self, header: &Header, outcome: &mut Outcome) {
        self.finish(outcome);
        let Some(last) = self.last.clone() else {
            return;
        };
        // `is_past` has seen to it that the number is higher than the last one.
        let missing = header.segment.0 - last.number.0 - 1;
        if missing == 0 {
            return;
        }
        if missing > MOST_MISSING {
            self.last = None;
            outcome.finished.clear();
            outcome.restarted = true;
            return;
        }
        let same_line = last.discontinuity_sequence == header.discontinuity_sequence
            && last.timescale == header.timescale
            && header.decode_time > last.end();
        let duration = if same_line {
            Ticks((header.decode_time.0 - last.end().0) / missing)
        } else {
            last.duration
        };
        let mut before = last;
        for _ in 0..missing {
            let gap = Arc::new(Segment {
                number: before.number.next(),
                epoch: before.epoch,
                discontinuity_sequence: before.discontinuity_sequence,
                timescale: before.timescale,
                decode_time: before.end(),
                duration,
                capture_time: Micros(before.capture_time.0 + before.duration_micros().0),
                content: Content::Gap,
            });
            outcome.finished.push(gap.clone());
            before = gap;
        }
        self.last = Some(before);
    }

    fn format_of(&mut self, format: &Format, init: &[u8]) -> (Arc<Format>, Fingerprint) {
        // Of source and audio the fingerprint is the init segment's hash.
        let init = if self.is_fenced() {
            format.fingerprint
        } else {
            let hash: [u8; 32] = Sha256::digest(init).into();
            reelay_wire::InitHash(hash).fingerprint()
        };
        match &self.format {
            Some((known, known_init)) if **known == *format && *known_init == init => {}
            _ => self.format = Some((Arc::new(format.clone()), init)),
        }
        match &self.format {
            Some(known) => known.clone(),
            None => (Arc::new(format.clone()), init),
        }
    }

    /// The newest finished segment.
    pub const fn last(&self) -> Option<&Arc<Segment>> {
        self.last.as_ref()
    }

    /// The segment that parts are being added to.
    pub const fn open(&self) -> Option<&Arc<Segment>> {
        self.open.as_ref()
    }

    /// The opening in force.
    pub fn opening(&self) -> Option<&Arc<Opening>> {
        self.opening.as_ref().map(|(_, opening)| opening)
    }

    /// Where the time line was set by the wall clock, as far as that is known.
    pub const fn anchors(&self) -> &Arc<Anchors> {
        &self.anchors
    }

    /// The format of the newest media.
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.format.as_ref().map(|(format, _)| format)
    }

    /// Whether the stream has ended for good.
    pub const fn ended(&self) -> bool {
        self.fence.is_ended()
    }

    /// The highest epoch that was claimed, or started at.
    pub const fn epoch(&self) -> Option<Epoch> {
        self.fence.claimed()
    }

    /// The part that comes next, unless the segment ends, the owner or the format changes first.
    pub fn next(&self) -> Option<Next> {
        let (format, _) = self.format.as_ref().filter(|_| !self.ended())?;
        if let Some(open) = &self.open {
            return Some(Next {
                epoch: open.epoch,
                segment: open.number,
                part: PartNumber(open.parts().len() as u32),
                fingerprint: open.fingerprint()?,
            });
        }
        let last = self.last.as_ref()?;
        let epoch = self.epoch().unwrap_or(last.epoch).max(last.epoch);
        let after = last.number.next();
        let segment = match &self.opening {
            Some((of, opening)) if *of > last.epoch => opening.first_segment.max(after),
            _ => after,
        };
        Some(Next {
            epoch,
            segment,
            part: PartNumber(0),
            fingerprint: format.fingerprint,
        })
    }
}
