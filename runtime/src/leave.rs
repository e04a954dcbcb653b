//! A connector's leave to run, asked for before each operation.
//!
//! A process that copies for hours must not outlive what allowed it: an operator who disables a connector,
//! or revokes the key that signed it, means it now. Looking costs three calls of `stat`; only when one of the
//! files changed is anything read. What cannot be read gives no leave.

use std::sync::{Mutex, PoisonError};

use crate::{
    ErrorKind,
    hint::Hint,
    home::{Home, REVOCATIONS_FILE, Stamp, TRUST_FILE},
    registry::{self, Registry},
    trust::{self, Standing, Trust},
};

/// Why a connector may not run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The operator stopped it.
    #[error("the connector `{0}` is disabled")]
    Disabled(String),
    /// Nobody vouches for it any more.
    #[error("the connector `{connector}` is not trusted any more: {problem}")]
    Untrusted {
        /// Its id and version.
        connector: String,
        /// Why not.
        problem: trust::Error,
    },
    /// It is not installed any more, or the list of connectors cannot be read.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Disabled(_) | Self::Untrusted { .. } => ErrorKind::Denied,
            Self::Registry(_) => ErrorKind::State,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Disabled(connector) => Some(format!("run `wharf connector enable {connector}`")),
            Self::Untrusted { problem, .. } => problem.hint(),
            Self::Registry(error) => error.hint(),
        }
    }
}

/// The files that decide, as they were when they were read.
type Seen = [Option<Stamp>; 3];

/// What one connector may run on.
#[derive(Debug)]
pub struct Leave {
    home: Home,
    registry: Registry,
    trust: Trust,
    id: String,
    label: String,
    /// None for what was installed unsigned.
    standing: Option<Standing>,
    seen: Mutex<Option<Seen>>,
}

impl Leave {
    /// For a connector that was just verified.
    #[must_use]
    pub fn new(home: &Home, installed: &registry::Installed, standing: Option<Standing>) -> Self {
        Self {
            home: home.clone(),
            registry: Registry::new(home),
            trust: Trust::new(home),
            id: installed.id.clone(),
            label: format!("{}@{}", installed.id, installed.version),
            standing,
            seen: Mutex::default(),
        }
    }

    /// May it run?
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), Error> {
        // Before the files are read: one that changes meanwhile is read again the next time.
        let now = self.stamps();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref() == Some(&now) {
            return Ok(());
        }
        *seen = None;
        self.read()?;
        *seen = Some(now);
        Ok(())
    }

    fn stamps(&self) -> Seen {
        let root = self.home.root();
        [self.registry.stamp(), root.stamp(TRUST_FILE), root.stamp(REVOCATIONS_FILE)]
    }

    fn read(&self) -> Result<(), Error> {
        let known = self.registry.list()?.into_iter().find(|known| known.id == self.id);
        let known = known.ok_or_else(|| registry::Error::NotInstalled(self.id.clone()))?;
        if known.disabled {
            return Err(Error::Disabled(known.r#type));
        }
        let untrusted = |problem| Error::Untrusted { connector: self.label.clone(), problem };
        self.standing.as_ref().map_or(Ok(()), |standing| self.trust.still(standing)).map_err(untrusted)
    }
}
