//! Video that cannot be carried as it is: decoded, and encoded as H.264 with a keyframe every 2 s.
//!
//! Frames keep their times. It stands between the line and the segmenter, so that files and live
//! sources use it in the same way.

use std::collections::VecDeque;

use ffmpeg_next::{Packet, codec::Parameters, frame, util::picture::Type};
use reelay_model::{LatencyMode, Micros, Timescale, Track};

use super::Failure;
use crate::{
    TrackInfo,
    av::{PictureDecoder, X264},
    cmaf::{Codec, init_segment},
    codec::AvcStream,
    publish::Payload,
    segmenter::{VIDEO_TIMESCALE, VideoFrame},
};

/// Keyframes come so far apart, in 1/90,000 s.
const KEYFRAMES: i64 = 2 * VIDEO_TIMESCALE as i64;
/// What the encoder plans with where frames do not come evenly.
const USUAL_RATE: u32 = 25;
/// Bits of a pixel: enough for a good picture of a camera.
const PIXEL_MILLIBITS: u64 = 100;

/// Encodes one source's video.
pub(super) struct Recoder {
    decoder: PictureDecoder,
    encoder: Option<Encoder>,
    latency: LatencyMode,
    /// Frames per 1000 s; 0 where they vary.
    frame_rate_milli: u32,
    part_target: Micros,
    /// Of frames whose picture is still to come.
    waiting: VecDeque<Waiting>,
}

struct Encoder {
    x264: X264,
    stream: AvcStream,
    size: (u32, u32),
    format: u32,
    last_key: Option<i64>,
    /// Nothing has come out yet.
    fresh: bool,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    time: i64,
    capture: Micros,
    cursor: Option<u64>,
    discontinuity: bool,
}

/// What comes out.
pub(super) enum Recoded {
    /// The format of the frames that follow, with its number.
    Format(TrackInfo),
    Frame(VideoFrame<Payload>),
}

impl Recoder {
    /// For a stream with these parameters. `part_target` is the track's.
    pub(super) fn new(
        parameters: Parameters,
        latency: LatencyMode,
        frame_rate_milli: u32,
        part_target: Micros,
    ) -> Result<Self, Failure> {
        let name = parameters.id().name();
        let decoder = PictureDecoder::new(parameters).map_err(|error| {
            Failure::Problem(
                crate::SourceProblemCode::UnsupportedCodec,
                format!(
                    "the video codec {} cannot be decoded ({error}): set the source to H.264 or \
                     H.265",
                    name.to_uppercase()
                ),
            )
        })?;
        Ok(Self {
            decoder,
            encoder: None,
            latency,
            frame_rate_milli,
            part_target,
            waiting: VecDeque::new(),
        })
    }

    /// Takes a frame that is on the line; `formats` is the number of the next format. None for a
    /// packet that cannot be decoded.
    pub(super) fn push(
        &mut self,
        mut packet: Packet,
        frame: &VideoFrame<()>,
        formats: u32,
    ) -> Result<Option<Vec<Recoded>>, Failure> {
        let mut out = Vec::new();
        if frame.discontinuity {
            self.finish(formats, &mut out)?;
        }
        packet.set_pts(Some(frame.presentation));
        packet.set_dts(frame.decode_bound);
        self.waiting.push_back(Waiting {
            time: frame.presentation,
            capture: frame.capture,
            cursor: frame.cursor,
            discontinuity: frame.discontinuity,
        });
        // A decoder never keeps so many: their packets gave nothing.
        while self.waiting.len() > 64 {
            self.waiting.pop_front();
        }
        let Ok(pictures) = self.decoder.push(&packet) else {
            return Ok(None);
        };
        for picture in pictures {
            self.encode(picture, formats, &mut out)?;
        }
        Ok(Some(out))
    }

    /// Gives what is left.
    pub(super) fn finish(&mut self, formats: u32, out: &mut Vec<Recoded>) -> Result<(), Failure> {
        for picture in self.decoder.drain().unwrap_or_default() {
            self.encode(picture, formats, out)?;
        }
        if let Some(mut encoder) = self.encoder.take() {
            let packets = encoder.x264.finish()?;
            self.take(&mut encoder, packets, out)?;
        }
        Ok(())
    }

