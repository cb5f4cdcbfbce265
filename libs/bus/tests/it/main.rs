//! The library against a real Kafka.

#![allow(clippy::unwrap_used)]

mod admin;
mod fetch;
mod group;
mod media;
mod outage;
mod produce;
mod setup;
mod tail;
