//! The worker process itself.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use nix::sys::{prctl, signal::Signal};
use tracing::error;

use super::{
    frame::{Command, read_command},
    output::Output,
};
use crate::{
    SourceJob,
    credentials::{self, CleanStderr},
};

/// What a media worker process runs: reads its job from stdin, writes messages to stdout and
/// logs to stderr, until the job is done or the parent is gone.
///
/// Services call it from their `main` when their first argument is a hidden `media-worker`,
/// before they start anything else.
pub fn worker_main() -> ExitCode {
    // The parent's death also closes stdin, but a worker that is stopped or hangs would not see
    // that.
    if let Err(error) = prctl::set_pdeathsig(Signal::SIGKILL) {
        eprintln!("cannot ask for the parent's death signal: {error}");
        return ExitCode::FAILURE;
    }
    tracing_subscriber::fmt()
        .with_writer(|| CleanStderr)
        .without_time()
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "media worker failed");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    // Stdin is not to stay locked: the rest of it is read by a thread of its own.
    let first = read_command(&mut io::stdin().lock())?;
    match first {
        Some((Command::Job(job), _)) => run_source(&job),
        Some((Command::Transcode, _)) => super::transcode_child::run(),
        Some(_) => Err(io::Error::other("the first command is no job")),
        // The parent has changed its mind.
        None => Ok(()),
    }
}

fn run_source(job: &SourceJob) -> io::Result<()> {
    if let Some(secret) = job.source.credentials() {
        credentials::hide(secret);
    }
    let stop = Arc::new(AtomicBool::new(false));
    thread::Builder::new().name("commands".to_owned()).spawn({
        let stop = stop.clone();
        move || watch_commands(&stop)
    })?;
    let mut output = Output::new(io::stdout().lock());
    // An output that cannot be written to means that the parent has gone: no failure.
    let _ = work(job, &stop, &mut output);
    Ok(())
}

/// Runs until the parent is gone, and ends the process then, whatever it is doing.
fn watch_commands(stop: &AtomicBool) {
    let mut stdin = io::stdin().lock();
    loop {
        match read_command(&mut stdin) {
            Ok(Some((Command::Stop, _))) => stop.store(true, Ordering::Relaxed),
            Ok(Some(_)) => error!("a source worker has one job and can be stopped"),
            Ok(None) => std::process::exit(0),
            Err(error) => {
                error!(%error, "commands cannot be read");
                std::process::exit(1);
            }
        }
    }
}

fn work<W: Write>(
    job: &SourceJob,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), super::Gone> {
    crate::source::run(job, stop, output)?;
    output.ended()
}
