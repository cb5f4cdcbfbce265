//! The synthetic camera as a source: draws, encodes and sounds as a camera would, at its own pace.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ffmpeg_next::{Packet, format::Pixel, frame};
use reelay_model::{Micros, Synthetic, Timescale, Track};

use super::{Failure, rules};
use crate::{
    SourceJob, TrackInfo,
    av::{AAC_FRAME, AacEncoder, X264},
    camera::{Canvas, Scene, tone},
    cmaf::{Codec, init_segment},
    codec::{AacConfig, AvcStream},
    pace::Pace,
    publish::{Payload, Publisher, part_target},
    segmenter::{AudioFrame, AudioRules, Segmenter, VIDEO_TIMESCALE, VideoFrame, rescale},
    worker::Output,
};

const AUDIO_RATE: u32 = 48_000;
const AUDIO_BITRATE: usize = 64_000;
/// The sound repeats every second; 8 s are a whole number of frames, too.
const SOUND_FRAMES: i64 = 8 * AUDIO_RATE as i64 / AAC_FRAME as i64;
/// A heartbeat is due at least so often.
const TICK: Duration = Duration::from_millis(400);

/// Runs the camera until it is asked to stop.
pub(super) fn run<W: Write>(
    job: &SourceJob,
    settings: &Synthetic,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let mut camera = Camera::new(job, settings)?;
    let mut pace = Pace::new();
    let frame_ticks = i64::from(VIDEO_TIMESCALE) / i64::from(settings.fps);
    for frame in 0.. {
        let time = camera.start + rescale(frame, settings.fps, VIDEO_TIMESCALE);
        let line = Micros(rescale(time, VIDEO_TIMESCALE, 1_000_000));
        // Capture times are the planned ones: players align the tracks by them, and a picture
        // that is drawn a little late must not bend the line.
        let capture = loop {
            let (wait, planned) = pace.due(line, Instant::now(), Micros::now());
            if stop.load(Ordering::Relaxed) {
                camera.finish(frame_ticks)?;
                return Ok(camera.publish(output)?);
            }
            if wait.is_zero() {
                break planned;
            }
            thread::sleep(wait.min(TICK));
            output.tick()?;
        };
        camera.shoot(frame as u64, time, capture)?;
        camera.sound_until(time + frame_ticks, Micros(capture.0 - line.0))?;
        camera.publish(output)?;
    }
    Ok(())
}

struct Camera {
    scene: Scene,
    picture: frame::Video,
    encoder: X264,
    stream: AvcStream,
    /// Capture times of pictures that are in the encoder.
    captured: VecDeque<(i64, Micros)>,
    sound: Option<Sound>,
    segmenter: Segmenter<Payload>,
    publisher: Publisher,
    /// Decode time of the first frame.
    start: i64,
}

impl Camera {
    fn new(job: &SourceJob, settings: &Synthetic) -> Result<Self, Failure> {
        let Synthetic {
            width,
            height,
            fps,
            bitrate,
            tone,
        } = *settings;
        let encoder = X264::new(width, height, fps, bitrate, job.latency)?;
        let stream = AvcStream::new(encoder.extradata())?;
        let config = stream
            .config()
            .cloned()
            .ok_or_else(|| Failure::internal("x264 gives no parameter sets"))?;
        let codec = Codec::Avc(config);
        let frame_ticks = u64::from(VIDEO_TIMESCALE / fps);
        let video_info = TrackInfo {
            track: Track::Video,
            codecs: codec.codecs(),
            timescale: Timescale(VIDEO_TIMESCALE),
            width,
            height,
            frame_rate_milli: fps * 1000,
            channels: 0,
            sample_rate: 0,
            bandwidth: bitrate,
            part_target: part_target(job.part_target, frame_ticks, Timescale(VIDEO_TIMESCALE)),
            init: init_segment(&codec, VIDEO_TIMESCALE)?.into(),
        };
        let resume = job.resume.as_ref();
        let start = resume
            .and_then(|resume| resume.video)
            .map_or(0, |ticks| ticks.0 as i64);
        let mut audio_info = None;
        let mut audio_rules = None;
        let mut sound = None;
        if tone > 0 {
            let maker = Sound::new(tone)?;
            let codec = Codec::Aac(AacConfig::read(maker.encoder.extradata())?);
            let part = part_target(job.part_target, AAC_FRAME as u64, Timescale(AUDIO_RATE));
            audio_info = Some(TrackInfo {
                track: Track::Audio,
                codecs: codec.codecs(),
                timescale: Timescale(AUDIO_RATE),
                width: 0,
                height: 0,
                frame_rate_milli: 0,
                channels: 1,
                sample_rate: AUDIO_RATE,
                bandwidth: AUDIO_BITRATE as u32,
                part_target: part,
                init: init_segment(&codec, AUDIO_RATE)?.into(),
            });
            let start = rescale(start, VIDEO_TIMESCALE, AUDIO_RATE);
            let half = AAC_FRAME as i64 / 2;
            let grid = resume
                .and_then(|resume| resume.audio)
                .map(|ticks| ticks.0 as i64)
                .filter(|grid| (grid - start).abs() <= half)
                .unwrap_or(start);
            audio_rules = Some(AudioRules {
                rate: AUDIO_RATE,
                silence_samples: AAC_FRAME as u32,
                // Never used: the sound is always there in time.
                silence: Box::new(|| Payload::Bytes(Bytes::new())),
                part_target: rules::samples(part, AUDIO_RATE),
                grid: Some(grid),
            });
            sound = Some(maker.starting_at(grid));
        }
        let video_rules = rules::video(job, video_info.part_target);
        Ok(Self {
            scene: Scene::new(width, height),
            picture: frame::Video::new(Pixel::YUV420P, width, height),
            encoder,
            stream,
            captured: VecDeque::new(),
            sound,
            segmenter: Segmenter::new(Some(video_rules), audio_rules),
            publisher: Publisher::new(Some(video_info), audio_info, false, job.greatest_segment),
            start,
        })
    }

