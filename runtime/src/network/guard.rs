//! Which addresses may be dialled.
//!
//! A connector's requests go to names on the public internet and nowhere else: not to this machine,
//! not to its neighbours, not to a cloud's metadata service, and to none of these by a detour
//! through an address that a gateway translates. The tables follow the
//! [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry) special-purpose registries.
//! Whether a name may be asked for at all is the grant's business, not this file's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Addresses of one answer that are looked at; a service with more is a trap of some kind.
const ADDRESSES_MAX: usize = 64;

/// Why a request goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Connectors speak https.
    #[error("the address does not begin with `https://`")]
    NotHttps,
    /// A name and a password in the address.
    #[error("the address carries a user name")]
    UserName,
    /// An address without a host.
    #[error("the address names no host")]
    NoHost,
    /// An address where a name belongs, in any spelling: grants are given to names.
    #[error("`{0}` is an address, not a name")]
    Literal(IpAddr),
    /// A dot at the end makes another name of the same host, which no grant was given to.
    #[error("`{0}` ends with a dot")]
    TrailingDot(String),
    /// The name leads where nothing may go. One such address refuses the whole answer.
    #[error("`{host}` has the address {address}, which is {rule}")]
    Address {
        /// The name.
        host: String,
        /// The address found for it.
        address: IpAddr,
        /// What is wrong with it.
        rule: Rule,
    },
    /// The name has no address, or too many to look at.
    #[error("`{host}` has {found} addresses")]
    Answer {
        /// The name.
        host: String,
        /// How many were found.
        found: usize,
    },
}

/// What an address is, that must not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// This machine.
    Loopback,
    /// No address yet, or any.
    Unspecified,
    /// A private network.
    Private,
    /// Only the neighbours on the wire; cloud metadata services live here.
    LinkLocal,
    /// Between a provider and its customers.
    Shared,
    /// For protocols themselves, not for hosts.
    Protocol,
    /// For measuring networks.
    Benchmark,
    /// For examples in texts.
    Documentation,
    /// For many hosts at once.
    Multicast,
    /// For all hosts on the wire.
    Broadcast,
    /// Assigned to nobody.
    Reserved,
    /// An IPv4 address in an IPv6 one, or an IPv6 address that leads through IPv4.
    Translated,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Loopback => "this machine",
            Self::Unspecified => "unspecified",
            Self::Private => "in a private network",
            Self::LinkLocal => "link-local",
            Self::Shared => "in a provider's shared network",
            Self::Protocol => "reserved for protocols",
            Self::Benchmark => "reserved for measurements",
            Self::Documentation => "reserved for documentation",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Translated => "translated from another address",
        })
    }
}

