//! Which addresses are public, for links that somebody else chose.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{
    error::{Error, ErrorKind, Result},
    net::url::SecretUrl,
};

/// The hosts, addresses and networks that may be private.
#[derive(Clone, Debug)]
pub(crate) struct PublicOnly {
    except: Arc<[Exception]>,
}

#[derive(Debug)]
enum Exception {
    Host(String),
    Network(IpAddr, u8),
}

/// The reason why no connection is made.
#[derive(Debug)]
pub(crate) struct NotPublic(IpAddr);

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a public address", self.0)
    }
}

impl std::error::Error for NotPublic {}

impl NotPublic {
    pub(super) fn error(&self, url: &str) -> Error {
        Error::new(ErrorKind::InvalidInput, "use the URL").at(url).caused_by(self.to_string())
    }
}

impl PublicOnly {
    /// Parses the exceptions: names of hosts, addresses, or networks such as `10.1.0.0/16`.
    pub(super) fn parse(except: &[String]) -> Result<Self, String> {
        let except: Result<_, String> = except.iter().map(|text| Exception::parse(text)).collect();
        Ok(PublicOnly { except: except? })
    }

    /// Checks a URL whose host is an address. The client resolves other hosts.
    pub(super) fn check_url(&self, url: &SecretUrl) -> Result<()> {
        let parsed = url.get();
        let host = parsed.host_str().unwrap_or_default();
        let Ok(address) = host.trim_matches(['[', ']']).parse() else { return Ok(()) };
        self.check(host, address).map_err(|not_public| not_public.error(&url.to_string()))
    }

    /// Checks the address of a host.
    fn check(&self, host: &str, address: IpAddr) -> Result<(), NotPublic> {
        let address = address.to_canonical();
        let is_allowed =
            is_public(address) || self.except.iter().any(|except| except.has(host, address));
        if is_allowed { Ok(()) } else { Err(NotPublic(address)) }
    }
}

/// Resolves names, and fails if one of the addresses is not allowed.
impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            // The client replaces the port.
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            for address in &addresses {
                policy.check(host, address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Exception {
    fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let invalid = || format!("{text:?} is not a host, an address or a network");
        match (address.parse::<IpAddr>(), bits) {
            (Ok(address), bits) => {
                let max = if address.is_ipv4() { 32 } else { 128 };
                let bits = bits.map_or(Ok(max), str::parse).map_err(|_| invalid())?;
                if bits > max { Err(invalid()) } else { Ok(Exception::Network(address, bits)) }
            }
            (Err(_), None) if !text.is_empty() => Ok(Exception::Host(plain(text))),
            _ => Err(invalid()),
        }
    }

    fn has(&self, host: &str, address: IpAddr) -> bool {
        match (self, address) {
            (Exception::Host(name), _) => *name == plain(host),
            (&Exception::Network(IpAddr::V4(network), bits), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(bits);
                let prefix = |a: Ipv4Addr| a.to_bits().checked_shr(shift).unwrap_or(0);
                prefix(network) == prefix(address)
            }
            (&Exception::Network(IpAddr::V6(network), bits), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(bits);
                let prefix = |a: Ipv6Addr| a.to_bits().checked_shr(shift).unwrap_or(0);
                prefix(network) == prefix(address)
            }
            _ => false,
        }
    }
}

/// Returns the name of a host in lower case and without the dot of the root.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Returns whether the address is reachable from everywhere (RFC 6890 and IANA's registries of special addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // "This network", and what is reserved, with the broadcast address.
        || a == 0
        || a >= 240
        // Addresses of providers (RFC 6598), of protocols, and of benchmarks (RFC 2544).
        || (a, b & 0xc0) == (100, 64)
        || (a, b, c) == (192, 0, 0)
        || (a, b & 0xfe) == (198, 18);
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        // Translated addresses (RFC 6052, RFC 3056) lead to an address of IPv4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Documentation, and special purposes such as Teredo.
        [0x2001, 0xdb8, ..] | [0x2001, 0..=0x1ff, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only these are global unicast addresses.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn special_addresses_are_not_public() {
        for public in
            ["1.1.1.1", "100.128.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "2606:4700::1111"]
        {
            assert!(is_public(address(public)), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
        ] {
            assert!(!is_public(address(special)), "{special}");
        }
    }

    #[test]
    fn exceptions_are_hosts_addresses_and_networks() {
        let entries = ["MinIO.internal.", "10.0.0.10", "192.168.50.0/24", "fd00::/8", "0.0.0.0/32"];
        let policy = PublicOnly::parse(&entries.map(str::to_owned)).expect("usable");
        for (host, at) in [
            ("minio.INTERNAL", "10.0.0.20"),
            ("other", "10.0.0.10"),
            ("192.168.50.10", "192.168.50.10"),
            ("other", "fd01::1"),
            ("other", "::ffff:10.0.0.10"),
            ("other", "8.8.8.8"),
            ("other", "0.0.0.0"),
        ] {
            policy.check(host, address(at)).expect(at);
        }
        for (host, at) in [
            ("internal", "10.0.0.20"),
            ("other", "10.0.0.11"),
            ("other", "192.168.51.1"),
            ("other", "::ffff:127.0.0.1"),
            ("other", "0.0.0.1"),
            ("other", "::1"),
        ] {
            policy.check(host, address(at)).expect_err(at);
        }
        let all = PublicOnly::parse(&["0.0.0.0/0".into()]).expect("usable");
        all.check("host", address("127.0.0.1")).expect("all of IPv4");
        all.check("host", address("::1")).expect_err("not IPv6");
        for bad in ["", "/8", "10.0.0.0/33", "10.0.0.0/", "host/8", "::/129", "10.0.0.0/-1"] {
            PublicOnly::parse(&[bad.into()]).expect_err(bad);
        }
    }
}
