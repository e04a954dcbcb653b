//! A new key for the home, and everything that is kept sealed with it.
//!
//! What is sealed and kept is the secrets of accounts, the handles in the journal and in surveys, the macs of compiled
//! components and the recovery key. Each is sealed anew where it lies, one after the other, with both keys at hand; the old
//! one goes when nothing needs it. So a process that is killed at any instant leaves a home in which
//! everything opens, and running it again finishes what was begun. Nobody else may use the home
//! meanwhile: whoever has the old key in memory would go on to seal with it.

use std::sync::Arc;

use crate::{
    account::{self, Accounts},
    destination::Destinations,
    handle::Handles,
    hint::Hint,
    home::{self, Home, Name, STATE_FILE},
    journal, recovery,
    registry::{Artefacts, Registry},
    state::{self, State},
    survey,
    vault::{self, Given, Rotation, Source, Vault},
};

/// Why the key was not changed. Both are good then, and running it again goes on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is a room's own error")]
pub enum Error {
    #[error(transparent)]
    Vault(#[from] vault::Error),
    #[error(transparent)]
    Home(#[from] home::Error),
    #[error(transparent)]
    Account(#[from] account::Error),
    #[error(transparent)]
    State(#[from] state::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Vault(error) => error.hint(),
            Self::Home(error) => error.hint(),
            Self::Account(error) => error.hint(),
            Self::State(error) => error.hint(),
        }
    }
}

/// What was sealed anew. What an interrupted run had done already is not counted again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Where the new key is.
    pub source: Source,
    /// What it is called.
    pub key: String,
    /// Accounts.
    pub accounts: u64,
    /// Accounts that no key of the home opens; they must sign in again, as before.
    pub accounts_unopened: Vec<Name>,
    /// Uploads under way.
    pub uploads: u64,
    /// Uploads under way whose destination is gone; they start over.
    pub uploads_forgotten: u64,
    /// Compiled components.
    pub artefacts: u64,
}

/// Change the key of a home, or finish a change that was interrupted.
///
/// # Errors
/// [`vault::Error::InUse`] while another process uses the home, or when there is nothing to change to.
pub async fn rotate(home: &Home, given: &Given) -> Result<Summary, Error> {
    let rotation = Rotation::begin(home, given)?;
    let vault = &rotation.vault;
    let (accounts, accounts_unopened) = Accounts::new(home, vault).reseal()?;
    let artefacts = Artefacts::new(home, vault).reseal()?;
    recovery::reseal(home, vault)?;
    let (uploads, uploads_forgotten) = uploads(home, vault).await?;
    let (source, key) = (vault.source(), vault.fingerprint().to_owned());
    rotation.finish(home)?;
    Ok(Summary { source, key, accounts, accounts_unopened, uploads, uploads_forgotten, artefacts })
}

async fn uploads(home: &Home, vault: &Vault) -> Result<(u64, u64), Error> {
    if !home.root().has(STATE_FILE) {
        return Ok((0, 0));
    }
    let state = State::open(home)?;
    let (destinations, registry) = (Destinations::new(home), Registry::new(home));
    let vault = vault.clone();
    // The handles of a destination are bound to its account and its connector.
    let anew = move |destination: &str, session: &str| {
        let destination = destinations.load(&Name::parse(destination).ok()?).ok()?;
        let connector = registry.get(&destination.connector).ok()?;
        let account = destination.account.as_ref().map(Name::as_str);
        Handles::new(vault.clone(), destination.name.as_str(), account, &connector.id).reseal(session)
    };
    let anew = Arc::new(anew);
    let cursors = Arc::clone(&anew);
    survey::reseal(&state, move |destination, cursor| cursors(destination, cursor)).await?;
    Ok(journal::reseal(&state, move |destination, session| anew(destination, session)).await?)
}

#[cfg(test)]
mod tests;
