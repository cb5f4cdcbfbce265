//! Which streams this process works on: those whose specs lie in the partitions of `streams` that
//! its group has given it.

use std::{collections::BTreeMap, sync::Arc};

use reelay_bus::{GroupConsumer, GroupEvent, Record};
use reelay_model::{Micros, Offset, StreamSpec, StreamUid};
use reelay_timeline::{SpecChange, Specs};
use reelay_wire::{Topic, partition_for};

use crate::{
    app::Context,
    partition::{Made, Partition},
};

/// The streams of this process.
pub struct Streams {
    context: Context,
    specs: Specs,
    /// When each uid was made, by the log's clock.
    made: BTreeMap<StreamUid, Micros>,
    /// Partitions that were read to their end, and are worked on.
    partitions: BTreeMap<i32, Partition>,
    /// What was committed last.
    committed: BTreeMap<i32, Offset>,
}

impl Streams {
    /// None yet.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            specs: Specs::new(),
            made: BTreeMap::new(),
            partitions: BTreeMap::new(),
            committed: BTreeMap::new(),
        }
    }

    /// Does what a group event asks for. When this returns after [`GroupEvent::Revoked`], nothing
    /// more is written to those partitions.
    pub async fn handle(&mut self, event: GroupEvent, consumer: &GroupConsumer) {
        match event {
            GroupEvent::Assigned(partitions) => {
                for partition in partitions {
                    self.specs.forget_partition(partition);
                }
            }
            GroupEvent::Revoked(partitions) => {
                self.give_up(&partitions, true).await;
                self.commit(consumer);
                self.forget(&partitions);
            }
            GroupEvent::Lost(partitions) => {
                tracing::warn!(?partitions, "partitions lost");
                self.give_up(&partitions, false).await;
                self.forget(&partitions);
            }
            GroupEvent::Record(record) => self.record(&record),
            GroupEvent::End { partition, offset } => {
                if !self.partitions.contains_key(&partition) {
                    self.begin(partition);
                }
                if let Err(error) = consumer.commit(partition, offset) {
                    tracing::debug!(partition, %error, "offset was not committed");
                }
            }
            GroupEvent::Trouble { partition, reason } => {
                tracing::warn!(?partition, reason, "streams cannot be read for now");
            }
        }
    }

    /// Commits how far everything in `index` is done.
    pub fn commit(&mut self, consumer: &GroupConsumer) {
        for (number, partition) in &self.partitions {
            let Some(settled) = partition.settled() else {
                continue;
            };
            if self.committed.insert(*number, settled) == Some(settled) {
                continue;
            }
            if let Err(error) = consumer.commit_in(&Topic::Index, *number, settled) {
                tracing::debug!(partition = number, %error, "offset was not committed");
            }
        }
    }

    /// Stops all work, in good order.
    pub async fn stop(&mut self, consumer: &GroupConsumer) {
        let partitions: Vec<i32> = self.partitions.keys().copied().collect();
        self.give_up(&partitions, true).await;
        self.commit(consumer);
        self.forget(&partitions);
    }

    async fn give_up(&mut self, partitions: &[i32], in_order: bool) {
        let stopping = self
            .partitions
            .iter_mut()
            .filter(|(number, _)| partitions.contains(number))
            .map(|(_, partition)| partition.stop(in_order));
        futures::future::join_all(stopping).await;
    }

    fn forget(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.partitions.remove(partition);
            self.committed.remove(partition);
            self.specs.forget_partition(*partition);
        }
    }

    /// A partition has been read to its end: its streams are worked on from now on.
    fn begin(&mut self, partition: i32) {
        let specs = self.specs.iter();
        let specs: Vec<Made> = specs
            .filter(|in_force| in_force.partition == partition)
            .filter_map(|in_force| self.made(partition, in_force.spec.clone()))
            .collect();
        tracing::info!(partition, streams = specs.len(), "partition read");
        let working = Partition::start(self.context.clone(), partition, specs);
        self.partitions.insert(partition, working);
    }

    fn made(&self, partition: i32, spec: StreamSpec) -> Option<Made> {
        let place =
            (spec.partition).unwrap_or_else(|| partition_for(&spec.id, self.context.partitions));
        if place != partition {
            tracing::error!(stream = %spec.id, partition, expected = place, topic = %Topic::Streams,
                "spec lies in another partition than its stream and was passed over");
            return None;
        }
        let at = self.made.get(&spec.uid).copied().unwrap_or_default();
        Some(Made {
            spec: Arc::new(spec),
            at,
        })
    }

    fn record(&mut self, record: &Record) {
        let partition = record.partition;
        let read = self.specs.read(
            partition,
            record.offset,
            record.key.as_deref(),
            &record.value,
        );
        let change = match read {
            Ok(change) => change,
            Err(error) => {
                // Ingest says so, too, and louder.
                tracing::debug!(topic = %record.topic, partition, offset = record.offset, %error,
                    "spec record was passed over");
                return;
            }
        };
        if let SpecChange::Added(spec) = &change {
            self.made.insert(spec.uid, record.timestamp);
        }
        let Some(working) = self.partitions.get(&partition) else {
            return;
        };
        match change {
            SpecChange::Added(spec) => {
                if let Some(made) = self.made(partition, spec) {
                    working.add(made);
                }
            }
            SpecChange::Edited { after, .. } => working.edit(Arc::new(*after)),
            // The stream's end in `source` says when its last segment is made.
            SpecChange::Removed(_) => {}
        }
    }
}
