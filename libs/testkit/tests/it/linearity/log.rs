//! The judge of the log.

use bytes::Bytes;
use proptest::prelude::*;
use reelay_testkit::linearity::{Finding, LogJudge, Report, Rule};
use reelay_wire::{
    Epoch, Format, IndexRecord, Kind, Nonce, PartNumber, SegmentNumber, Ticks, Topic, Track,
};

use super::sound::{Flaw, Log, Made, Owner, What};
use super::{boxes, sound};

fn judge(log: &Log) -> Report {
    let mut judge = LogJudge::new();
    // As from Kafka: each topic in its own order, the topics one after the other in pieces.
    for record in &log.records {
        judge.read(&record.record());
        if record.offset % 7 == 0 {
            judge.settle();
        }
    }
    judge.finish()
}

/// Three owners: one dies in mid-segment and writes on, one hands over at a boundary.
fn owners() -> Vec<Owner> {
    use What::{Break, Closed, Gap, Media};
    let owner = |segments: &[What], cut, unindexed, zombie| Owner {
        segments: segments.to_vec(),
        cut,
        unindexed,
        zombie,
        repeats: true,
    };
    vec![
        owner(&[Media(4), Media(3), Media(4)], Some((2, 2)), 1, true),
        owner(
            &[Media(4), Gap, Media(4), Closed(2), Media(4)],
            Some((3, 1)),
            0,
            true,
        ),
        owner(
            &[Media(4), Break(4), Media(4), Media(4), Media(4), Media(4)],
            None,
            0,
            false,
        ),
    ]
}

fn log_with(flaw: Option<Flaw>) -> Log {
    let mut log = Log::new(flaw);
    sound::stream(&mut log, "door", &owners());
    sound::stream(&mut log, "yard", &owners()[1..]);
    log
}

#[test]
fn a_sound_log_passes_and_all_of_it_is_looked_at() {
    let report = judge(&log_with(None));
    assert!(report.sound(), "{report}");
    let counts = &report.counts;
    assert_eq!(counts.streams, 2);
    assert_eq!(counts.takeovers, 3);
    assert_eq!(counts.gaps, 8);
    // 16 and 12 numbers a track (video, audio, two rungs), of which one is a gap.
    assert_eq!(counts.segments, 4 * (15 + 11));
    assert_eq!(counts.indexed, 4 * (16 + 12));
    assert_eq!((counts.rung_segments, counts.copies), (2 * (16 + 12), 0));
    assert!(counts.void > 8, "{report}");
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => (1u64..5).prop_map(What::Media),
        1 => Just(What::Gap),
        1 => (1u64..5).prop_map(What::Break),
        1 => (1u64..4).prop_map(What::Closed),
    ]
}

