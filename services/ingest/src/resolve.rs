//! From the address in a spec to what a media worker opens.
//!
//! A file must lie below the media directory after all links are resolved. Network addresses are
//! checked by the worker when it connects, after DNS and at every redirect; what can be told
//! from the address alone is refused here already.

use std::path::{Path, PathBuf};

use reelay_media::{DeviceKind, SourceInput};
use reelay_model::{CredentialsName, SourceAddress, classify, literal_address};
use url::Url;

use crate::credentials::{self, CredentialsError};

/// Which places sources may come from, by this service's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePolicy {
    /// Directory that `file:` sources lie in, links resolved; none: no file sources.
    pub media_dir: Option<PathBuf>,
    /// Directory of the credentials that specs name; none: no credentials.
    pub credentials_dir: Option<PathBuf>,
    /// Devices that may be opened, by the paths that specs name.
    pub v4l2_devices: Vec<String>,
    /// Whether loopback, link-local and metadata addresses are allowed.
    pub allow_local_sources: bool,
}

/// Why an address gives no input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The service has no media directory.
    #[error("file sources need a media directory: start ingest with --media-dir")]
    NoMediaDir,
    /// The file is not there or cannot be looked at.
    #[error("{path} below the media directory: {reason}")]
    File {
        /// Path as the spec says it.
        path: String,
        /// What the system said.
        reason: String,
        /// Whether the system said that there is no such file.
        missing: bool,
    },
    /// A link leads out of the media directory.
    #[error("{path} leads out of the media directory")]
    Outside {
        /// Path as the spec says it.
        path: String,
    },
    /// No regular file.
    #[error("{path} below the media directory is no file")]
    NotAFile {
        /// Path as the spec says it.
        path: String,
    },
    /// The address is one that only this service can reach.
    #[error("{host} is {class}; ingest refuses it unless started with --allow-local-sources")]
    Address {
        /// Host as the spec says it.
        host: String,
        /// What kind of address.
        class: &'static str,
    },
    /// The device is not one of those that the operator has listed.
    #[error("ingest may not open {0}: start it with --v4l2-device {0} if it shall")]
    Device(String),
    /// The credentials that the spec names are of no use.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl ResolveError {
    /// The code that the stream's status shows, as those of
    /// [`SourceProblemCode`](reelay_media::SourceProblemCode).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { missing: true, .. } => "not-found",
            Self::File { .. } | Self::Outside { .. } | Self::NoMediaDir => "access-denied",
            Self::NotAFile { .. } => "invalid-format",
            Self::Address { .. } | Self::Device(_) => "address-refused",
            Self::Credentials(_) => "no-credentials",
        }
    }
}

/// What a worker opens for `address`.
///
/// # Errors
/// The address names nothing that this service may open.
pub fn resolve(
    address: &SourceAddress,
    credentials: Option<&CredentialsName>,
    policy: &SourcePolicy,
) -> Result<SourceInput, ResolveError> {
    match address {
        SourceAddress::Synthetic(camera) => Ok(SourceInput::Synthetic(camera.clone())),
        SourceAddress::File(path) => {
            let media_dir = policy
                .media_dir
                .as_deref()
                .ok_or(ResolveError::NoMediaDir)?;
            Ok(SourceInput::File {
                path: file_below(media_dir, path)?,
            })
        }
        SourceAddress::Http(url) => {
            if !policy.allow_local_sources {
                refuse_local(url)?;
            }
            Ok(SourceInput::Http {
                url: url.to_string(),
                allow_local: policy.allow_local_sources,
            })
        }
        SourceAddress::V4l2(path) => {
            if !policy.v4l2_devices.iter().any(|device| **device == **path) {
                return Err(ResolveError::Device(path.to_string()));
            }
            Ok(SourceInput::Device {
                kind: DeviceKind::V4l2,
                name: path.to_string(),
            })
        }
        SourceAddress::Rtsp(address) => {
            if !policy.allow_local_sources {
                refuse_local(address.url())?;
            }
            let login = credentials
                .map(|name| credentials::read(policy.credentials_dir.as_deref(), name))
                .transpose()?;
            let (credentials, authority) = match login {
                Some(login) => (Some(login.credentials), login.authority),
                None => (None, None),
            };
            Ok(SourceInput::Rtsp {
                url: address.url().to_string(),
                transport: address.transport(),
                credentials,
                authority,
                allow_local: policy.allow_local_sources,
            })
        }
    }
}

