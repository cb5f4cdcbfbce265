//! How a file's audio is carried: as it is, or decoded and encoded again.

use bytes::Bytes;
use ffmpeg_next::{Packet, Rational, codec::Id};
use reelay_model::{Micros, Timescale, Track};

use super::{
    Failure,
    demux::{StreamInfo, channels, sample_rate},
};
use crate::{
    TrackInfo,
    av::{AAC_FRAME, Resound, silent_aac},
    cmaf::{Codec, init_segment},
    codec::{AacConfig, OpusConfig, adts_header_length, opus_packet_samples},
    publish::{Payload, part_target},
};

/// How packets become frames.
enum Way {
    /// AAC frames, maybe with ADTS headers that are left out.
    Aac,
    /// Opus packets.
    Opus,
    /// Anything else, as AAC.
    Again(Box<Resound>),
}

/// The audio of a file.
pub(super) struct Sound {
    way: Way,
    codec: Codec,
    silence: Bytes,
    /// Samples of a frame.
    pub frame_samples: u32,
    /// Samples per second, the track's timescale.
    pub rate: u32,
    channels: u32,
    bit_rate: u64,
}

/// A frame that goes into the track.
pub(super) struct SoundFrame {
    /// In samples on the line.
    pub time: i64,
    pub duration: u32,
    pub payload: Payload,
}

impl Sound {
    /// The audio of this stream, whose first packet is `first`.
    pub(super) fn new(stream: &StreamInfo, first: Option<&Packet>) -> Result<Self, Failure> {
        let carried = match stream.codec() {
            Id::AAC => Self::aac(stream, first),
            Id::OPUS => Self::opus(stream),
            _ => None,
        };
        match carried {
            Some(sound) => Ok(sound),
            None => Self::again(stream),
        }
    }

    fn aac(stream: &StreamInfo, first: Option<&Packet>) -> Option<Self> {
        let config = match stream.extradata() {
            [] => AacConfig::from_adts(first?.data()?),
            specific => AacConfig::read(specific),
        }
        .ok()?;
        let silence = silent_aac(config.core_rate, config.core_channels).ok()?;
        Some(Self {
            way: Way::Aac,
            silence: silence.into(),
            frame_samples: config.frame_samples(),
            rate: config.rate,
            channels: config.channels(),
            bit_rate: stream.parameters.bit_rate().max(0) as u64,
            codec: Codec::Aac(config),
        })
    }

    fn opus(stream: &StreamInfo) -> Option<Self> {
        let config = OpusConfig::read(stream.extradata()).ok()?;
        Some(Self {
            way: Way::Opus,
            silence: Bytes::from_static(config.silence()?),
            frame_samples: OpusConfig::SILENCE_SAMPLES,
            rate: OpusConfig::RATE,
            channels: config.channels.into(),
            bit_rate: stream.parameters.bit_rate().max(0) as u64,
            codec: Codec::Opus(config),
        })
    }

    fn again(stream: &StreamInfo) -> Result<Self, Failure> {
        let base = Rational(stream.base.numerator as i32, stream.base.denominator as i32);
        let resound = Resound::new(
            stream.parameters.clone(),
            channels(&stream.parameters),
            base,
        )
        .map_err(|error| {
            Failure::Problem(
                crate::SourceProblemCode::UnsupportedCodec,
                format!(
                    "the audio codec {} cannot be decoded ({error}): send AAC or Opus",
                    stream.codec().name()
                ),
            )
        })?;
        let config = AacConfig::read(resound.extradata())?;
        let silence = silent_aac(Resound::RATE, resound.channels())?;
        Ok(Self {
            silence: silence.into(),
            frame_samples: AAC_FRAME as u32,
            rate: Resound::RATE,
            channels: resound.channels(),
            bit_rate: 64_000 * u64::from(resound.channels()),
            codec: Codec::Aac(config),
            way: Way::Again(Box::new(resound)),
        })
    }

    /// The track as viewers see it.
    pub(super) fn track(&self, target: Micros) -> Result<TrackInfo, Failure> {
        let timescale = Timescale(self.rate);
        Ok(TrackInfo {
            track: Track::Audio,
            codecs: self.codec.codecs(),
            timescale,
            width: 0,
            height: 0,
            frame_rate_milli: 0,
            channels: self.channels,
            sample_rate: self.rate,
            bandwidth: u32::try_from(self.bit_rate).unwrap_or(u32::MAX),
            part_target: part_target(target, self.frame_samples.into(), timescale),
            init: init_segment(&self.codec, self.rate)?.into(),
        })
    }

    /// A frame of silence of [`frame_samples`](Self::frame_samples).
    pub(super) fn silence(&self) -> Bytes {
        self.silence.clone()
    }

    /// Samples in a packet, as far as that can be told without decoding it.
    pub(super) fn packet_samples(&self, packet: &Packet, stream: &StreamInfo) -> i64 {
        match &self.way {
            Way::Aac => self.frame_samples.into(),
            Way::Opus => packet
                .data()
                .and_then(opus_packet_samples)
                .unwrap_or(0)
                .into(),
            Way::Again(_) => {
                let duration = stream.base.ticks(packet.duration(), self.rate);
                if duration > 0 {
                    return duration;
                }
                // Most codecs have about a thousand samples in a packet.
                1024 * i64::from(self.rate) / i64::from(sample_rate(&stream.parameters))
            }
        }
    }

    /// Turns a packet into frames; none if it is damaged.
    pub(super) fn frames(&mut self, packet: Packet, time: i64) -> Option<Vec<SoundFrame>> {
        match &mut self.way {
            Way::Aac => {
                let header = adts_header_length(packet.data()?).unwrap_or(0);
                (packet.size() > header).then(|| {
                    vec![SoundFrame {
                        time,
                        duration: self.frame_samples,
                        payload: Payload::Packet(packet, header),
                    }]
                })
            }
            Way::Opus => {
                let duration = opus_packet_samples(packet.data()?)?;
                Some(vec![SoundFrame {
                    time,
                    duration,
                    payload: Payload::Packet(packet, 0),
                }])
            }
            Way::Again(resound) => {
                let frames = resound.push(&packet, time).ok()?;
                let frames = frames.into_iter().map(|(time, bytes)| SoundFrame {
                    time,
                    duration: AAC_FRAME as u32,
                    payload: Payload::Bytes(bytes.into()),
                });
                Some(frames.collect())
            }
        }
    }

    /// Another pass begins.
    pub(super) fn reset(&mut self) {
        if let Way::Again(resound) = &mut self.way {
            resound.reset();
        }
    }
}
