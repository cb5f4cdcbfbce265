//! Errors: each says which topic, partition and offset it is about.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};
use reelay_model::Offset;
use reelay_wire::Topic;

use crate::config::ConfigError;

/// Shorthand for results of this crate.
pub type Result<T, E = BusError> = std::result::Result<T, E>;

/// What can go wrong between this process and Kafka.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client could not be made; usually a setting that librdkafka does not take.
    #[error("cannot make the Kafka client {client:?}: {source}")]
    Client {
        /// Which client of the process.
        client: String,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// The topic does not exist.
    #[error("topic {topic} does not exist")]
    NoTopic {
        /// The topic.
        topic: Topic,
    },
    /// A question about a topic or partition was not answered.
    #[error("{what} of topic {topic}, partition {partition}: {source}")]
    Query {
        /// What was asked for.
        what: &'static str,
        /// The topic.
        topic: Topic,
        /// The partition; -1 where all are meant.
        partition: i32,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// A partition could not be taken up or let go.
    #[error("cannot {what} of topic {topic}, partition {partition}: {source}")]
    Assign {
        /// What was tried, with the position.
        what: Box<str>,
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// The position is not in the log (any more).
    #[error(
        "offset {offset} of topic {topic}, partition {partition}, is not in the log, \
         which now is {low} to {high}"
    )]
    OutOfRange {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// The position asked for.
        offset: Offset,
        /// The first offset in the log.
        low: Offset,
        /// The offset that the next record gets.
        high: Offset,
    },
    /// Reading from a partition failed.
    #[error("reading topic {topic}, partition {partition}, from offset {offset}: {reason}")]
    Read {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// The position asked for.
        offset: Offset,
        /// What librdkafka said, or that time was up.
        reason: String,
    },
    /// A group's work failed.
    #[error("group {group}: cannot {what}: {source}")]
    Group {
        /// The group.
        group: String,
        /// What was tried.
        what: &'static str,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// An administrative request failed.
    #[error("cannot {what}: {source}")]
    Admin {
        /// What was tried, with names.
        what: String,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// The brokers refused to make a topic.
    #[error("cannot make topic {topic}: {code}")]
    CreateTopic {
        /// Its name in Kafka.
        topic: String,
        /// Kafka's reason.
        code: RDKafkaErrorCode,
    },
    /// The asynchronous runtime is going down.
    #[error("the process is shutting down")]
    ShuttingDown,
}

/// A record that did not get into the log, or of which that is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProduceError {
    /// The record can never be appended: too large, no such topic, no permission.
    #[error("record of {bytes} bytes for topic {topic}, partition {partition}, refused: {reason}")]
    Refused {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// Bytes of key, headers and value.
        bytes: usize,
        /// Why.
        reason: String,
    },
    /// No acknowledgement came in time. The record may be in the log all the same.
    #[error("record for topic {topic}, partition {partition}, was not acknowledged: {reason}")]
    Unacknowledged {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// Why.
        reason: String,
    },
    /// The producer is of no use any more: its owner needs a new one and, for media, a new claim.
    #[error("producer of topic {topic}, partition {partition}, failed for good: {reason}")]
    Fatal {
        /// The topic of the record at which this showed.
        topic: Topic,
        /// Its partition.
        partition: i32,
        /// What librdkafka said.
        reason: String,
    },
}

impl ProduceError {
    /// Sorts what librdkafka said of a record: `fatal` is its fatal error, if it has one by now.
    pub(crate) fn of(
        topic: &Topic,
        partition: i32,
        bytes: usize,
        error: &KafkaError,
        fatal: Option<String>,
    ) -> Self {
        let topic = topic.clone();
        let code = error.rdkafka_error_code();
        if let Some(reason) = fatal {
            return Self::Fatal {
                topic,
                partition,
                reason,
            };
        }
        let reason = code.map_or_else(|| error.to_string(), |code| code.to_string());
        match code {
            Some(RDKafkaErrorCode::Fatal) => Self::Fatal {
                topic,
                partition,
                reason,
            },
            Some(
                RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::PurgeInflight
                | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
                | RDKafkaErrorCode::BrokerTransportFailure,
            ) => Self::Unacknowledged {
                topic,
                partition,
                reason,
            },
            _ => Self::Refused {
                topic,
                partition,
                bytes,
                reason,
            },
        }
    }

    /// Whether the record may be in the log although it was not acknowledged.
    pub const fn may_be_in_log(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}
