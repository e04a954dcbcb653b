//! Another address for one host and port, as curl's `--connect-to` has it.
//!
//! An operator who tests points the host elsewhere and leaves connectors and grants as they are. It
//! exempts exactly this pair from the guard: the same name with another port is guarded as ever.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

/// Why a text is not a pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT:ADDRESS:PORT, with a name first and then an address (IPv6 in brackets)")]
pub struct Error(String);

/// One host and port, and the address that is dialled instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    host: String,
    port: u16,
    address: SocketAddr,
}

impl ConnectTo {
    /// The name, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What is dialled.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Is this the pair of a request to `url`?
    #[must_use]
    pub fn applies(&self, url: &Url) -> bool {
        url.host_str() == Some(&self.host) && url.port_or_known_default() == Some(self.port)
    }
}

impl FromStr for ConnectTo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error(text.to_owned()))
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.host, self.port, self.address)
    }
}

fn parse(text: &str) -> Option<ConnectTo> {
    let (host, rest) = text.split_once(':')?;
    let (port, address) = rest.split_once(':')?;
    let (ip, address_port) = address.rsplit_once(':')?;
    let ip: IpAddr = match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(ip) => IpAddr::V6(ip.parse().ok()?),
        None => IpAddr::V4(ip.parse().ok()?),
    };
    // A star is no wildcard here, and would fit nothing.
    let host = match Host::parse(host).ok()? {
        Host::Domain(host) if !host.contains('*') => host,
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => return None,
    };
    let address = SocketAddr::new(ip, address_port.parse().ok().filter(|port| *port > 0)?);
    Some(ConnectTo { host, port: port.parse().ok()?, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_a_name_and_an_address() {
        let check = |text: &str, expected: Option<&str>| {
            let pair = text.parse::<ConnectTo>().map(|pair| pair.to_string());
            assert_eq!(pair.ok().as_deref(), expected, "{text:?}");
        };
        check("graph.microsoft.com:443:127.0.0.1:18443", Some("graph.microsoft.com:443:127.0.0.1:18443"));
        check("Graph.Microsoft.COM:443:[::1]:18443", Some("graph.microsoft.com:443:[::1]:18443"));
        for text in [
            "",
            "graph.microsoft.com",
            "graph.microsoft.com:443",
            "graph.microsoft.com:443:127.0.0.1",
            "graph.microsoft.com:443::18443",
            "graph.microsoft.com:443:localhost:18443",
            "graph.microsoft.com:443:127.0.0.1:0",
            "graph.microsoft.com:443:127.0.0.1:65536",
            "graph.microsoft.com:https:127.0.0.1:18443",
            "graph.microsoft.com:443:127.0.0.1:18443:1",
            "graph.microsoft.com:443:::1:18443",
            "127.0.0.1:443:127.0.0.1:18443",
            "[::1]:443:127.0.0.1:18443",
            ":443:127.0.0.1:18443",
            "*:443:127.0.0.1:18443",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_pair_applies_to_its_host_and_port() {
        let pair: ConnectTo = "graph.microsoft.com:443:127.0.0.1:18443".parse().unwrap();
        let check = |url: &str, expected: bool| {
            assert_eq!(pair.applies(&Url::parse(url).unwrap()), expected, "{url}");
        };
        check("https://graph.microsoft.com/v1.0", true);
        check("https://graph.microsoft.com:443/v1.0", true);
        check("https://graph.microsoft.com:8443/v1.0", false);
        check("https://graph.microsoft.com./v1.0", false);
        check("https://a.graph.microsoft.com/v1.0", false);
        check("https://127.0.0.1/v1.0", false);
    }
}
