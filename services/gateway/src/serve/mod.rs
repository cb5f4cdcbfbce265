//! Connections: bounded in number and in what a slow one may hold, plain or TLS.

mod slow;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use hyper_util::rt::TokioTimer;
use reelay_runtime::CancellationToken;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::config::TlsFiles;
pub use slow::Bounded;

/// Long enough for an idle connection of a player, which asks at least once a segment.
pub const HEAD_TIME: Duration = Duration::from_secs(30);
/// Greatest head of an HTTP/1.1 request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// Requests that one HTTP/2 connection may have open at a time.
const STREAMS_MAX: u32 = 100;
/// Bytes that one HTTP/2 stream may have waiting in the connection.
const STREAM_BUFFER: usize = 256 * 1024;
/// How often an HTTP/2 client is asked whether it is there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);
/// How long open answers may go on once the gateway stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How connections are served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// HTTPS, if it is served.
    pub tls: Option<TlsFiles>,
    /// Greatest number of connections at a time.
    pub connections_max: usize,
    /// How long new connections are answered after `shutdown`.
    pub stop_delay: Duration,
    /// How long the head of a request may take, and an idle HTTP/1.1 connection stay open.
    pub head_time: Duration,
}

/// Serves `app` on `listener` until `shutdown`, then lets open answers end.
///
/// # Errors
/// The certificate or key cannot be used, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    let stopper = tokio::spawn(stop(handle.clone(), options.stop_delay, shutdown.clone()));
    let bounded = Limit {
        slots: Arc::new(Semaphore::new(options.connections_max)),
    };
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?.handle(handle);
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_time)
        .max_buf_size(HEAD_BYTES);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(STREAM_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let served = match &options.tls {
        None => server.acceptor(bounded).serve(app).await,
        Some(files) => {
            let tls = tls::load(files).await?;
            let watcher = tokio::spawn(tls::reload(files.clone(), tls.clone(), shutdown));
            let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(tls).acceptor(bounded);
            let served = server.acceptor(acceptor).serve(app).await;
            watcher.abort();
            served
        }
    };
    stopper.abort();
    served
}

async fn stop(handle: Handle<SocketAddr>, delay: Duration, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(delay).await;
    handle.graceful_shutdown(Some(DRAIN));
}

/// Lets in no more connections than there are slots: beyond, a connection is closed at once,
/// so that those who watch already are not disturbed.
#[derive(Debug, Clone)]
struct Limit {
    slots: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for Limit {
    type Stream = Bounded<TcpStream>;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = match Arc::clone(&self.slots).try_acquire_owned() {
            // Parts are small and wanted at once.
            Ok(slot) => stream
                .set_nodelay(true)
                .map(|()| (Bounded::new(stream, slot), service)),
            Err(_) => {
                metrics::counter!("reelay_gateway_connections_refused_total").increment(1);
                Err(io::Error::from(io::ErrorKind::ConnectionRefused))
            }
        };
        std::future::ready(accepted)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_head_that_does_not_come_to_its_end_holds_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let options = ServeOptions {
            tls: None,
            connections_max: 1,
            stop_delay: Duration::ZERO,
            head_time: Duration::from_millis(200),
        };
        let shutdown = CancellationToken::new();
        let app = Router::new().route("/", get(|| async { "ok" }));
        let served = tokio::spawn(serve(listener, app, options, shutdown.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            .await
            .unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
        let _ = closed.await.unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
        shutdown.cancel();
        served.await.unwrap().unwrap();
    }
}
