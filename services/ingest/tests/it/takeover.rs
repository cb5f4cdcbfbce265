//! Two ingests: whatever happens to the owner, the other goes on, and the log holds.

use std::time::Duration;

use reelay_testkit::{Process, wait_until};
use reelay_wire::{Kind, SegmentNumber, Topic, Track};

use crate::{
    setup::{Added, Deployment, LIMIT},
    synthetic::CAMERA,
};

/// The processes, the owner of the stream first.
async fn owner_first(log: &Deployment, camera: &Added) -> (Process, Process) {
    let (a, b) = (log.process("a"), log.process("b"));
    log.grows(camera, 1).await;
    if log.live(camera).await.instance == "a" {
        (a, b)
    } else {
        (b, a)
    }
}

/// Waits until the open segment of the video has a part that does not end it.
async fn mid_segment(log: &Deployment, camera: &Added) -> SegmentNumber {
    wait_until("the middle of a segment", LIMIT, || async {
        let (_, last) = log.headers(camera, Topic::Source).await.pop()?;
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

async fn taken_over(log: &Deployment, camera: &Added, by: &Process) {
    let name = by.name().to_owned();
    log.status_until(camera, "taken over", |s| {
        s.instance == name && !s.durable.is_empty()
    })
    .await;
    log.grows(camera, 2).await;
}

#[tokio::test]
async fn the_other_goes_on_when_the_owner_is_killed_in_mid_segment() {
    let log = Deployment::new("kill").await;
    let camera = log.add("camera", CAMERA).await;
    let (owner, other) = owner_first(&log, &camera).await;
    let number = mid_segment(&log, &camera).await;
    owner.kill();
    taken_over(&log, &camera, &other).await;
    other.stop(Duration::from_secs(15)).await;

    let report = log.sound().await;
    assert_eq!(report.counts.takeovers, 1);
    // Audio and video were cut off at different times: one break of the time line, in each track.
    assert!(report.counts.discontinuities <= 2);
    let video = log.indexed(&camera, Track::Video).await;
    assert!(video.iter().any(|segment| segment.segment == number));
    assert!(
        video
            .iter()
            .all(|segment| !matches!(segment.kind, Kind::Gap))
    );
}

#[tokio::test]
async fn a_zombie_is_fenced() {
    let log = Deployment::new("zombie").await;
    let camera = log.add("camera", CAMERA).await;
    let (owner, other) = owner_first(&log, &camera).await;
    mid_segment(&log, &camera).await;
    owner.pause();
    taken_over(&log, &camera, &other).await;
    let epoch = log
        .indexed(&camera, Track::Video)
        .await
        .last()
        .unwrap()
        .epoch;
    owner.resume();
    // It either learns of the claim or that it lost its partitions; then it stops its worker.
    wait_until("the zombie to stop", LIMIT, || async {
        let text = owner.log();
        (text.contains("fenced by a higher claim") || text.contains("partitions lost"))
            .then_some(())
    })
    .await
    .unwrap();
    log.grows(&camera, 2).await;
    owner.stop(Duration::from_secs(15)).await;
    log.grows(&camera, 1).await;
    other.stop(Duration::from_secs(15)).await;

    let report = log.sound().await;
    assert!(report.counts.takeovers >= 1);
    let last = log.indexed(&camera, Track::Video).await.pop().unwrap();
    assert!(last.epoch >= epoch);
}

#[tokio::test]
async fn a_stop_hands_over_at_the_end_of_a_segment() {
    let log = Deployment::new("handover").await;
    let camera = log.add("camera", CAMERA).await;
    let (owner, other) = owner_first(&log, &camera).await;
    mid_segment(&log, &camera).await;
    owner.stop(Duration::from_secs(15)).await;
    taken_over(&log, &camera, &other).await;
    other.stop(Duration::from_secs(15)).await;
    let report = log.sound().await;
    assert!(report.counts.takeovers >= 1);
    assert_eq!((report.counts.truncated, report.counts.gaps), (0, 0));
    assert_eq!(report.counts.discontinuities, 0);
}

/// A claimant that died between its claims: `index`, which owners follow, says nothing of it.
#[tokio::test]
async fn a_claim_in_source_alone_is_noticed() {
    let log = Deployment::new("lonely").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    log.grows(&camera, 1).await;
    let lonely = log.claim_source(&camera).await;
    wait_until("an owner above the lonely claim", LIMIT, || async {
        let last = log.indexed(&camera, Track::Video).await.pop()?;
        (last.epoch? > lonely).then_some(())
    })
    .await
    .unwrap();
    log.grows(&camera, 1).await;
    ingest.stop().await;
    let report = log.sound().await;
    assert_eq!(
        report.counts.takeovers, 2,
        "the lonely one and the one above it"
    );
}
