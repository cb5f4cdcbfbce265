//! AV1 temporal units from RTP payloads (RTP Payload Format For AV1, §4).

use super::{MOST_BYTES, RtpFrame, RtpPacket};

const TEMPORAL_DELIMITER: u8 = 2;
const TILE_LIST: u8 = 8;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

#[derive(Debug, Default)]
pub(crate) struct Av1 {
    timestamp: Option<i64>,
    /// OBUs with sizes.
    unit: Vec<u8>,
    /// An OBU whose end is still to come.
    open: Option<Vec<u8>>,
    broken: bool,
}

impl Av1 {
    pub(super) fn push(&mut self, packet: &RtpPacket, give: &mut Vec<RtpFrame>) -> bool {
        let mut damaged = packet.loss;
        if self.timestamp.is_some_and(|time| time != packet.timestamp) {
            damaged |= self.broken;
            self.end(give);
        }
        self.timestamp = Some(packet.timestamp);
        self.broken |= packet.loss && (!self.unit.is_empty() || self.open.is_some());
        if packet.loss {
            self.open = None;
        }
        if self.read(&packet.payload).is_none() {
            self.broken = true;
        }
        if packet.marker {
            damaged |= self.broken;
            self.end(give);
        }
        damaged
    }

    /// Reads the OBU elements of a payload; none if they make no sense.
    fn read(&mut self, payload: &[u8]) -> Option<()> {
        let (header, mut rest) = payload.split_first()?;
        let (continues, goes_on, count) = (header & 0x80 != 0, header & 0x40 != 0, header >> 4 & 3);
        let mut n = 0;
        while !rest.is_empty() {
            n += 1;
            // The last of a known number has no length.
            let element = if n == count {
                std::mem::take(&mut rest)
            } else {
                let length = leb128(&mut rest)?;
                let (element, after) = rest.split_at_checked(length)?;
                rest = after;
                element
            };
            let mut obu = if n == 1 && continues {
                self.open.take()?
            } else {
                Vec::new()
            };
            obu.extend_from_slice(element);
            if obu.len() + self.unit.len() > MOST_BYTES {
                return None;
            }
            if rest.is_empty() && goes_on {
                self.open = Some(obu);
            } else {
                self.add(&obu)?;
            }
        }
        Some(())
    }

    /// Adds a whole OBU, with its size.
    fn add(&mut self, obu: &[u8]) -> Option<()> {
        let (header, mut rest) = obu.split_first()?;
        if matches!(header >> 3 & 0xf, TEMPORAL_DELIMITER | TILE_LIST) {
            return Some(());
        }
        self.unit.push(header | HAS_SIZE);
        if header & HAS_EXTENSION != 0 {
            let (extension, after) = rest.split_first()?;
            self.unit.push(*extension);
            rest = after;
        }
        if header & HAS_SIZE != 0 {
            let size = leb128(&mut rest)?;
            rest = rest.get(..size)?;
        }
        let mut size = rest.len();
        loop {
            let byte = (size & 0x7f) as u8;
            size >>= 7;
            self.unit.push(byte | if size > 0 { 0x80 } else { 0 });
            if size == 0 {
                break;
            }
        }
        self.unit.extend_from_slice(rest);
        Some(())
    }

    fn end(&mut self, give: &mut Vec<RtpFrame>) {
        let data = std::mem::take(&mut self.unit);
        let broken = std::mem::take(&mut self.broken) | self.open.take().is_some();
        if let Some(timestamp) = self.timestamp.take()
            && !broken
            && !data.is_empty()
        {
            give.push(RtpFrame { timestamp, data });
        }
    }
}

fn leb128(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for at in 0..5 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Depacketizer, tests::packet};

    #[test]
    fn obus_get_their_sizes_and_fragments_are_joined() {
        let mut av1 = Depacketizer::av1();
        let mut frames = Vec::new();
        // Two elements: a whole sequence header (type 1) and the beginning of a frame (type 6).
        let first = [0x60, 3, 1 << 3, 7, 8, 6 << 3, 1];
        let second = [0x90, 2, 3];
        assert!(!av1.push(&packet(4, false, &first), &mut frames));
        assert!(!av1.push(&packet(4, true, &second), &mut frames));
        let expected = [1 << 3 | 2, 2, 7, 8, 6 << 3 | 2, 3, 1, 2, 3];
        assert_eq!(frames[0].data, expected);
    }
}
