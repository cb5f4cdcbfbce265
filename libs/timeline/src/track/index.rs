//! What `index` tells a reader of media topics: where to begin, and where older segments lie.
//!
//! The media topics decide what counts; `index` only says where to look. A reader that begins
//! where [`IndexReader::start`] says and follows the media topic derives what every other
//! reader of that topic derives.

use std::{collections::BTreeMap, sync::Arc};

use reelay_model::{Epoch, Offset, SegmentNumber, StreamUid, Ticks, Track};
use reelay_wire::{Header, IndexRecord, Kind, Opening, Topic};

use super::{Content, Entry, Part, Segment, Start};
use crate::{
    anchor::Anchors,
    fence::{Fence, Verdict},
    window,
};

/// Segments before the window that a reader begins with, so that a missing number at the
/// window's edge has its neighbours.
const MARGIN: usize = 2;

/// Segments of a track that are remembered.
const MOST_REMEMBERED: usize = 1024;

/// Where in a media topic a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At this offset.
    Offset(Offset, Start),
    /// At the claim of this epoch, whose offset in this topic `index` does not tell.
    Claim(Epoch),
}

/// Reads the records of one incarnation of a stream in `index`.
#[derive(Debug, Clone)]
pub struct IndexReader {
    uid: StreamUid,
    fence: Fence,
    opening: Option<(Epoch, Arc<Opening>)>,
    anchors: Anchors,
    /// The first segment of the uid, if its first opening was read.
    first: Option<SegmentNumber>,
    tracks: BTreeMap<Track, BTreeMap<SegmentNumber, Arc<Segment>>>,
}

impl IndexReader {
    /// A reader that knows nothing yet.
    pub const fn new(uid: StreamUid) -> Self {
        Self {
            uid,
            fence: Fence::new(),
            opening: None,
            anchors: Anchors::new(),
            first: None,
            tracks: BTreeMap::new(),
        }
    }

    /// Feeds the next record of the topic; says whether it told anything new. Records of other
    /// streams and incarnations tell nothing, and neither do records that are not valid.
    pub fn read(&mut self, entry: Entry<'_>) -> bool {
        let header = entry.header;
        if header.uid != self.uid {
            return false;
        }
        let verdict = self.fence.judge(&Topic::Index, entry.offset, header);
        match (verdict, &header.kind, header.epoch) {
            (Verdict::Claimed(epoch), ..) => {
                self.void_after(epoch);
                true
            }
            (Verdict::Opened(_) | Verdict::Repeated, Kind::Opening { .. }, Some(epoch)) => {
                self.open_epoch(epoch, entry.value)
            }
            (Verdict::Counts, ..) => match segment_of(header, entry.value) {
                Some(segment) => {
                    self.insert(&header.track, segment);
                    true
                }
                None => false,
            },
            (Verdict::Ended, ..) => true,
            _ => false,
        }
    }

    fn open_epoch(&mut self, epoch: Epoch, value: &[u8]) -> bool {
        let Ok(opening) = Opening::decode(value) else {
            return false;
        };
        // A new uid starts numbering at its claim's offset. (Repeated openings continue.)
        if opening.first_segment.0 == epoch.0 && !opening.continues {
            self.first = Some(opening.first_segment);
        }
        if let Some(anchor) = opening.anchor {
            self.anchors.insert(anchor);
        }
        // Without tracks an opening says nothing yet: see the reader of media topics.
        let newer = self.opening.as_ref().is_none_or(|(of, _)| epoch > *of);
        if newer && !opening.part_targets.is_empty() {
            self.opening = Some((epoch, Arc::new(opening)));
            return true;
        }
        false
    }

    /// Forgets what lower epochs than this one wrote to `source` after its claim there: void,
    /// though its index record came before the claim in this topic. The epoch is that offset.
    fn void_after(&mut self, epoch: Epoch) {
        let claim = Offset::try_from(epoch.0).unwrap_or(Offset::MAX);
        if let Some(video) = self.tracks.get_mut(&Track::Video) {
            video.retain(|_, s| s.epoch >= epoch || s.parts().iter().all(|p| p.offset < claim));
        }
    }

    fn insert(&mut self, track: &Track, segment: Segment) {
        let segments = self.tracks.entry(track.clone()).or_default();
        // The last record of a number counts: an owner corrects its predecessor's.
        segments.insert(segment.number, Arc::new(segment));
        if segments.len() > MOST_REMEMBERED {
            segments.pop_first();
        }
    }

    /// The highest epoch seen.
    pub const fn epoch(&self) -> Option<Epoch> {
        self.fence.claimed()
    }

