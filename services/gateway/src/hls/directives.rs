//! Delivery directives: what a player asks of a playlist in its query (RFC 8216bis §6.2.5).

use reelay_model::{PartNumber, SegmentNumber};
use reelay_timeline::hls::MediaPlaylist;

/// How far ahead of the newest segment a request may be.
const AHEAD_MOST: u64 = 2;

/// What a player asks of a media playlist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn`: wait until the playlist holds this segment.
    pub segment: Option<SegmentNumber>,
    /// `_HLS_part`: or this part of it.
    pub part: Option<PartNumber>,
    /// `_HLS_skip`: a delta update will do.
    pub skip: bool,
}

impl Directives {
    /// Reads a query; unknown parameters do not matter.
    ///
    /// # Errors
    /// What is wrong with a directive, in words.
    pub fn parse(query: Option<&str>) -> Result<Self, &'static str> {
        let mut directives = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => {
                    let number = value.parse().map_err(|_| "_HLS_msn is not a number")?;
                    directives.segment = Some(SegmentNumber(number));
                }
                "_HLS_part" => {
                    let number = value.parse().map_err(|_| "_HLS_part is not a number")?;
                    directives.part = Some(PartNumber(number));
                }
                "_HLS_skip" => directives.skip = matches!(value, "YES" | "v2"),
                _ => {}
            }
        }
        if directives.part.is_some() && directives.segment.is_none() {
            return Err("_HLS_part needs _HLS_msn");
        }
        Ok(directives)
    }

    /// Whether `playlist` is what was asked for.
    pub fn are_met(&self, playlist: &MediaPlaylist) -> bool {
        playlist.ended
            || self
                .segment
                .is_none_or(|segment| playlist.has(segment, self.part))
    }

    /// Whether what is asked for is so far ahead of `playlist` that waiting for it is no use.
    pub fn are_too_far(&self, playlist: &MediaPlaylist) -> bool {
        let (Some(segment), Some(newest)) = (self.segment, playlist.last_segment()) else {
            return false;
        };
        if segment.0 > newest.0.saturating_add(AHEAD_MOST) {
            return true;
        }
        // The Advance Part Limit of RFC 8216bis §6.2.5.2: three seconds of parts, at least three.
        let Some((part, target)) = self.part.zip(playlist.part_target) else {
            return false;
        };
        let limit = (3_000_000_u64)
            .div_ceil(target.0.max(1).cast_unsigned())
            .max(3);
        let parts = match &playlist.open {
            Some(open) if open.number == segment => open.parts().len() as u64,
            _ if segment > newest => 0,
            _ => return false,
        };
        u64::from(part.0) > parts + limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_from_a_query() {
        assert_eq!(Directives::parse(None), Ok(Directives::default()));
        assert_eq!(
            Directives::parse(Some("a=b&_HLS_msn=7&_HLS_part=2&_HLS_skip=YES")),
            Ok(Directives {
                segment: Some(SegmentNumber(7)),
                part: Some(PartNumber(2)),
                skip: true
            })
        );
        for bad in [
            "_HLS_msn=",
            "_HLS_msn=x",
            "_HLS_msn=-1",
            "_HLS_part=1",
            "_HLS_msn=1&_HLS_part=x",
        ] {
            assert!(Directives::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
