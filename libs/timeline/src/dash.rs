//! The DASH manifest (ISO/IEC 23009-1) as text, and the names of the media files that it lists.
//!
//! It shows the same windows of the same segments as HLS. Times in it are wall-clock times: the
//! presentation starts in 1970, and a Period begins at every [`Anchor`](reelay_wire::Anchor).

mod name;
mod periods;
mod timeline;
mod write;

pub use name::SegmentName;

use reelay_model::{Micros, StreamUid, Track};
use reelay_wire::Format;

use crate::{anchor::Anchors, hls::MediaPlaylist, window};

/// One track as the manifest shows it.
#[derive(Debug, Clone, Copy)]
pub struct TrackShown<'a> {
    /// The track.
    pub track: &'a Track,
    /// What its media playlist shows: the window, and the segment that parts are added to.
    pub playlist: &'a MediaPlaylist,
    /// Peak bit rate in bit/s.
    pub bandwidth: u64,
}

/// What a manifest shows.
#[derive(Debug, Clone)]
pub struct Manifest<'a> {
    /// Tracks of which there is something to play, in the order in which they are listed.
    pub tracks: Vec<TrackShown<'a>>,
    /// Where the time line was set by the wall clock.
    pub anchors: &'a Anchors,
}

/// Least time between two looks at the manifest of a low-latency stream. A segment is listed as
/// soon as its first part is there, and has to be found before the one before has been played.
const UPDATE_LOW: Micros = Micros(500_000);
/// The same for a stream whose segments are listed when they are whole.
const UPDATE_NORMAL: Micros = Micros(1_000_000);
/// How far behind capture players of a low-latency stream aim at, in part targets: what a viewer
/// of LL-HLS keeps ([`crate::hls::part_hold_back`]), and one part more…
const LATENCY_PARTS: i64 = 4;
/// …beside the way from capture to here and the time between two looks at the manifest.
const LATENCY_FIXED: Micros = Micros(1_000_000);
/// How far behind capture players of other streams keep, in target durations: the segment that
/// is not whole yet, and one to play meanwhile.
const DELAY_TARGETS: i64 = 2;

impl Manifest<'_> {
    /// The manifest as text; `None` while there is nothing to play. URLs are relative to the
    /// manifest's own, `/streams/{id}/dash/manifest.mpd`.
    pub fn render(&self) -> Option<String> {
        let periods = periods::of(self);
        let times = self.times()?;
        (!periods.is_empty()).then(|| write::manifest(&times, &periods))
    }

    fn times(&self) -> Option<Times> {
        let playlists = || self.tracks.iter().map(|shown| shown.playlist);
        let first = playlists().next()?;
        let target = Micros(i64::from(first.target_seconds) * 1_000_000);
        let part = playlists().filter_map(|p| p.part_target).max();
        let newest = playlists().filter_map(|playlist| {
            let whole = playlist.segments.last();
            let whole = whole.map(|s| s.capture_time.0 + s.duration_micros().0);
            whole.max(playlist.open.as_ref().map(|open| open.capture_time.0))
        });
        Some(Times {
            uid: first.uid,
            target,
            part,
            depth: window::least_length(first.target_seconds),
            published: Micros(newest.max()?),
            ended: playlists().all(|playlist| playlist.ended),
        })
    }
}

/// What stands at the top of a manifest.
#[derive(Debug, Clone, Copy)]
struct Times {
    uid: StreamUid,
    /// The greatest segment.
    target: Micros,
    /// The greatest part, where parts are announced.
    part: Option<Micros>,
    /// How far back one can seek.
    depth: Micros,
    /// When the newest segment that is listed was whole or begun: a clock would not do, as all
    /// replicas have to agree.
    published: Micros,
    ended: bool,
}

impl Times {
    /// How far behind capture players aim at.
    fn latency(&self) -> Micros {
        match self.part {
            Some(part) => Micros(LATENCY_FIXED.0 + LATENCY_PARTS * part.0),
            None => Micros(DELAY_TARGETS * self.target.0),
        }
    }

    fn update(&self) -> Micros {
        match self.part {
            Some(_) => UPDATE_LOW,
            None => UPDATE_NORMAL,
        }
    }

    /// How long before its end a segment can be asked for: it is listed once its first part is
    /// there, however long it will be.
    fn offset(&self) -> Option<Micros> {
        self.part
            .map(|part| Micros((self.target.0 - part.0).max(0)))
    }
}

/// The codec families between which players switch without a new decoder: each is one
/// AdaptationSet. Numbers are those of the sets.
fn family(format: &Format) -> u32 {
    match format.codecs.split('.').next() {
        Some("avc1" | "avc3") => 1,
        Some("hvc1" | "hev1") => 2,
        Some("av01") => 3,
        Some("vp09") => 4,
        _ => 5,
    }
}
