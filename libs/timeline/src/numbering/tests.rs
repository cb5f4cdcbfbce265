//! What new owners go on with.

use reelay_wire::{Fingerprint, Format, InitHash, Nonce, PartNumber, StreamId, StreamUid, Topic};

use super::*;
use crate::{Body, Fence, claim_header, opening_header};

const EPOCH: Epoch = Epoch(0);
const NONCE: Nonce = Nonce([1; 16]);

/// A log of one owner, as a claimant reads it.
struct Read {
    video: MediaSurvey,
    audio: MediaSurvey,
    index: IndexSurvey,
    offset: Offset,
}

impl Read {
    fn new() -> Self {
        let mut read = Self {
            video: MediaSurvey::new(Topic::Source, Fence::new()),
            audio: MediaSurvey::new(Topic::Audio, Fence::new()),
            index: IndexSurvey::new(),
            offset: 0,
        };
        let opening = Opening {
            first_segment: SegmentNumber(5),
            time_origin: Micros(0),
            continues: false,
            target_duration_s: 2,
            part_targets: [(Track::Video, 200_000), (Track::Audio, 200_000)].into(),
            discontinuity_sequence: 3,
            low_latency: true,
            source: None,
            anchor: None,
        };
        for topic in crate::CLAIMED_TOPICS {
            let (id, uid) = stream();
            let claim = claim_header(&id, uid, &topic, Some(EPOCH), NONCE);
            read.tell(&topic, &claim, Body::Nothing);
            let header = opening_header(&id, uid, &topic, EPOCH, NONCE);
            read.tell(&topic, &header, Body::Opening(&opening));
        }
        read
    }

    fn tell(&mut self, topic: &Topic, header: &Header, body: Body<'_>) {
        match topic {
            Topic::Source => self.video.observe(self.offset, header, body),
            Topic::Audio => self.audio.observe(self.offset, header, body),
            _ => self.index.observe(self.offset, header, body),
        };
        self.offset += 1;
    }

    /// A part of 1 s; segment 5 begins at 10 s.
    fn part(&mut self, track: Track, number: u64, part: u32, last: bool) {
        let header = chunk(track, number, part, last);
        let init_hash = (part == 0).then_some(InitHash([2; 32]));
        let body = Body::Chunk {
            bytes: 7,
            init_hash,
        };
        self.tell(&Topic::of_track(&header.track), &header, body);
    }

    /// A whole segment of 2 s of both tracks, in `index` as well.
    fn whole(&mut self, number: u64) {
        for track in [Track::Video, Track::Audio] {
            self.part(track.clone(), number, 0, false);
            self.part(track.clone(), number, 1, true);
            let media = if track == Track::Video {
                &self.video
            } else {
                &self.audio
            };
            let (header, record) = media.segments()[&SegmentNumber(number)].index_record(EPOCH);
            self.tell(&Topic::Index, &header, Body::Index(&record));
        }
    }

    fn take_over(&self, mark: Option<u64>) -> Takeover {
        take_over(&Known {
            epoch: Epoch(100),
            audio_claim: 120,
            video: (&self.video, SegmentNumber(0)),
            audio: (&self.audio, SegmentNumber(0)),
            index: &self.index,
            mark: mark.map(|segment| HighWater {
                epoch: EPOCH,
                segment: SegmentNumber(segment),
                discontinuity_sequence: 3,
            }),
        })
    }
}

fn stream() -> (StreamId, StreamUid) {
    ("door".parse().unwrap(), StreamUid::from_bytes([7; 16]))
}

fn chunk(track: Track, number: u64, part: u32, last_part: bool) -> Header {
    let scale = if track == Track::Video {
        90_000
    } else {
        48_000
    };
    let kind = Kind::Chunk {
        part: PartNumber(part),
        independent: part == 0,
        last_part,
        open: false,
        init_length: u32::from(part == 0),
        cursor: (part == 0).then_some(number * 1000),
        format: Format {
            fingerprint: Fingerprint([2; 16]),
            codecs: String::new(),
            width: 0,
            height: 0,
            frame_rate_milli: 0,
            channels: 0,
            sample_rate: 0,
            bandwidth: 0,
        },
    };
    let (id, uid) = stream();
    let mut header = Header::new(id, uid, track, kind);
    header.epoch = Some(EPOCH);
    header.segment = SegmentNumber(number);
    header.discontinuity_sequence = 3;
    header.timescale = Timescale(scale);
    header.decode_time = Ticks((number * 2 + u64::from(part)) * u64::from(scale));
    header.duration = Ticks(scale.into());
    header
}

#[test]
fn whole_segments_leave_nothing_to_repair() {
    let mut read = Read::new();
    read.whole(5);
    read.whole(6);
    let takeover = read.take_over(Some(6));
    assert_eq!(takeover.first_segment, SegmentNumber(7));
    assert_eq!(takeover.discontinuity_sequence, 3);
    assert_eq!(takeover.repairs, []);
    assert!(takeover.at_boundary());
    let end = &takeover.tracks[&Track::Audio];
    assert_eq!(
        (end.end_time, end.timescale),
        (Ticks(14 * 48_000), Timescale(48_000))
    );
    assert_eq!(
        takeover.tracks[&Track::Video]
            .last
            .as_ref()
            .unwrap()
            .cursor(),
        Some(6000)
    );
}

#[test]
fn a_cut_segment_is_indexed_and_what_a_track_lacks_becomes_a_gap() {
    let mut read = Read::new();
    read.whole(5);
    read.part(Track::Video, 6, 0, false);
    let takeover = read.take_over(Some(5));
    assert_eq!(takeover.first_segment, SegmentNumber(7));
    assert!(!takeover.at_boundary());
    let [audio, video] = [Track::Audio, Track::Video].map(|track| {
        (takeover.repairs.iter())
            .find(|r| r.index_header.track == track)
            .unwrap()
    });
    assert_eq!(video.gap, None);
    assert_eq!(video.index.parts.len(), 1);
    assert_eq!(
        (video.index.epoch, video.index_header.epoch),
        (EPOCH, Some(Epoch(100)))
    );
    let gap = audio.gap.as_ref().unwrap();
    assert_eq!(
        (gap.segment, gap.epoch),
        (SegmentNumber(6), Some(Epoch(100)))
    );
    assert_eq!(
        (gap.decode_time, gap.duration),
        (Ticks(12 * 48_000), Ticks(48_000))
    );
    assert_eq!(audio.index.epoch, Epoch(100));
}

#[test]
fn numbers_up_to_the_mark_become_gaps_of_both_tracks() {
    let mut read = Read::new();
    read.whole(5);
    let takeover = read.take_over(Some(7));
    assert_eq!(takeover.first_segment, SegmentNumber(8));
    let gaps: Vec<u64> = (takeover.repairs.iter())
        .filter_map(|repair| Some(repair.gap.as_ref()?.segment.0))
        .collect();
    assert_eq!(gaps, [6, 6, 7, 7]);
    let far = read.take_over(Some(1_000_000));
    assert_eq!(far.first_segment, SegmentNumber(1_000_001));
    assert_eq!(far.repairs, []);
}

#[test]
fn where_nothing_is_left_numbers_begin_above_every_number_ever_used() {
    let read = Read::new();
    assert_eq!(read.take_over(None).first_segment, SegmentNumber(120));
    assert_eq!(read.take_over(Some(90)).first_segment, SegmentNumber(120));
    assert_eq!(read.take_over(Some(500)).first_segment, SegmentNumber(501));
}
