//! The to-do list of a transcode for one stream: which segments of the source lack which rungs,
//! and what is done about each. A plain state machine: no I/O and no clock. How far behind it is
//! counts in media time, the sum of what is not settled.
//!
//! A source segment is *settled* when `index` has a record of it for every rung of its ladder:
//! media, or a gap. Segments are settled in the order of their numbers, one at a time, so that
//! the topics of the rungs are in order. Only what is *healed*, a gap that media takes the place
//! of, comes late and out of order.
//!
//! - What is half in the log is gone on with where it stops, if it is of the encoding that would be
//!   made now; of another encoding it is closed: encodings are never mixed.
//! - More than [`Limits::most_behind`] behind, everything but the newest segment becomes gaps.
//!   Before it comes to that, the upper rungs are left out, one by one (`pressure`).
//! - A segment at which workers died is tried [`Limits::attempts`] times, then it becomes a gap.

mod heal;
mod pressure;

use std::collections::{BTreeMap, BTreeSet};

use reelay_model::{Micros, Offset, PartNumber, RungId, SegmentNumber};

pub use heal::Healing;
use pressure::Pressure;

/// Settled segments that are remembered, so that what is said of them again changes nothing.
const REMEMBERED: usize = 1024;

/// When enough is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Media time that may wait; with more, the backlog is given up. Above the time that a takeover
    /// takes, or each takeover would leave gaps.
    pub most_behind: Micros,
    /// How many workers may die at a segment before it is given up.
    pub attempts: u32,
}

/// What stands in `index` for a segment of a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// A gap.
    Gap,
    /// Media.
    Media,
}

/// What the topic of a rung holds of a segment that `index` does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found {
    /// Parts of the encoding that would be made now: the part that comes next, and whether the
    /// segment has ended before it.
    Ours(PartNumber, bool),
    /// Parts of another encoding.
    Foreign,
}

/// A segment of the source, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its number.
    pub number: SegmentNumber,
    /// Its duration; of an open segment, that of its parts so far.
    pub duration: Micros,
    /// Whether all of it is known.
    pub finished: bool,
    /// Whether the source has a gap there.
    pub gap: bool,
    /// The rungs that are to be made of it, the highest first.
    pub ladder: Vec<RungId>,
}

/// Why a rung gets a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The source has one.
    Source,
    /// Too far behind.
    Overloaded,
    /// Left out, so that the lower rungs keep up.
    LeftOut,
    /// Workers died at it.
    GivenUp,
}

/// What is done about one rung of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Make {
    /// Its media, from this part on: 0 where the log holds nothing of it.
    Media(PartNumber),
    /// All parts are in the log, only the index record is missing.
    List,
    /// What the log holds is ended by a close record.
    Close(Reason),
    /// A gap record, once the segment is finished.
    Gap(Reason),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The segment.
    pub number: SegmentNumber,
    /// Whether a worker died at it: it gets one of its own.
    pub alone: bool,
    /// What becomes of each rung, the highest first; none where nothing is missing.
    pub rungs: Vec<(RungId, Make)>,
}

impl Plan {
    /// Whether a worker is needed.
    pub fn needs_worker(&self) -> bool {
        self.rungs
            .iter()
            .any(|(_, make)| matches!(make, Make::Media(_)))
    }
}

#[derive(Debug, Clone)]
struct Item {
    source: Source,
    /// Where in `index` the source's record lies, once it does.
    listed_at: Option<Offset>,
    skipped: bool,
    /// All of it was handed to the log; `index` will say so.
    handed_over: bool,
}

/// The to-do list of one stream.
#[derive(Debug, Clone)]
pub struct Todo {
    limits: Limits,
    /// What is not settled.
    items: BTreeMap<SegmentNumber, Item>,
    settled: BTreeSet<SegmentNumber>,
    fates: BTreeMap<SegmentNumber, BTreeMap<RungId, Fate>>,
    found: BTreeMap<(SegmentNumber, RungId), Found>,
    deaths: BTreeMap<SegmentNumber, u32>,
    /// The lowest number that `index` has of each rung.
    first: BTreeMap<RungId, SegmentNumber>,
    running: Option<SegmentNumber>,
    pressure: Pressure,
    healing: Healing,
}

