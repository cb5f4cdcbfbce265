//! Reads packets from a media file, pass after pass, on a thread of its own.
//!
//! FFmpeg opens nothing itself: it reads from what it is given, and only as one of a few formats
//! (a playlist or an index could otherwise make it open anything).

use std::{
    io::{Read, Seek},
    sync::mpsc::SyncSender,
};

use ffmpeg_next::{
    Dictionary, Error, Packet, Rational,
    codec::{self, Parameters},
    ffi,
    format::{self, context::Input, context::StreamIo, stream::Disposition},
    media,
};

use super::{Failure, interleave::Which, line::TimeBase};
use crate::{SourceProblemCode, av::extradata};

/// FFmpeg's names of the formats that are read.
const FORMATS: &str = "mov,matroska,mpegts,flv,ogg,wav,mp3,aac,flac";
/// A pass with more errors in a row than this is over.
const MOST_ERRORS: u32 = 100;
const READ_BUFFER: usize = 256 * 1024;

/// What can be read and sought in.
pub(super) trait Media: Read + Seek + Send {}

impl<T: Read + Seek + Send> Media for T {}

/// Opens the media, again for each pass where the format cannot go back to its start.
pub(super) type Opener = Box<dyn FnMut() -> Result<Box<dyn Media>, Failure> + Send>;

/// A stream of the file.
pub(super) struct StreamInfo {
    pub parameters: Parameters,
    pub base: TimeBase,
    /// Frames per second if they are said to come evenly.
    pub frame_rate: Option<Rational>,
}

impl StreamInfo {
    pub(super) fn codec(&self) -> codec::Id {
        self.parameters.id()
    }

    pub(super) fn extradata(&self) -> &[u8] {
        extradata(&self.parameters)
    }
}

/// What the file holds.
pub(super) struct FileInfo {
    pub video: Option<StreamInfo>,
    pub audio: Option<StreamInfo>,
    /// Of the whole file, in bits per second; 0 if not known.
    pub bit_rate: u64,
    /// Greatest distance of keyframes of video, in µs, where the file has an index.
    pub key_interval: Option<i64>,
}

/// What the thread says.
pub(super) enum FromFile {
    Opened(FileInfo),
    Packet(Which, Packet),
    /// Something in the file could not be read.
    Damaged(String),
    /// The timestamp at which a pass starts, where the first begins later.
    Origin(i64),
    /// All of the file has been read.
    PassEnd,
    Failed(Failure),
}

/// Where the first pass begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    /// In 1/90,000 s after the first keyframe (of a file without video: in samples after the
    /// first frame). The first packets may lie before it.
    pub position: i64,
}

/// Reads passes until nobody listens.
pub(super) fn read(mut open: Opener, begin: Option<Begin>, to: &SyncSender<FromFile>) {
    if let Err(failure) = passes(&mut open, begin, to) {
        // When nobody listens there is nobody to tell.
        let _ = to.send(FromFile::Failed(failure));
    }
}

/// The listener has gone.
fn gone<T>(_: T) -> Failure {
    Failure::internal("the reader of packets is not listened to")
}

