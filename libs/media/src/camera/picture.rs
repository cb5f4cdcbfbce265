//! What the synthetic camera draws: straight into YUV 4:2:0, only what changes.

use reelay_model::Micros;

use super::{
    clock_code::{self, COLUMNS, ROWS},
    font,
};

/// Limited range (ITU-R BT.601): black, white and what lies between.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const GROUND: u8 = 60;
const NEUTRAL: u8 = 128;

/// Colour bars at the lower edge, Y, U, V.
const BARS: [[u8; 3]; 7] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
];

/// A picture in YUV 4:2:0.
pub(crate) trait Canvas {
    /// Bytes of a row of a plane.
    fn stride(&self, plane: usize) -> usize;
    /// The bytes of a plane: 0 Y, 1 U, 2 V.
    fn plane(&mut self, plane: usize) -> &mut [u8];
}

/// An area in pixels; all numbers are even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// The scene, which remembers what of it the canvas shows.
pub(crate) struct Scene {
    width: usize,
    height: usize,
    code: Option<u64>,
    clock: Option<[u8; 12]>,
    shapes: Vec<Area>,
    grain: Vec<u8>,
    drawn: bool,
}

impl Scene {
    /// A scene for canvases of this size.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        // Film grain: the same for the same size, from a small generator (xorshift).
        let mut state = 0x9e37_79b9_u32;
        let grain = (0..width * height / 2)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                96 + (state >> 24) as u8 / 4
            })
            .collect();
        Self {
            width,
            height,
            code: None,
            clock: None,
            shapes: Vec::new(),
            grain,
            drawn: false,
        }
    }

    /// Draws the frame of number `frame`, captured at `time`, over the one before it. It must
    /// always be the same canvas.
    pub(crate) fn draw(&mut self, canvas: &mut impl Canvas, frame: u64, time: Micros) {
        if !self.drawn {
            self.draw_ground(canvas);
            self.drawn = true;
        }
        self.draw_code(canvas, time);
        self.draw_clock(canvas, time);
        self.draw_grain(canvas, frame);
        self.draw_shapes(canvas, frame);
    }

    /// From column and row (whole ones are those of the clock code) to column and row.
    fn area(&self, from: (usize, usize), to: (usize, usize)) -> Area {
        let x = from.0 * self.width / COLUMNS;
        let y = from.1 * self.height / ROWS;
        let even = |value: usize| value & !1;
        Area {
            x: even(x),
            y: even(y),
            width: even(to.0 * self.width / COLUMNS - even(x)),
            height: even(to.1 * self.height / ROWS - even(y)),
        }
    }

    fn draw_ground(&self, canvas: &mut impl Canvas) {
        let all = Area {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        };
        fill(canvas, all, [GROUND, NEUTRAL, NEUTRAL]);
        for (at, colour) in BARS.into_iter().enumerate() {
            let from = at * COLUMNS / BARS.len();
            let to = (at + 1) * COLUMNS / BARS.len();
            fill(canvas, self.area((from, 16), (to, ROWS)), colour);
        }
    }

    fn draw_code(&mut self, canvas: &mut impl Canvas, time: Micros) {
        let code = clock_code::encode(time);
        for bit in 0..64 {
            let mask = 1 << (63 - bit);
            if self.code.is_some_and(|shown| shown & mask == code & mask) {
                continue;
            }
            let level = if code & mask != 0 { WHITE } else { BLACK };
            let (column, row) = clock_code::cell(bit);
            let area = self.area((column, row), (column + 1, row + 1));
            fill(canvas, area, [level, NEUTRAL, NEUTRAL]);
        }
        self.code = Some(code);
    }

    fn draw_clock(&mut self, canvas: &mut impl Canvas, time: Micros) {
        let text = clock_text(time);
        let place = self.area((1, 6), (17, 9));
        // Each glyph and the space after it, in dots.
        let dots = (font::WIDTH + 1) * text.len();
        let scale = (place.width / dots).min(place.height / font::HEIGHT).max(1);
        for (at, character) in text.iter().enumerate() {
            if self.clock.is_some_and(|shown| shown[at] == *character) {
                continue;
            }
            let left = place.x + at * (font::WIDTH + 1) * scale;
            let stride = canvas.stride(0);
            let luma = canvas.plane(0);
            for (row, dots) in font::glyph(*character).into_iter().enumerate() {
                for column in 0..font::WIDTH {
                    let lit = dots >> (font::WIDTH - 1 - column) & 1 == 1;
                    let level = if lit { WHITE } else { GROUND };
                    for y in 0..scale {
                        let start = (place.y + row * scale + y) * stride + left + column * scale;
                        if let Some(dot) = luma.get_mut(start..start + scale) {
                            dot.fill(level);
                        }
                    }
                }
            }
        }
        self.clock = Some(text);
    }

    /// An area that changes all over with every frame, as the noise of a real camera does.
    fn draw_grain(&self, canvas: &mut impl Canvas, frame: u64) {
        let area = self.area((18, 1), (31, 9));
        let room = self
            .grain
            .len()
            .saturating_sub(area.width * area.height)
            .max(1);
        let mut from = (frame as usize).wrapping_mul(7919) % room;
        let stride = canvas.stride(0);
        let luma = canvas.plane(0);
        for y in area.y..area.y + area.height {
            let start = y * stride + area.x;
            if let (Some(row), Some(grain)) = (
                luma.get_mut(start..start + area.width),
                self.grain.get(from..from + area.width),
            ) {
                row.copy_from_slice(grain);
            }
            from += area.width;
        }
    }

    /// Three blocks that run to and fro, each at its own pace.
    fn draw_shapes(&mut self, canvas: &mut impl Canvas, frame: u64) {
        for shown in std::mem::take(&mut self.shapes) {
            fill(canvas, shown, [GROUND, NEUTRAL, NEUTRAL]);
        }
        let lane = self.area((1, 10), (31, 15));
        let size = (lane.height / 3) & !1;
        let way = (lane.width - size).max(1);
        for (at, colour) in [[170, 90, 180], [140, 170, 90], [190, 60, 140]]
            .into_iter()
            .enumerate()
        {
            let pace = (self.width / 160).max(1) * (at + 1);
            let at_way = (frame as usize).wrapping_mul(pace) % (2 * way);
            let shape = Area {
                x: (lane.x + at_way.min(2 * way - at_way)) & !1,
                y: lane.y + at * size,
                width: size,
                height: size,
            };
            fill(canvas, shape, colour);
            self.shapes.push(shape);
        }
    }
}

