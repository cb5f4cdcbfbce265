//! `cargo bench -p reelay-gateway --bench serving`: what serving costs. CPU of the gateway per
//! viewer-second with many LL-HLS viewers, beside MediaMTX; CPU per GB of cached segments, beside
//! nginx; bytes read from Kafka per byte served. Prints rows of a Markdown table; progress goes
//! to standard error. CPU is that of the whole serving process, from /proc.
//!
//! `-- --viewers 200 --seconds 30 --gigabytes 4` are the defaults.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../../tests/it/live/camera.rs"]
mod camera;
mod peers;
mod viewer;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use reelay_bus::{
    Bus, BusConfig,
    admin::{self, PlanOptions},
};
use reelay_testkit::{
    KafkaCluster, ScratchDir,
    kafka::unique_prefix,
    ports::free_port,
    process::{Process, ProcessSpec},
    wait_until,
};
use reelay_wire::partition_for;
use serde_json::json;

use camera::Camera;
use viewer::{Totals, watch};

const LIMIT: Duration = Duration::from_secs(60);
/// Viewers get up to speed before anything is measured.
const WARM_UP: Duration = Duration::from_secs(5);
/// Bytes of a part of video; audio has a tenth. Five of each a second are 2.8 Mbit/s.
const PART_BYTES: usize = 63_600;
/// Connections that fetch cached segments.
const FETCHERS: usize = 8;

/// Sizes of the run.
struct Size {
    viewers: usize,
    seconds: u64,
    gigabytes: f64,
}

impl Size {
    fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let value = |flag: &str| {
            let at = args.iter().position(|arg| arg == flag)?;
            Some(args.get(at + 1)?.parse::<f64>().unwrap())
        };
        Self {
            viewers: value("--viewers").unwrap_or(200.0) as usize,
            seconds: value("--seconds").unwrap_or(30.0) as u64,
            gigabytes: value("--gigabytes").unwrap_or(4.0),
        }
    }
}

/// CPU time of a process so far, in seconds: user and system, all threads.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|f| f.parse::<f64>().unwrap())
        .sum();
    // USER_HZ is 100 on every Linux.
    ticks / 100.0
}

/// What watching cost.
struct Watched {
    cpu_per_viewer_second: f64,
    bits_per_viewer_second: f64,
    failures: u64,
    bytes: u64,
}

/// Has viewers watch `master` and measures the process that serves it.
async fn measure(master: &str, pid: u32, size: &Size) -> Watched {
    let totals = Arc::new(Totals::default());
    let viewers: Vec<_> = (0..size.viewers)
        .map(|at| tokio::spawn(watch(master.to_owned(), at, totals.clone())))
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let (cpu, bytes, failures) = (cpu_seconds(pid), totals.bytes(), totals.failures());
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(size.seconds)).await;
    let viewer_seconds = began.elapsed().as_secs_f64() * size.viewers as f64;
    let watched = Watched {
        cpu_per_viewer_second: (cpu_seconds(pid) - cpu) / viewer_seconds,
        bits_per_viewer_second: (totals.bytes() - bytes) as f64 * 8.0 / viewer_seconds,
        failures: totals.failures() - failures,
        bytes: totals.bytes() - bytes,
    };
    viewers.iter().for_each(tokio::task::JoinHandle::abort);
    watched
}

