//! Kafka, as the log of the system: the only crate that talks to it.
//!
//! | to | take |
//! |---|---|
//! | append single records and wait for each | [`Producer`] |
//! | append media without ever blocking its source | [`MediaProducer`] |
//! | follow partitions that a group shares out | [`GroupConsumer`] |
//! | follow any partitions, without a group | [`Tailer`] |
//! | read a range of offsets once | [`Bus::fetch`] |
//! | make and check topics | [`admin`] |
//!
//! Nothing here knows what the bytes mean. Partitions are always chosen by the caller
//! ([`reelay_wire::partition_for`]), offsets are committed only when told to, and every error
//! names topic, partition and offset.

pub mod admin;
mod bus;
mod client;
pub mod config;
mod context;
mod error;
mod fetch;
mod group;
mod media;
mod native;
mod producer;
mod record;
mod tailer;

pub use bus::Bus;
pub use config::{BusConfig, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES, Profile, Security};
pub use error::{BusError, ProduceError, Result};
pub use fetch::FetchLimits;
pub use group::{GroupConsumer, GroupEvent, GroupOptions, GroupStart};
pub use media::{
    DroppedSegment, GapBuilder, MediaEvent, MediaProducer, MediaRecord, SpoolDepth, SpoolLimits,
};
pub use producer::{Delivered, Producer};
pub use record::{Headers, Outgoing, Record};
pub use tailer::{StartAt, TailEvent, Tailer, TailerOptions};
