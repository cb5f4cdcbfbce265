//! A walk over the boxes of an init segment and of a CMAF chunk (ISO/IEC 14496-12),
//! as far as the checker needs them. Written apart from the code that makes the
//! boxes, so that a mistake there cannot hide itself here.

use thiserror::Error;

/// Why some bytes are not what a record may hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BoxError {
    /// The box ends before its content does, or says that it is longer than the data.
    #[error("box {0} is cut short")]
    Short(String),
    /// A box that has to be there is not.
    #[error("box {0} is missing")]
    Missing(&'static str),
    /// A box stands where another one belongs.
    #[error("expected box {expected}, found {found}")]
    Order {
        /// Four-character code that belongs here.
        expected: &'static str,
        /// Four-character code that stands here.
        found: String,
    },
    /// The boxes contradict each other.
    #[error("{0}")]
    Invalid(&'static str),
}

/// How the samples of a track are packed, from its sample entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// `avc1`: NAL units behind lengths of this many bytes (ISO/IEC 14496-15).
    Avc {
        /// Bytes of a NAL unit's length field: 1, 2 or 4.
        length_bytes: usize,
    },
    /// Another sample entry; the code is kept.
    Other([u8; 4]),
}

/// What an init segment says of its one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// `track_ID` of the `tkhd`.
    pub track_id: u32,
    /// Ticks a second, from `mdhd`.
    pub timescale: u32,
    /// From the first sample entry in `stsd`.
    pub format: SampleFormat,
    /// `default_sample_duration` of `trex`, ticks.
    pub default_duration: u32,
    /// `default_sample_size` of `trex`, bytes.
    pub default_size: u32,
    /// `default_sample_flags` of `trex`.
    pub default_flags: u32,
}

/// One sample of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Ticks.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// Flags by ISO/IEC 14496-12, 8.8.3.1.
    pub flags: u32,
}

impl Sample {
    /// Whether the flags say that decoding can start here (`sample_is_non_sync_sample` is 0).
    pub fn is_sync(&self) -> bool {
        self.flags & 0x0001_0000 == 0
    }
}

/// One `moof` + `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// `track_ID` of the `tfhd`.
    pub track_id: u32,
    /// `baseMediaDecodeTime` of the `tfdt`, ticks.
    pub decode_time: u64,
    /// In decode order.
    pub samples: Vec<Sample>,
    /// Where the first sample's bytes begin in the chunk.
    pub first_sample_at: usize,
}

impl Chunk {
    /// Sum of the samples' durations, ticks.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.duration)).sum()
    }

    /// NAL unit types of the first sample (ISO/IEC 14496-10, table 7-1), if the track is AVC.
    ///
    /// # Errors
    /// A NAL unit that is longer than its sample.
    pub fn first_nal_types(&self, bytes: &[u8], init: &Init) -> Result<Option<Vec<u8>>, BoxError> {
        let SampleFormat::Avc { length_bytes } = init.format else {
            return Ok(None);
        };
        let first = self.samples.first().ok_or(BoxError::Invalid("no sample"))?;
        let end = self.first_sample_at.checked_add(first.size as usize);
        let mut data = end
            .and_then(|end| bytes.get(self.first_sample_at..end))
            .ok_or_else(|| BoxError::Short("mdat".into()))?;
        let mut types = Vec::new();
        while !data.is_empty() {
            let long = || BoxError::Invalid("a NAL unit is longer than its sample");
            let (length, rest) = data.split_at_checked(length_bytes).ok_or_else(long)?;
            let length = length.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
            let (unit, rest) = rest.split_at_checked(length).ok_or_else(long)?;
            types.extend(unit.first().map(|b| b & 0x1f));
            data = rest;
        }
        Ok(Some(types))
    }
}

struct Boxed<'a> {
    kind: [u8; 4],
    body: &'a [u8],
}

