//! Numbers what a worker sends: from ordinals of a job to segment numbers of the stream, with the
//! discontinuity sequence, and knows where each track stands. No I/O.

use std::collections::BTreeMap;

use reelay_media::{MediaChunk, Resume, TrackInfo, TracksMessage};
use reelay_timeline::{Takeover, gaps};
use reelay_wire::{Fingerprint, Header, Kind, SegmentNumber, Ticks, Timescale, Track};

use crate::records::init_hash;

/// Half a frame of AAC (1024 samples) at 48 kHz, in seconds: cuts of audio are as exact as that.
const HALF_AUDIO_FRAME: f64 = 512.0 / 48_000.0;

/// Where a track stands after what was published of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub number: SegmentNumber,
    /// Its last part was published.
    pub complete: bool,
    pub end_time: Ticks,
    pub timescale: Timescale,
    /// Cursor of the last segment that has one, and how much of that segment was published.
    pub cursor: Option<(u64, Ticks)>,
    /// Format of the last segment with media.
    pub fingerprint: Option<Fingerprint>,
}

/// Tracks from one segment on, until the next run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Ordinal of its first segment in the job.
    pub first_ordinal: u64,
    pub tracks: Vec<TrackInfo>,
    /// Decode times do not go on from the segment before, or the format is another.
    pub breaks: bool,
    pub discontinuity_sequence: u64,
    /// Readers have been told of it by an opening.
    pub opened: bool,
}

impl Run {
    pub fn info(&self, track: &Track) -> Option<&TrackInfo> {
        self.tracks.iter().find(|info| info.track == *track)
    }
}

/// The time line of one owner.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Number of ordinal 0 of the job that runs.
    base: SegmentNumber,
    /// The next number that was not begun.
    next: SegmentNumber,
    sequence: u64,
    standings: BTreeMap<Track, Standing>,
    runs: Vec<Run>,
    /// The stream had media before this owner or this job.
    had_media: bool,
    /// The next run cannot go on from the one before, whatever the worker says.
    force_break: bool,
}

impl Timeline {
    /// Goes on from a takeover. `had_media`: the stream has had segments, even if none is left.
    pub fn new(takeover: &Takeover, had_media: bool) -> Self {
        let standings = takeover.tracks.iter().map(|(track, end)| {
            let last = end.last.as_ref();
            let fingerprint = last.and_then(|last| match &last.first.kind {
                Kind::Chunk { format, .. } => Some(format.fingerprint),
                _ => None,
            });
            let published = |last: &reelay_timeline::LastSegment| {
                let whole = end.complete || last.first.segment < end.number;
                if whole { last.duration } else { Ticks(0) }
            };
            let standing = Standing {
                number: end.number,
                complete: end.complete,
                end_time: end.end_time,
                timescale: end.timescale,
                cursor: last.and_then(|last| Some((last.cursor()?, published(last)))),
                fingerprint,
            };
            (track.clone(), standing)
        });
        Self {
            base: takeover.first_segment,
            next: takeover.first_segment,
            sequence: takeover.discontinuity_sequence,
            standings: standings.collect(),
            runs: Vec::new(),
            had_media,
            force_break: false,
        }
    }

    /// The next number that was not begun.
    pub const fn next_number(&self) -> SegmentNumber {
        self.next
    }

    /// Discontinuity sequence of the last segment that was begun.
    pub const fn discontinuity_sequence(&self) -> u64 {
        self.sequence
    }

    /// Where the tracks stand.
    pub const fn standings(&self) -> &BTreeMap<Track, Standing> {
        &self.standings
    }

    /// The run of the newest segments.
    pub fn last_run(&self) -> Option<&Run> {
        self.runs.last()
    }

    /// All tracks stand at the end of a whole segment, the same one.
    pub fn at_boundary(&self) -> bool {
        self.standings
            .values()
            .all(|s| s.complete && s.number.next() == self.next)
    }

    /// A new job begins. `another_source`: what comes is not what was published so far.
    /// Returns what to tell the worker; none for a new time line.
    pub fn begin_job(&mut self, another_source: bool) -> Option<Resume> {
        self.base = self.next;
        if let Some(run) = self.runs.last() {
            self.standings.retain(|track, _| run.info(track).is_some());
        }
        self.runs.clear();
        self.force_break = another_source && self.had_media;
        let boundary = self.at_boundary();
        let main = [Track::Video, Track::Audio]
            .iter()
            .find_map(|track| self.standings.get(track))?;
        // What was published of a segment that did not come to its end with all tracks is
        // published again, so that nothing is lost.
        let cursor = main.cursor.filter(|_| !another_source);
        let ends = if boundary { None } else { self.common_end() };
        // Tracks that were cut off at different times start together, after both.
        self.force_break |= ends.is_some();
        let time = |track: Track| {
            let standing = self.standings.get(&track)?;
            Some(match ends {
                Some((time, scale)) => gaps::rescale(time, scale, standing.timescale),
                None => standing.end_time,
            })
        };
        Some(Resume {
            cursor: cursor.map(|(cursor, _)| cursor),
            after: cursor
                .filter(|_| boundary)
                .map_or(Ticks(0), |(_, after)| after),
            video: time(Track::Video),
            audio: time(Track::Audio),
            boundary: boundary && !another_source,
        })
    }

