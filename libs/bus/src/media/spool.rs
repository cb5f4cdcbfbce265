//! The line of records in front of the client: what may be handed over, and what is dropped when
//! the line gets too long. Plain data: no I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use reelay_model::{Micros, SegmentNumber, Track};

/// How much may wait, and how much may be in the client's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Media time that may wait in the line, of each track.
    pub media: Micros,
    /// Bytes that may wait in the line, of all tracks.
    pub bytes: usize,
    /// Segment numbers of which unacknowledged records may be in the client's hands.
    pub segments_in_client: usize,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self {
            media: Micros(60_000_000),
            bytes: 64 << 20,
            segments_in_client: 2,
        }
    }
}

/// How much waits in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolDepth {
    /// Media time of the track that has most of it.
    pub media: Micros,
    /// Bytes of all tracks.
    pub bytes: usize,
    /// Records, gap records among them.
    pub records: usize,
    /// Records that the client holds unacknowledged.
    pub in_client: usize,
}

/// A record in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece<R> {
    pub track: Track,
    pub number: SegmentNumber,
    pub duration: Micros,
    pub last: bool,
    pub bytes: usize,
    pub token: u64,
    pub record: R,
}

/// A segment that was dropped from the line, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap<R> {
    pub track: Track,
    pub number: SegmentNumber,
    pub duration: Micros,
    pub bytes: usize,
    pub tokens: Vec<u64>,
    /// Its first record.
    pub first: R,
    /// Whether its last record has come: only then is the gap's length known.
    pub complete: bool,
}

/// What is to be handed over next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<R> {
    Piece(Piece<R>),
    Control { token: u64, bytes: usize, record: R },
    Gap(Gap<R>),
}

enum Entry<R> {
    Piece(Piece<R>),
    Control { token: u64, bytes: usize, record: R },
    Gap(Gap<R>),
}

/// The line. A record goes through `push` → `next` → `acknowledged`; or it is dropped with all of
/// its segment, which then is a gap in the place of its first record.
pub(super) struct Spool<R> {
    limits: SpoolLimits,
    line: VecDeque<Entry<R>>,
    bytes: usize,
    media: HashMap<Track, i64>,
    /// Unacknowledged records in the client's hands, by segment number.
    in_client: BTreeMap<SegmentNumber, usize>,
    /// Unacknowledged gap and control records in the client's hands.
    others_in_client: usize,
    /// The last segment of each track of which a record was handed over: it and those before it
    /// cannot be dropped any more.
    begun: HashMap<Track, SegmentNumber>,
    /// Segments that were dropped before their last record came.
    dropping: BTreeSet<(SegmentNumber, Track)>,
    /// Drops that are complete and have not been told of.
    notices: VecDeque<Notice>,
}

/// That a segment was dropped, once all of it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub track: Track,
    pub number: SegmentNumber,
    pub duration: Micros,
    pub tokens: Vec<u64>,
}

