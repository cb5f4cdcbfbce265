//! Appends an owner's media and, once all parts of a segment are acknowledged, lists it in
//! `index`. Segments are pending from their first part to their index record.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use reelay_bus::{
    DroppedSegment, GapBuilder, MediaEvent, MediaProducer, MediaRecord, Outgoing, ProduceError,
};
use reelay_media::{MediaChunk, TrackInfo};
use reelay_model::{DurableMark, Micros, StreamId, StreamUid};
use reelay_runtime::trace;
use reelay_timeline::{LoggedSegment, gaps};
use reelay_wire::{
    CHUNK_HEADER, Epoch, Format, Header, InitHash, Kind, Opening, PartIndex, PartNumber,
    SegmentNumber, Ticks, Timescale, Topic, Track,
};

use crate::{app::Context, indexer::Indexer, records, repeat::Owned};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Part(PartNumber),
    Close,
    /// A gap record that the owner wrote itself (not the spool).
    Gap,
    Control,
}

/// A segment on its way into the log.
struct Pending {
    segment: LoggedSegment,
    /// Parts that were pushed and not acknowledged.
    outstanding: usize,
    /// Its last part, or a close or gap in its stead, was pushed.
    ended: bool,
    span: tracing::Span,
    traceparent: Option<String>,
}

/// Where an init segment stands in front of a segment.
pub struct Init {
    pub bytes: Bytes,
    pub hash: InitHash,
}

/// The way into the log of one owner.
pub struct Publisher {
    context: Context,
    owned: Owned,
    producer: MediaProducer,
    indexer: Indexer,
    pending: BTreeMap<(Track, SegmentNumber), Pending>,
    tokens: HashMap<u64, (Track, SegmentNumber, Token)>,
    next_token: u64,
    dropped: HashSet<(Track, SegmentNumber)>,
    durable: BTreeMap<Track, DurableMark>,
}

impl Publisher {
    /// A way into the log for the owner `owned`.
    pub fn new(context: Context, owned: Owned) -> reelay_bus::Result<Self> {
        let producer = MediaProducer::new(&context.bus, context.config.spool, gap_builder())?;
        let indexer = Indexer::start(context.producer.clone());
        Ok(Self {
            context,
            owned,
            producer,
            indexer,
            pending: BTreeMap::new(),
            tokens: HashMap::new(),
            next_token: 0,
            dropped: HashSet::new(),
            durable: BTreeMap::new(),
        })
    }

    /// Up to where each track is durable.
    pub const fn durable(&self) -> &BTreeMap<Track, DurableMark> {
        &self.durable
    }

    /// Appends an opening in line with the media, in all three topics.
    pub fn push_opening(&mut self, openings: [(Header, Opening); 3]) {
        let [source, audio, index] = openings;
        for (topic, (header, opening)) in [(Topic::Source, source), (Topic::Audio, audio)] {
            let record = self.record(topic, &header, opening.encode(), None);
            let token = self.token(header.track.clone(), SegmentNumber(0), Token::Control);
            self.producer.push_control(record, token);
        }
        let (header, opening) = index;
        let record = self.record(Topic::Index, &header, opening.encode(), None);
        self.indexer.append(record, tracing::Span::none());
    }

