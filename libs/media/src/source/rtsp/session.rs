//! One session with a camera: DESCRIBE, SETUP, PLAY, and packets until it breaks.

use std::{future::Future, sync::mpsc::SyncSender, time::Duration};

use ffmpeg_next::{Packet, Rational};
use futures::StreamExt as _;
use reelay_model::{Micros, RtspTransport};
use retina::client::{
    InitialSequenceNumberPolicy, InitialTimestampPolicy, PacketItem, PlayOptions, Session,
    SessionIdPolicy, SessionOptions, SetupOptions, Transport, UnassignedChannelDataPolicy,
};

use super::{
    Camera, connect,
    describe::{self, Described, Reading},
};
use crate::{
    SourceProblemCode,
    av::stream_parameters,
    rtp::{RtpFrame, RtpPacket},
    source::{
        Failure,
        demux::StreamInfo,
        interleave::Which,
        line::TimeBase,
        live::{FromLive, LiveInfo},
    },
};

/// Limit for each answer of the camera.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection with more errors in a row than this is given up.
const MOST_ERRORS: u32 = 100;

/// A stream that has been set up.
struct Reader {
    which: Which,
    reading: Reading,
    clock_rate: u32,
    payload_type: u8,
}

/// Plays until the connection breaks or nobody listens.
pub(super) async fn play(camera: &Camera, to: &SyncSender<FromLive>) -> Result<(), Failure> {
    let connect::Target { url, bridge } =
        within("the name and the connection", connect::target(camera)).await??;
    // Carries the bytes for as long as this function runs.
    let _bridge = bridge;
    let options = SessionOptions::default()
        .creds(
            camera
                .credentials
                .as_ref()
                .map(|credentials| retina::client::Credentials {
                    username: credentials.username.clone(),
                    password: credentials.password.clone(),
                }),
        )
        .user_agent(concat!("reelay/", env!("CARGO_PKG_VERSION")).to_owned())
        .session_id(SessionIdPolicy::UseFirst)
        .unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
    let asked = |error: retina::Error| failure(&error, camera);
    let mut session = within("DESCRIBE", Session::describe(url, options))
        .await?
        .map_err(asked)?;
    let mut readers = Vec::new();
    let mut unknown = Vec::new();
    let sdp = String::from_utf8_lossy(session.sdp()).into_owned();
    for which in [Which::Video, Which::Audio] {
        let media = match which {
            Which::Video => "video",
            Which::Audio => "audio",
        };
        let found = session
            .streams()
            .iter()
            .enumerate()
            .find_map(|(at, stream)| {
                if stream.media() != media {
                    return None;
                }
                let described = Described {
                    encoding: stream.encoding_name(),
                    clock_rate: stream.clock_rate_hz(),
                    channels: stream.channels().map_or(1, |n| u32::from(n.get())),
                    parameters: describe::format_parameters(&sdp, media, stream.rtp_payload_type()),
                };
                let reading = match which {
                    Which::Video => describe::video(&described),
                    Which::Audio => describe::audio(&described),
                };
                let Some(reading) = reading.filter(|_| stream.clock_rate_hz() > 0) else {
                    unknown.push(format!("{media} in {}", stream.encoding_name()));
                    return None;
                };
                let rate = stream
                    .framerate()
                    .filter(|rate| (1.0..=240.0).contains(rate))
                    .map(|rate| Rational((f64::from(rate) * 1000.0).round() as i32, 1000));
                let reader = Reader {
                    which,
                    reading,
                    clock_rate: stream.clock_rate_hz(),
                    payload_type: stream.rtp_payload_type(),
                };
                Some((at, reader, rate))
            });
        readers.extend(found);
    }
    if readers.is_empty() {
        return Err(match unknown[..] {
            [] => Failure::Problem(
                SourceProblemCode::NoMedia,
                "the camera offers neither video nor audio".to_owned(),
            ),
            _ => Failure::Problem(
                SourceProblemCode::UnsupportedCodec,
                format!(
                    "the camera offers {}, which is not carried: set it to H.264 or H.265, and \
                     AAC, Opus or G.711",
                    unknown.join(" and ")
                ),
            ),
        });
    }
    for (at, ..) in &readers {
        let transport = match camera.transport {
            RtspTransport::Tcp => Transport::Tcp(Default::default()),
            RtspTransport::Udp => Transport::Udp(Default::default()),
        };
        let options = SetupOptions::default().transport(transport);
        within("SETUP", session.setup(*at, options))
            .await?
            .map_err(asked)?;
        let context = session.streams().get(*at).and_then(|stream| stream.ctx());
        let place = context.map(ToString::to_string).unwrap_or_default();
        check_media_source(&place, camera.allow_local)?;
    }
    let options = PlayOptions::default()
        .initial_timestamp(InitialTimestampPolicy::Ignore)
        .initial_seq(InitialSequenceNumberPolicy::Ignore);
    let mut session = within("PLAY", session.play(options))
        .await?
        .map_err(asked)?;

    let info = |which: Which| {
        let (_, reader, rate) = readers
            .iter()
            .find(|(_, reader, _)| reader.which == which)?;
        let reading = &reader.reading;
        Some(StreamInfo {
            parameters: stream_parameters(
                reading.codec,
                &reading.extradata,
                reading.sample_rate,
                reading.channels,
                reading.sample_bits,
            ),
            base: TimeBase {
                numerator: 1,
                denominator: reader.clock_rate.into(),
            },
            frame_rate: *rate,
        })
    };
    let opened = FromLive::Opened(LiveInfo {
        video: info(Which::Video),
        audio: info(Which::Audio),
    });
    to.send(opened).map_err(gone)?;
    if !unknown.is_empty() {
        let message = format!(
            "the camera's {} is not carried and left out: set it to AAC, Opus or G.711",
            unknown.join(" and ")
        );
        to.send(FromLive::Event(
            SourceProblemCode::UnsupportedCodec,
            message,
        ))
        .map_err(gone)?;
    }

    let mut errors = 0;
    let mut last_error = None;
    let mut frames = Vec::new();
    while let Some(item) = session.next().await {
        match item {
            Ok(PacketItem::Rtp(packet)) => {
                let found = readers
                    .iter_mut()
                    .find(|(at, ..)| *at == packet.stream_id());
                let Some((_, reader, _)) = found else {
                    continue;
                };
                // The second byte of the header (RFC 3550 §5.1).
                let payload_type = packet.raw().get(1).map_or(0, |byte| byte & 0x7f);
                if payload_type != reader.payload_type {
                    let what = format!(
                        "a packet of payload type {payload_type} where {} is due",
                        reader.payload_type
                    );
                    to.send(FromLive::Damaged(what)).map_err(gone)?;
                    continue;
                }
                errors = 0;
                let arrival = Micros::now();
                let packet = RtpPacket {
                    timestamp: packet.timestamp().timestamp(),
                    marker: packet.mark(),
                    loss: packet.loss() > 0,
                    payload: packet.into_payload_bytes(),
                };
                if reader.reading.depacketizer.push(&packet, &mut frames) {
                    let what = "packets are missing, or cannot be understood".to_owned();
                    to.send(FromLive::Damaged(what)).map_err(gone)?;
                }
                for frame in frames.drain(..) {
                    let message = FromLive::Packet {
                        which: reader.which,
                        packet: reader.packet(&frame),
                        arrival,
                    };
                    to.send(message).map_err(gone)?;
                }
            }
            Ok(PacketItem::Rtcp(packets)) => {
                let found = readers.iter().find(|(at, ..)| *at == packets.stream_id());
                let timestamp = packets.rtp_timestamp();
                let wall = packets
                    .pkts()
                    .find_map(|packet| packet.as_sender_report().ok().flatten())
                    .and_then(|report| wall_clock(report.ntp_timestamp().0));
                if let (Some((_, reader, _)), Some(timestamp), Some(wall)) =
                    (found, timestamp, wall)
                {
                    let message = FromLive::Report {
                        which: reader.which,
                        timestamp: timestamp.timestamp(),
                        wall,
                    };
                    to.send(message).map_err(gone)?;
                }
            }
            Ok(_) => {}
            Err(error) => {
                errors += 1;
                let what = first_line(&error);
                to.send(FromLive::Damaged(what.clone())).map_err(gone)?;
                last_error = Some(what);
                if errors > MOST_ERRORS {
                    break;
                }
            }
        }
    }
    let why = last_error.map_or_else(String::new, |error| format!(": {error}"));
    Err(Failure::Problem(
        SourceProblemCode::Unreachable,
        format!("the connection to the camera is over{why}"),
    ))
}

