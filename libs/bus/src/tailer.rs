//! Follows any partitions, without a group: the gateway's watched streams, an owner's own index.

use std::collections::{HashMap, VecDeque};

use rdkafka::{
    Offset as NativeOffset, TopicPartitionList, consumer::Consumer as _, types::RDKafkaErrorCode,
};
use reelay_model::Offset;
use reelay_wire::Topic;
use tokio::task::JoinSet;

use crate::{
    Bus,
    error::{BusError, Result},
    native::{Event, NativeConsumer},
    record::Record,
};

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record in the log.
    Beginning,
    /// After the last record in the log.
    End,
    /// At this offset.
    Offset(Offset),
}

impl StartAt {
    pub(crate) const fn native(self) -> NativeOffset {
        match self {
            Self::Beginning => NativeOffset::Beginning,
            Self::End => NativeOffset::End,
            Self::Offset(offset) => NativeOffset::Offset(offset),
        }
    }
}

/// How a [`Tailer`] reads.
#[derive(Debug, Clone)]
pub struct TailerOptions {
    /// How it calls itself in logs.
    pub name: String,
    /// How long a broker waits for new records before it answers, in milliseconds; new records
    /// are answered at once, but a partition that is newly followed waits for the running request.
    pub wait_max_ms: u32,
    /// How much is fetched ahead of the reader over all partitions, in bytes; one answer of the
    /// broker (16 MiB at most) may go beyond.
    pub queue_bytes: u64,
}

impl Default for TailerOptions {
    fn default() -> Self {
        Self {
            name: "tailer".into(),
            wait_max_ms: 50,
            queue_bytes: 16 << 20,
        }
    }
}

/// What a [`Tailer`] sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailEvent {
    /// The next record of a partition.
    Record(Record),
    /// Everything that the partition held has been read. Comes again whenever the reader has
    /// caught up after new records.
    End {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// The offset that the next record gets.
        offset: Offset,
    },
    /// The position was no longer in the log (retention was quicker, or the log was cut short):
    /// reading goes on at `to`, and what lay between is not to be had.
    Moved {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: i32,
        /// The position that was gone.
        from: Offset,
        /// Where reading goes on.
        to: Offset,
    },
    /// Something is wrong, for now: the reader keeps trying by itself. A topic that does not
    /// exist, no permission, all brokers down.
    Trouble {
        /// The partition that it is about; `None`: all.
        partition: Option<(Topic, i32)>,
        /// What librdkafka said.
        reason: String,
    },
}

/// Follows many partitions on one client, without a group.
pub struct Tailer {
    bus: Bus,
    native: NativeConsumer,
    followed: HashMap<(Topic, i32), Followed>,
    /// Runs on; tells whether an answer is about this following of a partition or an earlier one.
    generation: u64,
    /// Watermarks asked for to get a lost position going again.
    moves: JoinSet<(Topic, i32, u64, Offset, Result<(Offset, Offset)>)>,
    pending: VecDeque<TailEvent>,
}

struct Followed {
    generation: u64,
    /// The offset of the next record, once that is known.
    next: Option<Offset>,
}

impl Tailer {
    /// # Errors
    /// If the client cannot be made.
    pub fn new(bus: &Bus, options: TailerOptions) -> Result<Self> {
        let group = format!("reelay.{}", options.name);
        let config = bus
            .config()
            .consumer(&group, options.wait_max_ms, options.queue_bytes);
        Ok(Self {
            native: NativeConsumer::new(&config, &options.name, bus.topics().clone())?,
            bus: bus.clone(),
            followed: HashMap::new(),
            generation: 0,
            moves: JoinSet::new(),
            pending: VecDeque::new(),
        })
    }

    /// Follows a partition from `start` on. One that is followed already goes on from there; what
    /// was fetched of it before is not seen any more.
    ///
    /// # Errors
    /// If librdkafka refuses, as it does for a partition below 0.
    pub fn follow(&mut self, topic: Topic, partition: i32, start: StartAt) -> Result<()> {
        self.unfollow(&topic, partition)?;
        self.assign(&topic, partition, start)?;
        self.generation += 1;
        let next = match start {
            StartAt::Offset(offset) => Some(offset),
            StartAt::Beginning | StartAt::End => None,
        };
        let generation = self.generation;
        self.followed
            .insert((topic, partition), Followed { generation, next });
        Ok(())
    }

    /// Lets a partition go; nothing of it is seen after. Does nothing if it is not followed.
    ///
    /// # Errors
    /// If librdkafka refuses.
    pub fn unfollow(&mut self, topic: &Topic, partition: i32) -> Result<()> {
        let key = (topic.clone(), partition);
        if self.followed.remove(&key).is_none() {
            return Ok(());
        }
        self.pending.retain(|event| match event {
            TailEvent::Moved {
                topic, partition, ..
            } => (topic, *partition) != (&key.0, key.1),
            _ => true,
        });
        self.change("let go of", topic, partition, None)
    }

    /// Whether a partition is followed.
    pub fn follows(&self, topic: &Topic, partition: i32) -> bool {
        self.followed.contains_key(&(topic.clone(), partition))
    }

