//! What a worker is asked to do.

use std::path::PathBuf;

use reelay_model::{LatencyMode, Micros, RtspTransport, Synthetic, Ticks};
use serde::{Deserialize, Serialize};

use crate::Credentials;

/// The program that runs as a media worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProgram {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, such as a service's hidden `media-worker`.
    pub args: Vec<String>,
}

impl WorkerProgram {
    /// The program that is running now, with `argument` (which must make it call
    /// [`worker_main`](crate::worker_main)).
    ///
    /// # Errors
    /// When the system does not say what program this is.
    pub fn this_program(argument: &str) -> std::io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            args: vec![argument.to_owned()],
        })
    }
}

/// One source to be read, cut and packed by one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceJob {
    /// Id of the stream, for messages and logs only.
    pub stream: String,
    /// Where the media comes from.
    pub source: SourceInput,
    /// How it is to be prepared.
    pub latency: LatencyMode,
    /// Greatest length of a segment. A segment may be longer by less than half a second, as long
    /// as it still rounds to this (RFC 8216bis §4.4.3.1 compares rounded durations).
    pub greatest_segment: Micros,
    /// Length of a part that is aimed at; 200,000 µs by default.
    pub part_target: Micros,
    /// Where a predecessor stopped; none for a new time line, which starts at 0.
    pub resume: Option<Resume>,
}

impl SourceJob {
    /// A job with parts of 200 ms on a new time line.
    pub fn new(
        stream: impl Into<String>,
        source: SourceInput,
        latency: LatencyMode,
        greatest_segment: Micros,
    ) -> Self {
        Self {
            stream: stream.into(),
            source,
            latency,
            greatest_segment,
            part_target: Micros(200_000),
            resume: None,
        }
    }
}

/// Where the media comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceInput {
    /// A camera drawn by the worker itself.
    #[serde(with = "synthetic_address")]
    Synthetic(Synthetic),
    /// A local file, played at its own pace and looped.
    File {
        /// The file. The caller has resolved links and checked that it may be read.
        path: PathBuf,
    },
    /// A file fetched over HTTP(S), played at its own pace and looped.
    Http {
        /// Its address, without credentials.
        url: String,
        /// Whether addresses that [`reelay_model::classify`] refuses by default (loopback,
        /// link-local, metadata services) may be fetched from.
        allow_local: bool,
    },
    /// A camera or server that speaks RTSP, played as it sends.
    Rtsp {
        /// Its address, without credentials.
        url: String,
        /// How media comes.
        transport: RtspTransport,
        /// What it asks for.
        credentials: Option<Credentials>,
        /// Certificates in PEM by one of which its own is signed (`rtsps`); none: the authorities
        /// that the system trusts.
        authority: Option<String>,
        /// Whether addresses that [`reelay_model::classify`] refuses by default may be
        /// connected to.
        allow_local: bool,
    },
    /// A device of this machine, played as it gives.
    Device {
        /// Which driver.
        kind: DeviceKind,
        /// Its name there. The caller has checked that it may be opened.
        name: String,
    },
}

/// Drivers of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Video for Linux: a webcam, such as `/dev/video0`.
    V4l2,
    /// FFmpeg draws the picture that the name describes: a device for tests.
    Drawn,
}

impl SourceInput {
    /// What nobody may see.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Rtsp { credentials, .. } => credentials.as_ref(),
            _ => None,
        }
    }
}

/// Where to go on after a predecessor.
///
/// The new worker's first video frame has decode time [`video`](Self::video). A file goes on at
/// the first keyframe that lies `after` ticks or more behind the position `cursor`; if the file
/// does not have it (any more) it starts at the beginning and says so by
/// [`TracksMessage::discontinuity`](crate::TracksMessage::discontinuity).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// [`MediaChunk::cursor`](crate::MediaChunk::cursor) of the last known segment; none for
    /// sources that cannot seek, and for the synthetic camera.
    pub cursor: Option<u64>,
    /// How much of that segment has been published for good, in the video's timescale (of a
    /// stream without video: the audio's): its duration when it was complete, 0 when it is to be
    /// begun again.
    pub after: Ticks,
    /// Decode time at which the video goes on, in 1/90,000 s.
    pub video: Option<Ticks>,
    /// Decode time at which the audio goes on, in its timescale (its sample rate). Where it is
    /// more than half an audio frame away from `video`, the audio starts with the video instead.
    pub audio: Option<Ticks>,
    /// The predecessor stopped at the end of a segment: the time line continues, and the first
    /// [`TracksMessage`](crate::TracksMessage) says no discontinuity if the source allows it.
    pub boundary: bool,
}

/// Stores the camera's settings as its address, the one form that is validated.
mod synthetic_address {
    use reelay_model::{SourceAddress, Synthetic};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Synthetic, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&SourceAddress::Synthetic(value.clone()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Synthetic, D::Error> {
        match SourceAddress::deserialize(from)? {
            SourceAddress::Synthetic(value) => Ok(value),
            _ => Err(D::Error::custom("not the address of a synthetic camera")),
        }
    }
}
