//! Video codecs: carried as they are, or encoded to H.264 with a keyframe every two seconds.

use std::{fs, path::Path};

use reelay_media::{SourceJob, SourceProblemCode};
use reelay_model::{LatencyMode, Micros, Track};

use crate::{
    clips::{clip, ffmpeg, job, source_times},
    collect::{Collected, assert_decodes, decoded_frames},
};

/// Plays one pass and looks at every frame of it.
async fn played(job: &SourceJob, frames: usize) -> Collected {
    let seen = Collected::run(job, |seen| {
        seen.presentation_times(&Track::Video).len() > frames
    })
    .await;
    assert!(
        !seen.problems.iter().any(|problem| problem.fatal),
        "{:?}",
        seen.problems
    );
    seen.check(&Track::Video);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("video.mp4");
    fs::write(&file, seen.file(&Track::Video)).unwrap();
    assert_decodes(&file);
    let times = seen.presentation_times(&Track::Video);
    assert_eq!(decoded_frames(&file), times.len(), "every frame is shown");
    seen
}

/// The file's frames come out with the times that they have in it, to the container's unit.
async fn keeps_its_frames(path: &Path, codecs: &str) -> Collected {
    let source = source_times(path, "v:0", 90_000.0);
    let seen = played(&job(path), source.len()).await;
    assert_eq!(seen.problems, [], "{}", path.display());
    let found = &seen.info(&Track::Video).codecs;
    assert!(found.starts_with(codecs), "{}: {found}", path.display());
    let times = seen.presentation_times(&Track::Video);
    for (time, source) in times.iter().zip(&source) {
        assert!(
            (time - source).abs() <= 1,
            "{}: {time}, {source}",
            path.display()
        );
    }
    seen
}

#[tokio::test]
async fn h265_av1_and_vp9_are_carried_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(folder, "source.mp4", "25", "4", "-g 50 -an");
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:min-keyint=50";
    for (name, options, codecs) in [
        (
            "closed.mp4",
            &*format!("{x265}:open-gop=0:bframes=2 -tag:v hvc1"),
            "hvc1.1.",
        ),
        (
            "hev1.mp4",
            &format!("{x265}:repeat-headers=1:open-gop=0 -tag:v hev1"),
            "hvc1.1.",
        ),
        ("h265.ts", &format!("{x265}:open-gop=0"), "hvc1.1."),
        (
            "av1.mp4",
            "-c:v libsvtav1 -preset 12 -g 50 -svtav1-params lp=1",
            "av01.0.",
        ),
        (
            "av1.mkv",
            "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 50",
            "av01.0.",
        ),
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50",
            "vp09.00.",
        ),
    ] {
        ffmpeg(folder, &format!("-i DIR/source.mp4 {options} DIR/{name}"));
        let seen = keeps_its_frames(&folder.join(name), codecs).await;
        assert!(!seen.of(&Track::Video).any(|chunk| chunk.open), "{name}");
        let info = seen.info(&Track::Video);
        assert_eq!((info.width, info.height), (320, 180), "{name}");
    }
}

#[tokio::test]
async fn keyframes_that_refer_back_mark_their_segments_open() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(folder, "source.mp4", "25", "6", "-g 50 -an");
    for (name, options) in [
        (
            "cra.mp4",
            "-c:v libx265 -x265-params log-level=none:keyint=50:min-keyint=50:open-gop=1:bframes=3",
        ),
        (
            "recovery.mp4",
            "-c:v libx264 -x264-params open-gop=1:keyint=50:min-keyint=50:bframes=3:scenecut=0",
        ),
    ] {
        ffmpeg(folder, &format!("-i DIR/source.mp4 {options} DIR/{name}"));
        let path = folder.join(name);
        let source = source_times(&path, "v:0", 90_000.0);
        let seen = played(&job(&path), source.len()).await;
        let open: Vec<bool> = seen
            .of(&Track::Video)
            .filter(|chunk| chunk.part.0 == 0)
            .map(|chunk| chunk.open)
            .collect();
        assert!(!open[0] && open[1] && open[2], "{name}: {open:?}");
    }
}

#[tokio::test]
async fn other_video_is_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(folder, "source.mp4", "25", "5", "-g 50 -c:a aac");
    for (name, options) in [
        ("mpeg4.mp4", "-c:v mpeg4 -g 12 -bf 2 -c:a copy"),
        ("mjpeg.mkv", "-c:v mjpeg -q:v 5 -pix_fmt yuvj422p -c:a copy"),
        ("mpeg2.ts", "-c:v mpeg2video -bf 2 -c:a copy"),
        (
            "odd.mkv",
            "-c:v ffv1 -vf crop=319:179,format=yuv444p -c:a copy",
        ),
    ] {
        ffmpeg(folder, &format!("-i DIR/source.mp4 {options} DIR/{name}"));
        for latency in [LatencyMode::Low, LatencyMode::Normal] {
            let path = folder.join(name);
            let mut job = job(&path);
            job.latency = latency;
            let seen = played(&job, 130).await;
            assert_eq!(seen.problems, [], "{name}");
            assert!(
                seen.info(&Track::Video).codecs.starts_with("avc1."),
                "{name}"
            );
            let lengths = seen.check(&Track::Video);
            assert!(
                lengths
                    .iter()
                    .rev()
                    .skip(1)
                    .all(|length| (175_000..=185_000).contains(length)),
                "{name}: segments of 2 s: {lengths:?}"
            );
            seen.check(&Track::Audio);
            seen.check_cuts(1024);
        }
    }
}

