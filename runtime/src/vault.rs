//! The key of the home, and what is done with it.
//!
//! One random key (`vault/key.rs` says where it comes from); every use has keys of its own, derived from it, so that nothing
//! sealed for one purpose opens for another. Sealing is XChaCha20-Poly1305 with random nonces (192
//! bits: no counter to keep across processes; `hchacha` turns the first 128 of them and the key into a
//! key for this one seal, and `ring` does the sealing), recognising is HMAC-SHA256 over parts with their
//! lengths. The keys are derived once, when the vault is opened: a listing seals thousands of handles.

mod key;

use std::{fmt, sync::Arc, time::Duration};

use chacha20::{cipher::consts::U10, hchacha};
use ring::{
    aead, hkdf, hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::Zeroizing;

pub use self::key::{Given, Key, Source};
use crate::{
    hint::Hint,
    home::{self, Home, Lock, Subject},
};

/// Length of a key.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Length of a [`Vault::mac`].
pub const MAC_BYTES: usize = 32;

/// First byte of everything sealed, so that a later format can be told apart.
const FORMAT: u8 = 1;
/// Bytes that sealing adds.
pub const SEAL_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// How long whoever needs the vault waits for a rotation: each item takes an fsync or two.
const ROTATION_WAIT: Duration = Duration::from_mins(1);

/// What a key is for. Whatever is sealed for a new purpose and kept is to be sealed anew in `rotation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The secrets of accounts.
    Account,
    /// Handles that stand for addresses minted by a service.
    Handle,
    /// Compiled components.
    Artefact,
    /// The key that exports of the configuration are sealed with.
    Recovery,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Account => b"account",
            Self::Handle => b"handle",
            Self::Artefact => b"artefact",
            Self::Recovery => b"recovery",
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
    /// `vault.json` cannot be read.
    #[error("`vault.json` of the home is damaged: it does not say which key is the home's")]
    RecordDamaged,
    /// What was given is no key.
    #[error("{0} holds no key: {KEY_BYTES} bytes, as hexadecimal digits or base64")]
    NoKey(Source),
    /// The key is to be given, and is not.
    #[error("the key of the home is not here: its secrets are sealed with a key that is given ({0})")]
    KeyAbsent(String),
    /// A key is given that is not the home's.
    #[error("{given} holds another key than the home's: {fingerprint}, not {needed}")]
    OtherKey {
        /// Where it was found.
        given: Source,
        /// Its fingerprint.
        fingerprint: String,
        /// That of the home's key.
        needed: String,
    },
    /// A key is given that is to become the home's, and is not yet.
    #[error("{given} holds another key than the one that seals this home")]
    NotAgreed {
        /// Where it was found.
        given: Source,
    },
    /// A rotation is under way, and needs the key that was.
    #[error("a rotation of the home's key is not finished, and the old key ({0}) is not given")]
    OldAbsent(String),
    /// Nothing to rotate to.
    #[error("{given} holds the key that seals this home already; there is no new one to change to")]
    NoNewKey {
        /// Where it was found.
        given: Source,
    },
    /// There is no key yet.
    #[error("the home has no key yet; the first command that needs one makes it")]
    NothingSealed,
    /// Others have the old key in memory, and would go on to seal with it.
    #[error(
        "the home is in use by {}; its key cannot be changed under it",
        .holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
    )]
    InUse {
        /// One of those that use it, where it said so.
        holder: Option<u32>,
    },
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
            Self::RecordDamaged => Some("restore `vault.json` from a copy of the home".to_owned()),
            Self::NoKey(_) => Some("make one with `openssl rand -hex 32`".to_owned()),
            Self::KeyAbsent(_) => Some(
                "set `WHARF_VAULT_KEY`, or have systemd give the credential `wharf-vault-key`".to_owned(),
            ),
            Self::OtherKey { .. } => Some("give the key that this home was sealed with".to_owned()),
            Self::NotAgreed { given: Source::Credential | Source::File } => Some(
                "run `wharf vault rotate` to seal the home with it, or take the credential away".to_owned(),
            ),
            Self::NotAgreed { given: Source::Environment } => {
                Some("run `wharf vault rotate` to seal the home with it, or unset the variable".to_owned())
            }
            Self::OldAbsent(_) => Some(
                "give it as `WHARF_VAULT_KEY_OLD` (or the credential `wharf-vault-key-old`), and run \
                 `wharf vault rotate`"
                    .to_owned(),
            ),
            Self::NoNewKey { .. } => Some(
                "give the new key there, and the present one as `WHARF_VAULT_KEY_OLD` (or the credential \
                 `wharf-vault-key-old`)"
                    .to_owned(),
            ),
            Self::InUse { .. } => {
                Some("wait until transfers and other commands have ended, then run it again".to_owned())
            }
            Self::NotOurs | Self::Sealing | Self::NothingSealed => None,
        }
    }
}

