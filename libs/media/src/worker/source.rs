//! The parent's side of a source worker.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, process::ChildStdin, sync::mpsc, task::JoinHandle};
use tracing::debug;

use super::{
    frame::{Command, write_frame},
    supervisor::{Supervised, WATCHDOG, WorkerError},
    work::{Work, Works},
};
use crate::{SourceJob, SourceMessage, WorkerProgram};

/// A running source worker. Dropping it kills the process.
#[derive(Debug)]
pub struct SourceWorker {
    worker: Supervised<SourceMessage>,
    commands: mpsc::UnboundedSender<Command>,
    writer: JoinHandle<()>,
}

impl Drop for SourceWorker {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl SourceWorker {
    /// Starts a worker with a cleared environment and gives it its job. Must be called in a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`WorkerError::Spawn`].
    pub fn spawn(program: &WorkerProgram, job: &SourceJob) -> Result<Self, WorkerError> {
        Self::spawn_with_watchdog(program, job, WATCHDOG)
    }

    /// [`spawn`](Self::spawn) with another limit for the worker's silence (8 s there). The worker
    /// says something once a second.
    ///
    /// # Errors
    /// [`WorkerError::Spawn`].
    pub fn spawn_with_watchdog(
        program: &WorkerProgram,
        job: &SourceJob,
        watchdog: Duration,
    ) -> Result<Self, WorkerError> {
        let works = Works::one(Work::Stream(job.stream.clone()));
        let (worker, stdin) = Supervised::spawn(program, watchdog, works)?;
        let (commands, to_write) = mpsc::unbounded_channel();
        // Cannot fail: the receiver lives.
        let _ = commands.send(Command::Job(Box::new(job.clone())));
        Ok(Self {
            worker,
            commands,
            writer: tokio::spawn(write_commands(stdin, to_write)),
        })
    }

    /// Process id of the worker.
    pub fn pid(&self) -> u32 {
        self.worker.pid
    }

    /// The next message. Cancel safe. While it is not called the worker blocks, and its silence
    /// is not counted.
    ///
    /// # Errors
    /// When the worker died, hung or broke the protocol; [`WorkerError::Ended`] after that and
    /// after [`SourceMessage::Ended`].
    pub async fn next(&mut self) -> Result<SourceMessage, WorkerError> {
        self.worker.next().await
    }

    /// Asks the worker to end at the next end of a segment (the synthetic camera: at the next
    /// frame). Its messages up to [`SourceMessage::Ended`] still have to be read.
    pub fn stop_at_boundary(&self) {
        // When the worker is gone its messages say so.
        let _ = self.commands.send(Command::Stop);
    }
}

async fn write_commands(mut stdin: ChildStdin, mut commands: mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = commands.recv().await {
        let mut frame = Vec::new();
        let written = match write_frame(&mut frame, &command, &[]) {
            Ok(()) => stdin.write_all(&frame).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            debug!(%error, "media worker takes no commands any more");
            return;
        }
    }
}
