//! `wharf vault …`.

use clap::Subcommand;

/// The key that seals what is secret.
#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    /// Show where the key of the home comes from, never the key
    ///
    /// It lies in the file `key` of the home, unless another was given when the home was made: in the
    /// environment variable WHARF_VAULT_KEY (64 hexadecimal digits or base64), or as the systemd credential
    /// `wharf-vault-key`. A home keeps to the key that it was sealed with.
    #[command(after_help = "Example:\n  wharf vault show")]
    Show,
    /// Change the key, and seal everything with the new one
    ///
    /// Where the key lies in the home, a fresh one is made; or, if WHARF_VAULT_KEY or the credential
    /// `wharf-vault-key` is given, that one is taken, and the file goes. Where it is given already, give
    /// the new one there and the present one as WHARF_VAULT_KEY_OLD or `wharf-vault-key-old`.
    ///
    /// Refused while another command uses the home. Interrupted at any instant, both keys are good;
    /// run it again to finish.
    #[command(after_help = "\
Examples:
  wharf vault rotate
  WHARF_VAULT_KEY=$(openssl rand -hex 32) wharf vault rotate")]
    Rotate,
}
