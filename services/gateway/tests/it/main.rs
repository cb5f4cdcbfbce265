//! The gateway as it is run, on a real Kafka.
#![allow(clippy::unwrap_used)]

mod documents;
mod edits;
mod guards;
mod live;
mod pages;
mod quality;
mod start;
mod stopping;
mod tls;
mod updates;
