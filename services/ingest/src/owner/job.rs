//! Runs the media worker on an owner's source: starts it, numbers and publishes what comes, says
//! what is wrong, and tries a lost source again.

use std::{collections::BTreeMap, time::Duration};

use backon::BackoffBuilder as _;
use reelay_bus::ProduceError;
use reelay_media::{MediaChunk, SourceJob, SourceMessage, SourceProblem, SourceWorker};
use reelay_model::{Micros, Phase};
use reelay_timeline::{anchor, gaps};
use reelay_wire::{SegmentNumber, SourceMark, Ticks, Track};
use tokio::time::Instant;

use super::{Ended, Owner, Step};
use crate::{
    app::Context,
    publish::{Init, missing},
    records,
    resolve::resolve,
    source,
    status::Trouble,
};

/// After this long with media a source counts as sound again, and its next loss is tried again
/// at once.
const SOUND_AFTER: Duration = Duration::from_secs(10);

impl Owner {
    pub(super) async fn start_source(&mut self) {
        self.retry_at = None;
        let (address, policy) = (&self.spec.source, &self.context.config.sources);
        let input = match resolve(address, policy) {
            Ok(input) => input,
            Err(refused) => {
                let code = refused.code().to_owned();
                self.lost(Phase::Failed, code, refused.to_string());
                return;
            }
        };
        let greatest = Micros(self.spec.greatest_segment.micros().cast_signed());
        let mut job = SourceJob::new(
            self.owned.stream.as_str(),
            input,
            self.spec.latency,
            greatest,
        );
        let mark = SourceMark::of(&self.spec.source);
        // Of an edit while nobody owned the stream, the log alone tells.
        let another_source = self.opening.source.is_some_and(|before| before != mark);
        job.resume = self.timeline.begin_job(another_source);
        self.live_since = None;
        match SourceWorker::spawn(&self.context.config.worker, &job) {
            Ok(worker) => {
                tracing::info!(stream = %self.owned.stream, worker = worker.pid(),
                    first_segment = self.timeline.next_number().0, "media worker started");
                self.worker = Some(worker);
            }
            Err(error) => self.lost(Phase::Reconnecting, "internal".into(), error.to_string()),
        }
    }

    pub(super) async fn message(
        &mut self,
        message: Result<SourceMessage, reelay_media::WorkerError>,
    ) -> Step {
        match message {
            Ok(SourceMessage::Tracks(tracks)) => {
                for info in &tracks.tracks {
                    let init = Init {
                        bytes: info.init.clone(),
                        hash: records::init_hash(&info.init),
                    };
                    self.inits.insert(info.track.clone(), init);
                }
                let run = self.timeline.tracks(tracks);
                self.reporter.tracks(&run.tracks);
                Step::Go
            }
            Ok(SourceMessage::Chunk(chunk)) => match self.chunk(&chunk).await {
                Ok(step) => step,
                Err(error) => Step::End(Ended::Producer(error)),
            },
            Ok(SourceMessage::Problem(problem)) => {
                self.problem(problem);
                Step::Go
            }
            Ok(SourceMessage::Recovered(_)) => {
                self.reporter.problem(None);
                Step::Go
            }
            Ok(SourceMessage::Ended) => {
                self.worker = None;
                if self.stopping.is_some() {
                    return self.release().await;
                }
                if self.retry_at.is_none() {
                    self.lost(
                        Phase::Reconnecting,
                        "ended".into(),
                        "the source came to its end".into(),
                    );
                }
                Step::Go
            }
            Err(error) => {
                self.worker = None;
                if self.stopping.is_some() {
                    return self.release().await;
                }
                if self.retry_at.is_none() {
                    self.lost(Phase::Reconnecting, "worker".into(), error.to_string());
                }
                Step::Go
            }
        }
    }

