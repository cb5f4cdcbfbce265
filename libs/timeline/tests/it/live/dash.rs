//! DASH manifests: as they are, for people to look at, and what holds for every log.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quick_xml::{Reader, events::Event};
use reelay_model::Track;
use reelay_timeline::{
    anchor::Anchors,
    dash::{Manifest, SegmentName, TrackShown},
    hls::{MediaPlaylist, Variant},
    track::{Start, TrackReader},
    window::LiveTrack,
};
use reelay_wire::Topic;

use super::{
    log::{Log, TARGET, tracks},
    properties::{Step, log_of, steps},
};

/// The manifest of tracks that stand anywhere in their topics.
fn manifest(log: &Log, lives: &[(Track, LiveTrack)]) -> Option<String> {
    let mut anchors = Anchors::new();
    let shown: Vec<_> = lives
        .iter()
        .filter_map(|(track, live)| {
            anchors.extend(live.reader().anchors());
            let playlist = MediaPlaylist::of(log.uid, track, live)?;
            Some((track, playlist, Variant::of(track, live)?.bandwidth))
        })
        .collect();
    let tracks = shown.iter().map(|(track, playlist, bandwidth)| TrackShown {
        track,
        playlist,
        bandwidth: *bandwidth,
    });
    Manifest {
        tracks: tracks.collect(),
        anchors: &anchors,
    }
    .render()
}

fn read_all(log: &Log) -> Vec<(Track, LiveTrack)> {
    tracks()
        .map(|track| (track.clone(), log.read_all(&track)))
        .into()
}

fn whole(log: &Log) -> String {
    manifest(log, &read_all(log)).unwrap()
}

#[test]
fn a_low_latency_stream() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(12);
    (0..3).for_each(|_| log.part(false));
    insta::assert_snapshot!("dash_low_latency", whole(&log));
}

#[test]
fn a_stream_without_parts() {
    let mut log = Log::new(false);
    log.claim();
    log.segments(3);
    (0..3).for_each(|_| log.part(false));
    insta::assert_snapshot!("dash_without_parts", whole(&log));
}

#[test]
fn a_takeover_a_gap_a_break_and_the_end() {
    let mut log = Log::new(true);
    log.claim();
    log.segments(1);
    (0..4).for_each(|_| log.part(false));
    log.claim();
    log.segments(1);
    log.gap();
    log.segments(1);
    log.away(30);
    log.segments(2);
    log.discontinuity();
    log.segments(1);
    log.end();
    insta::assert_snapshot!("dash_takeover_gap_break_end", whole(&log));
}

/// A segment as a player takes it from a manifest.
#[derive(Debug, Clone, PartialEq)]
struct Listed {
    url: String,
    init: String,
    /// Seconds since 1970.
    from: f64,
    until: f64,
}

/// A manifest as a player reads it.
#[derive(Debug, Default)]
struct Read {
    /// Period starts by id.
    periods: Vec<(String, f64)>,
    /// Segments by Representation and time.
    segments: BTreeMap<(String, String), Vec<Listed>>,
}

fn seconds(text: &str) -> f64 {
    text.strip_prefix("PT")
        .unwrap()
        .strip_suffix('S')
        .unwrap()
        .parse()
        .unwrap()
}

/// Reads a manifest with a parser that others wrote, and nothing that the writer shares.
fn read(text: &str) -> Read {
    let mut reader = Reader::from_str(text);
    let mut read = Read::default();
    let mut stack: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut time = 0_u64;
    loop {
        let event = reader.read_event().unwrap();
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name().as_ref().to_owned();
                let attributes: BTreeMap<String, String> = element
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.unwrap();
                        (
                            attribute.key.as_ref().to_owned(),
                            attribute.value.into_owned(),
                        )
                    })
                    .collect();
                let of = |name: &str, attribute: &str| {
                    let element = stack.iter().rev().find(|(of, _)| of == name);
                    element.and_then(|(_, attributes)| attributes.get(attribute).cloned())
                };
                match name.as_str() {
                    "Period" => read
                        .periods
                        .push((attributes["id"].clone(), seconds(&attributes["start"]))),
                    "S" => {
                        let scale: f64 =
                            of("SegmentTemplate", "timescale").unwrap().parse().unwrap();
                        let offset = of("SegmentTemplate", "presentationTimeOffset");
                        let offset: u64 = offset.map_or(0, |offset| offset.parse().unwrap());
                        let start = read.periods.last().unwrap().1;
                        let key = (
                            of("Period", "id").unwrap(),
                            of("Representation", "id").unwrap(),
                        );
                        if let Some(t) = attributes.get("t") {
                            time = t.parse().unwrap();
                        }
                        let d: u64 = attributes["d"].parse().unwrap();
                        let repeats = attributes.get("r").map_or(0, |r| r.parse::<u64>().unwrap());
                        for _ in 0..=repeats {
                            let at = |time: u64| start + (time as f64 - offset as f64) / scale;
                            let media = of("SegmentTemplate", "media").unwrap();
                            read.segments.entry(key.clone()).or_default().push(Listed {
                                url: media.replace("$Time$", &time.to_string()),
                                init: of("SegmentTemplate", "initialization").unwrap(),
                                from: at(time),
                                until: at(time + d),
                            });
                            time += d;
                        }
                    }
                    _ => {}
                }
                if !empty {
                    stack.push((name, attributes));
                }
            }
            Event::End(_) => drop(stack.pop()),
            Event::Eof => return read,
            _ => {}
        }
    }
}

