//! Appending media: the line in front of the client.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use reelay_bus::{
    Bus, DroppedSegment, FetchLimits, GapBuilder, MediaEvent, MediaProducer, MediaRecord, Outgoing,
    Profile, SpoolLimits,
};
use reelay_model::{Micros, SegmentNumber, Track};
use reelay_testkit::KafkaCluster;
use reelay_wire::Topic;

use crate::setup::{bus, bus_on, record, within};

const PARTS: u64 = 5;

/// The record of a part; its value says which.
fn part(track: &Track, number: u64, part: u64) -> MediaRecord {
    let value = format!("{track}/{number}/{part}");
    MediaRecord {
        segment: (track.clone(), SegmentNumber(number)),
        media_duration: Micros(200_000),
        last_of_segment: part + 1 == PARTS,
        record: record(Topic::of_track(track), 0, Bytes::from(value)),
        token: number * PARTS + part,
    }
}

fn gaps() -> GapBuilder {
    Box::new(|gap: &DroppedSegment| {
        let value = format!("{}/{}/gap of {}", gap.track, gap.number, gap.duration);
        Outgoing {
            value: Bytes::from(value),
            ..gap.first.clone()
        }
    })
}

fn push_segment(producer: &mut MediaProducer, number: u64) {
    for i in 0..PARTS {
        producer.push(part(&Track::Video, number, i));
        producer.push(part(&Track::Audio, number, i));
    }
}

async fn values(bus: &Bus, topic: Topic) -> Vec<String> {
    let records = bus.fetch(&topic, 0, 0, FetchLimits::default()).await;
    let text = |value: Bytes| String::from_utf8(value.to_vec()).unwrap();
    records
        .unwrap()
        .into_iter()
        .map(|r| text(r.value))
        .collect()
}

#[tokio::test]
async fn media_is_delivered_in_order_with_tokens_and_offsets() {
    let bus = bus("media").await;
    let mut producer = MediaProducer::new(&bus, SpoolLimits::default(), gaps()).unwrap();
    for number in 0..10 {
        for i in 0..PARTS {
            producer.push(part(&Track::Video, number, i));
        }
    }
    let close = record(Topic::Source, 0, "close");
    producer.push_control(close, 999);
    for expected in 0..50 {
        match within("a delivery", producer.next()).await {
            MediaEvent::Delivered { token, offset } => {
                assert_eq!((token, offset), (expected, expected as i64));
            }
            other => panic!("{other:?}"),
        }
    }
    let event = within("the close", producer.next()).await;
    assert!(matches!(
        event,
        MediaEvent::Delivered {
            token: 999,
            offset: 50
        }
    ));
    assert!(producer.flush(Duration::from_secs(1)).await);
    let log = values(&bus, Topic::Source).await;
    assert_eq!(
        (&*log[0], &*log[49], &*log[50]),
        ("video/0/0", "video/9/4", "close")
    );
}

#[tokio::test]
async fn overflow_drops_whole_segments_and_their_gaps_stand_in_line() {
    let cluster = KafkaCluster::start(1).await.unwrap();
    let bus = bus_on(&cluster, "overflow", Profile::Single).await;
    let limits = SpoolLimits {
        media: Micros(4_000_000),
        ..SpoolLimits::default()
    };
    let mut producer = MediaProducer::new(&bus, limits, gaps()).unwrap();
    push_segment(&mut producer, 1);
    assert!(producer.flush(crate::setup::LIMIT).await);

    cluster.pause(0);
    for number in 2..=20 {
        push_segment(&mut producer, number);
        let depth = producer.depth();
        assert!(depth.media <= limits.media, "{depth:?}");
    }
    cluster.resume(0);
    assert!(producer.flush(crate::setup::LIMIT).await);

    let mut dropped = BTreeMap::new();
    let mut gaps_delivered = 0;
    while !matches!(producer.depth().records, 1..)
        && let Ok(event) = tokio::time::timeout(Duration::from_millis(200), producer.next()).await
    {
        match event {
            MediaEvent::Dropped { number, tokens, .. } => {
                assert_eq!(tokens.len() as u64, PARTS);
                *dropped.entry(number.0).or_insert(0) += 1;
            }
            MediaEvent::GapDelivered { duration, .. } => {
                assert_eq!(duration, Micros(1_000_000));
                gaps_delivered += 1;
            }
            MediaEvent::Delivered { .. } => {}
            MediaEvent::Fatal(error) => panic!("{error}"),
        }
    }
    // Two segments were in the client's hands, the last four waited; what lay between is gone.
    let gone: Vec<u64> = dropped.keys().copied().collect();
    assert_eq!(gone, (4..=16).collect::<Vec<_>>());
    assert!(dropped.values().all(|tracks| *tracks == 2));
    assert_eq!(gaps_delivered, 26);

    for (topic, track) in [(Topic::Source, "video"), (Topic::Audio, "audio")] {
        let expected: Vec<String> = (1..=20)
            .flat_map(|number| {
                if dropped.contains_key(&number) {
                    vec![format!("{track}/{number}/gap of 1000000")]
                } else {
                    let parts = 0..PARTS;
                    parts.map(|i| format!("{track}/{number}/{i}")).collect()
                }
            })
            .collect();
        assert_eq!(values(&bus, topic).await, expected);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn fenced_owner_forgets_what_waits() {
    let cluster = KafkaCluster::start(1).await.unwrap();
    let bus = bus_on(&cluster, "fenced", Profile::Single).await;
    let mut producer = MediaProducer::new(&bus, SpoolLimits::default(), gaps()).unwrap();
    push_segment(&mut producer, 1);
    assert!(producer.flush(crate::setup::LIMIT).await);
    cluster.pause(0);
    for number in 2..=20 {
        push_segment(&mut producer, number);
    }
    assert!(producer.purge() > 100);
    push_segment(&mut producer, 21);
    assert_eq!(producer.depth().records, 0);
    cluster.resume(0);
    // A second owner in the same process works on the same client.
    let mut second = MediaProducer::new(&bus, SpoolLimits::default(), gaps()).unwrap();
    push_segment(&mut second, 100);
    assert!(second.flush(crate::setup::LIMIT).await);
    let log = values(&bus, Topic::Source).await;
    let numbers: Vec<&str> = log.iter().filter_map(|v| v.split('/').nth(1)).collect();
    let mut numbers: Vec<u64> = numbers.iter().map(|n| n.parse().unwrap()).collect();
    numbers.dedup();
    // At most the two segments that the client held came through.
    assert_eq!(numbers, [1, 2, 3, 100]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn record_that_kafka_can_never_take_ends_the_line() {
    let bus = bus("toolarge").await;
    let mut producer = MediaProducer::new(&bus, SpoolLimits::default(), gaps()).unwrap();
    let mut media = part(&Track::Video, 1, 0);
    media.record.value = Bytes::from(vec![0; 9 << 20]);
    producer.push(media);
    let event = within("the failure", producer.next()).await;
    assert!(matches!(event, MediaEvent::Fatal(_)), "{event:?}");
}
