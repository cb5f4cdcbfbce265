//! From a file's timestamps to one endless time line: passes (loops) and jumps. Plain arithmetic.
//!
//! A *pass* plays the file once. It starts at the first keyframe of video (of a file without
//! video: at the first frame of audio), and the next pass starts exactly one pass length later:
//! at the end of video, or at the end of audio where that goes on for more than one audio frame,
//! but not for more than a second (so that the last picture does not stand for longer). Both
//! tracks' times are computed from the pass's start on the line, so that they never drift apart,
//! however many passes; what is shorter is filled up: the last picture stays, audio gets silence.
//!
//! A *jump* of the timestamps within a pass is taken out: the line goes on where it was, and a
//! discontinuity says so. Video leads; audio follows video's clock where that fits.

use crate::segmenter::VIDEO_TIMESCALE;

/// Timestamps that go on later than this have jumped, in seconds.
const FORWARD_SECONDS: i64 = 3;
/// Timestamps that fall back by more have jumped; less is jitter. In ms.
const BACKWARD_MS: i64 = 500;
/// Audio that goes on for longer after the end of video is left out.
const TAIL: i64 = VIDEO_TIMESCALE as i64;

/// A time base: seconds of a timestamp's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeBase {
    pub numerator: i64,
    pub denominator: i64,
}

impl TimeBase {
    /// Units per second.
    pub(super) fn rate(self) -> u32 {
        u32::try_from(self.denominator / self.numerator.max(1)).unwrap_or(1)
    }

    /// `time` in units of `rate` per second, rounded to the nearest.
    pub(super) fn ticks(self, time: i64, rate: u32) -> i64 {
        let value = i128::from(time) * i128::from(self.numerator) * i128::from(rate);
        let unit = i128::from(self.denominator).max(1);
        ((2 * value + unit).div_euclid(2 * unit)) as i64
    }
}

