//! What has to be known about codecs: parameter sets, keyframes, configurations. Plain functions
//! of bytes, without FFmpeg.

mod aac;
mod h264;
mod opus;

pub(crate) use aac::AacConfig;
pub(crate) use h264::{AccessUnit, AvcConfig, AvcStream, FrameKind, Layout};
pub(crate) use opus::OpusConfig;

/// Bytes that cannot be what they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub String);

impl Malformed {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