/// CPU seconds per GB of a server that hands out `urls` again and again.
async fn fetch_again_and_again(urls: &[String], pid: u32, gigabytes: f64) -> f64 {
    let (wanted, got) = ((gigabytes * 1e9) as u64, AtomicU64::new(0));
    let client = reqwest::Client::new();
    let run = async |limit: u64| {
        got.store(0, Ordering::Relaxed);
        let fetchers = (0..FETCHERS).map(async |at| {
            for url in urls.iter().cycle().skip(at) {
                if got.load(Ordering::Relaxed) >= limit {
                    break;
                }
                let mut response = client
                    .get(url)
                    .send()
                    .await
                    .unwrap()
                    .error_for_status()
                    .unwrap();
                while let Some(chunk) = response.chunk().await.unwrap() {
                    got.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
            }
        });
        join_all(fetchers).await;
        got.load(Ordering::Relaxed)
    };
    // Everything is cached before it counts.
    run(50_000_000).await;
    let cpu = cpu_seconds(pid);
    let bytes = run(wanted).await;
    (cpu_seconds(pid) - cpu) / (bytes as f64 / 1e9)
}

/// The sum of a metric over its labels.
async fn metric(admin: &str, name: &str) -> f64 {
    let text = reqwest::get(format!("http://{admin}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let values = text
        .lines()
        .filter(|line| line.starts_with(name) && !line.starts_with('#'));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let size = Size::from_args();
    let dir = ScratchDir::new("serving").unwrap();
    let servers = KafkaCluster::shared().await.unwrap().bootstrap_servers();
    let prefix = unique_prefix("serving");
    let bus = Bus::new(BusConfig {
        bootstrap_servers: servers.clone(),
        topic_prefix: prefix.clone(),
        ..BusConfig::default()
    });
    let bus = bus.unwrap();
    let partitions = 4;
    let plan = admin::plan(&PlanOptions {
        partitions,
        ..PlanOptions::default()
    });
    admin::ensure(&bus, &plan).await.unwrap();

    let (address, admin) = (
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let program = env!("CARGO_BIN_EXE_reelay-gateway");
    let spec = ProcessSpec::new("gateway", program, dir.path().join("gateway.log"))
        .args(["--listen", &address, "--admin-listen", &admin])
        .args([
            "--kafka-bootstrap-servers",
            &servers,
            "--topic-prefix",
            &prefix,
        ]);
    let gateway = Process::start(spec).unwrap();
    let ready = async || {
        let answer = reqwest::get(format!("http://{admin}/readyz")).await.ok()?;
        answer.status().is_success().then_some(())
    };
    wait_until("the gateway is ready", LIMIT, ready)
        .await
        .unwrap();

    let stream = json!({"id": "bench", "source": "synthetic:", "greatestSegmentSeconds": 2});
    let streams = format!("http://{address}/api/v1/streams");
    let added = reqwest::Client::new()
        .post(streams)
        .json(&stream)
        .send()
        .await
        .unwrap();
    let view: serde_json::Value = added.error_for_status().unwrap().json().await.unwrap();
    let uid = view["spec"]["uid"].as_str().unwrap().parse().unwrap();
    let id = "bench".parse().unwrap();
    let partition = partition_for(&id, partitions);
    let mut camera = Camera::new(&bus, id, uid, partition, true).with_part_bytes(PART_BYTES);
    camera.claim().await;
    let on = Arc::new(AtomicBool::new(true));
    let filming = tokio::spawn({
        let on = on.clone();
        async move {
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            while on.load(Ordering::Relaxed) {
                tick.tick().await;
                camera.part().await;
                camera.media.clear();
            }
        }
    });

    let master = format!("http://{address}/streams/bench/hls/master.m3u8");
    eprintln!(
        "{} viewers of the gateway for {} s",
        size.viewers, size.seconds
    );
    let from_kafka = metric(&admin, "reelay_bus_consumed_bytes_total").await;
    let ours = measure(&master, gateway.pid(), &size).await;
    let from_kafka = metric(&admin, "reelay_bus_consumed_bytes_total").await - from_kafka;
    let kafka_share =
        from_kafka / (ours.bytes as f64 * (1.0 + WARM_UP.as_secs_f64() / size.seconds as f64));
    eprintln!("cached segments from the gateway");
    let urls = viewer::segment_urls(&format!(
        "http://{address}/streams/bench/hls/video/media.m3u8"
    ))
    .await;
    on.store(false, Ordering::Relaxed);
    filming.await.unwrap();
    let per_gb = fetch_again_and_again(&urls, gateway.pid(), size.gigabytes).await;
    eprintln!("cached segments from nginx");
    let nginx = peers::nginx(&dir, &urls).await;
    let nginx_per_gb = match &nginx {
        Some((process, urls)) => {
            Some(fetch_again_and_again(urls, process.pid(), size.gigabytes).await)
        }
        None => None,
    };
    drop((gateway, nginx));
    eprintln!(
        "{} viewers of MediaMTX for {} s",
        size.viewers, size.seconds
    );
    let theirs = match peers::mediamtx(&dir).await {
        Some(peer) => Some(measure(&peer.master, peer.pid(), &size).await),
        None => None,
    };

    let cost = |w: &Watched| {
        let (ms, mbit) = (
            w.cpu_per_viewer_second * 1e3,
            w.bits_per_viewer_second / 1e6,
        );
        format!(
            "{ms:.2} ms at {mbit:.2} Mbit/s, {} failed requests",
            w.failures
        )
    };
    let peer = theirs.map_or("MediaMTX not here".into(), |w| {
        format!("MediaMTX: {}", cost(&w))
    });
    println!(
        "| gateway: CPU per viewer-second, {} viewers | {} | ≤ 1.0 ms | {peer} |",
        size.viewers,
        cost(&ours)
    );
    let peer = nginx_per_gb.map_or("nginx not here".into(), |s| {
        format!("nginx: {s:.3} s ({:.1} times)", per_gb / s)
    });
    println!(
        "| gateway: CPU seconds per GB of cached segments | {per_gb:.3} s | ≤ 2 times nginx | {peer} |"
    );
    println!(
        "| gateway: bytes read from Kafka per byte served, {} viewers | {kafka_share:.4} | reported | |",
        size.viewers
    );
}
