//! Cameras by RTSP: login by reference, a camera that goes away and comes back, a wrong password.

use std::{fs, path::PathBuf, process::Command};

use reelay_bus::Record;
use reelay_model::Phase;
use reelay_testkit::{Camera, ScratchDir, camera::Login};
use reelay_wire::{Topic, Track};
use serde_json::json;

use crate::setup::Deployment;

/// A clip of ten seconds: H.264 with a keyframe every 2 s, and AAC.
fn clip(scratch: &ScratchDir) -> PathBuf {
    let path = scratch.path().join("clip.mkv");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25:duration=10",
        ])
        .args(["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=10"])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "50",
        ])
        .args(["-c:a", "aac", "-y"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

async fn camera(deployment: &Deployment, name: &str, login: Login) -> Camera {
    let mut camera = Camera::start(name, login).await.unwrap();
    camera
        .feed(&clip(&deployment.scratch), "-c copy")
        .await
        .unwrap();
    camera
}

fn holds(record: &Record, secret: &str) -> bool {
    let mut text = record.value.to_vec();
    text.extend_from_slice(format!("{:?}{:?}", record.key, record.headers).as_bytes());
    String::from_utf8_lossy(&text).contains(secret)
}

#[tokio::test]
async fn a_camera_with_a_password_goes_away_and_comes_back() {
    let mut deployment = Deployment::new("camera-login").await;
    deployment.allow_local_sources = true;
    let mut camera = camera(&deployment, "camera-login", Login::Digest).await;
    let secret = Camera::PASSWORD;
    let folder = deployment.credentials_dir();
    fs::write(folder.join("door"), format!("{}:{secret}\n", Camera::USER)).unwrap();
    let ingest = deployment.process("ingest-0");
    let spec = json!({
        "id": "door", "source": camera.url(), "credentials": "door",
        "greatestSegmentSeconds": 2,
    });
    let added = deployment.add_spec("door", spec).await;
    let status = deployment.live(&added).await;
    assert_eq!(status.problem, None);
    deployment.grows(&added, 2).await;

    // Worker processes are the ingest's children.
    let children = format!("/proc/{0}/task/{0}/children", ingest.pid());
    let children = fs::read_to_string(children).unwrap();
    let pids = children.split_whitespace();
    let own = ingest.pid().to_string();
    let mut looked_at = 0;
    for pid in pids.chain([own.as_str()]) {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(secret),
                "{file} of {pid}"
            );
            looked_at += usize::from(!bytes.is_empty());
        }
    }
    assert!(looked_at >= 3, "the worker was looked at");

    camera.unplug();
    let status = deployment
        .status_until(&added, "reconnecting", |s| {
            s.phase == Phase::Reconnecting || s.phase == Phase::Failed
        })
        .await;
    let problem = status.problem.unwrap();
    assert!(
        ["unreachable", "not-found"].contains(&problem.code.as_str()),
        "{problem:?}"
    );
    assert!(problem.next.contains("tried again"), "{problem:?}");
    camera
        .feed(&clip(&deployment.scratch), "-c copy")
        .await
        .unwrap();
    deployment
        .status_until(&added, "live again", |s| {
            s.phase == Phase::Live && s.problem.is_none()
        })
        .await;
    deployment.grows(&added, 2).await;
    let headers = deployment.indexed(&added, Track::Video).await;
    let sequences: Vec<_> = headers.iter().map(|h| h.discontinuity_sequence).collect();
    assert!(sequences.is_sorted());
    assert_eq!(sequences.last(), Some(&1), "one break: {sequences:?}");

    // The password changes at the camera only: it is refused.
    fs::write(
        folder.join("door"),
        format!("{}:{secret}-wrong\n", Camera::USER),
    )
    .unwrap();
    camera.unplug();
    camera
        .feed(&clip(&deployment.scratch), "-c copy")
        .await
        .unwrap();
    let status = deployment
        .status_until(&added, "refused", |s| {
            s.problem
                .as_ref()
                .is_some_and(|p| p.code == "access-denied")
        })
        .await;
    assert_eq!(status.phase, Phase::Failed);
    let problem = status.problem.unwrap();
    assert!(
        problem.next.contains("as soon as the credentials change"),
        "{problem:?}"
    );
    // Put right, it is tried at once, not after the minute that was announced.
    fs::write(folder.join("door"), format!("{}:{secret}\n", Camera::USER)).unwrap();
    deployment.live(&added).await;
    deployment.grows(&added, 1).await;
    deployment.sound().await;

    for topic in [
        Topic::Streams,
        Topic::Status,
        Topic::Source,
        Topic::Audio,
        Topic::Index,
        Topic::Gaps,
    ] {
        for record in deployment.read(topic.clone(), added.partition).await {
            assert!(!holds(&record, secret), "{topic} at {}", record.offset);
        }
    }
    assert!(!ingest.log().contains(secret), "the log");
    assert!(
        ingest.log().contains("media worker started"),
        "the log was looked at"
    );
}

#[tokio::test]
async fn credentials_that_are_not_there_are_named() {
    let mut deployment = Deployment::new("camera-nologin").await;
    deployment.allow_local_sources = true;
    let camera = camera(&deployment, "camera-nologin", Login::Digest).await;
    let ingest = deployment.ingest();
    let without = deployment.add("without", &camera.url()).await;
    let spec = json!({"id": "missing", "source": camera.url(), "credentials": "nobody"});
    let missing = deployment.add_spec("missing", spec).await;
    for (added, code, words) in [
        (&without, "access-denied", "--credentials-dir"),
        (&missing, "no-credentials", "nobody"),
    ] {
        let status = deployment
            .status_until(added, code, |s| {
                s.problem.as_ref().is_some_and(|p| p.code == code)
            })
            .await;
        assert_eq!(status.phase, Phase::Failed);
        assert!(status.problem.unwrap().message.contains(words));
    }
    ingest.stop().await;
}
