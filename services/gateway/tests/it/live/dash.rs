//! What a DASH player gets.

use futures::StreamExt as _;
use reelay_model::Track;
use reelay_testkit::wait_until;
use serde_json::json;

use super::{
    bytes, camera,
    camera::{Camera, PARTS, init_hash, init_of, tracks},
    path, stage,
};
use crate::start::{Answer, Gateway, PATIENCE};

const MANIFEST: &str = "/streams/door/dash/manifest.mpd";

/// A value of an attribute, for each time that it is written.
fn values(manifest: &str, attribute: &str) -> Vec<String> {
    let marker = format!(" {attribute}=\"");
    let found = manifest.split(&marker).skip(1);
    found
        .map(|rest| rest.split_once('"').unwrap().0.to_owned())
        .collect()
}

/// The address of the segment of `track` that starts `parts` parts after the time line's zero.
fn address(camera: &Camera, anchor: u64, track: &Track, parts: u64) -> String {
    let ticks = match track {
        Track::Audio => 9_600,
        _ => 18_000,
    };
    let time = parts * ticks;
    format!(
        "/streams/door/dash/{track}/{}/{anchor}-{time}.m4s",
        camera.uid
    )
}

/// The manifest as soon as it names what is asked for.
async fn manifest_with(gateway: &Gateway, what: &str) -> String {
    let shown = async || {
        let answer = gateway.get(MANIFEST).await;
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answer.text.contains(what).then_some(answer.text)
    };
    wait_until(what, PATIENCE, shown).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_leads_to_the_media_of_hls() {
    let (_topics, gateway, mut camera) = stage("dash", &[]).await;
    camera.claim().await;
    let anchor = camera.number;
    camera.segments(3).await;
    let text = manifest_with(&gateway, "r=\"2\"").await;
    for track in tracks() {
        let init = format!(
            "../hls/{track}/init-{}.mp4",
            init_hash(&track).fingerprint()
        );
        assert!(values(&text, "initialization").contains(&init), "{text}");
        let init = init.replace("..", "/streams/door");
        assert_eq!(bytes(&gateway, &init).await, init_of(&track));
        let media = format!("{track}/{}/{anchor}-$Time$.m4s", camera.uid);
        assert!(values(&text, "media").contains(&media), "{text}");
        for number in 0..3 {
            let segment = address(&camera, anchor, &track, number * PARTS as u64);
            let media = camera.segment(&track, anchor + number);
            assert_eq!(bytes(&gateway, &segment).await, media);
            let hls = path(&camera, &track, camera.epoch.0, anchor + number, None);
            assert_eq!(bytes(&gateway, &hls).await, media);
        }
    }
    assert_eq!(values(&text, "id")[0], camera.uid.to_string());
    assert_eq!(
        values(&text, "availabilityTimeComplete"),
        ["false", "false"]
    );

    // The clock that it names can be read by pages of any origin.
    let clock = gateway.get("/api/v1/time").await;
    assert_eq!(clock.header("access-control-allow-origin"), "*");
    let _: jiff::Timestamp = clock.text.parse().unwrap();

    for missing in [
        address(&camera, anchor, &Track::Video, 1),
        address(&camera, anchor + 1, &Track::Video, 0),
        address(&camera, anchor, &Track::Video, 90 * PARTS as u64),
        address(&camera, anchor, &"480p".parse().unwrap(), 0),
        "/streams/nobody/dash/manifest.mpd".to_owned(),
        address(&camera, anchor, &Track::Video, 0).replace(
            &camera.uid.to_string(),
            "00112233-4455-6677-8899-aabbccddeeff",
        ),
    ] {
        let answer = gateway.get(&missing).await;
        assert_eq!(answer.status, 404, "{missing}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_fit_for_caches_and_the_same_from_every_gateway() {
    let (topics, gateway, mut camera) = stage("dash-caches", &[]).await;
    camera.claim().await;
    camera.segments(3).await;
    camera.part().await;
    let text = manifest_with(&gateway, &format!("r=\"{}\"", 3)).await;
    let plain = gateway.get(MANIFEST).await;
    assert_eq!(plain.text, text);
    assert_eq!(plain.header("content-type"), "application/dash+xml");
    assert_eq!(plain.header("cache-control"), "no-cache");
    assert_eq!(plain.header("vary"), "accept-encoding");
    assert_eq!(plain.header("access-control-allow-origin"), "*");
    let request = gateway.client.get(gateway.url(MANIFEST));
    let known = request.header("if-none-match", plain.header("etag"));
    assert_eq!(Answer::of(known).await.status, 304);
    let request = gateway.client.get(gateway.url(MANIFEST));
    let small = request
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");

    let other = topics.gateway(&[]).await;
    assert_eq!(manifest_with(&other, "r=\"3\"").await, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_grows_is_answered_as_it_comes() {
    let (_topics, gateway, mut camera) = stage("dash-grows", &[]).await;
    camera.claim().await;
    let anchor = camera.number;
    camera.segments(1).await;
    camera.part().await;
    // The first segment is whole, the second has begun.
    manifest_with(&gateway, "r=\"1\"").await;
    let url = gateway.url(&address(&camera, anchor, &Track::Video, PARTS as u64));
    let response = gateway.client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("content-length"), None);
    let etag = response.headers()["etag"].clone();
    let mut body = response.bytes_stream();
    let mut received = Vec::new();
    for part in 1..PARTS {
        let media = camera.media[&(Track::Video, anchor + 1)].concat();
        while received.len() < media.len() {
            received.extend(body.next().await.unwrap().unwrap());
        }
        assert_eq!(received, media, "after {part} parts");
        camera.part().await;
    }
    while let Some(bytes) = body.next().await {
        received.extend(bytes.unwrap());
    }
    assert_eq!(received, camera.segment(&Track::Video, anchor + 1));
    let again = gateway.client.get(&url).send().await.unwrap();
    assert_eq!(again.headers()["etag"], etag);
    assert_eq!(
        again.headers()["content-length"],
        received.len().to_string()
    );
    assert_eq!(again.bytes().await.unwrap(), received);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_segment_is_waited_for_unless_a_period_ends_before_it() {
    let (_topics, gateway, mut camera) = stage("dash-next", &[]).await;
    camera.claim().await;
    let anchor = camera.number;
    camera.segments(1).await;
    manifest_with(&gateway, "<S t=\"0\" d=\"180000\"/>").await;
    let next = |camera: &Camera, segments: u64| {
        let path = address(camera, anchor, &Track::Video, segments * PARTS as u64);
        gateway.client.get(gateway.url(&path))
    };
    let waiting = tokio::spawn(next(&camera, 1).send());
    camera.segments(1).await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let media = camera.segment(&Track::Video, anchor + 1);
    assert_eq!(answer.bytes().await.unwrap(), media);

    // What comes next lies in another Period, though decode times go on.
    manifest_with(&gateway, "r=\"1\"").await;
    let waiting = tokio::spawn(Answer::of(next(&camera, 2)));
    camera.come_back().await;
    let back = camera.number;
    camera.segments(1).await;
    let answer = waiting.await.unwrap();
    assert!(matches!(answer.status, 404 | 503), "{answer:?}");
    let text = manifest_with(&gateway, &format!("<Period id=\"{back}\"")).await;
    assert_eq!(
        values(&text, "presentationTimeOffset"),
        ["360000", "192000"]
    );
    assert_eq!(Answer::of(next(&camera, 2)).await.status, 404);
    let path = address(&camera, back, &Track::Video, 2 * PARTS as u64);
    let media = camera.segment(&Track::Video, back);
    assert_eq!(bytes(&gateway, &path).await, media);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_stream_shows_whole_segments_and_an_ended_one_says_so() {
    let (topics, gateway, _) = stage("dash-normal", &[]).await;
    let mut yard = camera(&gateway, &topics, "yard", json!({"latency": "normal"})).await;
    yard.claim().await;
    yard.segments(2).await;
    yard.part().await;
    let manifest = "/streams/yard/dash/manifest.mpd";
    let shown = async || {
        let answer = gateway.get(manifest).await;
        answer.text.contains("r=\"1\"").then_some(answer)
    };
    let shown = wait_until("two segments", PATIENCE, shown).await.unwrap();
    assert!(!shown.text.contains("availabilityTime"), "{}", shown.text);
    assert_eq!(shown.header("cache-control"), "public, max-age=1");
    assert!(shown.text.contains("minimumUpdatePeriod"));
    yard.end().await;
    let ended = async || {
        let answer = gateway.get(manifest).await;
        answer
            .text
            .contains("mediaPresentationDuration")
            .then_some(answer.text)
    };
    let ended = wait_until("the end", PATIENCE, ended).await.unwrap();
    assert!(!ended.contains("minimumUpdatePeriod"), "{ended}");
}
