//! `reelay-linearity`: the media-linearity checker as a command.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reelay_bus::Bus;
use reelay_runtime::args::KafkaArgs;
use reelay_testkit::linearity::{Report, Watch, check_log};
use reelay_wire::StreamId;
use url::Url;

/// Proves that the log and the gateways keep what docs/design promises of media.
///
/// Exit status: 0 nothing found, 1 the check could not be made or looked at nothing,
/// 2 wrong arguments, 5 something found.
#[derive(Parser)]
#[command(version)]
struct Linearity {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judge the log as Kafka holds it now.
    Log(Common),
    /// Judge the log while it grows, and everything that gateways serve of it.
    Watch {
        #[command(flatten)]
        common: Common,
        /// A gateway to follow; repeat for more.
        #[arg(
            long = "gateway",
            value_name = "URL",
            default_value = "http://127.0.0.1:8080"
        )]
        gateways: Vec<Url>,
        /// How long to watch (`90s`, `10m`); until Ctrl-C if not given.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        /// Streams to follow through the gateways, separated by commas, or `all`.
        #[arg(
            long,
            default_value = "all",
            value_delimiter = ',',
            value_name = "STREAMS"
        )]
        streams: Vec<String>,
    },
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Output {
    /// A line a finding, then what was looked at.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let allowed = || "allowed: a time such as 90s, 10m, 1h30m".to_owned();
    let time: jiff::SignedDuration = text.parse().map_err(|_| allowed())?;
    time.try_into().map_err(|_| allowed())
}

#[tokio::main]
async fn main() -> ExitCode {
    let linearity = Linearity::parse();
    let (output, outcome) = match linearity.command {
        Command::Log(common) => (common.output, log(&common.kafka).await),
        Command::Watch {
            common,
            gateways,
            time,
            streams,
        } => (
            common.output,
            watch(&common.kafka, gateways, time, &streams).await,
        ),
    };
    match outcome {
        Ok(report) => conclude(&report, output),
        Err(e) => {
            eprintln!("reelay-linearity: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn log(kafka: &KafkaArgs) -> anyhow::Result<Report> {
    let bus = Bus::new(kafka.bus_config("reelay-linearity")?)?;
    Ok(check_log(&bus).await?)
}

async fn watch(
    kafka: &KafkaArgs,
    gateways: Vec<Url>,
    time: Option<Duration>,
    streams: &[String],
) -> anyhow::Result<Report> {
    let chosen = streams
        .iter()
        .filter(|s| *s != "all")
        .map(|s| s.parse::<StreamId>());
    let watch = Watch {
        bus: Bus::new(kafka.bus_config("reelay-linearity")?)?,
        gateways,
        streams: chosen.collect::<Result<_, _>>()?,
        mortal: BTreeSet::new(),
    };
    let stop = async {
        let interrupted = async {
            // Without signals there is nothing to wait for but the time.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let over = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { () = interrupted => {}, () = over => {} }
    };
    Ok(watch.until(stop).await?)
}

fn conclude(report: &Report, output: Output) -> ExitCode {
    match output {
        Output::Text => println!("{report}"),
        Output::Json => match serde_json::to_string_pretty(report) {
            Ok(text) => println!("{text}"),
            Err(e) => {
                eprintln!("reelay-linearity: cannot write JSON: {e}");
                return ExitCode::FAILURE;
            }
        },
    }
    if !report.sound() {
        return ExitCode::from(5);
    }
    if report.counts.segments == 0 {
        eprintln!("reelay-linearity: there was no segment to look at, so nothing is proven");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
