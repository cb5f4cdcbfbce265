//! The memory budget for media over all streams.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::StoredSegment;

/// Counts the bytes of media that are kept, and drops the oldest beyond the budget.
pub struct Store {
    budget: u64,
    used: AtomicU64,
    /// Segments that hold bytes, in the order in which they came (or came back).
    order: Mutex<VecDeque<Weak<StoredSegment>>>,
}

impl Store {
    pub fn new(budget: u64) -> Self {
        Self {
            budget,
            used: AtomicU64::new(0),
            order: Mutex::default(),
        }
    }

    /// Bytes that are kept now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Counts `bytes` more that `segment` holds; a segment that held none before goes to the
    /// end of the line.
    pub fn add(&self, segment: &Arc<StoredSegment>, bytes: u64, is_new: bool) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if is_new {
            order.push_back(Arc::downgrade(segment));
        }
        let mut used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        while used > self.budget {
            let Some(oldest) = order.pop_front() else {
                break;
            };
            let Some(oldest) = oldest.upgrade() else {
                continue;
            };
            let freed = oldest.empty();
            used = self.used.fetch_sub(freed, Ordering::Relaxed) - freed;
            metrics::counter!("reelay_gateway_media_evicted_bytes_total").increment(freed);
        }
        metrics::gauge!("reelay_gateway_media_kept_bytes").set(used as f64);
    }

    /// Forgets a segment that is not served any more.
    pub fn remove(&self, segment: &StoredSegment) {
        let freed = segment.empty();
        self.used.fetch_sub(freed, Ordering::Relaxed);
    }
}
