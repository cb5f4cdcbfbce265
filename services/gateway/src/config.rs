//! Settings of the gateway: arguments, and what they become once validated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reelay_bus::BusConfig;
use reelay_model::Rungs;
use reelay_runtime::args::{KafkaArgs, RungArgs};

use crate::guard::{Hosts, Origin, Token};
use crate::live::{LiveArgs, LiveConfig};

/// Arguments of the gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Host name that viewers use for this gateway (an Ingress, a Service); may be given
    /// again. localhost, 127.0.0.1, [::1] and the address listened on are known anyway.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub public_host: Vec<String>,

    /// Origins of other gateways of the same deployment, for players to fall over to.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub alternates: Vec<Origin>,

    /// File with the token that writes and updates need; line ends at its end do not count.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,

    /// The token itself. For the environment: other users see a command line.
    #[arg(long, value_name = "TOKEN", hide = true, hide_env_values = true)]
    pub token: Option<String>,

    /// Certificate chain (PEM) to serve HTTPS with; read again when the file changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Accept streams whose source is on a loopback or link-local address.
    #[arg(long)]
    pub allow_local_sources: bool,

    /// The rungs of the deployment.
    #[command(flatten)]
    pub ladder: RungArgs,

    /// Greatest number of connections at a time; more are closed at once.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: u32,

    /// How long to keep answering new connections after "not ready", in seconds, so that
    /// load balancers notice first.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=120))]
    pub stop_delay_seconds: u64,

    /// What is kept for viewers.
    #[command(flatten)]
    pub live: LiveArgs,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

/// Certificate and key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Key, PEM.
    pub key: PathBuf,
}

/// Settings of the gateway, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Hosts that requests may name.
    pub hosts: Hosts,
    /// Other gateways of the deployment.
    pub alternates: Vec<Origin>,
    /// What writes must show, if anything.
    pub token: Option<Token>,
    /// HTTPS, if it is served.
    pub tls: Option<TlsFiles>,
    /// Whether sources on loopback and link-local addresses are accepted.
    pub allow_local_sources: bool,
    /// Rungs of the deployment.
    pub rungs: Rungs,
    /// Greatest number of connections at a time.
    pub connections_max: usize,
    /// How long new connections are answered after "not ready".
    pub stop_delay: Duration,
    /// What is kept for viewers.
    pub live: LiveConfig,
    /// Where Kafka is.
    pub bus: BusConfig,
}

impl Config {
    /// Validates `args` and reads the files that hold secrets.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn from_args(args: Args) -> anyhow::Result<Self> {
        let token = match (&args.token_file, args.token) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read --token-file {}", path.display()))?;
                Some(
                    Token::new(text.trim_end_matches(['\r', '\n'])).with_context(|| {
                        format!("--token-file {} cannot be used", path.display())
                    })?,
                )
            }
            (None, Some(text)) => Some(Token::new(&text).context("REELAY_TOKEN cannot be used")?),
            (None, None) => None,
        };
        let tls = match (args.tls_cert, args.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            _ => None,
        };
        Ok(Self {
            listen: args.listen,
            hosts: Hosts::new(args.listen.ip(), &args.public_host)?,
            alternates: args.alternates,
            token,
            tls,
            allow_local_sources: args.allow_local_sources,
            rungs: args.ladder.rungs()?,
            connections_max: args.connections_max as usize,
            stop_delay: Duration::from_secs(args.stop_delay_seconds),
            live: args.live.config(),
            bus: args.kafka.bus_config("reelay-gateway")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        args: Args,
    }

    fn config(arguments: &[&str]) -> anyhow::Result<Config> {
        let whole = Whole::try_parse_from([&["gateway"], arguments].concat())?;
        Config::from_args(whole.args)
    }

    #[test]
    fn by_default_it_listens_on_the_loopback_address_alone() {
        let config = config(&[]).unwrap();
        assert!(config.listen.ip().is_loopback());
        assert!(config.token.is_none() && config.tls.is_none() && !config.allow_local_sources);
    }

    #[test]
    fn a_token_is_read_from_its_file_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2-hunter2\n").unwrap();
        let path = file.path().to_str().unwrap();
        let config = config(&["--token-file", path]).unwrap();
        assert!(config.token.as_ref().unwrap().matches("hunter2-hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused() {
        for arguments in [
            &["--token-file", "/not/there"][..],
            &["--token-file", "/dev/null"],
            &["--tls-cert", "a.pem"],
            &["--alternates", "example.com"],
            &["--alternates", "https://example.com/path"],
            &["--public-host", "a b"],
            &["--public-host", "http://example.com"],
        ] {
            assert!(config(arguments).is_err(), "{arguments:?}");
        }
    }
}
