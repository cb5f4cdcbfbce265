//! A log in memory, written as ingests write it, with what can go wrong.

use std::collections::BTreeMap;

use reelay_model::{
    Epoch, Micros, Offset, PartNumber, SegmentNumber, StreamId, StreamUid, Ticks, Timescale, Track,
};
use reelay_timeline::{
    track::{Entry, IndexReader, Start, StartAt, TrackReader},
    window::LiveTrack,
};
use reelay_wire::{
    Anchor, Format, Header, IndexRecord, InitHash, Kind, Nonce, Opening, PartIndex, Topic,
};

pub const TARGET: u32 = 2;
/// 2026-01-01T00:00:00Z
pub const ORIGIN: i64 = 1_767_225_600_000_000;
const VIDEO_PART: u64 = 18_000;
const AUDIO_PART: u64 = 9_600;

/// A record: its header and value. The offset is its place.
pub type Stored = (Header, Vec<u8>);

/// The three topics of a partition with one stream (and records of a stranger).
pub struct Log {
    pub uid: StreamUid,
    pub topics: BTreeMap<Topic, Vec<Stored>>,
    pub low_latency: bool,
    tracks_known: bool,
    epoch: Epoch,
    number: u64,
    discontinuity: u64,
    /// Discontinuity sequence of the newest media.
    shown: u64,
    init: u8,
    time: u64,
    /// Microseconds in which the source was away.
    away: i64,
    anchor: Option<Anchor>,
    /// Parts of the open segment by track, with their offsets.
    open: BTreeMap<Track, Vec<(Offset, Header, usize)>>,
}

pub fn tracks() -> [Track; 2] {
    [Track::Video, Track::Audio]
}

impl Log {
    pub fn new(low_latency: bool) -> Self {
        let mut log = Self {
            uid: StreamUid::from_bytes([7; 16]),
            topics: [Topic::Source, Topic::Audio, Topic::Index]
                .map(|t| (t, Vec::new()))
                .into(),
            low_latency,
            tracks_known: true,
            epoch: Epoch(0),
            number: 0,
            discontinuity: 0,
            shown: 0,
            init: 1,
            time: 0,
            away: 0,
            anchor: None,
            open: BTreeMap::new(),
        };
        log.noise(3);
        log
    }

    fn header(&self, track: &Track, kind: Kind) -> Header {
        let id: StreamId = "door".parse().unwrap();
        Header::new(id, self.uid, track.clone(), kind)
    }

    fn append(&mut self, topic: Topic, header: Header, value: Vec<u8>) -> Offset {
        let records = self.topics.get_mut(&topic).unwrap();
        records.push((header, value));
        records.len() as Offset - 1
    }

    /// Records of another stream.
    pub fn noise(&mut self, count: usize) {
        for topic in [Topic::Source, Topic::Audio, Topic::Index] {
            let mut header = self.header(&Track::Video, Kind::Gap);
            header.uid = StreamUid::from_bytes([9; 16]);
            header.epoch = Some(Epoch(1));
            header.timescale = Timescale(1);
            for _ in 0..count {
                self.append(topic.clone(), header.clone(), Vec::new());
            }
        }
    }

    fn timing(track: &Track) -> (Timescale, u64) {
        match track {
            Track::Audio => (Timescale(48_000), AUDIO_PART),
            _ => (Timescale(90_000), VIDEO_PART),
        }
    }

    fn format(&self, track: &Track) -> Format {
        let video = *track == Track::Video;
        Format {
            fingerprint: self.init_hash(track).fingerprint(),
            codecs: if video { "avc1.64001f" } else { "mp4a.40.2" }.into(),
            width: if video { 1280 } else { 0 },
            height: if video { 720 } else { 0 },
            frame_rate_milli: if video { 25_000 } else { 0 },
            channels: if video { 0 } else { 2 },
            sample_rate: if video { 0 } else { 48_000 },
            bandwidth: if video { 2_800_000 } else { 0 },
        }
    }

    fn init_hash(&self, track: &Track) -> InitHash {
        InitHash([self.init + if *track == Track::Audio { 0x80 } else { 0 }; 32])
    }

    /// An owner without a source: it claims, opens without tracks, and publishes nothing.
    pub fn claim_in_vain(&mut self) {
        self.tracks_known = false;
        self.claim();
        self.tracks_known = true;
    }

    /// A new owner: claims and openings in all topics.
    pub fn claim(&mut self) {
        let nonce = Nonce([1; 16]);
        let claim = self.header(&Track::Video, Kind::Claim { nonce });
        let offset = self.append(Topic::Source, claim, Vec::new());
        let before = std::mem::replace(&mut self.epoch, Epoch(offset as u64));
        let open = std::mem::take(&mut self.open);
        let number = self.number;
        if number == 0 {
            self.number = self.epoch.0;
            self.set_anchor();
        } else if !open.is_empty() {
            // Numbers that any track has used are used.
            self.number += 1;
        }
        self.claim_others();
        if !open.is_empty() {
            for track in tracks() {
                match open.get(&track) {
                    Some(parts) => self.index(&track, number, before, parts),
                    None => self.gap_of(&track, number),
                }
            }
        }
    }

