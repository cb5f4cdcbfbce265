//! Ingest against a real Kafka. What lies in the log afterwards is judged by the
//! media-linearity checker, which shares no rule with this service.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod broken_cameras;
mod cameras;
mod files;
mod outage;
mod setup;
mod specs;
mod synthetic;
mod takeover;
