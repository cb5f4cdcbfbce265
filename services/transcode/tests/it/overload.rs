//! A machine that cannot keep up: the backlog becomes gaps, the status says so, and the gaps are
//! made up for afterwards.

use std::time::Duration;

use reelay_model::Micros;
use reelay_testkit::wait_until;
use reelay_wire::Topic;

use crate::setup::{CAMERA, Deployment, LIMIT, tracks};

#[tokio::test]
async fn a_backlog_becomes_gaps_and_heals() {
    let log = Deployment::new("overload").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    let mut config = log.config("overload");
    config.limits.most_behind = Micros(10_000_000);
    let transcode = log.transcode(config.clone());
    log.grows(&camera, 2).await;
    // Nobody transcodes for longer than may wait.
    transcode.stop().await;
    let source = log.indexed(&camera, &reelay_wire::Track::Video).await.len();
    wait_until("a backlog", LIMIT, || async {
        let now = log.indexed(&camera, &reelay_wire::Track::Video).await.len();
        (now > source + 8).then_some(())
    })
    .await
    .unwrap();
    let transcode = log.transcode(config);
    wait_until("gaps in place of the backlog", LIMIT, || async {
        let records = log.records(&camera, Topic::Index).await;
        let gaps = records.iter().filter(|(_, header)| {
            header.kind == reelay_wire::Kind::Gap && header.track == tracks()[0]
        });
        (gaps.count() >= 4).then_some(())
    })
    .await
    .unwrap();
    let problem = wait_until("a status that says so", LIMIT, || async {
        log.status(&camera).await?.problem
    })
    .await
    .unwrap();
    assert_eq!(problem.code, "overloaded");
    wait_until("the gaps to heal", LIMIT, || async {
        for track in tracks() {
            let indexed = log.indexed(&camera, &track).await;
            if indexed.values().any(|gap| *gap) {
                return None;
            }
        }
        Some(())
    })
    .await
    .unwrap();
    wait_until("a status without a problem", LIMIT, || async {
        log.status(&camera).await?.problem.is_none().then_some(())
    })
    .await
    .unwrap();
    ingest.stop().await;
    log.complete(&camera).await;
    transcode.stop().await;
    let late = log.records(&camera, Topic::of_track(&tracks()[0])).await;
    assert!(late.iter().any(|(_, header)| header.late));
    tokio::time::timeout(
        Duration::from_secs(180),
        log.proves(&camera, "overload-again"),
    )
    .await
    .unwrap();
}
