//! `wharf account …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wharf_runtime::home::Name;

/// Accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    Add(AccountAdd),
    /// Sign in again, when an account must
    ///
    /// Destinations that name the account go on as they are; what waits for it finds the new token. Until
    /// the new one is stored, the old one stays.
    #[command(after_help = "\
Examples:
  wharf account authorize work
  wharf account authorize work --paste
  wharf account authorize work --device")]
    Authorize {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
        #[command(flatten)]
        renewal: Renewal,
    },
    Import(AccountImport),
    /// List the accounts, without their secrets
    #[command(after_help = "Example:\n  wharf account list")]
    List,
    /// Show an account: how it signed in and when, and what that covers; never its secrets
    #[command(after_help = "Example:\n  wharf account show work")]
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Remove an account that no destination names, with its secrets
    #[command(after_help = "Example:\n  wharf account remove work")]
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
}

/// Add an account and sign it in
///
/// Prints the address of the service's own page. Open it in a browser on this machine, sign in there and
/// allow what it asks for: the browser comes back to Wharf by itself, at 127.0.0.1. Where there is no
/// browser, `--paste` or `--device`. The token is sealed into the home before anything is said.
///
/// The page must know the application: register one with the service and name it with `--client-id`,
/// unless the connector brings one. Its redirect address is `http://localhost:53682/`, or the one that
/// `--paste` shows. Secrets are read from files only, since a command line is visible to other users.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf account add work --type onedrive --client-id 00000000-0000-0000-0000-000000000000
  wharf account add work --type dropbox --client-id abc123 --paste
  wharf account add audit --type onedrive --client-id 00000000-0000-0000-0000-000000000000 \\
      --device --read-only
  rclone config dump | jq -r .work.token |
      wharf account add work --type onedrive --client-id ID --token-file -")]
pub(crate) struct AccountAdd {
    /// What to call it: a-z, 0-9, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// Type of the connector that it is for, as in `wharf connector list`
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: String,
    /// Ask for no more than reading; the account serves read-only destinations alone
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Id of your own application, when the connector brings none or not the one to use
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// File with the secret of that application, when it has one
    #[arg(long, value_name = "FILE", requires = "client_id")]
    pub(crate) client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sign_in: SignIn,
}

/// Which way to sign in.
#[derive(Debug, Args)]
#[command(next_help_heading = "How to sign in")]
pub(crate) struct SignIn {
    /// Open the page in a browser anywhere, and paste the code or the address that it ends with
    #[arg(long, conflicts_with_all = ["device", "token_file"])]
    pub(crate) paste: bool,
    /// Type a short code into a page on any machine, where the service has that
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) device: bool,
    /// Port of this machine in the redirect address; 0 for any that is free [default: 53682]
    #[arg(long, value_name = "PORT", conflicts_with_all = ["device", "token_file"])]
    pub(crate) port: Option<u16>,
    /// Bring a token instead: a file with JSON as rclone keeps it; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// A new sign-in of an account that there is.
#[derive(Debug, Args)]
pub(crate) struct Renewal {
    #[command(flatten)]
    pub(crate) sign_in: SignIn,
    /// File with a new secret of the account's application, when it was changed
    #[arg(long, value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
}

/// Take over accounts from rclone's configuration
///
/// For each remote whose type a connector has (`onedrive`, `dropbox`): its token and its application
/// become an account of the same name. Prints the command that creates the matching destination. The
/// configuration stays as it is; but OneDrive may end rclone's own sign-in when Wharf renews the token.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf account import --rclone ~/.config/rclone/rclone.conf
  wharf account import --rclone ~/.config/rclone/rclone.conf work
  rclone config dump | wharf account import --rclone -")]
pub(crate) struct AccountImport {
    /// `rclone.conf`, or what `rclone config dump` or `rclone config show` prints; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) rclone: PathBuf,
    /// Only these remotes [default: all]
    #[arg(value_name = "REMOTE")]
    pub(crate) remotes: Vec<String>,
}
