//! Which records of a topic count: the fence that claims put up.
//!
//! A [`Fence`] reads one stream uid's records of one partition of `source`, `audio` or `index`
//! in log order and says of each what it is. What stands behind it:
//!
//! - A claim of a higher epoch than any before voids what lower epochs write after it.
//! - An epoch counts from an *opening* on, and only if the reader has read the claim whose nonce
//!   the opening bears: an owner writes that nonce after it has read the claim back and found no
//!   higher one before it. So a reader that starts in mid-log right before a zombie's late
//!   repeated claim does not take the zombie for the owner (ADR 0002).
//! - Nothing counts before the first opening that a reader may believe, nor after a stream's end.
//! - What derived records (renditions, pictures, attempts) say is never fenced; they count by
//!   identity.

use std::collections::BTreeMap;

use reelay_model::{Epoch, Offset, StreamUid, Track};
use reelay_wire::{Header, Kind, Nonce, Topic};

/// How many claims of an epoch a reader remembers until it has read an opening of one of them.
const REMEMBERED_CLAIMS: usize = 16;

/// What a record is worth to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A chunk, close or gap that counts.
    Counts,
    /// A claim of a higher epoch: what stands before it of open segments is the segment.
    Claimed(Epoch),
    /// The owner's opening: its epoch's records count from here on.
    Opened(Epoch),
    /// A repeated claim or opening of the epoch in force; changes nothing.
    Repeated,
    /// The end of the stream; nothing counts after it.
    Ended,
    /// Counts for nothing.
    Void(Void),
}

impl Verdict {
    /// Whether the record is media (or an index record) that counts.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Counts)
    }
}

/// Why a record counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Void {
    /// Written by an owner that a claim before it had ended.
    Fenced {
        /// Epoch of the writer.
        writer: Epoch,
        /// The highest epoch claimed before the record.
        in_force: Epoch,
    },
    /// No opening of its epoch has been read (with the claim that it follows).
    Unopened,
    /// After the end of the stream.
    AfterEnd,
    /// A claim without an epoch outside `source`, or of an epoch that is yet to come.
    Impossible,
}

/// The fence of one stream uid in one partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Fence {
    /// The highest epoch claimed so far.
    claimed: Option<Epoch>,
    /// Whether an opening of that epoch has been read.
    opened: bool,
    /// Nonces of its claims that were read, until it is opened.
    nonces: Vec<Nonce>,
    ended: bool,
}

impl Fence {
    /// The fence of a reader at log start, or anywhere else without knowledge of the past.
    pub const fn new() -> Self {
        Self {
            claimed: None,
            opened: false,
            nonces: Vec::new(),
            ended: false,
        }
    }

    /// The fence of a reader that starts where `epoch` is known to be in force: at a record of
    /// that epoch that counts, or after it, before any further claim.
    pub const fn in_force(epoch: Epoch) -> Self {
        Self {
            claimed: Some(epoch),
            opened: true,
            nonces: Vec::new(),
            ended: false,
        }
    }

    /// The epoch in force: claimed and opened.
    pub const fn epoch(&self) -> Option<Epoch> {
        if self.opened { self.claimed } else { None }
    }

    /// The highest epoch claimed so far, opened or not.
    pub const fn claimed(&self) -> Option<Epoch> {
        self.claimed
    }

    /// Whether the stream has ended.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Makes it known that the stream has ended.
    pub const fn learn_end(&mut self) {
        self.ended = true;
    }

    /// Judges the next record of the stream, which lies at `offset` of `topic`.
    pub fn judge(&mut self, topic: &Topic, offset: Offset, header: &Header) -> Verdict {
        let kind = match &header.kind {
            Kind::Claim { nonce } => Stamp::Claim(*nonce),
            Kind::Opening { nonce } => Stamp::Opening(*nonce),
            Kind::End => Stamp::End,
            Kind::Chunk { .. } | Kind::Close | Kind::Gap | Kind::Attempt => Stamp::Media,
        };
        let derived = matches!(header.track, Track::Rung(_))
            || matches!(header.kind, Kind::Attempt)
            || *topic == Topic::Thumbnails;
        if kind == Stamp::Media && derived {
            return if self.ended {
                Verdict::Void(Void::AfterEnd)
            } else {
                Verdict::Counts
            };
        }
        self.judge_stamp(*topic == Topic::Source, offset, kind, header.epoch)
    }

