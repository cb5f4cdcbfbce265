//! How a writer comes to own a stream: the claimant's steps, without I/O.
//!
//! A [`Claimant`] says what to do next ([`Claimant::step`]); the shell does it and reports what
//! it read and where its records came to lie. The order is the protocol:
//!
//! 1. Read `index` as far as it goes, to learn where to start reading the media topics.
//! 2. Append a claim to `source`; its offset is the epoch. Read `source` up to it.
//! 3. Append the claim to `audio` and to `index`; read each up to it.
//! 4. Unless a higher claim stood in one of them: owner. It appends openings, what its
//!    predecessors left to be repaired ([`Takeover::repairs`]), and then its own segments.
//!
//! Whether the stream is still wanted, and when to claim again after losing, are the shell's to
//! know. An owner repeats claim and opening with [`Claimed::repeat`] headers: claim first, read
//! back up to it, and the opening only if no higher claim stood before it (ADR 0002).

use std::collections::BTreeMap;

use reelay_model::{Epoch, HighWater, Offset, SegmentNumber, StreamId, StreamUid, Track};
use reelay_wire::{Header, Kind, Nonce, Topic};

use crate::{Body, Fence, IndexSurvey, Known, MediaSurvey, Takeover, Verdict, take_over};

/// How many indexed segments before the last one the reading of media topics starts: the last
/// ones may have been indexed by an owner that was fenced in the media topic already. An owner
/// learns of a claim before it has finished that many segments (ADR 0003).
const SEGMENTS_BACK: usize = 4;

/// The topics that a claim goes to, in order.
pub const CLAIMED_TOPICS: [Topic; 3] = [Topic::Source, Topic::Audio, Topic::Index];

/// Where the reading of a media topic starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// At this offset.
    Offset(Offset),
    /// Nothing is indexed: before the stream's first record that is still in the log (the time
    /// when the stream was made will do), or log start.
    BeforeFirst,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read `index` from log start to its end as of now, report every record of the stream by
    /// [`Claimant::observe`], then call [`Claimant::index_read`].
    ReadIndex,
    /// Append this record (with an empty value) and report its offset by [`Claimant::appended`].
    Append {
        /// Where to.
        topic: Topic,
        /// Its header.
        header: Box<Header>,
    },
    /// Read the topic up to and including `through`, report every record of the stream, then
    /// call [`Claimant::read_through`].
    Read {
        /// What to read.
        topic: Topic,
        /// Where to start; none: where the reading of this topic stopped last.
        from: Option<ReadFrom>,
        /// The last offset to read.
        through: Offset,
    },
    /// All is read. [`Claimant::own`] says what to go on with.
    Own,
    /// Another claimant's claim stood before this one's, or this one's was not found where it
    /// was appended. Claim again, with another nonce, if the stream is still wanted.
    Lost(Lost),
}

/// Why a claim failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// To a claim of this higher epoch.
    To(Epoch),
    /// The claim does not lie where it was appended: the partition lost records.
    NotFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    ReadIndex,
    ClaimSource,
    ReadSource,
    ClaimAudio,
    ClaimIndex,
    ReadAudio,
    ReadIndexAgain,
    Own,
    Lost(Lost),
}

/// A writer on its way to owning a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    stream: StreamId,
    uid: StreamUid,
    nonce: Nonce,
    phase: Phase,
    claims: BTreeMap<Topic, Offset>,
    found: BTreeMap<Topic, bool>,
    index: IndexSurvey,
    video: (MediaSurvey, SegmentNumber),
    audio: (MediaSurvey, SegmentNumber),
    starts: BTreeMap<Topic, ReadFrom>,
}

impl Claimant {
    /// A claimant of `uid`; `nonce` is random and used for this one claim alone.
    pub fn new(stream: StreamId, uid: StreamUid, nonce: Nonce) -> Self {
        let none = |topic| (MediaSurvey::new(topic, Fence::new()), SegmentNumber(0));
        Self {
            stream,
            uid,
            nonce,
            phase: Phase::ReadIndex,
            claims: BTreeMap::new(),
            found: BTreeMap::new(),
            index: IndexSurvey::new(),
            video: none(Topic::Source),
            audio: none(Topic::Audio),
            starts: BTreeMap::new(),
        }
    }

    /// The epoch, once the claim in `source` has been appended.
    pub fn epoch(&self) -> Option<Epoch> {
        let offset = self.claims.get(&Topic::Source)?;
        u64::try_from(*offset).ok().map(Epoch)
    }

    /// What to do next.
    pub fn step(&self) -> Step {
        let read = |topic: Topic| Step::Read {
            from: self.starts.get(&topic).copied(),
            through: self.claims.get(&topic).copied().unwrap_or(0),
            topic,
        };
        match self.phase {
            Phase::ReadIndex => Step::ReadIndex,
            Phase::ClaimSource => self.append(Topic::Source),
            Phase::ReadSource => read(Topic::Source),
            Phase::ClaimAudio => self.append(Topic::Audio),
            Phase::ClaimIndex => self.append(Topic::Index),
            Phase::ReadAudio => read(Topic::Audio),
            Phase::ReadIndexAgain => read(Topic::Index),
            Phase::Own => Step::Own,
            Phase::Lost(lost) => Step::Lost(lost),
        }
    }

    /// `index` has been read to its end.
    pub fn index_read(&mut self) {
        if self.phase == Phase::ReadIndex {
            (self.video, self.audio) = (self.start(&Track::Video), self.start(&Track::Audio));
            self.phase = Phase::ClaimSource;
        }
    }

