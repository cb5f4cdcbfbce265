//! What the playlists of one track have said, from every gateway.

use std::collections::BTreeMap;

use reelay_wire::{Epoch, StreamUid};
use sha2::{Digest, Sha256};

use crate::linearity::address::MediaAddress;
use crate::linearity::finding::{Counts, Rule};
use crate::linearity::log::{SegmentSeen, hex};
use crate::linearity::playlist::{self, MediaPlaylist, Segment};

/// Rule, segment, what was expected, what was found.
type Fault = (Rule, Option<u64>, String, String);

/// Playlists write five or more decimals; two roundings may add up.
const ROUNDING_US: u64 = 20;

/// One track as all gateways served it.
#[derive(Debug, Default)]
pub struct TrackServed {
    /// From its segments' addresses.
    pub uid: Option<StreamUid>,
    /// Finished segments by number, as they were listed first.
    pub said: BTreeMap<u64, Said>,
    /// Parts of segments by number: the longest list so far.
    parts: BTreeMap<u64, Vec<playlist::Part>>,
    /// What stays the same for good: target, part target.
    fixed: Option<(u64, Option<u64>)>,
    /// By state: hash of the text, and who served it.
    states: BTreeMap<State, ([u8; 32], String)>,
    /// By gateway: first segment, end, parts of the open segment of its last playlist.
    last: BTreeMap<String, (u64, u64, usize)>,
}

/// How far a gateway has read, as a playlist shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    end: u64,
    open_parts: usize,
    /// Something stands behind the last finished segment.
    open: bool,
    /// Epoch of the part that is hinted at: a claim changes it before any part comes.
    hint: Option<Epoch>,
}

/// A finished segment as it was listed first.
#[derive(Debug)]
pub struct Said {
    pub segment: Segment,
    /// The discontinuity sequence that the playlist gives it.
    discontinuity: u64,
    /// Who listed it first.
    pub gateway: String,
    /// It was compared with the log.
    pub proven: bool,
}

impl TrackServed {
    /// One above the last finished segment in the gateway's last playlist.
    pub fn end_at(&self, gateway: &str) -> Option<u64> {
        self.last.get(gateway).map(|(_, end, _)| *end)
    }

    /// Takes a playlist.
    pub fn take(
        &mut self,
        gateway: &str,
        path: &str,
        list: &MediaPlaylist,
        text: &str,
        counts: &mut Counts,
        faults: &mut Vec<Fault>,
    ) {
        let first_uri = list.segments.iter().map(|s| &s.uri);
        let mut uris = first_uri.chain(list.open_parts().iter().map(|p| &p.uri));
        if let Some(uid) = uris
            .find_map(|u| MediaAddress::parse(&absolute(path, u)))
            .map(|a| a.uid)
            && self.uid != Some(uid)
        {
            // The stream was deleted and made again: a new time line.
            *self = Self {
                uid: Some(uid),
                ..Self::default()
            };
        }
        self.form(list, faults);
        self.order(gateway, list, faults);
        let mut discontinuity = list.discontinuity;
        for (number, segment) in (list.first + list.skipped..).zip(&list.segments) {
            discontinuity += u64::from(segment.discontinuity);
            self.segment(gateway, path, number, segment, discontinuity, faults);
        }
        if let Some(open) = &list.open {
            self.parts_of(list.end(), &open.parts, false, faults);
        }
        self.state(gateway, path, list, text, counts, faults);
    }

    fn form(&mut self, list: &MediaPlaylist, faults: &mut Vec<Fault>) {
        let now = (list.target_seconds, list.part_target_us);
        let fixed = *self.fixed.get_or_insert(now);
        if fixed != now {
            let words = |(target, part): (u64, Option<u64>)| {
                format!("target {target} s, parts {part:?} µs")
            };
            faults.push((Rule::PastEdited, None, words(fixed), words(now)));
        }
        let mut limits = vec![("HOLD-BACK", 3 * 1_000_000 * list.target_seconds)];
        limits.push(("CAN-SKIP-UNTIL", 6 * 1_000_000 * list.target_seconds));
        limits.extend(list.part_target_us.map(|part| ("PART-HOLD-BACK", 2 * part)));
        for (name, least) in limits {
            let value = list.control.get(name).map(|v| (v, playlist::micros(v)));
            if let Some((text, us)) = value
                && us.is_none_or(|us| us < least)
            {
                faults.push((
                    Rule::Playlist,
                    None,
                    format!("{name} of {least} µs or more"),
                    text.clone(),
                ));
            }
        }
        if list.part_target_us.is_some() && !list.control.contains_key("PART-HOLD-BACK") {
            faults.push((
                Rule::Playlist,
                None,
                "PART-HOLD-BACK where there are parts".into(),
                "none".into(),
            ));
        }
    }

    /// Append and trim only: neither end of the playlist goes back.
    fn order(&mut self, gateway: &str, list: &MediaPlaylist, faults: &mut Vec<Fault>) {
        let now = (list.first, list.end(), list.open_parts().len());
        if let Some(before) = self.last.insert(gateway.to_owned(), now)
            && (now.0 < before.0 || (now.1, now.2) < (before.1, before.2))
        {
            let words = |(first, end, parts)| format!("segments {first}..{end} and {parts} parts");
            faults.push((
                Rule::PastEdited,
                None,
                format!("{} or later", words(before)),
                words(now),
            ));
        }
    }

