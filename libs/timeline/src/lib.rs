//! The rules of the log as plain functions and state machines, no I/O.

mod fence;
pub mod hls;
mod specs;
pub mod track;
pub mod window;

pub use fence::{Fence, Fences, Stamp, Verdict, Void};
pub use specs::{InForce, SpecChange, SpecRefusal, Specs};
