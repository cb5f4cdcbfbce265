//! Names of media files in DASH: `{anchor}-{time}.m4s`.
//!
//! A SegmentTemplate can put a segment's decode time into a URL, but not its epoch and
//! fingerprint. Both follow from the log: of the segments from the anchor's number on, one at
//! most starts at that time, numbers are never used twice, and the first part in log order fixes
//! an encoding. So this name, too, gives the same bytes for ever.

use std::fmt;

use reelay_model::{SegmentNumber, Ticks};

use crate::decimal;

/// A segment of a track, below `{track}/{uid}/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentName {
    /// The first segment of the Period.
    pub anchor: SegmentNumber,
    /// Decode time at which it starts, in the track's timescale.
    pub time: Ticks,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.m4s", self.anchor, self.time.0)
    }
}

impl SegmentName {
    /// The template of all names of a Period (§5.3.9.4.4).
    pub(super) fn template(anchor: SegmentNumber) -> String {
        format!("{anchor}-$Time$.m4s")
    }

    /// Reads the last path segment of a media URL; `None` for anything but the exact spelling.
    pub fn parse(name: &str) -> Option<Self> {
        let (anchor, time) = name.strip_suffix(".m4s")?.split_once('-')?;
        Some(Self {
            anchor: SegmentNumber(decimal(anchor)?),
            time: Ticks(decimal(time)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_read_back(anchor: u64, time: u64) {
            let name = SegmentName { anchor: SegmentNumber(anchor), time: Ticks(time) };
            prop_assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
            let template = SegmentName::template(name.anchor);
            prop_assert_eq!(template.replace("$Time$", &time.to_string()), name.to_string());
        }

        #[test]
        fn any_text_is_refused_or_canonical(text in "[0-9.-]{0,40}(\\.m4s)?") {
            if let Some(name) = SegmentName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
