//! The key of the home, and what is done with it.
//!
//! One random key lies in the home; every use has keys of its own, derived from it, so that nothing
//! sealed for one purpose opens for another. Sealing is XChaCha20-Poly1305 with random nonces (192
//! bits: no counter to keep across processes; `hchacha` turns the first 128 of them and the key into a
//! key for this one seal, and `ring` does the sealing), recognising is HMAC-SHA256 over parts with their
//! lengths. The keys are derived once, when the vault is opened: a listing seals thousands of handles.

use std::fmt;

use chacha20::{cipher::consts::U10, hchacha};
use ring::{
    aead, hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use crate::{
    hint::Hint,
    home::{self, Created, Home, KEY_FILE},
};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Length of a [`Vault::mac`].
pub const MAC_BYTES: usize = 32;

/// First byte of everything sealed, so that a later format can be told apart.
const FORMAT: u8 = 1;
/// Bytes that sealing adds.
pub const SEAL_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The secrets of accounts.
    Account,
    /// Handles that stand for addresses minted by a service.
    Handle,
    /// Compiled components.
    Artefact,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Account => b"account",
            Self::Handle => b"handle",
            Self::Artefact => b"artefact",
        }
    }
}

/// What a vault can say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or made.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// The key file does not hold a key.
    #[error("the key of the home is damaged: it has {0} bytes, not {KEY_BYTES}")]
    KeyDamaged(usize),
    /// Sealed for something else, with another key, or altered.
    #[error("this was not sealed here for this use, or it was altered")]
    NotOurs,
    /// The system gives no random bytes, or what is to be sealed is absurdly large.
    #[error("cannot seal: no randomness, or too much to seal")]
    Sealing,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Home(error) => error.hint(),
            Self::KeyDamaged(_) => Some(
                "restore `key` from a copy of the home; without it every account must sign in again"
                    .to_owned(),
            ),
            Self::NotOurs | Self::Sealing => None,
        }
    }
}

/// The keys of a home, derived and ready. No key of it can print.
#[derive(Clone)]
pub struct Vault {
    account: Keys,
    handle: Keys,
    artefact: Keys,
    random: SystemRandom,
}

#[derive(Clone)]
struct Keys {
    seal: Zeroizing<[u8; KEY_BYTES]>,
    mac: hmac::Key,
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault(****)")
    }
}

impl Vault {
    /// Open the vault of a home, making its key if it has none. Processes that race make one key.
    ///
    /// # Errors
    /// When the key cannot be read or made, or is damaged.
    pub fn open(home: &Home) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let bytes_max = 1024;
        let bytes = if let Some(bytes) = home.root().read(KEY_FILE, bytes_max)? {
            Zeroizing::new(bytes)
        } else {
            let mut fresh = Zeroizing::new(vec![0; KEY_BYTES]);
            random.fill(&mut fresh).map_err(|_| Error::Sealing)?;
            match home.root().create(KEY_FILE, &fresh)? {
                Created::Yes => fresh,
                Created::Existed => {
                    Zeroizing::new(home.root().read(KEY_FILE, bytes_max)?.unwrap_or_default())
                }
            }
        };
        if bytes.len() != KEY_BYTES {
            return Err(Error::KeyDamaged(bytes.len()));
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"wharf vault 1").extract(&bytes);
        let keys = |purpose| Keys::derive(&root, purpose);
        Ok(Self {
            account: keys(Purpose::Account)?,
            handle: keys(Purpose::Handle)?,
            artefact: keys(Purpose::Artefact)?,
            random,
        })
    }

    /// Seal `plaintext`; it opens only for the same purpose and the same `associated` bytes.
    /// The result is [`SEAL_BYTES`] longer.
    ///
    /// # Errors
    /// [`Error::Sealing`] when the system gives no random bytes.
    pub fn seal(&self, purpose: Purpose, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce).map_err(|_| Error::Sealing)?;
        let mut sealed = Vec::with_capacity(plaintext.len() + SEAL_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(1 + NONCE_BYTES..).ok_or(Error::Sealing)?;
        let (key, nonce) = self.keys(purpose).once(&nonce).ok_or(Error::Sealing)?;
        let tag = key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(associated), body)
            .map_err(|_| Error::Sealing)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Open what [`seal`](Self::seal) sealed.
    ///
    /// # Errors
    /// [`Error::NotOurs`] when it was sealed for something else, with another key, or was altered.
    pub fn unseal(
        &self,
        purpose: Purpose,
        associated: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let rest = sealed.strip_prefix(&[FORMAT]).ok_or(Error::NotOurs)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_BYTES).ok_or(Error::NotOurs)?;
        let nonce = nonce.try_into().map_err(|_| Error::NotOurs)?;
        let (key, nonce) = self.keys(purpose).once(nonce).ok_or(Error::NotOurs)?;
        let mut opened = Zeroizing::new(rest.to_vec());
        let length = key
            .open_in_place(nonce, aead::Aad::from(associated), &mut opened)
            .map_err(|_| Error::NotOurs)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    /// A keyed mac over `parts`, each with its length, so that no two lists of parts look alike.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        let tag = self.tag(purpose, parts);
        mac.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        mac
    }

    /// Is `expected` the mac over `parts`? Takes the same time wherever they differ.
    ///
    /// # Errors
    /// [`Error::NotOurs`] when it is not.
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], expected: &[u8]) -> Result<(), Error> {
        let tag = self.tag(purpose, parts);
        // A mac under a key drawn for this one comparison: equal only if both are equal, and in
        // constant time, which is all that `ring` offers for comparing (and all that is needed).
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &self.random).map_err(|_| Error::Sealing)?;
        let once = hmac::sign(&key, tag.as_ref());
        hmac::verify(&key, expected, once.as_ref()).map_err(|_| Error::NotOurs)
    }

    fn tag(&self, purpose: Purpose, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.keys(purpose).mac);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_le_bytes());
            context.update(part);
        }
        context.sign()
    }

    const fn keys(&self, purpose: Purpose) -> &Keys {
        match purpose {
            Purpose::Account => &self.account,
            Purpose::Handle => &self.handle,
            Purpose::Artefact => &self.artefact,
        }
    }
}

impl Keys {
    fn derive(root: &hkdf::Prk, purpose: Purpose) -> Result<Self, Error> {
        let key = |use_of_it: &'static [u8]| {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            root.expand(&[purpose.label(), use_of_it], hkdf::HKDF_SHA256)
                .and_then(|material| material.fill(key.as_mut()))
                .map_err(|_| Error::Sealing)?;
            Ok::<_, Error>(key)
        };
        let mac = hmac::Key::new(hmac::HMAC_SHA256, key(b"/mac")?.as_ref());
        Ok(Self { seal: key(b"/seal")?, mac })
    }

    /// The key and the nonce of one seal (draft-irtf-cfrg-xchacha-03, section 2.3).
    fn once(&self, nonce: &[u8; NONCE_BYTES]) -> Option<(aead::LessSafeKey, aead::Nonce)> {
        let (input, rest) = nonce.split_first_chunk::<16>()?;
        let key = Zeroizing::new(<[u8; KEY_BYTES]>::from(hchacha::<U10>(&(*self.seal).into(), input.into())));
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &*key).ok()?;
        let mut nonce = [0; aead::NONCE_LEN];
        nonce.get_mut(4..)?.copy_from_slice(rest);
        Some((aead::LessSafeKey::new(key), aead::Nonce::assume_unique_for_key(nonce)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
