//! Feeds the judges from a real Kafka and real gateways.

mod follow;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reelay_bus::{Bus, BusError, Record, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_wire::{CHUNK_HEADER, Offset, StreamId, Topic};
use tokio::task::JoinSet;
use url::Url;

use super::finding::Report;
use super::log::LogJudge;
use super::record::LogRecord;
use super::served::ServedJudge;

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Kafka cannot be read.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Nothing happened in the log for as long as this.
    #[error("the log was not read to its end within {0:?}: {1}")]
    LogStuck(Duration, String),
    /// HTTP cannot be set up.
    #[error("cannot set up HTTP: {0}")]
    Http(#[from] reqwest::Error),
}

/// What is watched.
#[derive(Clone)]
pub struct Watch {
    /// The Kafka of the deployment.
    pub bus: Bus,
    /// Gateways, by their addresses.
    pub gateways: Vec<Url>,
    /// Only these streams are followed through the gateways; all if empty. The log is
    /// always judged as a whole.
    pub streams: BTreeSet<StreamId>,
    /// Gateways that may go away while they are watched.
    pub mortal: BTreeSet<Url>,
}

/// Both judges; the log's is asked when the other one compares.
#[derive(Debug, Default)]
struct Judges {
    log: LogJudge,
    served: ServedJudge,
}

type Shared = Arc<Mutex<Judges>>;

/// How long the reading of the log may take in the end.
const PATIENCE: Duration = Duration::from_secs(60);

impl Watch {
    /// Reads the log from its start and follows every playlist of every gateway until `stop`
    /// is ready; then reads the log to its end and judges.
    ///
    /// # Errors
    /// If Kafka cannot be read. What a gateway does wrong is a finding.
    pub async fn until(&self, stop: impl Future<Output = ()>) -> Result<Report, WatchError> {
        let shared = Shared::default();
        let mut log = LogReader::start(&self.bus).await?;
        let mut followers = JoinSet::new();
        for gateway in &self.gateways {
            let client = follow::client()?;
            let (gateway, streams) = (gateway.clone(), self.streams.clone());
            let (shared, mortal) = (Arc::clone(&shared), self.mortal.contains(&gateway));
            followers.spawn(follow::gateway(client, gateway, streams, mortal, shared));
        }
        let mut stop = std::pin::pin!(stop);
        let mut settle = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = &mut stop => break,
                record = log.next() => with(&shared, |judges| judges.log.read(&record)),
                _ = settle.tick() => with(&shared, |judges| {
                    let Judges { log, served } = judges;
                    log.settle();
                    served.settle(log);
                }),
            }
        }
        followers.shutdown().await;
        let ends = log_ends(&self.bus).await?;
        log.to(&ends, |record| {
            with(&shared, |judges| judges.log.read(&record))
        })
        .await?;
        let judges = with(&shared, std::mem::take);
        let patient: Vec<_> = self
            .gateways
            .iter()
            .filter(|g| !self.mortal.contains(g))
            .collect();
        let patient: Vec<_> = patient.into_iter().map(follow::name).collect();
        let served = judges.served.finish(&judges.log, &patient);
        let mut report = judges.log.finish();
        report.merge(served);
        Ok(report)
    }
}

/// Reads the log as it is now, from start to end, and judges it.
///
/// # Errors
/// If Kafka cannot be read.
pub async fn check_log(bus: &Bus) -> Result<Report, WatchError> {
    Ok(read_log(bus).await?.finish())
}

/// Reads the log as it is now, from start to end, for a closer look.
///
/// # Errors
/// If Kafka cannot be read.
pub async fn read_log(bus: &Bus) -> Result<LogJudge, WatchError> {
    let mut judge = LogJudge::new();
    let mut log = LogReader::start(bus).await?;
    let ends = log_ends(bus).await?;
    log.to(&ends, |record| judge.read(&record)).await?;
    Ok(judge)
}

fn with<T>(shared: &Shared, act: impl FnOnce(&mut Judges) -> T) -> T {
    // A panic in a judge ends the check; until then the other's view is as good as it was.
    act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

type Ends = Vec<(Topic, i32, Offset)>;

async fn log_ends(bus: &Bus) -> Result<Ends, BusError> {
    let mut ends = Vec::new();
    // Source last, rungs before it: what the others name, it holds by then.
    let rungs = bus.renditions().await?.into_iter().map(Topic::Rendition);
    let topics = [Topic::Index].into_iter().chain(rungs);
    for topic in topics.chain([Topic::Audio, Topic::Source]) {
        for partition in 0..bus.partitions(topic.clone()).await? {
            let (low, high) = bus.watermarks(&topic, partition).await?;
            if high > low {
                ends.push((topic.clone(), partition, high));
            }
        }
    }
    Ok(ends)
}

/// Reads all partitions of `index` and of the media topics from their start.
struct LogReader {
    tailer: Tailer,
    trouble: Option<String>,
}

impl LogReader {
    async fn start(bus: &Bus) -> Result<Self, BusError> {
        let options = TailerOptions {
            name: "linearity".into(),
            ..TailerOptions::default()
        };
        let mut tailer = Tailer::new(bus, options)?;
        // The index first: it is small, and what it says is compared only once media is read.
        let rungs = bus.renditions().await?.into_iter().map(Topic::Rendition);
        let topics = [Topic::Index, Topic::Source, Topic::Audio];
        for topic in topics.into_iter().chain(rungs) {
            for partition in 0..bus.partitions(topic.clone()).await? {
                tailer.follow(topic.clone(), partition, StartAt::Beginning)?;
            }
        }
        Ok(Self {
            tailer,
            trouble: None,
        })
    }

    async fn next(&mut self) -> LogRecord {
        loop {
            match self.tailer.next().await {
                TailEvent::Record(record) => return read(record),
                TailEvent::Trouble { reason, .. } => self.trouble = Some(reason),
                TailEvent::End { .. } | TailEvent::Moved { .. } => {}
            }
        }
    }

    /// Reads until every partition has been read up to its end.
    async fn to(&mut self, ends: &Ends, mut take: impl FnMut(LogRecord)) -> Result<(), WatchError> {
        let reached = |tailer: &Tailer| {
            ends.iter().all(|(topic, partition, end)| {
                tailer
                    .position(topic, *partition)
                    .is_some_and(|at| at >= *end)
            })
        };
        while !reached(&self.tailer) {
            match tokio::time::timeout(PATIENCE, self.next()).await {
                Ok(record) => take(record),
                Err(_) => {
                    let why = self
                        .trouble
                        .take()
                        .unwrap_or_else(|| "no record came".into());
                    return Err(WatchError::LogStuck(PATIENCE, why));
                }
            }
        }
        Ok(())
    }
}

fn read(record: Record) -> LogRecord {
    let chunk = record.headers.get(CHUNK_HEADER).cloned();
    let Record {
        topic,
        partition,
        offset,
        key,
        value,
        ..
    } = record;
    LogRecord::new(topic, partition, offset, key, chunk.as_deref(), value)
}