    /// The latest end of all tracks, if they end more than half an audio frame apart.
    fn common_end(&self) -> Option<(Ticks, Timescale)> {
        let seconds = |s: &&Standing| s.end_time.to_seconds(s.timescale);
        let by_time = |a: &&Standing, b: &&Standing| seconds(a).total_cmp(&seconds(b));
        let first = self.standings.values().min_by(by_time)?;
        let last = self.standings.values().max_by(by_time)?;
        let apart = seconds(&last) - seconds(&first);
        (apart > HALF_AUDIO_FRAME).then_some((last.end_time, last.timescale))
    }

    /// The worker says which tracks follow.
    pub fn tracks(&mut self, message: TracksMessage) -> &Run {
        let fingerprints: BTreeMap<Track, Fingerprint> = (message.tracks.iter())
            .map(|info| (info.track.clone(), init_hash(&info.init).fingerprint()))
            .collect();
        let same_tracks = self.standings.len() == fingerprints.len();
        let same_format = same_tracks
            && self.standings.iter().all(|(track, standing)| {
                standing.fingerprint.is_none()
                    || standing.fingerprint == fingerprints.get(track).copied()
            });
        let first = !self.had_media;
        let breaks = !first
            && (message.discontinuity || std::mem::take(&mut self.force_break) || !same_format);
        self.had_media = true;
        self.sequence += u64::from(breaks);
        self.runs.push(Run {
            first_ordinal: message.first_segment,
            tracks: message.tracks,
            breaks: breaks || first,
            discontinuity_sequence: self.sequence,
            opened: false,
        });
        // Pushed just now.
        &self.runs[self.runs.len() - 1]
    }

    /// The run of a segment.
    pub fn run_of(&mut self, ordinal: u64) -> Option<&mut Run> {
        self.runs
            .iter_mut()
            .rev()
            .find(|run| run.first_ordinal <= ordinal)
    }

    /// The number of a segment of the job.
    pub const fn number_of(&self, ordinal: u64) -> SegmentNumber {
        SegmentNumber(self.base.0 + ordinal)
    }

    /// A chunk was published under `header`.
    pub fn published(&mut self, chunk: &MediaChunk, header: &Header) {
        let number = header.segment;
        if number >= self.next {
            self.next = number.next();
        }
        let before = self.standings.get(&chunk.track);
        let same = before.filter(|s| s.number == number && !s.complete);
        let cursor = match (chunk.cursor, before.and_then(|b| b.cursor)) {
            (Some(cursor), _) => Some((cursor, chunk.duration)),
            (None, Some((cursor, after))) if same.is_some() => {
                Some((cursor, Ticks(after.0 + chunk.duration.0)))
            }
            (None, kept) => kept,
        };
        let fingerprint = match &header.kind {
            Kind::Chunk { format, .. } => Some(format.fingerprint),
            _ => None,
        };
        self.standings.insert(
            chunk.track.clone(),
            Standing {
                number,
                complete: chunk.last,
                end_time: header.end_time(),
                timescale: header.timescale,
                cursor,
                fingerprint,
            },
        );
    }

    /// Numbers that were begun and that not every track of the job has whole: for each track the
    /// number and whether it has parts of it. The job is over: they must be closed or be gaps.
    pub fn unfinished(&self) -> Vec<(Track, SegmentNumber, bool)> {
        let mut open = Vec::new();
        let Some(run) = self.last_run() else {
            return open;
        };
        for info in &run.tracks {
            let standing = self.standings.get(&info.track);
            let (from, has_parts) = match standing {
                Some(s) if s.number >= self.base && !s.complete => (s.number, true),
                Some(s) if s.number >= self.base => (s.number.next(), false),
                _ => (self.base, false),
            };
            for number in from.0..self.next.0 {
                let parts = has_parts && number == from.0;
                open.push((info.track.clone(), SegmentNumber(number), parts));
            }
        }
        open.sort_by_key(|(track, number, _)| (*number, track.clone()));
        open
    }

    /// A track's segment was closed before its end, or is a gap that ends at `end_time`.
    pub fn cut(&mut self, track: &Track, number: SegmentNumber, end_time: Ticks, scale: Timescale) {
        let standing = self.standings.entry(track.clone()).or_insert(Standing {
            number,
            complete: false,
            end_time,
            timescale: scale,
            cursor: None,
            fingerprint: None,
        });
        standing.number = number;
        standing.complete = false;
        standing.end_time = end_time;
    }
}