fn passes(
    open: &mut Opener,
    begin: Option<Begin>,
    to: &SyncSender<FromFile>,
) -> Result<(), Failure> {
    let mut file = File::open(open)?;
    to.send(FromFile::Opened(file.info()?)).map_err(gone)?;
    if let Some(begin) = begin
        && file.can_seek()
        && let Some(origin) = file.seek_near(begin, open)?
    {
        to.send(FromFile::Origin(origin)).map_err(gone)?;
    }
    let mut first_pass_start = None;
    for pass in 0_u64.. {
        if pass > 0 {
            let start = file.rewind(first_pass_start, open)?;
            if let Some((which, packet)) = start {
                to.send(FromFile::Packet(which, packet)).map_err(gone)?;
            }
        }
        let mut errors = 0;
        let mut packets = 0_u64;
        loop {
            match file.next() {
                Ok(Some((which, packet))) => {
                    errors = 0;
                    packets += 1;
                    if (pass > 0 || begin.is_none()) && first_pass_start.is_none() {
                        first_pass_start = Some(Fingerprint::of(&packet));
                    }
                    to.send(FromFile::Packet(which, packet)).map_err(gone)?;
                }
                Ok(None) | Err(Error::Eof) => break,
                Err(error) => {
                    errors += 1;
                    if errors == 1 {
                        to.send(FromFile::Damaged(error.to_string()))
                            .map_err(gone)?;
                    }
                    if errors > MOST_ERRORS || !matches!(error, Error::InvalidData) {
                        break;
                    }
                }
            }
        }
        if packets == 0 && pass > 0 {
            return Err(Failure::Problem(
                SourceProblemCode::NoMedia,
                "the file has no more media in it: it may have been changed".to_owned(),
            ));
        }
        to.send(FromFile::PassEnd).map_err(gone)?;
    }
    Ok(())
}

/// By which the first packet of a pass is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    stream: usize,
    dts: Option<i64>,
    size: usize,
}

impl Fingerprint {
    fn of(packet: &Packet) -> Self {
        Self {
            stream: packet.stream(),
            dts: packet.dts(),
            size: packet.size(),
        }
    }
}

struct File {
    input: Input,
    video: Option<usize>,
    audio: Option<usize>,
}

impl File {
    fn open(open: &mut Opener) -> Result<Self, Failure> {
        let media = open()?;
        let io = StreamIo::from_read_seek_with_capacity(media, READ_BUFFER)
            .map_err(|error| Failure::internal(format!("no buffer for reading: {error}")))?;
        let mut options = Dictionary::new();
        options.set("format_whitelist", FORMATS);
        options.set("protocol_whitelist", "none");
        // Timestamps as they are, moved by the start of the edit list; nothing marked for discard.
        options.set("advanced_editlist", "0");
        let input = format::input_from_stream(io, None, Some(options)).map_err(|error| {
            Failure::Problem(
                SourceProblemCode::InvalidFormat,
                format!(
                    "it cannot be read as a media file ({error}): it may be damaged or cut off in \
                     its header, or of a format that is not read (MP4, Matroska, MPEG-TS, FLV, \
                     Ogg, WAV, MP3, AAC and FLAC are)"
                ),
            )
        })?;
        let video = input
            .streams()
            .filter(|stream| {
                stream.parameters().medium() == media::Type::Video
                    && !stream.disposition().contains(Disposition::ATTACHED_PIC)
            })
            .map(|stream| stream.index())
            .next();
        let audio = input
            .streams()
            .filter(|stream| stream.parameters().medium() == media::Type::Audio)
            .map(|stream| stream.index())
            .next();
        Ok(Self {
            input,
            video,
            audio,
        })
    }

    fn info(&self) -> Result<FileInfo, Failure> {
        let stream = |index: Option<usize>| {
            let stream = self.input.stream(index?)?;
            let base = stream.time_base();
            let (real, average) = (stream.rate(), stream.avg_frame_rate());
            let even = real.numerator() > 0
                && average.numerator() > 0
                && (f64::from(real) / f64::from(average) - 1.0).abs() < 0.01;
            Some(StreamInfo {
                parameters: stream.parameters(),
                base: TimeBase {
                    numerator: base.numerator().into(),
                    denominator: base.denominator().into(),
                },
                frame_rate: even.then_some(real),
            })
        };
        let info = FileInfo {
            video: stream(self.video),
            audio: stream(self.audio),
            bit_rate: self.input.bit_rate().max(0) as u64,
            key_interval: self.key_interval(),
        };
        if info.video.is_none() && info.audio.is_none() {
            return Err(Failure::Problem(
                SourceProblemCode::NoMedia,
                "the file has neither video nor audio".to_owned(),
            ));
        }
        Ok(info)
    }

