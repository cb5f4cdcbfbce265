//! The judge of the log: takes records of the media topics and of `index`, each topic in its
//! own order, and says where they break the promises of docs/design.
//!
//! It shares no code with the readers of the services but the record format itself.

mod fence;
mod index;
mod media;
mod rung;
mod track;

use std::collections::{BTreeMap, BTreeSet};

use reelay_wire::{
    Attempt, Epoch, Header, IndexRecord, Kind, Nonce, Offset, Opening, StreamId, StreamUid, Topic,
    Track,
};

use self::fence::{Claimed, Fence, Standing};
pub use self::index::hex;
use self::index::{Indexed, TrackIndex};
use self::track::{Change, TrackSeen};
pub use self::track::{Ended, PartSeen, SegmentSeen};
use super::finding::{Counts, Finding, Place, Report, Rule};
use super::record::LogRecord;

/// Rule, what was expected, what was found; the place is added by the caller.
type Fault = (Rule, String, String);

/// Finished segments of a track that may wait for their index record at the end of a check:
/// index records follow the delivery reports, and a killed owner leaves its last one or two.
const UNINDEXED: usize = 3;

/// Reads the log and judges it.
#[derive(Debug, Default)]
pub struct LogJudge {
    streams: BTreeMap<StreamUid, StreamLog>,
    /// First and last offset read, by topic and partition.
    read: BTreeMap<(Topic, i32), (Offset, Offset)>,
    report: Report,
}

/// What is known of one stream.
#[derive(Debug)]
struct StreamLog {
    id: StreamId,
    partition: i32,
    fences: BTreeMap<Topic, Fence>,
    /// Nonces of the first claims in `source`.
    claims: BTreeMap<Epoch, Nonce>,
    /// Claims in other topics that `source` has to have, too.
    unproven: Vec<(Epoch, Nonce, Place)>,
    /// First opening of each epoch, in the topic where it was read first; one without tracks
    /// (the source gives nothing yet) and one with them are told apart.
    openings: BTreeMap<(Epoch, bool), Opening>,
    tracks: BTreeMap<Track, TrackSeen>,
    index: BTreeMap<Track, TrackIndex>,
    /// Numbers whose tracks have not been compared yet.
    uncut: BTreeSet<u64>,
}

impl LogJudge {
    /// A judge that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The last offset read of a partition, if any.
    pub fn position(&self, topic: &Topic, partition: i32) -> Option<Offset> {
        self.read
            .get(&(topic.clone(), partition))
            .map(|(_, last)| *last)
    }

    /// Takes the next record of its topic and partition.
    pub fn read(&mut self, record: &LogRecord) {
        let is_media = !matches!(record.topic, Topic::Thumbnails);
        if !record.topic.has_chunk_header() || !is_media {
            return;
        }
        self.report.counts.records += 1;
        let read = self
            .read
            .entry((record.topic.clone(), record.partition))
            .or_insert((record.offset, record.offset));
        read.1 = record.offset;
        let from_start = read.0 == 0;

        let mut faults = Vec::new();
        self.judge(record, from_start, &mut faults);
        let place = record.place();
        for (rule, expected, found) in faults {
            self.report.add(Finding {
                rule,
                place: place.clone(),
                expected,
                found,
            });
        }
    }

    fn judge(&mut self, record: &LogRecord, from_start: bool, faults: &mut Vec<Fault>) {
        let header = match &record.header {
            Ok(header) => header,
            Err(e) => {
                faults.push((Rule::Record, "a header `chunk`".into(), e.to_string()));
                return;
            }
        };
        if record.key.as_deref() != Some(header.stream.as_str().as_bytes()) {
            let found = record.key.as_deref().map(String::from_utf8_lossy);
            faults.push((
                Rule::Record,
                format!("key {}", header.stream),
                format!("{found:?}"),
            ));
        }
        let counts = &mut self.report.counts;
        let stream = self.streams.entry(header.uid).or_insert_with(|| {
            counts.streams += 1;
            StreamLog::new(header.stream.clone(), record.partition)
        });
        if stream.partition != record.partition || stream.id != header.stream {
            let expected = format!("{} in partition {}", stream.id, stream.partition);
            let found = format!("{} in partition {}", header.stream, record.partition);
            faults.push((Rule::Partition, expected, found));
        }
        stream.read(record, header, from_start, counts, faults);
    }

