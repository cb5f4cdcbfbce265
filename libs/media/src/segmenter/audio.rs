//! Lays audio on its grid of frames and cuts it where video is cut.
//!
//! Audio frames are never split or stretched: they stand one behind the other. A frame goes into
//! the next place if that is at most half a frame from where its timestamp says; it is left out
//! if it comes earlier, and silence goes in front of it if it comes later. So the sound is never
//! further than half a frame from the picture, however long the stream or the number of loops.

use std::collections::VecDeque;

use reelay_model::Micros;

use super::{Event, Kind, Part, Placed, VIDEO_TIMESCALE, rescale, video::Cut};

/// Missing audio becomes silence when video is so far ahead, in ms.
const WAIT_MS: i64 = 300;
/// Silence after which audio is said to have stopped, in seconds.
const STOPPED_SECONDS: i64 = 2;
/// Audio that waits for video for longer is left out, in seconds.
const QUEUE_SECONDS: i64 = 20;
/// Timestamps that lie further ahead of video are wrong, in seconds.
const AHEAD_SECONDS: i64 = 60;
/// Segments of streams without video, in seconds.
const ALONE_SECONDS: i64 = 2;

/// How audio is cut. All times in samples.
pub(crate) struct AudioRules<P> {
    pub rate: u32,
    /// Samples of a frame of silence.
    pub silence_samples: u32,
    /// Makes a frame of silence.
    pub silence: Box<dyn FnMut() -> P + Send>,
    /// Greatest duration of a part.
    pub part_target: i64,
    /// Where the grid goes on; none for one that begins with the first frame.
    pub grid: Option<i64>,
}

/// A frame of audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioFrame<P> {
    pub time: i64,
    /// In samples, 1 or more.
    pub duration: u32,
    /// The time line or the source breaks before this frame. Counts only without video.
    pub discontinuity: bool,
    pub capture: Micros,
    pub cursor: Option<u64>,
    pub payload: P,
}

#[derive(Debug)]
struct Segment<P> {
    number: u64,
    start: i64,
    cursor: Option<u64>,
    parts: u32,
    part: Option<OpenPart<P>>,
}

#[derive(Debug)]
struct OpenPart<P> {
    start: i64,
    duration: i64,
    capture: Micros,
    frames: Vec<Placed<P>>,
}

pub(super) struct AudioCutter<P> {
    rules: AudioRules<P>,
    with_video: bool,
    /// Frames before the grid has begun.
    early: VecDeque<AudioFrame<P>>,
    /// Frames on the grid that belong to no segment yet; one directly behind the other.
    queue: VecDeque<AudioFrame<P>>,
    /// End of the grid so far; none before it has begun.
    grid_end: Option<i64>,
    /// Video has come so far; no cut comes before it.
    video: i64,
    cuts: VecDeque<Cut>,
    segment: Option<Segment<P>>,
    next_alone: u64,
    last_capture: Micros,
    /// Samples of silence since the last frame of the source.
    silent: i64,
    stopped: bool,
    video_stopped: bool,
}

impl<P> AudioCutter<P> {
    pub(super) fn new(rules: AudioRules<P>, with_video: bool) -> Self {
        Self {
            rules,
            with_video,
            early: VecDeque::new(),
            queue: VecDeque::new(),
            grid_end: None,
            video: i64::MIN,
            cuts: VecDeque::new(),
            segment: None,
            next_alone: 0,
            last_capture: Micros(0),
            silent: 0,
            stopped: false,
            video_stopped: false,
        }
    }

    pub(super) fn segment(&self) -> Option<u64> {
        self.segment.as_ref().map(|segment| segment.number)
    }

    fn samples(&self, ticks: i64) -> i64 {
        rescale(ticks, VIDEO_TIMESCALE, self.rules.rate)
    }

    fn seconds(&self, seconds: i64) -> i64 {
        seconds * i64::from(self.rules.rate)
    }

    pub(super) fn push(&mut self, frame: AudioFrame<P>, events: &mut VecDeque<Event<P>>) {
        if !self.with_video {
            self.push_alone(frame, events);
            return;
        }
        if self.grid_end.is_some() {
            self.place(frame, events);
        } else {
            self.early.push_back(frame);
            let limit = self.seconds(QUEUE_SECONDS);
            while let (Some(first), Some(last)) = (self.early.front(), self.early.back())
                && last.time - first.time > limit
            {
                self.early.pop_front();
            }
            self.begin_grid(events);
        }
        self.work(events);
    }

    pub(super) fn cut(&mut self, cut: Cut, events: &mut VecDeque<Event<P>>) {
        self.cuts.push_back(match cut {
            Cut::End(at) => Cut::End(self.samples(at)),
            Cut::Start { at, segment } => Cut::Start {
                at: self.samples(at),
                segment,
            },
        });
        self.begin_grid(events);
        self.work(events);
    }

