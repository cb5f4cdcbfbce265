//! Transcode against a real broker, a real ingest and real workers.

#![allow(clippy::unwrap_used)]

mod faults;
mod ladder;
mod overload;
mod setup;
