//! A live source: what comes is cut and published as it comes, by the source's clock.
//!
//! One worker serves one connection. When that breaks, the worker ends with a problem, and the
//! next goes on behind it with a discontinuity: between them the camera was not seen.

mod capture;
mod clock;
mod reorder;

use std::{
    collections::VecDeque,
    io::Write,
    mem,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use ffmpeg_next::Packet;
use reelay_model::Micros;

use self::{capture::CaptureClock, clock::LiveClock, reorder::Reordering};
use super::{
    Failure, demux::StreamInfo, interleave::Which, picture::Picture, say::Events, sound::Sound,
    tracks::Tracks,
};
use crate::{
    SourceJob, SourceProblemCode, TrackInfo,
    segmenter::{AudioFrame, VIDEO_TIMESCALE, VideoFrame, rescale},
    worker::Output,
};

const TICK: Duration = Duration::from_millis(400);
/// A source that gives nothing for so long is given up.
const STALLED: Duration = Duration::from_secs(10);
/// A source whose packets hold nothing that can be shown for so long is given up.
const NOTHING_USABLE: Duration = Duration::from_secs(30);
/// Packets of audio that wait for the first keyframe of video.
const MOST_EARLY: usize = 256;

/// What a source has.
pub(super) struct LiveInfo {
    pub video: Option<StreamInfo>,
    pub audio: Option<StreamInfo>,
}

/// What a source says.
pub(super) enum FromLive {
    Opened(LiveInfo),
    Packet {
        which: Which,
        /// Its presentation time is the source's timestamp.
        packet: Packet,
        arrival: Micros,
    },
    /// The source's clock: this timestamp was at this time.
    Report {
        which: Which,
        timestamp: i64,
        wall: Micros,
    },
    /// Something is missing or cannot be understood.
    Damaged(String),
    /// A problem that the stream goes on with.
    Event(SourceProblemCode, String),
    Failed(Failure),
}

/// Publishes what comes until asked to stop.
pub(super) fn run<W: Write>(
    job: &SourceJob,
    from: &Receiver<FromLive>,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let mut player = None;
    let result = play(job, &mut player, from, stop, output);
    if let (
        Err(Failure::Problem(..)),
        Some(Player {
            track: Some(track), ..
        }),
    ) = (&result, &mut player)
    {
        // What there is ends as a segment.
        track.finish(output)?;
    }
    result
}

fn play<'a, W: Write>(
    job: &'a SourceJob,
    player: &mut Option<Player<'a>>,
    from: &Receiver<FromLive>,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let mut heard = Instant::now();
    loop {
        let message = from.recv_timeout(TICK);
        output.tick()?;
        match (&message, player.as_ref()) {
            (Ok(FromLive::Packet { .. }), _) | (_, None) => heard = Instant::now(),
            (_, Some(player)) if heard.elapsed() > STALLED => return Err(player.stalled()),
            _ => {}
        }
        if stop.load(Ordering::Relaxed) && player.as_mut().is_none_or(Player::ended) {
            return Ok(());
        }
        match (message, player.as_mut()) {
            (Ok(FromLive::Opened(info)), _) => {
                *player = Some(Player::new(job, info)?);
            }
            (Ok(FromLive::Failed(failure)), _) => return Err(failure),
            (
                Ok(FromLive::Packet {
                    which,
                    packet,
                    arrival,
                }),
                Some(player),
            ) => {
                player.take(which, packet, arrival, output)?;
            }
            (
                Ok(FromLive::Report {
                    which,
                    timestamp,
                    wall,
                }),
                Some(player),
            ) => {
                player.report(which, timestamp, wall);
            }
            (Ok(FromLive::Damaged(what)), Some(player)) => {
                player.events.damaged(&what, output)?;
                player.useless = Some(what);
            }
            (Ok(FromLive::Event(code, message)), Some(player)) => {
                player.events.say(code, message, output)?;
            }
            (Ok(_), None) => {}
            (Err(RecvTimeoutError::Timeout), _) => {}
            (Err(RecvTimeoutError::Disconnected), _) => {
                return Err(Failure::internal("the reader of the source has died"));
            }
        }
    }
}