    pub(super) fn video_reached(&mut self, ticks: i64, events: &mut VecDeque<Event<P>>) {
        self.video = self.samples(ticks);
        if std::mem::take(&mut self.video_stopped) {
            events.push_back(Event::VideoBack);
        }
        self.begin_grid(events);
        self.fill(self.video - self.rules.rate as i64 * WAIT_MS / 1000, events);
        self.work(events);
    }

    pub(super) fn finish(&mut self, events: &mut VecDeque<Event<P>>) {
        if !self.with_video {
            self.end_segment(events);
            return;
        }
        self.video = i64::MAX;
        // Video has ended its last segment: audio goes up to there, with silence if need be.
        if let Some(end) = self.cuts.iter().rev().find_map(|cut| match cut {
            Cut::End(at) => Some(*at),
            Cut::Start { .. } => None,
        }) {
            self.begin_grid(events);
            self.fill(end + i64::from(self.rules.silence_samples) / 2, events);
        }
        self.work(events);
        self.end_segment(events);
    }

    /// Begins the grid at the start of the first segment, once it can be told where audio is.
    fn begin_grid(&mut self, events: &mut VecDeque<Event<P>>) {
        if self.grid_end.is_some() {
            return;
        }
        let Some(start) = self.cuts.iter().find_map(|cut| match cut {
            Cut::Start { at, .. } => Some(*at),
            Cut::End(_) => None,
        }) else {
            return;
        };
        let frame = i64::from(self.rules.silence_samples);
        let near = |time: &i64| 2 * (time - start).abs() <= frame;
        let wait = self.seconds(WAIT_MS) / 1000;
        let grid = if let Some(grid) = self.rules.grid.filter(near) {
            grid
        } else if let Some(time) = self.early.iter().map(|early| early.time).find(near) {
            time.max(0)
        } else if self.early.back().is_some_and(|early| early.time > start)
            || self.video > start + wait
        {
            start
        } else {
            return;
        };
        self.grid_end = Some(grid);
        for early in std::mem::take(&mut self.early) {
            self.place(early, events);
        }
    }

    /// Puts a frame on the grid.
    fn place(&mut self, frame: AudioFrame<P>, events: &mut VecDeque<Event<P>>) {
        let Some(end) = self.grid_end else {
            return;
        };
        let duration = i64::from(frame.duration);
        let off = frame.time - end;
        // Before video has come, everything is ahead of it.
        let far = self.with_video
            && self.video != i64::MIN
            && frame.time > self.video.saturating_add(self.seconds(AHEAD_SECONDS));
        if 2 * off < -duration || far {
            return;
        }
        let waits = self
            .queue
            .front()
            .is_some_and(|first| end - first.time > self.seconds(QUEUE_SECONDS));
        if waits {
            if !self.video_stopped {
                self.video_stopped = true;
                events.push_back(Event::VideoStopped);
            }
            return;
        }
        if self.silent > 0 {
            self.silent = 0;
            if std::mem::take(&mut self.stopped) {
                events.push_back(Event::AudioBack);
            }
        }
        // Up to half a frame of silence is left over: the frame stands by so much off its time.
        let silence = i64::from(self.rules.silence_samples);
        for _ in 0..(2 * off + silence) / (2 * silence) {
            self.silence(Some(frame.capture));
        }
        self.last_capture = frame.capture;
        self.append(frame);
    }

    fn append(&mut self, mut frame: AudioFrame<P>) {
        if let Some(end) = &mut self.grid_end {
            frame.time = *end;
            *end += i64::from(frame.duration);
            self.queue.push_back(frame);
        }
    }

    fn silence(&mut self, capture: Option<Micros>) {
        let samples = self.rules.silence_samples;
        self.last_capture = capture.unwrap_or_else(|| {
            let step = i64::from(samples) * 1_000_000 / i64::from(self.rules.rate);
            Micros(self.last_capture.0 + step)
        });
        let frame = AudioFrame {
            time: 0,
            duration: samples,
            discontinuity: false,
            capture: self.last_capture,
            cursor: None,
            payload: (self.rules.silence)(),
        };
        self.append(frame);
    }

    /// Fills up with whole frames of silence that end at `time` or before.
    fn fill(&mut self, time: i64, events: &mut VecDeque<Event<P>>) {
        let samples = i64::from(self.rules.silence_samples);
        while let Some(end) = self.grid_end
            && end + samples <= time
        {
            if self.segment.is_none() && self.cuts.is_empty() {
                // Video is away: nobody will hear it.
                return;
            }
            self.silence(None);
            self.silent += samples;
        }
        if self.silent >= self.seconds(STOPPED_SECONDS) && !self.stopped {
            self.stopped = true;
            events.push_back(Event::AudioStopped);
        }
    }

