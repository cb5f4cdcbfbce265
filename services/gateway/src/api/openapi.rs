//! The OpenAPI document: operations are written here, schemas come from the types themselves.
//!
//! `docs/api/openapi.json` is a copy of it; a test fails when that is stale.

use axum::Json;
use reelay_model::{QoeReport, RawStreamSpec};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::problem::Details;
use super::streams::StreamList;
use super::updates::Update;
use super::{Info, StreamView};

pub(super) async fn serve() -> Json<Value> {
    Json(document())
}

/// The document (OpenAPI 3.1).
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    generator.subschema_for::<RawStreamSpec>();
    generator.subschema_for::<StreamView>();
    generator.subschema_for::<StreamList>();
    generator.subschema_for::<QoeReport>();
    generator.subschema_for::<Info>();
    generator.subschema_for::<Update>();
    generator.subschema_for::<Details>();
    let schemas = generator.take_definitions(true);

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reelay gateway",
            "version": "1",
            "description": "Streams of a Reelay deployment: what is wanted and how it fares. \
                Writes are answered when they are in force.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/api/v1/streams": {
                "get": operation("listStreams", "All streams", &[], None, &[
                    ("200", "The streams, by id", Some("StreamList"))]),
                "post": guarded(operation("addStream", "Add a stream", &[], Some(schema("StreamSpec")), &[
                    ("201", "The stream in force", Some("StreamView")),
                    ("409", "A stream of that id exists", Some("Problem")),
                    ("415", "The body is not application/json", Some("Problem")),
                    ("422", "Fields are not valid", Some("Problem")),
                    ("503", "Kafka did not take the record", Some("Problem"))])),
            },
            "/api/v1/streams/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": schema("StreamId")}],
                "get": operation("showStream", "One stream", &[], None, &[
                    ("200", "The stream", Some("StreamView")),
                    ("404", "There is no such stream", Some("Problem"))]),
                "put": guarded(operation("changeStream", "Change a stream", &[if_match()],
                    Some(schema("StreamSpec")), &[
                    ("200", "The stream in force", Some("StreamView")),
                    ("404", "There is no such stream", Some("Problem")),
                    ("412", "The edit was made from another version than the one in force", Some("Problem")),
                    ("415", "The body is not application/json", Some("Problem")),
                    ("422", "Fields are not valid", Some("Problem")),
                    ("503", "Kafka did not take the record", Some("Problem"))])),
                "delete": guarded(operation("removeStream", "Remove a stream", &[if_match()], None, &[
                    ("204", "The stream is gone", None),
                    ("404", "There is no such stream", Some("Problem")),
                    ("412", "The edit was made from another version than the one in force", Some("Problem")),
                    ("503", "Kafka did not take the record", Some("Problem"))])),
            },
            "/api/v1/updates": {
                "get": guarded(operation("followUpdates",
                    "Changes as they happen: a WebSocket of subprotocol reelay.v1; messages are Update. \
                     Pages offer the token as subprotocol reelay.token.<base64url of it>.", &[], None, &[
                    ("101", "A WebSocket; each text message is an Update", None),
                    ("403", "The page is of another origin", Some("Problem"))])),
            },
            "/api/v1/qoe": {
                "post": operation("reportQuality", "What a player measured, 1 to 20 reports", &[],
                    Some(json!({"type": "array", "items": schema("QoeReport"), "minItems": 1, "maxItems": 20})), &[
                    ("204", "Written", None),
                    ("415", "The body is not application/json", Some("Problem")),
                    ("422", "Fields are not valid", Some("Problem")),
                    ("429", "Too many reports", Some("Problem")),
                    ("503", "Kafka did not take the records", Some("Problem"))]),
            },
            "/api/v1/info": {
                "get": operation("showInfo", "What this gateway is, and its clock", &[], None, &[
                    ("200", "The gateway", Some("Info"))]),
            },
            "/api/v1/time": {
                "get": {"operationId": "showTime", "summary": "The gateway's clock, for players (DASH UTCTiming)",
                    "responses": {"200": {"description": "The time now, ISO 8601 with milliseconds",
                        "content": {"text/plain": {"schema": {"type": "string", "format": "date-time"}}}}}},
            },
            "/api/v1/openapi.json": {
                "get": {"operationId": "showDocument", "summary": "This document",
                    "responses": {"200": {"description": "The document",
                        "content": {"application/json": {"schema": {"type": "object"}}}}}},
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer",
                "description": "Needed for writes and updates when the gateway was started with a token"}},
        },
    })
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn if_match() -> Value {
    json!({"name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"},
        "description": "The version that the edit is based on, in quotes; the one in force where it is absent"})
}

fn operation(
    id: &str,
    summary: &str,
    parameters: &[Value],
    body: Option<Value>,
    responses: &[(&str, &str, Option<&str>)],
) -> Value {
    let mut operation = json!({"operationId": id, "summary": summary, "responses": {}});
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(body) = body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": body}}});
    }
    for (status, description, name) in responses {
        let mut response = json!({"description": description});
        if let Some(name) = name {
            let kind = if *name == "Problem" {
                "application/problem+json"
            } else {
                "application/json"
            };
            response["content"] = json!({kind: {"schema": schema(name)}});
        }
        operation["responses"][*status] = response;
    }
    operation
}

/// An operation that other origins may not do, and that needs the token if one is set.
fn guarded(mut operation: Value) -> Value {
    operation["security"] = json!([{"token": []}, {}]);
    for (status, description) in [
        ("401", "The token is missing or another one"),
        ("403", "The request comes from a page of another origin"),
    ] {
        operation["responses"][status] = json!({"description": description,
            "content": {"application/problem+json": {"schema": schema("Problem")}}});
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/openapi.json");

    #[test]
    fn the_copy_in_docs_is_what_is_served() {
        let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
        if std::env::var_os("REELAY_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(std::path::Path::new(COPY).parent().unwrap()).unwrap();
            std::fs::write(COPY, &text).unwrap();
        }
        let copy = std::fs::read_to_string(COPY).unwrap_or_default();
        assert!(
            copy == text,
            "docs/api/openapi.json is stale: run `make schemas`"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut stack = vec![&document];
        while let Some(value) = stack.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    stack.extend(map.values());
                }
                Value::Array(items) => stack.extend(items),
                _ => {}
            }
        }
    }
}
