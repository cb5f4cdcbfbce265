//! Puts the gateway together and runs it; tests start the very same thing.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use reelay_bus::Bus;
use reelay_runtime::{CancellationToken, Runtime, topics};
use reelay_wire::Topic;

use crate::api::problem::{self, Problem};
use crate::api::{self, Api, QoeLimit};
use crate::config::Config;
use crate::dash;
use crate::guard::{self, Guard};
use crate::hls;
use crate::live::Live;
use crate::serve::{HEAD_TIME, ServeOptions, serve};
use crate::streams::{Streams, follow};
use crate::web;

/// Runs the gateway until it is stopped.
///
/// # Errors
/// The address cannot be listened on, Kafka's topics do not fit, or the certificate cannot
/// be used.
pub async fn run(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let listener = listen(config.listen)?;
    start(config, runtime, listener).await
}

/// Binds `address`.
///
/// # Errors
/// It cannot be bound; says which.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("cannot listen on --listen {address}"))
}

/// Runs the gateway on a listener that is bound already.
///
/// # Errors
/// As [`run`].
pub async fn start(config: Config, runtime: Runtime, listener: TcpListener) -> anyhow::Result<()> {
    let shutdown = runtime.shutdown.clone();
    let topics_check = runtime.health.check("topics");
    let streams_check = runtime.health.check("streams");
    let bus = Bus::new(config.bus.clone())?;
    let Some(layout) =
        topics::wait_until_fit(&bus, &config.rungs.ids(), &topics_check, &shutdown).await?
    else {
        return Ok(());
    };
    let producer = bus.producer()?;
    let streams = Streams::new(producer.clone(), layout.partitions);
    let status_partitions = bus.partitions(Topic::Status).await?;
    // Edits that are on their way when the stop comes still have to be read back.
    let served = CancellationToken::new();
    let _end = served.clone().drop_guard();
    tokio::spawn(follow(
        streams.clone(),
        bus.clone(),
        status_partitions,
        streams_check,
        served.clone(),
    ));
    let live = Live::start(
        bus.clone(),
        streams.clone(),
        config.live.clone(),
        shutdown.clone(),
    )?;
    let api = Api {
        streams,
        producer,
        qoe: Arc::new(QoeLimit::default()),
        rungs: Arc::new(config.rungs.clone()),
        alternates: config.alternates.clone().into(),
        allow_local_sources: config.allow_local_sources,
        shutdown: shutdown.clone(),
    };
    let guard = Guard {
        hosts: config.hosts.clone(),
        token: config.token.clone(),
    };
    let app = router(api, guard, live);
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = config.tls.is_some(), "listening");
    let options = ServeOptions {
        tls: config.tls,
        connections_max: config.connections_max,
        stop_delay: config.stop_delay,
        head_time: HEAD_TIME,
    };
    serve(listener, app, options, shutdown)
        .await
        .context("serving ended")?;
    Ok(())
}

/// All routes, with what guards them.
fn router(api: Api, guard: Guard, live: Live) -> Router {
    let media = hls::router(live.clone())
        .merge(dash::router(live))
        .layer(from_fn(guard::media_headers));
    let pages = web::router(&api.alternates);
    Router::new()
        .merge(api::router(api, guard.clone()))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "not-found") })
        .layer(from_fn(problem::normalise))
        .merge(pages)
        .merge(media)
        .layer(from_fn_with_state(guard, guard::known_host))
        .layer(from_fn(guard::security_headers))
        .layer(from_fn(count))
}

/// Counts answers by kind of address and status.
async fn count(request: Request, next: Next) -> Response {
    let route = match request.uri().path() {
        path if path.starts_with("/streams/") && path.ends_with(".m3u8")
            || path.ends_with(".mpd") =>
        {
            "playlist"
        }
        path if path.starts_with("/streams/") => "media",
        path if path.starts_with("/api/") => "api",
        _ => "page",
    };
    let response = next.run(request).await;
    let class = match response.status().as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("reelay_gateway_requests_total", "route" => route, "status" => class)
        .increment(1);
    response
}
