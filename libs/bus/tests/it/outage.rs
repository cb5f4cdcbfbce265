//! Brokers die under production; nothing acknowledged is lost, nothing is repeated.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use reelay_bus::{
    Bus, BusError, DroppedSegment, FetchLimits, MediaEvent, MediaProducer, MediaRecord, Profile,
    SpoolLimits, StartAt, TailEvent, Tailer, TailerOptions,
};
use reelay_model::{Micros, SegmentNumber, Track};
use reelay_testkit::KafkaCluster;
use reelay_wire::Topic;

use crate::setup::{bus, bus_on, record, within};

/// Appends to all partitions until told to stop, and gathers where each record lies.
async fn produce(
    bus: Bus,
    mut stop: tokio::sync::oneshot::Receiver<()>,
) -> BTreeMap<u64, (i32, i64)> {
    let gap = Box::new(|gap: &DroppedSegment| panic!("dropped segment {}", gap.number));
    let limits = SpoolLimits {
        media: Micros(i64::MAX / 2),
        ..SpoolLimits::default()
    };
    let mut producer = MediaProducer::new(&bus, limits, gap).unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let mut delivered = BTreeMap::new();
    let mut seen = |event| match event {
        MediaEvent::Delivered { token, offset } => {
            let earlier = delivered.insert(token, ((token % 4) as i32, offset));
            assert_eq!(earlier, None, "{token} delivered twice");
        }
        other => panic!("{other:?}"),
    };
    let mut token = 0;
    loop {
        tokio::select! {
            _ = &mut stop => break,
            _ = tick.tick() => {
                let value = Bytes::from(token.to_string().into_bytes().repeat(200));
                producer.push(MediaRecord {
                    segment: (Track::Video, SegmentNumber(token / 20)),
                    media_duration: Micros(5_000),
                    last_of_segment: token % 20 == 19,
                    record: record(Topic::Source, (token % 4) as i32, value),
                    token,
                });
                token += 1;
            }
            event = producer.next() => seen(event),
        }
    }
    assert!(
        producer.flush(crate::setup::LIMIT).await,
        "{:?}",
        producer.depth()
    );
    while let Ok(event) = tokio::time::timeout(Duration::ZERO, producer.next()).await {
        seen(event);
    }
    assert_eq!(delivered.len() as u64, token);
    delivered
}

