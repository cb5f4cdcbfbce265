//! What holds for every log.

use std::collections::BTreeMap;

use m3u8_rs::Playlist;
use proptest::prelude::*;
use reelay_model::{PartNumber, SegmentNumber, Track};
use reelay_timeline::{
    hls::MediaPlaylist,
    track::{Start, TrackReader},
    window::LiveTrack,
};
use reelay_wire::Topic;

use super::log::{Log, TARGET, tracks};

#[derive(Debug, Clone, Copy)]
pub enum Step {
    Segment,
    Parts(u8),
    AudioAlone,
    Takeover,
    Zombie,
    InVain,
    Repeat,
    Gap,
    Hole,
    Discontinuity,
    Away,
    Close,
    Noise,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => Just(Step::Segment),
        3 => (1..9_u8).prop_map(Step::Parts),
        1 => Just(Step::AudioAlone),
        2 => Just(Step::Takeover),
        1 => Just(Step::Zombie),
        1 => Just(Step::InVain),
        2 => Just(Step::Repeat),
        2 => Just(Step::Gap),
        1 => Just(Step::Hole),
        1 => Just(Step::Discontinuity),
        1 => Just(Step::Close),
        1 => Just(Step::Noise),
    ];
    proptest::collection::vec(step, 1..60)
}

pub fn log_of(steps: &[Step], low_latency: bool) -> Log {
    let mut log = Log::new(low_latency);
    log.claim();
    log.segments(1);
    for step in steps {
        match step {
            Step::Segment => log.segments(1),
            Step::Parts(count) => (0..*count).for_each(|_| log.part(false)),
            Step::AudioAlone => {
                // The owner dies between the tracks.
                log.audio_alone();
                log.claim();
            }
            Step::Takeover => log.claim(),
            Step::Zombie => log.claim_while_the_owner_writes_on(),
            Step::InVain => {
                log.claim_in_vain();
                log.repeat();
            }
            Step::Repeat => log.repeat(),
            Step::Gap => log.gap(),
            Step::Hole => log.hole(),
            Step::Discontinuity => log.discontinuity(),
            Step::Away => log.away(30),
            Step::Close => log.close(),
            Step::Noise => log.noise(2),
        }
    }
    log
}

fn shown(log: &Log, track: &Track, live: &LiveTrack) -> String {
    MediaPlaylist::of(log.uid, track, live).map_or(String::new(), |p| p.render(&[], false))
}

/// The lines of each listed finished segment, by number: everything from the tags before it to
/// its URI, parts left out.
fn finished(playlist: &str) -> BTreeMap<u64, String> {
    let mut number: u64 = 0;
    let mut lines = String::new();
    let mut segments = BTreeMap::new();
    for line in playlist.lines() {
        if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            number = first.parse().unwrap();
        } else if !line.starts_with('#') {
            segments.insert(number, std::mem::take(&mut lines) + line);
            number += 1;
        } else if line.starts_with("#EXTINF")
            || line.starts_with("#EXT-X-GAP")
            || line.starts_with("#EXT-X-PROGRAM")
        {
            lines += line;
        }
    }
    segments
}

