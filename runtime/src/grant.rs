//! What one destination may ask: the manifest, cut down to what its operator granted, with the
//! backup directory and the options bound in.
//!
//! [`Grant::allow`] is the only way to an [`Allowed`] request, and an [`Allowed`] is built here from
//! the route's template and the checked blanks: nothing of a connector's text is sent that was not
//! looked at, and what was looked at is what is sent. The broker takes nothing else.

mod arguments;
mod folder;
mod granted;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::manifest::{Access, Address, Manifest, PayloadKind, Permission, Replay, Route, Template};
use crate::path::{Directory, RelativePath};

pub use folder::AllowedPath;
pub use granted::{Granted, GrantedRoute, Standing};
pub use scope::Scope;

/// Longest address, in bytes: both services refuse paths far shorter, and what does not fit a path
/// has no business in one.
pub const URL_BYTES_MAX: usize = 16 * 1024;
/// Longest value of a header that a connector sets, in bytes: `Dropbox-API-Arg` with the longest
/// path, escaped, is about 25 KiB; servers stop at 8 to 64.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Most JSON that a connector sends, in bytes: a commit of 1,000 uploads has about 400 KiB.
pub const JSON_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most bytes of its own that a connector sends with one request.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// What query values are encoded with: a name's rules, since a value holds anything.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',').remove(b':');

/// A request as a connector asks for it.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The route's name.
    pub route: String,
    /// Which item, for a route with `{item}`.
    pub item: Option<String>,
    /// Query keys and values.
    pub query: Vec<(String, String)>,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// JSON arguments.
    pub json: Option<String>,
    /// What it carries beside them.
    pub payload: Carried,
}

/// What a request carries beside its arguments, as far as a grant cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carried {
    /// Nothing.
    #[default]
    Nothing,
    /// This many bytes of the connector's own.
    Bytes(usize),
    /// Bytes of the host's.
    Section,
}

/// A handle, opened: what was minted under which name.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The mint's name.
    pub name: String,
    /// The address.
    pub url: Url,
}

/// A request that may be sent. Only [`Grant::allow`] makes one.
#[derive(Debug)]
pub struct Allowed {
    manifest: Arc<Manifest>,
    route: usize,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    json_body: Option<Vec<u8>>,
}

impl Allowed {
    /// The route it takes.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "the index is of this very manifest, which cannot change")]
    pub fn route(&self) -> &Route {
        &self.manifest.routes[self.route]
    }

    /// Where it goes; of a minted address the query is a secret.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The connector's headers, checked.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// JSON to be sent as the body, written by the host.
    #[must_use]
    pub fn json_body(&self) -> Option<&[u8]> {
        self.json_body.as_deref()
    }

    /// What requests call themselves, if the manifest says.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.manifest.user_agent.as_deref()
    }

    /// May it be sent twice? The stricter of route and request.
    #[must_use]
    pub fn replay(&self, asked: Replay) -> Replay {
        self.route().replay.max(asked)
    }

    /// The address without what could be a secret, for records and messages.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.route().address {
            Address::Built { .. } => {
                let mut shown = self.url.clone();
                shown.set_query(None);
                shown.into()
            }
            // Minted paths are signed too, some of them as a whole.
            Address::Minted { name, .. } => {
                format!("https://{}/[{name}]", self.url.host_str().unwrap_or_default())
            }
        }
    }
}

