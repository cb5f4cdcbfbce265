//! Writes the log of a stream as an ingest does; the media is bytes that look like nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use reelay_bus::{Bus, Headers, Outgoing, Producer};
use reelay_model::{
    Epoch, Micros, Offset, PartNumber, SegmentNumber, StreamId, StreamUid, Ticks, Timescale, Track,
};
use reelay_wire::{
    Anchor, CHUNK_HEADER, Format, Header, IndexRecord, InitHash, Kind, Nonce, Opening, PartIndex,
    Topic,
};
use sha2::{Digest, Sha256};

pub const PARTS: usize = 10;
const PART_MICROS: u64 = 200_000;

/// A camera that one owner after the other publishes.
pub struct Camera {
    producer: Producer,
    pub id: StreamId,
    pub uid: StreamUid,
    partition: i32,
    pub epoch: Epoch,
    nonce: Nonce,
    pub number: u64,
    low_latency: bool,
    /// Bytes of a part of video; audio has a tenth.
    part_bytes: usize,
    time: u64,
    anchor: Option<Anchor>,
    open: BTreeMap<Track, Vec<(Offset, Header, usize)>>,
    /// The media of each part that counts.
    pub media: BTreeMap<(Track, u64), Vec<Bytes>>,
}

pub fn tracks() -> [Track; 2] {
    [Track::Video, Track::Audio]
}

pub fn init_of(track: &Track) -> Bytes {
    Bytes::from(format!("ftyp moov of {track}").into_bytes())
}

pub fn init_hash(track: &Track) -> InitHash {
    InitHash(Sha256::digest(init_of(track)).into())
}

/// Bytes that differ from part to part.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