    /// A valid segment of a track.
    pub fn segment(&self, uid: StreamUid, track: &Track, number: u64) -> Option<&SegmentSeen> {
        self.streams
            .get(&uid)?
            .tracks
            .get(track)?
            .segments
            .get(&number)
    }

    /// The number of the last valid segment of a track.
    pub fn last_segment(&self, uid: StreamUid, track: &Track) -> Option<u64> {
        let track = self.streams.get(&uid)?.tracks.get(track)?;
        track.segments.last_key_value().map(|(n, _)| *n)
    }

    /// The number of the last finished segment or gap of a track.
    pub fn last_whole_segment(&self, uid: StreamUid, track: &Track) -> Option<u64> {
        let track = self.streams.get(&uid)?.tracks.get(track)?;
        let mut ended = track.segments.iter().filter(|(_, s)| s.ended.is_some());
        ended.next_back().map(|(n, _)| *n)
    }

    /// SHA-256 of all init segments that valid segments began with.
    pub fn init_hashes(&self) -> Vec<[u8; 32]> {
        let tracks = self.streams.values().flat_map(|s| s.tracks.values());
        let inits = tracks
            .flat_map(|t| t.segments.values())
            .filter_map(|s| s.init.as_ref());
        inits
            .map(|i| i.hash)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The valid segments and gaps of a track, by number.
    pub fn segments(
        &self,
        uid: StreamUid,
        track: &Track,
    ) -> impl Iterator<Item = (u64, &SegmentSeen)> {
        let track = self.streams.get(&uid).and_then(|s| s.tracks.get(track));
        let segments = track.into_iter().flat_map(|t| &t.segments);
        segments.map(|(number, segment)| (*number, segment))
    }

    /// The uids of a stream, in no order that means anything.
    pub fn uids(&self, id: &StreamId) -> impl Iterator<Item = StreamUid> {
        self.streams
            .iter()
            .filter(move |(_, s)| s.id == *id)
            .map(|(uid, _)| *uid)
    }

    /// Judges across topics what has been read to its end. May be called at any time.
    pub fn settle(&mut self) {
        for (uid, stream) in &mut self.streams {
            stream.compare_cuts(*uid, &mut self.report);
            stream.compare_rungs(false, &mut self.report);
            stream.compare_index(&self.read, false, &mut self.report);
        }
    }

    /// The report as it is now; what still waits for another topic is not in it.
    pub fn so_far(&self) -> &Report {
        &self.report
    }

    /// Judges the rest. The topics have been read at least up to where their records name
    /// each other, or have ended.
    pub fn finish(mut self) -> Report {
        self.settle();
        for stream in self.streams.values_mut() {
            stream.compare_rungs(true, &mut self.report);
            stream.compare_index(&self.read, true, &mut self.report);
            let partition = stream.partition;
            let from_start = |topic: Topic| {
                self.read
                    .get(&(topic, partition))
                    .is_some_and(|(first, _)| *first == 0)
            };
            if from_start(Topic::Source) {
                stream.prove_claims(&mut self.report);
            }
            stream.find_unindexed(from_start(Topic::Index), &mut self.report);
        }
        self.report
    }
}

impl StreamLog {
    fn new(id: StreamId, partition: i32) -> Self {
        Self {
            id,
            partition,
            fences: BTreeMap::new(),
            claims: BTreeMap::new(),
            unproven: Vec::new(),
            openings: BTreeMap::new(),
            tracks: BTreeMap::new(),
            index: BTreeMap::new(),
            uncut: BTreeSet::new(),
        }
    }

