//! Promises of the to-do list, whatever happens: each segment is settled once for each rung, in
//! order, encodings are never mixed, nothing waits longer than is allowed, and the committed
//! offset never passes what is not done.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use reelay_model::{Micros, Offset, PartNumber, RungId, SegmentNumber};
use reelay_timeline::todo::{Fate, Found, Limits, Make, Plan, Reason, Source, Todo};

const SECOND: i64 = 1_000_000;
const LIMITS: Limits = Limits {
    most_behind: Micros(20 * SECOND),
    attempts: 3,
};

fn ladder() -> Vec<RungId> {
    ["480p", "360p", "240p"]
        .map(|id| id.parse().unwrap())
        .to_vec()
}

fn source(number: u64, finished: bool, gap: bool) -> Source {
    Source {
        number: SegmentNumber(number),
        duration: Micros(2 * SECOND),
        finished,
        gap,
        ladder: ladder(),
    }
}

fn finish(todo: &mut Todo, plan: &Plan) {
    for (rung, make) in &plan.rungs {
        let fate = match make {
            Make::Gap(_) => Fate::Gap,
            _ => Fate::Media,
        };
        todo.rung(plan.number, rung.clone(), fate);
    }
    todo.handed_over(plan.number);
}

#[test]
fn segments_are_made_in_order_and_settled_by_index() {
    let mut todo = Todo::new(LIMITS);
    todo.source(source(7, false, false));
    let plan = todo.begin().unwrap();
    assert_eq!(plan.number, SegmentNumber(7));
    assert!(
        plan.rungs
            .iter()
            .all(|(_, make)| *make == Make::Media(PartNumber(0)))
    );
    assert!(todo.begin().is_none(), "one at a time");
    todo.source(source(7, true, false));
    todo.listed(SegmentNumber(7), 40);
    todo.handed_over(SegmentNumber(7));
    assert_eq!(todo.settled_up_to(50), 40);
    assert!(todo.begin().is_none(), "it is on its way");
    for rung in ladder() {
        todo.rung(SegmentNumber(7), rung, Fate::Media);
    }
    assert_eq!((todo.settled_up_to(50), todo.behind()), (50, Micros(0)));
    todo.source(source(7, true, false));
    assert!(todo.begin().is_none(), "what is settled stays so");
}

#[test]
fn a_half_published_segment_goes_on_or_is_closed() {
    let mut todo = Todo::new(LIMITS);
    let [high, middle, low] = <[RungId; 3]>::try_from(ladder()).unwrap();
    let number = SegmentNumber(3);
    todo.found(number, high.clone(), Found::Ours(PartNumber(4), false));
    todo.found(number, middle.clone(), Found::Foreign);
    todo.found(number, low.clone(), Found::Ours(PartNumber(9), true));
    todo.source(source(3, true, false));
    let plan = todo.begin().unwrap();
    let makes: BTreeMap<_, _> = plan.rungs.into_iter().collect();
    assert_eq!(makes[&high], Make::Media(PartNumber(4)));
    assert!(matches!(makes[&middle], Make::Close(_)));
    assert_eq!(makes[&low], Make::List);
}

#[test]
fn a_segment_at_which_workers_die_is_tried_alone_and_then_given_up() {
    let mut todo = Todo::new(LIMITS);
    todo.source(source(1, true, false));
    todo.source(source(2, true, false));
    for attempt in 1..=3 {
        let plan = todo.begin().unwrap();
        assert_eq!((plan.number, plan.alone), (SegmentNumber(1), attempt > 1));
        assert_eq!(todo.died(SegmentNumber(1)), attempt);
    }
    let plan = todo.begin().unwrap();
    assert!(
        plan.rungs
            .iter()
            .all(|(_, make)| *make == Make::Gap(Reason::GivenUp))
    );
    finish(&mut todo, &plan);
    assert_eq!(todo.begin().unwrap().number, SegmentNumber(2));
    assert_eq!(todo.heal(), None, "nothing can be made of it");
}

