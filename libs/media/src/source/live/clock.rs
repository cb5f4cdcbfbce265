//! From a camera's timestamps to the time line, and audio's beside video's. Plain arithmetic.
//!
//! The line runs by the leading track's own clock (video's, if there is video): its first frame
//! lies where the line is to begin, and every later one as far behind it as the camera says. The
//! clocks of video and audio have nothing in common but what the camera says of them:
//!
//! 1. RTCP sender reports name a wall clock time for a timestamp (RFC 3550 §6.4.1);
//! 2. until both have come, frames of one moment are taken to arrive at about the same time.
//!
//! Reports that contradict the arrival grossly are not believed. What the answer to PLAY says of
//! timestamps (RTP-Info, RFC 2326 §12.33) is not asked: many cameras write nonsense there.
//!
//! A *jump* of the leading clock (a camera that was set anew, an outage) is taken out: the line
//! goes on where it was, with a discontinuity, and audio is aligned afresh.

use crate::{
    segmenter::{VIDEO_TIMESCALE, rescale},
    source::interleave::Which,
};

/// Timestamps that go on later than this have jumped, in ms.
const FORWARD_MS: i64 = 3000;
/// Timestamps that fall back by more have jumped; less is reordering or jitter. In ms.
const BACKWARD_MS: i64 = 500;
/// An alignment that differs by less from the one in force is not worth a glitch, in µs.
const TOLERANCE: i64 = 40_000;
/// Reports that contradict the arrival by more are not believed, in µs.
const SANE: i64 = 10_000_000;
const MICROS: u32 = 1_000_000;

/// Where a frame lies on the line, in the track's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub time: i64,
    /// How far the timestamps have jumped right before it, in µs.
    pub jump: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Track {
    /// Timestamps a second, and units of the line a second.
    clock: u32,
    rate: u32,
    last: Option<i64>,
    /// Distance of the last two timestamps in order.
    step: i64,
    /// Least of arrival less timestamp, in µs: of the frame that was on its way the shortest.
    arrival: Option<i64>,
    /// Wall clock less timestamp by the last report, in µs.
    report: Option<i64>,
}

impl Track {
    fn new(clock: u32, rate: u32) -> Self {
        Self {
            clock,
            rate,
            last: None,
            step: 0,
            arrival: None,
            report: None,
        }
    }

    fn micros(&self, timestamp: i64) -> i64 {
        rescale(timestamp, self.clock, MICROS)
    }

    /// Notices a frame; how far the timestamps have jumped, if they have.
    fn arrived(&mut self, timestamp: i64, arrival: i64) -> Option<i64> {
        let mut jump = None;
        if let Some(last) = self.last {
            let off = timestamp - last;
            let ms = i64::from(self.clock) / 1000;
            if off > FORWARD_MS * ms.max(1) || off < -BACKWARD_MS * ms.max(1) {
                jump = Some(off - self.step);
                (self.arrival, self.report) = (None, None);
            } else if off > 0 {
                self.step = off;
            }
        }
        // Reordered frames do not turn the clock back.
        if jump.is_some() || self.last.is_none_or(|last| timestamp > last) {
            self.last = Some(timestamp);
        }
        let delay = arrival - self.micros(timestamp);
        self.arrival = Some(self.arrival.map_or(delay, |least| least.min(delay)));
        jump
    }
}

/// The clocks of one connection.
#[derive(Debug)]
pub(super) struct LiveClock {
    video: Option<Track>,
    audio: Option<Track>,
    /// Where the line begins, in the leading track's units, and the timestamp that lies there.
    start: i64,
    origin: Option<i64>,
    /// Added to audio's time (in µs) it gives video's.
    offset: Option<i64>,
}

impl LiveClock {
    /// For tracks with so many timestamps a second (and samples a second, of audio).
    pub(super) fn new(video: Option<u32>, audio: Option<(u32, u32)>, start: i64) -> Self {
        Self {
            video: video.map(|clock| Track::new(clock, VIDEO_TIMESCALE)),
            audio: audio.map(|(clock, rate)| Track::new(clock, rate)),
            start,
            origin: None,
            offset: None,
        }
    }