    /// The offset of the next record of a followed partition; `None` until that is known.
    pub fn position(&self, topic: &Topic, partition: i32) -> Option<Offset> {
        self.followed.get(&(topic.clone(), partition))?.next
    }

    /// What comes next. Never ends; waits for ever if nothing is followed. Cancel safe.
    pub async fn next(&mut self) -> TailEvent {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            let event = tokio::select! {
                biased;
                Some(Ok((topic, partition, generation, from, marks))) = self.moves.join_next() => {
                    self.moved(topic, partition, generation, from, marks)
                }
                event = self.native.next() => self.seen(event),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    fn seen(&mut self, event: Event) -> Option<TailEvent> {
        match event {
            Event::Record(record) => {
                let key = (record.topic.clone(), record.partition);
                let followed = self.followed.get_mut(&key)?;
                followed.next = Some(record.offset + 1);
                count_read(&record);
                Some(TailEvent::Record(record))
            }
            Event::End {
                topic,
                partition,
                offset,
            } => {
                let followed = self.followed.get_mut(&(topic.clone(), partition))?;
                // An end of an earlier following of the partition may still lie in the queue.
                if followed.next.is_some_and(|next| next > offset) {
                    return None;
                }
                followed.next = Some(offset);
                Some(TailEvent::End {
                    topic,
                    partition,
                    offset,
                })
            }
            Event::Partition {
                topic,
                partition,
                offset,
                code: RDKafkaErrorCode::AutoOffsetReset,
                ..
            } => {
                self.find_position(topic, partition, offset);
                None
            }
            Event::Partition {
                topic,
                partition,
                reason,
                ..
            } => {
                let key = (topic, partition);
                self.followed
                    .contains_key(&key)
                    .then_some(TailEvent::Trouble {
                        partition: Some(key),
                        reason,
                    })
            }
            Event::Client { reason, .. } => Some(TailEvent::Trouble {
                partition: None,
                reason,
            }),
            // Without a group there is neither.
            Event::Rebalance { .. } | Event::CommitFailed { .. } => None,
        }
    }

    /// librdkafka has stopped reading the partition: asks where the log is now.
    fn find_position(&mut self, topic: Topic, partition: i32, lost: Offset) {
        let key = (topic, partition);
        let Some(followed) = self.followed.get(&key) else {
            return;
        };
        let from = followed.next.unwrap_or(lost);
        if lost >= 0 && from != lost {
            // About an earlier following of the partition.
            return;
        }
        let (topic, partition) = key;
        let (bus, generation) = (self.bus.clone(), followed.generation);
        self.moves.spawn(async move {
            let marks = bus.watermarks(&topic, partition).await;
            (topic, partition, generation, from, marks)
        });
    }

    fn moved(
        &mut self,
        topic: Topic,
        partition: i32,
        generation: u64,
        from: Offset,
        marks: Result<(Offset, Offset)>,
    ) -> Option<TailEvent> {
        let key = (topic.clone(), partition);
        if self.followed.get(&key)?.generation != generation {
            return None;
        }
        let to = match marks {
            Ok((low, high)) => from.clamp(low, high),
            Err(error) => {
                // Asked again, after a breath.
                let bus = self.bus.clone();
                self.moves.spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    let marks = bus.watermarks(&topic, partition).await;
                    (topic, partition, generation, from, marks)
                });
                return Some(TailEvent::Trouble {
                    partition: Some(key),
                    reason: error.to_string(),
                });
            }
        };
        if let Err(error) = self.follow(topic.clone(), partition, StartAt::Offset(to)) {
            return Some(TailEvent::Trouble {
                partition: Some(key),
                reason: error.to_string(),
            });
        }
        if from == to {
            // The error was not about the position after all: read on where we were.
            return None;
        }
        tracing::warn!(%topic, partition, from, to, "position is not in the log any more");
        Some(TailEvent::Moved {
            topic,
            partition,
            from,
            to,
        })
    }

    fn assign(&self, topic: &Topic, partition: i32, start: StartAt) -> Result<()> {
        self.change("follow", topic, partition, Some(start))
    }

    fn change(
        &self,
        what: &'static str,
        topic: &Topic,
        partition: i32,
        start: Option<StartAt>,
    ) -> Result<()> {
        let Some(client) = self.native.client() else {
            return Err(BusError::ShuttingDown);
        };
        let name = self.bus.topics().name(topic);
        let mut list = TopicPartitionList::with_capacity(1);
        let changed = match start {
            Some(start) => list
                .add_partition_offset(&name, partition, start.native())
                .and_then(|()| client.incremental_assign(&list)),
            None => {
                list.add_partition(&name, partition);
                client.incremental_unassign(&list)
            }
        };
        changed.map_err(|source| BusError::Assign {
            what,
            topic: topic.clone(),
            partition,
            at: start.map_or_else(|| "any offset".to_owned(), |start| format!("{start:?}")),
            source,
        })
    }
}

pub(crate) fn count_read(record: &Record) {
    let topic = record.topic.suffix();
    metrics::counter!("reelay_bus_consumed_records_total", "topic" => topic.clone()).increment(1);
    metrics::counter!("reelay_bus_consumed_bytes_total", "topic" => topic)
        .increment(record.value.len() as u64);
}
