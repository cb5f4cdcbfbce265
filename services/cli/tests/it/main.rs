//! The program as a user calls it: output, errors and exit codes.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};

fn reelay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reelay"))
        .args(arguments)
        .env_remove("REELAY_SERVER")
        .env_remove("REELAY_TOKEN")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn view(name: &str) -> Value {
    json!({
        "spec": {"id": "door", "name": name, "source": "synthetic:", "latency": "low", "greatestSegmentSeconds": 2},
        "version": 17, "phase": "live", "problem": null, "status": {},
        "playback": {"hls": "/streams/door/hls/master.m3u8"},
    })
}

/// Answers as docs/api/openapi.json says; the real gateway is in the tests across services.
async fn gateway() -> String {
    let problem = |status: StatusCode, body: Value| {
        (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body.to_string(),
        )
    };
    let list = async || Json(json!({"streams": [view("Door")]}));
    let add = async move |headers: HeaderMap, Json(spec): Json<Value>| {
        if headers
            .get(header::AUTHORIZATION)
            .is_none_or(|v| v != "Bearer open-sesame")
        {
            return problem(
                StatusCode::UNAUTHORIZED,
                json!({"title": "Unauthorized", "detail": "a token is needed"}),
            )
            .into_response();
        }
        match spec["id"].as_str() {
            Some("door") => problem(StatusCode::CONFLICT, json!({"title": "Conflict", "detail": "door exists"}))
                .into_response(),
            _ => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"title": "Unprocessable Entity", "detail": "not valid: source", "errors": [
                    {"field": "source", "value": "gopher://x", "allowed": "synthetic:, file:, http: or https:"},
                ]}),
            )
            .into_response(),
        }
    };
    let edit = async move |headers: HeaderMap, Json(spec): Json<Value>| {
        if headers.get(header::IF_MATCH).is_none_or(|v| v != "\"17\"") {
            return problem(
                StatusCode::PRECONDITION_FAILED,
                json!({"title": "Precondition Failed"}),
            )
            .into_response();
        }
        Json(view(spec["name"].as_str().unwrap())).into_response()
    };
    let router = Router::new()
        .route("/api/v1/streams", get(list).post(add))
        .route(
            "/api/v1/streams/door",
            put(edit).get(async || Json(view("Door"))),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn against_gateway(arguments: &'static [&'static str]) -> Output {
    let address = gateway().await;
    let call = move || reelay(&[&["--server", &address], arguments].concat());
    tokio::task::spawn_blocking(call).await.unwrap()
}

#[test]
fn the_version_is_printed() {
    let output = reelay(&["version"]);
    assert_eq!(
        text(&output.stdout),
        format!("reelay {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(output.status.success());
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let output = reelay(&["completion", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("streams"), "{shell}");
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    assert_eq!(
        reelay(&["streams", "show", "No_Label"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_gateway_that_is_not_there_is_explained() {
    let server = format!("http://127.0.0.1:{}", free_port());
    let output = reelay(&["streams", "list", "--server", &server]);
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(
        error.contains(&server) && error.contains("port-forward"),
        "{error}"
    );
}

#[test]
fn a_kafka_that_is_not_there_is_explained() {
    let servers = format!("127.0.0.1:{}", free_port());
    let output = reelay(&["topics", "list", "--kafka-bootstrap-servers", &servers]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(
        error.contains(&servers) && error.contains("KAFKA_BOOTSTRAP_SERVERS"),
        "{error}"
    );
}

#[tokio::test]
async fn streams_are_listed_as_table_and_as_json() {
    let output = against_gateway(&["streams", "list"]).await;
    let lines = text(&output.stdout);
    assert!(lines.starts_with("ID    NAME  PHASE"), "{lines}");
    assert!(lines.contains("door  Door  live"), "{lines}");
    let output = against_gateway(&["streams", "list", "--output", "json"]).await;
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["spec"]["id"], "door");
}

#[tokio::test]
async fn a_refused_spec_names_field_value_and_what_is_allowed() {
    let add = [
        "--token",
        "open-sesame",
        "streams",
        "add",
        "yard",
        "--source",
        "gopher://x",
    ]
    .as_slice();
    let output = against_gateway(Box::leak(Box::from(add))).await;
    assert_eq!(output.status.code(), Some(4));
    let error = text(&output.stderr);
    assert!(
        error.contains("source: \"gopher://x\" is not valid; allowed: synthetic:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_token_is_explained() {
    let output = against_gateway(&["streams", "add", "yard", "--source", "synthetic:"]).await;
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("REELAY_TOKEN"));
}

#[tokio::test]
async fn a_stream_that_is_there_is_left_alone_if_asked() {
    let output = against_gateway(&[
        "--token",
        "open-sesame",
        "streams",
        "add",
        "door",
        "--source",
        "synthetic:",
        "--if-absent",
    ])
    .await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let again = against_gateway(&[
        "--token",
        "open-sesame",
        "streams",
        "add",
        "door",
        "--source",
        "synthetic:",
    ])
    .await;
    assert_eq!(again.status.code(), Some(4));
}

#[tokio::test]
async fn an_edit_names_the_version_that_it_was_made_from() {
    let output = against_gateway(&["streams", "edit", "door", "--name", "Back door"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Back door"));
}
