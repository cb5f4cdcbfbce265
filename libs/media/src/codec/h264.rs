//! H.264 access units (ISO/IEC 14496-10, ITU-T H.264) as they lie in MP4 samples and in byte
//! streams: NAL units, parameter sets and kinds of frames.

use std::collections::BTreeMap;

use super::{
    Malformed,
    nal::{AccessUnit, Bits, FrameKind, Layout, sei_number, split, take_set},
};
use h264_reader::{
    nal::sps::{ChromaFormat, PicOrderCntType, SeqParameterSet},
    rbsp::{BitReader, decode_nal},
};

const SLICE: u8 = 1;
const SLICE_IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const END_OF_SEQUENCE: u8 = 10;
const END_OF_STREAM: u8 = 11;
const FILLER: u8 = 12;
const SPS_EXTENSION: u8 = 13;

const SEI_RECOVERY_POINT: usize = 6;

/// What a track's sample entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AvcConfig {
    pub sps: Vec<Vec<u8>>,
    pub pps: Vec<Vec<u8>>,
    pub sps_extensions: Vec<Vec<u8>>,
    pub width: u32,
    pub height: u32,
    /// `chroma_format_idc`, and bit depths of luma and chroma.
    pub chroma_format: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    /// Greatest number of frames that come before one that is shown earlier, if it is said.
    pub reorder: Option<usize>,
    /// Frames a second as numerator and denominator, if they are said to come evenly.
    pub frame_rate: Option<(u32, u32)>,
}

impl AvcConfig {
    /// RFC 6381 §3.3 codecs: `avc1.` and the first three bytes of the SPS.
    pub(crate) fn codecs(&self) -> String {
        // A configuration has a first SPS of 4 bytes or more, see `AvcStream::config`.
        match self.sps.first().map(Vec::as_slice) {
            Some([_, profile, constraints, level, ..]) => {
                format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
            }
            _ => "avc1".to_owned(),
        }
    }
}