    fn read(
        &mut self,
        record: &LogRecord,
        header: &Header,
        from_start: bool,
        counts: &mut Counts,
        faults: &mut Vec<Fault>,
    ) {
        if matches!(header.track, Track::Rung(_)) {
            self.derived(record, header, from_start, counts, faults);
            return;
        }
        let fence = self.fences.entry(record.topic.clone()).or_default();
        if let Kind::Claim { nonce } = header.kind {
            self.claim(record, header, nonce, counts);
            return;
        }
        let is_opening = matches!(header.kind, Kind::Opening { .. });
        if fence.standing(header.epoch, is_opening, from_start, faults) == Standing::Void {
            counts.void += 1;
            return;
        }
        if fence.ended {
            faults.push((
                Rule::End,
                "nothing behind the end record".into(),
                words(header),
            ));
        }
        let opening = fence.opening().cloned();
        match (&header.kind, &record.topic) {
            (Kind::Claim { .. }, _) => {}
            (Kind::Opening { nonce }, _) => match Opening::decode(&record.value) {
                Ok(opening) => {
                    fence.open(*nonce, opening.clone(), faults);
                    if opening_is_first(&opening, fence) {
                        self.opened(header, opening, faults);
                    }
                }
                Err(e) => faults.push((Rule::Record, "an opening".into(), e.to_string())),
            },
            (Kind::End, _) => fence.ended = true,
            (_, Topic::Index) => self.indexed(record, header, faults),
            (kind, topic) => {
                if Topic::of_track(&header.track) != *topic {
                    let expected = format!("records of the track of topic {topic}");
                    faults.push((Rule::Record, expected, header.track.to_string()));
                    return;
                }
                let track = self.tracks.entry(header.track.clone()).or_default();
                let change = match kind {
                    Kind::Chunk { .. } => {
                        counts.chunks += 1;
                        track.chunk(
                            header,
                            record.offset,
                            &record.value,
                            opening.as_ref(),
                            faults,
                        )
                    }
                    Kind::Gap => {
                        counts.gaps += 1;
                        track.gap(header, opening.as_ref(), faults)
                    }
                    _ => {
                        counts.truncated += 1;
                        track.close(header.segment.0, faults)
                    }
                };
                self.changed(&header.track, &change, counts);
            }
        }
    }

    /// Takes a record of a rung: never fenced, it counts by identity.
    fn derived(
        &mut self,
        record: &LogRecord,
        header: &Header,
        from_start: bool,
        counts: &mut Counts,
        faults: &mut Vec<Fault>,
    ) {
        let is_index = record.topic == Topic::Index;
        if !is_index && Topic::of_track(&header.track) != record.topic {
            let expected = format!("records of the track of topic {}", record.topic);
            faults.push((Rule::Record, expected, header.track.to_string()));
            return;
        }
        let media = matches!(header.kind, Kind::Chunk { .. } | Kind::Gap);
        if !media && (is_index || header.kind != Kind::Close) {
            faults.push((Rule::Record, "media of a rung".into(), words(header)));
            return;
        }
        if is_index {
            match IndexRecord::decode(&record.value) {
                Ok(_) if header.late => {}
                Ok(value) => {
                    let indexed = Indexed {
                        writer: header.epoch.unwrap_or_default(),
                        place: record.place(),
                        header: header.clone(),
                        record: value,
                        agreed: false,
                    };
                    let index = self.index.entry(header.track.clone()).or_default();
                    index.add_derived(indexed, &mut counts.copies);
                }
                Err(e) => faults.push((Rule::Record, "an index record".into(), e.to_string())),
            }
            return;
        }
        let track = self.tracks.entry(header.track.clone()).or_default();
        let (copies, at) = (&mut counts.copies, (record.offset, &record.value));
        let change = track.derived(header, at, from_start, copies, faults);
        match header.kind {
            Kind::Chunk { .. } => counts.chunks += 1,
            Kind::Gap => counts.gaps += 1,
            _ => counts.truncated += 1,
        }
        if let Some(number) = change.ended {
            let segment = track.segments.get(&number);
            counts.segments += u64::from(segment.is_some_and(|s| !s.gap));
            track.uncompared.insert(number);
        }
    }

