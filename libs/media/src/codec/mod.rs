//! What has to be known about codecs: parameter sets, keyframes, configurations. Plain functions
//! of bytes, without FFmpeg.

mod aac;
mod av1;
mod h264;
mod h265;
mod nal;
mod opus;
mod video;
mod vp9;

pub(crate) use aac::{AacConfig, adts_header_length};
pub(crate) use av1::Av1Config;
pub(crate) use h264::{AvcConfig, AvcStream};
pub(crate) use h265::{HevcConfig, PPS as HEVC_PPS, SPS as HEVC_SPS, VPS as HEVC_VPS};
pub(crate) use nal::{AccessUnit, FrameKind};
pub(crate) use opus::{OpusConfig, packet_samples as opus_packet_samples};
pub(crate) use video::{VideoConfig, VideoKind, VideoStream};
pub(crate) use vp9::Vp9Config;

/// Bytes that cannot be what they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub String);

impl Malformed {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
