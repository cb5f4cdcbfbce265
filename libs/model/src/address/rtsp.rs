//! Addresses of cameras and servers that speak RTSP.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{FIELD, without_credentials};
use crate::FieldError;

const ALLOWED: &str = "rtsp:// or rtsps://, a host and a path, such as rtsp://camera.example/main; \
                       #transport=udp behind it has media come by UDP";

/// How media comes from a camera.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtspTransport {
    /// Over the connection itself (RFC 2326 §10.12): nothing is lost or out of order.
    #[default]
    Tcp,
    /// In datagrams, for cameras that do not send it otherwise.
    Udp,
}

/// Where a camera is, and how its media comes.
///
/// Written `rtsp://host:port/path?query`, with `#transport=udp` behind it where media is to come
/// by UDP: a fragment is never sent to the camera, whose own settings stand in the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtspAddress {
    /// Without credentials or fragment; has a host.
    url: Url,
    transport: RtspTransport,
}

impl RtspAddress {
    pub(super) fn parse(text: &str) -> Result<Self, FieldError> {
        // The text may hold a password: it is not repeated before it is known that it does not.
        let refused = || FieldError::new(FIELD, "an RTSP address that is no URL", ALLOWED);
        if text.len() > 2048 || text.contains(|c: char| c.is_control() || c == ' ') {
            return Err(refused());
        }
        let mut url = without_credentials(Url::parse(text).map_err(|_| refused())?)?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(FieldError::new(FIELD, url, ALLOWED));
        }
        let transport = match url.fragment() {
            None | Some("" | "transport=tcp") => RtspTransport::Tcp,
            Some("transport=udp") if url.scheme() == "rtsp" => RtspTransport::Udp,
            Some("transport=udp") => {
                return Err(FieldError::new(
                    FIELD,
                    &url,
                    "rtsps:// without #transport=udp: datagrams would not be encrypted",
                ));
            }
            Some(_) => return Err(FieldError::new(FIELD, &url, ALLOWED)),
        };
        url.set_fragment(None);
        Ok(Self { url, transport })
    }

    /// The address as it is sent to the camera.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// How media comes.
    pub const fn transport(&self) -> RtspTransport {
        self.transport
    }
}

impl fmt::Display for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)?;
        match self.transport {
            RtspTransport::Tcp => Ok(()),
            RtspTransport::Udp => f.write_str("#transport=udp"),
        }
    }
}
