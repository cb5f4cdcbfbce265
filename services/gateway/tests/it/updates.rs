//! Changes as they happen.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::start::{Gateway, PATIENCE, gateway, spec};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(gateway: &Gateway, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let url = gateway.url("/api/v1/updates").replacen("http", "ws", 1);
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, response)) => {
            if headers
                .iter()
                .any(|(name, _)| *name == "sec-websocket-protocol")
            {
                assert_eq!(response.headers()["sec-websocket-protocol"], "reelay.v1");
            }
            Ok(socket)
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn message(socket: &mut Socket) -> Message {
    tokio::time::timeout(PATIENCE, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn update(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = message(socket).await {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sees_all_streams_and_then_each_change() {
    let gateway = gateway("updates", &[]).await;
    assert_eq!(gateway.add(spec("door")).await.status, 201);
    let mut socket = open(&gateway, &[("sec-websocket-protocol", "reelay.v1")])
        .await
        .unwrap();
    let snapshot = update(&mut socket).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["streams"][0]["spec"]["id"], "door");
    assert_eq!(gateway.add(spec("gate")).await.status, 201);
    let added = update(&mut socket).await;
    assert_eq!(
        (&added["type"], &added["stream"]["spec"]["id"]),
        (&"stream".into(), &"gate".into())
    );
    assert_eq!(added["stream"]["phase"], "starting");
    let removal = gateway.client.delete(gateway.url("/api/v1/streams/door"));
    assert_eq!(removal.send().await.unwrap().status(), 204);
    let removed = update(&mut socket).await;
    assert_eq!(
        (&removed["type"], &removed["id"]),
        (&"removed".into(), &"door".into())
    );

    // A stop says so, so that the page goes to another gateway at once.
    gateway.runtime.stop();
    let Message::Close(Some(frame)) = message(&mut socket).await else {
        panic!("no close")
    };
    assert_eq!(frame.code, CloseCode::Away);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_and_those_without_the_token_are_refused() {
    let gateway = gateway("updates-guard", &["--token", "correct-horse"]).await;
    let own = format!("http://{}", gateway.address);
    let right = "reelay.v1, reelay.token.Y29ycmVjdC1ob3JzZQ";
    let wrong = "reelay.v1, reelay.token.d3JvbmctaG9yc2U";
    let refused = async |headers: &[(&'static str, &str)]| open(&gateway, headers).await.err();
    assert_eq!(refused(&[]).await, Some(401));
    assert_eq!(
        refused(&[("origin", &own), ("sec-websocket-protocol", wrong)]).await,
        Some(401)
    );
    for origin in ["https://evil.example", "null"] {
        let headers = [("origin", origin), ("sec-websocket-protocol", right)];
        assert_eq!(refused(&headers).await, Some(403));
    }
    assert_eq!(
        refused(&[("host", "evil.example"), ("sec-websocket-protocol", right)]).await,
        Some(421)
    );
    let mut socket = open(
        &gateway,
        &[("origin", &own), ("sec-websocket-protocol", right)],
    )
    .await
    .unwrap();
    assert_eq!(update(&mut socket).await["type"], "snapshot");
    let bearer = [("authorization", "Bearer correct-horse")];
    let mut socket = open(&gateway, &bearer).await.unwrap();
    assert_eq!(update(&mut socket).await["type"], "snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_talks_too_much_is_cut_off() {
    let gateway = gateway("updates-large", &[]).await;
    let mut socket = open(&gateway, &[]).await.unwrap();
    assert_eq!(update(&mut socket).await["type"], "snapshot");
    let _ = socket.send(Message::text("x".repeat(100_000))).await;
    let ended = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}
