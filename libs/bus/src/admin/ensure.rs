//! Makes the topics that are missing.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    types::RDKafkaErrorCode,
};

use super::plan::TopicPlan;
use crate::{
    Bus,
    config::Role,
    context::LogContext,
    error::{BusError, Result},
};

/// How long the brokers may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn client(bus: &Bus) -> Result<AdminClient<LogContext>> {
    bus.config()
        .client(Role::Admin)
        .create_with_context(LogContext::new("admin"))
        .map_err(|source| BusError::Client {
            client: "admin".into(),
            source,
        })
}

pub(super) fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}

/// Makes the topics of `plan` that do not exist; touches none that do. Returns the names of those
/// that were made, and only when their partitions have leaders.
///
/// # Errors
/// If the brokers refuse, or do not answer within 30 s.
pub async fn ensure(bus: &Bus, plan: &TopicPlan) -> Result<Vec<String>> {
    let admin = client(bus)?;
    let names: Vec<String> = plan
        .topics
        .iter()
        .map(|t| bus.topics().name(&t.topic))
        .collect();
    let new = plan.topics.iter().zip(&names).map(|(topic, name)| {
        let replication = TopicReplication::Fixed(plan.profile.replication());
        let new = NewTopic::new(name, plan.partitions, replication);
        topic.settings.iter().fold(new, |new, (k, v)| new.set(k, v))
    });
    let new: Vec<NewTopic<'_>> = new.collect();
    let results = admin
        .create_topics(&new, &options())
        .await
        .map_err(|source| BusError::Admin {
            what: format!("make topics {}", names.join(", ")),
            source,
        })?;
    let mut made = Vec::new();
    for result in results {
        match result {
            Ok(name) => made.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(BusError::CreateTopic { topic, code }),
        }
    }
    wait_for_leaders(bus, plan).await?;
    Ok(made)
}

/// Topics are made asynchronously: brokers may not know of them for a moment.
async fn wait_for_leaders(bus: &Bus, plan: &TopicPlan) -> Result<()> {
    let names: Vec<String> = plan
        .topics
        .iter()
        .map(|t| bus.topics().name(&t.topic))
        .collect();
    let first = plan.topics.first().map(|t| t.topic.clone());
    let Some(first) = first else { return Ok(()) };
    let end = tokio::time::Instant::now() + TIMEOUT;
    loop {
        let names = names.clone();
        let ready = bus
            .query("leaders", &first, -1, move |client| {
                use rdkafka::consumer::Consumer as _;
                let metadata = client.client().fetch_metadata(None, TIMEOUT)?;
                Ok(names.iter().all(|name| {
                    metadata.topics().iter().any(|t| {
                        t.name() == name
                            && !t.partitions().is_empty()
                            && t.partitions().iter().all(|p| p.leader() >= 0)
                    })
                }))
            })
            .await?;
        if ready || tokio::time::Instant::now() >= end {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