/// Why a request may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Denial {
    #[error("the connector has no route `{0}`")]
    UnknownRoute(String),
    #[error("the route `{0}` is not granted")]
    NotGranted(String),
    #[error("the route `{route}` is only for destinations with the option `{option}`")]
    OptionOff { route: String, option: String },
    #[error("the route `{route}` asks for more than was granted: {more}")]
    Wider { route: String, more: String },
    #[error("the route `{route}` was granted to the connector `{connector}`, which is another")]
    AnotherConnector { route: String, connector: String },
    #[error("{0}")]
    Stopped(String),
    #[error("the route `{0}` writes, and the destination is read-only")]
    ReadOnly(String),
    #[error("the route `{route}` {problem}")]
    Blank { route: String, problem: &'static str },
    #[error("the item `{item}` is not inside the backup directory: {problem}")]
    Item { item: String, problem: crate::path::Error },
    #[error("the item `{item}` has the character {character:?}, which could end the path")]
    ItemCharacter { item: String, character: char },
    #[error("the route `{route}` does not permit the query key `{key}`")]
    Query { route: String, key: String },
    #[error("the route `{route}` does not permit the header `{name}`")]
    Header { route: String, name: String },
    #[error("the value of the header `{0}` has a character that no header may have, or is too long")]
    HeaderValue(String),
    #[error("the route `{route}` does not permit the JSON key `{key}`")]
    JsonKey { route: String, key: String },
    #[error("the JSON arguments are malformed: {0}")]
    Json(String),
    #[error("the JSON key `{key}` names something outside the backup directory: {problem}")]
    Confined { key: String, problem: String },
    #[error("the route `{0}` does not carry this kind of payload")]
    Payload(String),
    #[error("the request is too long: {what} may have {max} bytes")]
    TooLong { what: &'static str, max: usize },
    #[error("the address is longer than {0} bytes")]
    UrlTooLong(usize),
    #[error("the handle is not one of this destination's")]
    Handle,
    #[error("the route `{route}` takes handles of `{expected}`, not of `{given}`")]
    HandleKind { route: String, expected: String, given: String },
    #[error("the service minted an address on `{host}`, which the route `{route}` does not name")]
    HandleHost { route: String, host: String },
}

impl Denial {
    /// A short name of the rule, for records and counters.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::UnknownRoute(_) => "unknown-route",
            Self::NotGranted(_) => "not-granted",
            Self::OptionOff { .. } => "option",
            Self::Wider { .. } => "wider",
            Self::AnotherConnector { .. } => "another-connector",
            Self::Stopped(_) => "stopped",
            Self::ReadOnly(_) => "read-only",
            Self::Blank { .. } => "blank",
            Self::Item { .. } | Self::ItemCharacter { .. } => "item",
            Self::Query { .. } => "query",
            Self::Header { .. } | Self::HeaderValue(_) => "header",
            Self::JsonKey { .. } | Self::Json(_) => "json",
            Self::Confined { .. } => "confine",
            Self::Payload(_) => "payload",
            Self::TooLong { .. } | Self::UrlTooLong(_) => "length",
            Self::Handle | Self::HandleKind { .. } | Self::HandleHost { .. } => "handle",
        }
    }

    /// Is it rather the connector's mistake than a permission that is missing?
    #[must_use]
    pub const fn is_mistake(&self) -> bool {
        matches!(
            self,
            Self::Json(_)
                | Self::Blank { .. }
                | Self::Payload(_)
                | Self::TooLong { .. }
                | Self::UrlTooLong(_)
                | Self::HeaderValue(_)
        )
    }
}

/// What one destination may ask.
#[derive(Debug, Clone)]
pub struct Grant {
    manifest: Arc<Manifest>,
    /// What is not in force, and why; every other permission of the manifest is.
    missing: BTreeMap<String, Standing>,
    directory: Directory,
    bound: BTreeMap<String, String>,
    /// The options that are on.
    flags: BTreeSet<String>,
    read_only: bool,
    /// Why nothing is allowed at all.
    stopped: Option<String>,
    /// The longest address, in bytes.
    url_bytes: usize,
}

impl Grant {
    /// With addresses of at most this many bytes.
    #[must_use]
    pub const fn with_url_bytes(mut self, bytes: usize) -> Self {
        self.url_bytes = bytes;
        self
    }

    /// The manifest, cut down to what was granted. A granted name that the manifest does not have
    /// grants nothing.
    #[must_use]
    pub fn new(
        manifest: Arc<Manifest>,
        granted: &Granted,
        directory: Directory,
        options: &serde_json::Map<String, serde_json::Value>,
        read_only: bool,
    ) -> Self {
        let bound = manifest.bind.iter().map(|(name, binding)| {
            // A flag that is off is an option that is not set.
            let value =
                options.get(&binding.option).filter(|value| **value != serde_json::Value::Bool(false));
            let value = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            (name.clone(), binding.fill(value.as_deref()))
        });
        let bound = bound.collect();
        let is_on = |(name, value): (&String, &serde_json::Value)| {
            (*value == serde_json::Value::Bool(true)).then(|| name.clone())
        };
        let flags = options.iter().filter_map(is_on).collect();
        let missing = missing(&manifest, granted);
        let url_bytes = URL_BYTES_MAX;
        Self { missing, directory, bound, flags, read_only, manifest, stopped: None, url_bytes }
    }

