//! Promises of the record format: what is written reads back equal, and no bytes panic a decoder.

#![allow(clippy::unwrap_used)]

use proptest::{collection::vec, option, prelude::*};
use reelay_wire::{
    Anchor, Attempt, Epoch, Fingerprint, Format, Header, IndexRecord, InitHash, Kind, Micros,
    Nonce, Opening, PartIndex, PartNumber, SegmentNumber, SourceMark, StreamId, StreamUid, Ticks,
    Timescale, Topic, Topics, Track, WireError, partition_for,
};

fn stream() -> impl Strategy<Value = StreamId> {
    "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?".prop_map(|text| text.parse().unwrap())
}

fn track() -> impl Strategy<Value = Track> {
    prop_oneof![
        Just(Track::Video),
        Just(Track::Audio),
        "[1-9][0-9]{2,3}p(-av1)?".prop_map(|text| text.parse().unwrap()),
    ]
}

fn format() -> impl Strategy<Value = Format> {
    (any::<[u8; 16]>(), "[a-z0-9.]{0,40}", any::<[u32; 6]>()).prop_map(|(print, codecs, n)| {
        Format {
            fingerprint: Fingerprint(print),
            codecs,
            width: n[0],
            height: n[1],
            frame_rate_milli: n[2],
            channels: n[3],
            sample_rate: n[4],
            bandwidth: n[5],
        }
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let chunk = (
        any::<(u32, bool, bool, bool, u32)>(),
        option::of(any::<u64>()),
        format(),
    )
        .prop_map(
            |((part, independent, last_part, open, init), cursor, format)| Kind::Chunk {
                part: PartNumber(part),
                independent,
                last_part,
                open,
                init_length: if part == 0 { init } else { 0 },
                cursor,
                format,
            },
        );
    prop_oneof![
        4 => chunk,
        1 => any::<[u8; 16]>().prop_map(|n| Kind::Claim { nonce: Nonce(n) }),
        1 => any::<[u8; 16]>().prop_map(|n| Kind::Opening { nonce: Nonce(n) }),
        1 => Just(Kind::Close),
        1 => Just(Kind::Gap),
        1 => Just(Kind::End),
        1 => Just(Kind::Attempt),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let times = (1..=u32::MAX, 0..u64::MAX / 2, 0..u64::MAX / 2, any::<i64>());
    (
        stream(),
        any::<[u8; 16]>(),
        track(),
        kind(),
        any::<u64>(),
        0..u64::MAX,
        any::<u64>(),
        times,
    )
        .prop_map(
            |(stream, uid, track, kind, epoch, segment, discontinuity, times)| Header {
                epoch: Some(Epoch(epoch)),
                segment: SegmentNumber(segment),
                discontinuity_sequence: discontinuity,
                timescale: Timescale(times.0),
                decode_time: Ticks(times.1),
                duration: Ticks(times.2),
                capture_time: Micros(times.3),
                late: epoch % 2 == 0,
                ..Header::new(stream, StreamUid::from_bytes(uid), track, kind)
            },
        )
}

fn opening() -> impl Strategy<Value = Opening> {
    let targets = proptest::collection::btree_map(track(), 1..=u32::MAX, 0..4);
    let anchor = any::<Option<(u64, i64, i64)>>();
    (
        any::<(u64, i64, bool, u64, bool, Option<[u8; 8]>)>(),
        1..=u32::MAX,
        targets,
        anchor,
    )
        .prop_map(
            |(
                (first, origin, continues, discontinuity, low, mark),
                target,
                part_targets,
                anchor,
            )| {
                Opening {
                    first_segment: SegmentNumber(first),
                    time_origin: Micros(origin),
                    continues,
                    target_duration_s: target,
                    part_targets,
                    discontinuity_sequence: discontinuity,
                    low_latency: low,
                    source: mark.map(SourceMark),
                    anchor: anchor.map(|(segment, time, capture)| Anchor {
                        segment: SegmentNumber(segment),
                        time: Micros(time),
                        capture_time: Micros(capture),
                    }),
                }
            },
        )
}

fn index() -> impl Strategy<Value = IndexRecord> {
    let part = (1..1000_i64, any::<u32>(), 0..1_u64 << 40, any::<bool>());
    (vec(part, 0..40), any::<[u8; 32]>(), any::<u32>()).prop_map(|(steps, hash, init_length)| {
        let mut offset = 0;
        let parts: Vec<_> = steps
            .into_iter()
            .map(|(step, bytes, duration, independent)| {
                offset += step;
                PartIndex {
                    offset,
                    bytes,
                    duration: Ticks(duration),
                    independent,
                }
            })
            .collect();
        let init_hash = (!parts.is_empty()).then_some(InitHash(hash));
        IndexRecord {
            epoch: Epoch(init_length.into()),
            parts,
            init_hash,
            init_length,
        }
    })
}

proptest! {
    #[test]
    fn headers_read_back_equal(header in header()) {
        prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
    }

    #[test]
    fn openings_read_back_equal(opening in opening()) {
        prop_assert_eq!(Opening::decode(&opening.encode()).unwrap(), opening);
    }

    #[test]
    fn attempts_read_back_equal(
        service in "[a-z-]{1,63}", count in 1..=u32::MAX, reason in ".{0,600}",
    ) {
        let attempt = Attempt::new(&service, count, &reason);
        prop_assert_eq!(Attempt::decode(&attempt.encode()).unwrap(), attempt);
    }

    #[test]
    fn index_records_read_back_equal(index in index()) {
        prop_assert_eq!(IndexRecord::decode(&index.encode()).unwrap(), index);
    }

    #[test]
    fn no_bytes_panic_a_decoder(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Header::decode(&bytes);
        let _ = Opening::decode(&bytes);
        let _ = IndexRecord::decode(&bytes);
        let _ = Attempt::decode(&bytes);
    }

    #[test]
    fn broken_headers_are_errors_or_other_valid_headers(
        header in header(), at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let mut bytes = header.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Header::decode(&bytes) {
            prop_assert_eq!(Header::decode(&other.encode()).unwrap(), other);
        }
    }

    #[test]
    fn fingerprints_read_back_from_their_text(bytes in any::<[u8; 16]>()) {
        prop_assert_eq!(Fingerprint(bytes).to_string().parse::<Fingerprint>().unwrap(), Fingerprint(bytes));
    }

    #[test]
    fn partitions_are_in_range(stream in stream(), count in 1..500_i32) {
        prop_assert!((0..count).contains(&partition_for(&stream, count)));
    }

    #[test]
    fn topic_names_read_back(track in track()) {
        let topics = Topics::with_prefix("site-1.").unwrap();
        let topic = Topic::of_track(&track);
        prop_assert_eq!(topics.parse(&topics.name(&topic)), Some(topic));
    }
}

#[test]
fn attempts_name_the_field_that_is_wrong() {
    let broken = |change: fn(&mut Attempt)| {
        let mut attempt = Attempt::new("transcode", 1, "the worker was killed by signal 9");
        change(&mut attempt);
        field_of(Attempt::decode(&attempt.encode()).unwrap_err())
    };
    assert_eq!(broken(|a| a.count = 0), "count");
    assert_eq!(broken(|a| a.service = "Trans".into()), "service");
    assert_eq!(broken(|a| a.reason = "a\nb".into()), "reason");
}

#[test]
fn topics_of_pictures_read_back() {
    let topics = Topics::default();
    assert_eq!(topics.name(&Topic::Thumbnails), "reelay.thumbnails");
    assert_eq!(topics.parse("reelay.thumbnails"), Some(Topic::Thumbnails));
}

fn sample() -> Header {
    let gap = Header::new(
        "door".parse().unwrap(),
        StreamUid::from_bytes([7; 16]),
        Track::Audio,
        Kind::Gap,
    );
    Header {
        epoch: Some(Epoch(3)),
        timescale: Timescale(48_000),
        ..gap
    }
}

fn field_of(error: WireError) -> String {
    match error {
        WireError::Field(error) => error.field,
        other => panic!("expected a field error, got {other}"),
    }
}

#[test]
fn errors_name_the_field() {
    let broken = |change: fn(&mut Header)| {
        let mut header = sample();
        change(&mut header);
        field_of(Header::decode(&header.encode()).unwrap_err())
    };
    assert_eq!(broken(|h| h.timescale = Timescale(0)), "timescale");
    assert_eq!(broken(|h| h.epoch = None), "epoch");
    assert_eq!(
        broken(|h| (h.decode_time, h.duration) = (Ticks(u64::MAX), Ticks(1))),
        "decode_time"
    );
}

#[test]
fn only_a_first_claim_on_the_video_track_has_no_epoch() {
    let claim = |track| {
        Header::new(
            "door".parse().unwrap(),
            StreamUid::from_bytes([7; 16]),
            track,
            Kind::Claim {
                nonce: Nonce([1; 16]),
            },
        )
    };
    assert_eq!(
        Header::decode(&claim(Track::Video).encode()).unwrap(),
        claim(Track::Video)
    );
    assert!(Header::decode(&claim(Track::Audio).encode()).is_err());
}

#[test]
fn a_header_that_is_too_long_is_refused_before_it_is_parsed() {
    let error = Header::decode(&vec![0; 5000]).unwrap_err();
    assert!(error.to_string().contains("5000 bytes"), "{error}");
}
