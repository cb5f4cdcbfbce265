//! Numbers of the log and of media time, each a type of its own so that they cannot be mixed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Offset of a record in a Kafka partition.
pub type Offset = i64;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord,
            Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Ownership period of a stream: the offset in `source` of the claim that began it.
    Epoch(u64)
}
number! {
    /// Number of a segment; grows by one per stream, and is the HLS media sequence number.
    SegmentNumber(u64)
}
number! {
    /// Number of a part (one CMAF chunk) in its segment, from 0.
    PartNumber(u32)
}
number! {
    /// A time or duration in a track's timescale (ISO/IEC 14496-12 `tfdt`, `trun`).
    Ticks(u64)
}
number! {
    /// Ticks per second of a track (ISO/IEC 14496-12 `mdhd`); never 0 in a valid header.
    Timescale(u32)
}
number! {
    /// A time in microseconds since 1970-01-01T00:00:00Z, or a duration in microseconds.
    Micros(i64)
}

impl SegmentNumber {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl PartNumber {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Ticks {
    /// These ticks of `timescale` in microseconds, rounded down; exact in 128 bits between.
    pub const fn to_micros(self, timescale: Timescale) -> Micros {
        Micros((self.0 as u128 * 1_000_000 / timescale.0 as u128) as i64)
    }

    /// These ticks of `timescale` in seconds.
    pub fn to_seconds(self, timescale: Timescale) -> f64 {
        self.0 as f64 / f64::from(timescale.0)
    }
}

impl Micros {
    /// The time now by the system's wall clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        Self(since.as_micros() as i64)
    }

    /// These microseconds in seconds.
    pub fn to_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}