    /// Whether frames can be placed.
    pub(super) fn has_origin(&self) -> bool {
        self.origin.is_some()
    }

    /// The leading track's frame with this timestamp begins the line.
    pub(super) fn set_origin(&mut self, timestamp: i64) {
        self.origin = Some(timestamp);
    }

    fn track(&mut self, which: Which) -> Option<&mut Track> {
        match which {
            Which::Video => self.video.as_mut(),
            Which::Audio => self.audio.as_mut(),
        }
    }

    /// A sender report says that `timestamp` was at `wall`, in µs.
    pub(super) fn report(&mut self, which: Which, timestamp: i64, wall: i64) {
        if let Some(track) = self.track(which) {
            track.report = Some(wall - track.micros(timestamp));
        }
    }

    /// A timestamp on the line in µs, as it is mapped now; none before the origin or alignment.
    pub(super) fn line(&self, which: Which, timestamp: i64) -> Option<i64> {
        let origin = self.origin?;
        let lead = self.video.as_ref().or(self.audio.as_ref())?;
        let start = rescale(self.start, lead.rate, MICROS) - lead.micros(origin);
        match (which, &self.audio) {
            (Which::Audio, Some(audio)) if self.video.is_some() => {
                Some(start + audio.micros(timestamp) + self.offset?)
            }
            _ => Some(start + lead.micros(timestamp)),
        }
    }

    /// Places a frame of the leading track.
    pub(super) fn lead(&mut self, timestamp: i64, arrival: i64) -> Option<Place> {
        let lead = self.video.as_mut().or(self.audio.as_mut())?;
        let jump = lead.arrived(timestamp, arrival);
        let clock = lead.clock;
        let jump_micros = jump.map(|jump| lead.micros(jump));
        let origin = self.origin.as_mut()?;
        if let Some(jump) = jump {
            // A step behind the last frame, whatever the timestamp says.
            *origin += jump;
            if let Some(audio) = self.audio.as_mut().filter(|_| self.video.is_some()) {
                (audio.arrival, audio.report) = (None, None);
                self.offset = None;
            }
        }
        let rate = match &self.video {
            Some(_) => VIDEO_TIMESCALE,
            None => self.audio.as_ref()?.rate,
        };
        Some(Place {
            time: self.start + rescale(timestamp - *origin, clock, rate),
            jump: jump_micros,
        })
    }

    /// Places a frame of audio beside video; none before it can be told where that is.
    pub(super) fn audio(&mut self, timestamp: i64, arrival: i64) -> Option<Place> {
        let audio = self.audio.as_mut()?;
        let jump = audio.arrived(timestamp, arrival);
        if jump.is_some() {
            self.offset = None;
        }
        let (clock, rate) = (audio.clock, audio.rate);
        let offset = self.align()?;
        let origin = self.origin?;
        let video = self.video.as_ref()?;
        // One rounding, so that frames of even length stay even.
        let start = rescale(self.start, VIDEO_TIMESCALE, MICROS) - video.micros(origin) + offset;
        Some(Place {
            time: rescale(timestamp, clock, rate) + rescale(start, MICROS, rate),
            jump: jump.map(|jump| rescale(jump, clock, MICROS)),
        })
    }

