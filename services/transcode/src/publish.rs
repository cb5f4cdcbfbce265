//! Hands the segments of a stream's rungs to the log and, once all parts of one are
//! acknowledged, lists it in `index`. Segments are pending from their first part to their index
//! record.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use reelay_bus::{
    DroppedSegment, GapBuilder, MediaEvent, MediaProducer, MediaRecord, ProduceError,
};
use reelay_model::{Micros, RungId, SegmentNumber, Ticks};
use reelay_timeline::{
    LoggedSegment, gaps,
    todo::{Fate, Found},
};
use reelay_wire::{Header, InitHash, Kind, PartIndex, PartNumber, Topic, Track};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::{
    app::Context,
    indexer::{Indexer, Listed},
    records,
};

/// What became of what was handed over.
#[derive(Debug)]
pub enum Published {
    /// `index` lists a segment.
    Listed(Listed),
    /// The producer is of no use any more: what was not listed has to be found anew.
    Lost(ProduceError),
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Part(PartNumber),
    Close,
    Gap,
}

/// A segment on its way into the log.
struct Pending {
    segment: LoggedSegment,
    /// Records that were pushed and not acknowledged.
    outstanding: usize,
    /// No more records of it come.
    ended: bool,
    /// The spool dropped it: a gap record is on its way in its place.
    dropped: bool,
    traceparent: Option<String>,
    span: tracing::Span,
}

type Key = (RungId, SegmentNumber);

/// The way into the log of one line of segments, in order.
pub struct Publisher {
    partition: i32,
    producer: MediaProducer,
    indexer: Indexer,
    listed: mpsc::UnboundedReceiver<Listed>,
    pending: BTreeMap<Key, Pending>,
    /// Segments whose index records were handed over and not acknowledged.
    listing: usize,
    tokens: HashMap<u64, (Key, Token)>,
    next_token: u64,
}

impl Publisher {
    /// A way into the log with nothing on it.
    ///
    /// # Errors
    /// The Kafka client cannot be made.
    pub fn new(context: &Context, partition: i32) -> reelay_bus::Result<Self> {
        let (to_us, listed) = mpsc::unbounded_channel();
        Ok(Self {
            producer: MediaProducer::new(&context.bus, context.config.spool, gap_builder())?,
            indexer: Indexer::start(context.producer.clone(), to_us),
            partition,
            listed,
            pending: BTreeMap::new(),
            listing: 0,
            tokens: HashMap::new(),
            next_token: 0,
        })
    }

    /// Goes on with a segment that the log holds parts of.
    pub fn resume(&mut self, rung: &RungId, logged: LoggedSegment) {
        let key = (rung.clone(), logged.first.segment);
        self.pending.entry(key).or_insert_with(|| Pending {
            outstanding: 0,
            ended: false,
            dropped: false,
            traceparent: None,
            span: tracing::Span::current(),
            segment: logged,
        });
    }

    /// How far a segment has come that is not listed, if anything of it was handed over.
    pub fn progress(&self, rung: &RungId, number: SegmentNumber) -> Option<Found> {
        let pending = self.pending.get(&(rung.clone(), number))?;
        let next = PartNumber(pending.segment.parts.len() as u32);
        Some(Found::Ours(next, pending.ended))
    }

    /// How many bytes a part has that was handed over before.
    pub fn bytes_of(&self, rung: &RungId, number: SegmentNumber, part: PartNumber) -> Option<u32> {
        let pending = self.pending.get(&(rung.clone(), number))?;
        let part = pending.segment.parts.get(part.0 as usize)?;
        Some(part.bytes)
    }

