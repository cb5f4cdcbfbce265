//! Arguments that services share. Flatten them into a service's own clap arguments.

use std::path::{Path, PathBuf};

use reelay_bus::{BusConfig, Profile, Security};
use reelay_model::{FieldError, RungDefinitions, Rungs};

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

    /// File that holds what the key is encrypted with.
    #[arg(long, value_name = "FILE")]
    pub kafka_key_password_file: Option<PathBuf>,

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

/// The rungs of the deployment: the same setting for every service and for `reelay topics`.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Ladder")]
pub struct RungArgs {
    /// Rungs that this deployment can make beside the source: ids of built-in rungs, or
    /// definitions such as yard:height=540,codec=h264,cap=1800000,crf=24,preset=veryfast,
    /// separated by commas; may be given again. Empty: the source alone.
    #[arg(long, value_name = "RUNGS", default_value = Rungs::DEFAULT)]
    pub rungs: Vec<RungDefinitions>,
}

impl RungArgs {
    /// The rungs of all definitions.
    ///
    /// # Errors
    /// A rung comes twice, or there are too many.
    pub fn rungs(&self) -> Result<Rungs, FieldError> {
        Rungs::new(self.rungs.iter().flat_map(|list| list.0.clone()).collect())
    }
}

/// A file that holds a secret could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read --{flag} {path}: {source}")]
pub struct SecretError {
    flag: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl KafkaArgs {
    /// The settings of the bus; brokers know the process as `client_id`.
    ///
    /// # Errors
    /// A file that holds a secret cannot be read.
    pub fn bus_config(&self, client_id: &str) -> Result<BusConfig, SecretError> {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let plaintext = self.kafka_security_protocol == KafkaSecurityProtocol::Plaintext;
        Ok(BusConfig {
            bootstrap_servers: self.kafka_bootstrap_servers.clone(),
            client_id: client_id.to_owned(),
            topic_prefix: self.topic_prefix.clone(),
            profile: match self.kafka_profile {
                KafkaProfile::Single => Profile::Single,
                KafkaProfile::Production => Profile::Production,
            },
            security: Security {
                protocol: (!plaintext).then(|| self.kafka_security_protocol.as_str().to_owned()),
                ca_location: text(&self.kafka_ca_file),
                certificate_location: text(&self.kafka_certificate_file),
                key_location: text(&self.kafka_key_file),
                key_password: secret(
                    "kafka-key-password-file",
                    self.kafka_key_password_file.as_deref(),
                )?,
                sasl_mechanism: self.kafka_sasl_mechanism.clone(),
                sasl_username: self.kafka_sasl_username.clone(),
                sasl_password: secret(
                    "kafka-sasl-password-file",
                    self.kafka_sasl_password_file.as_deref(),
                )?,
            },
            overrides: self
                .kafka_options
                .iter()
                .map(|option| (option.name.clone(), option.value.clone()))
                .collect(),
        })
    }
}

fn secret(flag: &'static str, path: Option<&Path>) -> Result<Option<String>, SecretError> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|source| SecretError {
        flag,
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    #[test]
    fn a_password_comes_from_its_file_and_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let whole = Whole::parse_from([
            "x",
            "--kafka-security-protocol=sasl-ssl",
            "--kafka-sasl-password-file",
            file.path().to_str().unwrap(),
            "--kafka-option=socket.keepalive.enable=false",
        ]);
        let config = whole.kafka.bus_config("reelay-test").unwrap();
        assert_eq!(config.security.protocol.as_deref(), Some("sasl_ssl"));
        assert_eq!(config.security.sasl_password.as_deref(), Some("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.overrides["socket.keepalive.enable"], "false");
    }

    #[derive(Parser)]
    struct WithRungs {
        #[command(flatten)]
        ladder: RungArgs,
    }

    #[test]
    fn rungs_are_one_list_or_many() {
        let ids = |arguments: &[&str]| {
            let args = WithRungs::try_parse_from([&["x"], arguments].concat()).unwrap();
            let ids = args.ladder.rungs().unwrap().ids();
            let ids: Vec<_> = ids.iter().map(|id| id.as_str().to_owned()).collect();
            ids.join(",")
        };
        assert_eq!(ids(&[]), Rungs::DEFAULT);
        assert_eq!(ids(&["--rungs", ""]), "");
        let own = "a:height=540,cap=1800000,480p";
        assert_eq!(ids(&["--rungs", own, "--rungs", "240p"]), "a,480p,240p");
        let error = WithRungs::try_parse_from(["x", "--rungs", "a:height=541,cap=1800000"]);
        assert!(error.err().unwrap().to_string().contains("a.height"));
    }

    #[test]
    fn servers_are_hosts_with_ports() {
        for (servers, valid) in [
            ("a:9092", true),
            ("a:9092, b:9093", true),
            ("a", false),
            (":1", false),
            ("a:0", false),
        ] {
            let parsed = Whole::try_parse_from(["x", "--kafka-bootstrap-servers", servers]);
            assert_eq!(parsed.is_ok(), valid, "{servers}");
        }
    }
}
