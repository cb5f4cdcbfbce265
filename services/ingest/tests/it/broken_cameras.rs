//! Broken cameras: none ends the service or touches another stream, and each leaves a status that
//! says what is wrong, since when, and what happens next.

use std::collections::BTreeSet;

use reelay_model::Phase;
use reelay_testkit::{
    broken::{BrokenCamera, FAULTS, Fault, Footage, NONE, Outcome},
    wait_until,
};
use reelay_wire::Track;

use crate::{
    setup::{Deployment, LIMIT},
    synthetic::CAMERA,
};

/// So many are looked at at a time: each has a worker process.
const AT_A_TIME: usize = 14;

/// One of each class.
#[tokio::test]
async fn broken_cameras_of_each_class_are_named_and_touch_nobody_else() {
    let mut classes = BTreeSet::new();
    let first = FAULTS.iter().filter(|fault| classes.insert(fault.class));
    let faults: Vec<&Fault> = first.collect();
    look_at("broken-classes", &faults).await;
}

#[tokio::test]
#[ignore = "soak: 80 cameras, some of which are waited for half a minute"]
async fn every_broken_camera_is_named_and_touches_nobody_else() {
    let classes: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.class).collect();
    assert!(
        FAULTS.len() >= 50 && classes.len() >= 12,
        "{} in {classes:?}",
        FAULTS.len()
    );
    let faults: Vec<&Fault> = FAULTS.iter().collect();
    look_at("broken-cameras", &faults).await;
}

async fn look_at(name: &str, faults: &[&'static Fault]) {
    let mut deployment = Deployment::new(name).await;
    deployment.allow_local_sources = true;
    let footage = Footage::make(deployment.scratch.path()).unwrap();
    // What cameras that refuse a login are given.
    let login = deployment.credentials_dir().join("login");
    std::fs::write(login, "user:password-of-nobody").unwrap();
    let good = deployment.add("good", CAMERA).await;
    let ingest = deployment.process("ingest-0");
    deployment.live(&good).await;
    let sound = BrokenCamera::start(&NONE, &footage).unwrap();
    let fine = deployment.add("fine", &sound.url()).await;
    deployment.live(&fine).await;

    for faults in faults.chunks(AT_A_TIME) {
        let mut running = Vec::new();
        for fault in faults.iter().copied() {
            let camera = BrokenCamera::start(fault, &footage).unwrap();
            let id = format!("{}-{}", fault.class, fault.name);
            let spec = serde_json::json!({
                "id": id, "source": camera.url(), "credentials": "login",
                "greatestSegmentSeconds": 4,
            });
            running.push((fault, deployment.add_spec(&id, spec).await, camera));
        }
        for (fault, added, camera) in running {
            let what = format!("{}, {}: {:?}", fault.class, fault.name, fault.outcome);
            let status = match fault.outcome {
                Outcome::Plays => {
                    deployment
                        .status_until(&added, &what, |s| s.phase == Phase::Live)
                        .await
                }
                Outcome::Says(codes) => {
                    deployment
                        .status_until(&added, &what, |s| {
                            let problem = s.problem.as_ref();
                            problem.is_some_and(|p| codes.contains(&p.code.as_str()))
                        })
                        .await
                }
            };
            if let Some(problem) = status.problem {
                let words = format!("{what}: {problem:?}");
                assert!(problem.message.split(' ').count() > 3, "{words}");
                assert!(problem.since.0 > 0 && !problem.next.is_empty(), "{words}");
                assert!(!problem.message.contains("password-of-nobody"), "{words}");
            }
            deployment.remove(&added).await;
            drop(camera);
        }
    }

    assert_eq!(ingest.exit_status(), None, "ingest still runs");
    deployment.grows(&good, 2).await;
    // It has no audio.
    let before = deployment.indexed(&fine, Track::Video).await.len();
    wait_until("the sound camera goes on", LIMIT, || async {
        let now = deployment.indexed(&fine, Track::Video).await.len();
        (now > before + 1).then_some(())
    })
    .await
    .unwrap();
    for added in [&good, &fine] {
        let headers = deployment.indexed(added, Track::Video).await;
        let breaks: BTreeSet<u64> = headers.iter().map(|h| h.discontinuity_sequence).collect();
        assert_eq!(breaks.len(), 1, "{} was touched: {breaks:?}", added.id);
    }
    assert!(!ingest.log().contains("password-of-nobody"));
    deployment.sound().await;
}
