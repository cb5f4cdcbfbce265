//! Which streams there are and how they fare: the fold of topics `streams` and `status`.
//!
//! Every gateway folds the same records to the same state; what one writes is in force when
//! it has been read back ([`Streams::add`] and its neighbours wait for that).

mod follow;
mod phase;
mod state;
mod write;

use std::sync::{Arc, PoisonError, RwLock};

use reelay_bus::Producer;
use reelay_model::StreamId;
use tokio::sync::{broadcast, watch};

pub use follow::follow;
pub use phase::{SILENCE, judge};
use state::State;
pub use state::Stream;
pub use write::WriteError;

/// How many changes a slow subscriber may fall behind before it has to look at everything again.
const CHANGES_KEPT: usize = 1024;

/// A change that subscribers may want to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamChange {
    /// The stream was made or edited, or fares differently.
    Changed(StreamId),
    /// The stream was deleted.
    Removed(StreamId),
}

/// The streams as this gateway knows them. Clones are cheap and share one state.
#[derive(Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    state: RwLock<State>,
    changes: broadcast::Sender<StreamChange>,
    /// Counts records of `streams` that were read, for those who wait for their own.
    read: watch::Sender<u64>,
    producer: Producer,
    /// Partitions of topic `streams`, and so of every topic.
    partitions: i32,
}

impl Streams {
    /// No streams yet: [`follow`] fills it.
    pub fn new(producer: Producer, partitions: i32) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: RwLock::default(),
                changes: broadcast::Sender::new(CHANGES_KEPT),
                read: watch::Sender::new(0),
                producer,
                partitions,
            }),
        }
    }

    /// The stream called `id`.
    pub fn get(&self, id: &StreamId) -> Option<Arc<Stream>> {
        self.read(|state| state.get(id))
    }

    /// All streams, by id.
    pub fn all(&self) -> Vec<Arc<Stream>> {
        self.read(State::all)
    }

    /// Changes from now on. Subscribe before looking at the state, so that none is missed.
    pub fn subscribe(&self) -> broadcast::Receiver<StreamChange> {
        self.shared.changes.subscribe()
    }

    /// How many partitions each topic has.
    pub fn partitions(&self) -> i32 {
        self.shared.partitions
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        // The state is whole between calls: a panic elsewhere ends the process anyway.
        look(
            &self
                .shared
                .state
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(
            &mut self
                .shared
                .state
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}