    /// Appends a part: `init` stands before the first one.
    pub fn part(
        &mut self,
        rung: &RungId,
        header: &Header,
        init: Option<&Bytes>,
        data: &Bytes,
        traceparent: Option<&str>,
    ) {
        let Kind::Chunk {
            part,
            independent,
            last_part,
            ..
        } = header.kind
        else {
            return;
        };
        let number = header.segment;
        let key = (rung.clone(), number);
        let pending = self.pending.entry(key.clone()).or_insert_with(|| Pending {
            segment: LoggedSegment {
                epoch: header.epoch.unwrap_or_default(),
                first: header.clone(),
                parts: Vec::new(),
                init_hash: init.map(|init| InitHash(Sha256::digest(init).into())),
                complete: false,
            },
            outstanding: 0,
            ended: false,
            dropped: false,
            traceparent: traceparent.map(str::to_owned),
            span: tracing::Span::current(),
        });
        pending.outstanding += 1;
        pending.ended |= last_part;
        pending.segment.parts.push(PartIndex {
            // Known when it is acknowledged.
            offset: -1,
            bytes: data.len() as u32,
            duration: header.duration,
            independent,
        });
        let value = match init {
            Some(init) => {
                let mut value = BytesMut::with_capacity(init.len() + data.len());
                value.extend_from_slice(init);
                value.extend_from_slice(data);
                value.freeze()
            }
            None => data.clone(),
        };
        let duration = header.duration.to_micros(header.timescale);
        self.push(key, header, value, Token::Part(part), duration, last_part);
    }

    /// Ends a segment of which no more parts come.
    pub fn close(&mut self, rung: &RungId, number: SegmentNumber) {
        let key = (rung.clone(), number);
        let Some(pending) = self.pending.get_mut(&key) else {
            return;
        };
        if pending.ended {
            return;
        }
        pending.ended = true;
        pending.outstanding += 1;
        let mut header = pending.segment.first.clone();
        header.kind = Kind::Close;
        header.decode_time = Ticks(0);
        header.duration = Ticks(0);
        self.push(key, &header, Bytes::new(), Token::Close, Micros(0), true);
    }