#[test]
fn too_far_behind_it_goes_to_the_live_edge_and_heals_backwards() {
    let mut todo = Todo::new(LIMITS);
    todo.source(source(1, true, false));
    let plan = todo.begin().unwrap();
    finish(&mut todo, &plan);
    for number in 2..=15 {
        todo.source(source(number, number < 15, false));
    }
    let mut gaps = 0;
    loop {
        let plan = todo.begin().unwrap();
        if plan.needs_worker() {
            assert_eq!(plan.number, SegmentNumber(15));
            break;
        }
        gaps += 1;
        finish(&mut todo, &plan);
    }
    assert_eq!(gaps, 13);
    assert!(todo.is_overloaded());
    assert_eq!(
        todo.heal(),
        Some((SegmentNumber(14), {
            let mut l = ladder();
            l.sort();
            l
        }))
    );
    for rung in ladder() {
        todo.rung(SegmentNumber(14), rung, Fate::Media);
    }
    assert_eq!(todo.heal().unwrap().0, SegmentNumber(13));
    todo.cannot_heal(SegmentNumber(13));
    assert_eq!(todo.heal().unwrap().0, SegmentNumber(12));
}

#[test]
fn upper_rungs_are_left_out_first_and_come_back() {
    let mut todo = Todo::new(LIMITS);
    // Of every segment two more come in before it is done: hopeless, until rungs are left out.
    let mut newest = 0;
    let mut fewest = usize::MAX;
    for step in 0..400 {
        let coming = if step < 40 { 1 + step % 2 } else { 1 };
        for _ in 0..coming {
            newest += 1;
            todo.source(source(newest, true, false));
        }
        if let Some(plan) = todo.begin() {
            let makes: Vec<_> = plan.rungs.iter().map(|(_, make)| make).collect();
            let left_out = makes
                .iter()
                .filter(|m| ***m == Make::Gap(Reason::LeftOut))
                .count();
            assert!(
                makes[..left_out]
                    .iter()
                    .all(|m| **m == Make::Gap(Reason::LeftOut))
            );
            assert_ne!(makes[2], &Make::Gap(Reason::LeftOut), "the lowest stays");
            fewest = fewest.min(3 - left_out);
            finish(&mut todo, &plan);
            if left_out > 0 || step >= 40 {
                if let Some(plan) = todo.begin() {
                    finish(&mut todo, &plan);
                }
            }
        }
    }
    assert!(fewest < 3);
    assert_eq!(todo.left_out(), 0, "calm again");
}

/// What may happen between two looks at the list.
#[derive(Debug, Clone)]
enum Happening {
    Comes { gap: bool },
    Works,
    Dies,
    Loses,
    Restarts,
    Heals,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => prop::bool::weighted(0.1).prop_map(|gap| Happening::Comes { gap }),
        8 => Just(Happening::Works),
        2 => Just(Happening::Dies),
        1 => Just(Happening::Loses),
        1 => Just(Happening::Restarts),
        2 => Just(Happening::Heals),
    ]
}

/// The log as a stream and its transcodes write it.
#[derive(Default)]
struct Log {
    /// Source segments: whether each is a gap.
    source: Vec<bool>,
    /// Records of rungs in `index`, in order: number, fate, late.
    rungs: BTreeMap<RungId, Vec<(SegmentNumber, Fate, bool)>>,
    deaths: BTreeMap<SegmentNumber, u32>,
    /// Parts of rungs that `index` does not list.
    half: BTreeMap<(SegmentNumber, RungId), Found>,
}

impl Log {
    fn write(&mut self, number: SegmentNumber, rung: &RungId, fate: Fate, late: bool) {
        let records = self.rungs.entry(rung.clone()).or_default();
        records.push((number, fate, late));
        self.half.remove(&(number, rung.clone()));
    }

    /// A transcode that begins with this log.
    fn read(&self) -> Todo {
        let mut todo = Todo::new(LIMITS);
        for (rung, records) in &self.rungs {
            for (number, fate, _) in records {
                todo.rung(*number, rung.clone(), *fate);
            }
        }
        for (number, count) in &self.deaths {
            todo.attempt(*number, *count);
        }
        for ((number, rung), found) in &self.half {
            todo.found(*number, rung.clone(), *found);
        }
        for (i, gap) in self.source.iter().enumerate() {
            todo.source(source(i as u64, true, *gap));
            todo.listed(SegmentNumber(i as u64), i as Offset * 10);
        }
        todo
    }
}

fn work(todo: &mut Todo, log: &mut Log) {
    let Some(plan) = todo.begin() else { return };
    for (rung, make) in &plan.rungs {
        let half = log.half.get(&(plan.number, rung.clone()));
        match (make, half) {
            (Make::Media(from), Some(Found::Ours(next, false))) => assert_eq!(from, next),
            (Make::Media(from), None) => assert_eq!(*from, PartNumber(0)),
            (Make::Media(_), Some(half)) => panic!("{half:?} is gone on with"),
            (Make::Gap(_), half) => assert_eq!(half, None, "parts are not taken back"),
            (Make::Close(_) | Make::List, half) => assert!(half.is_some()),
        }
        let fate = match make {
            Make::Gap(_) => Fate::Gap,
            _ => Fate::Media,
        };
        log.write(plan.number, rung, fate, false);
    }
    finish(todo, &plan);
}

