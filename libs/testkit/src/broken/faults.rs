//! What is wrong with cameras: a table of behaviours in named classes, with what a stream of each
//! has to come to.

use super::{
    Media, Outcome, interleaved,
    speech::{Answer, Asked, SDP},
};

/// A way of being broken.
#[derive(Debug)]
pub struct Fault {
    /// What kind of fault.
    pub class: &'static str,
    /// Which one; unique.
    pub name: &'static str,
    /// What a stream of it has to come to.
    pub outcome: Outcome,
    pub(crate) answer: fn(&Asked) -> Answer,
    pub(crate) media: Media,
}

const fn answers(
    class: &'static str,
    name: &'static str,
    codes: &'static [&'static str],
    answer: fn(&Asked) -> Answer,
) -> Fault {
    Fault {
        class,
        name,
        outcome: Outcome::Says(codes),
        answer,
        media: Media::Well,
    }
}

const fn sends(class: &'static str, name: &'static str, outcome: Outcome, media: Media) -> Fault {
    Fault {
        class,
        name,
        outcome,
        answer: |_| Answer::Well,
        media,
    }
}

/// Answers DESCRIBE with this description.
fn describes(asked: &Asked, sdp: &str) -> Answer {
    let headers = "Content-Type: application/sdp\r\n";
    when(asked, "DESCRIBE", |asked| {
        asked.reply("200 OK", headers, sdp)
    })
}

fn when(asked: &Asked, method: &str, reply: impl Fn(&Asked) -> Vec<u8>) -> Answer {
    if asked.is(method) {
        Answer::Bytes(reply(asked))
    } else {
        Answer::Well
    }
}

fn status(asked: &Asked, method: &str, status: &str, headers: &str) -> Answer {
    when(asked, method, |asked| asked.reply(status, headers, ""))
}

const BAD_ANSWER: &[&str] = &[
    "invalid-format",
    "unreachable",
    "no-media",
    "unsupported-codec",
];
const REFUSED: &[&str] = &["access-denied"];
const LOST: &[&str] = &["unreachable", "stalled", "invalid-format"];
const DAMAGED: &[&str] = &["corrupt-media", "unreachable", "stalled", "no-media"];
const JUMPED: &[&str] = &["timestamp-jump"];
/// Answers that never come are waited for, for ten seconds.
const SILENT: &[&str] = &["unreachable"];

/// The fault that is none, to know that the camera works.
pub const NONE: Fault = sends("none", "none", Outcome::Plays, Media::Well);

