//! Compares the topics with the plan, as every service does before it starts work.

use std::{collections::HashMap, fmt};

use rdkafka::admin::{ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::consumer::Consumer as _;

use super::{
    ensure::{TIMEOUT, client, options},
    plan::{TopicPlan, TopicSettings},
};
use crate::{
    Bus,
    config::{MAX_MESSAGE_BYTES, Profile},
    error::{BusError, Result},
};

/// A setting that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The topic's name in Kafka, or `broker N`.
    pub topic: String,
    /// The setting, by Kafka's name; `topic`, `partitions` and `replication` for the topic itself.
    pub setting: String,
    /// How it is.
    pub found: String,
    /// How it has to be.
    pub wanted: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} is {}, wanted {}",
            self.topic, self.setting, self.found, self.wanted
        )
    }
}

/// Partitions and the fewest replicas of each topic that exists.
type Layout = HashMap<String, (i32, i32)>;

/// Compares the topics in Kafka with `plan`. Nothing is changed; an empty answer is a pass.
///
/// # Errors
/// If the brokers do not answer within 30 s, or forbid the questions.
pub async fn check(bus: &Bus, plan: &TopicPlan) -> Result<Vec<Finding>> {
    let (layout, broker) = layout(bus, plan).await?;
    let mut findings = Vec::new();
    let mut present = Vec::new();
    for topic in &plan.topics {
        let name = bus.topics().name(&topic.topic);
        let Some((partitions, replicas)) = layout.get(&name) else {
            findings.push(Finding::of(&name, "topic", "missing", "present"));
            continue;
        };
        if *partitions != plan.partitions {
            findings.push(Finding::of(
                &name,
                "partitions",
                partitions,
                plan.partitions,
            ));
        }
        let fewest = plan.profile.replication();
        if *replicas < fewest {
            findings.push(Finding::of(
                &name,
                "replication",
                replicas,
                format!("at least {fewest} (profile {})", plan.profile),
            ));
        }
        present.push((topic, name));
    }
    let configs = configs(bus, &present, broker).await?;
    for (topic, name) in &present {
        let of_topic =
            |s: &OwnedResourceSpecifier| matches!(s, OwnedResourceSpecifier::Topic(n) if n == name);
        let found = configs.iter().find(|c| of_topic(&c.specifier));
        findings.extend(compare(topic, name, plan.profile, found));
    }
    if let Some(config) = configs
        .iter()
        .find(|c| matches!(c.specifier, OwnedResourceSpecifier::Broker(_)))
    {
        findings.extend(compare_broker(config, broker));
    }
    Ok(findings)
}

impl Finding {
    /// Whether the topic is not there at all: worth waiting for, while a difference is not.
    pub fn is_missing(&self) -> bool {
        self.setting == "topic"
    }

    fn of(topic: &str, setting: &str, found: impl fmt::Display, wanted: impl fmt::Display) -> Self {
        Self {
            topic: topic.to_owned(),
            setting: setting.to_owned(),
            found: found.to_string(),
            wanted: wanted.to_string(),
        }
    }
}

async fn layout(bus: &Bus, plan: &TopicPlan) -> Result<(Layout, i32)> {
    let Some(first) = plan.topics.first() else {
        return Ok((Layout::new(), -1));
    };
    bus.query("topics", &first.topic, -1, move |client| {
        let metadata = client.client().fetch_metadata(None, TIMEOUT)?;
        let layout = metadata.topics().iter().filter(|t| t.error().is_none());
        let layout = layout
            .map(|t| {
                let replicas = t.partitions().iter().map(|p| p.replicas().len()).min();
                let partitions = i32::try_from(t.partitions().len()).unwrap_or(i32::MAX);
                let replicas = i32::try_from(replicas.unwrap_or(0)).unwrap_or(i32::MAX);
                (t.name().to_owned(), (partitions, replicas))
            })
            .collect();
        Ok((layout, metadata.orig_broker_id()))
    })
    .await
}

