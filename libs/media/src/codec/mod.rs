//! What has to be known about codecs: parameter sets, keyframes, configurations. Plain functions
//! of bytes, without FFmpeg.

mod aac;
mod h264;
mod opus;

pub(crate) use aac::{AacConfig, adts_header_length};
pub(crate) use h264::{AvcConfig, AvcStream, FrameKind};
pub(crate) use opus::{OpusConfig, packet_samples as opus_packet_samples};

/// Bytes that cannot be what they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub String);

impl Malformed {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
