//! The process's connection to Kafka: configuration, shared clients, questions about partitions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset as NativeOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};
use reelay_model::{Micros, Offset};
use reelay_wire::{Topic, Topics};

use crate::{
    client::ClientSource,
    config::{BusConfig, Role},
    context::LogContext,
    error::{BusError, Result},
    fetch::{FetchLimits, FetchPool},
    producer::Producer,
    record::Record,
};

/// How long a question may take before it fails.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The process's way to Kafka; clones are cheap and share clients. Making one connects to nothing.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    config: BusConfig,
    topics: Topics,
    media: Arc<ClientSource>,
    control: Arc<ClientSource>,
    /// Answers questions; made with the first one.
    queries: Mutex<Option<Arc<BaseConsumer<LogContext>>>>,
    /// Partition counts never change under a prefix.
    counts: Mutex<HashMap<Topic, i32>>,
    fetches: FetchPool,
}

impl Bus {
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: BusConfig) -> Result<Self> {
        config.check()?;
        let topics =
            Topics::with_prefix(&config.topic_prefix).map_err(crate::config::ConfigError::from)?;
        let media = ClientSource::new("media", config.producer(0), topics.clone());
        let control = ClientSource::new(
            "control",
            config.producer(Producer::TIMEOUT_MS),
            topics.clone(),
        );
        Ok(Self {
            shared: Arc::new(Shared {
                fetches: FetchPool::new(&config, &topics),
                config,
                topics,
                media: Arc::new(media),
                control: Arc::new(control),
                queries: Mutex::new(None),
                counts: Mutex::new(HashMap::new()),
            }),
        })
    }

    /// The names of the topics.
    pub fn topics(&self) -> &Topics {
        &self.shared.topics
    }

    /// What it was made with.
    pub fn config(&self) -> &BusConfig {
        &self.shared.config
    }

    /// The producer for single records; all of a process share one client.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn producer(&self) -> Result<Producer> {
        Producer::new(self)
    }

    pub(crate) fn media_clients(&self) -> Arc<ClientSource> {
        Arc::clone(&self.shared.media)
    }

    pub(crate) fn control_clients(&self) -> Arc<ClientSource> {
        Arc::clone(&self.shared.control)
    }

    /// How many partitions `topic` has. Asked once; a count never changes under a prefix.
    ///
    /// # Errors
    /// [`BusError::NoTopic`], or no broker answered within 10 s.
    pub async fn partitions(&self, topic: Topic) -> Result<i32> {
        let known = |bus: &Self| {
            let counts = bus.shared.counts.lock();
            let counts = counts.unwrap_or_else(PoisonError::into_inner);
            counts.get(&topic).copied()
        };
        if let Some(count) = known(self) {
            return Ok(count);
        }
        let name = self.topics().name(&topic);
        let count = self
            .query("partitions", &topic, -1, move |client| {
                let metadata = client.client().fetch_metadata(Some(&name), QUERY_TIMEOUT)?;
                let found = metadata.topics().iter().find(|t| t.name() == name);
                let partitions = found.map_or(0, |t| t.partitions().len());
                Ok(i32::try_from(partitions).unwrap_or(i32::MAX))
            })
            .await?;
        if count == 0 {
            return Err(BusError::NoTopic { topic });
        }
        let counts = self.shared.counts.lock();
        counts
            .unwrap_or_else(PoisonError::into_inner)
            .insert(topic, count);
        Ok(count)
    }

    /// The first offset in a partition and the offset that its next record gets.
    ///
    /// # Errors
    /// If the partition does not exist or no leader answered within 10 s.
    pub async fn watermarks(&self, topic: &Topic, partition: i32) -> Result<(Offset, Offset)> {
        let name = self.topics().name(topic);
        self.query("watermarks", topic, partition, move |client| {
            client.fetch_watermarks(&name, partition, QUERY_TIMEOUT)
        })
        .await
    }

    /// The offset of the first record whose timestamp is at or after `time`; of the record that
    /// comes next if there is none.
    ///
    /// # Errors
    /// If the partition does not exist or no leader answered within 10 s.
    pub async fn offset_at(&self, topic: &Topic, partition: i32, time: Micros) -> Result<Offset> {
        let name = self.topics().name(topic);
        // Kafka counts milliseconds: rounded up, so that no earlier record is found.
        let millis = time.0.max(0).div_euclid(1000) + i64::from(time.0.max(0) % 1000 != 0);
        self.query("offset by time", topic, partition, move |client| {
            let mut times = TopicPartitionList::with_capacity(1);
            times.add_partition_offset(&name, partition, NativeOffset::Offset(millis))?;
            let found = client.offsets_for_times(times, QUERY_TIMEOUT)?;
            let element = found
                .find_partition(&name, partition)
                .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
            element.error()?;
            match element.offset() {
                NativeOffset::Offset(offset) => Ok(offset),
                _ => client
                    .fetch_watermarks(&name, partition, QUERY_TIMEOUT)
                    .map(|(_, high)| high),
            }
        })
        .await
    }

    /// What `group` has committed for a partition of `topic`: the offset before which it has done
    /// everything. `None` if it never has, or if the offset is no longer in the log.
    ///
    /// # Errors
    /// If the group's coordinator does not answer within 10 s.
    pub async fn committed(
        &self,
        group: &str,
        topic: &Topic,
        partition: i32,
    ) -> Result<Option<Offset>> {
        let failed = |source| BusError::Query {
            what: "committed offset",
            topic: topic.clone(),
            partition,
            source,
        };
        let (low, high) = self.watermarks(topic, partition).await?;
        // A client of its own: the group is part of a client's settings. It joins nothing.
        let client: BaseConsumer<LogContext> = self
            .config()
            .consumer(group, 100, 1 << 20)
            .create_with_context(LogContext::new("committed"))
            .map_err(failed)?;
        let name = self.topics().name(topic);
        let asking = move || {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition(&name, partition);
            let found = client.committed_offsets(list, QUERY_TIMEOUT)?;
            let element = found.find_partition(&name, partition);
            Ok(element.map(|element| element.offset()))
        };
        let answer = tokio::task::spawn_blocking(asking).await;
        Ok(
            match answer
                .map_err(|_| BusError::ShuttingDown)?
                .map_err(failed)?
            {
                Some(NativeOffset::Offset(offset)) if (low..=high).contains(&offset) => {
                    Some(offset)
                }
                _ => None,
            },
        )
    }

    /// Reads records once, from `from` on, up to `limits` or the end of the partition as it is
    /// when the reader gets there. Consumers are pooled; at most
    /// [`FetchLimits::PARALLEL`] reads run at a time, others wait.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`] if `from` is not in the log; [`BusError::Read`] on other trouble
    /// with the partition, or if `limits.timeout` is up.
    pub async fn fetch(
        &self,
        topic: &Topic,
        partition: i32,
        from: Offset,
        limits: FetchLimits,
    ) -> Result<Vec<Record>> {
        self.shared
            .fetches
            .fetch(self, topic, partition, from, limits)
            .await
    }

    /// Runs a question of librdkafka's blocking interface on a thread for blocking work. While
    /// leaders move or brokers are away it is asked again, for 10 s.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        what: &'static str,
        topic: &Topic,
        partition: i32,
        question: impl Fn(&BaseConsumer<LogContext>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T> {
        let client = self.query_client()?;
        let asking = move || {
            let end = Instant::now() + QUERY_TIMEOUT;
            loop {
                // Without a group nothing else polls this client: its log lines wait here.
                let _ = client.poll(Duration::ZERO);
                match question(&client) {
                    Err(error) if passes(&error) && Instant::now() < end => {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                    answer => return answer,
                }
            }
        };
        let answer = tokio::task::spawn_blocking(asking).await;
        answer
            .map_err(|_| BusError::ShuttingDown)?
            .map_err(|source| BusError::Query {
                what,
                topic: topic.clone(),
                partition,
                source,
            })
    }

    fn query_client(&self) -> Result<Arc<BaseConsumer<LogContext>>> {
        let queries = self.shared.queries.lock();
        let mut queries = queries.unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*queries {
            return Ok(Arc::clone(client));
        }
        let client = self
            .config()
            .client(Role::Consumer)
            .set("isolation.level", "read_uncommitted")
            .create_with_context(LogContext::new("queries"))
            .map_err(|source| BusError::Client {
                client: "queries".into(),
                source,
            })?;
        let client = Arc::new(client);
        *queries = Some(Arc::clone(&client));
        Ok(client)
    }
}

/// Whether an error is that of a cluster on the move.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::ReplicaNotAvailable
                | Code::OffsetNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::NetworkException
                | Code::OperationTimedOut
                | Code::RequestTimedOut
        )
    )
}
