//! What a stream is and how it fares: specs, statuses and the ids and numbers that the whole
//! system shares. Everything here is parsed and then validated into types that cannot hold
//! nonsense; nothing here does I/O.

mod address;
mod credentials;
mod error;
mod id;
mod network;
mod numbers;
mod qoe;
mod rung;
pub mod schema;
mod spec;
mod status;

pub use address::{RtspAddress, RtspTransport, SourceAddress, Synthetic};
pub use credentials::CredentialsName;
pub use error::{FieldError, Invalid};
pub use id::{RungId, StreamId, StreamUid, Track};
pub use network::{AddressClass, classify, literal_address};
pub use numbers::{Epoch, Micros, Offset, PartNumber, SegmentNumber, Ticks, Timescale};
pub use qoe::{QoeLatency, QoeReport};
pub use rung::{
    GREATEST_HEIGHT, Preset, RungCodec, RungDefinitions, RungProfile, Rungs, SOURCE_H264,
    SourceFormat, ladder_for, plays_in_browsers,
};
pub use spec::{GreatestSegment, LatencyMode, RawStreamSpec, SpecRecord, StreamSpec};
pub use status::{
    DurableMark, HighWater, Phase, Problem, RungWork, StreamStatus, TrackStatus, TranscodeStatus,
};
