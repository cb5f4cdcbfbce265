//! From a camera's address to one that may be connected to.
//!
//! The name is resolved here, and the session gets the number: a name cannot lead elsewhere later
//! (DNS rebinding). `rtsps` is a local bridge to TLS, since the session speaks plain RTSP only.

use std::net::{IpAddr, SocketAddr};

use reelay_model::classify;
use url::Url;

use super::{Camera, tls};
use crate::{SourceProblemCode, source::Failure};

const RTSP_PORT: u16 = 554;
const RTSPS_PORT: u16 = 322;

/// Where the session is to go.
pub(super) struct Target {
    /// With a number for a host.
    pub url: Url,
    /// Carries the bytes where TLS is spoken, as long as it lives.
    pub bridge: Option<tls::Bridge>,
}

/// Resolves and checks the camera's address.
pub(super) async fn target(camera: &Camera) -> Result<Target, Failure> {
    let refused = |text: &str| Failure::Problem(SourceProblemCode::AddressRefused, text.to_owned());
    let mut url = Url::parse(&camera.url)
        .ok()
        .filter(|url| matches!(url.scheme(), "rtsp" | "rtsps"))
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| refused("only rtsp(s) addresses without credentials can be played"))?;
    let secure = url.scheme() == "rtsps";
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = url
        .port()
        .unwrap_or(if secure { RTSPS_PORT } else { RTSP_PORT });
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|error| {
            Failure::Problem(
                SourceProblemCode::Unreachable,
                format!("the name {host} is not known: {error}"),
            )
        })?
        .collect();
    for address in &addresses {
        let class = classify(address.ip());
        if !camera.allow_local && !class.allowed_by_default() {
            return Err(refused(&format!(
                "{address} is {}, which may not be connected to",
                class.describe()
            )));
        }
    }
    // Names with addresses of both kinds are rare among cameras, IPv4 is not.
    let address = addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or(addresses.first())
        .copied()
        .ok_or_else(|| {
            Failure::Problem(
                SourceProblemCode::Unreachable,
                format!("the name {host} has no address"),
            )
        })?;
    let bridge = match secure {
        true => Some(tls::Bridge::start(&host, address, camera.authority.as_deref()).await?),
        false => None,
    };
    let reached = bridge.as_ref().map_or(address, tls::Bridge::address);
    let host = match reached.ip() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let moved = url.set_scheme("rtsp").is_ok()
        && url.set_host(Some(&host)).is_ok()
        && url.set_port(Some(reached.port())).is_ok();
    if !moved {
        return Err(refused("the address cannot be used"));
    }
    Ok(Target { url, bridge })
}

/// Whether the camera may have media come from this place (the `source` of its SETUP answer).
pub(super) fn media_source_allowed(address: IpAddr, allow_local: bool) -> bool {
    allow_local || classify(address).allowed_by_default()
}
