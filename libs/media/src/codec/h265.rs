//! H.265 access units (ISO/IEC 23008-2, ITU-T H.265) as they lie in MP4 samples and in byte
//! streams: NAL units, parameter sets and kinds of frames.

use std::{collections::BTreeMap, fmt::Write as _};

use h264_reader::rbsp::decode_nal;

use super::{
    Malformed,
    nal::{AccessUnit, Bits, FrameKind, Layout, split, take_set},
};

/// Kinds of NAL units (table 7-1).
const FIRST_IRAP: u8 = 16;
const IDR_W_RADL: u8 = 19;
const IDR_N_LP: u8 = 20;
const LAST_IRAP: u8 = 23;
const LAST_PICTURE: u8 = 31;
pub(crate) const VPS: u8 = 32;
pub(crate) const SPS: u8 = 33;
pub(crate) const PPS: u8 = 34;
const ACCESS_UNIT_DELIMITER: u8 = 35;
const END_OF_SEQUENCE: u8 = 36;
const END_OF_BITSTREAM: u8 = 37;
const FILLER: u8 = 38;

/// What a track's sample entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HevcConfig {
    pub vps: Vec<Vec<u8>>,
    pub sps: Vec<Vec<u8>>,
    pub pps: Vec<Vec<u8>>,
    pub info: SpsInfo,
}

/// What stands in the first part of an SPS (§7.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpsInfo {
    id: u32,
    pub profile_space: u8,
    pub high_tier: bool,
    pub profile: u8,
    pub compatibility: [u8; 4],
    pub constraints: [u8; 6],
    pub level: u8,
    pub temporal_layers: u8,
    pub temporal_nesting: bool,
    pub chroma_format: u8,
    pub width: u32,
    pub height: u32,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    pub reorder: usize,
}

impl HevcConfig {
    /// RFC 6381 codecs by ISO/IEC 14496-15 §E.3.
    pub(crate) fn codecs(&self) -> String {
        let info = &self.info;
        let mut text = "hvc1.".to_owned();
        if let space @ 1..=3 = info.profile_space {
            text.push(char::from(b'A' + space - 1));
        }
        let compatibility = u32::from_be_bytes(info.compatibility).reverse_bits();
        let tier = if info.high_tier { 'H' } else { 'L' };
        let used = info
            .constraints
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{}.{compatibility:X}.{tier}{}",
            info.profile, info.level
        );
        for byte in info.constraints.iter().take(used) {
            let _ = write!(text, ".{byte:X}");
        }
        text
    }
}

/// Reads the access units of one stream and knows its parameter sets.
#[derive(Debug)]
pub(crate) struct HevcStream {
    layout: Layout,
    sets: Sets,
    config: Option<HevcConfig>,
}

/// Parameter sets by kind and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sets(BTreeMap<(u8, u32), Vec<u8>>);

