//! Transcode workers: what they make, that it is the same everywhere, and what becomes of it when
//! something goes wrong.

mod faults;
mod frames;
mod run;
mod same_bytes;
mod segments;
