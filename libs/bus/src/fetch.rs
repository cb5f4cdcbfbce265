//! Reads ranges of offsets once, with consumers of its own.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset as NativeOffset, TopicPartitionList, consumer::Consumer as _,
    types::RDKafkaErrorCode,
};
use reelay_model::Offset;
use reelay_wire::{Topic, Topics};
use tokio::sync::Semaphore;

use crate::{
    Bus,
    config::BusConfig,
    error::{BusError, Result},
    native::{Event, NativeConsumer},
    record::Record,
    tailer::count_read,
};

/// Where a read ends, besides the end of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Before this offset.
    pub until: Offset,
    /// After this many records.
    pub records: usize,
    /// Once this many bytes of values have been read; the record that passes the limit is kept.
    pub bytes: u64,
    /// Fails after this time.
    pub timeout: Duration,
}

impl FetchLimits {
    /// How many reads run at a time; others wait.
    pub const PARALLEL: usize = 4;

    /// Up to this offset, exclusively.
    pub fn until(offset: Offset) -> Self {
        Self {
            until: offset,
            ..Self::default()
        }
    }
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            until: Offset::MAX,
            records: usize::MAX,
            bytes: 64 << 20,
            timeout: Duration::from_secs(10),
        }
    }
}

/// An idle consumer older than this is closed, not used again.
const IDLE: Duration = Duration::from_secs(60);

/// Consumers that are kept between reads: connecting costs more than a read.
pub(crate) struct FetchPool {
    config: ClientConfig,
    topics: Topics,
    idle: Mutex<Vec<(NativeConsumer, Instant)>>,
    permits: Semaphore,
}

impl FetchPool {
    pub fn new(config: &BusConfig, topics: &Topics) -> Self {
        Self {
            config: config.consumer("reelay.fetch", 10, 4 << 20),
            topics: topics.clone(),
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(FetchLimits::PARALLEL),
        }
    }

    pub async fn fetch(
        &self,
        bus: &Bus,
        topic: &Topic,
        partition: i32,
        from: Offset,
        limits: FetchLimits,
    ) -> Result<Vec<Record>> {
        if from >= limits.until || limits.records == 0 {
            return Ok(Vec::new());
        }
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| BusError::ShuttingDown)?;
        let consumer = self.take()?;
        let reading = read(&consumer, &self.topics, topic, partition, from, limits);
        let read = tokio::time::timeout(limits.timeout, reading)
            .await
            .unwrap_or_else(|_| {
                Err(Failure::Other(format!(
                    "nothing after {:?}",
                    limits.timeout
                )))
            });
        match read {
            Ok(records) => {
                self.put_back(consumer);
                Ok(records)
            }
            // Whatever state the consumer is in, it is not used again.
            Err(Failure::OutOfRange) => {
                let (low, high) = bus.watermarks(topic, partition).await?;
                Err(BusError::OutOfRange {
                    topic: topic.clone(),
                    partition,
                    offset: from,
                    low,
                    high,
                })
            }
            Err(Failure::Other(reason)) => Err(BusError::Read {
                topic: topic.clone(),
                partition,
                offset: from,
                reason,
            }),
        }
    }

    fn take(&self) -> Result<NativeConsumer> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        if let Some((consumer, _)) = idle.pop() {
            return Ok(consumer);
        }
        drop(idle);
        NativeConsumer::new(&self.config, "fetch", self.topics.clone())
    }

    fn put_back(&self, consumer: NativeConsumer) {
        let released = consumer
            .client()
            .is_some_and(|client| client.unassign().is_ok());
        if !released {
            return;
        }
        while consumer.try_next().is_some() {}
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.push((consumer, Instant::now()));
    }
}

enum Failure {
    OutOfRange,
    Other(String),
}

async fn read(
    consumer: &NativeConsumer,
    topics: &Topics,
    topic: &Topic,
    partition: i32,
    from: Offset,
    limits: FetchLimits,
) -> Result<Vec<Record>, Failure> {
    let mut list = TopicPartitionList::with_capacity(1);
    let start = NativeOffset::Offset(from);
    list.add_partition_offset(&topics.name(topic), partition, start)
        .and_then(|()| match consumer.client() {
            Some(client) => client.assign(&list),
            None => Ok(()),
        })
        .map_err(|error| Failure::Other(error.to_string()))?;
    let mut records: Vec<Record> = Vec::new();
    let mut bytes = 0;
    let is_this = |t: &Topic, p: i32| t == topic && p == partition;
    loop {
        match consumer.next().await {
            Event::Record(record) if is_this(&record.topic, record.partition) => {
                if record.offset >= limits.until {
                    return Ok(records);
                }
                if record.offset < from {
                    continue;
                }
                count_read(&record);
                bytes += record.value.len() as u64;
                let last = record.offset + 1 >= limits.until;
                records.push(record);
                if last || records.len() >= limits.records || bytes >= limits.bytes {
                    return Ok(records);
                }
            }
            // An end before the position belongs to an earlier read of the partition.
            Event::End {
                topic: t,
                partition: p,
                offset,
            } if is_this(&t, p) && offset >= records.last().map_or(from, |r| r.offset + 1) => {
                return Ok(records);
            }
            Event::Partition {
                topic: t,
                partition: p,
                offset,
                code,
                reason,
            } if is_this(&t, p) => {
                if code != RDKafkaErrorCode::AutoOffsetReset {
                    return Err(Failure::Other(reason));
                }
                if offset < 0 || offset == from {
                    return Err(Failure::OutOfRange);
                }
            }
            Event::Client {
                fatal: true,
                reason,
                ..
            } => return Err(Failure::Other(reason)),
            // Brokers that are down may come back before time is up.
            _ => {}
        }
    }
}
