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

/// Takes up new files when they were changed and fit each other; keeps the old ones otherwise.
pub(super) async fn reload(files: TlsFiles, config: RustlsConfig, shutdown: CancellationToken) {
    let mut known = read(&files).await.ok();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let Ok(found) = read(&files).await else {
            continue;
        };
        if known.as_ref() == Some(&found) {
            continue;
        }
        let (certificate, key) = found.clone();
        match config.reload_from_pem(certificate, key).await {
            Ok(()) => {
                tracing::info!(file = %files.certificate.display(), "certificate was renewed")
            }
            Err(error) => {
                let file = files.certificate.display();
                tracing::error!(%file, %error, "new certificate cannot be used, the old one is kept");
            }
        }
        known = Some(found);
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
