//! A webcam as a source: FFmpeg's input devices, read on a thread of its own.
//!
//! Tests have no camera. They open FFmpeg's virtual device `lavfi` in its place, which draws a
//! picture, through all of this code but the driver.

use std::{
    io::Write,
    path::Path,
    sync::{
        atomic::AtomicBool,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use ffmpeg_next::{
    Dictionary, Error, Packet, ffi,
    format::{self, context::Input, format::Format},
    media,
};
use reelay_model::Micros;

use super::{
    Failure,
    demux::StreamInfo,
    interleave::Which,
    line::TimeBase,
    live::{self, FromLive, LiveInfo},
};
use crate::{DeviceKind, SourceJob, SourceProblemCode, worker::Output};

/// Pictures that are read ahead. Raw ones are large, and late ones of no use.
const READ_AHEAD: usize = 4;

// The bindings' own feature for it would build them anew for this one function.
#[link(name = "avdevice")]
unsafe extern "C" {
    fn avdevice_register_all();
}

/// Plays the device until asked to stop.
pub(super) fn run<W: Write>(
    job: &SourceJob,
    kind: DeviceKind,
    name: String,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Failure> {
    let (to_player, packets) = sync_channel(READ_AHEAD);
    // Detached: when the player ends, so does the process, and the device is free again.
    thread::Builder::new()
        .name("device".to_owned())
        .spawn(move || {
            if let Err(failure) = read(kind, &name, &to_player) {
                // When nobody listens there is nobody to tell.
                let _ = to_player.send(FromLive::Failed(failure));
            }
        })
        .map_err(|error| Failure::internal(format!("no thread for the device: {error}")))?;
    live::run(job, &packets, stop, output)
}

fn read(kind: DeviceKind, name: &str, to: &SyncSender<FromLive>) -> Result<(), Failure> {
    let mut input = open(kind, name)?;
    let stream = input
        .streams()
        .find(|stream| stream.parameters().medium() == media::Type::Video)
        .ok_or_else(|| {
            Failure::Problem(
                SourceProblemCode::NoMedia,
                format!("the device {name} gives no picture"),
            )
        })?;
    let index = stream.index();
    let base = stream.time_base();
    let rate = stream.rate();
    let video = StreamInfo {
        parameters: stream.parameters(),
        base: TimeBase {
            numerator: base.numerator().into(),
            denominator: base.denominator().into(),
        },
        frame_rate: (rate.numerator() > 0 && rate.denominator() > 0).then_some(rate),
    };
    let gone = |_| Failure::internal("the device's reader is not listened to");
    to.send(FromLive::Opened(LiveInfo {
        video: Some(video),
        audio: None,
    }))
    .map_err(gone)?;
    loop {
        let mut packet = Packet::empty();
        match packet.read(&mut input) {
            Ok(()) if packet.stream() == index => {
                let message = FromLive::Packet {
                    which: Which::Video,
                    packet,
                    arrival: Micros::now(),
                };
                to.send(message).map_err(gone)?;
            }
            Ok(()) => {}
            Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {}
            Err(error) => {
                return Err(Failure::Problem(
                    SourceProblemCode::Unreachable,
                    format!("the device {name} gives nothing any more: {error}"),
                ));
            }
        }
    }
}

fn open(kind: DeviceKind, name: &str) -> Result<Input, Failure> {
    let driver = match kind {
        DeviceKind::V4l2 => c"video4linux2,v4l2",
        DeviceKind::Drawn => c"lavfi",
    };
    // SAFETY: FFmpeg's own list of devices is made, as it asks for before one is looked up; the
    // string ends with a zero byte, and what is found lives as long as the program.
    let found = unsafe {
        avdevice_register_all();
        ffi::av_find_input_format(driver.as_ptr())
    };
    if found.is_null() {
        return Err(Failure::internal(format!(
            "this FFmpeg knows no {driver:?} devices"
        )));
    }
    // SAFETY: not null, and it lives as long as the program.
    let found = unsafe { format::format::Input::wrap(found.cast_mut()) };
    let opened = format::open_with(Path::new(name), &Format::Input(found), Dictionary::new());
    match opened {
        Ok(context) => Ok(context.input()),
        Err(error) => {
            let code = match error {
                Error::Other { errno } if errno == ffmpeg_next::error::ENOENT => {
                    SourceProblemCode::NotFound
                }
                Error::Other { errno } if errno == ffmpeg_next::error::EACCES => {
                    SourceProblemCode::AccessDenied
                }
                _ => SourceProblemCode::Unreachable,
            };
            Err(Failure::Problem(
                code,
                format!("the device {name} cannot be opened: {error}"),
            ))
        }
    }
}