    /// Takes one picture.
    fn shoot(&mut self, frame: u64, time: i64, capture: Micros) -> Result<(), Failure> {
        self.scene
            .draw(&mut FrameCanvas(&mut self.picture), frame, capture);
        self.picture.set_pts(Some(time));
        self.captured.push_back((time, capture));
        let packets = self.encoder.encode(&self.picture)?;
        self.take(packets)
    }

    fn take(&mut self, packets: Vec<Packet>) -> Result<(), Failure> {
        for packet in packets {
            let (Some(pts), Some(data)) = (packet.pts(), packet.data()) else {
                continue;
            };
            let unit = self.stream.access_unit(data, packet.is_key())?;
            let at = self.captured.iter().position(|(time, _)| *time == pts);
            let capture = at
                .and_then(|at| self.captured.remove(at))
                .map_or_else(Micros::now, |(_, capture)| capture);
            self.segmenter.push_video(VideoFrame {
                presentation: pts,
                decode_bound: packet.dts(),
                reorder: None,
                kind: unit.kind,
                discontinuity: false,
                format: 0,
                capture,
                cursor: None,
                payload: Payload::Nals(packet, unit.nals),
            });
        }
        Ok(())
    }

    /// Makes the sound up to a time; `origin` is the wall clock at the media line's zero.
    fn sound_until(&mut self, time: i64, origin: Micros) -> Result<(), Failure> {
        let Some(sound) = &mut self.sound else {
            return Ok(());
        };
        let until = rescale(time, VIDEO_TIMESCALE, AUDIO_RATE);
        while sound.next < until {
            let at = sound.next;
            let payload = sound.frame()?;
            self.segmenter.push_audio(AudioFrame {
                time: at,
                duration: AAC_FRAME as u32,
                discontinuity: false,
                capture: Micros(origin.0 + rescale(at, AUDIO_RATE, 1_000_000)),
                cursor: None,
                payload: Payload::Bytes(payload),
            });
        }
        Ok(())
    }

    /// Ends the segments after what has been shot.
    fn finish(&mut self, frame_ticks: i64) -> Result<(), Failure> {
        let packets = self.encoder.finish()?;
        self.take(packets)?;
        self.segmenter.finish(frame_ticks);
        Ok(())
    }

    fn publish<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), crate::worker::Gone> {
        self.publisher.publish(&mut self.segmenter, output)
    }
}

/// The sound, which repeats: each of its frames is encoded once.
struct Sound {
    encoder: AacEncoder,
    frequency: u32,
    /// Time of the next frame to hand out.
    next: i64,
    /// Time up to which the encoder has been fed.
    fed: i64,
    /// Encoded frames by their place in the period; the first round fills it.
    period: BTreeMap<i64, Bytes>,
}

impl Sound {
    fn new(frequency: u32) -> Result<Self, Failure> {
        Ok(Self {
            encoder: AacEncoder::new(AUDIO_RATE, 1, AUDIO_BITRATE)?,
            frequency,
            next: 0,
            fed: 0,
            period: BTreeMap::new(),
        })
    }

    fn starting_at(mut self, time: i64) -> Self {
        self.next = time;
        // A frame decodes to the right sound after the one before it (ISO/IEC 14496-3 §4.6.11):
        // the encoder starts early.
        self.fed = time - 2 * AAC_FRAME as i64;
        self
    }

    fn frame(&mut self) -> Result<Bytes, Failure> {
        let place = |time: i64| time.div_euclid(AAC_FRAME as i64).rem_euclid(SOUND_FRAMES);
        let wanted = place(self.next);
        // The encoder runs about a frame behind.
        for _ in 0..8 {
            if let Some(frame) = self.period.get(&wanted) {
                self.next += AAC_FRAME as i64;
                return Ok(frame.clone());
            }
            let start = self.fed;
            self.fed += AAC_FRAME as i64;
            let frequency = self.frequency;
            let packets = self.encoder.encode(start, |_, samples| {
                for (at, sample) in (start..).zip(samples) {
                    *sample = tone(frequency, at);
                }
            })?;
            for (time, packet) in packets {
                if time >= self.next {
                    self.period.insert(place(time), packet.into());
                }
            }
        }
        Err(Failure::internal("the AAC encoder gives no frames"))
    }
}

struct FrameCanvas<'a>(&'a mut frame::Video);

impl Canvas for FrameCanvas<'_> {
    fn stride(&self, plane: usize) -> usize {
        self.0.stride(plane)
    }

    fn plane(&mut self, plane: usize) -> &mut [u8] {
        self.0.data_mut(plane)
    }
}
