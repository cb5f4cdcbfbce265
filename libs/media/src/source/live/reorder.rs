//! How many frames a source sends before one that is shown earlier than they are.

/// No stream reorders by more (H.264 §A.3.1, MaxDpbFrames).
const MOST: usize = 16;

/// Learns the depth of reordering from presentation times in decode order.
///
/// A stream that says its depth is believed. One that does not (many cameras, none of which
/// reorder) is taken to send in order until it shows otherwise: waiting in case it did would cost
/// every camera half a second.
#[derive(Debug, Default)]
pub(super) struct Reordering {
    seen: usize,
    /// Times of the last frames.
    last: Vec<i64>,
}

impl Reordering {
    /// The depth after this frame; `said` is what the stream says.
    pub(super) fn depth(&mut self, time: i64, said: Option<usize>) -> usize {
        let later = self.last.iter().filter(|last| **last > time).count();
        self.seen = self.seen.max(later);
        if self.last.len() == MOST {
            self.last.remove(0);
        }
        self.last.push(time);
        said.unwrap_or(0).max(self.seen).min(MOST)
    }

    /// The line has jumped.
    pub(super) fn jumped(&mut self) {
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_is_learned() {
        let depths = |times: &[i64], said| {
            let mut reordering = Reordering::default();
            let depth = times
                .iter()
                .map(|time| reordering.depth(*time, said))
                .last();
            depth.unwrap()
        };
        assert_eq!(depths(&[0, 1, 2, 3], None), 0);
        assert_eq!(depths(&[0, 1, 2, 3], Some(2)), 2);
        assert_eq!(depths(&[0, 3, 1, 2, 6, 4, 5], None), 1);
        // A pyramid of B-frames.
        assert_eq!(depths(&[0, 4, 2, 1, 3], None), 2);
    }
}