fn owner() -> impl Strategy<Value = Owner> {
    let cut = proptest::option::of((1u64..=4, 1u64..=4));
    (
        prop::collection::vec(what(), 0..5),
        cut,
        0usize..3,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(mut segments, cut, unindexed, zombie, repeats)| {
            // The opening already says what an epoch begins with.
            if let Some(first @ What::Break(_)) = segments.first_mut() {
                *first = What::Media(2);
            }
            Owner {
                segments,
                cut,
                unindexed,
                zombie,
                repeats,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sound_log_passes(
        first in prop::collection::vec(owner(), 1..5),
        second in prop::collection::vec(owner(), 1..3),
    ) {
        let mut log = Log::new(None);
        sound::stream(&mut log, "door", &first);
        sound::stream(&mut log, "yard", &second);
        let report = judge(&log);
        prop_assert!(report.sound(), "{}", report);
    }

    #[test]
    fn a_log_that_lost_any_one_media_record_does_not_pass(
        owners in prop::collection::vec(owner(), 1..4),
        which: prop::sample::Index,
    ) {
        let mut log = Log::new(None);
        sound::stream(&mut log, "door", &owners);
        let complete = judge(&log);
        let lost = which.index(log.records.len());
        let record = log.records.remove(lost);
        let report = judge(&log);
        // What did not count is not missed, nor is a fence that is repeated or the last
        // record of all; every chunk, gap and index record before is.
        let voided = complete.counts.void > report.counts.void;
        let follows = |r: &&Made| {
            let of_track = r.topic == record.topic && r.header.track == record.header.track;
            of_track && r.header.epoch >= record.header.epoch
        };
        let more = log.records[lost..].iter().filter(follows).any(counts);
        // A topic that does not begin with its first record has lost it by retention.
        let oldest = record.offset == 0;
        if counts(&record) && more && !voided && !oldest {
            prop_assert!(!report.sound(), "{:?} of {} is not missed", record.header, record.topic);
        }
    }
}

fn counts(record: &Made) -> bool {
    matches!(record.header.kind, Kind::Chunk { .. } | Kind::Gap)
}

#[test]
fn flaws_in_the_making_are_found() {
    for (flaw, rule) in [
        (Flaw::AudioCut(101), Rule::Cut),
        (Flaw::Jump(101), Rule::DecodeTime),
        (Flaw::NoSync(102), Rule::Keyframe),
        (Flaw::NoIdr(102), Rule::Keyframe),
        (Flaw::Format(101), Rule::Init),
    ] {
        let report = judge(&log_with(Some(flaw)));
        assert!(report.has(rule), "{flaw:?}: {rule:?} is not in\n{report}");
    }
}

/// A fault: its name, what it does to the records, and the rule that has to find it.
type Fault = (&'static str, fn(&mut Vec<Made>), Rule);

fn find(records: &[Made], track: &Track, segment: u64, part: u32) -> usize {
    records
        .iter()
        .position(|r| r.is(track, segment, part))
        .unwrap()
}

fn take(records: &mut Vec<Made>, at: usize) {
    records.remove(at);
}

fn index_of(records: &[Made], track: &Track, segment: u64) -> usize {
    let is = |r: &Made| {
        r.topic == Topic::Index && r.header.track == *track && r.header.segment.0 == segment
    };
    records.iter().position(|r| is(r) && counts(r)).unwrap()
}

fn edit_index(records: &mut [Made], segment: u64, edit: impl Fn(&mut IndexRecord)) {
    let at = index_of(records, &Track::Video, segment);
    let mut record = IndexRecord::decode(&records[at].value).unwrap();
    edit(&mut record);
    records[at].value = record.encode();
}

fn flip(value: &mut Bytes, at: usize) {
    let mut bytes = value.to_vec();
    bytes[at] ^= 0x40;
    *value = bytes.into();
}

fn position(value: &Bytes, of: &[u8]) -> usize {
    value.windows(of.len()).position(|w| w == of).unwrap()
}

fn fences(records: &[Made], topic: Topic, claims: bool) -> Vec<usize> {
    let is = |r: &Made| match r.header.kind {
        Kind::Claim { .. } => claims,
        Kind::Opening { .. } => !claims,
        _ => false,
    };
    (0..records.len())
        .filter(|i| records[*i].topic == topic && is(&records[*i]))
        .filter(|i| records[*i].header.stream.as_str() == "door")
        .collect()
}

/// Numbers of "door": 100 to 103 (cut off) by the first owner, 104 to 109 (cut off) by the
/// second (105 a gap, 107 closed), 110 to 115 by the third (111 behind a discontinuity).
const FAULTS: &[Fault] = &[
    (
        "a part is dropped",
        |r| drop(r.remove(find(r, &Track::Video, 101, 1))),
        Rule::Parts,
    ),
    (
        "a last part is dropped",
        |r| drop(r.remove(find(r, &Track::Audio, 101, 2))),
        Rule::Parts,
    ),
    (
        "a first part is dropped",
        |r| drop(r.remove(find(r, &Track::Video, 101, 0))),
        Rule::Parts,
    ),
    (
        "two parts change places",
        |r| {
            let (a, b) = (
                find(r, &Track::Video, 100, 1),
                find(r, &Track::Video, 100, 2),
            );
            r.swap(a, b);
        },
        Rule::Parts,
    ),
    (
        "a byte of the init segment is another one",
        |r| {
            let i = find(r, &Track::Video, 101, 0);
            let at = position(&r[i].value, b"avcC") + 9;
            flip(&mut r[i].value, at);
        },
        Rule::Init,
    ),
    (
        "a byte of the chunk's boxes is another one",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            let at = position(&r[i].value, b"tfdt") + 14;
            flip(&mut r[i].value, at);
        },
        Rule::Media,
    ),
    (
        "a byte of the media is another one",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            let at = position(&r[i].value, b"mdat") + 6;
            flip(&mut r[i].value, at);
        },
        Rule::Media,
    ),
    (
        "the end of a chunk is lost",
        |r| {
            let i = find(r, &Track::Audio, 101, 1);
            let length = r[i].value.len();
            r[i].value.truncate(length - 3);
        },
        Rule::Media,
    ),
    (
        "a part comes twice",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            let mut again = r[i].clone();
            again.offset += 1;
            r.insert(i + 1, again);
        },
        Rule::Repeat,
    ),
    (
        "a segment comes twice",
        |r| {
            let (from, to) = (
                find(r, &Track::Video, 101, 0),
                find(r, &Track::Video, 101, 2),
            );
            let again = r[from..=to].to_vec();
            r.splice(to + 1..to + 1, again);
        },
        Rule::Repeat,
    ),
    (
        "a segment is missing",
        |r| r.retain(|m| m.topic != Topic::Source || m.header.segment.0 != 101),
        Rule::Hole,
    ),
    (
        "a gap record is missing",
        |r| {
            let gap = |m: &Made| m.topic == Topic::Audio && matches!(m.header.kind, Kind::Gap);
            drop(r.remove(r.iter().position(gap).unwrap()));
        },
        Rule::Hole,
    ),
    (
        "a header has another decode time than the media",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            r[i].header.decode_time.0 += 1;
        },
        Rule::Media,
    ),
    (
        "a chunk's decode time is off by one tick",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            r[i].header.decode_time.0 += 1;
            r[i].value = boxes::chunk(1, r[i].header.decode_time.0, 5, 3600, boxes::NO_KEY);
        },
        Rule::DecodeTime,
    ),
    (
        "a chunk lasts longer than its header says",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            r[i].value = boxes::chunk(1, r[i].header.decode_time.0, 6, 3600, boxes::NO_KEY);
        },
        Rule::Media,
    ),
    (
        "a part says that it is independent and is not",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            if let Kind::Chunk { independent, .. } = &mut r[i].header.kind {
                *independent = true;
            }
        },
        Rule::Keyframe,
    ),
    (
        "the discontinuity sequence falls",
        |r| {
            for m in r.iter_mut().filter(|m| m.header.segment.0 >= 113) {
                m.header.discontinuity_sequence -= 1;
            }
        },
        Rule::Discontinuity,
    ),
    (
        "the discontinuity sequence of audio is another one than video's",
        |r| {
            for m in r
                .iter_mut()
                .filter(|m| m.topic == Topic::Audio && m.header.segment.0 >= 113)
            {
                m.header.discontinuity_sequence += 1;
            }
        },
        Rule::Discontinuity,
    ),
    (
        "a takeover that does not continue does not say so",
        |r| {
            for m in r.iter_mut().filter(|m| m.header.segment.0 >= 110) {
                m.header.discontinuity_sequence -= 1;
            }
        },
        Rule::Discontinuity,
    ),
    (
        "a zombie's late write counts",
        |r| {
            let late = |m: &&mut Made| m.topic == Topic::Source && m.header.segment.0 == 103;
            let epoch = r[fences(r, Topic::Audio, true)[2]].header.epoch;
            for m in r.iter_mut().filter(late).filter(|m| m.part() >= Some(2)) {
                m.header.epoch = epoch;
            }
        },
        Rule::Repeat,
    ),
    (
        "a claim is missing, so that two owners write at once",
        |r| {
            let i = fences(r, Topic::Source, true)[2];
            take(r, i)
        },
        Rule::Claim,
    ),
    (
        "the index names a zombie's parts",
        |r| {
            let late = r
                .iter()
                .filter(|m| m.topic == Topic::Source && m.header.segment.0 == 103);
            let last = late.last().unwrap().offset;
            let at = r.iter().rposition(|m| {
                m.topic == Topic::Index
                    && m.header.segment.0 == 103
                    && m.header.track == Track::Video
                    && m.header.epoch != Some(Epoch(0))
                    && m.header.stream.as_str() == "door"
            });
            let at = at.unwrap();
            let mut index = IndexRecord::decode(&r[at].value).unwrap();
            let mut part = index.parts[1];
            part.offset = last;
            index.parts.push(part);
            r[at].value = index.encode();
        },
        Rule::Index,
    ),
    (
        "a claim is missing in audio",
        |r| {
            let i = fences(r, Topic::Audio, true)[2];
            take(r, i)
        },
        Rule::Claim,
    ),
    (
        "a claim in index that source does not have",
        |r| {
            let i = fences(r, Topic::Index, true)[2];
            if let Kind::Claim { nonce } = &mut r[i].header.kind {
                *nonce = Nonce([99; 16]);
            }
        },
        Rule::Claim,
    ),
    (
        "an opening is missing",
        |r| {
            let i = fences(r, Topic::Audio, false)[2];
            take(r, i)
        },
        Rule::Opening,
    ),
    (
        "an opening differs between topics",
        |r| {
            let i = fences(r, Topic::Audio, false)[2];
            let mut opening = reelay_wire::Opening::decode(&r[i].value).unwrap();
            opening.time_origin.0 += 1;
            r[i].value = opening.encode();
        },
        Rule::Opening,
    ),
    (
        "an epoch begins below the segment that it opened with",
        |r| {
            for topic in [Topic::Source, Topic::Audio, Topic::Index] {
                let i = fences(r, topic, false)[0];
                let mut opening = reelay_wire::Opening::decode(&r[i].value).unwrap();
                opening.first_segment = SegmentNumber(101);
                r[i].value = opening.encode();
            }
        },
        Rule::Opening,
    ),
    (
        "a new owner uses a number again",
        |r| {
            for m in r.iter_mut().filter(|m| m.header.segment.0 >= 104) {
                m.header.segment.0 -= 1;
            }
        },
        Rule::Repeat,
    ),
    (
        "audio uses a number in another epoch than video",
        |r| {
            let epoch = r[fences(r, Topic::Audio, true)[2]].header.epoch;
            let from = find(r, &Track::Audio, 103, 0);
            let mut segment: Vec<_> = r.drain(from..from + 2).collect();
            for m in &mut segment {
                m.header.epoch = epoch;
            }
            let at = find(r, &Track::Audio, 104, 0);
            r.splice(at..at, segment);
        },
        Rule::Opening,
    ),
    (
        "an index record names another offset",
        |r| edit_index(r, 101, |i| i.parts[2].offset += 1),
        Rule::Index,
    ),
    (
        "an index record names other bytes",
        |r| edit_index(r, 101, |i| i.parts[1].bytes += 1),
        Rule::Index,
    ),
    (
        "an index record has another duration",
        |r| edit_index(r, 101, |i| i.parts[1].duration = Ticks(1)),
        Rule::Index,
    ),
    (
        "an index record lacks a part",
        |r| edit_index(r, 101, |i| i.parts.truncate(2)),
        Rule::Index,
    ),
    (
        "an index record has another epoch",
        |r| edit_index(r, 101, |i| i.epoch.0 += 1),
        Rule::Index,
    ),
    (
        "an index record has another init segment",
        |r| edit_index(r, 101, |i| i.init_hash.as_mut().unwrap().0[31] ^= 1),
        Rule::Index,
    ),
    (
        "an index record has another decode time",
        |r| {
            let i = index_of(r, &Track::Video, 101);
            r[i].header.decode_time.0 += 3600;
        },
        Rule::Index,
    ),
    (
        "an index record is missing",
        |r| drop(r.remove(index_of(r, &Track::Audio, 101))),
        Rule::Hole,
    ),
    (
        "an index record comes twice",
        |r| {
            let i = index_of(r, &Track::Audio, 101);
            let again = r[i].clone();
            r.insert(i + 1, again);
        },
        Rule::Repeat,
    ),
    (
        "the index stops",
        |r| r.retain(|m| m.topic != Topic::Index || m.header.segment.0 < 112),
        Rule::NotIndexed,
    ),
    (
        "a record lies in another partition",
        |r| {
            let i = find(r, &Track::Audio, 101, 1);
            r[i].partition = 1;
        },
        Rule::Partition,
    ),
    (
        "video lies in the topic of audio",
        |r| {
            let i = find(r, &Track::Audio, 101, 1);
            r[i].header.track = Track::Video;
        },
        Rule::Record,
    ),
    (
        "an opening cannot be read",
        |r| {
            let i = fences(r, Topic::Source, false)[0];
            r[i].value = Bytes::from_static(b"\xff\xff");
        },
        Rule::Record,
    ),
    (
        "a part of another encoding stands in a segment",
        |r| {
            let i = find(r, &Track::Video, 101, 1);
            if let Kind::Chunk { format, .. } = &mut r[i].header.kind {
                format.fingerprint.0[0] ^= 1;
            }
        },
        Rule::Init,
    ),
    (
        "something comes behind the end of the stream",
        |r| {
            let i = find(r, &Track::Video, 112, 0);
            let mut end = r[i].clone();
            end.header.kind = Kind::End;
            end.value = Bytes::new();
            r.insert(i, end);
        },
        Rule::End,
    ),
    (
        "a segment is not ended before the next one",
        |r| {
            let i = find(r, &Track::Video, 101, 2);
            if let Kind::Chunk { last_part, .. } = &mut r[i].header.kind {
                *last_part = false;
            }
        },
        Rule::Parts,
    ),
    (
        "a part has the number of another",
        |r| {
            let i = find(r, &Track::Video, 101, 2);
            if let Kind::Chunk { part, .. } = &mut r[i].header.kind {
                *part = PartNumber(7);
            }
        },
        Rule::Parts,
    ),
];

