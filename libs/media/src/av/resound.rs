//! Decodes any audio and encodes it as AAC at 48 kHz.

use ffmpeg_next::{
    ChannelLayout, Error, Packet, Rational,
    codec::{self, Parameters, decoder},
    format, frame,
    software::resampling,
};

use super::{AAC_FRAME, AacEncoder};

const RATE: u32 = 48_000;
const SAMPLE: format::Sample = format::Sample::F32(format::sample::Type::Planar);
/// Sound that comes so much later than expected, in samples, begins anew; less is filled up.
const LONGEST_FILL: i64 = RATE as i64 / 2;

/// Turns packets into AAC frames. Times are those of the source, in samples at 48 kHz.
pub(crate) struct Resound {
    decoder: decoder::Audio,
    resampler: Option<(Shape, resampling::Context)>,
    encoder: AacEncoder,
    channels: u32,
    /// Samples of each channel that do not fill a frame yet.
    waiting: Vec<Vec<f32>>,
    /// Time of the first of them.
    time: Option<i64>,
}

/// What a resampler has been made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    format: format::Sample,
    layout: ChannelLayout,
    rate: u32,
}

impl Resound {
    /// Samples per second of what comes out.
    pub(crate) const RATE: u32 = RATE;

    /// For packets of a stream with these parameters.
    pub(crate) fn new(
        parameters: Parameters,
        channels: u32,
        base: Rational,
    ) -> Result<Self, Error> {
        let mut context = codec::Context::from_parameters(parameters)?;
        context.set_threading(codec::threading::Config::count(1));
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(base);
        let channels = channels.clamp(1, 2);
        Ok(Self {
            decoder: decoder.audio()?,
            resampler: None,
            encoder: AacEncoder::new(RATE, channels, 64_000 * channels as usize)?,
            channels,
            waiting: vec![Vec::new(); channels as usize],
            time: None,
        })
    }

    /// The AudioSpecificConfig of what comes out.
    pub(crate) fn extradata(&self) -> &[u8] {
        self.encoder.extradata()
    }

    /// Channels of what comes out.
    pub(crate) fn channels(&self) -> u32 {
        self.channels
    }

    /// Takes the packet whose sound starts at `time`; gives frames with their times. A packet that
    /// cannot be decoded gives an error and leaves a hole.
    pub(crate) fn push(
        &mut self,
        packet: &Packet,
        time: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        self.decoder.send_packet(packet)?;
        let mut frames = Vec::new();
        let mut time = time;
        loop {
            let mut decoded = frame::Audio::empty();
            match self.decoder.receive_frame(&mut decoded) {
                Ok(()) => {}
                Err(Error::Eof) => return Ok(frames),
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {
                    return Ok(frames);
                }
                Err(error) => return Err(error),
            }
            let samples = self.resample(&mut decoded)?;
            let length = samples.first().map_or(0, Vec::len) as i64;
            self.append(samples, time, &mut frames)?;
            time += length;
        }
    }

    /// Forgets what the decoder keeps from one packet to the next: another pass begins.
    pub(crate) fn reset(&mut self) {
        self.decoder.flush();
    }

    fn resample(&mut self, decoded: &mut frame::Audio) -> Result<Vec<Vec<f32>>, Error> {
        if decoded.channel_layout().is_empty() {
            let layout = ChannelLayout::default(decoded.channels().into());
            decoded.set_channel_layout(layout);
        }
        let shape = Shape {
            format: decoded.format(),
            layout: decoded.channel_layout(),
            rate: decoded.rate(),
        };
        let target = ChannelLayout::default(self.channels as i32);
        let resampler = match &mut self.resampler {
            Some((made_for, resampler)) if *made_for == shape => resampler,
            stale => {
                let fresh = resampling::Context::get(
                    shape.format,
                    shape.layout,
                    shape.rate,
                    SAMPLE,
                    target,
                    RATE,
                )?;
                &mut stale.insert((shape, fresh)).1
            }
        };
        // What the resampler has kept back comes on top.
        let room = decoded.samples() as u64 * u64::from(RATE) / u64::from(shape.rate.max(1)) + 256;
        let mut output = frame::Audio::new(SAMPLE, room as usize, target);
        resampler.run(decoded, &mut output)?;
        Ok((0..self.channels as usize)
            .map(|channel| output.plane::<f32>(channel).to_vec())
            .collect())
    }

    fn append(
        &mut self,
        samples: Vec<Vec<f32>>,
        time: i64,
        frames: &mut Vec<(i64, Vec<u8>)>,
    ) -> Result<(), Error> {
        let have = self.waiting.first().map_or(0, Vec::len) as i64;
        let expected = self.time.map_or(time, |start| start + have);
        let late = time - expected;
        let mut skip = 0;
        if late > LONGEST_FILL {
            self.waiting.iter_mut().for_each(Vec::clear);
            self.time = Some(time);
        } else {
            // Half a frame off is not heard; more is put right.
            if late > AAC_FRAME as i64 / 2 {
                let length = (have + late) as usize;
                self.waiting
                    .iter_mut()
                    .for_each(|channel| channel.resize(length, 0.0));
            } else if late < -(AAC_FRAME as i64) / 2 {
                skip = late.unsigned_abs() as usize;
            }
            self.time.get_or_insert(time);
        }
        for (waiting, samples) in self.waiting.iter_mut().zip(&samples) {
            waiting.extend_from_slice(samples.get(skip..).unwrap_or_default());
        }
        while self
            .waiting
            .iter()
            .all(|channel| channel.len() >= AAC_FRAME)
        {
            let Some(start) = self.time else {
                break;
            };
            let waiting = &self.waiting;
            frames.extend(self.encoder.encode(start, |channel, to| {
                if let Some(from) = waiting.get(channel).and_then(|from| from.get(..to.len())) {
                    to.copy_from_slice(from);
                }
            })?);
            self.time = Some(start + AAC_FRAME as i64);
            for channel in &mut self.waiting {
                channel.drain(..AAC_FRAME);
            }
        }
        Ok(())
    }
}

/// A frame of silence for an AAC-LC core of this rate and number of channels.
pub(crate) fn silent_aac(rate: u32, channels: u32) -> Result<Vec<u8>, Error> {
    let mut encoder = AacEncoder::new(rate, channels, 16_000 * channels as usize)?;
    let mut last = None;
    // The first frames hold the encoder's start.
    for at in 0..6 {
        let packets = encoder.encode(at * AAC_FRAME as i64, |_, samples| samples.fill(0.0))?;
        last = packets.into_iter().last().or(last);
    }
    last.map(|(_, packet)| packet).ok_or(Error::Unknown)
}
