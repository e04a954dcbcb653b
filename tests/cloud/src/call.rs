//! A request as the services see it: where it was sent, what it says, and its body.
//!
//! The path is decoded once, here; nothing after this decodes again.

use http::{HeaderMap, Method, Version};
use percent_encoding::percent_decode_str;

use crate::hosts::Role;
use crate::inbound::Inbound;

/// On a machine's own name, `/_hosts/{name}/…` stands for a minted host.
const HOSTS_PREFIX: &str = "/_hosts/";

/// A request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The host it is meant for, without the port.
    pub(crate) host: String,
    pub(crate) role: Role,
    /// Whether it was sent to the machine's own name, so that minted addresses must be too.
    local: Option<String>,
    /// Decoded path.
    pub(crate) path: String,
    /// Query as key and value, decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) version: Version,
    pub(crate) body: Inbound,
    /// Entries of a batch that a fault fails, if any.
    pub(crate) fail_entries: Option<crate::fault::Entries>,
    /// Whether it came inside a `$batch`.
    pub(crate) batched: bool,
}

impl Call {
    /// Reads the head of a request. `scheme` is that of the port it came in by.
    pub(crate) fn new(head: http::request::Parts, body: Inbound, scheme: &str) -> Self {
        let authority = authority(&head);
        let host = host_of(&authority);
        let role = Role::of(&host);
        let path = decode(head.uri.path());
        let query = pairs(head.uri.query().unwrap_or_default());
        let mut call = Self {
            method: head.method,
            host,
            role,
            local: None,
            path,
            query,
            headers: head.headers,
            version: head.version,
            body,
            fail_entries: None,
            batched: false,
        };
        if role == Role::Local {
            call.local = Some(format!("{scheme}://{authority}"));
            call.unwrap_host();
        }
        call
    }

    /// A request inside another: same client, other method and address.
    pub(crate) fn inner(&self, method: Method, url: &str, headers: HeaderMap, body: Inbound) -> Self {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        Self {
            method,
            host: self.host.clone(),
            role: self.role,
            local: self.local.clone(),
            path: decode(path),
            query: pairs(query),
            headers,
            version: self.version,
            body,
            fail_entries: None,
            batched: true,
        }
    }

    fn unwrap_host(&mut self) {
        let Some(rest) = self.path.strip_prefix(HOSTS_PREFIX) else {
            return;
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, path) = (host.to_owned(), format!("/{path}"));
        self.role = Role::of(&host);
        self.host = host;
        self.path = path;
    }

    /// An address on another host of the service, reachable the way this request came.
    pub(crate) fn mint(&self, host: &str, path: &str) -> String {
        match &self.local {
            None => format!("https://{host}{path}"),
            Some(origin) => format!("{origin}{HOSTS_PREFIX}{host}{path}"),
        }
    }

    /// An address on the host this request was sent to.
    pub(crate) fn same_host(&self, path: &str) -> String {
        match &self.local {
            None => format!("https://{}{path}", self.host),
            Some(origin) => format!("{origin}{path}"),
        }
    }

    /// Whether the machine's own name was used, where Dropbox's hosts are one.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// The first value of a query key, with or without its `$`, in any case.
    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        let plain = |name: &str| name.trim_start_matches('$').to_ascii_lowercase();
        let wanted = plain(key);
        self.query.iter().find(|(name, _)| plain(name) == wanted).map(|(_, value)| value.as_str())
    }

    /// A header as text. Clients put raw UTF-8 into some, which HTTP tolerates.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }

    /// The token of an `Authorization: Bearer` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The declared length of the body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

fn authority(head: &http::request::Parts) -> String {
    let named = head.uri.authority().map(ToString::to_string);
    let header = || {
        let value = head.headers.get(http::header::HOST)?;
        value.to_str().ok().map(str::to_owned)
    };
    named.or_else(header).unwrap_or_default()
}

fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Splits a query or a form into decoded pairs. A plus sign is a space in forms only.
fn pairs(text: &str) -> Vec<(String, String)> {
    split(text, decode)
}

/// Splits an `application/x-www-form-urlencoded` body.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    split(text, |part| decode(&part.replace('+', " ")))
}

fn split(text: &str, decode: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(key), decode(value))
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn call(host: &str, target: &str) -> Call {
        let request = http::Request::builder().uri(target).header("host", host).body(()).unwrap();
        Call::new(request.into_parts().0, Inbound::memory(Bytes::new()), "http")
    }

    #[test]
    fn decodes_the_path_once() {
        let call = call("graph.microsoft.com", "/v1.0/me/drive/items/root%3A%2Fa%2525b%3A/content");
        assert_eq!(call.path, "/v1.0/me/drive/items/root:/a%25b:/content");
        assert_eq!(call.role, Role::Graph);
        assert_eq!(call.mint("h.test", "/x"), "https://h.test/x");
    }

    #[test]
    fn finds_query_keys_in_any_spelling() {
        for query in ["$top=5", "%24top=5", "top=5", "$TOP=5"] {
            let call = call("graph.microsoft.com", &format!("/x?{query}"));
            assert_eq!(call.query("$top"), Some("5"), "{query}");
        }
    }

    #[test]
    fn unwraps_hosts_on_the_machine() {
        let call = call("127.0.0.1:99", "/_hosts/my.microsoftpersonalcontent.com/up/a?b=c");
        assert_eq!(call.role, Role::Storage);
        assert_eq!(call.path, "/up/a");
        assert_eq!(call.mint("h.test", "/x"), "http://127.0.0.1:99/_hosts/h.test/x");
    }
}
