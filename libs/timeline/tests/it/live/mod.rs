//! Live playlists: what replicas derive from a log.
#![allow(clippy::unwrap_used)]

mod golden;
mod log;
mod properties;
