//! The `reelay` command line: streams through the gateway's API; tail, topics and
//! doctor straight from Kafka.

mod api;
mod args;
mod doctor;
mod failure;
mod kafka;
mod output;
mod streams;
mod tail;
mod topics;

use std::process::ExitCode;

use args::{Command, Reelay};
use clap::{CommandFactory, Parser};
use failure::Failure;

fn main() -> ExitCode {
    let reelay = Reelay::parse();
    let outcome = tokio::runtime::Runtime::new()
        .map_err(|e| Failure::other(format!("cannot start the runtime: {e}")))
        .and_then(|runtime| runtime.block_on(run(reelay)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::OutputClosed) {
                eprintln!("reelay: {failure}");
            }
            failure.exit_code()
        }
    }
}

async fn run(Reelay { global, command }: Reelay) -> Result<(), Failure> {
    match command {
        Command::Streams(command) => streams::run(&global, command).await,
        Command::Tail(command) => tail::run(command).await,
        Command::Topics(command) => topics::run(&global, command).await,
        Command::Doctor(command) => doctor::run(&global, command).await,
        Command::Completion { shell } => {
            clap_complete::generate(
                shell,
                &mut Reelay::command(),
                "reelay",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Version => output::line(concat!("reelay ", env!("CARGO_PKG_VERSION"))),
    }
}
