//! What a player saw: quality of experience, measured in the viewer's browser.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{StreamId, StreamUid};

/// What one player session saw in one period; a record of topic `qoe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QoeReport {
    /// The stream played.
    pub stream: StreamId,
    /// The stream's incarnation, where the player knows it.
    #[serde(default)]
    pub uid: Option<StreamUid>,
    /// Random id of the player session, 32 hexadecimal digits made by the page.
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    pub session: String,
    /// Number of the report in its session, from 0.
    pub sequence: u32,
    /// Begin of the period by the viewer's clock (RFC 3339).
    pub from: String,
    /// End of the period by the viewer's clock (RFC 3339).
    pub to: String,
    /// Which player, such as `web`.
    pub player: String,
    /// Milliseconds from opening the page to the first picture; in the report of the period in
    /// which it was shown.
    #[serde(default)]
    pub startup_ms: Option<u32>,
    /// Milliseconds played.
    pub watched_ms: u32,
    /// How often playback stopped for want of media.
    pub stalls: u32,
    /// Milliseconds stopped in all.
    pub stalled_ms: u32,
    /// How often the player went over to another rendition.
    pub switches: u32,
    /// Errors that the viewer noticed.
    pub errors: u32,
    /// How often the player went over to another gateway.
    pub failovers: u32,
    /// Live latency in the period, where it was measured.
    #[serde(default)]
    pub latency_ms: Option<QoeLatency>,
    /// Height of the rendition at the end of the period, in pixels.
    #[serde(default)]
    pub height: Option<u32>,
    /// `BANDWIDTH` of that rendition in bit/s.
    #[serde(default)]
    pub bandwidth: Option<u32>,
}

/// Live latency as the player measured it: how far it was behind the capture time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QoeLatency {
    /// Number of measurements.
    pub samples: u32,
    /// The least, in milliseconds.
    pub least: u32,
    /// The mean, in milliseconds.
    pub mean: u32,
    /// The greatest, in milliseconds.
    pub greatest: u32,
}
