//! One track of a watched stream, as requests see it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use reelay_bus::Record;
use reelay_model::{SegmentNumber, Track};
use reelay_timeline::{
    dash::SegmentName,
    hls::{MediaName, MediaPlaylist, Variant},
    track::{Entry, Outcome, Segment},
    window::LiveTrack,
};
use reelay_wire::{CHUNK_HEADER, Fingerprint, Header, Kind};
use tokio::sync::watch;

use super::{Shown, StoredSegment, Unavailable, segment::Origin};

/// Segments that are remembered: some 10 to 20 minutes. Their bytes may be dropped before.
const MOST_SEGMENTS: usize = 600;
/// Init segments that are kept; a source changes its format seldom.
const MOST_INITS: usize = 16;

/// Where a media file is.
pub enum Found {
    /// The segment is known and has what was asked for.
    Ready(Arc<StoredSegment>),
    /// It is expected: another gateway may have read further.
    Later,
    /// It does not exist and never will, as far as this gateway can know.
    Never,
}

/// A track of a watched stream.
pub struct TrackView {
    /// Which track.
    pub track: Track,
    /// Where its media lies.
    pub origin: Origin,
    shown: watch::Sender<Option<Arc<Shown>>>,
    segments: RwLock<BTreeMap<SegmentNumber, Arc<StoredSegment>>>,
    inits: Mutex<Vec<(Fingerprint, Bytes)>>,
}

impl TrackView {
    pub(super) fn new(track: Track, origin: Origin) -> Self {
        Self {
            track,
            origin,
            shown: watch::Sender::new(None),
            segments: RwLock::default(),
            inits: Mutex::default(),
        }
    }