    fn encode(
        &mut self,
        mut picture: frame::Video,
        formats: u32,
        out: &mut Vec<Recoded>,
    ) -> Result<(), Failure> {
        let size = (picture.width(), picture.height());
        if self
            .encoder
            .as_ref()
            .is_some_and(|encoder| encoder.size != size)
            && let Some(mut old) = self.encoder.take()
        {
            let packets = old.x264.finish()?;
            self.take(&mut old, packets, out)?;
        }
        let mut encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => {
                let made = out.iter().filter(|out| matches!(out, Recoded::Format(_)));
                let format = formats + made.count() as u32;
                let (encoder, info) = self.encoder(size, format)?;
                out.push(Recoded::Format(info));
                encoder
            }
        };
        let time = picture.pts().unwrap_or_default();
        if encoder.last_key.is_none_or(|last| time - last >= KEYFRAMES) {
            picture.set_kind(Type::I);
            encoder.last_key = Some(time);
        }
        let packets = encoder.x264.encode(&picture)?;
        self.take(&mut encoder, packets, out)?;
        self.encoder = Some(encoder);
        Ok(())
    }

    fn encoder(&self, size: (u32, u32), format: u32) -> Result<(Encoder, TrackInfo), Failure> {
        let (width, height) = size;
        let fps = match self.frame_rate_milli {
            0 => USUAL_RATE,
            milli => milli.div_ceil(1000).clamp(1, 240),
        };
        let bits = u64::from(width) * u64::from(height) * u64::from(fps) * PIXEL_MILLIBITS / 1000;
        let bandwidth = bits.clamp(200_000, 20_000_000) as u32;
        let x264 = X264::new(width, height, fps, bandwidth, self.latency)?;
        let stream = AvcStream::new(x264.extradata())?;
        let config = stream
            .config()
            .cloned()
            .ok_or_else(|| Failure::internal("x264 gives no parameter sets"))?;
        let codec = Codec::Avc(config);
        let info = TrackInfo {
            track: Track::Video,
            codecs: codec.codecs(),
            timescale: Timescale(VIDEO_TIMESCALE),
            width,
            height,
            frame_rate_milli: self.frame_rate_milli,
            channels: 0,
            sample_rate: 0,
            bandwidth,
            part_target: self.part_target,
            init: init_segment(&codec, VIDEO_TIMESCALE)?.into(),
        };
        let encoder = Encoder {
            x264,
            stream,
            size,
            format,
            last_key: None,
            fresh: true,
        };
        Ok((encoder, info))
    }

    fn take(
        &mut self,
        encoder: &mut Encoder,
        packets: Vec<Packet>,
        out: &mut Vec<Recoded>,
    ) -> Result<(), Failure> {
        for packet in packets {
            let (Some(time), Some(data)) = (packet.pts(), packet.data()) else {
                continue;
            };
            let unit = encoder.stream.access_unit(data, packet.is_key())?;
            let at = self.waiting.iter().position(|waiting| waiting.time == time);
            let waiting = at
                .and_then(|at| self.waiting.remove(at))
                .unwrap_or(Waiting {
                    time,
                    capture: Micros::now(),
                    cursor: None,
                    discontinuity: false,
                });
            // A break counts from the first frame behind it that could be decoded.
            let lost = (self.waiting.iter_mut())
                .filter(|older| older.time < time && older.discontinuity)
                .fold(false, |_, older| std::mem::take(&mut older.discontinuity));
            out.push(Recoded::Frame(VideoFrame {
                presentation: time,
                decode_bound: packet.dts(),
                reorder: None,
                kind: unit.kind,
                discontinuity: waiting.discontinuity || (lost && encoder.fresh),
                format: encoder.format,
                capture: waiting.capture,
                cursor: waiting.cursor,
                payload: Payload::Nals(packet, unit.nals),
            }));
            encoder.fresh = false;
        }
        Ok(())
    }
}
