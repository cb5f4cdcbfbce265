//! What ingest is told by flags, environment and file.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use reelay_bus::{BusConfig, SpoolLimits};
use reelay_media::WorkerProgram;
use reelay_runtime::args::KafkaArgs;

use crate::resolve::SourcePolicy;

/// The hidden argument with which the program runs as a media worker.
pub const MEDIA_WORKER: &str = "media-worker";

/// Flags of ingest.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Directory that file: sources must lie in, after links are resolved; without it there are
    /// no file: sources.
    #[arg(long)]
    pub media_dir: Option<PathBuf>,
    /// Directory of credentials that specs name: folders with username and password (and maybe
    /// ca.crt), as Kubernetes mounts secrets, or files with one line user:password.
    #[arg(long)]
    pub credentials_dir: Option<PathBuf>,
    /// A device that v4l2: sources may name, such as /dev/video0; may be given again.
    #[arg(long = "v4l2-device", value_name = "PATH")]
    pub v4l2_devices: Vec<String>,
    /// Allow sources on loopback, link-local and cloud metadata addresses.
    #[arg(long)]
    pub allow_local_sources: bool,
    /// Name of this process in statuses; the host's name and the process id by default.
    #[arg(long)]
    pub instance: Option<String>,
}

/// Configuration of ingest.
#[derive(Debug, Clone)]
pub struct Config {
    /// Kafka.
    pub bus: BusConfig,
    /// Which places sources may come from.
    pub sources: SourcePolicy,
    /// Name of this process in statuses.
    pub instance: String,
    /// The program that runs as a media worker.
    pub worker: WorkerProgram,
    /// First and greatest wait before a lost source is tried again; jittered, doubled each time.
    pub retry: (Duration, Duration),
    /// First and greatest wait after a camera has refused a password: many lock who tries often.
    pub retry_refused: (Duration, Duration),
    /// How long a hand-over may wait for the end of the running segment.
    pub hand_over: Duration,
    /// How much media of a stream may wait for the log.
    pub spool: SpoolLimits,
}

impl Config {
    /// What the flags say.
    ///
    /// # Errors
    /// A directory does not exist, or a file that holds a secret cannot be read.
    pub fn from_args(args: Args) -> anyhow::Result<Self> {
        let folder = |flag: &str, dir: Option<PathBuf>| {
            dir.map(|dir| {
                dir.canonicalize()
                    .with_context(|| format!("{flag}: {} cannot be used", dir.display()))
            })
            .transpose()
        };
        let media_dir = folder("media-dir", args.media_dir)?;
        let credentials_dir = folder("credentials-dir", args.credentials_dir)?;
        Ok(Self {
            bus: args.kafka.bus_config("reelay-ingest")?,
            sources: SourcePolicy {
                media_dir,
                credentials_dir,
                v4l2_devices: args.v4l2_devices,
                allow_local_sources: args.allow_local_sources,
            },
            instance: args.instance.unwrap_or_else(instance),
            worker: WorkerProgram::this_program(MEDIA_WORKER)
                .context("the path of this program is not known")?,
            retry: (Duration::from_millis(500), Duration::from_secs(30)),
            retry_refused: (Duration::from_secs(60), Duration::from_secs(15 * 60)),
            hand_over: Duration::from_secs(8),
            spool: SpoolLimits::default(),
        })
    }
}

fn instance() -> String {
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "ingest".to_owned());
    format!("{host}/{}", std::process::id())
}
