//! Records as they come from the log and as they go into it.

use bytes::Bytes;
use rdkafka::message::{Header, OwnedHeaders};
use reelay_model::{Micros, Offset};
use reelay_wire::Topic;

/// Headers of a record, in their order. Names may repeat in Kafka; ours do not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(pub Vec<(String, Bytes)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These headers and one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The value of the first header called `name`.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .find_map(|(n, value)| (n == name).then_some(value))
    }

    pub(crate) fn to_native(&self) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(self.0.len());
        for (name, value) in &self.0 {
            headers = headers.insert(Header {
                key: name,
                value: Some(&value[..]),
            });
        }
        headers
    }
}

impl From<Vec<(String, Bytes)>> for Headers {
    fn from(headers: Vec<(String, Bytes)>) -> Self {
        Self(headers)
    }
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic it lies in.
    pub topic: Topic,
    /// The partition it lies in.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: Offset,
    /// Kafka's timestamp, exact to the millisecond: of the append where the topic is
    /// `LogAppendTime`, else the producer's; 0 if there is none.
    pub timestamp: Micros,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
    /// Its value; empty if it is null (a tombstone in a compacted topic).
    pub value: Bytes,
}

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic to append to.
    pub topic: Topic,
    /// The partition to append to: always chosen by the caller, never by Kafka's client.
    pub partition: i32,
    /// The key; empty for none.
    pub key: Bytes,
    /// The headers.
    pub headers: Headers,
    /// The value. An empty one is written as null, which in a compacted topic deletes the key.
    pub value: Bytes,
}

impl Outgoing {
    /// Bytes of key, headers and value.
    pub fn len(&self) -> usize {
        let headers: usize = self
            .headers
            .0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.key.len() + headers + self.value.len()
    }

    /// Whether there is nothing in key, headers and value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
