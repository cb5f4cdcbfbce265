//! Reads HLS playlists (RFC 8216bis) as far as the checker needs them, strictly:
//! what a gateway writes and this does not know is a fault, not something to skip.

use std::collections::BTreeMap;

/// A media playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MediaPlaylist {
    /// `EXT-X-TARGETDURATION`, seconds.
    pub target_seconds: u64,
    /// `PART-TARGET` of `EXT-X-PART-INF`, µs.
    pub part_target_us: Option<u64>,
    /// `EXT-X-MEDIA-SEQUENCE`: the number of the first segment.
    pub first: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity: u64,
    /// `EXT-X-ENDLIST` is there.
    pub ended: bool,
    /// `SKIPPED-SEGMENTS` of a delta update.
    pub skipped: u64,
    /// `EXT-X-SERVER-CONTROL`, by attribute.
    pub control: BTreeMap<String, String>,
    /// Finished segments, the first one has the number `first + skipped`.
    pub segments: Vec<Segment>,
    /// Parts of the segment that is still open, and what stands before it.
    pub open: Option<Segment>,
    /// `URI` of the `EXT-X-PRELOAD-HINT`.
    pub hint: Option<String>,
    /// `URI`s of the `EXT-X-RENDITION-REPORT`s.
    pub reports: Vec<String>,
}

/// A segment as a playlist lists it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segment {
    /// Address as it stands in the playlist; empty for the open one.
    pub uri: String,
    /// `EXTINF`, µs; 0 for the open one.
    pub duration_us: u64,
    /// `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// `EXT-X-GAP` stands before it.
    pub gap: bool,
    /// Address of the init segment in force (`EXT-X-MAP`).
    pub map: Option<String>,
    /// `EXT-X-PROGRAM-DATE-TIME` as it stands there.
    pub date: Option<String>,
    /// Its parts, if they are still listed.
    pub parts: Vec<Part>,
}

/// An `EXT-X-PART`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// Address as it stands in the playlist.
    pub uri: String,
    /// `DURATION`, µs.
    pub duration_us: u64,
    /// `INDEPENDENT=YES`.
    pub independent: bool,
    /// `GAP=YES`.
    pub gap: bool,
}

impl MediaPlaylist {
    /// One above the number of the last finished segment.
    pub fn end(&self) -> u64 {
        self.first + self.skipped + self.segments.len() as u64
    }

    /// Parts of the open segment.
    pub fn open_parts(&self) -> &[Part] {
        self.open.as_ref().map_or(&[], |s| &s.parts)
    }
}

/// Reads a media playlist.
///
/// # Errors
/// A sentence that names the line.
pub fn parse_media(text: &str) -> Result<MediaPlaylist, String> {
    let mut list = MediaPlaylist::default();
    let mut now = Segment::default();
    let mut map = None;
    let mut extinf = None;
    let mut seen_target = false;
    let mut lines = text.lines();
    if lines.next() != Some("#EXTM3U") {
        return Err("the first line is not #EXTM3U".into());
    }
    for line in lines {
        let wrong = |what: &str| format!("{what}: {line}");
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        let attributes = || attributes(value).map_err(|e| wrong(&e));
        match tag {
            "" => {}
            "#EXT-X-VERSION" | "#EXT-X-INDEPENDENT-SEGMENTS" => {}
            "#EXT-X-TARGETDURATION" => {
                seen_target = true;
                list.target_seconds = value.parse().map_err(|_| wrong("not a number"))?;
            }
            "#EXT-X-MEDIA-SEQUENCE" => {
                list.first = value.parse().map_err(|_| wrong("not a number"))?;
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                list.discontinuity = value.parse().map_err(|_| wrong("not a number"))?;
            }
            "#EXT-X-SERVER-CONTROL" => list.control = attributes()?,
            "#EXT-X-PART-INF" => {
                let target = attributes()?.remove("PART-TARGET");
                let target = target.ok_or_else(|| wrong("PART-TARGET is missing"))?;
                list.part_target_us = Some(micros(&target).ok_or_else(|| wrong("not seconds"))?);
            }
            "#EXT-X-SKIP" => {
                let skipped = attributes()?.remove("SKIPPED-SEGMENTS");
                list.skipped = skipped
                    .and_then(|n| n.parse().ok())
                    .ok_or_else(|| wrong("SKIPPED-SEGMENTS is missing"))?;
            }
            "#EXT-X-MAP" => map = attributes()?.remove("URI"),
            "#EXT-X-DISCONTINUITY" => now.discontinuity = true,
            "#EXT-X-GAP" => now.gap = true,
            "#EXT-X-PROGRAM-DATE-TIME" => now.date = Some(value.to_owned()),
            "#EXT-X-BITRATE" => {}
            "#EXT-X-PART" => now.parts.push(part(attributes()?).map_err(|e| wrong(&e))?),
            "#EXTINF" => {
                let seconds = value.split(',').next().unwrap_or_default();
                extinf = Some(micros(seconds).ok_or_else(|| wrong("not seconds"))?);
            }
            "#EXT-X-PRELOAD-HINT" => {
                let mut attributes = attributes()?;
                if attributes.get("TYPE").map(String::as_str) == Some("PART") {
                    list.hint = attributes.remove("URI");
                }
            }
            "#EXT-X-RENDITION-REPORT" => list.reports.extend(attributes()?.remove("URI")),
            "#EXT-X-ENDLIST" => list.ended = true,
            _ if line.starts_with("#EXT") => return Err(wrong("a tag that is not expected")),
            _ if line.starts_with('#') => {}
            _ => {
                now.uri = line.to_owned();
                now.duration_us = extinf.take().ok_or_else(|| wrong("no EXTINF before"))?;
                now.map.clone_from(&map);
                list.segments.push(std::mem::take(&mut now));
            }
        }
    }
    if !seen_target {
        return Err("EXT-X-TARGETDURATION is missing".into());
    }
    if now != Segment::default() {
        now.map.clone_from(&map);
        list.open = Some(now);
    }
    Ok(list)
}

