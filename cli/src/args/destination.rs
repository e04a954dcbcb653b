//! `wharf destination …`.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum, value_parser};
use wharf_runtime::destination::{
    ConnectorReference, DISK_LIMIT_PERCENT_MAX, RETRIES_DEFAULT, RETRIES_MAX, THREADS_DEFAULT, THREADS_MAX,
};
use wharf_runtime::home::Name;
use wharf_runtime::path::Directory;

use super::pace::Pace;

/// Destinations.
#[derive(Debug, Subcommand)]
pub(crate) enum Destination {
    Create(Box<DestinationCreate>),
    /// List the destinations
    #[command(after_help = "Example:\n  wharf destination list")]
    List,
    /// Show a destination and what is granted to it
    #[command(after_help = "Example:\n  wharf destination show archive")]
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Ask the service how full it is
    #[command(after_help = "Example:\n  wharf destination usage archive")]
    Usage {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Delete a destination's configuration; what is stored at the service stays there
    #[command(after_help = "Example:\n  wharf destination delete archive")]
    Delete {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
}

/// Create a destination and grant its connector what it may do there
///
/// Shows in words what the connector asks for, and asks before anything is granted; without a
/// terminal, --yes says that you agree. Nothing is sent to the service yet.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf destination create archive --type onedrive --account work \\
      --backup-directory /backups/server1
  wharf destination create restore --type onedrive --account work \\
      --backup-directory /backups/server2 --read-only
  wharf destination create disk --type local --backup-directory /mnt/disk/backups")]
pub(crate) struct DestinationCreate {
    /// What to call it: a-z, 0-9, `.`, `_` and `-`; unique
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// Connector by type or id, optionally one version of it: onedrive, onedrive@1.4.0
    #[arg(long = "type", value_name = "TYPE", value_parser = ConnectorReference::parse)]
    pub(crate) connector: ConnectorReference,
    /// Account whose token is used; see `wharf account list`
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<Name>,
    /// Folder where everything of this destination lies, at the service or (type local) on this
    /// machine; begins with `/`
    #[arg(long, value_name = "PATH", value_parser = Directory::parse)]
    pub(crate) backup_directory: Directory,
    /// Only restore from it, never write; cannot be changed later
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Operations at a time, 1 to 400; fewer when the service limits you
    #[arg(long, value_name = "N", default_value_t = THREADS_DEFAULT,
          value_parser = value_parser!(u16).range(1..=i64::from(THREADS_MAX)))]
    pub(crate) threads: u16,
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// Retries of one request, 0 to 10
    #[arg(long, value_name = "N", default_value_t = RETRIES_DEFAULT,
          value_parser = value_parser!(u8).range(0..=i64::from(RETRIES_MAX)))]
    pub(crate) retries: u8,
    /// Which HTTP to speak
    #[arg(long, value_name = "VERSION", value_enum, default_value_t)]
    pub(crate) http_version: HttpVersion,
    /// Who may change it [default: the user that the home belongs to]
    #[arg(long, value_name = "USER")]
    pub(crate) owner: Option<String>,
    /// An option of the connector, see `wharf connector show`; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<OptionSetting>,
    /// Do not write when the service is fuller than this, in percent; 0 for no limit
    #[arg(long, value_name = "PERCENT", default_value_t = 0,
          value_parser = value_parser!(u8).range(0..=i64::from(DISK_LIMIT_PERCENT_MAX)))]
    pub(crate) disk_limit: u8,
    /// Do not show its backups to end users
    #[arg(long)]
    pub(crate) hidden: bool,
    /// Grant only this route, see `wharf connector show`; may be repeated [default: all]
    #[arg(long = "grant", value_name = "ROUTE", conflicts_with = "grant_all")]
    pub(crate) grants: Vec<String>,
    /// Grant every route that the connector asks for; of a read-only destination, those that read
    #[arg(long)]
    pub(crate) grant_all: bool,
}

/// Which HTTP to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum HttpVersion {
    /// The newest that both sides know
    #[default]
    Default,
    /// HTTP/1.1 only
    #[value(name = "1.1")]
    Http1,
    /// HTTP/2 only
    #[value(name = "2")]
    Http2,
}

/// `KEY=VALUE`; what the value may be is the manifest's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionSetting {
    /// Which option.
    pub(crate) key: String,
    /// Its value, as it was typed.
    pub(crate) value: String,
}

impl FromStr for OptionSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("expected KEY=VALUE, such as drive_id=b!x1".to_owned()),
        }
    }
}
