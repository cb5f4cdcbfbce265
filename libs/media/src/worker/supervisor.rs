//! The parent's side: starts a worker, reads its messages, ends it when it hangs.

use std::{
    collections::VecDeque,
    io,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
    task::JoinHandle,
};
use tracing::{debug, warn};

use super::frame::{Command, read_message, write_frame};
use crate::{SourceJob, SourceMessage, WorkerProgram};

/// Messages between the reading task and the caller: with these full and the pipe full, the
/// worker blocks.
const QUEUE: usize = 4;
/// A worker says something at least once a second.
const WATCHDOG: Duration = Duration::from_secs(8);
/// How long a worker whose output has ended may take to exit.
const EXIT_GRACE: Duration = Duration::from_secs(3);
/// Lines of a worker's stderr that are logged a second; what a broken file makes FFmpeg say can
/// be thousands.
const LINES_A_SECOND: u32 = 20;
const MAX_LINE_BYTES: u64 = 2_000;

/// Why a worker gives no more messages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The program could not be started.
    #[error("media worker {program} cannot be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The worker ended without saying that it had ended.
    #[error("media worker of stream {stream} died: {status}{}", in_words(.last_words))]
    Died {
        /// The stream.
        stream: String,
        /// Exit code or signal.
        status: String,
        /// The last lines it wrote to stderr.
        last_words: Vec<String>,
    },
    /// The worker said nothing for too long, and was killed.
    #[error(
        "media worker of stream {stream} (pid {pid}) said nothing for {} s and was killed{}",
        .silence.as_secs(), in_words(.last_words)
    )]
    Hung {
        /// The stream.
        stream: String,
        /// The process that was killed.
        pid: u32,
        /// How long it was silent.
        silence: Duration,
        /// The last lines it wrote to stderr.
        last_words: Vec<String>,
    },
    /// The worker wrote something that is no message, and was killed.
    #[error("media worker of stream {stream} broke the protocol: {source}")]
    Protocol {
        /// The stream.
        stream: String,
        /// What was wrong.
        source: io::Error,
    },
    /// [`SourceMessage::Ended`] or an error was returned before.
    #[error("media worker has ended")]
    Ended,
}

fn in_words(lines: &[String]) -> String {
    match lines {
        [] => String::new(),
        lines => format!("; its last words: {}", lines.join(" | ")),
    }
}

/// A running source worker. Dropping it kills the process.
#[derive(Debug)]
pub struct SourceWorker {
    pid: u32,
    messages: mpsc::Receiver<Result<SourceMessage, WorkerError>>,
    commands: mpsc::UnboundedSender<Command>,
    reader: JoinHandle<()>,
    others: [JoinHandle<()>; 2],
}

impl Drop for SourceWorker {
    fn drop(&mut self) {
        // The reader owns the process, which is killed with it.
        self.reader.abort();
        self.others.iter().for_each(JoinHandle::abort);
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
        let failed = |source| WorkerError::Spawn {
            program: program.program.display().to_string(),
            source,
        };
        let mut child = tokio::process::Command::new(&program.program)
            .args(&program.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in a terminal is for the service, which then ends its
            // workers in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let missing = || failed(io::Error::other("the process has no pipes"));
        let pid = child.id().ok_or_else(missing)?;
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;

        let last_words = LastWords::default();
        let (commands, to_write) = mpsc::unbounded_channel();
        let (to_caller, messages) = mpsc::channel(QUEUE);
        // Cannot fail: the receiver lives.
        let _ = commands.send(Command::Job(Box::new(job.clone())));
        let reader = Reader {
            stream: job.stream.clone(),
            pid,
            watchdog,
            child,
            to_caller,
            last_words: last_words.clone(),
        };
        Ok(Self {
            pid,
            messages,
            commands,
            others: [
                tokio::spawn(write_commands(stdin, to_write)),
                tokio::spawn(log_lines(stderr, job.stream.clone(), pid, last_words)),
            ],
            reader: tokio::spawn(reader.run(stdout)),
        })
    }

    /// Process id of the worker.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The next message. Cancel safe. While it is not called the worker blocks, and its silence
    /// is not counted.
    ///
    /// # Errors
    /// When the worker died, hung or broke the protocol; [`WorkerError::Ended`] after that and
    /// after [`SourceMessage::Ended`].
    pub async fn next(&mut self) -> Result<SourceMessage, WorkerError> {
        self.messages
            .recv()
            .await
            .unwrap_or(Err(WorkerError::Ended))
    }

    /// Asks the worker to end at the next end of a segment (the synthetic camera: at the next
    /// frame). Its messages up to [`SourceMessage::Ended`] still have to be read.
    pub fn stop_at_boundary(&self) {
        // When the worker is gone its messages say so.
        let _ = self.commands.send(Command::Stop);
    }
}

#[derive(Debug, Clone, Default)]
struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == 5 {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    fn take(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain(..).collect()
    }
}

struct Reader {
    stream: String,
    pid: u32,
    watchdog: Duration,
    child: Child,
    to_caller: mpsc::Sender<Result<SourceMessage, WorkerError>>,
    last_words: LastWords,
}

impl Reader {
    async fn run(mut self, stdout: ChildStdout) {
        let error = match self.forward(stdout).await {
            Ok(()) => {
                // It has said that it ended; its exit status adds nothing.
                self.exit().await;
                return;
            }
            Err(error) => error,
        };
        // When the caller has gone there is nobody to tell.
        let _ = self.to_caller.send(Err(error)).await;
    }