    /// Judges by what matters alone: whether the topic is `source`, the offset, kind and epoch.
    pub fn judge_stamp(
        &mut self,
        in_source: bool,
        offset: Offset,
        stamp: Stamp,
        epoch: Option<Epoch>,
    ) -> Verdict {
        if self.ended {
            return Verdict::Void(Void::AfterEnd);
        }
        let here = u64::try_from(offset).ok().map(Epoch);
        let writer = match (epoch, stamp, here) {
            (Some(epoch), _, Some(here)) if in_source && epoch > here => None,
            (Some(epoch), ..) => Some(epoch),
            (None, Stamp::Claim(_), here) if in_source => here,
            (None, ..) => None,
        };
        let Some(writer) = writer else {
            return Verdict::Void(Void::Impossible);
        };
        match (self.claimed, stamp) {
            (Some(in_force), _) if writer < in_force => {
                return Verdict::Void(Void::Fenced { writer, in_force });
            }
            (Some(in_force), _) if writer == in_force => {}
            (_, Stamp::Claim(nonce)) => {
                self.claimed = Some(writer);
                self.opened = false;
                self.nonces = vec![nonce];
                return Verdict::Claimed(writer);
            }
            _ => return Verdict::Void(Void::Unopened),
        }
        match stamp {
            Stamp::Claim(nonce) => {
                if !self.opened {
                    if self.nonces.len() == REMEMBERED_CLAIMS {
                        self.nonces.remove(0);
                    }
                    self.nonces.push(nonce);
                }
                Verdict::Repeated
            }
            Stamp::Opening(_) if self.opened => Verdict::Repeated,
            Stamp::Opening(nonce) if self.nonces.contains(&nonce) => {
                self.opened = true;
                self.nonces = Vec::new();
                Verdict::Opened(writer)
            }
            _ if !self.opened => Verdict::Void(Void::Unopened),
            Stamp::Opening(_) => Verdict::Repeated,
            Stamp::Media => Verdict::Counts,
            Stamp::End => {
                self.ended = true;
                Verdict::Ended
            }
        }
    }
}

/// What of a record's kind matters to the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// A claim, first or repeated.
    Claim(Nonce),
    /// An opening, with the nonce of the claim that it follows.
    Opening(Nonce),
    /// A chunk, close or gap, or an index record.
    Media,
    /// The end of the stream.
    End,
}

/// The fences of all streams in one partition of one topic.
#[derive(Debug, Clone)]
pub struct Fences {
    topic: Topic,
    fences: BTreeMap<StreamUid, Fence>,
}

impl Fences {
    /// The fences of a reader of a partition of `topic` that knows nothing of its past.
    pub const fn new(topic: Topic) -> Self {
        Self {
            topic,
            fences: BTreeMap::new(),
        }
    }

    /// Judges the next record of the partition.
    pub fn judge(&mut self, offset: Offset, header: &Header) -> Verdict {
        self.fences
            .entry(header.uid)
            .or_default()
            .judge(&self.topic, offset, header)
    }

    /// The fence of a stream, if any of its records has been read.
    pub fn of(&self, uid: StreamUid) -> Option<&Fence> {
        self.fences.get(&uid)
    }

    /// Sets the fence of a stream from what is known of its past.
    pub fn set(&mut self, uid: StreamUid, fence: Fence) {
        self.fences.insert(uid, fence);
    }

