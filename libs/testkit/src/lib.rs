//! What tests, and `make run`, are built on: processes that can be killed, paused and
//! restarted, and real Apache Kafka clusters made of them.
//!
//! Everything listens on loopback only, on free ports, keeps its data in a folder of
//! its own, and dies with the process that started it, even if that one is killed.
//! This crate is never a part of a service.

pub mod kafka;
pub mod ports;
pub mod process;
pub mod scratch;
pub mod wait;

use std::path::PathBuf;

pub use kafka::KafkaCluster;
pub use process::{Process, ProcessSpec};
pub use scratch::ScratchDir;
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
}

fn tail_of(log: &[String]) -> String {
    if log.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n  {}", log.join("\n  "))
}

/// The root of the checkout that this crate was built from.
pub fn project_root() -> PathBuf {
    let crate_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_dir
        .ancestors()
        .nth(2)
        .map_or_else(|| crate_dir.clone(), PathBuf::from)
}
