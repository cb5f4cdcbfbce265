//! How the encoders are set: all that decides a rung's bytes beside the pictures.

use reelay_model::{LatencyMode, RungCodec, RungProfile};

/// An encoder by FFmpeg's name, with its options in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EncoderOptions {
    pub name: &'static str,
    pub options: Vec<(&'static str, String)>,
}

/// The buffer that keeps a segment below the rung's cap.
///
/// Each segment begins with a fresh encoder and a buffer that is filled in part, which it can
/// spend at once: a segment of 1.5 s (the shortest that is cut) has at most
/// `rate · 1.5 s + start` bits, which with the boxes is the cap times its duration
/// (RFC 8216bis §4.4.6.2, BANDWIDTH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Buffer {
    /// kbit/s at which it is filled.
    rate: u32,
    /// Its size in kbit.
    size: u32,
    /// How much of it is filled at the start, in percent.
    start: u32,
}

fn buffer(cap: u32, latency: LatencyMode) -> Buffer {
    let cap = cap / 1000;
    match latency {
        // Half a second: no picture takes longer than that to send.
        LatencyMode::Low => Buffer {
            rate: cap * 85 / 100,
            size: cap / 2,
            start: 40,
        },
        LatencyMode::Normal => Buffer {
            rate: cap * 85 / 100,
            size: cap,
            start: 20,
        },
    }
}

/// The encoder of a rung.
pub(super) fn encoder_options(profile: &RungProfile, latency: LatencyMode) -> EncoderOptions {
    match profile.codec {
        RungCodec::H264 => x264(profile, latency),
        RungCodec::H265 => x265(profile, latency),
        RungCodec::Av1 => svt_av1(profile),
    }
}

fn x264(profile: &RungProfile, latency: LatencyMode) -> EncoderOptions {
    let Buffer { rate, size, start } = buffer(profile.cap, latency);
    // One keyframe, at the start. What x264 decides by the CPU it is told not to.
    let params = format!(
        "cpu-independent=1:threads=1:lookahead-threads=1:sliced-threads=0:keyint=infinite:\
         scenecut=0:open-gop=0:vbv-maxrate={rate}:vbv-bufsize={size}:vbv-init=0.{start}"
    );
    let mut options = vec![
        ("preset", profile.preset.as_str().to_owned()),
        ("crf", profile.crf.to_string()),
        ("x264-params", params),
    ];
    if latency == LatencyMode::Low {
        options.insert(1, ("tune", "zerolatency".to_owned()));
    }
    EncoderOptions {
        name: "libx264",
        options,
    }
}

fn x265(profile: &RungProfile, latency: LatencyMode) -> EncoderOptions {
    let Buffer { rate, size, start } = buffer(profile.cap, latency);
    let params = format!(
        "pools=none:frame-threads=1:wpp=0:pmode=0:pme=0:keyint=-1:scenecut=0:open-gop=0:\
         vbv-maxrate={rate}:vbv-bufsize={size}:vbv-init=0.{start}:repeat-headers=0:info=0:\
         hrd=0:log-level=error"
    );
    EncoderOptions {
        name: "libx265",
        options: vec![
            ("preset", profile.preset.as_str().to_owned()),
            ("crf", profile.crf.to_string()),
            ("x265-params", params),
        ],
    }
}

fn svt_av1(profile: &RungProfile) -> EncoderOptions {
    EncoderOptions {
        name: "libsvtav1",
        options: vec![
            ("preset", profile.preset.as_str().to_owned()),
            ("crf", profile.crf.to_string()),
            // One logical processor and no pinning: what the encoder decides by the number of
            // processors is the same everywhere.
            ("svtav1-params", "lp=1:pin=0:keyint=-1:scd=0".to_owned()),
        ],
    }
}
