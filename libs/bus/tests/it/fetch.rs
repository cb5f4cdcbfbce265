//! Reading ranges, offsets by time.

use reelay_bus::{Bus, BusError, FetchLimits};
use reelay_model::Micros;
use reelay_wire::Topic;

use crate::setup::{bus, record, within};

async fn fill(bus: &Bus, partition: i32, count: usize) {
    let producer = bus.producer().unwrap();
    let waiting: Vec<_> = (0..count)
        .map(|i| {
            let record = record(Topic::Index, partition, i.to_string());
            producer.enqueue(&record).unwrap()
        })
        .collect();
    for delivery in waiting {
        within("a delivery report", delivery).await.unwrap();
    }
}

fn offsets(records: &[reelay_bus::Record]) -> Vec<i64> {
    records.iter().map(|r| r.offset).collect()
}

#[tokio::test]
async fn ranges_end_where_they_are_told_to() {
    let bus = bus("ranges").await;
    fill(&bus, 0, 50).await;
    let fetch =
        async |from, limits| offsets(&bus.fetch(&Topic::Index, 0, from, limits).await.unwrap());
    assert_eq!(fetch(10, FetchLimits::until(13)).await, [10, 11, 12]);
    let limits = FetchLimits {
        records: 2,
        ..FetchLimits::default()
    };
    assert_eq!(fetch(48, limits).await, [48, 49]);
    let limits = FetchLimits {
        bytes: 3,
        ..FetchLimits::default()
    };
    assert_eq!(fetch(20, limits).await, [20, 21]);
    assert_eq!(
        fetch(45, FetchLimits::default()).await,
        [45, 46, 47, 48, 49]
    );
    // At the end there is nothing, and nothing is waited for.
    assert_eq!(fetch(50, FetchLimits::default()).await, [0; 0]);
    assert_eq!(fetch(7, FetchLimits::until(7)).await, [0; 0]);
}

#[tokio::test]
async fn pooled_consumers_do_not_mix_up_what_they_read() {
    let bus = bus("pool").await;
    for partition in 0..4 {
        fill(&bus, partition, 30).await;
    }
    let mut reads = tokio::task::JoinSet::new();
    for i in 0..60_i64 {
        let bus = bus.clone();
        reads.spawn(async move {
            let (partition, from) = ((i % 4) as i32, i % 27);
            let limits = FetchLimits::until(from + 3);
            let records = bus
                .fetch(&Topic::Index, partition, from, limits)
                .await
                .unwrap();
            assert_eq!(offsets(&records), [from, from + 1, from + 2]);
            assert!(records.iter().all(|r| r.partition == partition));
        });
    }
    while let Some(read) = within("the reads", reads.join_next()).await {
        read.unwrap();
    }
}

#[tokio::test]
async fn position_outside_the_log_is_an_error_with_the_log_as_it_is() {
    let bus = bus("outside").await;
    fill(&bus, 0, 3).await;
    let read = bus.fetch(&Topic::Index, 0, 1000, FetchLimits::default());
    match read.await {
        Err(BusError::OutOfRange { low, high, .. }) => assert_eq!((low, high), (0, 3)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let bus = bus("times").await;
    fill(&bus, 3, 5).await;
    let at = async |time| bus.offset_at(&Topic::Index, 3, time).await.unwrap();
    assert_eq!(at(Micros(0)).await, 0);
    let records = bus
        .fetch(&Topic::Index, 3, 0, FetchLimits::default())
        .await
        .unwrap();
    let last = records.last().unwrap().timestamp;
    assert!(at(last).await <= 4);
    assert_eq!(at(Micros(last.0 + 1)).await, 5);
}
