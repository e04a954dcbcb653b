//! `wharf connector …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wharf_runtime::home::Name;
use wharf_runtime::network::Plain;
use wharf_runtime::path::Directory;

use super::OptionSetting;

/// Connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Connector {
    Install(ConnectorInstall),
    Update(ConnectorUpdate),
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
    /// Check everything that is installed again: contents, signatures, keys, revocations
    ///
    /// Ends with an error when something would not be installed today. A connector whose key has ended
    /// since it was installed is told here, and goes on running.
    #[command(after_help = "Examples:\n  wharf connector verify\n  wharf connector verify onedrive --json")]
    Verify {
        /// Only this one, by its type or its id
        #[arg(value_name = "TYPE|ID")]
        connector: Option<String>,
    },
    /// Let the destinations of a connector work again
    #[command(after_help = "Example:\n  wharf connector enable onedrive")]
    Enable {
        /// Its type or its id
        #[arg(value_name = "TYPE|ID")]
        connector: String,
    },
    /// Stop every destination of a connector, also where it is at work: the next operation is refused
    #[command(after_help = "Example:\n  wharf connector disable onedrive")]
    Disable {
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
    Pack(ConnectorPack),
    Test(ConnectorTest),
    Sign(ConnectorSign),
    Keygen(ConnectorKeygen),
    Publish(ConnectorPublish),
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

/// For vendors: examine a packed connector
///
/// Looks at the file; then runs every operation while a service that is played here lies: refuses, breaks
/// off, garbles, never ends. That needs no account and no network. With --backup-directory it goes on at
/// the service itself, with the account that you name: in a folder of its own (`wharf-test-…`), which is
/// removed at the end, everything that the contract promises is tried. Nothing is installed. Ends with
/// an error when something is not as it must be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector test acme.wasm
  wharf connector test acme.wasm --account tenant --backup-directory /wharf
  wharf connector test acme.wasm --account tenant --backup-directory /wharf \\
      --connect-to api.acme.com:443:127.0.0.1:8443 --ca-cert emulator.pem --json")]
pub(crate) struct ConnectorTest {
    /// The packed component
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
    /// Go on at the service with this account; one of a test tenant, for its type of connector
    #[arg(long, value_name = "NAME", requires = "backup_directory")]
    pub(crate) account: Option<Name>,
    /// Where to make the folder that is worked in [default: none, or a folder of this machine in /tmp for
    /// a connector that works on it]
    #[arg(long, value_name = "DIR", value_parser = Directory::parse)]
    pub(crate) backup_directory: Option<Directory>,
    /// An option of the connector; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<OptionSetting>,
}

/// For vendors: sign a packed connector
///
/// Writes a Sigstore bundle (v0.3) beside it, as `cosign sign-blob` does: `cosign verify-blob` accepts what
/// this writes, and `install` accepts what cosign writes. The key is Ed25519 or ECDSA P-256 in PEM
/// (PKCS#8), as openssl and `wharf connector keygen` write it, or an encrypted one of cosign's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector sign onedrive.wasm --key vendor.key
  COSIGN_PASSWORD=… wharf connector sign onedrive.wasm --key cosign.key")]
pub(crate) struct ConnectorSign {
    /// The packed component
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
    /// Your private key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Where to write the bundle [default: FILE.sigstore.json]; one that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// File with the password of an encrypted key [default: COSIGN_PASSWORD, or you are asked]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// For vendors: make a key to sign with
///
/// An Ed25519 key in PEM, not encrypted: NAME.key, for you alone, and NAME.pub, for everybody who is to
/// trust you. `openssl genpkey -algorithm ed25519` makes the same; `cosign generate-key-pair` makes an
/// encrypted one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wharf connector keygen --output vendor")]
pub(crate) struct ConnectorKeygen {
    /// Where: NAME.key and NAME.pub, neither of which may be there
    #[arg(short, long, value_name = "NAME")]
    pub(crate) output: PathBuf,
}

/// Install a connector from a file or a registry, or all that are in a folder
///
/// Its signature is checked before anything in it is read: by a publisher whom you trust (`wharf trust
/// add`), for ids that are theirs, with a key that is good. Then it shows what the connector asks for,
/// and on a terminal asks before it is installed. Installing grants nothing: what it may do is granted to
/// each destination.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector install onedrive.wasm
  wharf connector install onedrive.wasm --bundle downloads/onedrive.bundle
  wharf connector install /media/connectors
  wharf connector install oci://registry.acme.com/onedrive:1.4.0
  wharf connector install my-own.wasm --allow-unsigned")]
pub(crate) struct ConnectorInstall {
    /// The packed component, a folder with several (`*.wasm`), or `oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:…]`
    #[arg(value_name = "FILE|DIRECTORY|OCI")]
    pub(crate) component: PathBuf,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) access: Access,
}

/// Install another version of a connector that is installed
///
/// As `install`, for the connector of this type and no other. Destinations use it from their next command
/// on. An older version than was ever installed is refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector update onedrive onedrive-1.5.0.wasm
  wharf connector update onedrive oci://registry.acme.com/onedrive:1.5.0")]
pub(crate) struct ConnectorUpdate {
    /// Which connector, by its type or its id
    #[arg(value_name = "TYPE|ID")]
    pub(crate) connector: String,
    /// The packed component, or `oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:…]`
    #[arg(value_name = "FILE|OCI")]
    pub(crate) component: PathBuf,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) access: Access,
}

