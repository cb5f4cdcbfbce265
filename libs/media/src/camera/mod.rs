//! The synthetic camera: what it draws and what it sounds like, without FFmpeg.

mod clock_code;
mod font;
mod picture;
mod tone;

pub use clock_code::read_clock;
pub(crate) use picture::{Canvas, Scene};
pub(crate) use tone::tone;