    /// The same connector, directory and options, with something else granted.
    #[must_use]
    pub fn regranted(&self, granted: &Granted) -> Self {
        Self { missing: missing(&self.manifest, granted), stopped: None, ..self.clone() }
    }

    /// The same, with nothing allowed for this reason.
    #[must_use]
    pub fn stopped(&self, reason: String) -> Self {
        Self { stopped: Some(reason), ..self.clone() }
    }

    /// The backup directory.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The connector's manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The routes in force: granted by the operator, and not writing on a read-only destination.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.manifest.routes.iter().filter(|route| self.check_granted(route).is_ok())
    }

    /// May this be sent? `opened` is the request's handle, opened.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn allow(&self, ask: &Ask, opened: Option<&Opened>) -> Result<Allowed, Denial> {
        let unknown = || Denial::UnknownRoute(short(&ask.route));
        let index =
            self.manifest.routes.iter().position(|route| route.name == ask.route).ok_or_else(unknown)?;
        let route = self.manifest.routes.get(index).ok_or_else(unknown)?;
        self.check_granted(route)?;
        check_payload(route, ask.payload)?;
        let mut url = match &route.address {
            Address::Built { template, at_root, item_forbid } => {
                check_blank(route, opened.is_none(), "does not take a handle")?;
                self.build(route, template, at_root.as_ref(), item_forbid, ask.item.as_deref())?
            }
            Address::Minted { name, hosts } => {
                check_blank(route, ask.item.is_none(), "does not take an item")?;
                let opened =
                    opened.ok_or(Denial::Blank { route: route.name.clone(), problem: "needs a handle" })?;
                check_opened(route, name, hosts, opened)?;
                opened.url.clone()
            }
        };
        add_query(route, &mut url, &ask.query)?;
        let mut headers = check_headers(route, &ask.headers)?;
        let around = arguments::Around { directory: &self.directory, bound: &self.bound };
        let json_body = arguments::place(route, ask.json.as_deref(), around, &mut headers)?;
        if url.as_str().len() > self.url_bytes {
            return Err(Denial::UrlTooLong(self.url_bytes));
        }
        Ok(Allowed { manifest: Arc::clone(&self.manifest), route: index, url, headers, json_body })
    }

    fn check_granted(&self, route: &Route) -> Result<(), Denial> {
        self.check_permission(&route.name, route.access)?;
        match &route.only_with {
            Some(option) if !self.flags.contains(option) => {
                Err(Denial::OptionOff { route: route.name.clone(), option: option.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_permission(&self, name: &str, access: Access) -> Result<(), Denial> {
        if let Some(reason) = &self.stopped {
            return Err(Denial::Stopped(reason.clone()));
        }
        match (access, self.read_only) {
            // Said first, since granting it would not help.
            (Access::Write, true) => return Err(Denial::ReadOnly(name.to_owned())),
            (Access::Write, false) | (Access::Read, _) => {}
        }
        let route = || name.to_owned();
        match self.missing.get(name) {
            None | Some(Standing::Granted) => Ok(()),
            Some(Standing::Missing) => Err(Denial::NotGranted(route())),
            Some(Standing::Wider(more)) => {
                Err(Denial::Wider { route: route(), more: short(&more.join("; ")) })
            }
            Some(Standing::Another(connector)) => {
                Err(Denial::AnotherConnector { route: route(), connector: connector.clone() })
            }
        }
    }

    fn build(
        &self,
        route: &Route,
        template: &Template,
        at_root: Option<&Template>,
        forbid: &[char],
        item: Option<&str>,
    ) -> Result<Url, Denial> {
        check_blank(route, item.is_some() || !template.has_item(), "needs an item")?;
        check_blank(route, item.is_none() || template.has_item(), "does not take an item")?;
        let absolute = item.map(|item| self.confine(item, forbid)).transpose()?.unwrap_or_default();
        let template = match at_root {
            Some(at_root) if absolute.is_empty() && template.has_item() => at_root,
            _ => template,
        };
        let path = template.path(&absolute, |name| self.bound.get(name).map(String::as_str));
        let mut url = Url::clone(&template.base);
        url.set_path(&path);
        // The parser must find nothing to tidy up: then what was checked is what is sent.
        let problem = "does not give a plain address with this item";
        check_blank(route, url.path() == path, problem).map(|()| url)
    }

    /// The absolute path of an item, which lies in the backup directory.
    fn confine(&self, item: &str, forbid: &[char]) -> Result<String, Denial> {
        let path =
            RelativePath::parse(item).map_err(|problem| Denial::Item { item: short(item), problem })?;
        let ends_path =
            |character: char| character == '\\' || character.is_control() || forbid.contains(&character);
        match item.chars().find(|character| ends_path(*character)) {
            Some(character) => Err(Denial::ItemCharacter { item: short(item), character }),
            None => Ok(self.directory.absolute(&path)),
        }
    }
}

/// What a manifest asks for that is not in force.
fn missing(manifest: &Manifest, granted: &Granted) -> BTreeMap<String, Standing> {
    let standing = |one: Permission<'_>| (one.name().to_owned(), granted.standing(manifest, one));
    manifest.permissions().map(standing).filter(|(_, standing)| *standing != Standing::Granted).collect()
}

/// A guest's text in a message: escaped, and its beginning only.
fn short(text: &str) -> String {
    crate::shown::shown(text, SHOWN_BYTES_MAX)
}

/// Bytes of a guest's text that a message shows.
const SHOWN_BYTES_MAX: usize = 200;

fn check_blank(route: &Route, fits: bool, problem: &'static str) -> Result<(), Denial> {
    if fits { Ok(()) } else { Err(Denial::Blank { route: route.name.clone(), problem }) }
}

fn check_payload(route: &Route, carried: Carried) -> Result<(), Denial> {
    match (route.payload, carried) {
        (_, Carried::Bytes(len)) if len > PAYLOAD_BYTES_MAX => {
            Err(Denial::TooLong { what: "a payload", max: PAYLOAD_BYTES_MAX })
        }
        (_, Carried::Nothing)
        | (PayloadKind::Bytes | PayloadKind::Any, Carried::Bytes(_))
        | (PayloadKind::Section | PayloadKind::Any, Carried::Section) => Ok(()),
        (PayloadKind::None | PayloadKind::Section, Carried::Bytes(_))
        | (PayloadKind::None | PayloadKind::Bytes, Carried::Section) => {
            Err(Denial::Payload(route.name.clone()))
        }
    }
}

/// The address was minted for this route, and it is where such addresses may be.
fn check_opened(
    route: &Route,
    name: &str,
    hosts: &[crate::manifest::HostPattern],
    opened: &Opened,
) -> Result<(), Denial> {
    if opened.name != name {
        return Err(Denial::HandleKind {
            route: route.name.clone(),
            expected: name.to_owned(),
            given: opened.name.clone(),
        });
    }
    let url = &opened.url;
    let plain = url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.domain().unwrap_or_default();
    if plain && hosts.iter().any(|pattern| pattern.covers(host)) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    Err(Denial::HandleHost { route: route.name.clone(), host })
}

fn add_query(route: &Route, url: &mut Url, query: &[(String, String)]) -> Result<(), Denial> {
    if query.is_empty() {
        return Ok(());
    }
    let mut text = url.query().map(str::to_owned).unwrap_or_default();
    for (key, value) in query {
        if !route.query.contains(key) {
            return Err(Denial::Query { route: route.name.clone(), key: short(key) });
        }
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        text.extend(utf8_percent_encode(value, QUERY_VALUE));
    }
    url.set_query(Some(&text));
    Ok(())
}

fn check_headers(
    route: &Route,
    asked: &[(String, String)],
) -> Result<Vec<(HeaderName, HeaderValue)>, Denial> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(asked.len() + 1);
    for (name, value) in asked {
        let denied = || Denial::Header { route: route.name.clone(), name: short(name) };
        if !route.headers.contains(name) {
            return Err(denied());
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| denied())?;
        if headers.iter().any(|(other, _)| *other == name) {
            return Err(denied());
        }
        let value = header_value(name.as_str(), value)?;
        headers.push((name, value));
    }
    Ok(headers)
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Denial> {
    let fits = value.len() <= HEADER_BYTES_MAX && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let value = fits.then(|| HeaderValue::from_str(value).ok()).flatten();
    value.ok_or_else(|| Denial::HeaderValue(name.to_owned()))
}
