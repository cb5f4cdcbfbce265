//! Adding, changing and removing streams.

use futures::future::join_all;
use reelay_bus::{Headers, Outgoing};
use reelay_testkit::wait_until;
use reelay_wire::Topic;
use serde_json::{Value, json};

use crate::start::{Answer, Gateway, PATIENCE, Topics, gateway, spec};

async fn put(gateway: &Gateway, id: &str, version: Option<&str>, spec: &Value) -> Answer {
    let request = gateway
        .client
        .put(gateway.url(&format!("/api/v1/streams/{id}")));
    let request = match version {
        Some(version) => request.header("if-match", version),
        None => request,
    };
    Answer::of(request.json(spec)).await
}

async fn delete(gateway: &Gateway, id: &str, version: &str) -> Answer {
    let request = gateway
        .client
        .delete(gateway.url(&format!("/api/v1/streams/{id}")));
    Answer::of(request.header("if-match", version)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_added_changed_and_removed_and_each_answer_is_in_force() {
    let gateway = gateway("edits", &[]).await;
    assert_eq!(
        gateway.get("/api/v1/streams").await.json(),
        json!({"streams": []})
    );

    let added = gateway.add(spec("door")).await;
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(added.header("location"), "/api/v1/streams/door");
    let view = added.json();
    assert_eq!(view["phase"], "starting");
    assert_eq!(view["playback"]["hls"], "/streams/door/hls/master.m3u8");
    let (first, uid) = (added.header("etag").to_owned(), view["spec"]["uid"].clone());
    assert_eq!(first, format!("\"{}\"", view["version"]));

    // It is there at once, without waiting.
    let shown = gateway.get("/api/v1/streams/door").await;
    assert_eq!(shown.json()["spec"], view["spec"]);
    assert_eq!(shown.header("etag"), first);
    assert_eq!(
        gateway.get("/api/v1/streams").await.json()["streams"][0]["spec"]["id"],
        "door"
    );
    assert_eq!(gateway.add(spec("door")).await.problem(), "exists");

    let mut named = spec("door");
    named["name"] = json!("Front door");
    let changed = put(&gateway, "door", Some(&first), &named).await;
    assert_eq!(
        (changed.status, &changed.json()["spec"]["name"]),
        (200, &json!("Front door"))
    );
    assert_eq!(changed.json()["spec"]["uid"], uid);
    let second = changed.header("etag").to_owned();

    let stale = put(&gateway, "door", Some(&first), &named).await;
    assert_eq!((stale.status, stale.problem().as_str()), (412, "stale"));
    let stale = delete(&gateway, "door", &first).await;
    assert_eq!((stale.status, stale.problem().as_str()), (412, "stale"));
    assert_eq!(put(&gateway, "door", Some("*"), &named).await.status, 200);
    assert_eq!(put(&gateway, "door", None, &named).await.status, 200);
    assert_eq!(delete(&gateway, "door", &second).await.status, 412);

    assert_eq!(delete(&gateway, "door", "*").await.status, 204);
    assert_eq!(
        gateway.get("/api/v1/streams/door").await.problem(),
        "no-stream"
    );
    assert_eq!(delete(&gateway, "door", "*").await.problem(), "no-stream");
    assert_eq!(
        put(&gateway, "door", None, &named).await.problem(),
        "no-stream"
    );

    let again = gateway.add(spec("door")).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.json()["spec"]["uid"], uid, "another incarnation");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_edit_at_once_one_wins_whichever_gateway_they_ask() {
    let topics = Topics::named("race").await;
    topics.make().await;
    let gateways = [topics.gateway(&[]).await, topics.gateway(&[]).await];
    let of = |i: usize| &gateways[i % 2];

    let added = join_all((0..10).map(|i| of(i).add(spec("door")))).await;
    let won: Vec<&Answer> = added.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1, "{added:?}");
    assert!(
        added
            .iter()
            .all(|answer| matches!(answer.status, 201 | 409)),
        "{added:?}"
    );
    let version = won[0].header("etag").to_owned();

    // The other gateway sees it without being told.
    let seen = async || {
        (gateways[0].get("/api/v1/streams/door").await.status == 200
            && gateways[1].get("/api/v1/streams/door").await.status == 200)
            .then_some(())
    };
    wait_until("both gateways know the stream", PATIENCE, seen)
        .await
        .unwrap();

    let names: Vec<Value> = (0..10)
        .map(|i| {
            let mut named = spec("door");
            named["name"] = json!(format!("name {i}"));
            named
        })
        .collect();
    let edits = join_all(
        names
            .iter()
            .enumerate()
            .map(|(i, name)| put(of(i), "door", Some(&version), name)),
    )
    .await;
    let won: Vec<&Answer> = edits.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1, "{edits:?}");
    assert!(
        edits
            .iter()
            .all(|answer| matches!(answer.status, 200 | 412)),
        "{edits:?}"
    );
    let name = won[0].json()["spec"]["name"].clone();
    let agreed = async || {
        let names = join_all(
            gateways
                .iter()
                .map(|gateway| gateway.get("/api/v1/streams/door")),
        )
        .await;
        names
            .iter()
            .all(|answer| answer.json()["spec"]["name"] == name)
            .then_some(())
    };
    wait_until("both gateways have the edit that won", PATIENCE, agreed)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_valid_is_refused_with_each_field_and_what_is_allowed() {
    let gateway = gateway("invalid", &[]).await;
    let with = |changes: Value| {
        let mut spec = spec("door");
        spec.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        spec
    };
    for (changes, field) in [
        (json!({"id": "Door"}), "id"),
        (json!({"source": "gopher://x"}), "source"),
        (json!({"source": "file:../x.mp4"}), "source"),
        (json!({"source": "http://127.0.0.1/x.mp4"}), "source"),
        (
            json!({"source": "http://169.254.169.254/latest/meta-data"}),
            "source",
        ),
        (
            json!({"greatestSegmentSeconds": 1}),
            "greatestSegmentSeconds",
        ),
        (
            json!({"greatestSegmentSeconds": "six"}),
            "greatestSegmentSeconds",
        ),
        (json!({"latency": "fast"}), "latency"),
        (json!({"partition": 99}), "partition"),
        (json!({"ladder": ["999p"]}), "ladder[0]"),
        (json!({"labels": {"a b": "c"}}), "labels.a b"),
        (
            json!({"uid": "00000000-0000-4000-8000-000000000001"}),
            "uid",
        ),
        (json!({"sauce": "x"}), "sauce"),
    ] {
        let answer = gateway.add(with(changes)).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (422, "invalid"),
            "{answer:?}"
        );
        assert_eq!(answer.fields(), [field], "{answer:?}");
        assert!(
            !answer.json()["errors"][0]["allowed"]
                .as_str()
                .unwrap()
                .is_empty()
        );
    }
    let several = gateway
        .add(json!({"id": "Door", "source": "x", "name": ""}))
        .await;
    assert_eq!(several.fields(), ["id", "source", "name"]);

    let added = gateway.add(spec("door")).await;
    assert_eq!(added.status, 201);
    for (changes, field) in [
        (json!({"id": "gate"}), "id"),
        (
            json!({"greatestSegmentSeconds": 4}),
            "greatestSegmentSeconds",
        ),
        (json!({"partition": 1}), "partition"),
        (
            json!({"uid": "00000000-0000-4000-8000-000000000001"}),
            "uid",
        ),
    ] {
        let answer = put(&gateway, "door", None, &with(changes)).await;
        assert_eq!(
            (answer.status, answer.fields()),
            (422, vec![field.to_owned()]),
            "{answer:?}"
        );
    }
    let answer = put(&gateway, "door", Some("soon"), &spec("door")).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "bad-if-match")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_nearby_are_accepted_when_that_is_configured() {
    let gateway = gateway("nearby", &["--allow-local-sources"]).await;
    let answer = gateway
        .add(json!({"id": "door", "source": "http://127.0.0.1:1/x.mp4"}))
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_an_address_gets_neither_into_the_log_nor_into_answers() {
    let gateway = gateway("password", &[]).await;
    for source in [
        "http://admin:hunter2@cam.example/a.mp4",
        "rtsp://admin:hunter2@cam.example/1",
    ] {
        let answer = gateway.add(json!({"id": "door", "source": source})).await;
        assert_eq!(answer.status, 422);
        assert!(!answer.text.contains("hunter2"), "{answer:?}");
    }
    for partition in 0..crate::start::PARTITIONS {
        let (low, high) = gateway
            .bus()
            .watermarks(&Topic::Streams, partition)
            .await
            .unwrap();
        assert_eq!(low, high, "nothing was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_word_shows_with_the_stream() {
    let gateway = gateway("status", &[]).await;
    let uid = gateway.add(spec("door")).await.json()["spec"]["uid"].clone();
    let now = reelay_model::Micros::now().0;
    let status = json!({
        "id": "door", "uid": uid, "component": "ingest", "instance": "ingest-0", "at": now,
        "phase": "reconnecting", "since": now,
        "problem": {"code": "no-answer", "message": "the camera does not answer",
            "since": now, "next": "tried again in 8 s"}
    });
    let record = Outgoing {
        topic: Topic::Status,
        partition: 0,
        key: "door/ingest".into(),
        headers: Headers::new(),
        value: status.to_string().into(),
    };
    gateway
        .bus()
        .producer()
        .unwrap()
        .send(record)
        .await
        .unwrap();
    let view = wait_until("the status shows", PATIENCE, async || {
        let view = gateway.get("/api/v1/streams/door").await.json();
        (view["phase"] == "reconnecting").then_some(view)
    });
    let view = view.await.unwrap();
    assert_eq!(view["problem"]["code"], "no-answer");
    assert_eq!(view["status"]["ingest"]["instance"], "ingest-0");
}
