//! The multivariant playlist (RFC 8216bis §4.4.6).

use std::{cmp::Reverse, fmt::Write, sync::Arc};

use reelay_model::Track;
use reelay_wire::Format;

use super::media::VERSION;
use crate::{
    track::{IndexReader, Segment},
    window::LiveTrack,
};

/// The rung of the source's own size that stands in for a source that browsers cannot play.
const COMPATIBLE: &str = "source-h264";

/// One track as the multivariant playlist shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The track.
    pub track: Track,
    /// Its format.
    pub format: std::sync::Arc<Format>,
    /// Peak bit rate in bit/s: what the format says, or else the greatest of the window.
    pub bandwidth: u64,
    /// Bit rate of the window in bit/s.
    pub average_bandwidth: u64,
}

impl Variant {
    /// What the window of `live` says of its track; `None` before its first media.
    pub fn of(track: &Track, live: &LiveTrack) -> Option<Self> {
        let format = live.reader().format()?;
        let finished = live.window().segments().map(Arc::as_ref);
        Self::measured(track, format, finished)
            .or_else(|| Self::measured(track, format, live.reader().open().map(Arc::as_ref)))
    }

    /// What the window of `track` in `index` says of it; `None` while there is no media in it.
    pub fn indexed(track: &Track, index: &IndexReader) -> Option<Self> {
        let window = index.window(track);
        let format = window.iter().rev().find_map(|segment| segment.format())?;
        Self::measured(track, format, window.iter().map(|segment| segment.as_ref()))
    }

    fn measured<'a>(
        track: &Track,
        format: &Arc<Format>,
        segments: impl IntoIterator<Item = &'a Segment>,
    ) -> Option<Self> {
        let (mut bytes, mut micros, mut peak) = (0, 0, 0);
        for segment in segments.into_iter().filter(|segment| !segment.is_gap()) {
            bytes += segment.length();
            micros += segment.duration_micros().0;
            peak = peak.max(rate(segment.length(), segment.duration_micros().0));
        }
        let declared = u64::from(format.bandwidth);
        (micros > 0).then(|| Self {
            track: track.clone(),
            format: format.clone(),
            bandwidth: if declared == 0 { peak } else { declared }.max(1),
            average_bandwidth: rate(bytes, micros),
        })
    }
}

/// Bytes in microseconds as bit/s, rounded up to kbit/s so that it changes seldom.
fn rate(bytes: u64, micros: i64) -> u64 {
    match u64::try_from(micros) {
        Ok(micros) if micros > 0 => (bytes * 8_000).div_ceil(micros) * 1_000,
        _ => 0,
    }
}

/// What a multivariant playlist shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MasterPlaylist {
    /// The video tracks, best first; none for a stream of audio alone.
    pub video: Vec<Variant>,
    /// The audio track, if the stream has one.
    pub audio: Option<Variant>,
}

impl MasterPlaylist {
    /// The playlist of these tracks, with the video put in order: what a player that looks no
    /// further begins with comes first, then the source, then smaller pictures. The order of
    /// the same tracks is always the same.
    pub fn new(variants: impl IntoIterator<Item = Variant>) -> Self {
        let (audio, mut video): (Vec<_>, Vec<_>) = variants
            .into_iter()
            .partition(|variant| variant.track == Track::Audio);
        video.sort_by_key(|variant| {
            let rank = match &variant.track {
                Track::Rung(rung) if rung.as_str() == COMPATIBLE => 0,
                Track::Video | Track::Audio => 1,
                Track::Rung(_) => 2,
            };
            let Variant {
                format,
                bandwidth,
                track,
                ..
            } = variant;
            (
                rank,
                Reverse(format.height),
                Reverse(*bandwidth),
                track.clone(),
            )
        });
        let audio = audio.into_iter().next();
        Self { video, audio }
    }

    /// The playlist as text. URIs are relative to the playlist's own.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(1024);
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(
            out,
            "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        )?;
        if self.video.is_empty() {
            return self
                .audio
                .as_ref()
                .map_or(Ok(()), |audio| write_variant(out, audio, None));
        }
        if let Some(audio) = &self.audio {
            out.push_str("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=YES,AUTOSELECT=YES");
            if audio.format.channels > 0 {
                write!(out, ",CHANNELS=\"{}\"", audio.format.channels)?;
            }
            writeln!(out, ",URI=\"{}/media.m3u8\"", audio.track)?;
        }
        self.video
            .iter()
            .try_for_each(|video| write_variant(out, video, self.audio.as_ref()))
    }
}

fn write_variant(out: &mut String, variant: &Variant, audio: Option<&Variant>) -> std::fmt::Result {
    let format = &variant.format;
    let (mut bandwidth, mut average) = (variant.bandwidth, variant.average_bandwidth);
    if let Some(audio) = audio {
        bandwidth += audio.bandwidth;
        average += audio.average_bandwidth;
    }
    write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={average}",
        bandwidth.max(average)
    )?;
    let codecs = [Some(variant), audio]
        .into_iter()
        .flatten()
        .map(|v| v.format.codecs.as_str());
    let codecs: Vec<_> = codecs.filter(|codecs| !codecs.is_empty()).collect();
    if !codecs.is_empty() {
        write!(out, ",CODECS=\"{}\"", codecs.join(","))?;
    }
    if format.width > 0 && format.height > 0 {
        write!(out, ",RESOLUTION={}x{}", format.width, format.height)?;
    }
    if format.frame_rate_milli > 0 {
        let (whole, milli) = (
            format.frame_rate_milli / 1000,
            format.frame_rate_milli % 1000,
        );
        write!(out, ",FRAME-RATE={whole}.{milli:03}")?;
    }
    if audio.is_some() {
        out.push_str(",AUDIO=\"audio\"");
    }
    writeln!(out, "\n{}/media.m3u8", variant.track)
}
