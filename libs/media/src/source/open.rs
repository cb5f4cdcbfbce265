//! Opens local files for reading.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::PathBuf,
};

use super::{
    Failure,
    demux::{Media, Opener},
};
use crate::SourceProblemCode;

/// Opens the file at `path`, which must be a regular file.
pub(super) fn local(path: PathBuf) -> Opener {
    Box::new(move || {
        let failed = |error: std::io::Error| {
            let (code, text) = match error.kind() {
                ErrorKind::NotFound => (SourceProblemCode::NotFound, "the file does not exist"),
                ErrorKind::PermissionDenied => {
                    (SourceProblemCode::AccessDenied, "the file may not be read")
                }
                _ => (SourceProblemCode::Unreachable, "the file cannot be read"),
            };
            Failure::Problem(code, format!("{text}: {} ({error})", path.display()))
        };
        // Before opening: a pipe would block.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(Failure::Problem(
                SourceProblemCode::InvalidFormat,
                format!("{} is not a file", path.display()),
            ));
        }
        let file: Box<dyn Media> = Box::new(File::open(&path).map_err(failed)?);
        Ok(file)
    })
}
