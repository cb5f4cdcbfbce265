//! Changes of streams as they happen, over a WebSocket.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use reelay_model::{Micros, StreamId};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};

use super::Api;
use super::view::StreamView;
use crate::streams::StreamChange;

/// The subprotocol that is spoken.
const PROTOCOL: &str = "reelay.v1";
/// How often the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// A side that has said nothing for this long is gone.
const GONE: Duration = Duration::from_secs(50);
/// How long one message may take to get into the connection: the next is made only then, so a
/// client that does not read holds one message and is cut off.
const SEND: Duration = Duration::from_secs(10);
/// Clients have nothing to say but pings and pongs.
const MESSAGE_MAX: usize = 4096;

/// A message to the client.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Update {
    /// All streams; the first message, and again for a client that fell behind.
    Snapshot {
        /// The streams, by id.
        streams: Vec<StreamView>,
    },
    /// A stream was made or edited, or fares differently.
    Stream {
        /// The stream as it is now.
        stream: Box<StreamView>,
    },
    /// A stream was deleted.
    Removed {
        /// Its id.
        id: StreamId,
    },
}

pub(super) async fn updates(State(api): State<Api>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .on_upgrade(move |socket| async move {
            let open = metrics::gauge!("reelay_gateway_updates_open");
            open.increment(1.0);
            let reason = serve(api, socket).await;
            open.decrement(1.0);
            tracing::debug!(reason, "updates ended");
        })
}

/// Sends changes until one side is gone; says why it ended.
async fn serve(api: Api, mut socket: WebSocket) -> &'static str {
    let mut changes = api.streams.subscribe();
    if !send(&mut socket, &snapshot(&api)).await {
        return "not sent";
    }
    let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            change = changes.recv() => {
                let update = match change {
                    Ok(StreamChange::Changed(id)) => match api.streams.get(&id) {
                        Some(stream) => {
                            let stream = Box::new(StreamView::new(&stream, Micros::now()));
                            Update::Stream { stream }
                        }
                        None => Update::Removed { id },
                    },
                    Ok(StreamChange::Removed(id)) => Update::Removed { id },
                    Err(RecvError::Lagged(_)) => snapshot(&api),
                    Err(RecvError::Closed) => return "streams are no longer followed",
                };
                if !send(&mut socket, &update).await {
                    return "not sent";
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_))) | None => return "closed",
                Some(Ok(_)) => heard = Instant::now(),
                Some(Err(_)) => return "broken",
            },
            _ = pings.tick() => {
                let ping = socket.send(Message::Ping(bytes::Bytes::new()));
                if heard.elapsed() > GONE || !matches!(timeout(SEND, ping).await, Ok(Ok(()))) {
                    return "gone";
                }
            }
            () = api.shutdown.cancelled() => {
                let frame = CloseFrame { code: close_code::AWAY, reason: "stopping".into() };
                let _ = timeout(SEND, socket.send(Message::Close(Some(frame)))).await;
                return "stopping";
            }
        }
    }
}

fn snapshot(api: &Api) -> Update {
    let now = Micros::now();
    let streams = api
        .streams
        .all()
        .iter()
        .map(|stream| StreamView::new(stream, now))
        .collect();
    Update::Snapshot { streams }
}

async fn send(socket: &mut WebSocket, update: &Update) -> bool {
    // An update is plain data that always has a JSON form.
    let text = serde_json::to_string(update).unwrap_or_default();
    matches!(
        timeout(SEND, socket.send(Message::Text(text.into()))).await,
        Ok(Ok(()))
    )
}