impl Reader {
    /// A frame as FFmpeg's decoders and this crate's publisher take it.
    fn packet(&self, frame: &RtpFrame) -> Packet {
        let mut packet = Packet::copy(&frame.data);
        packet.set_pts(Some(frame.timestamp));
        let Reading {
            sample_bits,
            channels,
            sample_rate,
            ..
        } = self.reading;
        if sample_bits > 0 {
            let samples =
                frame.data.len() as i64 * 8 / i64::from(sample_bits) / i64::from(channels.max(1));
            packet
                .set_duration(samples * i64::from(self.clock_rate) / i64::from(sample_rate.max(1)));
        }
        packet
    }
}

/// The listener has gone.
fn gone<T>(_: T) -> Failure {
    Failure::internal("the camera's reader is not listened to")
}

async fn within<F: Future>(what: &str, future: F) -> Result<F::Output, Failure> {
    tokio::time::timeout(PATIENCE, future).await.map_err(|_| {
        Failure::Problem(
            SourceProblemCode::Unreachable,
            format!(
                "the camera does not answer ({what}) within {} s",
                PATIENCE.as_secs()
            ),
        )
    })
}

/// NTP's 32.32 seconds since 1900 (RFC 5905 §6) as the time since 1970; none before 1970.
fn wall_clock(ntp: u64) -> Option<Micros> {
    let since = ntp.checked_sub(retina::UNIX_EPOCH.0)?;
    Some(Micros(((u128::from(since) * 1_000_000) >> 32) as i64))
}

