//! The clock that a source's media time runs by.

use std::time::{Duration, Instant};

use reelay_model::Micros;

/// What is later than this is not caught up with: the line goes on from now.
const LATE: Duration = Duration::from_millis(500);
/// The wall clock is followed when it is further off (it has been set, or has drifted).
const WALL_OFF: i64 = 100_000;

/// Says when a time on the media line is due, and when by the wall clock that was.
///
/// The first time asked about is due at once. Pace is kept by the monotonic clock. After a stall
/// (a parent that did not read, a machine that slept) nothing bursts: what comes next is due at
/// once, and the rest follows at its own pace.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    start: Option<Start>,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    line: Micros,
    instant: Instant,
    wall: Micros,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// How long to wait for `line`, and the wall clock time that it then is.
    pub(crate) fn due(&mut self, line: Micros, now: Instant, wall: Micros) -> (Duration, Micros) {
        let here = Start {
            line,
            instant: now,
            wall,
        };
        let start = self.start.get_or_insert(here);
        let ahead = line.0 - start.line.0;
        let due = if ahead >= 0 {
            start
                .instant
                .checked_add(Duration::from_micros(ahead as u64))
        } else {
            start
                .instant
                .checked_sub(Duration::from_micros(ahead.unsigned_abs()))
        };
        let Some(due) = due.filter(|due| now.saturating_duration_since(*due) <= LATE) else {
            *start = here;
            return (Duration::ZERO, wall);
        };
        let wait = due.saturating_duration_since(now);
        let early = now.saturating_duration_since(due);
        let wall_when_due = wall.0 + wait.as_micros() as i64 - early.as_micros() as i64;
        let planned = start.wall.0 + ahead;
        if (planned - wall_when_due).abs() > WALL_OFF {
            start.wall = Micros(wall_when_due - ahead);
            return (wait, Micros(wall_when_due));
        }
        (wait, Micros(planned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn media_time_runs_as_the_clock_does() {
        let mut pace = Pace::new();
        let start = Instant::now();
        let (wait, wall) = pace.due(Micros(5 * SECOND), start, Micros(SECOND));
        assert_eq!((wait, wall), (Duration::ZERO, Micros(SECOND)));
        let (wait, wall) = pace.due(Micros(7 * SECOND), start, Micros(SECOND));
        assert_eq!((wait, wall), (Duration::from_secs(2), Micros(3 * SECOND)));
        // A little late: still on time, and captured when it was due.
        let late = start + Duration::from_millis(2300);
        let (wait, wall) = pace.due(Micros(7 * SECOND), late, Micros(3_300_000));
        assert_eq!((wait, wall), (Duration::ZERO, Micros(3 * SECOND)));
    }

    #[test]
    fn nothing_bursts_after_a_stall() {
        let mut pace = Pace::new();
        let start = Instant::now();
        pace.due(Micros(0), start, Micros(0));
        let later = start + Duration::from_secs(30);
        let (wait, wall) = pace.due(Micros(SECOND), later, Micros(30 * SECOND));
        assert_eq!((wait, wall), (Duration::ZERO, Micros(30 * SECOND)));
        let (wait, _) = pace.due(Micros(2 * SECOND), later, Micros(30 * SECOND));
        assert_eq!(wait, Duration::from_secs(1));
    }

    #[test]
    fn a_wall_clock_that_is_set_is_followed_without_a_change_of_pace() {
        let mut pace = Pace::new();
        let start = Instant::now();
        pace.due(Micros(0), start, Micros(0));
        let (wait, wall) = pace.due(Micros(SECOND), start, Micros(-3600 * SECOND));
        assert_eq!(
            (wait, wall),
            (Duration::from_secs(1), Micros(-3599 * SECOND))
        );
    }
}
