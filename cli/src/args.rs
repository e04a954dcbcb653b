//! The command line, parsed into types. It is understood here and acted upon elsewhere, and this is
//! the only place that reads the environment.

mod account;
mod connector;
mod destination;
mod grant;
mod pace;
mod recovery;
mod transfer;
mod trust;
mod vault;

use std::io::Read as _;
use std::os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _};
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use wharf_runtime::audit::Anchor;
use wharf_runtime::home::Name;
use wharf_runtime::network::ConnectTo;
use wharf_runtime::sandbox::limits::{Limits, NAMED, Setting};
use wharf_runtime::secret::Secret;
use wharf_runtime::vault::{Given, Key, Source};

pub(crate) use account::{Account, AccountAdd, AccountImport, Renewal, SignIn};
pub(crate) use connector::{
    Access, Connector, ConnectorInstall, ConnectorKeygen, ConnectorPack, ConnectorPublish, ConnectorSign,
    ConnectorTest, ConnectorUpdate, Proof,
};
pub(crate) use destination::{Destination, DestinationCreate, DestinationModify, OptionSetting};
pub(crate) use grant::{Grant, GrantAllow};
pub(crate) use recovery::{Recovery, RecoveryRestore};
pub(crate) use transfer::{Copy, List, Move, Remove};
pub(crate) use trust::{Trust, TrustAdd, TrustIssue};
pub(crate) use vault::Vault;

use crate::exit::Exit;
use crate::location::Remote;
use crate::report::Failure;

/// Longest file with a key: a line of text, and room.
const KEY_FILE_BYTES_MAX: u64 = 1024;

/// What follows the options of `wharf --help`.
static AFTER_LONG_HELP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "\
First steps:
  wharf trust add acme --key acme.pub --id-prefix com.acme
  wharf connector install onedrive.wasm
  wharf account add work --type onedrive --client-id ID
  wharf destination create archive --type onedrive --account work \\
      --backup-directory /backups/server1
  wharf copy /srv/data archive:data

Data goes to stdout, everything else to stderr.

{}",
        Exit::table()
    )
});

/// What `--guest-limit` can say.
static GUEST_LIMIT_HELP: LazyLock<String> = LazyLock::new(|| {
    let usual = Limits::default();
    let lines = NAMED.map(|limit| {
        let range = format!("{} [1 to {}]", (limit.get)(&usual), limit.most);
        format!("  {:<9} {:<20} {}\n", limit.name, range, limit.what)
    });
    format!(
        "What a connector may use in one operation, as in memory=128\n\n{}\n\
         May be repeated; in WHARF_GUEST_LIMIT commas separate several. One operation: a part of a file, a page of \
         a listing",
        lines.concat()
    )
});

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Move backups to cloud services through sandboxed connectors
///
/// A connector is a WebAssembly component that knows one service. It runs in a sandbox without
/// network, files or secrets: Wharf builds every request, checks it against what you granted to the
/// destination, adds the account's token and sends it.
#[derive(Debug, Parser)]
#[command(
    name = "wharf",
    version,
    styles = STYLES,
    max_term_width = 100,
    after_help = "Run `wharf --help` for first steps and exit codes.",
    after_long_help = AFTER_LONG_HELP.as_str(),
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The whole command line as clap sees it, for completions.
    pub(crate) fn definition() -> clap::Command {
        Self::command()
    }
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder with everything Wharf knows: connectors, accounts, destinations, catalog
    ///
    /// [default: $XDG_DATA_HOME/wharf, or ~/.local/share/wharf]
    #[arg(long, global = true, value_name = "DIR", env = "WHARF_HOME", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Print data as JSON, lists as one object a line, errors as one object on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no messages and no progress, only data, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more: each file; twice, the log of the runtime; three times, all of it
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print the runtime's log: `debug`, or by part as in `connector=debug,wharf_runtime=info`
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "RUST_LOG",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(crate) log: Option<String>,
    /// How the log is written
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t, hide_short_help = true)]
    pub(crate) log_format: LogFormat,
    /// When to colour; NO_COLOR is obeyed
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: ColorChoice,
    /// Dial ADDRESS:PORT for requests to HOST:PORT, as in curl; for tests
    ///
    /// Requests, grants and certificates stay those of HOST. Only this very pair may lead to a
    /// private address. May be repeated.
    #[arg(long, global = true, value_name = "HOST:PORT:ADDRESS:PORT", hide_short_help = true)]
    pub(crate) connect_to: Vec<ConnectTo>,
    /// Trust the certificates in this file (PEM) besides the system's own; for tests
    ///
    /// May be repeated.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_cert: Vec<PathBuf>,
    /// What a connector may use in one operation, as in memory=128
    #[arg(
        long = "guest-limit",
        long_help = GUEST_LIMIT_HELP.as_str(),
        global = true,
        value_name = "NAME=AMOUNT",
        value_delimiter = ',',
        env = "WHARF_GUEST_LIMIT",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(crate) guest_limits: Vec<Setting>,
}

