//! The parent's side of a transcode worker.

use std::{io, time::Duration};

use bytes::Bytes;
use reelay_model::Ticks;
use tokio::{io::AsyncWriteExt, process::ChildStdin, sync::mpsc, task::JoinHandle};
use tracing::debug;

use super::{
    frame::{Command, write_frame},
    supervisor::{Supervised, WATCHDOG, WorkerError},
    work::{Work, Works},
};
use crate::{SegmentJob, TranscodeMessage, WorkerProgram};

/// What waits for the worker; with so much, and the pipe full, the caller waits.
const QUEUE: usize = 8;

/// A running transcode worker: one process that makes rungs of one segment at a time, of any
/// number of them, one after the other. Dropping it kills the process.
///
/// A segment is begun, its chunks are pushed as they come, and it is ended. Its messages come
/// meanwhile and end with [`TranscodeMessage::Done`] or [`TranscodeMessage::Failed`]; the worker
/// is then ready for the next one, which may have been begun before.
///
/// Both directions are bounded: a worker whose messages are not read takes no chunks. So a caller
/// must not wait for [`push`](TranscodeInput::push) and leave messages unread meanwhile; it waits
/// for both at once, or reads messages in a task of its own.
#[derive(Debug)]
pub struct TranscodeWorker {
    worker: Supervised<TranscodeMessage>,
    input: TranscodeInput,
    writer: JoinHandle<()>,
}

impl Drop for TranscodeWorker {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// The way into a transcode worker. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct TranscodeInput {
    to_worker: mpsc::Sender<Input>,
    works: Works,
}

#[derive(Debug)]
enum Input {
    Begin(Box<SegmentJob>),
    Push(Bytes, bool),
    End(Option<Ticks>),
}

impl TranscodeWorker {
    /// Starts a worker with a cleared environment. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`WorkerError::Spawn`].
    pub fn spawn(program: &WorkerProgram) -> Result<Self, WorkerError> {
        Self::spawn_with_watchdog(program, WATCHDOG)
    }

    /// [`spawn`](Self::spawn) with another limit for the worker's silence (8 s there). The worker
    /// says something once a second, unless decoding or encoding a frame takes longer.
    ///
    /// # Errors
    /// [`WorkerError::Spawn`].
    pub fn spawn_with_watchdog(
        program: &WorkerProgram,
        watchdog: Duration,
    ) -> Result<Self, WorkerError> {
        let works = Works::default();
        let (worker, stdin) = Supervised::spawn(program, watchdog, works.clone())?;
        let (to_worker, to_write) = mpsc::channel(QUEUE);
        Ok(Self {
            worker,
            input: TranscodeInput { to_worker, works },
            writer: tokio::spawn(write_inputs(stdin, to_write)),
        })
    }

    /// Process id of the worker.
    pub fn pid(&self) -> u32 {
        self.worker.pid
    }

    /// The way into the worker.
    pub fn input(&self) -> &TranscodeInput {
        &self.input
    }

    /// The next message. Cancel safe. While it is not called the worker blocks, and its silence
    /// is not counted.
    ///
    /// # Errors
    /// When the worker died, hung or broke the protocol, with the stream and the segment that it
    /// was at; [`WorkerError::Ended`] after that.
    pub async fn next(&mut self) -> Result<TranscodeMessage, WorkerError> {
        self.worker.next().await
    }
}

impl TranscodeInput {
    /// Begins a segment. One that has not been ended is given up: it ends with
    /// [`TranscodeMessage::Failed`]. Waits while the worker is behind; one that is cancelled has
    /// done nothing.
    ///
    /// # Errors
    /// [`WorkerError::Ended`] when the worker is gone; its messages say why.
    pub async fn begin(&self, job: SegmentJob) -> Result<(), WorkerError> {
        let permit = self.permit().await?;
        // Before the worker can say anything about it.
        self.works
            .begin(Work::Segment(job.stream.clone(), job.segment));
        permit.send(Input::Begin(Box::new(job)));
        Ok(())
    }

    /// Hands over a chunk of the segment (`moof` + `mdat`, without init segment), in order; `last`
    /// as its record says. Waits while the worker is behind; one that is cancelled has done
    /// nothing. After the segment has failed its chunks are ignored.
    ///
    /// Where `last` is never said, since the source's segment was ended by another record, the
    /// rungs' last parts may be out before the end is known:
    /// [`SegmentReport::last_said`](crate::SegmentReport::last_said) tells.
    ///
    /// # Errors
    /// [`WorkerError::Ended`] when the worker is gone; its messages say why.
    pub async fn push(&self, chunk: Bytes, last: bool) -> Result<(), WorkerError> {
        self.permit().await?.send(Input::Push(chunk, last));
        Ok(())
    }

    /// Ends the segment; `duration` is the source segment's by its records, in the timescale of
    /// its init segment. The rungs are as long even where its last chunk cannot be read. Waits
    /// while the worker is behind; one that is cancelled has done nothing.
    ///
    /// # Errors
    /// [`WorkerError::Ended`] when the worker is gone; its messages say why.
    pub async fn end(&self, duration: Option<Ticks>) -> Result<(), WorkerError> {
        self.permit().await?.send(Input::End(duration));
        Ok(())
    }

    async fn permit(&self) -> Result<mpsc::Permit<'_, Input>, WorkerError> {
        self.to_worker
            .reserve()
            .await
            .map_err(|_| WorkerError::Ended)
    }
}

async fn write_inputs(mut stdin: ChildStdin, mut inputs: mpsc::Receiver<Input>) {
    let mut written = write(&mut stdin, &Command::Transcode, &[]).await;
    while written.is_ok() {
        let Some(input) = inputs.recv().await else {
            return;
        };
        written = match input {
            Input::Begin(job) => write_job(&mut stdin, job).await,
            Input::Push(chunk, last) => write(&mut stdin, &Command::Push { last }, &chunk).await,
            Input::End(duration) => write(&mut stdin, &Command::End { duration }, &[]).await,
        };
    }
    if let Err(error) = written {
        debug!(%error, "media worker takes no segments any more");
    }
}

async fn write_job(stdin: &mut ChildStdin, mut job: Box<SegmentJob>) -> io::Result<()> {
    let init = std::mem::take(&mut job.init);
    let chunks = std::mem::take(&mut job.pre_roll);
    let command = Command::Segment {
        job,
        pre_roll: chunks.len(),
    };
    write(stdin, &command, &init).await?;
    for chunk in chunks {
        write(stdin, &Command::PreRoll, &chunk).await?;
    }
    Ok(())
}

async fn write(stdin: &mut ChildStdin, command: &Command, body: &[u8]) -> io::Result<()> {
    let mut frame = Vec::new();
    write_frame(&mut frame, command, &[body])?;
    stdin.write_all(&frame).await
}
