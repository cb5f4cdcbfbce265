//! RTSP over TLS: a bridge on this machine between the session, which speaks plain RTSP, and the
//! camera.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{SourceProblemCode, source::Failure};

/// Carries bytes between a port on loopback and the camera, as long as it lives.
pub(super) struct Bridge {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bridge {
    /// Connects to the camera and checks its certificate, which has to be for `host`, and signed
    /// by `authority` (certificates in PEM) or, without one, by an authority that this system
    /// trusts.
    pub(super) async fn start(
        host: &str,
        camera: SocketAddr,
        authority: Option<&str>,
    ) -> Result<Self, Failure> {
        let broken = |error: String| Failure::internal(format!("no TLS: {error}"));
        let config = config(authority)?;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(host.to_owned()).map_err(|e| broken(e.to_string()))?;
        let first = connect(&connector, &name, camera).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|e| broken(e.to_string()))?;
        let address = listener.local_addr().map_err(|e| broken(e.to_string()))?;
        let task = tokio::spawn(async move {
            let mut ready = Some(first);
            // The session connects again to say goodbye where its connection has broken.
            while let Ok((mut near, _)) = listener.accept().await {
                let far = match ready.take() {
                    Some(far) => Ok(far),
                    None => connect(&connector, &name, camera).await,
                };
                if let Ok(mut far) = far {
                    // How it ends is seen by both sides.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Where the session connects to.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn config(authority: Option<&str>) -> Result<ClientConfig, Failure> {
    let broken = |error: String| Failure::internal(format!("no TLS: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| broken(e.to_string()))?;
    let Some(authority) = authority else {
        return Ok(builder
            .with_platform_verifier()
            .map_err(|e| broken(e.to_string()))?
            .with_no_client_auth());
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        certificate
            .map_err(|e| e.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|e| e.to_string()))
            .map_err(|error| {
                Failure::Problem(
                    SourceProblemCode::AccessDenied,
                    format!("ca.crt of the credentials cannot be read: {error}"),
                )
            })?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn connect(
    connector: &TlsConnector,
    name: &ServerName<'static>,
    camera: SocketAddr,
) -> Result<TlsStream<TcpStream>, Failure> {
    let stream = TcpStream::connect(camera).await.map_err(|error| {
        Failure::Problem(
            SourceProblemCode::Unreachable,
            format!("the camera cannot be reached: {error}"),
        )
    })?;
    connector
        .connect(name.clone(), stream)
        .await
        .map_err(|error| {
            Failure::Problem(
                SourceProblemCode::Unreachable,
                format!(
                    "the camera's TLS is not accepted: {error}; a camera that signs its own \
                     certificate needs it as ca.crt in its credentials folder"
                ),
            )
        })
}