fn file_below(media_dir: &Path, path: &str) -> Result<PathBuf, ResolveError> {
    let file = media_dir
        .join(path)
        .canonicalize()
        .map_err(|error| ResolveError::File {
            path: path.to_owned(),
            reason: error.to_string(),
            missing: error.kind() == std::io::ErrorKind::NotFound,
        })?;
    if !file.starts_with(media_dir) {
        return Err(ResolveError::Outside {
            path: path.to_owned(),
        });
    }
    if !file.is_file() {
        return Err(ResolveError::NotAFile {
            path: path.to_owned(),
        });
    }
    Ok(file)
}

fn refuse_local(url: &Url) -> Result<(), ResolveError> {
    let Some(address) = literal_address(url) else {
        return Ok(());
    };
    let class = classify(address);
    if class.allowed_by_default() {
        return Ok(());
    }
    Err(ResolveError::Address {
        host: address.to_string(),
        class: class.describe(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn address(text: &str) -> SourceAddress {
        text.parse().unwrap()
    }

    fn policy(media_dir: Option<&Path>) -> SourcePolicy {
        SourcePolicy {
            media_dir: media_dir.map(|path| path.canonicalize().unwrap()),
            credentials_dir: None,
            v4l2_devices: Vec::new(),
            allow_local_sources: false,
        }
    }

    #[test]
    fn files_lie_below_the_media_directory_after_links() {
        let dir = tempfile::tempdir().unwrap();
        let media = dir.path().join("media");
        fs::create_dir_all(media.join("clips")).unwrap();
        fs::write(media.join("clips/a.mp4"), "x").unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        symlink("clips/a.mp4", media.join("inside")).unwrap();
        symlink(dir.path().join("secret"), media.join("outside")).unwrap();
        symlink(dir.path(), media.join("up")).unwrap();

        let policy = policy(Some(&media));
        let code = |text: &str| resolve(&address(text), None, &policy).map_err(|e| e.code());
        let real = policy.media_dir.clone().unwrap().join("clips/a.mp4");
        assert_eq!(
            code("file:clips/a.mp4"),
            Ok(SourceInput::File { path: real.clone() })
        );
        assert_eq!(code("file:inside"), Ok(SourceInput::File { path: real }));
        assert_eq!(code("file:outside"), Err("access-denied"));
        assert_eq!(code("file:up/secret"), Err("access-denied"));
        assert_eq!(code("file:clips"), Err("invalid-format"));
        assert_eq!(code("file:gone.mp4"), Err("not-found"));
    }

    #[test]
    fn without_a_media_directory_there_are_no_files() {
        let error = resolve(&address("file:a.mp4"), None, &policy(None)).unwrap_err();
        assert!(error.to_string().contains("--media-dir"), "{error}");
    }

    #[test]
    fn only_listed_devices_are_opened() {
        let mut policy = policy(None);
        let webcam = address("v4l2:/dev/video0");
        let refused = resolve(&webcam, None, &policy).unwrap_err();
        assert_eq!(refused.code(), "address-refused");
        assert!(refused.to_string().contains("--v4l2-device /dev/video0"));
        policy.v4l2_devices.push("/dev/video0".to_owned());
        assert!(resolve(&webcam, None, &policy).is_ok());
        assert!(resolve(&address("v4l2:/dev/video1"), None, &policy).is_err());
    }

    #[test]
    fn local_addresses_are_refused_unless_allowed() {
        for text in [
            "http://127.0.0.1/a.mp4",
            "http://[::1]/a",
            "http://169.254.169.254/x",
            "rtsp://127.0.0.1:8554/cam",
            "rtsp://0x7f000001/cam",
            "rtsps://localhost/cam",
        ] {
            let refused = resolve(&address(text), None, &policy(None)).unwrap_err();
            assert_eq!(refused.code(), "address-refused", "{text}");
            let allowing = SourcePolicy {
                media_dir: None,
                credentials_dir: None,
                v4l2_devices: Vec::new(),
                allow_local_sources: true,
            };
            assert!(resolve(&address(text), None, &allowing).is_ok(), "{text}");
        }
        assert!(resolve(&address("http://192.168.1.20/a.mp4"), None, &policy(None)).is_ok());
    }
}
