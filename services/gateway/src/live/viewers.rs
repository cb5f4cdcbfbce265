//! How many viewers there are, as far as their requests tell.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A viewer who has not asked for a playlist for this long is gone. Plain players ask once a
/// target duration, 20 s at most.
const GONE: Duration = Duration::from_secs(30);
const COUNTED_EVERY: Duration = Duration::from_secs(1);
/// Beyond this many, viewers are not told apart any more: memory is bounded.
const MOST: usize = 1 << 20;

/// The viewers of the last half minute: those whose requests look alike (address, program and
/// stream) count as one.
#[derive(Default)]
pub struct Viewers(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    last: HashMap<u64, Instant>,
    counted: Option<Instant>,
}

impl Viewers {
    /// Notes a request for a live playlist.
    pub fn seen(&self, viewer: u64) {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last.len() < MOST || seen.last.contains_key(&viewer) {
            seen.last.insert(viewer, now);
        }
    }

    /// Counts those who are still there.
    pub fn count(&self) {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.counted.is_none_or(|at| now - at >= COUNTED_EVERY) {
            seen.counted = Some(now);
            seen.last.retain(|_, at| now - *at < GONE);
            metrics::gauge!("reelay_gateway_viewers").set(seen.last.len() as f64);
        }
    }
}