    /// Forgets a stream.
    pub fn forget(&mut self, uid: StreamUid) {
        self.fences.remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLAIM: Stamp = Stamp::Claim(Nonce([0; 16]));
    const OPEN: Stamp = Stamp::Opening(Nonce([0; 16]));
    const MEDIA: Stamp = Stamp::Media;

    fn read(log: &[(Stamp, Option<u64>)], from: usize, in_source: bool) -> Vec<Verdict> {
        let mut fence = Fence::new();
        log.iter()
            .enumerate()
            .skip(from)
            .map(|(offset, (stamp, epoch))| {
                fence.judge_stamp(in_source, offset as Offset, *stamp, epoch.map(Epoch))
            })
            .collect()
    }

    fn fenced(writer: u64, in_force: u64) -> Verdict {
        Verdict::Void(Void::Fenced {
            writer: Epoch(writer),
            in_force: Epoch(in_force),
        })
    }

    #[test]
    fn a_first_claims_epoch_is_its_offset_and_voids_lower_ones() {
        let log = [
            (MEDIA, Some(0)),
            (CLAIM, None),
            (OPEN, Some(1)),
            (MEDIA, Some(1)),
            (CLAIM, None),
            (MEDIA, Some(1)),
            (CLAIM, Some(1)),
            (OPEN, Some(1)),
            (OPEN, Some(4)),
            (MEDIA, Some(4)),
            (CLAIM, Some(4)),
            (OPEN, Some(4)),
            (MEDIA, Some(4)),
            (MEDIA, Some(1)),
        ];
        assert_eq!(
            read(&log, 0, true),
            [
                Verdict::Void(Void::Unopened),
                Verdict::Claimed(Epoch(1)),
                Verdict::Opened(Epoch(1)),
                Verdict::Counts,
                Verdict::Claimed(Epoch(4)),
                fenced(1, 4),
                fenced(1, 4),
                fenced(1, 4),
                Verdict::Opened(Epoch(4)),
                Verdict::Counts,
                Verdict::Repeated,
                Verdict::Repeated,
                Verdict::Counts,
                fenced(1, 4),
            ]
        );
    }

    #[test]
    fn a_zombies_late_claim_fools_no_reader_that_starts_at_it() {
        // Epoch 9 is in force before the log begins; epoch 1 writes late.
        let log = [
            (CLAIM, Some(1)),
            (MEDIA, Some(1)),
            (MEDIA, Some(9)),
            (CLAIM, Some(9)),
            (OPEN, Some(9)),
            (MEDIA, Some(9)),
        ];
        let verdicts = read(&log, 0, false);
        assert_eq!(verdicts[1], Verdict::Void(Void::Unopened));
        assert_eq!(verdicts[4], Verdict::Opened(Epoch(9)));
        assert_eq!(verdicts[5], Verdict::Counts);
    }

    #[test]
    fn an_opening_of_a_claim_that_was_not_read_opens_nothing() {
        let log = [
            (Stamp::Claim(Nonce([2; 16])), Some(1)),
            (Stamp::Opening(Nonce([1; 16])), Some(1)),
            (MEDIA, Some(1)),
            (Stamp::Claim(Nonce([3; 16])), Some(1)),
            (Stamp::Opening(Nonce([2; 16])), Some(1)),
            (MEDIA, Some(1)),
        ];
        let verdicts = read(&log, 0, false);
        assert_eq!(verdicts[2], Verdict::Void(Void::Unopened));
        assert_eq!(verdicts[4], Verdict::Opened(Epoch(1)));
        assert_eq!(verdicts[5], Verdict::Counts);
    }

    #[test]
    fn an_end_counts_once_and_is_final() {
        let log = [
            (Stamp::End, Some(0)),
            (CLAIM, Some(1)),
            (OPEN, Some(1)),
            (Stamp::End, Some(0)),
            (Stamp::End, Some(1)),
            (CLAIM, Some(7)),
            (MEDIA, Some(7)),
        ];
        let verdicts = read(&log, 0, false);
        assert_eq!(verdicts[0], Verdict::Void(Void::Unopened));
        assert_eq!(verdicts[3], fenced(0, 1));
        assert_eq!(verdicts[4], Verdict::Ended);
        assert_eq!(verdicts[5], Verdict::Void(Void::AfterEnd));
        assert_eq!(verdicts[6], Verdict::Void(Void::AfterEnd));
    }

    #[test]
    fn what_cannot_be_is_void() {
        let log = [(CLAIM, None), (CLAIM, Some(1)), (MEDIA, None)];
        let outside = read(&log, 0, false);
        assert_eq!(outside[0], Verdict::Void(Void::Impossible));
        assert_eq!(outside[2], Verdict::Void(Void::Impossible));
        let future = read(&[(CLAIM, Some(5))], 0, true);
        assert_eq!(future[0], Verdict::Void(Void::Impossible));
    }

    fn any_log() -> impl Strategy<Value = Vec<(Stamp, Option<u64>)>> {
        let stamp = prop_oneof![
            2 => Just(CLAIM),
            2 => Just(OPEN),
            5 => Just(MEDIA),
        ];
        proptest::collection::vec((stamp, proptest::option::weighted(0.9, 0..24_u64)), 0..40)
    }

    proptest! {
        /// Epochs in force only grow, and what counts is of the epoch in force.
        #[test]
        fn the_epoch_in_force_never_falls(log in any_log(), in_source in any::<bool>()) {
            let mut fence = Fence::new();
            let mut claimed = None;
            for (offset, (stamp, epoch)) in log.into_iter().enumerate() {
                let epoch = epoch.map(Epoch);
                let verdict = fence.judge_stamp(in_source, offset as Offset, stamp, epoch);
                prop_assert!(fence.claimed() >= claimed);
                claimed = fence.claimed();
                if verdict.counts() {
                    prop_assert_eq!(fence.epoch(), epoch);
                }
            }
        }

        /// A reader that starts in mid-log never counts what one from the start has seen fenced,
        /// as long as openings follow their claims as owners write them: with none of a lower
        /// epoch after a higher claim that the owner could have read.
        #[test]
        fn a_reader_from_mid_log_counts_no_more_than_one_from_the_start(
            log in any_log(), from in 0..40_usize,
        ) {
            let whole = read(&log, 0, true);
            // Leaves out the openings that no honest owner writes: those after which its own
            // claim, repeated or not, stood void.
            let mut honest = Vec::new();
            let mut void_claims = std::collections::BTreeSet::new();
            for (i, (stamp, epoch)) in log.iter().enumerate() {
                let writer = epoch.unwrap_or(i as u64);
                match (stamp, whole[i]) {
                    (Stamp::Claim(_), Verdict::Void(_)) => { void_claims.insert(writer); }
                    (Stamp::Opening(_), Verdict::Void(_)) if void_claims.contains(&writer) => {
                        honest.push((Stamp::Media, Some(0)));
                        continue;
                    }
                    _ => {}
                }
                honest.push((*stamp, *epoch));
            }
            let whole = read(&honest, 0, true);
            let from = from.min(honest.len());
            for (i, verdict) in read(&honest, from, true).into_iter().enumerate() {
                if verdict.counts() {
                    prop_assert_eq!(whole[from + i], Verdict::Counts);
                }
            }
        }
    }
}
