//! Sources with something wrong: each is named, none hangs or kills more than its worker.

use std::{fs, path::Path};

use reelay_media::{SourceProblem, SourceProblemCode as Code};
use reelay_model::Track;

use crate::{
    clips::{clip, ffmpeg, job},
    collect::Collected,
};

/// The one fatal problem of a source that cannot be played at all.
async fn refused(path: &Path) -> SourceProblem {
    let mut seen = Collected::run(&job(path), |_| false).await;
    assert_eq!(seen.chunks.len(), 0);
    let problem = seen.problems.pop().unwrap();
    assert!(problem.fatal && problem.lasting);
    assert!(!seen.problems.iter().any(|problem| problem.fatal));
    problem
}

#[tokio::test]
async fn what_cannot_be_played_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = clip(
        folder,
        "good.mp4",
        "25",
        "2",
        "-g 50 -c:a aac -movflags +faststart",
    );
    let bytes = fs::read(&good).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    fs::write(folder.join("list.m3u8"), "#EXTM3U\n#EXTINF:2,\ngood.mp4\n").unwrap();
    ffmpeg(
        folder,
        "-i DIR/good.mp4 -map 0:v -frames:v 1 -update 1 DIR/still.jpg",
    );
    for (path, code) in [
        (folder.join("gone.mp4"), Code::NotFound),
        (folder.to_owned(), Code::InvalidFormat),
        (write("empty.mp4", b""), Code::InvalidFormat),
        (write("text.mp4", b"this is no film"), Code::InvalidFormat),
        (write("zeros.mp4", &[0; 100_000]), Code::InvalidFormat),
        (write("half-header.mp4", &bytes[..200]), Code::InvalidFormat),
        (
            write("header-only.mp4", &bytes[..bytes.len() / 20]),
            Code::NoMedia,
        ),
        (folder.join("list.m3u8"), Code::InvalidFormat),
        (folder.join("still.jpg"), Code::InvalidFormat),
    ] {
        let problem = refused(&path).await;
        let possible = [code, Code::NoMedia];
        assert!(possible.contains(&problem.code), "{path:?}: {problem:?}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_is_played_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "clip.ts", "25", "4", "-g 25 -c:a aac");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let seen = Collected::run(&job(&path), |seen| seen.segments(&Track::Video) == 2).await;
    assert!(!seen.problems.iter().any(|problem| problem.fatal));
    seen.check(&Track::Video);
    seen.check(&Track::Audio);
}

#[tokio::test]
async fn damage_in_the_middle_is_said_and_played_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(
        folder.path(),
        "clip.mp4",
        "25",
        "3",
        "-g 25 -c:a aac -movflags +faststart",
    );
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    // All over the lengths of NAL units.
    bytes[middle..middle + 20_000].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let seen = Collected::run(&job(&path), |seen| seen.segments(&Track::Video) == 2).await;
    assert!(
        seen.problems
            .iter()
            .any(|problem| problem.code == Code::CorruptMedia)
    );
    assert!(!seen.problems.iter().any(|problem| problem.fatal));
    seen.check(&Track::Video);
    seen.check(&Track::Audio);
}

#[tokio::test]
async fn a_jump_of_the_timestamps_is_a_discontinuity() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, offset) in [("forward", "100"), ("back", "-0")] {
        clip(
            folder,
            "a.ts",
            "25",
            "2",
            "-g 50 -c:a aac -output_ts_offset 50",
        );
        clip(
            folder,
            "b.ts",
            "25",
            "2",
            &format!("-g 50 -c:a aac -output_ts_offset {offset}"),
        );
        let mut bytes = fs::read(folder.join("a.ts")).unwrap();
        bytes.extend(fs::read(folder.join("b.ts")).unwrap());
        let path = folder.join(format!("{name}.ts"));
        fs::write(&path, bytes).unwrap();
        for name in ["a.ts", "b.ts"] {
            fs::remove_file(folder.join(name)).unwrap();
        }
        let seen = Collected::run(&job(&path), |seen| seen.segments(&Track::Audio) == 2).await;
        let jumps: Vec<_> = seen
            .problems
            .iter()
            .filter(|problem| problem.code == Code::TimestampJump)
            .collect();
        assert!(!jumps.is_empty(), "{:?}", seen.problems);
        assert!(jumps[0].message.contains(name), "{}", jumps[0]);
        assert!(
            seen.tracks
                .iter()
                .any(|tracks| tracks.discontinuity && tracks.first_segment == 1)
        );
        // The line goes on without the jump.
        seen.check(&Track::Video);
        seen.check(&Track::Audio);
    }
}

