//! Makes the ladder of every stream from the log, into the log.
//!
//! The way of a segment through this service: `streams` says which partitions this process works
//! on; a `partition` follows `index` and `source` there and hands each stream its records
//! (`history` is what stood there before); a `stream` keeps the to-do list (`reelay_timeline::todo`),
//! lets a `worker` make the rungs of one segment after the other (`run`, `rung`), and hands them to
//! the log (`publish`, `indexer`). `heal` makes up for gaps with what the machine has to spare
//! (`pool`); `status` says how the stream fares.

pub mod app;
pub mod config;

mod heal;
mod history;
mod indexer;
mod partition;
mod pool;
mod publish;
mod records;
mod run;
mod rung;
mod source;
mod status;
mod stream;
mod streams;
mod worker;
