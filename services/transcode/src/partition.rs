//! Follows `index` and `source` in one partition, and hands each stream its records.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use reelay_bus::{Record, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_model::{Micros, Offset, StreamSpec, StreamUid};
use reelay_wire::{Header, Topic};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    app::Context,
    history::History,
    records,
    stream::{Event, Stream},
};

/// Wait before Kafka is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// How often it is asked how far each stream is.
const TICK: Duration = Duration::from_secs(1);

/// A stream to work on, and when it was made by the log's clock.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its spec.
    pub spec: Arc<StreamSpec>,
    /// When it was made.
    pub at: Micros,
}

enum Command {
    Add(Made),
    Edit(Arc<StreamSpec>),
    Stop { in_order: bool },
}

/// A partition that is worked on. Dropping it stops the work at once.
pub struct Partition {
    commands: mpsc::UnboundedSender<Command>,
    settled: watch::Receiver<Option<Offset>>,
    task: JoinHandle<()>,
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Partition {
    /// Works on `specs` of this partition from now on.
    pub fn start(context: Context, partition: i32, specs: Vec<Made>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (settled, settled_receiver) = watch::channel(None);
        let task = tokio::spawn(work(context, partition, specs, receiver, settled));
        Self {
            commands,
            settled: settled_receiver,
            task,
        }
    }

    /// Works on one more stream.
    pub fn add(&self, made: Made) {
        let _ = self.commands.send(Command::Add(made));
    }

    /// A stream has another spec.
    pub fn edit(&self, spec: Arc<StreamSpec>) {
        let _ = self.commands.send(Command::Edit(spec));
    }

    /// The offset in `index` before which everything is done, once that is known.
    pub fn settled(&self) -> Option<Offset> {
        *self.settled.borrow()
    }

    /// Stops all streams. What was handed to the log is waited for where it is `in_order`.
    pub async fn stop(&mut self, in_order: bool) {
        let _ = self.commands.send(Command::Stop { in_order });
        if let Err(error) = (&mut self.task).await
            && error.is_panic()
        {
            tracing::error!(%error, "work on a partition panicked");
        }
    }
}

/// A stream at work.
struct Working {
    events: mpsc::UnboundedSender<Event>,
    settled: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(
    context: Context,
    partition: i32,
    specs: Vec<Made>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    settled: watch::Sender<Option<Offset>>,
) {
    let (mut tailer, mut streams) = loop {
        let beginning = begin(&context, partition, &specs);
        match beginning.await {
            Ok(begun) => break begun,
            Err(error) => {
                tracing::warn!(partition, %error, "partition cannot be read; tried again");
            }
        }
        tokio::time::sleep(RETRY).await;
        // What else was said is heard below; a stop is not waited for.
        if context.shutdown.is_cancelled() {
            return;
        }
    };
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Add(made)) => {
                    let position = (
                        tailer.position(&Topic::Index, partition).unwrap_or(0),
                        tailer.position(&Topic::Source, partition).unwrap_or(0),
                    );
                    add(&context, partition, &made, position, &mut streams).await;
                }
                Some(Command::Edit(spec)) => {
                    if let Some(stream) = streams.get(&spec.uid) {
                        let _ = stream.events.send(Event::Spec(spec));
                    }
                }
                Some(Command::Stop { in_order }) => {
                    stop(streams, in_order).await;
                    return;
                }
            },
            event = tailer.next() => read(event, &streams),
            _ = tick.tick() => {
                let position = tailer.position(&Topic::Index, partition);
                if let Some(position) = position {
                    let known = streams.values().map(|s| s.settled.load(Ordering::Relaxed));
                    let all = known.min().unwrap_or(position).min(position);
                    settled.send_replace((all >= 0).then_some(all));
                    for stream in streams.values() {
                        let _ = stream.events.send(Event::Tick(position));
                    }
                }
                streams.retain(|_, stream| !stream.task.is_finished());
            }
        }
    }
}

async fn begin(
    context: &Context,
    partition: i32,
    specs: &[Made],
) -> reelay_bus::Result<(Tailer, BTreeMap<StreamUid, Working>)> {
    let history = History::read(context, partition).await?;
    let options = TailerOptions {
        name: format!("transcode-{partition}"),
        ..TailerOptions::default()
    };
    let mut tailer = Tailer::new(&context.bus, options)?;
    tailer.follow(Topic::Index, partition, StartAt::Offset(history.index))?;
    tailer.follow(Topic::Source, partition, StartAt::Offset(history.source))?;
    let mut of_stream: BTreeMap<StreamUid, Vec<(Record, Header)>> = BTreeMap::new();
    let (index, source) = (history.index, history.source);
    for (record, header) in history.records {
        of_stream
            .entry(header.uid)
            .or_default()
            .push((record, header));
    }
    let streams = specs.iter().map(|made| {
        let uid = made.spec.uid;
        let history = History {
            records: of_stream.remove(&uid).unwrap_or_default(),
            index,
            source,
        };
        (uid, launch(context, partition, made, history))
    });
    let streams = streams.collect();
    Ok((tailer, streams))
}

async fn add(
    context: &Context,
    partition: i32,
    made: &Made,
    position: (Offset, Offset),
    streams: &mut BTreeMap<StreamUid, Working>,
) {
    if streams.contains_key(&made.spec.uid) {
        return;
    }
    let history = loop {
        match History::since(&context.bus, partition, made.at, position).await {
            Ok(history) => break history,
            Err(error) if !context.shutdown.is_cancelled() => {
                tracing::warn!(stream = %made.spec.id, %error, "index cannot be read; tried again");
                tokio::time::sleep(RETRY).await;
            }
            Err(_) => return,
        }
    };
    let working = launch(context, partition, made, history);
    streams.insert(made.spec.uid, working);
}

fn launch(context: &Context, partition: i32, made: &Made, mut history: History) -> Working {
    let uid = made.spec.uid;
    history.records.retain(|(_, header)| header.uid == uid);
    let (events, receiver) = mpsc::unbounded_channel();
    let settled = Arc::new(AtomicI64::new(-1));
    let stream = Stream::new(
        context.clone(),
        partition,
        Arc::clone(&made.spec),
        receiver,
        Arc::clone(&settled),
    );
    Working {
        events,
        settled,
        task: tokio::spawn(stream.run(history)),
    }
}

async fn stop(mut streams: BTreeMap<StreamUid, Working>, in_order: bool) {
    for stream in streams.values() {
        let _ = stream.events.send(Event::Stop { in_order });
    }
    for stream in streams.values_mut() {
        if let Err(error) = (&mut stream.task).await
            && error.is_panic()
        {
            tracing::error!(%error, "work on a stream panicked");
        }
    }
}

fn read(event: TailEvent, streams: &BTreeMap<StreamUid, Working>) {
    match event {
        TailEvent::Record(record) => {
            let Ok(header) = records::header(&record) else {
                return;
            };
            let Some(stream) = streams.get(&header.uid) else {
                return;
            };
            let event = match record.topic {
                Topic::Index => Event::Index(record, header),
                _ => Event::Source(record, header),
            };
            let _ = stream.events.send(event);
        }
        TailEvent::Moved {
            topic, from, to, ..
        } => {
            tracing::error!(%topic, from, to, "records expired before they were read");
        }
        TailEvent::Trouble { partition, reason } => {
            tracing::warn!(?partition, reason, "topics cannot be followed for now");
        }
        TailEvent::End { .. } => {}
    }
}
