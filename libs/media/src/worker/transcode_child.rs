//! The transcode worker's process: takes one segment after the other from stdin. Nothing is kept
//! from one segment to the next.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use tracing::error;

use super::{
    frame::{Command, read_command},
    output::{Frames, Gone},
    transcode_frame::TranscodeHead,
};
use crate::{
    RungChunk, SegmentJob, TranscodeProblem, TranscodeProblemCode, av,
    transcode::{Failure, Listener, Segment},
};

/// Commands that wait; with so many the pipe fills and the parent waits.
const QUEUE: usize = 4;
/// A heartbeat is due at least so often.
const TICK: Duration = Duration::from_millis(400);

/// Works until the parent is gone.
pub(super) fn run() -> io::Result<()> {
    av::init().map_err(io::Error::other)?;
    let (to_work, commands) = sync_channel(QUEUE);
    thread::Builder::new()
        .name("commands".to_owned())
        .spawn(move || read_commands(&to_work))?;
    // Not `io::Stdout`, which looks for ends of lines in what it writes.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let output = Arc::new(Output(Mutex::new(Frames::new(stdout))));
    // An output that cannot be written to means that the parent has gone: no failure.
    let _ = work(&commands, &output);
    Ok(())
}

/// Hands on commands until the parent is gone, and ends the process then, whatever it is doing.
fn read_commands(to: &SyncSender<(Command, Bytes)>) {
    let mut stdin = io::stdin().lock();
    loop {
        match read_command(&mut stdin) {
            Ok(Some(command)) => {
                if to.send(command).is_err() {
                    return;
                }
            }
            Ok(None) => std::process::exit(0),
            Err(error) => {
                error!(%error, "commands cannot be read");
                std::process::exit(1);
            }
        }
    }
}

fn work<W: Write + Send + 'static>(
    commands: &Receiver<(Command, Bytes)>,
    output: &Arc<Output<W>>,
) -> Result<(), Gone> {
    let mut worker = Worker {
        output: output.clone(),
        waiting: None,
        segment: None,
    };
    loop {
        match commands.recv_timeout(TICK) {
            Ok((command, body)) => worker.take(command, body)?,
            // A rung that is at work gives its own signs of life: one that hangs gives none.
            Err(RecvTimeoutError::Timeout) => {
                if worker.segment.as_ref().is_none_or(Segment::is_idle) {
                    output.alive()?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

struct Worker<W> {
    output: Arc<Output<W>>,
    /// A segment whose pre-roll has not all come, and how many chunks it has.
    waiting: Option<(Box<SegmentJob>, usize)>,
    segment: Option<Segment>,
}

impl<W: Write + Send + 'static> Worker<W> {
    fn take(&mut self, command: Command, body: Bytes) -> Result<(), Gone> {
        match command {
            Command::Segment { mut job, pre_roll } => {
                self.abandon()?;
                job.init = body;
                self.start_with(job, pre_roll)
            }
            Command::PreRoll => match self.waiting.take() {
                Some((mut job, chunks)) => {
                    job.pre_roll.push(body);
                    self.start_with(job, chunks)
                }
                None => Ok(()),
            },
            Command::Push { last } => match &mut self.segment {
                Some(segment) => {
                    let pushed = segment.push(&body, last);
                    self.check(pushed)
                }
                // It has failed: what follows of it is of no use.
                None => Ok(()),
            },
            Command::End { duration } => match self.segment.take() {
                Some(segment) => match segment.finish(duration) {
                    Ok(report) => self.output.write(&TranscodeHead::Done(report), &[]),
                    Err(failure) => self.failed(failure),
                },
                None => Ok(()),
            },
            Command::Job(_) | Command::Stop | Command::Transcode => {
                error!("a transcode worker takes segments only");
                Ok(())
            }
        }
    }

    /// A segment that is followed by another before it has ended.
    fn abandon(&mut self) -> Result<(), Gone> {
        if self.segment.take().is_none() {
            return Ok(());
        }
        self.failed(Failure::Problem(TranscodeProblem::new(
            TranscodeProblemCode::Abandoned,
            "another segment was begun before this one was ended",
        )))
    }

    /// Starts the segment when it has so many chunks of pre-roll.
    fn start_with(&mut self, job: Box<SegmentJob>, pre_roll: usize) -> Result<(), Gone> {
        if job.pre_roll.len() < pre_roll {
            self.waiting = Some((job, pre_roll));
            return Ok(());
        }
        match Segment::begin(&job, self.output.clone()) {
            Ok(segment) => {
                self.segment = Some(segment);
                Ok(())
            }
            Err(failure) => self.failed(failure),
        }
    }

    fn check(&mut self, result: Result<(), Failure>) -> Result<(), Gone> {
        match result {
            Ok(()) => Ok(()),
            Err(failure) => {
                self.segment = None;
                self.failed(failure)
            }
        }
    }

    fn failed(&self, failure: Failure) -> Result<(), Gone> {
        match failure {
            Failure::Gone(gone) => Err(gone),
            Failure::Problem(problem) => self.output.write(&TranscodeHead::Failed(problem), &[]),
        }
    }
}

/// Stdout, shared by the rungs' threads.
struct Output<W>(Mutex<Frames<W>>);

impl<W: Write + Send> Output<W> {
    fn frames(&self) -> MutexGuard<'_, Frames<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, head: &TranscodeHead, body: &[&[u8]]) -> Result<(), Gone> {
        self.frames().write(head, body)
    }
}

impl<W: Write + Send> Listener for Output<W> {
    fn chunk(&self, chunk: RungChunk) -> Result<(), Gone> {
        let init = chunk.init.clone().unwrap_or_default();
        let data = chunk.data.clone();
        let head = TranscodeHead::Chunk {
            chunk,
            init_length: init.len() as u32,
        };
        self.write(&head, &[&init, &data])
    }

    fn thumbnail(&self, jpeg: Bytes) -> Result<(), Gone> {
        self.write(&TranscodeHead::Thumbnail, &[&jpeg])
    }

    fn alive(&self) -> Result<(), Gone> {
        self.frames().tick(&TranscodeHead::Heartbeat)
    }
}
