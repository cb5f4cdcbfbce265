//! What a new owner goes on with: the next segment number, what its predecessors left unindexed
//! or missing, and where each track's time line stopped.
//!
//! Numbers go on one above the highest that counts in `source`, `audio` or `index`. Where nothing
//! is left in the log (a new uid, or retention removed everything) they begin at the claim's
//! offset, or above the high-water mark if that is higher: an offset is above every number used
//! before, since each number took at least one record (ADR 0004).

use std::collections::{BTreeMap, BTreeSet};

use reelay_model::{Epoch, HighWater, Micros, Offset, SegmentNumber, Ticks, Timescale, Track};
use reelay_wire::{Header, IndexRecord, Kind, Opening};

use crate::{IndexSurvey, IndexedSegment, LoggedSegment, MediaSurvey, gaps};

/// A high-water mark further than this above the log is not filled with gap records: nothing
/// that a player holds reaches so far back.
const GREATEST_FILL: u64 = 256;

/// Length of a gap of which nothing is known but its number.
const UNKNOWN_GAP: Micros = Micros(2_000_000);

/// Everything that a claimant has read up to its claims.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The claimant's epoch.
    pub epoch: Epoch,
    /// Offset of its claim in `audio`.
    pub audio_claim: Offset,
    /// The video segments in `source`, and the number from which on the survey is whole.
    pub video: (&'a MediaSurvey, SegmentNumber),
    /// The same of `audio`.
    pub audio: (&'a MediaSurvey, SegmentNumber),
    /// What `index` lists.
    pub index: &'a IndexSurvey,
    /// The high-water mark in `status`, if there is one.
    pub mark: Option<HighWater>,
}

/// A record that the new owner writes before its first segment, after its openings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The gap's header for the track's media topic; none where only `index` lacks the segment.
    pub gap: Option<Header>,
    /// The header of the index record.
    pub index_header: Header,
    /// The index record.
    pub index: IndexRecord,
}

/// Where a track stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackEnd {
    /// Its last segment (or gap).
    pub number: SegmentNumber,
    /// Decode time at the end.
    pub end_time: Ticks,
    /// Ticks per second of that time.
    pub timescale: Timescale,
    /// The segment is whole: neither cut off by a claim nor missing.
    pub complete: bool,
    /// Its format's fingerprint and the cursor of the last segment that has one; none where the
    /// last segment is a gap.
    pub last: Option<LastSegment>,
}

/// The last segment of a track that has media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSegment {
    /// Header of its first part.
    pub first: Header,
    /// Duration of its parts.
    pub duration: Ticks,
}

impl LastSegment {
    /// Where in a seekable source it begins.
    pub const fn cursor(&self) -> Option<u64> {
        match &self.first.kind {
            Kind::Chunk { cursor, .. } => *cursor,
            _ => None,
        }
    }
}

/// What the new owner goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Its epoch.
    pub epoch: Epoch,
    /// The first number it may use.
    pub first_segment: SegmentNumber,
    /// Discontinuity sequence of the last segment before.
    pub discontinuity_sequence: u64,
    /// What to write first, by number.
    pub repairs: Vec<Repair>,
    /// Where each track stopped; empty where nothing is left in the log.
    pub tracks: BTreeMap<Track, TrackEnd>,
    /// The last opening of the predecessors, if the log still holds one.
    pub opening: Option<Opening>,
}

impl Takeover {
    /// Whether all tracks stopped together at the end of a whole segment.
    pub fn at_boundary(&self) -> bool {
        !self.tracks.is_empty()
            && self
                .tracks
                .values()
                .all(|end| end.complete && end.number.next() == self.first_segment)
    }
}

