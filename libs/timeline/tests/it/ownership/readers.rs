//! What readers derive from the logs of a state, and what has to hold of it.

use std::collections::BTreeMap;

use reelay_timeline::{Fence, IndexSurvey, MediaSurvey, Verdict};
use reelay_wire::{Epoch, Offset, Track};
use stateright::Model;

use super::{
    Broken, Ownership,
    log::{AUDIO, INDEX, Rec, SOURCE, topic},
    process::{Action, Owner, Role, State},
};

/// What a reader counts of a log, from `start` on: offset, epoch and number of media records.
pub fn counted(
    state: &State,
    log: usize,
    start: usize,
    broken: Broken,
) -> Vec<(usize, u8, u8, u8)> {
    let mut fence = Fence::new();
    let mut counted = Vec::new();
    for (offset, rec) in state.logs[log].iter().enumerate().skip(start) {
        let (header, _) = rec.wire(log);
        let mut verdict = fence.judge(&topic(log), offset as Offset, &header);
        if let (Verdict::Claimed(epoch), Broken::ReadersTrustBareClaims) = (verdict, broken) {
            fence = Fence::in_force(epoch);
        }
        if broken == Broken::ReadersIgnoreClaims {
            verdict = Verdict::Counts;
        }
        let item = match rec {
            Rec::Chunk {
                epoch,
                number,
                part,
                ..
            } => (offset, *epoch, *number, *part),
            Rec::Gap { epoch, number } => (offset, *epoch, *number, 0),
            Rec::Index {
                writer,
                audio,
                number,
                ..
            } => (offset, *writer, *number, (*audio).into()),
            Rec::Claim { .. } | Rec::Opening { .. } => continue,
        };
        if verdict.counts() {
            counted.push(item);
        }
    }
    counted
}

impl Ownership {
    pub fn no_number_twice(&self, state: &State) -> bool {
        let mut epochs = BTreeMap::new();
        for log in [SOURCE, AUDIO] {
            let mut here = BTreeMap::new();
            for (offset, epoch, number, _) in counted(state, log, 0, self.broken) {
                if *here.entry(number).or_insert(epoch) != epoch {
                    return false;
                }
                let gap = matches!(state.logs[log][offset], Rec::Gap { .. });
                // Video and audio of one number are of one owner.
                if !gap && *epochs.entry(number).or_insert(epoch) != epoch {
                    return false;
                }
            }
        }
        true
    }

    pub fn readers_agree(&self, state: &State) -> bool {
        (0..3).all(|log| {
            let whole = counted(state, log, 0, self.broken);
            // Numbers only grow, and only a new owner's repairs may stand in for old ones.
            let low = usize::from(state.low[log]);
            (low..state.logs[log].len()).all(|start| {
                let late = counted(state, log, start, self.broken);
                whole.ends_with(&late)
            })
        })
    }

    /// While an owner that nobody has superseded has nothing left to write, `index` lists what
    /// the media topics hold, without holes.
    pub fn index_agrees(&self, state: &State) -> bool {
        let settled = state
            .processes
            .iter()
            .find_map(|process| match &process.role {
                Role::Owner(owner)
                    if owner.waiting.is_empty()
                        && owner.open.is_none()
                        && process.flight.iter().all(Vec::is_empty) =>
                {
                    Some(owner)
                }
                _ => None,
            });
        let Some(owner) = settled else { return true };
        if (0..3).any(|log| state.highest_claim(log) != Some(owner.epoch)) {
            return true;
        }
        let mut index = IndexSurvey::new();
        for (offset, rec) in state.kept(INDEX) {
            let (header, value) = rec.wire(INDEX);
            index.observe(offset as Offset, &header, value.body());
        }
        let mut numbers = [Vec::new(), Vec::new()];
        for (log, track) in [(SOURCE, Track::Video), (AUDIO, Track::Audio)] {
            let mut media = MediaSurvey::new(topic(log), Fence::new());
            for (offset, rec) in state.kept(log) {
                let (header, value) = rec.wire(log);
                media.observe(offset as Offset, &header, value.body());
            }
            let listed = |number, segment: &reelay_timeline::LoggedSegment| {
                index
                    .get(&track, number)
                    .is_some_and(|i| segment.is_indexed_by(&i.record))
            };
            if !media
                .segments()
                .iter()
                .all(|(number, segment)| listed(*number, segment))
            {
                return false;
            }
            if index.segments(&track).count() != media.segments().len() {
                return false;
            }
            numbers[log] = media.segments().keys().map(|n| n.0).collect();
        }
        let [video, audio] = numbers;
        let retained = state.low.iter().any(|low| *low > 0);
        let whole = |n: &Vec<u64>| n.windows(2).all(|pair| pair[1] == pair[0] + 1);
        retained || (video == audio && whole(&video))
    }

    pub fn owned_in_the_end(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        // What need not happen is not waited for.
        actions.retain(|action| {
            !matches!(
                action,
                Action::Reassign
                    | Action::Crash(_)
                    | Action::Publish(_)
                    | Action::Repeat(_)
                    | Action::Mark(_)
                    | Action::Retain
            )
        });
        if !actions.is_empty() {
            return true;
        }
        let owns = |owner: &Owner| {
            (0..3).all(|log| {
                let mut fence = Fence::new();
                for (offset, rec) in state.logs[log].iter().enumerate() {
                    let (header, _) = rec.wire(log);
                    fence.judge(&topic(log), offset as Offset, &header);
                }
                fence.epoch() == Some(Epoch(owner.epoch.into()))
            })
        };
        state.processes.iter().any(|process| match &process.role {
            Role::Owner(owner) => owns(owner),
            _ => false,
        })
    }
}
