//! `wharf recovery …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::home::Name;
use wharf_runtime::path::Directory;

use super::OptionSetting;

/// Disaster recovery.
#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    /// Make the recovery key, and show it this once
    ///
    /// Write it down and keep it where the server is not: exports of the configuration are sealed with it,
    /// and nothing else opens them. The home keeps it too, sealed, so that exports ask nobody.
    #[command(after_help = "Examples:\n  wharf recovery key\n  wharf recovery key --replace")]
    Key {
        /// In place of the one that there is: exports that were sealed with that one open with no other,
        /// until `wharf recovery export` or the next copy seals them anew
        #[arg(long)]
        replace: bool,
    },
    /// Show the recovery key's fingerprint, and when the configuration was exported where
    #[command(after_help = "Example:\n  wharf recovery show")]
    Show,
    /// Store a sealed export of the configuration now
    ///
    /// A copy to a destination with --dr does that by itself, when something changed. In the export are
    /// destinations, accounts with what signs them in, publishers, revocations, and which connectors were
    /// installed.
    #[command(after_help = "Examples:\n  wharf recovery export\n  wharf recovery export archive")]
    Export {
        /// To this destination [default: to each that has --dr]
        #[arg(value_name = "NAME")]
        name: Option<Name>,
    },
    Restore(RecoveryRestore),
}

/// Get the configuration of a server that is lost into this home
///
/// First install the connector of the place that has the export, and add an account for it. Shows what is
/// in the export, and asks. Its destinations come back read-only, with what they were granted to read;
/// nothing that is here already is overwritten. Run it again after an interruption.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector install onedrive.wasm
  wharf account add work --type onedrive --client-id ID
  wharf recovery restore --type onedrive --account work \\
      --backup-directory /backups/server1 --key-file recovery-key.txt")]
pub(crate) struct RecoveryRestore {
    /// Connector by type or id: onedrive
    #[arg(long = "type", value_name = "TYPE", value_parser = ConnectorReference::parse)]
    pub(crate) connector: ConnectorReference,
    /// Account whose token is used; see `wharf account list`
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<Name>,
    /// Backup directory of a destination that had --dr; begins with `/`
    #[arg(long, value_name = "PATH", value_parser = Directory::parse)]
    pub(crate) backup_directory: Directory,
    /// An option of the connector, see `wharf connector show`; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<OptionSetting>,
    /// File with the recovery key as it was shown, or - for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: PathBuf,
}
