//! Opaque strings that carry their own meaning: paging tokens, cursors, download tickets.
//!
//! The services hand out such strings by the thousand; keeping none of them in a table means that
//! listing 50,000 items costs no memory. A short MAC refuses every string that was not made here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the MAC that travel; enough against accident and curiosity, short enough for a URL.
const TAG_BYTES: usize = 12;

/// The key of this run of the emulators.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    key: hmac::Key,
}

impl Seal {
    pub(crate) fn new() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) }
    }

    /// Seals a value for one purpose; a string sealed for another is refused.
    pub(crate) fn close<T: Serialize>(&self, purpose: &str, value: &T) -> String {
        let mut bytes = serde_json::to_vec(value).unwrap_or_default();
        let tag = self.tag(purpose, &bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The value that was sealed, or `None` for a string that was not made by `close`.
    pub(crate) fn open<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (value, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        (self.tag(purpose, value) == tag).then_some(())?;
        serde_json::from_slice(value).ok()
    }

    fn tag(&self, purpose: &str, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(bytes);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

/// A random string of `length` letters and digits, for ids and tokens.
pub(crate) fn random(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    (0..length).map(letter).collect()
}

/// A random identifier in the form of a GUID, as request ids are.
pub(crate) fn guid() -> String {
    let text = hex::encode(rand::random::<[u8; 16]>());
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_closed() {
        let seal = Seal::new();
        let text = seal.close("page", &("after", 7));
        assert_eq!(seal.open::<(String, u32)>("page", &text).unwrap().1, 7);
        assert!(seal.open::<(String, u32)>("cursor", &text).is_none());
        assert!(seal.open::<(String, u32)>("page", &text[1..]).is_none());
        assert!(Seal::new().open::<(String, u32)>("page", &text).is_none());
        assert!(seal.open::<(String, u32)>("page", "").is_none());
    }
}
