//! The reader side of the log: what counts of a track's records, and what they amount to.

mod index;
mod reader;
mod segment;

pub use index::{IndexReader, StartAt};
pub use reader::{Entry, Next, Outcome, Start, TrackReader};
pub use segment::{Content, Part, Segment};