    /// Compares rungs with the source where both have been read.
    fn compare_rungs(&mut self, at_end: bool, report: &mut Report) {
        let mut source = self.tracks.remove(&Track::Video).unwrap_or_default();
        let first = source.segments.first_key_value().map(|(n, _)| *n);
        let rungs = self.tracks.iter_mut();
        for (name, track) in rungs.filter(|(name, _)| matches!(name, Track::Rung(_))) {
            let (segments, id) = (&track.segments, &self.id);
            let mut tell = |number: u64, rule, expected, found| {
                let place = Place {
                    stream: Some(id.to_string()),
                    track: Some(name.to_string()),
                    epoch: segments.get(&number).map(|s| s.epoch.0),
                    segment: Some(number),
                    ..Place::default()
                };
                report.add(Finding {
                    rule,
                    place,
                    expected,
                    found,
                });
            };
            let mut compared = 0;
            track.uncompared.retain(|number| {
                let made = segments.get(number);
                let of = source.segments.get(number).filter(|s| s.ended.is_some());
                let mut faults = Vec::new();
                match (of, made) {
                    (Some(of), Some(made)) => rung::compare(of, made, &mut faults),
                    (None, _) if !at_end => return true,
                    // Retention has removed the source's, or the check began behind it.
                    (None, _) if first.is_none_or(|first| *number < first) => {}
                    _ => faults.push((
                        Rule::Rung,
                        "a valid and finished source segment".into(),
                        "none of this number".into(),
                    )),
                }
                compared += 1;
                for (rule, expected, found) in faults {
                    tell(*number, rule, expected, found);
                }
                false
            });
            let last = segments.last_key_value().map_or(0, |(n, _)| *n);
            if at_end {
                let ended = source.segments.range(last + 1..);
                let behind = ended.filter(|(_, s)| s.ended.is_some()).count();
                if behind > rung::BEHIND {
                    let expected = format!("at most {} source segments without it", rung::BEHIND);
                    tell(last, Rule::Behind, expected, behind.to_string());
                }
            }
            report.counts.rung_segments += compared;
        }
        if !source.segments.is_empty() {
            self.tracks
                .insert(Track::Video, std::mem::take(&mut source));
        }
    }

    fn changed(&mut self, track: &Track, change: &Change, counts: &mut Counts) {
        if change.discontinuity && *track == Track::Video {
            counts.discontinuities += 1;
        }
        if let Some(number) = change.ended {
            let segment = self.tracks.get(track).and_then(|t| t.segments.get(&number));
            counts.segments += u64::from(segment.is_some_and(|s| !s.gap));
            self.uncut.insert(number);
        }
    }

    fn claim(&mut self, record: &LogRecord, header: &Header, nonce: Nonce, counts: &mut Counts) {
        let in_source = record.topic == Topic::Source;
        let fence = self.fences.entry(record.topic.clone()).or_default();
        let (epoch, claimed) = fence.claim(header.epoch, nonce, record.offset);
        if in_source && header.epoch.is_none() {
            self.claims.insert(epoch, nonce);
        } else if matches!(claimed, Claimed::Rise { .. }) && !in_source {
            self.unproven.push((epoch, nonce, record.place()));
        }
        let Claimed::Rise { takeover } = claimed else {
            counts.void += u64::from(claimed == Claimed::Late);
            return;
        };
        counts.takeovers += u64::from(takeover && in_source);
        let track = match record.topic {
            Topic::Source => Track::Video,
            Topic::Audio => Track::Audio,
            _ => return,
        };
        if let Some(number) = self
            .tracks
            .get_mut(&track)
            .and_then(|t| t.cut_off(Ended::Claim))
        {
            counts.truncated += 1;
            self.changed(
                &track,
                &Change {
                    ended: Some(number),
                    discontinuity: false,
                },
                counts,
            );
        }
    }

