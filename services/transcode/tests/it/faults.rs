//! Whatever happens to a worker or a transcode: what the log holds is what an undisturbed run makes.

use std::time::Duration;

use reelay_bus::{Headers, Outgoing};
use reelay_testkit::wait_until;
use reelay_wire::{CHUNK_HEADER, Header, Kind, SegmentNumber, Topic, Track};

use crate::setup::{Added, CAMERA, Deployment, LIMIT, tracks};

/// Waits until the newest segment of a rung has a part that does not end it.
async fn mid_segment(log: &Deployment, camera: &Added) -> SegmentNumber {
    let topic = Topic::of_track(&tracks()[0]);
    wait_until("the middle of a segment", LIMIT, || async {
        let (_, last) = log.records(camera, topic.clone()).await.pop()?;
        match last.kind {
            Kind::Chunk {
                part,
                last_part: false,
                ..
            } if part.0 > 1 => Some(last.segment),
            _ => None,
        }
    })
    .await
    .unwrap()
}

/// Process ids of the workers that are children of `parent`.
fn workers(parent: u32) -> Vec<i32> {
    let tasks = format!("/proc/{parent}/task");
    let children = std::fs::read_dir(tasks).unwrap().flat_map(|task| {
        let path = task.unwrap().path().join("children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .map(|pid| pid.parse::<i32>().unwrap())
            .collect::<Vec<_>>()
    });
    children.collect()
}

fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

async fn attempts(log: &Deployment, camera: &Added) -> usize {
    let records = log.records(camera, Topic::Index).await;
    records
        .iter()
        .filter(|(_, header)| header.kind == Kind::Attempt)
        .count()
}

#[tokio::test]
async fn a_killed_and_a_frozen_worker_leave_no_trace_but_their_attempts() {
    let log = Deployment::new("worker").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    let transcode = log.process("transcode");
    log.grows(&camera, 1).await;
    for (count, how) in [
        (1, nix::sys::signal::Signal::SIGKILL),
        (2, nix::sys::signal::Signal::SIGSTOP),
    ] {
        mid_segment(&log, &camera).await;
        for pid in workers(transcode.pid()) {
            signal(pid, how);
        }
        wait_until("an attempt record", LIMIT, || async {
            (attempts(&log, &camera).await >= count).then_some(())
        })
        .await
        .unwrap();
        log.grows(&camera, 1).await;
    }
    ingest.stop().await;
    log.complete(&camera).await;
    transcode.stop(Duration::from_secs(15)).await;
    log.proves(&camera, "worker-again").await;
    for track in tracks() {
        let indexed = log.indexed(&camera, &track).await;
        assert!(indexed.values().all(|gap| !gap), "{track}: {indexed:?}");
    }
}

#[tokio::test]
async fn another_goes_on_where_a_killed_transcode_stopped() {
    let log = Deployment::new("takeover").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    let first = log.process("first");
    log.grows(&camera, 1).await;
    let number = mid_segment(&log, &camera).await;
    first.kill();
    let second = log.process("second");
    log.grows(&camera, 3).await;
    ingest.stop().await;
    log.complete(&camera).await;
    second.stop(Duration::from_secs(15)).await;

    log.proves(&camera, "takeover-again").await;
    for track in tracks() {
        let indexed = log.indexed(&camera, &track).await;
        assert_eq!(indexed.get(&number), Some(&false), "{track}: {indexed:?}");
        assert!(indexed.values().all(|gap| !gap), "{track}: {indexed:?}");
    }
}

#[tokio::test]
async fn two_groups_at_once_agree_on_every_byte() {
    let log = Deployment::new("twice").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    let one = log.transcode(log.config("one"));
    let two = log.transcode(log.config("two"));
    log.grows(&camera, 4).await;
    ingest.stop().await;
    log.complete(&camera).await;
    one.stop().await;
    two.stop().await;
    for track in tracks() {
        let mut copies = std::collections::BTreeMap::new();
        for (record, header) in log.records(&camera, Topic::of_track(&track)).await {
            if let Kind::Chunk { part, .. } = header.kind {
                let known = copies
                    .entry((header.epoch, header.segment, part))
                    .or_insert_with(|| record.value.clone());
                assert_eq!(*known, record.value, "{track} {} {part}", header.segment);
            }
        }
    }
    log.proves(&camera, "twice-again").await;
}

/// The bytes of one segment are garbage under headers that are valid.
#[tokio::test]
async fn a_poisoned_segment_is_given_up_and_its_neighbours_are_not() {
    let clean = Deployment::new("clean").await;
    let camera = clean.add("camera", CAMERA).await;
    let ingest = clean.ingest();
    wait_until("six segments", LIMIT, || async {
        (clean.indexed(&camera, &Track::Video).await.len() >= 6).then_some(())
    })
    .await
    .unwrap();
    ingest.stop().await;
    let poisoned = *clean
        .indexed(&camera, &Track::Video)
        .await
        .keys()
        .nth(2)
        .unwrap();

    let log = Deployment::new("poison").await;
    for topic in [Topic::Streams, Topic::Source, Topic::Index] {
        for record in clean.read(topic.clone()).await {
            let header = record
                .headers
                .get(CHUNK_HEADER)
                .map(|b| Header::decode(b).unwrap());
            let mut value = record.value.to_vec();
            if let Some(header) = header.filter(|h| topic == Topic::Source && h.segment == poisoned)
                && let Kind::Chunk { init_length, .. } = header.kind
            {
                for byte in &mut value[init_length as usize..] {
                    *byte = byte.wrapping_mul(31).wrapping_add(17);
                }
            }
            log.append(Outgoing {
                topic: topic.clone(),
                partition: 0,
                key: record.key.unwrap_or_default(),
                headers: Headers(record.headers.0),
                value: value.into(),
            })
            .await;
        }
    }
    let transcode = log.transcode(log.config("poison"));
    log.complete(&camera).await;
    let status = wait_until("a status that says so", LIMIT, || async {
        log.status(&camera).await?.problem
    })
    .await
    .unwrap();
    transcode.stop().await;
    assert_eq!(status.code, "segment-given-up");
    assert!(status.message.contains(&poisoned.to_string()), "{status:?}");
    assert_eq!(attempts(&log, &camera).await, 3);
    for track in tracks() {
        for (number, gap) in log.indexed(&camera, &track).await {
            assert_eq!(gap, number == poisoned, "{track} segment {number}");
        }
        let expected = log.undisturbed(&camera, "poison-again").await;
        assert_eq!(log.parts(&camera, &track).await, expected[&track]);
    }
}
