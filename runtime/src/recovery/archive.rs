//! The sealed file: what is in it, and its frame.
//!
//! The frame says in clear that this is an export, of which format, and the fingerprint of the key that
//! opens it, so that a newer file and a wrong key are told from damage; all of it is bound to what is
//! sealed. Everything else is sealed, as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Error, RecoveryKey};
use crate::{account, home::Name, registry::Installed, shown::shown, trust, vault::SEAL_BYTES};

/// Largest export, in bytes: hundreds of destinations with everything granted have two MiB. It is sent
/// in one request, which every service takes at this size.
pub const ARCHIVE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What every export begins with.
const MAGIC: &[u8] = b"wharf recovery\n";
/// The format that is written, the byte after that.
const FORMAT: u8 = 1;
/// Digits of the fingerprint that follow.
const FINGERPRINT_BYTES: usize = 16;
/// Where what is sealed begins.
const FRAME_BYTES: usize = MAGIC.len() + 1 + FINGERPRINT_BYTES;
/// Bytes of a server's name that a message shows.
const SHOWN_BYTES_MAX: usize = 100;
/// Text as JSON is longer than the text: quotes and line ends are escaped. What is set aside at once, so
/// that growing leaves no copy of a secret behind.
const ESCAPE_FACTOR: usize = 2;

/// What a server exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// When.
    pub made: Timestamp,
    /// What.
    pub(super) contents: Contents,
}

/// What another export is made for when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    pub(super) server: Server,
    /// `destinations/NAME.toml`, word for word.
    pub(super) destinations: BTreeMap<Name, String>,
    pub(super) accounts: BTreeMap<Name, account::Exported>,
    pub(super) trust: trust::Exported,
    /// What was installed. Components are not exported: their publishers have them.
    pub(super) connectors: Vec<Installed>,
}

/// Which server it was. The id is for people who compare: no other server takes it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) name: String,
}

impl Contents {
    /// As text; the order is always the same, so equal contents are equal text.
    pub(super) fn text(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        to_text(self, self.len())
    }

    fn len(&self) -> usize {
        let destinations = self.destinations.values().map(String::len);
        let accounts = self.accounts.values().map(account::Exported::len);
        destinations.chain(accounts).fold(self.trust.len(), usize::saturating_add)
    }
}

impl Archive {
    /// Which server made it, fit to be shown: its name and its id.
    #[must_use]
    pub fn server(&self) -> (String, String) {
        let Server { id, name } = &self.contents.server;
        (shown(name, SHOWN_BYTES_MAX), shown(id, SHOWN_BYTES_MAX))
    }

    /// Accounts whose secrets no key opened: they must sign in again wherever this is restored.
    pub fn unopened(&self) -> impl Iterator<Item = &Name> {
        self.contents.accounts.iter().filter(|(_, account)| !account.has_secrets()).map(|(name, _)| name)
    }