proptest! {
    /// A replica that begins anywhere, from what `index` tells from there on, shows what one
    /// shows that has read everything.
    #[test]
    fn every_replica_shows_the_same(steps in steps(), low_latency: bool, from in 0.0..1.0_f64) {
        let mut log = log_of(&steps, low_latency);
        log.repeat();
        log.segments(2);
        let from = (log.topics[&Topic::Index].len() as f64 * from) as i64;
        let index = log.learn(from);
        for track in tracks() {
            if from > 0 && !index.suffices() {
                continue;
            }
            let other = log.read_from(&track, &index);
            let whole = log.read_all(&track);
            prop_assert_eq!(shown(&log, &track, &other), shown(&log, &track, &whole));
        }
    }

    /// From one record to the next a playlist only appends and trims; what is listed stays as
    /// it is, and its numbers have no hole.
    #[test]
    fn playlists_only_append_and_trim(steps in steps(), low_latency: bool) {
        let log = log_of(&steps, low_latency);
        for track in tracks() {
            let mut live = LiveTrack::new(
                TrackReader::new(log.uid, track.clone(), Start::Claim(Default::default())),
                TARGET,
            );
            let mut before = BTreeMap::new();
            let mut parts: Vec<String> = Vec::new();
            for entry in log.entries(&Topic::of_track(&track), 0) {
                if !live.read(entry).changed {
                    continue;
                }
                let playlist = shown(&log, &track, &live);
                let now = finished(&playlist);
                if let (Some(first), Some(last)) = (before.keys().next(), before.keys().last()) {
                    let (first, last): (&u64, &u64) = (first, last);
                    prop_assert!(now.keys().next().unwrap() >= first);
                    prop_assert!(now.keys().last().unwrap() >= last);
                    prop_assert!(now.keys().next().unwrap() <= &(last + 1));
                }
                for (number, lines) in &now {
                    if let Some(known) = before.get(number) {
                        prop_assert_eq!(known, lines);
                    }
                }
                // Parts that are listed again stand in the same order, new ones after them.
                let listed: Vec<String> =
                    playlist.lines().filter(|l| l.starts_with("#EXT-X-PART:")).map(Into::into).collect();
                let kept = listed.iter().take_while(|part| parts.contains(part)).count();
                let known = &parts[parts.len() - kept..];
                prop_assert_eq!(&listed[..kept], known);
                parts = listed;
                before = now;
            }
        }
    }

    /// A parser that others wrote reads what was meant.
    #[test]
    fn playlists_can_be_read_back(steps in steps(), low_latency: bool) {
        let log = log_of(&steps, low_latency);
        for track in tracks() {
            let live = log.read_all(&track);
            let Some(playlist) = MediaPlaylist::of(log.uid, &track, &live) else { continue };
            let text = playlist.render(&[], false);
            let Ok((_, Playlist::MediaPlaylist(read))) = m3u8_rs::parse_playlist(text.as_bytes()) else {
                return Err(TestCaseError::fail(text));
            };
            let first = playlist.segments.first().or(playlist.open.as_ref()).unwrap();
            prop_assert_eq!(read.media_sequence, first.number.0);
            prop_assert_eq!(read.discontinuity_sequence, first.discontinuity_sequence);
            prop_assert_eq!(read.target_duration, u64::from(TARGET));
            prop_assert_eq!(read.segments.len(), playlist.segments.len());
            let mut sequence = first.discontinuity_sequence;
            for (read, meant) in read.segments.iter().zip(&playlist.segments) {
                sequence += u64::from(read.discontinuity);
                prop_assert_eq!(sequence, meant.discontinuity_sequence);
                let seconds = meant.duration_micros().to_seconds();
                prop_assert!((f64::from(read.duration) - seconds).abs() < 1e-3);
                prop_assert!(read.duration.round() as u32 <= TARGET);
                prop_assert_eq!(read.program_date_time.unwrap().timestamp_millis(), meant.capture_time.0 / 1000);
            }
        }
    }

    /// A delta update and the playlist before it make the whole playlist.
    #[test]
    fn a_delta_update_leaves_out_what_is_known(steps in steps()) {
        let log = log_of(&steps, true);
        let live = log.read_all(&Track::Video);
        let Some(playlist) = MediaPlaylist::of(log.uid, &Track::Video, &live) else { return Ok(()) };
        let (full, delta) = (playlist.render(&[], false), playlist.render(&[], true));
        let skipped = playlist.skippable();
        prop_assert_eq!(delta.contains("#EXT-X-SKIP"), skipped > 0);
        if skipped > 0 {
            let marker = format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n");
            let (head, tail) = delta.split_once(&marker).unwrap();
            prop_assert!(full.starts_with(head));
            prop_assert!(full.ends_with(tail));
            let left_out = &full[head.len()..full.len() - tail.len()];
            prop_assert_eq!(left_out.lines().filter(|line| !line.starts_with('#')).count(), skipped);
        }
    }

    /// A request for what is listed, or lies behind, is met; one for what comes next is not.
    #[test]
    fn a_playlist_knows_what_it_holds(steps in steps(), low_latency: bool) {
        let log = log_of(&steps, low_latency);
        let live = log.read_all(&Track::Video);
        let Some(playlist) = MediaPlaylist::of(log.uid, &Track::Video, &live) else { return Ok(()) };
        for segment in &playlist.segments {
            prop_assert!(playlist.has(segment.number, None));
            let parts = segment.parts().len() as u32;
            if parts > 0 {
                prop_assert!(playlist.has(segment.number, Some(PartNumber(parts - 1))));
            }
        }
        let newest = playlist.last_segment().unwrap();
        prop_assert!(!playlist.has(newest.next(), None));
        if let (true, Some(next)) = (low_latency, playlist.next) {
            prop_assert!(!playlist.has(next.segment, Some(next.part)));
        }
        if let Some(open) = &playlist.open {
            prop_assert!(playlist.has(open.number, None));
            prop_assert!(!playlist.has(open.number, Some(PartNumber(open.parts().len() as u32))));
        }
        // A part past the end of a finished segment is part 0 of the next.
        if let Some(last) = playlist.segments.last() {
            let past = Some(PartNumber(last.parts().len().max(1) as u32));
            prop_assert_eq!(playlist.has(last.number, past), !low_latency || playlist.open.is_some());
        }
        prop_assert!(playlist.has(SegmentNumber(0), Some(PartNumber(9))) || newest.0 == 0);
    }
}
