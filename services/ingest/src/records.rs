//! Records of media topics and `index`, from and to their form on the bus.

use bytes::Bytes;
use reelay_bus::{Headers, Outgoing, Record};
use reelay_timeline::Body;
use reelay_wire::{
    CHUNK_HEADER, Header, IndexRecord, InitHash, Kind, Opening, TRACEPARENT_HEADER, Topic,
    WireError,
};
use sha2::{Digest as _, Sha256};

/// What a record's value holds, decoded.
pub enum Value {
    Chunk {
        bytes: u32,
        init_hash: Option<InitHash>,
    },
    Index(IndexRecord),
    Opening(Opening),
    Nothing,
}

impl Value {
    pub fn body(&self) -> Body<'_> {
        match self {
            Self::Chunk { bytes, init_hash } => Body::Chunk {
                bytes: *bytes,
                init_hash: *init_hash,
            },
            Self::Index(record) => Body::Index(record),
            Self::Opening(opening) => Body::Opening(opening),
            Self::Nothing => Body::Nothing,
        }
    }
}

/// The header of a record.
pub fn header(record: &Record) -> Result<Header, WireError> {
    let bytes = record
        .headers
        .get(CHUNK_HEADER)
        .ok_or(WireError::NoHeader)?;
    Header::decode(bytes)
}

/// The value of a record whose header is `header`.
pub fn value(record: &Record, header: &Header) -> Result<Value, WireError> {
    Ok(match &header.kind {
        Kind::Opening { .. } => Value::Opening(Opening::decode(&record.value)?),
        Kind::Chunk { .. } | Kind::Gap if record.topic == Topic::Index => {
            Value::Index(IndexRecord::decode(&record.value)?)
        }
        Kind::Chunk { init_length, .. } => {
            let length = record.value.len() as u32;
            let init = record.value.get(..*init_length as usize);
            Value::Chunk {
                bytes: length.saturating_sub(*init_length),
                init_hash: init.filter(|init| !init.is_empty()).map(init_hash),
            }
        }
        _ => Value::Nothing,
    })
}

/// SHA-256 of an init segment.
pub fn init_hash(init: &[u8]) -> InitHash {
    InitHash(Sha256::digest(init).into())
}

/// A record to append.
pub fn outgoing(
    topic: Topic,
    partition: i32,
    header: &Header,
    value: Bytes,
    traceparent: Option<&str>,
) -> Outgoing {
    let mut headers = Headers::new().with(CHUNK_HEADER, header.encode());
    if let Some(traceparent) = traceparent {
        headers = headers.with(TRACEPARENT_HEADER, traceparent.as_bytes().to_vec());
    }
    Outgoing {
        topic,
        partition,
        key: Bytes::copy_from_slice(header.stream.as_str().as_bytes()),
        headers,
        value,
    }
}
