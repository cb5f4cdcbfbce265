//! How to reach Kafka, and the client settings that every part of this crate starts from.

use std::{collections::BTreeMap, fmt};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use serde::{Deserialize, Serialize};

/// The greatest record that topics, brokers and clients agree on, in bytes, with Kafka's framing.
pub const MAX_MESSAGE_BYTES: u32 = 8 << 20;

/// What [`MAX_MESSAGE_BYTES`] leaves for a record's own key, headers and value, in bytes: Kafka
/// counts the batch header and varints as well.
pub const MAX_RECORD_BYTES: usize = MAX_MESSAGE_BYTES as usize - 4096;

/// Where Kafka is and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct BusConfig {
    /// `host:port`, several with commas between.
    pub bootstrap_servers: String,
    /// How this process calls itself in the brokers' logs and metrics.
    pub client_id: String,
    /// What all topic names of the deployment begin with.
    pub topic_prefix: String,
    /// What the topics are checked against.
    pub profile: Profile,
    /// Encryption and authentication.
    pub security: Security,
    /// librdkafka settings on top of this crate's own, for all clients that know them. Settings
    /// that the log's promises rest on are refused.
    pub overrides: BTreeMap<String, String>,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".into(),
            client_id: "reelay".into(),
            topic_prefix: "reelay.".into(),
            profile: Profile::default(),
            security: Security::default(),
            overrides: BTreeMap::new(),
        }
    }
}

/// How safe the topics have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One broker: one replica.
    #[default]
    Single,
    /// Three replicas, two of them in sync for an acknowledgement, no unclean election.
    Production,
}

impl Profile {
    /// The fewest replicas of a partition.
    pub const fn replication(self) -> i32 {
        match self {
            Self::Single => 1,
            Self::Production => 3,
        }
    }

    /// The least `min.insync.replicas`.
    pub const fn min_insync_replicas(self) -> i32 {
        match self {
            Self::Single => 1,
            Self::Production => 2,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Production => "production",
        })
    }
}

impl std::str::FromStr for Profile {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "single" => Ok(Self::Single),
            "production" => Ok(Self::Production),
            other => Err(ConfigError::Profile(other.to_owned())),
        }
    }
}

/// Encryption and authentication, passed on to librdkafka under the names in brackets.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Security {
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl` (`security.protocol`).
    pub protocol: Option<String>,
    /// PEM file of the authorities that the brokers' certificates are checked with
    /// (`ssl.ca.location`).
    pub ca_location: Option<String>,
    /// PEM file of this client's certificate (`ssl.certificate.location`).
    pub certificate_location: Option<String>,
    /// PEM file of this client's key (`ssl.key.location`).
    pub key_location: Option<String>,
    /// What the key file is encrypted with (`ssl.key.password`).
    pub key_password: Option<String>,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` … (`sasl.mechanism`).
    pub sasl_mechanism: Option<String>,
    /// `sasl.username`.
    pub sasl_username: Option<String>,
    /// `sasl.password`.
    pub sasl_password: Option<String>,
}

