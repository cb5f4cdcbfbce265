//! Encoders: H.264 by x264, AAC by FFmpeg's own.

use ffmpeg_next::{
    ChannelLayout, Dictionary, Error, Packet, Rational, codec, encoder, format, frame,
};
use reelay_model::LatencyMode;

use super::extradata;

fn find(name: &str) -> Result<ffmpeg_next::Codec, Error> {
    encoder::find_by_name(name).ok_or(Error::EncoderNotFound)
}

/// All packets that an encoder has ready.
pub(crate) fn receive(encoder: &mut encoder::Encoder) -> Result<Vec<Packet>, Error> {
    let mut packets = Vec::new();
    loop {
        let mut packet = Packet::empty();
        match encoder.receive_packet(&mut packet) {
            Ok(()) => packets.push(packet),
            Err(Error::Eof) => return Ok(packets),
            Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {
                return Ok(packets);
            }
            Err(error) => return Err(error),
        }
    }
}

/// An H.264 encoder of one thread with a keyframe every two seconds.
pub(crate) struct X264 {
    encoder: encoder::video::Encoder,
    extradata: Vec<u8>,
}

impl X264 {
    /// An encoder for pictures with times in 1/90,000 s.
    pub(crate) fn new(
        width: u32,
        height: u32,
        fps: u32,
        bitrate: u32,
        latency: LatencyMode,
    ) -> Result<Self, Error> {
        let codec = find("libx264")?;
        let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
        video.set_width(width);
        video.set_height(height);
        video.set_format(format::Pixel::YUV420P);
        video.set_time_base(Rational(1, 90_000));
        video.set_frame_rate(Some(Rational(fps as i32, 1)));
        video.set_gop(2 * fps);
        video.set_bit_rate(bitrate as usize);
        video.set_flags(codec::Flags::GLOBAL_HEADER);
        video.set_threading(codec::threading::Config::count(1));
        let mut options = Dictionary::new();
        options.set("preset", "veryfast");
        options.set("forced-idr", "1");
        let bitrate_k = bitrate / 1000;
        let mut x264 = format!(
            "scenecut=0:open-gop=0:keyint={0}:min-keyint={0}:vbv-maxrate={bitrate_k}:vbv-bufsize={1}",
            2 * fps,
            // Half a second in low mode: no picture takes longer than that to send.
            if latency == LatencyMode::Low {
                bitrate_k / 2
            } else {
                bitrate_k * 2
            },
        );
        match latency {
            LatencyMode::Low => options.set("tune", "zerolatency"),
            LatencyMode::Normal => x264.push_str(":bframes=2:b-adapt=0:rc-lookahead=20"),
        }
        options.set("x264-params", &x264);
        let encoder = video.open_with(options)?;
        let extradata = extradata(&codec::Parameters::from(&encoder)).to_vec();
        Ok(Self { encoder, extradata })
    }

    /// Parameter sets, as a byte stream.
    pub(crate) fn extradata(&self) -> &[u8] {
        &self.extradata
    }

    /// Encodes a picture, gives what is ready.
    pub(crate) fn encode(&mut self, picture: &frame::Video) -> Result<Vec<Packet>, Error> {
        self.encoder.send_frame(picture)?;
        receive(&mut self.encoder)
    }

    /// Gives what is left; nothing can be encoded any more.
    pub(crate) fn finish(&mut self) -> Result<Vec<Packet>, Error> {
        self.encoder.send_eof()?;
        receive(&mut self.encoder)
    }
}

/// An AAC-LC encoder.
pub(crate) struct AacEncoder {
    encoder: encoder::audio::Encoder,
    extradata: Vec<u8>,
    channels: usize,
    layout: ChannelLayout,
    rate: u32,
}

const SAMPLE: format::Sample = format::Sample::F32(format::sample::Type::Planar);

/// Samples of an AAC-LC frame.
pub(crate) const AAC_FRAME: usize = 1024;

impl AacEncoder {
    /// An encoder for floating-point samples.
    pub(crate) fn new(rate: u32, channels: u32, bitrate: usize) -> Result<Self, Error> {
        let codec = find("aac")?;
        let mut audio = codec::Context::new_with_codec(codec).encoder().audio()?;
        let layout = ChannelLayout::default(channels as i32);
        audio.set_rate(rate as i32);
        audio.set_format(SAMPLE);
        audio.set_channel_layout(layout);
        audio.set_time_base(Rational(1, rate as i32));
        audio.set_bit_rate(bitrate);
        audio.set_flags(codec::Flags::GLOBAL_HEADER);
        let encoder = audio.open()?;
        let extradata = extradata(&codec::Parameters::from(&encoder)).to_vec();
        Ok(Self {
            encoder,
            extradata,
            channels: channels as usize,
            layout,
            rate,
        })
    }

    /// The AudioSpecificConfig.
    pub(crate) fn extradata(&self) -> &[u8] {
        &self.extradata
    }

    /// Encodes [`AAC_FRAME`] samples that start at `time`; `fill` writes the samples of a channel.
    /// The packets' times are those of the samples that they hold.
    pub(crate) fn encode(
        &mut self,
        time: i64,
        mut fill: impl FnMut(usize, &mut [f32]),
    ) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        // The encoder may hold the last frame's buffer still: each frame gets a new one.
        let mut frame = frame::Audio::new(SAMPLE, AAC_FRAME, self.layout);
        frame.set_rate(self.rate);
        for channel in 0..self.channels {
            fill(channel, frame.plane_mut(channel));
        }
        frame.set_pts(Some(time));
        self.encoder.send_frame(&frame)?;
        let packets = receive(&mut self.encoder)?;
        Ok(packets
            .into_iter()
            .filter_map(|packet| Some((packet.pts()?, packet.data()?.to_vec())))
            .collect())
    }
}