    /// The first opening of an epoch in a topic: the same in all of them, and above all before.
    fn opened(&mut self, header: &Header, opening: Opening, faults: &mut Vec<Fault>) {
        let Some(epoch) = header.epoch else { return };
        let key = (epoch, !opening.part_targets.is_empty());
        if let Some(known) = self.openings.get(&key) {
            if *known != opening {
                let expected = format!(
                    "the opening as in the other topics: {}",
                    fence::words(known)
                );
                faults.push((Rule::Opening, expected, fence::words(&opening)));
            }
            return;
        }
        if let Some((_, before)) = self.openings.last_key_value()
            && before.target_duration_s != opening.target_duration_s
        {
            let expected = format!(
                "target duration {} s, fixed for the uid",
                before.target_duration_s
            );
            faults.push((
                Rule::Opening,
                expected,
                format!("{} s", opening.target_duration_s),
            ));
        }
        self.openings.insert(key, opening);
    }

    fn indexed(&mut self, record: &LogRecord, header: &Header, faults: &mut Vec<Fault>) {
        if matches!(header.kind, Kind::Attempt) {
            if let Err(e) = Attempt::decode(&record.value) {
                faults.push((Rule::Record, "an attempt".into(), e.to_string()));
            }
            return;
        }
        if !matches!(header.kind, Kind::Chunk { .. } | Kind::Gap) {
            faults.push((Rule::Record, "an index record".into(), words(header)));
            return;
        }
        match IndexRecord::decode(&record.value) {
            Ok(value) => {
                let indexed = Indexed {
                    writer: header.epoch.unwrap_or_default(),
                    place: record.place(),
                    header: header.clone(),
                    record: value,
                    agreed: false,
                };
                self.index
                    .entry(header.track.clone())
                    .or_default()
                    .add(indexed, faults);
            }
            Err(e) => faults.push((Rule::Record, "an index record".into(), e.to_string())),
        }
    }

    fn compare_cuts(&mut self, uid: StreamUid, report: &mut Report) {
        let (Some(video), Some(audio)) = (
            self.tracks.get(&Track::Video),
            self.tracks.get(&Track::Audio),
        ) else {
            return;
        };
        let id = &self.id;
        self.uncut.retain(|number| {
            let ended = |t: &TrackSeen| {
                t.segments
                    .get(number)
                    .filter(|s| s.ended.is_some())
                    .cloned()
            };
            let (Some(video), Some(audio)) = (ended(video), ended(audio)) else {
                return true;
            };
            if video.gap || audio.gap {
                return false;
            }
            let mut faults = Vec::new();
            track::cut_together(&video, &audio, &mut faults);
            for (rule, expected, found) in faults {
                let place = Place {
                    stream: Some(id.to_string()),
                    track: Some(Track::Audio.to_string()),
                    epoch: Some(audio.epoch.0),
                    segment: Some(*number),
                    record: Some(format!("uid {uid}")),
                    ..Place::default()
                };
                report.add(Finding {
                    rule,
                    place,
                    expected,
                    found,
                });
            }
            false
        });
    }