const fn v4(address: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(first: [u16; 4], prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = first;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// What of IPv4 is refused. The first that fits counts.
const IPV4: &[(Ipv4Net, Rule)] = &[
    (v4([127, 0, 0, 0], 8), Rule::Loopback),
    (v4([0, 0, 0, 0], 8), Rule::Unspecified),
    (v4([10, 0, 0, 0], 8), Rule::Private),
    (v4([172, 16, 0, 0], 12), Rule::Private),
    (v4([192, 168, 0, 0], 16), Rule::Private),
    (v4([169, 254, 0, 0], 16), Rule::LinkLocal),
    (v4([100, 64, 0, 0], 10), Rule::Shared),
    (v4([192, 0, 0, 0], 24), Rule::Protocol),
    (v4([198, 18, 0, 0], 15), Rule::Benchmark),
    (v4([192, 0, 2, 0], 24), Rule::Documentation),
    (v4([198, 51, 100, 0], 24), Rule::Documentation),
    (v4([203, 0, 113, 0], 24), Rule::Documentation),
    (v4([192, 88, 99, 0], 24), Rule::Translated),
    (v4([224, 0, 0, 0], 4), Rule::Multicast),
    (v4([255, 255, 255, 255], 32), Rule::Broadcast),
    (v4([240, 0, 0, 0], 4), Rule::Reserved),
];

/// What of IPv6 is refused beyond the few addresses that have no network of their own. The first
/// that fits counts.
const IPV6: &[(Ipv6Net, Rule)] = &[
    (v6([0x64, 0xff9b, 0, 0], 96), Rule::Translated),
    (v6([0x64, 0xff9b, 1, 0], 48), Rule::Translated),
    (v6([0x2001, 0, 0, 0], 32), Rule::Translated),
    (v6([0x2002, 0, 0, 0], 16), Rule::Translated),
    (v6([0x2001, 2, 0, 0], 48), Rule::Benchmark),
    (v6([0x2001, 0xdb8, 0, 0], 32), Rule::Documentation),
    (v6([0x3fff, 0, 0, 0], 20), Rule::Documentation),
    (v6([0x2001, 0, 0, 0], 23), Rule::Protocol),
    (v6([0xfc00, 0, 0, 0], 7), Rule::Private),
    (v6([0xfe80, 0, 0, 0], 10), Rule::LinkLocal),
    (v6([0xfec0, 0, 0, 0], 10), Rule::Private),
    (v6([0xff00, 0, 0, 0], 8), Rule::Multicast),
];

/// All of IPv6 that is given to hosts.
const IPV6_HOSTS: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// The name that a request goes to, in lower case.
///
/// # Errors
/// When the address is not https, carries a user name, or names anything but a host by its name.
pub fn host(url: &Url) -> Result<&str, Refusal> {
    if url.scheme() != "https" {
        return Err(Refusal::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserName);
    }
    match url.host() {
        None => Err(Refusal::NoHost),
        Some(Host::Ipv4(address)) => Err(Refusal::Literal(address.into())),
        Some(Host::Ipv6(address)) => Err(Refusal::Literal(address.into())),
        Some(Host::Domain(name)) if name.ends_with('.') => Err(Refusal::TrailingDot(name.to_owned())),
        Some(Host::Domain(name)) => Ok(name),
    }
}

/// May everything that `host` resolved to be dialled?
///
/// # Errors
/// When there is nothing to dial, or one of the addresses must not be.
pub fn vet(host: &str, addresses: &[IpAddr]) -> Result<(), Refusal> {
    if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
        return Err(Refusal::Answer { host: host.to_owned(), found: addresses.len() });
    }
    for address in addresses {
        if let Some(rule) = forbids(*address) {
            return Err(Refusal::Address { host: host.to_owned(), address: *address, rule });
        }
    }
    Ok(())
}

/// The rule that keeps an address from being dialled, if there is one.
#[must_use]
pub fn forbids(address: IpAddr) -> Option<Rule> {
    match address {
        IpAddr::V4(address) => first(IPV4.iter().map(|(net, rule)| (net.contains(&address), *rule))),
        IpAddr::V6(address) => forbids_v6(address),
    }
}

fn forbids_v6(address: Ipv6Addr) -> Option<Rule> {
    let [_, _, _, _, token, marker, ..] = address.segments();
    if address.is_loopback() {
        return Some(Rule::Loopback);
    }
    if address.is_unspecified() {
        return Some(Rule::Unspecified);
    }
    // `::ffff:a.b.c.d` and `::a.b.c.d` are IPv4, and ISATAP hides it behind `0:5efe` or `200:5efe`.
    let isatap = token & !0x0200 == 0 && marker == 0x5efe;
    if address.to_ipv4().is_some() || isatap {
        return Some(Rule::Translated);
    }
    let table = first(IPV6.iter().map(|(net, rule)| (net.contains(&address), *rule)));
    table.or_else(|| (!IPV6_HOSTS.contains(&address)).then_some(Rule::Reserved))
}

fn first(mut rules: impl Iterator<Item = (bool, Rule)>) -> Option<Rule> {
    rules.find_map(|(fits, rule)| fits.then_some(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_anywhere_but_the_internet_are_forbidden() {
        let check = |rule: Option<Rule>, addresses: &[&str]| {
            for text in addresses {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(forbids(address), rule, "{text}");
            }
        };
        check(None, &["1.1.1.1", "13.107.42.12", "162.125.1.18", "9.255.255.255", "11.0.0.0"]);
        check(None, &["100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "223.255.255.255"]);
        check(None, &["2620:1ec:8f8::1", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888", "2003::1"]);
        check(Some(Rule::Loopback), &["127.0.0.1", "127.255.255.254", "::1"]);
        check(Some(Rule::Unspecified), &["0.0.0.0", "0.1.2.3", "::"]);
        check(Some(Rule::Private), &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]);
        check(Some(Rule::Private), &["fc00::1", "fd00:ec2::254", "fec0::1"]);
        check(Some(Rule::LinkLocal), &["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1"]);
        check(Some(Rule::Shared), &["100.64.0.0", "100.100.100.200", "100.127.255.255"]);
        check(Some(Rule::Protocol), &["192.0.0.8", "192.0.0.192", "2001:10::1", "2001:1ff::1"]);
        check(Some(Rule::Benchmark), &["198.18.0.1", "198.19.255.255", "2001:2::1"]);
        check(
            Some(Rule::Documentation),
            &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
        );
        check(Some(Rule::Multicast), &["224.0.0.1", "239.255.255.255", "ff02::1"]);
        check(Some(Rule::Broadcast), &["255.255.255.255"]);
        check(Some(Rule::Reserved), &["240.0.0.1", "255.255.255.254", "100::1", "4000::1", "5f00::1"]);
        check(Some(Rule::Translated), &["::ffff:127.0.0.1", "::ffff:1.1.1.1", "::7f00:1", "::1.1.1.1"]);
        check(Some(Rule::Translated), &["64:ff9b::7f00:1", "64:ff9b::101:101", "64:ff9b:1:2::1"]);
        check(Some(Rule::Translated), &["2002:7f00:1::1", "2001:0:53aa:64c::1", "192.88.99.1"]);
        check(Some(Rule::Translated), &["2a00::5efe:a00:1", "2a00::200:5efe:101:101", "fe80::5efe:a00:1"]);
    }

    #[test]
    fn one_bad_address_refuses_the_answer() {
        let check = |addresses: &[&str], expected: Result<(), Refusal>| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(vet("name.test", &addresses), expected, "{addresses:?}");
        };
        let host = || "name.test".to_owned();
        let private = |address: &str| {
            let address = address.parse().unwrap();
            Err(Refusal::Address { host: host(), address, rule: Rule::Private })
        };
        check(&["1.1.1.1", "2606:4700::1111"], Ok(()));
        check(&["1.1.1.1", "10.0.0.1"], private("10.0.0.1"));
        check(&["10.0.0.1", "1.1.1.1"], private("10.0.0.1"));
        check(&["1.1.1.1", "fd00::1"], private("fd00::1"));
        check(&[], Err(Refusal::Answer { host: host(), found: 0 }));
        check(&["1.1.1.1"; 65], Err(Refusal::Answer { host: host(), found: 65 }));
    }

    #[test]
    fn only_names_under_https_are_hosts() {
        let check = |text: &str, expected: Result<&str, Refusal>| {
            let url = Url::parse(text).unwrap();
            assert_eq!(host(&url), expected, "{text}");
        };
        let literal = |text: &str| Err(Refusal::Literal(text.parse().unwrap()));
        check("https://graph.microsoft.com/v1.0", Ok("graph.microsoft.com"));
        check("https://GRAPH.Microsoft.com:8443/", Ok("graph.microsoft.com"));
        check("https://bücher.test/", Ok("xn--bcher-kva.test"));
        check("http://graph.microsoft.com/", Err(Refusal::NotHttps));
        check("file:///etc/passwd", Err(Refusal::NotHttps));
        check("ws://graph.microsoft.com/", Err(Refusal::NotHttps));
        check("https://graph.microsoft.com@evil.test/", Err(Refusal::UserName));
        check("https://:secret@evil.test/", Err(Refusal::UserName));
        check("https://graph.microsoft.com./", Err(Refusal::TrailingDot("graph.microsoft.com.".to_owned())));
        for spelling in
            ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0x7f000001", "127.0.0.1."]
        {
            check(&format!("https://{spelling}/"), literal("127.0.0.1"));
        }
        check("https://１２７.0.0.1/", literal("127.0.0.1"));
        check("https://8.8.8.8/", literal("8.8.8.8"));
        check("https://[::1]/", literal("::1"));
        check("https://[::ffff:127.0.0.1]:443/", literal("::ffff:127.0.0.1"));
        assert!(Url::parse("https://[fe80::1%25eth0]/").is_err());
    }
}
