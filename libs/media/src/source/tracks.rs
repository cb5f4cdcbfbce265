//! What exists from when the tracks are known: the segmenter by their rules, the publisher, and
//! the encoder between source and segmenter where video cannot be carried as it is.

use std::{io::Write, mem};

use ffmpeg_next::codec::Parameters;
use reelay_model::{LatencyMode, Micros};

use super::{
    Failure,
    picture::Picture,
    recode::{Recoded, Recoder},
    rules,
    sound::Sound,
};
use crate::{
    SourceJob, SourceProblem, SourceProblemCode, TrackInfo,
    publish::{Payload, Publisher},
    segmenter::{AudioRules, Segmenter, VIDEO_TIMESCALE, VideoFrame, rescale},
    worker::{Gone, Output},
};

pub(super) struct Tracks {
    pub segmenter: Segmenter<Payload>,
    pub publisher: Publisher,
    recoder: Option<Recoder>,
    /// What the encoder would be made of.
    video: Option<Video>,
    /// Presentation time of the source's last keyframe.
    last_key: Option<i64>,
    greatest: Micros,
}

struct Video {
    parameters: Parameters,
    latency: LatencyMode,
    frame_rate_milli: u32,
    part_target: Micros,
}

impl Video {
    fn recoder(&self) -> Result<Recoder, Failure> {
        Recoder::new(
            self.parameters.clone(),
            self.latency,
            self.frame_rate_milli,
            self.part_target,
        )
    }
}

impl Tracks {
    /// For a source with these tracks. `formats` are those of video so far; `discontinuity`: it
    /// does not go on where a predecessor stopped.
    pub(super) fn new(
        job: &SourceJob,
        picture: Option<&Picture>,
        sound: Option<&Sound>,
        formats: Vec<TrackInfo>,
        discontinuity: bool,
    ) -> Result<Self, Failure> {
        let audio = sound
            .map(|sound| sound.track(job.part_target))
            .transpose()?;
        let audio_rules = sound.zip(audio.as_ref()).map(|(sound, info)| {
            let silence = sound.silence();
            AudioRules {
                rate: sound.rate,
                silence_samples: sound.frame_samples,
                silence: Box::new(move || Payload::Bytes(silence.clone())),
                part_target: rules::samples(info.part_target, sound.rate),
                grid: job
                    .resume
                    .as_ref()
                    .and_then(|resume| resume.audio)
                    .map(|ticks| ticks.0 as i64),
            }
        });
        let video_rules = picture.map(|picture| rules::video(job, picture.part_target()));
        let mut publisher = Publisher::new(None, audio, discontinuity, job.greatest_segment);
        publisher.video_formats = formats;
        let video = picture.map(|picture| Video {
            parameters: picture.parameters(),
            latency: job.latency,
            frame_rate_milli: picture.frame_rate_milli(),
            part_target: picture.part_target(),
        });
        let mut tracks = Self {
            segmenter: Segmenter::new(video_rules, audio_rules),
            publisher,
            recoder: None,
            video,
            last_key: None,
            greatest: job.greatest_segment,
        };
        if picture.is_some_and(|picture| !picture.is_carried()) {
            tracks.recode()?;
        }
        Ok(tracks)
    }

    /// From now on video is encoded.
    fn recode(&mut self) -> Result<(), Failure> {
        if let Some(video) = &self.video {
            self.recoder = Some(video.recoder()?);
            self.publisher.recoding = true;
        }
        Ok(())
    }

    /// From now on video is encoded, since its keyframes are so far apart.
    pub(super) fn recode_for_keyframes<W: Write>(
        &mut self,
        interval: Micros,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        self.recode()?;
        output.problem(SourceProblem {
            code: SourceProblemCode::KeyframeInterval,
            message: format!(
                "keyframes are {:.1} s apart, but a segment of this stream is {:.0} s at most: the \
                 video is encoded anew with a keyframe every 2 s, which costs CPU; set the \
                 camera's keyframe interval (I-frame interval, GOP length) to 2 s",
                interval.to_seconds(),
                self.greatest.to_seconds()
            ),
            lasting: true,
            fatal: false,
        })?;
        Ok(())
    }

    /// Whether video is encoded.
    pub(super) fn recodes(&self) -> bool {
        self.recoder.is_some()
    }

    /// A frame of the source's video, in decode order. Whether it is sound, as far as that shows.
    pub(super) fn push_video<W: Write>(
        &mut self,
        frame: VideoFrame<Payload>,
        output: &mut Output<W>,
    ) -> Result<bool, Failure> {
        if frame.kind.is_key() {
            let last = self.last_key.replace(frame.presentation);
            if mem::take(&mut self.publisher.keyframes_too_far)
                && let Some(last) = last
            {
                let interval = rescale(frame.presentation - last, VIDEO_TIMESCALE, 1_000_000);
                self.recode_for_keyframes(Micros(interval), output)?;
            }
        }
        let formats = self.publisher.video_formats.len() as u32;
        let Some(recoder) = &mut self.recoder else {
            self.segmenter.push_video(frame);
            return Ok(true);
        };
        let (frame, payload) = frame.without_payload();
        let Some(packet) = payload.into_packet() else {
            return Ok(true);
        };
        let recoded = recoder.push(packet, &frame, formats)?;
        let sound = recoded.is_some();
        self.take(recoded.unwrap_or_default());
        Ok(sound)
    }

    fn take(&mut self, recoded: Vec<Recoded>) {
        for recoded in recoded {
            match recoded {
                Recoded::Format(info) => self.publisher.video_formats.push(info),
                Recoded::Frame(frame) => self.segmenter.push_video(frame),
            }
        }
    }

    /// Publishes what the segmenter has found out.
    pub(super) fn publish<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), Gone> {
        self.publisher.publish(&mut self.segmenter, output)
    }

    /// Asked to end: whether all is published to the end of the segment that runs.
    pub(super) fn ended(&mut self) -> bool {
        match self.segmenter.segment() {
            Some(segment) => self.publisher.end_after(segment),
            None => true,
        }
    }

    /// What there is ends as a segment.
    pub(super) fn finish<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), Gone> {
        if let Some(recoder) = &mut self.recoder {
            let mut out = Vec::new();
            let formats = self.publisher.video_formats.len() as u32;
            // What cannot be encoded any more is missing at the end.
            let _ = recoder.finish(formats, &mut out);
            self.take(out);
        }
        self.segmenter.finish(i64::from(VIDEO_TIMESCALE) / 25);
        self.publish(output)
    }
}
