//! A fresh encoder for one rung of one segment, the same bytes on every machine.

use ffmpeg_next::{
    Dictionary, Error, Packet, Rational, codec,
    color::{Primaries, Range, Space, TransferCharacteristic},
    encoder,
    format::Pixel,
    frame,
};
use reelay_model::{LatencyMode, RungCodec, RungProfile};

use super::options::{EncoderOptions, encoder_options};
use crate::{
    av::{extradata, receive},
    cpu_level::cpu_limit,
    segmenter::VIDEO_TIMESCALE,
};

/// What the source's pictures say about their colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colours {
    pub space: Space,
    pub range: Range,
    pub primaries: Primaries,
    pub transfer: TransferCharacteristic,
}

impl Colours {
    pub(super) fn of(picture: &frame::Video) -> Self {
        // The `J` formats say their range by name.
        let full = matches!(
            picture.format(),
            Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P | Pixel::YUVJ440P
        );
        Self {
            // RGB becomes YUV by the scaler's default matrix.
            space: match picture.color_space() {
                Space::RGB => Space::Unspecified,
                space => space,
            },
            range: if full {
                Range::JPEG
            } else {
                picture.color_range()
            },
            primaries: picture.color_primaries(),
            transfer: picture.color_transfer_characteristic(),
        }
    }
}

/// One encoder, on the caller's thread.
pub(super) struct RungEncoder {
    encoder: encoder::video::Encoder,
    extradata: Vec<u8>,
}

impl RungEncoder {
    /// An encoder for pictures of this size in YUV 4:2:0 with times in 1/90,000 s.
    pub(super) fn new(
        profile: &RungProfile,
        latency: LatencyMode,
        (width, height): (u32, u32),
        colours: Colours,
        frame_rate_milli: u32,
    ) -> Result<Self, Error> {
        let EncoderOptions { name, options } = encoder_options(profile, latency);
        let codec = encoder::find_by_name(name).ok_or(Error::EncoderNotFound)?;
        let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
        video.set_width(width);
        video.set_height(height);
        video.set_format(Pixel::YUV420P);
        video.set_time_base(Rational(1, VIDEO_TIMESCALE as i32));
        video.set_frame_rate(Some(planned_rate(frame_rate_milli)));
        video.set_colorspace(colours.space);
        video.set_color_range(colours.range);
        video.set_color_primaries(colours.primaries);
        video.set_color_transfer_characteristic(colours.transfer);
        video.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::BITEXACT);
        video.set_threading(codec::threading::Config::count(1));
        if profile.codec == RungCodec::Av1 {
            // SVT-AV1 takes its cap from here.
            video.set_max_bit_rate(profile.cap as usize);
        }
        let mut dictionary = Dictionary::new();
        for (key, value) in &limited(options, profile.codec) {
            dictionary.set(key, value);
        }
        let encoder = video.open_with(dictionary)?;
        let extradata = extradata(&codec::Parameters::from(&encoder)).to_vec();
        Ok(Self { encoder, extradata })
    }

    /// The stream's configuration: a byte stream of parameter sets, or `av1C`.
    pub(super) fn extradata(&self) -> &[u8] {
        &self.extradata
    }

    /// Encodes a picture, gives what is ready.
    pub(super) fn encode(&mut self, picture: &frame::Video) -> Result<Vec<Packet>, Error> {
        self.encoder.send_frame(picture)?;
        receive(&mut self.encoder)
    }

    /// Nothing can be encoded any more; gives what is left.
    pub(super) fn finish(&mut self) -> Result<Vec<Packet>, Error> {
        self.encoder.send_eof()?;
        receive(&mut self.encoder)
    }
}

/// Options with the tests' limit of SIMD instructions, which changes no byte of what comes out.
fn limited(options: Vec<(&'static str, String)>, codec: RungCodec) -> Vec<(&'static str, String)> {
    let Some(level) = cpu_limit() else {
        return options;
    };
    let asm = match codec {
        RungCodec::H264 => level.x264(),
        RungCodec::H265 => level.x265(),
        RungCodec::Av1 => level.svt_av1(),
    };
    let add = |(key, value): (&'static str, String)| match key {
        "x264-params" | "x265-params" | "svtav1-params" => (key, format!("{value}:asm={asm}")),
        _ => (key, value),
    };
    options.into_iter().map(add).collect()
}

/// What the encoder plans with; where the rate varies, 30.
fn planned_rate(frame_rate_milli: u32) -> Rational {
    match frame_rate_milli {
        0 => Rational(30, 1),
        // 29.97 and its like are n · 1000/1001.
        rate if rate % 1000 != 0
            && (rate.div_ceil(1000) * 1_000_000 / 1001).abs_diff(rate) <= 1 =>
        {
            Rational(rate.div_ceil(1000) as i32 * 1000, 1001)
        }
        rate => Rational(rate.min(1_000_000) as i32, 1000).reduce(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_are_the_usual_fractions() {
        assert_eq!(planned_rate(25_000), Rational(25, 1));
        assert_eq!(planned_rate(12_500), Rational(25, 2));
        assert_eq!(planned_rate(29_970), Rational(30_000, 1001));
        assert_eq!(planned_rate(59_940), Rational(60_000, 1001));
        assert_eq!(planned_rate(23_976), Rational(24_000, 1001));
        assert_eq!(planned_rate(0), Rational(30, 1));
    }
}
