//! Opus configurations: the identification header (RFC 7845 §5.1) and packet durations
//! (RFC 6716 §3.1).

use super::Malformed;

/// What an `OpusHead` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpusConfig {
    pub channels: u8,
    pub pre_skip: u16,
    pub input_rate: u32,
    pub gain: i16,
    /// Mapping family, streams, coupled streams, mapping; none of family 0.
    pub mapping: Option<(u8, u8, u8, Vec<u8>)>,
}

impl OpusConfig {
    /// Opus always counts 48,000 samples a second (RFC 7845 §4).
    pub(crate) const RATE: u32 = 48_000;

    /// Reads an `OpusHead`.
    pub(crate) fn read(head: &[u8]) -> Result<Self, Malformed> {
        let [
            b'O',
            b'p',
            b'u',
            b's',
            b'H',
            b'e',
            b'a',
            b'd',
            version,
            channels,
            p0,
            p1,
            r0,
            r1,
            r2,
            r3,
            g0,
            g1,
            family,
            table @ ..,
        ] = head
        else {
            return Err(Malformed::new("no OpusHead"));
        };
        if version & 0xf0 != 0 || *channels == 0 {
            return Err(Malformed::new("OpusHead of another version"));
        }
        let mapping = match (family, table) {
            (0, _) => None,
            (family, [streams, coupled, mapping @ ..])
                if mapping.len() >= usize::from(*channels) =>
            {
                let mapping = mapping[..usize::from(*channels)].to_vec();
                Some((*family, *streams, *coupled, mapping))
            }
            _ => return Err(Malformed::new("OpusHead without its mapping table")),
        };
        Ok(Self {
            channels: *channels,
            pre_skip: u16::from_le_bytes([*p0, *p1]),
            input_rate: u32::from_le_bytes([*r0, *r1, *r2, *r3]),
            gain: i16::from_le_bytes([*g0, *g1]),
            mapping,
        })
    }

    /// A packet of 20 ms of silence. None for more than two channels, whose packets are made of
    /// several streams.
    pub(crate) fn silence(&self) -> Option<&'static [u8]> {
        // CELT, full band, 20 ms, one frame, mono or stereo; a payload of ones is silence.
        match (self.channels, &self.mapping) {
            (1, None) => Some(&[0xf8, 0xff, 0xfe]),
            (2, None) => Some(&[0xfc, 0xff, 0xfe]),
            _ => None,
        }
    }

    /// Samples of [`silence`](Self::silence).
    pub(crate) const SILENCE_SAMPLES: u32 = 960;
}

/// Samples in a packet at 48 kHz; none for what cannot be a packet.
pub(crate) fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = packet.first()?;
    let config = toc >> 3;
    let frame = match config {
        0..12 => [480, 960, 1920, 2880][usize::from(config % 4)],
        12..16 => [480, 960][usize::from(config % 2)],
        _ => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    // 120 ms at most (RFC 6716 §3.2.5, R5).
    (1..=5760)
        .contains(&(frame * frames))
        .then_some(frame * frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_packets_are_read() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        let config = OpusConfig::read(head).unwrap();
        assert_eq!(
            (config.channels, config.pre_skip, config.input_rate),
            (2, 312, 48000)
        );
        assert_eq!(
            packet_samples(config.silence().unwrap()),
            Some(OpusConfig::SILENCE_SAMPLES)
        );
        assert_eq!(packet_samples(&[0x0b, 0x83]), Some(3 * 960));
        assert_eq!(packet_samples(&[0x03, 0]), None);
        assert!(OpusConfig::read(&head[..12]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = OpusConfig::read(&bytes);
            let _ = packet_samples(&bytes);
        }
    }
}