    /// Appends a chunk as a part of segment `number`; `init` stands before its first part.
    /// Returns the header that it got.
    pub fn push_chunk(
        &mut self,
        chunk: &MediaChunk,
        info: &TrackInfo,
        init: &Init,
        number: SegmentNumber,
        discontinuity_sequence: u64,
    ) -> Header {
        let first = chunk.part == PartNumber(0);
        let header = self.chunk_header(chunk, info, init, number, discontinuity_sequence);
        let key = (chunk.track.clone(), number);
        let pending = self.pending.entry(key).or_insert_with(|| {
            let span = tracing::info_span!(
                "ingest segment",
                stream = %header.stream, track = %header.track, segment = number.0
            );
            Pending {
                segment: LoggedSegment {
                    epoch: self.owned.epoch,
                    first: header.clone(),
                    parts: Vec::new(),
                    init_hash: Some(init.hash),
                    complete: false,
                },
                outstanding: 0,
                ended: false,
                traceparent: trace::traceparent(&span),
                span,
            }
        });
        pending.outstanding += 1;
        pending.ended |= chunk.last;
        pending.segment.parts.push(PartIndex {
            // Known when it is acknowledged.
            offset: -1,
            bytes: chunk.data.len() as u32,
            duration: chunk.duration,
            independent: chunk.independent,
        });
        let traceparent = pending.traceparent.clone();
        let value = if first {
            let mut value = BytesMut::with_capacity(init.bytes.len() + chunk.data.len());
            value.extend_from_slice(&init.bytes);
            value.extend_from_slice(&chunk.data);
            value.freeze()
        } else {
            chunk.data.clone()
        };
        metrics::counter!("reelay_ingest_media_bytes_total", "track" => kind(&chunk.track))
            .increment(value.len() as u64);
        let record = self.record(
            Topic::of_track(&chunk.track),
            &header,
            value,
            traceparent.as_deref(),
        );
        let token = self.token(chunk.track.clone(), number, Token::Part(chunk.part));
        self.producer.push(MediaRecord {
            segment: (chunk.track.clone(), number),
            media_duration: chunk.duration.to_micros(info.timescale),
            last_of_segment: chunk.last,
            record,
            token,
        });
        header
    }

    /// Ends a segment of which no more parts come.
    pub fn push_close(&mut self, track: &Track, number: SegmentNumber) {
        let Some(pending) = self.pending.get_mut(&(track.clone(), number)) else {
            return;
        };
        pending.ended = true;
        pending.outstanding += 1;
        let mut header = pending.segment.first.clone();
        header.kind = Kind::Close;
        header.decode_time = Ticks(0);
        header.duration = Ticks(0);
        let record = self.record(Topic::of_track(track), &header, Bytes::new(), None);
        let token = self.token(track.clone(), number, Token::Close);
        // As a part of the segment: where that was dropped, this completes its gap.
        self.producer.push(MediaRecord {
            segment: (track.clone(), number),
            media_duration: Micros(0),
            last_of_segment: true,
            record,
            token,
        });
    }

    /// Appends a gap record for a segment that the track lacks.
    pub fn push_gap(&mut self, gap: Header) {
        let record = self.record(Topic::of_track(&gap.track), &gap, Bytes::new(), None);
        let (track, number) = (gap.track.clone(), gap.segment);
        let token = self.token(track.clone(), number, Token::Gap);
        self.pending.insert(
            (track, number),
            Pending {
                segment: LoggedSegment {
                    epoch: self.owned.epoch,
                    first: gap,
                    parts: Vec::new(),
                    init_hash: None,
                    complete: true,
                },
                outstanding: 1,
                ended: true,
                span: tracing::Span::none(),
                traceparent: None,
            },
        );
        self.producer.push_control(record, token);
    }

    /// Appends the stream's end to its media topics, in line with the media.
    pub fn push_ends(&mut self, source: &Header, audio: &Header) {
        for (topic, header) in [(Topic::Source, source), (Topic::Audio, audio)] {
            let record = self.record(topic, header, Bytes::new(), None);
            let token = self.token(header.track.clone(), SegmentNumber(0), Token::Control);
            self.producer.push_control(record, token);
        }
    }

    /// Waits for what becomes of records and does what follows from it. Cancel safe: nothing is
    /// awaited after an event was taken.
    ///
    /// # Errors
    /// The producer is of no use any more: claim again, with a new one.
    pub async fn progress(&mut self) -> Result<(), ProduceError> {
        let event = self.producer.next().await;
        self.handle(event)
    }