/// The keys of a home, derived and ready. No key of it can print. While it lives, the home's key is not
/// changed.
#[derive(Clone)]
pub struct Vault {
    /// The one that seals.
    newest: Arc<Derived>,
    /// While a rotation is under way: those that it takes the place of.
    older: Arc<[Derived]>,
    source: Source,
    fingerprint: String,
    is_unfinished: bool,
    random: SystemRandom,
    _lock: Arc<Lock>,
}

struct Derived {
    account: Keys,
    handle: Keys,
    artefact: Keys,
    recovery: Keys,
}

struct Keys {
    seal: Zeroizing<[u8; KEY_BYTES]>,
    mac: hmac::Key,
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault(****)")
    }
}

/// A change of the key, begun: what was sealed with the old key opens, what is sealed now is sealed with
/// the new one. Until [`finish`](Self::finish) both are needed.
#[derive(Debug)]
pub(crate) struct Rotation {
    /// Both keys.
    pub(crate) vault: Vault,
    begun: key::Begun,
}

impl Rotation {
    /// Begin, or go on with what was begun, if nobody uses the home.
    ///
    /// # Errors
    /// [`Error::InUse`], or when there is nothing to change to.
    pub(crate) fn begin(home: &Home, given: &Given) -> Result<Self, Error> {
        let subject = Subject::Vault;
        let Some(lock) = home.try_lock(&subject)? else {
            return Err(Error::InUse { holder: home.holder(&subject) });
        };
        let begun = key::begin(home, given)?;
        Ok(Self { vault: Vault::derive(&begun.ring, lock)?, begun })
    }

    /// Nothing is sealed with the old key any more.
    ///
    /// # Errors
    /// When the home cannot be written; both keys are good then.
    pub(crate) fn finish(self, home: &Home) -> Result<(), Error> {
        self.begun.finish(home)
    }
}

impl Vault {
    /// Open the vault of a home whose key lies in it, making the key if there is none.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(home: &Home) -> Result<Self, Error> {
        Self::open_with(home, &Given::default())
    }

    /// Open the vault of a home, making its key if it has none and none is given. Processes that race
    /// make one key.
    ///
    /// # Errors
    /// When the key cannot be read or made, is damaged, or what is given is not the home's.
    pub fn open_with(home: &Home, given: &Given) -> Result<Self, Error> {
        let lock = home.lock_shared(&Subject::Vault, ROTATION_WAIT)?;
        Self::derive(&key::read(home, given)?, lock)
    }

    fn derive(ring: &key::Ring, lock: Lock) -> Result<Self, Error> {
        let (first, older) = ring.keys.split_first().ok_or(Error::Sealing)?;
        let older: Result<Vec<_>, _> = older.iter().map(|key| Derived::of(&key.root())).collect();
        Ok(Self {
            newest: Arc::new(Derived::of(&first.root())?),
            older: older?.into(),
            source: first.source(),
            fingerprint: first.fingerprint()?,
            is_unfinished: ring.is_unfinished,
            random: SystemRandom::new(),
            _lock: Arc::new(lock),
        })
    }

    /// Where its key was found.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// What its key is called; nothing can be opened with this.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Was a rotation begun and not finished?
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// Seal `plaintext`; it opens only for the same purpose and the same `associated` bytes.
    /// The result is [`SEAL_BYTES`] longer.
    ///
    /// # Errors
    /// [`Error::Sealing`] when the system gives no random bytes.
    pub fn seal(&self, purpose: Purpose, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.newest.of_purpose(purpose).seal(&self.random, associated, plaintext)
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
        let mut opened = self.keys(purpose).map(|keys| keys.unseal(associated, sealed));
        opened.find_map(Result::ok).ok_or(Error::NotOurs)
    }

    /// The same, sealed with the newest key; none when it is already.
    ///
    /// # Errors
    /// As [`unseal`](Self::unseal).
    pub(crate) fn reseal(
        &self,
        purpose: Purpose,
        associated: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.newest.of_purpose(purpose).unseal(associated, sealed).is_ok() {
            return Ok(None);
        }
        let opened = self.unseal(purpose, associated, sealed)?;
        self.seal(purpose, associated, &opened).map(Some)
    }

    /// A keyed mac over `parts`, each with its length, so that no two lists of parts look alike.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        let tag = self.newest.of_purpose(purpose).tag(parts);
        mac.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        mac
    }

    /// Is `expected` the mac over `parts`? Takes the same time wherever they differ.
    ///
    /// # Errors
    /// [`Error::NotOurs`] when it is not.
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], expected: &[u8]) -> Result<(), Error> {
        let mut tags = self.keys(purpose).map(|keys| keys.tag(parts));
        if tags.any(|tag| is_equal(tag.as_ref(), expected)) { Ok(()) } else { Err(Error::NotOurs) }
    }

    /// The newest first.
    fn keys(&self, purpose: Purpose) -> impl Iterator<Item = &Keys> {
        let all = std::iter::once(&*self.newest).chain(self.older.iter());
        all.map(move |derived| derived.of_purpose(purpose))
    }
}

