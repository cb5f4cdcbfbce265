//! `cargo bench -p reelay-bus`: 100 KB records with `acks=all` through this library and through
//! Kafka's own performance tools, in turn, on one broker that is started for it; and how long a
//! record takes from `push` to a tailer. Prints a Markdown table.
//!
//! Both sides append to and read from one partition. Kafka's producer has its defaults and some
//! records to warm up; ours has as many bytes under way (`buffer.memory`, 32 MiB). Kafka's consumer
//! knows no warm-up: the time that Java takes to compile it counts against it.

#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use reelay_bus::{
    Bus, BusConfig, DroppedSegment, Headers, MediaProducer, MediaRecord, Outgoing, SpoolLimits,
    StartAt, TailEvent, Tailer, TailerOptions, admin,
};
use reelay_model::{Micros, SegmentNumber, Track};
use reelay_testkit::{KafkaCluster, kafka::unique_prefix, project_root};
use reelay_wire::Topic;

const RECORD_BYTES: usize = 100_000;
const RECORDS: usize = 10_000;
/// Records that Kafka's producer sends before it is measured.
const WARM_UP: usize = 3_000;
const ROUNDS: usize = 5;
const UNDER_WAY_BYTES: usize = 32 << 20;
const MB: f64 = 1e6;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let cluster = KafkaCluster::builder(1).long_lived().start().await.unwrap();
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        // Each side in a topic of its own, new in every round; the first round only warms up.
        let (ours, theirs) = (bus(&cluster).await, bus(&cluster).await);
        let figures = Round {
            produce: produce(&ours).await,
            java_produce: java_produce(&theirs),
            consume: consume(&ours).await,
            java_consume: java_consume(&theirs),
        };
        eprintln!("round {round}: {figures:?}");
        if round > 0 {
            rounds.push(figures);
        }
    }
    let latency = latencies(&bus(&cluster).await).await;
    cluster.shutdown().await;

    let median = |of: fn(&Round) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let at = |share: f64| latency[(latency.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "| bus: {RECORDS} records of 100 KB, acks=all | Reelay | Kafka's tool | ratio | aim |"
    );
    println!("|---|---|---|---|---|");
    let row = |what: &str, ours: f64, theirs: f64| {
        let ratio = ours / theirs;
        println!("| {what} | {ours:.0} MB/s | {theirs:.0} MB/s | {ratio:.2} | ≥ 0.9 |");
    };
    row("produce", median(|r| r.produce), median(|r| r.java_produce));
    row("consume", median(|r| r.consume), median(|r| r.java_consume));
    println!(
        "| push to tailer, 25 records/s | p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms | | | |",
        at(0.5),
        at(0.95),
        at(0.99)
    );
}

/// MB/s.
#[derive(Debug)]
struct Round {
    produce: f64,
    java_produce: f64,
    consume: f64,
    java_consume: f64,
}

async fn bus(cluster: &KafkaCluster) -> Bus {
    let bus = Bus::new(BusConfig {
        bootstrap_servers: cluster.bootstrap_servers(),
        topic_prefix: unique_prefix("bench"),
        ..BusConfig::default()
    })
    .unwrap();
    let plan = admin::plan(&admin::PlanOptions {
        partitions: 1,
        ..admin::PlanOptions::default()
    });
    admin::ensure(&bus, &plan).await.unwrap();
    bus
}

fn outgoing(value: &Bytes) -> Outgoing {
    Outgoing {
        topic: Topic::Source,
        partition: 0,
        key: Bytes::from_static(b"camera"),
        headers: Headers::new().with("chunk", vec![0; 60]),
        value: value.clone(),
    }
}

fn per_second(since: Instant) -> f64 {
    (RECORDS * RECORD_BYTES) as f64 / MB / since.elapsed().as_secs_f64()
}

async fn produce(bus: &Bus) -> f64 {
    let producer = bus.producer().unwrap();
    let value = Bytes::from(vec![7; RECORD_BYTES]);
    let since = Instant::now();
    let mut under_way = VecDeque::new();
    for _ in 0..RECORDS {
        under_way.push_back(Box::pin(producer.enqueue(&outgoing(&value)).unwrap()));
        if under_way.len() > UNDER_WAY_BYTES / RECORD_BYTES
            && let Some(first) = under_way.pop_front()
        {
            first.await.unwrap();
        }
    }
    for delivery in under_way {
        delivery.await.unwrap();
    }
    per_second(since)
}

