//! The capture time as black and white cells in the picture.
//!
//! The picture is divided into 32 columns and 18 rows. The cells in columns 1 to 16 of rows 1 to
//! 4 (counted from 0, row by row, left to right) are 64 bits, the most significant first; white
//! is 1. The first 48 bits are the capture time in milliseconds since 1970-01-01T00:00:00Z, the
//! last 16 the CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xffff) of these 6 bytes. The bits
//! of the checksum are inverted, so that a picture of one colour is never valid.
//!
//! A reader takes the mean of the middle of each cell and compares it with the mean of all; the
//! checksum tells whether it has read the truth. In a browser:
//!
//! ```js
//! function readClock(context, width, height) { // of a canvas with the video drawn into it
//!   const bytes = new Array(8).fill(0);
//!   const { data } = context.getImageData(0, 0, width, height);
//!   for (let bit = 0; bit < 64; bit++) {
//!     const x = Math.floor(((1 + (bit % 16) + 0.5) * width) / 32);
//!     const y = Math.floor(((1 + (bit >> 4) + 0.5) * height) / 18);
//!     if (data[(y * width + x) * 4 + 1] > 127) bytes[bit >> 3] |= 0x80 >> (bit & 7);
//!   }
//!   let crc = 0xffff;
//!   for (const byte of bytes.slice(0, 6)) {
//!     crc ^= byte << 8;
//!     for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
//!   }
//!   if ((bytes[6] << 8 | bytes[7]) !== (crc ^ 0xffff)) return null;
//!   return bytes.slice(0, 6).reduce((sum, byte) => sum * 256 + byte, 0); // ms since 1970
//! }
//! ```

use reelay_model::Micros;

/// Columns and rows of the whole picture.
pub(super) const COLUMNS: usize = 32;
/// See [`COLUMNS`].
pub(super) const ROWS: usize = 18;
const CODE_COLUMNS: usize = 16;
const BITS: usize = 64;

/// Column and row of a bit, counted from the most significant.
pub(super) fn cell(bit: usize) -> (usize, usize) {
    (1 + bit % CODE_COLUMNS, 1 + bit / CODE_COLUMNS)
}

/// The 64 bits for a time.
pub(super) fn encode(time: Micros) -> u64 {
    let milliseconds = (time.0 / 1000) as u64 & 0xffff_ffff_ffff;
    milliseconds << 16 | u64::from(!crc(milliseconds))
}

fn crc(milliseconds: u64) -> u16 {
    milliseconds.to_be_bytes()[2..]
        .iter()
        .fold(0xffff, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                let carry = crc & 0x8000 != 0;
                crc << 1 ^ if carry { 0x1021 } else { 0 }
            })
        })
}

/// Reads the capture time, to the millisecond, that the synthetic camera has drawn into a
/// picture, of which `luma` holds `height` rows of `width` bytes, `stride` bytes apart. The
/// picture may have been scaled and compressed. None if it cannot be read for sure.
///
/// The documentation of this module's source describes the form, with a reader in JavaScript.
pub fn read_clock(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Micros> {
    let mut levels = [0; BITS];
    for (bit, level) in levels.iter_mut().enumerate() {
        let (column, row) = cell(bit);
        // The middle third of the cell.
        let span = |at: usize, of: usize, cells: usize| {
            let start = (3 * at + 1) * of / (3 * cells);
            start..((3 * at + 2) * of / (3 * cells)).max(start + 1)
        };
        let mut sum = 0;
        let mut count = 0;
        for y in span(row, height, ROWS) {
            for x in span(column, width, COLUMNS) {
                sum += u32::from(*luma.get(y * stride + x)?);
                count += 1;
            }
        }
        *level = sum / count;
    }
    let mean = levels.iter().sum::<u32>() / BITS as u32;
    let bits = levels
        .iter()
        .fold(0_u64, |bits, level| bits << 1 | u64::from(*level > mean));
    let milliseconds = bits >> 16;
    (bits as u16 == !crc(milliseconds)).then_some(Micros(milliseconds as i64 * 1000))
}
