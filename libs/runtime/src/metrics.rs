//! Prometheus metrics by the `metrics` facade.
//!
//! Names are `reelay_<service>_<what>_<unit>`; durations are in seconds, sizes in
//! bytes; label values come from small fixed sets (never a URL or an error text).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// From 1 ms to 10 s: waits for Kafka, HTTP answers, delivery.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0,
];
/// From a small part to a large segment.
const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// How often values that nobody has scraped are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Installs the recorder of this process, or gives the one that is installed: tests run
/// several services in one process.
///
/// # Errors
/// Another recorder than this one was installed before.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)?
        .install_recorder()?;
    *installed = Some(handle.clone());
    Ok(handle)
}

/// Keeps the memory of histograms bounded between scrapes; runs until it is dropped.
pub async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_histograms_with_our_buckets() {
        let handle = install().unwrap();
        metrics::histogram!("reelay_test_wait_seconds").record(0.04);
        metrics::histogram!("reelay_test_read_bytes").record(2000.0);
        metrics::counter!("reelay_test_requests_total", "outcome" => "ok").increment(1);
        let text = install().unwrap().render();
        assert!(
            text.contains("reelay_test_wait_seconds_bucket{le=\"0.05\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("reelay_test_read_bytes_bucket{le=\"4096\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("reelay_test_requests_total{outcome=\"ok\"} 1"),
            "{text}"
        );
        drop(handle);
    }
}
