//! Media addresses of a gateway: what they say of the bytes behind them.

use reelay_wire::{Epoch, Fingerprint, StreamId, StreamUid, Track};

/// The address of a segment or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaAddress {
    /// The stream.
    pub stream: StreamId,
    /// Its track.
    pub track: Track,
    /// Its incarnation.
    pub uid: StreamUid,
    /// Epoch of the segment.
    pub epoch: Epoch,
    /// Number of the segment.
    pub segment: u64,
    /// Fingerprint of the segment; a gap has none.
    pub fingerprint: Option<Fingerprint>,
    /// The part, if it is not the whole segment.
    pub part: Option<u32>,
}

impl MediaAddress {
    /// Reads `/streams/{id}/hls/{track}/{uid}/{epoch}-{segment}-{fingerprint}[.{part}].m4s`.
    pub fn parse(path: &str) -> Option<Self> {
        let mut steps = path.strip_prefix("/streams/")?.split('/');
        let stream = steps.next()?.parse().ok()?;
        (steps.next()? == "hls").then_some(())?;
        let track = steps.next()?.parse().ok()?;
        let uid = steps.next()?.parse().ok()?;
        let name = steps.next()?.strip_suffix(".m4s")?;
        if steps.next().is_some() {
            return None;
        }
        let (name, part) = match name.split_once('.') {
            Some((name, part)) => (name, Some(part.parse().ok()?)),
            None => (name, None),
        };
        let mut fields = name.split('-');
        let epoch = Epoch(fields.next()?.parse().ok()?);
        let segment = fields.next()?.parse().ok()?;
        let fingerprint = fields.next()?.parse().ok();
        if fields.next().is_some() {
            return None;
        }
        Some(Self {
            stream,
            track,
            uid,
            epoch,
            segment,
            fingerprint,
            part,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_segment() {
        let uid = "6f6f6f6f-6f6f-4f6f-8f6f-6f6f6f6f6f6f";
        let print = "00112233445566778899aabbccddeeff";
        let path = format!("/streams/door/hls/video/{uid}/7-42-{print}.3.m4s");
        let address = MediaAddress::parse(&path).unwrap();
        assert_eq!(
            (address.epoch, address.segment, address.part),
            (Epoch(7), 42, Some(3))
        );
        assert_eq!(address.fingerprint.unwrap().to_string(), print);
        assert_eq!(
            MediaAddress::parse("/streams/door/hls/video/media.m3u8"),
            None
        );
        assert_eq!(MediaAddress::parse(&path.replace(uid, "x")), None);
    }
}