    /// Compares index records with their media where both have been read. What does not agree
    /// yet may still be corrected by a new owner, so it is told only at the end.
    fn compare_index(
        &mut self,
        read: &BTreeMap<(Topic, i32), (Offset, Offset)>,
        at_end: bool,
        report: &mut Report,
    ) {
        let writer_now = self.fences.get(&Topic::Index).and_then(Fence::epoch);
        for (name, index) in &mut self.index {
            let range = read.get(&(Topic::of_track(name), self.partition));
            let Some(&(from, to)) = range else { continue };
            let track = self.tracks.get(name);
            // The owner in force has indexed something, so it has corrected what it had to.
            let settled = index.records.values().any(|r| Some(r.writer) == writer_now);
            let fence = self.fences.get(&Topic::of_track(name));
            let to_correct = |indexed: &Indexed| {
                let last = indexed.record.parts.last();
                let voided = |fence: &Fence| {
                    last.is_some_and(|p| fence.voids(indexed.record.epoch, p.offset))
                };
                !settled && Some(indexed.writer) != writer_now && fence.is_some_and(voided)
            };
            for (number, indexed) in &mut index.records {
                if indexed.agreed {
                    continue;
                }
                match index::comparable(indexed, from, to) {
                    None => {
                        indexed.agreed = true;
                        continue;
                    }
                    Some(false) if !at_end => continue,
                    _ => {}
                }
                let mut faults = Vec::new();
                let segment = track.and_then(|t| t.segments.get(number));
                let is_rung = matches!(name, Track::Rung(_));
                if !is_rung || !index::is_of_other_encoding(indexed, segment) {
                    index::compare(indexed, segment, &mut faults);
                }
                if faults.is_empty() {
                    indexed.agreed = true;
                    report.counts.indexed += 1;
                } else if at_end && !to_correct(indexed) {
                    for (rule, expected, found) in faults {
                        report.add(Finding {
                            rule,
                            place: indexed.place.clone(),
                            expected,
                            found,
                        });
                    }
                }
            }
        }
    }

    fn prove_claims(&mut self, report: &mut Report) {
        for (epoch, nonce, place) in self.unproven.drain(..) {
            let found = match self.claims.get(&epoch) {
                Some(known) if *known == nonce => continue,
                Some(known) => format!("nonce {known}"),
                None => "no such claim".into(),
            };
            let expected = format!("a first claim of epoch {epoch} with nonce {nonce} in source");
            report.add(Finding {
                rule: Rule::Claim,
                place,
                expected,
                found,
            });
        }
    }

    fn find_unindexed(&self, from_start: bool, report: &mut Report) {
        for (name, track) in &self.tracks {
            let index = self.index.get(name);
            let first = index.and_then(TrackIndex::first).filter(|_| from_start);
            let last = index.and_then(TrackIndex::last);
            let ended = || track.segments.iter().filter(|(_, s)| s.ended.is_some());
            // Between the first and the last index record, holes have been told.
            // A rung that two transcodes work on may have its records out of order.
            let is_first = |n: &u64| match name {
                Track::Rung(_) => index.is_some_and(|index| !index.records.contains_key(n)),
                Track::Video | Track::Audio => first.is_some_and(|first| *n < first),
            };
            let in_order = first.zip(last).filter(|_| from_start);
            let before = ended()
                .filter(|(n, _)| in_order.is_some_and(|(_, last)| **n <= last))
                .find(|(n, _)| is_first(n));
            let behind: Vec<_> = ended()
                .filter(|(n, _)| last.is_none_or(|last| **n > last))
                .collect();
            let late = behind.first().copied().filter(|_| behind.len() > UNINDEXED);
            let mut tell = |(number, segment): (&u64, &SegmentSeen), expected, found| {
                let place = Place {
                    stream: Some(self.id.to_string()),
                    track: Some(name.to_string()),
                    epoch: Some(segment.epoch.0),
                    segment: Some(*number),
                    ..Place::default()
                };
                report.add(Finding {
                    rule: Rule::NotIndexed,
                    place,
                    expected,
                    found,
                });
            };
            if let Some(segment) = before {
                tell(
                    segment,
                    "an index record of it".into(),
                    "only of later ones".into(),
                );
            }
            if let Some(segment) = late {
                let expected =
                    format!("at most {UNINDEXED} finished segments without index record");
                tell(segment, expected, behind.len().to_string());
            }
        }
    }
}

fn opening_is_first(opening: &Opening, fence: &Fence) -> bool {
    fence.opening() == Some(opening)
}

fn words(header: &Header) -> String {
    let kind = match header.kind {
        Kind::Chunk { .. } => "a chunk",
        Kind::Claim { .. } => "a claim",
        Kind::Opening { .. } => "an opening",
        Kind::Close => "a close record",
        Kind::Gap => "a gap record",
        Kind::End => "an end record",
        Kind::Attempt => "an attempt record",
    };
    format!("{kind} of segment {}", header.segment)
}
