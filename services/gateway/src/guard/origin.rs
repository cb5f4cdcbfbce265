//! Where a request was made from, as the browser tells.

use std::fmt;
use std::str::FromStr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use url::Url;

/// Scheme, host and port of a gateway, as browsers write it: `https://cams.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allowed: http(s)://host or http(s)://host:port, without a path")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let url = Url::parse(text).map_err(|_| NotAnOrigin)?;
        let bare = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if bare {
            Ok(Self(url.origin().ascii_serialization()))
        } else {
            Err(NotAnOrigin)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a request to `host` comes from a page of that host, or from no page at all.
///
/// Browsers send `Origin` with writes and WebSockets; programs send neither it nor
/// `Sec-Fetch-Site`. The scheme is left out, as a proxy may have taken TLS off.
pub fn same_origin(headers: &HeaderMap, host: &str) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if !sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none")) {
        return false;
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => origin.to_str().is_ok_and(|origin| is_of_host(origin, host)),
        (Some(_), Some(_)) => false,
    }
}

fn is_of_host(origin: &str, host: &str) -> bool {
    let default = match origin.split_once("://") {
        Some(("http", _)) => 80,
        Some(("https", _)) => 443,
        _ => return false,
    };
    let Ok(Origin(origin)) = origin.parse() else {
        return false;
    };
    let of = |authority: &str| {
        let authority: Authority = authority.parse().ok()?;
        let port = authority.port_u16().unwrap_or(default);
        Some((authority.host().to_ascii_lowercase(), port))
    };
    let authority = origin
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    matches!((of(authority), of(host)), (Some(from), Some(to)) if from == to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn pages_of_the_host_and_programs_pass() {
        for (pairs, host) in [
            (&[][..], "localhost:8080"),
            (&[("origin", "http://localhost:8080")], "localhost:8080"),
            (
                &[
                    ("origin", "http://localhost:8080"),
                    ("sec-fetch-site", "same-origin"),
                ],
                "LOCALHOST:8080",
            ),
            (&[("origin", "https://cams.example")], "cams.example"),
            (&[("origin", "https://cams.example")], "cams.example:443"),
            (&[("origin", "http://[::1]:8080")], "[::1]:8080"),
        ] {
            assert!(same_origin(&headers(pairs), host), "{pairs:?} {host}");
        }
    }

    #[test]
    fn other_pages_do_not() {
        for (pairs, host) in [
            (&[("origin", "http://evil.example")][..], "localhost:8080"),
            (&[("origin", "http://localhost:8081")], "localhost:8080"),
            (&[("origin", "http://localhost")], "localhost:8080"),
            (&[("origin", "https://cams.example")], "cams.example:80"),
            (&[("origin", "null")], "localhost:8080"),
            (
                &[("origin", "http://localhost:8080.evil.example")],
                "localhost:8080",
            ),
            (
                &[("origin", "http://localhost:8080@evil.example")],
                "localhost:8080",
            ),
            (&[("sec-fetch-site", "cross-site")], "localhost:8080"),
            (&[("sec-fetch-site", "same-site")], "localhost:8080"),
            (&[("origin", "")], "localhost:8080"),
        ] {
            assert!(!same_origin(&headers(pairs), host), "{pairs:?} {host}");
        }
        let mut two = headers(&[("origin", "http://localhost:8080")]);
        two.append("origin", "http://evil.example".parse().unwrap());
        assert!(!same_origin(&two, "localhost:8080"));
    }
}
