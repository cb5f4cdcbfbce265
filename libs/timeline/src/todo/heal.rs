//! Gaps that media may take the place of, when there is time.

use std::collections::{BTreeMap, BTreeSet};

use reelay_model::{RungId, SegmentNumber};

/// Segments that are remembered for healing.
const REMEMBERED: usize = 2048;

/// The gaps of rungs where the source has media, as far as known.
#[derive(Debug, Clone, Default)]
pub struct Healing {
    gaps: BTreeMap<SegmentNumber, BTreeSet<RungId>>,
    /// Segments whose gaps stay: the source has one, too, or nothing can be made of it.
    given_up: BTreeSet<SegmentNumber>,
}

impl Healing {
    pub(super) fn gap(&mut self, number: SegmentNumber, rung: RungId) {
        if self.given_up.contains(&number) {
            return;
        }
        self.gaps.entry(number).or_default().insert(rung);
        if self.gaps.len() > REMEMBERED {
            self.gaps.pop_first();
        }
    }

    pub(super) fn healed(&mut self, number: SegmentNumber, rung: &RungId) {
        if let Some(rungs) = self.gaps.get_mut(&number) {
            rungs.remove(rung);
            if rungs.is_empty() {
                self.gaps.remove(&number);
            }
        }
    }

    pub(super) fn give_up(&mut self, number: SegmentNumber) {
        self.gaps.remove(&number);
        self.given_up.insert(number);
        if self.given_up.len() > REMEMBERED {
            self.given_up.pop_first();
        }
    }

    pub(super) fn newest(&self) -> Option<(SegmentNumber, Vec<RungId>)> {
        let (number, rungs) = self.gaps.last_key_value()?;
        Some((*number, rungs.iter().cloned().collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.gaps.len()
    }
}
