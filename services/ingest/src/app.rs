//! Assembles ingest and runs it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use reelay_bus::{Bus, GroupConsumer, GroupOptions, Producer};
use reelay_runtime::{CancellationToken, Runtime, topics};
use reelay_wire::Topic;

use crate::{
    config::Config,
    follower::{Follower, Notices},
    foreign::Foreign,
    streams::{GROUP, Streams},
};

/// What everything in this service shares.
#[derive(Clone)]
pub(crate) struct Context {
    pub config: Arc<Config>,
    pub bus: Bus,
    pub producer: Producer,
    /// Partitions of every topic.
    pub partitions: i32,
    /// How long media and index are kept.
    pub retention: Duration,
    pub notices: Notices,
    pub follower: Follower,
    pub foreign: Foreign,
    pub shutdown: CancellationToken,
}

/// Runs ingest until `runtime` stops it.
///
/// # Errors
/// Topics that do not fit the configured profile, or a Kafka client that cannot be made.
pub async fn run(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let Runtime { shutdown, health } = runtime;
    let bus = Bus::new(config.bus.clone())?;
    let check = health.check("topics");
    let Some(layout) = topics::wait_until_fit(&bus, &[], &check, &shutdown).await? else {
        return Ok(());
    };
    let notices = Notices::default();
    let context = Context {
        producer: bus.producer().context("kafka producer")?,
        partitions: layout.partitions,
        retention: layout.retention,
        follower: Follower::start(bus.clone(), notices.clone())?,
        foreign: Foreign::start(bus.clone(), notices.clone()),
        notices,
        shutdown: shutdown.clone(),
        config: Arc::new(config),
        bus,
    };
    let mut consumer =
        GroupConsumer::join(&context.bus, GROUP, Topic::Streams, GroupOptions::default())?;
    let mut streams = Streams::new(context);
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => break,
            event = consumer.next() => event,
        };
        streams.handle(event, &consumer).await;
    }
    streams.stop().await;
    consumer.leave().await.context("leaving the group")?;
    Ok(())
}