impl HevcStream {
    /// A stream with the parameter sets of `extradata`: an `hvcC` record, a byte stream, or
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
            record => stream.layout = Layout::Lengths(stream.sets.learn_record(record)?),
        }
        stream.config = stream.sets.config().ok();
        Ok(stream)
    }

    /// The configuration; none before the first parameter sets.
    pub(crate) fn config(&self) -> Option<&HevcConfig> {
        self.config.as_ref()
    }

    /// Reads one access unit.
    ///
    /// Parameter sets are taken out of the sample: they stand in the sample entry. Those that
    /// change between keyframes, which `hvc1` does not allow for, stay in the sample.
    pub(crate) fn access_unit(&mut self, data: &[u8]) -> Result<AccessUnit, Malformed> {
        let all = split(data, self.layout)?;
        let kind = all
            .iter()
            .map(|nal| nal_type(&data[nal.clone()]))
            .find(|kind| *kind <= LAST_PICTURE)
            .map(|kind| match kind {
                IDR_W_RADL | IDR_N_LP => FrameKind::Idr,
                FIRST_IRAP..=LAST_IRAP => FrameKind::Recovery,
                _ => FrameKind::Delta,
            })
            .ok_or_else(|| Malformed::new("packet without a picture"))?;
        let is_set = |bytes: &[u8]| matches!(nal_type(bytes), VPS | SPS | PPS);
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
            .filter(|nal| {
                let bytes = &data[nal.clone()];
                match nal_type(bytes) {
                    ACCESS_UNIT_DELIMITER | END_OF_SEQUENCE | END_OF_BITSTREAM | FILLER => false,
                    VPS | SPS | PPS => !self.sets.knows(bytes),
                    _ => true,
                }
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
        let kind = nal_type(nal);
        let Some(id) = set_id(nal) else {
            return;
        };
        let known = self.0.insert((kind, id), nal.to_vec());
        if kind == SPS && known.is_some_and(|known| known != nal) {
            // The picture parameter sets of another sequence mean nothing now.
            self.0.retain(|(kind, _), _| *kind != PPS);
        }
    }

    fn knows(&self, nal: &[u8]) -> bool {
        set_id(nal)
            .and_then(|id| self.0.get(&(nal_type(nal), id)))
            .is_some_and(|known| known == nal)
    }

    /// Reads an `hvcC` record (ISO/IEC 14496-15 §8.3.3.1); the size of lengths in samples.
    fn learn_record(&mut self, record: &[u8]) -> Result<usize, Malformed> {
        let broken = || Malformed::new("the track's hvcC record is broken");
        let (head, mut rest) = record.split_at_checked(23).ok_or_else(broken)?;
        let [1, .., sizes, arrays] = head else {
            return Err(broken());
        };
        let length_size = usize::from(sizes & 3) + 1;
        if length_size == 3 {
            return Err(broken());
        }
        for _ in 0..*arrays {
            let (head, after) = rest.split_first_chunk::<3>().ok_or_else(broken)?;
            rest = after;
            for _ in 0..u16::from_be_bytes([head[1], head[2]]) {
                self.learn(take_set(&mut rest).ok_or_else(broken)?);
            }
        }
        Ok(length_size)
    }

    fn of(&self, wanted: u8) -> Vec<Vec<u8>> {
        self.0
            .iter()
            .filter(|((kind, _), _)| *kind == wanted)
            .map(|(_, nal)| nal.clone())
            .collect()
    }

    fn config(&self) -> Result<HevcConfig, Malformed> {
        let (vps, sps, pps) = (self.of(VPS), self.of(SPS), self.of(PPS));
        let first = sps.first().ok_or_else(|| Malformed::new("no SPS"))?;
        if vps.is_empty() || pps.is_empty() {
            return Err(Malformed::new("no VPS, or no PPS"));
        }
        let info = read_sps(first).ok_or_else(|| Malformed::new("the SPS cannot be read"))?;
        Ok(HevcConfig {
            info,
            vps,
            sps,
            pps,
        })
    }
}

fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(u8::MAX, |header| header >> 1 & 0x3f)
}

/// The id of a parameter set; none for other NAL units and broken sets.
fn set_id(nal: &[u8]) -> Option<u32> {
    let body = nal.get(2..)?;
    match nal_type(nal) {
        VPS => Bits::new(body).take(4),
        SPS => read_sps(nal).map(|info| info.id),
        PPS => Bits::new(body).ue().filter(|id| *id < 64),
        _ => None,
    }
}

