//! AV1 temporal units (AV1 Bitstream & Decoding Process Specification) as they lie in MP4 samples:
//! OBUs, sequence headers and kinds of frames.

use std::ops::Range;

use super::{
    Malformed,
    nal::{AccessUnit, Bits, FrameKind},
};

/// Kinds of OBUs (§6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// What a track's sample entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Av1Config {
    /// The sequence header OBU, with its size.
    pub sequence_header: Vec<u8>,
    pub profile: u8,
    pub level: u8,
    pub high_tier: bool,
    pub bit_depth: u8,
    pub monochrome: bool,
    pub subsampling: (bool, bool),
    pub sample_position: u8,
    pub width: u32,
    pub height: u32,
    /// It is a still picture's.
    reduced: bool,
}

impl Av1Config {
    /// RFC 6381 codecs by the AV1 ISO media file format binding, §5.
    pub(crate) fn codecs(&self) -> String {
        let tier = if self.high_tier { 'H' } else { 'M' };
        format!(
            "av01.{}.{:02}{tier}.{:02}",
            self.profile, self.level, self.bit_depth
        )
    }
}

/// Reads the temporal units of one stream and knows its sequence header.
#[derive(Debug, Default)]
pub(crate) struct Av1Stream {
    config: Option<Av1Config>,
}

impl Av1Stream {
    /// A stream with the configuration of `extradata`: an `av1C` record, OBUs, or nothing.
    pub(crate) fn new(extradata: &[u8]) -> Self {
        let mut stream = Self::default();
        // The marker and version of a record (binding, §2.3.3); no OBU begins so.
        let obus = match extradata {
            [0x81, _, _, _, obus @ ..] => obus,
            obus => obus,
        };
        for obu in split(obus).unwrap_or_default() {
            if obu.kind == SEQUENCE_HEADER {
                stream.config = read_sequence_header(obus, &obu);
            }
        }
        stream
    }

    /// The configuration; none before the first sequence header.
    pub(crate) fn config(&self) -> Option<&Av1Config> {
        self.config.as_ref()
    }

    /// Reads one temporal unit.
    pub(crate) fn temporal_unit(&mut self, data: &[u8]) -> Result<AccessUnit, Malformed> {
        let obus = split(data).ok_or_else(|| Malformed::new("OBU longer than its packet"))?;
        let mut new_config = false;
        let mut header = None;
        let mut kind = None;
        for obu in &obus {
            match obu.kind {
                SEQUENCE_HEADER => {
                    let config = read_sequence_header(data, obu)
                        .ok_or_else(|| Malformed::new("the sequence header cannot be read"))?;
                    header = Some(config);
                }
                FRAME | FRAME_HEADER if kind.is_none() => {
                    let reduced = header.as_ref().or(self.config.as_ref());
                    let reduced = reduced.is_some_and(|config| config.reduced);
                    let key = reduced
                        || is_shown_key(&data[obu.payload.clone()])
                            .ok_or_else(|| Malformed::new("a frame without a header"))?;
                    kind = Some(key);
                }
                _ => {}
            }
        }
        let kind = match kind {
            // A decoder can begin only where the sequence header is, too (§7.5).
            Some(true) if header.is_some() => FrameKind::Idr,
            Some(_) => FrameKind::Delta,
            None => return Err(Malformed::new("packet without a picture")),
        };
        if let Some(config) = header
            && kind.is_key()
        {
            new_config = self.config.as_ref() != Some(&config);
            self.config = Some(config);
        }
        let nals = obus
            .into_iter()
            .filter(|obu| !matches!(obu.kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING))
            .map(|obu| obu.whole)
            .collect();
        Ok(AccessUnit {
            kind,
            nals,
            new_config,
        })
    }
}

struct Obu {
    kind: u8,
    whole: Range<usize>,
    payload: Range<usize>,
}

