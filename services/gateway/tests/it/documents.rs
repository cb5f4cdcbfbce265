//! What the gateway says of itself.

use reelay_gateway::api::openapi;
use reelay_model::Rungs;
use serde_json::Value;

use crate::start::{Answer, gateway};

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_and_every_operation_in_it_is_there() {
    let gateway = gateway("openapi", &[]).await;
    let document = gateway.get("/api/v1/openapi.json").await.json();
    assert_eq!(document, openapi::document());
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let url = gateway.url(&path.replace("{id}", "none"));
        for (method, operation) in item.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            operations += 1;
            let method = method.to_uppercase().parse().unwrap();
            let answer = Answer::of(gateway.client.request(method, &url)).await;
            assert_ne!(answer.status, 405, "{path}");
            let code = serde_json::from_str::<Value>(&answer.text).map(|body| body["code"].clone());
            assert!(
                !code.is_ok_and(|code| code == "not-found"),
                "{path} is not routed"
            );
            let described = operation["responses"]
                .get(answer.status.to_string())
                .is_some();
            // A GET of the WebSocket's address that asks for no WebSocket is no use of it.
            assert!(
                described || path.ends_with("/updates"),
                "{path} answered {answer:?}"
            );
        }
    }
    assert_eq!(operations, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn info_has_the_clock_and_the_other_gateways() {
    let gateway = gateway(
        "info",
        &["--alternates", "http://127.0.0.1:9999,https://b.example"],
    )
    .await;
    let before = jiff::Timestamp::now();
    let answer = gateway.get("/api/v1/info").await;
    let after = jiff::Timestamp::now();
    assert_eq!(answer.header("cache-control"), "no-store");
    let info = answer.json();
    let now: jiff::Timestamp = info["now"].as_str().unwrap().parse().unwrap();
    let micro = jiff::SignedDuration::from_micros(1);
    assert!(before - micro <= now && now <= after, "{info}");
    assert_eq!(
        info["alternates"],
        serde_json::json!(["http://127.0.0.1:9999", "https://b.example"])
    );
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["tokenNeeded"], Value::Bool(false));
    assert_eq!(
        info["rungs"],
        serde_json::to_value(&*Rungs::default()).unwrap()
    );
}
