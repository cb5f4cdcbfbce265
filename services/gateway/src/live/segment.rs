//! The bytes of one segment: kept as they came, or fetched again from where they lie.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reelay_bus::{Bus, BusError, FetchLimits, Record};
use reelay_model::{Epoch, SegmentNumber};
use reelay_timeline::track::{Part, Segment};
use reelay_wire::{CHUNK_HEADER, Fingerprint, Header, Kind, Topic};

use super::{Target, store::Store};

/// A segment of a watched stream.
pub struct StoredSegment {
    /// Its number.
    pub number: SegmentNumber,
    /// Its epoch.
    pub epoch: Epoch,
    /// The fingerprint of its encoding.
    pub fingerprint: Fingerprint,
    /// The init segment that it needs.
    pub init: Fingerprint,
    state: Mutex<State>,
    /// Held by the one who reads the bytes from Kafka again; others wait for it.
    refill: tokio::sync::Mutex<()>,
}

struct State {
    finished: bool,
    /// Whether it stands in the store's line.
    kept: bool,
    parts: Vec<(Part, Option<Bytes>)>,
}

/// Why bytes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The log does not hold them any more.
    #[error("the log does not hold segment {0} any more")]
    Gone(SegmentNumber),
    /// Kafka could not be read.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Bytes of a part, and whether they had to be read from Kafka.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The media, without an init segment.
    pub bytes: Bytes,
    /// Whether they were in memory.
    pub hit: bool,
}

