//! The judge of what gateways serve.

use std::fmt::Write as _;

use bytes::Bytes;
use reelay_testkit::linearity::{Ended, LogJudge, Report, Rule, SegmentSeen, ServedJudge};
use reelay_wire::{Kind, StreamUid, Topic, Track};

use super::sound::{self, Log, Made, Owner, What};

const PATH: &str = "/streams/door/hls/video/media.m3u8";
const WINDOW: u64 = 6;

/// A log, and playlists of its video as a gateway would write them.
struct Gateways {
    log: LogJudge,
    records: Vec<Made>,
    uid: StreamUid,
    last: u64,
}

/// What a gateway has read: segments below `end`, and parts of the segment `end`.
#[derive(Clone, Copy, PartialEq)]
struct State {
    end: u64,
    parts: usize,
}

impl Gateways {
    fn new() -> Self {
        use What::{Break, Gap, Media};
        let owner = |segments: &[What], cut| Owner {
            segments: segments.to_vec(),
            cut,
            unindexed: 0,
            zombie: true,
            repeats: false,
        };
        let mut made = Log::new(None);
        let first = [Media(4), Media(3), Gap, Media(4), Break(4)];
        let owners = [owner(&first, Some((2, 1))), owner(&[Media(4); 6], None)];
        sound::stream(&mut made, "door", &owners);
        let mut log = LogJudge::new();
        made.records.iter().for_each(|r| log.read(&r.record()));
        assert!(log.so_far().sound(), "{}", log.so_far());
        let uid = made.records[0].header.uid;
        let last = log.last_segment(uid, &Track::Video).unwrap();
        Self {
            log,
            records: made.records,
            uid,
            last,
        }
    }

    fn segment(&self, number: u64) -> &SegmentSeen {
        self.log.segment(self.uid, &Track::Video, number).unwrap()
    }

    fn states(&self) -> Vec<State> {
        let parts = |n: u64| {
            if n > self.last {
                0
            } else {
                self.segment(n).parts.len()
            }
        };
        let of = |end: u64| (0..parts(end).max(1)).map(move |parts| State { end, parts });
        (101..=self.last + 1).flat_map(of).collect()
    }

    fn uri(&self, number: u64, part: Option<usize>) -> String {
        let segment = self.segment(number);
        let print = segment.format.as_ref().map(|f| f.fingerprint.to_string());
        let name = format!(
            "{}-{number}-{}",
            segment.epoch,
            print.unwrap_or_else(|| "gap".into())
        );
        let part = part.map(|p| format!(".{p}")).unwrap_or_default();
        format!("{}/{name}{part}.m4s", self.uid)
    }

