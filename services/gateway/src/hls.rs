//! HLS over HTTP: playlists and media of watched streams (RFC 8216bis §6.2).
//!
//! Answers are fit for a cache in front: media never changes under its address, a blocking
//! reload's answer belongs to what it asked for, and what is not there is never kept.

pub(crate) mod answer;
mod directives;
pub(crate) mod hold;
pub(crate) mod media;
mod playlist;

use axum::{Router, routing::get};

use crate::live::Live;

/// The routes below `/streams/{id}/hls/`.
pub fn router(live: Live) -> Router {
    Router::new()
        .route("/streams/{id}/hls/master.m3u8", get(playlist::master))
        .route("/streams/{id}/hls/{track}/media.m3u8", get(playlist::media))
        .route("/streams/{id}/hls/{track}/{name}", get(media::init))
        .route("/streams/{id}/hls/{track}/{uid}/{name}", get(media::media))
        .with_state(live)
}
