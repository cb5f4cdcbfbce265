//! Owns one stream for one epoch: runs the media worker on its source, publishes what comes,
//! keeps the claim in the log, and stops when it is fenced or no longer wanted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backon::BackoffBuilder as _;
use reelay_bus::ProduceError;
use reelay_media::{MediaChunk, SourceJob, SourceMessage, SourceProblem, SourceWorker};
use reelay_model::{LatencyMode, Micros, Phase, StreamSpec};
use reelay_timeline::{CLAIMED_TOPICS, Takeover, end_header, gaps, opening_header};
use reelay_wire::{Nonce, Opening, SegmentNumber, Ticks, Topic, Track};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    app::Context,
    claiming::Won,
    follower::Notice,
    publish::{Init, Publisher, missing},
    records,
    repeat::{self, Owned},
    resolve::resolve,
    source,
    status::{Reporter, Trouble},
    supervisor::Wanted,
    timeline::Timeline,
};

/// After this long with media a source counts as sound again, and its next loss is tried again
/// at once.
const SOUND_AFTER: Duration = Duration::from_secs(10);

/// How long the end of an ownership may take to get what was published into the log.
const FLUSH: Duration = Duration::from_secs(5);

/// A running worker that has said nothing usable yet gives way to an opening without tracks.
const OPENING_WITHOUT_TRACKS: Duration = Duration::from_secs(5);

/// How an ownership ended.
#[derive(Debug)]
pub enum Ended {
    /// By a claim of a higher epoch, or because the claim could not be kept.
    Fenced,
    /// The stream is another's to own, or the process stops.
    Released,
    /// The stream was deleted, and its end is in the log.
    Deleted,
    /// What is fixed with a claim has to change: claim again, at once.
    Again {
        /// What comes is not what was published so far.
        another_source: bool,
    },
    /// The producer is of no use any more.
    Producer(ProduceError),
}

enum Step {
    Go,
    End(Ended),
}

/// The owner of a stream.
pub struct Owner {
    context: Context,
    owned: Owned,
    spec: Arc<StreamSpec>,
    takeover: Takeover,
    /// Nonce of the last claim that was read back and found in force.
    nonce: Nonce,
    timeline: Timeline,
    publisher: Publisher,
    reporter: Reporter,
    worker: Option<SourceWorker>,
    /// When the source is tried (again).
    retry_at: Option<Instant>,
    backoff: backon::ExponentialBackoff,
    /// When the worker's first chunk came.
    live_since: Option<Instant>,
    opened: bool,
    /// When the first opening is written without knowing the tracks.
    open_by: Instant,
    opening: Opening,
    inits: BTreeMap<Track, Init>,
    another_source: bool,
    /// Why the worker was asked to stop, if it is to be followed by another claim.
    again: Option<Ended>,
    /// The worker was asked to stop at the end of its segment; when it must have.
    stopping: Option<Instant>,
    repeating: Option<AbortOnDropHandle<Result<Nonce, ProduceError>>>,
    repeat_at: Instant,
}

impl Owner {
    /// Takes over what a claim has won.
    pub fn new(
        context: Context,
        owned: Owned,
        spec: Arc<StreamSpec>,
        won: Won,
        another_source: bool,
    ) -> reelay_bus::Result<Self> {
        let reporter = Reporter::new(
            context.clone(),
            owned.partition,
            owned.stream.clone(),
            owned.uid,
        );
        let opening = opening(&spec, &won.takeover);
        let now = Instant::now();
        Ok(Self {
            timeline: Timeline::new(&won.takeover, won.had_media),
            publisher: Publisher::new(context.clone(), owned.clone())?,
            reporter,
            worker: None,
            retry_at: Some(now),
            backoff: backoff(&context),
            live_since: None,
            opened: false,
            open_by: now + OPENING_WITHOUT_TRACKS,
            opening,
            inits: BTreeMap::new(),
            another_source,
            again: None,
            stopping: None,
            repeating: None,
            repeat_at: now + repeat::interval(context.retention),
            nonce: won.nonce,
            takeover: won.takeover,
            spec,
            owned,
            context,
        })
    }