/// Decides what a new owner goes on with.
pub fn take_over(known: &Known<'_>) -> Takeover {
    let log = Log { known };
    let opening = log.opening().cloned();
    let Some(highest) = log.highest() else {
        let claims = known.epoch.0.max(known.audio_claim.max(0).cast_unsigned());
        let above = known.mark.map_or(0, |m| m.segment.0.saturating_add(1));
        return Takeover {
            epoch: known.epoch,
            first_segment: SegmentNumber(claims.max(above)),
            discontinuity_sequence: known.mark.map_or(0, |m| m.discontinuity_sequence),
            repairs: Vec::new(),
            tracks: BTreeMap::new(),
            opening,
        };
    };
    let (fill_to, first_segment) = match known.mark {
        Some(mark) if mark.segment > highest => {
            let near = mark.segment.0 - highest.0 <= GREATEST_FILL;
            (
                if near { mark.segment } else { highest },
                mark.segment.next(),
            )
        }
        _ => (highest, highest.next()),
    };
    let mut repairs = Vec::new();
    let mut tracks = BTreeMap::new();
    let required = log.tracks();
    let floor = log.floor().unwrap_or(highest);
    let mut sequence = known.mark.map_or(0, |m| m.discontinuity_sequence);
    for number in (floor.0..=fill_to.0).map(SegmentNumber) {
        for track in &required {
            let logged = log.media(track).segments().get(&number);
            let indexed = known.index.get(track, number);
            for header in [
                logged.map(|segment| &segment.first),
                indexed.map(|segment| &segment.header),
            ] {
                sequence = sequence.max(header.map_or(0, |h| h.discontinuity_sequence));
            }
            let before: Option<TrackEnd> = tracks.get(track).cloned();
            match (logged, indexed) {
                (Some(segment), indexed) => {
                    if !indexed.is_some_and(|i| segment.is_indexed_by(&i.record)) {
                        let (index_header, index) = segment.index_record(known.epoch);
                        repairs.push(Repair {
                            gap: None,
                            index_header,
                            index,
                        });
                    }
                    tracks.insert(track.clone(), TrackEnd::of(segment, before));
                }
                // Below the survey of the media topic `index` is all there is to go by.
                (None, Some(indexed)) if number < log.whole_from(track) => {
                    tracks.insert(track.clone(), TrackEnd::of_indexed(indexed, before));
                }
                (None, _) if number < log.whole_from(track) => {}
                (None, _) if log.requires(track, number, before.is_some()) => {
                    let template = log.template(track, number, before.as_ref(), sequence);
                    if let Some(gap) = template {
                        let (index_header, index) = gaps::index_record(&gap, known.epoch);
                        tracks.insert(track.clone(), TrackEnd::of_gap(&gap, before));
                        repairs.push(Repair {
                            gap: Some(gap),
                            index_header,
                            index,
                        });
                    }
                }
                (None, _) => {}
            }
        }
    }
    Takeover {
        epoch: known.epoch,
        first_segment,
        discontinuity_sequence: sequence,
        repairs,
        tracks,
        opening,
    }
}

impl TrackEnd {
    fn of(segment: &LoggedSegment, before: Option<Self>) -> Self {
        let last = if segment.is_gap() {
            before.and_then(|b| b.last)
        } else {
            Some(LastSegment {
                first: segment.first.clone(),
                duration: segment.duration(),
            })
        };
        Self {
            number: segment.first.segment,
            end_time: segment.end_time(),
            timescale: segment.first.timescale,
            complete: segment.complete && !segment.is_gap(),
            last,
        }
    }

    fn of_indexed(segment: &IndexedSegment, before: Option<Self>) -> Self {
        let header = &segment.header;
        Self {
            number: header.segment,
            end_time: header.end_time(),
            timescale: header.timescale,
            complete: !segment.is_gap(),
            last: if segment.is_gap() {
                before.and_then(|b| b.last)
            } else {
                Some(LastSegment {
                    first: header.clone(),
                    duration: header.duration,
                })
            },
        }
    }

    fn of_gap(gap: &Header, before: Option<Self>) -> Self {
        Self {
            number: gap.segment,
            end_time: gap.end_time(),
            timescale: gap.timescale,
            complete: false,
            last: before.and_then(|b| b.last),
        }
    }
}

/// The log as a claimant knows it.
struct Log<'a> {
    known: &'a Known<'a>,
}

