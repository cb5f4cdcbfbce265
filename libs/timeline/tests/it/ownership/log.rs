//! The records of the model, small, and their form on the wire.

use std::collections::BTreeMap;

use reelay_model::Micros;
use reelay_timeline::{Body, CLAIMED_TOPICS};
use reelay_wire::{
    Epoch, Fingerprint, Format, Header, IndexRecord, InitHash, Kind, Nonce, Opening, PartIndex,
    PartNumber, SegmentNumber, StreamId, StreamUid, Ticks, Timescale, Topic, Track,
};

/// One record, small.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rec {
    Claim {
        epoch: Option<u8>,
        nonce: u8,
    },
    Opening {
        epoch: u8,
        nonce: u8,
        first: u8,
    },
    Chunk {
        epoch: u8,
        number: u8,
        part: u8,
        last: bool,
    },
    Gap {
        epoch: u8,
        number: u8,
    },
    Index {
        writer: u8,
        audio: bool,
        number: u8,
        epoch: u8,
        parts: Vec<u8>,
    },
}

pub const SOURCE: usize = 0;
pub const AUDIO: usize = 1;
pub const INDEX: usize = 2;

pub fn stream() -> (StreamId, StreamUid) {
    let id = "a".parse().expect("a DNS label");
    (id, StreamUid::from_bytes([7; 16]))
}

pub fn topic(log: usize) -> Topic {
    CLAIMED_TOPICS[log].clone()
}

pub fn number(epoch: u8, audio: bool) -> Fingerprint {
    Fingerprint([epoch * 2 + u8::from(audio); 16])
}

pub fn chunk_kind(epoch: u8, audio: bool, part: u8, last: bool) -> Kind {
    Kind::Chunk {
        part: PartNumber(part.into()),
        independent: part == 0,
        last_part: last,
        open: false,
        init_length: 0,
        cursor: None,
        format: Format {
            fingerprint: number(epoch, audio),
            codecs: String::new(),
            width: 0,
            height: 0,
            frame_rate_milli: 0,
            channels: 0,
            sample_rate: 0,
            bandwidth: 0,
        },
    }
}

pub enum Value {
    Nothing,
    Chunk,
    Index(IndexRecord),
    Opening(Opening),
}

impl Value {
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Nothing => Body::Nothing,
            Self::Chunk => Body::Chunk {
                bytes: 1,
                init_hash: Some(InitHash([0; 32])),
            },
            Self::Index(record) => Body::Index(record),
            Self::Opening(opening) => Body::Opening(opening),
        }
    }
}

impl Rec {
    pub fn wire(&self, log: usize) -> (Header, Value) {
        let (id, uid) = stream();
        let track = |audio| if audio { Track::Audio } else { Track::Video };
        let on_audio = log == AUDIO;
        let timed = |track, kind, epoch: u8, number: u8, duration| {
            let mut header = Header::new(id.clone(), uid, track, kind);
            header.epoch = Some(Epoch(epoch.into()));
            header.segment = SegmentNumber(number.into());
            header.timescale = Timescale(1);
            header.decode_time = Ticks(u64::from(number) * 10);
            header.duration = Ticks(duration);
            header
        };
        match self {
            Self::Claim { epoch, nonce } => {
                let nonce = Nonce([*nonce; 16]);
                let epoch = epoch.map(|e| Epoch(e.into()));
                let header = reelay_timeline::claim_header(&id, uid, &topic(log), epoch, nonce);
                (header, Value::Nothing)
            }
            Self::Opening {
                epoch,
                nonce,
                first,
            } => {
                let header = reelay_timeline::opening_header(
                    &id,
                    uid,
                    &topic(log),
                    Epoch((*epoch).into()),
                    Nonce([*nonce; 16]),
                );
                (header, Value::Opening(opening(*first)))
            }
            Self::Chunk {
                epoch,
                number,
                part,
                last,
            } => {
                let kind = chunk_kind(*epoch, on_audio, *part, *last);
                (
                    timed(track(on_audio), kind, *epoch, *number, 1),
                    Value::Chunk,
                )
            }
            Self::Gap { epoch, number } => (
                timed(track(on_audio), Kind::Gap, *epoch, *number, 2),
                Value::Nothing,
            ),
            Self::Index {
                writer,
                audio,
                number,
                epoch,
                parts,
            } => {
                let gap = parts.is_empty();
                let kind = if gap {
                    Kind::Gap
                } else {
                    chunk_kind(*epoch, *audio, 0, true)
                };
                let header = timed(track(*audio), kind, *writer, *number, 2);
                let epoch = Epoch((*epoch).into());
                let parts = parts.iter().map(|offset| PartIndex {
                    offset: (*offset).into(),
                    bytes: 1,
                    duration: Ticks(1),
                    independent: true,
                });
                let record = IndexRecord {
                    epoch,
                    parts: parts.collect(),
                    init_hash: (!gap).then_some(InitHash([0; 32])),
                    init_length: 0,
                };
                (header, Value::Index(record))
            }
        }
    }
}

pub fn opening(first: u8) -> Opening {
    Opening {
        first_segment: SegmentNumber(first.into()),
        time_origin: Micros(0),
        continues: false,
        target_duration_s: 2,
        part_targets: BTreeMap::from([(Track::Video, 1), (Track::Audio, 1)]),
        discontinuity_sequence: 0,
        low_latency: true,
        source: None,
        anchor: None,
    }
}

pub fn small(n: u64) -> u8 {
    u8::try_from(n).expect("numbers of the model are small")
}