impl<R> Spool<R> {
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            limits,
            line: VecDeque::new(),
            bytes: 0,
            media: HashMap::new(),
            in_client: BTreeMap::new(),
            others_in_client: 0,
            begun: HashMap::new(),
            dropping: BTreeSet::new(),
            notices: VecDeque::new(),
        }
    }

    /// A drop that has not been told of.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    pub fn depth(&self) -> SpoolDepth {
        SpoolDepth {
            media: Micros(self.media.values().copied().max().unwrap_or(0)),
            bytes: self.bytes,
            records: self.line.len(),
            in_client: self.in_client.values().sum::<usize>() + self.others_in_client,
        }
    }

    /// Whether nothing waits and nothing is unacknowledged.
    pub fn is_idle(&self) -> bool {
        self.line.is_empty() && self.depth().in_client == 0
    }

    /// A record joins the line.
    pub fn push(&mut self, piece: Piece<R>) {
        let key = (piece.number, piece.track.clone());
        if self.dropping.contains(&key) {
            if piece.last {
                self.dropping.remove(&key);
            }
            self.swallow(piece);
            return;
        }
        self.count(&piece, 1);
        self.line.push_back(Entry::Piece(piece));
        while self.is_too_long() && self.drop_oldest() {}
    }

    /// A record that is never dropped joins the line.
    pub fn push_control(&mut self, token: u64, bytes: usize, record: R) {
        self.line.push_back(Entry::Control {
            token,
            bytes,
            record,
        });
    }

    /// Takes what may be handed over now, if anything may.
    pub fn next(&mut self) -> Option<Next<R>> {
        match self.line.front()? {
            Entry::Piece(piece) => {
                let known = self.in_client.contains_key(&piece.number);
                if !known && self.in_client.len() >= self.limits.segments_in_client {
                    return None;
                }
            }
            // Its length is not known yet.
            Entry::Gap(gap) if !gap.complete => return None,
            // Facts are small and are not bounded.
            Entry::Gap(_) | Entry::Control { .. } => {}
        }
        Some(match self.line.pop_front()? {
            Entry::Piece(piece) => {
                self.count(&piece, -1);
                *self.in_client.entry(piece.number).or_default() += 1;
                let begun = self.begun.entry(piece.track.clone()).or_default();
                *begun = (*begun).max(piece.number);
                Next::Piece(piece)
            }
            Entry::Control {
                token,
                bytes,
                record,
            } => {
                self.others_in_client += 1;
                Next::Control {
                    token,
                    bytes,
                    record,
                }
            }
            Entry::Gap(gap) => {
                self.others_in_client += 1;
                Next::Gap(gap)
            }
        })
    }

    /// What `next` gave could not be handed over: it goes back to the front.
    pub fn put_back(&mut self, next: Next<R>) {
        match next {
            Next::Piece(piece) => {
                self.acknowledged(Some(piece.number));
                self.count(&piece, 1);
                self.line.push_front(Entry::Piece(piece));
            }
            Next::Control {
                token,
                bytes,
                record,
            } => {
                self.acknowledged(None);
                self.line.push_front(Entry::Control {
                    token,
                    bytes,
                    record,
                });
            }
            Next::Gap(gap) => {
                self.acknowledged(None);
                self.line.push_front(Entry::Gap(gap));
            }
        }
    }

    /// The client is done with a record: of that segment, or a gap or control record.
    pub fn acknowledged(&mut self, number: Option<SegmentNumber>) {
        let Some(number) = number else {
            self.others_in_client = self.others_in_client.saturating_sub(1);
            return;
        };
        if let Some(count) = self.in_client.get_mut(&number) {
            *count -= 1;
            if *count == 0 {
                self.in_client.remove(&number);
            }
        }
    }

    /// Forgets all that waits, without gaps. Returns how many records that were.
    pub fn purge(&mut self) -> usize {
        let records = self.line.len();
        self.line.clear();
        self.bytes = 0;
        self.media.clear();
        self.dropping.clear();
        records
    }

    fn count(&mut self, piece: &Piece<R>, sign: i64) {
        *self.media.entry(piece.track.clone()).or_default() += sign * piece.duration.0;
        if sign > 0 {
            self.bytes += piece.bytes;
        } else {
            self.bytes -= piece.bytes;
        }
    }

    fn is_too_long(&self) -> bool {
        self.bytes > self.limits.bytes || self.media.values().any(|m| *m > self.limits.media.0)
    }

    /// Drops the oldest number of which something can be dropped, in all tracks that have not
    /// begun to hand it over. Returns whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let whole = |piece: &Piece<R>| {
            let begun = self.begun.get(&piece.track);
            begun.is_none_or(|begun| piece.number > *begun)
        };
        let oldest = self.line.iter().filter_map(|entry| match entry {
            Entry::Piece(piece) if whole(piece) => Some(piece.number),
            _ => None,
        });
        let Some(number) = oldest.min() else {
            return false;
        };
        let mut line = VecDeque::with_capacity(self.line.len());
        let mut gaps: HashMap<Track, usize> = HashMap::new();
        for entry in std::mem::take(&mut self.line) {
            let piece = match entry {
                Entry::Piece(piece)
                    if piece.number == number
                        && self.begun.get(&piece.track).is_none_or(|b| number > *b) =>
                {
                    piece
                }
                other => {
                    line.push_back(other);
                    continue;
                }
            };
            self.count(&piece, -1);
            let place = gaps.get(&piece.track).copied();
            if let Some(Entry::Gap(gap)) = place.and_then(|place| line.get_mut(place)) {
                gap.take(piece);
                continue;
            }
            gaps.insert(piece.track.clone(), line.len());
            line.push_back(Entry::Gap(Gap {
                track: piece.track,
                number,
                duration: piece.duration,
                bytes: piece.bytes,
                tokens: vec![piece.token],
                first: piece.record,
                complete: piece.last,
            }));
        }
        self.line = line;
        for (track, place) in gaps {
            match &self.line[place] {
                Entry::Gap(gap) if gap.complete => self.notices.push_back(gap.notice()),
                _ => {
                    self.dropping.insert((number, track));
                }
            }
        }
        true
    }

    /// A later record of a segment that was dropped already.
    fn swallow(&mut self, piece: Piece<R>) {
        let gap = self.line.iter_mut().rev().find_map(|entry| match entry {
            Entry::Gap(gap) if gap.track == piece.track && gap.number == piece.number => Some(gap),
            _ => None,
        });
        // An incomplete gap is never handed over, so it is there.
        if let Some(gap) = gap {
            gap.take(piece);
            if gap.complete {
                self.notices.push_back(gap.notice());
            }
        }
    }
}

impl<R> Gap<R> {
    fn take(&mut self, piece: Piece<R>) {
        self.duration.0 += piece.duration.0;
        self.bytes += piece.bytes;
        self.tokens.push(piece.token);
        self.complete |= piece.last;
    }

    fn notice(&self) -> Notice {
        Notice {
            track: self.track.clone(),
            number: self.number,
            duration: self.duration,
            tokens: self.tokens.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
