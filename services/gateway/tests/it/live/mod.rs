//! Live playlists and media over HTTP, from records in a real Kafka.

mod camera;
mod holding;
mod replicas;
mod serving;

use reelay_model::Track;
use reelay_testkit::wait_until;
use reelay_wire::partition_for;
use serde_json::Value;

use self::camera::{Camera, init_hash};
use crate::start::{Answer, Gateway, PARTITIONS, PATIENCE, Topics, spec};

/// The part of a playlist that all replicas agree on.
pub fn agreed(playlist: &str) -> String {
    let lines = playlist
        .lines()
        .filter(|line| !line.starts_with("#EXT-X-RENDITION-REPORT"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The URIs of what `tag` names in a playlist, or of its segments where the tag is none.
pub fn uris(playlist: &str, tag: Option<&str>) -> Vec<String> {
    match tag {
        None => playlist
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(Into::into)
            .collect(),
        Some(tag) => {
            let lines = playlist.lines().filter(|line| line.starts_with(tag));
            let uri = |line: &str| Some(line.split_once("URI=\"")?.1.split_once('"')?.0.to_owned());
            lines.filter_map(uri).collect()
        }
    }
}

/// Adds a stream by the gateway and makes a camera of it.
pub async fn camera(gateway: &Gateway, topics: &Topics, id: &str, changes: Value) -> Camera {
    let mut spec = spec(id);
    let wanted = changes.as_object().cloned().unwrap_or_default();
    spec.as_object_mut().unwrap().extend(wanted);
    let added = gateway.add(spec).await;
    assert_eq!(added.status, 201, "{added:?}");
    let view = added.json();
    let uid = view["spec"]["uid"].as_str().unwrap().parse().unwrap();
    let id = id.parse().unwrap();
    let partition = view["spec"]["partition"].as_i64();
    let partition = partition.map_or(partition_for(&id, PARTITIONS), |p| p as i32);
    Camera::new(
        &topics.bus,
        id,
        uid,
        partition,
        view["spec"]["latency"] != "normal",
    )
}

/// A gateway and a camera called `door` on topics of their own.
pub async fn stage(name: &str, flags: &[&str]) -> (Topics, Gateway, Camera) {
    let topics = Topics::named(name).await;
    topics.make().await;
    let gateway = topics.gateway(flags).await;
    let camera = camera(&gateway, &topics, "door", Value::Null).await;
    (topics, gateway, camera)
}

pub fn base(track: &Track) -> String {
    format!("/streams/door/hls/{track}/")
}

pub async fn playlist(gateway: &Gateway, track: &Track, query: &str) -> Answer {
    gateway
        .get(&format!("{}media.m3u8{query}", base(track)))
        .await
}

/// The playlist as soon as it holds this part of this segment, however busy the machine is. A
/// gateway that has read little yet of what was written at once finds the number too far ahead.
pub async fn playlist_with(gateway: &Gateway, track: &Track, segment: u64, part: usize) -> String {
    let query = format!("?_HLS_msn={segment}&_HLS_part={part}");
    let shown = async || {
        let answer = playlist(gateway, track, &query).await;
        let too_far = answer.status == 400 && answer.text.contains("too far ahead");
        assert!(matches!(answer.status, 200 | 503) || too_far, "{answer:?}");
        (answer.status == 200).then_some(answer.text)
    };
    wait_until("the playlist", PATIENCE, shown).await.unwrap()
}

/// The path of a segment, or of one of its parts.
pub fn path(
    camera: &Camera,
    track: &Track,
    epoch: u64,
    segment: u64,
    part: Option<usize>,
) -> String {
    let part = part.map_or(String::new(), |part| format!(".{part}"));
    let fingerprint = init_hash(track).fingerprint();
    format!(
        "{}{}/{epoch}-{segment}-{fingerprint}{part}.m4s",
        base(track),
        camera.uid
    )
}

pub async fn bytes(gateway: &Gateway, path: &str) -> bytes::Bytes {
    let response = gateway.client.get(gateway.url(path)).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.bytes().await.unwrap()
}
