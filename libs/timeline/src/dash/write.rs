//! The manifest as XML.

use std::{collections::BTreeMap, io};

use jiff::Timestamp;
use quick_xml::Writer;
use reelay_model::{Micros, Track};
use reelay_wire::Format;

use super::{
    SegmentName, Times,
    periods::{Period, Representation},
};
use crate::hls::{Seconds, init_name};

type Out = Writer<Vec<u8>>;

/// The profile of live streams (§8.4), and that of DASH-IF for low latency.
const LIVE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
const LOW_LATENCY: &str = "http://www.dashif.org/guidelines/low-latency-live-v5";
/// Where the gateway's clock can be read, from the manifest's address.
const CLOCK: &str = "../../../api/v1/time";
/// How much faster or slower than it runs a stream may be played to come to its latency.
const RATES: (&str, &str) = ("0.96", "1.04");
/// The greatest bearable latency, as a multiple of the one aimed at.
const LATENCY_WORST: i64 = 4;

/// The manifest as text.
pub fn manifest(times: &Times, periods: &[Period<'_>]) -> String {
    let mut out = Writer::new_with_indent(Vec::with_capacity(8 * 1024), b' ', 1);
    // Writing to memory cannot fail, and what is written is UTF-8.
    let _ = write(&mut out, times, periods);
    let body = String::from_utf8(out.into_inner()).unwrap_or_default();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n")
}

fn duration(micros: Micros) -> String {
    format!("PT{}S", Seconds(micros))
}

fn wall(time: Micros) -> String {
    let time = Timestamp::from_microsecond(time.0).unwrap_or_default();
    format!("{time:.3}")
}

fn write(out: &mut Out, times: &Times, periods: &[Period<'_>]) -> io::Result<()> {
    let profiles = match times.part {
        Some(_) => format!("{LIVE},{LOW_LATENCY}"),
        None => LIVE.to_owned(),
    };
    let buffered = match times.part {
        Some(part) => crate::hls::part_hold_back(part),
        None => times.target,
    };
    let mut mpd = out
        .create_element("MPD")
        .with_attribute(("xmlns", "urn:mpeg:dash:schema:mpd:2011"))
        .with_attribute(("id", times.uid.to_string().as_str()))
        .with_attribute(("profiles", profiles.as_str()))
        .with_attribute(("type", "dynamic"))
        .with_attribute(("availabilityStartTime", "1970-01-01T00:00:00Z"))
        .with_attribute(("publishTime", wall(times.published).as_str()));
    mpd = match (times.ended, periods.last()) {
        (true, Some(last)) => {
            mpd.with_attribute(("mediaPresentationDuration", duration(last.end()).as_str()))
        }
        _ => mpd.with_attribute(("minimumUpdatePeriod", duration(times.update()).as_str())),
    };
    mpd.with_attribute(("minBufferTime", duration(buffered).as_str()))
        .with_attribute(("timeShiftBufferDepth", duration(times.depth).as_str()))
        .with_attribute((
            "suggestedPresentationDelay",
            duration(times.latency()).as_str(),
        ))
        .with_attribute(("maxSegmentDuration", duration(times.target).as_str()))
        .write_inner_content(|out| {
            write_service(out, times)?;
            for period in periods {
                write_period(out, times, period)?;
            }
            out.create_element("UTCTiming")
                .with_attribute(("schemeIdUri", "urn:mpeg:dash:utc:http-iso:2014"))
                .with_attribute(("value", CLOCK))
                .write_empty()?;
            Ok(())
        })?;
    Ok(())
}

fn write_service(out: &mut Out, times: &Times) -> io::Result<()> {
    let latency = times.latency().0 / 1000;
    out.create_element("ServiceDescription")
        .with_attribute(("id", "0"))
        .write_inner_content(|out| {
            out.create_element("Latency")
                .with_attribute(("target", latency.to_string().as_str()))
                .with_attribute(("max", (LATENCY_WORST * latency).to_string().as_str()))
                .with_attribute(("min", (latency / 2).to_string().as_str()))
                .write_empty()?;
            out.create_element("PlaybackRate")
                .with_attribute(("max", RATES.1))
                .with_attribute(("min", RATES.0))
                .write_empty()?;
            Ok(())
        })?;
    Ok(())
}

fn write_period(out: &mut Out, times: &Times, period: &Period<'_>) -> io::Result<()> {
    let mut sets: BTreeMap<u32, Vec<&Representation<'_>>> = BTreeMap::new();
    for representation in &period.representations {
        sets.entry(representation.set())
            .or_default()
            .push(representation);
    }
    out.create_element("Period")
        .with_attribute(("id", period.anchor.segment.to_string().as_str()))
        .with_attribute(("start", duration(period.anchor.capture_time).as_str()))
        .write_inner_content(|out| {
            for (id, representations) in &sets {
                write_set(out, times, period, *id, representations)?;
            }
            Ok(())
        })?;
    Ok(())
}

fn write_set(
    out: &mut Out,
    times: &Times,
    period: &Period<'_>,
    id: u32,
    representations: &[&Representation<'_>],
) -> io::Result<()> {
    let is_audio = representations.iter().any(|r| *r.track == Track::Audio);
    let kind = if is_audio { "audio" } else { "video" };
    let mut set = out
        .create_element("AdaptationSet")
        .with_attribute(("id", id.to_string().as_str()))
        .with_attribute(("contentType", kind))
        .with_attribute(("mimeType", format!("{kind}/mp4").as_str()))
        .with_attribute(("segmentAlignment", "true"));
    if is_audio {
        set = set.with_attribute(("lang", "und"));
    } else {
        let greatest = |of: fn(&Format) -> u32| {
            let all = representations.iter().map(|r| of(r.format));
            all.max().filter(|greatest| *greatest > 0)
        };
        if let (Some(width), Some(height)) = (greatest(|f| f.width), greatest(|f| f.height)) {
            set = set
                .with_attribute(("maxWidth", width.to_string().as_str()))
                .with_attribute(("maxHeight", height.to_string().as_str()));
        }
    }
    set.write_inner_content(|out| {
        out.create_element("Role")
            .with_attribute(("schemeIdUri", "urn:mpeg:dash:role:2011"))
            .with_attribute(("value", "main"))
            .write_empty()?;
        for representation in representations {
            write_representation(out, times, period, representation)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn write_representation(
    out: &mut Out,
    times: &Times,
    period: &Period<'_>,
    representation: &Representation<'_>,
) -> io::Result<()> {
    let format = representation.format;
    let mut element = out
        .create_element("Representation")
        .with_attribute(("id", representation.id().as_str()))
        .with_attribute(("bandwidth", representation.bandwidth.to_string().as_str()));
    if !format.codecs.is_empty() {
        element = element.with_attribute(("codecs", format.codecs.as_str()));
    }
    if format.width > 0 && format.height > 0 {
        element = element
            .with_attribute(("width", format.width.to_string().as_str()))
            .with_attribute(("height", format.height.to_string().as_str()));
    }
    if format.frame_rate_milli > 0 {
        element = element.with_attribute(("frameRate", rate(format.frame_rate_milli).as_str()));
    }
    if format.sample_rate > 0 {
        let rate = format.sample_rate.to_string();
        element = element.with_attribute(("audioSamplingRate", rate.as_str()));
    }
    element.write_inner_content(|out| {
        if format.channels > 0 {
            let scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
            out.create_element("AudioChannelConfiguration")
                .with_attribute(("schemeIdUri", scheme))
                .with_attribute(("value", format.channels.to_string().as_str()))
                .write_empty()?;
        }
        write_template(out, times, period, representation)
    })?;
    Ok(())
}

fn write_template(
    out: &mut Out,
    times: &Times,
    period: &Period<'_>,
    representation: &Representation<'_>,
) -> io::Result<()> {
    let (track, timeline) = (representation.track, &representation.timeline);
    let init = format!("../hls/{track}/{}", init_name(representation.init));
    let names = SegmentName::template(period.anchor.segment);
    let media = format!("{track}/{}/{names}", times.uid);
    let mut template = out
        .create_element("SegmentTemplate")
        .with_attribute(("timescale", timeline.timescale.0.to_string().as_str()));
    if timeline.offset.0 > 0 {
        let offset = timeline.offset.0.to_string();
        template = template.with_attribute(("presentationTimeOffset", offset.as_str()));
    }
    if let (Some(offset), false) = (times.offset(), times.ended) {
        template = template
            .with_attribute((
                "availabilityTimeOffset",
                Seconds(offset).to_string().as_str(),
            ))
            .with_attribute(("availabilityTimeComplete", "false"));
    }
    template
        .with_attribute(("initialization", init.as_str()))
        .with_attribute(("media", media.as_str()))
        .write_inner_content(|out| {
            out.create_element("SegmentTimeline")
                .write_inner_content(|out| {
                    for (index, run) in timeline.runs.iter().enumerate() {
                        let mut element = out.create_element("S");
                        if index == 0 {
                            element = element
                                .with_attribute(("t", timeline.start.0.to_string().as_str()));
                        }
                        element =
                            element.with_attribute(("d", run.duration.0.to_string().as_str()));
                        if run.repeats > 0 {
                            element =
                                element.with_attribute(("r", run.repeats.to_string().as_str()));
                        }
                        element.write_empty()?;
                    }
                    Ok(())
                })?;
            Ok(())
        })?;
    Ok(())
}

/// Frames per second as a whole number or a fraction (`FrameRateType`).
fn rate(milli: u32) -> String {
    let (mut a, mut b) = (milli, 1000);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    match 1000 / a {
        1 => (milli / a).to_string(),
        by => format!("{}/{by}", milli / a),
    }
}
