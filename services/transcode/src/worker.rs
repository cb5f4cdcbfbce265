//! A worker process as a stream uses it: what it is told never waits.

use std::time::Duration;

use bytes::Bytes;
use reelay_media::{
    SegmentJob, TranscodeInput, TranscodeMessage, TranscodeWorker, WorkerError, WorkerProgram,
};
use reelay_model::Ticks;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

enum Input {
    Begin(Box<SegmentJob>),
    Push(Bytes, bool),
    End(Option<Ticks>),
}

/// A running worker. Dropping it kills the process.
pub struct Worker {
    worker: TranscodeWorker,
    inputs: mpsc::UnboundedSender<Input>,
    _feeder: AbortOnDropHandle<()>,
}

impl Worker {
    /// Starts a worker process.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(program: &WorkerProgram, watchdog: Duration) -> Result<Self, WorkerError> {
        let worker = TranscodeWorker::spawn_with_watchdog(program, watchdog)?;
        let (inputs, to_feed) = mpsc::unbounded_channel();
        let feeder = tokio::spawn(feed(worker.input().clone(), to_feed));
        Ok(Self {
            worker,
            inputs,
            _feeder: AbortOnDropHandle::new(feeder),
        })
    }

    /// Begins a segment.
    pub fn begin(&self, job: SegmentJob) {
        self.tell(Input::Begin(Box::new(job)));
    }

    /// Hands over a chunk of the segment.
    pub fn push(&self, chunk: Bytes, last: bool) {
        self.tell(Input::Push(chunk, last));
    }

    /// Ends the segment, whose duration is known.
    pub fn end(&self, duration: Ticks) {
        self.tell(Input::End(Some(duration)));
    }

    /// Ends the segment after what was handed over; nobody cares how long it is.
    pub fn end_early(&self) {
        self.tell(Input::End(None));
    }

    fn tell(&self, input: Input) {
        // When the worker is gone its messages say so.
        let _ = self.inputs.send(input);
    }

    /// What the worker says next. Cancel safe.
    ///
    /// # Errors
    /// It died, hung or broke the protocol.
    pub async fn next(&mut self) -> Result<TranscodeMessage, WorkerError> {
        self.worker.next().await
    }
}

/// A task of its own: the worker takes input only while its messages are read.
async fn feed(input: TranscodeInput, mut inputs: mpsc::UnboundedReceiver<Input>) {
    while let Some(next) = inputs.recv().await {
        let fed = match next {
            Input::Begin(job) => input.begin(*job).await,
            Input::Push(chunk, last) => input.push(chunk, last).await,
            Input::End(duration) => input.end(duration).await,
        };
        if fed.is_err() {
            return;
        }
    }
}
