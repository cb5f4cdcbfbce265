//! Follows one gateway as a player with a great appetite: every media playlist of every
//! stream with blocking reload, and every part, segment and init segment in it.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use reelay_wire::{StreamId, Track};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio::task::JoinSet;
use url::Url;

use super::{Shared, with};
use crate::linearity::playlist::MediaPlaylist;
use crate::linearity::served::absolute;

/// How long a gateway may give no answer before that is a finding.
const SILENCE: Duration = Duration::from_secs(15);

/// An HTTP client that does not wait for ever.
pub fn client() -> Result<Client, reqwest::Error> {
    Client::builder().timeout(Duration::from_secs(30)).build()
}

/// How a gateway is called in findings.
pub fn name(gateway: &Url) -> String {
    gateway.as_str().trim_end_matches('/').to_owned()
}

#[derive(Deserialize)]
struct Streams {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    id: StreamId,
}

/// One gateway, with the tasks that follow its playlists.
pub async fn gateway(
    client: Client,
    gateway: Url,
    only: BTreeSet<StreamId>,
    mortal: bool,
    shared: Shared,
) {
    let server = Server {
        client,
        name: name(&gateway),
        gateway,
        mortal,
        shared,
    };
    let mut followed: HashMap<StreamId, BTreeSet<String>> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        if let Some(ids) = server.stream_ids().await {
            for id in ids
                .into_iter()
                .filter(|id| only.is_empty() || only.contains(id))
            {
                let known = followed.entry(id.clone()).or_default();
                for path in server.playlists(&id).await {
                    if known.insert(path.clone()) {
                        tasks.spawn(server.clone().follow(id.clone(), path));
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[derive(Clone)]
struct Server {
    client: Client,
    gateway: Url,
    name: String,
    mortal: bool,
    shared: Shared,
}

impl Server {
    async fn stream_ids(&self) -> Option<Vec<StreamId>> {
        let (status, body) = self.get("/api/v1/streams").await?;
        let streams: Streams = serde_json::from_slice(&body)
            .ok()
            .filter(|_| status == 200)?;
        Some(streams.streams.into_iter().map(|s| s.spec.id).collect())
    }

    /// Paths of the media playlists that the master playlist names; none while the stream
    /// has nothing to play.
    async fn playlists(&self, id: &StreamId) -> Vec<String> {
        let path = format!("/streams/{id}/hls/master.m3u8");
        let Some((StatusCode::OK, body)) = self.get(&path).await else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&body);
        let master = with(&self.shared, |j| {
            j.served.master(&self.name, id, &path, &text)
        });
        let uris = master.iter().flat_map(|master| &master.uris);
        uris.map(|uri| absolute(&path, uri)).collect()
    }

    /// Follows one media playlist for as long as the check lasts.
    async fn follow(self, id: StreamId, path: String) {
        let track = path
            .rsplit('/')
            .nth(1)
            .and_then(|t| t.parse::<Track>().ok());
        let Some(track) = track else {
            let found = "an address without a track".to_owned();
            with(&self.shared, |j| {
                j.served.unserved(&self.name, &path, found)
            });
            return;
        };
        let mut wanted = path.clone();
        let mut silent_since: Option<Instant> = None;
        loop {
            let text = match self.get(&wanted).await {
                Some((StatusCode::OK, body)) => String::from_utf8_lossy(&body).into_owned(),
                other => {
                    let since = *silent_since.get_or_insert_with(Instant::now);
                    let gone = other.as_ref().is_some_and(|(status, _)| *status == 404);
                    if since.elapsed() > SILENCE && !self.mortal && !gone {
                        let found =
                            other.map_or("no answer".into(), |(status, _)| status.to_string());
                        with(&self.shared, |j| {
                            j.served.unserved(&self.name, &wanted, found)
                        });
                        silent_since = None;
                    }
                    // A stream that is removed has no playlist any more, nor has a rung that was
                    // taken out of a ladder; they may come again.
                    if gone {
                        wanted.clone_from(&path);
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            silent_since = None;
            let list = with(&self.shared, |judges| {
                judges
                    .served
                    .playlist(&self.name, &id, &track, &path, &text)
            });
            let Some(list) = list else {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            self.fetch_all(&path, &list).await;
            wanted = next(&path, &list);
            if wanted == path {
                let pause = list.part_target_us.unwrap_or(list.target_seconds * 500_000);
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
        }
    }

    /// Fetches what a playlist names and this gateway has not given yet.
    async fn fetch_all(&self, path: &str, list: &MediaPlaylist) {
        let mut paths: Vec<String> = Vec::new();
        for segment in list.segments.iter().chain(&list.open) {
            let parts = segment.parts.iter().filter(|p| !p.gap).map(|p| &p.uri);
            let whole = Some(&segment.uri).filter(|uri| !uri.is_empty() && !segment.gap);
            let uris = segment
                .map
                .iter()
                .filter(|_| !segment.gap)
                .chain(parts)
                .chain(whole);
            paths.extend(uris.map(|uri| absolute(path, uri)));
        }
        // The oldest may be trimmed while the rest is fetched: it is the first to ask for.
        for path in paths {
            if with(&self.shared, |j| j.served.has(&self.name, &path)) {
                continue;
            }
            match self.get(&path).await {
                Some((StatusCode::OK, bytes)) => {
                    with(&self.shared, |j| j.served.media(&self.name, &path, &bytes));
                }
                Some((status, _)) => {
                    with(&self.shared, |j| {
                        j.served.unserved(&self.name, &path, status.to_string())
                    });
                }
                // A gateway that is gone is noticed by its playlists.
                None => return,
            }
        }
    }

    async fn get(&self, path: &str) -> Option<(StatusCode, Vec<u8>)> {
        let url = self.gateway.join(path).ok()?;
        let response = self.client.get(url).send().await.ok()?;
        let status = response.status();
        Some((status, response.bytes().await.ok()?.into()))
    }
}

/// Where the next state of a playlist is to be had: the part that comes next, held until it is there.
fn next(path: &str, list: &MediaPlaylist) -> String {
    match list.control.get("CAN-BLOCK-RELOAD").map(String::as_str) {
        Some("YES") if list.part_target_us.is_some() => {
            format!(
                "{path}?_HLS_msn={}&_HLS_part={}",
                list.end(),
                list.open_parts().len()
            )
        }
        Some("YES") => format!("{path}?_HLS_msn={}", list.end()),
        _ => path.to_owned(),
    }
}
