//! What the synthetic camera sounds like.

use std::f64::consts::TAU;

/// Samples per second.
const RATE: i64 = 48_000;
/// Length of the beep at the start of each second of media time, in samples.
const BEEP: i64 = RATE / 10;

/// The sample at `time`: a soft tone of `frequency` Hz, and a beep of twice that in the first
/// tenth of each second. Both have whole periods in a second, so that the sound repeats exactly.
pub(crate) fn tone(frequency: u32, time: i64) -> f32 {
    let at = time.rem_euclid(RATE);
    let (frequency, loudness) = if at < BEEP {
        // Rises and falls for 5 ms, so that it does not click.
        let edge = at.min(BEEP - at).min(RATE / 200) as f64 / (RATE / 200) as f64;
        (frequency * 2, 0.1 + 0.3 * edge)
    } else {
        (frequency, 0.1)
    };
    let phase = (at * i64::from(frequency)).rem_euclid(RATE) as f64 / RATE as f64;
    ((phase * TAU).sin() * loudness) as f32
}
