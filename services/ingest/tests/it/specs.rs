//! Edits and deletions of specs.

use reelay_model::Phase;
use reelay_testkit::wait_until;
use reelay_wire::{Kind, Topic, Track};
use serde_json::json;

use crate::{
    setup::{Deployment, LIMIT},
    synthetic::CAMERA,
};

#[tokio::test]
async fn a_new_name_restarts_nothing_and_a_new_source_is_a_discontinuity() {
    let log = Deployment::new("edit").await;
    let mut camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    log.grows(&camera, 1).await;
    let spec = |name: &str, source: &str| {
        json!({"id": "camera", "name": name, "source": source,
            "greatestSegmentSeconds": 2, "labels": {"site": name}})
    };
    log.edit(&mut camera, spec("Door", CAMERA)).await;
    log.grows(&camera, 2).await;
    let report = log.sound().await;
    assert_eq!((report.counts.takeovers, report.counts.truncated), (0, 0));
    assert_eq!(report.counts.discontinuities, 0);

    let wider = "synthetic:?width=640&height=360&fps=25&bitrate=300000&tone=440";
    log.edit(&mut camera, spec("Door", wider)).await;
    wait_until("a segment of the new source", LIMIT, || async {
        let video = log.indexed(&camera, Track::Video).await;
        let wide = |kind: &Kind| matches!(kind, Kind::Chunk { format, .. } if format.width == 640);
        video
            .iter()
            .any(|segment| wide(&segment.kind))
            .then_some(())
    })
    .await
    .unwrap();
    ingest.stop().await;
    let report = log.sound().await;
    assert_eq!(
        report.counts.takeovers, 1,
        "part targets are fixed with a claim"
    );
    assert!(report.counts.discontinuities > 0);
    assert_eq!(report.counts.gaps, 0);
}

#[tokio::test]
async fn a_deleted_stream_ends_and_may_be_made_again() {
    let log = Deployment::new("delete").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    log.grows(&camera, 1).await;
    log.remove(&camera).await;
    log.status_until(&camera, "offline", |s| s.phase == Phase::Offline)
        .await;
    for topic in [Topic::Source, Topic::Audio, Topic::Index] {
        let (_, last) = log.headers(&camera, topic.clone()).await.pop().unwrap();
        assert_eq!(last.kind, Kind::End, "{topic}");
    }
    let again = log.add("camera", CAMERA).await;
    log.grows(&again, 1).await;
    ingest.stop().await;
    log.sound().await;
}

#[tokio::test]
async fn a_stream_deleted_while_nobody_owned_it_ends_as_well() {
    let log = Deployment::new("orphan").await;
    let camera = log.add("camera", CAMERA).await;
    let owner = log.process("owner");
    log.grows(&camera, 1).await;
    owner.kill();
    log.remove(&camera).await;
    let ingest = log.ingest();
    log.status_until(&camera, "offline", |s| s.phase == Phase::Offline)
        .await;
    ingest.stop().await;
    let (_, last) = log.headers(&camera, Topic::Index).await.pop().unwrap();
    assert_eq!(last.kind, Kind::End);
    log.sound().await;
}