/// Where datagrams are to come from, as the session shows it: `…-> 192.0.2.1:5000-5001`.
fn check_media_source(shown: &str, allow_local: bool) -> Result<(), Failure> {
    let Some((_, peer)) = shown.split_once("-> ") else {
        return Ok(());
    };
    let address = peer
        .rsplit_once(':')
        .and_then(|(host, _)| host.trim_matches(['[', ']']).parse().ok());
    match address {
        Some(address) if connect::media_source_allowed(address, allow_local) => Ok(()),
        _ => Err(Failure::Problem(
            SourceProblemCode::AddressRefused,
            format!("the camera has media come from {peer}, which may not be"),
        )),
    }
}

/// What the session's error says, without the context behind it.
fn first_line(error: &retina::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// What an error of the handshake means.
fn failure(error: &retina::Error, camera: &Camera) -> Failure {
    let line = first_line(error);
    let (code, message) = match error.status_code() {
        Some(401) if camera.credentials.is_none() => (
            SourceProblemCode::AccessDenied,
            "the camera asks for a user name and password: put them below --credentials-dir and \
             name them in the stream's credentials"
                .to_owned(),
        ),
        Some(401 | 403) => (
            SourceProblemCode::AccessDenied,
            format!("the camera refuses the user name or password ({line})"),
        ),
        Some(404 | 454) => (
            SourceProblemCode::NotFound,
            format!("the camera has nothing at this path ({line})"),
        ),
        Some(300..=399) => (
            SourceProblemCode::AddressRefused,
            format!(
                "the camera sends to another address, which is not followed: give the stream that \
                 address itself ({line})"
            ),
        ),
        Some(461) => (
            SourceProblemCode::Unreachable,
            format!(
                "the camera does not send by {:?} ({line})",
                camera.transport
            ),
        ),
        // Answered, but not with what it should be.
        Some(200..=299) => (
            SourceProblemCode::InvalidFormat,
            format!("the camera's answer cannot be understood ({line})"),
        ),
        None if line.starts_with("RTSP framing error") => (
            SourceProblemCode::InvalidFormat,
            format!("it does not speak RTSP as it should ({line})"),
        ),
        _ => (
            SourceProblemCode::Unreachable,
            format!("the camera cannot be reached: {line}"),
        ),
    };
    Failure::Problem(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_is_read() {
        assert_eq!(wall_clock(0), None);
        let ntp = (2_208_988_800_u64 + 5) << 32 | 1 << 31;
        assert_eq!(wall_clock(ntp), Some(Micros(5_500_000)));
    }

    #[test]
    fn media_from_forbidden_places_is_refused() {
        let from = |peer: &str| format!("10.0.0.1:5000-5001(me) -> {peer}");
        for (peer, allowed) in [
            ("192.168.1.20:6000-6001", true),
            ("127.0.0.1:6000-6001", false),
            ("169.254.169.254:53-54", false),
        ] {
            assert_eq!(
                check_media_source(&from(peer), false).is_ok(),
                allowed,
                "{peer}"
            );
            assert!(check_media_source(&from(peer), true).is_ok());
        }
        assert!(check_media_source("TCP, interleaved channel ids 0-1", false).is_ok());
    }
}