impl Todo {
    /// A list with nothing on it.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            items: BTreeMap::new(),
            settled: BTreeSet::new(),
            fates: BTreeMap::new(),
            found: BTreeMap::new(),
            deaths: BTreeMap::new(),
            first: BTreeMap::new(),
            running: None,
            pressure: Pressure::default(),
            healing: Healing::default(),
        }
    }

    /// A segment of the source is known, or more of it.
    pub fn source(&mut self, source: Source) {
        if self.settled.contains(&source.number) || self.is_older_than_all(source.number) {
            return;
        }
        let number = source.number;
        if source.gap {
            self.healing.give_up(number);
        }
        match self.items.get_mut(&number) {
            Some(item) => {
                item.source.duration = item.source.duration.max(source.duration);
                item.source.finished |= source.finished;
            }
            None => {
                let item = Item {
                    source,
                    listed_at: None,
                    skipped: false,
                    handed_over: false,
                };
                self.items.insert(number, item);
            }
        }
        self.settle(number);
    }

    /// The record of a source segment lies at `offset` of `index`.
    pub fn listed(&mut self, number: SegmentNumber, offset: Offset) {
        if let Some(item) = self.items.get_mut(&number) {
            item.listed_at.get_or_insert(offset);
        }
    }

    /// `index` has a record of a rung's segment.
    pub fn rung(&mut self, number: SegmentNumber, rung: RungId, fate: Fate) {
        let first = self.first.entry(rung.clone()).or_insert(number);
        *first = number.min(*first);
        let fates = self.fates.entry(number).or_default();
        let known = fates.entry(rung.clone()).or_insert(fate);
        *known = fate.max(*known);
        match *known {
            Fate::Media => self.healing.healed(number, &rung),
            Fate::Gap => self.healing.gap(number, rung.clone()),
        }
        self.found.remove(&(number, rung));
        if self.fates.len() > 2 * REMEMBERED {
            self.fates.pop_first();
        }
        if self.running != Some(number) {
            self.settle(number);
        }
    }

    /// The topic of a rung holds parts of a segment.
    pub fn found(&mut self, number: SegmentNumber, rung: RungId, found: Found) {
        self.found.insert((number, rung), found);
    }

    /// `index` has an attempt record: workers have died `count` times at this segment.
    pub fn attempt(&mut self, number: SegmentNumber, count: u32) {
        let known = self.deaths.entry(number).or_insert(count);
        *known = count.max(*known);
        if self.deaths.len() > REMEMBERED {
            self.deaths.pop_first();
        }
    }

    /// A worker died at the segment that is running or healed. Returns how often that has happened now.
    pub fn died(&mut self, number: SegmentNumber) -> u32 {
        let deaths = self.deaths.get(&number).copied().unwrap_or(0) + 1;
        self.attempt(number, deaths);
        if self.running == Some(number) {
            self.running = None;
        }
        if deaths >= self.limits.attempts {
            self.healing.give_up(number);
        }
        deaths
    }

    /// Everything of the running segment was handed to the log. It is settled when `index` says so.
    pub fn handed_over(&mut self, number: SegmentNumber) {
        if self.running == Some(number) {
            self.running = None;
        }
        if let Some(item) = self.items.get_mut(&number) {
            item.handed_over = true;
        }
        self.settle(number);
    }

    /// What was handed to the log and is not in `index` may be lost: it is planned again, and what
    /// the log holds of it has to be found anew.
    pub fn lost(&mut self) {
        self.running = None;
        self.found.clear();
        for item in self.items.values_mut() {
            item.handed_over = false;
        }
    }

    /// Gives up what is known now: for a start that is too far behind to catch up.
    pub fn go_to_edge(&mut self) {
        for item in self.items.values_mut() {
            item.skipped = true;
        }
        self.pressure.skipped();
    }

    /// The next thing to do, which then is running until [`handed_over`](Self::handed_over),
    /// [`died`](Self::died) or [`lost`](Self::lost). Nothing while something is running.
    pub fn begin(&mut self) -> Option<Plan> {
        if self.running.is_some() {
            return None;
        }
        self.skip_if_too_far_behind();
        let waiting = self.waiting();
        let (&number, item) = self.items.iter().find(|(_, item)| !item.handed_over)?;
        let deaths = self.deaths.get(&number).copied().unwrap_or(0);
        let reason = if item.source.gap {
            Some(Reason::Source)
        } else if deaths >= self.limits.attempts {
            Some(Reason::GivenUp)
        } else if item.skipped {
            Some(Reason::Overloaded)
        } else {
            None
        };
        if reason.is_some() && !item.source.finished {
            // How long its gap is, is not known yet.
            return None;
        }
        let left_out = match reason {
            None => {
                self.pressure
                    .left_out(waiting, self.limits.most_behind, item.source.ladder.len())
            }
            Some(_) => 0,
        };
        let rungs = item.source.ladder.iter().enumerate();
        let rungs = rungs.filter_map(|(i, rung)| {
            let reason = reason.or((i < left_out).then_some(Reason::LeftOut));
            Some((rung.clone(), self.make(number, rung, reason)?))
        });
        let plan = Plan {
            number,
            alone: deaths > 0,
            rungs: rungs.collect(),
        };
        self.running = Some(number);
        Some(plan)
    }

    /// What is done about one rung; nothing where `index` has it, or where it begins later.
    fn make(&self, number: SegmentNumber, rung: &RungId, reason: Option<Reason>) -> Option<Make> {
        if self.fate(number, rung).is_some() {
            return None;
        }
        let found = self.found.get(&(number, rung.clone()));
        match (found, reason) {
            (Some(Found::Ours(_, true)), _) => Some(Make::List),
            (Some(Found::Foreign), reason) => {
                Some(Make::Close(reason.unwrap_or(Reason::Overloaded)))
            }
            (Some(Found::Ours(next, false)), None) => Some(Make::Media(*next)),
            (None, None) => Some(Make::Media(PartNumber(0))),
            (Some(Found::Ours(next, false)), Some(reason)) if next.0 > 0 => {
                Some(Make::Close(reason))
            }
            (_, Some(reason)) => {
                // What a rung never had before its beginning is no gap.
                let begun = self.first.get(rung).is_some_and(|first| *first < number);
                (begun || reason == Reason::GivenUp || reason == Reason::LeftOut)
                    .then_some(Make::Gap(reason))
            }
        }
    }

    fn fate(&self, number: SegmentNumber, rung: &RungId) -> Option<Fate> {
        self.fates.get(&number)?.get(rung).copied()
    }

    fn skip_if_too_far_behind(&mut self) {
        if self.behind() <= self.limits.most_behind {
            return;
        }
        let Some((&newest, _)) = self.items.last_key_value() else {
            return;
        };
        let mut any = false;
        for (_, item) in self.items.range_mut(..newest) {
            any |= !item.skipped && !item.source.gap && !item.handed_over;
            item.skipped = true;
        }
        if any {
            self.pressure.skipped();
        }
    }

    /// Takes a segment off the list if `index` has all of it.
    fn settle(&mut self, number: SegmentNumber) {
        let Some(item) = self.items.get(&number) else {
            return;
        };
        let Source {
            finished,
            ref ladder,
            ..
        } = item.source;
        let settled = ladder.iter().all(|rung| {
            self.fate(number, rung).is_some() || {
                let begins_later = self.make(number, rung, Some(Reason::Overloaded)).is_none();
                (item.skipped || item.source.gap) && begins_later
            }
        });
        if finished && settled && self.running != Some(number) {
            self.items.remove(&number);
            self.settled.insert(number);
            if self.settled.len() > REMEMBERED {
                self.settled.pop_first();
            }
            self.found.retain(|(of, _), _| *of > number);
        }
    }

    fn is_older_than_all(&self, number: SegmentNumber) -> bool {
        self.settled.len() == REMEMBERED
            && self.settled.first().is_some_and(|first| number < *first)
    }

    /// Media time that is known of the source and was not handed to the log.
    pub fn behind(&self) -> Micros {
        let waiting = self.items.values().filter(|item| !item.handed_over);
        Micros(waiting.map(|item| item.source.duration.0).sum())
    }

    /// Media time of whole segments that were not handed to the log.
    fn waiting(&self) -> Micros {
        let finished = self.items.values();
        let finished = finished.filter(|item| item.source.finished && !item.handed_over);
        Micros(finished.map(|item| item.source.duration.0).sum())
    }

    /// Whether the machine does not keep up: rungs are left out, or segments were given up lately.
    pub const fn is_overloaded(&self) -> bool {
        self.pressure.is_overloaded()
    }

    /// How many of the upper rungs are left out now.
    pub const fn left_out(&self) -> usize {
        self.pressure.rungs()
    }

    /// The segment that is running.
    pub const fn running(&self) -> Option<SegmentNumber> {
        self.running
    }

    /// The lowest number of a segment whose media is needed: where reading the source begins.
    pub fn first_needed(&self) -> Option<SegmentNumber> {
        let needed = |item: &&Item| !item.skipped && !item.source.gap && !item.handed_over;
        let item = self.items.values().find(needed)?;
        Some(item.source.number)
    }

    /// The lowest number of what was not handed to the log.
    pub fn first_waiting(&self) -> Option<SegmentNumber> {
        let mut items = self.items.iter();
        items
            .find(|(_, item)| !item.handed_over)
            .map(|(number, _)| *number)
    }

    /// How many finished segments are not settled, and how many wait to be healed.
    pub fn counts(&self) -> (usize, usize) {
        let finished = self.items.values().filter(|item| item.source.finished);
        (finished.count(), self.healing.len())
    }

    /// The offset in `index` below which nothing waits, if `end` is where its reader stands.
    pub fn settled_up_to(&self, end: Offset) -> Offset {
        let waiting = self.items.values().filter_map(|item| item.listed_at);
        waiting.min().unwrap_or(end).min(end)
    }

    /// The newest segment whose gaps media could take the place of, with the rungs. It stays on
    /// the list until its rungs are there or [`cannot_heal`](Self::cannot_heal).
    pub fn heal(&self) -> Option<(SegmentNumber, Vec<RungId>)> {
        self.healing.newest()
    }

    /// A segment's gaps stay.
    pub fn cannot_heal(&mut self, number: SegmentNumber) {
        self.healing.give_up(number);
    }
}
