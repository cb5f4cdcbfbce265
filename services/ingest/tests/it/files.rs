//! Files are played at their own pace, and a takeover loses nothing of them.

use std::{process::Command, time::Duration};

use reelay_testkit::wait_until;
use reelay_wire::{Header, Kind, Topic, Track};
use serde_json::json;

use crate::setup::{Added, Deployment, LIMIT};

/// A clip of 12 s with a keyframe every second.
fn clip(log: &Deployment) {
    let path = log.media_dir().join("clip.mp4");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25:duration=12",
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000:duration=12",
        ])
        .args("-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -bf 0 -c:a aac".split(' '))
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
}

fn cursor(header: &Header) -> Option<u64> {
    match header.kind {
        Kind::Chunk { cursor, .. } => cursor,
        _ => None,
    }
}

/// Cursors of the video segments in `source`, with their epochs.
async fn cursors(log: &Deployment, added: &Added) -> Vec<(u64, u64)> {
    let headers = log.headers(added, Topic::Source).await;
    let starts = headers
        .iter()
        .filter_map(|(_, h)| Some((h.epoch?.0, cursor(h)?)));
    starts.collect()
}

#[tokio::test]
async fn a_restart_goes_on_in_the_file_without_a_break() {
    let log = Deployment::new("file").await;
    clip(&log);
    let file = log.add("file", "file:clip.mp4").await;
    let ingest = log.ingest();
    log.grows(&file, 2).await;
    ingest.stop().await;
    let before = log.indexed(&file, Track::Video).await;
    let ingest = log.ingest();
    log.grows(&file, 2).await;
    ingest.stop().await;

    let report = log.sound().await;
    assert_eq!((report.counts.gaps, report.counts.truncated), (0, 0));
    assert_eq!(report.counts.discontinuities, 0);
    let after = log.indexed(&file, Track::Video).await;
    assert_eq!(
        after[before.len()].decode_time,
        before.last().unwrap().end_time()
    );
    let cursors = cursors(&log, &file).await;
    assert!(
        cursors.windows(2).all(|pair| pair[0].1 < pair[1].1),
        "{cursors:?}"
    );
}

#[tokio::test]
async fn a_file_that_took_anothers_place_while_nobody_owned_the_stream_begins_at_its_beginning() {
    let log = Deployment::new("fileother").await;
    clip(&log);
    // The same format and length: nothing but the address tells them apart.
    let dir = log.media_dir();
    std::fs::copy(dir.join("clip.mp4"), dir.join("other.mp4")).unwrap();
    let mut file = log.add("file", "file:clip.mp4").await;
    let ingest = log.ingest();
    log.grows(&file, 2).await;
    ingest.stop().await;
    let before = cursors(&log, &file).await.len();
    let spec = json!({"id": "file", "source": "file:other.mp4", "greatestSegmentSeconds": 2});
    log.edit(&mut file, spec).await;
    let ingest = log.ingest();
    log.grows(&file, 1).await;
    ingest.stop().await;

    let report = log.sound().await;
    assert_eq!(report.counts.discontinuities, 1);
    let cursors = cursors(&log, &file).await;
    assert_eq!(cursors[before].1, cursors[0].1, "{cursors:?}");
}

#[tokio::test]
async fn a_killed_owners_segment_is_played_again() {
    let log = Deployment::new("filekill").await;
    clip(&log);
    let file = log.add("file", "file:clip.mp4").await;
    let first = log.process("first");
    log.grows(&file, 1).await;
    wait_until("the middle of a segment", LIMIT, || async {
        let (_, last) = log.headers(&file, Topic::Source).await.pop()?;
        matches!(last.kind, Kind::Chunk { part, last_part: false, .. } if part.0 > 1).then_some(())
    })
    .await
    .unwrap();
    first.kill();
    let second = log.process("second");
    log.grows(&file, 3).await;
    second.stop(Duration::from_secs(15)).await;

    let report = log.sound().await;
    assert_eq!(report.counts.takeovers, 1);
    assert_eq!(report.counts.gaps, 0);
    let cursors = cursors(&log, &file).await;
    let new = cursors
        .iter()
        .position(|(epoch, _)| *epoch > cursors[0].0)
        .unwrap();
    assert!(
        cursors[new].1 <= cursors[new - 1].1,
        "begins no later than the cut segment: {cursors:?}"
    );
}
