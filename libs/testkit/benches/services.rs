//! `cargo bench -p reelay-testkit --bench services`: what whole services cost. CPU of ingest per
//! second of media, bytes in Kafka per second of media, and memory of each service, idle and
//! with ten streams. Prints rows of a Markdown table; progress goes to standard error.
//!
//! The services are those that stand beside this program, so build them first with
//! `cargo build --release --workspace --bins`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reelay_testkit::stack::StackKafka;
use reelay_testkit::{KafkaCluster, ScratchDir, Stack, wait_until};
use serde_json::json;

/// How long each figure is taken over.
const MEASURED: Duration = Duration::from_secs(60);
/// Streams of the second memory figure, and of the CPU figure.
const STREAMS: usize = 10;
const LIMIT: Duration = Duration::from_secs(120);
/// Of the clip that all streams play: 720p at 25 fps, about 2.5 Mbit/s with its sound.
const CLIP_SECONDS: u64 = 60;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let dir = ScratchDir::new("bench").unwrap();
    let kafka = KafkaCluster::builder(1)
        .dir(dir.path().join("kafka"))
        .start()
        .await
        .unwrap();
    let stack = Stack::builder()
        .kafka(StackKafka::Given(kafka))
        .start()
        .await
        .unwrap();
    eprintln!("making a clip of {CLIP_SECONDS} s");
    let clip = stack.media_dir().join("clip.mp4");
    make_clip(&clip);

    eprintln!("measuring memory, idle");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = memory(&stack);
    for i in 0..STREAMS {
        let id = format!("stream-{i}");
        let spec = json!({"id": id, "source": "file:clip.mp4", "greatestSegmentSeconds": 2});
        stack.add_stream(&spec).await.unwrap();
    }
    for i in 0..STREAMS {
        stack
            .playable(0, &format!("stream-{i}"), LIMIT)
            .await
            .unwrap();
    }
    eprintln!("measuring {STREAMS} streams for {} s", MEASURED.as_secs());
    let (cpu, bytes, began) = (cpu_seconds(&stack), kafka_bytes(dir.path()), Instant::now());
    // Somebody watches, so that the gateway holds what it serves.
    while began.elapsed() < MEASURED {
        for i in 0..STREAMS {
            let url = format!(
                "{}/streams/stream-{i}/hls/video/media.m3u8",
                stack.gateway(0).url()
            );
            reqwest::get(url).await.unwrap().bytes().await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let media = began.elapsed().as_secs_f64() * STREAMS as f64;
    let cpu = (cpu_seconds(&stack) - cpu) / media;
    let bytes = (kafka_bytes(dir.path()) - bytes) as f64 / media;
    let busy = memory(&stack);

    println!(
        "| ingest: CPU seconds per media second (720p file, {STREAMS} streams) | {cpu:.4} | ≤ 0.02 | |"
    );
    let source = media_bytes(&clip) as f64 / CLIP_SECONDS as f64;
    let over = 100.0 * (bytes / source - 1.0);
    println!(
        "| ingest: bytes in Kafka per media second, against the source's {source:.0} | {bytes:.0} ({over:+.1}%) | within 5% | |"
    );
    for (service, bytes) in idle {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let with = busy.get(service).copied().unwrap_or_default();
        let what = format!("{service}: memory idle, and with {STREAMS} streams");
        println!(
            "| {what} | {:.0} MiB, {:.0} MiB | reported | |",
            mib(bytes),
            mib(with)
        );
    }
    stack.shutdown().await;
    // Nothing that was measured may still be writing into the folder that goes now.
    let gone = || fs::remove_dir_all(dir.path()).is_ok() || !dir.path().exists();
    wait_until("the folder to be empty", LIMIT, async || {
        gone().then_some(())
    })
    .await
    .unwrap();
}

fn make_clip(path: &Path) {
    // Noise makes the bits that a camera's picture has.
    let video =
        format!("testsrc2=size=1280x720:rate=25:duration={CLIP_SECONDS},noise=alls=12:allf=t");
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={CLIP_SECONDS}");
    let codecs = "-c:v libx264 -preset veryfast -b:v 2400k -maxrate 2600k -bufsize 2500k -g 50 -bf 0 -pix_fmt yuv420p -c:a aac -b:a 96k";
    let status = Command::new("ffmpeg")
        .args([
            "-v", "error", "-y", "-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &sound,
        ])
        .args(codecs.split(' '))
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

/// Bytes of the packets of a file, without its boxes.
fn media_bytes(path: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "packet=size",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|l| l.trim_end_matches(',').parse::<u64>().ok())
        .sum()
}

/// Bytes of all media and index records in Kafka's own files.
fn kafka_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    let bytes = entries.flatten().map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return kafka_bytes(&path);
        }
        let topic = path
            .parent()
            .and_then(|p| p.file_name())
            .unwrap_or_default()
            .to_string_lossy();
        let counts = ["source-", "audio-", "index-"]
            .iter()
            .any(|t| topic.contains(t));
        let log = path.extension().is_some_and(|e| e == "log");
        if counts && log {
            entry.metadata().map_or(0, |m| m.len())
        } else {
            0
        }
    });
    bytes.sum()
}

/// A process and all below it.
fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        let tasks = fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|p| p.parse::<u32>().ok()),
            );
        }
    }
    found
}

/// CPU time of ingest and its workers so far, seconds.
fn cpu_seconds(stack: &Stack) -> f64 {
    let ticks: u64 = family(stack.ingest(0).process().pid())
        .into_iter()
        .map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Fields 14 and 15 of proc(5): utime and stime, counted behind the name in brackets.
            let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
            fields
                .split(' ')
                .skip(11)
                .take(2)
                .filter_map(|n| n.parse::<u64>().ok())
                .sum::<u64>()
        })
        .sum();
    // USER_HZ is 100 on every Linux that this runs on.
    ticks as f64 / 100.0
}

/// Proportional set size of each service with its workers, bytes.
fn memory(stack: &Stack) -> BTreeMap<&'static str, u64> {
    let of = |pid: u32| -> u64 {
        let kib = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text
                .lines()
                .find_map(|l| l.strip_prefix("Pss:").map(str::to_owned));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0)
        };
        family(pid).into_iter().map(kib).sum::<u64>() * 1024
    };
    BTreeMap::from([
        ("ingest", of(stack.ingest(0).process().pid())),
        ("gateway", of(stack.gateway(0).process().pid())),
    ])
}