#[tokio::test]
async fn video_with_keyframes_too_far_apart_is_encoded_and_the_status_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, options) in [
        // With an index: it is known from the start.
        ("long.mp4", "-g 250 -bf 2 -an"),
        // Without: it shows.
        ("long.ts", "-g 250 -bf 2 -an"),
    ] {
        let path = clip(folder, name, "25", "20", options);
        let mut job = job(&path);
        job.greatest_segment = Micros(4_000_000);
        let seen = Collected::run(&job, |seen| {
            let times = seen.presentation_times(&Track::Video);
            times.last().is_some_and(|last| *last > 18 * 90_000)
        })
        .await;
        let problem = seen.problems.last().unwrap();
        assert_eq!(problem.code, SourceProblemCode::KeyframeInterval);
        assert!(problem.lasting && !problem.fatal);
        for words in ["10.0 s apart", "I-frame interval", "2 s"] {
            assert!(problem.message.contains(words), "{name}: {problem}");
        }
        assert_eq!(seen.recovered, [""; 0], "{name}");
        for chunk in seen.of(&Track::Video) {
            assert!(chunk.part.0 > 0 || chunk.independent);
        }
        if name == "long.mp4" {
            assert_eq!(seen.tracks.len(), 1, "nothing was left out");
            let lengths = seen.check(&Track::Video);
            assert!(
                lengths
                    .iter()
                    .rev()
                    .skip(1)
                    .all(|length| *length == 180_000),
                "{lengths:?}"
            );
        }
    }
}

#[tokio::test]
async fn frame_rates_of_the_world_keep_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, rate) in [
        ("12", "25/2"),
        ("25", "25"),
        ("29", "30000/1001"),
        ("30", "30"),
        ("50", "50"),
        ("60", "60"),
    ] {
        let path = clip(folder, &format!("{name}.mp4"), rate, "3", "-g 60 -bf 2 -an");
        keeps_its_frames(&path, "avc1.").await;
        ffmpeg(
            folder,
            &format!("-i DIR/{name}.mp4 -c:v mpeg4 -g 10 DIR/{name}.mkv"),
        );
        let source = source_times(&folder.join(format!("{name}.mkv")), "v:0", 90_000.0);
        let seen = played(&job(&folder.join(format!("{name}.mkv"))), source.len()).await;
        let times = seen.presentation_times(&Track::Video);
        for (time, source) in times.iter().zip(&source) {
            assert!((time - source).abs() <= 90, "{rate}: {time}, {source}");
        }
    }
    // A rate that varies: some frames are missing.
    clip(folder, "even.mp4", "30", "6", "-g 30 -an");
    ffmpeg(
        folder,
        "-i DIR/even.mp4 -vf select=not(eq(mod(n\\,7)\\,3)+eq(mod(n\\,11)\\,5)) -vsync vfr \
         -c:v libx264 -g 30 -bf 2 DIR/vfr.mp4",
    );
    keeps_its_frames(&folder.join("vfr.mp4"), "avc1.").await;
}

/// Real footage: open groups of pictures with one IDR, and keyframes 4.8 s apart.
#[tokio::test]
async fn footage_is_carried_or_encoded() {
    let footage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage");
    let cars = footage.join("cars-hevc.mp4");
    if !cars.exists() {
        println!("skipped: no footage at {}", cars.display());
        return;
    }
    let source = source_times(&cars, "v:0", 90_000.0);
    let seen = keeps_its_frames(&cars, "hvc1.").await;
    let open = seen
        .of(&Track::Video)
        .filter(|chunk| chunk.part.0 == 0 && chunk.open);
    assert!(open.count() > 0);
    assert!(seen.presentation_times(&Track::Video).len() >= source.len());

    let mut job = job(&footage.join("car-detection.mp4"));
    let seen = Collected::run(&job, |seen| seen.segments(&Track::Video) == 2).await;
    assert_eq!(seen.problems, [], "6 s are enough");
    job.greatest_segment = Micros(2_000_000);
    let seen = Collected::run(&job, |seen| seen.segments(&Track::Video) == 3).await;
    assert_eq!(seen.problems[0].code, SourceProblemCode::KeyframeInterval);
    assert!(
        seen.problems[0].message.contains("4.8 s apart"),
        "{}",
        seen.problems[0]
    );
    assert_eq!(seen.check(&Track::Video)[..3], [180_000; 3]);
}