async fn configs(
    bus: &Bus,
    present: &[(&TopicSettings, String)],
    broker: i32,
) -> Result<Vec<ConfigResource>> {
    let mut asked: Vec<ResourceSpecifier<'_>> = present
        .iter()
        .map(|(_, name)| ResourceSpecifier::Topic(name))
        .collect();
    if broker >= 0 {
        asked.push(ResourceSpecifier::Broker(broker));
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |source| BusError::Admin {
        what: "read the settings of topics".to_owned(),
        source,
    };
    let admin = client(bus)?;
    let answers = admin
        .describe_configs(&asked, &options())
        .await
        .map_err(failed)?;
    answers
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|code| failed(rdkafka::error::KafkaError::AdminOp(code)))
}

fn compare(
    topic: &TopicSettings,
    name: &str,
    profile: Profile,
    found: Option<&ConfigResource>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (setting, wanted) in &topic.settings {
        let value = found.and_then(|config| config.get(setting)?.value.clone());
        let value = value.unwrap_or_else(|| "unknown".to_owned());
        if let Some(wanted) = mismatch(setting, wanted, &value, profile) {
            findings.push(Finding::of(name, setting, value, wanted));
        }
    }
    findings
}

/// What is wanted, if `found` does not do.
fn mismatch(setting: &str, wanted: &str, found: &str, profile: Profile) -> Option<String> {
    let number = |text: &str| text.parse::<i64>().ok();
    let (fits, words) = match setting {
        // A segment may be shorter, but not longer.
        "segment.ms" => (
            number(found).is_some_and(|f| Some(f) <= number(wanted)),
            format!("at most {wanted}"),
        ),
        "min.insync.replicas" => (
            number(found).is_some_and(|f| Some(f) >= number(wanted)),
            format!("at least {wanted} (profile {profile})"),
        ),
        "max.message.bytes" => (
            number(found).is_some_and(|f| Some(f) >= number(wanted)),
            format!("at least {wanted}"),
        ),
        // Without replicas nothing can be elected.
        "unclean.leader.election.enable" => (
            profile == Profile::Single || found == wanted,
            wanted.to_owned(),
        ),
        "cleanup.policy" => {
            let set = |text: &str| {
                let mut policies: Vec<String> =
                    text.split(',').map(|p| p.trim().to_owned()).collect();
                policies.sort_unstable();
                policies
            };
            (set(found) == set(wanted), wanted.to_owned())
        }
        // Our producers never compress media, so that leaving it to them does as well.
        "compression.type" if wanted == "uncompressed" => (
            found == wanted || found == "producer",
            "uncompressed or producer".to_owned(),
        ),
        "compression.type" => (matches!(found, "zstd" | "lz4"), "zstd or lz4".to_owned()),
        _ => (found == wanted, wanted.to_owned()),
    };
    (!fits).then_some(words)
}

/// Replicas fetch whole batches whatever `replica.fetch.max.bytes` says, but a topic that is made
/// without the setting takes the broker's.
fn compare_broker(config: &ConfigResource, broker: i32) -> Option<Finding> {
    let setting = "message.max.bytes";
    let found = config.get(setting)?.value.clone()?;
    let wanted = i64::from(MAX_MESSAGE_BYTES);
    (found.parse::<i64>().ok()? < wanted).then(|| {
        Finding::of(
            &format!("broker {broker}"),
            setting,
            found,
            format!("at least {wanted}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_segments_and_more_replicas_are_fine() {
        let ok = |setting, wanted, found| {
            mismatch(setting, wanted, found, Profile::Production).is_none()
        };
        assert!(ok("segment.ms", "600000", "300000"));
        assert!(!ok("segment.ms", "600000", "604800000"));
        assert!(ok("min.insync.replicas", "2", "3"));
        assert!(!ok("min.insync.replicas", "2", "1"));
        assert!(ok("cleanup.policy", "compact,delete", "delete,compact"));
        assert!(!ok("cleanup.policy", "compact", "delete"));
        assert!(ok("compression.type", "uncompressed", "producer"));
        assert!(!ok("compression.type", "uncompressed", "zstd"));
        assert!(ok("compression.type", "zstd", "lz4"));
        assert!(!ok("unclean.leader.election.enable", "false", "true"));
    }
}
