//! The command line: options that all commands share, and the commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use url::Url;

use crate::api::Gateway;
use crate::doctor::Doctor;
use crate::failure::Failure;
use crate::output::Form;
use crate::streams::Streams;
use crate::tail::Tail;
use crate::topics::Topics;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for checks: nothing found
  1  failed in a way that has no code of its own
  2  the arguments are wrong
  3  the gateway or Kafka cannot be reached
  4  the gateway refused: not valid, not found, changed in between, token missing
  5  a check found something";

/// Live video on Kafka: streams, topics, and a look at what flows.
#[derive(Debug, Parser)]
#[command(name = "reelay", disable_version_flag = true, after_help = EXIT_CODES)]
pub struct Reelay {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The gateway.
    #[arg(long, global = true, env = "REELAY_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = server)]
    server: Url,
    /// The gateway's token for changes.
    #[arg(long, global = true, env = "REELAY_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// PEM file with a certificate authority to trust beside the system's.
    #[arg(
        long,
        global = true,
        env = "REELAY_CA_CERTIFICATE",
        value_name = "FILE"
    )]
    ca_certificate: Option<PathBuf>,
    /// The form of what is printed.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Form,
}

impl Global {
    /// The gateway that the options name.
    pub fn gateway(&self) -> Result<Gateway, Failure> {
        Gateway::new(
            self.server.clone(),
            self.token.clone(),
            self.ca_certificate.as_deref(),
        )
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at streams, add, change and remove them (through the gateway).
    #[command(subcommand)]
    Streams(Streams),
    /// Write a track as media to standard output (from Kafka).
    Tail(Tail),
    /// List, create and check Reelay's topics in Kafka.
    #[command(subcommand)]
    Topics(Topics),
    /// Look for what is wrong with a deployment, and say what to do.
    Doctor(Doctor),
    /// Write a completion script for a shell to standard output.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the version.
    Version,
}

fn server(text: &str) -> Result<Url, String> {
    let allowed = "allowed: http://host:port or https://host:port";
    let url: Url = text.parse().map_err(|e| format!("{e}; {allowed}"))?;
    let plain = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "http" | "https" if plain && url.has_host() => Ok(url),
        _ => Err(allowed.into()),
    }
}

/// Whole seconds, as `--wait-seconds` takes them.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .map_err(|_| "allowed: whole seconds".to_owned())?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn refused(words: &[&str]) -> clap::Error {
        Reelay::try_parse_from([&["reelay"], words].concat()).unwrap_err()
    }

    #[test]
    fn the_description_is_sound() {
        Reelay::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let reelay = Reelay::try_parse_from([
            "reelay",
            "streams",
            "list",
            "--server",
            "https://gw:8443/",
            "-o",
            "json",
        ])
        .unwrap();
        assert_eq!(reelay.global.server.as_str(), "https://gw:8443/");
        assert_eq!(reelay.global.output, Form::Json);
    }

    #[test]
    fn wrong_arguments_are_explained() {
        for (words, text) in [
            (&["streams", "show", "Front_Door"][..], "a-z"),
            (&["--server", "gw:8080", "version"], "http://host:port"),
            (
                &["--server", "http://me:secret@gw/", "version"],
                "http://host:port",
            ),
            (
                &[
                    "streams",
                    "add",
                    "a",
                    "--source",
                    "synthetic:",
                    "--label",
                    "x",
                ],
                "KEY=VALUE",
            ),
            (
                &[
                    "streams",
                    "add",
                    "a",
                    "--source",
                    "synthetic:",
                    "--latency",
                    "lowest",
                ],
                "low, normal",
            ),
            (&["tail", "door", "--track", "-"], "rung"),
            (
                &["topics", "create", "--wait-seconds", "soon"],
                "whole seconds",
            ),
        ] {
            let error = refused(words).to_string();
            assert!(
                error.contains(text),
                "{words:?}: {text:?} is not in {error}"
            );
        }
    }

    #[test]
    fn a_stream_needs_a_source() {
        let error = refused(&["streams", "add", "door"]);
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    }
}
