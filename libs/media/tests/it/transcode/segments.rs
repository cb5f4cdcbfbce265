//! Source segments as ingest makes them, from clips: FFmpeg's fragments of one frame each, sorted
//! into segments and chunks by the media rules.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use mp4_atom::{Decode, Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

use crate::collect::tool;

const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;
/// Ticks per second of what comes out.
pub const TIMESCALE: i64 = 90_000;

/// A coded frame.
#[derive(Debug, Clone)]
pub struct Frame {
    pub presentation: i64,
    pub sync: bool,
    pub data: Bytes,
}

/// One source segment: frames in decode order.
#[derive(Debug, Clone)]
pub struct SourceSegment {
    pub number: u64,
    pub init: Bytes,
    pub frames: Vec<Frame>,
    /// Presentation times, sorted: the decode times.
    pub times: Vec<i64>,
    pub end: i64,
    /// It starts with a keyframe that is no IDR picture.
    pub open: bool,
}

impl SourceSegment {
    pub fn start(&self) -> i64 {
        self.times[0]
    }

    pub fn duration(&self) -> i64 {
        self.end - self.start()
    }

    fn duration_of(&self, n: usize) -> i64 {
        self.times.get(n + 1).unwrap_or(&self.end) - self.times[n]
    }

    /// The frames `range` as one chunk.
    pub fn chunk(&self, range: std::ops::Range<usize>) -> Bytes {
        let entries: Vec<_> = range
            .clone()
            .map(|n| TrunEntry {
                duration: Some(self.duration_of(n) as u32),
                size: Some(self.frames[n].data.len() as u32),
                flags: Some(if self.frames[n].sync { SYNC } else { NOT_SYNC }),
                cts: Some(self.frames[n].presentation - self.times[n]),
            })
            .collect();
        let mut moof = Moof {
            mfhd: Mfhd { sequence_number: 1 },
            traf: vec![Traf {
                tfhd: Tfhd {
                    track_id: 1,
                    default_base_is_moof: true,
                    ..Tfhd::default()
                },
                tfdt: Some(Tfdt {
                    base_media_decode_time: self.times[range.start] as u64,
                }),
                trun: vec![Trun {
                    data_offset: Some(0),
                    samples: entries.into(),
                }],
                ..Traf::default()
            }],
        };
        let mut bytes = Vec::new();
        moof.encode(&mut bytes).unwrap();
        moof.traf[0].trun[0].data_offset = Some(bytes.len() as i32 + 8);
        bytes.clear();
        moof.encode(&mut bytes).unwrap();
        let frames = &self.frames[range];
        let size: usize = frames.iter().map(|frame| frame.data.len()).sum();
        bytes.extend((size as u32 + 8).to_be_bytes());
        bytes.extend(b"mdat");
        for frame in frames {
            bytes.extend_from_slice(&frame.data);
        }
        bytes.into()
    }

    /// Chunks of about 200 ms.
    pub fn chunks(&self) -> Vec<Bytes> {
        let mut cuts = vec![0];
        let mut duration = 0;
        for n in 0..self.frames.len() {
            if duration > 0 && duration + self.duration_of(n) > TIMESCALE / 5 {
                cuts.push(n);
                duration = 0;
            }
            duration += self.duration_of(n);
        }
        cuts.push(self.frames.len());
        self.cut(&cuts)
    }

    /// Chunks between these frames.
    pub fn cut(&self, cuts: &[usize]) -> Vec<Bytes> {
        cuts.windows(2)
            .map(|pair| self.chunk(pair[0]..pair[1]))
            .collect()
    }
}

/// The file, or none with a line that says so where this machine does not have it.
pub fn footage(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("../shared/footage").join(name))
        .find(|path| path.exists());
    if path.is_none() {
        eprintln!("skipped: ../shared/footage/{name} is not on this machine");
    }
    path
}

/// All segments of a clip, by the media rules.
pub fn segments(clip: &Path) -> Vec<SourceSegment> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fragments.mp4");
    tool(
        "ffmpeg",
        &[
            "-v",
            "fatal",
            "-i",
            clip.to_str().unwrap(),
            "-map",
            "0:v:0",
            "-c",
            "copy",
            "-video_track_timescale",
            "90000",
            "-movflags",
            "frag_every_frame+empty_moov+default_base_moof",
            path.to_str().unwrap(),
        ],
    );
    let bytes = Bytes::from(std::fs::read(&path).unwrap());
    let (init, mut frames, end) = fragments(&bytes);
    // FFmpeg's edit list is left out: what is shown first is at 0.
    let first = frames.iter().map(|frame| frame.presentation).min().unwrap();
    for frame in &mut frames {
        frame.presentation -= first;
    }
    let end = end - first;
    let mut found: Vec<SourceSegment> = Vec::new();
    let mut start = i64::MIN / 2;
    for frame in frames {
        let new = frame.sync && frame.presentation - start >= TIMESCALE * 3 / 2;
        if found.is_empty() || new {
            start = frame.presentation;
            found.push(SourceSegment {
                number: found.len() as u64,
                init: init.clone(),
                frames: Vec::new(),
                times: Vec::new(),
                end: 0,
                open: false,
            });
        }
        let segment = found.last_mut().unwrap();
        segment.open |= frame.presentation < start;
        segment.times.push(frame.presentation);
        segment.frames.push(frame);
    }
    for segment in &mut found {
        segment.times.sort_unstable();
    }
    for n in 0..found.len() {
        found[n].end = found.get(n + 1).map_or(end, SourceSegment::start);
    }
    found
}

/// Init segment, frames with FFmpeg's times, end of the last.
fn fragments(bytes: &Bytes) -> (Bytes, Vec<Frame>, i64) {
    let mut frames: Vec<Frame> = Vec::new();
    let (mut at, mut init, mut end) = (0, 0, 0);
    while at + 8 <= bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        match &bytes[at + 4..at + 8] {
            b"moov" => init = at + size,
            b"moof" => {
                let moof = Moof::decode(&mut &bytes[at..at + size]).unwrap();
                let traf = &moof.traf[0];
                let decode = traf.tfdt.as_ref().unwrap().base_media_decode_time as i64;
                let sample = traf.trun[0].samples.get(0).unwrap();
                let length = sample.size.or(traf.tfhd.default_sample_size).unwrap() as usize;
                let flags = sample.flags.or(traf.tfhd.default_sample_flags).unwrap();
                let duration = sample
                    .duration
                    .or(traf.tfhd.default_sample_duration)
                    .unwrap();
                let start = at + traf.trun[0].data_offset.unwrap() as usize;
                let presentation = decode + sample.cts.unwrap_or(0);
                end = end.max(presentation + i64::from(duration));
                frames.push(Frame {
                    presentation,
                    sync: flags & 0x0001_0000 == 0,
                    data: bytes.slice(start..start + length),
                });
            }
            _ => {}
        }
        at += size;
    }
    (bytes.slice(..init), frames, end)
}
