//! Disaster recovery: the configuration of a server lies sealed beside its backups, and a new server
//! that has the recovery key gets its destinations back from there.
//!
//! The recovery key is made once and written down by a person; the home keeps it too, sealed by the
//! vault, so that exports ask nobody. An export is one file, `.wharf-recovery`, in the backup directory of
//! each destination that has `dr`. What comes back is read-only, all of it: the directories belong to the
//! server that is gone, and who wrote there last is not this room's to decide. Nothing that a home has is
//! overwritten, and no connector is exported: those are installed again, from whoever signed them.

mod archive;
mod error;
mod export;
mod key;
mod restore;

pub use self::{
    archive::{ARCHIVE_BYTES_MAX, Archive},
    error::Error,
    export::{Export, Standing},
    key::RecoveryKey,
    restore::{Connector, Fate, Item, Kind, Plan, Presence},
};
use crate::{
    home::{Created, EXPORTS_FILE, Home, Lock, RECOVERY_KEY_FILE, Subject},
    host::Host,
    vault::{self, Purpose, Vault},
};

/// How long a change of the key or of the record of exports waits for another one: an fsync or two.
const RECOVERY_WAIT: std::time::Duration = std::time::Duration::from_secs(10);
/// What the sealed key is bound to.
const BOUND_TO: &[u8] = b"recovery key";
/// Largest sealed key that is read: it has 73 bytes.
const KEY_FILE_BYTES_MAX: u64 = 1024;

/// The recovery of one home.
#[derive(Debug, Clone, Copy)]
pub struct Recovery<'a> {
    host: &'a Host,
}

impl<'a> Recovery<'a> {
    /// Of this host's home.
    #[must_use]
    pub const fn new(host: &'a Host) -> Self {
        Self { host }
    }

    /// The recovery key; none if none was made.
    ///
    /// # Errors
    /// [`Error::KeyDamaged`] when no key of the home opens it.
    pub fn key(&self) -> Result<Option<RecoveryKey>, Error> {
        let sealed = self.home().root().read(RECOVERY_KEY_FILE, KEY_FILE_BYTES_MAX)?;
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = self.host.vault().unseal(Purpose::Recovery, BOUND_TO, &sealed);
        let opened = opened.map_err(|_| Error::KeyDamaged)?;
        RecoveryKey::of_bytes(&opened).ok_or(Error::KeyDamaged).map(Some)
    }

    /// Make the recovery key, and keep it sealed. With `replace`, in place of the one that there is:
    /// exports that it sealed open with no other.
    ///
    /// # Errors
    /// [`Error::KeyExists`] when there is one that is not to be replaced.
    pub fn make_key(&self, replace: bool) -> Result<RecoveryKey, Error> {
        let _lock = self.lock()?;
        let key = RecoveryKey::generate()?;
        let sealed = self.host.vault().seal(Purpose::Recovery, BOUND_TO, key.bytes())?;
        let root = self.home().root();
        if replace {
            root.write(RECOVERY_KEY_FILE, &sealed)?;
            return Ok(key);
        }
        match root.create(RECOVERY_KEY_FILE, &sealed)? {
            Created::Yes => Ok(key),
            Created::Existed => Err(Error::KeyExists),
        }
    }

    fn home(&self) -> &Home {
        self.host.home()
    }

    fn lock(&self) -> Result<Lock, Error> {
        Ok(self.home().lock(&Subject::Recovery, RECOVERY_WAIT)?)
    }
}

/// Seal the recovery key of a home with the newest key of its vault. One that no key opens is left as it
/// is, and told whenever it is needed.
///
/// # Errors
/// When the home cannot be read or written.
pub(crate) fn reseal(home: &Home, vault: &Vault) -> Result<(), vault::Error> {
    let Some(sealed) = home.root().read(RECOVERY_KEY_FILE, KEY_FILE_BYTES_MAX)? else { return Ok(()) };
    match vault.reseal(Purpose::Recovery, BOUND_TO, &sealed) {
        Ok(Some(anew)) => Ok(home.root().write(RECOVERY_KEY_FILE, &anew)?),
        Ok(None) | Err(vault::Error::NotOurs) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Give a home a recovery key.
    pub(crate) fn fill(home: &Home, vault: &Vault) {
        let sealed = vault.seal(Purpose::Recovery, BOUND_TO, &[7; vault::KEY_BYTES]).unwrap();
        home.root().write(RECOVERY_KEY_FILE, &sealed).unwrap();
    }

    /// Does it open?
    pub(crate) fn opens(home: &Home, vault: &Vault) -> bool {
        let sealed = home.root().read(RECOVERY_KEY_FILE, KEY_FILE_BYTES_MAX).unwrap().unwrap();
        let opened = vault.unseal(Purpose::Recovery, BOUND_TO, &sealed);
        opened.is_ok_and(|opened| *opened == [7; vault::KEY_BYTES])
    }
}
