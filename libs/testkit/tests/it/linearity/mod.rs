//! The checker passes sound logs and services, and finds each kind of fault.

mod boxes;
mod log;
mod served;
mod sound;