    fn handle(&mut self, event: MediaEvent) -> Result<(), ProduceError> {
        match event {
            MediaEvent::Delivered { token, offset } => self.delivered(token, offset),
            MediaEvent::Dropped {
                track,
                number,
                tokens,
                ..
            } => {
                for token in tokens {
                    self.tokens.remove(&token);
                }
                metrics::counter!("reelay_ingest_dropped_segments_total", "track" => kind(&track))
                    .increment(1);
                self.dropped.insert((track, number));
            }
            MediaEvent::GapDelivered {
                track,
                number,
                duration,
                offset,
            } => {
                self.context.foreign.written(
                    &Topic::of_track(&track),
                    self.owned.partition,
                    offset,
                );
                let key = (track, number);
                self.dropped.remove(&key);
                if let Some(mut pending) = self.pending.remove(&key) {
                    let scale = pending.segment.first.timescale;
                    pending.segment.first.kind = Kind::Gap;
                    pending.segment.first.duration = gaps::to_ticks(duration, scale);
                    pending.segment.parts.clear();
                    pending.segment.init_hash = None;
                    self.index(&pending);
                }
            }
            MediaEvent::Fatal(error) => return Err(error),
        }
        Ok(())
    }

    /// Forgets everything that is not in the client's hands: the owner is fenced.
    pub fn purge(&mut self) {
        let purged = self.producer.purge();
        if purged > 0 {
            tracing::info!(stream = %self.owned.stream, records = purged, "queue was dropped");
        }
    }

    /// Waits until all media and index records are acknowledged, up to `deadline`. Returns
    /// whether they were.
    pub async fn flush(&mut self, deadline: Duration) -> Result<bool, ProduceError> {
        let end = tokio::time::Instant::now() + deadline;
        while !self.tokens.is_empty() || !self.dropped.is_empty() {
            match tokio::time::timeout_at(end, self.producer.next()).await {
                Ok(event) => self.handle(event)?,
                Err(_) => return Ok(false),
            }
        }
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        Ok(self.indexer.flush(left).await)
    }

    fn delivered(&mut self, token: u64, offset: i64) {
        let Some((track, number, what)) = self.tokens.remove(&token) else {
            return;
        };
        let topic = Topic::of_track(&track);
        self.context
            .foreign
            .written(&topic, self.owned.partition, offset);
        if what == Token::Control {
            return;
        }
        let key = (track.clone(), number);
        let Some(pending) = self.pending.get_mut(&key) else {
            return;
        };
        pending.outstanding = pending.outstanding.saturating_sub(1);
        if let Token::Part(part) = what
            && let Some(index) = pending.segment.parts.get_mut(part.0 as usize)
        {
            index.offset = offset;
            let parts = &pending.segment.parts[..=part.0 as usize];
            let first = &pending.segment.first;
            let durable: u64 = parts.iter().map(|part| part.duration.0).sum();
            let mark = DurableMark {
                track: track.clone(),
                segment: number,
                part,
                decode_time: Ticks(first.decode_time.0 + durable),
                timescale: first.timescale,
            };
            self.durable.insert(track, mark);
        }
        if pending.ended
            && pending.outstanding == 0
            && let Some(pending) = self.pending.remove(&key)
        {
            self.index(&pending);
        }
    }

    /// Lists a segment whose records are all acknowledged.
    fn index(&self, pending: &Pending) {
        let (header, record) = pending.segment.index_record(self.owned.epoch);
        let record = self.record(
            Topic::Index,
            &header,
            record.encode(),
            pending.traceparent.as_deref(),
        );
        self.indexer.append(record, pending.span.clone());
    }

    fn chunk_header(
        &self,
        chunk: &MediaChunk,
        info: &TrackInfo,
        init: &Init,
        number: SegmentNumber,
        discontinuity_sequence: u64,
    ) -> Header {
        let first = chunk.part == PartNumber(0);
        let kind = Kind::Chunk {
            part: chunk.part,
            independent: chunk.independent,
            last_part: chunk.last,
            open: chunk.open,
            init_length: if first { init.bytes.len() as u32 } else { 0 },
            cursor: chunk.cursor,
            format: Format {
                fingerprint: init.hash.fingerprint(),
                codecs: info.codecs.clone(),
                width: info.width,
                height: info.height,
                frame_rate_milli: info.frame_rate_milli,
                channels: info.channels,
                sample_rate: info.sample_rate,
                bandwidth: info.bandwidth,
            },
        };
        let (stream, uid) = self.identity();
        let mut header = Header::new(stream, uid, chunk.track.clone(), kind);
        header.epoch = Some(self.owned.epoch);
        header.segment = number;
        header.discontinuity_sequence = discontinuity_sequence;
        header.timescale = info.timescale;
        header.decode_time = chunk.decode_time;
        header.duration = chunk.duration;
        header.capture_time = chunk.capture_time;
        header
    }