#[tokio::test]
async fn brokers_die_one_after_the_other_under_production() {
    let cluster = KafkaCluster::start(3).await.unwrap();
    let bus = bus_on(&cluster, "outage", Profile::Production).await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let producing = tokio::spawn(produce(bus.clone(), stopped));

    // A reader goes along through all of it.
    let mut tailer = Tailer::new(&bus, TailerOptions::default()).unwrap();
    for partition in 0..4 {
        tailer
            .follow(Topic::Source, partition, StartAt::Beginning)
            .unwrap();
    }
    let (found, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::spawn(async move {
        loop {
            match tailer.next().await {
                TailEvent::Record(record) => {
                    if found.send((record.partition, record.offset)).is_err() {
                        return;
                    }
                }
                TailEvent::End { .. } | TailEvent::Trouble { .. } => {}
                TailEvent::Moved { from, to, .. } => panic!("moved from {from} to {to}"),
            }
        }
    });
    let mut read: Vec<(i32, i64)> = Vec::new();
    for broker in 0..2 {
        // One dies; the other freezes, which nobody's network notices, and wakes up with requests
        // in its hands that were long since sent again to its successor.
        let since = Instant::now();
        if broker == 0 {
            cluster.kill(broker);
        } else {
            cluster.pause(broker);
        }
        // Every partition gets on without it …
        let mut goes_on: HashMap<i32, u32> = HashMap::new();
        within("records after a broker's death", async {
            while goes_on.len() < 4 || goes_on.values().any(|count| *count < 500) {
                let at = seen.recv().await.unwrap();
                *goes_on.entry(at.0).or_default() += 1;
                read.push(at);
            }
        })
        .await;
        eprintln!("without broker {broker}: {:?}", since.elapsed());
        // … and with it again.
        if broker == 0 {
            cluster.restart(broker).await.unwrap();
        } else {
            cluster.resume(broker);
        }
    }
    stop.send(()).unwrap();
    let delivered = within("the producer", producing).await.unwrap();

    // The log holds what was acknowledged, where it was acknowledged, and nothing else.
    let mut next: HashMap<i32, i64> = HashMap::new();
    for (token, (partition, offset)) in &delivered {
        let expected = next.entry(*partition).or_default();
        assert_eq!(offset, expected, "token {token}, partition {partition}");
        *expected += 1;
    }
    for partition in 0..4 {
        let log = bus
            .fetch(&Topic::Source, partition, 0, FetchLimits::default())
            .await
            .unwrap();
        let (_, high) = bus.watermarks(&Topic::Source, partition).await.unwrap();
        assert_eq!(
            (log.len() as i64, high),
            (next[&partition], next[&partition])
        );
        for (i, record) in log.iter().enumerate() {
            let token = i as u64 * 4 + partition as u64;
            let value = token.to_string().into_bytes().repeat(200);
            assert_eq!((record.offset, &record.value[..]), (i as i64, &value[..]));
        }
    }
    // The reader saw each record once, in order.
    within("the reader", async {
        while read.len() < delivered.len() {
            read.push(seen.recv().await.unwrap());
        }
    })
    .await;
    for partition in 0..4 {
        let offsets = read.iter().filter(|(p, _)| *p == partition);
        assert!(offsets.map(|(_, o)| *o).eq(0..next[&partition]));
    }
    reading.abort();
    cluster.shutdown().await;
}

#[tokio::test]
async fn readers_and_writers_outlive_the_only_broker() {
    let cluster = KafkaCluster::start(1).await.unwrap();
    let bus = bus_on(&cluster, "restart", Profile::Single).await;
    let producer = bus.producer().unwrap();
    let mut tailer = Tailer::new(&bus, TailerOptions::default()).unwrap();
    tailer.follow(Topic::Status, 0, StartAt::End).unwrap();
    let end = within("the end", tailer.next()).await;
    assert!(matches!(end, TailEvent::End { offset: 0, .. }), "{end:?}");

    cluster.kill(0);
    let trouble = within("trouble", tailer.next()).await;
    assert!(matches!(trouble, TailEvent::Trouble { .. }), "{trouble:?}");
    // Sent while nobody is there, delivered when somebody is.
    let sent = record(Topic::Status, 0, "after");
    let delivery = producer.enqueue(&sent).unwrap();
    cluster.restart(0).await.unwrap();
    assert_eq!(within("the delivery", delivery).await.unwrap().offset, 0);
    within("the record", async {
        loop {
            if let TailEvent::Record(record) = tailer.next().await {
                assert_eq!(record.value, "after");
                return;
            }
        }
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn position_that_retention_has_passed_is_reported_with_the_new_one() {
    let bus = bus("retention").await;
    let producer = bus.producer().unwrap();
    for i in 0..10 {
        let sent = producer.send(record(Topic::Source, 1, i.to_string()));
        sent.await.unwrap();
    }
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &bus.config().bootstrap_servers)
        .create()
        .unwrap();
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(&bus.topics().name(&Topic::Source), 1, Offset::Offset(5))
        .unwrap();
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await;
    deleted.unwrap();

    let mut tailer = Tailer::new(&bus, TailerOptions::default()).unwrap();
    tailer.follow(Topic::Source, 1, StartAt::Offset(2)).unwrap();
    let moved = within("the move", tailer.next()).await;
    let expected = TailEvent::Moved {
        topic: Topic::Source,
        partition: 1,
        from: 2,
        to: 5,
    };
    assert_eq!(moved, expected);
    let record = within("a record", tailer.next()).await;
    assert!(matches!(record, TailEvent::Record(r) if r.offset == 5));

    let read = bus.fetch(&Topic::Source, 1, 2, FetchLimits::default());
    match read.await {
        Err(BusError::OutOfRange { low, high, .. }) => assert_eq!((low, high), (5, 10)),
        other => panic!("{other:?}"),
    }
}