fn part(mut attributes: BTreeMap<String, String>) -> Result<Part, String> {
    let yes = |value: Option<&String>| value.map(String::as_str) == Some("YES");
    let duration = attributes.get("DURATION").and_then(|d| micros(d));
    Ok(Part {
        duration_us: duration.ok_or("DURATION is missing")?,
        independent: yes(attributes.get("INDEPENDENT")),
        gap: yes(attributes.get("GAP")),
        uri: attributes.remove("URI").ok_or("URI is missing")?,
    })
}

/// A multivariant playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Master {
    /// The variants in their order.
    pub variants: Vec<Variant>,
    /// Ids of the audio groups.
    pub audio_groups: Vec<String>,
    /// Addresses of all media playlists, each once.
    pub uris: Vec<String>,
}

/// An `EXT-X-STREAM-INF`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Variant {
    /// Address as it stands in the playlist.
    pub uri: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// Reads a multivariant playlist.
///
/// # Errors
/// A sentence that names the line.
pub fn parse_master(text: &str) -> Result<Master, String> {
    let mut master = Master::default();
    let mut variant = None;
    if text.lines().next() != Some("#EXTM3U") {
        return Err("the first line is not #EXTM3U".into());
    }
    for line in text.lines().skip(1) {
        let attributes = |value| attributes(value).map_err(|e| format!("{e}: {line}"));
        match line.split_once(':') {
            Some(("#EXT-X-STREAM-INF", value)) => variant = Some(attributes(value)?),
            Some(("#EXT-X-MEDIA", value)) => {
                let mut attributes = attributes(value)?;
                master.uris.extend(attributes.remove("URI"));
                master.audio_groups.extend(attributes.remove("GROUP-ID"));
            }
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => {
                let attributes = variant
                    .take()
                    .ok_or_else(|| format!("no EXT-X-STREAM-INF before: {line}"))?;
                master.uris.push(line.to_owned());
                master.variants.push(Variant {
                    uri: line.to_owned(),
                    attributes,
                });
            }
        }
    }
    master.uris.sort();
    master.uris.dedup();
    Ok(master)
}

/// The playlist without what two replicas in the same state may tell differently.
pub fn without_reports(text: &str) -> String {
    let kept = text
        .lines()
        .filter(|l| !l.starts_with("#EXT-X-RENDITION-REPORT"));
    kept.flat_map(|l| [l, "\n"]).collect()
}

/// An attribute list (RFC 8216bis, 4.2): names with values, quotes taken off.
fn attributes(mut text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once('=').ok_or("an attribute without a value")?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if found.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(format!("attribute {name} stands there twice"));
        }
        text = match rest.strip_prefix(',') {
            Some(more) => more,
            None if rest.is_empty() => rest,
            None => return Err(format!("attribute {name} is not followed by a comma")),
        };
    }
    Ok(found)
}

/// Decimal seconds to µs, by digits, so that nothing is lost in a binary fraction.
pub fn micros(seconds: &str) -> Option<u64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole
        .checked_mul(1_000_000)?
        .checked_add((nanos + 500) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_low_latency_playlist() {
        let list = parse_media(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.2\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6\n#EXT-X-MEDIA-SEQUENCE:7\n\
             #EXT-X-MAP:URI=\"a,b.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n\
             #EXT-X-PART:DURATION=0.20000,URI=\"7.0\",INDEPENDENT=YES\n#EXTINF:2.00000,\n7\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-PART:DURATION=0.2,URI=\"8.0\"\n\
             #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.1\"\n\
             #EXT-X-RENDITION-REPORT:URI=\"../audio/media.m3u8\",LAST-MSN=8\n",
        )
        .unwrap();
        assert_eq!((list.first, list.end()), (7, 8));
        assert_eq!(list.part_target_us, Some(200_000));
        assert_eq!(list.segments[0].map.as_deref(), Some("a,b.mp4"));
        assert!(list.segments[0].parts[0].independent);
        assert!(list.open.as_ref().unwrap().discontinuity);
        assert_eq!(list.open_parts().len(), 1);
        assert_eq!(list.hint.as_deref(), Some("8.1"));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-DATERANGE:ID=1\n";
        assert!(parse_media(text).unwrap_err().contains("DATERANGE"));
        assert!(parse_media("#EXTM3U\n#EXT-X-TARGETDURATION:2\nx.m4s\n").is_err());
    }

    #[test]
    fn seconds_are_read_by_digits() {
        assert_eq!(micros("1.000001"), Some(1_000_001));
        assert_eq!(micros("0.0213333333"), None);
        assert_eq!(micros("2"), Some(2_000_000));
        assert_eq!(micros("x"), None);
    }
}
