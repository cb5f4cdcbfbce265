//! The worker protocol: frames on the child's stdin and stdout, the child and its supervisor.

mod child;
mod frame;
mod output;
mod supervisor;

pub use child::worker_main;
pub(crate) use frame::ChunkHead;
pub(crate) use output::{Gone, Output};
pub use supervisor::{SourceWorker, WorkerError};
