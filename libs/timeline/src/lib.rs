//! The rules of the log as plain functions and state machines, no I/O.

mod claim;
mod fence;
pub mod gaps;
pub mod hls;
mod numbering;
mod specs;
mod survey;
pub mod todo;
pub mod track;
pub mod window;

pub use claim::{
    CLAIMED_TOPICS, Claimant, Lost, ReadFrom, Step, claim_header, end_header, opening_header,
};
pub use fence::{Fence, Fences, Stamp, Verdict, Void};
pub use numbering::{Known, LastSegment, Repair, Takeover, TrackEnd, take_over};
pub use specs::{InForce, SpecChange, SpecRefusal, Specs};
pub use survey::{Body, IndexSurvey, IndexedSegment, LoggedSegment, MediaSurvey};
