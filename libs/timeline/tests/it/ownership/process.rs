//! The processes of the model and what they do.

use std::hash::{Hash, Hasher};

use reelay_model::HighWater;
use reelay_timeline::{CLAIMED_TOPICS, Claimant, Fence, Lost, ReadFrom, Step, Takeover};
use reelay_wire::{Epoch, Kind, Offset, SegmentNumber, Track};

use super::{
    Broken, Ownership,
    log::{AUDIO, INDEX, Rec, SOURCE, small, topic},
};

#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    Idle,
    Claiming { claimant: Box<Claimant>, sent: bool },
    Owner(Owner),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    pub epoch: u8,
    /// Nonce of the last claim in each topic that was read back and found in force.
    pub confirmed: [u8; 3],
    /// Nonce of the claims that are being repeated.
    pub nonce: u8,
    pub next: u8,
    /// The segment whose parts are in flight, and where those that landed lie: video, audio.
    pub open: Option<(u8, Vec<u8>, Vec<u8>)>,
    /// Index records that wait for the media in flight.
    pub waiting: Vec<Rec>,
    pub repeating: Repeat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repeat {
    No,
    /// The claim for this topic is in flight.
    Sent(u8),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    pub role: Role,
    /// What it sent and has not landed, in order, per topic.
    pub flight: [Vec<Rec>; 3],
    /// The assignment has moved away since it claimed.
    pub stale: bool,
    /// Nonce of its last claim.
    pub nonce: u8,
    /// What its claimant has read so far: with the logs this determines the claimant.
    pub trace: Vec<u8>,
}

impl Hash for Process {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.role {
            Role::Idle => 0.hash(state),
            Role::Claiming { sent, .. } => (1, sent).hash(state),
            Role::Owner(owner) => owner.hash(state),
        }
        (&self.flight, self.stale, &self.trace).hash(state);
    }
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub struct State {
    pub logs: [Vec<Rec>; 3],
    /// Where each log starts.
    pub low: [u8; 3],
    pub processes: [Process; 2],
    /// What dead processes had in flight.
    pub orphans: Vec<[Vec<Rec>; 3]>,
    pub assigned: u8,
    pub mark: Option<(u8, u8)>,
    pub nonces: u8,
    pub reassignments: u8,
    pub crashes: u8,
    pub segments: u8,
    pub repeats: u8,
    pub retentions: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Claim(usize),
    Land(usize, usize),
    LandOrphan(usize, usize),
    LoseOrphan(usize),
    Publish(usize),
    Repeat(usize),
    Mark(usize),
    Notice(usize),
    Reassign,
    Crash(usize),
    Retain,
}

pub fn repair_recs(takeover: &Takeover) -> (Vec<(usize, Rec)>, Vec<Rec>) {
    let mut gaps = Vec::new();
    let mut index = Vec::new();
    for repair in &takeover.repairs {
        let audio = repair.index_header.track == Track::Audio;
        let number = small(repair.index_header.segment.0);
        if repair.gap.is_some() {
            let epoch = small(takeover.epoch.0);
            gaps.push((
                if audio { AUDIO } else { SOURCE },
                Rec::Gap { epoch, number },
            ));
        }
        index.push(Rec::Index {
            writer: small(takeover.epoch.0),
            audio,
            number,
            epoch: small(repair.index.epoch.0),
            parts: (repair.index.parts.iter())
                .map(|part| small(part.offset.cast_unsigned()))
                .collect(),
        });
    }
    (gaps, index)
}

impl State {
    pub fn highest_claim(&self, log: usize) -> Option<u8> {
        let claims = self.logs[log].iter().enumerate();
        claims
            .filter_map(|(offset, rec)| match rec {
                Rec::Claim { epoch, .. } => Some(epoch.unwrap_or(small(offset as u64))),
                _ => None,
            })
            .max()
    }

    pub fn feed(&self, claimant: &mut Claimant, log: usize, from: usize, through: usize) {
        for offset in from..through {
            let (header, value) = self.logs[log][offset].wire(log);
            claimant.observe(&topic(log), offset as Offset, &header, value.body());
        }
    }

    /// What retention has left of a log.
    pub fn kept(&self, log: usize) -> impl Iterator<Item = (usize, &Rec)> {
        let low = usize::from(self.low[log]);
        self.logs[log].iter().enumerate().skip(low)
    }

    /// Appends what process `p` (or a dead one) sent.
    pub fn append(&mut self, log: usize, rec: Rec) -> u8 {
        self.logs[log].push(rec);
        small(self.logs[log].len() as u64 - 1)
    }
}

impl Ownership {
    pub fn knows_of_higher_claim(&self, state: &State, epoch: u8) -> bool {
        let logs: &[usize] = match self.broken {
            Broken::OnlyIndexIsFollowed => &[INDEX],
            _ => &[SOURCE, INDEX],
        };
        logs.iter()
            .any(|log| state.highest_claim(*log) > Some(epoch))
    }

