//! Requests that wait for media to come.

use std::{future::Future, sync::Arc, time::Duration};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use reelay_model::{StreamId, Track};

use crate::{
    api::problem::Problem,
    live::{Live, Shown, TrackView, Tracks, Watch},
};

/// Counts a waiting request as long as it lives.
struct Blocked;

impl Blocked {
    fn new() -> Self {
        metrics::gauge!("reelay_gateway_blocked_requests").increment(1.0);
        Self
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        metrics::gauge!("reelay_gateway_blocked_requests").decrement(1.0);
    }
}

/// Waits for `event`, but for at most `limit` and only while the gateway runs.
pub async fn at_most<T>(live: &Live, limit: Duration, event: impl Future<Output = T>) -> Option<T> {
    let _blocked = Blocked::new();
    tokio::select! {
        biased;
        event = tokio::time::timeout(limit, event) => event.ok(),
        () = live.shutdown().cancelled() => None,
    }
}

/// An answer that is no media and must not be kept by caches.
pub fn refuse(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Response {
    let mut response = Problem::new(status, code).detail(detail).into_response();
    let no_store = header::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// 404 for a file.
pub fn missing() -> Response {
    refuse(StatusCode::NOT_FOUND, "not-found", "there is no such file")
}

/// The watch of the stream called `id`.
pub fn watch(live: &Live, id: &str) -> Result<Arc<Watch>, Box<Response>> {
    let watch = id.parse::<StreamId>().ok().and_then(|id| live.watch(&id));
    watch.ok_or_else(|| {
        let detail = format!("there is no stream called {id}");
        Box::new(refuse(StatusCode::NOT_FOUND, "no-such-stream", detail))
    })
}

/// 503 for a stream that has nothing to show.
pub fn not_started(watch: &Watch) -> Box<Response> {
    let detail = format!("stream {} has not shown anything yet", watch.target.id);
    Box::new(refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-started",
        detail,
    ))
}

/// The tracks of a stream; a stream that is new or new to this gateway is waited for.
pub async fn tracks(live: &Live, watch: &Watch) -> Result<Tracks, Box<Response>> {
    if let Some(tracks) = watch.known_tracks() {
        return Ok(tracks);
    }
    let known = at_most(live, live.config().cold_start, watch.tracks())
        .await
        .flatten();
    known.ok_or_else(|| not_started(watch))
}

/// One track of a stream; see [`tracks`].
pub async fn track(
    live: &Live,
    watch: &Watch,
    name: &str,
) -> Result<Arc<TrackView>, Box<Response>> {
    let tracks = tracks(live, watch).await?;
    let track = name.parse::<Track>().ok();
    let view = tracks
        .iter()
        .find(|view| Some(&view.track) == track.as_ref());
    view.cloned().ok_or_else(|| {
        let detail = format!("stream {} has no track {name}", watch.target.id);
        Box::new(refuse(StatusCode::NOT_FOUND, "no-such-track", detail))
    })
}

/// What a track shows; the first of it is waited for.
pub async fn shown(
    live: &Live,
    watch: &Watch,
    view: &TrackView,
) -> Result<Arc<Shown>, Box<Response>> {
    if let Some(shown) = view.now() {
        return Ok(shown);
    }
    let mut changes = view.subscribe();
    let first = async { changes.wait_for(Option::is_some).await.ok()?.clone() };
    let first = at_most(live, live.config().cold_start, first)
        .await
        .flatten();
    first.ok_or_else(|| not_started(watch))
}