#[test]
fn every_kind_of_fault_is_found() {
    for (name, inject, rule) in FAULTS {
        let mut log = log_with(None);
        inject(&mut log.records);
        let report = judge(&log);
        assert!(report.has(*rule), "{name}: {rule:?} is not in\n{report}");
        let mut findings = report.findings.iter().filter(|f| f.rule == *rule);
        let at_door = |f: &Finding| f.place.stream.as_deref() == Some("door");
        assert!(
            findings.any(at_door),
            "{name}: not at the right place\n{report}"
        );
    }
}

fn of_rung(m: &Made, segment: u64) -> bool {
    m.header.track == sound::rung("360p")
        && m.topic != Topic::Index
        && m.header.segment.0 == segment
        && m.header.stream.as_str() == "door"
}

/// Changes every record of segment 101 of a rung.
fn each_of_rung(records: &mut [Made], change: impl Fn(&mut Made)) {
    records
        .iter_mut()
        .filter(|m| of_rung(m, 101))
        .for_each(change);
}

fn format_of(made: &mut Made) -> &mut Format {
    match &mut made.header.kind {
        Kind::Chunk { format, .. } => format,
        other => panic!("{other:?} has no format"),
    }
}

/// The bytes of a part of a rung made anew: this many frames, the first one like this.
fn make_anew(made: &mut Made, frames: u32, first: boxes::First) {
    let time = made.header.decode_time.0;
    let init = match &made.header.kind {
        Kind::Chunk { init_length, .. } => *init_length as usize,
        _ => 0,
    };
    made.header.duration = Ticks(u64::from(frames) * 3600);
    let chunk = boxes::chunk(1, time, frames, 3600, first);
    made.value = [&made.value[..init], &chunk[..]].concat().into();
}

