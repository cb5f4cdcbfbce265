//! Members of a group share out partitions.

use std::{collections::BTreeSet, time::Duration};

use reelay_bus::{Bus, GroupConsumer, GroupEvent, GroupOptions, GroupStart};
use reelay_wire::Topic;
use tokio::time::Instant;

use crate::setup::{bus, record, within};

/// A member that keeps its own list of what it has.
struct Member {
    consumer: GroupConsumer,
    has: BTreeSet<i32>,
    records: Vec<(i32, i64)>,
}

impl Member {
    fn join(bus: &Bus, start: GroupStart) -> Self {
        let options = GroupOptions {
            start,
            ..GroupOptions::default()
        };
        let group = format!("{}group", bus.topics().prefix());
        Self {
            consumer: GroupConsumer::join(bus, &group, Topic::Streams, options).unwrap(),
            has: BTreeSet::new(),
            records: Vec::new(),
        }
    }

    async fn step(&mut self) -> GroupEvent {
        let event = self.consumer.next().await;
        match &event {
            GroupEvent::Assigned(partitions) => self.has.extend(partitions),
            GroupEvent::Revoked(gone) | GroupEvent::Lost(gone) => {
                self.has.retain(|p| !gone.contains(p));
            }
            GroupEvent::Record(record) => self.records.push((record.partition, record.offset)),
            GroupEvent::End { .. } | GroupEvent::Trouble { .. } => {}
        }
        event
    }
}

/// Runs both until what they have fits.
async fn settle(a: &mut Member, b: &mut Member, fits: impl Fn(&Member, &Member) -> bool) {
    within("the group to settle", async {
        while !fits(a, b) {
            tokio::select! {
                _ = a.step() => {}
                _ = b.step() => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn two_members_share_and_one_that_leaves_is_replaced_at_once() {
    let bus = bus("group").await;
    let mut a = Member::join(&bus, GroupStart::Beginning);
    within("the first assignment", async {
        while a.has.len() < 4 {
            a.step().await;
        }
    })
    .await;

    let mut b = Member::join(&bus, GroupStart::Beginning);
    settle(&mut a, &mut b, |a, b| a.has.len() == 2 && b.has.len() == 2).await;
    assert!(a.has.is_disjoint(&b.has));

    let Member { consumer, has, .. } = b;
    let since = Instant::now();
    within("leaving", consumer.leave()).await.unwrap();
    within("the taking over", async {
        while a.has.len() < 4 {
            a.step().await;
        }
    })
    .await;
    assert!(a.has.is_superset(&has));
    // Sooner than the 6 s after which a dead member is noticed.
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn members_read_all_from_the_beginning_up_to_the_end() {
    let bus = bus("groupread").await;
    let producer = bus.producer().unwrap();
    for i in 0..20 {
        let record = record(Topic::Streams, i % 4, i.to_string());
        producer.send(record).await.unwrap();
    }
    for _ in 0..2 {
        let mut member = Member::join(&bus, GroupStart::Beginning);
        let mut ends = BTreeSet::new();
        within("the ends", async {
            while ends.len() < 4 {
                if let GroupEvent::End { partition, offset } = member.step().await {
                    assert_eq!(offset, 5);
                    ends.insert(partition);
                }
            }
        })
        .await;
        assert_eq!(member.records.len(), 20);
        within("leaving", member.consumer.leave()).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_committed_is_not_read_again() {
    let bus = bus("commit").await;
    let producer = bus.producer().unwrap();
    for i in 0..6 {
        let record = record(Topic::Streams, 0, i.to_string());
        producer.send(record).await.unwrap();
    }
    let mut member = Member::join(&bus, GroupStart::Committed);
    within("the records", async {
        while member.records.len() < 6 {
            member.step().await;
        }
    })
    .await;
    member.consumer.commit(0, 4).unwrap();
    within("leaving", member.consumer.leave()).await.unwrap();

    let mut member = Member::join(&bus, GroupStart::Committed);
    within("the rest", async {
        while member.records.len() < 2 {
            member.step().await;
        }
    })
    .await;
    assert_eq!(member.records, [(0, 4), (0, 5)]);
}
