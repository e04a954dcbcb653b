//! The command line, parsed into types. It is understood here and acted upon elsewhere, and this is
//! the only place that reads the environment.

mod account;
mod connector;
mod destination;
mod pace;
mod transfer;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use wharf_runtime::home::Name;
use wharf_runtime::network::ConnectTo;

pub(crate) use account::{Account, AccountAdd};
pub(crate) use connector::{Connector, ConnectorInstall, ConnectorPack};
pub(crate) use destination::{Destination, DestinationCreate, HttpVersion, OptionSetting};
pub(crate) use transfer::{Copy, List, Move, Remove};

use crate::exit::Exit;
use crate::location::Remote;

/// What follows the options of `wharf --help`.
static AFTER_LONG_HELP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "\
First steps:
  wharf connector install onedrive.wasm --allow-unsigned
  wharf account add work --type onedrive --token-file token.json
  wharf destination create archive --type onedrive --account work \\
      --backup-directory /backups/server1
  wharf copy /srv/data archive:data

Data goes to stdout, everything else to stderr.

{}",
        Exit::table()
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
}

impl Global {
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

/// What to do. Commands with arguments of their own say there what they are.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connectors: what speaks to a service
    #[command(subcommand)]
    Connector(Connector),
    /// Accounts: whose token is used
    #[command(subcommand)]
    Account(Account),
    /// Destinations: configured places to write backups to
    #[command(subcommand)]
    Destination(Destination),
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
    },
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

/// Is `--json` there, in a command line that makes no sense otherwise?
pub(crate) fn is_json_asked_for() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

/// Does the environment ask for no colour?
pub(crate) fn is_plain() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Where data of a user's programs usually lies (XDG base directories).
fn usual_home() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("wharf"))
}

#[cfg(test)]
mod tests;