    /// The opening in force, with its epoch.
    pub fn opening(&self) -> Option<(Epoch, &Arc<Opening>)> {
        self.opening
            .as_ref()
            .map(|(epoch, opening)| (*epoch, opening))
    }

    /// Where the time line was set by the wall clock, as far as that was read.
    pub const fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Whether the stream has ended for good.
    pub const fn ended(&self) -> bool {
        self.fence.is_ended()
    }

    /// The finished segments of `track` that are known, oldest first.
    pub fn segments(&self, track: &Track) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.tracks
            .get(track)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// The tracks that the opening names or that have segments.
    pub fn tracks(&self) -> Vec<Track> {
        let mut tracks: Vec<Track> = self.tracks.keys().cloned().collect();
        if let Some((_, opening)) = &self.opening {
            tracks.extend(opening.part_targets.keys().cloned());
        }
        tracks.sort();
        tracks.dedup();
        tracks
    }

    /// Whether enough is known to begin reading all tracks at or before their live windows;
    /// if not, an earlier part of `index` has to be read.
    pub fn suffices(&self) -> bool {
        let Some((_, opening)) = &self.opening else {
            return false;
        };
        self.tracks().iter().all(|track| {
            let known = self.segments(track).next();
            let from_the_first = self
                .first
                .is_some_and(|first| known.is_none_or(|segment| segment.number <= first));
            let whole = self.window_start(track, opening.target_duration_s);
            // Logs of earlier versions hold no anchors at all.
            let anchored = |segment: &Segment| {
                opening.anchor.is_none() || self.anchors.of(segment.number).is_some()
            };
            from_the_first || whole.is_some_and(|(first, spare)| spare && anchored(first))
        })
    }

    /// The first segment with media at or before the live window and its margin, and whether
    /// the window is known whole.
    fn window_start(&self, track: &Track, target: u32) -> Option<(&Arc<Segment>, bool)> {
        let segments: Vec<_> = self.segments(track).collect();
        let durations: Vec<_> = segments.iter().map(|s| s.duration_micros()).collect();
        let at = window::start_of(target, &durations);
        let from = at.saturating_sub(MARGIN);
        let (before, after) = segments.split_at((from + 1).min(segments.len()));
        match before.iter().rev().find(|segment| !segment.is_gap()) {
            Some(segment) => Some((segment, at >= MARGIN)),
            None => after
                .iter()
                .find(|segment| !segment.is_gap())
                .map(|segment| (*segment, false)),
        }
    }

    /// Where in its media topic a reader of `track` begins, so that it derives the live window
    /// whole; `None` before the stream's first claim, and of a rung before its first segment.
    pub fn start(&self, track: &Track, target_seconds: u32) -> Option<StartAt> {
        if let Some((segment, _)) = self.window_start(track, target_seconds) {
            let offset = segment.parts().first()?.offset;
            return Some(StartAt::Offset(
                offset,
                Start::Segment {
                    epoch: segment.epoch,
                    number: segment.number,
                },
            ));
        }
        let epoch = self.epoch()?;
        match track {
            Track::Video => {
                let claim = Offset::try_from(epoch.0).unwrap_or(Offset::MAX);
                Some(StartAt::Offset(claim, Start::Claim(epoch)))
            }
            Track::Audio => Some(StartAt::Claim(epoch)),
            // No claims stand in the topics of rungs.
            Track::Rung(_) => None,
        }
    }
}

fn segment_of(header: &Header, value: &[u8]) -> Option<Segment> {
    let index = IndexRecord::decode(value).ok()?;
    let content = match &header.kind {
        Kind::Chunk { format, .. } => {
            let mut decode_time = header.decode_time;
            let mut parts = Vec::with_capacity(index.parts.len());
            for part in &index.parts {
                parts.push(Part {
                    offset: part.offset,
                    init_length: if parts.is_empty() {
                        index.init_length
                    } else {
                        0
                    },
                    length: part.bytes,
                    decode_time,
                    duration: part.duration,
                    independent: part.independent,
                });
                decode_time = Ticks(decode_time.0.checked_add(part.duration.0)?);
            }
            Content::Media {
                format: Arc::new(format.clone()),
                init: index.init_hash?.fingerprint(),
                parts,
            }
        }
        Kind::Gap => Content::Gap,
        _ => return None,
    };
    Some(Segment {
        number: header.segment,
        epoch: index.epoch,
        discontinuity_sequence: header.discontinuity_sequence,
        timescale: header.timescale,
        decode_time: header.decode_time,
        duration: header.duration,
        capture_time: header.capture_time,
        content,
    })
}
