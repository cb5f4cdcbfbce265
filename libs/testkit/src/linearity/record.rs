//! What the checker reads of the log, without a Kafka client.

use bytes::Bytes;
use reelay_wire::{Header, Offset, Topic, WireError};

use super::finding::Place;

/// A record of `source`, `audio` or `index`.
#[derive(Debug, Clone)]
pub struct LogRecord {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: Offset,
    /// The Kafka key.
    pub key: Option<Bytes>,
    /// The header `chunk`, or why it cannot be read.
    pub header: Result<Header, WireError>,
    /// The value.
    pub value: Bytes,
}

impl LogRecord {
    /// Reads the bytes of the header `chunk`, if the record has one.
    pub fn new(
        topic: Topic,
        partition: i32,
        offset: Offset,
        key: Option<Bytes>,
        chunk: Option<&[u8]>,
        value: Bytes,
    ) -> Self {
        let header = chunk.ok_or(WireError::NoHeader).and_then(Header::decode);
        Self {
            topic,
            partition,
            offset,
            key,
            header,
            value,
        }
    }

    /// Where the record is, in words.
    pub fn place(&self) -> Place {
        let mut place = Place {
            record: Some(format!("{}/{}@{}", self.topic, self.partition, self.offset)),
            ..Place::default()
        };
        if let Ok(header) = &self.header {
            place.stream = Some(header.stream.to_string());
            place.track = Some(header.track.to_string());
            place.epoch = header.epoch.map(|e| e.0);
            if let reelay_wire::Kind::Chunk { part, .. } = &header.kind {
                place.segment = Some(header.segment.0);
                place.part = (self.topic != Topic::Index).then_some(part.0);
            } else if matches!(
                header.kind,
                reelay_wire::Kind::Gap | reelay_wire::Kind::Close
            ) {
                place.segment = Some(header.segment.0);
            }
        }
        place
    }
}
