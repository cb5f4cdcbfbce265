//! One segment at work: what its worker says becomes records.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use reelay_media::{RungChunk, SegmentJob, SegmentReport, TranscodeMessage};
use reelay_model::{LatencyMode, Micros, PartNumber, RungId, RungProfile, SegmentNumber};
use reelay_runtime::trace;
use reelay_wire::Fingerprint;

use crate::{pool::Busy, publish::Publisher, rung::Identity, source::SourceSegment};

/// A rung of the segment that media is made for.
#[derive(Debug, Clone)]
pub struct Making {
    /// How.
    pub profile: RungProfile,
    /// Identifies the encoding.
    pub fingerprint: Fingerprint,
    /// The first part that the log lacks.
    pub from: PartNumber,
}

/// What came of a message.
#[derive(Debug)]
pub enum Said {
    /// Nothing that matters to more than this segment.
    Nothing,
    /// A rung begins, or goes on after a hand-over.
    Track(RungProfile, Box<RungChunk>),
    /// The picture.
    Thumbnail(Bytes),
    /// The worker has said all.
    Done(SegmentReport),
    /// It cannot be made, and why.
    Failed(String),
}

/// A segment at work.
pub struct Run {
    /// Its number.
    pub number: SegmentNumber,
    /// Rungs that get gap records when the segment is finished.
    pub gaps: Vec<RungId>,
    /// Whether a worker was asked and has not said all.
    pub worker_busy: bool,
    rungs: BTreeMap<RungId, (Making, u32)>,
    identity: Identity,
    traceparent: Option<String>,
    span: tracing::Span,
    begun: Instant,
    busy: Option<Busy>,
}

impl Run {
    /// Media for these rungs. The spans of a segment in all services make one trace.
    pub fn new(identity: Identity, source: &SourceSegment, rungs: Vec<Making>) -> Self {
        let span = tracing::info_span!(
            "transcode segment",
            stream = %identity.stream, segment = source.number.0
        );
        if let Some(writer) = &source.traceparent {
            trace::follow(&span, writer);
        }
        let rungs = rungs.into_iter();
        Self {
            number: source.number,
            gaps: Vec::new(),
            worker_busy: false,
            rungs: rungs
                .map(|making| (making.profile.id.clone(), (making, 0)))
                .collect(),
            identity,
            traceparent: trace::traceparent(&span),
            span,
            begun: Instant::now(),
            busy: None,
        }
    }

    /// A worker is asked: what it is told at the beginning.
    pub fn ask(
        &mut self,
        source: &SourceSegment,
        pre_roll: Vec<Bytes>,
        latency: LatencyMode,
        part_target: Micros,
        busy: Busy,
    ) -> SegmentJob {
        self.worker_busy = true;
        self.busy = Some(busy);
        SegmentJob {
            stream: self.identity.stream.to_string(),
            segment: self.number,
            decode_time: source.decode_time,
            init: source.init.clone(),
            pre_roll,
            rungs: self
                .rungs
                .values()
                .map(|(m, _)| m.profile.clone())
                .collect(),
            latency,
            part_target,
            frame_rate_milli: source.format.as_ref().map_or(0, |f| f.frame_rate_milli),
            thumbnail: !self.identity.late,
        }
    }

    /// Whether only the picture is wanted.
    pub fn is_picture_alone(&self) -> bool {
        self.rungs.is_empty()
    }

    /// The rungs that media is made for.
    pub fn rungs(&self) -> impl Iterator<Item = &RungId> {
        self.rungs.keys()
    }

    /// How long it has been at work.
    pub fn elapsed(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    /// Its identity in records.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Hands what the worker said to the log.
    pub fn message(
        &mut self,
        message: TranscodeMessage,
        source: &SourceSegment,
        publisher: &mut Publisher,
    ) -> Said {
        match message {
            TranscodeMessage::Chunk(chunk) => self.chunk(chunk, source, publisher),
            TranscodeMessage::Thumbnail(jpeg) => Said::Thumbnail(jpeg),
            TranscodeMessage::Done(report) => {
                self.worker_busy = false;
                self.busy = None;
                if let Some((rung, _)) = self.rungs.iter().find(|(_, (_, parts))| *parts == 0) {
                    return Said::Failed(format!("the worker made nothing of rung {rung}"));
                }
                for rung in self.rungs.keys() {
                    // Where the source's last part did not say that it is the last.
                    publisher.close(rung, self.number);
                }
                Said::Done(report)
            }
            TranscodeMessage::Failed(problem) => {
                self.worker_busy = false;
                self.busy = None;
                Said::Failed(format!("{}: {problem}", problem.code))
            }
        }
    }

    fn chunk(
        &mut self,
        chunk: RungChunk,
        source: &SourceSegment,
        publisher: &mut Publisher,
    ) -> Said {
        let Some((making, parts)) = self.rungs.get_mut(&chunk.rung) else {
            return Said::Nothing;
        };
        *parts += 1;
        if chunk.part < making.from {
            let known = publisher.bytes_of(&chunk.rung, self.number, chunk.part);
            if known.is_some_and(|bytes| bytes as usize != chunk.data.len()) {
                metrics::counter!("reelay_transcode_mismatches_total").increment(1);
                tracing::error!(parent: &self.span, track = %chunk.rung, segment = self.number.0,
                    part = chunk.part.0, in_log = known, made = chunk.data.len(),
                    "a part that was made again differs from the one in the log");
            }
            return Said::Nothing;
        }
        let header = self
            .identity
            .chunk(source, &making.profile, making.fingerprint, &chunk);
        self.span.in_scope(|| {
            publisher.part(
                &chunk.rung,
                &header,
                chunk.init.as_ref(),
                &chunk.data,
                self.traceparent.as_deref(),
            );
        });
        if chunk.part == making.from {
            Said::Track(making.profile.clone(), Box::new(chunk))
        } else {
            Said::Nothing
        }
    }
}
