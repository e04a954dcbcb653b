//! `wharf trust …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use wharf_runtime::home::Name;

/// Whom you trust to sign connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Trust {
    Add(TrustAdd),
    /// List the publishers that you trust, their keys, and what they revoked
    #[command(after_help = "Example:\n  wharf trust list")]
    List,
    /// Trust a key, or all keys of a publisher, no more
    ///
    /// What is installed under such a key does not run any more, also where it is running now: the next
    /// operation is refused. The keys stay listed, with the reason.
    #[command(after_help = "\
Examples:
  wharf trust revoke acme --reason 'their build server was broken into'
  wharf trust revoke 3b1f0c9a --reason 'lost laptop'")]
    Revoke {
        /// The publisher, or the first digits (8 at least) of a key's id
        #[arg(value_name = "NAME|KEY")]
        what: String,
        /// Why, in one line; shown wherever it stops something
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Forget a publisher that signed nothing that is installed
    #[command(after_help = "Example:\n  wharf trust remove acme")]
    Remove {
        /// The publisher
        #[arg(value_name = "NAME")]
        name: Name,
    },
    /// Take a revocation list of a publisher
    ///
    /// The list must be signed by a key of the publisher that is good, have a higher number than the one
    /// before, and not be expired. It speaks of that publisher's keys and components only.
    #[command(after_help = "Example:\n  wharf trust update acme-revocations.json")]
    Update {
        /// The list
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Its signature [default: FILE.sigstore.json]
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
    Issue(TrustIssue),
}

/// Trust a publisher, or give one that you trust another key
///
/// Connectors are installed only when such a key signed them, and only those whose id is one of the
/// prefixes or begins with one and a dot. To replace a key, add the new one beside it, and revoke the
/// old one, or let it end, when everything is signed anew. Get keys from the publisher over a way that
/// you trust, and compare their ids.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf trust add acme --key acme.pub --id-prefix com.acme
  wharf trust add acme --key acme-2027.pub --not-before 2027-01-01 --not-after 2029-01-01")]
pub(crate) struct TrustAdd {
    /// What to call the publisher: a-z, 0-9, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// A public key of theirs: Ed25519 or ECDSA P-256, in PEM
    #[arg(long, value_name = "FILE", required_unless_present = "id_prefixes")]
    pub(crate) key: Option<PathBuf>,
    /// Ids of connectors that they may sign, such as com.acme; may be repeated
    #[arg(long = "id-prefix", value_name = "PREFIX")]
    pub(crate) id_prefixes: Vec<String>,
    /// From when on the key is good: 2027-01-01, or 2027-01-01T12:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = moment, requires = "key")]
    pub(crate) not_before: Option<Timestamp>,
    /// Until when the key is good; what is installed by then goes on running
    #[arg(long, value_name = "MOMENT", value_parser = moment, requires = "key")]
    pub(crate) not_after: Option<Timestamp>,
}

/// For vendors: write and sign a list of what you revoke
///
/// Each list replaces the one before, so it names everything that you ever revoked. Give it a higher
/// number than the last one, and issue the next before it expires: where the newest list that is known
/// has expired, nothing new is installed.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  wharf trust issue --key acme.key --number 7 --expires 2027-01-01 \\
      --revoke-digest sha256:9f86d081…=CVE-2026-1234 --output acme-revocations.json")]
pub(crate) struct TrustIssue {
    /// Your private key, as for `wharf connector sign`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Higher than every earlier list's
    #[arg(long, value_name = "N")]
    pub(crate) number: u64,
    /// When it ends: 2027-01-01, or 2027-01-01T12:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) expires: Timestamp,
    /// A key that is good no more, and why; may be repeated
    #[arg(long = "revoke-key", value_name = "ID=REASON")]
    pub(crate) keys: Vec<String>,
    /// A component that is good no more, and why; may be repeated
    #[arg(long = "revoke-digest", value_name = "SHA256=REASON")]
    pub(crate) digests: Vec<String>,
    /// Where to write the list; its signature goes beside it, as FILE.sigstore.json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// File with the password of an encrypted key [default: COSIGN_PASSWORD, or you are asked]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// A moment, or the first of a day in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let of_day =
        |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let wrong = || "expected a day as in 2027-01-01, or a moment as in 2027-01-01T12:00:00Z".to_owned();
    match text.parse::<Timestamp>() {
        Ok(moment) => Ok(moment),
        Err(_) if text.len() > "2027-01-01".len() => Err(wrong()),
        Err(_) => text.parse().and_then(of_day).map_err(|_| wrong()),
    }
}
