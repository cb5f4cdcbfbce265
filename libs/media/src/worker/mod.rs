//! The worker protocol: frames on the child's stdin and stdout, the child and its supervisor, for
//! sources and for transcoding.

mod child;
mod frame;
mod output;
mod source;
mod supervisor;
mod transcode;
mod transcode_child;
mod transcode_frame;
mod work;

pub use child::worker_main;
pub(crate) use frame::ChunkHead;
pub(crate) use output::{Gone, Output};
pub use source::SourceWorker;
pub use supervisor::WorkerError;
pub use transcode::{TranscodeInput, TranscodeWorker};
pub use work::Work;
