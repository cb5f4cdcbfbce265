//! What a reader of whole partitions knows of one stream: the segments that count in a media
//! topic, and those that `index` lists. A claimant goes by it; it is not how players' windows
//! are kept (that is `window`).

use std::collections::BTreeMap;

use reelay_model::{Epoch, Offset, SegmentNumber, Ticks, Track};
use reelay_wire::{Header, IndexRecord, InitHash, Kind, Opening, PartIndex, Topic};

use crate::{Fence, Verdict};

/// How many index records of a track a survey remembers; a takeover looks at the last few.
const REMEMBERED: usize = 64;

/// What a record's value holds.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// A chunk in a media topic.
    Chunk {
        /// Bytes of the chunk, init segment not counted.
        bytes: u32,
        /// SHA-256 of the init segment before the chunk, if there is one.
        init_hash: Option<InitHash>,
    },
    /// A finished segment (or gap) in `index`.
    Index(&'a IndexRecord),
    /// An opening.
    Opening(&'a Opening),
    /// Nothing that matters.
    Nothing,
}

/// A segment as its media topic holds it: the parts that count, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedSegment {
    /// Epoch of its writer.
    pub epoch: Epoch,
    /// Header of its first part, or of the gap.
    pub first: Header,
    /// Its parts; none for a gap.
    pub parts: Vec<PartIndex>,
    /// SHA-256 of its init segment; absent for a gap.
    pub init_hash: Option<InitHash>,
    /// Whether its last part, a close or (for gaps) the gap has been read; a segment that a
    /// claim cut off stays incomplete.
    pub complete: bool,
}

impl LoggedSegment {
    /// Whether it stands for a missing segment.
    pub const fn is_gap(&self) -> bool {
        self.parts.is_empty()
    }

    /// Duration of its parts, or of the gap.
    pub fn duration(&self) -> Ticks {
        if self.is_gap() {
            self.first.duration
        } else {
            Ticks(self.parts.iter().map(|part| part.duration.0).sum())
        }
    }

    /// Decode time at its end.
    pub fn end_time(&self) -> Ticks {
        Ticks(self.first.decode_time.0.saturating_add(self.duration().0))
    }

    /// Where in a seekable source it begins, if the source said so.
    pub const fn cursor(&self) -> Option<u64> {
        match &self.first.kind {
            Kind::Chunk { cursor, .. } => *cursor,
            _ => None,
        }
    }

    /// The index record of the segment as it stands, written by the owner of `writer`.
    pub fn index_record(&self, writer: Epoch) -> (Header, IndexRecord) {
        let mut header = self.first.clone();
        header.epoch = Some(writer);
        header.duration = self.duration();
        let mut init_bytes = 0;
        if let Kind::Chunk {
            last_part,
            init_length,
            ..
        } = &mut header.kind
        {
            *last_part = true;
            init_bytes = *init_length;
        }
        let record = IndexRecord {
            epoch: self.epoch,
            parts: self.parts.clone(),
            init_hash: self.init_hash,
            init_length: init_bytes,
        };
        (header, record)
    }

    /// Whether `record` says of the segment what it is.
    pub fn is_indexed_by(&self, record: &IndexRecord) -> bool {
        let offsets = |parts: &[PartIndex]| parts.iter().map(|p| p.offset).collect::<Vec<_>>();
        self.epoch == record.epoch && offsets(&self.parts) == offsets(&record.parts)
    }
}

/// The segments of one stream that count in a media topic, from where the reading started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSurvey {
    topic: Topic,
    fence: Fence,
    segments: BTreeMap<SegmentNumber, LoggedSegment>,
    opening: Option<Opening>,
}

impl MediaSurvey {
    /// Nothing read yet; `fence` is what is known at the place where reading starts.
    pub const fn new(topic: Topic, fence: Fence) -> Self {
        Self {
            topic,
            fence,
            segments: BTreeMap::new(),
            opening: None,
        }
    }

    /// The fence after the records read.
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The segments, by number.
    pub const fn segments(&self) -> &BTreeMap<SegmentNumber, LoggedSegment> {
        &self.segments
    }

