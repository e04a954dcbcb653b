//! One route: one thing that a connector can ask, with everything that may vary in it.
//!
//! An address is a template whose blanks the host fills, never a pattern that a connector's text is
//! matched against. What may vary beside it (query keys, headers, JSON keys) is a closed list.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

mod parse;

pub(super) use parse::Raw;

/// What one name of a path is encoded with: everything but RFC 3986's unreserved characters.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for the value of an option: ids of drives have a `!`, and the service that gives them writes it
/// plainly in paths.
const OPTION: &AsciiSet = &NAME.remove(b'!');

/// One thing that a connector can ask.
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique in its manifest.
    pub name: String,
    /// What it is for, in the vendor's words.
    pub does: String,
    /// The HTTP method.
    pub method: Method,
    /// Where it goes.
    pub address: Address,
    /// Permitted query keys.
    pub query: Vec<String>,
    /// Permitted request headers, lower case.
    pub headers: Vec<String>,
    /// JSON arguments, if it takes any.
    pub json: Option<JsonRule>,
    /// What else it may carry.
    pub payload: PayloadKind,
    /// Does it change anything?
    pub access: Access,
    /// Whose credential the host adds.
    pub credential: Credential,
    /// May it be sent twice?
    pub replay: Replay,
    /// What its replies mint.
    pub mints: Vec<Mint>,
    /// Reply headers that are passed on beyond the usual.
    pub accept_headers: Vec<String>,
    /// The option without which it is refused, granted or not: for what an operator must want by name.
    pub only_with: Option<String>,
}

impl Route {
    /// Characters that no name in a path of it may have.
    #[must_use]
    pub fn item_forbid(&self) -> &[char] {
        match &self.address {
            Address::Built { item_forbid, .. } => item_forbid,
            Address::Minted { .. } => &[],
        }
    }
}

/// An HTTP method that a route may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As HTTP spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Where a route goes.
#[derive(Debug, Clone)]
pub enum Address {
    /// To an address that the host builds.
    Built {
        /// With its blanks.
        template: Template,
        /// The address when `{item}` would be empty.
        at_root: Option<Template>,
        /// Characters that no name in `{item}` may have, nor in a path of the JSON arguments.
        item_forbid: Vec<char>,
    },
    /// To an address that an earlier reply minted.
    Minted {
        /// The name under which it was minted.
        name: String,
        /// The hosts that it may be on.
        hosts: Vec<HostPattern>,
    },
}

impl Address {
    /// The name of the handles it takes, if it takes any.
    #[must_use]
    pub fn minted(&self) -> Option<&str> {
        match self {
            Self::Minted { name, .. } => Some(name),
            Self::Built { .. } => None,
        }
    }
}

/// An https address with blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// A named host, lower case.
    pub host: String,
    /// The path, piece by piece; it starts with `/`.
    pub pieces: Vec<Piece>,
    /// An address on that host, whose path each request replaces: a host is read once.
    pub base: Box<Url>,
}

/// A piece of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text, sent as it is.
    Literal(String),
    /// A blank that the destination's options fill.
    Bound(String),
    /// The item.
    Item,
}

impl Template {
    /// Does it have `{item}`?
    #[must_use]
    pub fn has_item(&self) -> bool {
        self.pieces.contains(&Piece::Item)
    }

    /// The path with its blanks filled: `item` as an absolute, unencoded path, empty for the root.
    pub fn path<'a>(&self, item: &str, bound: impl Fn(&str) -> Option<&'a str>) -> String {
        fill(&self.pieces, item, bound)
    }
}

/// Fill the blanks, the names of `item` percent-encoded.
fn fill<'a>(pieces: &[Piece], item: &str, bound: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut path = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => path.push_str(text),
            Piece::Bound(name) => path.push_str(bound(name).unwrap_or_default()),
            Piece::Item => {
                for name in item.split('/').filter(|name| !name.is_empty()) {
                    path.push('/');
                    path.push_str(&encode(name));
                }
            }
        }
    }
    path
}

