//! Cuts video into parts and segments.

use std::collections::VecDeque;

use reelay_model::Micros;

use super::{Event, Kind, Part, Placed, VIDEO_TIMESCALE, order::DecodeOrder};
use crate::codec::FrameKind;

/// How video is cut. All times in 1/90,000 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VideoRules {
    /// A keyframe that comes so long after the start of a segment, or later, starts the next.
    pub least_segment: i64,
    /// What no segment may exceed.
    pub greatest_segment: i64,
    /// Greatest duration of a part of more than one frame.
    pub part_target: i64,
}

/// A frame of video, in decode order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VideoFrame<P> {
    pub presentation: i64,
    /// The source's decode time on the same line; not after any presentation time to come.
    pub decode_bound: Option<i64>,
    /// How many frames can come before one that is presented earlier; none if that is not known.
    pub reorder: Option<usize>,
    pub kind: FrameKind,
    /// The time line or the source breaks before this frame.
    pub discontinuity: bool,
    /// Names the configuration that its decoder needs.
    pub format: u32,
    pub capture: Micros,
    pub cursor: Option<u64>,
    pub payload: P,
}

impl<P> VideoFrame<P> {
    /// The frame, and its payload apart.
    pub(crate) fn without_payload(self) -> (VideoFrame<()>, P) {
        let frame = VideoFrame {
            presentation: self.presentation,
            decode_bound: self.decode_bound,
            reorder: self.reorder,
            kind: self.kind,
            discontinuity: self.discontinuity,
            format: self.format,
            capture: self.capture,
            cursor: self.cursor,
            payload: (),
        };
        (frame, self.payload)
    }
}

/// What the audio has to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The segment ends.
    End(i64),
    /// A segment starts.
    Start { at: i64, segment: u64 },
}

#[derive(Debug)]
struct Segment<P> {
    number: u64,
    format: u32,
    start: i64,
    open: bool,
    cursor: Option<u64>,
    parts: u32,
    part: Option<OpenPart<P>>,
}

#[derive(Debug)]
struct OpenPart<P> {
    start: i64,
    duration: i64,
    independent: bool,
    capture: Micros,
    frames: Vec<Placed<P>>,
}

/// A frame whose duration is not known before the next comes.
#[derive(Debug)]
struct Pending<P> {
    time: i64,
    frame: VideoFrame<P>,
}

#[derive(Debug)]
pub(super) struct VideoCutter<P> {
    rules: VideoRules,
    order: DecodeOrder<VideoFrame<P>>,
    /// Frames are taken; else they are left out until a keyframe comes.
    taking: bool,
    /// Leading pictures of the keyframe at which taking began refer to frames that are missing.
    not_before: i64,
    pending: Option<Pending<P>>,
    segment: Option<Segment<P>>,
    next_segment: u64,
    /// The next segment does not continue the last one.
    broken: bool,
    last_duration: i64,
    last_key: Option<i64>,
    too_far: bool,
    /// For the audio.
    pub(super) cuts: VecDeque<Cut>,
}

impl<P> VideoCutter<P> {
    pub(super) fn new(rules: VideoRules) -> Self {
        Self {
            rules,
            order: DecodeOrder::new(),
            taking: false,
            not_before: i64::MIN,
            pending: None,
            segment: None,
            next_segment: 0,
            broken: false,
            last_duration: i64::from(VIDEO_TIMESCALE) / 25,
            last_key: None,
            too_far: false,
            cuts: VecDeque::new(),
        }
    }

    pub(super) fn segment(&self) -> Option<u64> {
        self.segment.as_ref().map(|segment| segment.number)
    }

    /// No cut will come before this time any more.
    pub(super) fn decided_until(&self) -> Option<i64> {
        self.pending.as_ref().map(|pending| pending.time)
    }

    pub(super) fn push(&mut self, frame: VideoFrame<P>, events: &mut VecDeque<Event<P>>) {
        if frame.discontinuity {
            self.end_line(self.last_duration, Some(frame.presentation), events);
            self.last_key = None;
        }
        if frame.kind.is_key() {
            self.check_interval(frame.presentation, events);
        }
        if !self.taking {
            if !frame.kind.is_key() {
                return;
            }
            self.taking = true;
            self.not_before = frame.presentation;
        } else if frame.presentation < self.not_before {
            return;
        }
        let restart = frame.kind == FrameKind::Idr;
        let (time, bound, depth) = (frame.presentation, frame.decode_bound, frame.reorder);
        let mut ready = Vec::new();
        self.order
            .push(frame, time, bound, depth, restart, |frame, time| {
                ready.push((frame, time))
            });
        for (frame, time) in ready {
            self.timed(frame, time, events);
        }
    }

    pub(super) fn finish(&mut self, last_duration: i64, events: &mut VecDeque<Event<P>>) {
        self.end_line(last_duration, None, events);
    }

    /// Ends the segment with all frames that are there; the last does not last beyond `until`.
    fn end_line(
        &mut self,
        last_duration: i64,
        until: Option<i64>,
        events: &mut VecDeque<Event<P>>,
    ) {
        let mut ready = Vec::new();
        self.order.flush(|frame, time| ready.push((frame, time)));
        for (frame, time) in ready {
            self.timed(frame, time, events);
        }
        if let Some(Pending { time, frame }) = self.pending.take() {
            let left = until.map_or(i64::MAX, |until| until - time);
            let duration = self.within_segment(time, last_duration.min(left).max(1));
            self.add(frame, time, duration, events);
            self.end_segment(time + duration, events);
        }
        self.taking = false;
        self.broken = self.next_segment > 0;
    }

