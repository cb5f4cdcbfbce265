//! Names of media files: what of the log a URL stands for.
//!
//! A name holds all that fixes the bytes (epoch, segment, fingerprint, part), so that it gives
//! the same bytes for ever and a cache may keep them as long as it likes.

use std::fmt;

use reelay_model::{Epoch, PartNumber, SegmentNumber};
use reelay_wire::Fingerprint;

use crate::decimal;

/// A media file of a track, below `{track}/{uid}/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaName {
    /// Epoch of the segment.
    pub epoch: Epoch,
    /// Number of the segment.
    pub segment: SegmentNumber,
    /// Fingerprint of its encoding; none names a gap, for which there is no file.
    pub fingerprint: Option<Fingerprint>,
    /// One part of it, or none for the whole segment.
    pub part: Option<PartNumber>,
}

impl fmt::Display for MediaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-", self.epoch, self.segment)?;
        match self.fingerprint {
            Some(fingerprint) => write!(f, "{fingerprint}")?,
            None => f.write_str("gap")?,
        }
        if let Some(part) = self.part {
            write!(f, ".{part}")?;
        }
        f.write_str(".m4s")
    }
}

impl MediaName {
    /// Reads the last path segment of a media URL; `None` for anything but the exact spelling.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".m4s")?;
        let (segment, part) = match name.split_once('.') {
            Some((segment, part)) => (segment, Some(PartNumber(decimal(part)?))),
            None => (name, None),
        };
        let mut fields = segment.splitn(3, '-');
        let epoch = Epoch(decimal(fields.next()?)?);
        let number_of = SegmentNumber(decimal(fields.next()?)?);
        let fingerprint = match fields.next()? {
            "gap" if part.is_none() => None,
            hex => Some(parse_hex(hex)?),
        };
        Some(Self {
            epoch,
            segment: number_of,
            fingerprint,
            part,
        })
    }
}

/// The file name of the init segment with this hash.
pub fn init_name(init: Fingerprint) -> String {
    format!("init-{init}.mp4")
}

/// The hash in the file name of an init segment; `None` for anything but the exact spelling.
pub fn parse_init_name(name: &str) -> Option<Fingerprint> {
    parse_hex(name.strip_prefix("init-")?.strip_suffix(".mp4")?)
}

fn parse_hex(hex: &str) -> Option<Fingerprint> {
    hex.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_read_back(epoch: u64, segment: u64, bytes: [u8; 16], part: Option<u32>, gap: bool) {
            let name = MediaName {
                epoch: Epoch(epoch),
                segment: SegmentNumber(segment),
                fingerprint: (!gap).then_some(Fingerprint(bytes)),
                part: part.filter(|_| !gap).map(PartNumber),
            };
            prop_assert_eq!(MediaName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn any_text_is_refused_or_canonical(text in "[0-9a-f.-]{0,60}(\\.m4s)?") {
            if let Some(name) = MediaName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let hex = "00112233445566778899aabbccddeeff";
        assert!(MediaName::parse(&format!("1-2-{hex}.3.m4s")).is_some());
        for bad in [
            format!("01-2-{hex}.m4s"),
            format!("1-+2-{hex}.m4s"),
            format!("1-2-{}.m4s", hex.to_uppercase()),
            format!("1-2-{hex}.3.4.m4s"),
            format!("1-2-{hex}..m4s"),
            "1-2-gap.0.m4s".to_owned(),
            format!("1-2-{hex}"),
        ] {
            assert_eq!(MediaName::parse(&bad), None, "{bad}");
        }
        assert_eq!(
            parse_init_name(&init_name(Fingerprint([7; 16]))),
            Some(Fingerprint([7; 16]))
        );
        assert_eq!(parse_init_name("init-00.mp4"), None);
    }
}
