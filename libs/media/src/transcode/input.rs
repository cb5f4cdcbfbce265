//! Reads the source segment's boxes (ISO/IEC 14496-12): what its decoder needs, and its samples.
//! Plain functions of bytes, without FFmpeg.

use std::ops::Range;

use mp4_atom::{Atom, Buf, Decode, Header, Moof};

use crate::codec::Malformed;

/// Codecs that are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceCodec {
    H264,
    H265,
    Av1,
    Vp9,
}

/// The source's track, as its init segment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceTrack {
    pub codec: SourceCodec,
    /// Content of `avcC`, `hvcC`, `av1C` or `vpcC`.
    pub config: Vec<u8>,
    /// Ticks per second.
    pub timescale: u32,
}

/// A sample of a chunk, in decode order. Times are in the track's timescale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceSample {
    pub decode: i64,
    pub presentation: i64,
    pub duration: i64,
    pub sync: bool,
    /// Where its bytes are in the chunk; empty where the chunk breaks off.
    pub data: Range<usize>,
}

/// What precedes the boxes in a `VisualSampleEntry` (§12.1.3.2).
const VISUAL_SAMPLE_ENTRY: usize = 78;
/// More samples than any segment has: a number read from garbage.
const MOST_SAMPLES: usize = 100_000;
/// Flag `sample_is_non_sync_sample` (§8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// The boxes of `bytes`, as far as they are whole: type and content.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let (kind, _) = after.split_first_chunk::<4>()?;
        let size = u32::from_be_bytes(*size) as usize;
        // Boxes of 4 GiB, or up to the end of the file, do not occur in init segments.
        let content = rest.get(8..size)?;
        rest = &rest[size..];
        Some((*kind, content))
    })
}

fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Result<&'a [u8], Malformed> {
    boxes(bytes)
        .find_map(|(found, content)| (found == *kind).then_some(content))
        .ok_or_else(|| {
            Malformed(format!(
                "the init segment has no {} box",
                String::from_utf8_lossy(kind)
            ))
        })
}

/// Reads an init segment of one video track.
pub(super) fn read_init(init: &[u8]) -> Result<SourceTrack, Malformed> {
    let mdia = find(find(find(init, b"moov")?, b"trak")?, b"mdia")?;
    let mdhd = find(mdia, b"mdhd")?;
    // Version 1 has times of 8 bytes (§8.4.2.2).
    let at = if mdhd.first() == Some(&1) { 20 } else { 12 };
    let timescale = mdhd
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .filter(|timescale| *timescale > 0)
        .ok_or_else(|| Malformed("the init segment has no timescale".to_owned()))?;
    let stsd = find(find(find(mdia, b"minf")?, b"stbl")?, b"stsd")?;
    let (kind, entry) = boxes(stsd.get(8..).unwrap_or_default())
        .next()
        .ok_or_else(|| Malformed("the init segment has no sample entry".to_owned()))?;
    let (codec, config) = match &kind {
        b"avc1" | b"avc3" => (SourceCodec::H264, b"avcC"),
        b"hvc1" | b"hev1" => (SourceCodec::H265, b"hvcC"),
        b"av01" => (SourceCodec::Av1, b"av1C"),
        b"vp09" => (SourceCodec::Vp9, b"vpcC"),
        other => {
            return Err(Malformed(format!(
                "sample entry {} is none of avc1, hvc1, av01, vp09",
                String::from_utf8_lossy(other)
            )));
        }
    };
    let config = find(entry.get(VISUAL_SAMPLE_ENTRY..).unwrap_or_default(), config)?;
    Ok(SourceTrack {
        codec,
        config: config.to_vec(),
        timescale,
    })
}

/// Reads chunks (`moof` and `mdat`), one or more. What breaks off gives the samples before it.
pub(super) fn read_chunks(bytes: &[u8]) -> Result<Vec<SourceSample>, Malformed> {
    let mut samples = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut rest = &bytes[at..];
        let header = Header::decode(&mut rest).map_err(unreadable)?;
        let head = bytes.len() - at - rest.remaining();
        let size = header.size.unwrap_or(rest.len());
        if header.kind == Moof::KIND {
            let mut body = rest
                .get(..size)
                .ok_or_else(|| Malformed(format!("a moof box of {size} bytes breaks off")))?;
            let moof = Moof::decode_body(&mut body).map_err(unreadable)?;
            read_moof(&moof, at, bytes.len(), &mut samples)?;
        }
        at = at.saturating_add(head).saturating_add(size);
    }
    Ok(samples)
}