    fn segment(
        &mut self,
        gateway: &str,
        path: &str,
        number: u64,
        segment: &Segment,
        discontinuity: u64,
        faults: &mut Vec<Fault>,
    ) {
        // Whether the first segment still has its EXT-X-DISCONTINUITY, or the sequence at the
        // head counts it already, is the same to a player; so is the map of a gap.
        let now = Segment {
            uri: absolute(path, &segment.uri),
            map: segment.map.clone().filter(|_| !segment.gap),
            discontinuity: false,
            parts: Vec::new(),
            ..segment.clone()
        };
        let said = self.said.entry(number).or_insert_with(|| Said {
            segment: now.clone(),
            discontinuity,
            gateway: gateway.to_owned(),
            proven: false,
        });
        if said.segment != now || said.discontinuity != discontinuity {
            let expected = format!(
                "{:?}, discontinuity sequence {}",
                said.segment, said.discontinuity
            );
            let found = format!("{now:?}, discontinuity sequence {discontinuity}");
            faults.push((Rule::PastEdited, Some(number), expected, found));
        }
        let target = self.fixed.map_or(u64::MAX, |(target, _)| target);
        if (segment.duration_us + 500_000) / 1_000_000 > target {
            let found = format!("{} µs", segment.duration_us);
            faults.push((
                Rule::Playlist,
                Some(number),
                format!("at most {target} s"),
                found,
            ));
        }
        if !segment.parts.is_empty() {
            self.parts_of(number, &segment.parts, true, faults);
            let sum: u64 = segment.parts.iter().map(|p| p.duration_us).sum();
            let slack = ROUNDING_US * (segment.parts.len() as u64 + 1);
            if sum.abs_diff(segment.duration_us) > slack {
                let expected = format!("parts of {} µs in sum", segment.duration_us);
                faults.push((Rule::Durations, Some(number), expected, format!("{sum} µs")));
            }
        }
    }

    /// Parts of a segment: what was listed stays; `whole`: no more will come.
    fn parts_of(
        &mut self,
        number: u64,
        parts: &[playlist::Part],
        whole: bool,
        faults: &mut Vec<Fault>,
    ) {
        let known = self.parts.entry(number).or_default();
        let shared = known.len().min(parts.len());
        if known[..shared] != parts[..shared] || (whole && parts.len() < known.len()) {
            let expected = format!("{known:?}");
            faults.push((
                Rule::PastEdited,
                Some(number),
                expected,
                format!("{parts:?}"),
            ));
            return;
        }
        let Some((_, Some(target))) = self.fixed else {
            return;
        };
        let new = parts.iter().enumerate().skip(known.len());
        for (i, part) in new {
            // RFC 8216bis, 4.4.4.9: at most the target, and 85% of it but for the last part.
            let last = whole && i + 1 == parts.len();
            let least = if last || (!whole && i + 1 == parts.len()) {
                0
            } else {
                target * 85 / 100
            };
            if part.duration_us > target + ROUNDING_US || part.duration_us < least {
                let expected = format!("part {i} of {least} to {target} µs");
                faults.push((
                    Rule::Playlist,
                    Some(number),
                    expected,
                    format!("{} µs", part.duration_us),
                ));
            }
        }
        if parts.len() > known.len() {
            *known = parts.to_vec();
        }
    }

    /// Two playlists of one state agree on all but rendition reports.
    fn state(
        &mut self,
        gateway: &str,
        path: &str,
        list: &MediaPlaylist,
        text: &str,
        counts: &mut Counts,
        faults: &mut Vec<Fault>,
    ) {
        if list.skipped > 0 {
            return;
        }
        let text = playlist::without_reports(text);
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let hint = list
            .hint
            .as_ref()
            .and_then(|h| MediaAddress::parse(&absolute(path, h)));
        let state = State {
            end: list.end(),
            open_parts: list.open_parts().len(),
            open: list.open.is_some(),
            hint: hint.map(|h| h.epoch),
        };
        let Some((known, by)) = self.states.get(&state) else {
            self.states.insert(state, (hash, gateway.to_owned()));
            return;
        };
        counts.compared_playlists += u64::from(by != gateway);
        if *known != hash {
            let expected = format!(
                "the playlist of state {state:?} as {by} served it, {}",
                hex(&known[..8])
            );
            let found = format!("{}, first segment {}:\n{text}", hex(&hash[..8]), list.first);
            faults.push((Rule::PlaylistsDiffer, None, expected, found));
        }
    }
}

impl Said {
    /// Compares what playlists say of a segment with the log.
    pub fn compare(&self, log: &SegmentSeen, faults: &mut Vec<(Rule, String, String)>) {
        let said = &self.segment;
        if said.gap != log.gap {
            let expected = format!("gap={}", log.gap);
            faults.push((Rule::NotTheLog, expected, format!("gap={}", said.gap)));
        }
        if self.discontinuity != log.discontinuity {
            let expected = format!("discontinuity sequence {}", log.discontinuity);
            faults.push((Rule::NotTheLog, expected, self.discontinuity.to_string()));
        }
        let address = MediaAddress::parse(&said.uri);
        if let Some(address) = address
            && address.epoch != log.epoch
        {
            faults.push((
                Rule::NotTheLog,
                format!("epoch {}", log.epoch),
                said.uri.clone(),
            ));
        }
        let duration = log.micros(log.end - log.start.min(log.end));
        if (i128::from(said.duration_us) - duration).unsigned_abs() > ROUNDING_US.into() {
            let expected = format!("EXTINF of {duration} µs as the decode times say");
            faults.push((
                Rule::Durations,
                expected,
                format!("{} µs", said.duration_us),
            ));
        }
    }
}

/// A path from the root, for an address that stands in the playlist at `path`.
pub fn absolute(path: &str, uri: &str) -> String {
    // Any host will do; only the path is used.
    let base = url::Url::parse("http://gateway").and_then(|b| b.join(path));
    match base.and_then(|b| b.join(uri)) {
        Ok(url) => url.path().to_owned(),
        Err(_) => uri.to_owned(),
    }
}