    /// Moves frames from the queue into segments as far as video has decided.
    fn work(&mut self, events: &mut VecDeque<Event<P>>) {
        let Some(_) = self.grid_end else {
            return;
        };
        loop {
            if self.segment.is_none() {
                let Some(Cut::Start { at, segment }) = self.cuts.front().copied() else {
                    self.cuts.pop_front_if(|cut| matches!(cut, Cut::End(_)));
                    return;
                };
                self.skip_to(at);
                self.cuts.pop_front();
                self.segment = Some(Segment {
                    number: segment,
                    start: at,
                    cursor: None,
                    parts: 0,
                    part: None,
                });
            }
            let end = match self.cuts.front() {
                Some(Cut::End(at)) => Some(*at),
                _ => None,
            };
            let (at, duration) = match (self.queue.front(), self.grid_end) {
                (Some(frame), _) => (frame.time, i64::from(frame.duration)),
                (None, Some(end)) => (end, i64::from(self.rules.silence_samples)),
                (None, None) => return,
            };
            let middle = at + duration / 2;
            // A segment is never without a frame.
            let empty = self
                .segment
                .as_ref()
                .is_some_and(|segment| segment.parts == 0 && segment.part.is_none());
            if end.is_some_and(|end| middle >= end) && !empty {
                self.end_segment(events);
                self.cuts.pop_front();
                continue;
            }
            if end.is_none() && middle >= self.video {
                return;
            }
            // The frame, there or to come, belongs to this segment.
            self.close_full_part(duration, events);
            match self.queue.pop_front() {
                Some(frame) => self.add(frame),
                None => return,
            }
        }
    }

    /// Leaves out frames that lie in front of a segment; moves the grid on if it has not come as
    /// far.
    fn skip_to(&mut self, start: i64) {
        while self
            .queue
            .front()
            .is_some_and(|frame| frame.time + i64::from(frame.duration) / 2 < start)
        {
            self.queue.pop_front();
        }
        if let Some(end) = &mut self.grid_end
            && self.queue.is_empty()
        {
            let samples = i64::from(self.rules.silence_samples);
            let behind = start - samples / 2 - *end;
            if behind > 0 {
                *end += (behind + samples - 1) / samples * samples;
            }
        }
    }

    /// Without video, segments end by the count of samples.
    fn push_alone(&mut self, frame: AudioFrame<P>, events: &mut VecDeque<Event<P>>) {
        let first = self.grid_end.is_none();
        if first || frame.discontinuity {
            self.end_segment(events);
            let grid = self
                .rules
                .grid
                .filter(|_| first)
                .unwrap_or(frame.time.max(0));
            // A break never turns the line back.
            self.grid_end = Some(self.grid_end.map_or(grid, |end| end.max(grid)));
            events.push_back(Event::Begin {
                segment: self.next_alone,
                discontinuity: !first,
                format: 0,
            });
        }
        self.place(frame, events);
        while let Some(frame) = self.queue.pop_front() {
            let duration = i64::from(frame.duration);
            let middle = frame.time + duration / 2;
            let length = self.seconds(ALONE_SECONDS);
            if self
                .segment
                .as_ref()
                .is_some_and(|segment| middle >= segment.start + length)
            {
                self.end_segment(events);
            }
            self.segment.get_or_insert_with(|| {
                self.next_alone += 1;
                Segment {
                    number: self.next_alone - 1,
                    start: frame.time,
                    cursor: frame.cursor,
                    parts: 0,
                    part: None,
                }
            });
            self.close_full_part(duration, events);
            self.add(frame);
        }
        // The next frame's segment is known without it.
        let duration = i64::from(self.rules.silence_samples);
        if let (Some(segment), Some(end)) = (&self.segment, self.grid_end) {
            if end + duration / 2 >= segment.start + self.seconds(ALONE_SECONDS) {
                self.end_segment(events);
            } else {
                self.close_full_part(duration, events);
            }
        }
    }

    fn add(&mut self, frame: AudioFrame<P>) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        let part = segment.part.get_or_insert_with(|| OpenPart {
            start: frame.time,
            duration: 0,
            capture: frame.capture,
            frames: Vec::with_capacity(12),
        });
        part.duration += i64::from(frame.duration);
        part.frames.push(Placed {
            duration: frame.duration,
            composition_offset: 0,
            sync: true,
            payload: frame.payload,
        });
    }

    fn close_full_part(&mut self, next: i64, events: &mut VecDeque<Event<P>>) {
        let part = self
            .segment
            .as_ref()
            .and_then(|segment| segment.part.as_ref());
        if part.is_some_and(|part| part.duration + next > self.rules.part_target) {
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
            kind: Kind::Audio,
            segment: segment.number,
            part: segment.parts,
            independent: true,
            open: false,
            last,
            decode_time: part.start,
            duration: part.duration,
            capture: part.capture,
            cursor: segment.cursor.filter(|_| segment.parts == 0),
            frames: part.frames,
        }));
        segment.parts += 1;
    }

    fn end_segment(&mut self, events: &mut VecDeque<Event<P>>) {
        self.close_part(true, events);
        self.segment = None;
    }
}
