//! The synthetic camera, end to end.

use std::fs;

use reelay_media::{Resume, SourceInput, SourceJob, read_clock};
use reelay_model::{LatencyMode, Micros, Synthetic, Ticks, Track};

use crate::collect::{Collected, assert_decodes, decoded_frames};

fn small() -> Synthetic {
    Synthetic {
        width: 320,
        height: 180,
        fps: 25,
        bitrate: 300_000,
        tone: 440,
    }
}

fn job(camera: Synthetic) -> SourceJob {
    SourceJob::new(
        "camera",
        SourceInput::Synthetic(camera),
        LatencyMode::Low,
        Micros(6_000_000),
    )
}

#[tokio::test]
async fn its_picture_and_sound_play() {
    let seen = Collected::run(&job(small()), |seen| seen.segments(&Track::Video) == 2).await;
    assert_eq!(seen.problems, []);
    assert_eq!(seen.tracks.len(), 1);
    assert!(!seen.tracks[0].discontinuity);
    let video = seen.check(&Track::Video);
    let audio = seen.check(&Track::Audio);
    assert_eq!(video[..2], [180_000, 180_000], "segments of 2 s");
    assert_eq!(video.len(), audio.len());
    seen.check_cuts(1024);
    let target = seen.info(&Track::Video).part_target.0 as u64 * 90_000 / 1_000_000;
    assert_eq!(target, 18_000);
    for chunk in seen.of(&Track::Video) {
        assert!(chunk.duration.0 == target || (chunk.last && chunk.duration.0 < target));
        assert_eq!(chunk.independent, chunk.part.0 == 0);
    }

    let folder = tempfile::tempdir().unwrap();
    for track in [Track::Video, Track::Audio] {
        let path = folder.path().join(format!("{track}.mp4"));
        fs::write(&path, seen.file(&track)).unwrap();
        assert_decodes(&path);
    }
    let times = seen.presentation_times(&Track::Video);
    assert!(
        (0..)
            .step_by(3600)
            .zip(&times)
            .all(|(due, time)| due == *time),
        "{times:?}"
    );
    assert_eq!(
        decoded_frames(&folder.path().join("video.mp4")),
        times.len()
    );
}

#[tokio::test]
async fn its_clock_can_be_read_from_the_decoded_picture() {
    let seen = Collected::run(&job(small()), |seen| seen.segments(&Track::Video) == 1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video.mp4");
    fs::write(&path, seen.file(&Track::Video)).unwrap();
    // Scaled down as on a phone, as luma.
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i", path.to_str().unwrap()])
        .args(["-vf", "scale=240:136,format=gray", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let mut last = Micros(0);
    let frames: Vec<_> = output.stdout.chunks_exact(240 * 136).collect();
    assert!(frames.len() >= 50);
    for frame in &frames {
        let time = read_clock(frame, 240, 240, 136).expect("the clock can be read");
        assert!(time > last);
        last = time;
    }
    let first = read_clock(frames[0], 240, 240, 136).unwrap();
    let capture = seen.of(&Track::Video).next().unwrap().capture_time;
    assert_eq!(
        first.0 / 1000,
        capture.0 / 1000,
        "the chunk says the same time as the picture"
    );
}

#[tokio::test]
async fn it_goes_on_where_a_predecessor_stopped() {
    let mut second = job(Synthetic {
        tone: 440,
        ..small()
    });
    second.resume = Some(Resume {
        cursor: None,
        after: Ticks(0),
        video: Some(Ticks(1_234_800)),
        audio: Some(Ticks(658_432)),
        boundary: true,
    });
    let seen = Collected::run(&second, |seen| seen.segments(&Track::Audio) == 1).await;
    assert!(!seen.tracks[0].discontinuity);
    assert_eq!(
        seen.of(&Track::Video).next().unwrap().decode_time,
        Ticks(1_234_800)
    );
    assert_eq!(
        seen.of(&Track::Audio).next().unwrap().decode_time,
        Ticks(658_432)
    );
    seen.check(&Track::Video);
    seen.check(&Track::Audio);
}

#[tokio::test]
async fn without_tone_it_has_no_audio() {
    let silent = Synthetic { tone: 0, ..small() };
    let seen = Collected::run(&job(silent), |seen| !seen.chunks.is_empty()).await;
    assert_eq!(seen.tracks[0].tracks.len(), 1);
    assert_eq!(seen.of(&Track::Audio).count(), 0);
}

#[tokio::test]
async fn normal_mode_reorders_frames_without_a_break() {
    let mut normal = job(small());
    normal.latency = LatencyMode::Normal;
    let seen = Collected::run(&normal, |seen| seen.segments(&Track::Video) == 2).await;
    seen.check(&Track::Video);
    seen.check(&Track::Audio);
    seen.check_cuts(1024);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video.mp4");
    fs::write(&path, seen.file(&Track::Video)).unwrap();
    assert_decodes(&path);
    let times = seen.presentation_times(&Track::Video);
    assert!(
        (0..)
            .step_by(3600)
            .zip(&times)
            .all(|(due, time)| due == *time),
        "{times:?}"
    );
    assert_eq!(decoded_frames(&path), times.len());
}
