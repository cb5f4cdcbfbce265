//! From a camera's description (SDP, RFC 4566) to streams that this crate knows. Plain functions
//! of text.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ffmpeg_next::codec::Id;

use crate::rtp::{AacFormat, Depacketizer};

/// What a camera says of one of its streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described<'a> {
    /// In lower case.
    pub encoding: &'a str,
    pub clock_rate: u32,
    pub channels: u32,
    /// Format parameters (`a=fmtp`).
    pub parameters: &'a str,
}

/// How a stream is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub depacketizer: Depacketizer,
    pub codec: Id,
    pub extradata: Vec<u8>,
    /// Samples a second; 0 for video.
    pub sample_rate: u32,
    pub channels: u32,
    /// Bits of a sample, where they tell a packet's duration; else 0.
    pub sample_bits: u32,
}

impl Reading {
    fn video(codec: Id, depacketizer: Depacketizer, extradata: Vec<u8>) -> Self {
        Self {
            depacketizer,
            codec,
            extradata,
            sample_rate: 0,
            channels: 0,
            sample_bits: 0,
        }
    }
}

/// Format parameters of the stream with this payload type and kind of media in an SDP.
pub(super) fn format_parameters<'a>(sdp: &'a str, media: &str, payload_type: u8) -> &'a str {
    let mut here = false;
    for line in sdp.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("m=") {
            here = rest.starts_with(media);
        } else if here
            && let Some(rest) = line.strip_prefix("a=fmtp:")
            && let Some((number, parameters)) = rest.split_once(' ')
            && number.trim().parse() == Ok(payload_type)
        {
            return parameters.trim();
        }
    }
    ""
}

/// A parameter by its name, in any case.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// How video is read; none for what this crate does not know.
pub(super) fn video(stream: &Described<'_>) -> Option<Reading> {
    let parameters = stream.parameters;
    Some(match stream.encoding {
        "h264" => Reading::video(
            Id::H264,
            Depacketizer::h264(),
            byte_stream(parameters, &["sprop-parameter-sets"]),
        ),
        "h265" | "hevc" => Reading::video(
            Id::HEVC,
            Depacketizer::h265(),
            byte_stream(parameters, &["sprop-vps", "sprop-sps", "sprop-pps"]),
        ),
        "av1" => Reading::video(Id::AV1, Depacketizer::av1(), Vec::new()),
        "vp9" => Reading::video(Id::VP9, Depacketizer::vp9(), Vec::new()),
        "mp4v-es" => Reading::video(
            Id::MPEG4,
            Depacketizer::joined(),
            parameter(parameters, "config")
                .and_then(bytes_of_hex)
                .unwrap_or_default(),
        ),
        _ => return None,
    })
}

/// How audio is read; none for what this crate does not know.
pub(super) fn audio(stream: &Described<'_>) -> Option<Reading> {
    let whole = |codec, sample_rate, sample_bits| Reading {
        depacketizer: Depacketizer::Whole,
        codec,
        extradata: Vec::new(),
        sample_rate,
        channels: stream.channels.max(1),
        sample_bits,
    };
    let rate = stream.clock_rate;
    Some(match stream.encoding {
        "mpeg4-generic" => {
            let extradata = parameter(stream.parameters, "config").and_then(bytes_of_hex)?;
            let number = |name: &str, default: u32| {
                parameter(stream.parameters, name)
                    .and_then(|value| value.parse().ok())
                    .filter(|bits| *bits <= 32)
                    .unwrap_or(default)
            };
            let format = AacFormat {
                size_length: number("sizelength", 13),
                index_length: number("indexlength", 3),
                index_delta_length: number("indexdeltalength", 3),
            };
            Reading {
                depacketizer: Depacketizer::aac(format),
                codec: Id::AAC,
                extradata,
                sample_rate: rate,
                channels: stream.channels.max(1),
                sample_bits: 0,
            }
        }
        "opus" => Reading {
            extradata: opus_head(),
            channels: 2,
            ..whole(Id::OPUS, 48_000, 0)
        },
        "pcmu" => whole(Id::PCM_MULAW, rate, 8),
        "pcma" => whole(Id::PCM_ALAW, rate, 8),
        "l16" => whole(Id::PCM_S16BE, rate, 16),
        // Its clock counts half its samples, by an error in the first standard (RFC 3551 §4.5.2).
        "g722" => whole(Id::ADPCM_G722, 16_000, 4),
        "g726-16" => whole(Id::ADPCM_G726LE, rate, 2),
        "g726-24" => whole(Id::ADPCM_G726LE, rate, 3),
        "g726-32" => whole(Id::ADPCM_G726LE, rate, 4),
        "g726-40" => whole(Id::ADPCM_G726LE, rate, 5),
        _ => return None,
    })
}

/// An `OpusHead` (RFC 7845 §5.1) for what RTP carries: always two channels (RFC 7587 §4.2), and
/// no samples to skip in the middle of a stream.
fn opus_head() -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02\x00\x00".to_vec();
    head.extend_from_slice(&48_000_u32.to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    head
}

/// Parameter sets in base64 as a byte stream.
fn byte_stream(parameters: &str, names: &[&str]) -> Vec<u8> {
    let sets = names
        .iter()
        .filter_map(|name| parameter(parameters, name))
        .flat_map(|value| value.split(','))
        .filter_map(|set| STANDARD.decode(set.trim()).ok())
        .filter(|set| !set.is_empty());
    let mut bytes = Vec::new();
    for set in sets {
        if !set.starts_with(&[0, 0, 0, 1]) {
            bytes.extend_from_slice(&[0, 0, 0, 1]);
        }
        bytes.extend_from_slice(&set);
    }
    bytes
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() % 2 == 1 {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(text, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAH6zZ,aOvssiw=\r\n\
        m=audio 0 RTP/AVP 96\r\na=fmtp:96 streamtype=5; sizelength=13; config=1190\r\n";

    fn described<'a>(encoding: &'a str, parameters: &'a str) -> Described<'a> {
        Described {
            encoding,
            clock_rate: 48_000,
            channels: 2,
            parameters,
        }
    }

    #[test]
    fn parameters_are_those_of_the_stream() {
        let video_parameters = format_parameters(SDP, "video", 96);
        let reading = video(&described("h264", video_parameters)).unwrap();
        assert_eq!(reading.extradata[..6], [0, 0, 0, 1, 0x67, 0x64]);
        let audio_parameters = format_parameters(SDP, "audio", 96);
        let reading = audio(&described("mpeg4-generic", audio_parameters)).unwrap();
        assert_eq!(reading.extradata, [0x11, 0x90]);
        assert_eq!(format_parameters(SDP, "audio", 97), "");
    }

    #[test]
    fn what_is_not_known_is_none() {
        assert!(video(&described("h261", "")).is_none());
        assert!(audio(&described("mpeg4-generic", "config=119")).is_none());
        assert!(audio(&described("gsm", "")).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(sdp: String, encoding in "(h264|h265|mp4v-es|mpeg4-generic|opus)", parameters: String) {
            format_parameters(&sdp, "video", 96);
            let stream = described(&encoding, &parameters);
            let _ = (video(&stream).is_some(), audio(&stream).is_some());
        }
    }
}
