//! What players report.

use reelay_bus::FetchLimits;
use reelay_testkit::wait_until;
use reelay_wire::{Topic, partition_for};
use serde_json::{Value, json};

use crate::start::{Answer, Gateway, PARTITIONS, PATIENCE, gateway, spec};

fn report(stream: &str) -> Value {
    json!({
        "stream": stream, "uid": null, "session": "0123456789abcdef0123456789abcdef", "sequence": 3,
        "from": "2026-11-21T09:30:00.000Z", "to": "2026-11-21T09:30:10.000Z", "player": "web",
        "startupMs": 512, "watchedMs": 9800, "stalls": 0, "stalledMs": 0, "switches": 0,
        "errors": 0, "failovers": 0, "height": 720, "bandwidth": 2_500_000,
        "latencyMs": {"samples": 9, "least": 1010, "mean": 1043, "greatest": 1100}
    })
}

async fn post(gateway: &Gateway, reports: &Value) -> Answer {
    Answer::of(
        gateway
            .client
            .post(gateway.url("/api/v1/qoe"))
            .json(reports),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_get_into_the_log_without_a_token() {
    let gateway = gateway("qoe", &["--token", "correct-horse"]).await;
    let add = gateway
        .client
        .post(gateway.url("/api/v1/streams"))
        .json(&spec("door"));
    assert_eq!(
        Answer::of(add.bearer_auth("correct-horse")).await.status,
        201
    );
    let answer = post(
        &gateway,
        &json!([report("door"), report("never-was"), report("door")]),
    )
    .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let partition = partition_for(&"door".parse().unwrap(), PARTITIONS);
    let records = wait_until("the reports are in the log", PATIENCE, async || {
        let fetched = gateway
            .bus()
            .fetch(&Topic::Qoe, partition, 0, FetchLimits::default())
            .await;
        fetched.ok().filter(|records| records.len() == 2)
    });
    let records = records.await.unwrap();
    assert_eq!(records[0].key.as_deref(), Some(&b"door"[..]));
    let written: Value = serde_json::from_slice(&records[0].value).unwrap();
    assert_eq!(written, report("door"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_bounded() {
    let gateway = gateway("qoe-bounds", &[]).await;
    assert_eq!(post(&gateway, &json!([])).await.problem(), "invalid");
    let many = json!(vec![report("door"); 21]);
    assert_eq!(post(&gateway, &many).await.problem(), "invalid");
    let mut bad = report("door");
    bad["stalls"] = json!(-1);
    let answer = post(&gateway, &json!([report("door"), bad])).await;
    assert_eq!(answer.fields(), ["[1].stalls"], "{answer:?}");
    let mut bad = report("door");
    bad["cookie"] = json!("x");
    assert_eq!(post(&gateway, &json!([bad])).await.problem(), "invalid");
    let full = json!(vec![report("never-was"); 20]);
    let limited = wait_until("a flood is refused", PATIENCE, async || {
        let answers = futures::future::join_all((0..300).map(|_| post(&gateway, &full))).await;
        answers.into_iter().find(|answer| answer.status == 429)
    });
    assert_eq!(limited.await.unwrap().problem(), "too-many");
}
