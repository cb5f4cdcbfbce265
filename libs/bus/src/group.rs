//! Partitions that the members of a group share out: how services divide the streams.

use std::{collections::VecDeque, time::Duration};

use rdkafka::{
    Offset as NativeOffset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
};
use reelay_model::Offset;
use reelay_wire::{Topic, Topics};

use crate::{
    Bus,
    error::{BusError, Result},
    native::{Event, NativeConsumer},
    record::Record,
    tailer::count_read,
};

/// Where a member begins in a partition that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupStart {
    /// At the first record in the log, every time: for state that is folded from the whole topic.
    #[default]
    Beginning,
    /// Where the group last committed; at the first record if it never has, or if that record is
    /// no longer in the log.
    Committed,
}

/// How a [`GroupConsumer`] reads.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// Where to begin in each partition.
    pub start: GroupStart,
    /// After how long without a heartbeat the group takes a member for dead. Brokers refuse less
    /// than `group.min.session.timeout.ms`, 6 s by default.
    pub session_timeout: Duration,
    /// How much is fetched ahead of the reader, in bytes.
    pub queue_bytes: u64,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            start: GroupStart::default(),
            session_timeout: Duration::from_secs(6),
            queue_bytes: 8 << 20,
        }
    }
}

/// What a [`GroupConsumer`] sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// These partitions are this member's from now on, besides those it has.
    Assigned(Vec<i32>),
    /// These are to go. They stay this member's until the next call of [`GroupConsumer::next`]:
    /// finish and commit before.
    Revoked(Vec<i32>),
    /// These are gone already (the group took this member for dead): others may own them.
    Lost(Vec<i32>),
    /// The next record of a partition.
    Record(Record),
    /// Everything that the partition held has been read. Comes again after new records.
    End {
        /// The partition.
        partition: i32,
        /// The offset that the next record gets.
        offset: Offset,
    },
    /// Something is wrong, for now: the member keeps trying by itself.
    Trouble {
        /// The partition that it is about; `None`: all.
        partition: Option<i32>,
        /// What librdkafka said.
        reason: String,
    },
}

/// A member of a group that shares out the partitions of one topic: cooperative (partitions that
/// stay are not interrupted), without automatic commits.
pub struct GroupConsumer {
    native: NativeConsumer,
    group: String,
    topic: Topic,
    topic_name: String,
    topics: Topics,
    start: GroupStart,
    /// Revoked partitions that the caller has been told of and may still work on.
    leaving: Option<TopicPartitionList>,
    pending: VecDeque<GroupEvent>,
}

