//! Follows one stream for as long as somebody looks at it: `index`, and the tracks that its
//! source has. Rungs are followed one by one, beside it ([`super::rung`]).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::try_join_all;
use reelay_bus::{BusError, Record};
use reelay_model::{Epoch, Micros, Offset, SegmentNumber, Track};
use reelay_timeline::{
    track::{Segment, Start, StartAt, TrackReader},
    window::LiveTrack,
};
use reelay_wire::{Opening, Topic};
use tokio::{sync::mpsc, time::Interval};

use super::{
    Live, TrackView, Watch,
    feed::{Fed, Subscription},
    learn::{self, Learned},
};

/// How often a watcher looks whether anybody still wants it.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// How long it waits before it tries again after trouble.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// A claim stands in `audio` after the one in `source` and before the one in `index`; brokers'
/// clocks may differ by this much, in microseconds.
const CLAIM_LEEWAY: i64 = 30_000_000;
/// The longest segment lasts 20 s; its rungs follow within seconds. In microseconds.
const LATELY: i64 = 40_000_000;
/// Segments of a track that the watch remembers of `index`: more than the longest live window.
const REMEMBERED: usize = 128;

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
pub(super) struct Followed {
    pub view: Arc<TrackView>,
    pub live: LiveTrack,
    /// Records below are known already.
    next: Offset,
    _subscription: Subscription,
}

impl Followed {
    /// Reads the next record; says whether the track shows anything new.
    pub fn take(&mut self, record: &Record) -> bool {
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
    let subscription = live
        .0
        .feed
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
        };
    };

    for track in tracks.iter().map(|known| &known.track) {
        if !views.iter().any(|view| view.track == *track) {
            views.push(Arc::new(watch.view(live, track.clone())));
        }
    }
    views.retain(|view| tracks.iter().any(|known| known.track == view.track));

    let catching_up = views.iter().filter_map(|view| {
        let known = tracks.iter().find(|known| known.track == view.track)?;
        Some(catch_up(live, known, view.clone(), sink.clone()))
    });
    let mut followed = try_join_all(catching_up).await?;
    learned.index.remember_most(REMEMBERED);
    watch.learn(learned);
    watch.tracks.send_replace(Some(Arc::new(views.clone())));
    tracing::debug!(stream = %target.id, tracks = followed.len(), "stream is known");

    loop {
        let record = match inlet.next().await {
            Ok(record) => record,
            Err(stop) => return Ok(stop),
        };
        if record.topic == Topic::Index {
            watch.read_index(&record);
            continue;
        }
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

/// A track, and what has to be known to begin to follow it.
pub(super) struct KnownTrack {
    pub track: Track,
    pub start: StartAt,
    /// The opening in force.
    pub opening: (Epoch, Arc<Opening>),
    /// When the claim in force was appended, by the broker's clock.
    claimed_at: Option<Micros>,
    /// What `index` knows of the segments before the start, to serve them when asked for.
    earlier: Vec<Arc<Segment>>,
}

impl KnownTrack {
    /// What is known of `track`, once it is enough.
    pub fn of(learned: &Learned, track: Track) -> Option<Self> {
        let (epoch, opening) = learned.index.opening()?;
        let start = learned.index.start(&track, opening.target_duration_s)?;
        let earlier = match start {
            StartAt::Offset(_, Start::Segment { number, .. }) => learned
                .index
                .segments(&track)
                .filter(|segment| segment.number < number)
                .cloned()
                .collect(),
            _ => Vec::new(),
        };
        Some(Self {
            start,
            opening: (epoch, opening.clone()),
            claimed_at: learned.claimed_at,
            earlier,
            track,
        })
    }
}

/// The opening in force and the tracks that it names, once it is known where each begins.
fn tracks_of(learned: &Learned) -> Option<(Arc<Opening>, Vec<KnownTrack>)> {
    let (_, opening) = learned.index.opening()?;
    let tracks = opening.part_targets.keys().cloned();
    let known: Vec<_> = tracks
        .map(|track| KnownTrack::of(learned, track))
        .collect::<Option<_>>()?;
    Some((opening.clone(), known)).filter(|(_, known)| !known.is_empty())
}

/// Subscribes to a track's topic and reads what stands before that, from the window on.
pub(super) async fn catch_up(
    live: &Live,
    known: &KnownTrack,
    view: Arc<TrackView>,
    sink: mpsc::UnboundedSender<Fed>,
) -> Result<Followed, BusError> {
    let (bus, target, topic) = (&live.0.bus, &view.origin.target, &view.origin.topic);
    let subscription = live
        .0
        .feed
        .subscribe(topic, target.partition, &target.id, sink)
        .await?;
    let since = |time: i64| bus.offset_at(topic, target.partition, Micros(time));
    let claimed_at = known.claimed_at.unwrap_or_else(Micros::now).0 - CLAIM_LEEWAY;
    let (mut from, mut start) = match known.start {
        StartAt::Offset(offset, start) => (offset, start),
        StartAt::Claim(epoch) => (since(claimed_at).await?, Start::Claim(epoch)),
        StartAt::Lately(start) => {
            let lately = Micros::now().0 - LATELY;
            (since(lately.max(claimed_at)).await?, start)
        }
    };
    let records = loop {
        match view.origin.fetch(from, subscription.from - 1).await {
            Ok(records) => break records,
            Err(BusError::OutOfRange { low, .. }) if low > from => {
                // Retention was quicker: as at log start.
                from = low;
                start = match (&view.track, start) {
                    // Derived records count by identity wherever one begins.
                    (Track::Rung(_), Start::Segment { epoch, .. }) => Start::Segment {
                        epoch,
                        number: SegmentNumber(0),
                    },
                    // From the next claim on.
                    _ => Start::Claim(Default::default()),
                };
            }
            Err(error) => return Err(error),
        }
    };
    let (epoch, opening) = &known.opening;
    let reader = TrackReader::new(target.uid, view.track.clone(), start);
    let mut track = LiveTrack::new(reader, opening.target_duration_s);
    track.learn_opening(*epoch, opening.clone());
    known
        .earlier
        .iter()
        .for_each(|segment| view.remember(segment));
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