/// `hh:mm:ss.mmm`, UTC.
fn clock_text(time: Micros) -> [u8; 12] {
    let of_day = time.0.div_euclid(1000).rem_euclid(86_400_000);
    let digit = |value: i64| b'0' + (value % 10) as u8;
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    [
        digit(hour / 10),
        digit(hour),
        b':',
        digit(minute / 10),
        digit(minute),
        b':',
        digit(second / 10),
        digit(second),
        b'.',
        digit(milli / 100),
        digit(milli / 10),
        digit(milli),
    ]
}

fn fill(canvas: &mut impl Canvas, area: Area, colour: [u8; 3]) {
    for (plane, level) in colour.into_iter().enumerate() {
        let half = usize::from(plane > 0);
        let stride = canvas.stride(plane);
        let bytes = canvas.plane(plane);
        for y in area.y >> half..(area.y + area.height) >> half {
            let start = y * stride + (area.x >> half);
            if let Some(row) = bytes.get_mut(start..start + (area.width >> half)) {
                row.fill(level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::read_clock, *};

    struct Picture {
        width: usize,
        planes: [Vec<u8>; 3],
    }

    impl Picture {
        fn new(width: usize, height: usize) -> Self {
            let (luma, chroma) = (width * height, width * height / 4);
            Self {
                width,
                planes: [vec![0; luma], vec![0; chroma], vec![0; chroma]],
            }
        }
    }

    impl Canvas for Picture {
        fn stride(&self, plane: usize) -> usize {
            if plane == 0 {
                self.width
            } else {
                self.width / 2
            }
        }

        fn plane(&mut self, plane: usize) -> &mut [u8] {
            &mut self.planes[plane]
        }
    }

    #[test]
    fn the_clock_can_be_read_at_any_size() {
        for (width, height) in [
            (160, 120),
            (390, 220),
            (640, 360),
            (1280, 720),
            (1918, 1078),
        ] {
            let mut picture = Picture::new(width, height);
            let mut scene = Scene::new(width as u32, height as u32);
            for frame in 0..50 {
                let time = Micros(1_795_255_539_123_456 + frame * 40_000);
                scene.draw(&mut picture, frame as u64, time);
                let read = read_clock(&picture.planes[0], width, width, height);
                assert_eq!(read, Some(Micros(time.0 / 1000 * 1000)), "{width}x{height}");
            }
        }
    }

    #[test]
    fn a_picture_without_clock_is_not_read() {
        for level in [0, 16, 128, 235, 255] {
            assert_eq!(read_clock(&vec![level; 640 * 360], 640, 640, 360), None);
        }
        assert_eq!(read_clock(&[], 640, 640, 360), None);
    }

    #[test]
    fn only_what_changes_is_drawn_again() {
        let draw = |times: &[i64]| {
            let mut picture = Picture::new(640, 360);
            let mut scene = Scene::new(640, 360);
            for (frame, time) in times.iter().enumerate() {
                let last = frame + 1 == times.len();
                scene.draw(
                    &mut picture,
                    if last { 77 } else { frame as u64 },
                    Micros(*time),
                );
            }
            picture.planes
        };
        let at = 1_795_255_539_123_456;
        assert!(draw(&[0, at / 2, at]) == draw(&[at]));
    }

    #[test]
    fn the_clock_says_the_time_of_day() {
        assert_eq!(&clock_text(Micros(86_399_999_000)), b"23:59:59.999");
        assert_eq!(&clock_text(Micros(3_723_004_000)), b"01:02:03.004");
    }
}
