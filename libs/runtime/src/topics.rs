//! The check of Kafka's topics that every service makes before it starts work.
//!
//! Missing topics are waited for: whoever makes them may start beside the services. Topics
//! that are set otherwise than the configured profile wants are refused, as promises of the
//! log would not hold. How many partitions there are and how long media is kept is the
//! deployment's choice, and read from the topics themselves.

use std::time::Duration;

use reelay_bus::admin::{self, Finding, PlanOptions};
use reelay_bus::{Bus, BusError};
use reelay_model::RungId;
use reelay_wire::Topic;
use tokio_util::sync::CancellationToken;

use crate::Check;

/// How often missing topics, or brokers that do not answer, are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What a deployment chose for its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Partitions of every topic.
    pub partitions: i32,
    /// How long media and index are kept.
    pub retention: Duration,
}

/// Topics that do not fit the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Kafka's topics do not fit this service (profile, rungs): {}; `reelay doctor` explains",
    .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
)]
pub struct Misfit(pub Vec<Finding>);

/// Waits until all topics are there and fit; `check` says what is waited for. None when
/// `shutdown` came first.
///
/// # Errors
/// [`Misfit`] names each setting, how it is and how it has to be.
pub async fn wait_until_fit(
    bus: &Bus,
    rungs: &[RungId],
    check: &Check,
    shutdown: &CancellationToken,
) -> Result<Option<Layout>, Misfit> {
    let mut waiting_for = String::new();
    loop {
        let looked = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            looked = look(bus, rungs) => looked,
        };
        let reason = match looked {
            Ok((layout, findings)) => {
                let (missing, different): (Vec<_>, Vec<_>) =
                    findings.into_iter().partition(Finding::is_missing);
                if !different.is_empty() {
                    return Err(Misfit(different));
                }
                if missing.is_empty() {
                    check.ready();
                    return Ok(Some(layout));
                }
                let names: Vec<&str> = missing
                    .iter()
                    .map(|finding| finding.topic.as_str())
                    .collect();
                format!("topics are missing: {}", names.join(", "))
            }
            Err(error @ BusError::NoTopic { .. }) => format!("topics are missing: {error}"),
            Err(error) => format!("Kafka does not answer: {error}"),
        };
        check.not_ready(reason.as_str());
        if waiting_for != reason {
            tracing::warn!(%reason, "waiting for topics");
            waiting_for = reason;
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// What the deployment chose, and where its topics differ from what `bus`'s profile wants.
/// Nothing is waited for and nothing is changed.
///
/// # Errors
/// If the brokers do not answer, or there is no topic `streams`.
pub async fn look(bus: &Bus, rungs: &[RungId]) -> Result<(Layout, Vec<Finding>), BusError> {
    let partitions = bus.partitions(Topic::Streams).await?;
    let mut options = PlanOptions {
        profile: bus.config().profile,
        partitions,
        rungs: rungs.to_vec(),
        ..PlanOptions::default()
    };
    let findings = admin::check(bus, &admin::plan(&options)).await?;
    let source = bus.topics().name(&Topic::Source);
    let kept = findings
        .iter()
        .find(|finding| finding.topic == source && finding.setting == "retention.ms")
        .and_then(|finding| finding.found.parse().ok());
    let findings = match kept {
        // Another retention than the default: all media topics must have that one.
        Some(kept) => {
            options.retention = Duration::from_millis(kept);
            admin::check(bus, &admin::plan(&options)).await?
        }
        None => findings,
    };
    Ok((
        Layout {
            partitions,
            retention: options.retention,
        },
        findings,
    ))
}