    /// Hands on messages up to and including the end.
    async fn forward(&mut self, stdout: impl AsyncRead + Unpin) -> Result<(), WorkerError> {
        let mut stdout = BufReader::with_capacity(64 * 1024, stdout);
        loop {
            let read = tokio::time::timeout(self.watchdog, read_message(&mut stdout)).await;
            let message = match read {
                Err(_) => {
                    self.kill().await;
                    return Err(WorkerError::Hung {
                        stream: self.stream.clone(),
                        pid: self.pid,
                        silence: self.watchdog,
                        last_words: self.last_words.take(),
                    });
                }
                Ok(Ok(Some(None))) => continue,
                Ok(Ok(Some(Some(message)))) => message,
                Ok(Err(source)) if source.kind() == io::ErrorKind::InvalidData => {
                    self.kill().await;
                    return Err(WorkerError::Protocol {
                        stream: self.stream.clone(),
                        source,
                    });
                }
                // A frame that breaks off is a death, too.
                Ok(Ok(None) | Err(_)) => {
                    let status = self.exit().await;
                    return Err(WorkerError::Died {
                        stream: self.stream.clone(),
                        status,
                        last_words: self.last_words.take(),
                    });
                }
            };
            let ended = message == SourceMessage::Ended;
            if self.to_caller.send(Ok(message)).await.is_err() || ended {
                return Ok(());
            }
        }
    }

    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            warn!(stream = self.stream, pid = self.pid, %error, "media worker cannot be killed");
        }
    }

    /// Waits for the process to exit, or kills it; says how it ended.
    async fn exit(&mut self) -> String {
        match tokio::time::timeout(EXIT_GRACE, self.child.wait()).await {
            // Debian's exit status text: "exit status: 1" or "signal: 9 (SIGKILL)".
            Ok(status) => status
                .as_ref()
                .map_or_else(io::Error::to_string, ExitStatus::to_string),
            Err(_) => {
                self.kill().await;
                "closed its output and was killed".to_owned()
            }
        }
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

/// Logs what the worker writes to stderr, line by line, not more than some lines a second.
async fn log_lines(stderr: ChildStderr, stream: String, pid: u32, last_words: LastWords) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut second = Instant::now();
    let mut in_second = 0;
    loop {
        line.clear();
        let mut limited = tokio::io::AsyncReadExt::take(&mut stderr, MAX_LINE_BYTES);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        last_words.push(text);
        if second.elapsed() >= Duration::from_secs(1) {
            if in_second > LINES_A_SECOND {
                let left_out = in_second - LINES_A_SECOND;
                warn!(
                    stream,
                    pid, left_out, "media worker wrote more lines than are logged"
                );
            }
            second = Instant::now();
            in_second = 0;
        }
        in_second += 1;
        if in_second <= LINES_A_SECOND {
            warn!(stream, pid, line = text, "media worker says");
        }
    }
}