/// The OBUs of `data` (§5.3); none if one leads out of it.
fn split(data: &[u8]) -> Option<Vec<Obu>> {
    let mut obus = Vec::new();
    let mut at = 0;
    while let Some(header) = data.get(at) {
        let start = at;
        at += if header & 4 != 0 { 2 } else { 1 };
        let size = if header & 2 != 0 {
            let mut size = 0_usize;
            for shift in (0..).step_by(7) {
                let byte = *data.get(at)?;
                at += 1;
                if shift > 28 {
                    return None;
                }
                size |= usize::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            size
        } else {
            data.len().checked_sub(at)?
        };
        let end = at.checked_add(size).filter(|end| *end <= data.len())?;
        obus.push(Obu {
            kind: header >> 3 & 0xf,
            whole: start..end,
            payload: at..end,
        });
        at = end;
    }
    Some(obus)
}

/// Whether a frame header is that of a key frame that is shown (§5.9.2).
fn is_shown_key(payload: &[u8]) -> Option<bool> {
    let mut bits = Bits::new(payload);
    let existing = bits.flag()?;
    Some(!existing && bits.take(2)? == 0 && bits.flag()?)
}

fn read_sequence_header(data: &[u8], obu: &Obu) -> Option<Av1Config> {
    let mut bits = Bits::new(data.get(obu.payload.clone())?);
    let profile = bits.take(3)? as u8;
    let _still = bits.flag()?;
    let reduced = bits.flag()?;
    let (mut level, mut high_tier) = (0, false);
    if reduced {
        level = bits.take(5)? as u8;
    } else {
        let mut delay_length = None;
        if bits.flag()? {
            bits.skip(64)?;
            if bits.flag()? {
                uvlc(&mut bits)?;
            }
            if bits.flag()? {
                delay_length = Some(bits.take(5)? as usize + 1);
                bits.skip(32 + 5 + 5)?;
            }
        }
        let initial_delay = bits.flag()?;
        for point in 0..=bits.take(5)? {
            bits.skip(12)?;
            let of_point = bits.take(5)? as u8;
            let tier = of_point > 7 && bits.flag()?;
            if point == 0 {
                (level, high_tier) = (of_point, tier);
            }
            if let Some(length) = delay_length
                && bits.flag()?
            {
                bits.skip(2 * length + 1)?;
            }
            if initial_delay && bits.flag()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
    let (width, height) = (bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
    // Sample entries have 16 bits for each.
    if width > u32::from(u16::MAX) || height > u32::from(u16::MAX) {
        return None;
    }
    if !reduced && bits.flag()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !reduced {
        bits.skip(4)?;
        let order_hint = bits.flag()?;
        if order_hint {
            bits.skip(2)?;
        }
        let screen_content = bits.flag()? || bits.flag()?;
        if screen_content && !bits.flag()? {
            bits.skip(1)?;
        }
        if order_hint {
            bits.skip(3)?;
        }
    }
    bits.skip(3)?;
    let color = color_config(&mut bits, profile)?;
    Some(Av1Config {
        sequence_header: data.get(obu.whole.clone())?.to_vec(),
        profile,
        level,
        high_tier,
        width,
        height,
        reduced,
        ..color
    })
}

/// §5.5.2; the rest of the configuration is empty.
fn color_config(bits: &mut Bits<'_>, profile: u8) -> Option<Av1Config> {
    let high = bits.flag()?;
    let bit_depth = match (profile, high) {
        (2, true) => {
            if bits.flag()? {
                12
            } else {
                10
            }
        }
        (_, true) => 10,
        (_, false) => 8,
    };
    let monochrome = profile != 1 && bits.flag()?;
    let described = if bits.flag()? {
        (bits.take(8)?, bits.take(8)?, bits.take(8)?)
    } else {
        (2, 2, 2)
    };
    let mut sample_position = 0;
    let subsampling = if monochrome {
        bits.skip(1)?;
        (true, true)
    } else if described == (1, 13, 0) {
        (false, false)
    } else {
        bits.skip(1)?;
        let subsampling = match (profile, bit_depth) {
            (0, _) => (true, true),
            (1, _) => (false, false),
            (_, 12) => {
                let x = bits.flag()?;
                (x, x && bits.flag()?)
            }
            _ => (true, false),
        };
        if subsampling == (true, true) {
            sample_position = bits.take(2)? as u8;
        }
        subsampling
    };
    Some(Av1Config {
        sequence_header: Vec::new(),
        profile,
        level: 0,
        high_tier: false,
        bit_depth,
        monochrome,
        subsampling,
        sample_position,
        width: 0,
        height: 0,
        reduced: false,
    })
}

/// §4.10.3.
fn uvlc(bits: &mut Bits<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
        if zeros >= 32 {
            return Some(());
        }
    }
    bits.skip(zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SVT-AV1's sequence header for 320x180, 8 bits.
    const SEQUENCE: &[u8] = &[
        0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0xfb, 0xf9, 0x00, 0x40,
    ];

    #[test]
    fn obus_that_lead_out_of_the_packet_are_refused() {
        let mut stream = Av1Stream::new(&[]);
        assert!(stream.temporal_unit(&[0x32, 9, 0]).is_err());
        assert!(stream.temporal_unit(&[]).is_err());
        assert!(stream.temporal_unit(&[0x12, 0]).is_err(), "no picture");
        // A delimiter is left out; without a sequence header nothing can begin.
        let unit = stream.temporal_unit(&[0x12, 0, 0x32, 1, 0x10]).unwrap();
        assert_eq!((unit.kind, unit.nals), (FrameKind::Delta, vec![2..5]));
    }

    #[test]
    fn a_sequence_header_is_read() {
        let stream = Av1Stream::new(SEQUENCE);
        let config = stream.config().unwrap();
        assert_eq!(
            (config.width, config.height, config.bit_depth),
            (320, 180, 8)
        );
        assert_eq!(config.codecs(), "av01.0.00M.08");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(data: Vec<u8>, extradata: Vec<u8>) {
            let _ = Av1Stream::new(&extradata).temporal_unit(&data);
            let obu = [&[0x08][..], &data].concat();
            let _ = Av1Stream::new(&obu);
        }
    }
}
