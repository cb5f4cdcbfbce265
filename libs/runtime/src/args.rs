//! Arguments that services share. Flatten them into a service's own clap arguments.

use std::path::PathBuf;

/// What a deployment's Kafka looks like: the settings that its topics must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum KafkaProfile {
    /// One broker: replication 1, `min.insync.replicas` 1.
    #[default]
    Single,
    /// Replication 3, `min.insync.replicas` 2, no unclean election.
    Production,
}

/// How the connection to Kafka is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum KafkaSecurityProtocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL within TLS.
    SaslSsl,
}

impl KafkaSecurityProtocol {
    /// The value of Kafka's `security.protocol`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

/// Where Kafka is and how to reach it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Kafka brokers to start from, host:port, separated by commas.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092", value_parser = bootstrap_servers)]
    pub kafka_bootstrap_servers: String,

    /// What all topic names begin with.
    #[arg(long, default_value = "reelay.")]
    pub topic_prefix: String,

    /// Settings that the topics must have: one broker, or three replicas.
    #[arg(long, value_enum, default_value_t)]
    pub kafka_profile: KafkaProfile,

    /// How the connection to Kafka is protected.
    #[arg(long, value_enum, default_value_t)]
    pub kafka_security_protocol: KafkaSecurityProtocol,

    /// Certificates of the authorities that Kafka's certificate may come from (PEM).
    #[arg(long, value_name = "FILE")]
    pub kafka_ca_file: Option<PathBuf>,

    /// Own certificate for Kafka (PEM).
    #[arg(long, value_name = "FILE", requires = "kafka_key_file")]
    pub kafka_certificate_file: Option<PathBuf>,

    /// Key of the own certificate for Kafka (PEM).
    #[arg(long, value_name = "FILE", requires = "kafka_certificate_file")]
    pub kafka_key_file: Option<PathBuf>,

    /// SASL mechanism, such as SCRAM-SHA-512.
    #[arg(long, value_name = "MECHANISM")]
    pub kafka_sasl_mechanism: Option<String>,

    /// SASL user name.
    #[arg(long, value_name = "NAME")]
    pub kafka_sasl_username: Option<String>,

    /// File that holds the SASL password; line ends at its end do not count.
    #[arg(long, value_name = "FILE")]
    pub kafka_sasl_password_file: Option<PathBuf>,

    /// Setting of the Kafka client library, name=value; may be given again.
    #[arg(long = "kafka-option", value_name = "NAME=VALUE", value_parser = option)]
    pub kafka_options: Vec<KafkaOption>,
}

/// One setting of the Kafka client library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOption {
    /// Name, such as `socket.keepalive.enable`.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Settings of every service process; [`crate::run`] adds them to a service's own.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// TOML file with settings; its keys are the long names of the flags.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print the settings in force, secrets masked, and exit.
    #[arg(long = "check-config", id = "check-config")]
    pub check_config: bool,

    /// Address of the admin port: /metrics, /livez, /readyz.
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: std::net::SocketAddr,

    /// How long a stop may take before the process ends all the same, in seconds.
    #[arg(long, default_value_t = 25, value_name = "SECONDS")]
    pub stop_deadline_seconds: u64,

    /// Logs, traces.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs and traces.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryArgs {
    /// What is logged: a level, or levels by module (`info,reelay_bus=debug`).
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub log: String,

    /// How logs look.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Where traces go, by OTLP over HTTP (`http://collector:4318`); none when not set.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

fn bootstrap_servers(text: &str) -> Result<String, String> {
    let valid = text.split(',').map(str::trim).all(|server| {
        server.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
    });
    if valid {
        Ok(text.to_owned())
    } else {
        Err("allowed: host:port, separated by commas".to_owned())
    }
}

fn option(text: &str) -> Result<KafkaOption, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok(KafkaOption {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        }),
        _ => Err("allowed: name=value".to_owned()),
    }
}
