//! Says in `status` how the ladder of a stream fares: at once when its phase or problem changes,
//! and every few seconds besides.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use reelay_bus::{Headers, Outgoing};
use reelay_media::{RungChunk, SegmentReport};
use reelay_model::{
    Micros, Phase, Problem, RungId, RungProfile, RungWork, StreamId, StreamStatus, StreamUid,
    TrackStatus, TranscodeStatus,
};
use reelay_wire::{Topic, Track};
use tokio::time::Instant;

use crate::app::Context;

/// How this service calls itself in statuses.
pub const COMPONENT: &str = "transcode";

/// Problem: the machine does not keep up.
const OVERLOADED: &str = "overloaded";

/// Problem: workers failed at a segment too often.
const GIVEN_UP: &str = "segment-given-up";

/// At least this often a status is written.
const REPEAT: Duration = Duration::from_secs(5);

/// Changes come no faster than this.
const FASTEST: Duration = Duration::from_millis(500);

/// Segments over which figures are averaged.
const AVERAGED: usize = 8;

/// Segments for which a segment that was given up stays in the status.
const GIVEN_UP_FOR: u32 = 30;

/// What one segment took.
struct Took {
    report: SegmentReport,
    wall: Duration,
}

/// The status of one stream.
pub struct Reporter {
    context: Context,
    partition: i32,
    status: StreamStatus,
    took: VecDeque<Took>,
    given_up: Option<(String, u32)>,
    written: Option<Instant>,
    changed: bool,
}

/// How much there is to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Media time that waits.
    pub behind: Micros,
    /// Finished segments that lack a rung, gaps that may be made up for included.
    pub segments: usize,
    /// Whether the machine does not keep up.
    pub overloaded: bool,
    /// How many of the upper rungs are left out.
    pub left_out: usize,
    /// The rungs, the highest first.
    pub ladder: Vec<RungId>,
}

impl Reporter {
    /// A stream that this process has just come to work on.
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
            took: VecDeque::new(),
            given_up: None,
            written: None,
            changed: true,
        }
    }

    /// What is done with the stream.
    pub fn phase(&mut self, phase: Phase) {
        if self.status.phase != phase {
            self.status.phase = phase;
            self.status.since = Micros::now();
            self.changed = true;
        }
    }

    /// A rung's segment begins: how the rung is published.
    pub fn track(&mut self, profile: &RungProfile, chunk: &RungChunk) {
        let track = TrackStatus {
            track: Track::Rung(profile.id.clone()),
            codecs: chunk.codecs.clone(),
            width: chunk.width,
            height: chunk.height,
            frame_rate: f64::from(chunk.frame_rate_milli) / 1000.0,
            sample_rate: 0,
            channels: 0,
            bandwidth: profile.cap,
        };
        let tracks = &mut self.status.tracks;
        match tracks.iter_mut().find(|known| known.track == track.track) {
            Some(known) if *known == track => return,
            Some(known) => *known = track,
            None => {
                tracks.push(track);
                tracks.sort_by_key(|track| std::cmp::Reverse(track.height));
            }
        }
        self.changed = true;
    }

    /// A segment was made, in so much time.
    pub fn made(&mut self, report: SegmentReport, wall: Duration) {
        self.took.push_back(Took { report, wall });
        if self.took.len() > AVERAGED {
            self.took.pop_front();
        }
        if let Some((_, left)) = &mut self.given_up {
            *left -= 1;
            if *left == 0 {
                self.given_up = None;
                self.changed = true;
            }
        }
    }

    /// A segment was given up.
    pub fn given_up(&mut self, message: String) {
        self.given_up = Some((message, GIVEN_UP_FOR));
        self.changed = true;
    }

    /// How much there is to do now.
    pub fn load(&mut self, load: &Load) {
        let wall: f64 = self.took.iter().map(|took| took.wall.as_secs_f64()).sum();
        let frames: u32 = self.took.iter().map(|took| took.report.source_frames).sum();
        let work = load.ladder.iter().enumerate().map(|(i, rung)| RungWork {
            rung: rung.clone(),
            cpu_per_media_second: self.cpu_of(rung),
            dropped: i < load.left_out,
        });
        self.status.transcode = Some(TranscodeStatus {
            lag_seconds: load.behind.to_seconds(),
            frames_per_second: if wall > 0.0 {
                f64::from(frames) / wall
            } else {
                0.0
            },
            behind_segments: load.segments as u64,
            rungs: work.collect(),
        });
        let problem = if load.overloaded {
            let left_out: Vec<&str> = (load.ladder[..load.left_out.min(load.ladder.len())].iter())
                .map(RungId::as_str)
                .collect();
            let message = match left_out.as_slice() {
                [] => format!(
                    "{:.1} s of media wait to be transcoded",
                    load.behind.to_seconds()
                ),
                rungs => format!(
                    "{:.1} s of media wait to be transcoded; left out: {}",
                    load.behind.to_seconds(),
                    rungs.join(", ")
                ),
            };
            Some((
                OVERLOADED,
                message,
                "gaps are made up for when there is time".to_owned(),
            ))
        } else {
            self.given_up.as_ref().map(|(message, _)| {
                let next = "the segment is a gap in all rungs; the source has it".to_owned();
                (GIVEN_UP, message.clone(), next)
            })
        };
        let known = self.status.problem.as_ref();
        if problem.as_ref().map(|p| p.0) != known.map(|p| p.code.as_str()) {
            self.changed = true;
        }
        let since = known
            .filter(|known| problem.as_ref().is_some_and(|p| p.0 == known.code))
            .map_or_else(Micros::now, |known| known.since);
        self.status.problem = problem.map(|(code, message, next)| Problem {
            code: code.to_owned(),
            message,
            since,
            next,
        });
    }

    /// CPU seconds of a rung per second of media.
    fn cpu_of(&self, rung: &RungId) -> f64 {
        let (mut cpu, mut media) = (0.0, 0.0);
        for Took { report, .. } in &self.took {
            if let Some(of_rung) = report.rungs.iter().find(|r| r.rung == *rung) {
                cpu += of_rung.cpu.to_seconds();
                media += report.duration.to_seconds(crate::source::RUNG_TIMESCALE);
            }
        }
        if media > 0.0 { cpu / media } else { 0.0 }
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