    /// Measures the distance of keyframes, once it has been too great.
    fn check_interval(&mut self, time: i64, events: &mut VecDeque<Event<P>>) {
        let last = self.last_key.replace(time);
        let Some(interval) = last.map(|last| time - last).filter(|_| self.too_far) else {
            return;
        };
        if interval > self.rules.greatest_segment {
            let interval = interval * 1_000_000 / i64::from(VIDEO_TIMESCALE);
            events.push_back(Event::KeyframesTooFar {
                interval: Some(Micros(interval)),
            });
        } else {
            self.too_far = false;
            events.push_back(Event::KeyframesInTime);
        }
    }

    /// Takes a frame with its decode time.
    fn timed(&mut self, frame: VideoFrame<P>, time: i64, events: &mut VecDeque<Event<P>>) {
        if let Some(before) = self.pending.take() {
            let duration = (time - before.time).max(1);
            let kept = self.within_segment(before.time, duration);
            self.add(before.frame, before.time, kept, events);
            let Some(segment) = &self.segment else {
                return;
            };
            let age = time - segment.start;
            let other_format = frame.format != segment.format;
            if kept < duration {
                self.end_segment(before.time + kept, events);
                self.too_far(events);
            } else if frame.kind.is_key() && (age >= self.rules.least_segment || other_format) {
                self.end_segment(time, events);
                self.broken |= other_format;
            } else if age + duration > self.rules.greatest_segment {
                self.end_segment(time, events);
                self.too_far(events);
            } else {
                self.last_duration = duration;
                self.close_part_before(&frame, duration, events);
            }
        }
        if self.segment.is_none() {
            if !frame.kind.is_key() {
                // Left out, and so is all up to the next keyframe.
                self.order.clear();
                self.taking = false;
                return;
            }
            self.begin_segment(&frame, time, events);
        }
        self.pending = Some(Pending { time, frame });
    }

    /// A frame's duration as far as it fits into the segment; 1 or more.
    fn within_segment(&self, time: i64, duration: i64) -> i64 {
        self.segment.as_ref().map_or(duration, |segment| {
            let left = segment.start + self.rules.greatest_segment - time;
            duration.min(left).max(1)
        })
    }

    fn too_far(&mut self, events: &mut VecDeque<Event<P>>) {
        self.broken = true;
        if !self.too_far {
            self.too_far = true;
            events.push_back(Event::KeyframesTooFar { interval: None });
        }
    }

    fn begin_segment(&mut self, frame: &VideoFrame<P>, time: i64, events: &mut VecDeque<Event<P>>) {
        let number = self.next_segment;
        self.next_segment += 1;
        if number == 0 || self.broken {
            events.push_back(Event::Begin {
                segment: number,
                discontinuity: self.broken,
                format: frame.format,
            });
        }
        self.broken = false;
        self.cuts.push_back(Cut::Start {
            at: time,
            segment: number,
        });
        self.segment = Some(Segment {
            number,
            format: frame.format,
            start: time,
            open: frame.kind == FrameKind::Recovery,
            cursor: frame.cursor,
            parts: 0,
            part: None,
        });
    }

    fn end_segment(&mut self, time: i64, events: &mut VecDeque<Event<P>>) {
        self.close_part(true, events);
        self.segment = None;
        self.cuts.push_back(Cut::End(time));
    }

    /// Adds a frame whose duration is known.
    fn add(
        &mut self,
        frame: VideoFrame<P>,
        time: i64,
        duration: i64,
        events: &mut VecDeque<Event<P>>,
    ) {
        let full = |part: &OpenPart<P>| part.duration + duration > self.rules.part_target;
        if self
            .segment
            .as_ref()
            .and_then(|segment| segment.part.as_ref())
            .is_some_and(full)
        {
            self.close_part(false, events);
        }
        let Some(segment) = &mut self.segment else {
            return;
        };
        let part = segment.part.get_or_insert_with(|| OpenPart {
            start: time,
            duration: 0,
            independent: frame.kind.is_key(),
            capture: frame.capture,
            frames: Vec::with_capacity(8),
        });
        part.duration += duration;
        part.frames.push(Placed {
            duration: clamp_to_u32(duration),
            composition_offset: clamp_to_i32(frame.presentation - time),
            sync: frame.kind.is_key(),
            payload: frame.payload,
        });
    }

    /// Closes the part if the frame that comes starts one of its own, or if one more frame like
    /// the last would not fit, so that nobody waits for it.
    fn close_part_before(
        &mut self,
        next: &VideoFrame<P>,
        duration: i64,
        events: &mut VecDeque<Event<P>>,
    ) {
        let part = self
            .segment
            .as_ref()
            .and_then(|segment| segment.part.as_ref());
        let full = part.is_some_and(|part| part.duration + duration > self.rules.part_target);
        if full || next.kind.is_key() {
            self.close_part(false, events);
        }
    }

    fn close_part(&mut self, last: bool, events: &mut VecDeque<Event<P>>) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        let Some(part) = segment.part.take() else {
            return;
        };
        events.push_back(Event::Part(Part {
            kind: Kind::Video,
            segment: segment.number,
            part: segment.parts,
            independent: part.independent,
            open: segment.open,
            last,
            decode_time: part.start,
            duration: part.duration,
            capture: part.capture,
            cursor: segment.cursor.filter(|_| segment.parts == 0),
            frames: part.frames,
        }));
        segment.parts += 1;
    }
}

/// Durations are below 2³² ticks (13 hours): a segment is at most some seconds.
fn clamp_to_u32(value: i64) -> u32 {
    value.clamp(0, i64::from(u32::MAX)) as u32
}

/// Nonsense timestamps can be further apart than the box can say.
fn clamp_to_i32(value: i64) -> i32 {
    value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