    /// Claims `source` while the owner, who does not know, writes on: all that it writes there
    /// from now on is void, yet it indexes it.
    pub fn claim_while_the_owner_writes_on(&mut self) {
        let nonce = Nonce([1; 16]);
        let claim = self.header(&Track::Video, Kind::Claim { nonce });
        let offset = self.append(Topic::Source, claim, Vec::new());
        let video = self.open.get(&Track::Video).cloned().unwrap_or_default();
        let (before, number) = (self.epoch, self.number);
        // The zombie finishes its segment and indexes it. In `audio` the claim comes after it.
        self.part(true);
        self.epoch = Epoch(offset as u64);
        self.claim_others();
        match video.is_empty() {
            true => self.gap_of(&Track::Video, number),
            false => self.index(&Track::Video, number, before, &video),
        }
    }

    fn claim_others(&mut self) {
        let nonce = Nonce([1; 16]);
        for (topic, track) in [(Topic::Audio, Track::Audio), (Topic::Index, Track::Video)] {
            let mut claim = self.header(&track, Kind::Claim { nonce });
            claim.epoch = Some(self.epoch);
            self.append(topic, claim, Vec::new());
        }
        self.openings(false);
    }

    fn openings(&mut self, repeated: bool) {
        let opening = Opening {
            first_segment: SegmentNumber(self.number),
            time_origin: Micros(ORIGIN),
            continues: repeated,
            target_duration_s: TARGET,
            part_targets: match self.tracks_known {
                true => tracks().map(|track| (track, 200_000)).into(),
                false => BTreeMap::new(),
            },
            discontinuity_sequence: self.discontinuity,
            low_latency: self.low_latency,
            source: None,
            anchor: self.anchor,
        };
        for (topic, track) in [
            (Topic::Source, Track::Video),
            (Topic::Audio, Track::Audio),
            (Topic::Index, Track::Video),
        ] {
            let mut header = self.header(
                &track,
                Kind::Opening {
                    nonce: Nonce([1; 16]),
                },
            );
            header.epoch = Some(self.epoch);
            self.append(topic, header, opening.encode().to_vec());
        }
    }

    /// The owner repeats its claim and opening.
    pub fn repeat(&mut self) {
        for (topic, track) in [
            (Topic::Source, Track::Video),
            (Topic::Audio, Track::Audio),
            (Topic::Index, Track::Video),
        ] {
            let mut claim = self.header(
                &track,
                Kind::Claim {
                    nonce: Nonce([1; 16]),
                },
            );
            claim.epoch = Some(self.epoch);
            self.append(topic, claim, Vec::new());
        }
        self.openings(true);
    }

    /// One part of video and one of audio; the last ends the segment, the tenth is the last.
    pub fn part(&mut self, last: bool) {
        let last = last
            || self
                .open
                .get(&Track::Video)
                .is_some_and(|parts| parts.len() == 9);
        for track in tracks() {
            self.part_of(&track, last);
        }
        self.time += 1;
        if last {
            self.number += 1;
        }
    }

    /// A part of audio alone, and no more of it: what comes next goes on at its end.
    pub fn audio_alone(&mut self) {
        self.part_of(&Track::Audio, false);
        self.time += 1;
    }

    /// A part of one track alone.
    pub fn part_of(&mut self, track: &Track, last: bool) {
        self.shown = self.discontinuity;
        let (timescale, ticks) = Self::timing(track);
        let parts = self.open.entry(track.clone()).or_default();
        let part = parts.len() as u32;
        let init_length = if part == 0 { 8 } else { 0 };
        let mut header = self.header(
            track,
            Kind::Chunk {
                part: PartNumber(part),
                independent: part == 0 || *track == Track::Audio,
                last_part: last,
                open: false,
                init_length,
                cursor: None,
                format: self.format(track),
            },
        );
        header.epoch = Some(self.epoch);
        header.segment = SegmentNumber(self.number);
        header.discontinuity_sequence = self.discontinuity;
        header.timescale = timescale;
        header.decode_time = Ticks(self.time * ticks);
        header.duration = Ticks(ticks);
        header.capture_time = self.captured();
        let length = init_length as usize + 1000 + part as usize;
        let offset = self.append(Topic::of_track(track), header.clone(), vec![0; length]);
        let parts = self.open.entry(track.clone()).or_default();
        parts.push((offset, header, length - init_length as usize));
        if last {
            let parts = self.open.remove(track).unwrap();
            self.index(track, self.number, self.epoch, &parts);
        }
    }

    fn index(
        &mut self,
        track: &Track,
        number: u64,
        epoch: Epoch,
        parts: &[(Offset, Header, usize)],
    ) {
        let first = &parts[0].1;
        let mut header = first.clone();
        header.epoch = Some(self.epoch);
        header.segment = SegmentNumber(number);
        header.duration = Ticks(parts.iter().map(|(_, h, _)| h.duration.0).sum());
        let record = IndexRecord {
            epoch,
            parts: parts
                .iter()
                .map(|(offset, header, length)| PartIndex {
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
                })
                .collect(),
            init_hash: Some(self.init_hash(track)),
            init_length: 8,
        };
        self.append(Topic::Index, header, record.encode().to_vec());
    }

