//! Runs real media workers, looks at what they make with FFmpeg's own tools.
#![allow(clippy::unwrap_used)]

mod broken;
mod clips;
mod codecs;
mod collect;
mod device;
mod file;
mod http;
mod rtsp;
mod supervision;
mod synthetic;
mod transcode;