/// Write pieces as the manifest has them.
fn write_pieces(formatter: &mut fmt::Formatter<'_>, pieces: &[Piece], item: &str) -> fmt::Result {
    for piece in pieces {
        match piece {
            Piece::Literal(text) => formatter.write_str(text)?,
            Piece::Bound(name) => write!(formatter, "{{{name}}}")?,
            Piece::Item => write!(formatter, "{{{item}}}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}", self.host)?;
        write_pieces(formatter, &self.pieces, Confine::ITEM)
    }
}

/// A name, percent-encoded so that it stays one name.
#[must_use]
fn encode(name: &str) -> String {
    utf8_percent_encode(name, NAME).to_string()
}

/// The value of an option, percent-encoded so that it stays one name.
#[must_use]
pub(super) fn encode_option(value: &str) -> String {
    utf8_percent_encode(value, OPTION).to_string()
}

/// A host, or every host below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host below this domain, at any depth, but not the domain itself.
    Below(String),
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            // What anybody can register below covers strangers, whatever the number of its labels.
            Some(domain) => {
                (parse::is_host(domain) && !is_public_suffix(domain)).then(|| Self::Below(domain.to_owned()))
            }
            None => parse::is_host(text).then(|| Self::Exact(text.to_owned())),
        }
    }

    /// Does it cover this host, given as the URL parser spells it (lower case, no dot at the end)?
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => own == host,
            Self::Below(domain) => {
                host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }
}

/// Do strangers register their names right below this domain: `co.uk`, and `github.io` as well?
fn is_public_suffix(domain: &str) -> bool {
    use psl::Psl as _;
    psl::List.suffix(domain.as_bytes()).is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Below(domain) => write!(formatter, "*.{domain}"),
        }
    }
}

/// Where JSON goes and what it may hold.
#[derive(Debug, Clone)]
pub struct JsonRule {
    /// Where.
    pub place: JsonPlace,
    /// Every permitted key.
    pub keys: Vec<KeyPattern>,
    /// Keys that hold a path.
    pub confine: Vec<Confine>,
}

/// Where JSON arguments go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonPlace {
    /// In the body.
    Body,
    /// In this header, lower case, written in ASCII.
    Header(String),
}

/// A key that holds a path, and how the service wants it written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confine {
    /// Which.
    pub key: KeyPattern,
    /// What the text is made of; [`Piece::Item`] once.
    pub pieces: Vec<Piece>,
    /// Does the service decode what it reads, so that each name must be percent-encoded to stay one name?
    pub encoded: bool,
}

impl Confine {
    /// The blank for a path as it is.
    pub(super) const ITEM: &str = "item";
    /// The blank for a path of percent-encoded names.
    pub(super) const ITEM_ENCODED: &str = "item-encoded";

    /// The text for `item`, an absolute, unencoded path, empty for the service's root.
    pub fn text<'a>(&self, item: &str, bound: impl Fn(&str) -> Option<&'a str>) -> String {
        if self.encoded {
            return fill(&self.pieces, item, bound);
        }
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Bound(name) => bound(name).unwrap_or_default().to_owned(),
            Piece::Item => item.to_owned(),
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl fmt::Display for Confine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = if self.encoded { Self::ITEM_ENCODED } else { Self::ITEM };
        write_pieces(formatter, &self.pieces, item)
    }
}

/// The path of a JSON key; `*` stands for one level of any name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern(Vec<String>);

impl KeyPattern {
    fn parse(text: &str) -> Option<Self> {
        let levels: Vec<String> = text.split('/').map(str::to_owned).collect();
        levels.iter().all(|level| !level.is_empty()).then_some(Self(levels))
    }

    /// Is this exactly the path of `key`?
    #[must_use]
    pub fn is(&self, key: &[&str]) -> bool {
        self.0.len() == key.len() && self.begins(key)
    }

    /// Does this name something below `key`?
    #[must_use]
    pub fn is_below(&self, key: &[&str]) -> bool {
        self.0.len() > key.len() && self.begins(key)
    }

    fn begins(&self, key: &[&str]) -> bool {
        self.0.iter().zip(key).all(|(own, given)| own == "*" || own == given)
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("/"))
    }
}

/// What a request may carry beside its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    /// Nothing.
    #[default]
    None,
    /// A few bytes of the connector's own.
    Bytes,
    /// Bytes of the host's.
    Section,
    /// Either.
    Any,
}

/// Does a route change anything at the service?
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// No.
    Read,
    /// Yes: a destination that is read-only does not have it.
    Write,
}

/// Whose credential the host adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// The account's token.
    Account,
    /// None: the address itself is the credential, or none is needed.
    None,
}

/// May the same request be sent twice?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Replay {
    /// It does no harm.
    Safe,
    /// Only when the first certainly did not arrive.
    Once,
}

/// Addresses in replies that become handles under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// The name that a consuming route takes.
    pub name: String,
    /// Where they are found.
    pub sources: Vec<MintSource>,
}

/// Where a minted address is found in a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MintSource {
    /// Under this key of a JSON body, at any depth.
    Key(String),
    /// In this header, lower case.
    Header(String),
}
