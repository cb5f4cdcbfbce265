//! Watches streams for their viewers: follows the log of those that somebody looks at, and
//! holds what live playlists and media are served from.
//!
//! ```text
//! request ── Live::watch ──► Watch (a stream) ──► TrackView (a track): playlist, segments
//!                               ▲ watcher: learns from index, backfills, follows
//! Kafka ── feed (one Tailer) ───┘                          Store: memory budget over all
//! ```
//!
//! A stream is watched from its first request until nobody has asked for a while. What a
//! stream shows depends on the log alone ([`reelay_timeline::window`]), so every gateway shows
//! the same.

mod feed;
mod learn;
mod rendered;
mod segment;
mod store;
mod track;
mod viewers;
mod watcher;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reelay_bus::Bus;
use reelay_model::{StreamId, StreamUid, Track};
use reelay_runtime::CancellationToken;
use tokio::sync::watch;

pub use rendered::{Rendered, Shown};
pub use segment::{Fetched, StoredSegment, Unavailable};
pub use track::{Found, TrackView};

use self::{feed::Feed, store::Store, viewers::Viewers};
use crate::{dash::Manifests, streams::Streams};

/// Settings of what is kept for viewers.
#[derive(Debug, Clone, clap::Args)]
pub struct LiveArgs {
    /// Memory for media over all streams, in MiB; what does not fit is read from Kafka again
    /// when it is asked for.
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub media_memory_mib: u64,

    /// How long a stream that nobody asks for is still followed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub watch_idle_seconds: u64,
}

impl LiveArgs {
    /// The settings that these arguments say.
    pub const fn config(&self) -> LiveConfig {
        LiveConfig {
            memory_bytes: self.media_memory_mib << 20,
            idle: Duration::from_secs(self.watch_idle_seconds),
            cold_start: LiveConfig::COLD_START,
        }
    }
}

/// Settings of [`Live`].
#[derive(Debug, Clone)]
pub struct LiveConfig {
    /// Bytes of media that are kept over all streams.
    pub memory_bytes: u64,
    /// How long a stream is followed after the last request.
    pub idle: Duration,
    /// How long the first request for a stream waits until there is something to show.
    pub cold_start: Duration,
}

impl LiveConfig {
    /// Long enough for a stream that was just added to show its first picture.
    pub const COLD_START: Duration = Duration::from_secs(8);
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            idle: Duration::from_secs(30),
            cold_start: Self::COLD_START,
        }
    }
}

/// A stream as the watcher needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, the key of its records.
    pub id: StreamId,
    /// Its incarnation.
    pub uid: StreamUid,
    /// Its partition in every topic.
    pub partition: i32,
}

/// Where to look streams up.
pub trait Directory: Send + Sync + 'static {
    /// The stream called `id`, if there is one.
    fn target(&self, id: &StreamId) -> Option<Target>;
}

impl Directory for Streams {
    fn target(&self, id: &StreamId) -> Option<Target> {
        let stream = self.get(id)?;
        Some(Target {
            id: id.clone(),
            uid: stream.spec.uid,
            partition: stream.partition,
        })
    }
}

/// The watched streams. Clones are cheap and share one state.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    bus: Bus,
    directory: Box<dyn Directory>,
    config: LiveConfig,
    feed: Feed,
    store: Arc<Store>,
    watches: Mutex<HashMap<StreamId, Arc<Watch>>>,
    viewers: Viewers,
    shutdown: CancellationToken,
}

/// The tracks of a watched stream, once they are known.
pub type Tracks = Arc<Vec<Arc<TrackView>>>;

/// A stream that somebody looks at.
pub struct Watch {
    /// The stream.
    pub target: Target,
    tracks: watch::Sender<Option<Tracks>>,
    /// The newest DASH manifest.
    pub manifests: Manifests,
    started: Instant,
    /// Milliseconds after `started` at which it was last asked for.
    used: AtomicU64,
}

impl Live {
    /// Begins to watch what is asked for, until `shutdown`.
    ///
    /// # Errors
    /// The Kafka reader cannot be made.
    pub fn start(
        bus: Bus,
        directory: impl Directory,
        config: LiveConfig,
        shutdown: CancellationToken,
    ) -> Result<Self, reelay_bus::BusError> {
        let feed = Feed::start(&bus, shutdown.clone())?;
        Ok(Self(Arc::new(Shared {
            store: Arc::new(Store::new(config.memory_bytes)),
            bus,
            directory: Box::new(directory),
            config,
            feed,
            watches: Mutex::default(),
            viewers: Viewers::default(),
            shutdown,
        })))
    }

    /// The watch of the stream called `id`, begun if need be; `None` if there is no such stream.
    pub fn watch(&self, id: &StreamId) -> Option<Arc<Watch>> {
        let target = self.0.directory.target(id)?;
        let mut watches = self
            .0
            .watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = watches.get(id)
            && watch.target == target
        {
            watch.touch();
            return Some(watch.clone());
        }
        let watch = Arc::new(Watch {
            target,
            tracks: watch::Sender::new(None),
            manifests: Manifests::default(),
            started: Instant::now(),
            used: AtomicU64::new(0),
        });
        watches.insert(id.clone(), watch.clone());
        metrics::gauge!("reelay_gateway_watched_streams").set(watches.len() as f64);
        drop(watches);
        tokio::spawn(watcher::run(self.clone(), watch.clone()));
        Some(watch)
    }

    /// Lets `watch` go if nobody has asked for it for a while, or its stream is not in force
    /// any more; says whether it did.
    fn let_go(&self, watch: &Arc<Watch>) -> bool {
        let in_force = self.0.directory.target(&watch.target.id);
        let mut watches = self
            .0
            .watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_current = watches
            .get(&watch.target.id)
            .is_some_and(|current| Arc::ptr_eq(current, watch));
        let wanted = is_current
            && in_force.as_ref() == Some(&watch.target)
            && (watch.is_awaited() || watch.idle() < self.0.config.idle);
        if wanted {
            return false;
        }
        if is_current {
            watches.remove(&watch.target.id);
        }
        metrics::gauge!("reelay_gateway_watched_streams").set(watches.len() as f64);
        true
    }

    /// Settings.
    pub fn config(&self) -> &LiveConfig {
        &self.0.config
    }

    /// Cancelled when the gateway stops.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Counts a request for a live playlist as a sign of its viewer.
    pub fn seen(&self, viewer: u64) {
        self.0.viewers.seen(viewer);
    }

    /// Bytes of media that are kept now.
    pub fn kept_bytes(&self) -> u64 {
        self.0.store.used()
    }
}

impl Watch {
    fn touch(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.used.store(now, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(used)
    }

    /// Whether a request waits for something of the stream.
    fn is_awaited(&self) -> bool {
        let tracks = self.known_tracks();
        let mut tracks = tracks.iter().flat_map(|tracks| tracks.iter());
        self.tracks.receiver_count() > 0 || tracks.any(|view| view.is_awaited())
    }

    /// The tracks, once they are known; waits for that.
    pub async fn tracks(&self) -> Option<Tracks> {
        let mut tracks = self.tracks.subscribe();
        let known = tracks.wait_for(Option::is_some).await.ok()?;
        known.clone()
    }

    /// The tracks that are known now.
    pub fn known_tracks(&self) -> Option<Tracks> {
        self.tracks.borrow().clone()
    }

    /// The view of `track`, once the stream's tracks are known; `None` if it has no such track.
    pub async fn track(&self, track: &Track) -> Option<Arc<TrackView>> {
        let tracks = self.tracks().await?;
        tracks.iter().find(|view| view.track == *track).cloned()
    }
}
