//! The built-in rungs, by id. docs/design/ladder.md has the measurements behind the numbers.

use super::{Preset, RungCodec, RungProfile, SOURCE_H264};

/// Id, height, codec, CRF, cap in bit/s, preset.
type Row = (&'static str, u32, RungCodec, u8, u32, &'static str);

const ROWS: [Row; 10] = [
    // Its height and cap are those of a 1080-line source; a source of another height scales them.
    (
        SOURCE_H264,
        1080,
        RungCodec::H264,
        23,
        6_000_000,
        "veryfast",
    ),
    ("1080p", 1080, RungCodec::H264, 23, 6_000_000, "veryfast"),
    ("720p", 720, RungCodec::H264, 23, 3_200_000, "veryfast"),
    ("480p", 480, RungCodec::H264, 24, 1_400_000, "veryfast"),
    ("360p", 360, RungCodec::H264, 24, 800_000, "veryfast"),
    ("240p", 240, RungCodec::H264, 25, 400_000, "veryfast"),
    (
        "720p-h265",
        720,
        RungCodec::H265,
        26,
        2_200_000,
        "superfast",
    ),
    (
        "480p-h265",
        480,
        RungCodec::H265,
        26,
        1_000_000,
        "superfast",
    ),
    ("720p-av1", 720, RungCodec::Av1, 36, 1_800_000, "10"),
    ("480p-av1", 480, RungCodec::Av1, 36, 800_000, "10"),
];

/// The ids of all built-in rungs.
pub(super) fn ids() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.0)
}

/// The built-in rung that is called `id`.
pub(super) fn find(id: &str) -> Option<RungProfile> {
    let &(id, height, codec, crf, cap, preset) = ROWS.iter().find(|row| row.0 == id)?;
    Some(RungProfile {
        id: id.parse().ok()?,
        height,
        codec,
        crf,
        cap,
        preset: Preset::new(codec, preset).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_valid_profile() {
        for id in ids() {
            let profile = find(id).unwrap();
            assert_eq!(profile.clone().validate(), Ok(profile));
        }
    }
}