    /// The offset that is in force, put right if there is reason to.
    fn align(&mut self) -> Option<i64> {
        let (video, audio) = (self.video.as_ref()?, self.audio.as_ref()?);
        let apart = |of: fn(&Track) -> Option<i64>| Some(of(audio)? - of(video)?);
        let arrival = apart(|track| track.arrival)?;
        let reports = apart(|track| track.report).filter(|offset| (offset - arrival).abs() <= SANE);
        let wanted = reports.or(self.offset).unwrap_or(arrival);
        let offset = self
            .offset
            .filter(|offset| (offset - wanted).abs() <= TOLERANCE)
            .unwrap_or(wanted);
        self.offset = Some(offset);
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 8 kHz timestamps of audio, played at 48 kHz.
    fn clock() -> LiveClock {
        LiveClock::new(Some(90_000), Some((8000, 48_000)), 180_000)
    }

    fn at(place: Option<Place>) -> i64 {
        place.unwrap().time
    }

    #[test]
    fn the_line_begins_where_it_is_told_to_and_runs_by_the_source() {
        let mut clock = clock();
        assert_eq!(clock.lead(7_000_000, 0), None);
        clock.set_origin(7_000_000);
        assert_eq!(at(clock.lead(7_000_000, 0)), 180_000);
        assert_eq!(at(clock.lead(7_003_600, 900_000)), 183_600);
        // Reordered.
        assert_eq!(at(clock.lead(7_001_800, 900_000)), 181_800);
    }

    #[test]
    fn audio_is_aligned_by_arrival_then_by_reports() {
        let mut clock = clock();
        clock.set_origin(0);
        clock.lead(0, 1_000_000);
        // 100 ms after the picture.
        assert_eq!(at(clock.audio(500_000, 1_100_000)), 48_000 * 2 + 4800);
        // The reports say that it was 250 ms after it.
        clock.report(Which::Video, 90_000, 11_000_000);
        clock.report(Which::Audio, 508_000, 11_250_000);
        assert_eq!(at(clock.audio(500_000, 1_100_000)), 48_000 * 2 + 12_000);
        // A little drift changes nothing.
        clock.report(Which::Audio, 516_000, 12_260_000);
        assert_eq!(at(clock.audio(508_000, 2_100_000)), 48_000 * 3 + 12_000);
        // Nonsense neither.
        clock.report(Which::Audio, 516_000, 99_000_000_000);
        assert_eq!(at(clock.audio(508_000, 2_100_000)), 48_000 * 3 + 12_000);
    }

    #[test]
    fn a_jump_is_taken_out_and_audio_aligned_afresh() {
        let mut clock = clock();
        clock.set_origin(0);
        clock.lead(0, 0);
        clock.lead(3600, 40_000);
        clock.audio(0, 0);
        let place = clock.lead(900_000_000, 80_000).unwrap();
        assert_eq!(place.time, 180_000 + 7200);
        assert!(place.jump.unwrap() > 9_000_000_000);
        // Audio's clock has jumped as well, by something else.
        let place = clock.audio(77_000_000, 80_000).unwrap();
        assert_eq!(place.time, 48_000 * 2 + 80 * 48);
        assert!(clock.lead(0, 120_000).unwrap().jump.unwrap() < 0);
        assert_eq!(at(clock.lead(3600, 160_000)), 180_000 + 4 * 3600);
    }

    proptest! {
        /// Whatever a camera sends, places are finite and the leading track's do not run away.
        #[test]
        fn nonsense_is_survived(
            events in prop::collection::vec((0_u8..4, any::<u32>(), any::<u32>()), 1..100)
        ) {
            let mut clock = clock();
            clock.set_origin(0);
            let mut last = None;
            for (kind, timestamp, arrival) in events {
                let (timestamp, arrival) = (i64::from(timestamp), i64::from(arrival));
                match kind {
                    0 => {
                        let time = at(clock.lead(timestamp, arrival));
                        if let Some(last) = last {
                            let forward: i64 = time - last;
                            prop_assert!(forward <= (FORWARD_MS + BACKWARD_MS) * 90);
                            prop_assert!(forward >= -BACKWARD_MS * 90 * 2 - FORWARD_MS * 90);
                        }
                        last = Some(time);
                    }
                    1 => {
                        clock.audio(timestamp, arrival);
                    }
                    2 => clock.report(Which::Video, timestamp, arrival),
                    _ => clock.report(Which::Audio, timestamp, arrival),
                }
            }
        }
    }
}