    /// Seal it.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(super) fn seal(&self, key: &RecoveryKey) -> Result<Vec<u8>, Error> {
        let text = to_text(self, self.contents.len())?;
        let bytes = text.len().saturating_add(FRAME_BYTES + SEAL_BYTES);
        if bytes > ARCHIVE_BYTES_MAX {
            return Err(Error::TooLarge { bytes });
        }
        let mut file = [MAGIC, &[FORMAT], key.fingerprint()?.as_bytes()].concat();
        let sealed = key.sealer()?.seal(&file, &text)?;
        file.extend_from_slice(&sealed);
        Ok(file)
    }

    /// Open what was sealed.
    ///
    /// # Errors
    /// [`Error::NotAnExport`], [`Error::Newer`], [`Error::OtherKey`], [`Error::Damaged`].
    pub fn open(file: &[u8], key: &RecoveryKey) -> Result<Self, Error> {
        if file.len() > ARCHIVE_BYTES_MAX {
            return Err(Error::Damaged(format!("it is larger than {ARCHIVE_BYTES_MAX} bytes")));
        }
        let rest = file.strip_prefix(MAGIC).ok_or(Error::NotAnExport)?;
        match rest.first() {
            Some(&FORMAT) => {}
            Some(&found) if found > FORMAT => return Err(Error::Newer { found, known: FORMAT }),
            Some(_) | None => return Err(Error::NotAnExport),
        }
        let cut = || Error::Damaged("its end is missing".to_owned());
        let (frame, sealed) = file.split_at_checked(FRAME_BYTES).ok_or_else(cut)?;
        let needed = frame.get(MAGIC.len() + 1..).unwrap_or_default();
        let given = key.fingerprint()?;
        if needed != given.as_bytes() {
            return Err(Error::OtherKey {
                needed: shown(&String::from_utf8_lossy(needed), SHOWN_BYTES_MAX),
                given,
            });
        }
        let altered = |_| Error::Damaged("it was altered, or its end is missing".to_owned());
        let text = key.sealer()?.unseal(frame, sealed).map_err(altered)?;
        // The parser's words may repeat what it found, and that may be a secret.
        let contents = |error: serde_json::Error| {
            Error::Damaged(format!("what is sealed in it makes no sense at column {}", error.column()))
        };
        serde_json::from_slice(&text).map_err(contents)
    }
}

fn to_text(value: &impl Serialize, bytes: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let room = bytes.saturating_mul(ESCAPE_FACTOR).saturating_add(64 * 1024);
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *text, value).map_err(|_| Error::Vault(crate::vault::Error::Sealing))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(destination: &str) -> Archive {
        let destinations = BTreeMap::from([(Name::parse("archive").unwrap(), destination.to_owned())]);
        let server = Server { id: "aa".to_owned(), name: "web1".to_owned() };
        let trust = trust::Exported::default();
        let contents =
            Contents { server, destinations, accounts: BTreeMap::new(), trust, connectors: Vec::new() };
        Archive { made: Timestamp::UNIX_EPOCH, contents }
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_alone() {
        let (key, other) = (RecoveryKey::generate().unwrap(), RecoveryKey::generate().unwrap());
        let made = archive("connector = \"sesame\"");
        let sealed = made.seal(&key).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"sesame" || window == b"archiv"));
        assert_eq!(Archive::open(&sealed, &key).unwrap(), made);
        assert_ne!(made.seal(&key).unwrap(), sealed, "never the same twice");
        let error = Archive::open(&sealed, &other).unwrap_err();
        let (needed, given) = (key.fingerprint().unwrap(), other.fingerprint().unwrap());
        assert!(
            matches!(&error, Error::OtherKey { needed: n, given: g } if *n == needed && *g == given),
            "{error}"
        );
    }

    #[test]
    fn whatever_is_altered_does_not_open() {
        let key = RecoveryKey::generate().unwrap();
        let sealed = archive("connector = \"x\"").seal(&key).unwrap();
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            Archive::open(&altered, &key).unwrap_err();
            Archive::open(&sealed[..place], &key).unwrap_err();
        }
        let mut newer = sealed.clone();
        newer[MAGIC.len()] = FORMAT + 1;
        assert!(matches!(Archive::open(&newer, &key), Err(Error::Newer { found: 2, known: 1 })));
        assert!(matches!(Archive::open(b"", &key), Err(Error::NotAnExport)));
        assert!(matches!(Archive::open(b"a photo", &key), Err(Error::NotAnExport)));
        let longer = [&sealed[..], &[0; 9]].concat();
        assert!(matches!(Archive::open(&longer, &key), Err(Error::Damaged(_))));
        let huge = vec![0; ARCHIVE_BYTES_MAX + 1];
        assert!(matches!(Archive::open(&huge, &key), Err(Error::Damaged(_))));
    }

    #[test]
    fn there_is_a_bound() {
        let key = RecoveryKey::generate().unwrap();
        let error = archive(&"x".repeat(ARCHIVE_BYTES_MAX)).seal(&key).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