impl Security {
    fn settings(&self) -> impl Iterator<Item = (&'static str, &String)> {
        [
            ("security.protocol", &self.protocol),
            ("ssl.ca.location", &self.ca_location),
            ("ssl.certificate.location", &self.certificate_location),
            ("ssl.key.location", &self.key_location),
            ("ssl.key.password", &self.key_password),
            ("sasl.mechanism", &self.sasl_mechanism),
            ("sasl.username", &self.sasl_username),
            ("sasl.password", &self.sasl_password),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.settings() {
            if name.ends_with("password") {
                map.entry(&name, &"(hidden)");
            } else {
                map.entry(&name, value);
            }
        }
        map.finish()
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// No such profile.
    #[error("kafka-profile is {0:?}; allowed are \"single\" and \"production\"")]
    Profile(String),
    /// The setting is not the user's to choose.
    #[error("Kafka setting {setting:?} cannot be overridden: {why}")]
    Guarded {
        /// librdkafka's name of it.
        setting: String,
        /// What rests on it.
        why: &'static str,
    },
    /// The prefix makes no topic names.
    #[error(transparent)]
    Prefix(#[from] reelay_model::FieldError),
}

/// Settings that the promises of the log rest on.
const GUARDED: [(&str, &str); 15] = [
    ("acks", "acknowledged means on all in-sync replicas"),
    (
        "request.required.acks",
        "acknowledged means on all in-sync replicas",
    ),
    ("enable.idempotence", "a retry must not repeat a record"),
    ("message.timeout.ms", "media is never given up by time"),
    ("delivery.timeout.ms", "media is never given up by time"),
    (
        "enable.auto.commit",
        "offsets are committed by what is done",
    ),
    (
        "enable.auto.offset.store",
        "offsets are committed by what is done",
    ),
    ("auto.offset.reset", "a lost position must not be silent"),
    ("enable.partition.eof", "readers wait for the end"),
    ("group.id", "groups are named by the services"),
    (
        "partition.assignment.strategy",
        "rebalances are cooperative",
    ),
    (
        "allow.auto.create.topics",
        "topics are made with their settings or not at all",
    ),
    ("bootstrap.servers", "it has an option of its own"),
    ("client.id", "it has an option of its own"),
    ("partitioner", "the partition is set with each record"),
];

/// What a client is for: decides which overrides it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Admin,
}

/// Overrides that only producers know; consumers would log a complaint about them.
const PRODUCER_ONLY: [&str; 9] = [
    "queue.buffering.",
    "linger.ms",
    "batch.",
    "compression.",
    "message.send.max.retries",
    "retries",
    "request.timeout.ms",
    "max.in.flight",
    "sticky.partitioning",
];

/// Overrides that only consumers know.
const CONSUMER_ONLY: [&str; 8] = [
    "fetch.",
    "max.partition.fetch",
    "queued.",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "isolation.level",
    "check.crcs",
];

impl BusConfig {
    /// Refuses overrides of settings that the log's promises rest on.
    ///
    /// # Errors
    /// Names the setting and what rests on it.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (setting, why) in GUARDED {
            if self.overrides.contains_key(setting) {
                return Err(ConfigError::Guarded {
                    setting: setting.to_owned(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// What all clients share. Times are chosen so that a broker's death costs about a second on
    /// top of the election: quick reconnects, quick metadata, and a frozen broker's connection is
    /// given up after 10 s (librdkafka caps produce and fetch requests by `socket.timeout.ms`).
    pub(crate) fn client(&self, role: Role) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set_log_level(RDKafkaLogLevel::Info)
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "500")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
            .set("enable.metrics.push", "false")
            .set("log.connection.close", "false");
        for (name, value) in self.security.settings() {
            config.set(name, value);
        }
        if role == Role::Consumer {
            config.set("allow.auto.create.topics", "false");
        }
        for (name, value) in &self.overrides {
            let is_of = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
            let known = match role {
                Role::Producer => !is_of(&CONSUMER_ONLY),
                Role::Consumer => !is_of(&PRODUCER_ONLY),
                Role::Admin => !is_of(&CONSUMER_ONLY) && !is_of(&PRODUCER_ONLY),
            };
            if known {
                config.set(name, value);
            }
        }
        config
    }

    /// An idempotent producer. `message_timeout_ms` 0 never gives a record up.
    pub(crate) fn producer(&self, message_timeout_ms: u32) -> ClientConfig {
        let mut config = self.client(Role::Producer);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", message_timeout_ms.to_string());
        for (name, value) in [
            // One request a record and partition in any case: lingering only adds latency.
            ("linger.ms", "0"),
            ("compression.codec", "none"),
            ("queue.buffering.max.messages", "0"),
            ("queue.buffering.max.kbytes", "1048576"),
        ] {
            self.set_unless_overridden(&mut config, name, value);
        }
        config
    }

    /// A consumer that commits nothing by itself, reports ends, and fails loudly where its
    /// position is gone. `group` is a group's name or, for readers without a group, only a name:
    /// librdkafka wants one even where it never joins. `queue_bytes` bounds what is fetched
    /// ahead of the reader.
    pub(crate) fn consumer(
        &self,
        group: &str,
        fetch_wait_ms: u32,
        queue_bytes: u64,
    ) -> ClientConfig {
        let mut config = self.client(Role::Consumer);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("partition.assignment.strategy", "cooperative-sticky");
        let queue_kbytes = (queue_bytes / 1024).clamp(64, 2_097_151).to_string();
        let fetch_wait_ms = fetch_wait_ms.to_string();
        for (name, value) in [
            // Nothing of ours writes transactions; somebody else's open one must not hold readers up.
            ("isolation.level", "read_uncommitted"),
            ("fetch.wait.max.ms", fetch_wait_ms.as_str()),
            ("fetch.min.bytes", "1"),
            ("fetch.error.backoff.ms", "50"),
            // With the default of 1 s a reader that was slow for a moment starves for a second.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.message.max.bytes", "2097152"),
            ("fetch.max.bytes", "16777216"),
            ("receive.message.max.bytes", "100000000"),
            ("queued.max.messages.kbytes", queue_kbytes.as_str()),
        ] {
            self.set_unless_overridden(&mut config, name, value);
        }
        config
    }

    fn set_unless_overridden(&self, config: &mut ClientConfig, name: &str, value: &str) {
        if !self.overrides.contains_key(name) {
            config.set(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let security = Security {
            sasl_username: Some("camera".into()),
            sasl_password: Some("planted-secret".into()),
            ..Security::default()
        };
        let shown = format!("{security:?}");
        assert!(shown.contains("camera"), "{shown}");
        assert!(!shown.contains("planted-secret"), "{shown}");
    }

    #[test]
    fn guarded_settings_are_refused_by_name() {
        let config = BusConfig {
            overrides: [("acks".to_owned(), "1".to_owned())].into(),
            ..BusConfig::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("\"acks\""), "{error}");
    }

    #[test]
    fn overrides_reach_only_the_clients_that_know_them() {
        let config = BusConfig {
            overrides: [
                ("linger.ms".to_owned(), "7".to_owned()),
                ("fetch.wait.max.ms".to_owned(), "8".to_owned()),
                ("debug".to_owned(), "broker".to_owned()),
            ]
            .into(),
            ..BusConfig::default()
        };
        let producer = config.producer(0);
        assert_eq!(producer.get("linger.ms"), Some("7"));
        assert_eq!(producer.get("fetch.wait.max.ms"), None);
        let consumer = config.consumer("g", 50, 1 << 20);
        assert_eq!(consumer.get("linger.ms"), None);
        assert_eq!(consumer.get("fetch.wait.max.ms"), Some("8"));
        assert_eq!(consumer.get("debug"), Some("broker"));
    }
}
