//! What tests, and `make run`, are built on: processes that can be killed, paused and
//! restarted, real Apache Kafka clusters and whole systems made of them.
//!
//! Everything listens on loopback only, on free ports, keeps its data in a folder of
//! its own, and dies with the process that started it, even if that one is killed.
//! This crate is never a part of a service.

pub mod broken;
pub mod camera;
pub mod kafka;
#[cfg(feature = "linearity")]
pub mod linearity;
pub mod ports;
pub mod process;
pub mod scratch;
#[cfg(feature = "stack")]
pub mod stack;
pub mod wait;

use std::path::PathBuf;

pub use camera::Camera;
pub use kafka::KafkaCluster;
pub use process::{Process, ProcessSpec};
pub use scratch::ScratchDir;
#[cfg(feature = "stack")]
pub use stack::Stack;
pub use wait::wait_until;

/// What can go wrong when something is started, faulted or waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, folder or socket could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path or address.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be started, or ended before it was ready.
    #[error("{name}: {why}{}", tail_of(log))]
    Process {
        /// The process's short name, such as `kafka-1`.
        name: String,
        /// What happened.
        why: String,
        /// Its last log lines; may be empty.
        log: Vec<String>,
    },
    /// A condition did not come true in time.
    #[error("gave up after {waited:?} waiting for {what}")]
    Timeout {
        /// The condition.
        what: String,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// An HTTP request failed, or was answered with an error.
    #[error("{url}: {why}")]
    Http {
        /// The address.
        url: String,
        /// What the client or the server said.
        why: String,
    },
    /// The topics could not be made, or are there with other settings.
    #[error("topics in the Kafka at {servers}: {why}")]
    Topics {
        /// The cluster's `bootstrap.servers`.
        servers: String,
        /// What was refused, or which setting of which topic is not as wanted.
        why: String,
    },
    /// Something that has to be installed or built first is not there.
    #[error("{0}")]
    Missing(String),
}

impl Error {
    /// Wraps an I/O error with what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    #[cfg(feature = "stack")]
    fn http(url: &str) -> impl FnOnce(reqwest::Error) -> Self {
        let url = url.to_owned();
        move |error| Self::Http {
            url,
            why: chain(&error),
        }
    }
}

fn tail_of(log: &[String]) -> String {
    if log.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n  {}", log.join("\n  "))
}

/// An error and what is behind it: reqwest's own text says only that sending failed.
#[cfg(feature = "stack")]
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}

/// The root of the checkout that this crate was built from.
pub fn project_root() -> PathBuf {
    let crate_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_dir
        .ancestors()
        .nth(2)
        .map_or_else(|| crate_dir.clone(), PathBuf::from)
}