    /// Lists a segment all of whose records lie in the log.
    pub fn list(&mut self, rung: &RungId, number: SegmentNumber) {
        let key = (rung.clone(), number);
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.ended = true;
            self.list_if_complete(&key);
        }
    }

    /// Appends a gap record.
    pub fn gap(&mut self, rung: &RungId, header: Header) {
        let key = (rung.clone(), header.segment);
        let duration = header.duration.to_micros(header.timescale);
        self.pending.insert(
            key.clone(),
            Pending {
                segment: LoggedSegment {
                    epoch: header.epoch.unwrap_or_default(),
                    first: header.clone(),
                    parts: Vec::new(),
                    init_hash: None,
                    complete: true,
                },
                outstanding: 1,
                ended: true,
                dropped: false,
                traceparent: None,
                span: tracing::Span::none(),
            },
        );
        self.push(key, &header, Bytes::new(), Token::Gap, duration, true);
    }

    fn push(
        &mut self,
        key: Key,
        header: &Header,
        value: Bytes,
        token: Token,
        duration: Micros,
        last: bool,
    ) {
        let track = Track::Rung(key.0.clone());
        let traceparent = self.pending.get(&key).and_then(|p| p.traceparent.clone());
        let record = records::outgoing(
            Topic::of_track(&track),
            self.partition,
            header,
            value,
            traceparent.as_deref(),
        );
        let number = key.1;
        let id = self.next_token;
        self.next_token += 1;
        self.tokens.insert(id, (key, token));
        self.producer.push(MediaRecord {
            segment: (track, number),
            media_duration: duration,
            last_of_segment: last,
            record,
            token: id,
        });
    }

    /// Waits until something was listed or lost. Cancel safe: nothing is awaited after an event
    /// was taken.
    pub async fn next(&mut self) -> Published {
        loop {
            tokio::select! {
                Some(listed) = self.listed.recv() => {
                    self.listing = self.listing.saturating_sub(1);
                    return Published::Listed(listed);
                }
                event = self.producer.next() => {
                    if let Err(error) = self.handle(event) {
                        return Published::Lost(error);
                    }
                }
            }
        }
    }

    /// Whether all that was begun is listed.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.listing == 0
    }

    /// Waits until all that was handed over is acknowledged, and what is complete is listed, up
    /// to `deadline`.
    pub async fn flush(&mut self, deadline: Duration) {
        let end = tokio::time::Instant::now() + deadline;
        while !self.tokens.is_empty() || self.listing > 0 {
            match tokio::time::timeout_at(end, self.next()).await {
                Ok(Published::Listed(_)) => {}
                Ok(Published::Lost(_)) | Err(_) => return,
            }
        }
    }

    fn handle(&mut self, event: MediaEvent) -> Result<(), ProduceError> {
        match event {
            MediaEvent::Delivered { token, offset } => {
                let Some((key, token)) = self.tokens.remove(&token) else {
                    return Ok(());
                };
                let Some(pending) = self.pending.get_mut(&key) else {
                    return Ok(());
                };
                pending.outstanding = pending.outstanding.saturating_sub(1);
                if let Token::Part(part) = token
                    && let Some(index) = pending.segment.parts.get_mut(part.0 as usize)
                {
                    index.offset = offset;
                }
                self.list_if_complete(&key);
            }
            MediaEvent::Dropped {
                track: Track::Rung(rung),
                number,
                tokens,
                ..
            } => {
                for token in tokens {
                    self.tokens.remove(&token);
                }
                if let Some(pending) = self.pending.get_mut(&(rung, number)) {
                    pending.dropped = true;
                }
            }
            MediaEvent::GapDelivered {
                track: Track::Rung(rung),
                number,
                duration,
                ..
            } => {
                let key = (rung, number);
                if let Some(pending) = self.pending.get_mut(&key) {
                    let first = &mut pending.segment.first;
                    first.kind = Kind::Gap;
                    first.duration = gaps::to_ticks(duration, first.timescale);
                    pending.segment.parts.clear();
                    pending.segment.init_hash = None;
                    (pending.ended, pending.dropped) = (true, false);
                    pending.outstanding = 0;
                    self.list_if_complete(&key);
                }
            }
            MediaEvent::Dropped { .. } | MediaEvent::GapDelivered { .. } => {}
            MediaEvent::Fatal(error) => return Err(error),
        }
        Ok(())
    }

    fn list_if_complete(&mut self, key: &Key) {
        let complete =
            |pending: &&Pending| pending.ended && !pending.dropped && pending.outstanding == 0;
        if self.pending.get(key).filter(complete).is_none() {
            return;
        }
        let Some(pending) = self.pending.remove(key) else {
            return;
        };
        let epoch = pending.segment.epoch;
        let (header, record) = pending.segment.index_record(epoch);
        let fate = if pending.segment.is_gap() {
            Fate::Gap
        } else {
            Fate::Media
        };
        let record = records::outgoing(
            Topic::Index,
            self.partition,
            &header,
            record.encode(),
            pending.traceparent.as_deref(),
        );
        let listed = Listed {
            rung: key.0.clone(),
            number: key.1,
            fate,
        };
        self.listing += 1;
        self.indexer.append(record, listed, pending.span);
    }
}

/// Of a segment that the spool had to drop: the gap in its place.
fn gap_builder() -> GapBuilder {
    Box::new(|dropped: &DroppedSegment| {
        let mut outgoing = dropped.first.clone();
        if let Some(bytes) = outgoing.headers.get(reelay_wire::CHUNK_HEADER)
            && let Ok(mut header) = Header::decode(bytes)
        {
            header.kind = Kind::Gap;
            header.duration = gaps::to_ticks(dropped.duration, header.timescale);
            outgoing = records::outgoing(
                dropped.first.topic.clone(),
                dropped.first.partition,
                &header,
                Bytes::new(),
                None,
            );
        }
        outgoing
    })
}
