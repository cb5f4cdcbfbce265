//! Cameras by RTSP, played from a real server.

use std::{fs, path::Path, time::Duration};

use nix::sys::signal::Signal;
use reelay_media::{Credentials, Resume, SourceInput, SourceJob, SourceProblemCode, SourceWorker};
use reelay_model::{LatencyMode, Micros, RtspTransport, Track};
use reelay_testkit::{Camera, camera::Login};

use crate::{
    clips::clip,
    collect::{Collected, assert_decodes, decoded_frames, program},
};

fn job(url: String, transport: RtspTransport, credentials: Option<(&str, &str)>) -> SourceJob {
    let input = SourceInput::Rtsp {
        url,
        transport,
        credentials: credentials.map(|(username, password)| Credentials {
            username: username.to_owned(),
            password: password.to_owned(),
        }),
        authority: None,
        allow_local: true,
    };
    SourceJob::new("camera", input, LatencyMode::Low, Micros(6_000_000))
}

/// A camera that sends a clip of ten seconds, encoded by `encode`, in a loop.
async fn camera(name: &str, login: Login, folder: &Path, encode: &str) -> Camera {
    let path = folder.join("clip.mkv");
    if !path.exists() {
        clip(folder, "clip.mkv", "25", "10", encode);
    }
    let mut camera = Camera::start(name, login).await.unwrap();
    camera.feed(&path, "-c copy").await.unwrap();
    camera
}

/// What has been seen plays without a word of complaint, all of it.
fn plays(seen: &Collected, folder: &Path) {
    for track in &seen.tracks[0].tracks {
        let path = folder.join(format!("{}.mp4", track.track));
        fs::write(&path, seen.file(&track.track)).unwrap();
        assert_decodes(&path);
        if track.track == Track::Video {
            let times = seen.presentation_times(&Track::Video);
            assert_eq!(decoded_frames(&path), times.len(), "every frame is shown");
        }
        seen.check(&track.track);
    }
}

const H264_AAC: &str = "-g 50 -bf 0 -c:a aac";

#[tokio::test]
async fn a_camera_plays_over_tcp_and_udp() {
    let folder = tempfile::tempdir().unwrap();
    let camera = camera("rtsp-tcp", Login::None, folder.path(), H264_AAC).await;
    for transport in [RtspTransport::Tcp, RtspTransport::Udp] {
        let job = job(camera.url(), transport, None);
        let seen = Collected::run(&job, |seen| seen.segments(&Track::Audio) == 3).await;
        assert_eq!(seen.problems, [], "{transport:?}");
        assert!(!seen.tracks[0].discontinuity);
        let video = seen.check(&Track::Video);
        assert_eq!(video[..2], [180_000, 180_000], "segments of 2 s");
        seen.check_cuts(1024);
        plays(&seen, folder.path());
        let info = seen.info(&Track::Video);
        assert_eq!((info.width, info.height), (320, 180));
        assert_eq!(
            (info.frame_rate_milli, info.part_target),
            (25_000, Micros(200_000))
        );
        let times = seen.presentation_times(&Track::Video);
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] == 3600),
            "{times:?}"
        );
    }
}

#[tokio::test]
async fn reordered_frames_keep_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let encode = "-g 50 -bf 3 -x264-params b-pyramid=normal:scenecut=0 -c:a aac";
    let camera = camera("rtsp-bframes", Login::None, folder.path(), encode).await;
    let job = job(camera.url(), RtspTransport::Tcp, None);
    let seen = Collected::run(&job, |seen| seen.segments(&Track::Video) == 3).await;
    assert_eq!(seen.problems, []);
    plays(&seen, folder.path());
    let times = seen.presentation_times(&Track::Video);
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] == 3600),
        "{times:?}"
    );
}

#[tokio::test]
async fn a_camera_that_asks_for_a_password_gets_it_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    for login in [Login::Digest, Login::Basic] {
        let name = format!("rtsp-login-{login:?}").to_lowercase();
        let camera = camera(&name, login, folder.path(), H264_AAC).await;
        let right = Some((Camera::USER, Camera::PASSWORD));
        let mut worker =
            SourceWorker::spawn(&program(), &job(camera.url(), RtspTransport::Tcp, right)).unwrap();
        let mut seen = Collected::default();
        seen.read(&mut worker, |seen| !seen.chunks.is_empty())
            .await
            .unwrap();
        assert_eq!(seen.problems, []);
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{}/{file}", worker.pid())).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains(Camera::PASSWORD), "{file}");
        }
        drop(worker);

        for (credentials, words) in [
            (
                Some((Camera::USER, "another-password-99")),
                "refuses the user name",
            ),
            (None, "asks for a user name and password"),
        ] {
            let job = job(camera.url(), RtspTransport::Tcp, credentials);
            let seen = Collected::run(&job, |_| false).await;
            let problem = &seen.problems[0];
            assert_eq!(problem.code, SourceProblemCode::AccessDenied);
            assert!(
                problem.fatal && problem.message.contains(words),
                "{problem}"
            );
            assert!(
                !problem.message.contains("another-password-99"),
                "{problem}"
            );
        }
    }
}

