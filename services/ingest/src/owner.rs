//! Owns one stream for one epoch: runs the media worker on its source, publishes what comes,
//! keeps the claim in the log, and stops when it is fenced or no longer wanted.

mod job;
mod opening;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reelay_bus::ProduceError;
use reelay_media::{SourceInput, SourceProblemCode, SourceWorker};
use reelay_model::{Phase, StreamSpec};
use reelay_timeline::{Takeover, end_header};
use reelay_wire::{Nonce, Opening, Topic, Track};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use self::{
    job::{Refused, backoff, next_message},
    opening::opening,
};
use crate::{
    app::Context,
    claiming::Won,
    follower::Notice,
    publish::{Init, Publisher},
    records,
    repeat::{self, Owned},
    status::Reporter,
    supervisor::Wanted,
    timeline::Timeline,
};

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
    Again,
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
    /// What the worker that runs, or ran last, was given to open.
    input: Option<SourceInput>,
    refused: Option<Refused>,
    /// What the running worker has said of its source and not taken back.
    lasting: Option<SourceProblemCode>,
    /// Until when an event that it told is shown.
    event_until: Option<Instant>,
    /// When the worker's first chunk came.
    live_since: Option<Instant>,
    opened: bool,
    /// When the first opening is written without knowing the tracks.
    open_by: Instant,
    opening: Opening,
    inits: BTreeMap<Track, Init>,
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
            input: None,
            refused: None,
            lasting: None,
            event_until: None,
            live_since: None,
            opened: false,
            open_by: now + OPENING_WITHOUT_TRACKS,
            opening,
            inits: BTreeMap::new(),
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
                    self.event_is_over();
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
                let another_login = spec.credentials != self.spec.credentials;
                self.spec = spec;
                if !(another_source || another_latency || another_login) {
                    return Step::Go;
                }
                tracing::info!(stream = %self.owned.stream, "source was changed");
                // Part targets and latency mode are fixed with a claim.
                self.again = Some(Ended::Again);
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
}

/// Waits until `time`; for ever without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
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
