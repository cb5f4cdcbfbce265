//! Reads the credentials that a spec names, from files that the operator puts there.
//!
//! `<credentials-dir>/<name>` is a folder with the files `username` and `password` (as Kubernetes
//! mounts a secret of type `kubernetes.io/basic-auth`) and maybe `ca.crt`, or a file with one line
//! `user:password`. They are read anew for each connection, so that a change counts at the next.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use reelay_media::Credentials;
use reelay_model::CredentialsName;

/// Longer files hold something else.
const MOST_BYTES: u64 = 64 * 1024;

/// What is needed to log in at a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User name and password.
    pub credentials: Credentials,
    /// Certificates in PEM that the camera's own is signed by.
    pub authority: Option<String>,
}

/// Why there are no credentials. Never holds what stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The service has no folder of credentials.
    #[error("credentials {0} are named, but ingest has none: start it with --credentials-dir")]
    NoFolder(String),
    /// A file is not there or cannot be read.
    #[error("credentials {name}: {file} cannot be read: {reason}")]
    File {
        /// The name in the spec.
        name: String,
        /// Which file, below the folder.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error(
        "credentials {0} hold no user name and password: a folder with the files username and \
         password, or a file with one line user:password"
    )]
    Malformed(String),
}

/// Reads the credentials of this name.
///
/// # Errors
/// They are not there, not below the folder after links are resolved, or not in the right form.
pub fn read(folder: Option<&Path>, name: &CredentialsName) -> Result<Login, CredentialsError> {
    let text = name.as_str();
    let folder = folder.ok_or_else(|| CredentialsError::NoFolder(text.to_owned()))?;
    let failed = |file: &str| {
        let file = file.to_owned();
        move |error: io::Error| CredentialsError::File {
            name: text.to_owned(),
            file,
            reason: error.to_string(),
        }
    };
    let malformed = || CredentialsError::Malformed(text.to_owned());
    let place = below(folder, Path::new(text)).map_err(failed(text))?;
    let (username, password, authority) = if place.is_dir() {
        let file = |part: &str| {
            let shown = format!("{text}/{part}");
            below(folder, &Path::new(text).join(part))
                .and_then(|path| contents(&path))
                .map_err(failed(&shown))
        };
        let authority = match file("ca.crt") {
            Ok(authority) => Some(authority),
            Err(_) if !place.join("ca.crt").exists() => None,
            Err(error) => return Err(error),
        };
        (file("username")?, file("password")?, authority)
    } else {
        let line = contents(&place).map_err(failed(text))?;
        let (username, password) = trimmed(&line).split_once(':').ok_or_else(malformed)?;
        (username.to_owned(), password.to_owned(), None)
    };
    let (username, password) = (trimmed(&username), trimmed(&password));
    if username.is_empty() || [username, password].iter().any(|part| part.contains('\n')) {
        return Err(malformed());
    }
    Ok(Login {
        credentials: Credentials {
            username: username.to_owned(),
            password: password.to_owned(),
        },
        authority,
    })
}

/// Without the line end that editors put there.
fn trimmed(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

fn below(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let found = folder.join(path).canonicalize()?;
    if found.starts_with(folder.canonicalize()?) {
        Ok(found)
    } else {
        Err(io::Error::other("it leads out of the credentials folder"))
    }
}

fn contents(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::Error::other("the file is too long"));
    }
    // The error of text that is no UTF-8 does not hold the text.
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn read_from(folder: &Path, name: &str) -> Result<Login, CredentialsError> {
        read(Some(folder), &name.parse().unwrap())
    }

    #[test]
    fn a_file_or_a_folder_as_kubernetes_mounts_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("line"), "admin:pass:word\n").unwrap();
        let line = read_from(dir.path(), "line").unwrap();
        assert_eq!(line.credentials.username, "admin");
        assert_eq!(line.credentials.password, "pass:word");
        assert_eq!(line.authority, None);

        // A mounted secret: links to a folder whose name changes with its content.
        let folder = dir.path().join("door");
        fs::create_dir_all(folder.join("..2026")).unwrap();
        symlink("..2026", folder.join("..data")).unwrap();
        for (file, content) in [
            ("username", "viewer"),
            ("password", "se cret"),
            ("ca.crt", "PEM"),
        ] {
            fs::write(folder.join("..2026").join(file), content).unwrap();
            symlink(format!("..data/{file}"), folder.join(file)).unwrap();
        }
        let door = read_from(dir.path(), "door").unwrap();
        assert_eq!(door.credentials.username, "viewer");
        assert_eq!(door.credentials.password, "se cret");
        assert_eq!(door.authority.as_deref(), Some("PEM"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "hunter2:hunter2").unwrap();
        symlink(outside.path().join("secret"), dir.path().join("out")).unwrap();
        fs::write(dir.path().join("plain"), "hunter2").unwrap();
        fs::write(dir.path().join("two"), "hunter2:a\nhunter2:b\n").unwrap();
        fs::create_dir(dir.path().join("half")).unwrap();
        fs::write(dir.path().join("half/username"), "hunter2").unwrap();
        for (name, words) in [
            ("gone", "gone cannot be read"),
            ("out", "leads out"),
            ("plain", "no user name and password"),
            ("two", "no user name and password"),
            ("half", "half/password"),
        ] {
            let error = read_from(dir.path(), name).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = read(None, &"door".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--credentials-dir"), "{error}");
    }
}
