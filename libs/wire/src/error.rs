//! What can be wrong with bytes that claim to be a record of the log.

use reelay_model::FieldError;

/// Why bytes are not a valid record. The caller adds topic, partition and offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The record has no `chunk` header.
    #[error("the record has no header `chunk`")]
    NoHeader,
    /// More bytes than any valid message has.
    #[error("{what} has {bytes} bytes; at most {limit} are allowed")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Not a protobuf message of the expected type.
    #[error("{what} is no valid protobuf: {source}")]
    Protobuf {
        /// Which message was expected.
        what: &'static str,
        /// What protobuf says.
        source: prost::DecodeError,
    },
    /// A field holds what it must not hold.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A later version of this software wrote a kind of record that this one does not know.
    #[error("kind {0} is unknown to this version")]
    UnknownKind(i32),
}
