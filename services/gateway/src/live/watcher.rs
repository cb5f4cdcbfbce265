//! Follows one stream for as long as somebody looks at it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::try_join_all;
use reelay_bus::{BusError, Record};
use reelay_model::{Micros, Offset, Track};
use reelay_timeline::{
    track::{Start, StartAt, TrackReader},
    window::LiveTrack,
};
use reelay_wire::{Opening, Topic};
use tokio::{sync::mpsc, time::Interval};

use super::{
    Live, TrackView, Watch,
    feed::{Fed, Subscription},
    learn::{self, Learned},
    segment::Origin,
};

/// How often a watcher looks whether anybody still wants it.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits before it tries again after trouble.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// A claim stands in `audio` after the one in `source` and before the one in `index`; brokers'
/// clocks may differ by this much, in microseconds.
const CLAIM_LEEWAY: i64 = 30_000_000;

/// Why a watcher stopped following.
enum Stop {
    /// Nobody wants the stream any more.
    Unwanted,
    /// What it knew does not hold any more: it has to learn anew.
    Changed(&'static str),
}

/// Watches a stream until nobody wants it or the gateway stops.
pub async fn run(live: Live, watch: Arc<Watch>) {
    let shutdown = live.shutdown().clone();
    let mut views = Vec::new();
    let stream = &watch.target.id;
    tracing::debug!(%stream, "watch begins");
    loop {
        let stop = tokio::select! {
            () = shutdown.cancelled() => return,
            stop = follow(&live, &watch, &mut views) => stop,
        };
        match stop {
            Ok(Stop::Unwanted) => break,
            Ok(Stop::Changed(what)) => tracing::info!(%stream, what, "stream is learned anew"),
            Err(error) => {
                metrics::counter!("reelay_gateway_watch_troubles_total").increment(1);
                tracing::warn!(%stream, %error, "stream cannot be followed");
            }
        }
        if live.let_go(&watch) {
            break;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    tracing::debug!(%stream, "watch ends");
}

/// What comes from the feed, with a look now and then at whether it is still wanted.
struct Inlet<'a> {
    live: &'a Live,
    watch: &'a Arc<Watch>,
    fed: mpsc::UnboundedReceiver<Fed>,
    look: Interval,
}

impl Inlet<'_> {
    async fn next(&mut self) -> Result<Record, Stop> {
        loop {
            tokio::select! {
                biased;
                fed = self.fed.recv() => return match fed {
                    Some(Fed::Record(record)) => Ok(record),
                    Some(Fed::Lost) => Err(Stop::Changed("records were lost")),
                    None => Err(Stop::Changed("the reader stopped")),
                },
                _ = self.look.tick() => {
                    self.live.0.viewers.count();
                    if self.live.let_go(self.watch) {
                        return Err(Stop::Unwanted);
                    }
                }
            }
        }
    }
}

/// A followed track.
struct Followed {
    view: Arc<TrackView>,
    live: LiveTrack,
    /// Records below are known already.
    next: Offset,
    _subscription: Subscription,
}

impl Followed {
    fn take(&mut self, record: &Record) -> bool {
        if record.offset < self.next {
            return false;
        }
        self.next = record.offset + 1;
        self.view.take(record, &mut self.live)
    }
}

async fn follow(
    live: &Live,
    watch: &Arc<Watch>,
    views: &mut Vec<Arc<TrackView>>,
) -> Result<Stop, BusError> {
    let (sink, fed) = mpsc::unbounded_channel();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut inlet = Inlet {
        live,
        watch,
        fed,
        look,
    };
    let target = &watch.target;
    let feed = &live.0.feed;
    let subscription = feed
        .subscribe(&Topic::Index, target.partition, &target.id, sink.clone())
        .await?;
    let mut learned = learn::learn(&live.0.bus, target, subscription.from).await?;
    let (opening, tracks) = loop {
        if let Some(known) = tracks_of(&learned) {
            break known;
        }
        match inlet.next().await {
            Ok(record) => learned.read(&record),
            Err(stop) => return Ok(stop),
        }
    };
    drop(subscription);

    for (track, _) in &tracks {
        if !views.iter().any(|view| view.track == *track) {
            views.push(Arc::new(TrackView::new(
                track.clone(),
                Origin {
                    bus: live.0.bus.clone(),
                    topic: Topic::of_track(track),
                    target: target.clone(),
                    store: live.0.store.clone(),
                },
            )));
        }
    }
    views.retain(|view| tracks.iter().any(|(track, _)| view.track == *track));

    let catching_up = views.iter().map(|view| {
        let start = tracks
            .iter()
            .find(|(track, _)| *track == view.track)
            .map(|(_, start)| *start);
        catch_up(live, &learned, view.clone(), start, &opening, sink.clone())
    });
    let mut followed = try_join_all(catching_up).await?;
    watch.tracks.send_replace(Some(Arc::new(views.clone())));
    tracing::debug!(stream = %target.id, tracks = followed.len(), "stream is known");

    loop {
        let record = match inlet.next().await {
            Ok(record) => record,
            Err(stop) => return Ok(stop),
        };
        let of_topic = followed
            .iter_mut()
            .find(|f| f.view.origin.topic == record.topic);
        let Some(track) = of_topic else { continue };
        if !track.take(&record) {
            continue;
        }
        track.view.publish(&track.live);
        measure_lag(&track.live);
        let new = track
            .live
            .reader()
            .opening()
            .filter(|new| ***new != *opening);
        if new.is_some_and(|new| main_tracks(new) != main_tracks(&opening)) {
            return Ok(Stop::Changed("its tracks changed"));
        }
    }
}

fn main_tracks(opening: &Opening) -> BTreeSet<&Track> {
    opening.part_targets.keys().collect()
}

/// What there is to follow.
type Known = (Arc<Opening>, Vec<(Track, StartAt)>);

/// The opening in force and where to begin reading each track, once all that is known.
fn tracks_of(learned: &Learned) -> Option<Known> {
    let (_, opening) = learned.index.opening()?;
    let named =
        |track: &Track| matches!(track, Track::Rung(_)) || opening.part_targets.contains_key(track);
    let tracks = learned.index.tracks().into_iter().filter(named);
    let starts: Vec<_> = tracks
        .map(|track| {
            let start = learned.index.start(&track, opening.target_duration_s)?;
            Some((track, start))
        })
        .collect::<Option<_>>()?;
    Some((opening.clone(), starts)).filter(|(_, starts)| !starts.is_empty())
}

/// Subscribes to a track's topic and reads what stands before that, from the window on.
async fn catch_up(
    live: &Live,
    learned: &Learned,
    view: Arc<TrackView>,
    start: Option<StartAt>,
    opening: &Arc<Opening>,
    sink: mpsc::UnboundedSender<Fed>,
) -> Result<Followed, BusError> {
    let (bus, target, topic) = (&live.0.bus, &view.origin.target, &view.origin.topic);
    let subscription = live
        .0
        .feed
        .subscribe(topic, target.partition, &target.id, sink)
        .await?;
    let (mut from, mut start) = match start {
        Some(StartAt::Offset(offset, start)) => (offset, start),
        Some(StartAt::Claim(epoch)) => {
            let claimed_at = learned.claimed_at.unwrap_or_else(Micros::now);
            let time = Micros(claimed_at.0 - CLAIM_LEEWAY);
            let from = bus.offset_at(topic, target.partition, time).await?;
            (from, Start::Claim(epoch))
        }
        // Views are made of tracks whose start is known.
        None => (subscription.from, Start::Claim(Default::default())),
    };
    let records = loop {
        match view.origin.fetch(from, subscription.from - 1).await {
            Ok(records) => break records,
            Err(BusError::OutOfRange { low, .. }) if low > from => {
                // Retention was quicker: as at log start, from the next claim on.
                (from, start) = (low, Start::Claim(Default::default()));
            }
            Err(error) => return Err(error),
        }
    };
    let reader = TrackReader::new(target.uid, view.track.clone(), start);
    let mut track = LiveTrack::new(reader, opening.target_duration_s);
    if let Some((epoch, opening)) = learned.index.opening() {
        track.learn_opening(epoch, opening.clone());
        track.learn_anchors(learned.index.anchors());
    }
    if let Start::Segment { number, .. } = start {
        let earlier = learned
            .index
            .segments(&view.track)
            .filter(|s| s.number < number);
        earlier.for_each(|segment| view.remember(segment));
    }
    let mut followed = Followed {
        next: from,
        view,
        live: track,
        _subscription: subscription,
    };
    for record in &records {
        followed.take(record);
    }
    followed.next = followed.next.max(followed._subscription.from);
    followed.view.publish(&followed.live);
    Ok(followed)
}

fn measure_lag(live: &LiveTrack) {
    let newest = live.reader().open().or(live.reader().last());
    if let Some(segment) = newest {
        let end = segment.capture_time.0 + segment.duration_micros().0;
        let lag = Micros((Micros::now().0 - end).max(0));
        metrics::histogram!("reelay_gateway_live_lag_seconds").record(lag.to_seconds());
    }
}