/// Faults of rungs: of what `door` has as 360p.
const RUNG_FAULTS: &[Fault] = &[
    (
        "a part is dropped",
        |r| drop(r.remove(find(r, &sound::rung("360p"), 101, 1))),
        Rule::Parts,
    ),
    (
        "the last part is dropped",
        |r| drop(r.remove(find(r, &sound::rung("360p"), 101, 2))),
        Rule::Parts,
    ),
    (
        "a segment is missing, and no gap says so",
        |r| r.retain(|m| !of_rung(m, 101)),
        Rule::Hole,
    ),
    (
        "a segment begins a tick late",
        |r| {
            each_of_rung(r, |m| {
                m.header.decode_time.0 += 1;
                let key = m.part() == Some(0);
                make_anew(m, 5, if key { boxes::KEY } else { boxes::NO_KEY });
            });
        },
        Rule::Cut,
    ),
    (
        "a segment is cut a frame early",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 2);
            make_anew(&mut r[i], 4, boxes::NO_KEY);
        },
        Rule::Cut,
    ),
    (
        "a part does not go on where the one before ended",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 1);
            r[i].header.decode_time.0 += 3600;
            make_anew(&mut r[i], 5, boxes::NO_KEY);
        },
        Rule::DecodeTime,
    ),
    (
        "tfdt is another one than in the header",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 1);
            r[i].header.decode_time.0 += 1;
        },
        Rule::Media,
    ),
    (
        "a segment does not begin with a keyframe",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 0);
            make_anew(&mut r[i], 5, boxes::NO_KEY);
        },
        Rule::Keyframe,
    ),
    (
        "a copy of a part has other bytes, and the same fingerprint",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 1);
            let mut copy = r[i].clone();
            let at = copy.value.len() - 2;
            flip(&mut copy.value, at);
            r.insert(i + 1, copy);
        },
        Rule::Copy,
    ),
    (
        "a copy of a first part has another init segment",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 0);
            let mut copy = r[i].clone();
            let at = position(&copy.value, b"avcC") + 9;
            flip(&mut copy.value, at);
            r.insert(i + 1, copy);
        },
        Rule::Copy,
    ),
    (
        "encodings are mixed in a segment",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 1);
            format_of(&mut r[i]).fingerprint.0[0] ^= 1;
        },
        Rule::Parts,
    ),
    (
        "another init segment for the same encoding",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 0);
            let at = position(&r[i].value, b"avcC") + 9;
            flip(&mut r[i].value, at);
        },
        Rule::Init,
    ),
    (
        "an epoch that is not the source segment's",
        |r| each_of_rung(r, |m| m.header.epoch = Some(Epoch(999))),
        Rule::Rung,
    ),
    (
        "a capture time that is not the source segment's",
        |r| each_of_rung(r, |m| m.header.capture_time.0 += 1),
        Rule::Rung,
    ),
    (
        "a discontinuity sequence that is not the source segment's",
        |r| each_of_rung(r, |m| m.header.discontinuity_sequence += 1),
        Rule::Discontinuity,
    ),
    (
        "a picture that is greater than the source's",
        |r| each_of_rung(r, |m| format_of(m).height = 1080),
        Rule::Rung,
    ),
    (
        "a segment that the source does not have",
        |r| r.retain(|m| m.topic != Topic::Source || m.header.segment.0 != 101),
        Rule::Rung,
    ),
    (
        "late media that is not late",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 0);
            r[i].header.late = true;
        },
        Rule::Late,
    ),
    (
        "the rung stops",
        |r| r.retain(|m| !(105..999).any(|number| of_rung(m, number))),
        Rule::Behind,
    ),
    (
        "its index names other bytes",
        |r| {
            let i = index_of(r, &sound::rung("360p"), 101);
            let mut record = IndexRecord::decode(&r[i].value).unwrap();
            record.parts[1].bytes += 1;
            r[i].value = record.encode();
        },
        Rule::Index,
    ),
    (
        "its index lacks a segment",
        |r| drop(r.remove(index_of(r, &sound::rung("360p"), 101))),
        Rule::NotIndexed,
    ),
    (
        "it lies in the topic of another rung",
        |r| {
            let i = find(r, &sound::rung("360p"), 101, 1);
            r[i].header.track = sound::rung("240p");
        },
        Rule::Record,
    ),
];

