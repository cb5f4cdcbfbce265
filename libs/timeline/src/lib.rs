//! The rules of the log as plain functions and state machines, no I/O.

mod fence;
mod specs;

pub use fence::{Fence, Fences, Stamp, Verdict, Void};
pub use specs::{InForce, SpecChange, SpecRefusal, Specs};
