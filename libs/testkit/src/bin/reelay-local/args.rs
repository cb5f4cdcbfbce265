//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Runs Kafka, ingest, transcode, gateway and a demo stream on this machine until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "reelay-local", version)]
pub struct Args {
    /// Port of the web page; the next free one if it is taken.
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Port of the Kafka that is started; the next free one if it is taken.
    #[arg(long, default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1..))]
    pub kafka_port: u16,

    /// Use this Kafka instead of starting one: host:port, separated by commas.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "SERVERS")]
    pub kafka_bootstrap_servers: Option<String>,

    /// What the topics' names begin with.
    #[arg(long, default_value = "reelay.", value_name = "PREFIX")]
    pub topic_prefix: String,

    /// Partitions of each topic, fixed once they are created.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub partitions: u16,

    /// Where Kafka's data and the logs are kept.
    #[arg(long, default_value = ".run", value_name = "DIR")]
    pub dir: PathBuf,

    /// The folder that `file:` sources are read below; DIR/media if not set.
    #[arg(long, value_name = "DIR")]
    pub media_dir: Option<PathBuf>,

    /// Number of ingest processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=16))]
    pub ingests: u16,

    /// Number of transcode processes; 1 if not set, but none with --ephemeral.
    #[arg(long, value_parser = clap::value_parser!(u16).range(..=16))]
    pub transcodes: Option<u16>,

    /// Rungs of the deployment, as every service takes them.
    #[arg(long, default_value = reelay_model::Rungs::DEFAULT, value_name = "RUNGS")]
    pub rungs: String,

    /// Number of gateway processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub gateways: u16,

    /// Adds no demo stream.
    #[arg(long)]
    pub no_demo: bool,

    /// For tests: free ports, nothing kept, ends when standard input does, restarts nothing by
    /// itself; reads `restart gateway 0` and the like from standard input.
    #[arg(long, conflicts_with_all = ["port", "kafka_port", "dir"])]
    pub ephemeral: bool,

    /// Prints what was started as one line of JSON instead of the address.
    #[arg(long)]
    pub json: bool,
}
