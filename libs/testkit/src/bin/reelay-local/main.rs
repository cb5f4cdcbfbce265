//! Runs the whole system on this machine: what `make run` starts once everything is
//! built, and what the browser tests start for themselves with `--ephemeral`.

mod args;
mod ephemeral;
mod local;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use args::Args;

/// By shells' convention 128 and the signal's number.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let run = async {
        if args.ephemeral {
            ephemeral::run(&args).await
        } else {
            local::run(&args).await
        }
    };
    match run.await {
        Ok(Ended::Asked) => ExitCode::SUCCESS,
        Ok(Ended::Early) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("reelay-local: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Why a run without errors ended.
enum Ended {
    /// Somebody asked for it.
    Asked,
    /// Somebody asked for it before everything was up.
    Early,
}

/// Ctrl-C, or SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
