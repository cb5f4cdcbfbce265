//! The REST API and the WebSocket beside it, below `/api/v1`.

mod body;
mod info;
pub mod openapi;
pub mod problem;
mod qoe;
mod streams;
mod updates;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use reelay_bus::Producer;
use reelay_model::Rungs;
use reelay_runtime::CancellationToken;

use crate::guard::{self, Guard, Origin};
use crate::streams::Streams;

pub use info::Info;
pub use qoe::QoeLimit;
pub use view::StreamView;

/// Where players post what they measured: open to viewers, who have no token.
pub const QOE: &str = "/api/v1/qoe";

/// What the API works on.
#[derive(Clone)]
pub struct Api {
    /// The streams, read and written.
    pub streams: Streams,
    /// Appends quality reports.
    pub producer: Producer,
    /// Bounds quality reports.
    pub qoe: Arc<QoeLimit>,
    /// Rungs of the deployment.
    pub rungs: Arc<Rungs>,
    /// Other gateways of the deployment.
    pub alternates: Arc<[Origin]>,
    /// Whether sources on loopback and link-local addresses are accepted.
    pub allow_local_sources: bool,
    /// Ends WebSockets when the gateway stops.
    pub shutdown: CancellationToken,
}

/// The routes of the API.
pub fn router(api: Api, guard: Guard) -> Router {
    let token_needed = guard.token.is_some();
    let updates =
        get(updates::updates).route_layer(from_fn_with_state(guard.clone(), guard::websocket));
    Router::new()
        .route("/api/v1/streams", get(streams::list).post(streams::add))
        .route(
            "/api/v1/streams/{id}",
            get(streams::show)
                .put(streams::edit)
                .delete(streams::remove),
        )
        .route("/api/v1/updates", updates)
        .route(QOE, post(qoe::report))
        .route(
            "/api/v1/info",
            get(move |state| info::info(state, token_needed)),
        )
        .route("/api/v1/openapi.json", get(openapi::serve))
        .with_state(api)
        .layer(from_fn_with_state(guard, guard::writes))
        .layer(from_fn(no_store))
}

/// What the API says is true now, not later.
async fn no_store(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    use axum::http::{HeaderValue, header};
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
