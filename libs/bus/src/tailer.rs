//! Follows any partitions, without a group: the gateway's watched streams, an owner's own index.

use std::{collections::HashMap, fmt, time::Duration};

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
    const fn offset(self) -> Option<Offset> {
        match self {
            Self::Offset(offset) => Some(offset),
            Self::Beginning | Self::End => None,
        }
    }

    pub(crate) const fn native(self) -> NativeOffset {
        match self {
            Self::Beginning => NativeOffset::Beginning,
            Self::End => NativeOffset::End,
            Self::Offset(offset) => NativeOffset::Offset(offset),
        }
    }
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("the beginning"),
            Self::End => f.write_str("the end"),
            Self::Offset(offset) => write!(f, "offset {offset}"),
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
    moves: JoinSet<(Lost, Result<(Offset, Offset)>)>,
}

struct Followed {
    generation: u64,
    /// Where the reader goes on: exactly, once that is known.
    next: StartAt,
}

/// A position that is not in the log.
struct Lost {
    topic: Topic,
    partition: i32,
    generation: u64,
    from: StartAt,
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
        })
    }

    /// Follows a partition from `start` on. One that is followed already goes on from there; what
    /// was fetched of it before is not seen any more.
    ///
    /// # Errors
    /// If librdkafka refuses, as it does for a partition below 0.
    pub fn follow(&mut self, topic: Topic, partition: i32, start: StartAt) -> Result<()> {
        self.unfollow(&topic, partition)?;
        self.change(&topic, partition, Some(start))?;
        self.generation += 1;
        let followed = Followed {
            generation: self.generation,
            next: start,
        };
        self.followed.insert((topic, partition), followed);
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
        self.change(topic, partition, None)
    }

    /// Whether a partition is followed.
    pub fn follows(&self, topic: &Topic, partition: i32) -> bool {
        self.followed.contains_key(&(topic.clone(), partition))
    }

    /// The offset of the next record of a followed partition; `None` until that is known.
    pub fn position(&self, topic: &Topic, partition: i32) -> Option<Offset> {
        self.followed
            .get(&(topic.clone(), partition))?
            .next
            .offset()
    }

    /// What comes next. Never ends; waits for ever if nothing is followed. Cancel safe.
    pub async fn next(&mut self) -> TailEvent {
        loop {
            let event = tokio::select! {
                biased;
                Some(Ok((lost, marks))) = self.moves.join_next() => self.moved(lost, marks),
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
                followed.next = StartAt::Offset(record.offset + 1);
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
                if followed.next.offset().is_some_and(|next| next > offset) {
                    return None;
                }
                followed.next = StartAt::Offset(offset);
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
        let from = followed.next;
        if lost >= 0 && from.offset().is_some_and(|from| from != lost) {
            // About an earlier following of the partition.
            return;
        }
        let (topic, partition) = key;
        let lost = Lost {
            topic,
            partition,
            generation: followed.generation,
            from,
        };
        self.ask_watermarks(lost, Duration::ZERO);
    }

    fn ask_watermarks(&mut self, lost: Lost, after: Duration) {
        let bus = self.bus.clone();
        self.moves.spawn(async move {
            tokio::time::sleep(after).await;
            let marks = bus.watermarks(&lost.topic, lost.partition).await;
            (lost, marks)
        });
    }

    fn moved(&mut self, lost: Lost, marks: Result<(Offset, Offset)>) -> Option<TailEvent> {
        let key = (lost.topic.clone(), lost.partition);
        if self.followed.get(&key)?.generation != lost.generation {
            return None;
        }
        let from = lost.from;
        let trouble = |error: BusError| {
            Some(TailEvent::Trouble {
                partition: Some(key.clone()),
                reason: error.to_string(),
            })
        };
        let to = match (marks, from) {
            (Ok((low, _)), StartAt::Beginning) => low,
            (Ok((_, high)), StartAt::End) => high,
            (Ok((low, high)), StartAt::Offset(from)) => from.clamp(low, high),
            (Err(error), _) => {
                // Asked again, after a breath.
                self.ask_watermarks(lost, Duration::from_millis(200));
                return trouble(error);
            }
        };
        let (topic, partition) = key.clone();
        if let Err(error) = self.follow(topic.clone(), partition, StartAt::Offset(to)) {
            return trouble(error);
        }
        // Else the error was not about the position after all: it reads on where it was.
        let from = from.offset().filter(|from| *from != to)?;
        tracing::warn!(%topic, partition, from, to, "position is not in the log any more");
        Some(TailEvent::Moved {
            topic,
            partition,
            from,
            to,
        })
    }

    /// Takes a partition up, or lets it go.
    fn change(&self, topic: &Topic, partition: i32, start: Option<StartAt>) -> Result<()> {
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
            what: match start {
                Some(start) => format!("read from {start}").into(),
                None => "end the reading".into(),
            },
            topic: topic.clone(),
            partition,
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
