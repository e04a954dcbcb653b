//! Private keys: the vendor's side of a signature.
//!
//! A key comes from a file that openssl or cosign wrote: PKCS#8 in PEM, or cosign's own form, encrypted
//! with a password. It lives in memory only as long as it signs, cannot print, and is never written
//! again, except by [`generate`], which makes a new one.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    bundle::{self, Bundle},
    key::{Algorithm, KEY_FILE_BYTES_MAX, PublicKey},
};
use crate::{hint::Hint, registry::Digest, secret::Secret};

/// Most memory that opening an encrypted key may take, in bytes: cosign's takes 64 MiB.
const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most passes of it: cosign's takes one.
const SCRYPT_PASSES_MAX: u32 = 4;
/// Bytes of the key that a password becomes.
const SECRETBOX_KEY_BYTES: usize = 32;
const SECRETBOX_NONCE_BYTES: usize = 24;
/// An Ed25519 key in PKCS#8 (RFC 8410, section 7): everything before its 32 bytes.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const ED25519_SEED_BYTES: usize = 32;

/// Why a key cannot sign, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No PEM.
    #[error("holds no key in PEM")]
    NotPem,
    /// The other half.
    #[error("holds a public key, which cannot sign")]
    Public,
    /// PEM, but not of a form that is read here.
    #[error("holds `{0}`, and not `PRIVATE KEY` or `ENCRYPTED SIGSTORE PRIVATE KEY`")]
    Form(String),
    /// RSA, P-384 and so on, or damaged.
    #[error("holds a key that is neither Ed25519 nor ECDSA P-256")]
    Unsupported,
    /// Encrypted in a way that cosign does not.
    #[error("is encrypted in a way that is not cosign's: {0}")]
    Cipher(String),
    /// No password for a key that has one.
    #[error("is encrypted, and no password is given")]
    PasswordMissing,
    /// Another password.
    #[error("cannot be opened with this password")]
    PasswordWrong,
    /// The system gives no random bytes.
    #[error("cannot be used: the system gives no random bytes")]
    Randomness,
    /// What was signed cannot be written down.
    #[error("signed what cannot be written: {0}")]
    Bundle(bundle::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotPem | Self::Public => {
                "name the private key; `wharf connector keygen` makes one".to_owned()
            }
            Self::Form(_) => "convert it: `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`".to_owned(),
            Self::Unsupported | Self::Cipher(_) => {
                "make a key with `wharf connector keygen`, `cosign generate-key-pair` or `openssl genpkey -algorithm ed25519`"
                    .to_owned()
            }
            Self::PasswordMissing | Self::PasswordWrong => {
                "give its password with `--password-file FILE` or in `COSIGN_PASSWORD`".to_owned()
            }
            Self::Randomness | Self::Bundle(_) => return None,
        })
    }
}

/// A key that signs.
pub struct PrivateKey(Pair);

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    EcdsaP256(Box<EcdsaKeyPair>),
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PrivateKey(****)")
    }
}

impl PrivateKey {
    /// Is this the text of an encrypted key, so that a password is needed?
    #[must_use]
    pub fn is_encrypted(text: &Secret) -> bool {
        pem::parse(text.expose()).is_ok_and(|pem| is_cosigns(pem.tag()))
    }

    /// Read a key in PEM.
    ///
    /// # Errors
    /// What the text holds instead, or what is wrong with the password.
    pub fn parse(text: &Secret, password: Option<&Secret>) -> Result<Self, Error> {
        if text.expose().len() > KEY_FILE_BYTES_MAX {
            return Err(Error::NotPem);
        }
        let pem = pem::parse(text.expose()).map_err(|_| Error::NotPem)?;
        let tag = pem.tag().to_owned();
        let contents = Zeroizing::new(pem.into_contents());
        match tag.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8(&contents),
            "PUBLIC KEY" => Err(Error::Public),
            tag if is_cosigns(tag) => {
                Self::from_pkcs8(&decrypt(&contents, password.ok_or(Error::PasswordMissing)?)?)
            }
            other => Err(Error::Form(crate::shown::shown(other, 60))),
        }
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        // Without its public half it is what openssl and Go write.
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            return Ok(Self(Pair::Ed25519(Box::new(pair))));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new());
        Ok(Self(Pair::EcdsaP256(Box::new(pair.map_err(|_| Error::Unsupported)?))))
    }

    /// Its public half.
    ///
    /// # Errors
    /// Never for a key that was read; the type is the encoding's.
    pub fn public(&self) -> Result<PublicKey, Error> {
        let public = match &self.0 {
            Pair::Ed25519(pair) => PublicKey::from_raw(Algorithm::Ed25519, pair.public_key().as_ref()),
            Pair::EcdsaP256(pair) => PublicKey::from_raw(Algorithm::EcdsaP256, pair.public_key().as_ref()),
        };
        public.map_err(|_| Error::Unsupported)
    }

    /// Sign these bytes: the bundle to lie beside them.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.signature(bytes)?;
        Bundle::write(&self.public()?.id(), &Digest::of(bytes), &signature).map_err(Error::Bundle)
    }

    /// Sign the statement that what has this digest is signed: a bundle as `cosign sign` makes it of an
    /// image.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn sign_statement(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let payload = bundle::statement(digest);
        let signature = self.signature(&bundle::pre_authentication(&payload))?;
        Bundle::write_statement(&self.public()?.id(), &payload, &signature).map_err(Error::Bundle)
    }

    fn signature(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match &self.0 {
            Pair::Ed25519(pair) => pair.sign(bytes).as_ref().to_owned(),
            Pair::EcdsaP256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), bytes).map_err(|_| Error::Randomness)?;
                signature.as_ref().to_owned()
            }
        })
    }
}

