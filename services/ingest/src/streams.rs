//! Which streams this process looks after: those whose specs lie in the partitions of `streams`
//! that its group has given it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use reelay_bus::{GroupConsumer, GroupEvent, Record};
use reelay_model::{Micros, StreamSpec, StreamUid};
use reelay_timeline::{SpecChange, Specs};
use reelay_wire::{Topic, partition_for};

use crate::{
    app::Context,
    claiming::{Wish, unended},
    supervisor::{Supervisor, Wanted},
};

/// Group of all ingests.
pub const GROUP: &str = "reelay.ingest";

/// Wait before Kafka is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// The streams of this process.
pub struct Streams {
    context: Context,
    specs: Specs,
    /// When each uid was made, by the log's clock.
    made: BTreeMap<StreamUid, Micros>,
    /// Partitions that have been read to their end since they were assigned.
    read: BTreeSet<i32>,
    supervisors: BTreeMap<StreamUid, (i32, Supervisor)>,
}

impl Streams {
    /// None yet.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            specs: Specs::new(),
            made: BTreeMap::new(),
            read: BTreeSet::new(),
            supervisors: BTreeMap::new(),
        }
    }

    /// Does what a group event asks for. When this returns after [`GroupEvent::Revoked`], the
    /// streams of those partitions have been handed over.
    pub async fn handle(&mut self, event: GroupEvent, consumer: &GroupConsumer) {
        match event {
            GroupEvent::Assigned(partitions) => {
                tracing::info!(?partitions, "partitions assigned");
                for partition in partitions {
                    self.specs.forget_partition(partition);
                    self.read.remove(&partition);
                }
            }
            GroupEvent::Revoked(partitions) => {
                tracing::info!(?partitions, "partitions revoked");
                self.give_up(&partitions, &Wanted::Released).await;
            }
            GroupEvent::Lost(partitions) => {
                tracing::warn!(?partitions, "partitions lost");
                self.give_up(&partitions, &Wanted::Lost).await;
            }
            GroupEvent::Record(record) => self.record(&record),
            GroupEvent::End { partition, offset } => {
                if self.read.insert(partition) {
                    self.begin(partition).await;
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

    /// Hands all streams over.
    pub async fn stop(&mut self) {
        let partitions: Vec<i32> = self.read.iter().copied().collect();
        self.give_up(&partitions, &Wanted::Released).await;
    }

    async fn give_up(&mut self, partitions: &[i32], wanted: &Wanted) {
        let (gone, kept) = std::mem::take(&mut self.supervisors)
            .into_iter()
            .partition(|(_, (partition, _))| partitions.contains(partition));
        self.supervisors = kept;
        let gone: BTreeMap<StreamUid, (i32, Supervisor)> = gone;
        for (_, supervisor) in gone.values() {
            supervisor.want(wanted.clone());
        }
        for (_, supervisor) in gone.into_values() {
            supervisor.stopped().await;
        }
        for partition in partitions {
            self.specs.forget_partition(*partition);
            self.read.remove(partition);
            self.context.follower.unfollow(*partition);
            self.context.foreign.forget(*partition);
        }
    }

    /// A partition has been read to its end: its streams are looked after from now on.
    async fn begin(&mut self, partition: i32) {
        // Without following `index` an owner would not learn that it was fenced.
        while let Err(error) = self.context.follower.follow(partition).await {
            tracing::warn!(partition, %error, "partition cannot be followed; tried again");
            if self.context.shutdown.is_cancelled() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
        let specs: Vec<StreamSpec> = (self.specs.iter())
            .filter(|in_force| in_force.partition == partition)
            .map(|in_force| in_force.spec.clone())
            .collect();
        tracing::info!(partition, streams = specs.len(), "partition read");
        for spec in specs {
            self.launch(partition, spec, Wanted::Spec);
        }
        let removed: BTreeMap<StreamUid, StreamSpec> = (self.specs.removed())
            .filter(|(p, _)| *p == partition)
            .map(|(_, spec)| (spec.uid, spec.clone()))
            .collect();
        if removed.is_empty() {
            return;
        }
        let uids: Vec<StreamUid> = removed.keys().copied().collect();
        match unended(&self.context, partition, &uids).await {
            Ok(unended) => {
                for uid in unended {
                    if let Some(spec) = removed.get(&uid) {
                        self.launch(partition, spec.clone(), |_| Wanted::Deleted);
                    }
                }
            }
            Err(error) => tracing::warn!(partition, %error, "statuses could not be read"),
        }
    }

    fn record(&mut self, record: &Record) {
        let partition = record.partition;
        let key = record.key.as_deref();
        let change = match self
            .specs
            .read(partition, record.offset, key, &record.value)
        {
            Ok(change) => change,
            Err(error) => {
                metrics::counter!("reelay_ingest_refused_specs_total").increment(1);
                tracing::error!(topic = %record.topic, partition, offset = record.offset, %error,
                    "spec record was passed over");
                return;
            }
        };
        if let SpecChange::Added(spec) = &change {
            self.made.insert(spec.uid, record.timestamp);
        }
        if !self.read.contains(&partition) {
            return;
        }
        match change {
            SpecChange::Added(spec) => self.launch(partition, spec, Wanted::Spec),
            SpecChange::Edited { after, .. } => {
                if let Some((_, supervisor)) = self.supervisors.get(&after.uid) {
                    supervisor.want(Wanted::Spec(Arc::new(*after)));
                }
            }
            SpecChange::Removed(spec) => {
                if let Some((_, supervisor)) = self.supervisors.get(&spec.uid) {
                    supervisor.want(Wanted::Deleted);
                }
            }
        }
        self.supervisors
            .retain(|_, (_, supervisor)| !supervisor.has_stopped());
    }

    fn launch(
        &mut self,
        partition: i32,
        spec: StreamSpec,
        wanted: impl FnOnce(Arc<StreamSpec>) -> Wanted,
    ) {
        let place =
            (spec.partition).unwrap_or_else(|| partition_for(&spec.id, self.context.partitions));
        if place != partition {
            tracing::error!(stream = %spec.id, partition, expected = place, topic = %Topic::Streams,
                "spec lies in another partition than its stream and was passed over");
            return;
        }
        let wish = Wish {
            stream: spec.id.clone(),
            uid: spec.uid,
            partition,
            made: self.made.get(&spec.uid).copied().unwrap_or(Micros(0)),
        };
        let spec = Arc::new(spec);
        let wanted = wanted(Arc::clone(&spec));
        let uid = spec.uid;
        let supervisor = Supervisor::start(self.context.clone(), wish, spec, wanted);
        self.supervisors.insert(uid, (partition, supervisor));
    }
}
