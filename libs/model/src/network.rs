//! Which network addresses a source may be fetched from: a guard against server-side requests
//! to places that only the service can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What kind of place an IP address is, as far as fetching from it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// An ordinary host, private networks (RFC 1918, RFC 4193) included: cameras live there.
    Host,
    /// This machine itself (127.0.0.0/8, `::1`, the unspecified address).
    Loopback,
    /// Link-local (RFC 3927, RFC 4291 §2.5.6), where clouds keep their metadata services.
    LinkLocal,
    /// A cloud's metadata service outside the link-local range.
    Metadata,
    /// Not one host: multicast, broadcast or reserved.
    NotAHost,
}

impl AddressClass {
    /// Whether a source may be fetched from there without being configured.
    pub const fn allowed_by_default(self) -> bool {
        matches!(self, Self::Host)
    }

    /// The class in words, for error messages.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Host => "a host",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::NotAHost => "not the address of a host",
        }
    }
}

/// The address that a URL names by number, in any way of writing that name resolution would take
/// for a number, or as `localhost`; none for other names.
pub fn literal_address(url: &Url) -> Option<IpAddr> {
    let host = match url.host()? {
        // Other schemes than the web's leave numbers unread (URL standard §3.5, opaque hosts).
        Host::Domain(name) => Url::parse(&format!("http://{name}/"))
            .ok()?
            .host()?
            .to_owned(),
        other => other.to_owned(),
    };
    match host {
        Host::Ipv4(v4) => Some(v4.into()),
        Host::Ipv6(v6) => Some(v6.into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            (name == "localhost" || name.ends_with(".localhost"))
                .then_some(Ipv4Addr::LOCALHOST.into())
        }
    }
}

/// The class of `address`; IPv4 addresses in IPv6 form (mapped, compatible, NAT64, 6to4) count
/// as the IPv4 address they hold.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let octets = address.octets();
    if address.is_loopback() || octets[0] == 0 {
        AddressClass::Loopback
    } else if address.is_link_local() {
        AddressClass::LinkLocal
    } else if matches!(octets, [100, 100, 100, 200] | [168, 63, 129, 16]) {
        // Alibaba Cloud's and Azure's fixed service addresses.
        AddressClass::Metadata
    } else if address.is_multicast() || octets[0] >= 240 {
        AddressClass::NotAHost
    } else {
        AddressClass::Host
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if address.is_loopback() || address.is_unspecified() {
        return AddressClass::Loopback;
    }
    if let Some(v4) = embedded_v4(address) {
        return classify_v4(v4);
    }
    let segments = address.segments();
    if segments[0] & 0xffc0 == 0xfe80 {
        AddressClass::LinkLocal
    } else if segments == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] {
        // Amazon's metadata service over IPv6.
        AddressClass::Metadata
    } else if address.is_multicast() {
        AddressClass::NotAHost
    } else {
        AddressClass::Host
    }
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_number_are_read_in_every_scheme() {
        for (url, address) in [
            ("rtsp://127.0.0.1:8554/a", Some("127.0.0.1")),
            ("rtsp://2130706433/a", Some("127.0.0.1")),
            ("rtsp://0x7f.1/a", Some("127.0.0.1")),
            ("rtsp://[::1]/a", Some("::1")),
            ("rtsp://LOCALHOST/a", Some("127.0.0.1")),
            ("http://cam.localhost./a", Some("127.0.0.1")),
            ("rtsps://192.168.1.20/a", Some("192.168.1.20")),
            ("rtsp://camera.example/a", None),
        ] {
            let found = literal_address(&Url::parse(url).unwrap());
            assert_eq!(found, address.map(|text| text.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn places_only_the_service_can_reach_are_refused() {
        for (text, class) in [
            ("127.0.0.1", AddressClass::Loopback),
            ("127.8.9.1", AddressClass::Loopback),
            ("0.0.0.0", AddressClass::Loopback),
            ("::1", AddressClass::Loopback),
            ("::", AddressClass::Loopback),
            ("::ffff:127.0.0.1", AddressClass::Loopback),
            ("64:ff9b::7f00:1", AddressClass::Loopback),
            ("2002:7f00:1::", AddressClass::Loopback),
            ("169.254.169.254", AddressClass::LinkLocal),
            ("::ffff:169.254.169.254", AddressClass::LinkLocal),
            ("fe80::1", AddressClass::LinkLocal),
            ("fd00:ec2::254", AddressClass::Metadata),
            ("100.100.100.200", AddressClass::Metadata),
            ("224.0.0.1", AddressClass::NotAHost),
            ("255.255.255.255", AddressClass::NotAHost),
            ("ff02::1", AddressClass::NotAHost),
            ("192.168.1.20", AddressClass::Host),
            ("10.1.2.3", AddressClass::Host),
            ("fd12::20", AddressClass::Host),
            ("93.184.216.34", AddressClass::Host),
        ] {
            let found = classify(text.parse().unwrap());
            assert_eq!(found, class, "{text}");
            assert_eq!(found.allowed_by_default(), class == AddressClass::Host);
        }
    }
}