proptest! {
    #[test]
    fn every_segment_is_settled_once_in_order_and_in_time(
        happenings in proptest::collection::vec((happening(), any::<u8>()), 1..120),
    ) {
        let mut log = Log::default();
        let mut todo = Todo::new(LIMITS);
        for (happening, dice) in happenings {
            match happening {
                Happening::Comes { gap } => {
                    let number = log.source.len() as u64;
                    log.source.push(gap);
                    todo.source(source(number, true, gap));
                    todo.listed(SegmentNumber(number), number as Offset * 10);
                }
                Happening::Works => work(&mut todo, &mut log),
                Happening::Dies => {
                    if let Some(plan) = todo.begin() {
                        // Parts of some rungs were published before; some with another encoding,
                        // as by a predecessor of another version.
                        for (i, (rung, make)) in plan.rungs.iter().enumerate() {
                            if let Make::Media(from) = make
                                && dice >> i & 1 == 1
                            {
                                let found = match dice >> 5 {
                                    0 => Found::Foreign,
                                    _ => Found::Ours(PartNumber(from.0 + 1), false),
                                };
                                log.half.insert((plan.number, rung.clone()), found);
                                todo.found(plan.number, rung.clone(), found);
                            }
                        }
                        let deaths = todo.died(plan.number);
                        log.deaths.insert(plan.number, deaths);
                    }
                }
                Happening::Loses => {
                    todo.lost();
                    for ((number, rung), found) in &log.half {
                        todo.found(*number, rung.clone(), *found);
                    }
                }
                Happening::Restarts => todo = log.read(),
                Happening::Heals => {
                    if let Some((number, rungs)) = todo.heal() {
                        prop_assert!(!log.source[number.0 as usize], "the source has it");
                        for rung in rungs {
                            log.write(number, &rung, Fate::Media, true);
                            todo.rung(number, rung, Fate::Media);
                        }
                    }
                }
            }
            let waits: i64 = log.source.len() as i64 * 10;
            let settled = todo.settled_up_to(waits);
            for number in 0..log.source.len() as u64 {
                let listed = |rung: &RungId| {
                    let records = log.rungs.get(rung);
                    records.is_some_and(|records| {
                        let first = records.iter().map(|r| r.0).min();
                        records.iter().any(|r| r.0 == SegmentNumber(number))
                            || first.is_some_and(|first| first > SegmentNumber(number))
                    })
                };
                if (number as Offset * 10) < settled {
                    let never_had = log.rungs.is_empty();
                    prop_assert!(
                        never_had || ladder().iter().all(listed),
                        "{number} is below {settled} and not settled"
                    );
                }
            }
        }
        for _ in 0..2 * log.source.len() + 8 {
            work(&mut todo, &mut log);
        }
        prop_assert_eq!(todo.behind(), Micros(0));
        for (rung, records) in &log.rungs {
            let live: Vec<_> = records.iter().filter(|r| !r.2).map(|r| r.0).collect();
            prop_assert!(live.windows(2).all(|two| two[0] < two[1]), "{}: {:?}", rung, live);
            let all: BTreeSet<_> = records.iter().map(|r| r.0.0).collect();
            let first = all.first().copied().unwrap_or(0);
            let expected: BTreeSet<_> = (first..log.source.len() as u64).collect();
            prop_assert_eq!(&all, &expected, "{}", rung);
        }
    }

    /// Nothing of the backlog beyond what may wait is begun with a worker.
    #[test]
    fn media_is_made_only_of_what_is_near_enough(count in 1..40_u64) {
        let mut todo = Todo::new(LIMITS);
        todo.rung(SegmentNumber(0), "480p".parse().unwrap(), Fate::Media);
        for number in 1..=count {
            todo.source(source(number, true, false));
        }
        let mut made = Vec::new();
        while let Some(plan) = todo.begin() {
            if plan.needs_worker() {
                made.push(plan.number.0);
            }
            finish(&mut todo, &plan);
        }
        let expected: Vec<u64> = if count > 10 { vec![count] } else { (1..=count).collect() };
        prop_assert_eq!(made, expected);
    }
}
