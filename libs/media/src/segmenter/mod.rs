//! Cuts the frames of a stream into parts and segments by the media rules: functions of data,
//! without clock, codec or FFmpeg.
//!
//! - Video is put into decode order times by [`order`], cut by [`video`].
//! - Audio is laid on a grid of frames and cut with the video by [`audio`].
//!
//! Times are in 1/90,000 s (video) and in samples (audio) on one time line that starts at 0 or
//! where a predecessor stopped.

mod audio;
mod order;
#[cfg(test)]
mod tests;
mod video;

use std::collections::VecDeque;

use audio::AudioCutter;
use reelay_model::Micros;
use video::VideoCutter;

pub(crate) use audio::{AudioFrame, AudioRules};
pub(crate) use video::{VideoFrame, VideoRules};

/// Ticks per second of video.
pub(crate) const VIDEO_TIMESCALE: u32 = 90_000;

/// `value` of `from` units per second in `to` units per second, rounded to the nearest (halves
/// up). Exact in 128 bits between.
pub(crate) fn rescale(value: i64, from: u32, to: u32) -> i64 {
    let (from, to) = (i128::from(from), i128::from(to));
    ((i128::from(value) * to * 2 + from).div_euclid(from * 2)) as i64
}

/// Which track a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
}

/// A frame with its place in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<P> {
    pub duration: u32,
    pub composition_offset: i32,
    pub sync: bool,
    pub payload: P,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<P> {
    pub kind: Kind,
    pub segment: u64,
    pub part: u32,
    pub independent: bool,
    pub open: bool,
    pub last: bool,
    pub decode_time: i64,
    pub duration: i64,
    pub capture: Micros,
    /// Position in the source of the segment; only in its first part.
    pub cursor: Option<u64>,
    pub frames: Vec<Placed<P>>,
}

/// What the segmenter finds out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event<P> {
    /// A segment that is the first, or breaks with the one before it, or has another format.
    Begin {
        segment: u64,
        discontinuity: bool,
        /// [`VideoFrame::format`] of its video.
        format: u32,
    },
    Part(Part<P>),
    /// No keyframe within the greatest segment, so frames are left out. `interval` is the
    /// distance of keyframes in µs where it is known.
    KeyframesTooFar {
        interval: Option<Micros>,
    },
    /// Keyframes come in time again.
    KeyframesInTime,
    /// Audio is replaced by silence, for 2 s by now.
    AudioStopped,
    /// Audio has come back.
    AudioBack,
    /// Audio has waited for video for too long and is left out.
    VideoStopped,
    /// Video goes on.
    VideoBack,
}

/// Cuts one stream.
pub(crate) struct Segmenter<P> {
    video: Option<VideoCutter<P>>,
    audio: Option<AudioCutter<P>>,
    events: VecDeque<Event<P>>,
}

impl<P> Segmenter<P> {
    /// A segmenter for a stream with the tracks that have rules; at least one has.
    pub(crate) fn new(video: Option<VideoRules>, audio: Option<AudioRules<P>>) -> Self {
        let with_video = video.is_some();
        Self {
            video: video.map(VideoCutter::new),
            audio: audio.map(|rules| AudioCutter::new(rules, with_video)),
            events: VecDeque::new(),
        }
    }

    /// The next thing found out.
    pub(crate) fn next(&mut self) -> Option<Event<P>> {
        self.events.pop_front()
    }

    /// Takes a frame of video, in decode order.
    pub(crate) fn push_video(&mut self, frame: VideoFrame<P>) {
        if let Some(video) = &mut self.video {
            video.push(frame, &mut self.events);
        }
        self.follow_video();
    }

    /// Takes a frame of audio.
    pub(crate) fn push_audio(&mut self, frame: AudioFrame<P>) {
        if let Some(audio) = &mut self.audio {
            audio.push(frame, &mut self.events);
        }
    }

    /// Ends the last segments; `last_duration` is that of the last frame of video.
    pub(crate) fn finish(&mut self, last_duration: i64) {
        if let Some(video) = &mut self.video {
            video.finish(last_duration, &mut self.events);
        }
        self.follow_video();
        if let Some(audio) = &mut self.audio {
            audio.finish(&mut self.events);
        }
    }

    /// Number of the segment that video (or audio where there is none) is in; none before the
    /// first.
    pub(crate) fn segment(&self) -> Option<u64> {
        match (&self.video, &self.audio) {
            (Some(video), _) => video.segment(),
            (None, Some(audio)) => audio.segment(),
            (None, None) => None,
        }
    }

    fn follow_video(&mut self) {
        let Some(video) = &mut self.video else {
            return;
        };
        let Some(audio) = &mut self.audio else {
            video.cuts.clear();
            return;
        };
        for cut in video.cuts.drain(..) {
            audio.cut(cut, &mut self.events);
        }
        if let Some(time) = video.decided_until() {
            audio.video_reached(time, &mut self.events);
        }
    }
}
