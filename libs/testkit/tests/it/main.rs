//! Tests of the kit itself, against real processes and real Kafka.

#![allow(clippy::unwrap_used)]

mod docs;
mod kafka;
mod linearity;
mod local;
mod process;
mod system;