fn convert(value: i64, from: u32, to: u32) -> i64 {
    crate::segmenter::rescale(value, from, to)
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Since the start of the pass, jumps taken out.
    pub position: i64,
    /// On the line.
    pub time: i64,
    /// How far the timestamps have jumped right before it, in the track's units.
    pub jump: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct TrackLine {
    /// Taken off the timestamps to undo jumps.
    shift: i64,
    /// Where the next frame is expected (by decode time).
    expected: Option<i64>,
    /// Greatest end of a frame.
    end: Option<i64>,
    /// Decode time of the last frame, and the distance of the last two: the duration of frames
    /// that do not say theirs.
    last: Option<i64>,
    step: i64,
}

/// The line of one file. Video counts in 1/90,000 s, audio in samples.
#[derive(Debug)]
pub(super) struct Line {
    video_base: Option<TimeBase>,
    audio: Option<(TimeBase, u32)>,
    /// Duration of an audio frame in 1/90,000 s.
    audio_frame: i64,
    /// The pass's start on the line.
    start: i64,
    /// The pass's start by the file's clock; none before it is known. Audio's, of a file without
    /// video: both in units of the leading track.
    origin: Option<i64>,
    video: TrackLine,
    audio_line: TrackLine,
}

impl Line {
    /// The line of a file with these tracks, whose first pass starts at `start` (in 1/90,000 s; of
    /// a file without video in samples).
    pub(super) fn new(
        video_base: Option<TimeBase>,
        audio: Option<(TimeBase, u32)>,
        audio_frame_samples: u32,
        start: i64,
    ) -> Self {
        let rate = audio.map_or(1, |(_, rate)| rate);
        Self {
            video_base,
            audio,
            audio_frame: convert(i64::from(audio_frame_samples), rate, VIDEO_TIMESCALE),
            start,
            origin: None,
            video: TrackLine::default(),
            audio_line: TrackLine::default(),
        }
    }

    /// Whether the pass's start is known, so that frames of both tracks can be placed.
    pub(super) fn has_origin(&self) -> bool {
        self.origin.is_some()
    }

    /// Sets the pass's start to this timestamp of the leading track.
    pub(super) fn set_origin(&mut self, timestamp: i64) {
        self.origin = Some(match (self.video_base, self.audio) {
            (Some(base), _) => base.ticks(timestamp, VIDEO_TIMESCALE),
            (None, Some((base, rate))) => base.ticks(timestamp, rate),
            (None, None) => 0,
        });
    }

    /// Moves the line so that this position of the pass is at `time`.
    pub(super) fn pin(&mut self, position: i64, time: i64) {
        self.start = time - position;
    }

    /// Whether jumps have been taken out in this pass.
    pub(super) fn has_jumped(&self) -> bool {
        self.video.shift != 0 || (self.video_base.is_none() && self.audio_line.shift != 0)
    }

    /// Places a frame of video: the place of its presentation, and its decode time on the line.
    pub(super) fn video(&mut self, pts: i64, dts: i64, duration: i64) -> Option<(Place, i64)> {
        let (base, origin) = (self.video_base?, self.origin?);
        let decode = base.ticks(dts, VIDEO_TIMESCALE) - origin;
        let duration = base.ticks(duration, VIDEO_TIMESCALE).max(0);
        let jump = self.video.jump(decode, VIDEO_TIMESCALE);
        let decode = decode - self.video.shift;
        let duration = self.video.duration(decode, duration);
        let position = base.ticks(pts, VIDEO_TIMESCALE) - origin - self.video.shift;
        self.video.expect(decode + duration, position + duration);
        Some((self.place(position, self.start, jump), self.start + decode))
    }

    /// Places a frame of audio of `duration` samples.
    pub(super) fn audio(&mut self, pts: i64, duration: i64) -> Option<Place> {
        let ((base, rate), origin) = (self.audio?, self.origin?);
        let lead = |ticks: i64| {
            if self.video_base.is_some() {
                convert(ticks, VIDEO_TIMESCALE, rate)
            } else {
                ticks
            }
        };
        let raw = base.ticks(pts, rate) - lead(origin);
        let start = lead(self.start);
        let mut jump = None;
        let video_shift = lead(self.video.shift);
        let follows = self.video_base.is_some() && self.audio_line.shift != video_shift;
        let near = |expected: i64| {
            (raw - video_shift - expected).abs() <= FORWARD_SECONDS * i64::from(rate)
        };
        if follows && self.audio_line.expected.is_none_or(near) {
            self.audio_line.shift = video_shift;
        } else {
            jump = self.audio_line.jump(raw, rate);
        }
        let position = raw - self.audio_line.shift;
        self.audio_line
            .expect(position + duration, position + duration);
        Some(self.place(position, start, jump))
    }

    fn place(&self, position: i64, start: i64, jump: Option<i64>) -> Place {
        Place {
            position,
            time: start + position,
            jump,
        }
    }

    /// Length of the pass by what has been placed in it, in the leading track's units; none of
    /// an empty pass.
    pub(super) fn length(&self) -> Option<i64> {
        let length = match (self.video_base, self.audio) {
            (Some(_), audio) => {
                let video = self.video.end?;
                let audio = audio
                    .and_then(|(_, rate)| {
                        Some(convert(self.audio_line.end?, rate, VIDEO_TIMESCALE))
                    })
                    .filter(|end| *end > video + self.audio_frame);
                audio.map_or(video, |end| end.min(video + TAIL))
            }
            (None, _) => self.audio_line.end?,
        };
        (length > 0).then_some(length)
    }

    /// [`length`](Self::length) in samples.
    pub(super) fn length_in_samples(&self) -> Option<i64> {
        let (_, rate) = self.audio?;
        let length = self.length()?;
        Some(if self.video_base.is_some() {
            convert(length, VIDEO_TIMESCALE, rate)
        } else {
            length
        })
    }

    /// Ends the pass; the next starts where this one ends, with the same origin. Gives where that
    /// is.
    pub(super) fn next_pass(&mut self) -> Option<i64> {
        self.start += self.length()?;
        self.video = TrackLine::default();
        self.audio_line = TrackLine::default();
        Some(self.start)
    }
}

impl TrackLine {
    /// Notices a jump of the raw time, and shifts it away.
    fn jump(&mut self, raw: i64, rate: u32) -> Option<i64> {
        let off = raw - self.shift - self.expected?;
        let jumped =
            off > FORWARD_SECONDS * i64::from(rate) || off < -BACKWARD_MS * i64::from(rate) / 1000;
        if !jumped {
            return None;
        }
        self.shift += off;
        Some(off)
    }

    fn duration(&mut self, decode: i64, said: i64) -> i64 {
        if let Some(step) = self.last.replace(decode).map(|last| decode - last)
            && step > 0
        {
            self.step = step;
        }
        if said > 0 { said } else { self.step }
    }

    fn expect(&mut self, next: i64, end: i64) {
        self.expected = Some(next);
        self.end = self.end.max(Some(end));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: TimeBase = TimeBase {
        numerator: 1,
        denominator: 1000,
    };
    const TICKS: TimeBase = TimeBase {
        numerator: 1,
        denominator: 90_000,
    };

    fn samples(rate: u32) -> TimeBase {
        TimeBase {
            numerator: 1,
            denominator: i64::from(rate),
        }
    }

    #[test]
    fn passes_follow_without_a_break() {
        let mut line = Line::new(Some(TICKS), Some((samples(48_000), 48_000)), 1024, 0);
        line.set_origin(7200);
        for pass in 0..3 {
            for frame in 0..50 {
                let at = 7200 + frame * 3600;
                let (place, _) = line.video(at, at, 3600).unwrap();
                assert_eq!(place.time, pass * 180_000 + frame * 3600);
                assert_eq!((place.position, place.jump), (frame * 3600, None));
            }
            // Audio goes on for part of a frame after the end of video: that does not count.
            for frame in 0..94 {
                line.audio(3840 + frame * 1024, 1024).unwrap();
            }
            assert_eq!(line.next_pass(), Some((pass + 1) * 180_000));
        }
    }

    #[test]
    fn the_longer_track_sets_the_length() {
        let length = |video: i64, audio: i64| {
            let mut line = Line::new(Some(MS), Some((MS, 48_000)), 1024, 0);
            line.set_origin(0);
            line.video(video - 40, video - 40, 40);
            line.audio(audio - 20, 960);
            line.length().unwrap()
        };
        assert_eq!(length(5000, 4000), 5 * 90_000);
        assert_eq!(length(5000, 5400), 54 * 9_000);
        assert_eq!(length(5000, 9000), 6 * 90_000);
    }

    #[test]
    fn a_jump_is_taken_out_of_both_tracks() {
        for jump in [-400_000, 10_000, 9_000_000] {
            let mut line = Line::new(Some(MS), Some((MS, 1000)), 20, 0);
            line.set_origin(0);
            let mut jumps = Vec::new();
            for at in (0..8000).step_by(40) {
                // Video jumps 80 ms before audio does.
                let shown = |time: i64, from: i64| if time < from { time } else { time + jump };
                let (video, _) = line.video(shown(at, 4000), shown(at, 4000), 40).unwrap();
                jumps.extend(video.jump);
                assert_eq!(video.time, at * 90);
                for at in [at, at + 20] {
                    let audio = line.audio(shown(at, 4080), 20).unwrap();
                    assert_eq!(audio.jump, None, "audio follows video's clock");
                    assert_eq!(audio.time, at);
                }
            }
            assert_eq!(jumps, [jump * 90]);
        }
    }

    #[test]
    fn audio_that_jumps_first_goes_over_to_videos_clock() {
        let mut line = Line::new(Some(MS), Some((MS, 1000)), 20, 0);
        line.set_origin(0);
        for at in (0..2000).step_by(20) {
            line.audio(at, 20).unwrap();
        }
        line.video(0, 0, 40);
        line.video(2040, 2040, 40);
        assert_eq!(line.audio(50_000, 20).unwrap().jump, Some(48_000));
        // The new clock has video 80 ms later than audio's jump alone made it seem.
        line.video(2080 + 48_080, 2080 + 48_080, 40).unwrap();
        assert_eq!(line.audio(50_020, 20).unwrap().time, 50_020 - 48_040 - 40);
    }

    proptest! {
        /// A thousand passes: the tracks' times stay where exact arithmetic has them.
        #[test]
        fn tracks_do_not_drift_over_a_thousand_passes(
            frames in 1_i64..300,
            fps in prop::sample::select(vec![(25, 1), (25, 2), (30_000, 1001), (24_000, 1001), (12, 1)]),
            audio_frames in 1_i64..500,
            rate in prop::sample::select(vec![48_000_u32, 44_100, 22_050]),
            late in 0_i64..2000,
        ) {
            let video_base = TimeBase { numerator: fps.1, denominator: fps.0 };
            let mut line = Line::new(Some(video_base), Some((samples(rate), rate)), 1024, 0);
            line.set_origin(0);
            let mut pass_start = 0;
            for _ in 0..1000 {
                let (first, _) = line.video(0, 0, frames - 1).unwrap();
                let (last, _) = line.video(frames - 1, frames - 1, 1).unwrap();
                let sound = line.audio(late, (audio_frames - 1) * 1024).unwrap();
                line.audio(late + (audio_frames - 1) * 1024, 1024).unwrap();
                prop_assert_eq!(first.time, pass_start);
                prop_assert_eq!(last.position, video_base.ticks(frames - 1, 90_000));
                // Picture and sound are as far apart as in the file, to the sample.
                let apart = i128::from(sound.time) * 90_000 - i128::from(first.time) * i128::from(rate);
                prop_assert!((apart - i128::from(late) * 90_000).abs() <= 90_000);
                pass_start = line.next_pass().unwrap();
            }
        }
    }
}