struct Player<'a> {
    job: &'a SourceJob,
    picture: Option<Picture>,
    sound: Option<Sound>,
    clock: LiveClock,
    capture: CaptureClock,
    reordering: Reordering,
    /// Audio from before the first keyframe.
    early: VecDeque<(Packet, Micros)>,
    track: Option<Tracks>,
    /// Formats of video, before there are tracks.
    formats: Vec<TrackInfo>,
    events: Events,
    opened: Instant,
    /// How far video's times have come, and when.
    advanced: (i64, Instant),
    /// Why the last packet was of no use.
    useless: Option<String>,
}

impl<'a> Player<'a> {
    fn new(job: &'a SourceJob, info: LiveInfo) -> Result<Self, Failure> {
        let LiveInfo { video, audio } = info;
        let picture = video
            .as_ref()
            .map(|stream| Picture::new(stream, 0, job.part_target))
            .transpose()?;
        let sound = audio
            .as_ref()
            .map(|stream| Sound::new(stream, None))
            .transpose()?;
        let resume = job.resume.as_ref();
        let start = resume.and_then(|resume| match picture {
            Some(_) => resume.video,
            None => resume.audio,
        });
        let clock_rate = |stream: &StreamInfo| stream.base.rate();
        let clock = LiveClock::new(
            video.as_ref().map(clock_rate),
            audio
                .as_ref()
                .zip(sound.as_ref())
                .map(|(stream, sound)| (clock_rate(stream), sound.rate)),
            start.map_or(0, |ticks| ticks.0 as i64),
        );
        Ok(Self {
            job,
            picture,
            sound,
            clock,
            capture: CaptureClock::default(),
            reordering: Reordering::default(),
            early: VecDeque::new(),
            track: None,
            formats: Vec::new(),
            events: Events::default(),
            opened: Instant::now(),
            advanced: (i64::MIN, Instant::now()),
            useless: None,
        })
    }

    /// What has come for too long is nothing.
    fn stalled(&self) -> Failure {
        let seconds = STALLED.as_secs();
        let message = match &self.useless {
            None => {
                format!("the camera keeps its connection, but has sent no media for {seconds} s")
            }
            Some(what) => {
                format!("nothing that the camera has sent for {seconds} s can be used: {what}")
            }
        };
        Failure::Problem(SourceProblemCode::Stalled, message)
    }

    /// Asked to end: whether that can be now.
    fn ended(&mut self) -> bool {
        self.track.as_mut().is_none_or(Tracks::ended)
    }

    fn report(&mut self, which: Which, timestamp: i64, wall: Micros) {
        self.clock.report(which, timestamp, wall.0);
        let leads = (which == Which::Video) == self.picture.is_some();
        if leads && let Some(line) = self.clock.line(which, timestamp) {
            self.capture.report(line, wall);
        }
    }

    fn take<W: Write>(
        &mut self,
        which: Which,
        packet: Packet,
        arrival: Micros,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        match which {
            Which::Video => self.take_video(packet, arrival, output)?,
            Which::Audio => self.take_audio(packet, arrival, output)?,
        }
        if let Some(track) = &mut self.track {
            track.publish(output)?;
        } else if self.opened.elapsed() > NOTHING_USABLE {
            let why = match &self.useless {
                Some(reason) => format!(": {reason}"),
                None => ": no keyframe came".to_owned(),
            };
            return Err(Failure::Problem(
                SourceProblemCode::NoMedia,
                format!(
                    "the camera has sent nothing that can be shown for {} s{why}",
                    NOTHING_USABLE.as_secs()
                ),
            ));
        }
        Ok(())
    }

