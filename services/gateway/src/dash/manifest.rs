//! The manifest, rendered at most once for all viewers whenever it changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use reelay_model::Track;
use reelay_timeline::{
    anchor::Anchors,
    dash::{Manifest, TrackShown},
};

use crate::hls::{answer, hold};
use crate::live::{Live, Rendered, Shown, Watch};

const MANIFEST: HeaderValue = HeaderValue::from_static("application/dash+xml");
/// Players of a low-latency stream look for the next segment twice a second: a cache has to ask
/// whether there is one each time.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache");
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// `GET /streams/{id}/dash/manifest.mpd`
pub async fn manifest(
    State(live): State<Live>,
    Path(id): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(address))| address.ip());
    let mut viewer = DefaultHasher::new();
    (peer, &id, headers.get(header::USER_AGENT)).hash(&mut viewer);
    live.seen(viewer.finish());
    answer::count("manifest", make(&live, &id, &headers).await)
}

async fn make(live: &Live, id: &str, headers: &HeaderMap) -> Result<Response, Box<Response>> {
    let watch = hold::watch(live, id)?;
    let tracks = hold::tracks(live, &watch).await?;
    let mut shown = Vec::with_capacity(tracks.len());
    for view in tracks.iter() {
        match view.track {
            // A manifest without sound or picture would never get it.
            Track::Video | Track::Audio => {
                shown.push((&view.track, hold::shown(live, &watch, view).await?));
            }
            Track::Rung(_) => shown.extend(view.now().map(|now| (&view.track, now))),
        }
    }
    let low_latency = shown
        .iter()
        .any(|(_, shown)| shown.playlist.part_target.is_some());
    let rendered = watch.manifests.rendered(&shown);
    let rendered = rendered.ok_or_else(|| hold::not_started(&watch))?;
    let kept = if low_latency { NOT_KEPT } else { KEPT };
    Ok(answer::document(headers, &rendered, MANIFEST, kept))
}

/// A track at one moment.
type At<'a> = (&'a Track, Arc<Shown>);

/// The newest manifest of a stream.
#[derive(Default)]
pub struct Manifests(Mutex<Option<Made>>);

struct Made {
    of: Vec<Arc<Shown>>,
    rendered: Arc<Rendered>,
}

impl Manifests {
    /// The manifest of what is shown; `None` if that is nothing.
    fn rendered(&self, shown: &[At<'_>]) -> Option<Arc<Rendered>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made {
            let mut pairs = made.of.iter().zip(shown);
            if made.of.len() == shown.len() && pairs.all(|(of, (_, now))| Arc::ptr_eq(of, now)) {
                return Some(made.rendered.clone());
            }
        }
        let text = render(shown)?;
        // A part more changes nothing that a manifest shows.
        let same = made.as_ref().map(|made| &made.rendered);
        let same = same.filter(|rendered| rendered.plain == text.as_bytes());
        let rendered = same.cloned().unwrap_or_else(|| {
            metrics::counter!("reelay_gateway_playlists_rendered_total").increment(1);
            Arc::new(Rendered::new(text))
        });
        *made = Some(Made {
            of: shown.iter().map(|(_, shown)| shown.clone()).collect(),
            rendered: rendered.clone(),
        });
        Some(rendered)
    }
}

fn render(shown: &[At<'_>]) -> Option<String> {
    let mut anchors = Anchors::new();
    let mut tracks: Vec<_> = shown
        .iter()
        .map(|(track, shown)| {
            anchors.extend(&shown.anchors);
            TrackShown {
                track,
                playlist: &shown.playlist,
                bandwidth: shown.variant.bandwidth,
            }
        })
        .collect();
    tracks.sort_by_key(|shown| std::cmp::Reverse(shown.bandwidth));
    Manifest {
        tracks,
        anchors: &anchors,
    }
    .render()
}

impl Watch {
    /// What the stream's picture, or else its sound, shows: what all its tracks follow.
    pub(super) fn leading(&self) -> Option<Arc<Shown>> {
        let tracks = self.known_tracks()?;
        let of = |track| tracks.iter().find(|view| view.track == track);
        of(Track::Video).or_else(|| of(Track::Audio))?.now()
    }
}