/// Reads the access units of one stream and knows its parameter sets.
#[derive(Debug)]
pub(crate) struct AvcStream {
    layout: Layout,
    sets: Sets,
    config: Option<AvcConfig>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sets {
    sps: BTreeMap<u32, Vec<u8>>,
    pps: BTreeMap<u32, Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

impl AvcStream {
    /// A stream with the parameter sets of `extradata`: an `avcC` record, a byte stream, or
    /// nothing.
    pub(crate) fn new(extradata: &[u8]) -> Result<Self, Malformed> {
        let mut stream = Self {
            layout: Layout::StartCodes,
            sets: Sets::default(),
            config: None,
        };
        match extradata {
            [] => {}
            [0, 0, 1, ..] | [0, 0, 0, 1, ..] => {
                for nal in split(extradata, Layout::StartCodes)? {
                    stream.sets.learn(&extradata[nal]);
                }
            }
            record => {
                stream.layout = Layout::Lengths(stream.sets.learn_record(record)?);
            }
        }
        stream.config = stream.sets.config().ok();
        Ok(stream)
    }

    /// The configuration; none before the first parameter sets.
    pub(crate) fn config(&self) -> Option<&AvcConfig> {
        self.config.as_ref()
    }

    /// Reads one access unit. `container_says_key` counts for streams whose intra pictures are
    /// not marked as recovery points.
    ///
    /// Parameter sets are taken out of the sample: they stand in the sample entry. Those that
    /// change between keyframes, which `avc1` does not allow for, stay in the sample.
    pub(crate) fn access_unit(
        &mut self,
        data: &[u8],
        container_says_key: bool,
    ) -> Result<AccessUnit, Malformed> {
        let all = split(data, self.layout)?;
        let mut kind = FrameKind::Delta;
        let mut first_slice = None;
        let mut recovery_point = false;
        for nal in &all {
            let bytes = &data[nal.clone()];
            match nal_type(bytes) {
                SLICE_IDR => kind = FrameKind::Idr,
                SLICE if first_slice.is_none() => first_slice = Some(bytes),
                SEI => recovery_point |= is_recovery_point(bytes),
                _ => {}
            }
        }
        match (kind, first_slice) {
            (FrameKind::Idr, _) => {}
            (_, Some(slice)) => {
                if recovery_point || (container_says_key && is_intra(slice)) {
                    kind = FrameKind::Recovery;
                }
            }
            (_, None) => return Err(Malformed::new("packet without a picture")),
        }

        let is_set = |bytes: &[u8]| matches!(nal_type(bytes), SPS | PPS | SPS_EXTENSION);
        let changed = all
            .iter()
            .map(|nal| &data[nal.clone()])
            .any(|bytes| is_set(bytes) && !self.sets.knows(bytes));
        let mut new_config = false;
        if changed && kind.is_key() {
            let mut sets = self.sets.clone();
            for nal in &all {
                sets.learn(&data[nal.clone()]);
            }
            let config = sets.config()?;
            self.sets = sets;
            new_config = self.config.as_ref() != Some(&config);
            self.config = Some(config);
        }
        let nals = all
            .into_iter()
            .filter(|nal| match nal_type(&data[nal.clone()]) {
                ACCESS_UNIT_DELIMITER | END_OF_SEQUENCE | END_OF_STREAM | FILLER => false,
                SPS | PPS | SPS_EXTENSION => !self.sets.knows(&data[nal.clone()]),
                _ => true,
            })
            .collect();
        Ok(AccessUnit {
            kind,
            nals,
            new_config,
        })
    }
}

impl Sets {
    fn learn(&mut self, nal: &[u8]) {
        match nal_type(nal) {
            SPS => {
                if let Some(id) = sps_id(nal) {
                    if self.sps.get(&id).is_some_and(|known| known != nal) {
                        // The picture parameter sets of another sequence mean nothing now.
                        self.pps.clear();
                        self.extensions.clear();
                    }
                    self.sps.insert(id, nal.to_vec());
                }
            }
            PPS => {
                if let Some(id) = pps_id(nal) {
                    self.pps.insert(id, nal.to_vec());
                }
            }
            SPS_EXTENSION if !self.knows(nal) => self.extensions.push(nal.to_vec()),
            _ => {}
        }
    }

    fn knows(&self, nal: &[u8]) -> bool {
        match nal_type(nal) {
            SPS => sps_id(nal)
                .and_then(|id| self.sps.get(&id))
                .is_some_and(|known| known == nal),
            PPS => pps_id(nal)
                .and_then(|id| self.pps.get(&id))
                .is_some_and(|known| known == nal),
            _ => self.extensions.iter().any(|known| known == nal),
        }
    }

    /// Reads an `avcC` record (ISO/IEC 14496-15 §5.3.3.1); the size of lengths in samples.
    fn learn_record(&mut self, record: &[u8]) -> Result<usize, Malformed> {
        let broken = || Malformed::new("the track's avcC record is broken");
        let [1, _, _, _, length_size, sps_count, rest @ ..] = record else {
            return Err(broken());
        };
        let length_size = usize::from(length_size & 3) + 1;
        if length_size == 3 {
            return Err(broken());
        }
        let mut rest = rest;
        for _ in 0..sps_count & 0x1f {
            self.learn(take_set(&mut rest).ok_or_else(broken)?);
        }
        let (pps_count, after) = rest.split_first().ok_or_else(broken)?;
        rest = after;
        for _ in 0..*pps_count {
            self.learn(take_set(&mut rest).ok_or_else(broken)?);
        }
        // Chroma format and bit depths are in the SPS, too; the extensions are not.
        if let [_, _, _, count, after @ ..] = rest {
            rest = after;
            for _ in 0..*count {
                self.learn(take_set(&mut rest).ok_or_else(broken)?);
            }
        }
        Ok(length_size)
    }

    fn config(&self) -> Result<AvcConfig, Malformed> {
        let first = self
            .sps
            .values()
            .next()
            .ok_or_else(|| Malformed::new("no SPS"))?;
        if self.pps.is_empty() || first.len() < 4 {
            return Err(Malformed::new("no PPS, or a short SPS"));
        }
        let unreadable = |error: String| Malformed(format!("the SPS cannot be read: {error}"));
        let rbsp = decode_nal(first).map_err(|error| unreadable(error.to_string()))?;
        let sps = SeqParameterSet::from_bits(BitReader::new(&rbsp[..]))
            .map_err(|error| unreadable(format!("{error:?}")))?;
        let (width, height) = sps
            .pixel_dimensions()
            .map_err(|error| unreadable(format!("{error:?}")))?;
        if width > u32::from(u16::MAX) || height > u32::from(u16::MAX) {
            return Err(unreadable(format!("{width}x{height} pixels")));
        }
        let chroma = &sps.chroma_info;
        Ok(AvcConfig {
            sps: self.sps.values().cloned().collect(),
            pps: self.pps.values().cloned().collect(),
            sps_extensions: self.extensions.clone(),
            width,
            height,
            chroma_format: match chroma.chroma_format {
                ChromaFormat::Monochrome => 0,
                ChromaFormat::YUV422 => 2,
                ChromaFormat::YUV444 => 3,
                _ => 1,
            },
            bit_depth_luma: 8 + chroma.bit_depth_luma_minus8,
            bit_depth_chroma: 8 + chroma.bit_depth_chroma_minus8,
            reorder: reorder(&sps),
            frame_rate: frame_rate(&sps),
        })
    }
}

/// What the sequence says of reordering: in so many words, or by what its profile and its order
/// counts allow (§E.2.1, §A.2.1, §8.2.1.3).
fn reorder(sps: &SeqParameterSet) -> Option<usize> {
    const BASELINE: u8 = 66;
    let vui = sps.vui_parameters.as_ref();
    if let Some(said) = vui.and_then(|vui| vui.bitstream_restrictions.as_ref()) {
        return usize::try_from(said.max_num_reorder_frames).ok();
    }
    let in_order = u8::from(sps.profile_idc) == BASELINE
        || matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo);
    in_order.then_some(0)
}

/// Two fields a frame (§E.2.1).
fn frame_rate(sps: &SeqParameterSet) -> Option<(u32, u32)> {
    let timing = sps.vui_parameters.as_ref()?.timing_info.as_ref()?;
    let per = timing.num_units_in_tick.checked_mul(2)?;
    let fps = f64::from(timing.time_scale) / f64::from(per);
    (1.0..=240.0)
        .contains(&fps)
        .then_some((timing.time_scale, per))
}

fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

fn sps_id(nal: &[u8]) -> Option<u32> {
    let bytes = nal.get(4..)?;
    Bits::new(bytes).ue().filter(|id| *id < 32)
}

fn pps_id(nal: &[u8]) -> Option<u32> {
    let bytes = nal.get(1..)?;
    Bits::new(bytes).ue().filter(|id| *id < 256)
}

/// Whether a slice is intra-coded as all slices of its picture are said to be, or at least it.
fn is_intra(slice: &[u8]) -> bool {
    let mut bits = Bits {
        bytes: slice.get(1..).unwrap_or_default(),
        at: 0,
    };
    // first_mb_in_slice, slice_type (§7.4.3, table 7-6).
    bits.ue().is_some() && matches!(bits.ue(), Some(2 | 4 | 7 | 9))
}

/// Whether an SEI NAL unit holds a recovery point at which the picture is right at once (§D.2.8);
/// gradual refresh gives no frame that a player can begin with.
fn is_recovery_point(nal: &[u8]) -> bool {
    let Ok(rbsp) = decode_nal(nal) else {
        return false;
    };
    let mut rest = &rbsp[..];
    loop {
        let (Some(kind), Some(size)) = (sei_number(&mut rest), sei_number(&mut rest)) else {
            return false;
        };
        let Some((payload, after)) = rest.split_at_checked(size) else {
            return false;
        };
        if kind == SEI_RECOVERY_POINT {
            return Bits {
                bytes: payload,
                at: 0,
            }
            .ue()
                == Some(0);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // x264's sets for 1280x720, high profile, level 3.1.
    const TEST_SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
        0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60,
    ];
    const TEST_PPS: &[u8] = &[0x68, 0xeb, 0xec, 0xb2, 0x2c];

    fn byte_stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter()
            .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
            .collect()
    }

    fn kept<'a>(data: &'a [u8], unit: &AccessUnit) -> Vec<&'a [u8]> {
        unit.nals.iter().map(|nal| &data[nal.clone()]).collect()
    }

    #[test]
    fn parameter_sets_in_front_of_the_first_keyframe_make_the_configuration() {
        let mut stream = AvcStream::new(&[]).unwrap();
        let idr: &[u8] = &[0x65, 0x88, 0x80];
        let data = byte_stream(&[&[0x09, 0xf0], TEST_SPS, TEST_PPS, idr]);
        let unit = stream.access_unit(&data, true).unwrap();
        assert_eq!(unit.kind, FrameKind::Idr);
        assert!(unit.new_config);
        assert_eq!(kept(&data, &unit), [idr]);
        let config = stream.config().unwrap();
        assert_eq!((config.width, config.height), (1280, 720));
        assert_eq!(config.codecs(), "avc1.64001f");
        assert!(!stream.access_unit(&data, true).unwrap().new_config);
    }

    #[test]
    fn a_changed_set_is_a_new_configuration() {
        let mut stream = AvcStream::new(&byte_stream(&[TEST_SPS, TEST_PPS])).unwrap();
        let before = stream.config().unwrap().clone();
        let mut other_pps = TEST_PPS.to_vec();
        other_pps[4] = 0x2e;
        let data = byte_stream(&[TEST_SPS, &other_pps, &[0x65, 0x88, 0x80]]);
        assert!(stream.access_unit(&data, true).unwrap().new_config);
        assert_ne!(stream.config().unwrap(), &before);
        // Another SPS with the PPS that is known.
        let mut other_sps = TEST_SPS.to_vec();
        other_sps[3] = 0x20;
        let data = byte_stream(&[&other_sps, &other_pps, &[0x65, 0x88, 0x80]]);
        assert!(stream.access_unit(&data, true).unwrap().new_config);
        assert_eq!(stream.config().unwrap().codecs(), "avc1.640020");
        assert_eq!(stream.config().unwrap().pps, [other_pps]);
    }

    #[test]
    fn recovery_points_are_keyframes_that_are_no_idr() {
        let mut stream = AvcStream::new(&byte_stream(&[TEST_SPS, TEST_PPS])).unwrap();
        let intra: &[u8] = &[0x41, 0x88, 0x80];
        let at_once: &[u8] = &[0x06, 6, 1, 0b1100_0000, 0x80];
        let gradual: &[u8] = &[0x06, 6, 1, 0b0100_0000, 0x80];
        let kind = |stream: &mut AvcStream, nals: &[&[u8]], key| {
            stream.access_unit(&byte_stream(nals), key).unwrap().kind
        };
        assert_eq!(
            kind(&mut stream, &[at_once, intra], false),
            FrameKind::Recovery
        );
        assert_eq!(
            kind(&mut stream, &[gradual, intra], false),
            FrameKind::Delta
        );
        assert_eq!(kind(&mut stream, &[intra], true), FrameKind::Recovery);
        assert_eq!(kind(&mut stream, &[intra], false), FrameKind::Delta);
    }

    #[test]
    fn lengths_that_lead_out_of_the_packet_are_refused() {
        let mut record = vec![1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, TEST_SPS.len() as u8];
        record.extend_from_slice(TEST_SPS);
        record.extend_from_slice(&[1, 0, TEST_PPS.len() as u8]);
        record.extend_from_slice(TEST_PPS);
        let mut stream = AvcStream::new(&record).unwrap();
        assert!(stream.config().is_some());
        assert!(stream.access_unit(&[0, 0, 0, 9, 0x65], true).is_err());
        assert!(stream.access_unit(&[0, 0, 0], true).is_err());
        assert!(stream.access_unit(&[], true).is_err());
        let data = [0, 0, 0, 2, 0x65, 0x88];
        let unit = stream.access_unit(&data, true).unwrap();
        assert_eq!(kept(&data, &unit), [&data[4..]]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(data: Vec<u8>, extradata: Vec<u8>, key: bool) {
            if let Ok(mut stream) = AvcStream::new(&extradata) {
                let _ = stream.access_unit(&data, key);
            }
            let mut stream = AvcStream::new(&[]).unwrap();
            let _ = stream.access_unit(&data, key);
        }
    }
}
