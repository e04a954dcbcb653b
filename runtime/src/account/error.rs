//! What can be wrong with an account, and what helps.

use std::{sync::Arc, time::Duration};

use crate::{
    hint::Hint,
    home::{self, Name},
    vault,
};

/// What can be wrong with an account.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no account of this name.
    #[error("there is no account `{0}`")]
    NotFound(Name),
    /// There is one already.
    #[error("there is an account `{0}` already")]
    Exists(Name),
    /// Destinations name it.
    #[error("account `{name}` is used by {}", list(.users))]
    InUse {
        /// The account.
        name: Name,
        /// The destinations that name it.
        users: Vec<Name>,
    },
    /// `accounts/NAME.toml` is not what it should be.
    #[error("`accounts/{name}.toml` {problem}")]
    File {
        /// The account.
        name: Name,
        /// What is wrong, and where.
        problem: String,
    },
    /// The sealed secrets do not open with this home's key.
    #[error("the secrets of account `{0}` are missing, damaged or sealed with another key")]
    Sealed(Name),
    /// The connector's token endpoint cannot be used as it is.
    #[error("account `{account}` cannot use the token endpoint: {problem}")]
    Endpoint {
        /// The account.
        account: Name,
        /// What is wrong with it.
        problem: String,
    },
    /// Only a person can help: the sign-in expired, was revoked or needs consent.
    #[error("account `{account}` must sign in again: {reason}")]
    SignInAgain {
        /// The account.
        account: Name,
        /// What the service said, shortened, without secrets.
        reason: String,
    },
    /// The service does not accept the client id or secret.
    #[error("the service refuses the client of account `{account}`: {reason}")]
    ClientRefused {
        /// The account.
        account: Name,
        /// What the service said, shortened, without secrets.
        reason: String,
    },
    /// A token that was refreshed a moment ago is refused again; refreshing once more would not help.
    #[error("the service refuses account `{account}` although its token was refreshed {} s ago", .age.as_secs())]
    StillRefused {
        /// The account.
        account: Name,
        /// How long ago.
        age: Duration,
    },
    /// No new token for now; trying later may help.
    #[error("no new token for account `{account}` for now: {reason}")]
    Unavailable {
        /// The account.
        account: Name,
        /// What happened.
        reason: String,
    },
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(Arc<home::Error>),
    /// The secrets cannot be sealed.
    #[error(transparent)]
    Vault(Arc<vault::Error>),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("run `wharf account list` to see which there are".to_owned()),
            Self::Exists(name) => {
                Some(format!("run `wharf account authorize {name}` to give it a new sign-in"))
            }
            Self::InUse { .. } => Some("delete those destinations first".to_owned()),
            Self::SignInAgain { account, .. } | Self::Sealed(account) => Some(sign_in_hint(account)),
            Self::ClientRefused { account, .. } => {
                Some(format!("check `client_id` in `accounts/{account}.toml`, and the client's secret"))
            }
            Self::StillRefused { account, .. } => Some(format!(
                "if this lasts, the sign-in lacks a permission or was revoked: {}",
                sign_in_hint(account)
            )),
            Self::Home(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::File { .. } | Self::Endpoint { .. } | Self::Unavailable { .. } => None,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Self {
        Self::Vault(Arc::new(error))
    }
}

/// How a person mends an account that the service does not accept any more.
#[must_use]
pub fn sign_in_hint(account: &Name) -> String {
    format!("run `wharf account authorize {account}`, with `--paste` where there is no browser")
}

fn list(users: &[Name]) -> String {
    let quoted: Vec<_> = users.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
