//! Kafka, for the commands that do not go through the gateway.

use std::time::Duration;

use reelay_bus::{Bus, BusError};
use reelay_runtime::args::KafkaArgs;
use reelay_wire::Topic;

use crate::failure::Failure;

/// A client, not yet connected.
pub fn bus(kafka: &KafkaArgs) -> Result<Bus, Failure> {
    let config = kafka
        .bus_config("reelay-cli")
        .map_err(|e| Failure::other(e.to_string()))?;
    Bus::new(config).map_err(|e| Failure::other(e.to_string()))
}

/// How many partitions the topics have, if Kafka answers and `streams` exists.
pub async fn partitions(kafka: &KafkaArgs, bus: &Bus) -> Result<i32, Failure> {
    bus.partitions(Topic::Streams)
        .await
        .map_err(|e| failure(kafka, &e))
}

/// A failure that says what to try.
pub fn failure(kafka: &KafkaArgs, error: &BusError) -> Failure {
    match error {
        BusError::NoTopic { topic } => Failure::other(format!(
            "topic {}{topic} does not exist\nIs --topic-prefix right? `reelay topics create` makes the topics.",
            kafka.topic_prefix
        )),
        BusError::Config(_) | BusError::Client { .. } => Failure::other(error.to_string()),
        _ => Failure::Unreachable {
            what: format!("Kafka at {}", kafka.kafka_bootstrap_servers),
            why: error.to_string(),
            advice:
                "Is it running, and is --kafka-bootstrap-servers or KAFKA_BOOTSTRAP_SERVERS right? \
                     `make run` prints the address of the Kafka that it starts."
                    .into(),
        },
    }
}

/// Calls `attempt` until it does not fail with [`Failure::Unreachable`], at least once, and
/// for up to `patience`.
pub async fn patiently<T>(
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match attempt().await {
            Err(
                Failure::Unreachable { .. }
                | Failure::Refused {
                    status: 502..=504, ..
                },
            ) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            outcome => return outcome,
        }
    }
}
