//! An LL-HLS viewer: every track of a stream by blocking reload, every part as it is announced.

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Url};

/// What all viewers together got.
#[derive(Default)]
pub struct Totals {
    bytes: AtomicU64,
    failures: AtomicU64,
}

impl Totals {
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// Watches until it is aborted. Viewers do not all begin at the same moment.
pub async fn watch(master: String, at: usize, totals: Arc<Totals>) {
    tokio::time::sleep(Duration::from_millis(10 * at as u64)).await;
    // Connections of its own, as a browser has.
    let client = Client::new();
    let (base, text) = loop {
        match get(&client, master.parse().unwrap(), &totals).await {
            Some((url, text)) => break (url, text),
            None => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    let tracks = tracks(&text)
        .into_iter()
        .map(|uri| base.join(&uri).unwrap());
    futures::future::join_all(tracks.map(|url| follow(&client, url, &totals))).await;
}

/// The media playlists that a multivariant one names.
fn tracks(master: &str) -> Vec<String> {
    let groups = master
        .lines()
        .filter(|line| line.starts_with("#EXT-X-MEDIA:"));
    let groups = groups.filter_map(|line| attribute(line, "URI"));
    let variants = master
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    groups
        .map(str::to_owned)
        .chain(variants.map(str::to_owned))
        .collect()
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!("{name}=\""))?.1.split('"').next()
}

/// A playlist, and the address that it came from in the end.
async fn get(client: &Client, url: Url, totals: &Totals) -> Option<(Url, String)> {
    let response = client
        .get(url)
        .header("accept-encoding", "gzip")
        .send()
        .await
        .ok()?;
    if !response.status().is_success() {
        totals.failures.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let gzip = response.headers().contains_key("content-encoding");
    let url = response.url().clone();
    let bytes = response.bytes().await.ok()?;
    totals
        .bytes
        .fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let text = if gzip {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .ok()?;
        text
    } else {
        String::from_utf8(bytes.to_vec()).ok()?
    };
    Some((url, text))
}

/// Where a playlist ends: the segment and part that come next, and all parts that it lists.
fn read(text: &str) -> (u64, usize, Vec<&str>) {
    let (mut segment, mut part, mut parts) = (0, 0, Vec::new());
    for line in text.lines() {
        if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            segment = first.parse().unwrap();
        } else if let Some(skipped) = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
            segment += skipped.parse::<u64>().unwrap();
        } else if line.starts_with("#EXT-X-PART:") {
            part += 1;
            parts.extend(attribute(line, "URI"));
        } else if !line.is_empty() && !line.starts_with('#') {
            segment += 1;
            part = 0;
        }
    }
    (segment, part, parts)
}

async fn follow(client: &Client, playlist: Url, totals: &Totals) {
    let mut newest: Option<String> = None;
    let mut query = String::new();
    loop {
        let mut url = playlist.clone();
        let own = url.query().map_or(String::new(), |own| format!("{own}&"));
        if !query.is_empty() {
            url.set_query(Some(&format!("{own}{query}")));
        }
        let Some((_, text)) = get(client, url, totals).await else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            query.clear();
            continue;
        };
        let (segment, part, parts) = read(&text);
        query = format!("_HLS_msn={segment}&_HLS_part={part}&_HLS_skip=YES");
        let known = newest
            .as_deref()
            .and_then(|newest| parts.iter().position(|part| *part == newest));
        // A viewer who has just come begins at the last part.
        let from = known.map_or(parts.len().saturating_sub(1), |known| known + 1);
        for uri in &parts[from..] {
            fetch(client, playlist.join(uri).unwrap(), totals).await;
        }
        newest = parts.last().map(|part| (*part).to_owned()).or(newest);
        if parts.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn fetch(client: &Client, url: Url, totals: &Totals) {
    let media = async {
        let response = client.get(url).send().await?.error_for_status()?;
        response.bytes().await
    };
    match media.await {
        Ok(bytes) => totals
            .bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed),
        Err(_) => totals.failures.fetch_add(1, Ordering::Relaxed),
    };
}

/// The segments that a playlist lists.
pub async fn segment_urls(playlist: &str) -> Vec<String> {
    let url: Url = playlist.parse().unwrap();
    let text = reqwest::get(url.clone())
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let uris = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    uris.map(|uri| url.join(uri).unwrap().to_string()).collect()
}
