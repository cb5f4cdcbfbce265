//! Appends one stream's media without ever making its source wait.
//!
//! Records stand in a line in memory; the head of the line, about two segments, is in the hands
//! of librdkafka, which never gives a record up by time. When the line gets too long, whole
//! segments of which nothing was handed over are dropped, and their gap records take their place.

mod spool;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use reelay_model::{Micros, Offset, SegmentNumber, Track};
use tokio::sync::mpsc;

use crate::{
    Bus,
    client::{Client, NotTaken, Outcome, Waiter},
    error::{ProduceError, Result},
    record::Outgoing,
};

use spool::{Gap, Next, Notice, Piece, Spool};
pub use spool::{SpoolDepth, SpoolLimits};

/// A media record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRecord {
    /// The segment that it is a part of.
    pub segment: (Track, SegmentNumber),
    /// Media time that it covers.
    pub media_duration: Micros,
    /// Whether it ends its segment.
    pub last_of_segment: bool,
    /// The record.
    pub record: Outgoing,
    /// What its owner knows it by; comes back with its delivery report.
    pub token: u64,
}

/// A segment that was dropped whole, for the gap record that takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedSegment {
    /// Its track.
    pub track: Track,
    /// Its number.
    pub number: SegmentNumber,
    /// Media time of all its records.
    pub duration: Micros,
    /// Bytes of all its records.
    pub bytes: usize,
    /// Tokens of all its records, in their order.
    pub tokens: Vec<u64>,
    /// Its first record, whose header says when it was.
    pub first: Outgoing,
}

/// Makes the gap record of a dropped segment.
pub type GapBuilder = Box<dyn FnMut(&DroppedSegment) -> Outgoing + Send>;

/// What became of the records.
#[derive(Debug, Clone)]
pub enum MediaEvent {
    /// A record is in the log on all in-sync replicas.
    Delivered {
        /// Its token.
        token: u64,
        /// Where it lies.
        offset: Offset,
    },
    /// A segment was dropped; its gap record stands in line.
    Dropped {
        /// Its track.
        track: Track,
        /// Its number.
        number: SegmentNumber,
        /// Media time of all its records.
        duration: Micros,
        /// Tokens of all its records: none of them is delivered.
        tokens: Vec<u64>,
    },
    /// The gap record of a dropped segment is in the log.
    GapDelivered {
        /// The segment's track.
        track: Track,
        /// Its number.
        number: SegmentNumber,
        /// Media time of what was dropped.
        duration: Micros,
        /// Where the gap record lies.
        offset: Offset,
    },
    /// A record could not be appended. Nothing more is handed over: the owner needs a new producer
    /// and a new claim.
    Fatal(ProduceError),
}

/// What a record in the client's hands is.
enum Held {
    Piece(u64, SegmentNumber),
    Control(u64),
    Gap(Track, SegmentNumber, Micros),
}

/// The line of one stream and epoch; all of a process share one librdkafka client.
///
/// Its owner has to call [`next`](Self::next) all the time: with the delivery reports that it
/// takes, the line moves on.
pub struct MediaProducer {
    client: Arc<Client>,
    spool: Spool<Outgoing>,
    gap: GapBuilder,
    held: HashMap<u64, Held>,
    next_id: u64,
    reports: mpsc::UnboundedReceiver<(u64, Outcome)>,
    report_to: mpsc::UnboundedSender<(u64, Outcome)>,
    events: VecDeque<MediaEvent>,
    stopped: bool,
}

/// When the client's own queue is full and no report of ours is due, this is how often it is tried.
const FULL_RETRY: Duration = Duration::from_millis(20);

