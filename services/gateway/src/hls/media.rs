//! Media files: parts, segments and init segments, as they lie in the log.

use std::{ops::Range, sync::Arc, time::Duration};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use reelay_model::{Micros, Track};
use reelay_timeline::hls::{MediaName, parse_init_name};

use super::{
    answer::{self, ByteRange},
    hold::{self, missing, refuse},
};
use crate::live::{Found, Live, Shown, StoredSegment, TrackView, Unavailable};

/// A file that another gateway may have already is waited for this many part targets.
pub const HELD_PART_TARGETS: u32 = 3;
/// The part target of streams that announce none.
const USUAL_PART_TARGET: Micros = Micros(200_000);

/// `GET /streams/{id}/hls/{track}/{name}`: an init segment.
pub async fn init(
    State(live): State<Live>,
    Path((id, track, name)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    answer::count("init", make_init(&live, &id, &track, &name, &headers).await)
}

async fn make_init(
    live: &Live,
    id: &str,
    track: &str,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Box<Response>> {
    let hash = parse_init_name(name).ok_or_else(|| Box::new(missing()))?;
    let watch = hold::watch(live, id)?;
    let view = hold::track(live, &watch, track).await?;
    let bytes = view.init(hash).await.map_err(unavailable)?;
    let bytes = bytes.ok_or_else(|| Box::new(missing()))?;
    let whole = ByteRange::whole(bytes.len() as u64);
    let (range, head) = answer::media(headers, &view.track, name, whole)?;
    Ok(head(Body::from(bytes.slice(to_usize(&range.bytes)))))
}

/// `GET /streams/{id}/hls/{track}/{uid}/{name}`: a part or a segment.
pub async fn media(
    State(live): State<Live>,
    Path((id, track, uid, name)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let kind = match MediaName::parse(&name) {
        Some(MediaName { part: Some(_), .. }) => "part",
        _ => "segment",
    };
    answer::count(kind, make(&live, &id, &track, &uid, &name, &headers).await)
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
    let name = MediaName::parse(text).ok_or_else(none)?;
    let watch = hold::watch(live, id)?;
    if uid.parse().ok() != Some(watch.target.uid) {
        return Err(none());
    }
    let view = hold::track(live, &watch, track).await?;
    let segment = match view.look(&name) {
        Found::Ready(segment) => segment,
        Found::Never => return Err(none()),
        Found::Later => {
            let shown = hold::shown(live, &watch, &view).await?;
            let target = part_target(&shown);
            let coming = until_found(&view, &name);
            match hold::at_most(live, HELD_PART_TARGETS * target, coming).await {
                Some(found) => found.ok_or_else(none)?,
                None => {
                    let detail = "the file is expected, but has not come";
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    return Err(Box::new(refuse(status, "held-too-long", detail)));
                }
            }
        }
    };
    match name.part {
        Some(part) => {
            let bytes = read(&segment, part.0 as usize, &view)
                .await
                .map_err(unavailable)?;
            let whole = ByteRange::whole(bytes.len() as u64);
            let (range, head) = answer::media(headers, &view.track, text, whole)?;
            let bytes = match range.is_whole() {
                true => bytes,
                false => bytes.slice(to_usize(&range.bytes)),
            };
            Ok(head(Body::from(bytes)))
        }
        None => whole_segment(headers, text, segment, view).await,
    }
}

/// The part target of a track; a usual one where none is announced.
pub fn part_target(shown: &Shown) -> Duration {
    let target = shown.playlist.part_target.unwrap_or(USUAL_PART_TARGET);
    Duration::from_micros(target.0.max(0).cast_unsigned())
}

async fn until_found(view: &TrackView, name: &MediaName) -> Option<Arc<StoredSegment>> {
    let mut changes = view.subscribe();
    loop {
        match view.look(name) {
            Found::Ready(segment) => return Some(segment),
            Found::Never => return None,
            Found::Later => changes.changed().await.ok()?,
        }
    }
}

/// A segment goes out part by part, so that a slow reader holds on to one part only.
pub async fn whole_segment(
    headers: &HeaderMap,
    name: &str,
    segment: Arc<StoredSegment>,
    view: Arc<TrackView>,
) -> Result<Response, Box<Response>> {
    let lengths = segment.lengths();
    let whole = ByteRange::whole(lengths.iter().map(|length| u64::from(*length)).sum());
    let (range, head) = answer::media(headers, &view.track, name, whole)?;
    let mut pieces = pieces(&lengths, &range.bytes).into_iter();
    // The status can tell as long as nothing has been sent.
    let first = match pieces.next() {
        Some((index, of)) => {
            let bytes = read(&segment, index, &view).await.map_err(unavailable)?;
            clip(bytes, of)
        }
        None => Bytes::new(),
    };
    let first = stream::iter([Ok(first)]);
    let rest = stream::unfold(pieces, move |mut pieces| {
        let (segment, view) = (segment.clone(), view.clone());
        async move {
            let (index, of) = pieces.next()?;
            let bytes = read(&segment, index, &view).await;
            Some((bytes.map(|bytes| clip(bytes, of)), pieces))
        }
    });
    Ok(head(Body::from_stream(futures::StreamExt::chain(
        first, rest,
    ))))
}

/// The bytes of a part, from memory or from the log.
pub async fn read(
    segment: &Arc<StoredSegment>,
    index: usize,
    view: &TrackView,
) -> Result<Bytes, Unavailable> {
    let fetched = segment.part(index, &view.origin).await?;
    let result = if fetched.hit { "hit" } else { "miss" };
    metrics::counter!("reelay_gateway_media_cache_total", "result" => result).increment(1);
    Ok(fetched.bytes)
}

/// Which bytes of which parts make up `range` of a segment.
fn pieces(lengths: &[u32], range: &Range<u64>) -> Vec<(usize, Range<u64>)> {
    let mut start = 0;
    let mut pieces = Vec::with_capacity(lengths.len());
    for (index, length) in lengths.iter().enumerate() {
        let end = start + u64::from(*length);
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            pieces.push((index, from - start..to - start));
        }
        start = end;
    }
    pieces
}

fn clip(bytes: Bytes, range: Range<u64>) -> Bytes {
    let range = to_usize(&range);
    bytes.slice(range.start.min(bytes.len())..range.end.min(bytes.len()))
}

/// Both ends are positions in a value that is in memory.
fn to_usize(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn unavailable(error: Unavailable) -> Box<Response> {
    Box::new(match error {
        Unavailable::Gone(_) => missing(),
        Unavailable::Bus(error) => {
            tracing::warn!(%error, "media cannot be read again");
            let detail = "the log cannot be read just now";
            refuse(StatusCode::SERVICE_UNAVAILABLE, "log-unavailable", detail)
        }
    })
}

/// The media type of a track's files.
pub(super) const fn media_type(track: &Track) -> &'static str {
    match track {
        Track::Audio => "audio/mp4",
        Track::Video | Track::Rung(_) => "video/mp4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_put_together_from_parts() {
        let lengths = [10, 0, 5, 20];
        assert_eq!(
            pieces(&lengths, &(0..35)),
            [(0, 0..10), (2, 0..5), (3, 0..20)]
        );
        assert_eq!(pieces(&lengths, &(9..11)), [(0, 9..10), (2, 0..1)]);
        assert_eq!(pieces(&lengths, &(34..35)), [(3, 19..20)]);
        assert_eq!(pieces(&lengths, &(0..0)), []);
    }
}
