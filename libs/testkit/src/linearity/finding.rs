//! What the checker says: rules, findings and the report with its counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// A promise that the log or a gateway broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A record without a readable header, or with a value of another form than its kind has.
    Record,
    /// The records of a stream lie in one partition, the same one in every topic.
    Partition,
    /// A claim in `audio` or `index` repeats one of `source`; epochs only grow.
    Claim,
    /// Before an owner's first record in a topic stand its claim and its opening, and the
    /// opening agrees in all topics and with what came before.
    Opening,
    /// Segment numbers of a track go up by one, without hole.
    Hole,
    /// No number is used twice.
    Repeat,
    /// The parts of a segment go up by one from 0, and end by a last part, a close or a claim.
    Parts,
    /// Decode times go on exactly where the last chunk ended, but for a declared discontinuity.
    DecodeTime,
    /// A discontinuity sequence never falls, and rises by a declared discontinuity only.
    Discontinuity,
    /// A segment starts with a keyframe, and `independent` says what the samples say.
    Keyframe,
    /// Video and audio segments of one number begin and end together.
    Cut,
    /// The bytes are an init segment and chunks, and agree with the header.
    Media,
    /// An init segment changes only with a discontinuity, and a segment has one fingerprint.
    Init,
    /// A rung's segment is made of the source's segment of its number: epoch, capture time, no
    /// greater picture.
    Rung,
    /// Copies of a derived part that have one fingerprint have the same bytes.
    Copy,
    /// What is marked as late comes after the live edge has passed it by.
    Late,
    /// A rung has the source's segments, or gaps that are declared, but for the last few.
    Behind,
    /// An index record says what the media records are.
    Index,
    /// Every finished segment is in the index.
    NotIndexed,
    /// Nothing comes after the end record of a stream.
    End,
    /// A playlist that does not follow RFC 8216bis or its own earlier words.
    Playlist,
    /// A playlist that changes what it said before, instead of appending and trimming.
    PastEdited,
    /// Gateways in the same state serve playlists that differ in more than rendition reports.
    PlaylistsDiffer,
    /// A multivariant playlist that is not sound, changes what it said of a track, or is not
    /// the one that the other gateways serve.
    Master,
    /// One address gave two different answers, at one gateway or at two.
    BytesDiffer,
    /// What is served is not what the log holds.
    NotTheLog,
    /// Durations in a playlist do not add up to the decode times of the media.
    Durations,
    /// A gateway did not answer as it has to.
    Unserved,
}

/// Where something was found. Parts that do not apply are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Stream id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Track name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// Epoch of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Segment number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// Part number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Topic, partition and offset, as `reelay.source/3@1234`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Gateway and path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.stream.clone());
        words.extend(self.track.clone());
        words.extend(self.epoch.map(|n| format!("epoch {n}")));
        words.extend(self.segment.map(|n| format!("segment {n}")));
        words.extend(self.part.map(|n| format!("part {n}")));
        words.extend(self.record.clone());
        words.extend(self.address.clone());
        f.write_str(&words.join(" "))
    }
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which promise.
    pub rule: Rule,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What had to be there.
    pub expected: String,
    /// What was there.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            place,
            expected,
            found,
        } = self;
        write!(f, "{rule:?}: {place}: expected {expected}, found {found}")
    }
}

/// How much was looked at. A check that saw nothing proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Streams (uids) with at least one claim.
    pub streams: u64,
    /// Records read.
    pub records: u64,
    /// Records that do not count: below a claim, or before the first one of a stream.
    pub void: u64,
    /// Claims that rose above an earlier one: takeovers.
    pub takeovers: u64,
    /// Valid segments with media that have ended.
    pub segments: u64,
    /// Valid chunks.
    pub chunks: u64,
    /// Valid gap records.
    pub gaps: u64,
    /// Rises of a discontinuity sequence.
    pub discontinuities: u64,
    /// Segments that a claim or a close record cut off.
    pub truncated: u64,
    /// Index records compared with their media.
    pub indexed: u64,
    /// Finished segments of rungs compared with the source's.
    pub rung_segments: u64,
    /// Copies of what a rung has already: two transcodes worked on it.
    pub copies: u64,
    /// Multivariant playlists read from gateways.
    pub masters: u64,
    /// Media playlists read from gateways.
    pub playlists: u64,
    /// Playlists of one state that were compared between gateways.
    pub compared_playlists: u64,
    /// Segments, parts and init segments read from gateways.
    pub fetched: u64,
    /// Addresses that at least two gateways gave the same bytes for.
    pub compared_media: u64,
    /// Bytes of media read from gateways.
    pub fetched_bytes: u64,
}

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Broken promises, in the order in which they were found.
    pub findings: Vec<Finding>,
    /// Findings by rule, also those above the number that is kept.
    pub by_rule: BTreeMap<Rule, u64>,
    /// How much was looked at.
    pub counts: Counts,
}

/// Findings kept word for word; beyond that they are only counted.
const KEPT: usize = 1000;

impl Report {
    /// Whether every promise was kept.
    pub fn sound(&self) -> bool {
        self.by_rule.is_empty()
    }

    /// Whether a rule was broken.
    pub fn has(&self, rule: Rule) -> bool {
        self.by_rule.contains_key(&rule)
    }

    /// Puts another report behind this one.
    pub fn merge(&mut self, other: Self) {
        for (rule, n) in other.by_rule {
            *self.by_rule.entry(rule).or_default() += n;
        }
        self.findings.extend(other.findings);
        let (sum, c) = (&mut self.counts, &other.counts);
        sum.streams += c.streams;
        sum.records += c.records;
        sum.void += c.void;
        sum.takeovers += c.takeovers;
        sum.segments += c.segments;
        sum.chunks += c.chunks;
        sum.gaps += c.gaps;
        sum.discontinuities += c.discontinuities;
        sum.truncated += c.truncated;
        sum.indexed += c.indexed;
        sum.rung_segments += c.rung_segments;
        sum.copies += c.copies;
        sum.masters += c.masters;
        sum.playlists += c.playlists;
        sum.compared_playlists += c.compared_playlists;
        sum.fetched += c.fetched;
        sum.compared_media += c.compared_media;
        sum.fetched_bytes += c.fetched_bytes;
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        *self.by_rule.entry(finding.rule).or_default() += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let c = &self.counts;
        writeln!(
            f,
            "log: {} streams, {} records ({} void), {} segments, {} chunks, {} index records, \
             {} takeovers, {} gaps, {} discontinuities, {} cut off",
            c.streams,
            c.records,
            c.void,
            c.segments,
            c.chunks,
            c.indexed,
            c.takeovers,
            c.gaps,
            c.discontinuities,
            c.truncated,
        )?;
        if c.rung_segments > 0 || c.copies > 0 {
            writeln!(
                f,
                "rungs: {} segments compared with the source's, {} copies",
                c.rung_segments, c.copies,
            )?;
        }
        if c.playlists > 0 {
            writeln!(
                f,
                "gateways: {} masters, {} playlists ({} compared), {} media answers ({} addresses compared), {} bytes",
                c.masters,
                c.playlists,
                c.compared_playlists,
                c.fetched,
                c.compared_media,
                c.fetched_bytes,
            )?;
        }
        match self.by_rule.values().sum::<u64>() {
            0 => write!(f, "nothing found"),
            n => write!(f, "{n} findings: {:?}", self.by_rule),
        }
    }
}
