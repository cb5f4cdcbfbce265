//! Live playlists: what replicas derive from a log.
#![allow(clippy::unwrap_used)]

mod dash;
mod golden;
mod log;
mod properties;
