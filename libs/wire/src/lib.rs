//! The record format of the Kafka log: topic names, partitions, headers and values.
//!
//! The generated protobuf types are in [`proto`]; everything else works on the validated
//! [`Header`], [`Opening`], [`IndexRecord`] and [`Attempt`], which cannot hold nonsense.

mod attempt;
mod error;
mod header;
mod hex;
mod index;
mod opening;
mod partition;
mod topic;

/// The generated protobuf types, as they stand on the wire.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/reelay.v1.rs"));
}

pub use attempt::Attempt;
pub use error::WireError;
pub use header::{
    CHUNK_HEADER, Fingerprint, Format, Header, Kind, MAX_HEADER_BYTES, Nonce, TRACEPARENT_HEADER,
};
pub use hex::InitHash;
pub use index::{IndexRecord, PartIndex};
pub use opening::{Anchor, Opening, SourceMark};
pub use partition::partition_for;
pub use reelay_model::{
    Epoch, Micros, Offset, PartNumber, RungId, SegmentNumber, StreamId, StreamUid, Ticks,
    Timescale, Track,
};
pub use topic::{Cleanup, Topic, Topics};
