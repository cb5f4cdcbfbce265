//! Follows one rung of a watched stream for as long as somebody plays it.
//!
//! A rung that nobody plays costs nothing but its records in `index`: its topic is read from
//! the first request for its playlist or media on, and let go a while after the last one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reelay_bus::BusError;
use reelay_model::{RungId, Track};
use tokio::sync::mpsc;

use super::{
    Live, TrackView, Watch,
    feed::Fed,
    watcher::{AGAIN_AFTER, Followed, KnownTrack, LOOK, catch_up},
};

/// A rung of a watched stream that was asked for at some time.
pub struct Rung {
    pub view: Arc<TrackView>,
    state: Mutex<State>,
}

struct State {
    asked: Instant,
    /// Whether a task follows it.
    followed: bool,
}

impl Rung {
    pub fn new(watch: &Watch, live: &Live, id: &RungId) -> Self {
        Self {
            view: Arc::new(watch.view(live, Track::Rung(id.clone()))),
            state: Mutex::new(State {
                asked: Instant::now(),
                followed: false,
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody asks for the rung, and has it followed from now on.
    pub fn ask(self: &Arc<Self>, live: &Live, watch: &Arc<Watch>) {
        let mut state = self.state();
        state.asked = Instant::now();
        if !std::mem::replace(&mut state.followed, true) {
            tokio::spawn(run(live.clone(), watch.clone(), self.clone()));
        }
    }

    /// Lets the rung go if nobody has asked for it for `idle`; says whether it did.
    fn rest(&self, idle: Duration) -> bool {
        let mut state = self.state();
        if state.asked.elapsed() < idle || self.view.is_awaited() {
            return false;
        }
        state.followed = false;
        // With the state locked: who asks from now on waits for what is read anew.
        self.view.forget();
        true
    }
}

/// Why a rung is not followed any more.
enum Stop {
    /// Nobody plays it.
    Unwanted,
    /// What was known of it does not hold any more.
    Lost(&'static str),
}

/// Follows `rung` until nobody plays it or the gateway stops.
async fn run(live: Live, watch: Arc<Watch>, rung: Arc<Rung>) {
    let (stream, track) = (&watch.target.id, &rung.view.track);
    tracing::debug!(%stream, %track, "rung is followed");
    loop {
        let stop = tokio::select! {
            () = live.shutdown().cancelled() => return,
            stop = follow(&live, &watch, &rung) => stop,
        };
        match stop {
            Ok(Stop::Unwanted) => break,
            Ok(Stop::Lost(what)) => tracing::info!(%stream, %track, what, "rung is read anew"),
            Err(error) => {
                metrics::counter!("reelay_gateway_watch_troubles_total").increment(1);
                tracing::warn!(%stream, %track, %error, "rung cannot be followed");
            }
        }
        if rung.rest(live.config().idle) {
            break;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    tracing::debug!(%stream, %track, "rung is let go");
}

async fn follow(live: &Live, watch: &Watch, rung: &Rung) -> Result<Stop, BusError> {
    let (sink, mut fed) = mpsc::unbounded_channel();
    let mut told = watch.told();
    let track = &rung.view.track;
    let known = loop {
        told.borrow_and_update();
        if let Some(known) = watch.known(|learned| KnownTrack::of(learned, track.clone())) {
            break known;
        }
        if told.changed().await.is_err() {
            return Ok(Stop::Unwanted);
        }
    };
    let mut followed = catch_up(live, &known, rung.view.clone(), sink).await?;
    learn(watch, &mut followed);
    watch.tell();

    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            fed = fed.recv() => match fed {
                Some(Fed::Record(record)) => {
                    let first = rung.view.now().is_none();
                    if followed.take(&record) {
                        followed.view.publish(&followed.live);
                    }
                    if first && rung.view.now().is_some() {
                        watch.tell();
                    }
                }
                Some(Fed::Lost) => return Ok(Stop::Lost("records were lost")),
                None => return Ok(Stop::Lost("the reader stopped")),
            },
            _ = told.changed() => learn(watch, &mut followed),
            _ = look.tick() => {
                if rung.rest(live.config().idle) {
                    return Ok(Stop::Unwanted);
                }
            }
        }
    }
}

/// Tells the rung what only `index` says: that another owner has opened, that the stream has
/// ended. What was transcoded of it before its end is still waited for.
fn learn(watch: &Watch, followed: &mut Followed) {
    let (opening, last) = watch
        .known(|learned| {
            let index = &learned.index;
            let opening = index.opening().map(|(of, opening)| (of, opening.clone()));
            let last = index.segments(&Track::Video).next_back();
            let last = last.map(|segment| segment.number);
            Some((opening, last.filter(|_| index.ended())))
        })
        .unwrap_or_default();
    let live = &mut followed.live;
    let before = (live.reader().opening().cloned(), live.reader().ended());
    if let Some((epoch, opening)) = opening {
        live.learn_opening(epoch, opening);
    }
    let whole = live.reader().last().map(|segment| segment.number);
    if last.is_some() && whole >= last {
        live.learn_end();
    }
    if before != (live.reader().opening().cloned(), live.reader().ended()) {
        followed.view.publish(&followed.live);
    }
}
