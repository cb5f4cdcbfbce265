//! Segments by the time at which they start, also while they grow.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, stream};
use reelay_timeline::dash::SegmentName;

use crate::hls::{
    answer,
    hold::{self, missing, refuse},
    media::{HELD_PART_TARGETS, part_target, read, whole_segment},
};
use crate::live::{Found, Live, StoredSegment, TrackView, Watch};

/// A segment that grows is waited for as long as a blocking reload, in target durations.
const HELD_TARGETS: u32 = 3;

/// `GET /streams/{id}/dash/{track}/{uid}/{name}`
pub async fn segment(
    State(live): State<Live>,
    Path((id, track, uid, name)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let made = make(&live, &id, &track, &uid, &name, &headers).await;
    answer::count("segment", made)
}

async fn make(
    live: &Live,
    id: &str,
    track: &str,
    uid: &str,
    text: &str,
    headers: &HeaderMap,
) -> Result<Response, Box<Response>> {
    let none = || Box::new(missing());
    let name = SegmentName::parse(text).ok_or_else(none)?;
    let watch = hold::watch(live, id)?;
    if uid.parse().ok() != Some(watch.target.uid) {
        return Err(none());
    }
    let view = hold::track(live, &watch, track).await?;
    let shown = hold::shown(live, &watch, &view).await?;
    let segment = match view.look_at(&name, watch.leading().as_deref()) {
        Found::Ready(segment) => segment,
        Found::Never => return Err(none()),
        Found::Later => {
            let limit = HELD_PART_TARGETS * part_target(&shown);
            let coming = until_found(&view, &watch, &name);
            match hold::at_most(live, limit, coming).await {
                Some(found) => found.ok_or_else(none)?,
                None => {
                    let detail = "the segment is expected, but has not begun";
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    return Err(Box::new(refuse(status, "held-too-long", detail)));
                }
            }
        }
    };
    if segment.progress().0 {
        return whole_segment(headers, text, segment, view).await;
    }
    let head = answer::growing(headers, &view.track, text)?;
    let limit = Duration::from_secs((HELD_TARGETS * shown.playlist.target_seconds).into());
    Ok(head(Body::from_stream(parts(
        live.clone(),
        segment,
        view,
        limit,
    ))))
}

async fn until_found(
    view: &TrackView,
    watch: &Watch,
    name: &SegmentName,
) -> Option<Arc<StoredSegment>> {
    let mut changes = view.subscribe();
    loop {
        match view.look_at(name, watch.leading().as_deref()) {
            Found::Ready(segment) => return Some(segment),
            Found::Never => return None,
            Found::Later => changes.changed().await.ok()?,
        }
    }
}

/// The parts of a segment, those that are there and those that come, up to its end. The next one
/// is looked for when the one before has been sent: a slow reader holds nothing but its place.
fn parts(
    live: Live,
    segment: Arc<StoredSegment>,
    view: Arc<TrackView>,
    limit: Duration,
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    let changes = view.subscribe();
    stream::try_unfold((0, changes), move |(index, mut changes)| {
        let (live, segment, view) = (live.clone(), segment.clone(), view.clone());
        async move {
            let coming = async {
                loop {
                    changes.borrow_and_update();
                    let (finished, parts) = segment.progress();
                    if index < parts {
                        return Some(true);
                    }
                    if finished {
                        return Some(false);
                    }
                    changes.changed().await.ok()?;
                }
            };
            // An answer that breaks off is not taken for the whole segment, by no cache either.
            match hold::at_most(&live, limit, coming).await.flatten() {
                Some(true) => {}
                Some(false) => return Ok(None),
                None => return Err(io::Error::other("the segment does not go on")),
            }
            let bytes = read(&segment, index, &view).await;
            let bytes = bytes.map_err(io::Error::other)?;
            metrics::counter!("reelay_gateway_media_served_bytes_total", "kind" => "segment")
                .increment(bytes.len() as u64);
            Ok(Some((bytes, (index + 1, changes))))
        }
    })
}