#[tokio::test]
async fn a_new_connection_goes_on_behind_the_last_with_a_break() {
    let folder = tempfile::tempdir().unwrap();
    let mut camera = camera("rtsp-again", Login::None, folder.path(), H264_AAC).await;
    let first = job(camera.url(), RtspTransport::Tcp, None);
    let mut worker = SourceWorker::spawn(&program(), &first).unwrap();
    let mut seen = Collected::default();
    seen.read(&mut worker, |seen| seen.segments(&Track::Video) == 1)
        .await
        .unwrap();
    camera.unplug();
    seen.read(&mut worker, |_| false).await.unwrap();
    let problem = seen.problems.last().unwrap();
    assert_eq!(problem.code, SourceProblemCode::Unreachable, "{problem}");
    seen.check(&Track::Video);
    assert!(
        seen.of(&Track::Video).last().unwrap().last,
        "what there was is a segment"
    );

    let gone = Collected::run(&first, |_| false).await;
    let problem = &gone.problems[0];
    assert_eq!(problem.code, SourceProblemCode::NotFound, "{problem}");

    let clip = folder.path().join("clip.mkv");
    camera.feed(&clip, "-c copy").await.unwrap();
    let end = |track: Track| {
        let last = seen.of(&track).last().unwrap();
        Some(reelay_model::Ticks(last.decode_time.0 + last.duration.0))
    };
    let mut second = first.clone();
    second.resume = Some(Resume {
        cursor: None,
        after: reelay_model::Ticks(0),
        video: end(Track::Video),
        audio: end(Track::Audio),
        boundary: true,
    });
    let after = Collected::run(&second, |seen| seen.segments(&Track::Video) == 1).await;
    assert!(after.tracks[0].discontinuity);
    let start = after.of(&Track::Video).next().unwrap().decode_time;
    assert_eq!(Some(start), second.resume.unwrap().video);
}

#[tokio::test]
async fn a_camera_that_stops_sending_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let camera = camera("rtsp-stall", Login::None, folder.path(), H264_AAC).await;
    let job = job(camera.url(), RtspTransport::Tcp, None);
    let mut worker = SourceWorker::spawn(&program(), &job).unwrap();
    let mut seen = Collected::default();
    seen.read(&mut worker, |seen| !seen.chunks.is_empty())
        .await
        .unwrap();
    camera.feeding().unwrap().signal(Signal::SIGSTOP);
    let since = tokio::time::Instant::now();
    seen.read(&mut worker, |_| false).await.unwrap();
    let problem = seen.problems.last().unwrap();
    assert_eq!(problem.code, SourceProblemCode::Stalled, "{problem}");
    assert!(
        since.elapsed() < Duration::from_secs(20),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn codecs_are_carried_or_converted() {
    let folder = tempfile::tempdir().unwrap();
    let mut camera = Camera::start("rtsp-codecs", Login::None).await.unwrap();
    for (name, encode, video, audio) in [
        (
            "hevc",
            "-c:v libx265 -x265-params log-level=none:keyint=50:open-gop=0 -c:a aac",
            "hvc1.",
            "mp4a.40.2",
        ),
        ("opus", "-g 50 -c:a libopus", "avc1.", "opus"),
        (
            "mulaw",
            "-g 50 -c:a pcm_mulaw -ar 8000",
            "avc1.",
            "mp4a.40.2",
        ),
        ("alaw", "-g 50 -c:a pcm_alaw -ar 8000", "avc1.", "mp4a.40.2"),
    ] {
        let file = format!("{name}.mkv");
        let clip = clip(folder.path(), &file, "25", "10", encode);
        camera.feed(&clip, "-c copy").await.unwrap();
        let job = job(camera.url(), RtspTransport::Tcp, None);
        let seen = Collected::run(&job, |seen| seen.segments(&Track::Audio) == 2).await;
        assert_eq!(seen.problems, [], "{name}");
        assert!(seen.info(&Track::Video).codecs.starts_with(video), "{name}");
        assert_eq!(seen.info(&Track::Audio).codecs, audio, "{name}");
        assert_eq!(seen.info(&Track::Audio).sample_rate, 48_000, "{name}");
        plays(&seen, folder.path());
        camera.unplug();
    }
}