    /// The last opening that counts.
    pub const fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// Reads the stream's next record.
    pub fn observe(&mut self, offset: Offset, header: &Header, body: Body<'_>) -> Verdict {
        let verdict = self.fence.judge(&self.topic, offset, header);
        match verdict {
            Verdict::Counts => self.count(offset, header, body),
            Verdict::Opened(_) | Verdict::Repeated => {
                if let Body::Opening(opening) = body {
                    self.opening = Some(opening.clone());
                }
            }
            _ => {}
        }
        verdict
    }

    fn count(&mut self, offset: Offset, header: &Header, body: Body<'_>) {
        let Some(epoch) = header.epoch else { return };
        let known = self.segments.get_mut(&header.segment);
        match (&header.kind, body, known) {
            (
                Kind::Chunk {
                    part,
                    independent,
                    last_part,
                    format,
                    ..
                },
                Body::Chunk { bytes, init_hash },
                known,
            ) => {
                let index = PartIndex {
                    offset,
                    bytes,
                    duration: header.duration,
                    independent: *independent,
                };
                match known {
                    // Without its first part (before the start of reading) a segment is no use.
                    None if part.0 == 0 => {
                        self.segments.insert(
                            header.segment,
                            LoggedSegment {
                                epoch,
                                first: header.clone(),
                                parts: vec![index],
                                init_hash,
                                complete: *last_part,
                            },
                        );
                    }
                    Some(segment)
                        if segment.epoch == epoch
                            && !segment.complete
                            && part.0 as usize == segment.parts.len()
                            && matches!(&segment.first.kind, Kind::Chunk { format: f, .. }
                                if f.fingerprint == format.fingerprint) =>
                    {
                        segment.parts.push(index);
                        segment.complete = *last_part;
                    }
                    // The first copy of a part wins.
                    _ => {}
                }
            }
            (Kind::Close, _, Some(segment)) if segment.epoch == epoch => segment.complete = true,
            (Kind::Gap, _, None) => {
                self.segments.insert(
                    header.segment,
                    LoggedSegment {
                        epoch,
                        first: header.clone(),
                        parts: Vec::new(),
                        init_hash: None,
                        complete: true,
                    },
                );
            }
            _ => {}
        }
    }
}

/// A segment as `index` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedSegment {
    /// Header of the index record; its epoch is the writer's.
    pub header: Header,
    /// The index record.
    pub record: IndexRecord,
}

impl IndexedSegment {
    /// Whether it stands for a missing segment.
    pub const fn is_gap(&self) -> bool {
        self.record.parts.is_empty()
    }
}

/// What `index` says of one stream: of each number the last record that counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexSurvey {
    fence: Fence,
    tracks: BTreeMap<Track, BTreeMap<SegmentNumber, IndexedSegment>>,
    opening: Option<Opening>,
}

impl IndexSurvey {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fence after the records read.
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The last opening that counts.
    pub const fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// The last segments of a source track, by number.
    pub fn segments(&self, track: &Track) -> impl DoubleEndedIterator<Item = &IndexedSegment> {
        self.tracks.get(track).into_iter().flat_map(|s| s.values())
    }

    /// The index record of a segment that counts, if it is remembered.
    pub fn get(&self, track: &Track, number: SegmentNumber) -> Option<&IndexedSegment> {
        self.tracks.get(track)?.get(&number)
    }

    /// The source tracks that have segments.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.keys()
    }

    /// Reads the stream's next record. Derived tracks are passed over.
    pub fn observe(&mut self, offset: Offset, header: &Header, body: Body<'_>) -> Verdict {
        let verdict = self.fence.judge(&Topic::Index, offset, header);
        match (verdict, body) {
            (Verdict::Counts, Body::Index(record)) if !matches!(header.track, Track::Rung(_)) => {
                let segments = self.tracks.entry(header.track.clone()).or_default();
                segments.insert(
                    header.segment,
                    IndexedSegment {
                        header: header.clone(),
                        record: record.clone(),
                    },
                );
                if segments.len() > REMEMBERED {
                    segments.pop_first();
                }
            }
            (Verdict::Opened(_) | Verdict::Repeated, Body::Opening(opening)) => {
                self.opening = Some(opening.clone());
            }
            _ => {}
        }
        verdict
    }
}