#[tokio::test]
async fn keyframes_that_come_too_seldom_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(
        folder.path(),
        "clip.mp4",
        "25",
        "5",
        "-g 1000 -sc_threshold 0 -c:a aac",
    );
    let mut job = job(&path);
    job.greatest_segment = reelay_model::Micros(2_000_000);
    let seen = Collected::run(&job, |seen| seen.segments(&Track::Audio) == 2).await;
    let problem = &seen.problems[0];
    assert_eq!(problem.code, Code::KeyframeInterval);
    assert!(problem.lasting && !problem.fatal);
    assert!(
        seen.problems
            .iter()
            .any(|problem| problem.message.contains("5.0 s apart")),
        "{:?}",
        seen.problems
    );
    // The index tells it before anything is played: nothing is left out.
    assert_eq!(seen.tracks.len(), 1);
    let video = seen.check(&Track::Video);
    assert_eq!(video[..2], [180_000, 180_000]);
    seen.check_cuts(1024);
}

#[tokio::test]
async fn audio_that_stops_becomes_silence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(folder, "long.mp4", "25", "6", "-g 50 -an");
    clip(folder, "short.mp4", "25", "1", "-c:a aac");
    ffmpeg(
        folder,
        "-i DIR/long.mp4 -i DIR/short.mp4 -map 0:v -map 1:a -c copy DIR/clip.mp4",
    );
    let seen = Collected::run(&job(&folder.join("clip.mp4")), |seen| {
        seen.segments(&Track::Audio) == 4
    })
    .await;
    assert!(
        seen.problems
            .iter()
            .all(|problem| problem.code == Code::AudioStopped)
    );
    assert_eq!(
        seen.recovered[0], "audio-stopped",
        "the loop has audio again"
    );
    assert_eq!(seen.tracks.len(), 1);
    seen.check(&Track::Video);
    seen.check(&Track::Audio);
    seen.check_cuts(1024);
    let file = folder.join("audio.mp4");
    fs::write(&file, seen.file(&Track::Audio)).unwrap();
    crate::collect::assert_decodes(&file);
}

#[tokio::test]
async fn changed_parameter_sets_are_a_new_format() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(folder, "a.ts", "25", "2", "-g 50 -c:a aac");
    clip(
        folder,
        "b.ts",
        "25",
        "2",
        "-g 50 -c:a aac -vf scale=160:90 -output_ts_offset 2",
    );
    let mut bytes = fs::read(folder.join("a.ts")).unwrap();
    bytes.extend(fs::read(folder.join("b.ts")).unwrap());
    fs::write(folder.join("both.ts"), bytes).unwrap();
    let seen = Collected::run(&job(&folder.join("both.ts")), |seen| {
        seen.segments(&Track::Audio) == 3
    })
    .await;
    let sizes: Vec<_> = seen
        .tracks
        .iter()
        .map(|tracks| (tracks.tracks[0].width, tracks.discontinuity))
        .collect();
    assert_eq!(sizes[..3], [(320, false), (160, true), (320, true)]);
    assert_ne!(seen.tracks[0].tracks[0].init, seen.tracks[1].tracks[0].init);
    assert_eq!(seen.tracks[0].tracks[0].init, seen.tracks[2].tracks[0].init);
    seen.check(&Track::Audio);
}

#[tokio::test]
async fn audio_alone_is_cut_by_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    clip(folder, "clip.mp4", "25", "3", "-c:a aac");
    ffmpeg(folder, "-i DIR/clip.mp4 -vn -c copy DIR/audio.mp4");
    let seen = Collected::run(&job(&folder.join("audio.mp4")), |seen| {
        seen.segments(&Track::Audio) == 3
    })
    .await;
    assert_eq!(seen.problems, []);
    assert_eq!(seen.tracks.len(), 1);
    let segments = seen.check(&Track::Audio);
    assert!(
        segments[..2].iter().all(|length| *length == 94 * 1024),
        "{segments:?}"
    );
    assert!(
        seen.chunks
            .iter()
            .all(|chunk| chunk.cursor.is_some() == (chunk.part.0 == 0))
    );
    let file = folder.join("out.mp4");
    fs::write(&file, seen.file(&Track::Audio)).unwrap();
    crate::collect::assert_decodes(&file);
}
