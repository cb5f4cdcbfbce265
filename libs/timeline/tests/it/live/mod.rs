//! Live playlists: what replicas derive from a log.

mod golden;
mod log;
mod properties;
