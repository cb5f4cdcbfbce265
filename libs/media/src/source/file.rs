//! A media file as a source: played at its own pace, in a loop, by the rules of [`super::line`].

mod place;

use std::{
    io::Write,
    mem,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use ffmpeg_next::Packet;
use reelay_model::Micros;

use self::place::JUMPED;
use super::{
    Failure,
    demux::{self, Begin, FileInfo, FromFile, Opener},
    interleave::{Interleaver, Which},
    line::Line,
    picture::{Picture, PictureFrame},
    rules,
    say::Events,
    sound::Sound,
    tracks::Tracks,
};
use crate::{
    Resume, SourceJob, SourceProblemCode, TrackInfo,
    pace::Pace,
    segmenter::{AudioFrame, VIDEO_TIMESCALE, VideoFrame, rescale},
    worker::Output,
};

/// Packets that are read ahead, besides those that are put in order.
const READ_AHEAD: usize = 64;
const TICK: Duration = Duration::from_millis(400);
/// A source that gives nothing for so long is given up.
const STALLED: Duration = Duration::from_secs(15);

/// Plays the file until asked to stop.
pub(super) fn run<W: Write>(
    job: &SourceJob,
    open: Opener,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let resume = job.resume.as_ref();
    let target = resume.and_then(Target::of);
    let begin = target.filter(|target| !target.jumped).map(|target| Begin {
        position: target.position,
    });
    let (to_player, packets) = sync_channel(READ_AHEAD);
    // Detached: when the player ends, so does the process.
    thread::Builder::new()
        .name("demux".to_owned())
        .spawn(move || demux::read(open, begin, &to_player))
        .map_err(|error| Failure::internal(format!("no thread for reading: {error}")))?;
    let mut reader = Reader { packets };
    let info = loop {
        match reader.next(stop, output)? {
            Some(FromFile::Opened(info)) => break info,
            Some(FromFile::Failed(failure)) => return Err(failure),
            Some(_) => {}
            None => return Ok(()),
        }
    };
    let mut player = Player::new(job, info, target)?;
    let result = player.play(&mut reader, stop, output);
    if let Err(Failure::Problem(..)) = &result {
        if let Some(track) = &mut player.track {
            track.finish(output)?;
        }
    }
    result
}

/// Where the first frame is to come from and to go to.
#[derive(Debug, Clone, Copy)]
struct Target {
    /// In the file: see [`Begin`].
    position: i64,
    /// Start of the segment that it was counted from.
    cursor: i64,
    /// On the line, in the leading track's units.
    time: i64,
    jumped: bool,
}

impl Target {
    fn of(resume: &Resume) -> Option<Self> {
        let cursor = resume.cursor?;
        let time = resume.video.or(resume.audio)?;
        let start = (cursor & !JUMPED) as i64;
        Some(Self {
            position: start + resume.after.0 as i64,
            cursor: start,
            time: time.0 as i64,
            jumped: cursor & JUMPED != 0,
        })
    }
}

struct Reader {
    packets: Receiver<FromFile>,
}

impl Reader {
    /// The next message; none when asked to stop.
    fn next<W: Write>(
        &mut self,
        stop: &AtomicBool,
        output: &mut Output<W>,
    ) -> Result<Option<FromFile>, Failure> {
        let since = Instant::now();
        loop {
            match self.packets.recv_timeout(TICK) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if since.elapsed() < STALLED => output.tick()?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::Problem(
                        SourceProblemCode::Stalled,
                        format!("the source gave nothing for {} s", STALLED.as_secs()),
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::internal("the reader of packets has died"));
                }
            }
        }
    }
}

enum Item {
    Video {
        frame: PictureFrame,
        time: i64,
        decode: i64,
        cursor: u64,
        jumped: bool,
    },
    Audio {
        packet: Packet,
        time: i64,
        position: i64,
        duration: i64,
        cursor: u64,
        jumped: bool,
    },
}

struct Player<'a> {
    job: &'a SourceJob,
    info: FileInfo,
    picture: Option<Picture>,
    sound: Option<Sound>,
    line: Line,
    queues: Interleaver<Item>,
    /// What came before the line had its origin, or before the audio's configuration was known.
    early: Vec<(Which, Packet)>,
    settled: bool,
    /// Timestamp at which passes start, if it is not that of the first keyframe to come.
    origin: Option<i64>,
    /// Frames are left out up to here.
    target: Option<Target>,
    /// The first frame's time on the line, in the leading track's units.
    first_time: i64,
    discontinuity: bool,
    track: Option<Tracks>,
    pace: Pace,
    events: Events,
    /// Formats of video, before there are tracks.
    formats: Vec<TrackInfo>,
}

impl<'a> Player<'a> {
    fn new(job: &'a SourceJob, info: FileInfo, target: Option<Target>) -> Result<Self, Failure> {
        let picture = info
            .video
            .as_ref()
            .map(|stream| Picture::new(stream, info.bit_rate, job.part_target))
            .transpose()?;
        let sound = match &info.audio {
            // AAC with ADTS headers shows its configuration with the first packet.
            Some(stream)
                if stream.codec() != ffmpeg_next::codec::Id::AAC
                    || !stream.extradata().is_empty() =>
            {
                Some(Sound::new(stream, None)?)
            }
            _ => None,
        };
        let resume = job.resume.as_ref();
        let lead = |resume: &Resume| {
            if picture.is_some() {
                resume.video
            } else {
                resume.audio
            }
        };
        let first_time = resume.and_then(lead).map_or(0, |ticks| ticks.0 as i64);
        let mut player = Self {
            job,
            queues: Interleaver::new(picture.is_some(), info.audio.is_some()),
            line: Line::new(None, None, 0, 0),
            info,
            picture,
            sound,
            early: Vec::new(),
            settled: false,
            origin: None,
            target,
            first_time,
            discontinuity: resume.is_some_and(|resume| !resume.boundary || target.is_none()),
            track: None,
            pace: Pace::new(),
            events: Events::default(),
            formats: Vec::new(),
        };
        player.make_line();
        Ok(player)
    }

