//! Follows `index` and `status` of the partitions that this process works on, and tells the
//! owners of streams what concerns them: claims of others, and marks of others in `status`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use reelay_bus::{Bus, Record, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_model::{HighWater, StreamStatus, StreamUid};
use reelay_wire::{Epoch, Kind, Offset, Topic};
use tokio::sync::{mpsc, watch};

use crate::{records, status::COMPONENT};

/// Something that an owner has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A claim of this epoch lies in `source`, `audio` or `index`.
    Claimed(Epoch),
    /// `status` holds this mark now.
    Mark(HighWater),
}

type Subscribers = HashMap<StreamUid, mpsc::UnboundedSender<Notice>>;

/// Who is told what.
#[derive(Clone, Default)]
pub struct Notices {
    subscribers: Arc<Mutex<Subscribers>>,
}

impl Notices {
    /// Notices about `uid`, from now on; the last subscriber of a uid gets them.
    pub fn subscribe(&self, uid: StreamUid) -> mpsc::UnboundedReceiver<Notice> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().insert(uid, sender);
        receiver
    }

    /// A claim of `epoch` was read.
    pub fn claimed(&self, uid: StreamUid, epoch: Epoch) {
        self.tell(uid, Notice::Claimed(epoch));
    }

    fn tell(&self, uid: StreamUid, notice: Notice) {
        let mut subscribers = self.lock();
        if let Some(subscriber) = subscribers.get(&uid)
            && subscriber.send(notice).is_err()
        {
            subscribers.remove(&uid);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Subscribers> {
        lock(&self.subscribers)
    }
}

enum Command {
    Follow(i32, BTreeMap<Topic, StartAt>),
    Unfollow(i32),
}

/// Per partition, where the reading of `index` goes on.
type Positions = Arc<Mutex<BTreeMap<i32, watch::Sender<Offset>>>>;

/// The follower of this process; clones are the same.
#[derive(Clone)]
pub struct Follower {
    commands: mpsc::UnboundedSender<Command>,
    positions: Positions,
    bus: Bus,
}

impl Follower {
    /// Starts with no partition. The task ends with the last clone.
    ///
    /// # Errors
    /// If the Kafka client cannot be made.
    pub fn start(bus: Bus, notices: Notices) -> reelay_bus::Result<Self> {
        let options = TailerOptions {
            name: "ingest-follower".to_owned(),
            ..TailerOptions::default()
        };
        let tailer = Tailer::new(&bus, options)?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let positions = Positions::default();
        tokio::spawn(follow(tailer, receiver, notices, Arc::clone(&positions)));
        Ok(Self {
            commands,
            positions,
            bus,
        })
    }

    /// Follows `partition` from its end as of now.
    ///
    /// # Errors
    /// If Kafka does not say where the end is.
    pub async fn follow(&self, partition: i32) -> reelay_bus::Result<()> {
        let mut starts = BTreeMap::new();
        for topic in [Topic::Index, Topic::Status] {
            let (_, end) = self.bus.watermarks(&topic, partition).await?;
            if topic == Topic::Index {
                lock(&self.positions).insert(partition, watch::channel(end).0);
            }
            starts.insert(topic, StartAt::Offset(end));
        }
        // The task lives as long as this clone.
        let _ = self.commands.send(Command::Follow(partition, starts));
        Ok(())
    }

    /// Stops following `partition`.
    pub fn unfollow(&self, partition: i32) {
        lock(&self.positions).remove(&partition);
        let _ = self.commands.send(Command::Unfollow(partition));
    }

    /// Waits until `index` has been followed beyond `offset`: claims before it have been told.
    pub async fn passed(&self, partition: i32, offset: Offset) {
        let position = lock(&self.positions)
            .get(&partition)
            .map(watch::Sender::subscribe);
        if let Some(mut position) = position {
            // An error means that the partition is not followed any more: nobody cares.
            let _ = position.wait_for(|next| *next > offset).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(
    mut tailer: Tailer,
    mut commands: mpsc::UnboundedReceiver<Command>,
    notices: Notices,
    positions: Positions,
) {
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Follow(partition, starts)) => {
                    for (topic, start) in starts {
                        if let Err(error) = tailer.follow(topic.clone(), partition, start) {
                            tracing::error!(%topic, partition, %error, "topic cannot be followed");
                        }
                    }
                }
                Some(Command::Unfollow(partition)) => {
                    for topic in [Topic::Index, Topic::Status] {
                        if let Err(error) = tailer.unfollow(&topic, partition) {
                            tracing::warn!(%topic, partition, %error, "topic is still followed");
                        }
                    }
                }
            },
            event = tailer.next() => match event {
                TailEvent::Record(record) => {
                    read(&record, &notices);
                    if record.topic == Topic::Index
                        && let Some(position) = lock(&positions).get(&record.partition)
                    {
                        position.send_replace(record.offset + 1);
                    }
                }
                TailEvent::Trouble { partition, reason } => {
                    tracing::warn!(?partition, reason, "topics cannot be followed for now");
                }
                TailEvent::End { .. } | TailEvent::Moved { .. } => {}
            },
        }
    }
}

fn read(record: &Record, notices: &Notices) {
    match record.topic {
        Topic::Index => {
            if let Ok(header) = records::header(record)
                && matches!(header.kind, Kind::Claim { .. })
                && let Some(epoch) = header.epoch
            {
                notices.claimed(header.uid, epoch);
            }
        }
        Topic::Status => {
            if let Ok(status) = serde_json::from_slice::<StreamStatus>(&record.value)
                && status.component == COMPONENT
                && let Some(mark) = status.high_water
            {
                notices.tell(status.uid, Notice::Mark(mark));
            }
        }
        _ => {}
    }
}
