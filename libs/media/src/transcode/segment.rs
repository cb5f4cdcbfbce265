//! One segment: chunks in, rungs out. Decodes on the caller's thread; each rung has its own.

use std::sync::Arc;

use bytes::Bytes;
use ffmpeg_next::frame;
use reelay_model::{Micros, Ticks};

use super::{
    Failure, Listener, RungReport, SegmentJob, SegmentReport, TranscodeProblem,
    TranscodeProblemCode,
    cpu::ThreadCpu,
    decode::SegmentDecoder,
    input::{SourceSample, SourceTrack, read_chunks, read_init},
    rung::{Picture, RungJob, RungThread},
    thumbnail,
    timeline::{Slot, Timeline},
};
use crate::segmenter::{VIDEO_TIMESCALE, rescale};

/// A segment that is being transcoded.
pub(crate) struct Segment {
    track: SourceTrack,
    decoder: SegmentDecoder,
    show: Show,
    cpu: Micros,
}

/// What happens to pictures.
struct Show {
    timeline: Timeline,
    timescale: u32,
    rungs: Vec<RungThread>,
    listener: Arc<dyn Listener>,
    thumbnail: bool,
    /// The picture that was shown last, for those that do not come.
    last: Option<Arc<frame::Video>>,
    shown: u32,
    bridged: u32,
}

impl Segment {
    /// Prepares decoder and rungs, decodes the pre-roll.
    pub(crate) fn begin(job: &SegmentJob, listener: Arc<dyn Listener>) -> Result<Self, Failure> {
        let cpu = ThreadCpu::start();
        let track = read_init(&job.init).map_err(|error| {
            Failure::Problem(TranscodeProblem::new(
                TranscodeProblemCode::InvalidInit,
                error.to_string(),
            ))
        })?;
        let decoder = SegmentDecoder::new(&track).map_err(|error| {
            Failure::Problem(TranscodeProblem::new(
                TranscodeProblemCode::UnsupportedCodec,
                format!("no decoder for {:?}: {error}", track.codec),
            ))
        })?;
        // A duration in µs that was rounded up.
        let part_target = i128::from(job.part_target.0) * i128::from(VIDEO_TIMESCALE) / 1_000_000;
        let rungs = job
            .rungs
            .iter()
            .map(|profile| {
                let rung = RungJob {
                    profile: profile.clone(),
                    latency: job.latency,
                    part_target: part_target as i64,
                    frame_rate_milli: job.frame_rate_milli,
                };
                RungThread::start(rung, listener.clone())
            })
            .collect::<Result<_, _>>()?;
        let start = i64::try_from(job.decode_time.0)
            .map_err(|_| Failure::internal("the segment's decode time is out of range"))?;
        let mut segment = Self {
            show: Show {
                timeline: Timeline::new(start),
                timescale: track.timescale,
                rungs,
                listener,
                thumbnail: job.thumbnail,
                last: None,
                shown: 0,
                bridged: 0,
            },
            track,
            decoder,
            cpu: Micros(0),
        };
        for chunk in &job.pre_roll {
            let samples = read_chunks(chunk).unwrap_or_default();
            segment.decode(chunk, &samples)?;
        }
        segment.cpu.0 += cpu.spent().0;
        Ok(segment)
    }

    /// Whether no rung is at work: then the caller's own sign of life is the segment's.
    pub(crate) fn is_idle(&self) -> bool {
        self.show.rungs.iter().all(RungThread::is_idle)
    }

    /// Takes a chunk; `last` as the source's record says.
    pub(crate) fn push(&mut self, chunk: &Bytes, last: bool) -> Result<(), Failure> {
        let cpu = ThreadCpu::start();
        // What cannot be read is bridged when the next chunk, or the end, says how long it was.
        let samples = read_chunks(chunk).unwrap_or_default();
        self.show.timeline.add(&samples, last);
        self.decode(chunk, &samples)?;
        self.cpu.0 += cpu.spent().0;
        Ok(())
    }

    fn decode(&mut self, chunk: &Bytes, samples: &[SourceSample]) -> Result<(), Failure> {
        let Self { decoder, show, .. } = self;
        for sample in samples {
            let data = chunk.get(sample.data.clone()).unwrap_or_default();
            decoder.decode(sample, data, &mut |picture| show.picture(picture))?;
            show.listener.alive()?;
        }
        Ok(())
    }

    /// Ends the segment; `duration` is the source's by its records, in the source's timescale.
    pub(crate) fn finish(mut self, duration: Option<Ticks>) -> Result<SegmentReport, Failure> {
        let cpu = ThreadCpu::start();
        let Self { decoder, show, .. } = &mut self;
        decoder.finish(&mut |picture| show.picture(picture))?;
        let duration = duration.and_then(|ticks| i64::try_from(ticks.0).ok());
        let left = show.timeline.finish(duration);
        let Some(picture) = show.last.clone() else {
            return Err(Failure::Problem(TranscodeProblem::new(
                TranscodeProblemCode::NothingDecodes,
                format!(
                    "not one of the segment's {} frames can be decoded ({:?})",
                    left.len(),
                    self.track.codec
                ),
            )));
        };
        for slot in left {
            show.bridged += 1;
            show.send(&picture, slot)?;
        }
        let end = show.timeline.duration();
        let decode_cpu = Micros(self.cpu.0 + cpu.spent().0);
        let rungs = self.show.finish()?;
        Ok(SegmentReport {
            source_frames: self.show.shown + self.show.bridged,
            bridged_frames: self.show.bridged,
            duration: Ticks(rescale(end, self.show.timescale, VIDEO_TIMESCALE) as u64),
            decode_cpu,
            last_said: rungs.iter().all(|rung| rung.last_said),
            rungs,
        })
    }
}

impl Show {
    /// Shows a picture, and what was missing before it.
    fn picture(&mut self, picture: frame::Video) -> Result<(), Failure> {
        let shown = picture.pts().and_then(|time| self.timeline.show(time));
        let Some(shown) = shown else {
            return Ok(());
        };
        if std::mem::take(&mut self.thumbnail) {
            self.listener.thumbnail(thumbnail::jpeg(&picture)?)?;
        }
        let picture = Arc::new(picture);
        // Before the first picture there is none: it is shown earlier.
        let before = self.last.replace(picture.clone());
        let before = before.unwrap_or_else(|| picture.clone());
        for slot in shown.missing {
            self.bridged += 1;
            self.send(&before, slot)?;
        }
        self.shown += 1;
        self.send(&picture, shown.own)
    }

    fn send(&mut self, picture: &Arc<frame::Video>, slot: Slot) -> Result<(), Failure> {
        let ticks = |time| rescale(time, self.timescale, VIDEO_TIMESCALE);
        let time = ticks(slot.time);
        let slot = Slot {
            time,
            duration: (ticks(slot.time + slot.duration) - time).max(1),
            last: slot.last,
        };
        let picture = Picture {
            picture: picture.clone(),
            slot,
        };
        let mut failed = false;
        for rung in &self.rungs {
            failed |= !rung.push(picture.clone());
        }
        if failed {
            self.finish()?;
            return Err(Failure::internal("a rung has stopped without a reason"));
        }
        Ok(())
    }

    /// Ends all rungs and waits for them.
    fn finish(&mut self) -> Result<Vec<RungReport>, Failure> {
        self.rungs.iter().for_each(RungThread::end);
        let ended: Vec<_> = self.rungs.drain(..).map(RungThread::finish).collect();
        ended.into_iter().collect()
    }
}
