//! VP9 frames (VP9 Bitstream & Decoding Process Specification): key frames and their formats.

use super::{
    Malformed,
    nal::{AccessUnit, Bits, FrameKind},
};

/// What a track's sample entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vp9Config {
    pub profile: u8,
    pub level: u8,
    pub bit_depth: u8,
    /// As `vpcC` numbers them: 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_subsampling: u8,
    pub full_range: bool,
    pub width: u32,
    pub height: u32,
}

impl Vp9Config {
    /// RFC 6381 codecs by the VP codec ISO media file format binding.
    pub(crate) fn codecs(&self) -> String {
        format!(
            "vp09.{:02}.{:02}.{:02}",
            self.profile, self.level, self.bit_depth
        )
    }
}

/// Reads the frames of one stream and knows its format.
#[derive(Debug, Default)]
pub(crate) struct Vp9Stream {
    config: Option<Vp9Config>,
}

impl Vp9Stream {
    /// The configuration; none before the first key frame.
    pub(crate) fn config(&self) -> Option<&Vp9Config> {
        self.config.as_ref()
    }

    /// Reads one frame (or superframe).
    pub(crate) fn frame(&mut self, data: &[u8]) -> Result<AccessUnit, Malformed> {
        let header = read(data).ok_or_else(|| Malformed::new("no VP9 frame header"))?;
        let mut new_config = false;
        let kind = match header {
            Some(config) => {
                new_config = self.config.as_ref() != Some(&config);
                self.config = Some(config);
                FrameKind::Idr
            }
            None => FrameKind::Delta,
        };
        Ok(AccessUnit {
            kind,
            nals: std::iter::once(0..data.len()).collect(),
            new_config,
        })
    }
}

/// Reads an uncompressed header (§6.2): the format of a key frame, nothing for other frames; none
/// for what is no frame.
fn read(data: &[u8]) -> Option<Option<Vp9Config>> {
    let mut bits = Bits::new(data);
    if bits.take(2)? != 2 {
        return None;
    }
    let (low, high) = (bits.take(1)?, bits.take(1)?);
    let profile = (high << 1 | low) as u8;
    if profile == 3 {
        bits.skip(1)?;
    }
    if bits.flag()? {
        return Some(None);
    }
    let not_key = bits.flag()?;
    bits.skip(2)?;
    if not_key {
        return Some(None);
    }
    if bits.take(24)? != 0x49_83_42 {
        return None;
    }
    let bit_depth = match profile >= 2 {
        true if bits.flag()? => 12,
        true => 10,
        false => 8,
    };
    let rgb = bits.take(3)? == 7;
    let mut full_range = true;
    let mut chroma_subsampling = 3;
    if rgb {
        if profile & 1 == 1 {
            bits.skip(1)?;
        }
    } else {
        full_range = bits.flag()?;
        chroma_subsampling = 1;
        if profile & 1 == 1 {
            chroma_subsampling = match (bits.flag()?, bits.flag()?) {
                (true, true) => 1,
                (true, false) => 2,
                _ => 3,
            };
            bits.skip(1)?;
        }
    }
    let (width, height) = (bits.take(16)? + 1, bits.take(16)? + 1);
    // Sample entries have 16 bits for each.
    if width > u32::from(u16::MAX) || height > u32::from(u16::MAX) {
        return None;
    }
    Some(Some(Vp9Config {
        profile,
        level: level(width * height),
        bit_depth,
        chroma_subsampling,
        full_range,
        width,
        height,
    }))
}

/// The lowest level for pictures of this size at usual frame rates (§A): the stream does not say.
fn level(pixels: u32) -> u8 {
    match pixels {
        0..=36_864 => 10,
        36_865..=73_728 => 11,
        73_729..=122_880 => 20,
        122_881..=245_760 => 21,
        245_761..=552_960 => 30,
        552_961..=983_040 => 31,
        983_041..=2_228_224 => 41,
        2_228_225..=8_912_896 => 51,
        _ => 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_says_the_format() {
        let mut stream = Vp9Stream::default();
        // Profile 0, key frame, shown, 4:2:0, 320x180.
        let mut data = vec![0x82, 0x49, 0x83, 0x42, 0x20];
        data.extend_from_slice(&[0x13, 0xf0, 0x0b, 0x30, 0x00]);
        let unit = stream.frame(&data).unwrap();
        assert_eq!((unit.kind, unit.new_config), (FrameKind::Idr, true));
        let config = stream.config().unwrap();
        assert_eq!((config.width, config.height), (320, 180));
        assert_eq!(config.codecs(), "vp09.00.11.08");
        let unit = stream.frame(&[0x86, 0, 0]).unwrap();
        assert_eq!((unit.kind, unit.new_config), (FrameKind::Delta, false));
        assert!(stream.frame(&[0x00]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(data: Vec<u8>) {
            let _ = Vp9Stream::default().frame(&data);
            let key = [&[0x82, 0x49, 0x83, 0x42][..], &data].concat();
            let _ = Vp9Stream::default().frame(&key);
        }
    }
}
