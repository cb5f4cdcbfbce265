//! The value of a record in `index`: where the parts of a finished segment lie.

use bytes::Bytes;
use prost::Message;
use reelay_model::{Epoch, FieldError, Offset, Ticks};

use crate::{InitHash, WireError, proto};

const MAX_BYTES: usize = 256 * 1024;

/// Where one part of a segment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartIndex {
    /// Offset in the track's media topic, in the same partition.
    pub offset: Offset,
    /// Bytes of the chunk, init segment not counted.
    pub bytes: u32,
    /// Duration in the track's timescale.
    pub duration: Ticks,
    /// Starts with a keyframe.
    pub independent: bool,
}

/// A finished segment of a track. Its track, number, times and format are in the record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRecord {
    /// Epoch of the segment; the header's epoch is that of the index record's writer, which may
    /// be a later owner that indexed what its predecessor left unindexed.
    pub epoch: Epoch,
    /// The parts in order; none for a gap.
    pub parts: Vec<PartIndex>,
    /// SHA-256 of the init segment; absent for a gap.
    pub init_hash: Option<InitHash>,
    /// Bytes of the init segment before part 0.
    pub init_length: u32,
}

impl IndexRecord {
    /// The index record of a gap: no parts.
    pub const fn gap(epoch: Epoch) -> Self {
        Self {
            epoch,
            parts: Vec::new(),
            init_hash: None,
            init_length: 0,
        }
    }

    /// Duration of all parts together.
    pub fn duration(&self) -> Ticks {
        Ticks(self.parts.iter().map(|part| part.duration.0).sum())
    }

    /// Bytes of all parts together, init segment not counted.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.bytes)).sum()
    }

    /// The record in bytes.
    pub fn encode(&self) -> Bytes {
        proto::IndexRecord {
            epoch: self.epoch.0,
            parts: self
                .parts
                .iter()
                .map(|part| proto::PartIndex {
                    offset: part.offset.max(0).cast_unsigned(),
                    bytes: part.bytes,
                    duration: part.duration.0,
                    independent: part.independent,
                })
                .collect(),
            init_hash: self
                .init_hash
                .map_or_else(Bytes::new, |hash| Bytes::copy_from_slice(&hash.0)),
            init_length: self.init_length,
        }
        .encode_to_vec()
        .into()
    }

    /// The record that `bytes` hold.
    ///
    /// # Errors
    /// If they are no protobuf or a field holds what it must not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_BYTES {
            return Err(WireError::TooLong {
                what: "the index record",
                bytes: bytes.len(),
                limit: MAX_BYTES,
            });
        }
        let proto = proto::IndexRecord::decode(bytes).map_err(|source| WireError::Protobuf {
            what: "the index record",
            source,
        })?;
        let mut parts = Vec::with_capacity(proto.parts.len());
        let (mut after, mut total) = (None, 0_u64);
        for part in proto.parts {
            let offset = Offset::try_from(part.offset)
                .ok()
                .filter(|offset| after.is_none_or(|after| *offset > after))
                .ok_or_else(|| FieldError::new("parts.offset", part.offset, "rising offsets"))?;
            after = Some(offset);
            total = total.checked_add(part.duration).ok_or_else(|| {
                FieldError::new("parts.duration", part.duration, "a sum below 2^64")
            })?;
            parts.push(PartIndex {
                offset,
                bytes: part.bytes,
                duration: Ticks(part.duration),
                independent: part.independent,
            });
        }
        let init_hash = match proto.init_hash.len() {
            0 => None,
            _ => Some(InitHash::from_slice(&proto.init_hash)?),
        };
        if init_hash.is_none() != parts.is_empty() {
            return Err(FieldError::new(
                "init_hash",
                proto.init_hash.len(),
                "32 bytes where there are parts",
            )
            .into());
        }
        Ok(Self {
            epoch: Epoch(proto.epoch),
            parts,
            init_hash,
            init_length: proto.init_length,
        })
    }
}