    fn key_interval(&self) -> Option<i64> {
        let stream = self.input.stream(self.video?)?;
        let base = stream.time_base();
        // SAFETY: the stream lives as long as the input, which is borrowed; FFmpeg gives entries
        // (or null) for numbers below their count, and they are only read before the next call.
        let times: Vec<i64> = unsafe {
            let raw = stream.as_ptr().cast_mut();
            (0..ffi::avformat_index_get_entries_count(raw))
                .filter_map(|at| ffi::avformat_index_get_entry(raw, at).as_ref())
                .filter(|entry| entry.flags() & ffi::AVINDEX_KEYFRAME as i32 != 0)
                .map(|entry| entry.timestamp)
                .collect()
        };
        // Decode times, which begin before the first presentation time.
        let end = times.first()? + stream.duration().max(0);
        let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let last = times.last().map(|last| end - last);
        let longest = steps.chain(last).max()?;
        let micros = i128::from(longest) * i128::from(base.numerator()) * 1_000_000
            / i128::from(base.denominator()).max(1);
        i64::try_from(micros).ok()
    }

    /// Whether going to a time is quick and exact.
    fn can_seek(&self) -> bool {
        let format = self.input.format();
        format.name().contains("mp4") || format.name().contains("matroska")
    }

    fn next(&mut self) -> Result<Option<(Which, Packet)>, Error> {
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => {}
                Err(Error::Eof) => return Ok(None),
                Err(error) => return Err(error),
            }
            let stream = Some(packet.stream());
            if stream == self.video {
                return Ok(Some((Which::Video, packet)));
            }
            if stream == self.audio {
                return Ok(Some((Which::Audio, packet)));
            }
        }
    }

    /// Goes to the start for the next pass. Gives the packet that was read to see that it is the
    /// start.
    fn rewind(
        &mut self,
        start: Option<Fingerprint>,
        open: &mut Opener,
    ) -> Result<Option<(Which, Packet)>, Failure> {
        if self.can_seek()
            && let Some(start) = start
            && self.input.seek(0, ..0).is_ok()
            && let Ok(Some((which, packet))) = self.next()
            && Fingerprint::of(&packet) == start
        {
            return Ok(Some((which, packet)));
        }
        *self = Self::open(open)?;
        Ok(None)
    }

    /// Goes to a keyframe at or before a position, or to the start. Gives the timestamp at which
    /// passes start, if it has been seen.
    fn seek_near(&mut self, begin: Begin, open: &mut Opener) -> Result<Option<i64>, Failure> {
        let lead = self.video.or(self.audio);
        let mut first = None;
        while first.is_none() {
            match self.next() {
                Ok(Some((_, packet))) => {
                    if Some(packet.stream()) == lead && (self.video.is_none() || packet.is_key()) {
                        first = packet.pts().or(packet.dts());
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        let stream = lead.and_then(|index| self.input.stream(index));
        let target = first.zip(stream).map(|(first, stream)| {
            let base = stream.time_base();
            let rate = match self.video {
                Some(_) => f64::from(crate::segmenter::VIDEO_TIMESCALE),
                None => f64::from(sample_rate(&stream.parameters())),
            };
            // To the lower side: what lies before is skipped.
            let seconds = first as f64 * f64::from(base) + begin.position as f64 / rate;
            (seconds * 1e6) as i64 - 1000
        });
        let found = target.is_some_and(|target| self.input.seek(target, ..target).is_ok());
        if !found {
            *self = Self::open(open)?;
        }
        Ok(first)
    }
}

/// Samples per second of an audio stream.
pub(super) fn sample_rate(parameters: &Parameters) -> u32 {
    // SAFETY: the pointer is valid as long as `parameters`.
    unsafe { (*parameters.as_ptr()).sample_rate.max(1) as u32 }
}

/// Channels of an audio stream.
pub(super) fn channels(parameters: &Parameters) -> u32 {
    // SAFETY: the pointer is valid as long as `parameters`.
    unsafe { (*parameters.as_ptr()).ch_layout.nb_channels.max(1) as u32 }
}
