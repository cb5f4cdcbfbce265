//! CPU time of threads.

use nix::time::{ClockId, clock_gettime};
use reelay_model::Micros;

/// CPU time that the calling thread spends from a start on.
pub(super) struct ThreadCpu(i64);

impl ThreadCpu {
    pub(super) fn start() -> Self {
        Self(now())
    }

    /// Since the start; to be called on the same thread.
    pub(super) fn spent(&self) -> Micros {
        Micros(now() - self.0)
    }
}

/// 0 where the system does not say it: figures only hang on it.
fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |time| time.tv_sec() * 1_000_000 + time.tv_nsec() / 1000)
}
