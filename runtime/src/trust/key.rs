//! Public keys: what a publisher is known by.
//!
//! A key is read from PEM, as openssl and cosign write it, and is one of two kinds that both of them
//! and `ring` have in common. Its id is the SHA-256 of its encoding, which is also what cosign calls it
//! by, so that an operator finds the same digits in both places.

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::registry::Digest;

/// Largest key file, in bytes: a key in PEM has 200, an encrypted one 700.
pub const KEY_FILE_BYTES_MAX: usize = 16 * 1024;
/// Fewest digits of a key's id that name it: with 16 keys to a publisher two rarely share them.
pub const KEY_ID_DIGITS_MIN: usize = 8;

/// How PEM calls a public key.
const PEM_TAG: &str = "PUBLIC KEY";
/// `SubjectPublicKeyInfo` of Ed25519 (RFC 8410, section 4): everything before the 32 bytes of the key.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const ED25519_KEY_BYTES: usize = 32;
/// The same of an uncompressed point on P-256 (RFC 5480, section 2): everything before its 65 bytes.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P256_KEY_BYTES: usize = 65;

/// Which kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519, over the bytes themselves (not Ed25519ph).
    Ed25519,
    /// ECDSA on P-256, over their SHA-256.
    EcdsaP256,
}

impl Algorithm {
    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::EcdsaP256 => "ECDSA P-256",
        }
    }

    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &ED25519_PREFIX,
            Self::EcdsaP256 => &P256_PREFIX,
        }
    }

    const fn key_bytes(self) -> usize {
        match self {
            Self::Ed25519 => ED25519_KEY_BYTES,
            Self::EcdsaP256 => P256_KEY_BYTES,
        }
    }
}

/// Why a text is no public key, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No PEM.
    #[error("holds no key in PEM")]
    NotPem,
    /// The other half.
    #[error("holds a private key, which is nobody's but the publisher's")]
    Private,
    /// A certificate, or anything else.
    #[error("holds no public key (`BEGIN PUBLIC KEY`)")]
    NotPublic,
    /// RSA, P-384 and so on.
    #[error("holds a key that is neither Ed25519 nor ECDSA P-256")]
    Unsupported,
}

/// A key's id: the SHA-256 of its encoding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Digest);

impl KeyId {
    /// Its 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The first 12: enough to recognise it.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.short()
    }

    /// All 64 digits, as they are written.
    ///
    /// # Errors
    /// A sentence that says so.
    pub fn parse(text: &str) -> Result<Self, String> {
        Digest::parse(text).map(Self).map_err(|_| "the id of a key is 64 of `0-9` and `a-f`".to_owned())
    }

    /// As bundles have it: the digest itself, in base64.
    pub(super) fn from_hint(digest: &[u8]) -> Option<Self> {
        (digest.len() == 32).then(|| hex::encode(digest)).and_then(|digits| Self::parse(&digits).ok())
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.short())
    }
}

/// The signature is not of this key, or not of these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch;

/// A public key that signatures can be checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// Its whole encoding (`SubjectPublicKeyInfo`, DER).
    encoded: Vec<u8>,
}

impl PublicKey {
    /// Read a key in PEM.
    ///
    /// # Errors
    /// What the text holds instead.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > KEY_FILE_BYTES_MAX {
            return Err(Error::NotPem);
        }
        let pem = pem::parse(text).map_err(|_| Error::NotPem)?;
        match pem.tag() {
            PEM_TAG => Self::from_encoded(pem.contents()),
            tag if tag.ends_with("PRIVATE KEY") => Err(Error::Private),
            _ => Err(Error::NotPublic),
        }
    }

    /// The key of this kind with these bytes.
    pub(super) fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self, Error> {
        Self::from_encoded(&[algorithm.prefix(), raw].concat())
    }

    fn from_encoded(encoded: &[u8]) -> Result<Self, Error> {
        let is_of = |algorithm: &Algorithm| {
            encoded.strip_prefix(algorithm.prefix()).is_some_and(|raw| {
                let is_point = *algorithm == Algorithm::Ed25519 || raw.first() == Some(&4);
                raw.len() == algorithm.key_bytes() && is_point
            })
        };
        let algorithm = [Algorithm::Ed25519, Algorithm::EcdsaP256].into_iter().find(is_of);
        Ok(Self { algorithm: algorithm.ok_or(Error::Unsupported)?, encoded: encoded.to_owned() })
    }

    /// Which kind.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&self.encoded))
    }

    /// As PEM, lines ending with `\n`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let pem = pem::Pem::new(PEM_TAG, self.encoded.clone());
        pem::encode_config(&pem, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    /// Did the owner of this key sign these bytes?
    pub(super) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), Mismatch> {
        let raw = self.encoded.get(self.algorithm.prefix().len()..).unwrap_or_default();
        let checked = match self.algorithm {
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, raw).verify(message, signature),
            Algorithm::EcdsaP256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, raw).verify(message, signature)
            }
        };
        checked.map_err(|_| Mismatch)
    }
}
