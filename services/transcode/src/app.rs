//! Assembles transcode and runs it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use reelay_bus::{Bus, GroupConsumer, GroupOptions, Producer};
use reelay_runtime::{CancellationToken, Runtime, topics};
use reelay_wire::Topic;

use crate::{config::Config, pool::Pool, streams::Streams};

/// How often it is committed how far everything is done.
const COMMIT: Duration = Duration::from_secs(2);

/// What everything in this service shares.
#[derive(Clone)]
pub(crate) struct Context {
    pub config: Arc<Config>,
    pub bus: Bus,
    pub producer: Producer,
    pub pool: Pool,
    /// Partitions of every topic.
    pub partitions: i32,
    /// How long media and index are kept.
    pub retention: Duration,
    pub shutdown: CancellationToken,
}

/// Runs transcode until `runtime` stops it.
///
/// # Errors
/// Topics that do not fit the configured profile and rungs, or a Kafka client that cannot be made.
pub async fn run(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let Runtime { shutdown, health } = runtime;
    let bus = Bus::new(config.bus.clone())?;
    let check = health.check("topics");
    let rungs = config.rungs.ids();
    let Some(layout) = topics::wait_until_fit(&bus, &rungs, &check, &shutdown).await? else {
        return Ok(());
    };
    let context = Context {
        producer: bus.producer().context("kafka producer")?,
        pool: Pool::new(config.workers),
        partitions: layout.partitions,
        retention: layout.retention,
        shutdown: shutdown.clone(),
        config: Arc::new(config),
        bus,
    };
    let mut consumer = GroupConsumer::join(
        &context.bus,
        &context.config.group,
        Topic::Streams,
        GroupOptions::default(),
    )?;
    let mut streams = Streams::new(context);
    let mut commit = tokio::time::interval(COMMIT);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            event = consumer.next() => streams.handle(event, &consumer).await,
            _ = commit.tick() => streams.commit(&consumer),
        }
    }
    streams.stop(&consumer).await;
    consumer.leave().await.context("leaving the group")?;
    Ok(())
}
