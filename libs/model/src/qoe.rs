//! What a player saw: quality of experience, measured in the viewer's browser.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StreamId;

/// One measurement of one player session; a record of topic `qoe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QoeReport {
    /// The stream played.
    pub stream: StreamId,
    /// Random id of the player session, made by the page.
    pub session: uuid::Uuid,
    /// Seconds since the session began.
    pub at_seconds: f64,
    /// What was measured.
    pub kind: QoeKind,
}

/// Kinds of measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum QoeKind {
    /// The first picture was shown.
    Startup {
        /// Seconds from opening the player to the first picture.
        seconds: f64,
    },
    /// Playback stopped for want of media and went on again.
    Stall {
        /// How long, in seconds.
        seconds: f64,
    },
    /// The player went over to another rendition.
    Switch {
        /// Height before, in pixels.
        from: u32,
        /// Height after, in pixels.
        to: u32,
    },
    /// Live latency, glass to glass as far as the page can know it.
    Latency {
        /// Seconds behind the capture time.
        seconds: f64,
    },
    /// Playback time since the last report of this kind.
    Watched {
        /// Seconds played.
        seconds: f64,
    },
    /// An error that the viewer noticed.
    Error {
        /// A short code, such as `network` or `media`.
        code: String,
    },
}
