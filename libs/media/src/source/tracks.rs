//! What exists from when the tracks are known: the segmenter by their rules, and the publisher.

use std::io::Write;

use super::{Failure, picture::Picture, rules, sound::Sound};
use crate::{
    SourceJob, TrackInfo,
    publish::{Payload, Publisher},
    segmenter::{AudioRules, Segmenter, VIDEO_TIMESCALE},
    worker::{Gone, Output},
};

pub(super) struct Tracks {
    pub segmenter: Segmenter<Payload>,
    pub publisher: Publisher,
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
        Ok(Self {
            segmenter: Segmenter::new(video_rules, audio_rules),
            publisher,
        })
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
        self.segmenter.finish(i64::from(VIDEO_TIMESCALE) / 25);
        self.publish(output)
    }
}