    /// Owns the stream until that ends.
    pub async fn run(
        mut self,
        wanted: &mut watch::Receiver<Wanted>,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Ended {
        self.reporter.write();
        loop {
            let step = tokio::select! {
                biased;
                notice = notices.recv() => self.noticed(notice),
                changed = wanted.changed() => match changed {
                    Ok(()) => {
                        let now = wanted.borrow_and_update().clone();
                        self.wanted(now).await
                    }
                    Err(_) => Step::End(Ended::Released),
                },
                progress = self.publisher.progress() => {
                    self.progressed();
                    progress.map_or_else(|error| Step::End(Ended::Producer(error)), |()| Step::Go)
                }
                repeated = finished(&mut self.repeating) => self.repeated(repeated),
                () = tokio::time::sleep_until(self.repeat_at), if self.repeating.is_none() => {
                    self.repeat();
                    Step::Go
                }
                () = tokio::time::sleep_until(self.reporter.due()) => {
                    self.reporter.write();
                    Step::Go
                }
                () = at(self.stopping) => {
                    self.worker = None;
                    self.release().await
                }
                () = at(self.retry_at) => {
                    self.start_source().await;
                    Step::Go
                }
                () = tokio::time::sleep_until(self.open_by), if !self.opened => {
                    self.open().await.map_or_else(|error| Step::End(Ended::Producer(error)), |()| Step::Go)
                }
                message = next_message(&mut self.worker) => self.message(message).await,
            };
            if let Step::End(ended) = step {
                self.worker = None;
                if matches!(ended, Ended::Fenced | Ended::Producer(_)) {
                    self.publisher.purge();
                }
                return ended;
            }
        }
    }

    fn noticed(&mut self, notice: Option<Notice>) -> Step {
        match notice {
            Some(Notice::Claimed(epoch)) if epoch > self.owned.epoch => {
                tracing::info!(stream = %self.owned.stream, epoch = self.owned.epoch.0,
                    by = epoch.0, "fenced by a higher claim");
                Step::End(Ended::Fenced)
            }
            Some(Notice::Mark(mark)) if mark.epoch < self.owned.epoch => {
                self.reporter.overwritten();
                Step::Go
            }
            Some(_) => Step::Go,
            // Another supervisor of this process took the subscription.
            None => Step::End(Ended::Fenced),
        }
    }

    async fn wanted(&mut self, wanted: Wanted) -> Step {
        match wanted {
            Wanted::Spec(spec) => {
                let another_source = spec.source != self.spec.source;
                let another_latency = spec.latency != self.spec.latency;
                self.spec = spec;
                if !(another_source || another_latency) {
                    return Step::Go;
                }
                tracing::info!(stream = %self.owned.stream, "source was changed");
                // Part targets and latency mode are fixed with a claim.
                self.again = Some(Ended::Again { another_source });
                self.stop().await
            }
            Wanted::Deleted => {
                self.end_job();
                Step::End(self.delete().await)
            }
            Wanted::Released => {
                self.again = None;
                self.stop().await
            }
            Wanted::Lost => Step::End(Ended::Fenced),
        }
    }

    /// Lets the worker come to the end of its segment.
    async fn stop(&mut self) -> Step {
        self.retry_at = None;
        match &self.worker {
            Some(worker) => {
                worker.stop_at_boundary();
                self.stopping = Some(Instant::now() + self.context.config.hand_over);
                Step::Go
            }
            None => self.release().await,
        }
    }

    /// What was published gets into the log; where the stream is handed over `status` says so.
    async fn release(&mut self) -> Step {
        self.end_job();
        match self.publisher.flush(FLUSH).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(stream = %self.owned.stream, "hand-over was not finished in time")
            }
            Err(error) => return Step::End(Ended::Producer(error)),
        }
        self.progressed();
        if let Some(again) = self.again.take() {
            return Step::End(again);
        }
        self.reporter.phase(Phase::Offline);
        self.reporter.problem(None);
        self.reporter.write_now(FLUSH).await;
        Step::End(Ended::Released)
    }

    async fn delete(&mut self) -> Ended {
        if !self.opened
            && let Err(error) = self.open().await
        {
            return Ended::Producer(error);
        }
        let header =
            |topic| end_header(&self.owned.stream, self.owned.uid, &topic, self.owned.epoch);
        self.publisher
            .push_ends(&header(Topic::Source), &header(Topic::Audio));
        let record = records::outgoing(
            Topic::Index,
            self.owned.partition,
            &header(Topic::Index),
            Vec::new().into(),
            None,
        );
        match self.publisher.flush(FLUSH).await {
            Ok(_) => {}
            Err(error) => return Ended::Producer(error),
        }
        if let Err(error) = self.context.producer.send(record).await {
            return Ended::Producer(error);
        }
        self.progressed();
        self.reporter.phase(Phase::Offline);
        self.reporter.problem(None);
        self.reporter.write_now(FLUSH).await;
        Ended::Deleted
    }

    /// Tells `status` what got durable.
    fn progressed(&mut self) {
        let sequence = self.timeline.discontinuity_sequence();
        self.reporter
            .durable(self.publisher.durable(), self.owned.epoch, sequence);
    }

    fn repeat(&mut self) {
        self.repeat_at = Instant::now() + repeat::interval(self.context.retention);
        if !self.opened {
            return;
        }
        let (context, owned) = (self.context.clone(), self.owned.clone());
        let task = tokio::spawn(async move { repeat::repeat_claims(&context, &owned).await });
        self.repeating = Some(AbortOnDropHandle::new(task));
    }

    /// The claims were repeated and read back; had they been void, a notice would have come first.
    fn repeated(&mut self, repeated: Result<Nonce, ProduceError>) -> Step {
        self.repeating = None;
        match repeated {
            Ok(nonce) => {
                self.nonce = nonce;
                self.opening.first_segment = self.timeline.next_number();
                self.opening.discontinuity_sequence = self.timeline.discontinuity_sequence();
                self.opening.continues = true;
                self.push_opening();
            }
            Err(error) => {
                tracing::warn!(stream = %self.owned.stream, %error, "claim was not repeated");
            }
        }
        Step::Go
    }

    fn push_opening(&mut self) {
        let opening = &self.opening;
        let records = CLAIMED_TOPICS.map(|topic| {
            let owned = &self.owned;
            let header = opening_header(&owned.stream, owned.uid, &topic, owned.epoch, self.nonce);
            (header, opening.clone())
        });
        self.publisher.push_opening(records);
    }

    /// Writes the first opening and what the predecessors left to be repaired, and waits for
    /// both: nothing of this epoch counts before.
    async fn open(&mut self) -> Result<(), ProduceError> {
        for topic in CLAIMED_TOPICS {
            let owned = &self.owned;
            let header = opening_header(&owned.stream, owned.uid, &topic, owned.epoch, self.nonce);
            let value = self.opening.encode();
            send(&self.context, &self.owned, &topic, &header, value).await?;
        }
        let repairs = std::mem::take(&mut self.takeover.repairs);
        for repair in &repairs {
            if let Some(gap) = &repair.gap {
                send(
                    &self.context,
                    &self.owned,
                    &Topic::of_track(&gap.track),
                    gap,
                    Vec::new().into(),
                )
                .await?;
            }
            let value = repair.index.encode();
            send(
                &self.context,
                &self.owned,
                &Topic::Index,
                &repair.index_header,
                value,
            )
            .await?;
        }
        tracing::info!(stream = %self.owned.stream, epoch = self.owned.epoch.0,
            first_segment = self.takeover.first_segment.0, repairs = repairs.len(), "stream opened");
        self.opened = true;
        Ok(())
    }

    async fn start_source(&mut self) {
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
        job.resume = self
            .timeline
            .begin_job(std::mem::take(&mut self.another_source));
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

    async fn message(&mut self, message: Result<SourceMessage, reelay_media::WorkerError>) -> Step {
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
        if !run.opened {
            run.opened = true;
            self.opening.first_segment = number;
            self.opening.continues = !run.breaks;
            self.opening.discontinuity_sequence = sequence;
            let part_targets: BTreeMap<Track, u32> = (run.tracks.iter())
                .map(|info| (info.track.clone(), info.part_target.0.max(1) as u32))
                .collect();
            if self.opening.part_targets.is_empty() {
                let start = chunk.decode_time.to_micros(info.timescale);
                self.opening.time_origin = Micros(chunk.capture_time.0 - start.0);
                self.opening.part_targets = part_targets;
            } else if self.opening.part_targets != part_targets {
                tracing::info!(stream = %self.owned.stream, "tracks or part targets changed");
                self.again = Some(Ended::Again {
                    another_source: false,
                });
                return Ok(self.release().await);
            }
            if self.opened {
                self.push_opening();
            } else {
                self.open().await?;
            }
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
    fn end_job(&mut self) {
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

/// Appends one record of the owner and waits until it is in the log.
async fn send(
    context: &Context,
    owned: &Owned,
    topic: &Topic,
    header: &reelay_wire::Header,
    value: bytes::Bytes,
) -> Result<(), ProduceError> {
    let record = records::outgoing(topic.clone(), owned.partition, header, value, None);
    let offset = context.producer.send(record).await?.offset;
    context.foreign.written(topic, owned.partition, offset);
    Ok(())
}

/// The opening before anything is known of the tracks.
fn opening(spec: &StreamSpec, takeover: &Takeover) -> Opening {
    let before = takeover.opening.as_ref();
    Opening {
        first_segment: takeover.first_segment,
        time_origin: before.map_or_else(Micros::now, |o| o.time_origin),
        continues: false,
        target_duration_s: spec.greatest_segment.seconds().into(),
        part_targets: BTreeMap::new(),
        discontinuity_sequence: takeover.discontinuity_sequence,
        low_latency: spec.latency == LatencyMode::Low,
    }
}

fn backoff(context: &Context) -> backon::ExponentialBackoff {
    let (least, greatest) = context.config.retry;
    backon::ExponentialBuilder::new()
        .with_min_delay(least)
        .with_max_delay(greatest)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Waits until `time`; for ever without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn next_message(
    worker: &mut Option<SourceWorker>,
) -> Result<SourceMessage, reelay_media::WorkerError> {
    match worker {
        Some(worker) => worker.next().await,
        None => std::future::pending().await,
    }
}

/// The result of a repetition that runs; for ever without one.
async fn finished(
    task: &mut Option<AbortOnDropHandle<Result<Nonce, ProduceError>>>,
) -> Result<Nonce, ProduceError> {
    match task {
        Some(task) => match task.await {
            Ok(result) => result,
            Err(error) => Err(ProduceError::Unacknowledged {
                topic: Topic::Source,
                partition: -1,
                reason: error.to_string(),
            }),
        },
        None => std::future::pending().await,
    }
}
