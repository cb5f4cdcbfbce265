//! Claims and openings of one stream in one topic: which records count.

use std::collections::BTreeSet;

use reelay_wire::{Epoch, Nonce, Offset, Opening, Track};

use super::Fault;
use crate::linearity::finding::Rule;

/// How far a topic has been fenced for a stream.
#[derive(Debug, Default)]
pub struct Fence {
    claim: Option<Epoch>,
    /// Offsets of the claims that rose above what was there, by epoch.
    rises: Vec<(Epoch, Offset)>,
    /// Nonces of the claims of that epoch: a repeated claim has one of its own.
    nonces: BTreeSet<Nonce>,
    /// First opening of the claim's epoch in this topic.
    opening: Option<Opening>,
    /// Epochs of which it was said already that they have no claim or no opening.
    told: BTreeSet<Epoch>,
    /// An end record was read.
    pub ended: bool,
}

/// What a record is by the claims before it.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Valid,
    /// It does not.
    Void,
}

/// What a claim changes.
#[derive(Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It rises above what was there: the epoch before ends here.
    Rise {
        /// There was an epoch before.
        takeover: bool,
    },
    /// It repeats the one in force.
    Again,
    /// It is below the one in force.
    Late,
}

impl Fence {
    /// The epoch in force.
    pub fn epoch(&self) -> Option<Epoch> {
        self.claim
    }

    /// Whether what `epoch` wrote at `offset` is void.
    pub fn voids(&self, epoch: Epoch, offset: Offset) -> bool {
        let mut rises = self.rises.iter();
        rises.any(|(claimed, at)| *claimed > epoch && *at < offset)
    }

    /// The first opening of the epoch in force, in this topic.
    pub fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// Takes a claim. Only a first claim in `source` has no epoch: its offset becomes it.
    pub fn claim(
        &mut self,
        epoch: Option<Epoch>,
        nonce: Nonce,
        offset: Offset,
    ) -> (Epoch, Claimed) {
        let epoch = epoch.unwrap_or(Epoch(offset.max(0).cast_unsigned()));
        match self.claim {
            Some(now) if epoch < now => (epoch, Claimed::Late),
            Some(now) if epoch == now => {
                self.nonces.insert(nonce);
                (epoch, Claimed::Again)
            }
            before => {
                self.claim = Some(epoch);
                self.rises.push((epoch, offset));
                self.nonces = BTreeSet::from([nonce]);
                self.opening = None;
                (
                    epoch,
                    Claimed::Rise {
                        takeover: before.is_some(),
                    },
                )
            }
        }
    }

    /// Takes an opening that is not void.
    pub fn open(&mut self, nonce: Nonce, opening: Opening, faults: &mut Vec<Fault>) {
        if let Some(epoch) = self.claim
            && !self.nonces.contains(&nonce)
        {
            let expected = format!("the nonce of a claim of epoch {epoch} before it");
            faults.push((Rule::Opening, expected, nonce.to_string()));
        }
        let Some(first) = &self.opening else {
            self.opening = Some(opening);
            return;
        };
        // An owner whose source gives nothing yet opens without tracks, and names them later.
        if first.part_targets.is_empty() {
            self.opening = Some(opening);
            return;
        }
        // A repeated opening says where the epoch is now; what is fixed with the claim stays.
        let fixed = |o: &Opening| (o.target_duration_s, o.part_targets.clone(), o.low_latency);
        if fixed(first) != fixed(&opening) || first.time_origin != opening.time_origin {
            let expected = format!("what the epoch opened with: {}", words(first));
            faults.push((Rule::Opening, expected, words(&opening)));
        }
    }

    /// Whether a record of `epoch` counts. `from_start`: the partition was read from offset 0.
    pub fn standing(
        &mut self,
        epoch: Option<Epoch>,
        is_opening: bool,
        from_start: bool,
        faults: &mut Vec<Fault>,
    ) -> Standing {
        let Some(epoch) = epoch else {
            return Standing::Void;
        };
        match self.epoch() {
            None if !from_start => return Standing::Void,
            Some(now) if epoch < now => return Standing::Void,
            Some(now) if epoch == now => {}
            // A reader that starts in the middle may have begun at a zombie's repeated claim.
            Some(_) if !from_start => return Standing::Void,
            now => {
                if self.told.insert(epoch) {
                    let expected = format!("a claim of epoch {epoch} before its records");
                    let found = now.map_or("no claim".into(), |e| format!("a claim of epoch {e}"));
                    faults.push((Rule::Claim, expected, found));
                }
                return Standing::Void;
            }
        }
        if !is_opening && self.opening.is_none() && self.told.insert(epoch) {
            let expected = format!("an opening of epoch {epoch} before its records");
            faults.push((Rule::Opening, expected, "none".into()));
        }
        Standing::Valid
    }
}

/// An opening for a finding's text.
pub fn words(opening: &Opening) -> String {
    let parts = opening.part_targets.iter();
    let parts: Vec<_> = parts
        .map(|(track, us): (&Track, _)| format!("{track} {us} µs"))
        .collect();
    format!(
        "first segment {}, origin {}, continues={}, target {} s, parts [{}], discontinuity {}, low latency={}",
        opening.first_segment,
        opening.time_origin,
        opening.continues,
        opening.target_duration_s,
        parts.join(", "),
        opening.discontinuity_sequence,
        opening.low_latency,
    )
}