    /// Does what the claimant of process `p` asks for.
    pub fn step(&self, state: &mut State, p: usize) {
        let snapshot = state.clone();
        let process = &mut state.processes[p];
        let Role::Claiming { claimant, sent } = &mut process.role else {
            return;
        };
        match claimant.step() {
            Step::ReadIndex => {
                let end = snapshot.logs[INDEX].len();
                let low = usize::from(snapshot.low[INDEX]);
                snapshot.feed(claimant, INDEX, low, end);
                claimant.index_read();
                process
                    .trace
                    .extend([0, snapshot.low[INDEX], small(end as u64)]);
            }
            Step::Append { topic, header } => {
                let log = CLAIMED_TOPICS
                    .iter()
                    .position(|t| *t == topic)
                    .expect("claimed");
                let Kind::Claim { nonce } = header.kind else {
                    unreachable!("a claim")
                };
                let epoch = header.epoch.map(|e| small(e.0));
                process.flight[log].push(Rec::Claim {
                    epoch,
                    nonce: nonce.0[0],
                });
                *sent = true;
            }
            Step::Read {
                topic,
                from,
                through,
            } => {
                let log = CLAIMED_TOPICS
                    .iter()
                    .position(|t| *t == topic)
                    .expect("claimed");
                let low = usize::from(snapshot.low[log]);
                let through = through as usize + 1;
                let from = match from {
                    Some(ReadFrom::Offset(offset)) => low.max(offset as usize),
                    Some(ReadFrom::BeforeFirst) => low,
                    // Index goes on where it stopped: the third entry of the trace.
                    None => usize::from(process.trace[2]),
                };
                let skip = match self.broken {
                    Broken::SourceIsNotRead => log != INDEX,
                    Broken::DecidedBeforeTheClaim => true,
                    _ => false,
                };
                // A claimant that skips records still finds its own claim.
                let from = if skip { through - 1 } else { from };
                snapshot.feed(claimant, log, from, through);
                claimant.read_through();
                process
                    .trace
                    .extend([1, small(from as u64), small(through as u64)]);
            }
            Step::Lost(Lost::To(_) | Lost::NotFound) => {
                process.role = Role::Idle;
                process.trace.clear();
            }
            Step::Own => {
                let mark = snapshot.mark.map(|(epoch, segment)| HighWater {
                    epoch: Epoch(epoch.into()),
                    segment: SegmentNumber(segment.into()),
                    discontinuity_sequence: 0,
                });
                let takeover = claimant.own(mark).expect("all is read");
                let mut next = small(takeover.first_segment.0);
                if self.broken == Broken::NumbersBeginAtZero && takeover.tracks.is_empty() {
                    next = 0;
                }
                let epoch = small(takeover.epoch.0);
                let openings = if self.bounds.openings_at_once {
                    &mut state.logs
                } else {
                    &mut process.flight
                };
                for records in openings {
                    records.push(Rec::Opening {
                        epoch,
                        nonce: process.nonce,
                        first: next,
                    });
                }
                let (gaps, waiting) = repair_recs(&takeover);
                let mut owner = Owner {
                    epoch,
                    confirmed: [process.nonce; 3],
                    nonce: process.nonce,
                    next,
                    open: None,
                    waiting: Vec::new(),
                    repeating: Repeat::No,
                };
                if self.broken != Broken::NothingIsRepaired {
                    for (log, gap) in gaps {
                        process.flight[log].push(gap);
                    }
                    owner.waiting = waiting;
                }
                process.role = Role::Owner(owner);
                process.trace.clear();
                self.settle(process);
            }
        }
    }

    /// Does what the claimant of process `p` asks for until it waits for a claim to land. What it
    /// reads lies before that claim, so it makes no difference when it is read.
    pub fn advance(&self, state: &mut State, p: usize) {
        while matches!(state.processes[p].role, Role::Claiming { sent: false, .. }) {
            self.step(state, p);
        }
    }

    /// Sends the index records whose media has landed.
    pub fn settle(&self, process: &mut Process) {
        let Role::Owner(owner) = &mut process.role else {
            return;
        };
        if !(process.flight[SOURCE].is_empty() && process.flight[AUDIO].is_empty()) {
            return;
        }
        process.flight[INDEX].append(&mut owner.waiting);
        if let Some((number, video, audio)) = owner.open.take() {
            for (audio, parts) in [(false, video), (true, audio)] {
                process.flight[INDEX].push(Rec::Index {
                    writer: owner.epoch,
                    audio,
                    number,
                    epoch: owner.epoch,
                    parts,
                });
            }
        }
    }

    /// Record `rec` of process `p` landed at `offset`.
    pub fn landed(&self, state: &mut State, p: usize, log: usize, rec: &Rec, offset: u8) {
        let logs = state.logs.clone();
        let process = &mut state.processes[p];
        match (&mut process.role, rec) {
            (Role::Claiming { claimant, sent }, Rec::Claim { .. }) => {
                claimant.appended(offset.into());
                *sent = false;
                process.trace.extend([2, offset]);
            }
            (Role::Owner(owner), Rec::Chunk { epoch, .. }) if *epoch == owner.epoch => {
                if let Some((_, video, audio)) = &mut owner.open {
                    if log == AUDIO {
                        audio.push(offset)
                    } else {
                        video.push(offset)
                    }
                }
            }
            (
                Role::Owner(owner),
                Rec::Claim {
                    epoch: Some(epoch), ..
                },
            ) if owner.repeating == Repeat::Sent(log as u8) && *epoch == owner.epoch => {
                // Reads back up to its repeated claim; it knew the fence before it.
                let mut fence = Fence::new();
                for (at, rec) in logs[log].iter().enumerate() {
                    let (header, _) = rec.wire(log);
                    fence.judge(&topic(log), at as Offset, &header);
                }
                if fence.claimed() > Some(Epoch(owner.epoch.into())) {
                    owner.repeating = Repeat::No;
                } else {
                    owner.confirmed[log] = owner.nonce;
                    process.flight[log].push(Rec::Opening {
                        epoch: owner.epoch,
                        nonce: owner.nonce,
                        first: owner.next,
                    });
                    owner.repeating = match log {
                        INDEX => Repeat::No,
                        log => {
                            let claim = Rec::Claim {
                                epoch: Some(owner.epoch),
                                nonce: owner.nonce,
                            };
                            process.flight[log + 1].push(claim);
                            Repeat::Sent(log as u8 + 1)
                        }
                    };
                }
            }
            _ => {}
        }
        self.settle(process);
        self.advance(state, p);
    }
}