    /// The claim of the last [`Step::Append`] came to lie at `offset`.
    pub fn appended(&mut self, offset: Offset) {
        let (topic, next) = match self.phase {
            Phase::ClaimSource => (Topic::Source, Phase::ReadSource),
            Phase::ClaimAudio => (Topic::Audio, Phase::ClaimIndex),
            Phase::ClaimIndex => (Topic::Index, Phase::ReadAudio),
            _ => return,
        };
        self.claims.insert(topic, offset);
        self.phase = next;
    }

    /// Reads the stream's next record of `topic`.
    pub fn observe(&mut self, topic: &Topic, offset: Offset, header: &Header, body: Body<'_>) {
        if header.uid != self.uid {
            return;
        }
        let verdict = match topic {
            Topic::Source => self.video.0.observe(offset, header, body),
            Topic::Audio => self.audio.0.observe(offset, header, body),
            Topic::Index => self.index.observe(offset, header, body),
            _ => return,
        };
        let own = matches!(&header.kind, Kind::Claim { nonce } if *nonce == self.nonce);
        if own && self.claims.get(topic) == Some(&offset) {
            self.found
                .insert(topic.clone(), matches!(verdict, Verdict::Claimed(_)));
        }
    }

    /// The topic of the last [`Step::Read`] has been read up to its end.
    pub fn read_through(&mut self) {
        let (topic, fence, next) = match self.phase {
            Phase::ReadSource => (Topic::Source, self.video.0.fence(), Phase::ClaimAudio),
            Phase::ReadAudio => (Topic::Audio, self.audio.0.fence(), Phase::ReadIndexAgain),
            Phase::ReadIndexAgain => (Topic::Index, self.index.fence(), Phase::Own),
            _ => return,
        };
        let lost = match (fence.claimed(), self.epoch(), self.found.get(&topic)) {
            (Some(claimed), Some(own), _) if claimed > own => Some(Lost::To(claimed)),
            (_, _, Some(true)) => None,
            _ => Some(Lost::NotFound),
        };
        self.phase = lost.map_or(next, Phase::Lost);
    }

    /// What to go on with, once all is read; `mark` is the high-water mark in `status`, read
    /// after the claim in `source` was appended.
    pub fn own(&self, mark: Option<HighWater>) -> Option<Takeover> {
        let epoch = self.epoch().filter(|_| self.phase == Phase::Own)?;
        Some(take_over(&Known {
            epoch,
            audio_claim: self.claims.get(&Topic::Audio).copied().unwrap_or(0),
            video: (&self.video.0, self.video.1),
            audio: (&self.audio.0, self.audio.1),
            index: &self.index,
            mark,
        }))
    }

    /// The offset of the claim in `topic`.
    pub fn claim_in(&self, topic: &Topic) -> Option<Offset> {
        self.claims.get(topic).copied()
    }

    /// Whether an end record was read: the stream was deleted.
    pub const fn has_ended(&self) -> bool {
        self.index.fence().is_ended()
            || self.video.0.fence().is_ended()
            || self.audio.0.fence().is_ended()
    }

    fn append(&self, topic: Topic) -> Step {
        let epoch = match topic {
            Topic::Source => None,
            _ => self.epoch(),
        };
        Step::Append {
            header: Box::new(claim_header(
                &self.stream,
                self.uid,
                &topic,
                epoch,
                self.nonce,
            )),
            topic,
        }
    }

    /// Where the reading of a track's media topic starts: a few indexed segments back, where the
    /// epoch in force is known. With fewer, at the beginning: the first ones may have been
    /// indexed by an owner that a claim in `source` alone had fenced.
    fn start(&mut self, track: &Track) -> (MediaSurvey, SegmentNumber) {
        let topic = Topic::of_track(track);
        let mut indexed = self.index.segments(track).rev().filter(|s| !s.is_gap());
        let back = indexed.nth(SEGMENTS_BACK - 1).and_then(|segment| {
            let offset = segment.record.parts.first()?.offset;
            Some((offset, segment.record.epoch, segment.header.segment))
        });
        let (from, fence, number) = match back {
            Some((offset, epoch, number)) => {
                (ReadFrom::Offset(offset), Fence::in_force(epoch), number)
            }
            None => (ReadFrom::BeforeFirst, Fence::new(), SegmentNumber(0)),
        };
        self.starts.insert(topic.clone(), from);
        (MediaSurvey::new(topic, fence), number)
    }
}

/// Header of a claim: a first one, or (with the epoch) what an owner repeats.
pub fn claim_header(
    stream: &StreamId,
    uid: StreamUid,
    topic: &Topic,
    epoch: Option<Epoch>,
    nonce: Nonce,
) -> Header {
    control_header(stream, uid, topic, epoch, Kind::Claim { nonce })
}

/// Header of an opening.
pub fn opening_header(
    stream: &StreamId,
    uid: StreamUid,
    topic: &Topic,
    epoch: Epoch,
    nonce: Nonce,
) -> Header {
    control_header(stream, uid, topic, Some(epoch), Kind::Opening { nonce })
}

/// Header of an end record.
pub fn end_header(stream: &StreamId, uid: StreamUid, topic: &Topic, epoch: Epoch) -> Header {
    control_header(stream, uid, topic, Some(epoch), Kind::End)
}

fn control_header(
    stream: &StreamId,
    uid: StreamUid,
    topic: &Topic,
    epoch: Option<Epoch>,
    kind: Kind,
) -> Header {
    let track = match topic {
        Topic::Audio => Track::Audio,
        _ => Track::Video,
    };
    let mut header = Header::new(stream.clone(), uid, track, kind);
    header.epoch = epoch;
    header
}
