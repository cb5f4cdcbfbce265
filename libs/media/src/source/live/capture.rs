//! When frames of a live source were captured, by the wall clock. Plain arithmetic.
//!
//! The camera's own clock counts where it sends sender reports (RFC 3550 §6.4.1) and its clock
//! agrees with ours; else the arrival, as the frame saw it that was on its way the shortest.

use reelay_model::Micros;

/// Over so much of the line the shortest way is looked for, in µs.
const WINDOW: i64 = 5_000_000;
/// A change that is smaller is jitter, in µs.
const TOLERANCE: i64 = 100_000;
/// A camera whose clock is ahead of the arrival by more than this, or behind it by more than
/// that, has no clock that is set. In µs.
const AHEAD: i64 = 500_000;
const BEHIND: i64 = 10_000_000;

/// Follows the wall clock. All times in µs; `line` is a time on the time line.
#[derive(Debug, Default)]
pub(super) struct CaptureClock {
    /// Wall clock less line.
    by_arrival: Option<i64>,
    by_camera: Option<i64>,
    window_start: i64,
    window_least: Option<i64>,
    settled: bool,
}

impl CaptureClock {
    /// A frame of this time has arrived.
    pub(super) fn arrived(&mut self, line: i64, arrival: Micros) {
        let delay = arrival.0 - line;
        let least = *self.window_least.get_or_insert_with(|| {
            self.window_start = line;
            delay
        });
        self.window_least = Some(least.min(delay));
        let by_arrival = self.by_arrival.get_or_insert(delay);
        if !self.settled {
            *by_arrival = (*by_arrival).min(delay);
        }
        if line - self.window_start > WINDOW || line < self.window_start {
            let least = least.min(delay);
            if (least - *by_arrival).abs() > TOLERANCE {
                *by_arrival = least;
            }
            self.settled = true;
            self.window_least = None;
        }
    }

    /// The camera says when this time was. Whether that is believed.
    pub(super) fn report(&mut self, line: i64, wall: Micros) -> bool {
        let Some(by_arrival) = self.by_arrival else {
            return false;
        };
        let by_camera = wall.0 - line;
        let ahead = by_camera - by_arrival;
        let sane = (-BEHIND..=AHEAD).contains(&ahead);
        match self.by_camera {
            _ if !sane => self.by_camera = None,
            Some(known) if (known - by_camera).abs() <= TOLERANCE => {}
            _ => self.by_camera = Some(by_camera),
        }
        sane
    }

    /// The line has jumped: what is known of it counts no more.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// When this time was.
    pub(super) fn capture(&self, line: i64) -> Micros {
        Micros(line + self.by_camera.or(self.by_arrival).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn without_reports_the_shortest_way_counts() {
        let mut clock = CaptureClock::default();
        clock.arrived(0, Micros(100 * SECOND + 90_000));
        clock.arrived(40_000, Micros(100 * SECOND + 60_000));
        clock.arrived(80_000, Micros(100 * SECOND + 200_000));
        assert_eq!(clock.capture(80_000), Micros(100 * SECOND + 100_000));
    }

    #[test]
    fn a_wall_clock_that_is_set_is_followed() {
        let mut clock = CaptureClock::default();
        for n in 0..20 {
            clock.arrived(n * SECOND, Micros((100 + n) * SECOND));
        }
        assert_eq!(clock.capture(0), Micros(100 * SECOND));
        for n in 20..40 {
            clock.arrived(n * SECOND, Micros((7 + n) * SECOND));
        }
        assert_eq!(clock.capture(0), Micros(7 * SECOND));
    }

    #[test]
    fn a_camera_with_a_set_clock_is_believed() {
        let mut clock = CaptureClock::default();
        assert!(!clock.report(0, Micros(0)), "nothing to compare it with");
        clock.arrived(0, Micros(100 * SECOND));
        assert!(clock.report(0, Micros(99 * SECOND + 700_000)));
        assert_eq!(clock.capture(SECOND), Micros(100 * SECOND + 700_000));
        // It counts from its start.
        assert!(!clock.report(SECOND, Micros(5 * SECOND)));
        assert_eq!(clock.capture(SECOND), Micros(101 * SECOND));
        assert!(!clock.report(SECOND, Micros(102 * SECOND)));
    }
}