    fn playlist(&self, state: State) -> String {
        let first = state.end.saturating_sub(WINDOW).max(100);
        let discontinuity = self.segment(first).discontinuity;
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6\n\
             #EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity}\n"
        );
        let seconds = |ticks: u64| format!("{:.5}", ticks as f64 / f64::from(sound::VIDEO_SCALE));
        let mut sequence = discontinuity;
        for number in first..=state.end.min(self.last) {
            let segment = self.segment(number);
            if number == state.end && state.parts == 0 {
                break;
            }
            if segment.discontinuity > sequence {
                text.push_str("#EXT-X-DISCONTINUITY\n");
                sequence = segment.discontinuity;
            }
            if let Some(init) = &segment.init {
                writeln!(text, "#EXT-X-MAP:URI=\"init-{:02x}.mp4\"", init.hash[0]).unwrap();
            }
            let listed = if number == state.end {
                state.parts
            } else {
                segment.parts.len()
            };
            if number + 2 >= state.end {
                for (i, part) in segment.parts[..listed].iter().enumerate() {
                    let (time, uri) = (seconds(part.duration), self.uri(number, Some(i)));
                    let key = if part.independent {
                        ",INDEPENDENT=YES"
                    } else {
                        ""
                    };
                    writeln!(text, "#EXT-X-PART:DURATION={time},URI=\"{uri}\"{key}").unwrap();
                }
            }
            if number < state.end {
                if segment.gap {
                    text.push_str("#EXT-X-GAP\n");
                }
                let time = seconds(segment.end - segment.start);
                writeln!(text, "#EXTINF:{time},\n{}", self.uri(number, None)).unwrap();
            }
        }
        text.push_str("#EXT-X-RENDITION-REPORT:URI=\"../audio/media.m3u8\",LAST-MSN=1\n");
        text
    }

    /// Every address that a playlist names, with its bytes.
    fn media(&self, state: State) -> Vec<(String, Bytes)> {
        let number = if state.parts > 0 {
            state.end
        } else {
            state.end - 1
        };
        let segment = self.segment(number);
        if segment.gap {
            return Vec::new();
        }
        let chunks: Vec<Bytes> = segment
            .parts
            .iter()
            .map(|p| self.chunk(p.offset).1)
            .collect();
        let path = |part| format!("/streams/door/hls/video/{}", self.uri(number, part));
        let mut found = vec![(
            "/streams/door/hls/video/init-00.mp4".to_owned(),
            self.chunk(self.segment(100).parts[0].offset).0,
        )];
        if state.parts > 0 {
            found.push((path(Some(state.parts - 1)), chunks[state.parts - 1].clone()));
        } else if segment.ended == Some(Ended::Whole) {
            found.push((path(None), chunks.concat().into()));
        }
        found
    }

    /// Init segment and chunk at an offset.
    fn chunk(&self, offset: i64) -> (Bytes, Bytes) {
        let at = |r: &&Made| r.topic == Topic::Source && r.offset == offset;
        let record = self.records.iter().find(at).unwrap();
        let Kind::Chunk { init_length, .. } = record.header.kind else {
            panic!("{:?} is no chunk", record.header.kind)
        };
        let mut init = record.value.clone();
        let chunk = init.split_off(init_length as usize);
        (init, chunk)
    }

    /// Serves everything from two gateways, with faults built in.
    fn judge(
        &self,
        text: impl Fn(&str, State, String) -> String,
        bytes: impl Fn(&str, &str, Bytes) -> Bytes,
    ) -> Report {
        let mut judge = ServedJudge::new();
        let stream = "door".parse().unwrap();
        for state in self.states() {
            for gateway in ["a", "b"] {
                let list = text(gateway, state, self.playlist(state));
                judge.playlist(gateway, &stream, &Track::Video, PATH, &list);
                for (path, media) in self.media(state) {
                    judge.media(gateway, &path, &bytes(gateway, &path, media));
                }
            }
            judge.settle(&self.log);
        }
        judge.finish(&self.log, &["a".into(), "b".into()])
    }
}

fn same(_: &str, _: State, text: String) -> String {
    text
}

#[test]
fn sound_gateways_pass_and_all_is_compared() {
    let gateways = Gateways::new();
    let report = gateways.judge(same, |_, _, bytes| bytes);
    assert!(report.sound(), "{report}");
    assert_eq!(report.counts.playlists, 2 * gateways.states().len() as u64);
    assert_eq!(
        report.counts.compared_playlists,
        gateways.states().len() as u64
    );
    assert!(report.counts.compared_media > 30, "{report}");
}

#[test]
fn wrong_bytes_are_found() {
    let gateways = Gateways::new();
    let flip = |bytes: Bytes| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        Bytes::from(bytes)
    };
    let part = gateways.uri(106, Some(1));
    let one = gateways.judge(same, |gateway, path, bytes| {
        if gateway == "b" && path.ends_with(&part) {
            flip(bytes)
        } else {
            bytes
        }
    });
    assert!(one.has(Rule::BytesDiffer), "{one}");
    let finding = &one.findings[0];
    assert_eq!(
        (finding.place.segment, finding.place.part),
        (Some(106), Some(1)),
        "{finding}"
    );

    for path in [part, gateways.uri(107, None), "init-00.mp4".into()] {
        let both = gateways.judge(same, |_, at, bytes| {
            if at.ends_with(&path) {
                flip(bytes)
            } else {
                bytes
            }
        });
        assert!(both.has(Rule::NotTheLog), "{path}: {both}");
        assert!(!both.has(Rule::BytesDiffer), "{path}: {both}");
    }
}

/// What is wrong with a playlist, and the rule that has to find it. The change is made to
/// what gateway `b` (or both) serves from a state on.
struct ListFault {
    name: &'static str,
    both: bool,
    from: u64,
    to: u64,
    change: fn(&Gateways, State, String) -> String,
    rule: Rule,
}

