//! Works on one stream: reads its source, lets a worker make the rungs of one segment after the
//! other, and hands them to the log. What is to be done is decided by the to-do list.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use reelay_bus::Record;
use reelay_media::{TranscodeMessage, WorkerError};
use reelay_model::{
    Micros, Offset, Phase, RungId, RungProfile, SegmentNumber, SourceFormat, StreamSpec, ladder_for,
};
use reelay_timeline::{
    LoggedSegment,
    todo::{Fate, Found, Make, Plan, Reason, Source, Todo},
    track::{Entry, IndexReader, Outcome, Segment, Start, TrackReader},
};
use reelay_wire::{Attempt, Epoch, Format, Header, Kind, PartNumber, Topic, Track};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    app::Context,
    heal::{self, Healed, Healing},
    history::{self, History},
    indexer::Listed,
    publish::{Published, Publisher},
    records,
    run::{Making, Run, Said},
    rung::Identity,
    source::SourceSegment,
    status::{Load, Reporter},
    worker::Worker,
};

/// Wait before Kafka is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// How long a hand-over waits for the log.
const HAND_OVER: Duration = Duration::from_secs(5);

/// PART-TARGET where no opening names it.
const PART_TARGET: Micros = Micros(200_000);

/// What a stream is told.
#[derive(Debug)]
pub enum Event {
    /// The next record of the stream in `source`.
    Source(Record, Header),
    /// The next record of the stream in `index`.
    Index(Record, Header),
    /// The reader of `index` stands here; what came before has been told.
    Tick(Offset),
    /// The spec has changed.
    Spec(Arc<StreamSpec>),
    /// Work ends.
    Stop {
        /// What was handed to the log is waited for.
        in_order: bool,
    },
}

/// The work on one stream.
pub struct Stream {
    context: Context,
    partition: i32,
    spec: Arc<StreamSpec>,
    events: mpsc::UnboundedReceiver<Event>,
    settled: Arc<AtomicI64>,
    todo: Todo,
    index: IndexReader,
    reader: TrackReader,
    /// Source segments that are not handed over, and the one before them.
    sources: BTreeMap<SegmentNumber, SourceSegment>,
    /// The newest format of the source.
    format: Option<Format>,
    /// The rungs of that format, the highest first.
    ladder: Vec<RungProfile>,
    /// Rungs whose topics were looked at for what a predecessor left half done.
    surveyed: BTreeSet<RungId>,
    /// What was found there.
    found: BTreeMap<(RungId, SegmentNumber), LoggedSegment>,
    worker: Option<Worker>,
    run: Option<Run>,
    heals: JoinSet<(SegmentNumber, Healed)>,
    report: Reporter,
    /// What this stream adds to the gauge of waiting segments.
    waiting: f64,
}

/// Why the loop ends.
enum Ended {
    InOrder,
    AtOnce,
}

impl Stream {
    /// Work that has not begun.
    pub fn new(
        context: Context,
        partition: i32,
        spec: Arc<StreamSpec>,
        events: mpsc::UnboundedReceiver<Event>,
        settled: Arc<AtomicI64>,
    ) -> Self {
        let uid = spec.uid;
        Self {
            todo: Todo::new(context.config.limits),
            index: IndexReader::new(uid),
            reader: TrackReader::new(uid, Track::Video, Start::Claim(Epoch(0))),
            report: Reporter::new(context.clone(), partition, spec.id.clone(), uid),
            context,
            partition,
            spec,
            events,
            settled,
            sources: BTreeMap::new(),
            format: None,
            ladder: Vec::new(),
            surveyed: BTreeSet::new(),
            found: BTreeMap::new(),
            worker: None,
            run: None,
            heals: JoinSet::new(),
            waiting: 0.0,
        }
    }