fn unreadable(error: mp4_atom::Error) -> Malformed {
    Malformed(format!("a chunk's boxes cannot be read: {error}"))
}

/// `start` is where the box starts in the chunk, `length` the chunk's.
fn read_moof(
    moof: &Moof,
    start: usize,
    length: usize,
    samples: &mut Vec<SourceSample>,
) -> Result<(), Malformed> {
    let [traf] = &moof.traf[..] else {
        return Err(Malformed(format!("a chunk of {} tracks", moof.traf.len())));
    };
    let mut decode = traf
        .tfdt
        .as_ref()
        .and_then(|tfdt| i64::try_from(tfdt.base_media_decode_time).ok())
        .ok_or_else(|| Malformed("a chunk without decode time".to_owned()))?;
    let mut data = start;
    for trun in &traf.trun {
        if let Some(offset) = trun.data_offset {
            data = usize::try_from(start as i64 + i64::from(offset))
                .map_err(|_| Malformed("a chunk's samples lie before it".to_owned()))?;
        }
        if samples.len().saturating_add(trun.samples.len()) > MOST_SAMPLES {
            return Err(Malformed(format!(
                "a chunk of {} samples",
                trun.samples.len()
            )));
        }
        for sample in trun.samples.iter() {
            let duration = sample.duration.or(traf.tfhd.default_sample_duration);
            let size = sample.size.or(traf.tfhd.default_sample_size).unwrap_or(0);
            let flags = sample.flags.or(traf.tfhd.default_sample_flags);
            let duration = i64::from(duration.unwrap_or(0));
            let end = data.saturating_add(size as usize);
            samples.push(SourceSample {
                decode,
                presentation: decode.saturating_add(sample.cts.unwrap_or(0)),
                duration,
                sync: flags.unwrap_or(0) & NON_SYNC == 0,
                data: if end <= length { data..end } else { 0..0 },
            });
            decode = decode.saturating_add(duration);
            data = end;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        cmaf::{self, Codec, Sample, init_segment},
        codec::AacConfig,
    };

    fn chunk(at: u64, sizes: &[u32]) -> Vec<u8> {
        let samples: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(n, size)| Sample {
                size: *size,
                duration: 3600,
                composition_offset: if n == 0 { 0 } else { -3600 },
                sync: n == 0,
            })
            .collect();
        let mut bytes = cmaf::chunk(1, 1, at, &samples).unwrap();
        for size in sizes {
            bytes.extend(std::iter::repeat_n(0x5a, *size as usize));
        }
        bytes
    }

    #[test]
    fn samples_of_several_chunks_are_read_with_their_times() {
        let mut bytes = chunk(90_000, &[5, 6]);
        let first = bytes.len();
        bytes.extend(chunk(97_200, &[7]));
        let samples = read_chunks(&bytes).unwrap();
        let times: Vec<_> = samples
            .iter()
            .map(|sample| (sample.decode, sample.presentation, sample.sync))
            .collect();
        assert_eq!(
            times,
            [
                (90_000, 90_000, true),
                (93_600, 90_000, false),
                (97_200, 97_200, true)
            ]
        );
        assert_eq!(samples[0].data, first - 11..first - 6);
        assert_eq!(samples[2].data, bytes.len() - 7..bytes.len());
    }

    #[test]
    fn a_chunk_that_breaks_off_keeps_its_times() {
        let mut bytes = chunk(0, &[5, 6]);
        bytes.truncate(bytes.len() - 3);
        let samples = read_chunks(&bytes).unwrap();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[0].data.len(), 5);
        assert!(samples[1].data.is_empty());
    }

    #[test]
    fn an_init_segment_without_video_is_refused() {
        let config = AacConfig::read(&[0x11, 0x90]).unwrap();
        let init = init_segment(&Codec::Aac(config), 48_000).unwrap();
        assert!(read_init(&init).unwrap_err().0.contains("mp4a"));
        assert!(read_init(&init[..40]).is_err());
        assert!(read_init(&[]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read_init(&bytes);
            let _ = read_chunks(&bytes);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0_usize..120, value: u8) {
            let mut bytes = chunk(7, &[3, 3, 3]);
            bytes[at] = value;
            let length = bytes.len();
            if let Ok(samples) = read_chunks(&bytes) {
                prop_assert!(samples.iter().all(|sample| sample.data.end <= length));
            }
        }
    }
}
