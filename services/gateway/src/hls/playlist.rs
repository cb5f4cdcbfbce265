//! Playlists: the multivariant one, and media playlists with blocking reload.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::extract::{ConnectInfo, Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use reelay_timeline::hls::{MasterPlaylist, Report};

use super::{
    answer,
    directives::Directives,
    hold::{self, refuse},
};
use crate::live::{Live, Rendered, Shown, TrackView, Watch};

/// A blocking reload is held for this many target durations (RFC 8216bis §6.2.5.2).
const HELD_TARGETS: u32 = 3;
/// How long a cache may keep the answer to a blocking reload, in target durations
/// (RFC 8216bis Appendix B.1).
const KEPT_TARGETS: u32 = 6;
/// How long a cache may keep a playlist that was asked for without a directive, in seconds.
const KEPT_SECONDS: u32 = 1;

/// `GET /streams/{id}/hls/master.m3u8`
pub async fn master(
    State(live): State<Live>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer::count("master", make_master(&live, &id, &headers).await)
}

async fn make_master(
    live: &Live,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Box<Response>> {
    let watch = hold::watch(live, id)?;
    let tracks = hold::tracks(live, &watch).await?;
    // Players do not look again for tracks that come later: all have to be there.
    let mut variants = Vec::new();
    for view in tracks.iter() {
        variants.push(hold::shown(live, &watch, view).await?.variant.clone());
    }
    variants.extend(hold::rungs(live, &watch).await);
    let playlist = MasterPlaylist::new(variants);
    let rendered = Rendered::new(playlist.render());
    Ok(answer::playlist(headers, &rendered, KEPT_SECONDS))
}

/// `GET /streams/{id}/hls/{track}/media.m3u8`
pub async fn media(
    State(live): State<Live>,
    Path((id, track)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(address))| address.ip());
    let mut viewer = DefaultHasher::new();
    (peer, &id, headers.get(header::USER_AGENT)).hash(&mut viewer);
    live.seen(viewer.finish());
    let made = make_media(&live, &id, &track, query.as_deref(), &headers).await;
    answer::count("playlist", made)
}

async fn make_media(
    live: &Live,
    id: &str,
    track: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Box<Response>> {
    let bad = |detail: &str| Box::new(refuse(StatusCode::BAD_REQUEST, "bad-directive", detail));
    let directives = Directives::parse(query).map_err(bad)?;
    let watch = hold::watch(live, id)?;
    let view = hold::track(live, &watch, track).await?;
    let mut shown = hold::shown(live, &watch, &view).await?;
    if directives.are_too_far(&shown.playlist) {
        return Err(bad("the directive is too far ahead of the stream"));
    }
    let target = shown.playlist.target_seconds;
    if !directives.are_met(&shown.playlist) {
        let limit = Duration::from_secs((HELD_TARGETS * target).into());
        shown = hold::at_most(live, limit, until_met(&view, directives))
            .await
            .flatten()
            .ok_or_else(|| {
                let detail = "nothing new has come of the stream for too long";
                Box::new(refuse(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "held-too-long",
                    detail,
                ))
            })?;
    }
    let rendered = shown.rendered(directives.skip, || reports(live, &watch, &view));
    let kept = match directives.segment {
        Some(_) => KEPT_TARGETS * target,
        None => KEPT_SECONDS,
    };
    Ok(answer::playlist(headers, rendered, kept))
}

async fn until_met(view: &TrackView, directives: Directives) -> Option<Arc<Shown>> {
    let mut changes = view.subscribe();
    let met = |shown: &Option<Arc<Shown>>| {
        shown
            .as_ref()
            .is_some_and(|shown| directives.are_met(&shown.playlist))
    };
    changes.wait_for(met).await.ok()?.clone()
}

/// How far the other tracks have come.
fn reports(live: &Live, watch: &Watch, view: &TrackView) -> Vec<Report> {
    let tracks = watch.known_tracks();
    let of_source = tracks.iter().flat_map(|tracks| tracks.iter());
    let of_source = of_source.filter_map(|other| other.now()?.playlist.report(&other.track));
    let rungs = watch.rung_reports(&watch.wanted_rungs(live));
    let all = of_source.chain(rungs);
    all.filter(|report| report.track != view.track).collect()
}
