//! A rung's size: even, of square pixels, with the source's aspect ratio.

/// Width and height of a rung that is at most `height` high, of a source of so many pixels with
/// the sample aspect ratio `aspect` (0 where it is not said: square).
///
/// Rungs have square pixels: players and browsers differ in what they make of others. The width
/// is the even number nearest to the aspect ratio; what is left over is less than a pixel.
pub(super) fn rung_size(
    (source_width, source_height): (u32, u32),
    aspect: (u32, u32),
    height: u32,
) -> (u32, u32) {
    let height = (height.min(source_height) & !1).max(2);
    let (over, under) = match aspect {
        (0, _) | (_, 0) => (1, 1),
        (over, under) => (u128::from(over), u128::from(under)),
    };
    let numerator = u128::from(source_width) * over * u128::from(height);
    let denominator = u128::from(source_height.max(1)) * under;
    let half = (numerator + denominator) / (2 * denominator);
    // What does not fit a sample entry cannot be a picture (ISO/IEC 14496-12 §12.1.3.2).
    let width = (2 * half).clamp(2, u128::from(u16::MAX) - 1) as u32;
    (width, height)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_of_usual_sources() {
        assert_eq!(rung_size((1280, 720), (1, 1), 480), (854, 480));
        assert_eq!(rung_size((1280, 720), (0, 1), 360), (640, 360));
        assert_eq!(rung_size((768, 432), (1, 1), 240), (426, 240));
        // Portrait, odd, and the source's own size.
        assert_eq!(rung_size((1080, 1920), (1, 1), 480), (270, 480));
        assert_eq!(rung_size((641, 361), (1, 1), 1080), (640, 360));
        // PAL 16:9: 1024 square pixels wide.
        assert_eq!(rung_size((720, 576), (64, 45), 576), (1024, 576));
    }

    proptest! {
        #[test]
        fn sizes_are_even_and_keep_the_aspect_ratio(
            source in (16_u32..8192, 16_u32..8192),
            height in 8_u32..2160,
        ) {
            let (width, high) = rung_size(source, (1, 1), 2 * height);
            prop_assert!(width % 2 == 0 && high % 2 == 0 && width >= 2 && high >= 2);
            prop_assert!(high <= source.1 && high <= 2 * height);
            let exact = f64::from(source.0) * f64::from(high) / f64::from(source.1);
            prop_assert!(width == 2 || (f64::from(width) - exact).abs() <= 1.0);
        }
    }
}
