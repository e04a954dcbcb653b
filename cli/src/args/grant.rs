//! `wharf grant …`.

use clap::{Args, Subcommand};
use wharf_runtime::home::Name;

/// Grants.
#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Show what a destination's connector asks for, and what of it is granted
    #[command(after_help = "\
Examples:
  wharf grant show archive
  wharf grant show archive --json | jq '.routes[] | select(.standing != \"granted\")'")]
    Show {
        /// Which destination
        #[arg(value_name = "NAME")]
        name: Name,
    },
    Allow(GrantAllow),
    /// Take routes back from a destination
    ///
    /// From the next request on, also of transfers that are running.
    #[command(after_help = "\
Examples:
  wharf grant deny archive delete
  wharf grant deny archive put start-upload")]
    Deny {
        /// Which destination
        #[arg(value_name = "NAME")]
        name: Name,
        /// Which routes
        #[arg(value_name = "ROUTE", required = true)]
        routes: Vec<String>,
    },
}

/// Grant routes to a destination, as far as its connector asks for them today
///
/// Shows them in words and asks first; without a terminal, --yes says that you agree.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf grant allow archive delete
  wharf grant allow archive --all --yes")]
pub(crate) struct GrantAllow {
    /// Which destination
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// Which routes
    #[arg(value_name = "ROUTE", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) routes: Vec<String>,
    /// Every route that the connector asks for; of a read-only destination, those that read
    #[arg(long)]
    pub(crate) all: bool,
}