const fn fault(
    name: &'static str,
    (both, from, to): (bool, u64, u64),
    rule: Rule,
    change: fn(&Gateways, State, String) -> String,
) -> ListFault {
    ListFault {
        name,
        both,
        from,
        to,
        change,
        rule,
    }
}

/// Segment 102 is a gap, 104 is behind a discontinuity, 105 is cut off by a takeover with
/// another one before 106; 111 is the last.
const FAULTS: &[ListFault] = &[
    fault(
        "a listed segment gets another duration",
        (true, 109, 200),
        Rule::PastEdited,
        |_, _, t| t.replacen("#EXTINF:0.80000", "#EXTINF:0.79000", 1),
    ),
    fault(
        "a segment is taken out of the middle",
        (true, 109, 200),
        Rule::PastEdited,
        |g, _, t| {
            let uri = g.uri(106, None);
            let line = format!("#EXTINF:0.80000,\n{uri}\n");
            t.replace(&line, "")
        },
    ),
    fault(
        "a gateway goes back to an older state",
        (false, 109, 109),
        Rule::PastEdited,
        |g, _, _| g.playlist(State { end: 107, parts: 1 }),
    ),
    fault(
        "a listed gap is healed",
        (true, 105, 200),
        Rule::PastEdited,
        |_, _, t| t.replace("#EXT-X-GAP\n", ""),
    ),
    fault(
        "a part is taken back",
        (false, 110, 110),
        Rule::PastEdited,
        |g, _, t| {
            let uri = format!("\"{}\"", g.uri(109, Some(3)));
            let other = |l: &&str| !l.contains(&uri);
            t.lines().filter(other).flat_map(|l| [l, "\n"]).collect()
        },
    ),
    fault(
        "the target duration changes",
        (true, 109, 200),
        Rule::PastEdited,
        |_, _, t| t.replace("TARGETDURATION:2", "TARGETDURATION:3"),
    ),
    fault(
        "the numbers are off by one",
        (true, 109, 200),
        Rule::PastEdited,
        |_, s, t| {
            let first = s.end - WINDOW;
            t.replace(
                &format!("SEQUENCE:{first}\n"),
                &format!("SEQUENCE:{}\n", first + 1),
            )
        },
    ),
    fault(
        "gateways date a segment differently",
        (false, 109, 200),
        Rule::PlaylistsDiffer,
        |_, _, t| t.replace("#EXT-X-VERSION:9", "#EXT-X-VERSION:10"),
    ),
    fault(
        "gateways show different windows",
        (false, 109, 109),
        Rule::PlaylistsDiffer,
        |_, s, t| {
            let first = s.end - WINDOW;
            let cut = t.find("#EXT-X-MAP").unwrap();
            let next = t[cut..].find(".m4s\n").unwrap() + cut + 5;
            let head = t[..cut].replace(
                &format!("SEQUENCE:{first}\n"),
                &format!("SEQUENCE:{}\n", first + 1),
            );
            head + &t[next..]
        },
    ),
    fault(
        "durations are not those of the media",
        (true, 0, 200),
        Rule::Durations,
        |_, _, t| t.replace("#EXTINF:0.80000", "#EXTINF:0.80010"),
    ),
    fault(
        "parts do not add up to their segment",
        (true, 0, 200),
        Rule::Durations,
        |_, _, t| t.replace("DURATION=0.20000", "DURATION=0.19000"),
    ),
    fault(
        "a part is longer than the target",
        (true, 0, 200),
        Rule::Playlist,
        |_, _, t| t.replace("DURATION=0.20000", "DURATION=0.21000"),
    ),
    fault(
        "the target duration is too short",
        (true, 0, 200),
        Rule::Playlist,
        |_, _, t| t.replace("TARGETDURATION:2", "TARGETDURATION:0"),
    ),
    fault(
        "players are told to come too near the edge",
        (true, 0, 200),
        Rule::Playlist,
        |_, _, t| t.replace("PART-HOLD-BACK=0.6", "PART-HOLD-BACK=0.3"),
    ),
    fault(
        "a discontinuity is not declared",
        (true, 0, 200),
        Rule::NotTheLog,
        |_, _, t| t.replace("#EXT-X-DISCONTINUITY\n", ""),
    ),
    fault(
        "media is served where the log has a gap",
        (true, 0, 200),
        Rule::NotTheLog,
        |_, _, t| t.replace("#EXT-X-GAP\n", ""),
    ),
    fault(
        "a zombie's segment is served",
        (true, 0, 200),
        Rule::NotTheLog,
        |g, _, t| {
            let uri = g.uri(107, None);
            let (epoch, rest) = uri.split_once("-107-").unwrap();
            let zombie = epoch.rsplit_once('/').unwrap().0;
            t.replace(&uri, &format!("{zombie}/0-107-{rest}"))
        },
    ),
    fault(
        "a playlist cannot be read",
        (false, 109, 109),
        Rule::Playlist,
        |_, _, _| "<html>".into(),
    ),
    fault(
        "a gateway stops in between",
        (false, 106, 200),
        Rule::Unserved,
        |g, _, _| g.playlist(State { end: 106, parts: 0 }),
    ),
];