impl<'a> Log<'a> {
    fn media(&self, track: &Track) -> &'a MediaSurvey {
        match track {
            Track::Audio => self.known.audio.0,
            _ => self.known.video.0,
        }
    }

    /// The number from which on the track's media topic is known whole. Where it was read from
    /// its beginning that is the first number left in it: retention may be ahead of `index`.
    fn whole_from(&self, track: &Track) -> SegmentNumber {
        let (media, from) = match track {
            Track::Audio => self.known.audio,
            _ => self.known.video,
        };
        match media.segments().keys().next() {
            Some(first) if from == SegmentNumber(0) => *first,
            _ => from,
        }
    }

    /// The opening of the highest epoch; of the same epoch that with the highest first segment.
    fn opening(&self) -> Option<&'a Opening> {
        let (video, audio, index) = (self.known.video.0, self.known.audio.0, self.known.index);
        [video.opening(), audio.opening(), index.opening()]
            .into_iter()
            .flatten()
            .max_by_key(|opening| opening.first_segment)
    }

    fn numbers(&self, track: &Track) -> impl Iterator<Item = SegmentNumber> {
        let indexed = self.known.index.segments(track).map(|s| s.header.segment);
        self.media(track).segments().keys().copied().chain(indexed)
    }

    /// The highest number that counts in the log.
    fn highest(&self) -> Option<SegmentNumber> {
        self.numbers(&Track::Video)
            .chain(self.numbers(&Track::Audio))
            .max()
    }

    /// The lowest number that this claimant looks at: from there on it knows at least one track
    /// from its media topic.
    fn floor(&self) -> Option<SegmentNumber> {
        let lowest = self
            .numbers(&Track::Video)
            .chain(self.numbers(&Track::Audio))
            .min()?;
        let whole = self.known.video.1.min(self.known.audio.1);
        Some(lowest.max(whole))
    }

    /// The tracks that the stream has: those of its last opening, and those that have segments
    /// here if that names none.
    fn tracks(&self) -> BTreeSet<Track> {
        let mut tracks: BTreeSet<Track> = self
            .opening()
            .into_iter()
            .flat_map(|opening| opening.part_targets.keys())
            .filter(|track| !matches!(track, Track::Rung(_)))
            .cloned()
            .collect();
        for track in [Track::Video, Track::Audio] {
            let counts_in_media = !self.media(&track).segments().is_empty();
            if counts_in_media || (tracks.is_empty() && self.numbers(&track).next().is_some()) {
                tracks.insert(track);
            }
        }
        tracks
    }

    /// Whether `track` must have `number`: it has had one before, or the last opening says that
    /// it begins no later.
    fn requires(&self, track: &Track, number: SegmentNumber, has_before: bool) -> bool {
        match self.opening().filter(|o| !o.part_targets.is_empty()) {
            Some(opening) if opening.part_targets.contains_key(track) => {
                has_before || number >= opening.first_segment
            }
            // A track that the last opening dropped: missing only before it.
            Some(opening) => has_before && number < opening.first_segment,
            None => has_before,
        }
    }

    /// The gap record for a number that `track` lacks: as long as the other track's segment.
    fn template(
        &self,
        track: &Track,
        number: SegmentNumber,
        before: Option<&TrackEnd>,
        sequence: u64,
    ) -> Option<Header> {
        let other = match track {
            Track::Audio => Track::Video,
            _ => Track::Audio,
        };
        let logged = self.media(&other).segments().get(&number);
        let indexed = self.known.index.get(&other, number);
        let own = self.known.index.get(track, number);
        // What `index` says of the segment itself is best, then the other track, then the past.
        let (decode_time, duration, timescale) = if let Some(own) = own {
            (
                own.header.decode_time,
                own.header.duration,
                own.header.timescale,
            )
        } else if let Some(segment) = logged {
            (
                segment.first.decode_time,
                segment.duration(),
                segment.first.timescale,
            )
        } else if let Some(segment) = indexed {
            let header = &segment.header;
            (header.decode_time, header.duration, header.timescale)
        } else {
            let before = before?;
            let duration = before.last.as_ref().map_or_else(
                || gaps::to_ticks(UNKNOWN_GAP, before.timescale),
                |last| last.duration,
            );
            (before.end_time, duration, before.timescale)
        };
        let stream = [logged.map(|s| &s.first), indexed.map(|s| &s.header)]
            .into_iter()
            .flatten()
            .chain(own.map(|s| &s.header))
            .chain(before.and_then(|b| b.last.as_ref()).map(|l| &l.first))
            .next()
            .map(|header| (header.stream.clone(), header.uid, header.capture_time))?;
        let scale = before.map_or(timescale, |b| b.timescale);
        let start = before.map_or_else(
            || gaps::rescale(decode_time, timescale, scale),
            |b| b.end_time,
        );
        Some(gaps::header(gaps::Gap {
            stream: stream.0,
            uid: stream.1,
            track: track.clone(),
            epoch: self.known.epoch,
            segment: number,
            discontinuity_sequence: sequence,
            timescale: scale,
            decode_time: start,
            duration: gaps::rescale(duration, timescale, scale),
            capture_time: stream.2,
        }))
    }
}

#[cfg(test)]
mod tests;
