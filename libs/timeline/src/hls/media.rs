//! The media playlist of one track (RFC 8216bis §4.4.3 to §4.4.5).

use std::{fmt::Write, sync::Arc};

use jiff::Timestamp;
use reelay_model::{Micros, PartNumber, SegmentNumber, StreamUid, Track};
use reelay_wire::Fingerprint;

use super::{MediaName, Seconds, init_name};
use crate::{
    track::{IndexReader, Next, Segment},
    window::LiveTrack,
};

/// Version of the protocol that the playlists need: 9, for `EXT-X-SKIP` (RFC 8216bis §8).
pub(super) const VERSION: u32 = 9;
/// Parts are listed for this many target durations from the end (RFC 8216bis §4.4.4.9).
const PARTS_LISTED_TARGETS: i64 = 3;
/// `CAN-SKIP-UNTIL` in target durations: the least that RFC 8216bis §4.4.3.8 allows.
const SKIP_TARGETS: i64 = 6;
/// `HOLD-BACK` in target durations: the least that RFC 8216bis §4.4.3.8 allows.
const HOLD_BACK_TARGETS: i64 = 3;
/// `PART-HOLD-BACK` in part targets: what RFC 8216bis §4.4.3.8 recommends as the least.
const PART_HOLD_BACK_TARGETS: i64 = 3;

/// How far behind the end of the playlist a low-latency player keeps.
pub const fn part_hold_back(part_target: Micros) -> Micros {
    Micros(PART_HOLD_BACK_TARGETS * part_target.0)
}

/// How far another track has come (`EXT-X-RENDITION-REPORT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The other track.
    pub track: Track,
    /// Number of its newest segment.
    pub last_segment: SegmentNumber,
    /// The newest part of that segment, where parts are announced.
    pub last_part: Option<PartNumber>,
}

impl Report {
    /// What `index` says of how far `track` has come; `None` before its first segment.
    pub fn indexed(track: &Track, index: &IndexReader) -> Option<Self> {
        let (_, opening) = index.opening()?;
        let last = index.segments(track).next_back()?;
        let part = u32::try_from(last.parts().len()).ok()?.saturating_sub(1);
        Some(Self {
            track: track.clone(),
            last_segment: last.number,
            last_part: opening.low_latency.then_some(PartNumber(part)),
        })
    }
}

/// What a media playlist shows.
#[derive(Debug, Clone)]
pub struct MediaPlaylist {
    /// The stream's incarnation: part of every media URL.
    pub uid: StreamUid,
    /// `EXT-X-TARGETDURATION`.
    pub target_seconds: u32,
    /// `PART-TARGET`, where parts are announced.
    pub part_target: Option<Micros>,
    /// The finished segments of the window, oldest first.
    pub segments: Vec<Arc<Segment>>,
    /// The segment that parts are being added to.
    pub open: Option<Arc<Segment>>,
    /// What comes next, if that is known.
    pub next: Option<Next>,
    /// Nothing will come any more.
    pub ended: bool,
}

impl MediaPlaylist {
    /// The playlist of `track` as it stands; `None` before its first segment or opening, or
    /// while a stream without announced parts has no finished segment.
    pub fn of(uid: StreamUid, track: &Track, live: &LiveTrack) -> Option<Self> {
        let opening = live.reader().opening()?;
        // A rung is cut as its source is.
        let cut_as = match track {
            Track::Audio => &Track::Audio,
            Track::Video | Track::Rung(_) => &Track::Video,
        };
        let part_target = opening
            .low_latency
            .then(|| opening.part_targets.get(cut_as))
            .flatten()
            .map(|target| Micros((*target).into()));
        let open = live.reader().open().filter(|_| part_target.is_some());
        if open.is_none() && live.window().last().is_none() {
            return None;
        }
        Some(Self {
            uid,
            target_seconds: opening.target_duration_s,
            part_target,
            segments: live.window().segments().cloned().collect(),
            open: open.cloned(),
            next: live.reader().next(),
            ended: live.reader().ended(),
        })
    }

    /// Number of the newest segment, open or finished.
    pub fn last_segment(&self) -> Option<SegmentNumber> {
        let newest = self.open.as_ref().or(self.segments.last());
        newest.map(|segment| segment.number)
    }

    /// The newest announced part, with its segment.
    pub fn last_part(&self) -> Option<(SegmentNumber, PartNumber)> {
        self.part_target?;
        let newest = self.open.as_ref().or(self.segments.last())?;
        let last = (newest.parts().len() as u32).saturating_sub(1);
        Some((newest.number, PartNumber(last)))
    }

    /// How far this track has come, for the playlists of the others.
    pub fn report(&self, track: &Track) -> Option<Report> {
        Some(Report {
            track: track.clone(),
            last_segment: self.last_segment()?,
            last_part: self.last_part().map(|(_, part)| part),
        })
    }

    /// Whether it holds part `part` of segment `number` or something later; without a part, or
    /// where none are announced, whether the segment has begun or is there whole, respectively.
    ///
    /// A part past the end of a segment is the next segment's first (RFC 8216bis §6.2.5.2).
    pub fn has(&self, number: SegmentNumber, part: Option<PartNumber>) -> bool {
        let finished = self.segments.last().map(|segment| segment.number);
        if self.part_target.is_none() {
            return finished >= Some(number);
        }
        let Some(part) = part.filter(|part| part.0 > 0) else {
            return self.last_segment() >= Some(number);
        };
        match &self.open {
            Some(open) if open.number == number => open.parts().len() as u64 > u64::from(part.0),
            Some(open) if open.number > number.next() => true,
            // The open segment follows the one asked for: part 0 of it is there.
            Some(open) => open.number > number,
            None if finished > Some(number) => true,
            None => self
                .segments
                .last()
                .is_some_and(|s| s.number == number && s.parts().len() as u64 > u64::from(part.0)),
        }
    }

