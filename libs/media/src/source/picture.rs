//! A source's video: access units and formats of what is carried as it is, keyframes of the rest.

use ffmpeg_next::{
    Packet,
    codec::{Id, Parameters},
};
use memchr::memmem;
use reelay_model::{Micros, Timescale, Track};

use super::{Failure, demux::StreamInfo};
use crate::{
    SourceProblemCode, TrackInfo,
    cmaf::{Codec, init_segment},
    codec::{FrameKind, Malformed, VideoKind, VideoStream},
    publish::{Payload, part_target},
    segmenter::VIDEO_TIMESCALE,
};

/// The video of a source.
pub(super) struct Picture {
    /// None for what is not carried as it is.
    stream: Option<VideoStream>,
    parameters: Parameters,
    /// Number of the format that is in force.
    format: u32,
    next_format: u32,
    /// Frames per second as numerator and denominator, as the container says.
    frame_rate: Option<(u32, u32)>,
    /// The container's timestamps are not fine enough for frames of even length.
    uneven: Option<Micros>,
    bandwidth: u32,
    /// Length of a part that is aimed at.
    target: Micros,
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
        let own_rate = stream.parameters.bit_rate().max(0) as u64;
        let bandwidth = if own_rate > 0 { own_rate } else { bit_rate };
        let frame_rate = stream.frame_rate.and_then(|rate| {
            let number = |number: i32| u32::try_from(number).ok().filter(|number| *number > 0);
            Some((number(rate.numerator())?, number(rate.denominator())?))
        });
        // Where a frame is no whole number of the timestamps' units, as with ms, frames are a
        // little longer and shorter in turn.
        let uneven = frame_rate.and_then(|(fps, per)| {
            let base = stream.base;
            let units = i128::from(per) * i128::from(base.denominator);
            let frame = i128::from(fps) * i128::from(base.numerator).max(1);
            (units % frame != 0).then(|| Micros(base.ticks(1, 1_000_000).max(1)))
        });
        Ok(Self {
            stream: kind(stream.codec())
                .map(|kind| VideoStream::new(kind, stream.extradata()))
                .transpose()
                .map_err(unreadable)?,
            parameters: stream.parameters.clone(),
            format: 0,
            next_format: 0,
            frame_rate,
            uneven,
            bandwidth: u32::try_from(bandwidth).unwrap_or(u32::MAX),
            target,
        })
    }

    /// Frames per second as numerator and denominator, if they come evenly.
    fn rate(&self) -> Option<(u32, u32)> {
        self.frame_rate
            .or_else(|| self.stream.as_ref().and_then(VideoStream::frame_rate))
    }

    /// Frames per 1000 seconds; 0 where they vary. Known with the first keyframe.
    pub(super) fn frame_rate_milli(&self) -> u32 {
        self.rate().map_or(0, |(fps, per)| {
            u32::try_from(1000 * u64::from(fps) / u64::from(per)).unwrap_or(0)
        })
    }

    /// Whether it is carried as it is.
    pub(super) fn is_carried(&self) -> bool {
        self.stream.is_some()
    }

    /// What a decoder has to know.
    pub(super) fn parameters(&self) -> Parameters {
        self.parameters.clone()
    }

    /// Greatest duration of a part. Known with the first keyframe.
    pub(super) fn part_target(&self) -> Micros {
        let Some((fps, per)) = self.rate() else {
            return self.target;
        };
        let (fps, per) = (u64::from(fps), u64::from(per));
        let frame = (u64::from(VIDEO_TIMESCALE) * per + fps / 2) / fps;
        let even = part_target(self.target, frame, Timescale(VIDEO_TIMESCALE));
        Micros(even.0 + self.uneven.map_or(0, |unit| unit.0))
    }

    /// Greatest number of frames that come before one that is shown earlier, if that is known.
    pub(super) fn reorder(&self) -> Option<usize> {
        self.stream.as_ref().map_or(Some(0), VideoStream::reorder)
    }

    /// Reads a packet. The track is said with the first keyframe and when it changes.
    pub(super) fn frame(&mut self, packet: Packet) -> Result<PictureFrame, Malformed> {
        let data = packet.data().unwrap_or_default();
        let Some(stream) = &mut self.stream else {
            let kind = match packet.is_key() || self.begins(data) {
                true => FrameKind::Idr,
                false => FrameKind::Delta,
            };
            return Ok(PictureFrame {
                kind,
                format: 0,
                payload: Payload::Packet(packet, 0),
                new_track: None,
            });
        };
        let unit = stream.frame(data, packet.is_key())?;
        let has_lengths = stream.has_lengths();
        let mut new_track = None;
        if unit.kind.is_key() && (unit.new_config || self.next_format == 0) {
            new_track = Some(self.track()?);
            self.format = self.next_format;
            self.next_format += 1;
        }
        let payload = if has_lengths {
            Payload::Nals(packet, unit.nals)
        } else {
            Payload::Pieces(packet, unit.nals)
        };
        Ok(PictureFrame {
            kind: unit.kind,
            format: self.format,
            payload,
            new_track,
        })
    }

    /// Whether a decoder can begin with a packet that no container marks.
    fn begins(&self, data: &[u8]) -> bool {
        match self.parameters.id() {
            Id::MJPEG => true,
            // An I-VOP (ISO/IEC 14496-2 §6.3.5).
            Id::MPEG4 => memmem::find(data, &[0, 0, 1, 0xb6])
                .and_then(|at| data.get(at + 4))
                .is_some_and(|byte| byte >> 6 == 0),
            _ => false,
        }
    }

    fn track(&self) -> Result<TrackInfo, Malformed> {
        let config = self
            .stream
            .as_ref()
            .and_then(VideoStream::config)
            .ok_or_else(|| Malformed("a keyframe without parameter sets".to_owned()))?;
        let (width, height) = config.size();
        let codec = Codec::from(config);
        Ok(TrackInfo {
            track: Track::Video,
            codecs: codec.codecs(),
            timescale: Timescale(VIDEO_TIMESCALE),
            width,
            height,
            frame_rate_milli: self.frame_rate_milli(),
            channels: 0,
            sample_rate: 0,
            bandwidth: self.bandwidth,
            part_target: self.part_target(),
            init: init_segment(&codec, VIDEO_TIMESCALE)
                .map_err(|error| Malformed(error.to_string()))?
                .into(),
        })
    }
}

/// The codecs that are carried as they are.
fn kind(codec: Id) -> Option<VideoKind> {
    match codec {
        Id::H264 => Some(VideoKind::Avc),
        Id::HEVC => Some(VideoKind::Hevc),
        Id::AV1 => Some(VideoKind::Av1),
        Id::VP9 => Some(VideoKind::Vp9),
        _ => None,
    }
}

fn unreadable(error: Malformed) -> Failure {
    Failure::Problem(
        SourceProblemCode::InvalidFormat,
        format!("the video's configuration cannot be read: {error}"),
    )
}