    /// Works until it is told to stop, or the stream has ended and everything is done.
    pub async fn run(mut self, history: History) {
        let streams = metrics::gauge!("reelay_transcode_streams");
        streams.increment(1);
        while let Err(error) = self.learn(&history).await {
            tracing::warn!(stream = %self.spec.id, %error, "stream cannot be read; tried again");
            tokio::time::sleep(RETRY).await;
        }
        let ended = loop {
            let publisher = match Publisher::new(&self.context, self.partition) {
                Ok(publisher) => publisher,
                Err(error) => {
                    tracing::error!(stream = %self.spec.id, %error, "nothing can be published");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            if let Some(ended) = self.work(publisher).await {
                break ended;
            }
            // What was not listed may be lost: whatever the log holds of it has to be found.
            self.worker = None;
            self.run = None;
            self.surveyed.clear();
            self.found.clear();
            self.todo.lost();
        };
        if matches!(ended, Ended::InOrder) {
            self.report.phase(Phase::Offline);
            self.report.write();
        }
        self.count_waiting(0.0);
        streams.decrement(1);
    }

    /// Works with one publisher. Nothing is returned when that is of no use any more.
    async fn work(&mut self, mut publisher: Publisher) -> Option<Ended> {
        loop {
            self.advance(&mut publisher).await;
            let asked = self.run.as_ref().is_some_and(|run| run.worker_busy);
            let due = self.report.due();
            if self.reader.ended() && self.run.is_none() && publisher.is_idle() {
                return Some(Ended::InOrder);
            }
            tokio::select! {
                event = self.events.recv() => match event {
                    None => return Some(Ended::AtOnce),
                    Some(Event::Stop { in_order }) => {
                        self.worker = None;
                        if in_order {
                            publisher.flush(HAND_OVER).await;
                        }
                        return Some(if in_order { Ended::InOrder } else { Ended::AtOnce });
                    }
                    Some(event) => self.told(event, &mut publisher).await,
                },
                message = next(&mut self.worker), if asked => {
                    self.said(message, &mut publisher).await;
                }
                published = publisher.next() => match published {
                    Published::Listed(listed) => self.listed(listed),
                    Published::Lost(error) => {
                        tracing::error!(stream = %self.spec.id, %error,
                            "records could not be appended; it is begun anew");
                        return None;
                    }
                },
                Some(healed) = self.heals.join_next() => {
                    if let Ok((number, healed)) = healed {
                        self.healed(number, healed).await;
                    }
                }
                () = tokio::time::sleep_until(due) => self.write_status(),
            }
        }
    }

    /// Reads what the log holds of the stream, and the source from where media is needed.
    async fn learn(&mut self, history: &History) -> reelay_bus::Result<()> {
        for (record, header) in &history.records {
            self.index_record(record, header);
        }
        let segments: Vec<Arc<Segment>> = self.index.segments(&Track::Video).cloned().collect();
        let offsets: BTreeMap<SegmentNumber, Offset> = history
            .records
            .iter()
            .filter(|(_, header)| header.track == Track::Video)
            .map(|(record, header)| (header.segment, record.offset))
            .collect();
        for segment in &segments {
            self.remember(SourceSegment::of(segment));
            self.source_known(segment.number, segment.duration_micros(), true);
            if let Some(offset) = offsets.get(&segment.number) {
                self.todo.listed(segment.number, *offset);
            }
        }
        if self.todo.behind() > self.context.config.limits.most_behind {
            self.todo.go_to_edge();
        }
        let (from, start) = self.start(&segments);
        self.reader = TrackReader::new(self.spec.uid, Track::Video, start);
        if let Some((epoch, opening)) = self.index.opening() {
            self.reader.learn_opening(epoch, Arc::clone(opening));
        }
        if let Some(from) = from {
            let records = history::source(
                &self.context.bus,
                self.partition,
                self.spec.uid,
                from,
                history.source,
            );
            for (record, header) in records.await? {
                self.source_record(&record, &header);
            }
        }
        Ok(())
    }

    /// Where reading the source begins: one segment before media is needed, since an open segment
    /// needs that, too; at the last one that `index` lists where all are made.
    fn start(&self, segments: &[Arc<Segment>]) -> (Option<Offset>, Start) {
        let needed = self.todo.first_needed();
        let at = segments
            .iter()
            .position(|segment| needed.is_some_and(|needed| segment.number >= needed))
            .unwrap_or(segments.len());
        let before = segments[..at]
            .iter()
            .rev()
            .find(|segment| !segment.is_gap());
        let from = before.or_else(|| segments[at..].iter().find(|segment| !segment.is_gap()));
        if let Some(segment) = from
            && let Some(part) = segment.parts().first()
        {
            let start = Start::Segment {
                epoch: segment.epoch,
                number: segment.number,
            };
            return (Some(part.offset), start);
        }
        match self.index.epoch() {
            Some(epoch) => {
                let claim = Offset::try_from(epoch.0).unwrap_or(Offset::MAX);
                (Some(claim), Start::Claim(epoch))
            }
            None => (None, Start::Claim(Epoch(0))),
        }
    }

    async fn told(&mut self, event: Event, publisher: &mut Publisher) {
        match event {
            Event::Source(record, header) => {
                let (fed, finished) = self.source_record(&record, &header);
                if let Some(worker) = &self.worker
                    && let Some(run) = self.run.as_ref().filter(|run| run.worker_busy)
                {
                    if let Some((number, chunk, last)) = fed
                        && number == run.number
                        && !run.is_picture_alone()
                    {
                        worker.push(chunk, last);
                    }
                    for (number, duration) in finished {
                        if number == run.number && !run.is_picture_alone() {
                            worker.end(duration);
                        }
                    }
                }
                self.hand_over_if_complete(publisher);
            }
            Event::Index(record, header) => {
                self.index_record(&record, &header);
                if matches!(header.kind, Kind::Chunk { .. } | Kind::Gap)
                    && header.track == Track::Video
                {
                    self.todo.listed(header.segment, record.offset);
                }
            }
            Event::Tick(position) => {
                let settled = self.todo.settled_up_to(position);
                self.settled.store(settled, Ordering::Relaxed);
                self.heal_if_there_is_time();
            }
            Event::Spec(spec) => {
                self.spec = spec;
                if let Some(format) = &self.format {
                    self.ladder = self.ladder_of(format);
                }
            }
            Event::Stop { .. } => {}
        }
    }

    /// Reads a record of `index`.
    fn index_record(&mut self, record: &Record, header: &Header) {
        let entry = Entry {
            offset: record.offset,
            header,
            value: &record.value,
        };
        match (&header.track, &header.kind) {
            (Track::Rung(rung), Kind::Chunk { .. }) => {
                self.todo.rung(header.segment, rung.clone(), Fate::Media);
            }
            (Track::Rung(rung), Kind::Gap) => {
                self.todo.rung(header.segment, rung.clone(), Fate::Gap);
            }
            (_, Kind::Attempt) => {
                if let Ok(attempt) = Attempt::decode(&record.value)
                    && attempt.service == crate::status::COMPONENT
                {
                    self.todo.attempt(header.segment, attempt.count);
                }
            }
            (Track::Audio, Kind::Chunk { .. } | Kind::Gap) => {}
            _ => {
                self.index.read(entry);
            }
        }
    }

    /// Reads a record of `source`. Returns the chunk that it added to a segment, and the segments
    /// that it finished.
    #[allow(clippy::type_complexity)]
    fn source_record(
        &mut self,
        record: &Record,
        header: &Header,
    ) -> (
        Option<(SegmentNumber, bytes::Bytes, bool)>,
        Vec<(SegmentNumber, reelay_model::Ticks)>,
    ) {
        let Outcome { part, finished, .. } = self.reader.read(Entry {
            offset: record.offset,
            header,
            value: &record.value,
        });
        let mut fed = None;
        if let Some(number) = part {
            if matches!(
                header.kind,
                Kind::Chunk {
                    part: PartNumber(0),
                    ..
                }
            ) && let Some(begun) = SourceSegment::begin(record, header)
            {
                self.remember(begun);
            }
            if let Some(source) = self.sources.get_mut(&number)
                && let Some((chunk, last)) = source.add(record, header)
            {
                fed = Some((number, chunk, last));
            }
        }
        let mut ended = Vec::new();
        for segment in &finished {
            match self.sources.get_mut(&segment.number) {
                Some(known) => known.duration = Some(segment.duration),
                None => self.remember(SourceSegment::of(segment)),
            }
            ended.push((segment.number, segment.duration));
            self.source_known(segment.number, segment.duration_micros(), true);
        }
        if let Some(open) = self.reader.open().cloned() {
            self.source_known(open.number, open.duration_micros(), false);
        }
        (fed, ended)
    }

    /// Keeps what is known of a source segment; its format decides the ladder.
    fn remember(&mut self, source: SourceSegment) {
        if let Some(format) = &source.format {
            self.ladder = self.ladder_of(format);
            self.format = Some(format.clone());
        }
        match self.sources.get(&source.number) {
            // `index` knew of it; now its media comes.
            Some(known) if !known.chunks.is_empty() => {}
            _ => {
                self.sources.insert(source.number, source);
            }
        }
    }

    fn ladder_of(&self, format: &Format) -> Vec<RungProfile> {
        let source = SourceFormat {
            codecs: &format.codecs,
            height: format.height,
        };
        ladder_for(&self.spec, &self.context.config.rungs, source)
    }

    /// Puts a segment on the to-do list.
    fn source_known(&mut self, number: SegmentNumber, duration: Micros, finished: bool) {
        let Some(source) = self.sources.get(&number) else {
            return;
        };
        let gap = source.format.is_none();
        let ladder = match &source.format {
            Some(format) => self.ladder_of(format),
            // A gap of the source is a gap in the rungs that are made now.
            None => self.ladder.clone(),
        };
        self.todo.source(Source {
            number,
            duration,
            finished,
            gap,
            ladder: ladder.into_iter().map(|profile| profile.id).collect(),
        });
    }

    /// Begins what can be begun.
    async fn advance(&mut self, publisher: &mut Publisher) {
        while self.run.is_none() {
            self.survey().await;
            let Some(plan) = self.todo.begin() else {
                return;
            };
            self.begin(&plan, publisher).await;
            self.hand_over_if_complete(publisher);
        }
    }

    /// Looks at the topics of rungs that were not looked at, for what a predecessor left half done.
    async fn survey(&mut self) {
        let new: Vec<RungProfile> = self
            .ladder
            .iter()
            .filter(|profile| !self.surveyed.contains(&profile.id))
            .cloned()
            .collect();
        let Some(first) = self.todo.first_waiting().filter(|_| !new.is_empty()) else {
            return;
        };
        let Some(captured) = self.sources.get(&first).map(|source| source.capture_time) else {
            return;
        };
        for profile in new {
            let surveyed = loop {
                let surveyed = history::survey(
                    &self.context.bus,
                    self.partition,
                    self.spec.uid,
                    &profile.id,
                    captured,
                );
                match surveyed.await {
                    Ok(surveyed) => break surveyed,
                    Err(error) if self.context.shutdown.is_cancelled() => {
                        tracing::debug!(track = %profile.id, %error, "rung was not read");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(track = %profile.id, %error, "rung cannot be read; tried again");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            let ours = reelay_media::fingerprint(&profile, self.spec.latency);
            for (number, logged) in surveyed {
                let next = PartNumber(logged.parts.len() as u32);
                let found = match &logged.first.kind {
                    _ if logged.complete => Found::Ours(next, true),
                    Kind::Chunk { format, .. } if format.fingerprint == ours => {
                        Found::Ours(next, false)
                    }
                    _ => Found::Foreign,
                };
                self.todo.found(number, profile.id.clone(), found);
                self.found.insert((profile.id.clone(), number), logged);
            }
            self.surveyed.insert(profile.id);
        }
    }

    /// Begins what the plan says.
    async fn begin(&mut self, plan: &Plan, publisher: &mut Publisher) {
        let number = plan.number;
        let Some(source) = self.sources.get(&number).cloned() else {
            tracing::error!(stream = %self.spec.id, segment = number.0, "segment is not known");
            self.todo.handed_over(number);
            return;
        };
        let ladder = source.format.as_ref().map(|format| self.ladder_of(format));
        let ladder = ladder.unwrap_or_default();
        let mut media = Vec::new();
        let mut gaps = Vec::new();
        for (rung, make) in &plan.rungs {
            if let Some(logged) = self.found.remove(&(rung.clone(), number)) {
                publisher.resume(rung, logged);
            }
            let reason = match make {
                Make::Media(from) => {
                    let profile = ladder.iter().find(|profile| profile.id == *rung);
                    media.extend(profile.map(|profile| self.making(profile, *from)));
                    continue;
                }
                Make::List => {
                    publisher.list(rung, number);
                    continue;
                }
                Make::Close(reason) => {
                    publisher.close(rung, number);
                    reason
                }
                Make::Gap(reason) => {
                    gaps.push(rung.clone());
                    reason
                }
            };
            count(reason_text(*reason));
            tracing::info!(stream = %self.spec.id, track = %rung, segment = number.0,
                reason = reason_text(*reason), "rung lacks a segment");
        }
        let has_media = !source.chunks.is_empty();
        // Where there are no rungs a picture is made all the same.
        let picture_alone = plan.rungs.is_empty() && ladder.is_empty() && has_media;
        let mut run = Run::new(self.identity(false), &source, media);
        run.gaps = gaps;
        if plan.needs_worker() || picture_alone {
            self.ask(&mut run, &source, plan.alone).await;
        }
        self.run = Some(run);
    }

    fn making(&self, profile: &RungProfile, from: PartNumber) -> Making {
        Making {
            fingerprint: reelay_media::fingerprint(profile, self.spec.latency),
            profile: profile.clone(),
            from,
        }
    }

    /// Gives the segment to a worker: a fresh one where others died at it.
    async fn ask(&mut self, run: &mut Run, source: &SourceSegment, alone: bool) {
        if alone {
            self.worker = None;
        }
        while self.worker.is_none() {
            match Worker::spawn(&self.context.config.worker, self.context.config.watchdog) {
                Ok(worker) => self.worker = Some(worker),
                // No fault of the segment: the machine has no room for a process.
                Err(error) => {
                    tracing::error!(stream = %self.spec.id, %error, "worker cannot be started");
                    if self.context.shutdown.is_cancelled() {
                        return;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        let before = source.number.0.checked_sub(1).map(SegmentNumber);
        let before = before.and_then(|before| self.sources.get(&before));
        let pre_roll = match before.filter(|_| source.open) {
            Some(before) => before
                .chunks
                .iter()
                .map(|(chunk, _)| chunk.clone())
                .collect(),
            None => Vec::new(),
        };
        let part_target = self.part_target();
        let busy = self.context.pool.live();
        let job = run.ask(source, pre_roll, self.spec.latency, part_target, busy);
        let Some(worker) = &self.worker else {
            return;
        };
        worker.begin(job);
        let picture_alone = run.is_picture_alone();
        let chunks = source.chunks.iter();
        for (chunk, last) in chunks.take(if picture_alone { 1 } else { usize::MAX }) {
            worker.push(chunk.clone(), *last);
        }
        match source.duration {
            _ if picture_alone => {
                // The first frame is in the first chunk.
                worker.end_early();
            }
            Some(duration) => worker.end(duration),
            None => {}
        }
    }

    fn part_target(&self) -> Micros {
        let opening = self.reader.opening();
        let target = opening.and_then(|opening| opening.part_targets.get(&Track::Video));
        target.map_or(PART_TARGET, |micros| Micros(i64::from(*micros)))
    }

    fn identity(&self, late: bool) -> Identity {
        Identity {
            stream: self.spec.id.clone(),
            uid: self.spec.uid,
            late,
        }
    }

    /// What the worker said.
    async fn said(
        &mut self,
        message: Result<TranscodeMessage, WorkerError>,
        publisher: &mut Publisher,
    ) {
        let Some(run) = &mut self.run else {
            return;
        };
        let number = run.number;
        let Some(source) = self.sources.get(&number) else {
            return;
        };
        let said = match message {
            Ok(message) => run.message(message, source, publisher),
            Err(error) => {
                self.worker = None;
                Said::Failed(error.to_string())
            }
        };
        match said {
            Said::Nothing => {}
            Said::Track(profile, chunk) => {
                self.report.phase(Phase::Live);
                self.report.track(&profile, &chunk);
            }
            Said::Thumbnail(jpeg) => {
                let header = run.identity().thumbnail(source, &jpeg);
                self.append(Topic::Thumbnails, &header, jpeg);
            }
            Said::Done(report) => {
                let media = report.duration.to_seconds(crate::source::RUNG_TIMESCALE);
                for of_rung in &report.rungs {
                    let rung = of_rung.rung.to_string();
                    metrics::histogram!("reelay_transcode_segment_cpu_seconds", "rung" => rung.clone())
                        .record(of_rung.cpu.to_seconds());
                    metrics::histogram!("reelay_transcode_segment_media_seconds", "rung" => rung)
                        .record(media);
                }
                metrics::counter!("reelay_transcode_frames_total")
                    .increment(report.source_frames.into());
                let wall = run.elapsed();
                self.report.made(report, wall);
                self.hand_over_if_complete(publisher);
            }
            Said::Failed(why) => self.died(number, &why, publisher).await,
        }
    }

    /// A worker died at the running segment, or cannot make it.
    async fn died(&mut self, number: SegmentNumber, why: &str, publisher: &mut Publisher) {
        let Some(run) = self.run.take() else {
            return;
        };
        self.worker = None;
        metrics::counter!("reelay_transcode_worker_deaths_total").increment(1);
        for rung in run.rungs() {
            if let Some(found) = publisher.progress(rung, number) {
                self.todo.found(number, rung.clone(), found);
            }
        }
        let attempts = self.todo.died(number);
        if let Some(source) = self.sources.get(&number).cloned() {
            self.attempt(&source, attempts, why).await;
        }
    }

    /// Writes an attempt record, before the segment is touched again.
    async fn attempt(&mut self, source: &SourceSegment, attempts: u32, why: &str) {
        let number = source.number;
        tracing::warn!(stream = %self.spec.id, segment = number.0, attempts, reason = why,
            "a worker failed at a segment");
        if attempts >= self.context.config.limits.attempts {
            let message = format!("segment {number} was given up after {attempts} attempts: {why}");
            tracing::error!(stream = %self.spec.id, segment = number.0, reason = why,
                "segment given up");
            self.report.given_up(message);
        }
        let (header, value) = self.identity(false).attempt(source, attempts, why);
        let record = records::outgoing(Topic::Index, self.partition, &header, value, None);
        while let Err(error) = self.context.producer.send(record.clone()).await {
            tracing::warn!(stream = %self.spec.id, %error, "attempt record is tried again");
            if self.context.shutdown.is_cancelled() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Appends a record that nothing waits for.
    fn append(&self, topic: Topic, header: &Header, value: bytes::Bytes) {
        let record = records::outgoing(topic, self.partition, header, value, None);
        match self.context.producer.enqueue(&record) {
            Ok(report) => {
                let stream = self.spec.id.clone();
                tokio::spawn(async move {
                    if let Err(error) = report.await {
                        tracing::warn!(%stream, %error, "picture was not written");
                    }
                });
            }
            Err(error) => tracing::warn!(stream = %self.spec.id, %error, "picture was not written"),
        }
    }

    /// Ends the running segment where the source and the worker have said all.
    fn hand_over_if_complete(&mut self, publisher: &mut Publisher) {
        let whole = |run: &mut Run| {
            let source = self.sources.get(&run.number);
            !run.worker_busy && source.is_some_and(|source| source.duration.is_some())
        };
        let Some(run) = self.run.take_if(whole) else {
            return;
        };
        let number = run.number;
        let Some(source) = self.sources.get(&number) else {
            return;
        };
        for rung in &run.gaps {
            publisher.gap(rung, run.identity().gap(source, rung));
        }
        self.todo.handed_over(number);
        // The one before the next is its pre-roll.
        self.sources = self.sources.split_off(&number);
        let behind = self.todo.behind().to_seconds();
        metrics::histogram!("reelay_transcode_lag_seconds").record(behind);
    }

    /// `index` lists a segment of a rung.
    fn listed(&mut self, listed: Listed) {
        let Listed { rung, number, fate } = listed;
        if fate == Fate::Media {
            count("made");
        }
        self.todo.rung(number, rung, fate);
    }

    /// Makes up for the newest gap, if a worker has nothing better to do.
    fn heal_if_there_is_time(&mut self) {
        if !self.heals.is_empty() || self.todo.is_overloaded() {
            return;
        }
        let Some((number, rungs)) = self.todo.heal() else {
            return;
        };
        let segments: Vec<&Arc<Segment>> = self.index.segments(&Track::Video).collect();
        let Some(at) = segments.iter().position(|segment| segment.number == number) else {
            // Not listed yet, or forgotten long ago.
            if segments.first().is_some_and(|first| number < first.number) {
                self.todo.cannot_heal(number);
            }
            return;
        };
        let segment = Arc::clone(segments[at]);
        let before = at.checked_sub(1).map(|before| Arc::clone(segments[before]));
        let Some(format) = segment.format() else {
            self.todo.cannot_heal(number);
            return;
        };
        let ladder = self.ladder_of(format);
        let wanted = ladder.iter().filter(|profile| rungs.contains(&profile.id));
        let rungs: Vec<Making> = wanted
            .map(|profile| self.making(profile, PartNumber(0)))
            .collect();
        if rungs.is_empty() {
            self.todo.cannot_heal(number);
            return;
        }
        let Some(busy) = self.context.pool.spare() else {
            return;
        };
        let healing = Healing {
            segment,
            before,
            rungs,
            identity: self.identity(true),
            latency: self.spec.latency,
            part_target: self.part_target(),
        };
        let context = self.context.clone();
        self.heals
            .spawn(heal::heal(context, self.partition, healing, busy));
    }

    async fn healed(&mut self, number: SegmentNumber, healed: Healed) {
        match healed {
            Healed::Done => {
                let rungs = self.todo.heal().filter(|(of, _)| *of == number);
                for rung in rungs.into_iter().flat_map(|(_, rungs)| rungs) {
                    count("healed");
                    self.todo.rung(number, rung, Fate::Media);
                }
                self.heal_if_there_is_time();
            }
            Healed::Died(source, why) => {
                metrics::counter!("reelay_transcode_worker_deaths_total").increment(1);
                let attempts = self.todo.died(number);
                self.attempt(&source, attempts, &why).await;
            }
            Healed::Impossible(why) => {
                tracing::warn!(stream = %self.spec.id, segment = number.0, reason = why,
                    "gap stays");
                self.todo.cannot_heal(number);
            }
        }
    }

    fn count_waiting(&mut self, now: f64) {
        metrics::gauge!("reelay_transcode_waiting_segments").increment(now - self.waiting);
        self.waiting = now;
    }

    fn write_status(&mut self) {
        let (finished, gaps) = self.todo.counts();
        self.count_waiting((finished + gaps) as f64);
        self.report.load(&Load {
            behind: self.todo.behind(),
            segments: finished + gaps,
            overloaded: self.todo.is_overloaded(),
            left_out: self.todo.left_out(),
            ladder: self.ladder.iter().map(|p| p.id.clone()).collect(),
        });
        self.report.write();
    }
}

async fn next(worker: &mut Option<Worker>) -> Result<TranscodeMessage, WorkerError> {
    match worker {
        Some(worker) => worker.next().await,
        None => Err(WorkerError::Ended),
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("reelay_transcode_segments_total", "outcome" => outcome).increment(1);
}

const fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Source => "gap-source",
        Reason::Overloaded => "gap-overloaded",
        Reason::LeftOut => "gap-left-out",
        Reason::GivenUp => "gap-given-up",
    }
}
