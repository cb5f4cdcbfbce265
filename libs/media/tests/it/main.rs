//! Runs real media workers, looks at what they make with FFmpeg's own tools.
#![allow(clippy::unwrap_used)]

mod collect;
mod synthetic;
