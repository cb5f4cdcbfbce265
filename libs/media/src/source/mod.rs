//! Where packets come from.

mod demux;
mod device;
mod file;
mod http;
mod interleave;
mod line;
mod live;
mod open;
mod picture;
mod recode;
mod rtsp;
mod rules;
mod say;
mod sound;
mod synthetic;
mod tracks;

use std::{io::Write, sync::atomic::AtomicBool};

use crate::{
    SourceInput, SourceJob, SourceProblem, SourceProblemCode, av,
    codec::Malformed,
    worker::{Gone, Output},
};

/// Why a source ends before it is asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody listens any more.
    Gone(Gone),
    /// To be said as a fatal problem.
    Problem(SourceProblemCode, String),
}

impl Failure {
    /// The worker's own fault.
    fn internal(message: impl Into<String>) -> Self {
        Self::Problem(SourceProblemCode::Internal, message.into())
    }
}

impl Failure {
    /// As an error of reading, its words kept.
    fn into_io(self) -> std::io::Error {
        std::io::Error::other(match self {
            Self::Gone(gone) => gone.to_string(),
            Self::Problem(_, message) => message,
        })
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<ffmpeg_next::Error> for Failure {
    fn from(error: ffmpeg_next::Error) -> Self {
        Self::internal(format!("the encoder failed: {error}"))
    }
}

impl From<mp4_atom::Error> for Failure {
    fn from(error: mp4_atom::Error) -> Self {
        Self::internal(format!("a box cannot be written: {error}"))
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::internal(format!("the encoder's output cannot be read: {error}"))
    }
}

/// Runs a job to its end; fatal problems are said.
pub(crate) fn run<W: Write>(
    job: &SourceJob,
    stop: &AtomicBool,
    output: &mut Output<W>,
) -> Result<(), Gone> {
    let result = match (av::init(), &job.source) {
        (Err(error), _) => Err(error.into()),
        (Ok(()), SourceInput::Synthetic(settings)) => synthetic::run(job, settings, stop, output),
        (Ok(()), SourceInput::File { path }) => {
            file::run(job, open::local(path.clone()), stop, output)
        }
        (Ok(()), SourceInput::Http { url, allow_local }) => {
            file::run(job, http::remote(url.clone(), *allow_local), stop, output)
        }
        (
            Ok(()),
            SourceInput::Rtsp {
                url,
                transport,
                credentials,
                authority,
                allow_local,
            },
        ) => {
            let camera = rtsp::Camera {
                url: url.clone(),
                transport: *transport,
                credentials: credentials.clone(),
                authority: authority.clone(),
                allow_local: *allow_local,
            };
            rtsp::run(job, camera, stop, output)
        }
        (Ok(()), SourceInput::Device { kind, name }) => {
            device::run(job, *kind, name.clone(), stop, output)
        }
    };
    match result {
        Ok(()) => Ok(()),
        Err(Failure::Gone(gone)) => Err(gone),
        Err(Failure::Problem(code, message)) => output.problem(SourceProblem {
            code,
            message,
            lasting: true,
            fatal: true,
        }),
    }
}

/// For the fuzz targets: reads a camera's description in every way.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_description(sdp: &str) {
    rtsp::read_description(sdp);
}