/// For vendors: put a connector into a registry, signed
///
/// With `--key` the image is signed as `cosign sign` does it, so that `cosign verify` accepts it. Without,
/// the bundle beside the file goes with it (`wharf connector sign`): the key need not be where the registry
/// is reached. The tag is set last, when the signature is there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf connector publish onedrive.wasm oci://registry.acme.com/onedrive:1.4.0 --key vendor.key \\
      --registry-config ~/.docker/config.json
  wharf connector publish onedrive.wasm oci://127.0.0.1:5000/onedrive:1.4.0 --key vendor.key \\
      --registry-insecure 127.0.0.1:5000")]
pub(crate) struct ConnectorPublish {
    /// The packed component
    #[arg(value_name = "FILE")]
    pub(crate) component: PathBuf,
    /// Where to: `oci://HOST[:PORT]/REPOSITORY:TAG`
    #[arg(value_name = "OCI")]
    pub(crate) place: String,
    /// Your private key [default: none, and FILE.sigstore.json is published]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// File with the password of an encrypted key [default: COSIGN_PASSWORD, or you are asked]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) access: Access,
}

/// How a registry is reached, and who one is there.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct Access {
    /// File with logins as `docker login` writes it; programs that it names are not run
    #[arg(long, value_name = "FILE", conflicts_with = "registry_user")]
    pub(crate) registry_config: Option<PathBuf>,
    /// Your name at the registry
    #[arg(long, value_name = "NAME", requires = "registry_password_file")]
    pub(crate) registry_user: Option<String>,
    /// File with your password, or your token, there
    #[arg(long, value_name = "FILE", requires = "registry_user")]
    pub(crate) registry_password_file: Option<PathBuf>,
    /// Speak to this registry without encryption, also in a private network or on this machine
    ///
    /// What is installed from there is told so by `wharf connector show`. Exactly this host and port: a
    /// server that it sends Wharf on to, for tokens or blobs, is named as well. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) registry_insecure: Vec<Plain>,
}

/// On what ground something is installed.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// Its signature: a Sigstore bundle (v0.3) [default: FILE.sigstore.json, or what the registry has]
    #[arg(long, value_name = "FILE", conflicts_with = "allow_unsigned")]
    pub(crate) bundle: Option<PathBuf>,
    /// Install it without looking for a signature; it is shown as unsigned everywhere
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
    /// Install an older version than before, or an unsigned one in place of a signed one
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
}
