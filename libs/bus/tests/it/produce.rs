//! Appending single records.

use bytes::Bytes;
use reelay_bus::{FetchLimits, ProduceError};
use reelay_model::Micros;
use reelay_wire::Topic;

use crate::setup::{bus, record, within};

#[tokio::test]
async fn records_keep_their_order_and_come_back_as_they_were() {
    let bus = bus("produce").await;
    let producer = bus.producer().unwrap();
    let waiting: Vec<_> = (0..100_u32)
        .map(|i| {
            let record = record(Topic::Source, 2, Bytes::from(i.to_string()));
            producer.enqueue(&record).unwrap()
        })
        .collect();
    for (offset, delivery) in waiting.into_iter().enumerate() {
        let delivered = within("a delivery report", delivery).await.unwrap();
        assert_eq!(delivered.offset, offset as i64);
    }

    let before = Micros::now();
    let records = bus
        .fetch(&Topic::Source, 2, 0, FetchLimits::default())
        .await
        .unwrap();
    assert_eq!(records.len(), 100);
    for (i, record) in records.iter().enumerate() {
        assert_eq!(record.offset, i as i64);
        assert_eq!(record.value, i.to_string());
        assert_eq!(record.key.as_deref(), Some(&b"camera"[..]));
        assert_eq!(record.headers.get("chunk").unwrap(), &b"header"[..]);
        assert_eq!((&record.topic, record.partition), (&Topic::Source, 2));
        let age = before.0 - record.timestamp.0;
        assert!((-1_000_000..600_000_000).contains(&age), "{age} us old");
    }
    assert_eq!(bus.watermarks(&Topic::Source, 2).await.unwrap(), (0, 100));
    assert_eq!(bus.partitions(Topic::Source).await.unwrap(), 4);
}

#[tokio::test]
async fn empty_value_is_a_tombstone_and_reads_as_empty() {
    let bus = bus("tombstone").await;
    let producer = bus.producer().unwrap();
    producer
        .send(record(Topic::Status, 0, Bytes::new()))
        .await
        .unwrap();
    let records = bus
        .fetch(&Topic::Status, 0, 0, FetchLimits::default())
        .await
        .unwrap();
    assert_eq!(records[0].value, Bytes::new());
}

#[tokio::test]
async fn seven_megabytes_go_through_and_too_much_is_refused_by_name() {
    let bus = bus("big").await;
    let producer = bus.producer().unwrap();
    let value = Bytes::from(vec![7_u8; 7 << 20]);
    let delivered = within(
        "a big record",
        producer.send(record(Topic::Source, 1, value.clone())),
    );
    assert_eq!(delivered.await.unwrap().offset, 0);
    let records = bus
        .fetch(&Topic::Source, 1, 0, FetchLimits::default())
        .await
        .unwrap();
    assert_eq!(records[0].value, value);

    let too_much = Bytes::from(vec![7_u8; 9 << 20]);
    let error = producer
        .send(record(Topic::Source, 1, too_much))
        .await
        .unwrap_err();
    assert!(matches!(&error, ProduceError::Refused { bytes, .. } if *bytes > 9 << 20));
    assert!(!error.may_be_in_log());
    let text = error.to_string();
    assert!(
        text.contains("source") && text.contains("partition 1"),
        "{text}"
    );
}

#[tokio::test]
async fn missing_partition_is_refused_by_name() {
    let bus = bus("nowhere").await;
    let error = within(
        "a refusal",
        bus.producer()
            .unwrap()
            .send(record(Topic::Audio, 99, "lost")),
    )
    .await
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("audio") && text.contains("partition 99"),
        "{text}"
    );
}
