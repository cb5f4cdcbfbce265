//! Keeps [`Streams`] up to date from the log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reelay_bus::{Bus, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_model::Micros;
use reelay_runtime::{CancellationToken, Check};
use reelay_wire::Topic;

use super::{StreamChange, Streams};

/// How often phases are judged anew: an owner that falls silent writes no record that says so.
const JUDGE: Duration = Duration::from_secs(1);
/// How often it is said that reading is held up.
const COMPLAIN: Duration = Duration::from_secs(30);

/// Folds `streams` and `status` from their first records on, until `shutdown`.
///
/// `check` passes when all that was there at the start has been read, and stays passed: a
/// gateway that has lost Kafka for a while still serves what it has.
///
/// # Errors
/// The reader cannot be made.
pub async fn follow(
    streams: Streams,
    bus: Bus,
    status_partitions: i32,
    check: Check,
    shutdown: CancellationToken,
) -> Result<(), reelay_bus::BusError> {
    let options = TailerOptions {
        name: "streams".to_owned(),
        ..TailerOptions::default()
    };
    let mut tailer = Tailer::new(&bus, options)?;
    let mut unread = BTreeSet::new();
    for (topic, count) in [
        (Topic::Streams, streams.partitions()),
        (Topic::Status, status_partitions),
    ] {
        for partition in 0..count {
            tailer.follow(topic.clone(), partition, StartAt::Beginning)?;
            unread.insert((topic.clone(), partition));
        }
    }
    check.not_ready("reading streams and their statuses");
    let mut judging = tokio::time::interval(JUDGE);
    judging.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut complained: Option<Instant> = None;
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = judging.tick() => {
                let turned = streams.change(|state| state.turned(Micros::now()));
                turned.into_iter().for_each(|change| streams.announce(change));
                continue;
            }
            event = tailer.next() => event,
        };
        match event {
            TailEvent::Record(record) => {
                let change = match record.topic {
                    Topic::Streams => streams.change(|state| state.spec(&record)),
                    _ => streams.change(|state| state.status(&record)),
                };
                if record.topic == Topic::Streams {
                    streams.shared.read.send_modify(|count| *count += 1);
                }
                if let Some(change) = change {
                    streams.announce(change);
                }
            }
            TailEvent::End {
                topic, partition, ..
            } => {
                if unread.remove(&(topic, partition)) && unread.is_empty() {
                    tracing::info!(streams = streams.all().len(), "streams are known");
                    check.ready();
                }
            }
            TailEvent::Moved {
                topic,
                partition,
                from,
                to,
            } => {
                tracing::error!(%topic, partition, from, to, "records are gone from the log");
            }
            TailEvent::Trouble { reason, .. } => {
                metrics::counter!("reelay_gateway_streams_troubles_total").increment(1);
                // It comes about once a second and broker for as long as brokers are away.
                if complained.is_none_or(|at| at.elapsed() > COMPLAIN) {
                    tracing::warn!(reason, "reading streams is held up");
                    complained = Some(Instant::now());
                }
            }
        }
    }
}

impl Streams {
    fn announce(&self, change: StreamChange) {
        // Nobody may be listening.
        let _ = self.shared.changes.send(change);
    }
}
