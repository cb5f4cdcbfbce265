//! Turns what the segmenter finds into messages: packs parts into chunks, says the tracks.

use std::{io::Write, ops::Range};

use bytes::Bytes;
use ffmpeg_next::Packet;
use reelay_model::{Micros, PartNumber, Ticks, Timescale, Track};

use crate::{
    SourceProblem, SourceProblemCode, TrackInfo, TracksMessage,
    cmaf::{self, Sample},
    segmenter::{Event, Kind, Part, Placed, Segmenter},
    worker::{ChunkHead, Gone, Output},
};

/// The bytes of a frame, where they lie.
pub(crate) enum Payload {
    /// NAL units in a packet, as ranges; lengths go in front of them.
    Nals(Packet, Vec<Range<usize>>),
    /// Pieces of a packet, as they are.
    Pieces(Packet, Vec<Range<usize>>),
    /// A packet from some byte on.
    Packet(Packet, usize),
    /// Bytes as they are.
    Bytes(Bytes),
}

impl Payload {
    /// The packet that it was taken from.
    pub(crate) fn into_packet(self) -> Option<Packet> {
        match self {
            Self::Nals(packet, _) | Self::Pieces(packet, _) | Self::Packet(packet, _) => {
                Some(packet)
            }
            Self::Bytes(_) => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Nals(_, nals) => nals.iter().map(|nal| 4 + nal.len()).sum(),
            Self::Pieces(_, pieces) => pieces.iter().map(Range::len).sum(),
            Self::Packet(packet, from) => packet.size().saturating_sub(*from),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn append_to(&self, to: &mut Vec<u8>) {
        match self {
            Self::Nals(packet, nals) => {
                let data = packet.data().unwrap_or_default();
                for nal in nals {
                    // The ranges come from this packet, whose size is an i32.
                    to.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                    to.extend_from_slice(data.get(nal.clone()).unwrap_or_default());
                }
            }
            Self::Pieces(packet, pieces) => {
                let data = packet.data().unwrap_or_default();
                for piece in pieces {
                    to.extend_from_slice(data.get(piece.clone()).unwrap_or_default());
                }
            }
            Self::Packet(packet, from) => {
                to.extend_from_slice(
                    packet
                        .data()
                        .and_then(|data| data.get(*from..))
                        .unwrap_or_default(),
                );
            }
            Self::Bytes(bytes) => to.extend_from_slice(bytes),
        }
    }
}

/// Publishes one stream.
pub(crate) struct Publisher {
    /// By the segmenter's number of the format.
    pub video_formats: Vec<TrackInfo>,
    pub audio: Option<TrackInfo>,
    /// Said with the first segment.
    pub discontinuity_at_start: bool,
    /// In words, for problems.
    pub greatest_segment: Micros,
    /// The source's keyframes have been found to be too far apart.
    pub keyframes_too_far: bool,
    pub recoding: bool,
    /// Nothing of later segments is published.
    end_after: Option<u64>,
    /// The last segment of video and of audio that has been published to its end.
    complete: [Option<u64>; 2],
}

impl Publisher {
    /// Publishes nothing behind this segment, or the one that was named first. Whether all of it
    /// has been published.
    pub(crate) fn end_after(&mut self, segment: u64) -> bool {
        let end = *self.end_after.get_or_insert(segment);
        let [video, audio] = self.complete;
        let done =
            |there: bool, complete: Option<u64>| !there || complete.is_some_and(|last| last >= end);
        done(!self.video_formats.is_empty(), video) && done(self.audio.is_some(), audio)
    }

    pub(crate) fn new(
        video: Option<TrackInfo>,
        audio: Option<TrackInfo>,
        discontinuity_at_start: bool,
        greatest_segment: Micros,
    ) -> Self {
        Self {
            video_formats: video.into_iter().collect(),
            audio,
            discontinuity_at_start,
            greatest_segment,
            keyframes_too_far: false,
            recoding: false,
            end_after: None,
            complete: [None; 2],
        }
    }

    /// Publishes all that the segmenter has found out.
    pub(crate) fn publish<W: Write>(
        &mut self,
        segmenter: &mut Segmenter<Payload>,
        output: &mut Output<W>,
    ) -> Result<(), Gone> {
        while let Some(event) = segmenter.next() {
            let segment = match &event {
                Event::Begin { segment, .. } => Some(*segment),
                Event::Part(part) => Some(part.segment),
                _ => None,
            };
            if segment > self.end_after && self.end_after.is_some() {
                continue;
            }
            match event {
                Event::Begin {
                    segment,
                    discontinuity,
                    format,
                } => {
                    let video = self.video_formats.get(format as usize);
                    output.tracks(TracksMessage {
                        first_segment: segment,
                        discontinuity: discontinuity
                            || (segment == 0 && self.discontinuity_at_start),
                        tracks: video.into_iter().chain(&self.audio).cloned().collect(),
                    })?;
                }
                Event::Part(part) => self.part(part, output)?,
                Event::KeyframesTooFar { .. } | Event::KeyframesInTime if self.recoding => {}
                Event::KeyframesTooFar { interval } => {
                    self.keyframes_too_far = true;
                    output.problem(self.keyframes_too_far(interval))?;
                }
                Event::KeyframesInTime => {
                    self.keyframes_too_far = false;
                    output.recovered(SourceProblemCode::KeyframeInterval)?;
                }
                Event::AudioStopped => output.problem(lasting(
                    SourceProblemCode::AudioStopped,
                    "the source's audio has stopped: silence is sent in its place until it comes back",
                ))?,
                Event::AudioBack => output.recovered(SourceProblemCode::AudioStopped)?,
                Event::VideoStopped => output.problem(lasting(
                    SourceProblemCode::VideoStopped,
                    "the source's video has stopped while its audio goes on: nothing is sent until video comes back",
                ))?,
                Event::VideoBack => output.recovered(SourceProblemCode::VideoStopped)?,
            }
        }
        output.tick()
    }

    fn keyframes_too_far(&self, interval: Option<Micros>) -> SourceProblem {
        let seconds = |time: Micros| time.0 as f64 / 1e6;
        let found = match interval {
            Some(interval) => format!("keyframes are {:.1} s apart", seconds(interval)),
            None => "no keyframe came in time".to_owned(),
        };
        lasting(
            SourceProblemCode::KeyframeInterval,
            format!(
                "{found}, but a segment of this stream is {:.0} s at most: frames up to the next \
                 keyframe are left out, and the video is encoded anew from there on; set the \
                 camera's keyframe interval (I-frame interval, GOP length) to 2 s",
                seconds(self.greatest_segment)
            ),
        )
    }

    fn part<W: Write>(&mut self, part: Part<Payload>, output: &mut Output<W>) -> Result<(), Gone> {
        let (track, track_id, timescale) = match part.kind {
            Kind::Video => (
                Track::Video,
                cmaf::VIDEO_TRACK,
                crate::segmenter::VIDEO_TIMESCALE,
            ),
            Kind::Audio => (
                Track::Audio,
                cmaf::AUDIO_TRACK,
                self.audio.as_ref().map_or(1, |audio| audio.timescale.0),
            ),
        };
        if part.last {
            self.complete[usize::from(part.kind == Kind::Audio)] = Some(part.segment);
        }
        let data = pack(track_id, timescale, part.decode_time, &part.frames)
            .map_err(std::io::Error::other)?;
        let message = ChunkHead {
            track,
            segment: part.segment,
            part: PartNumber(part.part),
            independent: part.independent,
            open: part.open,
            last: part.last,
            decode_time: Ticks(part.decode_time as u64),
            duration: Ticks(part.duration as u64),
            capture_time: part.capture,
            cursor: part.cursor,
        };
        output.chunk(message, &[&data])
    }
}

/// One chunk: `moof` and `mdat` with these frames, the first of them at `decode_time`.
pub(crate) fn pack(
    track_id: u32,
    timescale: u32,
    decode_time: i64,
    frames: &[Placed<Payload>],
) -> Result<Vec<u8>, mp4_atom::Error> {
    let samples: Vec<_> = frames
        .iter()
        .map(|frame| Sample {
            size: frame.payload.size() as u32,
            duration: frame.duration,
            composition_offset: frame.composition_offset,
            sync: frame.sync,
        })
        .collect();
    // From the time alone, so that a worker that goes on after another makes the same bytes;
    // it grows from chunk to chunk (and begins again after more than a year).
    let sequence = (decode_time as u128 * 100 / u128::from(timescale)) as u32;
    let mut data = cmaf::chunk(track_id, sequence, decode_time as u64, &samples)?;
    let payload: usize = samples.iter().map(|sample| sample.size as usize).sum();
    data.reserve_exact(payload);
    for frame in frames {
        frame.payload.append_to(&mut data);
    }
    Ok(data)
}

/// A problem that lasts until it is over.
fn lasting(code: SourceProblemCode, message: impl Into<String>) -> SourceProblem {
    SourceProblem {
        code,
        message: message.into(),
        lasting: true,
        fatal: false,
    }
}

/// Length of parts for frames of one duration: the whole number of them nearest to the target
/// (the smaller of two), one at least. In µs, rounded up.
pub(crate) fn part_target(target: Micros, frame: u64, timescale: Timescale) -> Micros {
    let scale = u64::from(timescale.0);
    let target = target.0.max(1) as u64 * scale / 1_000_000;
    let frames = ((2 * target + frame - 1) / (2 * frame.max(1))).max(1);
    Micros((frames * frame * 1_000_000).div_ceil(scale) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_frames_nearest_to_200_ms() {
        let target = |frame, scale| part_target(Micros(200_000), frame, Timescale(scale)).0;
        assert_eq!(target(3600, 90_000), 200_000); // 25 fps: 5
        assert_eq!(target(7200, 90_000), 160_000); // 12.5 fps: 2 or 3, the smaller
        assert_eq!(target(3003, 90_000), 200_200); // 29.97 fps: 6
        assert_eq!(target(90_000, 90_000), 1_000_000); // 1 fps: 1
        assert_eq!(target(1024, 48_000), 192_000); // AAC: 9
    }
}
