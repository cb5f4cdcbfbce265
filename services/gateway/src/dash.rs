//! DASH over HTTP: the manifest and the segments of watched streams (ISO/IEC 23009-1).
//!
//! Segments are those of HLS, part by part as they lie in the log. One that still grows is
//! answered at once, with what is there and then with what comes, so that its bytes are the same
//! whenever it is asked for.

mod clock;
mod manifest;
mod media;

use axum::{Router, routing::get};

use crate::live::Live;

pub use manifest::Manifests;

/// The routes below `/streams/{id}/dash/`, and the clock that the manifest names.
pub fn router(live: Live) -> Router {
    Router::new()
        .route("/streams/{id}/dash/manifest.mpd", get(manifest::manifest))
        .route(
            "/streams/{id}/dash/{track}/{uid}/{name}",
            get(media::segment),
        )
        .route("/api/v1/time", get(clock::time))
        .with_state(live)
}
