//! Records of media topics and `index`, from and to their form on the bus.

use bytes::Bytes;
use reelay_bus::{Headers, Outgoing, Record};
use reelay_wire::{CHUNK_HEADER, Header, TRACEPARENT_HEADER, Topic, WireError};

/// The header of a record.
pub fn header(record: &Record) -> Result<Header, WireError> {
    let bytes = record
        .headers
        .get(CHUNK_HEADER)
        .ok_or(WireError::NoHeader)?;
    Header::decode(bytes)
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
