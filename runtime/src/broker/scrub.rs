//! What a reply shows to a connector.
//!
//! Every address that the service minted becomes a handle or is blanked, at any depth, and so does
//! every occurrence of the credential that was sent. The walk goes from the parser straight to the
//! writer, so a listing of a thousand entries is never held as a tree.
//!
//! A name or a path of either service cannot contain `://` (no name is empty), so blanking every text
//! that does never hides what a connector needs.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use memchr::memmem::Finder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::handle::Handles;
use crate::manifest::{MintSource, Route};
use crate::secret::Secret;

/// What stands where an address was.
const BLANKED: &str = "[address]";
/// What stands where JSON was that cannot be read.
const WITHHELD: &[u8] = b"[unreadable]";
/// What stands where a credential was.
const REDACTED: &[u8] = b"[redacted]";
/// Reply headers that a connector sees without asking.
const HEADERS_PASSED: &[&str] =
    &["content-type", "content-length", "content-range", "etag", "retry-after", "date", "last-modified"];
/// Longest header value that is passed on, in bytes.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Cleans the replies of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scrub<'a> {
    pub(super) route: &'a Route,
    pub(super) handles: &'a Handles,
    pub(super) credential: Option<&'a Disguises>,
}

impl Scrub<'_> {
    /// The headers that a connector sees, names in lower case.
    pub(super) fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let mut passed = Vec::new();
        for (name, value) in headers {
            let name = name.as_str();
            let Ok(text) = value.to_str() else { continue };
            if text.len() > HEADER_BYTES_MAX {
                continue;
            }
            let minted = self.mint(|source| matches!(source, MintSource::Header(own) if own == name));
            if let Some(mint) = minted {
                if let Some(handle) = self.handles.seal(mint, text) {
                    passed.push((name.to_owned(), handle));
                }
                continue;
            }
            if HEADERS_PASSED.contains(&name) || self.route.accept_headers.iter().any(|own| own == name) {
                let clean = self.body(text.as_bytes());
                passed.push((name.to_owned(), String::from_utf8_lossy(&clean).into_owned()));
            }
        }
        passed
    }

    /// A body that a connector sees: JSON with its addresses replaced, anything else with them blanked.
    pub(super) fn body(&self, body: &[u8]) -> Vec<u8> {
        let looks_like_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'));
        let clean = if looks_like_json {
            // What we cannot read another reader might: it is withheld as a whole.
            let read = std::str::from_utf8(body).ok().and_then(|body| self.json(body).ok());
            read.unwrap_or_else(|| WITHHELD.to_vec())
        } else {
            blank_addresses(body).into_owned()
        };
        match self.credential {
            Some(credential) => credential.redact(clean),
            None => clean,
        }
    }

    fn json(&self, body: &str) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::with_capacity(body.len());
        let mut reader = serde_json::Deserializer::from_str(body);
        Walk { scrub: self, key: None, out: &mut out }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(out)
    }

    fn mint(&self, is: impl Fn(&MintSource) -> bool) -> Option<&str> {
        self.route.mints.iter().find(|mint| mint.sources.iter().any(&is)).map(|mint| mint.name.as_str())
    }

    fn text(
        &self,
        key: Option<&str>,
        text: &str,
        written: Written,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let minted =
            key.and_then(|key| self.mint(|source| matches!(source, MintSource::Key(own) if own == key)));
        if let Some(mint) = minted {
            return match self.handles.seal(mint, text) {
                Some(handle) => serde_json::to_writer(out, &handle),
                None => serde_json::to_writer(out, BLANKED),
            };
        }
        match blank_addresses(text.as_bytes()) {
            Cow::Borrowed(_) => written.write(text, out),
            Cow::Owned(clean) => match std::str::from_utf8(&clean) {
                Ok(clean) => serde_json::to_writer(out, clean),
                Err(_) => serde_json::to_writer(out, BLANKED),
            },
        }
    }
}

/// How a text stood in the reply.
#[derive(Debug, Clone, Copy)]
enum Written {
    /// As it is: nothing in it was escaped, so nothing in it needs to be.
    Plainly,
    /// With something escaped, or nobody can tell.
    Escaped,
}

impl Written {
    fn write(self, text: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Plainly => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
                Ok(())
            }
            Self::Escaped => serde_json::to_writer(out, text),
        }
    }
}

