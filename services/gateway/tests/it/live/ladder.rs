//! Rungs: what masters list, that only what is played is read, and that nobody notices a rung
//! that comes or goes.

use std::time::{Duration, Instant};

use reelay_gateway::live::{Directory, Live, LiveConfig, Target};
use reelay_model::{RungId, StreamId, Track};
use reelay_runtime::CancellationToken;
use reelay_testkit::wait_until;
use reelay_wire::Format;
use serde_json::json;

use super::{
    agreed, base, bytes,
    camera::{Camera, PARTS, cap, rung},
    playlist, playlist_with, uris,
};
use crate::start::{Answer, Gateway, PATIENCE, Topics};

/// What is made of a source of 720p by default.
const RUNGS: [&str; 3] = ["480p", "360p", "240p"];
const MASTER: &str = "/streams/door/hls/master.m3u8";

/// A gateway and a camera `door`.
async fn stage(name: &str) -> (Topics, Gateway, Camera) {
    super::stage(name, &[]).await
}

/// The tracks that a master playlist lists, in its order.
fn listed(master: &str) -> Vec<String> {
    let uris = uris(master, None).into_iter();
    uris.map(|uri| uri.split('/').next().unwrap().to_owned())
        .collect()
}

async fn master_of(gateway: &Gateway, tracks: &[&str]) -> String {
    let shown = async || {
        let master = gateway.get(MASTER).await;
        (master.status == 200 && listed(&master.text) == tracks).then_some(master.text)
    };
    wait_until("the master playlist", PATIENCE, shown)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_lists_the_source_and_its_rungs_best_first() {
    let (_topics, gateway, mut camera) = stage("rungs").await;
    // In whatever order they are made.
    camera.make_rungs(&["240p", "480p", "360p"]);
    camera.claim().await;
    camera.segments(4).await;
    let master = master_of(&gateway, &["video", "480p", "360p", "240p"]).await;
    let of = |id: &str| {
        let line = format!("\n{id}/media.m3u8");
        let before = master.split(&line).next().unwrap();
        before.lines().last().unwrap().to_owned()
    };
    for (id, size) in [
        ("480p", "854x480"),
        ("360p", "640x360"),
        ("240p", "426x240"),
    ] {
        let height: u32 = id.trim_end_matches('p').parse().unwrap();
        let line = of(id);
        // The cap of the rung and of the audio.
        let bandwidth = format!("#EXT-X-STREAM-INF:BANDWIDTH={},", cap(height) + 128_000);
        assert!(line.starts_with(&bandwidth), "{line}");
        assert!(line.contains(",AVERAGE-BANDWIDTH="), "{line}");
        let rest = format!(
            "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION={size},FRAME-RATE=25.000,AUDIO=\"audio\""
        );
        assert!(line.ends_with(&rest), "{line}");
    }
    // Half of the source's bytes make half of its rate.
    let average = |id: &str| -> u64 {
        let line = of(id);
        let rate = line.split("AVERAGE-BANDWIDTH=").nth(1).unwrap();
        rate.split(',').next().unwrap().parse().unwrap()
    };
    let (source, rung) = (average("video"), average("360p"));
    assert!(
        rung * 100 > source * 53 && rung * 100 < source * 57,
        "{rung} of {source}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rung_has_an_edge_of_its_own() {
    let (_topics, gateway, mut camera) = stage("edges").await;
    camera.make_rungs(&RUNGS);
    camera.claim().await;
    camera.segments(3).await;
    camera.part().await;
    let (number, track) = (camera.number, rung("360p"));
    let shown = playlist_with(&gateway, &track, number, 0).await;
    for (at, uri) in uris(&shown, None).iter().enumerate() {
        let whole = camera.segment(&track, number - 3 + at as u64);
        assert_eq!(
            bytes(&gateway, &format!("{}{uri}", base(&track))).await,
            whole
        );
    }
    // The source goes ahead; what is asked of the rung waits for the rung.
    let query = format!("?_HLS_msn={number}&_HLS_part=1");
    let url = gateway.url(&format!("{}media.m3u8{query}", base(&track)));
    let held = tokio::spawn(Answer::of(gateway.client.get(url)));
    let last = camera.source_part().await;
    let source = playlist_with(&gateway, &Track::Video, number, 1).await;
    assert!(!held.is_finished());
    // The source's playlist names the true state of the rung that is played, and of one that
    // is not: up to the last segment that `index` has.
    for (id, part) in [
        ("360p", format!("{number},LAST-PART=0")),
        ("480p", format!("{},LAST-PART=9", number - 1)),
    ] {
        let report =
            format!("#EXT-X-RENDITION-REPORT:URI=\"../{id}/media.m3u8\",LAST-MSN={part}\n");
        assert!(source.contains(&report), "{report} is not in\n{source}");
    }
    camera.rung_part(last).await;
    let answer = held.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let hint = uris(&answer.text, Some("#EXT-X-PRELOAD-HINT"));
    assert!(hint[0].ends_with(".2.m4s"), "{hint:?}");
    let reports = uris(&answer.text, Some("#EXT-X-RENDITION-REPORT"));
    let others = ["../video/", "../audio/", "../480p/", "../240p/"];
    assert_eq!(reports, others.map(|other| format!("{other}media.m3u8")));

    for missing in ["720p", "x"] {
        let answer = gateway
            .get(&format!("/streams/door/hls/{missing}/media.m3u8"))
            .await;
        assert_eq!(answer.problem(), "no-such-track");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rungs_come_and_go_and_nobody_notices() {
    let (_topics, gateway, mut camera) = stage("come-and-go").await;
    camera.make_rungs(&["480p"]);
    camera.claim().await;
    camera.segments(5).await;
    camera.part().await;
    // It is old enough for its rungs to be there: what is missing is not waited for.
    let asked = Instant::now();
    master_of(&gateway, &["video", "480p"]).await;
    let number = camera.number;
    playlist_with(&gateway, &Track::Video, number, 0).await;
    playlist_with(&gateway, &rung("480p"), number, 0).await;
    assert!(asked.elapsed() < Duration::from_secs(20));

    camera.segments(1).await;
    camera.make_rungs(&["480p", "240p"]);
    let held = ["video", "480p"].map(|track| {
        let query = format!("?_HLS_msn={}&_HLS_part=0", camera.number + 1);
        let path = format!("/streams/door/hls/{track}/media.m3u8{query}");
        tokio::spawn(Answer::of(gateway.client.get(gateway.url(&path))))
    });
    camera.segments(1).await;
    master_of(&gateway, &["video", "480p", "240p"]).await;
    camera.part().await;
    for held in held {
        let answer = held.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        // The same playlist goes on.
        let first = format!("#EXT-X-MEDIA-SEQUENCE:{}\n", number - 5);
        assert!(answer.text.contains(&first), "{answer:?}");
    }
    let new = playlist_with(&gateway, &rung("240p"), camera.number, 0).await;
    assert_eq!(uris(&new, None).len(), 1, "{new}");

    // An edit takes a rung away.
    let view = gateway.get("/api/v1/streams/door").await.json();
    let mut spec = view["spec"].clone();
    spec["ladder"] = json!(["240p"]);
    let edit = gateway
        .client
        .put(gateway.url("/api/v1/streams/door"))
        .json(&spec);
    assert_eq!(Answer::of(edit).await.status, 200);
    master_of(&gateway, &["video", "240p"]).await;
    let gone = playlist(&gateway, &rung("480p"), "").await;
    assert_eq!(
        (gone.status, gone.problem().as_str()),
        (404, "no-such-track")
    );
    playlist_with(&gateway, &Track::Video, camera.number, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_stream_is_opened_with_all_its_rungs() {
    let (topics, gateway, mut camera) = stage("young").await;
    camera.make_rungs(&RUNGS);
    // The writer knows where to write by now.
    let (id, uid) = ("yard".parse().unwrap(), reelay_model::StreamUid::random());
    let partition = reelay_wire::partition_for(&camera.id, crate::start::PARTITIONS);
    let mut other = Camera::new(&topics.bus, id, uid, partition, true);
    other.make_rungs(&RUNGS);
    other.claim().await;
    other.part().await;
    let url = gateway.url(MASTER);
    let early = tokio::spawn(Answer::of(gateway.client.get(url)));
    camera.claim().await;
    let last = camera.source_part().await;
    // The rungs are some way behind.
    playlist_with(&gateway, &Track::Video, camera.number, 0).await;
    camera.rung_part(last).await;
    let early = early.await.unwrap();
    assert_eq!(
        listed(&early.text),
        ["video", "480p", "360p", "240p"],
        "{early:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_transcoding_the_source_plays() {
    let (_topics, gateway, mut camera) = stage("no-transcode").await;
    camera.claim().await;
    camera.part().await;
    playlist_with(&gateway, &Track::Video, camera.number, 0).await;
    // The young stream's rungs are waited for, but not for long.
    let master = gateway.get(MASTER).await;
    assert_eq!(
        (master.status, listed(&master.text)),
        (200, vec!["video".to_owned()])
    );
    // So it does when rungs have stopped coming.
    camera.segments(1).await;
    camera.make_rungs(&RUNGS);
    camera.segments(2).await;
    master_of(&gateway, &["video", "480p", "360p", "240p"]).await;
    camera.make_rungs(&[]);
    camera.segments(7).await;
    master_of(&gateway, &["video"]).await;
    camera.make_rungs(&RUNGS);
    camera.segments(1).await;
    master_of(&gateway, &["video", "480p", "360p", "240p"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_agree_on_rungs() {
    let (topics, first, mut camera) = stage("twin-rungs").await;
    camera.make_rungs(&RUNGS);
    camera.claim().await;
    camera.segments(3).await;
    let track = rung("480p");
    playlist_with(&first, &track, camera.number - 1, PARTS - 1).await;
    camera.segments(10).await;
    camera.gap().await;
    camera.segments(1).await;
    camera.part().await;
    camera.claim().await;
    camera.segments(1).await;
    camera.part().await;
    camera.part().await;
    let second = topics.gateway(&[]).await;
    for track in camera.all_tracks() {
        let one = playlist_with(&first, &track, camera.number, 1).await;
        let other = playlist_with(&second, &track, camera.number, 1).await;
        assert_eq!(agreed(&one), agreed(&other));
        assert!(one.contains("#EXT-X-GAP\n"), "{one}");
        for uri in [
            uris(&one, None),
            uris(&one, Some("#EXT-X-PART:")),
            uris(&one, Some("#EXT-X-MAP")),
        ]
        .concat()
        {
            let path = format!("{}{uri}", base(&track));
            if !uri.ends_with("-gap.m4s") {
                assert_eq!(
                    bytes(&first, &path).await,
                    bytes(&second, &path).await,
                    "{uri}"
                );
            }
        }
    }
    let tracks = ["video", "480p", "360p", "240p"];
    assert_eq!(
        master_of(&first, &tracks).await,
        master_of(&second, &tracks).await
    );
    // A new owner has claimed: the hint of its first segment bears its epoch.
    camera.segments(1).await;
    let number = camera.number - 1;
    camera.claim().await;
    let hinted = async |gateway: &Gateway| {
        let shown = playlist_with(gateway, &track, number, PARTS - 1).await;
        let hint = uris(&shown, Some("#EXT-X-PRELOAD-HINT"))[0].clone();
        let epoch = format!("/{}-{}-", camera.epoch, camera.number);
        hint.contains(&epoch).then_some(shown)
    };
    let one = wait_until("a hint", PATIENCE, async || hinted(&first).await)
        .await
        .unwrap();
    let other = wait_until("a hint", PATIENCE, async || hinted(&second).await)
        .await
        .unwrap();
    assert_eq!(agreed(&one), agreed(&other));
}

/// One stream, and the rungs it is wanted to have.
struct OneStream(Target, Vec<RungId>);

impl Directory for OneStream {
    fn target(&self, id: &StreamId) -> Option<Target> {
        (self.0.id == *id).then(|| self.0.clone())
    }

    fn ladder(&self, _: &StreamId, _: &Format) -> Vec<RungId> {
        self.1.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_played_is_read_and_kept() {
    let topics = Topics::named("played").await;
    topics.make().await;
    let (id, uid): (StreamId, _) = ("door".parse().unwrap(), reelay_model::StreamUid::random());
    let mut camera = Camera::new(&topics.bus, id.clone(), uid, 0, true);
    camera.make_rungs(&RUNGS);
    let target = Target {
        id: id.clone(),
        uid,
        partition: 0,
    };
    let stream = OneStream(target, RUNGS.map(|id| id.parse().unwrap()).into());
    let config = LiveConfig {
        idle: Duration::from_secs(5),
        ..LiveConfig::default()
    };
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let live = Live::start(topics.bus.clone(), stream, config, shutdown).unwrap();
    camera.claim().await;
    camera.segments(3).await;
    let watch = live.watch(&id).unwrap();
    watch.tracks().await.unwrap();
    let bytes = |camera: &Camera, tracks: &[Track]| -> u64 {
        let of = |(track, _): &(Track, u64)| tracks.contains(track);
        let media = camera.media.iter().filter(|(key, _)| of(key));
        media
            .flat_map(|(_, parts)| parts.iter().map(|part| part.len() as u64))
            .sum()
    };
    let source = super::camera::tracks();
    let kept = |bytes: u64| {
        let (live, id) = (live.clone(), id.clone());
        async move {
            // The stream is watched all the time.
            live.watch(&id).unwrap();
            (live.kept_bytes() == bytes).then_some(())
        }
    };
    let wanted = watch.wanted_rungs(&live);
    assert_eq!(
        watch.ladder(&wanted).0.listed.len(),
        3,
        "all are known from index"
    );
    wait_until("the source alone", PATIENCE, || {
        kept(bytes(&camera, &source))
    })
    .await
    .unwrap();

    let played = watch.rung(&live, &RUNGS[1].parse().unwrap());
    played.subscribe().wait_for(Option::is_some).await.unwrap();
    let with_rung = [&source[..], &[rung(RUNGS[1])]].concat();
    wait_until("one rung more", PATIENCE, || {
        kept(bytes(&camera, &with_rung))
    })
    .await
    .unwrap();
    camera.segments(1).await;
    wait_until("they go on", PATIENCE, || kept(bytes(&camera, &with_rung)))
        .await
        .unwrap_or_default();
    // Nobody plays it any more: it is let go, and can be had again.
    wait_until("the source alone again", PATIENCE, || {
        kept(bytes(&camera, &source))
    })
    .await
    .unwrap();
    assert!(played.now().is_none());
    watch.rung(&live, &RUNGS[1].parse().unwrap());
    let shown = played
        .subscribe()
        .wait_for(Option::is_some)
        .await
        .unwrap()
        .clone();
    assert_eq!(shown.unwrap().playlist.segments.len(), 4);
}
