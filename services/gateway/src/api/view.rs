//! A stream as the API shows it: what is wanted, and how it fares.

use std::collections::BTreeMap;

use reelay_model::{Micros, Offset, Phase, Problem, RawStreamSpec, StreamStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::streams::{Stream, judge};

/// A stream: its spec and how it fares.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamView {
    /// The spec in force, every default filled in.
    pub spec: RawStreamSpec,
    /// The spec's version, to give in `If-Match` with an edit.
    pub version: Offset,
    /// How the stream fares.
    pub phase: Phase,
    /// What is wrong, if something is.
    pub problem: Option<Problem>,
    /// What each component last reported, by its name.
    pub status: BTreeMap<String, StreamStatus>,
    /// Where to play it.
    pub playback: Playback,
}

/// Addresses of a stream's media, relative to this gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Playback {
    /// HLS multivariant playlist.
    pub hls: String,
    /// DASH manifest.
    pub dash: String,
}

impl StreamView {
    /// The view of `stream` at `now`.
    pub fn new(stream: &Stream, now: Micros) -> Self {
        let (phase, problem) = judge(stream, now);
        Self {
            spec: stream.spec.to_raw(),
            version: stream.version,
            phase,
            problem,
            status: stream.status.clone(),
            playback: Playback {
                hls: format!("/streams/{}/hls/master.m3u8", stream.spec.id),
                dash: format!("/streams/{}/dash/manifest.mpd", stream.spec.id),
            },
        }
    }
}