async fn consume(bus: &Bus) -> f64 {
    let mut tailer = Tailer::new(bus, TailerOptions::default()).unwrap();
    let since = Instant::now();
    tailer.follow(Topic::Source, 0, StartAt::Beginning).unwrap();
    let mut read = 0;
    while read < RECORDS {
        if let TailEvent::Record(record) = tailer.next().await {
            assert_eq!(record.value.len(), RECORD_BYTES);
            read += 1;
        }
    }
    per_second(since)
}

/// From `push` to the tailer's event, of parts as a 4 Mbit/s camera has them.
async fn latencies(bus: &Bus) -> Vec<Duration> {
    let gap = Box::new(|gap: &DroppedSegment| gap.first.clone());
    let mut producer = MediaProducer::new(bus, SpoolLimits::default(), gap).unwrap();
    let mut tailer = Tailer::new(bus, TailerOptions::default()).unwrap();
    tailer.follow(Topic::Source, 0, StartAt::Beginning).unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(40));
    let value = Bytes::from(vec![7; 20_000]);
    let (mut pushed, mut seen) = (VecDeque::new(), Vec::new());
    while seen.len() < 500 {
        tokio::select! {
            _ = tick.tick() => {
                let token = (seen.len() + pushed.len()) as u64;
                pushed.push_back(Instant::now());
                producer.push(MediaRecord {
                    segment: (Track::Video, SegmentNumber(token / 10)),
                    media_duration: Micros(40_000),
                    last_of_segment: token % 10 == 9,
                    record: outgoing(&value),
                    token,
                });
            }
            event = tailer.next() => if let TailEvent::Record(_) = event {
                seen.push(pushed.pop_front().unwrap().elapsed());
            },
            _ = producer.next() => {}
        }
    }
    // Connecting is not what is measured.
    seen.drain(..25);
    seen.sort_unstable();
    seen
}

fn java(tool: &str, bus: &Bus, arguments: &[&str]) -> String {
    let libs: PathBuf = project_root().join(".run/kafka/libs/*");
    let output = Command::new("java")
        .arg("-Xmx512m")
        .arg("-cp")
        .arg(libs)
        .arg(format!("org.apache.kafka.tools.{tool}"))
        .args(["--bootstrap-server", &bus.config().bootstrap_servers])
        .args(["--topic", &bus.topics().name(&Topic::Source)])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{tool} failed");
    String::from_utf8(output.stdout).unwrap()
}

/// Its last line: `10000 records sent, 4612.5 records/sec (439.88 MB/sec), …`.
fn java_produce(bus: &Bus) -> f64 {
    let record_size = RECORD_BYTES.to_string();
    // What is measured begins when Java has compiled what it runs.
    let (records, warm_up) = ((RECORDS + WARM_UP).to_string(), WARM_UP.to_string());
    let arguments = ["--throughput", "-1", "--record-size", &record_size];
    let counts = ["--num-records", &records, "--warmup-records", &warm_up];
    let properties = ["--command-property", "acks=all"];
    let arguments = [arguments.as_slice(), &counts, &properties].concat();
    let text = java("ProducerPerformance", bus, &arguments);
    let line = text.lines().rfind(|line| line.contains("records/sec"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    let at = words.iter().position(|w| w.starts_with("records/sec"));
    let records: f64 = words[at.unwrap() - 1].parse().unwrap();
    records * RECORD_BYTES as f64 / MB
}

/// Its line of values: start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch
/// MB/s, fetch records/s. The last counts from the end of the rebalance, as ours has none.
fn java_consume(bus: &Bus) -> f64 {
    let records = RECORDS.to_string();
    let arguments = ["--hide-header", "--num-records", &records];
    let text = java("ConsumerPerformance", bus, &arguments);
    let line = text.lines().rfind(|line| line.matches(',').count() >= 9);
    let values: Vec<&str> = line.unwrap().split(',').map(str::trim).collect();
    let records: f64 = values[9].parse().unwrap();
    records * RECORD_BYTES as f64 / MB
}
