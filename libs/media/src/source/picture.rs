//! A file's video: access units and formats.

use ffmpeg_next::{Packet, codec::Id};
use reelay_model::{Micros, Timescale, Track};

use super::{Failure, demux::StreamInfo};
use crate::{
    SourceProblemCode, TrackInfo,
    cmaf::{Codec, init_segment},
    codec::{AvcStream, FrameKind, Malformed},
    publish::{Payload, part_target},
    segmenter::VIDEO_TIMESCALE,
};

/// The video of a file.
pub(super) struct Picture {
    stream: AvcStream,
    /// Number of the format that is in force.
    format: u32,
    next_format: u32,
    frame_rate_milli: u32,
    bandwidth: u32,
    part_target: Micros,
}

/// A frame as it goes into the track.
pub(super) struct PictureFrame {
    pub kind: FrameKind,
    pub format: u32,
    pub payload: Payload,
    /// The track's format has changed with this frame.
    pub new_track: Option<TrackInfo>,
}

impl Picture {
    /// The video of this stream; `bit_rate` is the file's, if the stream does not say its own.
    pub(super) fn new(stream: &StreamInfo, bit_rate: u64, target: Micros) -> Result<Self, Failure> {
        if stream.codec() != Id::H264 {
            return Err(Failure::Problem(
                SourceProblemCode::UnsupportedCodec,
                format!(
                    "the video codec {} is not carried yet, only H.264 is: set the source to \
                     H.264; H.265, AV1 and VP9 come with a later version",
                    stream.codec().name().to_uppercase()
                ),
            ));
        }
        let own_rate = stream.parameters.bit_rate().max(0) as u64;
        let bandwidth = if own_rate > 0 { own_rate } else { bit_rate };
        let (mut rate, mut parts) = (0, target);
        if let Some(fps) = stream.frame_rate {
            let (fps, per) = (fps.numerator() as u64, fps.denominator().max(1) as u64);
            rate = u32::try_from(1000 * fps / per).unwrap_or(0);
            let frame = (u64::from(VIDEO_TIMESCALE) * per + fps / 2) / fps;
            parts = part_target(target, frame, Timescale(VIDEO_TIMESCALE));
            // Where a frame is no whole number of the timestamps' units, as with ms, frames are a
            // little longer and shorter in turn.
            let base = stream.base;
            let units = i128::from(per) * i128::from(base.denominator);
            if units % (i128::from(fps) * i128::from(base.numerator).max(1)) != 0 {
                parts.0 += base.ticks(1, 1_000_000).max(1);
            }
        }
        Ok(Self {
            stream: AvcStream::new(stream.extradata()).map_err(unreadable)?,
            format: 0,
            next_format: 0,
            frame_rate_milli: rate,
            bandwidth: u32::try_from(bandwidth).unwrap_or(u32::MAX),
            part_target: parts,
        })
    }

    /// Greatest duration of a part.
    pub(super) fn part_target(&self) -> Micros {
        self.part_target
    }

    /// Reads a packet. The track is said with the first keyframe and when it changes.
    pub(super) fn frame(&mut self, packet: Packet) -> Result<PictureFrame, Malformed> {
        let data = packet.data().unwrap_or_default();
        let unit = self.stream.access_unit(data, packet.is_key())?;
        let mut new_track = None;
        if unit.kind.is_key() && (unit.new_config || self.next_format == 0) {
            new_track = Some(self.track()?);
            self.format = self.next_format;
            self.next_format += 1;
        }
        Ok(PictureFrame {
            kind: unit.kind,
            format: self.format,
            payload: Payload::Nals(packet, unit.nals),
            new_track,
        })
    }

    fn track(&self) -> Result<TrackInfo, Malformed> {
        let config = self
            .stream
            .config()
            .cloned()
            .ok_or_else(|| Malformed("a keyframe without parameter sets".to_owned()))?;
        let (width, height) = (config.width, config.height);
        let codec = Codec::Avc(config);
        Ok(TrackInfo {
            track: Track::Video,
            codecs: codec.codecs(),
            timescale: Timescale(VIDEO_TIMESCALE),
            width,
            height,
            frame_rate_milli: self.frame_rate_milli,
            channels: 0,
            sample_rate: 0,
            bandwidth: self.bandwidth,
            part_target: self.part_target,
            init: init_segment(&codec, VIDEO_TIMESCALE)
                .map_err(|error| Malformed(error.to_string()))?
                .into(),
        })
    }
}

fn unreadable(error: Malformed) -> Failure {
    Failure::Problem(
        SourceProblemCode::InvalidFormat,
        format!("the video's configuration cannot be read: {error}"),
    )
}