    fn gap_of(&mut self, track: &Track, number: u64) {
        self.shown = self.discontinuity;
        let (timescale, ticks) = Self::timing(track);
        let mut header = self.header(track, Kind::Gap);
        header.epoch = Some(self.epoch);
        header.segment = SegmentNumber(number);
        header.discontinuity_sequence = self.discontinuity;
        header.timescale = timescale;
        header.decode_time = Ticks(self.time * ticks);
        header.duration = Ticks(10 * ticks);
        header.capture_time = self.captured();
        self.append(Topic::of_track(track), header.clone(), Vec::new());
        let record = IndexRecord::gap(self.epoch).encode().to_vec();
        self.append(Topic::Index, header, record);
    }

    /// A whole segment that could not be had, if none is open.
    pub fn gap(&mut self) {
        if self.open.is_empty() {
            // In a log of some length offsets run ahead of segment numbers.
            self.noise(2);
            tracks()
                .iter()
                .for_each(|track| self.gap_of(track, self.number));
            self.number += 1;
            self.time += 10;
        }
    }

    /// The number is not written at all, if no segment is open.
    pub fn hole(&mut self) {
        if self.open.is_empty() {
            self.noise(2);
            self.number += 1;
            self.time += 10;
        }
    }

    fn captured(&self) -> Micros {
        Micros(ORIGIN + self.time as i64 * 200_000 + self.away)
    }

    /// The wall clock is followed from the next segment on.
    fn set_anchor(&mut self) {
        self.anchor = Some(Anchor {
            segment: SegmentNumber(self.number),
            time: Micros(self.time as i64 * 200_000),
            capture_time: self.captured(),
        });
    }

    /// The source goes away for a while, if no segment is open; decode times go on.
    pub fn away(&mut self, seconds: i64) {
        if self.open.is_empty() {
            self.away += seconds * 1_000_000;
            self.set_anchor();
            self.openings(true);
        }
    }

    /// The source begins anew, in another format, if no segment is open.
    pub fn discontinuity(&mut self) {
        if self.open.is_empty() && self.shown == self.discontinuity {
            self.discontinuity += 1;
            self.init = self.init % 100 + 1;
            self.set_anchor();
            self.openings(true);
        }
    }

    /// The open segment gets a close record.
    pub fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        for (track, parts) in std::mem::take(&mut self.open) {
            let mut header = self.header(&track, Kind::Close);
            header.epoch = Some(self.epoch);
            header.segment = SegmentNumber(self.number);
            self.append(Topic::of_track(&track), header, Vec::new());
            self.index(&track, self.number, self.epoch, &parts);
        }
        self.number += 1;
    }

    pub fn end(&mut self) {
        for (topic, track) in [
            (Topic::Source, Track::Video),
            (Topic::Audio, Track::Audio),
            (Topic::Index, Track::Video),
        ] {
            let mut header = self.header(&track, Kind::End);
            header.epoch = Some(self.epoch);
            self.append(topic, header, Vec::new());
        }
    }

    pub fn segments(&mut self, count: usize) {
        for _ in 0..count {
            let open = self.open.get(&Track::Video).map_or(0, Vec::len);
            (open..10).for_each(|_| self.part(false));
        }
    }

    /// The records of `topic` from `from` on.
    pub fn entries(&self, topic: &Topic, from: Offset) -> impl Iterator<Item = Entry<'_>> {
        let records = self.topics[topic]
            .iter()
            .enumerate()
            .skip(from.max(0) as usize);
        records.map(|(offset, (header, value))| Entry {
            offset: offset as Offset,
            header,
            value,
        })
    }

    /// A track as a reader from log start sees it.
    pub fn read_all(&self, track: &Track) -> LiveTrack {
        let reader = TrackReader::new(self.uid, track.clone(), Start::Claim(Epoch(0)));
        let mut live = LiveTrack::new(reader, TARGET);
        self.entries(&Topic::of_track(track), 0)
            .for_each(|entry| drop(live.read(entry)));
        live
    }

    /// What `index` tells a reader that begins at `from` there.
    pub fn learn(&self, from: Offset) -> IndexReader {
        let mut index = IndexReader::new(self.uid);
        self.entries(&Topic::Index, from)
            .for_each(|entry| _ = index.read(entry));
        index
    }

    /// A track as a reader sees it that begins where `index` tells.
    pub fn read_from(&self, track: &Track, index: &IndexReader) -> LiveTrack {
        let (from, start) = match index.start(track, TARGET).unwrap() {
            StartAt::Offset(offset, start) => (offset, start),
            StartAt::Claim(epoch) => (0, Start::Claim(epoch)),
        };
        let reader = TrackReader::new(self.uid, track.clone(), start);
        let mut live = LiveTrack::new(reader, TARGET);
        let (epoch, opening) = index.opening().unwrap();
        live.learn_opening(epoch, opening.clone());
        live.learn_anchors(index.anchors());
        self.entries(&Topic::of_track(track), from)
            .for_each(|entry| drop(live.read(entry)));
        live
    }
}
