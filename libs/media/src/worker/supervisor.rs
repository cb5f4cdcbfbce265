//! The parent's side of every worker: starts it, reads its messages, ends it when it hangs. What
//! it is told is said by `source` and `transcode`.

use std::{
    collections::VecDeque,
    io,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
    task::JoinHandle,
};
use tracing::warn;

use super::{
    frame::{Message, read_message},
    work::{Work, Works},
};
use crate::WorkerProgram;

/// Messages between the reading task and the caller: with these full and the pipe full, the
/// worker blocks.
const QUEUE: usize = 4;
/// A worker says something at least once a second.
pub(super) const WATCHDOG: Duration = Duration::from_secs(8);
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
    #[error("media worker of {work} died: {status}{}", in_words(.last_words))]
    Died {
        /// What it was working on.
        work: Work,
        /// Exit code or signal.
        status: String,
        /// The last lines it wrote to stderr.
        last_words: Vec<String>,
    },
    /// The worker said nothing for too long, and was killed.
    #[error(
        "media worker of {work} (pid {pid}) said nothing for {} s and was killed{}",
        .silence.as_secs(), in_words(.last_words)
    )]
    Hung {
        /// What it was working on.
        work: Work,
        /// The process that was killed.
        pid: u32,
        /// How long it was silent.
        silence: Duration,
        /// The last lines it wrote to stderr.
        last_words: Vec<String>,
    },
    /// The worker wrote something that is no message, and was killed.
    #[error("media worker of {work} broke the protocol: {source}")]
    Protocol {
        /// What it was working on.
        work: Work,
        /// What was wrong.
        source: io::Error,
    },
    /// The worker's last message or an error was returned before.
    #[error("media worker has ended")]
    Ended,
}

fn in_words(lines: &[String]) -> String {
    match lines {
        [] => String::new(),
        lines => format!("; its last words: {}", lines.join(" | ")),
    }
}

/// A running worker. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Supervised<M> {
    pub(super) pid: u32,
    messages: mpsc::Receiver<Result<M, WorkerError>>,
    reader: JoinHandle<()>,
    log: JoinHandle<()>,
}

impl<M> Drop for Supervised<M> {
    fn drop(&mut self) {
        // The reader owns the process, which is killed with it.
        self.reader.abort();
        self.log.abort();
    }
}

impl<M: Message> Supervised<M> {
    /// Starts a worker with a cleared environment; gives its stdin. Must be called in a Tokio
    /// runtime. The worker says something once a second, and is killed when it is silent for as
    /// long as `watchdog`.
    pub(super) fn spawn(
        program: &WorkerProgram,
        watchdog: Duration,
        works: Works,
    ) -> Result<(Self, ChildStdin), WorkerError> {
        let failed = |source| WorkerError::Spawn {
            program: program.program.display().to_string(),
            source,
        };
        let mut child = tokio::process::Command::new(&program.program)
            .args(&program.args)
            .env_clear()
            // SVT-AV1 else writes its settings to stderr.
            .env("SVT_LOG", "1")
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
        let (to_caller, messages) = mpsc::channel(QUEUE);
        let log = tokio::spawn(log_lines(stderr, works.clone(), pid, last_words.clone()));
        let reader = Reader {
            works,
            pid,
            watchdog,
            child,
            to_caller,
            last_words,
        };
        let worker = Self {
            pid,
            messages,
            log,
            reader: tokio::spawn(reader.run(stdout)),
        };
        Ok((worker, stdin))
    }

    /// The next message. Cancel safe. While it is not called the worker blocks, and its silence
    /// is not counted.
    pub(super) async fn next(&mut self) -> Result<M, WorkerError> {
        self.messages
            .recv()
            .await
            .unwrap_or(Err(WorkerError::Ended))
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

struct Reader<M> {
    works: Works,
    pid: u32,
    watchdog: Duration,
    child: Child,
    to_caller: mpsc::Sender<Result<M, WorkerError>>,
    last_words: LastWords,
}

impl<M: Message> Reader<M> {
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
            let read = tokio::time::timeout(self.watchdog, read_message::<M>(&mut stdout)).await;
            let message = match read {
                Err(_) => {
                    self.kill().await;
                    return Err(WorkerError::Hung {
                        work: self.works.now(),
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
                        work: self.works.now(),
                        source,
                    });
                }
                // A frame that breaks off is a death, too.
                Ok(Ok(None) | Err(_)) => {
                    let status = self.exit().await;
                    return Err(WorkerError::Died {
                        work: self.works.now(),
                        status,
                        last_words: self.last_words.take(),
                    });
                }
            };
            let ended = message.is_last();
            if message.ends_work() {
                self.works.end();
            }
            if self.to_caller.send(Ok(message)).await.is_err() || ended {
                return Ok(());
            }
        }
    }

    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            let work = self.works.now();
            warn!(
                stream = work.stream(),
                segment = work.segment(),
                pid = self.pid,
                %error,
                "media worker cannot be killed"
            );
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

/// Logs what the worker writes to stderr, line by line, not more than some lines a second.
async fn log_lines(stderr: ChildStderr, works: Works, pid: u32, last_words: LastWords) {
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
                let work = works.now();
                warn!(
                    stream = work.stream(),
                    segment = work.segment(),
                    pid,
                    left_out,
                    "media worker wrote more lines than are logged"
                );
            }
            second = Instant::now();
            in_second = 0;
        }
        in_second += 1;
        if in_second <= LINES_A_SECOND {
            let work = works.now();
            warn!(
                stream = work.stream(),
                segment = work.segment(),
                pid,
                line = text,
                "media worker says"
            );
        }
    }
}
