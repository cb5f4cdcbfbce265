//! Folders for a test's data that go away with the test, or with the next one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::Error;

const PREFIX: &str = "reelay-test-";
const LOCK: &str = ".owner";

/// A younger folder may not have its lock yet.
const SWEEP_AFTER: Duration = Duration::from_secs(60);

/// A folder in the system's place for temporary files, removed when this is dropped.
///
/// What lives in a `static`, or in a process that is killed, is never dropped: the
/// folder is locked while its owner lives, and each new one removes those without owner.
#[derive(Debug)]
pub struct ScratchDir {
    dir: tempfile::TempDir,
    _lock: File,
}

impl ScratchDir {
    /// Makes a folder with `name` in its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the place for temporary files cannot be written to.
    pub fn new(name: &str) -> Result<Self, Error> {
        sweep(&std::env::temp_dir());
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{name}-"))
            .tempdir()
            .map_err(Error::io("making a scratch folder"))?;
        let lock = dir.path().join(LOCK);
        let file =
            File::create(&lock).map_err(Error::io(format!("creating {}", lock.display())))?;
        file.lock()
            .map_err(Error::io(format!("locking {}", lock.display())))?;
        Ok(Self { dir, _lock: file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the folders whose owners are gone. What cannot be removed is someone else's.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(dir: &PathBuf) -> bool {
    let age = fs::metadata(dir)
        .and_then(|m| m.modified())
        .ok()
        .and_then(|t| t.elapsed().ok());
    if age.is_none_or(|age| age < SWEEP_AFTER) {
        return false;
    }
    File::open(dir.join(LOCK)).is_ok_and(|file| file.try_lock().is_ok())
}
