//! Pulls cameras and files into the Kafka log.
//!
//! The way of a stream through this service: `streams` says which streams this process owns;
//! a `supervisor` per stream claims it (`claiming`) and, as its `owner`, runs a media worker on
//! its source (`resolve`, `credentials`, `source`), numbers what comes (`timeline`), appends it (`publish`), and lists
//! finished segments (`indexer`). `follower` and `foreign` tell an owner when it was fenced;
//! `repeat` keeps its claim in the log; `status` says how the stream fares.

pub mod app;
pub mod config;
pub mod credentials;
pub mod resolve;

mod claiming;
mod follower;
mod foreign;
mod indexer;
mod owner;
mod publish;
mod records;
mod repeat;
mod source;
mod status;
mod streams;
mod supervisor;
mod timeline;
