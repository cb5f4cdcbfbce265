//! One reader of Kafka for all watched streams.
//!
//! Partitions are followed as long as some stream in them is watched; records of streams that
//! nobody watches are passed over by a look at their key.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reelay_bus::{Bus, BusError, Record, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_model::{Offset, StreamId};
use reelay_runtime::CancellationToken;
use reelay_wire::Topic;
use tokio::sync::{mpsc, oneshot};

/// Trouble is logged at most this often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What a watcher gets of a stream's partitions.
#[derive(Debug)]
pub enum Fed {
    /// The next record of the stream in one of the topics.
    Record(Record),
    /// Records were lost: retention or a truncated log has passed by the position.
    Lost,
}

type Sink = mpsc::UnboundedSender<Fed>;

enum Command {
    Follow {
        topic: Topic,
        partition: i32,
        key: Bytes,
        end: Offset,
        sink: Sink,
        from: oneshot::Sender<Offset>,
    },
    Leave {
        topic: Topic,
        partition: i32,
        key: Bytes,
        sink: Sink,
    },
}

/// Handle of the reader. Clones are cheap.
#[derive(Clone)]
pub struct Feed {
    bus: Bus,
    commands: mpsc::UnboundedSender<Command>,
}

/// A stream in one topic, fed as long as this lives.
pub struct Subscription {
    feed: Feed,
    topic: Topic,
    partition: i32,
    key: Bytes,
    sink: Sink,
    /// The offset that feeding begins at.
    pub from: Offset,
}

impl Feed {
    /// Starts the reader, which runs until `shutdown`.
    pub fn start(bus: &Bus, shutdown: CancellationToken) -> Result<Self, BusError> {
        let options = TailerOptions {
            name: "live".to_owned(),
            ..TailerOptions::default()
        };
        let tailer = Tailer::new(bus, options)?;
        let (commands, queue) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut reader = Reader {
                tailer,
                followed: HashMap::new(),
                told: None,
            };
            tokio::select! {
                () = reader.run(queue) => {}
                () = shutdown.cancelled() => {}
            }
        });
        Ok(Self {
            bus: bus.clone(),
            commands,
        })
    }

    /// Feeds the records of a stream in a partition of `topic` into `sink`, from about the end
    /// of the log on: exactly from [`Subscription::from`].
    pub async fn subscribe(
        &self,
        topic: &Topic,
        partition: i32,
        stream: &StreamId,
        sink: Sink,
    ) -> Result<Subscription, BusError> {
        let (_, end) = self.bus.watermarks(topic, partition).await?;
        let key = Bytes::copy_from_slice(stream.as_str().as_bytes());
        let (answer, from) = oneshot::channel();
        let follow = Command::Follow {
            topic: topic.clone(),
            partition,
            key: key.clone(),
            end,
            sink: sink.clone(),
            from: answer,
        };
        if self.commands.send(follow).is_err() {
            return Err(BusError::ShuttingDown);
        }
        let from = from.await.map_err(|_| BusError::ShuttingDown)?;
        Ok(Subscription {
            feed: self.clone(),
            topic: topic.clone(),
            partition,
            key,
            sink,
            from,
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A reader that is gone follows nothing any more.
        let _ = self.feed.commands.send(Command::Leave {
            topic: self.topic.clone(),
            partition: self.partition,
            key: self.key.clone(),
            sink: self.sink.clone(),
        });
    }
}

struct Reader {
    tailer: Tailer,
    /// Who wants what of a followed partition; streams by key.
    followed: HashMap<(Topic, i32), HashMap<Bytes, Vec<Sink>>>,
    /// When trouble was last logged.
    told: Option<Instant>,
}

impl Reader {
    async fn run(&mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                event = self.tailer.next() => self.pass_on(event),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Follow {
                topic,
                partition,
                key,
                end,
                sink,
                from,
            } => {
                let position = if self.followed.contains_key(&(topic.clone(), partition)) {
                    self.tailer.position(&topic, partition)
                } else {
                    let start = StartAt::Offset(end);
                    match self.tailer.follow(topic.clone(), partition, start) {
                        Ok(()) => Some(end),
                        Err(error) => {
                            tracing::error!(%topic, partition, %error, "partition cannot be followed");
                            None
                        }
                    }
                };
                // Without an answer the watcher tries again.
                let Some(position) = position else { return };
                let streams = self.followed.entry((topic, partition)).or_default();
                streams.entry(key).or_default().push(sink);
                let _ = from.send(position);
            }
            Command::Leave {
                topic,
                partition,
                key,
                sink,
            } => {
                let place = (topic, partition);
                let Some(streams) = self.followed.get_mut(&place) else {
                    return;
                };
                if let Some(sinks) = streams.get_mut(&key) {
                    sinks.retain(|other| !other.same_channel(&sink));
                    if sinks.is_empty() {
                        streams.remove(&key);
                    }
                }
                if streams.is_empty() {
                    self.followed.remove(&place);
                    if let Err(error) = self.tailer.unfollow(&place.0, partition) {
                        tracing::warn!(topic = %place.0, partition, %error, "partition cannot be let go");
                    }
                }
            }
        }
    }

    fn pass_on(&mut self, event: TailEvent) {
        match event {
            TailEvent::Record(record) => {
                metrics::counter!("reelay_gateway_live_read_bytes_total")
                    .increment(record.value.len() as u64);
                let place = (record.topic.clone(), record.partition);
                let sinks = self
                    .followed
                    .get(&place)
                    .zip(record.key.as_ref())
                    .and_then(|(streams, key)| streams.get(key));
                match sinks.map(Vec::as_slice) {
                    None | Some([]) => {}
                    Some([one]) => drop(one.send(Fed::Record(record))),
                    // An id that was deleted and made again is watched twice for a moment.
                    Some(many) => {
                        for sink in many {
                            let _ = sink.send(Fed::Record(record.clone()));
                        }
                    }
                }
            }
            TailEvent::End { .. } => {}
            TailEvent::Moved {
                topic,
                partition,
                from,
                to,
            } => {
                metrics::counter!("reelay_gateway_live_lost_positions_total").increment(1);
                tracing::warn!(%topic, partition, from, to, "live position is not in the log any more");
                let streams = self.followed.get(&(topic.clone(), partition));
                for sink in streams.into_iter().flat_map(HashMap::values).flatten() {
                    let _ = sink.send(Fed::Lost);
                }
            }
            TailEvent::Trouble { partition, reason } => {
                metrics::counter!("reelay_gateway_live_troubles_total").increment(1);
                // It comes again every second or so for as long as it lasts.
                if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
                    return;
                }
                self.told = Some(Instant::now());
                let (topic, partition) = partition.unzip();
                let topic = topic.map(|topic| topic.to_string());
                tracing::warn!(topic, partition, reason, "reading live media is held up");
            }
        }
    }
}
