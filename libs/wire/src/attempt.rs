//! The value of an attempt record: a segment at which a worker died.

use bytes::Bytes;
use prost::Message;
use reelay_model::FieldError;

use crate::{WireError, proto};

const MAX_BYTES: usize = 4096;
const MAX_REASON: usize = 500;

/// A worker died or hung while this segment was its work. It stands in `index` before the segment
/// is touched again, so that whoever takes over knows that the segment may be the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The service whose worker it was, such as `transcode`.
    pub service: String,
    /// Which attempt it was, from 1.
    pub count: u32,
    /// What happened to the worker, in words.
    pub reason: String,
}

impl Attempt {
    /// An attempt of `service`; a reason that is too long is cut, and control characters become
    /// spaces.
    pub fn new(service: &str, count: u32, reason: &str) -> Self {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            service: service.to_owned(),
            count,
            reason: reason.chars().map(clean).take(MAX_REASON).collect(),
        }
    }

    /// The attempt in bytes.
    pub fn encode(&self) -> Bytes {
        proto::Attempt {
            service: self.service.clone(),
            count: self.count,
            reason: self.reason.clone(),
        }
        .encode_to_vec()
        .into()
    }

    /// The attempt that `bytes` hold.
    ///
    /// # Errors
    /// If they are no protobuf or a field holds what it must not hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_BYTES {
            return Err(WireError::TooLong {
                what: "the attempt",
                bytes: bytes.len(),
                limit: MAX_BYTES,
            });
        }
        let proto = proto::Attempt::decode(bytes).map_err(|source| WireError::Protobuf {
            what: "the attempt",
            source,
        })?;
        let named = (1..=63).contains(&proto.service.len())
            && (proto.service.bytes()).all(|b| b.is_ascii_lowercase() || b == b'-');
        if !named {
            return Err(FieldError::new(
                "service",
                proto.service,
                "1 to 63 characters a-z and '-'",
            )
            .into());
        }
        if proto.count == 0 {
            return Err(FieldError::new("count", 0, "1 or more").into());
        }
        if proto.reason.chars().count() > MAX_REASON || proto.reason.chars().any(char::is_control) {
            return Err(FieldError::new(
                "reason",
                proto.reason,
                format!("up to {MAX_REASON} characters without control characters"),
            )
            .into());
        }
        Ok(Self {
            service: proto.service,
            count: proto.count,
            reason: proto.reason,
        })
    }
}
