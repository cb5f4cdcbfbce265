//! What a player gets.

use futures::future::join_all;
use reelay_model::Track;
use serde_json::{Value, json};

use super::{
    base, bytes, camera,
    camera::{PARTS, init_hash, init_of, tracks},
    path, playlist, playlist_with, stage, uris,
};
use crate::start::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_gateway_serves_a_stream_in_mid_segment() {
    let (_topics, gateway, mut camera) = stage("serving", &[]).await;
    camera.claim().await;
    camera.segments(13).await;
    camera.part().await;
    camera.part().await;

    let master = gateway.get("/streams/door/hls/master.m3u8").await;
    assert_eq!(master.status, 200, "{master:?}");
    assert_eq!(
        master.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    let expected = "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"audio\"\nvideo/media.m3u8\n";
    assert!(master.text.contains(expected), "{}", master.text);
    assert!(
        master.text.contains("URI=\"audio/media.m3u8\""),
        "{}",
        master.text
    );

    for track in tracks() {
        let shown = playlist_with(&gateway, &track, camera.number, 1).await;
        assert_eq!(
            uris(&shown, Some("#EXT-X-MAP")),
            [format!("init-{}.mp4", init_hash(&track).fingerprint())]
        );
        let init = bytes(
            &gateway,
            &format!("{}{}", base(&track), uris(&shown, Some("#EXT-X-MAP"))[0]),
        )
        .await;
        assert_eq!(init, init_of(&track));
        // Ten segments of two seconds are the window.
        let first = camera.number - 10;
        assert!(
            shown.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{first}\n")),
            "{shown}"
        );
        let segments = uris(&shown, None);
        assert_eq!(segments.len(), 10);
        for (number, uri) in (first..).zip(&segments) {
            assert_eq!(
                bytes(&gateway, &format!("{}{uri}", base(&track))).await,
                camera.segment(&track, number)
            );
        }
        // Parts of the last three target durations: three segments and what is open.
        let parts = uris(&shown, Some("#EXT-X-PART:"));
        assert_eq!(parts.len(), 3 * PARTS + 2);
        for (at, uri) in (3 * PARTS - PARTS..).zip(&parts[3 * PARTS - PARTS..]) {
            let (number, part) = (camera.number - 3 + (at / PARTS) as u64, at % PARTS);
            let media = &camera.media[&(track.clone(), number)][part];
            assert_eq!(
                bytes(&gateway, &format!("{}{uri}", base(&track))).await,
                media
            );
        }
        let other = tracks().into_iter().find(|other| *other != track).unwrap();
        assert!(shown.contains(&format!(
            "#EXT-X-RENDITION-REPORT:URI=\"../{other}/media.m3u8\",LAST-MSN="
        )));
    }
    // Not listed any more, but served.
    let old = path(
        &camera,
        &Track::Video,
        camera.epoch.0,
        camera.number - 12,
        None,
    );
    assert_eq!(
        bytes(&gateway, &old).await,
        camera.segment(&Track::Video, camera.number - 12)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_fit_for_caches() {
    let (_topics, gateway, mut camera) = stage("caches", &[]).await;
    camera.claim().await;
    camera.segments(2).await;
    let number = camera.number - 1;
    playlist_with(&gateway, &Track::Video, number, PARTS - 1).await;

    let segment = path(&camera, &Track::Video, camera.epoch.0, number, None);
    let media = camera.segment(&Track::Video, number);
    let url = gateway.url(&segment);
    let head = gateway.client.head(&url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], media.len().to_string());
    assert_eq!(head.headers()["content-type"], "video/mp4");
    assert_eq!(
        head.headers()["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let etag = head.headers()["etag"].clone();
    let known = Answer::of(gateway.client.get(&url).header("if-none-match", &etag)).await;
    assert_eq!((known.status, known.text.len()), (304, 0));

    let range = |range: &'static str| gateway.client.get(&url).header("range", range).send();
    let middle = range("bytes=3990-4010").await.unwrap();
    assert_eq!(middle.status(), 206);
    assert_eq!(
        middle.headers()["content-range"],
        format!("bytes 3990-4010/{}", media.len())
    );
    assert_eq!(middle.bytes().await.unwrap(), media.slice(3990..=4010));
    let end = range("bytes=-7").await.unwrap();
    assert_eq!(end.bytes().await.unwrap(), media.slice(media.len() - 7..));
    let beyond = range("bytes=9999999-").await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(
        beyond.headers()["content-range"],
        format!("bytes */{}", media.len())
    );

    let plain = playlist(&gateway, &Track::Video, "").await;
    assert_eq!(plain.header("cache-control"), "public, max-age=1");
    assert_eq!(plain.header("vary"), "accept-encoding");
    let blocking = format!("?_HLS_msn={number}&_HLS_part=0");
    let held = playlist(&gateway, &Track::Video, &blocking).await;
    assert_eq!(held.header("cache-control"), "public, max-age=12");
    let url = gateway.url("/streams/door/hls/video/media.m3u8");
    let known = gateway
        .client
        .get(&url)
        .header("if-none-match", plain.header("etag"));
    assert_eq!(Answer::of(known).await.status, 304);
    let small = gateway
        .client
        .get(&url)
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");
    assert_ne!(small.headers()["etag"], plain.header("etag"));
    let small = small.bytes().await.unwrap();
    assert!(small.len() * 3 < plain.text.len());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&small[..]), &mut text)
        .unwrap();
    assert_eq!(text, plain.text);

    for missing in [
        "/streams/nobody/hls/master.m3u8",
        "/streams/door/hls/720p/media.m3u8",
        "/streams/door/hls/video/init-00112233445566778899aabbccddeeff.mp4",
        "/streams/door/hls/video/other.mp4",
        &path(&camera, &Track::Video, camera.epoch.0 + 1, number, None),
        &path(&camera, &Track::Video, camera.epoch.0, number, Some(PARTS)),
        &segment.replace(
            &camera.uid.to_string(),
            "00112233-4455-6677-8899-aabbccddeeff",
        ),
    ] {
        let answer = gateway.get(missing).await;
        assert_eq!(answer.status, 404, "{missing}");
        assert!(!answer.problem().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_memory_is_read_again() {
    let (_topics, gateway, camera) = stage("evicted", &["--media-memory-mib", "1"]).await;
    // 7 MB are listed, 1 MiB is kept.
    let mut camera = camera.with_part_bytes(64_000);
    playlist_with_first(&gateway, &mut camera).await;
    camera.segments(11).await;
    let shown = playlist_with(&gateway, &Track::Video, camera.number - 1, PARTS - 1).await;
    let requests = uris(&shown, None)
        .into_iter()
        .enumerate()
        .flat_map(|(at, uri)| {
            let path = format!("{}{uri}", base(&Track::Video));
            let number = camera.number - 10 + at as u64;
            std::iter::repeat_n((path, number), 4)
        });
    let read = requests.map(async |(path, number)| {
        assert_eq!(
            bytes(&gateway, &path).await,
            camera.segment(&Track::Video, number),
            "{path}"
        );
    });
    join_all(read).await;
    let part = path(
        &camera,
        &Track::Video,
        camera.epoch.0,
        camera.number - 9,
        Some(3),
    );
    let media = &camera.media[&(Track::Video, camera.number - 9)][3];
    assert_eq!(bytes(&gateway, &part).await, media);
}

/// Has the gateway follow before there is much to follow.
async fn playlist_with_first(gateway: &crate::start::Gateway, camera: &mut camera::Camera) {
    camera.claim().await;
    camera.part().await;
    playlist_with(gateway, &Track::Video, camera.number, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_partition_do_not_mix() {
    let (topics, gateway, mut door) = stage("shared", &[]).await;
    let partition = reelay_wire::partition_for(&door.id, crate::start::PARTITIONS);
    let mut yard = super::camera(&gateway, &topics, "yard", json!({"partition": partition})).await;
    door.claim().await;
    door.segments(2).await;
    playlist_with(&gateway, &Track::Video, door.number - 1, PARTS - 1).await;
    // The partition is followed already when the second stream is first asked for.
    yard.claim().await;
    yard.segments(2).await;
    door.segments(1).await;
    yard.part().await;
    let shown = gateway
        .get(&format!(
            "/streams/yard/hls/video/media.m3u8?_HLS_msn={}&_HLS_part=0",
            yard.number
        ))
        .await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let first = uris(&shown.text, None)[0].clone();
    let media = bytes(&gateway, &format!("/streams/yard/hls/video/{first}")).await;
    assert_eq!(media, yard.segment(&Track::Video, yard.number - 2));
    playlist_with(&gateway, &Track::Video, door.number - 1, PARTS - 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_stream_is_plain_hls() {
    let (topics, gateway, _) = stage("normal", &[]).await;
    let mut yard = super::camera(&gateway, &topics, "yard", json!({"latency": "normal"})).await;
    yard.claim().await;
    yard.segments(2).await;
    yard.part().await;
    let shown = gateway.get("/streams/yard/hls/video/media.m3u8").await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert!(!shown.text.contains("PART"), "{}", shown.text);
    assert_eq!(uris(&shown.text, None).len(), 2);
    // A reload waits for the whole segment.
    let url = gateway.url(&format!(
        "/streams/yard/hls/video/media.m3u8?_HLS_msn={}",
        yard.number
    ));
    let reload = tokio::spawn(Answer::of(gateway.client.get(url)));
    yard.segments(1).await;
    assert_eq!(uris(&reload.await.unwrap().text, None).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_page_needs_no_retry_and_an_ended_stream_says_so() {
    let (_topics, gateway, mut camera) = stage("fresh", &[]).await;
    let url = gateway.url("/streams/door/hls/master.m3u8");
    let early = tokio::spawn(Answer::of(gateway.client.get(url)));
    camera.claim().await;
    camera.segments(1).await;
    let early = early.await.unwrap();
    assert_eq!(early.status, 200, "{early:?}");
    camera.end().await;
    // A reload that waits is answered by the end.
    let shown = playlist(
        &gateway,
        &Track::Video,
        &format!("?_HLS_msn={}", camera.number),
    )
    .await;
    assert!(shown.text.ends_with("#EXT-X-ENDLIST\n"), "{shown:?}");
    assert!(!shown.text.contains("#EXT-X-PRELOAD-HINT"));
    let (_topics, gateway, _camera) = stage("silent", &[]).await;
    let answer = gateway.get("/streams/door/hls/master.m3u8").await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "not-started")
    );
    assert_ne!(answer.json()["detail"], Value::Null);
}