/// What a manifest lists has to be there: for each URL the number of the segment in the log.
fn numbers(log: &Log, lives: &[(Track, LiveTrack)], read: &Read) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    for listed in read.segments.values().flatten() {
        let (track, rest) = listed.url.split_once('/').unwrap();
        let name = rest.strip_prefix(&format!("{}/", log.uid)).unwrap();
        let name = SegmentName::parse(name).unwrap();
        let (_, live) = lives
            .iter()
            .find(|(of, _)| of.to_string() == track)
            .unwrap();
        let segments = live.window().segments().chain(live.reader().open());
        let found = segments.filter(|s| s.number >= name.anchor && s.decode_time == name.time);
        let found: Vec<_> = found.filter(|segment| !segment.is_gap()).collect();
        assert_eq!(found.len(), 1, "{}", listed.url);
        let init = format!("../hls/{track}/init-{}.mp4", found[0].init().unwrap());
        assert_eq!(listed.init, init);
        let captured = found[0].capture_time.to_seconds();
        assert!(
            (listed.from - captured).abs() < 0.001,
            "{listed:?} {captured}"
        );
        numbers.insert(listed.url.clone(), found[0].number.0);
    }
    numbers
}

fn with_absence() -> impl Strategy<Value = Vec<Step>> {
    (steps(), proptest::collection::vec(0..60_usize, 0..4)).prop_map(|(mut steps, at)| {
        for at in at {
            steps.insert(at.min(steps.len()), Step::Away);
        }
        steps
    })
}

proptest! {
    /// Everything in the window is listed once, where it was captured, and every address leads
    /// to one segment; a time line has no hole; Periods begin where their first segment does.
    #[test]
    fn a_manifest_lists_the_window(steps in with_absence(), low_latency: bool) {
        let log = log_of(&steps, low_latency);
        let lives = read_all(&log);
        let Some(text) = manifest(&log, &lives) else { return Ok(()) };
        let read = read(&text);
        for pair in read.periods.windows(2) {
            prop_assert!(pair[0].1 < pair[1].1, "{}", text);
        }
        for listed in read.segments.values() {
            for pair in listed.windows(2) {
                prop_assert!((pair[0].until - pair[1].from).abs() < 1e-6, "{}", text);
            }
        }
        let numbers = numbers(&log, &lives, &read);
        for (track, live) in &lives {
            let open = live.reader().open().filter(|_| low_latency);
            let media = live.window().segments().chain(open).filter(|s| !s.is_gap());
            let media: BTreeSet<u64> = media.map(|segment| segment.number.0).collect();
            let prefix = format!("{track}/");
            let listed: Vec<u64> = numbers
                .iter()
                .filter(|(url, _)| url.starts_with(&prefix))
                .map(|(_, number)| *number)
                .collect();
            let shown: BTreeSet<u64> = listed.iter().copied().collect();
            prop_assert_eq!(shown.len(), listed.len());
            prop_assert!(shown.is_subset(&media));
            // The newest Period waits for all tracks, and only that.
            let missing: Vec<_> = media.difference(&shown).collect();
            let last = shown.iter().max().copied().unwrap_or(0);
            prop_assert!(missing.iter().all(|number| **number > last), "{:?}\n{}", missing, text);
        }
    }

    /// A replica that begins anywhere, from what `index` tells from there on, shows what one
    /// shows that has read everything.
    #[test]
    fn replicas_agree_on_manifests(steps in with_absence(), low_latency: bool, from in 0.0..1.0_f64) {
        let mut log = log_of(&steps, low_latency);
        log.repeat();
        log.segments(2);
        let from = (log.topics[&Topic::Index].len() as f64 * from) as i64;
        let index = log.learn(from);
        if from > 0 && !index.suffices() {
            return Ok(());
        }
        let other: Vec<_> =
            tracks().map(|track| (track.clone(), log.read_from(&track, &index))).into();
        prop_assert_eq!(manifest(&log, &other), manifest(&log, &read_all(&log)));
    }

    /// From one record to the next, in whatever order the topics are read, a manifest only
    /// appends and trims: a Period keeps its start, a segment its address and time.
    #[test]
    fn manifests_only_append_and_trim(
        steps in with_absence(), low_latency: bool, order in proptest::collection::vec(any::<bool>(), 1..40),
    ) {
        let log = log_of(&steps, low_latency);
        let mut lives: Vec<_> = tracks().map(|track| {
            let start = Start::Claim(Default::default());
            (track.clone(), LiveTrack::new(TrackReader::new(log.uid, track, start), TARGET))
        }).into();
        let topics = tracks().map(|track| Topic::of_track(&track));
        let mut entries: Vec<_> =
            topics.iter().map(|topic| log.entries(topic, 0).peekable()).collect();
        let mut order = order.iter().cycle();
        let mut before = Read::default();
        while entries.iter_mut().any(|entries| entries.peek().is_some()) {
            let mut at = usize::from(*order.next().unwrap());
            if entries[at].peek().is_none() {
                at = 1 - at;
            }
            let entry = entries[at].next().unwrap();
            if !lives[at].1.read(entry).changed {
                continue;
            }
            let Some(text) = manifest(&log, &lives) else { continue };
            let now = read(&text);
            for (id, start) in &now.periods {
                if let Some((_, known)) = before.periods.iter().find(|(known, _)| known == id) {
                    prop_assert_eq!(known, start, "{}", text);
                }
            }
            for (key, listed) in &now.segments {
                let Some(known) = before.segments.get(key) else { continue };
                let last = known.last().unwrap();
                for segment in listed.iter().filter(|segment| segment.from < last.from - 1e-6) {
                    let same = known.iter().find(|known| known.url == segment.url);
                    prop_assert!(same.is_some(), "{} is new\n{}", segment.url, text);
                    prop_assert_eq!(same.unwrap(), segment, "{}", text);
                }
            }
            before = now;
        }
    }
}
