//! The judge of what gateways serve: playlists and media, compared with what the same
//! gateway said before, with what the others say, and with the log.

mod list;
mod master;

use std::collections::{BTreeMap, BTreeSet};

use reelay_wire::{Fingerprint, StreamId, Track};
use sha2::{Digest, Sha256};

use self::list::TrackServed;
pub(crate) use self::list::absolute;
use self::master::MasterServed;
use super::address::MediaAddress;
use super::finding::{Finding, Place, Report, Rule};
use super::log::{Ended, LogJudge, hex};
use super::playlist;

/// Segments by which a gateway may be behind the log when a check ends.
const BEHIND: u64 = 2;

/// Judges what gateways serve.
#[derive(Debug, Default)]
pub struct ServedJudge {
    tracks: BTreeMap<(StreamId, Track), TrackServed>,
    masters: BTreeMap<StreamId, MasterServed>,
    /// By path.
    media: BTreeMap<String, Answer>,
    report: Report,
}

/// The first answer to an address.
#[derive(Debug)]
struct Answer {
    hash: [u8; 32],
    bytes: u64,
    gateways: BTreeSet<String>,
    /// It was compared with the log.
    proven: bool,
}

impl ServedJudge {
    /// A judge that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a media playlist as `gateway` served it. `path` is where, from the root.
    /// Returns it parsed, unless it cannot be.
    pub fn playlist(
        &mut self,
        gateway: &str,
        stream: &StreamId,
        track: &Track,
        path: &str,
        text: &str,
    ) -> Option<playlist::MediaPlaylist> {
        self.report.counts.playlists += 1;
        let place = Place {
            stream: Some(stream.to_string()),
            track: Some(track.to_string()),
            address: Some(format!("{gateway} {path}")),
            ..Place::default()
        };
        let parsed = match playlist::parse_media(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                let (expected, found) = ("a media playlist".into(), e);
                self.report.add(Finding {
                    rule: Rule::Playlist,
                    place,
                    expected,
                    found,
                });
                return None;
            }
        };
        let served = self
            .tracks
            .entry((stream.clone(), track.clone()))
            .or_default();
        let mut faults = Vec::new();
        served.take(
            gateway,
            path,
            &parsed,
            text,
            &mut self.report.counts,
            &mut faults,
        );
        for (rule, segment, expected, found) in faults {
            let place = Place {
                segment,
                ..place.clone()
            };
            self.report.add(Finding {
                rule,
                place,
                expected,
                found,
            });
        }
        Some(parsed)
    }

    /// Takes a multivariant playlist as `gateway` served it at `path`. Returns it parsed, unless
    /// it cannot be.
    pub fn master(
        &mut self,
        gateway: &str,
        stream: &StreamId,
        path: &str,
        text: &str,
    ) -> Option<playlist::Master> {
        self.report.counts.masters += 1;
        let place = Place {
            stream: Some(stream.to_string()),
            address: Some(format!("{gateway} {path}")),
            ..Place::default()
        };
        let mut faults = Vec::new();
        let parsed = match playlist::parse_master(text) {
            Ok(parsed) => {
                let served = self.masters.entry(stream.clone()).or_default();
                served.take(gateway, path, &parsed, &mut faults);
                Some(parsed)
            }
            Err(e) => {
                faults.push((Rule::Master, "a multivariant playlist".into(), e));
                None
            }
        };
        for (rule, expected, found) in faults {
            let place = place.clone();
            self.report.add(Finding {
                rule,
                place,
                expected,
                found,
            });
        }
        parsed
    }

    /// Whether `gateway` has already given the bytes of an address.
    pub fn has(&self, gateway: &str, path: &str) -> bool {
        self.media
            .get(path)
            .is_some_and(|a| a.gateways.contains(gateway))
    }

    /// Takes the bytes that `gateway` gave for an address.
    pub fn media(&mut self, gateway: &str, path: &str, bytes: &[u8]) {
        self.report.counts.fetched += 1;
        self.report.counts.fetched_bytes += bytes.len() as u64;
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let length = bytes.len() as u64;
        let answer = self.media.entry(path.to_owned()).or_insert_with(|| Answer {
            hash,
            bytes: length,
            gateways: BTreeSet::new(),
            proven: false,
        });
        if answer.hash != hash {
            let first = answer.gateways.first().cloned().unwrap_or_default();
            let expected = format!("{} as from {first}", words(&answer.hash, answer.bytes));
            let found = words(&hash, length);
            let place = place_of(gateway, path);
            self.report.add(Finding {
                rule: Rule::BytesDiffer,
                place,
                expected,
                found,
            });
        }
        answer.gateways.insert(gateway.to_owned());
        self.report.counts.compared_media += u64::from(answer.gateways.len() == 2);
    }

    /// An address that stands in a playlist was not answered with its bytes.
    pub fn unserved(&mut self, gateway: &str, path: &str, found: String) {
        let place = place_of(gateway, path);
        let expected = "an answer".to_owned();
        self.report.add(Finding {
            rule: Rule::Unserved,
            place,
            expected,
            found,
        });
    }

    /// Compares with the log what it has read by now. May be called at any time.
    pub fn settle(&mut self, log: &LogJudge) {
        self.compare(log, false);
    }

    /// The report as it is now.
    pub fn so_far(&self) -> &Report {
        &self.report
    }

    /// Compares the rest. `log` has been read up to after the last answer.
    pub fn finish(mut self, log: &LogJudge, gateways: &[String]) -> Report {
        self.compare(log, true);
        for (stream, served) in &self.masters {
            let mut faults = Vec::new();
            served.compare(gateways, &mut faults);
            for (gateway, (rule, expected, found)) in faults {
                let place = Place {
                    stream: Some(stream.to_string()),
                    address: Some(gateway),
                    ..Place::default()
                };
                self.report.add(Finding {
                    rule,
                    place,
                    expected,
                    found,
                });
            }
        }
        for ((stream, track), served) in &self.tracks {
            let Some(last) = served
                .uid
                .and_then(|uid| log.last_whole_segment(uid, track))
            else {
                continue;
            };
            for gateway in gateways {
                let end = served.end_at(gateway);
                if end.is_none_or(|end| end + BEHIND < last) {
                    let place = Place {
                        stream: Some(stream.to_string()),
                        track: Some(track.to_string()),
                        address: Some(gateway.clone()),
                        ..Place::default()
                    };
                    let expected =
                        format!("a playlist up to segment {last} of the log, or {BEHIND} less");
                    let found = end.map_or("none".into(), |end| format!("one up to segment {end}"));
                    self.report.add(Finding {
                        rule: Rule::Unserved,
                        place,
                        expected,
                        found,
                    });
                }
            }
        }
        self.report
    }

    fn compare(&mut self, log: &LogJudge, at_end: bool) {
        let report = &mut self.report;
        for (path, answer) in self.media.iter_mut().filter(|(_, a)| !a.proven) {
            let mut tell = |expected: String, found: String| {
                let gateway = answer.gateways.first().cloned().unwrap_or_default();
                let place = place_of(&gateway, path);
                report.add(Finding {
                    rule: Rule::NotTheLog,
                    place,
                    expected,
                    found,
                });
            };
            match logged(log, path) {
                Logged::Not(_) if !at_end => continue,
                Logged::Not(what) => tell(what, words(&answer.hash, answer.bytes)),
                Logged::AnyOf(hashes) if hashes.contains(&answer.hash) => {}
                Logged::AnyOf(hashes) => {
                    let expected: Vec<_> = hashes.iter().map(|h| hex(&h[..8])).collect();
                    let expected = format!("SHA-256 {}… as in the log", expected.join(" or "));
                    tell(expected, words(&answer.hash, answer.bytes));
                }
            }
            answer.proven = true;
        }
        for ((stream, track), served) in &mut self.tracks {
            let Some(uid) = served.uid else { continue };
            for (number, said) in served.said.iter_mut().filter(|(_, s)| !s.proven) {
                let segment = log
                    .segment(uid, track, *number)
                    .filter(|s| s.ended.is_some());
                let mut faults = Vec::new();
                match segment {
                    None if !at_end => continue,
                    None => faults.push((
                        Rule::NotTheLog,
                        "a valid segment of the log".to_owned(),
                        said.segment.uri.clone(),
                    )),
                    Some(segment) => said.compare(segment, &mut faults),
                }
                said.proven = true;
                for (rule, expected, found) in faults {
                    let place = Place {
                        stream: Some(stream.to_string()),
                        track: Some(track.to_string()),
                        segment: Some(*number),
                        address: Some(said.gateway.clone()),
                        ..Place::default()
                    };
                    report.add(Finding {
                        rule,
                        place,
                        expected,
                        found,
                    });
                }
            }
        }
    }
}

