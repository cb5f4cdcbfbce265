//! What the multivariant playlists of one stream have said, from every gateway.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::absolute;
use crate::linearity::finding::Rule;
use crate::linearity::playlist::{Master, Variant};

/// The last masters of each gateway that are compared in the end: a rung that has just begun,
/// or stopped, may be told by one of them a little earlier than by another.
const COMPARED: usize = 24;

/// Rule, what was expected, what was found.
type Fault = (Rule, String, String);

/// The multivariant playlists of one stream.
#[derive(Debug, Default)]
pub struct MasterServed {
    /// What was said of a track first, by its address: it stays so.
    said: BTreeMap<String, Fixed>,
    /// By gateway: what it said last, without what is measured.
    last: BTreeMap<String, VecDeque<String>>,
}

/// What of a variant does not change while the stream is the same.
#[derive(Debug, Clone, PartialEq)]
struct Fixed {
    resolution: Option<String>,
    codecs: Option<String>,
    audio: Option<String>,
}

impl MasterServed {
    /// Takes a multivariant playlist that `gateway` served at `path`.
    pub fn take(&mut self, gateway: &str, path: &str, master: &Master, faults: &mut Vec<Fault>) {
        let mut fault = |expected: &str, found: String| {
            faults.push((Rule::Master, expected.to_owned(), found));
        };
        let mut seen = BTreeSet::new();
        let mut measured_out = String::new();
        for variant in &master.variants {
            let Variant { uri, attributes } = variant;
            let number = |name: &str| attributes.get(name).and_then(|v| v.parse::<u64>().ok());
            let (most, average) = (number("BANDWIDTH"), number("AVERAGE-BANDWIDTH"));
            if most.is_none() || average.is_none() || average > most {
                let found = format!("{uri}: {most:?} and {average:?}");
                fault("AVERAGE-BANDWIDTH, and BANDWIDTH of at least that", found);
            }
            if !seen.insert(uri) {
                fault("each variant once", uri.clone());
            }
            let group = attributes.get("AUDIO");
            if group.is_some_and(|group| !master.audio_groups.contains(group)) {
                fault("an audio group that the playlist has", format!("{group:?}"));
            }
            let fixed = Fixed {
                resolution: attributes.get("RESOLUTION").cloned(),
                codecs: attributes.get("CODECS").cloned(),
                audio: group.cloned(),
            };
            if fixed.codecs.is_none() {
                fault("CODECS", format!("{uri} without"));
            }
            let known = self
                .said
                .entry(absolute(path, uri))
                .or_insert_with(|| fixed.clone());
            if *known != fixed {
                let found = format!("{uri}: {fixed:?}");
                fault(&format!("{known:?} as before"), found);
                *known = fixed;
            }
            let without = attributes
                .iter()
                .filter(|(name, _)| !name.ends_with("BANDWIDTH"));
            let words: Vec<_> = without
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            measured_out += &format!("{uri} {}\n", words.join(","));
        }
        let last = self.last.entry(gateway.to_owned()).or_default();
        last.push_back(measured_out);
        if last.len() > COMPARED {
            last.pop_front();
        }
    }

    /// Compares what each of `gateways` said last with what the first of them said.
    pub fn compare(&self, gateways: &[String], faults: &mut Vec<(String, Fault)>) {
        let mut served = gateways
            .iter()
            .filter_map(|gateway| Some((gateway, self.last.get(gateway)?)));
        let Some((first, known)) = served.next() else {
            return;
        };
        for (gateway, last) in served {
            if !last.iter().any(|master| known.contains(master)) {
                let words =
                    |masters: &VecDeque<String>| masters.back().cloned().unwrap_or_default();
                let expected = format!("the master that {first} serves:\n{}", words(known));
                faults.push((gateway.clone(), (Rule::Master, expected, words(last))));
            }
        }
    }
}