    /// Sees every change of what the track shows.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Shown>>> {
        self.shown.subscribe()
    }

    /// Whether a request waits for a change.
    pub(super) fn is_awaited(&self) -> bool {
        self.shown.receiver_count() > 0
    }

    /// What the track shows now; nothing before there is anything to play.
    pub fn now(&self) -> Option<Arc<Shown>> {
        self.shown.borrow().clone()
    }

    fn segment(&self, number: SegmentNumber) -> Option<Arc<StoredSegment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.get(&number).cloned()
    }

    /// Looks a media file up.
    pub fn look(&self, name: &MediaName) -> Found {
        let Some(fingerprint) = name.fingerprint else {
            return Found::Never;
        };
        if let Some(segment) = self.segment(name.segment) {
            if segment.epoch != name.epoch || segment.fingerprint != fingerprint {
                return Found::Never;
            }
            let (finished, parts) = segment.progress();
            return match name.part {
                None if finished => Found::Ready(segment),
                Some(part) if (part.0 as usize) < parts => Found::Ready(segment),
                // The hint for a part that never came.
                Some(_) if finished => Found::Never,
                _ => Found::Later,
            };
        }
        let shown = self.shown.borrow();
        let Some(playlist) = shown.as_ref().map(|shown| &shown.playlist) else {
            return Found::Later;
        };
        let Some(tip) = playlist.last_segment() else {
            return Found::Later;
        };
        let overtaken = playlist.ended || playlist.next.is_some_and(|next| name.epoch < next.epoch);
        if name.segment <= tip || name.segment > tip.next() || overtaken {
            Found::Never
        } else {
            Found::Later
        }
    }

    /// Looks up the segment that starts at a time. `leading` is what the track shows that the
    /// others follow: it knows where Periods begin.
    pub fn look_at(&self, name: &SegmentName, leading: Option<&Shown>) -> Found {
        let Some(leading) = leading else {
            return Found::Later;
        };
        let lies_within = |number: SegmentNumber| {
            let anchor = leading.anchors.of(number);
            anchor.is_none_or(|anchor| anchor.segment <= name.anchor)
        };
        if let Some(segment) = self.starting_at(name) {
            if !lies_within(segment.number) {
                return Found::Never;
            }
            let (finished, parts) = segment.progress();
            let begun = parts > 0 && leading.playlist.part_target.is_some();
            // A rendition may be read further than the source that says where Periods begin.
            let led = leading.playlist.last_segment() >= Some(segment.number);
            return match (finished || begun) && led {
                true => Found::Ready(segment),
                false => Found::Later,
            };
        }
        let shown = self.now();
        let Some(playlist) = shown.as_ref().map(|shown| &shown.playlist) else {
            return Found::Later;
        };
        let Some(newest) = playlist.open.as_ref().or(playlist.segments.last()) else {
            return Found::Later;
        };
        // Another gateway may have read further, by one segment.
        let ahead = u64::from(playlist.target_seconds) * u64::from(newest.timescale.0);
        let expected = newest.end().0..=newest.end().0.saturating_add(ahead);
        if !playlist.ended && lies_within(newest.number) && expected.contains(&name.time.0) {
            Found::Later
        } else {
            Found::Never
        }
    }

    fn starting_at(&self, name: &SegmentName) -> Option<Arc<StoredSegment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let starts = |segment: &&Arc<StoredSegment>| {
            let first = segment.first_part();
            first.is_some_and(|part| part.decode_time == name.time)
        };
        segments
            .range(name.anchor..)
            .rev()
            .map(|(_, segment)| segment)
            .find(starts)
            .cloned()
    }

    /// The init segment with this hash; `None` if no segment that is known needs it.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn init(&self, hash: Fingerprint) -> Result<Option<Bytes>, Unavailable> {
        let kept = |view: &Self| {
            let inits = view.inits.lock().unwrap_or_else(PoisonError::into_inner);
            inits
                .iter()
                .find(|(of, _)| *of == hash)
                .map(|(_, bytes)| bytes.clone())
        };
        if let Some(bytes) = kept(self) {
            return Ok(Some(bytes));
        }
        let user = {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            segments
                .values()
                .rev()
                .find(|segment| segment.init == hash)
                .cloned()
        };
        let Some(first) = user.and_then(|segment| segment.first_part()) else {
            return Ok(None);
        };
        let records = self.origin.fetch(first.offset, first.offset).await?;
        let init = records.first().and_then(|record| {
            let init = record.value.get(..first.init_length as usize)?;
            Some(Bytes::copy_from_slice(init))
        });
        if let Some(init) = &init {
            self.keep_init(hash, init.clone());
        }
        Ok(init)
    }

    fn keep_init(&self, hash: Fingerprint, bytes: Bytes) {
        let mut inits = self.inits.lock().unwrap_or_else(PoisonError::into_inner);
        if !inits.iter().any(|(of, _)| *of == hash) {
            inits.push((hash, bytes));
            if inits.len() > MOST_INITS {
                inits.remove(0);
            }
        }
    }

    /// Makes a segment known that `index` tells of.
    pub(super) fn remember(&self, segment: &Segment) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let (false, Some(stored)) = (
            segments.contains_key(&segment.number),
            StoredSegment::of(segment, true),
        ) {
            segments.insert(segment.number, Arc::new(stored));
        }
    }

    /// Reads the next record of the track's topic into `live` and keeps what came with it; says
    /// whether the track shows anything new.
    pub(super) fn take(&self, record: &Record, live: &mut LiveTrack) -> bool {
        let header = record
            .headers
            .get(CHUNK_HEADER)
            .map(|bytes| Header::decode(bytes));
        let header = match header {
            Some(Ok(header)) => header,
            Some(Err(error)) => {
                metrics::counter!("reelay_gateway_live_unreadable_records_total").increment(1);
                tracing::debug!(
                    stream = %self.origin.target.id, topic = %record.topic,
                    partition = record.partition, offset = record.offset, %error,
                    "record cannot be read"
                );
                return false;
            }
            None => return false,
        };
        let outcome = live.read(Entry {
            offset: record.offset,
            header: &header,
            value: &record.value,
        });
        self.keep(record, &header, &outcome, live);
        outcome.changed
    }

    fn keep(&self, record: &Record, header: &Header, outcome: &Outcome, live: &LiveTrack) {
        if let Some(number) = outcome.part {
            let is_it = |segment: &&Arc<Segment>| segment.number == number;
            let open = live.reader().open().filter(is_it);
            let segment = open.or_else(|| outcome.finished.iter().find(is_it));
            if let Some(segment) = segment {
                self.keep_part(record, header, segment);
            }
        }
        if !outcome.finished.is_empty() {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            let stored = outcome
                .finished
                .iter()
                .filter_map(|s| segments.get(&s.number));
            stored.for_each(|segment| segment.finish());
        }
    }

    fn keep_part(&self, record: &Record, header: &Header, segment: &Segment) {
        let Some(part) = segment.parts().last() else {
            return;
        };
        let index = segment.parts().len() - 1;
        let init = record.value.slice(..part.init_length as usize);
        let media = record.value.slice(part.init_length as usize..);
        if let (Kind::Chunk { .. }, Some(hash), false) =
            (&header.kind, segment.init(), init.is_empty())
        {
            // Copied: a slice would hold the whole record as long as the init segment is kept.
            self.keep_init(hash, Bytes::copy_from_slice(&init));
        }
        let stored = {
            let mut segments = self
                .segments
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let known = segments.get(&segment.number).filter(|known| {
                known.epoch == segment.epoch && Some(known.fingerprint) == segment.fingerprint()
            });
            let stored = match known {
                Some(known) => known.clone(),
                None => {
                    let Some(stored) = StoredSegment::of(segment, false).map(Arc::new) else {
                        return;
                    };
                    segments.insert(segment.number, stored.clone());
                    stored
                }
            };
            while segments.len() > MOST_SEGMENTS {
                if let Some((_, oldest)) = segments.pop_first() {
                    self.origin.store.remove(&oldest);
                }
            }
            stored
        };
        stored.put(index, *part, media, &self.origin.store);
    }

    /// Shows what `live` has come to, and wakes those who wait for it.
    pub(super) fn publish(&self, live: &LiveTrack) {
        let playlist = MediaPlaylist::of(self.origin.target.uid, &self.track, live);
        if let (Some(playlist), Some(variant)) = (playlist, Variant::of(&self.track, live)) {
            self.shown.send_replace(Some(Arc::new(Shown::new(
                playlist,
                variant,
                live.reader().anchors().clone(),
            ))));
        }
    }
}

impl Drop for TrackView {
    fn drop(&mut self) {
        let segments = self
            .segments
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        segments
            .values()
            .for_each(|segment| self.origin.store.remove(segment));
    }
}