impl Camera {
    pub fn new(bus: &Bus, id: StreamId, uid: StreamUid, partition: i32, low_latency: bool) -> Self {
        Self {
            producer: bus.producer().unwrap(),
            id,
            uid,
            partition,
            epoch: Epoch(0),
            nonce: Nonce([0; 16]),
            number: 0,
            low_latency,
            part_bytes: 4000,
            time: 0,
            anchor: None,
            open: BTreeMap::new(),
            media: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn with_part_bytes(mut self, part_bytes: usize) -> Self {
        self.part_bytes = part_bytes;
        self
    }

    async fn append(&self, topic: Topic, header: Header, value: Bytes) -> Offset {
        let record = Outgoing {
            topic,
            partition: self.partition,
            key: Bytes::copy_from_slice(self.id.as_str().as_bytes()),
            headers: Headers::new().with(CHUNK_HEADER, header.encode()),
            value,
        };
        self.producer.send(record).await.unwrap().offset
    }

    fn header(&self, track: &Track, kind: Kind) -> Header {
        let mut header = Header::new(self.id.clone(), self.uid, track.clone(), kind);
        header.epoch = Some(self.epoch);
        header
    }

    fn everywhere() -> [(Topic, Track); 3] {
        let (source, audio) = ((Topic::Source, Track::Video), (Topic::Audio, Track::Audio));
        [source, audio, (Topic::Index, Track::Video)]
    }

    /// A new owner claims the stream and opens its epoch. A segment that is open ends.
    pub async fn claim(&mut self) {
        let nonce = Nonce(*StreamUid::random().as_bytes());
        let mut claim = self.header(&Track::Video, Kind::Claim { nonce });
        claim.epoch = None;
        let offset = self.append(Topic::Source, claim, Bytes::new()).await;
        let before = std::mem::replace(&mut self.epoch, Epoch(offset as u64));
        for (topic, track) in &Self::everywhere()[1..] {
            let claim = self.header(track, Kind::Claim { nonce });
            self.append(topic.clone(), claim, Bytes::new()).await;
        }
        let open = std::mem::take(&mut self.open);
        let number = self.number;
        match (number, open.is_empty()) {
            (0, _) => self.number = self.epoch.0,
            (_, false) => self.number += 1,
            _ => {}
        }
        if self.anchor.is_none() {
            self.set_anchor();
        }
        self.openings(nonce, number > 0).await;
        for (track, parts) in open {
            self.index(&track, number, before, &parts).await;
        }
    }

    fn set_anchor(&mut self) {
        self.anchor = Some(Anchor {
            segment: SegmentNumber(self.number),
            time: Micros((self.time * PART_MICROS) as i64),
            capture_time: Micros::now(),
        });
    }

    /// The source was away: from the next segment on, the time line follows the wall clock anew.
    pub async fn come_back(&mut self) {
        self.set_anchor();
        self.openings(self.nonce, true).await;
    }

    async fn openings(&mut self, nonce: Nonce, continues: bool) {
        self.nonce = nonce;
        let opening = Opening {
            first_segment: SegmentNumber(self.number),
            time_origin: Micros::now(),
            continues,
            target_duration_s: 2,
            part_targets: tracks().map(|track| (track, PART_MICROS as u32)).into(),
            discontinuity_sequence: 0,
            low_latency: self.low_latency,
            source: None,
            anchor: self.anchor,
        };
        for (topic, track) in Self::everywhere() {
            let header = self.header(&track, Kind::Opening { nonce });
            self.append(topic, header, opening.encode()).await;
        }
    }

    /// One part of each track; the tenth is the last of its segment.
    pub async fn part(&mut self) {
        let last = self.open.get(&Track::Video).map_or(0, Vec::len) == PARTS - 1;
        for track in tracks() {
            self.part_of(&track, last).await;
        }
        self.time += 1;
        if last {
            self.number += 1;
        }
    }

    async fn part_of(&mut self, track: &Track, last: bool) {
        let video = *track == Track::Video;
        let (timescale, ticks) = if video {
            (90_000, 18_000)
        } else {
            (48_000, 9_600)
        };
        let index = self.open.get(track).map_or(0, Vec::len);
        let length = if video {
            self.part_bytes
        } else {
            self.part_bytes / 10
        } + index;
        let seed = self.number * 1000 + index as u64 * 2 + u64::from(video);
        let media = noise(seed, length);
        let init = if index == 0 {
            init_of(track)
        } else {
            Bytes::new()
        };
        let format = Format {
            fingerprint: init_hash(track).fingerprint(),
            codecs: if video { "avc1.64001f" } else { "mp4a.40.2" }.into(),
            width: if video { 1280 } else { 0 },
            height: if video { 720 } else { 0 },
            frame_rate_milli: if video { 25_000 } else { 0 },
            channels: if video { 0 } else { 2 },
            sample_rate: if video { 0 } else { 48_000 },
            bandwidth: if video { 2_800_000 } else { 128_000 },
        };
        let kind = Kind::Chunk {
            part: PartNumber(index as u32),
            independent: index == 0 || !video,
            last_part: last,
            open: false,
            init_length: init.len() as u32,
            cursor: None,
            format,
        };
        let mut header = self.header(track, kind);
        header.segment = SegmentNumber(self.number);
        header.timescale = Timescale(timescale);
        header.decode_time = Ticks(self.time * ticks);
        header.duration = Ticks(ticks);
        header.capture_time = Micros::now();
        let value = Bytes::from([&init[..], &media[..]].concat());
        let offset = self
            .append(Topic::of_track(track), header.clone(), value)
            .await;
        self.media
            .entry((track.clone(), self.number))
            .or_default()
            .push(media.clone());
        self.open
            .entry(track.clone())
            .or_default()
            .push((offset, header, media.len()));
        if last {
            let parts = self.open.remove(track).unwrap();
            self.index(track, self.number, self.epoch, &parts).await;
        }
    }

    async fn index(
        &self,
        track: &Track,
        number: u64,
        epoch: Epoch,
        parts: &[(Offset, Header, usize)],
    ) {
        let mut header = parts[0].1.clone();
        header.epoch = Some(self.epoch);
        header.segment = SegmentNumber(number);
        header.duration = Ticks(parts.iter().map(|(_, header, _)| header.duration.0).sum());
        let parts = parts.iter().map(|(offset, header, length)| PartIndex {
            offset: *offset,
            bytes: *length as u32,
            duration: header.duration,
            independent: matches!(
                header.kind,
                Kind::Chunk {
                    independent: true,
                    ..
                }
            ),
        });
        let record = IndexRecord {
            epoch,
            parts: parts.collect(),
            init_hash: Some(init_hash(track)),
            init_length: init_of(track).len() as u32,
        };
        self.append(Topic::Index, header, record.encode()).await;
    }

    /// Finishes this many segments.
    pub async fn segments(&mut self, count: u64) {
        let until = self.number + count;
        while self.number < until {
            self.part().await;
        }
    }

    /// A segment that could not be had.
    pub async fn gap(&mut self) {
        for track in tracks() {
            let (timescale, ticks) = if track == Track::Video {
                (90_000, 18_000)
            } else {
                (48_000, 9_600)
            };
            let mut header = self.header(&track, Kind::Gap);
            header.segment = SegmentNumber(self.number);
            header.timescale = Timescale(timescale);
            header.decode_time = Ticks(self.time * ticks);
            header.duration = Ticks(ticks * PARTS as u64);
            header.capture_time = Micros::now();
            self.append(Topic::of_track(&track), header.clone(), Bytes::new())
                .await;
            let record = IndexRecord::gap(self.epoch).encode();
            self.append(Topic::Index, header, record).await;
        }
        self.time += PARTS as u64;
        self.number += 1;
    }

    /// Ends the open segment though its last part did not say so.
    pub async fn close(&mut self) {
        for (track, parts) in std::mem::take(&mut self.open) {
            let mut header = self.header(&track, Kind::Close);
            header.segment = SegmentNumber(self.number);
            self.append(Topic::of_track(&track), header, Bytes::new())
                .await;
            self.index(&track, self.number, self.epoch, &parts).await;
        }
        self.number += 1;
    }

    /// A part of video by an owner of epoch `epoch` that does not know that it is one no more.
    pub async fn zombie_part(&self, epoch: Epoch, header: &Header) {
        let mut header = header.clone();
        header.epoch = Some(epoch);
        self.append(Topic::Source, header, noise(666, 100)).await;
    }

    /// The header of the newest part of video in the open segment.
    pub fn newest_header(&self) -> Header {
        self.open[&Track::Video].last().unwrap().1.clone()
    }

    /// The stream ends for good.
    pub async fn end(&mut self) {
        for (topic, track) in Self::everywhere() {
            let header = self.header(&track, Kind::End);
            self.append(topic, header, Bytes::new()).await;
        }
    }

    /// The media of a whole segment.
    pub fn segment(&self, track: &Track, number: u64) -> Bytes {
        self.media[&(track.clone(), number)].concat().into()
    }
}