/// Replace every `scheme://…` by a blank, up to the next character that no address has. The slashes
/// may be escaped as JSON within a text has them: `\/` or `\u002f`.
fn blank_addresses(text: &[u8]) -> Cow<'_, [u8]> {
    if find_address(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(colon) = find_address(rest) {
        let (before, address) = rest.split_at(colon);
        let scheme = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        out.extend_from_slice(before.get(..before.len().saturating_sub(scheme)).unwrap_or_default());
        out.extend_from_slice(BLANKED.as_bytes());
        let ends =
            |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'<>`".contains(byte);
        let end = address.iter().position(ends).unwrap_or(address.len());
        rest = address.get(end..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Where the colon of the next address is.
fn find_address(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b':', text).find(|colon| {
        let after = text.get(colon.saturating_add(1)..).unwrap_or_default();
        slash(after).and_then(slash).is_some()
    })
}

/// What follows a slash, however it is escaped.
fn slash(text: &[u8]) -> Option<&[u8]> {
    let escapes = text.iter().take_while(|byte| **byte == b'\\').count();
    let bare = text.get(escapes..)?;
    let escaped = bare.get(..5).filter(|code| escapes > 0 && code.eq_ignore_ascii_case(b"u002f"));
    match escaped {
        Some(_) => bare.get(5..),
        None => bare.strip_prefix(b"/"),
    }
}

/// A credential as it is, and as a service might echo it: percent-encoded, or in base64 wherever it
/// begins within a group of three bytes. Made once for a token: preparing the searches takes longer
/// than most replies take to be searched.
pub(super) struct Disguises {
    of: Secret,
    needles: Vec<Finder<'static>>,
}

impl Disguises {
    pub(super) fn new(credential: &Secret) -> Self {
        let needles = spellings(credential.expose());
        let needles = needles.iter().map(|needle| Finder::new(needle).into_owned()).collect();
        Self { of: credential.clone(), needles }
    }

    /// Are these the disguises of this credential?
    pub(super) fn are_of(&self, credential: &Secret) -> bool {
        self.of == *credential
    }

    fn redact(&self, text: Vec<u8>) -> Vec<u8> {
        self.needles.iter().fold(text, redact)
    }
}

impl fmt::Debug for Disguises {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Disguises(****)")
    }
}

fn spellings(token: &str) -> Vec<Vec<u8>> {
    let encoded = utf8_percent_encode(token, NON_ALPHANUMERIC).to_string();
    let mut all = vec![token.as_bytes().to_vec(), encoded.into_bytes()];
    for shift in 0..3_usize {
        let shifted = [&[0; 2][..shift.min(2)], token.as_bytes()].concat();
        // Characters that hold only bits of the token: those at the ends are shared with neighbours.
        let (first, last) = (shift.saturating_mul(8).div_ceil(6), shifted.len().saturating_mul(8) / 6);
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            all.extend(text.get(first..last).map(|core| core.as_bytes().to_vec()));
        }
    }
    all.dedup();
    all.retain(|needle| needle.len() >= NEEDLE_BYTES_MIN);
    all
}

/// Shorter texts than this are no credential, and would be found everywhere.
const NEEDLE_BYTES_MIN: usize = 8;

