//! The synthetic camera reaches the log, and goes on where it was after a restart.

use reelay_model::Phase;
use reelay_wire::{Kind, Topic, Track};

use crate::setup::Deployment;

/// Small and cheap: the tests are about the log, not about the picture.
pub const CAMERA: &str = "synthetic:?width=320&height=180&fps=25&bitrate=200000&tone=440";

#[tokio::test]
async fn a_camera_reaches_the_log_and_a_restart_goes_on_without_a_break() {
    let log = Deployment::new("restart").await;
    let camera = log.add("camera", CAMERA).await;

    let ingest = log.ingest();
    log.grows(&camera, 3).await;
    let status = log.live(&camera).await;
    assert_eq!(status.problem, None);
    let tracks: Vec<_> = status
        .tracks
        .iter()
        .map(|track| track.track.clone())
        .collect();
    assert_eq!(tracks, [Track::Video, Track::Audio]);
    ingest.stop().await;

    let status = log.status(&camera).await.unwrap();
    assert_eq!(status.phase, Phase::Offline);
    let video = log.indexed(&camera, Track::Video).await;
    let last = video.last().unwrap();
    assert_eq!(status.high_water.unwrap().segment, last.segment);
    let report = log.sound().await;
    assert_eq!((report.counts.gaps, report.counts.truncated), (0, 0));

    let ingest = log.ingest();
    log.grows(&camera, 2).await;
    ingest.stop().await;
    let went_on = log.indexed(&camera, Track::Video).await;
    assert_eq!(went_on[video.len()].segment, last.segment.next());
    assert_eq!(went_on[video.len()].decode_time, last.end_time());
    assert!(went_on[video.len()].epoch > last.epoch);
    let report = log.sound().await;
    assert_eq!(report.counts.takeovers, 1);
    assert_eq!((report.counts.gaps, report.counts.discontinuities), (0, 0));
}

#[tokio::test]
async fn a_camera_without_sound_has_no_audio_track() {
    let log = Deployment::new("silent").await;
    let camera = log
        .add(
            "silent",
            "synthetic:?width=320&height=180&bitrate=200000&tone=0",
        )
        .await;
    let ingest = log.ingest();
    let status = log
        .status_until(&camera, "durable", |s| {
            s.durable.first().is_some_and(|d| d.part.0 > 2)
        })
        .await;
    assert_eq!(status.tracks.len(), 1);
    ingest.stop().await;
    let audio = log.headers(&camera, Topic::Audio).await;
    assert!(
        audio
            .iter()
            .all(|(_, h)| matches!(h.kind, Kind::Claim { .. } | Kind::Opening { .. }))
    );
    log.sound().await;
}

#[tokio::test]
async fn a_record_that_is_no_spec_is_passed_over() {
    let log = Deployment::new("nospec").await;
    let id = "camera".parse().unwrap();
    let partition = reelay_wire::partition_for(&id, 2);
    log.write_raw(&id, partition, "{").await;
    log.write_raw(&id, partition, r#"{"form":1,"uid":"x"}"#)
        .await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    log.live(&camera).await;
    ingest.stop().await;
    log.sound().await;
}