/// Reads an SPS as far as this crate has to know it (§7.3.2.2, §7.3.3).
fn read_sps(nal: &[u8]) -> Option<SpsInfo> {
    // The reader takes one byte of header off, as H.264 has it; H.265's has two.
    let rbsp = decode_nal(nal.get(1..)?).ok()?;
    let mut bits = Bits::new(&rbsp);
    bits.take(4)?;
    let sub_layers = bits.take(3)?;
    let temporal_nesting = bits.flag()?;
    let profile_space = bits.take(2)? as u8;
    let high_tier = bits.flag()?;
    let profile = bits.take(5)? as u8;
    let mut byte = || Some(bits.take(8)? as u8);
    let compatibility = [byte()?, byte()?, byte()?, byte()?];
    let constraints = [byte()?, byte()?, byte()?, byte()?, byte()?, byte()?];
    let level = byte()?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize))?;
    }
    for (with_profile, with_level) in present {
        bits.skip(if with_profile { 88 } else { 0 } + if with_level { 8 } else { 0 })?;
    }
    let id = bits.ue().filter(|id| *id < 16)?;
    let chroma_format = bits.ue().filter(|format| *format < 4)?;
    let separate_planes = chroma_format == 3 && bits.flag()?;
    let (width, height) = (bits.ue()?, bits.ue()?);
    let mut crop = [0; 4];
    if bits.flag()? {
        for edge in &mut crop {
            *edge = bits.ue()?;
        }
    }
    let [left, right, top, bottom] = crop;
    let (unit_x, unit_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
    let height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    let sound = |size: u32| (1..=u32::from(u16::MAX)).contains(&size);
    if !sound(width) || !sound(height) {
        return None;
    }
    let depth = |value: u32| (value <= 8).then(|| 8 + value as u8);
    let bit_depth_luma = depth(bits.ue()?)?;
    let bit_depth_chroma = depth(bits.ue()?)?;
    bits.ue()?;
    let all_layers = bits.flag()?;
    let mut reorder = 0;
    for _ in if all_layers { 0 } else { sub_layers }..=sub_layers {
        bits.ue()?;
        reorder = bits.ue()?;
        bits.ue()?;
    }
    Some(SpsInfo {
        id,
        profile_space,
        high_tier,
        profile,
        compatibility,
        constraints,
        level,
        temporal_layers: sub_layers as u8 + 1,
        temporal_nesting,
        chroma_format: if separate_planes {
            0
        } else {
            chroma_format as u8
        },
        width,
        height,
        bit_depth_luma,
        bit_depth_chroma,
        reorder: reorder.min(16) as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // x265's sets for 320x180, main profile, two B-frames.
    const TEST_VPS: &[u8] = &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09,
    ];
    const TEST_SPS: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01,
        0x6a, 0x02, 0x02, 0x02, 0x08,
    ];
    const TEST_PPS: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];

    fn byte_stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter()
            .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
            .collect()
    }

    #[test]
    fn parameter_sets_in_front_of_a_keyframe_make_the_configuration() {
        let mut stream = HevcStream::new(&[]).unwrap();
        let cra: &[u8] = &[21 << 1, 1, 0x80];
        let data = byte_stream(&[TEST_VPS, TEST_SPS, TEST_PPS, cra]);
        let unit = stream.access_unit(&data).unwrap();
        assert_eq!((unit.kind, unit.new_config), (FrameKind::Recovery, true));
        assert_eq!(unit.nals.len(), 1);
        let config = stream.config().unwrap();
        assert_eq!(config.codecs(), "hvc1.1.6.L60.90");
        assert_eq!((config.info.width, config.info.height), (320, 180));
        assert!(!stream.access_unit(&data).unwrap().new_config);
        let idr = byte_stream(&[&[19 << 1, 1, 0x80]]);
        assert_eq!(stream.access_unit(&idr).unwrap().kind, FrameKind::Idr);
        let trail = byte_stream(&[&[1 << 1, 1, 0x80]]);
        assert_eq!(stream.access_unit(&trail).unwrap().kind, FrameKind::Delta);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(data: Vec<u8>, extradata: Vec<u8>) {
            if let Ok(mut stream) = HevcStream::new(&extradata) {
                let _ = stream.access_unit(&data);
            }
            let _ = HevcStream::new(&[]).unwrap().access_unit(&data);
            let sps = [&[0x42, 1][..], &data].concat();
            let _ = read_sps(&sps);
        }
    }
}