/// Are these the same? Takes the same time wherever they differ.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    is_equal(one.as_bytes(), other.as_bytes())
}

/// A mac under a key drawn for this one comparison: equal only if both are equal, and in constant time,
/// which is all that `ring` offers for comparing (and all that is needed).
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else { return false };
    hmac::verify(&key, other, hmac::sign(&key, one).as_ref()).is_ok()
}

/// Seals under a key that is not the home's, for what leaves the home.
pub(crate) struct Sealer(Keys);

impl Sealer {
    /// With keys derived from this one; `salt` tells what it is a key of.
    ///
    /// # Errors
    /// Never in practice: the lengths are ones that can be derived.
    pub(crate) fn new(salt: &[u8], key: &[u8; KEY_BYTES]) -> Result<Self, Error> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
        Keys::derive(&root, Purpose::Recovery).map(Self)
    }

    /// As [`Vault::seal`].
    ///
    /// # Errors
    /// [`Error::Sealing`] when the system gives no random bytes.
    pub(crate) fn seal(&self, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.seal(&SystemRandom::new(), associated, plaintext)
    }

    /// As [`Vault::unseal`].
    ///
    /// # Errors
    /// [`Error::NotOurs`] when it was sealed with another key, or was altered.
    pub(crate) fn unseal(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.0.unseal(associated, sealed)
    }

    /// As [`Vault::mac`], as hexadecimal digits.
    #[must_use]
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> String {
        hex::encode(self.0.tag(parts))
    }
}

impl Derived {
    fn of(root: &hkdf::Prk) -> Result<Self, Error> {
        let keys = |purpose| Keys::derive(root, purpose);
        Ok(Self {
            account: keys(Purpose::Account)?,
            handle: keys(Purpose::Handle)?,
            artefact: keys(Purpose::Artefact)?,
            recovery: keys(Purpose::Recovery)?,
        })
    }

    const fn of_purpose(&self, purpose: Purpose) -> &Keys {
        match purpose {
            Purpose::Account => &self.account,
            Purpose::Handle => &self.handle,
            Purpose::Artefact => &self.artefact,
            Purpose::Recovery => &self.recovery,
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

    fn seal(&self, random: &SystemRandom, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce).map_err(|_| Error::Sealing)?;
        let mut sealed = Vec::with_capacity(plaintext.len() + SEAL_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(1 + NONCE_BYTES..).ok_or(Error::Sealing)?;
        let (key, nonce) = self.once(&nonce).ok_or(Error::Sealing)?;
        let tag = key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(associated), body)
            .map_err(|_| Error::Sealing)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    fn unseal(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let rest = sealed.strip_prefix(&[FORMAT]).ok_or(Error::NotOurs)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_BYTES).ok_or(Error::NotOurs)?;
        let nonce = nonce.try_into().map_err(|_| Error::NotOurs)?;
        let (key, nonce) = self.once(nonce).ok_or(Error::NotOurs)?;
        let mut opened = Zeroizing::new(rest.to_vec());
        let length = key
            .open_in_place(nonce, aead::Aad::from(associated), &mut opened)
            .map_err(|_| Error::NotOurs)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn tag(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_le_bytes());
            context.update(part);
        }
        context.sign()
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
