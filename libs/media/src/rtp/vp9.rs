//! VP9 frames from RTP payloads (RFC 9628 §4.2).

use super::{Joined, RtpFrame, RtpPacket};

/// Joins payloads, their descriptors taken off.
#[derive(Debug, Default)]
pub(crate) struct Vp9(Joined);

impl Vp9 {
    pub(super) fn push(&mut self, packet: &RtpPacket, give: &mut Vec<RtpFrame>) -> bool {
        let Some(length) = descriptor_length(&packet.payload) else {
            return true;
        };
        let packet = RtpPacket {
            payload: packet.payload.slice(length..),
            ..packet.clone()
        };
        self.0.push(&packet, give)
    }
}

/// Bytes of the payload descriptor; none if it is longer than the payload.
fn descriptor_length(payload: &[u8]) -> Option<usize> {
    let flags = *payload.first()?;
    let has = |bit: u8| flags & bit != 0;
    let mut at = 1;
    // I: picture id of 7 or 15 bits.
    if has(0x80) {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    // L: layer indices; without F (flexible mode) TL0PICIDX.
    if has(0x20) {
        at += if has(0x10) { 1 } else { 2 };
    }
    // F and P: up to three reference indices, each with a bit that says that one more follows.
    if has(0x10) && has(0x40) {
        for _ in 0..3 {
            let index = payload.get(at)?;
            at += 1;
            if index & 1 == 0 {
                break;
            }
        }
    }
    // V: scalability structure.
    if has(0x02) {
        let structure = *payload.get(at)?;
        at += 1;
        if structure & 0x10 != 0 {
            at += (usize::from(structure >> 5) + 1) * 4;
        }
        if structure & 0x08 != 0 {
            let pictures = *payload.get(at)?;
            at += 1;
            for _ in 0..pictures {
                at += 1 + usize::from(payload.get(at)? >> 2 & 3);
            }
        }
    }
    (at <= payload.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Depacketizer, tests::packet},
        *,
    };

    #[test]
    fn descriptors_are_taken_off() {
        assert_eq!(descriptor_length(&[0x00, 1]), Some(1));
        assert_eq!(descriptor_length(&[0x80, 0x81, 2, 3]), Some(3));
        assert_eq!(descriptor_length(&[0xa0, 0x01, 2, 3, 4]), Some(4));
        assert_eq!(descriptor_length(&[0x02, 0x18, 0, 1, 0, 1, 0]), Some(7));
        assert_eq!(descriptor_length(&[0x82]), None);
        let mut vp9 = Depacketizer::vp9();
        let mut frames = Vec::new();
        vp9.push(&packet(1, false, &[0x88, 0x01, 9]), &mut frames);
        vp9.push(&packet(1, true, &[0x84, 0x01, 8]), &mut frames);
        assert_eq!(frames[0].data, [9, 8]);
    }
}