impl GroupConsumer {
    /// Joins `group` for `topic`. The first [`GroupEvent::Assigned`] comes when the group has
    /// agreed on who gets what.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn join(bus: &Bus, group: &str, topic: Topic, options: GroupOptions) -> Result<Self> {
        let mut config = bus.config().consumer(group, 100, options.queue_bytes);
        let session = options.session_timeout.as_millis();
        config
            .set("session.timeout.ms", session.to_string())
            // A member learns of a rebalance with a heartbeat: often, so that takeovers are quick.
            .set(
                "heartbeat.interval.ms",
                (session / 6).clamp(200, 1000).to_string(),
            )
            // Only for a commit that is missing or fell out of the log.
            .set("auto.offset.reset", "earliest");
        let native = NativeConsumer::new(&config, group, bus.topics().clone())?;
        let this = Self {
            native,
            group: group.to_owned(),
            topic_name: bus.topics().name(&topic),
            topics: bus.topics().clone(),
            topic,
            start: options.start,
            leaving: None,
            pending: VecDeque::new(),
        };
        this.client()?
            .subscribe(&[&this.topic_name])
            .map_err(|source| this.failed("subscribe", source))?;
        Ok(this)
    }

    /// The topic whose partitions are shared out.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// What comes next. Never ends. Cancel safe.
    pub async fn next(&mut self) -> GroupEvent {
        if let Some(partitions) = self.leaving.take() {
            self.give_up(&partitions);
        }
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            let event = self.native.next().await;
            if let Some(event) = self.seen(event) {
                return event;
            }
        }
    }

    fn seen(&mut self, event: Event) -> Option<GroupEvent> {
        match event {
            Event::Record(record) => {
                count_read(&record);
                Some(GroupEvent::Record(record))
            }
            Event::End {
                partition, offset, ..
            } => Some(GroupEvent::End { partition, offset }),
            Event::Rebalance {
                assigned: true,
                partitions,
            } => self.take_up(&partitions),
            Event::Rebalance {
                assigned: false,
                partitions,
            } => self.revoked(partitions),
            Event::Partition {
                partition, reason, ..
            } => Some(GroupEvent::Trouble {
                partition: Some(partition),
                reason,
            }),
            Event::Client { reason, .. } => Some(GroupEvent::Trouble {
                partition: None,
                reason,
            }),
            Event::CommitFailed { code } => Some(GroupEvent::Trouble {
                partition: None,
                reason: format!("commit failed: {code}"),
            }),
        }
    }

    fn take_up(&mut self, given: &TopicPartitionList) -> Option<GroupEvent> {
        let partitions = self.ours(given);
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let offset = match self.start {
            GroupStart::Beginning => NativeOffset::Beginning,
            GroupStart::Committed => NativeOffset::Stored,
        };
        let taken = partitions
            .iter()
            .try_for_each(|&p| list.add_partition_offset(&self.topic_name, p, offset))
            .map_err(|source| self.failed("take up partitions", source))
            // An empty list has to be answered, too: the group waits for it.
            .and_then(|()| {
                let client = self.client()?;
                client
                    .incremental_assign(&list)
                    .map_err(|source| self.failed("take up partitions", source))
            });
        if let Err(error) = taken {
            return Some(GroupEvent::Trouble {
                partition: None,
                reason: error.to_string(),
            });
        }
        metrics::counter!("reelay_bus_rebalances_total", "group" => self.group.clone())
            .increment(1);
        tracing::info!(group = self.group, ?partitions, "partitions assigned");
        (!partitions.is_empty()).then_some(GroupEvent::Assigned(partitions))
    }

    fn revoked(&mut self, taken: TopicPartitionList) -> Option<GroupEvent> {
        let partitions = self.ours(&taken);
        let lost = self.client().is_ok_and(|client| client.assignment_lost());
        tracing::info!(group = self.group, ?partitions, lost, "partitions revoked");
        if partitions.is_empty() || lost {
            self.give_up(&taken);
            return (!partitions.is_empty()).then_some(GroupEvent::Lost(partitions));
        }
        self.leaving = Some(taken);
        Some(GroupEvent::Revoked(partitions))
    }

    fn give_up(&mut self, partitions: &TopicPartitionList) {
        let given = self.client().and_then(|client| {
            client
                .incremental_unassign(partitions)
                .map_err(|source| self.failed("give up partitions", source))
        });
        if let Err(error) = given {
            self.pending.push_back(GroupEvent::Trouble {
                partition: None,
                reason: error.to_string(),
            });
        }
    }

    fn ours(&self, list: &TopicPartitionList) -> Vec<i32> {
        let elements = list.elements();
        let mut partitions: Vec<i32> = elements.iter().map(|e| e.partition()).collect();
        partitions.sort_unstable();
        partitions
    }

    /// Commits that the group has done everything before `next` in `partition`. Commits are sent
    /// in order; one that fails shows as [`GroupEvent::Trouble`].
    ///
    /// # Errors
    /// If librdkafka does not take it, as after leaving the group.
    pub fn commit(&self, partition: i32, next: Offset) -> Result<()> {
        self.commit_name(&self.topic_name, partition, next)
    }

    /// As [`commit`](Self::commit) for the same partition of another topic, which the member
    /// reads by other means; [`Bus::committed`] gives it back.
    ///
    /// # Errors
    /// If librdkafka does not take it, as after leaving the group.
    pub fn commit_in(&self, topic: &Topic, partition: i32, next: Offset) -> Result<()> {
        self.commit_name(&self.topics.name(topic), partition, next)
    }

    fn commit_name(&self, topic: &str, partition: i32, next: Offset) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, NativeOffset::Offset(next))
            .and_then(|()| match self.native.client() {
                Some(client) => client.commit(&list, CommitMode::Async),
                None => Ok(()),
            })
            .map_err(|source| self.failed("commit", source))
    }

    /// Leaves the group, so that others get its partitions at once instead of after the session
    /// time-out. What is left of the process's time is better spent on this than on anything else:
    /// call it on SIGTERM. Dropping leaves, too, but does not wait until it is done.
    ///
    /// # Errors
    /// If the runtime is going down.
    pub async fn leave(mut self) -> Result<()> {
        if let Some(partitions) = self.leaving.take() {
            self.give_up(&partitions);
        }
        let Self { native, .. } = self;
        tokio::task::spawn_blocking(move || native.close())
            .await
            .map_err(|_| BusError::ShuttingDown)
    }

    fn client(
        &self,
    ) -> Result<&rdkafka::consumer::BaseConsumer<crate::context::LogContext>, BusError> {
        self.native.client().ok_or(BusError::ShuttingDown)
    }

    fn failed(&self, what: &'static str, source: rdkafka::error::KafkaError) -> BusError {
        BusError::Group {
            group: self.group.clone(),
            what,
            source,
        }
    }
}
