//! A route as a manifest writes it, parsed into what it means.

use std::collections::BTreeMap;

use url::Url;

use super::super::{Binding, Error, check_phrase, is_word, problem};
use super::{
    Access, Address, Confine, Credential, HostPattern, JsonPlace, JsonRule, KeyPattern, Method, Mint,
    MintSource, PayloadKind, Piece, Replay, Route, Template,
};

/// Request headers that belong to the host or to the connection, whatever a manifest says.
const HEADERS_NEVER_SENT: &[&str] = &[
    "authorization",
    "cookie",
    "host",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "forwarded",
    "via",
    "user-agent",
    "accept-encoding",
    "alt-used",
    "http2-settings",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];
/// The same, by how they begin.
const HEADER_PREFIXES_NEVER_SENT: &[&str] = &["proxy-", "x-forwarded-", "sec-"];
/// Reply headers that can carry a secret or an address; a `location` arrives as a handle or not at all.
const HEADERS_NEVER_PASSED: &[&str] = &[
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
    "authorization",
    "location",
    "link",
];

/// A route as the manifest writes it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::manifest) struct Raw {
    name: String,
    does: String,
    method: Method,
    url: Option<String>,
    url_at_root: Option<String>,
    minted: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    item_forbid: String,
    #[serde(default)]
    query: Vec<String>,
    #[serde(default)]
    headers: Vec<String>,
    json: Option<RawJson>,
    #[serde(default)]
    payload: PayloadKind,
    access: Access,
    credential: Credential,
    replay: Replay,
    #[serde(default)]
    mints: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    accept_headers: Vec<String>,
    only_with: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJson {
    r#in: String,
    keys: Vec<String>,
    #[serde(default)]
    confine: BTreeMap<String, String>,
}

impl Raw {
    pub(in crate::manifest) fn parse(self, bind: &BTreeMap<String, Binding>) -> Result<Route, Error> {
        if !is_word(&self.name) {
            return Err(problem(
                format!("routes/{}", self.name.escape_default()),
                "may have only a-z, 0-9, `-` and `_` in its name",
            ));
        }
        let field = |part: &str| format!("routes/{}/{part}", self.name);
        check_phrase(&field("does"), &self.does)?;
        let address = self.address(bind)?;
        let json = self.json.as_ref().map(|json| json.parse(&field("json"), bind)).transpose()?;
        if let Some(JsonPlace::Header(name)) = json.as_ref().map(|json| &json.place)
            && self.headers.contains(name)
        {
            return Err(problem(field("headers"), "has the header that the JSON arguments go into"));
        }
        match (self.method, self.access) {
            (Method::Put | Method::Patch | Method::Delete, Access::Read) => {
                return Err(problem(field("access"), "is `read`, but the method writes"));
            }
            (Method::Put | Method::Patch | Method::Delete, Access::Write)
            | (Method::Get | Method::Head | Method::Post, Access::Read | Access::Write) => {}
        }
        let in_body = json.as_ref().is_some_and(|json| json.place == JsonPlace::Body);
        if in_body && self.payload != PayloadKind::None {
            return Err(problem(field("payload"), "cannot be there beside JSON in the body"));
        }
        for key in &self.query {
            if key.is_empty()
                || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~$@".contains(&byte))
            {
                return Err(problem(
                    field("query"),
                    format!("has `{}`, which is not a plain key", key.escape_default()),
                ));
            }
        }
        check_headers(&field("headers"), &self.headers, is_sendable)?;
        check_headers(&field("accept_headers"), &self.accept_headers, |name| {
            !HEADERS_NEVER_PASSED.contains(&name)
        })?;
        let mints = parse_mints(&field("mints"), &self.mints)?;
        Ok(Route {
            name: self.name,
            does: self.does,
            method: self.method,
            address,
            query: self.query,
            headers: self.headers,
            json,
            payload: self.payload,
            access: self.access,
            credential: self.credential,
            replay: self.replay,
            mints,
            accept_headers: self.accept_headers,
            only_with: self.only_with,
        })
    }

