//! The rules of the log as plain functions and state machines, no I/O.

pub mod anchor;
mod claim;
pub mod dash;
mod fence;
pub mod gaps;
pub mod hls;
mod numbering;
mod specs;
mod survey;
pub mod track;
pub mod window;

pub use claim::{
    CLAIMED_TOPICS, Claimant, Lost, ReadFrom, Step, claim_header, end_header, opening_header,
};
pub use fence::{Fence, Fences, Stamp, Verdict, Void};
pub use numbering::{Known, LastSegment, Repair, Takeover, TrackEnd, take_over};
pub use specs::{InForce, SpecChange, SpecRefusal, Specs};
pub use survey::{Body, IndexSurvey, IndexedSegment, LoggedSegment, MediaSurvey};

/// Reads a number in its canonical decimal spelling: names of files have no other.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let sound = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    sound.then(|| text.parse().ok()).flatten()
}
