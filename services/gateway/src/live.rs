//! Watches streams for their viewers: follows the log of those that somebody looks at, and
//! holds what live playlists and media are served from.
//!
//! ```text
//! request ── Live::watch ──► Watch (a stream) ──► TrackView (a track): playlist, segments
//!                               ▲ watcher: learns from index, backfills, follows
//! Kafka ── feed (one Tailer) ───┤ rung: the same for one rung, while somebody plays it
//!                               └                          Store: memory budget over all
//! ```
//!
//! A stream is watched from its first request until nobody has asked for a while. What a
//! stream shows depends on the log alone ([`reelay_timeline::window`]), so every gateway shows
//! the same.

mod feed;
mod learn;
mod rendered;
mod rung;
mod segment;
mod store;
mod thumbnail;
mod track;
mod viewers;
mod watcher;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reelay_bus::{Bus, Record};
use reelay_model::{RungId, Rungs, SourceFormat, StreamId, StreamUid, Track, ladder_for};
use reelay_runtime::CancellationToken;
use reelay_timeline::hls::{Ladder, Report, Variant};
use reelay_wire::{Format, Topic};
use tokio::sync::watch;

pub use rendered::{Rendered, Shown};
pub use segment::{Fetched, StoredSegment, Unavailable};
pub use thumbnail::{NoSuchStream, Picture};
pub use track::{Found, TrackView};

use self::{
    feed::Feed, learn::Learned, rung::Rung, segment::Origin, store::Store, thumbnail::Thumbnail,
    viewers::Viewers,
};
use crate::streams::Streams;

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

    /// The rungs that the stream called `id` is wanted to have when its source is of `format`.
    fn ladder(&self, id: &StreamId, format: &Format) -> Vec<RungId>;
}

/// The streams in force, and the rungs of the deployment.
pub struct Deployment {
    /// The streams.
    pub streams: Streams,
    /// The rungs.
    pub rungs: Arc<Rungs>,
}

impl Directory for Deployment {
    fn target(&self, id: &StreamId) -> Option<Target> {
        let stream = self.streams.get(id)?;
        Some(Target {
            id: id.clone(),
            uid: stream.spec.uid,
            partition: stream.partition,
        })
    }

    fn ladder(&self, id: &StreamId, format: &Format) -> Vec<RungId> {
        let Some(stream) = self.streams.get(id) else {
            return Vec::new();
        };
        let source = SourceFormat {
            codecs: &format.codecs,
            height: format.height,
        };
        let ladder = ladder_for(&stream.spec, &self.rungs, source);
        ladder.into_iter().map(|rung| rung.id).collect()
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
    thumbnails: Mutex<HashMap<StreamId, Arc<Thumbnail>>>,
    viewers: Viewers,
    shutdown: CancellationToken,
}

/// The tracks of a watched stream's source, once they are known.
pub type Tracks = Arc<Vec<Arc<TrackView>>>;

/// A stream that somebody looks at.
pub struct Watch {
    /// The stream.
    pub target: Target,
    tracks: watch::Sender<Option<Tracks>>,
    /// What `index` says of it.
    learned: RwLock<Option<Learned>>,
    /// Counts what has become known of its rungs.
    told: watch::Sender<u64>,
    /// Rungs that were asked for.
    rungs: Mutex<BTreeMap<RungId, Arc<Rung>>>,
    /// When its tracks became known.
    known_since: std::sync::OnceLock<Instant>,
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
            thumbnails: Mutex::default(),
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
            learned: RwLock::default(),
            told: watch::Sender::new(0),
            rungs: Mutex::default(),
            known_since: std::sync::OnceLock::new(),
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

    /// When its tracks became known to this gateway.
    pub fn known_since(&self) -> Option<Instant> {
        self.known_since.get().copied()
    }

    fn view(&self, live: &Live, track: Track) -> TrackView {
        let origin = Origin {
            bus: live.0.bus.clone(),
            topic: Topic::of_track(&track),
            target: self.target.clone(),
            store: live.0.store.clone(),
        };
        TrackView::new(track, origin)
    }
}

/// What `index` says, and the rungs.
impl Watch {
    fn learn(&self, learned: Learned) {
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = Some(learned);
        let _ = self.known_since.set(Instant::now());
        self.tell();
    }

    fn read_index(&self, record: &Record) {
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        let told = learned.as_mut().is_some_and(|known| known.read(record));
        drop(learned);
        if told {
            self.tell();
        }
    }

    fn known<T>(&self, look: impl FnOnce(&Learned) -> Option<T>) -> Option<T> {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        learned.as_ref().and_then(look)
    }

    fn tell(&self) {
        self.told.send_modify(|count| *count += 1);
    }

    /// Changes whenever something more is known of the rungs.
    pub fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// The rungs that the stream is wanted to have, by its spec and its source's format.
    pub fn wanted_rungs(&self, live: &Live) -> Vec<RungId> {
        let tracks = self.known_tracks();
        let video = tracks.iter().flat_map(|tracks| tracks.iter());
        let video = video.filter(|view| view.track == Track::Video);
        let format = video.filter_map(|view| Some(view.now()?.variant.format.clone()));
        format.take(1).fold(Vec::new(), |_, format| {
            live.0.directory.ladder(&self.target.id, &format)
        })
    }

    /// What is known of the rungs `wanted`, and whether those that are missing may be about to
    /// begin.
    pub fn ladder(&self, wanted: &[RungId]) -> (Ladder, bool) {
        let known = self.known(|known| {
            Some((
                Ladder::of(&known.index, wanted),
                Ladder::is_young(&known.index),
            ))
        });
        let (mut ladder, young) = known.unwrap_or_default();
        // One that is followed tells of itself before `index` does.
        let Ladder { listed, missing } = &mut ladder;
        missing.retain(|rung| {
            let shown = self.rung_if_asked(rung).and_then(|rung| rung.view.now());
            listed.extend(shown.iter().map(|shown| shown.variant.clone()));
            shown.is_none()
        });
        (ladder, young)
    }

    /// How far each listed rung has come, as far as this gateway knows: those that are played
    /// to the part, the others to the last segment that `index` has of them.
    pub fn rung_reports(&self, wanted: &[RungId]) -> Vec<Report> {
        let (ladder, _) = self.ladder(wanted);
        let report = |Variant { track, .. }: Variant| {
            let followed = match &track {
                Track::Rung(rung) => self.rung_if_asked(rung).and_then(|rung| rung.view.now()),
                Track::Video | Track::Audio => None,
            };
            match followed {
                Some(shown) => shown.playlist.report(&track),
                None => self.known(|known| Report::indexed(&track, &known.index)),
            }
        };
        ladder.listed.into_iter().filter_map(report).collect()
    }

    fn rung_if_asked(&self, id: &RungId) -> Option<Arc<Rung>> {
        let rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        rungs.get(id).cloned()
    }

    /// The view of a rung that somebody plays: it is followed from now on.
    pub fn rung(self: &Arc<Self>, live: &Live, id: &RungId) -> Arc<TrackView> {
        let rung = {
            let mut rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Rung::new(self, live, id));
            rungs.entry(id.clone()).or_insert_with(new).clone()
        };
        rung.ask(live, self);
        rung.view.clone()
    }
}
