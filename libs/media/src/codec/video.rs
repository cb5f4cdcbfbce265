//! Video in any of the codecs that are carried as they are.

use super::{
    AccessUnit, Av1Config, AvcConfig, AvcStream, HevcConfig, Malformed, Vp9Config, av1::Av1Stream,
    h265::HevcStream, vp9::Vp9Stream,
};

/// Codecs of video that are carried as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VideoKind {
    Avc,
    Hevc,
    Av1,
    Vp9,
}

/// The configuration of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VideoConfig {
    Avc(AvcConfig),
    Hevc(HevcConfig),
    Av1(Av1Config),
    Vp9(Vp9Config),
}

impl VideoConfig {
    /// Width and height in pixels, each below 2¹⁶.
    pub(crate) fn size(&self) -> (u32, u32) {
        match self {
            Self::Avc(config) => (config.width, config.height),
            Self::Hevc(config) => (config.info.width, config.info.height),
            Self::Av1(config) => (config.width, config.height),
            Self::Vp9(config) => (config.width, config.height),
        }
    }
}

/// Reads the frames of one stream.
#[derive(Debug)]
pub(crate) enum VideoStream {
    Avc(AvcStream),
    Hevc(HevcStream),
    Av1(Av1Stream),
    Vp9(Vp9Stream),
}

impl VideoStream {
    /// A stream whose codec configuration is `extradata`, which may be empty.
    pub(crate) fn new(kind: VideoKind, extradata: &[u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            VideoKind::Avc => Self::Avc(AvcStream::new(extradata)?),
            VideoKind::Hevc => Self::Hevc(HevcStream::new(extradata)?),
            VideoKind::Av1 => Self::Av1(Av1Stream::new(extradata)),
            VideoKind::Vp9 => Self::Vp9(Vp9Stream::default()),
        })
    }

    /// Reads one frame. `container_says_key` counts for H.264 whose intra pictures are not marked
    /// as recovery points.
    pub(crate) fn frame(
        &mut self,
        data: &[u8],
        container_says_key: bool,
    ) -> Result<AccessUnit, Malformed> {
        match self {
            Self::Avc(stream) => stream.access_unit(data, container_says_key),
            Self::Hevc(stream) => stream.access_unit(data),
            Self::Av1(stream) => stream.temporal_unit(data),
            Self::Vp9(stream) => stream.frame(data),
        }
    }

    /// The configuration; none before the first parameter sets.
    pub(crate) fn config(&self) -> Option<VideoConfig> {
        match self {
            Self::Avc(stream) => stream.config().cloned().map(VideoConfig::Avc),
            Self::Hevc(stream) => stream.config().cloned().map(VideoConfig::Hevc),
            Self::Av1(stream) => stream.config().cloned().map(VideoConfig::Av1),
            Self::Vp9(stream) => stream.config().cloned().map(VideoConfig::Vp9),
        }
    }

    /// Greatest number of frames that come before one that is shown earlier, if that is known.
    pub(crate) fn reorder(&self) -> Option<usize> {
        match self {
            Self::Avc(stream) => stream.config()?.reorder,
            Self::Hevc(stream) => Some(stream.config()?.info.reorder),
            // Frames that are not shown yet are packed with those that are.
            Self::Av1(_) | Self::Vp9(_) => Some(0),
        }
    }

    /// Frames a second as numerator and denominator, if the stream says that they come evenly.
    pub(crate) fn frame_rate(&self) -> Option<(u32, u32)> {
        match self {
            Self::Avc(stream) => stream.config()?.frame_rate,
            _ => None,
        }
    }

    /// Whether the pieces of a frame get their lengths before them.
    pub(crate) fn has_lengths(&self) -> bool {
        matches!(self, Self::Avc(_) | Self::Hevc(_))
    }
}
