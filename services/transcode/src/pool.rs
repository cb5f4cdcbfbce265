//! How many workers are at work, and whether there is room for one more that is not urgent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The workers of this process; clones are the same.
#[derive(Debug, Clone)]
pub struct Pool {
    size: usize,
    busy: Arc<AtomicUsize>,
}

/// A worker is at work as long as this lives.
#[derive(Debug)]
pub struct Busy(Arc<AtomicUsize>);

impl Pool {
    /// Room for `size` workers.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            busy: Arc::default(),
        }
    }

    /// Room for live media, which does not wait.
    pub fn live(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.busy))
    }

    /// Room for what is not urgent, if there is any.
    pub fn spare(&self) -> Option<Busy> {
        let taken = self
            .busy
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |busy| {
                (busy < self.size).then_some(busy + 1)
            });
        taken.ok().map(|_| Busy(Arc::clone(&self.busy)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_urgent_waits_for_room() {
        let pool = Pool::new(2);
        let live = (pool.live(), pool.live(), pool.live());
        assert!(pool.spare().is_none());
        drop(live);
        let spare = pool.spare();
        assert!(spare.is_some() && pool.spare().is_some());
    }
}
