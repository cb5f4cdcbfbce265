//! The certificate: read at the start, and again when its files change.

use std::io;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use reelay_runtime::CancellationToken;

use crate::config::TlsFiles;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Reads certificate and key; HTTP/2 and HTTP/1.1 are offered.
///
/// # Errors
/// The files cannot be read, or do not hold a certificate chain and its key.
pub(super) async fn load(files: &TlsFiles) -> io::Result<RustlsConfig> {
    // Fails only where one was installed before, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = read(files).await?;
    RustlsConfig::from_pem(certificate, key)
        .await
        .map_err(|error| {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            io::Error::new(
                error.kind(),
                format!("cannot use {certificate} with {key}: {error}"),
            )
        })
}

/// What a look at the files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Same,
    Renewed,
    Unusable,
}

/// Takes up new files when they were changed and fit each other; keeps the old ones otherwise.
pub(super) async fn reload(files: TlsFiles, config: RustlsConfig, shutdown: CancellationToken) {
    let mut known = read(&files).await.ok();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        look(&files, &config, &mut known).await;
    }
}

async fn look(
    files: &TlsFiles,
    config: &RustlsConfig,
    known: &mut Option<(Vec<u8>, Vec<u8>)>,
) -> Look {
    // A file may be missing for a moment while both are being replaced.
    let Ok(found) = read(files).await else {
        return Look::Unusable;
    };
    if known.as_ref() == Some(&found) {
        return Look::Same;
    }
    let (certificate, key) = found.clone();
    *known = Some(found);
    let file = files.certificate.display();
    match config.reload_from_pem(certificate, key).await {
        Ok(()) => {
            tracing::info!(%file, "certificate was renewed");
            Look::Renewed
        }
        Err(error) => {
            tracing::error!(%file, %error, "new certificate cannot be used, the old one is kept");
            Look::Unusable
        }
    }
}

async fn read(files: &TlsFiles) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let explain = |path: &std::path::Path, error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let certificate = tokio::fs::read(&files.certificate)
        .await
        .map_err(|error| explain(&files.certificate, error))?;
    let key = tokio::fs::read(&files.key)
        .await
        .map_err(|error| explain(&files.key, error))?;
    Ok((certificate, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_that_do_not_fit_leave_the_good_ones_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let write = || {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(&files.certificate, made.cert.pem()).unwrap();
            std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        };
        write();
        let config = load(&files).await.unwrap();
        let mut known = read(&files).await.ok();
        assert_eq!(look(&files, &config, &mut known).await, Look::Same);
        let first = config.get_inner();
        std::fs::write(&files.key, "no key").unwrap();
        assert_eq!(look(&files, &config, &mut known).await, Look::Unusable);
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(look(&files, &config, &mut known).await, Look::Unusable);
        assert!(std::sync::Arc::ptr_eq(&first, &config.get_inner()));
        write();
        assert_eq!(look(&files, &config, &mut known).await, Look::Renewed);
        assert!(!std::sync::Arc::ptr_eq(&first, &config.get_inner()));
    }
}
