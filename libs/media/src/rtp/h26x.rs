//! NAL units from RTP payloads: H.264 (RFC 6184 §5) and H.265 (RFC 7798 §4.4).

use super::{MOST_BYTES, RtpFrame, RtpPacket};

const START: [u8; 4] = [0, 0, 0, 1];

/// What a payload holds.
pub(super) enum Payload<'a> {
    /// One NAL unit.
    Single(&'a [u8]),
    /// NAL units with 16-bit lengths before them.
    Aggregate(&'a [u8]),
    /// A piece of a NAL unit whose header is given.
    Fragment {
        header: [u8; 2],
        header_length: usize,
        first: bool,
        last: bool,
        data: &'a [u8],
    },
    /// Nothing that is understood.
    Unknown,
}

/// A payload format: reads a payload, and tells whether a NAL unit holds (a part of) a picture.
pub(super) struct Format {
    read: fn(&[u8]) -> Payload<'_>,
    is_picture: fn(u8) -> bool,
}

pub(super) const fn h264() -> Format {
    Format {
        read: read_h264,
        is_picture: |header| matches!(header & 0x1f, 1..=5),
    }
}

pub(super) const fn h265() -> Format {
    Format {
        read: read_h265,
        is_picture: |header| header >> 1 & 0x3f < 32,
    }
}

fn read_h264(payload: &[u8]) -> Payload<'_> {
    match payload {
        [header, rest @ ..] => match header & 0x1f {
            1..=23 => Payload::Single(payload),
            24 => Payload::Aggregate(rest),
            28 => match rest {
                [fragment, data @ ..] => Payload::Fragment {
                    header: [header & 0xe0 | fragment & 0x1f, 0],
                    header_length: 1,
                    first: fragment & 0x80 != 0,
                    last: fragment & 0x40 != 0,
                    data,
                },
                [] => Payload::Unknown,
            },
            _ => Payload::Unknown,
        },
        [] => Payload::Unknown,
    }
}

fn read_h265(payload: &[u8]) -> Payload<'_> {
    match payload {
        [first, second, rest @ ..] => match first >> 1 & 0x3f {
            0..=47 => Payload::Single(payload),
            48 => Payload::Aggregate(rest),
            49 => match rest {
                [fragment, data @ ..] => Payload::Fragment {
                    header: [first & 0x81 | (fragment & 0x3f) << 1, *second],
                    header_length: 2,
                    first: fragment & 0x80 != 0,
                    last: fragment & 0x40 != 0,
                    data,
                },
                [] => Payload::Unknown,
            },
            _ => Payload::Unknown,
        },
        _ => Payload::Unknown,
    }
}

/// Puts access units together, as byte streams (annex B).
#[derive(Debug, Default)]
pub(crate) struct Nals {
    timestamp: Option<i64>,
    data: Vec<u8>,
    /// A piece of the unit is missing: it is left out.
    broken: bool,
    /// It holds a picture, not only parameter sets and the like.
    picture: bool,
    in_fragment: bool,
}

impl Nals {
    pub(super) fn push(
        &mut self,
        packet: &RtpPacket,
        format: fn() -> Format,
        give: &mut Vec<RtpFrame>,
    ) -> bool {
        let format = format();
        let mut damaged = packet.loss;
        if self.timestamp.is_some_and(|time| time != packet.timestamp) {
            if self.picture || self.broken {
                damaged |= self.broken || self.in_fragment;
                self.end(give);
            }
            // Parameter sets that came with a time of their own belong to the picture after them.
        }
        self.timestamp = Some(packet.timestamp);
        if packet.loss && (!self.data.is_empty() || self.in_fragment) {
            self.broken = true;
        }
        damaged |= !self.add((format.read)(&packet.payload), &format);
        if self.data.len() > MOST_BYTES {
            self.data.clear();
            self.broken = true;
        }
        // Some cameras mark parameter sets and SEI as if they were pictures.
        if packet.marker && (self.picture || self.broken) {
            damaged |= self.broken || self.in_fragment;
            self.end(give);
        }
        damaged
    }

