//! AAC frames from RTP payloads (RFC 3640 §3.2).

use super::{MOST_BYTES, RtpFrame, RtpPacket};

/// Samples of a frame, by which timestamps of frames in one packet go on.
const FRAME_SAMPLES: i64 = 1024;

/// Lengths of the fields in AU headers, in bits, as the SDP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AacFormat {
    pub size_length: u32,
    pub index_length: u32,
    pub index_delta_length: u32,
}

impl Default for AacFormat {
    /// Mode AAC-hbr (RFC 3640 §3.3.6).
    fn default() -> Self {
        Self {
            size_length: 13,
            index_length: 3,
            index_delta_length: 3,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Aac {
    format: AacFormat,
    /// A frame in fragments: its size, and what there is of it.
    fragment: Option<(i64, usize, Vec<u8>)>,
}

impl Aac {
    pub(super) fn new(format: AacFormat) -> Self {
        Self {
            format,
            fragment: None,
        }
    }

    pub(super) fn push(&mut self, packet: &RtpPacket, give: &mut Vec<RtpFrame>) -> bool {
        if packet.loss {
            self.fragment = None;
        }
        let understood = self.read(packet, give).is_some();
        packet.loss || !understood
    }

    fn read(&mut self, packet: &RtpPacket, give: &mut Vec<RtpFrame>) -> Option<()> {
        let (bits, rest) = packet.payload.split_first_chunk::<2>()?;
        let bits = usize::from(u16::from_be_bytes(*bits));
        let (headers, mut data) = rest.split_at_checked(bits.div_ceil(8))?;
        let sizes = self.sizes(headers, bits)?;
        if let [size] = sizes[..]
            && size > data.len()
        {
            return self.fragment(packet, size, data, give);
        }
        self.fragment = None;
        for (at, size) in (0..).zip(sizes) {
            let (frame, after) = data.split_at_checked(size)?;
            data = after;
            if !frame.is_empty() {
                give.push(RtpFrame {
                    timestamp: packet.timestamp + at * FRAME_SAMPLES,
                    data: frame.to_vec(),
                });
            }
        }
        Some(())
    }

    fn sizes(&self, headers: &[u8], bits: usize) -> Option<Vec<usize>> {
        let AacFormat {
            size_length,
            index_length,
            index_delta_length,
        } = self.format;
        let mut at = 0;
        let mut take = |count: u32| {
            let mut value = 0_usize;
            for _ in 0..count {
                let byte = headers.get(at / 8)?;
                value = value << 1 | usize::from(byte >> (7 - at % 8) & 1);
                at += 1;
            }
            Some(value)
        };
        let mut sizes = Vec::new();
        let mut left = bits;
        loop {
            let index = if sizes.is_empty() {
                index_length
            } else {
                index_delta_length
            };
            let header = (size_length + index) as usize;
            if header == 0 || left < header {
                break;
            }
            left -= header;
            sizes.push(take(size_length)?);
            take(index)?;
        }
        (!sizes.is_empty()).then_some(sizes)
    }

    /// A piece of a frame that is longer than a packet; each says the whole size.
    fn fragment(
        &mut self,
        packet: &RtpPacket,
        size: usize,
        data: &[u8],
        give: &mut Vec<RtpFrame>,
    ) -> Option<()> {
        let same = (self.fragment.take())
            .filter(|(time, whole, _)| *time == packet.timestamp && *whole == size);
        let (_, _, mut frame) = same.unwrap_or((0, 0, Vec::new()));
        frame.extend_from_slice(data);
        if frame.len() > size || size > MOST_BYTES {
            return None;
        }
        if frame.len() == size {
            give.push(RtpFrame {
                timestamp: packet.timestamp,
                data: frame,
            });
        } else {
            self.fragment = Some((packet.timestamp, size, frame));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Depacketizer, tests::packet};
    use super::*;

    #[test]
    fn frames_in_one_packet_have_times_of_their_own() {
        let mut aac = Depacketizer::aac(AacFormat::default());
        let mut frames = Vec::new();
        // Two AU headers of 16 bits: 2 bytes and 1 byte.
        let payload = [0, 32, 0, 2 << 3, 0, 1 << 3, 0xa, 0xb, 0xc];
        assert!(!aac.push(&packet(100, true, &payload), &mut frames));
        let times: Vec<_> = frames.iter().map(|frame| frame.timestamp).collect();
        assert_eq!(times, [100, 1124]);
        assert_eq!(frames[0].data, [0xa, 0xb]);
        assert_eq!(frames[1].data, [0xc]);
    }

    #[test]
    fn a_frame_in_fragments_is_put_together() {
        let mut aac = Depacketizer::aac(AacFormat::default());
        let mut frames = Vec::new();
        aac.push(&packet(5, false, &[0, 16, 0, 3 << 3, 1, 2]), &mut frames);
        assert_eq!(frames, []);
        aac.push(&packet(5, true, &[0, 16, 0, 3 << 3, 3]), &mut frames);
        assert_eq!(frames[0].data, [1, 2, 3]);
    }
}
