//! The newest picture of a stream, from topic `thumbnails`.
//!
//! Nothing of the stream's media is read for it, and pictures only while somebody asks for
//! them: a wall of many streams costs one small picture a stream and segment.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderValue;
use bytes::Bytes;
use reelay_bus::{BusError, FetchLimits, Record};
use reelay_model::{Micros, SegmentNumber, StreamId};
use reelay_wire::{CHUNK_HEADER, Header, Kind, Topic};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};

use super::{
    Live, Target,
    feed::Fed,
    watcher::{AGAIN_AFTER, LOOK},
};

/// How far back the newest picture is looked for, in microseconds: one is made a segment, and
/// the longest segment lasts 20 s. First a look that will do for nearly all streams.
const LOOKS_BACK: [i64; 2] = [10_000_000, 60_000_000];

/// A picture.
#[derive(Debug)]
pub struct Picture {
    /// JPEG.
    pub jpeg: Bytes,
    /// Strong validator (RFC 9110 §8.8.3).
    pub etag: HeaderValue,
    segment: SegmentNumber,
}

/// The newest picture of one stream, while somebody asks for it.
pub struct Thumbnail {
    target: Target,
    asked: Mutex<Instant>,
    /// None until it was looked for.
    newest: watch::Sender<Option<Option<Arc<Picture>>>>,
}

impl Live {
    /// The newest picture of the stream called `id`, if there is one; an error if there is no
    /// such stream.
    pub async fn thumbnail(&self, id: &StreamId) -> Result<Option<Arc<Picture>>, NoSuchStream> {
        let target = self.0.directory.target(id).ok_or(NoSuchStream)?;
        let thumbnail = {
            let mut all = self
                .0
                .thumbnails
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match all.get(id).filter(|known| known.target == target) {
                Some(known) => {
                    known.touch();
                    known.clone()
                }
                None => {
                    let new = Arc::new(Thumbnail {
                        target,
                        asked: Mutex::new(Instant::now()),
                        newest: watch::Sender::new(None),
                    });
                    all.insert(id.clone(), new.clone());
                    tokio::spawn(run(self.clone(), new.clone()));
                    new
                }
            }
        };
        let mut newest = thumbnail.newest.subscribe();
        let known = newest.wait_for(Option::is_some);
        let known = tokio::time::timeout(self.0.config.cold_start, known).await;
        Ok(known.ok().and_then(|known| known.ok()?.clone().flatten()))
    }

    /// Lets `thumbnail` go if nobody has asked for it for a while; says whether it did.
    fn let_thumbnail_go(&self, thumbnail: &Arc<Thumbnail>) -> bool {
        let mut all = self
            .0
            .thumbnails
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let id = &thumbnail.target.id;
        let current = all.get(id).is_some_and(|now| Arc::ptr_eq(now, thumbnail));
        if current && thumbnail.idle() < self.0.config.idle {
            return false;
        }
        if current {
            all.remove(id);
        }
        true
    }
}

/// There is no stream of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchStream;

impl Thumbnail {
    fn touch(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.elapsed()
    }

    fn take(&self, record: Record) {
        let header = record.headers.get(CHUNK_HEADER).map(|h| Header::decode(h));
        let Some(Ok(header)) = header else { return };
        let counts = header.uid == self.target.uid && matches!(header.kind, Kind::Chunk { .. });
        let known = self.newest.borrow().clone().flatten();
        // Two transcodes may make it: the first copy of a picture counts, as of all media.
        let newer = known.is_none_or(|known| header.segment > known.segment);
        if !counts || !newer {
            return;
        }
        let hash = Sha256::digest(&record.value);
        let hex = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
        let etag = HeaderValue::try_from(format!("\"{}\"", hex.collect::<String>()));
        let picture = Picture {
            // Copied: a slice would hold on to what it was read with.
            jpeg: Bytes::copy_from_slice(&record.value),
            // Hexadecimal digits are always a valid header.
            etag: etag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
            segment: header.segment,
        };
        self.newest.send_replace(Some(Some(Arc::new(picture))));
    }
}

async fn run(live: Live, thumbnail: Arc<Thumbnail>) {
    loop {
        let followed = tokio::select! {
            () = live.shutdown().cancelled() => return,
            followed = follow(&live, &thumbnail) => followed,
        };
        if let Err(error) = followed {
            let stream = &thumbnail.target.id;
            metrics::counter!("reelay_gateway_watch_troubles_total").increment(1);
            tracing::warn!(%stream, %error, "pictures cannot be followed");
        }
        if live.let_thumbnail_go(&thumbnail) {
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn follow(live: &Live, thumbnail: &Arc<Thumbnail>) -> Result<(), BusError> {
    let (sink, mut fed) = mpsc::unbounded_channel();
    let (target, topic) = (&thumbnail.target, Topic::Thumbnails);
    let feed = &live.0.feed;
    let subscription = feed
        .subscribe(&topic, target.partition, &target.id, sink)
        .await?;
    let mut until = subscription.from;
    for back in LOOKS_BACK {
        let time = Micros(Micros::now().0 - back);
        let bus = &live.0.bus;
        let from = bus.offset_at(&topic, target.partition, time).await?;
        let mut next = from;
        while next < until {
            let limits = FetchLimits::until(until);
            let read = bus.fetch(&topic, target.partition, next, limits).await?;
            let Some(newest) = read.last() else { break };
            next = newest.offset + 1;
            let key = target.id.as_str().as_bytes();
            let own = read.into_iter().filter(|r| r.key.as_deref() == Some(key));
            own.for_each(|record| thumbnail.take(record));
        }
        if thumbnail.newest.borrow().is_some() {
            break;
        }
        until = from.min(until);
    }
    thumbnail
        .newest
        .send_if_modified(|known| known.is_none().then(|| *known = Some(None)).is_some());
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            fed = fed.recv() => match fed {
                Some(Fed::Record(record)) => thumbnail.take(record),
                Some(Fed::Lost) => {}
                None => return Ok(()),
            },
            _ = look.tick() => {
                if live.let_thumbnail_go(thumbnail) {
                    return Ok(());
                }
            }
        }
    }
}
