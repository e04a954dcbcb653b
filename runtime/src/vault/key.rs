//! Where the key of a home comes from, and how a new one takes its place.
//!
//! It lies in the home (`key`), or it is given from outside (an environment variable, a credential of
//! systemd); then `vault.json` remembers which one it must be, by its fingerprint. A home is never sealed
//! with a key that was not agreed on: a given key that is not the home's is refused, not adopted. While a
//! rotation is under way both keys are at hand, and what is on disk says which: nothing here depends on
//! a process having lived to its end.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{hkdf, rand::SecureRandom as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Error, KEY_BYTES};
use crate::home::{Created, Home, KEY_FILE, KEY_NEXT_FILE, VAULT_FILE};

/// Longest file with a key, or with what is known of one: a line of text, and room.
const FILE_BYTES_MAX: u64 = 1024;

/// Bytes of a fingerprint: enough to tell an operator's keys apart, too few to be mistaken for a key.
const FINGERPRINT_BYTES: usize = 8;

/// Where a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The file `key` of the home.
    File,
    /// `WHARF_VAULT_KEY`.
    Environment,
    /// `wharf-vault-key` among systemd's credentials.
    Credential,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::File => "the file `key` of the home",
            Self::Environment => "the environment variable `WHARF_VAULT_KEY`",
            Self::Credential => "the systemd credential `wharf-vault-key`",
        })
    }
}

/// A key. It cannot print; its fingerprint can.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    source: Source,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(****)")
    }
}

impl Key {
    /// A key that is given: 32 bytes, or as text 64 hexadecimal digits or base64.
    ///
    /// # Errors
    /// [`Error::NoKey`] when it is none of these; the error does not repeat it.
    pub fn given(bytes: &[u8], source: Source) -> Result<Self, Error> {
        if let Ok(bytes) = <[u8; KEY_BYTES]>::try_from(bytes) {
            return Ok(Self { bytes: Zeroizing::new(bytes), source });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::NoKey(source))?.trim();
        let decoded = hex::decode(text).or_else(|_| STANDARD.decode(text)).map(Zeroizing::new);
        let decoded = decoded.map_err(|_| Error::NoKey(source))?;
        let bytes = <[u8; KEY_BYTES]>::try_from(&**decoded).map_err(|_| Error::NoKey(source))?;
        Ok(Self { bytes: Zeroizing::new(bytes), source })
    }

    fn of_file(bytes: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let length = bytes.len();
        let bytes = <[u8; KEY_BYTES]>::try_from(&**bytes).map_err(|_| Error::KeyDamaged(length))?;
        Ok(Self { bytes: Zeroizing::new(bytes), source: Source::File })
    }

    /// What every use of it is derived from.
    pub(super) fn root(&self) -> hkdf::Prk {
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"wharf vault 1").extract(&*self.bytes)
    }

    /// What it is called. Nothing can be opened with this.
    ///
    /// # Errors
    /// Never in practice: the length is one that can be derived.
    pub fn fingerprint(&self) -> Result<String, Error> {
        let mut bytes = [0; FINGERPRINT_BYTES];
        let filled = self.root().expand(&[b"fingerprint"], Length).and_then(|made| made.fill(&mut bytes));
        filled.map_err(|_| Error::Sealing)?;
        Ok(hex::encode(bytes))
    }

    fn is(&self, other: &Self) -> bool {
        super::is_same(&hex::encode(*self.bytes), &hex::encode(*other.bytes))
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        FINGERPRINT_BYTES
    }
}

/// What was given from outside.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The home's key.
    pub key: Option<Key>,
    /// The one before it, while a rotation takes its place.
    pub old: Option<Key>,
}

/// `vault.json`: which given key is the home's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    key: String,
    /// The given key that it takes the place of, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old: Option<String>,
}

/// The keys of a home, the one that seals first.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) keys: Vec<Key>,
    pub(super) is_unfinished: bool,
}

/// How a rotation ends, once nothing needs the old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The next file takes the place of the file.
    Rename,
    /// The home has no file any more.
    RemoveFiles,
    /// The record forgets the old one.
    Record,
}

/// A rotation that has begun, durably.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) ring: Ring,
    end: End,
}

/// What lies in the home.
struct Found {
    own: Option<Key>,
    next: Option<Key>,
    record: Option<Record>,
}

/// The keys of this home; it gets one if it has none yet. Processes that race agree on one.
pub(super) fn read(home: &Home, given: &Given) -> Result<Ring, Error> {
    let found = find(home)?;
    match (found.record, found.own, given.key.clone()) {
        (None, None, None) => {
            let own = create(home, KEY_FILE)?;
            Ok(ring([Some(own), None, None], false))
        }
        (None, None, Some(key)) => {
            let record = Record { key: key.fingerprint()?, old: None };
            let record = serde_json::to_vec(&record).map_err(|_| Error::Sealing)?;
            match home.root().create(VAULT_FILE, &record)? {
                Created::Yes => Ok(ring([Some(key), None, None], false)),
                Created::Existed => read(home, given),
            }
        }
        (None, Some(own), key) => match key {
            Some(key) if !key.is(&own) => Err(Error::NotAgreed { given: key.source }),
            Some(_) | None => {
                let is_unfinished = found.next.is_some();
                Ok(ring([found.next, Some(own), None], is_unfinished))
            }
        },
        (Some(record), _, None) => Err(Error::KeyAbsent(record.key)),
        (Some(record), own, Some(key)) => {
            let fingerprint = key.fingerprint()?;
            if record.key != fingerprint {
                let is_next = given.old.as_ref().is_some_and(|old| is_called(old, &record.key));
                let (needed, source) = (record.key, key.source);
                return Err(if is_next {
                    Error::NotAgreed { given: source }
                } else {
                    Error::OtherKey { given: source, fingerprint, needed }
                });
            }
            let old = old_of(&record, given)?;
            let is_unfinished = own.is_some() || old.is_some();
            Ok(ring([Some(key), found.next, own.or(old)], is_unfinished))
        }
    }
}

