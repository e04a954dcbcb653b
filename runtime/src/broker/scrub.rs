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
            self.json(body).unwrap_or_else(|_| WITHHELD.to_vec())
        } else {
            blank_addresses(body).into_owned()
        };
        match self.credential {
            Some(credential) => credential.redact(clean),
            None => clean,
        }
    }

    fn json(&self, body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::with_capacity(body.len());
        let mut reader = serde_json::Deserializer::from_slice(body);
        Walk { scrub: self, key: None, out: &mut out }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(out)
    }

    fn mint(&self, is: impl Fn(&MintSource) -> bool) -> Option<&str> {
        self.route.mints.iter().find(|mint| mint.sources.iter().any(&is)).map(|mint| mint.name.as_str())
    }

    fn text(&self, key: Option<&str>, text: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let minted =
            key.and_then(|key| self.mint(|source| matches!(source, MintSource::Key(own) if own == key)));
        if let Some(mint) = minted {
            return match self.handles.seal(mint, text) {
                Some(handle) => serde_json::to_writer(out, &handle),
                None => serde_json::to_writer(out, BLANKED),
            };
        }
        let clean = blank_addresses(text.as_bytes());
        match std::str::from_utf8(&clean) {
            Ok(clean) => serde_json::to_writer(out, clean),
            Err(_) => serde_json::to_writer(out, BLANKED),
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
        self.scrub.text(self.key, value, self.out).map_err(E::custom)
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
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            if !first {
                self.out.push(b',');
            }
            first = false;
            // A key can hold an address as well as a value can.
            self.scrub.text(None, &key, self.out).map_err(A::Error::custom)?;
            self.out.push(b':');
            members.next_value_seed(Walk { scrub: self.scrub, key: Some(&key), out: &mut *self.out })?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