    fn address(&self, bind: &BTreeMap<String, Binding>) -> Result<Address, Error> {
        let field = |part: &str| format!("routes/{}/{part}", self.name);
        match (&self.url, &self.minted) {
            (Some(url), None) if self.hosts.is_empty() => {
                let template = parse_template(url, bind).map_err(|text| problem(field("url"), text))?;
                let at_root = self.url_at_root.as_deref().map(|url| parse_template(url, bind)).transpose();
                let at_root = at_root.map_err(|text| problem(field("url_at_root"), text))?;
                if at_root.as_ref().is_some_and(|root| root.host != template.host || root.has_item()) {
                    return Err(problem(
                        field("url_at_root"),
                        "must be on the host of `url`, without `{item}`",
                    ));
                }
                Ok(Address::Built { template, at_root, item_forbid: self.item_forbid.chars().collect() })
            }
            (None, Some(name))
                if is_word(name) && self.url_at_root.is_none() && self.item_forbid.is_empty() =>
            {
                if self.hosts.is_empty() {
                    return Err(problem(field("hosts"), "names no host for a minted address"));
                }
                let parse = |text: &String| {
                    HostPattern::parse(text).ok_or_else(|| {
                        problem(
                            field("hosts"),
                            format!(
                                "has `{}`, which is neither a host nor `*.` before a domain of two labels that strangers cannot register below (as they do below `co.uk` and `github.io`)",
                                text.escape_default()
                            ),
                        )
                    })
                };
                let hosts = self.hosts.iter().map(parse).collect::<Result<_, _>>()?;
                Ok(Address::Minted { name: name.clone(), hosts })
            }
            _ => Err(problem(
                field("url"),
                "goes with `url_at_root` and `item_forbid`; `minted` goes with `hosts`; a route has one of the two",
            )),
        }
    }
}

impl RawJson {
    fn parse(&self, field: &str, bind: &BTreeMap<String, Binding>) -> Result<JsonRule, Error> {
        let place = match self.r#in.split_once(':') {
            None if self.r#in == "body" => JsonPlace::Body,
            Some(("header", name)) if is_sendable(&name.to_ascii_lowercase()) && is_token(name) => {
                JsonPlace::Header(name.to_ascii_lowercase())
            }
            _ => {
                return Err(problem(
                    format!("{field}/in"),
                    "is neither `body` nor `header:NAME` of a header that may be sent",
                ));
            }
        };
        let pattern = |text: &String| {
            KeyPattern::parse(text).ok_or_else(|| {
                problem(
                    format!("{field}/keys"),
                    format!("has `{}`, which is not a path of keys", text.escape_default()),
                )
            })
        };
        let keys: Vec<KeyPattern> = self.keys.iter().map(pattern).collect::<Result<_, _>>()?;
        let mut confine = Vec::new();
        for (key, template) in &self.confine {
            let key = pattern(key)?;
            if !keys.contains(&key) {
                return Err(problem(
                    format!("{field}/confine"),
                    format!("names `{key}`, which `keys` does not list"),
                ));
            }
            let parsed = parse_confine(key, template, bind);
            confine.push(parsed.map_err(|text| problem(format!("{field}/confine"), text))?);
        }
        Ok(JsonRule { place, keys, confine })
    }
}

/// An address without blanks must already be what a URL parser makes of it, so that what an
/// operator reads in the manifest is what is sent.
fn parse_template(text: &str, bind: &BTreeMap<String, Binding>) -> Result<Template, String> {
    let rest = text.strip_prefix("https://").ok_or("does not begin with `https://`")?;
    let slash = rest.find('/').ok_or("has no path")?;
    let (host, path) = rest.split_at(slash);
    if !is_host(host) {
        return Err(format!(
            "has the host `{}`, which is not a plain lower-case name of a public host",
            host.escape_default()
        ));
    }
    let pieces = parse_pieces(path, bind)?;
    let plain: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Bound(_) => "x",
            Piece::Item => "/x",
        })
        .collect();
    let unsafe_name = plain.split('/').skip(1).any(|name| matches!(name, "." | ".."));
    let url = Url::parse(&format!("https://{host}{plain}")).ok();
    let base = url.filter(|url| url.path() == plain && url.host_str() == Some(host));
    let plain = !unsafe_name && !plain.contains("//") && !plain.contains(['?', '#', '%', '\\']);
    match base.filter(|_| plain) {
        Some(base) => Ok(Template { host: host.to_owned(), pieces, base: Box::new(base) }),
        None => Err("has a path that is not plain (no `?`, `#`, `%`, `\\`, `//`, `.` or `..`)".to_owned()),
    }
}

