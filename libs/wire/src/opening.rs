//! The value of an opening record.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use reelay_model::{FieldError, Micros, SegmentNumber, SourceAddress, Track};
use sha2::{Digest as _, Sha256};

use crate::{WireError, proto};

const MAX_BYTES: usize = 16 * 1024;

/// A segment whose start ties decode times to the wall clock, for it and those after it up to
/// the next anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The segment.
    pub segment: SegmentNumber,
    /// Decode time at its start.
    pub time: Micros,
    /// The wall-clock time that this stands for.
    pub capture_time: Micros,
}

impl Anchor {
    /// The wall-clock time that a decode time stands for.
    pub const fn wall(&self, time: Micros) -> Micros {
        Micros(
            time.0
                .saturating_sub(self.time.0)
                .saturating_add(self.capture_time.0),
        )
    }
}

/// How the time line of an epoch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The first segment of the epoch.
    pub first_segment: SegmentNumber,
    /// The capture time that decode time 0 stands for.
    pub time_origin: Micros,
    /// Decode times go on exactly from the segment before.
    pub continues: bool,
    /// `EXT-X-TARGETDURATION` in seconds, 1 or more.
    pub target_duration_s: u32,
    /// `PART-TARGET` of each track in microseconds.
    pub part_targets: BTreeMap<Track, u32>,
    /// Discontinuity sequence of the first segment.
    pub discontinuity_sequence: u64,
    /// Parts are announced (LL-HLS).
    pub low_latency: bool,
    /// Which source is played, if the owner told: a cursor means something in that one alone.
    pub source: Option<SourceMark>,
    /// Where the time line was last set by the wall clock; none in logs of earlier versions, and
    /// before the first media.
    pub anchor: Option<Anchor>,
}

/// Tells one source address from another: the start of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceMark(pub [u8; 8]);

impl SourceMark {
    /// The mark of `address`.
    pub fn of(address: &SourceAddress) -> Self {
        let hash: [u8; 32] = Sha256::digest(address.to_string().as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self([a, b, c, d, e, f, g, h])
    }
}

impl Opening {
    /// The opening in bytes.
    pub fn encode(&self) -> Bytes {
        proto::Opening {
            first_segment: self.first_segment.0,
            time_origin_us: self.time_origin.0,
            continues: self.continues,
            target_duration_s: self.target_duration_s,
            part_targets: self
                .part_targets
                .iter()
                .map(|(track, microseconds)| proto::PartTarget {
                    track: track.to_string(),
                    microseconds: *microseconds,
                })
                .collect(),
            discontinuity_sequence: self.discontinuity_sequence,
            low_latency: self.low_latency,
            source_mark: self
                .source
                .map_or_else(Bytes::new, |mark| Bytes::copy_from_slice(&mark.0)),
            anchor: self.anchor.map(|anchor| proto::Anchor {
                segment: anchor.segment.0,
                time_us: anchor.time.0,
                capture_time_us: anchor.capture_time.0,
            }),
        }
        .encode_to_vec()
        .into()
    }

    /// The opening that `bytes` hold.
    ///
    /// # Errors
    /// If they are no protobuf or a field holds what it must not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_BYTES {
            return Err(WireError::TooLong {
                what: "the opening",
                bytes: bytes.len(),
                limit: MAX_BYTES,
            });
        }
        let proto = proto::Opening::decode(bytes).map_err(|source| WireError::Protobuf {
            what: "the opening",
            source,
        })?;
        if proto.target_duration_s == 0 {
            return Err(FieldError::new("target_duration_s", 0, "1 or more").into());
        }
        let source = match &proto.source_mark[..] {
            [] => None,
            mark => Some(SourceMark(mark.try_into().map_err(|_| {
                FieldError::new(
                    "source_mark",
                    format!("{} bytes", mark.len()),
                    "8 bytes or none",
                )
            })?)),
        };
        let mut part_targets = BTreeMap::new();
        for target in proto.part_targets {
            if target.microseconds == 0 {
                return Err(FieldError::new("part_targets.microseconds", 0, "1 or more").into());
            }
            part_targets.insert(target.track.parse()?, target.microseconds);
        }
        Ok(Self {
            first_segment: SegmentNumber(proto.first_segment),
            time_origin: Micros(proto.time_origin_us),
            continues: proto.continues,
            target_duration_s: proto.target_duration_s,
            part_targets,
            discontinuity_sequence: proto.discontinuity_sequence,
            low_latency: proto.low_latency,
            source,
            anchor: proto.anchor.map(|anchor| Anchor {
                segment: SegmentNumber(anchor.segment),
                time: Micros(anchor.time_us),
                capture_time: Micros(anchor.capture_time_us),
            }),
        })
    }
}