#[test]
fn every_kind_of_fault_of_a_rung_is_found() {
    for (name, inject, rule) in RUNG_FAULTS {
        let mut log = log_with(None);
        inject(&mut log.records);
        let report = judge(&log);
        assert!(report.has(*rule), "{name}: {rule:?} is not in\n{report}");
    }
}

/// Two transcodes at once, one of another version; a gap that was healed later; an encoder that
/// is another one from a segment on.
#[test]
fn copies_gaps_and_late_segments_of_rungs_are_sound() {
    let mut log = log_with(None);
    let records = &mut log.records;
    for segment in [101, 102, 106] {
        let i = records.iter().rposition(|m| of_rung(m, segment)).unwrap();
        let copies: Vec<_> = records.iter().filter(|m| of_rung(m, segment)).collect();
        let mut copies: Vec<_> = copies.into_iter().cloned().collect();
        if segment == 102 {
            copies.iter_mut().for_each(|m| {
                format_of(m).fingerprint.0[0] ^= 1;
                let at = m.value.len() - 2;
                flip(&mut m.value, at);
            });
        }
        records.splice(i + 1..i + 1, copies);
    }
    // 104 could not be made in time: a gap stands for it, and it comes after 105.
    let made: Vec<_> = records
        .iter()
        .filter(|m| of_rung(m, 104))
        .cloned()
        .collect();
    let first = find(records, &sound::rung("360p"), 104, 0);
    let mut gap = made[0].clone();
    gap.header.kind = Kind::Gap;
    gap.header.duration = Ticks(made.iter().map(|m| m.header.duration.0).sum());
    gap.value = Bytes::new();
    records.retain(|m| !of_rung(m, 104));
    let index = index_of(records, &sound::rung("360p"), 104);
    let mut late_index = records[index].clone();
    records[index].header.kind = Kind::Gap;
    records[index].value = IndexRecord::gap(gap.header.epoch.unwrap()).encode();
    records.insert(first, gap);
    let behind = records.iter().rposition(|m| of_rung(m, 105)).unwrap() + 1;
    let late = made.into_iter().map(|mut m| {
        m.header.late = true;
        m
    });
    late_index.header.late = true;
    records.splice(behind..behind, late.chain([late_index]));
    let report = judge(&log);
    assert!(report.sound(), "{report}");
    assert_eq!(report.counts.copies, 3 + 4 + 4, "{report}");
}

#[test]
fn a_record_without_a_header_is_found() {
    let log = log_with(None);
    let mut judge = LogJudge::new();
    let mut record = log.records[0].record();
    record.header = Err(reelay_wire::WireError::NoHeader);
    judge.read(&record);
    let report = judge.finish();
    assert!(report.has(Rule::Record), "{report}");
    assert_eq!(
        report.findings[0].place.record.as_deref(),
        Some("source/0@0")
    );
}