impl StoredSegment {
    /// A segment of which no bytes are held yet; `None` for a gap.
    pub fn of(segment: &Segment, finished: bool) -> Option<Self> {
        Some(Self {
            number: segment.number,
            epoch: segment.epoch,
            fingerprint: segment.fingerprint()?,
            init: segment.init()?,
            state: Mutex::new(State {
                finished,
                kept: false,
                parts: segment.parts().iter().map(|part| (*part, None)).collect(),
            }),
            refill: tokio::sync::Mutex::default(),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the bytes of part `index`, which has just been read: the next one, or one whose
    /// place was known before.
    pub fn put(self: &Arc<Self>, index: usize, part: Part, media: Bytes, store: &Store) {
        let bytes = media.len() as u64;
        let mut state = self.state();
        let next = state.parts.len();
        match state.parts.get_mut(index) {
            Some((_, known @ None)) => *known = Some(media),
            None if index == next => state.parts.push((part, Some(media))),
            Some(_) | None => return,
        }
        let is_new = !std::mem::replace(&mut state.kept, true);
        drop(state);
        store.add(self, bytes, is_new);
    }

    /// No more parts come.
    pub fn finish(&self) {
        self.state().finished = true;
    }

    /// Whether all parts are there, and how many there are.
    pub fn progress(&self) -> (bool, usize) {
        let state = self.state();
        (state.finished, state.parts.len())
    }

    /// The first part, which the init segment stands before.
    pub fn first_part(&self) -> Option<Part> {
        self.state().parts.first().map(|(part, _)| *part)
    }

    /// The length of each part so far.
    pub fn lengths(&self) -> Vec<u32> {
        self.state()
            .parts
            .iter()
            .map(|(part, _)| part.length)
            .collect()
    }

    /// Drops the bytes and says how many they were.
    pub fn empty(&self) -> u64 {
        let mut state = self.state();
        state.kept = false;
        let parts = state.parts.iter_mut();
        parts
            .filter_map(|(_, media)| media.take())
            .map(|media| media.len() as u64)
            .sum()
    }

    /// The bytes of part `index`, if they are in memory.
    pub fn cached(&self, index: usize) -> Option<Bytes> {
        self.state().parts.get(index)?.1.clone()
    }

    /// The bytes of part `index`: from memory, or else all that the segment lacks is read from
    /// Kafka, once for all who wait.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn part(
        self: &Arc<Self>,
        index: usize,
        from: &Origin,
    ) -> Result<Fetched, Unavailable> {
        if let Some(bytes) = self.cached(index) {
            return Ok(Fetched { bytes, hit: true });
        }
        let _turn = self.refill.lock().await;
        if let Some(bytes) = self.cached(index) {
            return Ok(Fetched { bytes, hit: true });
        }
        let missing: Vec<(usize, Part)> = self
            .state()
            .parts
            .iter()
            .enumerate()
            .filter(|(_, (_, media))| media.is_none())
            .map(|(index, (part, _))| (index, *part))
            .collect();
        let read = from.read(self, &missing).await?;
        let wanted = read
            .iter()
            .find(|(i, _)| *i == index)
            .map(|(_, media)| media.clone());
        let mut state = self.state();
        let mut bytes = 0;
        for (index, media) in read {
            if let Some((_, place @ None)) = state.parts.get_mut(index) {
                bytes += media.len() as u64;
                *place = Some(media);
            }
        }
        let is_new = !std::mem::replace(&mut state.kept, true);
        drop(state);
        from.store.add(self, bytes, is_new);
        match wanted {
            Some(bytes) => Ok(Fetched { bytes, hit: false }),
            None => Err(Unavailable::Gone(self.number)),
        }
    }
}

/// Where the media of a track lies.
#[derive(Clone)]
pub struct Origin {
    pub bus: Bus,
    pub topic: Topic,
    pub target: Target,
    pub store: Arc<Store>,
}

impl Origin {
    /// Reads the given parts of a segment in one span.
    async fn read(
        &self,
        segment: &StoredSegment,
        parts: &[(usize, Part)],
    ) -> Result<Vec<(usize, Bytes)>, Unavailable> {
        let offsets = || parts.iter().map(|(_, part)| part.offset);
        let (Some(first), Some(last)) = (offsets().min(), offsets().max()) else {
            return Ok(Vec::new());
        };
        let records = self.fetch(first, last).await.map_err(|error| match error {
            BusError::OutOfRange { .. } => Unavailable::Gone(segment.number),
            other => other.into(),
        })?;
        let mut found = Vec::with_capacity(parts.len());
        for record in &records {
            let part = parts.iter().find(|(_, part)| part.offset == record.offset);
            if let Some((index, part)) = part
                && self.is_part(record, segment, *index)
            {
                let media = record
                    .value
                    .slice((part.init_length as usize).min(record.value.len())..);
                found.push((*index, media));
            }
        }
        Ok(found)
    }

    /// The records from `first` to `last`.
    pub async fn fetch(&self, first: i64, last: i64) -> Result<Vec<Record>, BusError> {
        let mut records = Vec::new();
        let mut from = first;
        while from <= last {
            let limits = FetchLimits::until(last + 1);
            let read = self
                .bus
                .fetch(&self.topic, self.target.partition, from, limits)
                .await?;
            let Some(newest) = read.last() else { break };
            from = newest.offset + 1;
            let bytes: usize = read.iter().map(|record| record.value.len()).sum();
            metrics::counter!("reelay_gateway_refetched_bytes_total").increment(bytes as u64);
            let key = self.target.id.as_str().as_bytes();
            records.extend(read.into_iter().filter(|r| r.key.as_deref() == Some(key)));
        }
        Ok(records)
    }

    /// Whether `record` is what the index or an earlier look said it is.
    fn is_part(&self, record: &Record, segment: &StoredSegment, index: usize) -> bool {
        let header = record
            .headers
            .get(CHUNK_HEADER)
            .map(|bytes| Header::decode(bytes));
        let Some(Ok(header)) = header else {
            return false;
        };
        let Kind::Chunk { part, format, .. } = &header.kind else {
            return false;
        };
        header.uid == self.target.uid
            && header.epoch == Some(segment.epoch)
            && header.segment == segment.number
            && part.0 as usize == index
            && format.fingerprint == segment.fingerprint
    }
}
