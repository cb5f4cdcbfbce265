//! What pages and programs should know of this gateway before they do anything.

use axum::Json;
use axum::extract::State;
use reelay_model::RungProfile;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;

/// What this gateway is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// Version of the software.
    pub version: &'static str,
    /// The server's clock (RFC 3339, microseconds), to set a viewer's clock by.
    pub now: String,
    /// Origins of other gateways of the same deployment.
    pub alternates: Vec<String>,
    /// Rungs that the deployment can make beside the source, in the order of its configuration.
    pub rungs: Vec<RungProfile>,
    /// Whether writes and updates need a token.
    pub token_needed: bool,
}

pub(super) async fn info(State(api): State<Api>, token_needed: bool) -> Json<Info> {
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        now: format!("{:.6}", jiff::Timestamp::now()),
        alternates: api.alternates.iter().map(ToString::to_string).collect(),
        rungs: api.rungs.to_vec(),
        token_needed,
    })
}
