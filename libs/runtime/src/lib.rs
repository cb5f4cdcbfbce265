//! What every service process needs and none should write again: layered
//! configuration, logs, traces, metrics, health, signals and panics.
//!
//! A service's `main` is one call of [`run`]; its `app` gets a [`Runtime`] and can
//! be started by tests with [`Runtime::detached`]. Nothing here knows about media,
//! and of Kafka only how a service is told where it is ([`args::KafkaArgs`]).

pub mod admin;
pub mod args;
pub mod config;
pub mod health;
pub mod metrics;
mod panic;
mod service;
mod signal;
pub mod telemetry;
pub mod topics;
pub mod trace;

pub use health::{Check, Health};
pub use service::{Runtime, Service, run};
pub use tokio_util::sync::CancellationToken;