/// A new Ed25519 key in PEM, and its public half.
///
/// # Errors
/// When the system gives no random bytes.
pub fn generate() -> Result<(Secret, PublicKey), Error> {
    let mut seed = Zeroizing::new([0_u8; ED25519_SEED_BYTES]);
    SystemRandom::new().fill(seed.as_mut()).map_err(|_| Error::Randomness)?;
    let pkcs8 = Zeroizing::new([ED25519_PKCS8_PREFIX.as_slice(), seed.as_slice()].concat());
    let public = PrivateKey::from_pkcs8(&pkcs8)?.public()?;
    // Written by hand: what a library copies on the way would not be wiped.
    let text =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(&*pkcs8));
    Ok((Secret::new(text), public))
}

fn is_cosigns(tag: &str) -> bool {
    // The second is what cosign wrote before version 2.
    matches!(tag, "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY")
}

/// What is in such a PEM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encrypted {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: Scrypt,
    salt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scrypt {
    #[serde(rename = "N")]
    cost: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

fn decrypt(contents: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, Error> {
    let cipher = |problem: &str| Error::Cipher(problem.to_owned());
    let encrypted: Encrypted =
        serde_json::from_slice(contents).map_err(|error| Error::Cipher(error.to_string()))?;
    if encrypted.kdf.name != "scrypt" || encrypted.cipher.name != "nacl/secretbox" {
        return Err(cipher("not scrypt with nacl/secretbox"));
    }
    let decode = |text: &str| BASE64.decode(text).map_err(|_| cipher("not base64"));
    let (salt, nonce) = (decode(&encrypted.kdf.salt)?, decode(&encrypted.cipher.nonce)?);
    let nonce: [u8; SECRETBOX_NONCE_BYTES] =
        nonce.try_into().map_err(|_| cipher("a nonce of another length"))?;
    let key = derive(password, &salt, &encrypted.kdf.params)?;
    let secretbox = XSalsa20Poly1305::new_from_slice(&*key).map_err(|_| cipher("a key of another length"))?;
    let opened = secretbox.decrypt(&nonce.into(), decode(&encrypted.ciphertext)?.as_slice());
    Ok(Zeroizing::new(opened.map_err(|_| Error::PasswordWrong)?))
}

fn derive(
    password: &Secret,
    salt: &[u8],
    params: &Scrypt,
) -> Result<Zeroizing<[u8; SECRETBOX_KEY_BYTES]>, Error> {
    let refused = || Error::Cipher(format!("N {}, r {}, p {}", params.cost, params.r, params.p));
    let bytes = params.cost.saturating_mul(u64::from(params.r)).saturating_mul(128);
    if !params.cost.is_power_of_two() || bytes > SCRYPT_BYTES_MAX || params.p > SCRYPT_PASSES_MAX {
        return Err(refused());
    }
    let log = u8::try_from(params.cost.trailing_zeros()).map_err(|_| refused())?;
    let checked = scrypt::Params::new(log, params.r, params.p, SECRETBOX_KEY_BYTES).map_err(|_| refused())?;
    let mut key = Zeroizing::new([0; SECRETBOX_KEY_BYTES]);
    scrypt::scrypt(password.expose().as_bytes(), salt, &checked, key.as_mut()).map_err(|_| refused())?;
    Ok(key)
}