/// How a path inside a text is written: one of the two blanks for it, and those of `bind`.
fn parse_confine(
    key: KeyPattern,
    template: &str,
    bind: &BTreeMap<String, Binding>,
) -> Result<Confine, String> {
    let (item, item_encoded) = (blank(Confine::ITEM), blank(Confine::ITEM_ENCODED));
    let encoded = template.contains(&item_encoded);
    if encoded == template.contains(&item) {
        return Err("needs one of `{item}` and `{item-encoded}` in each value".to_owned());
    }
    let pieces = parse_pieces(&template.replace(&item_encoded, &item), bind)?;
    Ok(Confine { key, pieces, encoded })
}

fn blank(name: &str) -> String {
    format!("{{{name}}}")
}

fn parse_pieces(path: &str, bind: &BTreeMap<String, Binding>) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        let (literal, tail) = rest.split_at(open);
        let close = tail.find('}').ok_or("has a `{` without `}`")?;
        let (blank, after) = tail.split_at(close);
        let name = blank.trim_start_matches('{');
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        if name == Confine::ITEM {
            if pieces.contains(&Piece::Item) {
                return Err("has `{item}` twice".to_owned());
            }
            pieces.push(Piece::Item);
        } else if bind.contains_key(name) {
            pieces.push(Piece::Bound(name.to_owned()));
        } else {
            return Err(format!("has the blank `{}`, which `bind` does not fill", name.escape_default()));
        }
        rest = after.strip_prefix('}').unwrap_or(after);
    }
    if rest.contains('}') {
        return Err("has a `}` without `{`".to_owned());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}

fn parse_mints(field: &str, raw: &BTreeMap<String, Vec<String>>) -> Result<Vec<Mint>, Error> {
    let mut mints = Vec::new();
    for (name, sources) in raw {
        if !is_word(name) || sources.is_empty() {
            return Err(problem(
                field,
                format!("has `{}` without a plain name or without a source", name.escape_default()),
            ));
        }
        let sources = sources.iter().map(|source| match source.strip_prefix("header:") {
            Some(header) => MintSource::Header(header.to_ascii_lowercase()),
            None => MintSource::Key(source.clone()),
        });
        mints.push(Mint { name: name.clone(), sources: sources.collect() });
    }
    Ok(mints)
}

fn check_headers(field: &str, names: &[String], permitted: impl Fn(&str) -> bool) -> Result<(), Error> {
    match names
        .iter()
        .find(|name| !is_token(name) || name.chars().any(|c| c.is_ascii_uppercase()) || !permitted(name))
    {
        Some(name) => Err(problem(
            field,
            format!("has `{}`, which is not lower case or belongs to the host", name.escape_default()),
        )),
        None => Ok(()),
    }
}

/// A request header that is the connector's to set.
fn is_sendable(name: &str) -> bool {
    !HEADERS_NEVER_SENT.contains(&name)
        && !HEADER_PREFIXES_NEVER_SENT.iter().any(|prefix| name.starts_with(prefix))
}

/// A header name (RFC 9110, 5.6.2), as far as anyone uses it.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A named, public-looking host in the one spelling that the URL parser gives it: no address in any
/// notation, no dot at the end, no port, at least two labels.
pub(super) fn is_host(text: &str) -> bool {
    text.split('.').count() >= 2
        && url::Url::parse(&format!("https://{text}/")).is_ok_and(|url| {
            matches!(url.host(), Some(url::Host::Domain(host)) if host == text)
                && url.port().is_none()
                && url.username().is_empty()
        })
        && !text.ends_with('.')
}
