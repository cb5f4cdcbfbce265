//! Makes logs that keep every promise: owners that take over from each other, at the end of
//! a segment or in the middle of one, zombies that write late, gaps and discontinuities.

use std::collections::BTreeMap;

use bytes::Bytes;
use reelay_testkit::linearity::LogRecord;
use reelay_wire::{
    CHUNK_HEADER, Epoch, Format, Header, IndexRecord, InitHash, Kind, Micros, Nonce, Opening,
    PartIndex, PartNumber, SegmentNumber, StreamUid, Ticks, Timescale, Topic, Track,
};
use sha2::{Digest, Sha256};

use super::boxes;

pub const VIDEO_SCALE: u32 = 90_000;
pub const AUDIO_SCALE: u32 = 48_000;
const FRAME: u64 = 3600;
const FRAMES_A_PART: u64 = 5;
const AUDIO_FRAME: u64 = 1024;

/// What one owner does.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Whole segments, by what they are.
    pub segments: Vec<What>,
    /// Parts of video and audio that it writes of one more segment before it is taken over.
    pub cut: Option<(u64, u64)>,
    /// Whole segments at its end that it did not come to index.
    pub unindexed: usize,
    /// It goes on writing when it has been taken over.
    pub zombie: bool,
    /// It repeats claim and opening after its first segment.
    pub repeats: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// Media of this many parts.
    Media(u64),
    /// Dropped before it was written: a gap.
    Gap,
    /// Media behind a declared discontinuity, in a new format.
    Break(u64),
    /// Media that ends by a close record.
    Closed(u64),
}

/// Ways in which the making itself can go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Flaw {
    /// Audio is cut three frames late at this segment's end.
    AudioCut(u64),
    /// Times jump by a second before this segment, and nothing says so.
    Jump(u64),
    /// Video starts this segment without a keyframe, by its flags.
    NoSync(u64),
    /// Video starts this segment with a slice that is no IDR, whatever its flags say.
    NoIdr(u64),
    /// The format changes with this segment, and nothing says so.
    Format(u64),
}

/// A log being made.
pub struct Log {
    pub records: Vec<Made>,
    next: BTreeMap<Topic, i64>,
    flaw: Option<Flaw>,
}

/// One record, in the open.
#[derive(Clone)]
pub struct Made {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    pub header: Header,
    pub value: Bytes,
}

impl Made {
    pub fn record(&self) -> LogRecord {
        let key = Bytes::copy_from_slice(self.header.stream.as_str().as_bytes());
        let header = self.header.encode();
        assert_eq!(CHUNK_HEADER, "chunk");
        let (topic, value) = (self.topic.clone(), self.value.clone());
        LogRecord::new(
            topic,
            self.partition,
            self.offset,
            Some(key),
            Some(&header),
            value,
        )
    }

    pub fn part(&self) -> Option<u32> {
        match &self.header.kind {
            Kind::Chunk { part, .. } => Some(part.0),
            _ => None,
        }
    }

    /// Whether it is a chunk of this track's media topic.
    pub fn is(&self, track: &Track, segment: u64, part: u32) -> bool {
        self.topic == Topic::of_track(track)
            && self.header.segment.0 == segment
            && self.part() == Some(part)
    }
}

/// Where one stream is.
struct Maker<'a> {
    log: &'a mut Log,
    id: &'static str,
    uid: StreamUid,
    epoch: Epoch,
    nonce: Nonce,
    next: u64,
    discontinuity: u64,
    variant: u8,
    /// Both time lines count from here, in 1/6000 s, of which both timescales are multiples.
    base: u64,
    video_frames: u64,
    audio_frames: u64,
    /// Finished but unindexed: track, number, header of the first chunk, parts, duration.
    waiting: Vec<(Header, IndexRecord)>,
    origin: i64,
}