/// Have a new key, durably, beside the old one: the one that is given, or a fresh one where the key lies
/// in the home. What was begun earlier is gone on with.
pub(super) fn begin(home: &Home, given: &Given) -> Result<Begun, Error> {
    let found = find(home)?;
    let begun = |keys, end| Ok(Begun { ring: ring(keys, true), end });
    match (found.record, found.own, given.key.clone()) {
        (None, None, _) => Err(Error::NothingSealed),
        (None, Some(own), Some(key)) if !key.is(&own) => {
            write(home, &Record { key: key.fingerprint()?, old: None })?;
            begun([Some(key), found.next, Some(own)], End::RemoveFiles)
        }
        (None, Some(own), Some(_) | None) => {
            let next = match found.next {
                Some(next) => next,
                None => create(home, KEY_NEXT_FILE)?,
            };
            begun([Some(next), Some(own), None], End::Rename)
        }
        (Some(record), _, None) => Err(Error::KeyAbsent(record.key)),
        (Some(record), Some(own), Some(key)) => {
            check(&record, &key)?;
            begun([Some(key), found.next, Some(own)], End::RemoveFiles)
        }
        (Some(record), None, Some(key)) if is_called(&key, &record.key) => match old_of(&record, given)? {
            Some(old) => begun([Some(key), Some(old), None], End::Record),
            None => Err(Error::NoNewKey { given: key.source }),
        },
        (Some(record), None, Some(key)) => match &given.old {
            Some(old) if record.old.is_none() && is_called(old, &record.key) => {
                write(home, &Record { key: key.fingerprint()?, old: Some(record.key) })?;
                begun([Some(key), Some(old.clone()), None], End::Record)
            }
            Some(_) | None => check(&record, &key).and(Err(Error::Sealing)),
        },
    }
}

impl Begun {
    /// Nothing is sealed with the old key any more: it goes.
    pub(super) fn finish(self, home: &Home) -> Result<(), Error> {
        match self.end {
            End::Rename => home.root().rename(KEY_NEXT_FILE, KEY_FILE)?,
            End::RemoveFiles => {
                // In this order: with `key` gone nothing says that a rotation is under way.
                home.root().remove(KEY_NEXT_FILE)?;
                home.root().remove(KEY_FILE)?;
            }
            End::Record => {
                let key = self.ring.keys.first().ok_or(Error::Sealing)?.fingerprint()?;
                write(home, &Record { key, old: None })?;
            }
        }
        Ok(())
    }
}

impl Key {
    /// Where it was found.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }
}

fn ring(keys: [Option<Key>; 3], is_unfinished: bool) -> Ring {
    Ring { keys: keys.into_iter().flatten().collect(), is_unfinished }
}

fn is_called(key: &Key, fingerprint: &str) -> bool {
    key.fingerprint().is_ok_and(|own| own == fingerprint)
}

fn check(record: &Record, key: &Key) -> Result<(), Error> {
    let (fingerprint, needed) = (key.fingerprint()?, record.key.clone());
    if fingerprint == needed {
        Ok(())
    } else {
        Err(Error::OtherKey { given: key.source, fingerprint, needed })
    }
}

/// The key that the home's takes the place of, which must be given as well while it does.
fn old_of(record: &Record, given: &Given) -> Result<Option<Key>, Error> {
    let Some(fingerprint) = &record.old else { return Ok(None) };
    let old = given.old.as_ref().filter(|old| is_called(old, fingerprint));
    old.cloned().map(Some).ok_or_else(|| Error::OldAbsent(fingerprint.clone()))
}

fn find(home: &Home) -> Result<Found, Error> {
    let key = |name| -> Result<Option<Key>, Error> {
        let bytes = home.root().read(name, FILE_BYTES_MAX)?;
        bytes.map(|bytes| Key::of_file(Zeroizing::new(bytes))).transpose()
    };
    let record = home.root().read(VAULT_FILE, FILE_BYTES_MAX)?;
    let record = record.map(|bytes| serde_json::from_slice(&bytes).map_err(|_| Error::RecordDamaged));
    Ok(Found { own: key(KEY_FILE)?, next: key(KEY_NEXT_FILE)?, record: record.transpose()? })
}

fn create(home: &Home, name: &str) -> Result<Key, Error> {
    let mut fresh = Zeroizing::new(vec![0; KEY_BYTES]);
    ring::rand::SystemRandom::new().fill(&mut fresh).map_err(|_| Error::Sealing)?;
    match home.root().create(name, &fresh)? {
        Created::Yes => Key::of_file(fresh),
        Created::Existed => {
            let bytes = home.root().read(name, FILE_BYTES_MAX)?.unwrap_or_default();
            Key::of_file(Zeroizing::new(bytes))
        }
    }
}

fn write(home: &Home, record: &Record) -> Result<(), Error> {
    let bytes = serde_json::to_vec(record).map_err(|_| Error::Sealing)?;
    Ok(home.root().write(VAULT_FILE, &bytes)?)
}