    /// Adds a payload; whether it was understood.
    fn add(&mut self, payload: Payload<'_>, format: &Format) -> bool {
        match payload {
            Payload::Single(nal) => self.nal(nal, format),
            Payload::Aggregate(mut rest) => {
                while let [a, b, after @ ..] = rest {
                    let length = usize::from(u16::from_be_bytes([*a, *b]));
                    let Some((nal, after)) = after.split_at_checked(length) else {
                        return false;
                    };
                    if !nal.is_empty() {
                        self.nal(nal, format);
                    }
                    rest = after;
                }
                rest.is_empty()
            }
            Payload::Fragment {
                header,
                header_length,
                first,
                last,
                data,
            } => {
                if first {
                    self.data.extend_from_slice(&START);
                    // One or two bytes.
                    self.data.extend(header.iter().take(header_length).copied());
                    self.picture |= (format.is_picture)(header[0]);
                } else if !self.in_fragment {
                    // Its beginning is missing.
                    self.broken = true;
                    self.picture |= (format.is_picture)(header[0]);
                    return false;
                }
                self.in_fragment = !last;
                self.data.extend_from_slice(data);
                true
            }
            Payload::Unknown => false,
        }
    }

    fn nal(&mut self, nal: &[u8], format: &Format) -> bool {
        let whole = !std::mem::take(&mut self.in_fragment);
        // A fragment that was never ended.
        self.broken |= !whole;
        self.data.extend_from_slice(&START);
        self.data.extend_from_slice(nal);
        self.picture |= nal
            .first()
            .is_some_and(|header| (format.is_picture)(*header));
        whole
    }

    fn end(&mut self, give: &mut Vec<RtpFrame>) {
        let data = std::mem::take(&mut self.data);
        let broken = std::mem::take(&mut self.broken) || std::mem::take(&mut self.in_fragment);
        self.picture = false;
        self.in_fragment = false;
        if let Some(timestamp) = self.timestamp
            && !broken
            && !data.is_empty()
        {
            give.push(RtpFrame { timestamp, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::packet;
    use crate::rtp::Depacketizer;

    #[test]
    fn an_access_unit_of_singles_aggregates_and_fragments() {
        let mut h264 = Depacketizer::h264();
        let mut frames = Vec::new();
        // STAP-A of SPS and PPS, then an IDR slice in three fragments.
        let aggregate = [0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2];
        assert!(!h264.push(&packet(9, false, &aggregate), &mut frames));
        for (fragment, byte) in [(0x85, 7), (0x05, 8), (0x45, 9)] {
            let last = fragment & 0x40 != 0;
            assert!(!h264.push(&packet(9, last, &[0x7c, fragment, byte]), &mut frames));
        }
        let expected = [
            &[0, 0, 0, 1, 0x67, 1][..],
            &[0, 0, 0, 1, 0x68, 2],
            &[0, 0, 0, 1, 0x65, 7, 8, 9],
        ];
        assert_eq!(frames[0].data, expected.concat());
        assert_eq!(frames[0].timestamp, 9);
    }

    #[test]
    fn h265_fragments_get_their_header_back() {
        let mut h265 = Depacketizer::h265();
        let mut frames = Vec::new();
        h265.push(&packet(1, false, &[49 << 1, 1, 0x80 | 19, 5]), &mut frames);
        h265.push(&packet(1, true, &[49 << 1, 1, 0x40 | 19, 6]), &mut frames);
        assert_eq!(frames[0].data, [0, 0, 0, 1, 19 << 1, 1, 5, 6]);
    }

    #[test]
    fn a_unit_with_a_missing_piece_is_left_out() {
        let mut h264 = Depacketizer::h264();
        let mut frames = Vec::new();
        h264.push(&packet(1, false, &[0x7c, 0x85, 1]), &mut frames);
        let mut after_loss = packet(1, true, &[0x7c, 0x45, 2]);
        after_loss.loss = true;
        assert!(h264.push(&after_loss, &mut frames));
        assert_eq!(frames, []);
        // A fragment that begins in its middle.
        assert!(h264.push(&packet(2, true, &[0x7c, 0x45, 2]), &mut frames));
        assert_eq!(frames, []);
        assert!(!h264.push(&packet(3, true, &[0x41, 2]), &mut frames));
        assert_eq!(frames.len(), 1);
    }

    #[test]
    fn marked_parameter_sets_wait_for_their_picture() {
        let mut h264 = Depacketizer::h264();
        let mut frames = Vec::new();
        h264.push(&packet(1, true, &[0x67, 1]), &mut frames);
        h264.push(&packet(2, true, &[0x65, 2]), &mut frames);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].timestamp, 2);
        assert_eq!(frames[0].data, [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 2]);
    }
}
