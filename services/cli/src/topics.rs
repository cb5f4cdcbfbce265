//! `reelay topics …`: the topics in Kafka.

use std::time::Duration;

use clap::{Args, Subcommand};
use reelay_bus::Bus;
use reelay_bus::admin::{self, Finding, PlanOptions, TopicPlan};
use reelay_model::RungId;
use reelay_runtime::args::{KafkaArgs, RungArgs};
use serde::Serialize;

use crate::args::{Global, seconds};
use crate::failure::Failure;
use crate::{kafka, output};

/// List, create and check Reelay's topics in Kafka.
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// List the topics with their size.
    #[command(visible_alias = "ls")]
    List(Connection),
    /// Create the topics that are missing, then check all of them.
    Create {
        #[command(flatten)]
        connection: Connection,
        /// Partitions of every topic; cannot be changed later. Plan for about 4 streams a partition.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=1000))]
        partitions: i32,
        /// How long media and index are kept.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=525_600))]
        retention_minutes: u64,
        /// How long to wait for Kafka to answer.
        #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
        wait_seconds: Duration,
    },
    /// Compare the topics with what the profile wants. Changes nothing.
    Check(Connection),
}

/// Where Kafka is, and what belongs to the deployment.
#[derive(Debug, Args)]
pub struct Connection {
    #[command(flatten)]
    pub kafka: KafkaArgs,
    #[command(flatten)]
    pub ladder: RungArgs,
}

impl Connection {
    /// The ids of the deployment's rungs.
    fn rungs(&self) -> Result<Vec<RungId>, Failure> {
        let rungs = self.ladder.rungs();
        Ok(rungs.map_err(|e| Failure::other(e.to_string()))?.ids())
    }
}

/// Runs one of the commands.
pub async fn run(global: &Global, command: Topics) -> Result<(), Failure> {
    match command {
        Topics::List(connection) => list(global, &connection).await,
        Topics::Check(connection) => {
            let bus = kafka::bus(&connection.kafka)?;
            let findings = check(&connection, &bus).await?;
            report(global, &findings)
        }
        Topics::Create {
            connection,
            partitions,
            retention_minutes,
            wait_seconds,
        } => {
            let bus = kafka::bus(&connection.kafka)?;
            let plan = admin::plan(&PlanOptions {
                profile: bus.config().profile,
                partitions,
                retention: Duration::from_secs(60 * retention_minutes),
                rungs: connection.rungs()?,
            });
            let made = kafka::patiently(wait_seconds, async || {
                let made = admin::ensure(&bus, &plan).await;
                made.map_err(|e| kafka::failure(&connection.kafka, &e))
            });
            for name in made.await? {
                eprintln!("created {name}");
            }
            let findings = compare(&connection, &bus, &plan).await?;
            report(global, &findings)
        }
    }
}

async fn compare(
    connection: &Connection,
    bus: &Bus,
    plan: &TopicPlan,
) -> Result<Vec<Finding>, Failure> {
    let findings = admin::check(bus, plan).await;
    findings.map_err(|e| kafka::failure(&connection.kafka, &e))
}

/// Compares the topics with the profile, as every service does at its start: partitions and
/// retention are the deployment's choice, and read from the topics.
pub async fn check(connection: &Connection, bus: &Bus) -> Result<Vec<Finding>, Failure> {
    kafka::partitions(&connection.kafka, bus).await?;
    let looked = reelay_runtime::topics::look(bus, &connection.rungs()?).await;
    let (_, findings) = looked.map_err(|e| kafka::failure(&connection.kafka, &e))?;
    Ok(findings)
}

#[derive(Serialize)]
struct FindingView<'a> {
    topic: &'a str,
    setting: &'a str,
    found: &'a str,
    wanted: &'a str,
}

fn report(global: &Global, findings: &[Finding]) -> Result<(), Failure> {
    let views: Vec<_> = findings
        .iter()
        .map(
            |Finding {
                 topic,
                 setting,
                 found,
                 wanted,
             }| FindingView {
                topic,
                setting,
                found,
                wanted,
            },
        )
        .collect();
    if views.is_empty() && global.output == output::Form::Table {
        return output::line("all topics are there and set as the profile wants");
    }
    let row = |v: &FindingView| {
        vec![
            v.topic.into(),
            v.setting.into(),
            v.found.into(),
            v.wanted.into(),
        ]
    };
    let head = ["topic", "setting", "found", "wanted"];
    output::print(global.output, &views, &head, || {
        views.iter().map(row).collect()
    })?;
    match views.len() {
        0 => Ok(()),
        n => Err(Failure::Found(n)),
    }
}

#[derive(Serialize)]
struct TopicView {
    topic: String,
    partitions: i32,
    /// Offsets between the start and the end of all partitions.
    records: i64,
}

async fn list(global: &Global, connection: &Connection) -> Result<(), Failure> {
    let bus = kafka::bus(&connection.kafka)?;
    kafka::partitions(&connection.kafka, &bus).await?;
    let options = PlanOptions {
        rungs: connection.rungs()?,
        ..PlanOptions::default()
    };
    let mut views = Vec::new();
    for settings in admin::plan(&options).topics {
        let topic = settings.topic;
        let failed = |e| kafka::failure(&connection.kafka, &e);
        let partitions = match bus.partitions(topic.clone()).await {
            Err(reelay_bus::BusError::NoTopic { .. }) => continue,
            answer => answer.map_err(failed)?,
        };
        let mut records = 0;
        for partition in 0..partitions {
            let (low, high) = bus.watermarks(&topic, partition).await.map_err(failed)?;
            records += high - low;
        }
        views.push(TopicView {
            topic: bus.topics().name(&topic),
            partitions,
            records,
        });
    }
    let row = |v: &TopicView| {
        vec![
            v.topic.clone(),
            v.partitions.to_string(),
            v.records.to_string(),
        ]
    };
    output::print(
        global.output,
        &views,
        &["topic", "partitions", "records"],
        || views.iter().map(row).collect(),
    )
}