fn redact(text: Vec<u8>, needle: &Finder<'static>) -> Vec<u8> {
    if needle.find(&text).is_none() {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    while let Some(at) = needle.find(rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(REDACTED);
        rest = rest.get(at.saturating_add(needle.needle().len())..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// One value on its way from the parser to the writer; `key` is the member it belongs to, and stays
/// in force inside arrays.
struct Walk<'s, 'a, 'o, 'k> {
    scrub: &'s Scrub<'a>,
    key: Option<&'k str>,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_, '_, '_, '_> {
    fn write<E: serde::de::Error>(self, value: &impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(self.out, value).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.write(&())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.scrub.text(self.key, value, Written::Escaped, self.out).map_err(E::custom)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<(), E> {
        self.scrub.text(self.key, value, Written::Plainly, self.out).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        let mut first = true;
        loop {
            let before = self.out.len();
            if !first {
                self.out.push(b',');
            }
            let walk = Walk { scrub: self.scrub, key: self.key, out: &mut *self.out };
            if items.next_element_seed(walk)?.is_none() {
                self.out.truncate(before);
                break;
            }
            first = false;
        }
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let mut first = true;
        while let Some((key, written)) = members.next_key_seed(Key)? {
            if !first {
                self.out.push(b',');
            }
            first = false;
            // A key can hold an address as well as a value can.
            self.scrub.text(None, &key, written, self.out).map_err(A::Error::custom)?;
            self.out.push(b':');
            members.next_value_seed(Walk { scrub: self.scrub, key: Some(&key), out: &mut *self.out })?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// The name of a member, and how it stood there.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = (Cow<'de, str>, Written);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = (Cow<'de, str>, Written);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok((Cow::Owned(key.to_owned()), Written::Escaped))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok((Cow::Borrowed(key), Written::Plainly))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::home::tests::scratch;
    use crate::manifest::{Manifest, WORLD};
    use crate::vault::Vault;

    struct Scene {
        _home: tempfile::TempDir,
        manifest: Arc<Manifest>,
        handles: Handles,
    }

    impl Scene {
        fn new() -> Self {
            let (folder, home) = scratch();
            let described = json!({
                "id": "dev.wharf.test", "version": "1.0.0", "world": WORLD, "type": "test", "name": "Test",
                "roles": ["destination"],
                "routes": [{ "name": "list", "does": "list", "method": "GET", "url": "https://example.com/v1",
                    "access": "read", "credential": "none", "replay": "safe", "mints": { "page": ["@next"] } },
                    { "name": "next", "does": "list on", "method": "GET", "minted": "page", "hosts": ["example.com"],
                    "access": "read", "credential": "none", "replay": "safe" }],
                "upload": { "single_max": 1, "part_size": 20, "part_quantum": 10, "part_max": 40 }
            });
            let manifest = Arc::new(Manifest::parse(described.to_string().as_bytes()).unwrap());
            let vault = Vault::open(&home).unwrap();
            let handles = Handles::new(vault, "archive", None, "dev.wharf.test");
            Self { _home: folder, manifest, handles }
        }

        fn seen(&self, body: &[u8]) -> String {
            let scrub = Scrub { route: &self.manifest.routes[0], handles: &self.handles, credential: None };
            String::from_utf8(scrub.body(body)).unwrap()
        }
    }

    #[test]
    fn addresses_are_blanked_however_they_are_written() {
        let scene = Scene::new();
        let check = |body: &str, expected: &str| assert_eq!(scene.seen(body.as_bytes()), expected, "{body}");
        check(r#"{"a":"see https://x.example/y?z, or not"}"#, r#"{"a":"see [address] or not"}"#);
        check(r#"{"a":"https:\/\/x.example"}"#, r#"{"a":"[address]"}"#);
        check(r#"{"a":"https\u003a\u002f/x.example"}"#, r#"{"a":"[address]"}"#);
        check(r#"{"a":"\u0068ttps://x.example"}"#, r#"{"a":"[address]"}"#);
        check(r#"{"https://x.example":[["ftp://x.example"]]}"#, r#"{"[address]":[["[address]"]]}"#);
        check("moved to https://x.example/y now", "moved to [address] now");
        check(r#"{"next":"a:b","time":"12:30"}"#, r#"{"next":"a:b","time":"12:30"}"#);
    }

    #[test]
    fn what_is_not_an_address_comes_through_as_it_was() {
        let scene = Scene::new();
        for body in [
            r#"{"a":"\"quoted\" \\ \n","b\"":[1,-2,0.5,true,null],"c":{}}"#,
            r#"{"name":"Übermaß 文件.txt","empty":"","list":[]}"#,
            r#"  {"spaced" : [ 1 , 2 ] }  "#,
        ] {
            let seen: Value = serde_json::from_str(&scene.seen(body.as_bytes())).unwrap();
            assert_eq!(seen, serde_json::from_str::<Value>(body).unwrap(), "{body}");
        }
    }

    #[test]
    fn what_a_route_mints_is_sealed() {
        let scene = Scene::new();
        let seen = scene.seen(br#"{"@next":"https:\/\/example.com\/v1?page=2"}"#);
        let seen: Value = serde_json::from_str(&seen).unwrap();
        let opened = scene.handles.open(seen["@next"].as_str().unwrap()).unwrap();
        assert_eq!((opened.name.as_str(), opened.url.as_str()), ("page", "https://example.com/v1?page=2"));
        assert_eq!(scene.seen(br#"{"@next":"no address"}"#), r#"{"@next":"[address]"}"#);
    }

    #[test]
    fn what_cannot_be_read_is_withheld() {
        let scene = Scene::new();
        for body in [
            &br#"{"a":"https:\/\/x.example"} rest"#[..],
            br#"{"a":"#,
            b"{\"a\":\"\xff\"}",
            br#"{"a":"\ud800"}"#,
            b"[1,]",
        ] {
            assert_eq!(scene.seen(body).as_bytes(), WITHHELD, "{}", String::from_utf8_lossy(body));
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = "[^:/]{0,12}|.{0,4}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            let members = proptest::collection::btree_map(text, inner.clone(), 0..6);
            prop_oneof![
                proptest::collection::vec(inner, 0..6).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect()))
            ]
        })
    }

    #[test]
    fn any_reply_without_addresses_keeps_its_meaning() {
        let scene = Scene::new();
        proptest!(|(value in values())| {
            prop_assume!(find_address(value.to_string().as_bytes()).is_none());
            let body = Value::from(vec![value]);
            let seen = scene.seen(body.to_string().as_bytes());
            prop_assert_eq!(serde_json::from_str::<Value>(&seen).unwrap(), body);
        });
    }
}
