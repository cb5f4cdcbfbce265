//! From RTP payloads to frames: plain state machines of bytes, without network or clock.
//!
//! Cameras break every rule of these formats. What cannot be understood is left out and counted;
//! nothing here fails.

mod aac;
mod av1;
mod h26x;
mod vp9;

use bytes::Bytes;

pub(crate) use aac::AacFormat;
use h26x::Nals;

/// Frames are not longer than this: what is, comes from a sender that never ends one.
const MOST_BYTES: usize = 16 << 20;

/// An RTP packet, headers taken off (RFC 3550 §5.1).
#[derive(Debug, Clone)]
pub(crate) struct RtpPacket {
    /// Unwrapped, in units of the clock rate.
    pub timestamp: i64,
    pub marker: bool,
    /// Packets are missing right before it.
    pub loss: bool,
    pub payload: Bytes,
}

/// A frame, or what of audio stands in one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RtpFrame {
    pub timestamp: i64,
    pub data: Vec<u8>,
}

/// How payloads are put together.
#[derive(Debug)]
pub(crate) enum Depacketizer {
    /// H.264 (RFC 6184) and H.265 (RFC 7798): byte streams come out.
    H264(Nals),
    H265(Nals),
    /// MPEG-4 generic, mode AAC-hbr or AAC-lbr (RFC 3640): raw AAC frames come out.
    Aac(aac::Aac),
    /// AV1 (its RTP payload specification): temporal units with sizes come out.
    Av1(av1::Av1),
    /// VP9 (RFC 9628).
    Vp9(vp9::Vp9),
    /// A frame is what stands between two markers (MPEG-4 Visual, RFC 6416 §5).
    Joined(Joined),
    /// A packet is a frame (Opus, RFC 7587; PCM and the like, RFC 3551).
    Whole,
}

impl Depacketizer {
    pub(crate) fn h264() -> Self {
        Self::H264(Nals::default())
    }

    pub(crate) fn h265() -> Self {
        Self::H265(Nals::default())
    }

    pub(crate) fn aac(format: AacFormat) -> Self {
        Self::Aac(aac::Aac::new(format))
    }

    pub(crate) fn av1() -> Self {
        Self::Av1(av1::Av1::default())
    }

    pub(crate) fn vp9() -> Self {
        Self::Vp9(vp9::Vp9::default())
    }

    pub(crate) fn joined() -> Self {
        Self::Joined(Joined::default())
    }

    /// Takes the next packet; gives the frames that are complete. Whether something was missing
    /// or could not be understood.
    pub(crate) fn push(&mut self, packet: &RtpPacket, give: &mut Vec<RtpFrame>) -> bool {
        match self {
            Self::H264(nals) => nals.push(packet, h26x::h264, give),
            Self::H265(nals) => nals.push(packet, h26x::h265, give),
            Self::Aac(aac) => aac.push(packet, give),
            Self::Av1(av1) => av1.push(packet, give),
            Self::Vp9(vp9) => vp9.push(packet, give),
            Self::Joined(joined) => joined.push(packet, give),
            Self::Whole => {
                if !packet.payload.is_empty() {
                    give.push(RtpFrame {
                        timestamp: packet.timestamp,
                        data: packet.payload.to_vec(),
                    });
                }
                packet.loss
            }
        }
    }
}

/// Joins payloads of one timestamp.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    timestamp: Option<i64>,
    data: Vec<u8>,
    broken: bool,
}

impl Joined {
    fn push(&mut self, packet: &RtpPacket, give: &mut Vec<RtpFrame>) -> bool {
        let mut damaged = packet.loss;
        if self.timestamp.is_some_and(|time| time != packet.timestamp) {
            damaged |= self.broken;
            self.end(give);
        }
        self.timestamp = Some(packet.timestamp);
        self.broken |= packet.loss || self.data.len() + packet.payload.len() > MOST_BYTES;
        if !self.broken {
            self.data.extend_from_slice(&packet.payload);
        }
        if packet.marker {
            self.end(give);
        }
        damaged
    }

    fn end(&mut self, give: &mut Vec<RtpFrame>) {
        let data = std::mem::take(&mut self.data);
        let broken = std::mem::take(&mut self.broken);
        if let Some(timestamp) = self.timestamp.take()
            && !broken
            && !data.is_empty()
        {
            give.push(RtpFrame { timestamp, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn packet(timestamp: i64, marker: bool, payload: &[u8]) -> RtpPacket {
        RtpPacket {
            timestamp,
            marker,
            loss: false,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    fn all() -> Vec<Depacketizer> {
        vec![
            Depacketizer::h264(),
            Depacketizer::h265(),
            Depacketizer::aac(AacFormat::default()),
            Depacketizer::av1(),
            Depacketizer::vp9(),
            Depacketizer::joined(),
            Depacketizer::Whole,
        ]
    }

    #[test]
    fn payloads_of_one_time_are_joined() {
        let mut joined = Depacketizer::joined();
        let mut frames = Vec::new();
        joined.push(&packet(1, false, b"ab"), &mut frames);
        joined.push(&packet(1, true, b"c"), &mut frames);
        // A marker is lost: the next time ends the frame.
        joined.push(&packet(2, false, b"d"), &mut frames);
        joined.push(&packet(3, true, b"e"), &mut frames);
        let data: Vec<_> = frames.iter().map(|frame| &frame.data[..]).collect();
        assert_eq!(data, [&b"abc"[..], b"d", b"e"]);
    }

    proptest! {
        #[test]
        fn no_payload_makes_one_panic(
            packets in prop::collection::vec((0_i64..4, any::<bool>(), any::<bool>(), any::<Vec<u8>>()), 0..20),
        ) {
            for mut depacketizer in all() {
                let mut frames = Vec::new();
                for (timestamp, marker, loss, payload) in &packets {
                    let mut packet = packet(*timestamp, *marker, payload);
                    packet.loss = *loss;
                    depacketizer.push(&packet, &mut frames);
                }
            }
        }
    }
}
