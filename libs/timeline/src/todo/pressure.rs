//! How many upper rungs are left out, so that the lower ones keep up.

use reelay_model::Micros;

/// Segments in a row that begin without anything waiting, before a rung is taken up again: the
/// first time. Each time that it has to be left out again, twice as many.
const CALM: u32 = 5;
const MOST_CALM: u32 = 320;

/// The machine keeps up, or does not.
#[derive(Debug, Clone, Default)]
pub struct Pressure {
    left_out: usize,
    calm: u32,
    calm_wanted: u32,
    waiting_before: Micros,
    /// Begins since segments were given up.
    since_skipped: Option<u32>,
}

impl Pressure {
    /// How many of `rungs` are left out of a segment that begins while `waiting` of media has
    /// not been begun, where at most `most` may wait. The lowest rung is never left out.
    pub fn left_out(&mut self, waiting: Micros, most: Micros, rungs: usize) -> usize {
        let shrinks = waiting < self.waiting_before;
        self.waiting_before = waiting;
        if waiting.0 > most.0 / 2 && !shrinks {
            self.calm = 0;
            if self.left_out + 1 < rungs {
                self.left_out += 1;
                self.calm_wanted = (self.calm_wanted * 2).clamp(CALM, MOST_CALM);
            }
        } else if waiting.0 <= most.0 / 8 {
            self.calm += 1;
            if self.left_out > 0 && self.calm >= self.calm_wanted {
                self.left_out -= 1;
                self.calm = 0;
            }
        } else {
            self.calm = 0;
        }
        if let Some(since) = &mut self.since_skipped {
            *since += 1;
            if *since > CALM {
                self.since_skipped = None;
            }
        }
        self.left_out = self.left_out.min(rungs.saturating_sub(1));
        self.left_out
    }

    /// Segments were given up.
    pub const fn skipped(&mut self) {
        self.since_skipped = Some(0);
        self.waiting_before = Micros(0);
    }

    /// How many rungs are left out.
    pub const fn rungs(&self) -> usize {
        self.left_out
    }

    /// Whether rungs are left out, or segments were given up lately.
    pub const fn is_overloaded(&self) -> bool {
        self.left_out > 0 || self.since_skipped.is_some()
    }
}
