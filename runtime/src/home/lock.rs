//! Locks between processes.
//!
//! A lock is `flock` on a file in `locks/`: it ends with the process that holds it, however that
//! ends. The file says who holds it, so that whoever waits too long can say for whom. Lock files
//! stay behind empty-handed; removing one would split it in two.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use cap_std::fs::File;
use rustix::fs::{FlockOperation, flock};
use std::os::unix::fs::FileExt;

use super::{Error, Home, Name};

/// How often a waiter looks again: short beside what locks are held for (an fsync, a token request).
pub(crate) const LOCK_POLL: Duration = Duration::from_millis(10);

/// Longest note about a holder that is read.
const HOLDER_BYTES_MAX: usize = 64;

/// What a lock is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The token of an account.
    Account(Name),
    /// The audit file of a destination.
    Audit(Name),
    /// Which accounts and destinations there are, and what they name.
    Configuration,
    /// Which connectors are installed.
    Registry,
    /// The use of a destination: many have it at a time, and who deletes it alone.
    Use(Name),
    /// Learning what the service of a destination has.
    Survey(Name),
    /// The creation of the database.
    State,
    /// The key that everything is sealed with: shared by all who use it, alone for who changes it.
    Vault,
    /// Whom this home trusts.
    Trust,
    /// The recovery key, and what was exported with it.
    Recovery,
}

impl Subject {
    fn file_name(&self) -> String {
        match self {
            Self::Account(name) => format!("account-{name}"),
            Self::Audit(name) => format!("audit-{name}"),
            Self::Configuration => "configuration".to_owned(),
            Self::Registry => "registry".to_owned(),
            Self::Use(name) => format!("use-{name}"),
            Self::Survey(name) => format!("survey-{name}"),
            Self::State => "state".to_owned(),
            Self::Vault => "vault".to_owned(),
            Self::Trust => "trust".to_owned(),
            Self::Recovery => "recovery".to_owned(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(formatter, "account `{name}`"),
            Self::Audit(name) => write!(formatter, "the audit of destination `{name}`"),
            Self::Configuration => formatter.write_str("the home's configuration"),
            Self::Registry => formatter.write_str("the installed connectors"),
            Self::Use(name) => write!(formatter, "destination `{name}`"),
            Self::Survey(name) => write!(formatter, "the index of destination `{name}`"),
            Self::State => formatter.write_str("the home's database"),
            Self::Vault => formatter.write_str("the home's key"),
            Self::Trust => formatter.write_str("the trusted publishers"),
            Self::Recovery => formatter.write_str("the recovery key and its exports"),
        }
    }
}

/// A lock that is held; dropping it gives it back.
#[derive(Debug)]
#[must_use = "a lock is held as long as this lives"]
pub struct Lock {
    _file: File,
}

impl Home {
    /// Take a lock, waiting at most `wait` for whoever holds it. Blocks the thread.
    ///
    /// # Errors
    /// [`Error::Busy`] when somebody holds it all that time.
    pub fn lock(&self, subject: &Subject, wait: Duration) -> Result<Lock, Error> {
        self.wait_for(subject, wait, || self.try_lock(subject))
    }

    /// Take a lock together with all who take it like this, waiting at most `wait` for one who holds it
    /// alone. Blocks the thread.
    ///
    /// # Errors
    /// [`Error::Busy`] when somebody holds it alone all that time.
    pub fn lock_shared(&self, subject: &Subject, wait: Duration) -> Result<Lock, Error> {
        self.wait_for(subject, wait, || self.take(subject, FlockOperation::NonBlockingLockShared))
    }

    /// Take a lock if nobody holds it.
    ///
    /// # Errors
    /// When the lock file cannot be opened or locked.
    pub fn try_lock(&self, subject: &Subject) -> Result<Option<Lock>, Error> {
        self.take(subject, FlockOperation::NonBlockingLockExclusive)
    }

    fn wait_for(
        &self,
        subject: &Subject,
        wait: Duration,
        take: impl Fn() -> Result<Option<Lock>, Error>,
    ) -> Result<Lock, Error> {
        let start = Instant::now();
        loop {
            if let Some(lock) = take()? {
                return Ok(lock);
            }
            if start.elapsed() >= wait {
                return Err(self.busy(subject, wait));
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    fn take(&self, subject: &Subject, operation: FlockOperation) -> Result<Option<Lock>, Error> {
        let name = subject.file_name();
        let file = self.locks().open_in_place(&name)?;
        if !lock_by(&file, operation).map_err(|source| self.locks().error("lock", &name, source))? {
            return Ok(None);
        }
        note_holder(&file);
        Ok(Some(Lock { _file: file }))
    }

    /// Take a lock that others may have at the same time, as long as nobody has it alone.
    ///
    /// # Errors
    /// [`Error::Busy`] when somebody has it alone; when the lock file cannot be opened or locked.
    pub fn share(&self, subject: &Subject) -> Result<Lock, Error> {
        let name = subject.file_name();
        let file = self.locks().open_in_place(&name)?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(self.busy(subject, Duration::ZERO)),
            Err(error) => return Err(self.locks().error("lock", &name, error.into())),
        }
        note_holder(&file);
        Ok(Lock { _file: file })
    }

    /// The error of one who waited in vain, naming the holder.
    #[must_use]
    pub(crate) fn busy(&self, subject: &Subject, waited: Duration) -> Error {
        Error::Busy { subject: subject.clone(), holder: self.holder(subject), waited }
    }

    /// Who holds it, or held it last, where they said so.
    pub(crate) fn holder(&self, subject: &Subject) -> Option<u32> {
        let file = self.locks().open_to_read(&subject.file_name()).ok()??.into_std();
        let mut note = [0; HOLDER_BYTES_MAX];
        let length = file.read_at(&mut note, 0).ok()?;
        std::str::from_utf8(note.get(..length)?).ok()?.trim().parse().ok()
    }
}

/// Only a courtesy to those who wait: a lock is held whether or not this can be written.
fn note_holder(file: &File) {
    let holder = format!("{:<1$}", std::process::id(), 10);
    rustix::io::pwrite(file, holder.as_bytes(), 0).map(drop).unwrap_or_default();
}

/// Lock a file for this open description alone, if nobody else has it.
pub(crate) fn lock_now(file: &impl std::os::fd::AsFd) -> io::Result<bool> {
    lock_by(file, FlockOperation::NonBlockingLockExclusive)
}

fn lock_by(file: &impl std::os::fd::AsFd, operation: FlockOperation) -> io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