    /// How many segments a delta update leaves out: those that end before the skip boundary.
    pub fn skippable(&self) -> usize {
        let boundary = SKIP_TARGETS * i64::from(self.target_seconds) * 1_000_000;
        let mut left = self.length().0;
        let mut count = 0;
        for segment in &self.segments {
            left -= segment.duration_micros().0;
            if left < boundary {
                break;
            }
            count += 1;
        }
        count
    }

    fn length(&self) -> Micros {
        let segments = self.segments.iter().chain(&self.open);
        Micros(segments.map(|segment| segment.duration_micros().0).sum())
    }

    /// The playlist as text, as a delta update if `skip` is asked for and there is anything to
    /// leave out. URIs are relative to the playlist's own.
    pub fn render(&self, reports: &[Report], skip: bool) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, reports, skip);
        text
    }

    fn write(&self, out: &mut String, reports: &[Report], skip: bool) -> std::fmt::Result {
        let target = i64::from(self.target_seconds) * 1_000_000;
        write!(out, "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n")?;
        writeln!(out, "#EXT-X-TARGETDURATION:{}", self.target_seconds)?;
        write!(
            out,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={},HOLD-BACK={}",
            Seconds(Micros(SKIP_TARGETS * target)),
            Seconds(Micros(HOLD_BACK_TARGETS * target)),
        )?;
        if let Some(part_target) = self.part_target {
            writeln!(
                out,
                ",PART-HOLD-BACK={}",
                Seconds(part_hold_back(part_target))
            )?;
            write!(out, "#EXT-X-PART-INF:PART-TARGET={}", Seconds(part_target))?;
        }
        out.push('\n');
        if let Some(first) = self.segments.first().or(self.open.as_ref()) {
            writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", first.number)?;
            writeln!(
                out,
                "#EXT-X-DISCONTINUITY-SEQUENCE:{}",
                first.discontinuity_sequence
            )?;
        }
        let skipped = if skip { self.skippable() } else { 0 };
        if skipped > 0 {
            writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        let (mut before, mut init) = (None::<&Segment>, None);
        let mut left = self.length().0;
        for (index, segment) in self.segments.iter().enumerate() {
            left -= segment.duration_micros().0;
            if index >= skipped {
                self.write_start(out, segment, before, init)?;
                if left < PARTS_LISTED_TARGETS * target {
                    self.write_parts(out, segment)?;
                }
                self.write_segment(out, segment)?;
            }
            before = Some(segment);
            init = segment.init().or(init);
        }
        if let Some(open) = &self.open {
            self.write_start(out, open, before, init)?;
            self.write_parts(out, open)?;
        }
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
            return Ok(());
        }
        if let (Some(next), Some(_)) = (self.next, self.part_target) {
            let name = MediaName {
                epoch: next.epoch,
                segment: next.segment,
                fingerprint: Some(next.fingerprint),
                part: Some(next.part),
            };
            writeln!(
                out,
                "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}/{name}\"",
                self.uid
            )?;
        }
        for report in reports {
            write!(
                out,
                "#EXT-X-RENDITION-REPORT:URI=\"../{}/media.m3u8\",LAST-MSN={}",
                report.track, report.last_segment
            )?;
            if let Some(part) = report.last_part {
                write!(out, ",LAST-PART={part}")?;
            }
            out.push('\n');
        }
        Ok(())
    }

    /// The tags that stand before a segment, or before the parts of an open one.
    fn write_start(
        &self,
        out: &mut String,
        segment: &Segment,
        before: Option<&Segment>,
        init: Option<Fingerprint>,
    ) -> std::fmt::Result {
        if let Some(before) = before {
            // One tag for each step, so that every segment keeps its sequence number whatever
            // is trimmed (RFC 8216bis §4.4.3.3). A source cannot write playlists of any length.
            let steps = segment
                .discontinuity_sequence
                .saturating_sub(before.discontinuity_sequence);
            for _ in 0..steps.min(16) {
                out.push_str("#EXT-X-DISCONTINUITY\n");
            }
        }
        if let Some(needed) = segment.init().filter(|needed| Some(*needed) != init) {
            writeln!(out, "#EXT-X-MAP:URI=\"{}\"", init_name(needed))?;
        }
        if let Ok(time) = Timestamp::from_microsecond(segment.capture_time.0) {
            writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{time:.3}")?;
        }
        Ok(())
    }

    fn write_parts(&self, out: &mut String, segment: &Segment) -> std::fmt::Result {
        if self.part_target.is_none() {
            return Ok(());
        }
        for (number, part) in segment.parts().iter().enumerate() {
            let name = MediaName {
                epoch: segment.epoch,
                segment: segment.number,
                fingerprint: segment.fingerprint(),
                part: Some(PartNumber(number as u32)),
            };
            let duration = Seconds(segment.part_micros(part));
            write!(
                out,
                "#EXT-X-PART:DURATION={duration},URI=\"{}/{name}\"",
                self.uid
            )?;
            out.push_str(if part.independent {
                ",INDEPENDENT=YES\n"
            } else {
                "\n"
            });
        }
        Ok(())
    }

    fn write_segment(&self, out: &mut String, segment: &Segment) -> std::fmt::Result {
        if segment.is_gap() {
            out.push_str("#EXT-X-GAP\n");
        }
        let name = MediaName {
            epoch: segment.epoch,
            segment: segment.number,
            fingerprint: segment.fingerprint(),
            part: None,
        };
        writeln!(
            out,
            "#EXTINF:{},\n{}/{name}",
            Seconds(segment.duration_micros()),
            self.uid
        )
    }
}
