//! Cameras that speak RTSP (RFC 2326): connects, logs in, and reads packets on a thread of its own.
//!
//! The session is the `retina` crate's (ADR 12): it follows no redirects, sends credentials only
//! where they are asked for, and hands out every packet as it comes. Addresses are checked before
//! they are connected to, see [`connect`].

mod connect;
mod describe;
mod session;
mod tls;

use std::{
    io::Write,
    sync::{
        atomic::AtomicBool,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use reelay_model::RtspTransport;

use super::{
    Failure,
    live::{self, FromLive},
};
use crate::{Credentials, SourceJob, worker::Output};

/// Packets that are read ahead while the player is busy.
const READ_AHEAD: usize = 256;
/// How long saying goodbye to the camera may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What is connected to.
#[derive(Debug, Clone)]
pub(super) struct Camera {
    pub url: String,
    pub transport: RtspTransport,
    pub credentials: Option<Credentials>,
    /// Certificates in PEM that the camera's is signed by; none: those that the system trusts.
    pub authority: Option<String>,
    /// Whether addresses that only this machine reaches are allowed.
    pub allow_local: bool,
}

/// Plays the camera until asked to stop.
pub(super) fn run<W: Write>(
    job: &SourceJob,
    camera: Camera,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let (to_player, packets) = sync_channel(READ_AHEAD);
    // Dropped when the thread has said goodbye to the camera.
    let (alive, gone) = sync_channel::<()>(0);
    thread::Builder::new()
        .name("rtsp".to_owned())
        .spawn(move || {
            let _alive = alive;
            read(&camera, &to_player);
        })
        .map_err(|error| Failure::internal(format!("no thread for the camera: {error}")))?;
    let result = live::run(job, &packets, stop, output);
    // The reader sees that nobody listens.
    drop(packets);
    // Ends with the thread, or when the time is over: either way the process may go.
    let _ = gone.recv_timeout(GOODBYE);
    result
}

fn read(camera: &Camera, to: &SyncSender<FromLive>) {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))
        .and_then(|runtime| runtime.block_on(session::play(camera, to)));
    if let Err(failure) = result {
        // When nobody listens there is nobody to tell.
        let _ = to.send(FromLive::Failed(failure));
    }
}

/// For the fuzz targets: reads a description in every way.
#[cfg(feature = "fuzzing")]
pub(super) fn read_description(sdp: &str) {
    for (media, encodings) in [
        ("video", &["h264", "h265", "av1", "vp9", "mp4v-es"][..]),
        ("audio", &["mpeg4-generic", "opus", "pcmu", "l16", "g722"]),
    ] {
        let parameters = describe::format_parameters(sdp, media, 96);
        for encoding in encodings {
            let described = describe::Described {
                encoding,
                clock_rate: 90_000,
                channels: 1,
                parameters,
            };
            let _ = (describe::video(&described), describe::audio(&described));
        }
    }
}
