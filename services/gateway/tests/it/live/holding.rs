//! Requests that are held, and those that are not.

use std::time::Instant;

use reelay_model::Track;

use super::{camera::PARTS, path, playlist, playlist_with, stage, uris};
use crate::start::{Answer, Gateway};

fn ask(gateway: &Gateway, path: &str) -> tokio::task::JoinHandle<Answer> {
    tokio::spawn(Answer::of(gateway.client.get(gateway.url(path))))
}

fn reload(gateway: &Gateway, query: &str) -> tokio::task::JoinHandle<Answer> {
    ask(
        gateway,
        &format!("/streams/door/hls/video/media.m3u8{query}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_waits_for_exactly_what_it_asks_for() {
    let (_topics, gateway, mut camera) = stage("reload", &[]).await;
    camera.claim().await;
    camera.segments(1).await;
    camera.part().await;
    let number = camera.number;
    playlist_with(&gateway, &Track::Video, number, 0).await;

    // None of this is in the log yet.
    let next_part = reload(&gateway, &format!("?_HLS_msn={number}&_HLS_part=1"));
    let next_segment = reload(&gateway, &format!("?_HLS_msn={}", number + 1));
    let past_the_end = reload(&gateway, &format!("?_HLS_msn={number}&_HLS_part={PARTS}"));
    camera.part().await;
    let answer = next_part.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        uris(&answer.text, Some("#EXT-X-PART:"))
            .last()
            .unwrap()
            .ends_with(".1.m4s")
    );
    assert!(!next_segment.is_finished() && !past_the_end.is_finished());
    camera.segments(1).await;
    assert!(!next_segment.is_finished() && !past_the_end.is_finished());
    camera.part().await;
    for held in [next_segment, past_the_end] {
        // Part 0 of the next segment answers both.
        let answer = held.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let newest = uris(&answer.text, Some("#EXT-X-PART:"))
            .last()
            .unwrap()
            .clone();
        assert!(newest.contains(&format!("-{}-", number + 1)), "{newest}");
    }
    let hint = uris(
        &playlist(&gateway, &Track::Video, "").await.text,
        Some("#EXT-X-PRELOAD-HINT"),
    );
    assert!(hint[0].ends_with(".1.m4s"), "{hint:?}");

    for bad in [
        "?_HLS_part=1".to_owned(),
        "?_HLS_msn=x".to_owned(),
        format!("?_HLS_msn={}", camera.number + 3),
        format!("?_HLS_msn={}&_HLS_part=99", camera.number),
    ] {
        let answer = playlist(&gateway, &Track::Video, &bad).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "bad-directive"),
            "{bad}"
        );
    }
    // What lies behind is answered at once.
    assert_eq!(
        playlist(&gateway, &Track::Video, "?_HLS_msn=0&_HLS_part=7")
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_update_is_sent_to_who_asks_for_it() {
    let (_topics, gateway, mut camera) = stage("delta", &[]).await;
    camera.claim().await;
    camera.segments(10).await;
    playlist_with(&gateway, &Track::Video, camera.number - 1, PARTS - 1).await;
    let whole = playlist(&gateway, &Track::Video, "").await.text;
    let delta = playlist(&gateway, &Track::Video, "?_HLS_skip=YES")
        .await
        .text;
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n"),
        "{delta}"
    );
    assert!(uris(&whole, None).ends_with(&uris(&delta, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_another_replica_may_have_is_waited_for() {
    let (_topics, gateway, mut camera) = stage("ahead", &[]).await;
    camera.claim().await;
    camera.segments(1).await;
    camera.part().await;
    playlist_with(&gateway, &Track::Video, camera.number, 0).await;
    let (epoch, number) = (camera.epoch.0, camera.number);
    let file = |number, part| path(&camera, &Track::Video, epoch, number, part);

    // The hinted part, before it is there.
    let (hinted, whole) = (file(number, Some(1)), file(number, None));
    let (next, far) = (file(number + 1, Some(0)), file(number + 2, Some(0)));
    let coming = ask(&gateway, &hinted);
    camera.part().await;
    let answer = coming.await.unwrap();
    // A machine that is busy for 0.6 s answers 503: then it is there on the next try.
    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    playlist_with(&gateway, &Track::Video, number, 1).await;
    assert_eq!(
        super::bytes(&gateway, &hinted).await,
        camera.media[&(Track::Video, number)][1]
    );

    // The whole of an open segment, and one segment ahead: held, but not for ever.
    for held in [&whole, &next] {
        let asked = Instant::now();
        let answer = gateway.get(held).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (503, "held-too-long"),
            "{held}"
        );
        assert!(asked.elapsed().as_millis() >= 600);
    }
    // Further ahead there is nothing to wait for.
    assert_eq!(gateway.get(&far).await.problem(), "not-found");

    // A hint that never comes: the segment ends before it.
    let never = path(&camera, &Track::Video, epoch, number, Some(2));
    let held = ask(&gateway, &never);
    camera.close().await;
    assert_eq!(held.await.unwrap().problem(), "not-found");
    assert_eq!(gateway.get(&never).await.problem(), "not-found");
    assert_eq!(
        super::bytes(&gateway, &whole).await,
        camera.segment(&Track::Video, number)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_holds_nobody_for_ever_and_a_stop_lets_all_go() {
    let (_topics, gateway, mut camera) = stage("held", &[]).await;
    camera.claim().await;
    camera.segments(1).await;
    let number = camera.number;
    playlist_with(&gateway, &Track::Video, number - 1, PARTS - 1).await;
    let asked = Instant::now();
    let answer = playlist(
        &gateway,
        &Track::Video,
        &format!("?_HLS_msn={number}&_HLS_part=0"),
    )
    .await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "held-too-long")
    );
    // Three target durations of two seconds.
    assert!(asked.elapsed().as_secs() >= 6);
    let held = reload(&gateway, &format!("?_HLS_msn={number}"));
    // The request is on its way before the one that is answered after it.
    assert_eq!(playlist(&gateway, &Track::Video, "").await.status, 200);
    gateway.runtime.stop();
    let answer = held.await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 503));
}
