//! AAC configurations: AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) and ADTS headers (§1.A.2).

use super::Malformed;

const RATES: [u32; 13] = [
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
];

/// Length of an ADTS header without checksum.
const ADTS_HEADER: usize = 7;

/// A configuration that this crate can carry as it is: AAC-LC, HE-AAC or HE-AAC v2 with 1,024
/// samples a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AacConfig {
    /// The AudioSpecificConfig.
    pub specific: Vec<u8>,
    /// Audio object type: 2 LC, 5 SBR, 29 SBR and PS.
    pub object_type: u8,
    /// Samples per second of the core, and its channels: 1 to 6, or 8.
    pub core_rate: u32,
    pub core_channels: u32,
    /// Samples per second after decoding: twice the core's with SBR.
    pub rate: u32,
}

impl AacConfig {
    /// Samples of a frame at [`rate`](Self::rate).
    pub(crate) fn frame_samples(&self) -> u32 {
        1024 * (self.rate / self.core_rate)
    }

    /// Channels after decoding.
    pub(crate) fn channels(&self) -> u32 {
        if self.object_type == 29 {
            2
        } else {
            self.core_channels
        }
    }

    /// RFC 6381 §3.3 codecs.
    pub(crate) fn codecs(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }

    /// Reads an AudioSpecificConfig.
    pub(crate) fn read(specific: &[u8]) -> Result<Self, Malformed> {
        let mut bits = Bits {
            bytes: specific,
            at: 0,
        };
        let short = || Malformed::new("AudioSpecificConfig is too short");
        let mut object_type = bits.object_type().ok_or_else(short)?;
        let core_rate = bits.rate().ok_or_else(short)?;
        let channel_config = bits.take(4).ok_or_else(short)?;
        let mut rate = core_rate;
        let signalled = object_type;
        if matches!(object_type, 5 | 29) {
            rate = bits.rate().ok_or_else(short)?;
            object_type = bits.object_type().ok_or_else(short)?;
        }
        if object_type != 2 {
            return Err(Malformed(format!("AAC object type {object_type}")));
        }
        if bits.take(1).ok_or_else(short)? == 1 {
            return Err(Malformed::new("AAC with 960 samples a frame"));
        }
        let core_channels = match channel_config {
            1..=6 => channel_config,
            7 => 8,
            other => return Err(Malformed(format!("AAC channel configuration {other}"))),
        };
        if core_rate == 0 || rate % core_rate != 0 || !matches!(rate / core_rate, 1 | 2) {
            return Err(Malformed(format!("AAC at {core_rate} and {rate} Hz")));
        }
        Ok(Self {
            specific: specific.to_vec(),
            object_type: signalled,
            core_rate,
            core_channels,
            rate,
        })
    }

    /// The configuration that an ADTS header stands for.
    pub(crate) fn from_adts(frame: &[u8]) -> Result<Self, Malformed> {
        let [0xff, second, third, fourth, ..] = *frame else {
            return Err(Malformed::new("no ADTS header"));
        };
        let profile = third >> 6;
        let rate_index = third >> 2 & 0xf;
        let channels = (third & 1) << 2 | fourth >> 6;
        if second & 0xf6 != 0xf0 || profile != 1 {
            return Err(Malformed::new("no ADTS header of AAC-LC"));
        }
        // Object type 2 in 5 bits, rate index in 4, channels in 4.
        Self::read(&[2 << 3 | rate_index >> 1, rate_index << 7 | channels << 3])
    }
}

/// Bytes of header before the raw frame in an ADTS frame.
pub(crate) fn adts_header_length(frame: &[u8]) -> Option<usize> {
    match frame {
        [0xff, second, ..] if second & 0xf6 == 0xf0 => {
            let length = if second & 1 == 1 {
                ADTS_HEADER
            } else {
                ADTS_HEADER + 2
            };
            (frame.len() > length).then_some(length)
        }
        _ => None,
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u8> {
        Some(match self.take(5)? {
            31 => 32 + self.take(6)? as u8,
            other => other as u8,
        })
    }

    fn rate(&mut self) -> Option<u32> {
        match self.take(4)? {
            15 => self.take(24),
            index => RATES.get(index as usize).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_read() {
        let stereo = AacConfig::read(&[0x11, 0x90]).unwrap();
        assert_eq!(
            (stereo.rate, stereo.channels(), stereo.frame_samples()),
            (48000, 2, 1024)
        );
        assert_eq!(stereo.codecs(), "mp4a.40.2");
        // SBR, core 24 kHz, 48 kHz after decoding, LC.
        let he = AacConfig::read(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!(
            (he.rate, he.core_rate, he.frame_samples()),
            (48000, 24000, 2048)
        );
        assert!(AacConfig::read(&[0x11]).is_err());
        assert!(AacConfig::read(&[]).is_err());
    }

    #[test]
    fn an_adts_header_says_the_same() {
        let frame = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x7f, 0xfc, 0x21];
        assert_eq!(
            AacConfig::from_adts(&frame).unwrap(),
            AacConfig::read(&[0x11, 0x90]).unwrap()
        );
        assert_eq!(adts_header_length(&frame), Some(7));
        assert_eq!(adts_header_length(&[0x21, 0x10, 0, 0, 0, 0, 0, 0]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = AacConfig::read(&bytes);
            let _ = AacConfig::from_adts(&bytes);
            let _ = adts_header_length(&bytes);
        }
    }
}
