//! The key `api.host`. Wings joins its value and the port with a colon, and Go parses the result.

use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A name or an address. An IPv6 address has no brackets here. Empty means every address of the
/// machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

impl Host {
    pub(super) fn loopback() -> Self {
        Host("127.0.0.1".into())
    }

    /// Returns the address to listen on. For a name, this is its first IPv4 address, as in Go.
    pub(super) fn address(&self, port: u16) -> Result<SocketAddr, String> {
        if self.0.is_empty() {
            return Ok((Ipv6Addr::UNSPECIFIED, port).into());
        }
        let unknown = |why: String| format!("{:?}: {why}", self.0);
        let found = (&*self.0, port).to_socket_addrs().map_err(|e| unknown(e.to_string()))?;
        let found: Vec<_> = found.collect();
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| unknown("it has no address".into()))
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let host = inner.unwrap_or(text);
        let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
        let is_v6 = address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty();
        let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        (is_v6 || is_name).then(|| Host(host.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("{text:?} is not an address or a name"));
        Host::parse(&text).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_can_be_followed_by_a_colon_and_a_port() {
        for (text, address) in [
            ("", "[::]:80"),
            ("[]", "[::]:80"),
            ("[::]", "[::]:80"),
            ("::", "[::]:80"),
            ("[::1]", "[::1]:80"),
            ("::1", "[::1]:80"),
            ("[::1%0]", "[::1]:80"),
            ("0.0.0.0", "0.0.0.0:80"),
            ("[127.0.0.1]", "127.0.0.1:80"),
            ("localhost", "127.0.0.1:80"),
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!(host.address(80), Ok(address.parse().unwrap()), "{text}");
        }
        for text in
            ["!", "[::1", "::1]", "a b", "127.0.0.1:80", "http://x", "[::1]:80", "*", "::1%"]
        {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }
}