impl MediaProducer {
    /// A new line, empty. `gap` makes the gap records of segments that had to be dropped.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(bus: &Bus, limits: SpoolLimits, gap: GapBuilder) -> Result<Self> {
        let (report_to, reports) = mpsc::unbounded_channel();
        Ok(Self {
            client: bus.media_clients().get()?,
            spool: Spool::new(limits),
            gap,
            held: HashMap::new(),
            next_id: 0,
            reports,
            report_to,
            events: VecDeque::new(),
            stopped: false,
        })
    }

    /// Takes a record into the line, and hands over what may be. Never blocks.
    pub fn push(&mut self, media: MediaRecord) {
        if self.stopped {
            return;
        }
        let (track, number) = media.segment;
        self.spool.push(Piece {
            track,
            number,
            duration: media.media_duration,
            last: media.last_of_segment,
            bytes: media.record.len(),
            token: media.token,
            record: media.record,
        });
        self.tell_drops();
        self.hand_over();
    }

    /// Takes a record into the line that is never dropped and does not count as media: a repeated
    /// opening, a close, an end.
    pub fn push_control(&mut self, record: Outgoing, token: u64) {
        if self.stopped {
            return;
        }
        self.spool.push_control(token, record.len(), record);
        self.hand_over();
    }

    /// What became of records; waits until there is something to tell. Cancel safe.
    pub async fn next(&mut self) -> MediaEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.wait_for_report().await;
        }
    }

    /// How much waits, and how much is unacknowledged.
    pub fn depth(&self) -> SpoolDepth {
        self.spool.depth()
    }

    /// Forgets all that waits in the line, as a fenced owner must; returns how many records that
    /// were. What the client holds already may still be appended: for readers it is void, since it
    /// comes after the new owner's claim. Records pushed after this are ignored.
    pub fn purge(&mut self) -> usize {
        self.stopped = true;
        self.spool.purge()
    }

    /// Waits until everything is acknowledged, until `deadline` at most. Returns whether it was;
    /// what happened meanwhile comes from [`next`](Self::next).
    pub async fn flush(&mut self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        while !self.stopped && !self.spool.is_idle() {
            let left = end.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, self.wait_for_report())
                .await
                .is_err()
            {
                return false;
            }
        }
        self.spool.is_idle()
    }

    async fn wait_for_report(&mut self) {
        let waits_for_room = self.held.is_empty() && !self.stopped && !self.spool.is_idle();
        let report = if waits_for_room {
            // Others fill the client: no report of ours will wake us.
            tokio::time::timeout(FULL_RETRY, self.reports.recv())
                .await
                .ok()
                .flatten()
        } else {
            self.reports.recv().await
        };
        if let Some((id, outcome)) = report {
            self.reported(id, outcome);
        }
        self.hand_over();
    }

    fn reported(&mut self, id: u64, outcome: Outcome) {
        let Some(held) = self.held.remove(&id) else {
            return;
        };
        self.spool.acknowledged(match &held {
            Held::Piece(_, number) => Some(*number),
            Held::Control(_) | Held::Gap(..) => None,
        });
        match (outcome, held) {
            (Ok(offset), Held::Piece(token, _) | Held::Control(token)) => {
                self.events
                    .push_back(MediaEvent::Delivered { token, offset });
            }
            (Ok(offset), Held::Gap(track, number, duration)) => {
                self.events.push_back(MediaEvent::GapDelivered {
                    track,
                    number,
                    duration,
                    offset,
                });
            }
            (Err(error), _) => self.fail(error),
        }
    }

    fn hand_over(&mut self) {
        while !self.stopped
            && let Some(next) = self.spool.next()
        {
            let id = self.next_id;
            let waiter = Waiter::Line {
                reports: self.report_to.clone(),
                id,
            };
            let (held, taken) = match &next {
                Next::Piece(piece) => (
                    Held::Piece(piece.token, piece.number),
                    self.client.hand_over(&piece.record, waiter),
                ),
                Next::Control { token, record, .. } => {
                    (Held::Control(*token), self.client.hand_over(record, waiter))
                }
                Next::Gap(gap) => {
                    let record = (self.gap)(&dropped(gap));
                    (
                        Held::Gap(gap.track.clone(), gap.number, gap.duration),
                        self.client.hand_over(&record, waiter),
                    )
                }
            };
            match taken {
                Ok(()) => {
                    self.held.insert(id, held);
                    self.next_id += 1;
                }
                Err(NotTaken::Full) => {
                    self.spool.put_back(next);
                    return;
                }
                Err(NotTaken::Failed(error)) => {
                    self.spool.put_back(next);
                    self.fail(error);
                }
            }
        }
    }

    fn fail(&mut self, error: ProduceError) {
        if !self.stopped {
            self.stopped = true;
            metrics::counter!("reelay_bus_failed_media_producers_total").increment(1);
            self.events.push_back(MediaEvent::Fatal(error));
        }
    }

    fn tell_drops(&mut self) {
        while let Some(notice) = self.spool.notice() {
            let Notice {
                track,
                number,
                duration,
                tokens,
            } = notice;
            metrics::counter!("reelay_bus_dropped_segments_total").increment(1);
            tracing::warn!(
                %track,
                segment = number.0,
                duration_us = duration.0,
                "segment dropped, since the log does not take it"
            );
            self.events.push_back(MediaEvent::Dropped {
                track,
                number,
                duration,
                tokens,
            });
        }
    }
}

fn dropped(gap: &Gap<Outgoing>) -> DroppedSegment {
    DroppedSegment {
        track: gap.track.clone(),
        number: gap.number,
        duration: gap.duration,
        bytes: gap.bytes,
        tokens: gap.tokens.clone(),
        first: gap.first.clone(),
    }
}