/// What the log says of an address.
enum Logged {
    /// These may be its bytes, by SHA-256.
    AnyOf(Vec<[u8; 32]>),
    /// Nothing, or nothing yet; what was looked for.
    Not(String),
}

fn logged(log: &LogJudge, path: &str) -> Logged {
    let Some(address) = MediaAddress::parse(path) else {
        let inits = log.init_hashes();
        return match path.ends_with(".mp4") {
            true if !inits.is_empty() => Logged::AnyOf(inits),
            _ => Logged::Not("an init segment of the log".into()),
        };
    };
    let none = |what: &str| Logged::Not(format!("{what} in the log"));
    let Some(segment) = log.segment(address.uid, &address.track, address.segment) else {
        return none("a valid segment of this number");
    };
    let own = segment.format.as_ref().map(|f| f.fingerprint);
    if segment.epoch != address.epoch || own != address.fingerprint {
        let own = own.map_or("gap".into(), |f: Fingerprint| f.to_string());
        return Logged::Not(format!(
            "epoch {} and fingerprint {own} as in the log",
            segment.epoch
        ));
    }
    match address.part {
        None if segment.ended.is_some() => Logged::AnyOf(vec![segment.hash]),
        None => none("the end of the segment"),
        Some(part) => match segment.parts.get(part as usize) {
            Some(part) => Logged::AnyOf(vec![part.hash]),
            // A part past the end of a whole segment is the next one's part 0.
            None if matches!(segment.ended, Some(Ended::Whole | Ended::Close)) => {
                match log.segment(address.uid, &address.track, address.segment + 1) {
                    Some(next) if !next.parts.is_empty() => Logged::AnyOf(vec![next.parts[0].hash]),
                    _ => none("the next segment's first part"),
                }
            }
            None => none("the part"),
        },
    }
}

fn place_of(gateway: &str, path: &str) -> Place {
    let mut place = Place {
        address: Some(format!("{gateway} {path}")),
        ..Place::default()
    };
    if let Some(address) = MediaAddress::parse(path) {
        place.stream = Some(address.stream.to_string());
        place.track = Some(address.track.to_string());
        place.epoch = Some(address.epoch.0);
        place.segment = Some(address.segment);
        place.part = address.part;
    }
    place
}

fn words(hash: &[u8; 32], bytes: u64) -> String {
    format!("{bytes} bytes with SHA-256 {}…", hex(&hash[..8]))
}
