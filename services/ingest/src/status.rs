//! Says in `status` how a stream fares: at once when its phase or problem changes, and every few
//! seconds besides.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use reelay_bus::{Headers, Outgoing};
use reelay_media::TrackInfo;
use reelay_model::{
    DurableMark, HighWater, Micros, Phase, Problem, StreamId, StreamStatus, StreamUid, TrackStatus,
};
use reelay_wire::{Epoch, Topic, Track};
use tokio::time::Instant;

use crate::app::Context;

/// How this service calls itself in statuses.
pub const COMPONENT: &str = "ingest";

/// At least this often a status is written.
pub const REPEAT: Duration = Duration::from_secs(5);

/// Changes come no faster than this.
const FASTEST: Duration = Duration::from_millis(200);

/// What is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A stable code.
    pub code: String,
    /// In words, with values.
    pub message: String,
    /// What happens next.
    pub next: String,
}

/// The status of one stream.
pub struct Reporter {
    context: Context,
    partition: i32,
    status: StreamStatus,
    written: Option<Instant>,
    changed: bool,
}

impl Reporter {
    /// A stream that this process has just come to own.
    pub fn new(context: Context, partition: i32, id: StreamId, uid: StreamUid) -> Self {
        let now = Micros::now();
        let status = StreamStatus {
            id,
            uid,
            component: COMPONENT.to_owned(),
            instance: context.config.instance.clone(),
            at: now,
            phase: Phase::Starting,
            since: now,
            problem: None,
            tracks: Vec::new(),
            durable: Vec::new(),
            high_water: None,
            transcode: None,
        };
        Self {
            context,
            partition,
            status,
            written: None,
            changed: true,
        }
    }

    /// What the owner does with the stream.
    pub fn phase(&mut self, phase: Phase) {
        if self.status.phase != phase {
            self.status.phase = phase;
            self.status.since = Micros::now();
            self.changed = true;
        }
    }

    /// What is wrong; a problem that goes on keeps its beginning.
    pub fn problem(&mut self, trouble: Option<Trouble>) {
        let since = (self.status.problem.as_ref())
            .filter(|p| trouble.as_ref().is_some_and(|t| t.code == p.code))
            .map_or_else(Micros::now, |p| p.since);
        let problem = trouble.map(|t| Problem {
            code: t.code,
            message: t.message,
            since,
            next: t.next,
        });
        if self.status.problem != problem {
            self.status.problem = problem;
            self.changed = true;
        }
    }

    /// What happens next about the problem that there is.
    pub fn next(&mut self, next: String) {
        if let Some(problem) = &mut self.status.problem {
            problem.next = next;
            self.changed = true;
        }
    }

    /// The tracks as they are published.
    pub fn tracks(&mut self, tracks: &[TrackInfo]) {
        self.status.tracks = tracks
            .iter()
            .map(|info| TrackStatus {
                track: info.track.clone(),
                codecs: info.codecs.clone(),
                width: info.width,
                height: info.height,
                frame_rate: f64::from(info.frame_rate_milli) / 1000.0,
                sample_rate: info.sample_rate,
                channels: info.channels,
                bandwidth: info.bandwidth,
            })
            .collect();
        self.changed = true;
    }

    /// How far the tracks are durable, and the highest number that was used.
    pub fn durable(
        &mut self,
        marks: &BTreeMap<Track, DurableMark>,
        epoch: Epoch,
        discontinuity_sequence: u64,
    ) {
        let Some(segment) = marks.values().map(|mark| mark.segment).max() else {
            return;
        };
        self.status.durable = marks.values().cloned().collect();
        self.status.high_water = Some(HighWater {
            epoch,
            segment,
            discontinuity_sequence,
        });
    }

    /// Must be written again, whatever it says: somebody else's stands in its place.
    pub const fn overwritten(&mut self) {
        self.changed = true;
    }

    /// When the next status is due.
    pub fn due(&self) -> Instant {
        match self.written {
            None => Instant::now(),
            Some(written) if self.changed => written + FASTEST,
            Some(written) => written + REPEAT,
        }
    }

    /// Writes the status without waiting for it; a later one replaces a lost one.
    pub fn write(&mut self) {
        let record = self.record();
        match self.context.producer.enqueue(&record) {
            Ok(report) => {
                let id = self.status.id.clone();
                tokio::spawn(async move {
                    if let Err(error) = report.await {
                        tracing::warn!(stream = %id, %error, "status was not written");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(stream = %self.status.id, %error, "status was not written");
            }
        }
    }

    /// Writes the status and waits until it is in the log, `deadline` at most.
    pub async fn write_now(&mut self, deadline: Duration) {
        let record = self.record();
        let sent = tokio::time::timeout(deadline, self.context.producer.send(record)).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(stream = %self.status.id, %error, "status was not written");
        }
    }

    fn record(&mut self) -> Outgoing {
        self.written = Some(Instant::now());
        self.changed = false;
        self.status.at = Micros::now();
        Outgoing {
            topic: Topic::Status,
            partition: self.partition,
            key: format!("{}/{COMPONENT}", self.status.id).into(),
            headers: Headers::new(),
            // A status has no map with keys that are not strings, nor anything else JSON lacks.
            value: serde_json::to_vec(&self.status).map_or_else(|_| Bytes::new(), Bytes::from),
        }
    }
}
