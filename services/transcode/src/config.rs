//! What transcode is told by flags, environment and file.

use std::time::Duration;

use anyhow::Context as _;
use reelay_bus::{BusConfig, SpoolLimits};
use reelay_media::WorkerProgram;
use reelay_model::{Micros, Rungs};
use reelay_runtime::args::{KafkaArgs, RungArgs};
use reelay_timeline::todo::Limits;

/// The hidden argument with which the program runs as a media worker.
pub const MEDIA_WORKER: &str = "media-worker";

/// Flags of transcode.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// The rungs of the deployment.
    #[command(flatten)]
    pub ladder: RungArgs,
    /// Consumer group whose members share out the streams. A second group is a hot standby: it
    /// makes everything a second time, and readers take whichever copy comes first.
    #[arg(long, default_value = "reelay.transcode", value_name = "GROUP")]
    pub group: String,
    /// Seconds of media that may wait. With more, the backlog becomes gaps, and is made up for
    /// when there is time. Above the time that a takeover takes (about 8 s).
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(10..=3600))]
    pub most_behind_seconds: u16,
    /// Workers that may run at the same time before gaps are made up for; as many as there are
    /// cores where it is not set. Live streams get a worker each in any case.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Name of this process in statuses; the host's name and the process id by default.
    #[arg(long)]
    pub instance: Option<String>,
}

/// Configuration of transcode.
#[derive(Debug, Clone)]
pub struct Config {
    /// Kafka.
    pub bus: BusConfig,
    /// The rungs of the deployment.
    pub rungs: Rungs,
    /// Consumer group.
    pub group: String,
    /// When enough is enough.
    pub limits: Limits,
    /// Workers that may run before gaps have to wait.
    pub workers: usize,
    /// Name of this process in statuses.
    pub instance: String,
    /// The program that runs as a media worker.
    pub worker: WorkerProgram,
    /// How long a worker may say nothing before it is killed.
    pub watchdog: Duration,
    /// How much of a stream's rungs may wait for the log.
    pub spool: SpoolLimits,
}

/// Workers that may die at a segment before it is given up.
const ATTEMPTS: u32 = 3;

/// A worker says something once a second; a machine that has far too much to do is forgiven.
const WATCHDOG: Duration = Duration::from_secs(8);

impl Config {
    /// What the flags say.
    ///
    /// # Errors
    /// A rung comes twice, or a file that holds a secret cannot be read.
    pub fn from_args(args: Args) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            bus: args.kafka.bus_config("reelay-transcode")?,
            rungs: args.ladder.rungs()?,
            group: args.group,
            limits: Limits {
                most_behind: Micros(i64::from(args.most_behind_seconds) * 1_000_000),
                attempts: ATTEMPTS,
            },
            workers: args.workers.map_or(cores, usize::from),
            instance: args.instance.unwrap_or_else(instance),
            worker: WorkerProgram::this_program(MEDIA_WORKER)
                .context("the path of this program is not known")?,
            watchdog: WATCHDOG,
            spool: SpoolLimits::default(),
        })
    }
}

fn instance() -> String {
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "transcode".to_owned());
    format!("{host}/{}", std::process::id())
}
