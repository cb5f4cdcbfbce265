//! Following partitions without a group.

use std::collections::HashMap;

use bytes::Bytes;
use reelay_bus::{Bus, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_testkit::KafkaCluster;
use reelay_wire::Topic;

use crate::setup::{bus, record, within};

async fn append(bus: &Bus, topic: Topic, partition: i32, value: impl Into<Bytes>) -> i64 {
    let producer = bus.producer().unwrap();
    let sent = producer.send(record(topic, partition, value)).await;
    sent.unwrap().offset
}

/// What comes until the reader has caught up with the partition.
async fn until_end(tailer: &mut Tailer, topic: &Topic, partition: i32) -> (Vec<i64>, i64) {
    let mut offsets = Vec::new();
    loop {
        match within("the end of a partition", tailer.next()).await {
            TailEvent::Record(record) => {
                assert_eq!((&record.topic, record.partition), (topic, partition));
                offsets.push(record.offset);
            }
            TailEvent::End { offset, .. } => return (offsets, offset),
            other => panic!("{other:?}"),
        }
    }
}

fn tailer(bus: &Bus) -> Tailer {
    Tailer::new(bus, TailerOptions::default()).unwrap()
}

#[tokio::test]
async fn reads_to_the_end_says_so_and_goes_on() {
    let bus = bus("tail").await;
    for _ in 0..10 {
        append(&bus, Topic::Source, 1, "old").await;
    }
    let mut tailer = tailer(&bus);
    tailer.follow(Topic::Source, 1, StartAt::Beginning).unwrap();
    let (offsets, end) = until_end(&mut tailer, &Topic::Source, 1).await;
    assert_eq!((offsets, end), ((0..10).collect(), 10));
    assert_eq!(tailer.position(&Topic::Source, 1), Some(10));

    append(&bus, Topic::Source, 1, "new").await;
    let (offsets, end) = until_end(&mut tailer, &Topic::Source, 1).await;
    assert_eq!((offsets, end), (vec![10], 11));
}

#[tokio::test]
async fn empty_partition_has_an_end() {
    let bus = bus("empty").await;
    let mut tailer = tailer(&bus);
    tailer.follow(Topic::Gaps, 0, StartAt::Beginning).unwrap();
    assert_eq!(until_end(&mut tailer, &Topic::Gaps, 0).await, (vec![], 0));
    tailer.follow(Topic::Gaps, 1, StartAt::End).unwrap();
    assert_eq!(until_end(&mut tailer, &Topic::Gaps, 1).await, (vec![], 0));
    tailer.follow(Topic::Gaps, 2, StartAt::Offset(0)).unwrap();
    assert_eq!(until_end(&mut tailer, &Topic::Gaps, 2).await, (vec![], 0));
}

#[tokio::test]
async fn ends_of_many_topics_are_told_apart() {
    let bus = bus("many").await;
    let topics = [Topic::Source, Topic::Audio, Topic::Index, Topic::Status];
    let mut expected = HashMap::new();
    for (i, topic) in topics.iter().enumerate() {
        for _ in 0..=i {
            append(&bus, topic.clone(), 2, "x").await;
        }
        expected.insert(topic.clone(), i as i64 + 1);
    }
    let mut tailer = tailer(&bus);
    for topic in &topics {
        tailer.follow(topic.clone(), 2, StartAt::Beginning).unwrap();
    }
    let mut ends = HashMap::new();
    while ends != expected {
        match within("all ends", tailer.next()).await {
            TailEvent::End { topic, offset, .. } => drop(ends.insert(topic, offset)),
            TailEvent::Record(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn partition_that_was_let_go_is_not_seen_again_until_it_is_followed_again() {
    let bus = bus("letgo").await;
    for _ in 0..200 {
        append(&bus, Topic::Source, 0, vec![1; 1000]).await;
    }
    append(&bus, Topic::Audio, 0, "other").await;
    let mut tailer = tailer(&bus);
    tailer.follow(Topic::Source, 0, StartAt::Beginning).unwrap();
    // All of it is fetched ahead by now, but only one record is read.
    let first = within("the first record", tailer.next()).await;
    assert!(matches!(first, TailEvent::Record(r) if r.offset == 0));
    tailer.unfollow(&Topic::Source, 0).unwrap();
    assert!(!tailer.follows(&Topic::Source, 0));
    tailer.follow(Topic::Audio, 0, StartAt::Beginning).unwrap();
    let (offsets, _) = until_end(&mut tailer, &Topic::Audio, 0).await;
    assert_eq!(offsets, [0]);
    tailer.unfollow(&Topic::Audio, 0).unwrap();

    tailer
        .follow(Topic::Source, 0, StartAt::Offset(198))
        .unwrap();
    let (offsets, end) = until_end(&mut tailer, &Topic::Source, 0).await;
    assert_eq!((offsets, end), (vec![198, 199], 200));
    // Followed already: goes on from the new place.
    tailer
        .follow(Topic::Source, 0, StartAt::Offset(195))
        .unwrap();
    let (offsets, end) = until_end(&mut tailer, &Topic::Source, 0).await;
    assert_eq!((offsets, end), ((195..200).collect(), 200));
}

#[tokio::test]
async fn slow_reader_is_bounded_and_loses_nothing() {
    let bus = bus("slow").await;
    let producer = bus.producer().unwrap();
    let value = Bytes::from(vec![9_u8; 500_000]);
    for _ in 0..60 {
        let record = record(Topic::Source, 3, value.clone());
        within("a delivery report", producer.send(record))
            .await
            .unwrap();
    }
    let options = TailerOptions {
        queue_bytes: 1 << 20,
        ..TailerOptions::default()
    };
    let mut tailer = Tailer::new(&bus, options).unwrap();
    tailer.follow(Topic::Source, 3, StartAt::Beginning).unwrap();
    let (offsets, end) = until_end(&mut tailer, &Topic::Source, 3).await;
    assert_eq!((offsets, end), ((0..60).collect(), 60));
}

#[tokio::test]
async fn position_beyond_the_end_is_reported_and_reading_goes_on() {
    let bus = bus("beyond").await;
    append(&bus, Topic::Source, 0, "a").await;
    let mut tailer = tailer(&bus);
    tailer
        .follow(Topic::Source, 0, StartAt::Offset(500))
        .unwrap();
    let moved = within("the move", tailer.next()).await;
    let expected = TailEvent::Moved {
        topic: Topic::Source,
        partition: 0,
        from: 500,
        to: 1,
    };
    assert_eq!(moved, expected);
    append(&bus, Topic::Source, 0, "b").await;
    let (offsets, _) = loop {
        let (offsets, end) = until_end(&mut tailer, &Topic::Source, 0).await;
        if end == 2 {
            break (offsets, end);
        }
    };
    assert_eq!(offsets, [1]);
}

#[tokio::test]
async fn missing_topic_is_trouble_not_an_end() {
    let cluster = KafkaCluster::shared().await.unwrap();
    let bus = Bus::new(crate::setup::config(cluster, "missing")).unwrap();
    let mut tailer = tailer(&bus);
    tailer.follow(Topic::Source, 0, StartAt::Beginning).unwrap();
    let event = within("trouble", tailer.next()).await;
    assert!(
        matches!(
            &event,
            TailEvent::Trouble {
                partition: Some((Topic::Source, 0)),
                ..
            }
        ),
        "{event:?}"
    );
}