impl Global {
    /// What a connector may use: as the command line says, else as usual.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        self.guest_limits.iter().for_each(|setting| setting.apply(&mut limits));
        limits
    }

    /// The home: as it was named, or the usual place. None when the environment names no usual place.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.home.clone().or_else(usual_home)
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How the log is written, one event a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// An object a line, with its time
    Json,
}

/// What to do. Commands with arguments of their own say there what they are.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connectors: what speaks to a service
    #[command(subcommand)]
    Connector(Connector),
    /// Publishers: whose signatures count
    #[command(subcommand)]
    Trust(Trust),
    /// Accounts: whose token is used
    #[command(subcommand)]
    Account(Account),
    /// Destinations: configured places to write backups to
    #[command(subcommand)]
    Destination(Destination),
    /// Grants: what a connector may do at a destination
    #[command(subcommand)]
    Grant(Grant),
    Copy(Copy),
    #[command(visible_alias = "mv")]
    Move(Move),
    Ls(List),
    /// Show what is stored at a path
    #[command(after_help = "Example:\n  wharf stat archive:data/db.dump")]
    Stat {
        /// A place at a destination, such as archive:data/db.dump
        #[arg(value_name = "NAME:PATH")]
        place: Remote,
    },
    /// Make a folder, and the folders on the way to it
    ///
    /// A folder that is there already is left as it is.
    #[command(after_help = "Example:\n  wharf mkdir archive:data/2026")]
    Mkdir {
        /// A place at a destination, such as archive:data/2026
        #[arg(value_name = "NAME:PATH")]
        place: Remote,
    },
    Rm(Remove),
    /// Show the record of every request that was made for a destination
    #[command(after_help = "\
Examples:
  wharf audit archive --limit 20
  wharf audit archive --summary
  wharf audit archive --verify
  wharf audit archive --json | jq 'select(.status == 429)'")]
    Audit {
        /// Which destination
        #[arg(value_name = "NAME")]
        destination: Name,
        /// Count requests, retries and bytes by route instead of listing records
        #[arg(long)]
        summary: bool,
        /// List only the last N records
        #[arg(long, value_name = "N", conflicts_with = "summary")]
        limit: Option<usize>,
        /// See whether a record was changed, moved, put in or taken away since it was written
        #[arg(long, conflicts_with_all = ["summary", "limit"])]
        verify: bool,
        /// With --verify: it must hold this record, a head that an earlier --verify printed
        #[arg(long, value_name = "NUMBER:HASH", requires = "verify")]
        anchor: Option<Anchor>,
    },
    /// The vault: the key that seals what is secret
    #[command(subcommand)]
    Vault(Vault),
    /// Disaster recovery: the configuration, sealed beside the backups
    #[command(subcommand)]
    Recovery(Recovery),
    /// Print a script that completes wharf's command line in a shell
    #[command(after_help = "\
Examples:
  wharf completion bash > ~/.local/share/bash-completion/completions/wharf
  wharf completion zsh > \"${fpath[1]}/_wharf\"
  wharf completion fish > ~/.config/fish/completions/wharf.fish")]
    Completion {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// The password of an encrypted key, where cosign looks for it too.
pub(crate) fn cosign_password() -> Option<Secret> {
    std::env::var_os("COSIGN_PASSWORD")?.into_string().ok().map(Secret::new)
}

/// Is `--json` there, in a command line that makes no sense otherwise?
pub(crate) fn is_json_asked_for() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

/// Does the environment ask for no colour?
pub(crate) fn is_plain() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// The keys that are given from outside: in the environment, or as credentials of systemd.
pub(crate) fn given_keys() -> Result<Given, Failure> {
    Ok(Given {
        key: given_key("WHARF_VAULT_KEY", "wharf-vault-key")?,
        old: given_key("WHARF_VAULT_KEY_OLD", "wharf-vault-key-old")?,
    })
}

fn given_key(variable: &str, credential: &str) -> Result<Option<Key>, Failure> {
    if let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) {
        return Ok(Some(Key::given(text.as_bytes(), Source::Environment)?));
    }
    let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") else { return Ok(None) };
    let path = PathBuf::from(folder).join(credential);
    let unreadable = |problem| Failure::local("read", &path, problem);
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // Access lists of systemd show as permissions of the group; nobody else has a right to it.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        let message = format!("the key `{}` can be read by others (mode {mode:o})", path.display());
        return Err(Failure::new(Exit::Home, message).with_hint(format!("run `chmod o= {}`", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(Key::given(&bytes, Source::Credential)?))
}

/// Where data of a user's programs usually lies (XDG base directories).
fn usual_home() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("wharf"))
}

#[cfg(test)]
mod tests;
