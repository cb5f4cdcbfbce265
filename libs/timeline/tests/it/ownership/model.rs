//! What can happen next, and what must hold after it.

use reelay_timeline::Claimant;
use reelay_wire::Nonce;
use stateright::{Model, Property};

use super::{
    Broken, Ownership,
    log::{AUDIO, Rec, SOURCE, small, stream},
    process::{Action, Process, Repeat, Role, State},
};

impl Model for Ownership {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let process = || Process {
            role: Role::Idle,
            flight: [const { Vec::new() }; 3],
            stale: false,
            nonce: 0,
            trace: Vec::new(),
        };
        vec![State {
            logs: [const { Vec::new() }; 3],
            low: [0; 3],
            processes: [process(), process()],
            orphans: Vec::new(),
            assigned: 0,
            mark: None,
            nonces: 1,
            reassignments: self.bounds.reassignments,
            crashes: self.bounds.crashes,
            segments: self.bounds.segments,
            repeats: self.bounds.repeats,
            retentions: self.bounds.retentions,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (p, process) in state.processes.iter().enumerate() {
            let assigned = usize::from(state.assigned) == p;
            let idle_flight = process.flight.iter().all(Vec::is_empty);
            match &process.role {
                Role::Idle if assigned && idle_flight && !process.stale => {
                    actions.push(Action::Claim(p));
                }
                Role::Idle => {}
                Role::Claiming { .. } => {}
                Role::Owner(owner) => {
                    let settled = idle_flight && owner.waiting.is_empty();
                    if settled && state.segments > 0 && owner.open.is_none() {
                        actions.push(Action::Publish(p));
                    }
                    if state.repeats > 0 && owner.repeating == Repeat::No && settled {
                        actions.push(Action::Repeat(p));
                    }
                    if settled
                        && state.mark != Some((owner.epoch, owner.next.wrapping_sub(1)))
                        && self.bounds.retentions > 0
                        && state.logs[SOURCE]
                            .iter()
                            .any(|r| matches!(r, Rec::Chunk { epoch, .. } if *epoch == owner.epoch))
                    {
                        actions.push(Action::Mark(p));
                    }
                    let fenced = self.broken != Broken::FencedOwnersGoOn
                        && self.knows_of_higher_claim(state, owner.epoch);
                    if fenced || process.stale {
                        actions.push(Action::Notice(p));
                    }
                }
            }
            if process.stale && !matches!(process.role, Role::Owner(_)) {
                actions.push(Action::Notice(p));
            }
            for log in 0..3 {
                if !process.flight[log].is_empty() {
                    actions.push(Action::Land(p, log));
                }
            }
            let alive = !matches!(process.role, Role::Idle) || !idle_flight;
            if state.crashes > 0 && alive {
                actions.push(Action::Crash(p));
            }
        }
        for (o, orphan) in state.orphans.iter().enumerate() {
            for (log, flight) in orphan.iter().enumerate() {
                if !flight.is_empty() {
                    actions.push(Action::LandOrphan(o, log));
                }
            }
            actions.push(Action::LoseOrphan(o));
        }
        if state.reassignments > 0 && !state.logs[SOURCE].is_empty() {
            actions.push(Action::Reassign);
        }
        let nobody = state
            .processes
            .iter()
            .all(|p| matches!(p.role, Role::Idle) && p.flight.iter().all(Vec::is_empty));
        if state.retentions > 0
            && nobody
            && state.orphans.is_empty()
            && !state.logs[SOURCE].is_empty()
        {
            actions.push(Action::Retain);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Claim(p) => {
                let (id, uid) = stream();
                let claimant = Claimant::new(id, uid, Nonce([state.nonces; 16]));
                state.processes[p].nonce = state.nonces;
                state.nonces += 1;
                state.processes[p].role = Role::Claiming {
                    claimant: Box::new(claimant),
                    sent: false,
                };
                self.advance(&mut state, p);
            }
            Action::Land(p, log) => {
                let rec = state.processes[p].flight[log].remove(0);
                let offset = state.append(log, rec.clone());
                self.landed(&mut state, p, log, &rec, offset);
            }
            Action::LandOrphan(o, log) => {
                let rec = state.orphans[o][log].remove(0);
                state.append(log, rec);
                if state.orphans[o].iter().all(Vec::is_empty) {
                    state.orphans.remove(o);
                }
            }
            Action::LoseOrphan(o) => {
                state.orphans.remove(o);
            }
            Action::Publish(p) => {
                state.segments -= 1;
                let process = &mut state.processes[p];
                let Role::Owner(owner) = &mut process.role else {
                    return None;
                };
                let (epoch, number) = (owner.epoch, owner.next);
                owner.next += 1;
                owner.open = Some((number, Vec::new(), Vec::new()));
                if self.bounds.repeats > 0 {
                    // As after a discontinuity: an opening that follows no claim of its own.
                    process.flight[SOURCE].push(Rec::Opening {
                        epoch,
                        nonce: owner.confirmed[SOURCE],
                        first: number,
                    });
                }
                for (part, last) in [(0, false), (1, true)] {
                    process.flight[SOURCE].push(Rec::Chunk {
                        epoch,
                        number,
                        part,
                        last,
                    });
                }
                process.flight[AUDIO].push(Rec::Chunk {
                    epoch,
                    number,
                    part: 0,
                    last: true,
                });
            }
            Action::Repeat(p) => {
                state.repeats -= 1;
                let nonce = state.nonces;
                state.nonces += 1;
                let process = &mut state.processes[p];
                let Role::Owner(owner) = &mut process.role else {
                    return None;
                };
                owner.repeating = Repeat::Sent(SOURCE as u8);
                owner.nonce = nonce;
                process.flight[SOURCE].push(Rec::Claim {
                    epoch: Some(owner.epoch),
                    nonce,
                });
            }
            Action::Mark(p) => {
                let Role::Owner(owner) = &state.processes[p].role else {
                    return None;
                };
                state.mark = Some((owner.epoch, owner.next.wrapping_sub(1)));
            }
            Action::Notice(p) => {
                let process = &mut state.processes[p];
                // It drops what it has not handed over; a client may still send some of it.
                let flight = std::mem::take(&mut process.flight);
                process.role = Role::Idle;
                process.stale = false;
                process.trace.clear();
                if flight.iter().any(|f| !f.is_empty()) {
                    state.orphans.push(flight);
                }
            }
            Action::Reassign => {
                state.reassignments -= 1;
                let old = usize::from(state.assigned);
                state.processes[old].stale = !matches!(state.processes[old].role, Role::Idle);
                state.assigned = 1 - state.assigned;
            }
            Action::Crash(p) => {
                state.crashes -= 1;
                let process = &mut state.processes[p];
                let flight = std::mem::take(&mut process.flight);
                process.role = Role::Idle;
                process.stale = false;
                process.trace.clear();
                if flight.iter().any(|f| !f.is_empty()) {
                    state.orphans.push(flight);
                }
            }
            Action::Retain => {
                state.retentions -= 1;
                for log in 0..3 {
                    state.low[log] = small(state.logs[log].len() as u64);
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no number is used twice", |model, state| {
                model.no_number_twice(state)
            }),
            Property::always("readers derive the same sequence", |model, state| {
                model.readers_agree(state)
            }),
            Property::always("index says what the media topics hold", |model, state| {
                model.index_agrees(state)
            }),
            Property::always("somebody owns the stream in the end", |model, state| {
                model.owned_in_the_end(state)
            }),
            Property::sometimes("an owner takes over from a zombie", |_, state: &State| {
                state
                    .processes
                    .iter()
                    .filter(|p| matches!(p.role, Role::Owner(_)))
                    .count()
                    == 2
            }),
        ]
    }
}
