//! Cameras go in, live streams come out: at two gateways, in independent players, and at the
//! command line; bad input beside them harms nothing.

use std::fs;
use std::process::Stdio;

use reelay_testkit::{Stack, wait_until};
use serde_json::Value;

use super::{Checker, LIMIT, alone, camera, file, make_clip, more_segments, reelay, run, start};

#[tokio::test(flavor = "multi_thread")]
async fn streams_play_at_two_gateways_beside_bad_ones() {
    let _alone = alone().await;
    let stack = start(Stack::builder().gateways(2)).await;
    make_clip(&stack.media_dir().join("clip.mp4"));
    spoil(&stack);
    let good = ["door", "yard", "clip"];
    let bad = [
        ("gone", "gone.mp4", "not-found"),
        ("noise", "noise.mp4", "invalid-format"),
        ("half", "half.mp4", "invalid-format"),
    ];
    for spec in [camera("door"), camera("yard"), file("clip", "clip.mp4")] {
        stack.add_stream(&spec).await.unwrap();
    }
    for (id, name, _) in bad {
        stack.add_stream(&file(id, name)).await.unwrap();
    }
    let checker = Checker::start(&stack, &[]);
    for id in good {
        stack.playable(0, id, LIMIT).await.unwrap();
    }
    more_segments(&stack, &good, 3).await;

    for (id, _, code) in bad {
        says_what_is_wrong(&stack, id, code).await;
    }
    ffmpeg_plays(&stack, "door").await;
    streamlink_plays(&stack, "clip").await;
    the_command_line_shows_and_tails(&stack).await;

    more_segments(&stack, &good, 2).await;
    let report = checker.sound().await;
    assert_eq!(report.counts.takeovers, 0, "{report}");
    assert_eq!(report.counts.gaps, 0, "{report}");
    assert!(report.counts.compared_playlists > 20, "{report}");
    stack.shutdown().await;
}

/// Files that are no media: one that is not there, noise, and one that ends in its header.
fn spoil(stack: &Stack) {
    let dir = stack.media_dir();
    let noise: Vec<u8> = (0..50_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(dir.join("noise.mp4"), noise).unwrap();
    let clip = fs::read(dir.join("clip.mp4")).unwrap();
    fs::write(dir.join("half.mp4"), &clip[..2000]).unwrap();
}

async fn says_what_is_wrong(stack: &Stack, id: &str, code: &str) {
    let what = format!("a problem of {id}");
    let problem = wait_until(&what, LIMIT, async || {
        let view = stack.stream(0, id).await.ok()??;
        Some(view["problem"].clone()).filter(|p| !p.is_null())
    });
    let problem: Value = problem.await.unwrap();
    assert_eq!(problem["code"], code, "{problem}");
    for field in ["message", "next"] {
        assert!(
            problem[field].as_str().is_some_and(|t| !t.is_empty()),
            "{problem}"
        );
    }
    assert!(problem["since"].is_number(), "{problem}");
}

/// ffprobe finds both tracks from the multivariant playlist, and ffmpeg decodes them cleanly.
async fn ffmpeg_plays(stack: &Stack, id: &str) {
    let master = format!("{}/streams/{id}/hls/master.m3u8", stack.gateway(1).url());
    let probe = [
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,width",
        "-of",
        "csv=p=0",
        &master,
    ];
    let output = run("ffprobe", &probe, Stdio::null()).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("h264,320") && text.contains("aac"),
        "{text} {output:?}"
    );
    let decode = [
        "-v", "warning", "-xerror", "-i", &master, "-t", "4", "-f", "null", "-",
    ];
    let output = run("ffmpeg", &decode, Stdio::null()).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Streamlink has an HLS client of its own, in Python; ffprobe only counts what it fetched.
async fn streamlink_plays(stack: &Stack, id: &str) {
    for (track, codec, least) in [("video", "h264", 100), ("audio", "aac", 150)] {
        let url = format!(
            "hls://{}/streams/{id}/hls/{track}/media.m3u8",
            stack.gateway(0).url()
        );
        let path = stack.log_dir().join(format!("streamlink-{track}.mp4"));
        let path = path.to_str().unwrap();
        let output = run(
            "streamlink",
            &["--hls-duration", "4", "-f", "-o", path, &url, "best"],
            Stdio::null(),
        )
        .await;
        assert!(output.status.success(), "{output:?}");
        let entries = "stream=codec_name,nb_read_packets";
        let count = [
            "-v",
            "error",
            "-count_packets",
            "-show_entries",
            entries,
            "-of",
            "csv=p=0",
            path,
        ];
        let output = run("ffprobe", &count, Stdio::null()).await;
        assert_counted(&String::from_utf8_lossy(&output.stdout), codec, least);
    }
}

/// `h264,150`: the codec, and at least this many packets.
fn assert_counted(line: &str, codec: &str, least: u64) {
    let (found, packets) = line.trim().split_once(',').unwrap_or((line, ""));
    let packets: u64 = packets.trim_end_matches(',').parse().unwrap_or(0);
    assert!(
        found == codec && packets >= least,
        "{line:?} is not {codec} of {least} packets"
    );
}

async fn the_command_line_shows_and_tails(stack: &Stack) {
    let output = reelay(stack, &["streams", "list"]).await;
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(
        list.lines()
            .any(|l| l.starts_with("door") && l.contains("live")),
        "{list}"
    );
    assert!(
        list.lines()
            .any(|l| l.starts_with("gone") && l.contains("not-found")),
        "{list}"
    );

    let output = reelay(
        stack,
        &["streams", "edit", "yard", "--name", "Yard", "-o", "json"],
    )
    .await;
    let view: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(view["spec"]["name"], "Yard", "{output:?}");
    let output = reelay(
        stack,
        &["streams", "edit", "yard", "--source", "gopher://x"],
    )
    .await;
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("allowed:"),
        "{output:?}"
    );

    let output = reelay(stack, &["topics", "check"]).await;
    assert!(output.status.success(), "{output:?}");
    // The bad streams are what is wrong.
    let output = reelay(stack, &["doctor"]).await;
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("ok    topics") && text.contains("WRONG stream noise"),
        "{text}"
    );

    for (track, codec, least) in [("video", "h264", 100), ("audio", "aac", 180)] {
        let output = reelay(
            stack,
            &[
                "tail",
                "door",
                "--track",
                track,
                "--from",
                "start",
                "--segments",
                "2",
            ],
        )
        .await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let path = stack.log_dir().join(format!("tail-{track}.mp4"));
        fs::write(&path, &output.stdout).unwrap();
        let input = Stdio::from(fs::File::open(path).unwrap());
        let entries = "stream=codec_name,nb_read_packets";
        let count = [
            "-v",
            "error",
            "-count_packets",
            "-show_entries",
            entries,
            "-of",
            "csv=p=0",
            "-",
        ];
        let output = run("ffprobe", &count, input).await;
        assert_counted(&String::from_utf8_lossy(&output.stdout), codec, least);
    }
}
