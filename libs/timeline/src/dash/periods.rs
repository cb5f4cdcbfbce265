//! Which Periods a manifest lists, and what of each track lies in them.

use reelay_model::{Micros, SegmentNumber, Track};
use reelay_wire::{Anchor, Fingerprint, Format};

use super::{Manifest, TrackShown, family, timeline::Timeline};
use crate::track::Segment;

/// A new Period is listed once every track has something in it, as players do not look again
/// for tracks that come later. A rendition that is late by this many segments is not waited for.
const WAIT_SEGMENTS: usize = 2;

/// A run of segments whose times map to the wall clock in one way.
#[derive(Debug)]
pub struct Period<'a> {
    pub anchor: Anchor,
    pub representations: Vec<Representation<'a>>,
}

/// What of a track lies in a Period.
#[derive(Debug)]
pub struct Representation<'a> {
    pub track: &'a Track,
    pub format: &'a Format,
    pub bandwidth: u64,
    /// The init segment that all its segments need.
    pub init: Fingerprint,
    pub timeline: Timeline,
}

impl Representation<'_> {
    /// The number of its AdaptationSet; 10 for audio.
    pub fn set(&self) -> u32 {
        match self.track {
            Track::Audio => 10,
            Track::Video | Track::Rung(_) => family(self.format),
        }
    }

    /// A changed init segment makes another Representation: players keep an init segment for as
    /// long as they know its Representation.
    pub fn id(&self) -> String {
        let init = self.init.to_string();
        format!("{}-{}", self.track, init.get(..8).unwrap_or(&init))
    }
}

impl Period<'_> {
    /// The wall-clock time at which its last segment ends.
    pub fn end(&self) -> Micros {
        let ends = self.representations.iter().map(|r| r.timeline.end());
        ends.map(|end| self.anchor.wall(end))
            .max()
            .unwrap_or(self.anchor.capture_time)
    }
}

/// The segments of a track that a manifest may list, oldest first.
fn listed<'a>(shown: &TrackShown<'a>) -> impl DoubleEndedIterator<Item = &'a Segment> {
    let playlist = shown.playlist;
    playlist
        .segments
        .iter()
        .chain(&playlist.open)
        .map(AsRef::as_ref)
}

/// The track that others follow: the source's picture, or else its sound.
fn leading<'a, 'b>(manifest: &'b Manifest<'a>) -> Option<&'b TrackShown<'a>> {
    let tracks = &manifest.tracks;
    let video = tracks.iter().find(|shown| *shown.track == Track::Video);
    video.or_else(|| tracks.first())
}

/// The Periods of a manifest, oldest first.
pub fn of<'a>(manifest: &Manifest<'a>) -> Vec<Period<'a>> {
    let Some(leading) = leading(manifest) else {
        return Vec::new();
    };
    let anchors = anchors(manifest, leading);
    let mut periods = Vec::with_capacity(anchors.len());
    for (index, anchor) in anchors.iter().enumerate() {
        let until = anchors.get(index + 1).map(|next| next.segment);
        let within = |segment: &Segment| {
            (index == 0 || segment.number >= anchor.segment)
                && until.is_none_or(|until| segment.number < until)
        };
        let newest = until.is_none() && !periods.is_empty();
        if newest && !is_ready(manifest, leading, within) {
            break;
        }
        let tracks = manifest.tracks.iter();
        let representations: Vec<_> = tracks
            .filter_map(|shown| representation(shown, anchor, within))
            .collect();
        if !representations.is_empty() {
            periods.push(Period {
                anchor: *anchor,
                representations,
            });
        }
    }
    periods
}

fn is_ready(
    manifest: &Manifest<'_>,
    leading: &TrackShown<'_>,
    within: impl Fn(&Segment) -> bool,
) -> bool {
    let has = |shown: &TrackShown<'_>| listed(shown).any(|s| within(s) && !s.is_gap());
    let led = listed(leading).filter(|segment| within(segment)).count();
    has(leading) && (led > WAIT_SEGMENTS || manifest.tracks.iter().all(has))
}

/// The anchors of the window. Where none is known (in logs of earlier versions), the leading
/// track's first segment of a run makes one.
fn anchors(manifest: &Manifest<'_>, leading: &TrackShown<'_>) -> Vec<Anchor> {
    let numbers = || manifest.tracks.iter().filter_map(|t| listed(t).next());
    let Some(first) = numbers().map(|segment| segment.number).min() else {
        return Vec::new();
    };
    let tip = manifest.tracks.iter().filter_map(|t| listed(t).next_back());
    let tip = tip.map(|segment| segment.number).max().unwrap_or(first);
    let mut anchors: Vec<Anchor> = Vec::new();
    let known = manifest.anchors;
    anchors.extend(known.of(first));
    anchors.extend(known.from(first.next()).take_while(|a| a.segment <= tip));
    let mut sequence = None;
    for segment in listed(leading).filter(|segment| !segment.is_gap()) {
        let before = sequence.replace((segment.discontinuity_sequence, segment.number));
        let is_known = |from: SegmentNumber| {
            let mut known = anchors.iter().map(|anchor| anchor.segment);
            known.any(|number| from < number && number <= segment.number)
        };
        let lacks = match before {
            None => anchors.iter().all(|anchor| anchor.segment > segment.number),
            Some((sequence, from)) => sequence != segment.discontinuity_sequence && !is_known(from),
        };
        if lacks {
            anchors.push(Anchor {
                segment: segment.number,
                time: segment.decode_time.to_micros(segment.timescale),
                capture_time: segment.capture_time,
            });
        }
    }
    anchors.sort_by_key(|anchor| anchor.segment);
    // A Period that does not begin after the one before cannot be listed.
    anchors.dedup_by(|later, before| later.capture_time <= before.capture_time);
    anchors
}

fn representation<'a>(
    shown: &TrackShown<'a>,
    anchor: &Anchor,
    within: impl Fn(&Segment) -> bool,
) -> Option<Representation<'a>> {
    let media = || listed(shown).filter(|s| within(s) && !s.is_gap());
    let newest = media().next_back()?;
    let (init, format) = (newest.init()?, newest.format()?);
    // A rendition whose encoder has changed: what needs the init segment before is left out.
    let same = media()
        .rev()
        .take_while(|segment| segment.init() == Some(init));
    let mut segments: Vec<&Segment> = same.collect();
    segments.reverse();
    // Times that run back would make two segments of one name: the newest has it.
    segments.dedup_by(|later, before| {
        let back = later.decode_time <= before.decode_time;
        if back {
            std::mem::swap(later, before);
        }
        back
    });
    let open = shown.playlist.open.as_ref().map(|open| open.number);
    let usual = shown.playlist.segments.iter().filter(|s| !s.is_gap());
    let usual = usual.map(|segment| segment.duration).max();
    Some(Representation {
        track: shown.track,
        format,
        bandwidth: shown.bandwidth,
        init,
        timeline: Timeline::of(anchor, &segments, open, usual)?,
    })
}
