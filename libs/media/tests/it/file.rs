//! Files of many kinds, played in a loop.

use std::fs;

use reelay_media::Resume;
use reelay_model::{Ticks, Track};

use crate::{
    clips::{clip, job, source_times},
    collect::{Collected, assert_decodes, decoded_frames},
};

/// What a clip is expected to become.
struct Expected {
    rate: &'static str,
    seconds: &'static str,
    name: &'static str,
    options: &'static str,
    audio: Option<&'static str>,
    audio_frame: u64,
    part_target: i64,
    /// How far apart equal frames of two passes may be, in ticks: what the container's timestamps
    /// are worth.
    coarse: i64,
}

/// Plays more than one pass and checks picture, sound, cuts and the loop.
async fn plays(expected: Expected) {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(
        folder.path(),
        expected.name,
        expected.rate,
        expected.seconds,
        expected.options,
    );
    let source = source_times(&path, "v:0", 90_000.0);
    let seen = Collected::run(&job(&path), |seen| {
        let frames: usize = seen.presentation_times(&Track::Video).len();
        frames > source.len() + 10
    })
    .await;
    assert_eq!(seen.problems, []);
    assert_eq!(seen.tracks.len(), 1, "no break at the loop");
    let video = seen.check(&Track::Video);
    assert_eq!(seen.info(&Track::Video).part_target.0, expected.part_target);
    let target = expected.part_target * 90 / 1000;
    for chunk in seen.of(&Track::Video) {
        assert!(
            chunk.duration.0 as i64 <= target || chunk.duration.0 as i64 <= target + 9000,
            "{chunk:?}"
        );
        assert_eq!(chunk.cursor.is_some(), chunk.part.0 == 0);
    }
    assert!(
        video
            .iter()
            .rev()
            .skip(1)
            .all(|length| *length >= 135_000 - 9000)
    );

    let times = seen.presentation_times(&Track::Video);
    assert_eq!(times[..source.len()], source, "the source's own timestamps");
    let pass = times[source.len()];
    for (again, first) in times[source.len()..].iter().zip(&source) {
        assert!((again - pass - first).abs() <= expected.coarse);
    }
    let last = source[source.len() - 1];
    let frame = last / (source.len() as i64 - 1);
    assert!(
        (pass - last - frame).abs() <= expected.coarse + 1,
        "one frame between passes"
    );

    let file = folder.path().join("video.mp4");
    fs::write(&file, seen.file(&Track::Video)).unwrap();
    assert_decodes(&file);
    assert_eq!(decoded_frames(&file), times.len());

    let Some(codecs) = expected.audio else {
        assert_eq!(seen.tracks[0].tracks.len(), 1);
        return;
    };
    assert_eq!(seen.info(&Track::Audio).codecs, codecs);
    assert_eq!(seen.check(&Track::Audio).len(), video.len());
    seen.check_cuts(expected.audio_frame);
    let file = folder.path().join("audio.mp4");
    fs::write(&file, seen.file(&Track::Audio)).unwrap();
    assert_decodes(&file);
}

const AAC: Expected = Expected {
    rate: "25",
    seconds: "3",
    name: "clip.mp4",
    options: "-g 50 -c:a aac",
    audio: Some("mp4a.40.2"),
    audio_frame: 1024,
    part_target: 200_000,
    coarse: 0,
};

#[tokio::test]
async fn mp4_with_aac() {
    plays(AAC).await;
}

#[tokio::test]
async fn mp4_with_reordered_frames() {
    plays(Expected {
        options: "-g 50 -bf 3 -c:a aac -ar 44100",
        ..AAC
    })
    .await;
}

#[tokio::test]
async fn mp4_at_a_low_rate_without_audio() {
    plays(Expected {
        rate: "25/2",
        seconds: "4",
        options: "-g 25 -an",
        audio: None,
        part_target: 160_000,
        ..AAC
    })
    .await;
}

#[tokio::test]
async fn mpeg_ts_at_29_97_with_adts() {
    plays(Expected {
        rate: "30000/1001",
        name: "clip.ts",
        options: "-g 60 -bf 2 -c:a aac",
        part_target: 200_200,
        ..AAC
    })
    .await;
}

#[tokio::test]
async fn matroska_with_opus() {
    plays(Expected {
        name: "clip.mkv",
        options: "-g 50 -c:a libopus",
        audio: Some("opus"),
        audio_frame: 960,
        ..AAC
    })
    .await;
}

#[tokio::test]
async fn mp3_becomes_aac() {
    plays(Expected {
        name: "clip.mkv",
        options: "-g 50 -c:a libmp3lame -ar 44100",
        ..AAC
    })
    .await;
}

#[tokio::test]
async fn flv_with_aac() {
    plays(Expected {
        name: "clip.flv",
        options: "-g 50 -bf 0 -c:a aac -ar 44100",
        ..AAC
    })
    .await;
}

/// A takeover at the end of a segment: what the next worker makes is what the first would have
/// made, byte for byte.
#[tokio::test]
async fn a_successor_goes_on_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "clip.mp4", "25", "5", "-g 50 -bf 2 -c:a aac");
    let first = Collected::run(&job(&path), |seen| seen.segments(&Track::Audio) == 4).await;
    for at in [0, 1, 2] {
        let of = |track: Track| -> Vec<_> {
            first
                .of(&track)
                .filter(|chunk| chunk.segment == at)
                .cloned()
                .collect()
        };
        let (video, audio) = (of(Track::Video), of(Track::Audio));
        let end = |chunks: &[reelay_media::MediaChunk]| {
            let last = &chunks[chunks.len() - 1];
            Ticks(last.decode_time.0 + last.duration.0)
        };
        let mut second = job(&path);
        second.resume = Some(Resume {
            cursor: video[0].cursor,
            after: Ticks(end(&video).0 - video[0].decode_time.0),
            video: Some(end(&video)),
            audio: Some(end(&audio)),
            boundary: true,
        });
        let seen = Collected::run(&second, |seen| seen.segments(&Track::Audio) == 1).await;
        assert!(!seen.tracks[0].discontinuity);
        for track in [Track::Video, Track::Audio] {
            let again = seen.of(&track).filter(|chunk| chunk.segment == 0);
            let before = first.of(&track).filter(|chunk| chunk.segment == at + 1);
            let mut count = 0;
            for (again, before) in again.zip(before) {
                assert_eq!(again.data, before.data, "{track} after segment {at}");
                assert_eq!(again.cursor, before.cursor);
                assert_eq!(again.decode_time, before.decode_time);
                count += 1;
            }
            assert!(count > 3);
        }
    }
}

/// Real footage, where the project has it beside it.
#[tokio::test]
async fn footage_plays() {
    let footage = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage");
    for (name, tracks) in [("car-detection.mp4", 2), ("face.mp4", 1)] {
        let path = footage.join(name);
        if !path.exists() {
            println!("skipped: no footage at {}", path.display());
            return;
        }
        let source = source_times(&path, "v:0", 90_000.0);
        let seen = Collected::run(&job(&path), |seen| seen.segments(&Track::Video) == 2).await;
        assert_eq!(seen.problems, []);
        assert_eq!(seen.tracks[0].tracks.len(), tracks);
        seen.check(&Track::Video);
        let times = seen.presentation_times(&Track::Video);
        for (time, source) in times.iter().zip(&source) {
            assert!(
                (time - source).abs() <= 1,
                "{name}: {time} is {source} in the file"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("video.mp4");
        fs::write(&file, seen.file(&Track::Video)).unwrap();
        assert_decodes(&file);
    }
}
