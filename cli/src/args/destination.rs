//! `wharf destination …`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum, value_parser};
use wharf_runtime::destination::{
    ConnectorReference, DISK_LIMIT_PERCENT_MAX, RETRIES_DEFAULT, RETRIES_MAX, THREADS_DEFAULT, THREADS_MAX,
};
use wharf_runtime::home::Name;
use wharf_runtime::path::{self, Directory, RelativePath};

use super::Renewal;
use super::pace::Pace;

/// Destinations.
#[derive(Debug, Subcommand)]
pub(crate) enum Destination {
    Create(Box<DestinationCreate>),
    Modify(Box<DestinationModify>),
    /// List the types of destinations that can be created
    ///
    /// One for each connector; a type that an account or a destination names, and that no connector
    /// is installed for, is shown as missing.
    #[command(after_help = "Example:\n  wharf destination types")]
    Types,
    /// List the destinations
    ///
    /// A hidden one is listed for its owner only, unless --all.
    #[command(after_help = "Example:\n  wharf destination list\n  wharf destination list --all --json")]
    List {
        /// List those that are hidden, too
        #[arg(long)]
        all: bool,
    },
    /// Show a destination and what is granted to it
    #[command(after_help = "Example:\n  wharf destination show archive")]
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Sign in the account that a destination names, when it must
    ///
    /// The same as `wharf account authorize` with that account's name.
    #[command(after_help = "Example:\n  wharf destination authorize archive --paste")]
    Authorize {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
        #[command(flatten)]
        renewal: Renewal,
    },
    /// Ask the service how full it is
    #[command(after_help = "Example:\n  wharf destination usage archive")]
    Usage {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Try whether a destination does what backups need, step by step
    ///
    /// Signs in, lists, stores small files of a random name, reads them back, races to create one,
    /// and removes them again. Of a read-only destination it only reads.
    #[command(after_help = "Example:\n  wharf destination validate archive")]
    Validate {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Bring the catalog in line with what the service has
    ///
    /// The catalog is what Wharf remembers of what it stored. Where the service tells what changed and
    /// the destination's options allow it (Dropbox; OneDrive with `--option track_changes=true`), the
    /// first run learns everything and the next ask only for what changed; elsewhere every folder is
    /// listed. A run that was interrupted goes on where it was. Nothing at the service is changed.
    #[command(after_help = "Example:\n  wharf destination reindex archive")]
    Reindex {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Compare what the service has with the catalog
    ///
    /// Lists every folder, and prints each file that is missing, changed or unknown to the catalog:
    /// by length and by the service's hash, and with --download by every byte. Ends with exit code 9 when
    /// a file is missing or not what was stored. Nothing is changed, at the service or in the catalog.
    #[command(after_help = "\
Examples:
  wharf destination check archive
  wharf destination check archive data/2026 --download --json")]
    Check {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
        /// A folder or file below its backup directory [default: everything]
        #[arg(value_name = "PATH", value_parser = parse_below)]
        path: Option<RelativePath>,
        /// Read every byte, and compare with the hash of what was stored
        #[arg(long)]
        download: bool,
    },
    /// Delete a destination's configuration and what is remembered of it
    ///
    /// What is stored at the service stays there, and so does the mark that says whose it is.
    #[command(after_help = "Example:\n  wharf destination delete archive")]
    Delete {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Name,
    },
}

/// A path below the backup directory, as people type one.
fn parse_below(text: &str) -> Result<RelativePath, path::Error> {
    RelativePath::from_operator(text)
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
    /// Folder of connectors to install TYPE from, where it is not installed [default: `connectors` in
    /// the home]
    #[arg(long, value_name = "DIR", env = "WHARF_CONNECTORS", hide_env_values = true)]
    pub(crate) connectors: Option<PathBuf>,
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
    /// An account above the owner's, which may change it too; may be repeated
    #[arg(long = "parent", value_name = "USER")]
    pub(crate) parents: Vec<String>,
    /// What it is to hold
    #[arg(long, value_name = "TYPE", value_enum, default_value_t)]
    pub(crate) job_type: JobType,
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
    /// Take part in disaster recovery: sealed exports of the configuration go there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub(crate) dr: bool,
    /// Grant only this route, see `wharf connector show`; may be repeated [default: all]
    #[arg(long = "grant", value_name = "ROUTE", conflicts_with = "grant_all")]
    pub(crate) grants: Vec<String>,
    /// Grant every route that the connector asks for; of a read-only destination, those that read
    #[arg(long)]
    pub(crate) grant_all: bool,
}

/// Change a destination
///
/// What is not named stays as it is. A transfer that is running keeps its settings; only grants, and
/// whether the destination is disabled, hold for it at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf destination modify archive --threads 2 --disk-limit 90
  wharf destination modify archive --disabled
  wharf destination modify archive --dr
  wharf destination modify archive --disabled=false --option drive_id=b!x1")]
pub(crate) struct DestinationModify {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// Account whose token is used; see `wharf account list`
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<Name>,
    /// Operations at a time, 1 to 400; fewer when the service limits you
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=i64::from(THREADS_MAX)))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// Retries of one request, 0 to 10
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(0..=i64::from(RETRIES_MAX)))]
    pub(crate) retries: Option<u8>,
    /// Which HTTP to speak
    #[arg(long, value_name = "VERSION", value_enum)]
    pub(crate) http_version: Option<HttpVersion>,
    /// Who may change it
    #[arg(long, value_name = "USER")]
    pub(crate) owner: Option<String>,
    /// The accounts above the owner's, in place of those that are set; may be repeated
    #[arg(long = "parent", value_name = "USER")]
    pub(crate) parents: Vec<String>,
    /// No accounts above the owner's
    #[arg(long, conflicts_with = "parents")]
    pub(crate) no_parents: bool,
    /// What it is to hold
    #[arg(long, value_name = "TYPE", value_enum)]
    pub(crate) job_type: Option<JobType>,
    /// Set an option of the connector; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<OptionSetting>,
    /// Set an option no longer; may be repeated
    #[arg(long = "unset-option", value_name = "KEY")]
    pub(crate) unset_options: Vec<String>,
    /// Do not write when the service is fuller than this, in percent; 0 for no limit
    #[arg(long, value_name = "PERCENT",
          value_parser = value_parser!(u8).range(0..=i64::from(DISK_LIMIT_PERCENT_MAX)))]
    pub(crate) disk_limit: Option<u8>,
    /// Do not show its backups to end users
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) hidden: Option<bool>,
    /// Do not use it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) disabled: Option<bool>,
    /// Take part in disaster recovery: sealed exports of the configuration go there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) dr: Option<bool>,
    /// Decided for good; understood, so that the answer says why
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) read_only: Option<bool>,
    /// Decided for good
    #[arg(long, hide = true)]
    pub(crate) backup_directory: Option<String>,
    /// Decided for good
    #[arg(long = "type", hide = true)]
    pub(crate) connector: Option<String>,
}

/// What a destination is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum JobType {
    /// Backups
    #[default]
    Backup,
    /// Clones of a server
    Clones,
}

impl From<JobType> for wharf_runtime::destination::JobType {
    fn from(kind: JobType) -> Self {
        match kind {
            JobType::Backup => Self::Backup,
            JobType::Clones => Self::Clones,
        }
    }
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

impl From<HttpVersion> for wharf_runtime::network::HttpVersion {
    fn from(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Default => Self::Default,
            HttpVersion::Http1 => Self::Http1,
            HttpVersion::Http2 => Self::Http2,
        }
    }
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