/// All of them.
pub const FAULTS: &[Fault] = &[
    // Descriptions.
    answers("description", "garbage", BAD_ANSWER, |a| {
        describes(a, "\u{1}\u{2}no sdp at all\u{7f}")
    }),
    answers("description", "empty", BAD_ANSWER, |a| {
        status(a, "DESCRIBE", "200 OK", "Content-Type: application/sdp\r\n")
    }),
    answers("description", "without-media", BAD_ANSWER, |a| {
        describes(a, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n")
    }),
    answers("description", "metadata-only", BAD_ANSWER, |a| {
        describes(
            a,
            &SDP.replace("m=video", "m=application")
                .replace("H264", "vnd.onvif.metadata"),
        )
    }),
    answers(
        "description",
        "unknown-codec",
        &["unsupported-codec"],
        |a| describes(a, &SDP.replace("H264", "H261")),
    ),
    answers("description", "clock-rate-zero", BAD_ANSWER, |a| {
        describes(a, &SDP.replace("90000", "0"))
    }),
    answers("description", "endless", BAD_ANSWER, |a| {
        describes(a, &format!("{}{}", "a=x:y\r\n".repeat(50_000), "v=0"))
    }),
    answers("description", "wrong-type", BAD_ANSWER, |a| {
        when(a, "DESCRIBE", |a| {
            a.reply(
                "200 OK",
                "Content-Type: text/html\r\n",
                "<html>log in</html>",
            )
        })
    }),
    // Messages.
    answers("framing", "content-length-too-long", SILENT, |a| {
        when(a, "DESCRIBE", |a| {
            format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\nContent-Type: application/sdp\r\nContent-Length: 99999\r\n\r\n{SDP}", a.cseq).into_bytes()
        })
    }),
    answers("framing", "content-length-too-short", BAD_ANSWER, |a| {
        when(a, "DESCRIBE", |a| {
            format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\n{SDP}", a.cseq).into_bytes()
        })
    }),
    answers("framing", "content-length-no-number", BAD_ANSWER, |a| {
        when(a, "DESCRIBE", |a| {
            a.reply("200 OK", "Content-Length: many\r\n", "")
        })
    }),
    answers("framing", "content-length-enormous", LOST, |a| {
        when(a, "DESCRIBE", |a| {
            a.reply("200 OK", "Content-Length: 9999999999999\r\n", "")
        })
    }),
    answers("framing", "speaks-http", BAD_ANSWER, |a| {
        when(a, "DESCRIBE", |_| {
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()
        })
    }),
    answers("framing", "speaks-noise", BAD_ANSWER, |a| {
        when(a, "DESCRIBE", |_| {
            (0..4000_u32).map(|n| (n * 7919 >> 3) as u8).collect()
        })
    }),
    answers("framing", "line-never-ends", LOST, |a| {
        when(a, "DESCRIBE", |_| vec![b'A'; 200_000])
    }),
    // Logging in.
    answers("login", "no-challenge", REFUSED, |a| {
        status(a, "DESCRIBE", "401 Unauthorized", "")
    }),
    answers("login", "unknown-scheme", REFUSED, |a| {
        status(
            a,
            "DESCRIBE",
            "401 Unauthorized",
            "WWW-Authenticate: Handshake realm=\"x\"\r\n",
        )
    }),
    answers("login", "digest-without-nonce", REFUSED, |a| {
        status(
            a,
            "DESCRIBE",
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"x\"\r\n",
        )
    }),
    answers("login", "digest-garbage", REFUSED, |a| {
        status(
            a,
            "DESCRIBE",
            "401 Unauthorized",
            "WWW-Authenticate: Digest ,,=\"\",nonce=\"\r\n",
        )
    }),
    answers("login", "never-content", REFUSED, |a| {
        status(
            a,
            "DESCRIBE",
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\"\r\n",
        )
    }),
    answers("login", "forbidden", REFUSED, |a| {
        status(a, "DESCRIBE", "403 Forbidden", "")
    }),
    answers("login", "refused-at-setup", REFUSED, |a| {
        status(
            a,
            "SETUP",
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
        )
    }),
    // Refusals.
    answers("refusal", "not-found", &["not-found"], |a| {
        status(a, "DESCRIBE", "404 Not Found", "")
    }),
    answers("refusal", "internal-error", &["unreachable"], |a| {
        status(a, "DESCRIBE", "500 Oops", "")
    }),
    answers("refusal", "too-many-viewers", &["unreachable"], |a| {
        status(a, "SETUP", "453 Not Enough Bandwidth", "")
    }),
    answers("refusal", "no-such-transport", &["unreachable"], |a| {
        status(a, "SETUP", "461 Unsupported transport", "")
    }),
    answers("refusal", "play-refused", &["unreachable"], |a| {
        status(a, "PLAY", "455 Method Not Valid in This State", "")
    }),
    // Redirects.
    answers(
        "redirect",
        "to-metadata-service",
        &["address-refused"],
        |a| {
            status(
                a,
                "DESCRIBE",
                "302 Found",
                "Location: rtsp://169.254.169.254/latest\r\n",
            )
        },
    ),
    answers("redirect", "to-itself", &["address-refused"], |a| {
        status(
            a,
            "DESCRIBE",
            "301 Moved Permanently",
            "Location: rtsp://127.0.0.1/cam\r\n",
        )
    }),
    answers("redirect", "to-nowhere", &["address-refused"], |a| {
        status(a, "DESCRIBE", "302 Found", "")
    }),
    // Silence.
    answers("silence", "never-answers", SILENT, |_| Answer::Silence),
    answers("silence", "silent-at-setup", SILENT, |a| {
        if a.is("SETUP") {
            Answer::Silence
        } else {
            Answer::Well
        }
    }),
    answers("silence", "silent-at-play", SILENT, |a| {
        if a.is("PLAY") {
            Answer::Silence
        } else {
            Answer::Well
        }
    }),
    sends(
        "silence",
        "plays-nothing",
        Outcome::Says(&["stalled"]),
        Media::Silence,
    ),
    // Sessions.
    answers("session", "setup-without-session", BAD_ANSWER, |a| {
        status(
            a,
            "SETUP",
            "200 OK",
            "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
        )
    }),
    answers("session", "setup-without-transport", BAD_ANSWER, |a| {
        status(a, "SETUP", "200 OK", "Session: 1\r\n")
    }),
    answers("session", "setup-by-udp-unasked", BAD_ANSWER, |a| {
        status(
            a,
            "SETUP",
            "200 OK",
            "Session: 1\r\nTransport: RTP/AVP;unicast;client_port=1-2;server_port=3-4\r\n",
        )
    }),
    answers("session", "wrong-cseq", BAD_ANSWER, |a| {
        when(a, "SETUP", |_| {
            b"RTSP/1.0 200 OK\r\nCSeq: 4711\r\n\r\n".to_vec()
        })
    }),
    answers("session", "no-cseq", BAD_ANSWER, |a| {
        when(a, "SETUP", |_| b"RTSP/1.0 200 OK\r\n\r\n".to_vec())
    }),
    // Closing.
    answers("closing", "at-once", LOST, |_| Answer::Close),
    answers("closing", "in-the-description", LOST, |a| {
        if a.is("DESCRIBE") {
            let whole = a.reply("200 OK", "Content-Type: application/sdp\r\n", SDP);
            Answer::BytesThenClose(whole[..whole.len() / 2].to_vec())
        } else {
            Answer::Well
        }
    }),
    sends(
        "closing",
        "after-play",
        Outcome::Says(LOST),
        Media::Bytes(|_| None),
    ),
    sends(
        "closing",
        "in-a-frame",
        Outcome::Says(LOST),
        Media::Bytes(|n| (n < 60).then(Vec::new)),
    ),
    sends(
        "closing",
        "in-a-packet",
        Outcome::Says(LOST),
        Media::Bytes(|n| match n {
            0..60 => Some(Vec::new()),
            60 => Some(vec![b'$', 0, 4, 0, 0x80, 96]),
            _ => None,
        }),
    ),
    // Packets on the connection.
    sends(
        "interleaving",
        "length-too-long",
        Outcome::Says(DAMAGED),
        Media::Bytes(|n| {
            Some(if n == 60 {
                vec![b'$', 0, 0xff, 0xff, 1, 2, 3]
            } else {
                Vec::new()
            })
        }),
    ),
    sends(
        "interleaving",
        "length-zero",
        Outcome::Says(DAMAGED),
        Media::Bytes(|n| {
            Some(if n % 10 == 5 {
                interleaved(0, &[])
            } else {
                Vec::new()
            })
        }),
    ),
    sends(
        "interleaving",
        "foreign-channel",
        Outcome::Plays,
        Media::Bytes(|_| Some(interleaved(77, &[1; 40]))),
    ),
    sends(
        "interleaving",
        "noise-between",
        Outcome::Says(LOST),
        Media::Bytes(|n| {
            Some(if n == 60 {
                vec![0xde, 0xad, 0xbe, 0xef, b'\n', b'\n']
            } else {
                Vec::new()
            })
        }),
    ),
    sends(
        "interleaving",
        "asks-back",
        Outcome::Plays,
        Media::Bytes(|n| {
            Some(if n == 60 {
                b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec()
            } else {
                Vec::new()
            })
        }),
    ),
    // RTP headers.
    sends(
        "rtp",
        "sequence-jumps-forward",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, p| if n % 40 == 39 { Vec::new() } else { vec![p] }),
    ),
    sends(
        "rtp",
        "sequence-jumps-back",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, mut p| {
            if n % 50 == 49 {
                p[2] = p[2].wrapping_sub(0x20)
            }
            vec![p]
        }),
    ),
    sends(
        "rtp",
        "twice",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, p| {
            if n % 20 == 19 {
                vec![p.clone(), p]
            } else {
                vec![p]
            }
        }),
    ),
    sends(
        "rtp",
        "ssrc-changes",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, mut p| {
            if n > 200 {
                p[8] = 99
            }
            vec![p]
        }),
    ),
    sends(
        "rtp",
        "wrong-payload-type",
        Outcome::Says(DAMAGED),
        Media::Packets(|_, mut p| {
            p[1] = p[1] & 0x80 | 97;
            vec![p]
        }),
    ),
    sends(
        "rtp",
        "wrong-version",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, mut p| {
            if n % 30 == 29 {
                p[0] = 0x40
            }
            vec![p]
        }),
    ),
    sends(
        "rtp",
        "cut-short",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, mut p| {
            if n % 30 == 29 {
                p.truncate(7)
            }
            vec![p]
        }),
    ),
    sends(
        "rtp",
        "padding-lies",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, mut p| {
            if n % 30 == 29 {
                p[0] |= 0x20;
                if let Some(last) = p.last_mut() {
                    *last = 0xff
                }
                p.truncate(40);
            }
            vec![p]
        }),
    ),
    sends(
        "rtp",
        "extension-lies",
        Outcome::Says(DAMAGED),
        Media::Packets(|n, mut p| {
            if n % 30 == 29 {
                p[0] |= 0x10;
                p.truncate(20);
            }
            vec![p]
        }),
    ),
    // Payloads.
    sends(
        "payload",
        "fragment-without-end",
        Outcome::Says(DAMAGED),
        Media::Payloads(|n, mut payloads| {
            if n % 50 == 0 {
                payloads.pop();
            }
            payloads
        }),
    ),
    sends(
        "payload",
        "fragment-without-start",
        Outcome::Says(DAMAGED),
        Media::Payloads(|n, mut payloads| {
            if n % 10 == 5 {
                payloads.insert(0, vec![0x7c, 0x05, 1, 2, 3])
            }
            payloads
        }),
    ),
    sends(
        "payload",
        "aggregate-lies",
        Outcome::Says(DAMAGED),
        Media::Payloads(|n, mut payloads| {
            if n % 10 == 5 {
                payloads.insert(0, vec![0x78, 0xff, 0xff, 1])
            }
            payloads
        }),
    ),
    sends(
        "payload",
        "reserved-kinds",
        Outcome::Says(DAMAGED),
        Media::Payloads(|n, mut payloads| {
            if n % 10 == 5 {
                payloads.insert(0, vec![0x1f, 1, 2, 3])
            }
            payloads
        }),
    ),
    sends(
        "payload",
        "empty",
        Outcome::Says(DAMAGED),
        Media::Payloads(|n, mut payloads| {
            if n % 10 == 5 {
                payloads.insert(0, Vec::new())
            }
            payloads
        }),
    ),
    sends(
        "payload",
        "picture-without-end",
        Outcome::Says(DAMAGED),
        Media::Payloads(|n, payloads| {
            match n {
                0..60 => payloads,
                // A NAL unit that begins, goes on and never ends.
                _ => (0..300)
                    .map(|at| {
                        let first = if at == 0 { 0x80 } else { 0 };
                        [&[0x7c, 0x05 | first][..], &[n as u8; 1000]].concat()
                    })
                    .collect(),
            }
        }),
    ),
    // Parameter sets and pictures.
    sends(
        "parameters",
        "never",
        Outcome::Says(DAMAGED),
        Media::Units(|_, units| {
            units
                .into_iter()
                .filter(|unit| !matches!(unit[0] & 0x1f, 7 | 8))
                .collect()
        }),
    ),
    sends(
        "parameters",
        "no-picture-parameters",
        Outcome::Says(DAMAGED),
        Media::Units(|_, units| {
            units
                .into_iter()
                .filter(|unit| unit[0] & 0x1f != 8)
                .collect()
        }),
    ),
    sends(
        "parameters",
        "broken",
        Outcome::Says(DAMAGED),
        Media::Units(|_, mut units| {
            for unit in &mut units {
                if unit[0] & 0x1f == 7 {
                    unit.truncate(5)
                }
            }
            units
        }),
    ),
    sends(
        "parameters",
        "change-each-time",
        Outcome::Plays,
        Media::Units(|n, mut units| {
            for unit in &mut units {
                // The level: another description of the same pictures.
                if unit[0] & 0x1f == 7 {
                    unit[3] = 30 + (n / 50 % 3) as u8
                }
            }
            units
        }),
    ),
    sends(
        "parameters",
        "no-keyframe",
        Outcome::Says(&["no-media", "stalled"]),
        Media::Units(|_, units| {
            units
                .into_iter()
                .filter(|unit| unit[0] & 0x1f == 1)
                .collect()
        }),
    ),
    // Times.
    sends(
        "times",
        "back-and-forth",
        Outcome::Says(JUMPED),
        Media::Times(|n| {
            if n % 100 < 60 {
                n as u32 * 3600
            } else {
                1_000_000_000 + n as u32 * 3600
            }
        }),
    ),
    sends(
        "times",
        "stand-still",
        Outcome::Says(DAMAGED),
        Media::Times(|n| if n < 60 { n as u32 * 3600 } else { 216_000 }),
    ),
    sends(
        "times",
        "an-hour-later",
        Outcome::Says(JUMPED),
        Media::Times(|n| n as u32 * 3600 + if n > 60 { 90_000 * 3600 } else { 0 }),
    ),
    sends(
        "times",
        "wrap-around",
        Outcome::Plays,
        Media::Times(|n| (n as u32 * 3600).wrapping_sub(200_000)),
    ),
    sends(
        "times",
        "at-random",
        Outcome::Says(JUMPED),
        Media::Times(|n| {
            if n < 60 {
                n as u32 * 3600
            } else {
                (n as u32).wrapping_mul(2_654_435_761)
            }
        }),
    ),
    // Reports.
    sends(
        "reports",
        "garbage",
        Outcome::Plays,
        Media::Bytes(|_| Some(interleaved(1, &[0x80, 200, 0, 99, 1]))),
    ),
    sends(
        "reports",
        "clock-of-1900",
        Outcome::Plays,
        Media::Bytes(|n| Some(interleaved(1, &report(0, n)))),
    ),
    sends(
        "reports",
        "clock-at-random",
        Outcome::Plays,
        Media::Bytes(|n| {
            Some(interleaved(
                1,
                &report((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), n),
            ))
        }),
    ),
    sends(
        "reports",
        "goodbye",
        Outcome::Plays,
        Media::Bytes(|n| {
            Some(if n == 60 {
                interleaved(1, &[0x81, 203, 0, 1, 1, 2, 3, 4])
            } else {
                Vec::new()
            })
        }),
    ),
];

/// A sender report (RFC 3550 §6.4.1) of this time for picture `n`.
fn report(ntp: u64, n: usize) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6, 1, 2, 3, 4];
    bytes.extend_from_slice(&ntp.to_be_bytes());
    bytes.extend_from_slice(&(n as u32 * 3600).to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes
}
