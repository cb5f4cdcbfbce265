//! The topics of a deployment and their settings, as the design asks.

use std::{collections::BTreeMap, time::Duration};

use reelay_model::{RungId, Rungs};
use reelay_wire::{Cleanup, Topic};

use crate::config::{MAX_MESSAGE_BYTES, Profile};

/// What a deployment may choose about its topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOptions {
    /// Replicas and what is checked.
    pub profile: Profile,
    /// Partitions of every topic; never changes under a prefix. Plan for about four streams a
    /// partition.
    pub partitions: i32,
    /// How long media and index are kept.
    pub retention: Duration,
    /// The rungs that the deployment has; each is a topic.
    pub rungs: Vec<RungId>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            partitions: 12,
            retention: Duration::from_secs(3600),
            rungs: Rungs::default().ids(),
        }
    }
}

/// How one topic has to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// The topic.
    pub topic: Topic,
    /// Its settings in Kafka, by name.
    pub settings: BTreeMap<&'static str, String>,
}

/// All topics of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Replicas and what is checked.
    pub profile: Profile,
    /// Partitions of every topic.
    pub partitions: i32,
    /// The topics.
    pub topics: Vec<TopicSettings>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The topics of a deployment that chose `options`.
pub fn plan(options: &PlanOptions) -> TopicPlan {
    let mut topics = vec![
        Topic::Streams,
        Topic::Status,
        Topic::Source,
        Topic::Audio,
        Topic::Thumbnails,
        Topic::Index,
        Topic::Gaps,
        Topic::Qoe,
    ];
    topics.extend(options.rungs.iter().cloned().map(Topic::Rendition));
    TopicPlan {
        profile: options.profile,
        partitions: options.partitions,
        topics: topics
            .into_iter()
            .map(|topic| TopicSettings {
                settings: settings(&topic, options),
                topic,
            })
            .collect(),
    }
}

fn settings(topic: &Topic, options: &PlanOptions) -> BTreeMap<&'static str, String> {
    let mut settings = BTreeMap::from([
        ("max.message.bytes", MAX_MESSAGE_BYTES.to_string()),
        (
            "min.insync.replicas",
            options.profile.min_insync_replicas().to_string(),
        ),
        ("unclean.leader.election.enable", "false".to_owned()),
    ]);
    let retention = match topic {
        Topic::Gaps => Some(90 * DAY),
        Topic::Qoe => Some(7 * DAY),
        _ => Some(options.retention),
    };
    let (policy, retention) = match topic.cleanup() {
        Cleanup::Never => ("delete", None),
        Cleanup::Compact => ("compact", None),
        Cleanup::Delete => ("delete", retention),
        Cleanup::CompactDelete => ("compact,delete", retention),
    };
    settings.insert("cleanup.policy", policy.to_owned());
    match retention {
        Some(retention) => {
            settings.insert("retention.ms", retention.as_millis().to_string());
            settings.insert("segment.ms", segment_ms(retention).to_string());
        }
        None => {
            settings.insert("retention.ms", "-1".to_owned());
            settings.insert("retention.bytes", "-1".to_owned());
        }
    }
    if policy.starts_with("compact") {
        // The active segment is never compacted: it must not stay active for days.
        settings.insert("segment.ms", DAY.as_millis().min(3_600_000).to_string());
    }
    if topic.has_chunk_header() {
        settings.insert("message.timestamp.type", "LogAppendTime".to_owned());
        settings.insert("compression.type", "uncompressed".to_owned());
    } else {
        settings.insert("compression.type", "zstd".to_owned());
    }
    settings
}

/// A sixth of the retention, so that expired media goes in time; Kafka rolls at most daily here.
fn segment_ms(retention: Duration) -> u128 {
    (retention.as_millis() / 6).clamp(1000, DAY.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_expires_in_time() {
        let plan = plan(&PlanOptions::default());
        let source = plan.topics.iter().find(|t| t.topic == Topic::Source);
        let settings = &source.unwrap().settings;
        assert_eq!(settings["retention.ms"], "3600000");
        assert_eq!(settings["segment.ms"], "600000");
        assert_eq!(settings["message.timestamp.type"], "LogAppendTime");
        assert_eq!(settings["compression.type"], "uncompressed");
    }

    #[test]
    fn specs_are_kept_for_ever() {
        let plan = plan(&PlanOptions::default());
        let streams = plan.topics.iter().find(|t| t.topic == Topic::Streams);
        let settings = &streams.unwrap().settings;
        assert_eq!(settings["cleanup.policy"], "delete");
        assert_eq!(settings["retention.ms"], "-1");
        assert_eq!(settings["retention.bytes"], "-1");
    }

    #[test]
    fn each_rung_is_a_topic() {
        let options = PlanOptions {
            rungs: vec!["360p".parse().unwrap()],
            ..PlanOptions::default()
        };
        let plan = plan(&options);
        assert!(
            plan.topics
                .iter()
                .any(|t| t.topic.suffix() == "rendition.360p")
        );
    }
}