    async fn chunk(&mut self, chunk: &MediaChunk) -> Result<Step, ProduceError> {
        let number = self.timeline.number_of(chunk.segment);
        let Some(run) = self.timeline.run_of(chunk.segment) else {
            tracing::error!(stream = %self.owned.stream, "worker sent a chunk before its tracks");
            return Ok(Step::Go);
        };
        let (Some(info), sequence) = (run.info(&chunk.track), run.discontinuity_sequence) else {
            tracing::error!(stream = %self.owned.stream, track = %chunk.track,
                "worker sent a chunk of a track that it had not named");
            return Ok(Step::Go);
        };
        let info = info.clone();
        let start = chunk.decode_time.to_micros(info.timescale);
        let (begins, breaks) = (!run.opened, run.breaks);
        let leads = chunk.part.0 == 0 && run.tracks.first().is_some_and(|t| t.track == info.track);
        // Where the wall clock has gone on without media, or the source's clock has drifted away.
        let anchor = (begins || leads)
            .then(|| {
                let before = self.opening.anchor.as_ref();
                anchor::after(before, begins && breaks, number, start, chunk.capture_time)
            })
            .flatten();
        self.opening.anchor = anchor.or(self.opening.anchor);
        if begins {
            run.opened = true;
            self.opening.first_segment = number;
            self.opening.continues = !run.breaks;
            self.opening.discontinuity_sequence = sequence;
            let part_targets: BTreeMap<Track, u32> = (run.tracks.iter())
                .map(|info| (info.track.clone(), info.part_target.0.max(1) as u32))
                .collect();
            if self.opening.part_targets.is_empty() {
                self.opening.time_origin = Micros(chunk.capture_time.0 - start.0);
                self.opening.part_targets = part_targets;
                self.opening.source = Some(SourceMark::of(&self.spec.source));
            } else if self.opening.part_targets != part_targets {
                tracing::info!(stream = %self.owned.stream, "tracks or part targets changed");
                self.again = Some(Ended::Again);
                return Ok(self.release().await);
            }
            if self.opened {
                self.push_opening();
            } else {
                self.open().await?;
            }
        } else if anchor.is_some() {
            self.opening.first_segment = number;
            self.opening.continues = true;
            self.opening.discontinuity_sequence = sequence;
            self.push_opening();
        }
        let Some(init) = self.inits.get(&chunk.track) else {
            return Ok(Step::Go);
        };
        let header = self
            .publisher
            .push_chunk(chunk, &info, init, number, sequence);
        self.timeline.published(chunk, &header);
        if self.live_since.is_none() {
            self.live_since = Some(Instant::now());
            self.reporter.problem(None);
        }
        self.reporter.phase(Phase::Live);
        if self
            .live_since
            .is_some_and(|since| since.elapsed() > SOUND_AFTER)
        {
            self.backoff = backoff(&self.context);
        }
        Ok(Step::Go)
    }

    fn problem(&mut self, problem: SourceProblem) {
        let code = problem.code.as_str().to_owned();
        tracing::warn!(stream = %self.owned.stream, code, reason = problem.message,
            fatal = problem.fatal, "problem with the source");
        if problem.fatal {
            self.lost(source::phase_of(problem.code), code, problem.message);
        } else {
            let next = if problem.lasting {
                "the stream goes on; this is over when the source is sound again"
            } else {
                "the stream goes on"
            };
            self.reporter.problem(Some(Trouble {
                code,
                message: problem.message,
                next: next.to_owned(),
            }));
        }
    }

    /// The source is lost: what was begun is closed, and it is tried again later.
    fn lost(&mut self, phase: Phase, code: String, message: String) {
        metrics::counter!("reelay_ingest_source_failures_total", "code" => code.clone())
            .increment(1);
        self.end_job();
        let wait = self.backoff.next().unwrap_or(self.context.config.retry.1);
        self.retry_at = Some(Instant::now() + wait);
        self.reporter.phase(phase);
        self.reporter.problem(Some(Trouble {
            code,
            message,
            next: format!("tried again in {:.1} s", wait.as_secs_f32()),
        }));
    }

    /// Ends the worker's job: segments that it left unfinished are closed, and what a track lacks
    /// of them becomes a gap.
    pub(super) fn end_job(&mut self) {
        self.worker = None;
        self.live_since = None;
        for (track, number, has_parts) in self.timeline.unfinished() {
            if has_parts {
                self.publisher.push_close(&track, number);
                if let Some(s) = self.timeline.standings().get(&track).cloned() {
                    self.timeline.cut(&track, number, s.end_time, s.timescale);
                }
            } else {
                self.gap(track, number);
            }
        }
    }

    fn gap(&mut self, track: Track, number: SegmentNumber) {
        let Some(run) = self.timeline.last_run() else {
            return;
        };
        let sequence = run.discontinuity_sequence;
        let Some(timescale) = run.info(&track).map(|info| info.timescale) else {
            return;
        };
        // As long as the other track's, which has the segment or this would be no hole.
        let standings = self.timeline.standings();
        let start = standings.get(&track).map_or(Ticks(0), |s| s.end_time);
        let end = standings
            .iter()
            .find(|(other, s)| **other != track && s.number >= number)
            .map(|(_, s)| gaps::rescale(s.end_time, s.timescale, timescale));
        let end = end.unwrap_or(start).max(start);
        let times = (start, Ticks(end.0 - start.0), timescale);
        let gap = missing(&self.owned, track.clone(), number, times, sequence);
        self.publisher.push_gap(gap);
        self.timeline.cut(&track, number, end, timescale);
    }
}

pub(super) fn backoff(context: &Context) -> backon::ExponentialBackoff {
    let (least, greatest) = context.config.retry;
    backon::ExponentialBuilder::new()
        .with_min_delay(least)
        .with_max_delay(greatest)
        .with_jitter()
        .without_max_times()
        .build()
}

pub(super) async fn next_message(
    worker: &mut Option<SourceWorker>,
) -> Result<SourceMessage, reelay_media::WorkerError> {
    match worker {
        Some(worker) => worker.next().await,
        None => std::future::pending().await,
    }
}
