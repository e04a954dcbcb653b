//! `wharf account …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wharf_runtime::home::Name;

/// Accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    Add(AccountAdd),
    /// Give an account a new token, when it must sign in again
    ///
    /// Destinations that name the account go on as they are; what waits for it finds the new token.
    #[command(after_help = "Example:\n  wharf account authorize work --token-file token.json")]
    Authorize {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
        /// File with the new token, JSON as rclone keeps it; `-` for stdin
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// List the accounts, without their secrets
    #[command(after_help = "Example:\n  wharf account list")]
    List,
    /// Remove an account that no destination names, with its secrets
    #[command(after_help = "Example:\n  wharf account remove work")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
}

/// Add an account from a token that you have
///
/// The token file holds the token as rclone keeps it: a JSON object with `access_token`,
/// `refresh_token` and `expiry`. It is sealed into the home; the file is not needed afterwards.
/// Secrets are read from files only, since a command line is visible to other users.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rclone config dump | jq -r .work.token > token.json
  wharf account add work --type onedrive --token-file token.json \\
      --client-id 00000000-0000-0000-0000-000000000000")]
pub(crate) struct AccountAdd {
    /// What to call it: a-z, 0-9, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// Type of the connector that it is for, as in `wharf connector list`
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: String,
    /// File with the token, JSON as rclone keeps it; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Client id that the token belongs to, when it is not the connector's own
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// File with the secret of that client, when it has one
    #[arg(long, value_name = "FILE", requires = "client_id")]
    pub(crate) client_secret_file: Option<PathBuf>,
}