    /// The line, as soon as the audio's rate is known.
    fn make_line(&mut self) {
        let audio = self.info.audio.as_ref().zip(self.sound.as_ref());
        self.line = Line::new(
            self.info.video.as_ref().map(|stream| stream.base),
            audio.map(|(stream, sound)| (stream.base, sound.rate)),
            self.sound.as_ref().map_or(0, |sound| sound.frame_samples),
            self.first_time,
        );
        if let Some(target) = self.target {
            self.line.pin(target.position, target.time);
        }
    }

    fn play<W: Write>(
        &mut self,
        reader: &mut Reader,
        stop: &AtomicBool,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let mut pass_has_ended = false;
        loop {
            while let Some((due, item)) = self.queues.pop() {
                let Some(wall) = self.wait_for(Micros(due), stop, output)? else {
                    return Ok(());
                };
                self.push(item, Micros(due), wall, output)?;
                if self.stopped(stop) {
                    return Ok(());
                }
            }
            if mem::take(&mut pass_has_ended) {
                self.next_pass()?;
            }
            match reader.next(stop, output)? {
                Some(FromFile::Packet(which, packet)) => self.take(which, packet, output)?,
                Some(FromFile::Origin(timestamp)) => self.origin = Some(timestamp),
                Some(FromFile::PassEnd) => {
                    self.take_early(output)?;
                    self.end_pass()?;
                    pass_has_ended = true;
                }
                Some(FromFile::Damaged(what)) => self.events.damaged(&what, output)?,
                Some(FromFile::Failed(failure)) => return Err(failure),
                Some(FromFile::Opened(_)) => {}
                None => return Ok(()),
            }
        }
    }

    /// Waits until an item is due; gives the wall clock time that it then is. None when asked to
    /// stop before anything has begun.
    fn wait_for<W: Write>(
        &mut self,
        due: Micros,
        stop: &AtomicBool,
        output: &mut Output<W>,
    ) -> Result<Option<Micros>, Failure> {
        loop {
            let (wait, wall) = self.pace.due(due, Instant::now(), Micros::now());
            if wait.is_zero() {
                return Ok(Some(wall));
            }
            if self.stopped(stop) {
                return Ok(None);
            }
            thread::sleep(wait.min(TICK));
            output.tick()?;
        }
    }

    /// Whether to end now: asked to, and at the end of a segment.
    fn stopped(&mut self, stop: &AtomicBool) -> bool {
        if !stop.load(Ordering::Relaxed) {
            return false;
        }
        self.track.as_mut().is_none_or(Tracks::ended)
    }

    /// Hands an item that is due to the segmenter.
    fn push<W: Write>(
        &mut self,
        item: Item,
        due: Micros,
        wall: Micros,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        if self.track.is_none() {
            self.track = Some(self.make_tracks(output)?);
        }
        let alone = self.picture.is_none();
        let Some(track) = &mut self.track else {
            return Ok(());
        };
        match item {
            Item::Video {
                frame,
                time,
                decode,
                cursor,
                jumped,
            } => {
                let ahead = rescale(time, VIDEO_TIMESCALE, 1_000_000) - due.0;
                let frame = VideoFrame {
                    presentation: time,
                    decode_bound: Some(decode),
                    reorder: None,
                    kind: frame.kind,
                    discontinuity: jumped,
                    format: frame.format,
                    capture: Micros(wall.0 + ahead),
                    cursor: Some(cursor),
                    payload: frame.payload,
                };
                if !track.push_video(frame, output)? {
                    let what = "a packet of video cannot be decoded";
                    self.events.damaged(what, output)?;
                }
            }
            Item::Audio {
                packet,
                time,
                cursor,
                jumped,
                ..
            } => {
                let Some(sound) = &mut self.sound else {
                    return Ok(());
                };
                let Some(frames) = sound.frames(packet, time) else {
                    let what = "a packet of audio cannot be decoded";
                    return self.events.damaged(what, output);
                };
                for frame in frames {
                    let ahead = rescale(frame.time - time, sound.rate, 1_000_000);
                    // Where the frame begins in the file, if it is not the packet's own.
                    let position = cursor as i64 + if alone { frame.time - time } else { 0 };
                    track.segmenter.push_audio(AudioFrame {
                        time: frame.time,
                        duration: frame.duration,
                        discontinuity: jumped,
                        capture: Micros(wall.0 + ahead),
                        cursor: alone.then_some(position.max(0) as u64),
                        payload: frame.payload,
                    });
                }
            }
        }
        track.publish(output)?;
        Ok(())
    }

    fn make_tracks<W: Write>(&mut self, output: &mut Output<W>) -> Result<Tracks, Failure> {
        let mut tracks = Tracks::new(
            self.job,
            self.picture.as_ref(),
            self.sound.as_ref(),
            mem::take(&mut self.formats),
            self.discontinuity,
        )?;
        let greatest = rules::greatest_segment(self.job);
        if let Some(interval) = self.info.key_interval
            && interval > greatest.0
            && !tracks.recodes()
        {
            tracks.recode_for_keyframes(Micros(interval), output)?;
        }
        Ok(tracks)
    }

    fn format_is(&mut self, track: TrackInfo) {
        match &mut self.track {
            // The encoder says its own.
            Some(tracks) if tracks.recodes() => {}
            Some(tracks) => tracks.publisher.video_formats.push(track),
            None => self.formats.push(track),
        }
    }
}
