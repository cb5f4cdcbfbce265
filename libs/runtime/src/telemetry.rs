//! Logs to standard error as text or JSON, and spans over OTLP when an endpoint is set.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::args::{LogFormat, TelemetryArgs};

/// Why logs or traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `--log` is not a filter.
    #[error(
        "`--log {filter}` is not a log filter: {source}; allowed: a level, or levels by module (info,reelay_bus=debug)"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// Why it is not one.
        source: tracing_subscriber::filter::ParseError,
    },
    /// `--otlp-endpoint` cannot be used.
    #[error("`--otlp-endpoint {endpoint}` cannot be used: {reason}; allowed: http://host:port")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// Another subscriber was installed before.
    #[error("logs are set up already: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the exporter; spans that still wait are sent by [`Telemetry::flush`].
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends what waits. Blocks; call it outside async code, at the end of the process.
    pub fn flush(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "traces were lost at the end");
        }
    }
}

/// Sets up logs and traces of this process. Call it outside async code.
///
/// # Errors
/// See [`TelemetryError`].
pub fn install(
    service: &str,
    version: &str,
    args: &TelemetryArgs,
) -> Result<Telemetry, TelemetryError> {
    let filter =
        EnvFilter::builder()
            .parse(&args.log)
            .map_err(|source| TelemetryError::Filter {
                filter: args.log.clone(),
                source,
            })?;
    let logs = match args.log_format {
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let provider = match args
        .otlp_endpoint
        .as_deref()
        .filter(|endpoint| !endpoint.is_empty())
    {
        Some(endpoint) => Some(provider(service, version, endpoint)?),
        None => None,
    };
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("reelay")));
    tracing_subscriber::registry()
        .with(logs)
        .with(traces)
        .with(filter)
        .try_init()?;
    Ok(Telemetry { provider })
}

fn provider(
    service: &str,
    version: &str,
    endpoint: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let wrong = |reason: String| TelemetryError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason,
    };
    if !endpoint.starts_with("http://") {
        return Err(wrong(
            "traces are sent unencrypted, to a collector nearby".to_owned(),
        ));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(|error| wrong(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name(format!("reelay-{service}"))
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            version.to_owned(),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