    fn identity(&self) -> (StreamId, StreamUid) {
        (self.owned.stream.clone(), self.owned.uid)
    }

    fn record(
        &self,
        topic: Topic,
        header: &Header,
        value: Bytes,
        traceparent: Option<&str>,
    ) -> Outgoing {
        records::outgoing(topic, self.owned.partition, header, value, traceparent)
    }

    fn token(&mut self, track: Track, number: SegmentNumber, what: Token) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.tokens.insert(token, (track, number, what));
        token
    }
}

/// Label value of a track in metrics: there are two kinds here.
pub const fn kind(track: &Track) -> &'static str {
    match track {
        Track::Audio => "audio",
        _ => "video",
    }
}

/// Makes the gap record of a segment that the spool dropped, from its first record.
fn gap_builder() -> GapBuilder {
    Box::new(|dropped: &DroppedSegment| {
        let decoded = dropped
            .first
            .headers
            .get(CHUNK_HEADER)
            .map(|bytes| Header::decode(bytes));
        // Its header was encoded by this process.
        let Some(Ok(first)) = decoded else {
            return dropped.first.clone();
        };
        let gap = gaps::header(gaps::Gap {
            stream: first.stream,
            uid: first.uid,
            track: first.track,
            epoch: first.epoch.unwrap_or(Epoch(0)),
            segment: first.segment,
            discontinuity_sequence: first.discontinuity_sequence,
            timescale: first.timescale,
            decode_time: first.decode_time,
            duration: gaps::to_ticks(dropped.duration, first.timescale),
            capture_time: first.capture_time,
        });
        let (topic, partition) = (dropped.first.topic.clone(), dropped.first.partition);
        records::outgoing(topic, partition, &gap, Bytes::new(), None)
    })
}

/// The gap for a segment that `track` lacks, where the stream has nothing else of it.
pub fn missing(
    owned: &Owned,
    track: Track,
    number: SegmentNumber,
    times: (Ticks, Ticks, Timescale),
    discontinuity_sequence: u64,
) -> Header {
    let (decode_time, duration, timescale) = times;
    gaps::header(gaps::Gap {
        stream: owned.stream.clone(),
        uid: owned.uid,
        track,
        epoch: owned.epoch,
        segment: number,
        discontinuity_sequence,
        timescale,
        decode_time,
        duration,
        capture_time: Micros::now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_segment_becomes_a_gap_of_its_number_and_length() {
        let kind = Kind::Chunk {
            part: PartNumber(0),
            independent: true,
            last_part: false,
            open: false,
            init_length: 3,
            cursor: None,
            format: Format {
                fingerprint: reelay_wire::Fingerprint([1; 16]),
                codecs: "avc1.64001f".to_owned(),
                width: 320,
                height: 180,
                frame_rate_milli: 25_000,
                channels: 0,
                sample_rate: 0,
                bandwidth: 0,
            },
        };
        let uid = StreamUid::from_bytes([7; 16]);
        let mut header = Header::new("door".parse().unwrap(), uid, Track::Video, kind);
        header.epoch = Some(Epoch(9));
        header.segment = SegmentNumber(41);
        header.discontinuity_sequence = 2;
        header.timescale = Timescale(90_000);
        header.decode_time = Ticks(900_000);
        header.duration = Ticks(18_000);
        let first = records::outgoing(Topic::Source, 3, &header, "media".into(), None);
        let record = gap_builder()(&DroppedSegment {
            track: Track::Video,
            number: SegmentNumber(41),
            duration: Micros(2_000_000),
            bytes: 5,
            tokens: vec![1, 2],
            first,
        });
        assert_eq!((&record.topic, record.partition), (&Topic::Source, 3));
        assert!(record.value.is_empty());
        let gap = Header::decode(record.headers.get(CHUNK_HEADER).unwrap()).unwrap();
        let expected = Header {
            kind: Kind::Gap,
            duration: Ticks(180_000),
            ..header
        };
        assert_eq!(gap, expected);
    }
}
