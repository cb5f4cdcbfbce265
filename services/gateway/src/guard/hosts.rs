//! The host names under which this gateway is known.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::http::uri::Authority;

/// Hosts that requests may name. The port does not count: an attacker chooses names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts(BTreeSet<String>);

/// A host name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`--public-host {0}` is not a host name; allowed: a name or address, such as cams.example.com"
)]
pub struct NotAHost(String);

impl Hosts {
    /// localhost, the loopback addresses, the address listened on, and `public`.
    ///
    /// # Errors
    /// One of `public` is not a host name.
    pub fn new(listen: IpAddr, public: &[String]) -> Result<Self, NotAHost> {
        let mut hosts: BTreeSet<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        if !listen.is_unspecified() {
            hosts.insert(match listen {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("[{v6}]"),
            });
        }
        for name in public {
            let sound = name.parse::<Authority>().is_ok() && !name.contains('@');
            let host = sound.then(|| host_of(name)).flatten();
            hosts.insert(host.ok_or_else(|| NotAHost(name.clone()))?);
        }
        Ok(Self(hosts))
    }

    /// Whether `authority` (a host, perhaps with a port) names one of them.
    pub fn knows(&self, authority: &str) -> bool {
        host_of(authority).is_some_and(|host| self.0.contains(&host))
    }
}

/// The host of `host[:port]` in lower case, without the dot that may end a full name.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_are_the_loopback_names_the_address_listened_on_and_what_is_configured() {
        let public = ["Cams.Example.com".to_owned(), "lb.example:8443".to_owned()];
        let hosts = Hosts::new("192.0.2.7".parse().unwrap(), &public).unwrap();
        for known in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "192.0.2.7:8080",
            "cams.example.com",
            "CAMS.example.com:443",
            "cams.example.com.",
            "lb.example",
        ] {
            assert!(hosts.knows(known), "{known}");
        }
        for foreign in [
            "",
            "evil.example",
            "cams.example.com.evil.example",
            "localhost.evil.example",
            "192.0.2.8",
            "127.0.0.2",
            "user@localhost",
            "evil.example:80@localhost",
            "local host",
        ] {
            assert!(!hosts.knows(foreign), "{foreign}");
        }
    }

    #[test]
    fn all_addresses_are_not_a_name() {
        let hosts = Hosts::new("0.0.0.0".parse().unwrap(), &[]).unwrap();
        assert!(!hosts.knows("0.0.0.0:8080"));
        assert!(Hosts::new("0.0.0.0".parse().unwrap(), &["a/b".to_owned()]).is_err());
    }
}