/// One stream's log, as its owners one after the other write it.
pub fn stream(log: &mut Log, id: &'static str, owners: &[Owner]) {
    let uid = StreamUid::from_bytes(std::array::from_fn(|i| id.as_bytes()[i % id.len()]));
    let mut maker = Maker {
        log,
        id,
        uid,
        epoch: Epoch(0),
        nonce: Nonce([0; 16]),
        next: 100,
        discontinuity: 0,
        variant: 0,
        base: 0,
        video_frames: 0,
        audio_frames: 0,
        waiting: Vec::new(),
        origin: 1_700_000_000_000_000,
    };
    let mut continues = false;
    let mut late = Vec::new();
    for (i, owner) in owners.iter().enumerate() {
        let follows = owners.get(i + 1).is_some();
        maker.take_over(i as u8 + 1, continues);
        // What the owner before still writes comes behind the claims and is void.
        for (topic, header, value) in std::mem::take(&mut late) {
            maker.log.append(topic, header, value);
        }
        for (n, what) in owner.segments.iter().enumerate() {
            maker.segment(*what);
            if n + owner.unindexed < owner.segments.len() || !follows {
                maker.index_waiting();
            }
            if n == 0 && owner.repeats {
                maker.claim_again();
            }
        }
        continues = true;
        if follows && let Some((video, audio)) = owner.cut {
            continues = video == audio;
            late = maker.cut_segment(video, audio, owner.zombie);
        }
    }
}

impl Log {
    pub fn new(flaw: Option<Flaw>) -> Self {
        Self {
            records: Vec::new(),
            next: BTreeMap::new(),
            flaw,
        }
    }

    pub fn append(&mut self, topic: Topic, header: Header, value: Bytes) -> i64 {
        let next = self.next.entry(topic.clone()).or_default();
        let offset = *next;
        *next += 1;
        self.records.push(Made {
            topic,
            partition: 0,
            offset,
            header,
            value,
        });
        offset
    }

    fn end(&self, topic: &Topic) -> i64 {
        self.next.get(topic).copied().unwrap_or_default()
    }
}

