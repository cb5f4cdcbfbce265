//! A media file as a source: played at its own pace, in a loop, by the rules of [`super::line`].

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

use super::{
    Failure,
    demux::{self, Begin, FileInfo, FromFile, Opener},
    interleave::{Interleaver, Which},
    line::Line,
    picture::{Picture, PictureFrame},
    rules,
    sound::Sound,
};
use crate::{
    Resume, SourceJob, SourceProblem, SourceProblemCode, TrackInfo,
    pace::Pace,
    publish::{Payload, Publisher},
    segmenter::{AudioFrame, AudioRules, Segmenter, VIDEO_TIMESCALE, VideoFrame, rescale},
    worker::Output,
};

/// Packets that are read ahead, besides those that are put in order.
const READ_AHEAD: usize = 64;
const TICK: Duration = Duration::from_millis(400);
/// A source that gives nothing for so long is given up.
const STALLED: Duration = Duration::from_secs(15);
/// Problems that are events are said once in so long.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// In a cursor: the position lies behind a jump of the timestamps, and can only be found by
/// reading from the start.
const JUMPED: u64 = 1 << 62;
/// So many packets may come before all is known that has to be.
const MOST_EARLY: usize = 1024;

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
        // What there is ends as a segment.
        if let Some(track) = &mut player.track {
            track.segmenter.finish(i64::from(VIDEO_TIMESCALE) / 25);
            track.publisher.publish(&mut track.segmenter, output)?;
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

/// What exists from when the tracks are known.
struct Tracks {
    segmenter: Segmenter<Payload>,
    publisher: Publisher,
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
    said: Vec<(SourceProblemCode, Instant)>,
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
            said: Vec::new(),
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
                Some(FromFile::Damaged(what)) => self.damaged(&what, output)?,
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
        let Some(track) = &mut self.track else {
            return true;
        };
        match track.segmenter.segment() {
            Some(segment) => track.publisher.end_after(segment),
            None => true,
        }
    }

    fn take<W: Write>(
        &mut self,
        which: Which,
        packet: Packet,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        if self.settled {
            return self.place(which, packet, output);
        }
        self.early.push((which, packet));
        let needs_sound = self.info.audio.is_some() && self.sound.is_none();
        let has_sound = self.early.iter().any(|(which, _)| *which == Which::Audio);
        if !needs_sound || has_sound || self.early.len() > MOST_EARLY {
            self.take_early(output)?;
        }
        Ok(())
    }

    /// Settles which tracks there are, and takes what had to wait for that.
    fn take_early<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), Failure> {
        if mem::replace(&mut self.settled, true) {
            return Ok(());
        }
        if self.sound.is_none()
            && let Some(stream) = self.info.audio.take()
        {
            let first = self.early.iter().find(|(which, _)| *which == Which::Audio);
            // Audio without a single packet is none.
            if let Some((_, first)) = first {
                self.sound = Some(Sound::new(&stream, Some(first))?);
                self.info.audio = Some(stream);
            }
            self.make_line();
        }
        self.queues
            .start_pass(self.picture.is_some(), self.sound.is_some());
        for (which, packet) in mem::take(&mut self.early) {
            self.place(which, packet, output)?;
        }
        Ok(())
    }

    fn place<W: Write>(
        &mut self,
        which: Which,
        packet: Packet,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        match which {
            Which::Video => self.take_video(packet, output),
            Which::Audio => self.take_audio(packet, output),
        }
    }

    fn take_video<W: Write>(
        &mut self,
        packet: Packet,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let Some(picture) = &mut self.picture else {
            return Ok(());
        };
        let suspect = packet.is_corrupt();
        let Some(pts) = packet.pts().or(packet.dts()) else {
            return self.damaged("a packet of video has no timestamp", output);
        };
        let dts = packet.dts().unwrap_or(pts);
        let (duration, size) = (packet.duration(), packet.size());
        let mut frame = match picture.frame(packet) {
            Ok(frame) => frame,
            Err(error) => return self.damaged(&error.to_string(), output),
        };
        if suspect {
            // MPEG-TS calls whatever stands next to a lost packet so: decoders make the best of it.
            self.damaged("a packet of video may be incomplete", output)?;
        }
        let key = frame.kind.is_key();
        if !self.line.has_origin() {
            if !key {
                return Ok(());
            }
            self.begin_line(self.origin.unwrap_or(pts), output)?;
        }
        if let Some(track) = frame.new_track.take() {
            self.format_is(track);
        }
        let Some((place, decode)) = self.line.video(pts, dts, duration) else {
            return Ok(());
        };
        if let Some(jump) = place.jump {
            self.jumped("video", jump, VIDEO_TIMESCALE, output)?;
        }
        let mut time = place.time;
        let mut decode = decode;
        if let Some(target) = self.target {
            if !key || time + 2 < target.time {
                return Ok(());
            }
            let off = time - target.time;
            if off.abs() > 2 {
                // The file is not what it was: start here.
                self.discontinuity = true;
                self.queues.retain_audio(|_| false);
            }
            self.line.pin(place.position, target.time);
            (time, decode) = (target.time, decode - off);
            self.target = None;
        }
        let jump_flag = if self.line.has_jumped() { JUMPED } else { 0 };
        let due = rescale(decode, VIDEO_TIMESCALE, 1_000_000);
        self.queues.push(
            Which::Video,
            due,
            size,
            Item::Video {
                frame,
                time,
                decode,
                cursor: place.position.max(0) as u64 | jump_flag,
                jumped: place.jump.is_some(),
            },
        );
        Ok(())
    }

    /// The line begins at this timestamp of the leading track.
    fn begin_line<W: Write>(
        &mut self,
        timestamp: i64,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        self.line.set_origin(timestamp);
        for (_, packet) in mem::take(&mut self.early) {
            self.take_audio(packet, output)?;
        }
        Ok(())
    }

    fn take_audio<W: Write>(
        &mut self,
        packet: Packet,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let Some(timestamp) = packet.pts().or(packet.dts()) else {
            return self.damaged("a packet of audio has no timestamp", output);
        };
        if packet.is_corrupt() {
            return self.damaged("a packet of audio is incomplete", output);
        }
        if !self.line.has_origin() {
            if self.picture.is_none() {
                self.line.set_origin(self.origin.unwrap_or(timestamp));
            } else {
                // Video's first keyframe is still to come.
                self.early.push((Which::Audio, packet));
                if self.early.len() > MOST_EARLY {
                    self.early.remove(0);
                }
                return Ok(());
            }
        }
        let (Some(sound), Some(stream)) = (&self.sound, &self.info.audio) else {
            return Ok(());
        };
        let duration = sound.packet_samples(&packet, stream);
        let rate = sound.rate;
        let Some(place) = self.line.audio(timestamp, duration) else {
            return Ok(());
        };
        if let Some(jump) = place.jump {
            self.jumped("audio", jump, rate, output)?;
        }
        let floor = match (&self.picture, self.target) {
            (Some(_), target) => {
                let time = target.map_or(self.first_time, |target| target.time);
                rescale(time, VIDEO_TIMESCALE, rate)
            }
            (None, Some(target)) => target.time - duration / 2,
            (None, None) => i64::MIN,
        };
        if place.time + duration <= floor {
            return Ok(());
        }
        if self.picture.is_none() {
            self.target = None;
        }
        let jump_flag = if self.line.has_jumped() { JUMPED } else { 0 };
        self.queues.push(
            Which::Audio,
            rescale(place.time, rate, 1_000_000),
            packet.size(),
            Item::Audio {
                packet,
                time: place.time,
                position: place.position,
                duration,
                cursor: place.position.max(0) as u64 | jump_flag,
                jumped: place.jump.is_some(),
            },
        );
        Ok(())
    }

    fn end_pass(&mut self) -> Result<(), Failure> {
        let Some(length) = self.line.length_in_samples().or(self.line.length()) else {
            let what = match (&self.picture, self.line.has_origin()) {
                (Some(_), false) => "the file's video has no keyframe",
                _ => "the file has no frames",
            };
            return Err(Failure::Problem(
                SourceProblemCode::NoMedia,
                what.to_owned(),
            ));
        };
        self.queues.retain_audio(|item| match item {
            Item::Audio {
                position, duration, ..
            } => position + duration / 2 < length,
            Item::Video { .. } => true,
        });
        self.queues.end_pass();
        Ok(())
    }

    fn next_pass(&mut self) -> Result<(), Failure> {
        let length = self.line.length();
        self.line.next_pass();
        if let (Some(target), Some(length)) = (&mut self.target, length)
            && target.cursor > length
        {
            // The file is shorter than it was: start at its beginning.
            self.discontinuity = true;
            (target.cursor, target.position) = (0, 0);
            self.line.pin(0, target.time);
        }
        if let Some(sound) = &mut self.sound {
            sound.reset();
        }
        self.queues
            .start_pass(self.picture.is_some(), self.sound.is_some());
        Ok(())
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
            self.track = Some(self.make_tracks()?);
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
                track.segmenter.push_video(VideoFrame {
                    presentation: time,
                    decode_bound: Some(decode),
                    kind: frame.kind,
                    discontinuity: jumped,
                    format: frame.format,
                    capture: Micros(wall.0 + ahead),
                    cursor: Some(cursor),
                    payload: frame.payload,
                });
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
                    return self.damaged("a packet of audio cannot be decoded", output);
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
        track.publisher.publish(&mut track.segmenter, output)?;
        Ok(())
    }

    fn make_tracks(&mut self) -> Result<Tracks, Failure> {
        let target = self.job.part_target;
        let audio = self
            .sound
            .as_ref()
            .map(|sound| sound.track(target))
            .transpose()?;
        let audio_rules = self
            .sound
            .as_ref()
            .zip(audio.as_ref())
            .map(|(sound, info)| {
                let silence = sound.silence();
                AudioRules {
                    rate: sound.rate,
                    silence_samples: sound.frame_samples,
                    silence: Box::new(move || Payload::Bytes(silence.clone())),
                    part_target: rules::samples(info.part_target, sound.rate),
                    grid: self
                        .job
                        .resume
                        .as_ref()
                        .and_then(|resume| resume.audio)
                        .map(|ticks| ticks.0 as i64),
                }
            });
        let video_rules = self
            .picture
            .as_ref()
            .map(|picture| rules::video(self.job, picture.part_target()));
        let mut publisher =
            Publisher::new(None, audio, self.discontinuity, self.job.greatest_segment);
        publisher.video_formats = mem::take(&mut self.formats);
        Ok(Tracks {
            segmenter: Segmenter::new(video_rules, audio_rules),
            publisher,
        })
    }

    fn format_is(&mut self, track: TrackInfo) {
        match &mut self.track {
            Some(tracks) => tracks.publisher.video_formats.push(track),
            None => self.formats.push(track),
        }
    }

    fn damaged<W: Write>(&mut self, what: &str, output: &mut Output<W>) -> Result<(), Failure> {
        self.say(
            SourceProblemCode::CorruptMedia,
            format!("part of the source is damaged: {what}; what is sound is played"),
            output,
        )
    }

    fn jumped<W: Write>(
        &mut self,
        what: &str,
        jump: i64,
        rate: u32,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        let seconds = jump as f64 / f64::from(rate);
        let way = if jump > 0 { "forward" } else { "back" };
        self.say(
            SourceProblemCode::TimestampJump,
            format!(
                "the source's timestamps of {what} jump {way} by {:.1} s: it is played on without \
                 the jump",
                seconds.abs()
            ),
            output,
        )
    }

    /// Says an event, if it has not been said lately.
    fn say<W: Write>(
        &mut self,
        code: SourceProblemCode,
        message: String,
        output: &mut Output<W>,
    ) -> Result<(), Failure> {
        self.said.retain(|(_, at)| at.elapsed() < SAY_AGAIN);
        if self.said.iter().any(|(said, _)| *said == code) {
            return Ok(());
        }
        self.said.push((code, Instant::now()));
        output.problem(SourceProblem {
            code,
            message,
            lasting: false,
            fatal: false,
        })?;
        Ok(())
    }
}