/// The boxes of `data`, which has to end with the last of them.
fn children(mut data: &[u8]) -> Result<Vec<Boxed<'_>>, BoxError> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let kind = data
            .get(4..8)
            .map(|k| [k[0], k[1], k[2], k[3]])
            .ok_or_else(|| BoxError::Short("header".into()))?;
        let short = || BoxError::Short(String::from_utf8_lossy(&kind).into_owned());
        let (size, header) = match be(data, 0, 4).ok_or_else(short)? {
            1 => (be(data, 8, 8).ok_or_else(short)?, 16),
            size => (size, 8),
        };
        let size = usize::try_from(size).map_err(|_| short())?;
        let body = data.get(header..size).ok_or_else(short)?;
        found.push(Boxed { kind, body });
        data = &data[size..];
    }
    Ok(found)
}

fn be(data: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = data.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn be32(data: &[u8], at: usize, of: &str) -> Result<u32, BoxError> {
    // Four bytes always fit.
    be(data, at, 4)
        .map(|n| n as u32)
        .ok_or_else(|| BoxError::Short(of.into()))
}

fn child<'a>(data: &'a [u8], kind: &'static str) -> Result<&'a [u8], BoxError> {
    children(data)?
        .into_iter()
        .find(|b| b.kind == *kind.as_bytes())
        .map(|b| b.body)
        .ok_or(BoxError::Missing(kind))
}

fn in_order<'a>(data: &'a [u8], kinds: &[&'static str]) -> Result<Vec<&'a [u8]>, BoxError> {
    let boxes = children(data)?;
    for (i, kind) in kinds.iter().enumerate() {
        match boxes.get(i) {
            None => return Err(BoxError::Missing(kind)),
            Some(b) if b.kind != *kind.as_bytes() => {
                return Err(BoxError::Order {
                    expected: kind,
                    found: String::from_utf8_lossy(&b.kind).into_owned(),
                });
            }
            Some(_) => {}
        }
    }
    if boxes.len() > kinds.len() {
        return Err(BoxError::Invalid("there are boxes behind the last one"));
    }
    Ok(boxes.into_iter().map(|b| b.body).collect())
}

/// Reads an init segment: `ftyp` and `moov` with exactly one track.
///
/// # Errors
/// Boxes that are missing, cut short, in another order, or more than one track.
pub fn parse_init(bytes: &[u8]) -> Result<Init, BoxError> {
    let moov = in_order(bytes, &["ftyp", "moov"])?[1];
    let mut tracks = children(moov)?.into_iter().filter(|b| b.kind == *b"trak");
    let track = tracks.next().ok_or(BoxError::Missing("trak"))?.body;
    if tracks.next().is_some() {
        return Err(BoxError::Invalid("an init segment holds one track"));
    }
    // Version 1 of tkhd and mdhd has times of 8 instead of 4 bytes.
    let long = |body: &[u8]| body.first() == Some(&1);
    let tkhd = child(track, "tkhd")?;
    let track_id = be32(tkhd, if long(tkhd) { 20 } else { 12 }, "tkhd")?;
    let media = child(track, "mdia")?;
    let mdhd = child(media, "mdhd")?;
    let timescale = be32(mdhd, if long(mdhd) { 20 } else { 12 }, "mdhd")?;
    if timescale == 0 {
        return Err(BoxError::Invalid("the timescale is 0"));
    }
    let stsd = child(child(child(media, "minf")?, "stbl")?, "stsd")?;
    let entries = stsd
        .get(8..)
        .ok_or_else(|| BoxError::Short("stsd".into()))?;
    let entry = children(entries)?
        .into_iter()
        .next()
        .ok_or(BoxError::Missing("sample entry"))?;
    let format = if entry.kind == *b"avc1" {
        // VisualSampleEntry: 78 bytes in front of its boxes.
        let inner = entry
            .body
            .get(78..)
            .ok_or_else(|| BoxError::Short("avc1".into()))?;
        let configuration = child(inner, "avcC")?;
        let low = configuration
            .get(4)
            .ok_or_else(|| BoxError::Short("avcC".into()))?;
        SampleFormat::Avc {
            length_bytes: usize::from(low & 3) + 1,
        }
    } else {
        SampleFormat::Other(entry.kind)
    };
    let trex = child(child(moov, "mvex")?, "trex")?;
    if be32(trex, 4, "trex")? != track_id {
        return Err(BoxError::Invalid("trex and tkhd name different tracks"));
    }
    Ok(Init {
        track_id,
        timescale,
        format,
        default_duration: be32(trex, 12, "trex")?,
        default_size: be32(trex, 16, "trex")?,
        default_flags: be32(trex, 20, "trex")?,
    })
}

/// Reads one chunk: `moof` and `mdat`, nothing else, one track in it.
///
/// # Errors
/// Boxes that are missing, cut short or in another order, and samples outside the `mdat`.
pub fn parse_chunk(bytes: &[u8], init: &Init) -> Result<Chunk, BoxError> {
    let parts = in_order(bytes, &["moof", "mdat"])?;
    let (moof, mdat) = (parts[0], parts[1]);
    let traf = child(moof, "traf")?;

    let tfhd = child(traf, "tfhd")?;
    let flags = be32(tfhd, 0, "tfhd")? & 0x00ff_ffff;
    let track_id = be32(tfhd, 4, "tfhd")?;
    if flags & 0x1 != 0 {
        return Err(BoxError::Invalid("tfhd counts from an absolute offset"));
    }
    let mut at = 8 + if flags & 0x2 != 0 { 4 } else { 0 };
    let mut optional = |bit: u32, default: u32| -> Result<u32, BoxError> {
        if flags & bit == 0 {
            return Ok(default);
        }
        at += 4;
        be32(tfhd, at - 4, "tfhd")
    };
    let duration = optional(0x8, init.default_duration)?;
    let size = optional(0x10, init.default_size)?;
    let sample_flags = optional(0x20, init.default_flags)?;

    let tfdt = child(traf, "tfdt")?;
    let width = if tfdt.first() == Some(&1) { 8 } else { 4 };
    let decode_time = be(tfdt, 4, width).ok_or_else(|| BoxError::Short("tfdt".into()))?;

    let mut samples = Vec::new();
    let mut first_sample_at = None;
    for run in children(traf)?.into_iter().filter(|b| b.kind == *b"trun") {
        read_run(
            run.body,
            (duration, size, sample_flags),
            &mut samples,
            &mut first_sample_at,
        )?;
    }
    if samples.is_empty() {
        return Err(BoxError::Invalid("a chunk without a sample"));
    }
    let payload_at = bytes.len() - mdat.len();
    let first_sample_at = first_sample_at.unwrap_or(payload_at);
    let total: u64 = samples.iter().map(|s| u64::from(s.size)).sum();
    if first_sample_at < payload_at || first_sample_at as u64 + total > bytes.len() as u64 {
        return Err(BoxError::Invalid("samples lie outside the mdat"));
    }
    Ok(Chunk {
        track_id,
        decode_time,
        samples,
        first_sample_at,
    })
}

fn read_run(
    run: &[u8],
    (duration, size, sample_flags): (u32, u32, u32),
    samples: &mut Vec<Sample>,
    first_sample_at: &mut Option<usize>,
) -> Result<(), BoxError> {
    let flags = be32(run, 0, "trun")? & 0x00ff_ffff;
    let count = be32(run, 4, "trun")?;
    let mut at = 8;
    let mut next = |present: bool| -> Result<Option<u32>, BoxError> {
        if !present {
            return Ok(None);
        }
        at += 4;
        be32(run, at - 4, "trun").map(Some)
    };
    if let Some(offset) = next(flags & 0x1 != 0)? {
        first_sample_at.get_or_insert(offset as usize);
    }
    let first_flags = next(flags & 0x4 != 0)?;
    for i in 0..count {
        let sample = Sample {
            duration: next(flags & 0x100 != 0)?.unwrap_or(duration),
            size: next(flags & 0x200 != 0)?.unwrap_or(size),
            flags: match (next(flags & 0x400 != 0)?, first_flags) {
                (_, Some(first)) if i == 0 => first,
                (own, _) => own.unwrap_or(sample_flags),
            },
        };
        // The composition offset says when a frame is shown, not how long it lasts.
        next(flags & 0x800 != 0)?;
        samples.push(sample);
    }
    Ok(())
}
