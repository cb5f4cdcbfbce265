//! Lays a file's packets on its line: what comes before all is known waits, what lies before the
//! place to go on at is left out, and the rest is queued for when it is due.

use std::{io::Write, mem};

use ffmpeg_next::Packet;

use super::{Item, Player};
use crate::{
    SourceProblemCode,
    segmenter::{VIDEO_TIMESCALE, rescale},
    source::{Failure, interleave::Which, sound::Sound},
    worker::Output,
};

/// In a cursor: the position lies behind a jump of the timestamps, and can only be found by
/// reading from the start.
pub(super) const JUMPED: u64 = 1 << 62;
/// So many packets may come before all is known that has to be.
const MOST_EARLY: usize = 1024;

impl Player<'_> {
    pub(super) fn take<W: Write>(
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
    pub(super) fn take_early<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), Failure> {
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
            return self
                .events
                .damaged("a packet of video has no timestamp", output);
        };
        let dts = packet.dts().unwrap_or(pts);
        let (duration, size) = (packet.duration(), packet.size());
        let mut frame = match picture.frame(packet) {
            Ok(frame) => frame,
            Err(error) => return self.events.damaged(&error.to_string(), output),
        };
        if suspect {
            // MPEG-TS calls whatever stands next to a lost packet so: decoders make the best of it.
            self.events
                .damaged("a packet of video may be incomplete", output)?;
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
            self.events.jumped("video", jump, VIDEO_TIMESCALE, output)?;
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
            return self
                .events
                .damaged("a packet of audio has no timestamp", output);
        };
        if packet.is_corrupt() {
            return self
                .events
                .damaged("a packet of audio is incomplete", output);
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
            self.events.jumped("audio", jump, rate, output)?;
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

    pub(super) fn end_pass(&mut self) -> Result<(), Failure> {
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

    pub(super) fn next_pass(&mut self) -> Result<(), Failure> {
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
}