#[test]
fn every_kind_of_wrong_playlist_is_found() {
    let gateways = Gateways::new();
    for fault in FAULTS {
        let report = gateways.judge(
            |gateway, state, text| {
                let here = (fault.from..=fault.to).contains(&state.end);
                if here && (fault.both || gateway == "b") {
                    (fault.change)(&gateways, state, text)
                } else {
                    text
                }
            },
            |_, _, bytes| bytes,
        );
        assert!(
            report.has(fault.rule),
            "{}: {:?} is not in\n{report}",
            fault.name,
            fault.rule
        );
    }
}

#[test]
fn an_address_without_an_answer_is_found() {
    let mut judge = ServedJudge::new();
    judge.unserved("a", "/streams/door/hls/video/x.m4s", "404 Not Found".into());
    let report = judge.finish(&LogJudge::new(), &[]);
    assert!(report.has(Rule::Unserved), "{report}");
}

const MASTER: &str = "#EXTM3U\n#EXT-X-VERSION:9\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",URI=\"audio/media.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2000000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,AUDIO=\"audio\"\n\
    video/media.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=700000,CODECS=\"avc1.64001e,mp4a.40.2\",RESOLUTION=640x360,AUDIO=\"audio\"\n\
    360p/media.m3u8\n";

/// What two gateways served, each one master after the other.
fn masters(one: &[String], other: &[String]) -> Report {
    let mut judge = ServedJudge::new();
    let (id, path) = ("door".parse().unwrap(), "/streams/door/hls/master.m3u8");
    for (gateway, served) in [("http://one", one), ("http://other", other)] {
        for text in served {
            judge.master(gateway, &id, path, text);
        }
    }
    let gateways = ["http://one", "http://other"].map(str::to_owned);
    judge.finish(&LogJudge::new(), &gateways)
}

#[test]
fn masters_agree_and_stay_as_they_are() {
    let sound = || MASTER.to_owned();
    let measured = MASTER.replace("AVERAGE-BANDWIDTH=700000", "AVERAGE-BANDWIDTH=650000");
    let begins = MASTER
        .split("#EXT-X-STREAM-INF:BANDWIDTH=9")
        .next()
        .unwrap();
    // A rung that one of them knows of a little earlier.
    let report = masters(
        &[begins.to_owned(), sound()],
        &[begins.to_owned(), measured],
    );
    assert!(report.sound(), "{report}");
    assert_eq!(report.counts.masters, 4);
    for (name, flawed) in [
        ("a rung is missing for good", begins.to_owned()),
        ("another order", {
            let (head, rung) = MASTER.split_at(begins.len());
            let at = head.find("#EXT-X-STREAM").unwrap();
            [&head[..at], rung, &head[at..]].concat()
        }),
        ("other codecs", MASTER.replace("64001e", "42001e")),
        ("another size", MASTER.replace("640x360", "642x362")),
        (
            "no codecs",
            MASTER.replace("CODECS=\"avc1.64001e,mp4a.40.2\",", ""),
        ),
        (
            "a mean above the most",
            MASTER.replace("=700000", "=950000"),
        ),
        ("no mean", MASTER.replace("AVERAGE-BANDWIDTH=700000,", "")),
        (
            "no such audio group",
            MASTER.replace("GROUP-ID=\"audio\"", "GROUP-ID=\"sound\""),
        ),
        ("a variant twice", MASTER.replace("360p/", "video/")),
        ("no playlist", "#EXTM3U\nvideo/media.m3u8\n".to_owned()),
    ] {
        let report = masters(&[sound()], &[flawed]);
        assert!(report.has(Rule::Master), "{name} is not in\n{report}");
    }
}
