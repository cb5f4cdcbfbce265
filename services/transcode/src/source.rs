//! A segment of the source as it waits for a worker.

use bytes::Bytes;
use reelay_bus::Record;
use reelay_model::{Epoch, Micros, SegmentNumber, Ticks, Timescale};
use reelay_timeline::{gaps, track::Segment};
use reelay_wire::{Format, Header, Kind, TRACEPARENT_HEADER};

/// Ticks per second of every rung.
pub const RUNG_TIMESCALE: Timescale = Timescale(90_000);

/// A segment of the source, as far as it was read.
#[derive(Debug, Clone)]
pub struct SourceSegment {
    /// Its number.
    pub number: SegmentNumber,
    /// The epoch that it was written in.
    pub epoch: Epoch,
    /// Its discontinuity sequence number.
    pub discontinuity_sequence: u64,
    /// Ticks per second.
    pub timescale: Timescale,
    /// Decode time at which it begins.
    pub decode_time: Ticks,
    /// Its duration, once it is finished.
    pub duration: Option<Ticks>,
    /// When its first frame was captured.
    pub capture_time: Micros,
    /// Decoding it whole needs the segment before it.
    pub open: bool,
    /// Its format; none for a gap.
    pub format: Option<Format>,
    /// Its init segment.
    pub init: Bytes,
    /// Its chunks so far, and whether each said that it is the last.
    pub chunks: Vec<(Bytes, bool)>,
    /// Trace context of its first record.
    pub traceparent: Option<Bytes>,
}

impl SourceSegment {
    /// A segment as `index` or the reader of `source` knows it, without its bytes.
    pub fn of(segment: &Segment) -> Self {
        Self {
            number: segment.number,
            epoch: segment.epoch,
            discontinuity_sequence: segment.discontinuity_sequence,
            timescale: segment.timescale,
            decode_time: segment.decode_time,
            duration: Some(segment.duration),
            capture_time: segment.capture_time,
            open: false,
            format: segment.format().map(|format| (**format).clone()),
            init: Bytes::new(),
            chunks: Vec::new(),
            traceparent: None,
        }
    }

    /// The segment that begins with the chunk `record`; nothing where it is none.
    pub fn begin(record: &Record, header: &Header) -> Option<Self> {
        let Kind::Chunk {
            init_length,
            open,
            ref format,
            ..
        } = header.kind
        else {
            return None;
        };
        let init = (init_length as usize).min(record.value.len());
        Some(Self {
            number: header.segment,
            epoch: header.epoch.unwrap_or_default(),
            discontinuity_sequence: header.discontinuity_sequence,
            timescale: header.timescale,
            decode_time: header.decode_time,
            duration: None,
            capture_time: header.capture_time,
            open,
            format: Some(format.clone()),
            init: record.value.slice(..init),
            chunks: Vec::new(),
            traceparent: record.headers.get(TRACEPARENT_HEADER).cloned(),
        })
    }

    /// Takes the next chunk, and gives it back as the worker takes it.
    pub fn add(&mut self, record: &Record, header: &Header) -> Option<(Bytes, bool)> {
        let Kind::Chunk {
            init_length,
            last_part,
            ..
        } = header.kind
        else {
            return None;
        };
        let init = (init_length as usize).min(record.value.len());
        let chunk = (record.value.slice(init..), last_part);
        self.chunks.push(chunk.clone());
        Some(chunk)
    }

    /// Decode time and duration in a rung's timescale. The end is converted, and the duration is
    /// the difference: so segments join exactly.
    pub fn rung_times(&self) -> (Ticks, Ticks) {
        let convert = |time| gaps::rescale(time, self.timescale, RUNG_TIMESCALE);
        let start = convert(self.decode_time);
        let duration = self.duration.unwrap_or_default();
        let end = convert(Ticks(self.decode_time.0.saturating_add(duration.0)));
        (start, Ticks(end.0 - start.0))
    }
}
