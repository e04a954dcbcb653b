//! A host and port that may be spoken to in the clear, because an operator said so.
//!
//! It exempts exactly this pair from the guard: plain HTTP, on an address that may be this machine's or in
//! a private network. Everything else is guarded as ever, the same host on another port too. It is for a
//! registry in one's own house; what comes from there is believed for its signature alone.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Why a text is no such pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT")]
pub struct Error(String);

/// One host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// A name in lower case, or an address; of IPv6 in brackets.
    host: String,
    port: u16,
}

impl Plain {
    /// The host, as an address has it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Is a request to `url` one to this pair, in the clear?
    #[must_use]
    pub fn applies(&self, url: &Url) -> bool {
        let right = url.host_str() == Some(&self.host) && url.port_or_known_default() == Some(self.port);
        let anonymous = url.username().is_empty() && url.password().is_none();
        url.scheme() == "http" && right && anonymous
    }
}

impl FromStr for Plain {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error(text.to_owned()))
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

fn parse(text: &str) -> Option<Plain> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    // Through the parser that requests go through: what it makes of a spelling is what is compared.
    let url = Url::parse(&format!("http://{host}/")).ok()?;
    let is_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().filter(|_| is_host && url.port().is_none() && url.username().is_empty())?;
    (!host.contains('*')).then(|| Plain { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_a_host_and_a_port() {
        let check = |text: &str, expected: Option<&str>| {
            let pair = text.parse::<Plain>().map(|pair| pair.to_string());
            assert_eq!(pair.ok().as_deref(), expected, "{text:?}");
        };
        check("127.0.0.1:5000", Some("127.0.0.1:5000"));
        check("[::1]:5000", Some("[::1]:5000"));
        check("Registry.LAN:80", Some("registry.lan:80"));
        for text in
            ["", "registry.lan", ":5000", "registry.lan:0", "registry.lan:65536", "::1:5000", "*:5000"]
        {
            check(text, None);
        }
        for text in ["user@registry.lan:80", "registry.lan/x:80", "registry.lan:1:80", "registry.lan?x:80"] {
            check(text, None);
        }
    }

    #[test]
    fn it_exempts_that_pair_and_nothing_else() {
        let pair: Plain = "127.0.0.1:5000".parse().unwrap();
        let check = |url: &str, expected: bool| {
            assert_eq!(pair.applies(&Url::parse(url).unwrap()), expected, "{url}");
        };
        check("http://127.0.0.1:5000/v2/", true);
        check("http://2130706433:5000/v2/", true);
        check("http://127.0.0.1/v2/", false);
        check("http://127.0.0.2:5000/v2/", false);
        check("https://127.0.0.1:5000/v2/", false);
        check("http://localhost:5000/v2/", false);
        check("http://user@127.0.0.1:5000/v2/", false);
    }
}
