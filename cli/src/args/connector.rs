//! `wharf connector …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Connector {
    Pack(ConnectorPack),
    Install(ConnectorInstall),
    /// List the connectors that are installed
    #[command(after_help = "Example:\n  wharf connector list")]
    List,
    /// Show what a connector is and everything that it can ask of its service
    #[command(after_help = "Example:\n  wharf connector show onedrive")]
    Show {
        /// Its type or its id
        #[arg(value_name = "TYPE|ID")]
        connector: String,
    },
    /// Remove a connector that no destination uses
    #[command(after_help = "Example:\n  wharf connector remove onedrive")]
    Remove {
        /// Its type or its id
        #[arg(value_name = "TYPE|ID")]
        connector: String,
    },
}

/// Put a manifest into a component, ready to be installed
///
/// The manifest is checked, and so is what the component imports; a manifest that the component
/// already has is replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  wharf connector pack target/wasm32-wasip2/release/my_connector.wasm \\
      --manifest manifest.json --output my-connector.wasm")]
pub(crate) struct ConnectorPack {
    /// The component, built for wasm32-wasip2
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
    /// The manifest: JSON that says everything the connector can ask
    #[arg(short, long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Where to write the packed component; a file that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Install a connector from a file
///
/// Shows what the connector asks for, and on a terminal asks before it is installed. Installing
/// grants nothing: what it may do is granted to each destination.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector install onedrive.wasm
  wharf connector install my-own.wasm --allow-unsigned")]
pub(crate) struct ConnectorInstall {
    /// The packed component
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
    /// Install it although nobody signed it; it is shown as unsigned everywhere
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
}