impl Maker<'_> {
    fn header(&self, track: Track, kind: Kind) -> Header {
        let mut header = Header::new(self.id.parse().unwrap(), self.uid, track, kind);
        header.epoch = Some(self.epoch);
        header
    }

    fn fences(&self) -> [(Topic, Track); 3] {
        [
            (Topic::Source, Track::Video),
            (Topic::Audio, Track::Audio),
            (Topic::Index, Track::Video),
        ]
    }

    fn take_over(&mut self, owner: u8, continues: bool) {
        self.nonce = Nonce([owner; 16]);
        self.epoch = Epoch(self.log.end(&Topic::Source) as u64);
        for (topic, track) in self.fences() {
            let mut header = self.header(track, Kind::Claim { nonce: self.nonce });
            if topic == Topic::Source {
                header.epoch = None;
            }
            self.log.append(topic, header, Bytes::new());
        }
        if !continues && owner > 1 {
            self.break_times();
        }
        self.open(continues);
        self.index_waiting();
    }

    fn open(&mut self, continues: bool) {
        let opening = Opening {
            first_segment: SegmentNumber(self.next),
            time_origin: Micros(self.origin),
            continues,
            target_duration_s: 2,
            part_targets: BTreeMap::from([(Track::Video, 200_000), (Track::Audio, 213_334)]),
            discontinuity_sequence: self.discontinuity,
            low_latency: true,
            source: None,
            anchor: None,
        };
        for (topic, track) in self.fences() {
            let header = self.header(track, Kind::Opening { nonce: self.nonce });
            self.log.append(topic, header, opening.encode());
        }
    }

    fn claim_again(&mut self) {
        self.nonce.0[15] ^= 0x80;
        for (topic, track) in self.fences() {
            let header = self.header(track, Kind::Claim { nonce: self.nonce });
            self.log.append(topic, header, Bytes::new());
        }
        self.open(true);
    }

    /// A declared discontinuity: both tracks start again from one time.
    fn break_times(&mut self) {
        self.discontinuity += 1;
        let video = self.base + (self.video_frames * FRAME).div_ceil(15);
        let audio = self.base + (self.audio_frames * AUDIO_FRAME).div_ceil(8);
        self.base = video.max(audio) + 600;
        (self.video_frames, self.audio_frames) = (0, 0);
    }

    fn video_time(&self) -> u64 {
        self.base * 15 + self.video_frames * FRAME
    }

    fn audio_time(&self) -> u64 {
        self.base * 8 + self.audio_frames * AUDIO_FRAME
    }

    fn segment(&mut self, what: What) {
        let number = self.next;
        self.next += 1;
        if self.log.flaw == Some(Flaw::Jump(number)) {
            self.base += 6000;
        }
        if self.log.flaw == Some(Flaw::Format(number)) {
            self.variant += 1;
        }
        match what {
            What::Media(parts) => self.media(number, parts, (parts, parts), false),
            What::Closed(parts) => self.media(number, parts + 1, (parts, parts), true),
            What::Break(parts) => {
                self.break_times();
                self.variant += 1;
                self.media(number, parts, (parts, parts), false);
            }
            What::Gap => {
                let (video, audio) = (self.video_time(), self.audio_time());
                self.video_frames += 50;
                self.audio_frames = self.audio_frames_at(self.video_frames);
                self.gap(Track::Video, number, video, self.video_time() - video);
                self.gap(Track::Audio, number, audio, self.audio_time() - audio);
            }
        }
    }

    /// A segment that a takeover cuts off, and what its owner still writes of it.
    fn cut_segment(&mut self, video: u64, audio: u64, zombie: bool) -> Vec<(Topic, Header, Bytes)> {
        let number = self.next;
        self.next += 1;
        let before = self.log.records.len();
        let frames = (self.video_frames, self.audio_frames);
        self.media(number, 4, (video, audio), false);
        let mut late = Vec::new();
        if zombie {
            // The same segment to its end, as the owner would have gone on.
            let after = self.log.records.len();
            let kept = (
                self.video_frames,
                self.audio_frames,
                self.waiting.clone(),
                self.log.next.clone(),
            );
            (self.video_frames, self.audio_frames) = frames;
            self.media(number, 4, (4, 4), false);
            let whole = self.log.records.split_off(after);
            let written = self.log.records[before..].to_vec();
            let old = |m: &Made| {
                written
                    .iter()
                    .any(|w| w.topic == m.topic && w.part() == m.part())
            };
            late = whole
                .into_iter()
                .filter(|m| !old(m))
                .map(|m| (m.topic, m.header, m.value))
                .collect();
            for (header, record) in self.waiting.split_off(kept.2.len()) {
                let mut header = header;
                header.epoch = Some(self.epoch);
                late.push((Topic::Index, header, record.encode()));
            }
            (
                self.video_frames,
                self.audio_frames,
                self.waiting,
                self.log.next,
            ) = kept;
        }
        late
    }

    fn audio_frames_at(&self, video_frames: u64) -> u64 {
        let ticks = video_frames * FRAME * 8 / 15;
        (ticks + AUDIO_FRAME / 2) / AUDIO_FRAME
    }

    /// Writes `written` parts of video and audio of a segment that would have `parts`.
    fn media(&mut self, number: u64, parts: u64, written: (u64, u64), close: bool) {
        let start = self.video_frames;
        let flaw = self.log.flaw;
        let mut chunks = (Vec::new(), Vec::new());
        for part in 0..parts {
            let to = start + (part + 1) * FRAMES_A_PART;
            if part < written.0 {
                let key = match (part, flaw) {
                    (0, Some(Flaw::NoSync(n))) if n == number => boxes::First {
                        sync: false,
                        nal_type: 5,
                    },
                    (0, Some(Flaw::NoIdr(n))) if n == number => boxes::First {
                        sync: true,
                        nal_type: 1,
                    },
                    (0, _) => boxes::KEY,
                    _ => boxes::NO_KEY,
                };
                let time = self.video_time();
                let data = boxes::chunk(1, time, FRAMES_A_PART as u32, FRAME as u32, key);
                self.video_frames = to;
                chunks
                    .0
                    .push((time, FRAMES_A_PART * FRAME, part == 0, data));
            }
            if part < written.1 {
                let mut frames = self.audio_frames_at(to);
                if part + 1 == parts && flaw == Some(Flaw::AudioCut(number)) {
                    frames += 3;
                }
                let time = self.audio_time();
                let count = frames - self.audio_frames;
                let data = boxes::chunk(2, time, count as u32, AUDIO_FRAME as u32, boxes::KEY);
                self.audio_frames = frames;
                chunks.1.push((time, count * AUDIO_FRAME, true, data));
            }
        }
        self.write(Track::Video, number, parts, chunks.0, close);
        self.write(Track::Audio, number, parts, chunks.1, close);
        // A track of which nothing was written gets a gap record from the next owner; the
        // plans here always write at least one part.
    }

    fn write(
        &mut self,
        track: Track,
        number: u64,
        parts: u64,
        chunks: Vec<(u64, u64, bool, Bytes)>,
        close: bool,
    ) {
        let (id, scale, avc) = match track {
            Track::Audio => (2, AUDIO_SCALE, false),
            _ => (1, VIDEO_SCALE, true),
        };
        let init = boxes::init(id, scale, avc, self.variant);
        let hash = InitHash(Sha256::digest(&init).into());
        let mut index = IndexRecord {
            epoch: self.epoch,
            parts: Vec::new(),
            init_hash: Some(hash),
            init_length: init.len() as u32,
        };
        let mut whole: Option<Header> = None;
        let topic = Topic::of_track(&track);
        for (part, (time, duration, independent, data)) in chunks.into_iter().enumerate() {
            let mut header = self.header(
                track.clone(),
                Kind::Chunk {
                    part: PartNumber(part as u32),
                    independent,
                    last_part: part as u64 + 1 == parts,
                    open: false,
                    init_length: if part == 0 { init.len() as u32 } else { 0 },
                    cursor: (part == 0).then_some(number * 10),
                    format: Format {
                        fingerprint: hash.fingerprint(),
                        codecs: if avc { "avc1.64001f" } else { "mp4a.40.2" }.into(),
                        width: if avc { 1280 } else { 0 },
                        height: if avc { 720 } else { 0 },
                        frame_rate_milli: if avc { 25_000 } else { 0 },
                        channels: if avc { 0 } else { 2 },
                        sample_rate: if avc { 0 } else { AUDIO_SCALE },
                        bandwidth: 1_000_000,
                    },
                },
            );
            header.segment = SegmentNumber(number);
            header.discontinuity_sequence = self.discontinuity;
            header.timescale = Timescale(scale);
            header.decode_time = Ticks(time);
            header.duration = Ticks(duration);
            header.capture_time = Micros(self.origin + Ticks(time).to_micros(Timescale(scale)).0);
            let bytes = data.len() as u32;
            let value = if part == 0 {
                Bytes::from([&init[..], &data[..]].concat())
            } else {
                data
            };
            let offset = self.log.append(topic.clone(), header.clone(), value);
            index.parts.push(PartIndex {
                offset,
                bytes,
                duration: Ticks(duration),
                independent,
            });
            let total = whole.get_or_insert(header);
            total.duration = index.duration();
        }
        if close {
            let mut header = self.header(track, Kind::Close);
            header.segment = SegmentNumber(number);
            self.log.append(topic, header, Bytes::new());
        }
        self.waiting.extend(whole.map(|header| (header, index)));
    }

    fn gap(&mut self, track: Track, number: u64, time: u64, duration: u64) {
        let topic = Topic::of_track(&track);
        let scale = if track == Track::Audio {
            AUDIO_SCALE
        } else {
            VIDEO_SCALE
        };
        let mut header = self.header(track, Kind::Gap);
        header.segment = SegmentNumber(number);
        header.discontinuity_sequence = self.discontinuity;
        header.timescale = Timescale(scale);
        header.decode_time = Ticks(time);
        header.duration = Ticks(duration);
        self.log.append(topic, header.clone(), Bytes::new());
        self.waiting.push((header, IndexRecord::gap(self.epoch)));
    }

    fn index_waiting(&mut self) {
        for (mut header, record) in std::mem::take(&mut self.waiting) {
            header.epoch = Some(self.epoch);
            self.log.append(Topic::Index, header, record.encode());
        }
    }
}