    fn take_video<W: Write>(
        &mut self,
        packet: Packet,
        arrival: Micros,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let (Some(picture), Some(timestamp)) = (&mut self.picture, packet.pts()) else {
            return Ok(());
        };
        let mut frame = match picture.frame(packet) {
            Ok(frame) => frame,
            Err(error) => {
                self.useless = Some(error.to_string());
                return self.events.damaged(&error.to_string(), output);
            }
        };
        let said = picture.reorder();
        if !self.clock.has_origin() {
            if !frame.kind.is_key() {
                return Ok(());
            }
            self.clock.set_origin(timestamp);
        }
        if let Some(track) = frame.new_track.take() {
            match &mut self.track {
                // The encoder says its own.
                Some(tracks) if tracks.recodes() => {}
                Some(tracks) => tracks.publisher.video_formats.push(track),
                None => self.formats.push(track),
            }
        }
        let Some(place) = self.clock.lead(timestamp, arrival.0) else {
            return Ok(());
        };
        self.jumped(place.jump, output)?;
        let (furthest, since) = &mut self.advanced;
        if place.time > *furthest {
            (*furthest, *since) = (place.time, Instant::now());
        } else if since.elapsed() > STALLED {
            return Err(Failure::Problem(
                SourceProblemCode::Stalled,
                "the camera sends pictures, but their timestamps stand still".to_owned(),
            ));
        }
        let depth = self.reordering.depth(place.time, said);
        let line = rescale(place.time, VIDEO_TIMESCALE, 1_000_000);
        self.capture.arrived(line, arrival);
        let capture = self.capture.capture(line);
        let frame = VideoFrame {
            presentation: place.time,
            decode_bound: None,
            reorder: Some(depth),
            kind: frame.kind,
            discontinuity: place.jump.is_some(),
            format: frame.format,
            capture,
            cursor: None,
            payload: frame.payload,
        };
        if !self.tracks()?.push_video(frame, output)? {
            let what = "a packet of video cannot be decoded";
            self.useless = Some(what.to_owned());
            self.events.damaged(what, output)?;
        }
        for (packet, arrival) in mem::take(&mut self.early) {
            self.take_audio(packet, arrival, output)?;
        }
        Ok(())
    }

    fn take_audio<W: Write>(
        &mut self,
        packet: Packet,
        arrival: Micros,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let Some(timestamp) = packet.pts().filter(|_| self.sound.is_some()) else {
            return Ok(());
        };
        let alone = self.picture.is_none();
        if !self.clock.has_origin() {
            if !alone {
                self.early.push_back((packet, arrival));
                if self.early.len() > MOST_EARLY {
                    self.early.pop_front();
                }
                return Ok(());
            }
            self.clock.set_origin(timestamp);
        }
        let place = if alone {
            self.clock.lead(timestamp, arrival.0)
        } else {
            self.clock.audio(timestamp, arrival.0)
        };
        let (Some(place), Some(sound)) = (place, &mut self.sound) else {
            return Ok(());
        };
        let (rate, jump) = (sound.rate, place.jump.filter(|_| alone));
        let Some(frames) = sound.frames(packet, place.time) else {
            return self
                .events
                .damaged("a packet of audio cannot be decoded", output);
        };
        if alone {
            self.jumped(jump, output)?;
            self.capture
                .arrived(rescale(place.time, rate, 1_000_000), arrival);
        }
        for frame in frames {
            let capture = self.capture.capture(rescale(frame.time, rate, 1_000_000));
            if alone || self.track.is_some() {
                self.tracks()?.segmenter.push_audio(AudioFrame {
                    time: frame.time,
                    duration: frame.duration,
                    discontinuity: jump.is_some(),
                    capture,
                    cursor: None,
                    payload: frame.payload,
                });
            }
        }
        Ok(())
    }

    /// The tracks; made with the first frame.
    fn tracks(&mut self) -> Result<&mut Tracks, Failure> {
        let tracks = match self.track.take() {
            Some(tracks) => tracks,
            None => Tracks::new(
                self.job,
                self.picture.as_ref(),
                self.sound.as_ref(),
                mem::take(&mut self.formats),
                // What lies between two connections was not seen.
                self.job.resume.is_some(),
            )?,
        };
        Ok(self.track.insert(tracks))
    }

    fn jumped<W: Write>(
        &mut self,
        jump: Option<i64>,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let Some(jump) = jump else {
            return Ok(());
        };
        self.reordering.jumped();
        self.capture.reset();
        let what = if self.picture.is_some() {
            "video"
        } else {
            "audio"
        };
        self.events.jumped(what, jump, 1_000_000, output)
    }
}
