//! Addresses that a service mints, sealed.
//!
//! An upload session, a signed download or a next page is a bearer secret in the form of a URL. A
//! connector gets a handle instead: a sealed string bound to the account and the destination and to the name it was minted
//! under, good in any process, since uploads are resumed in another one. Only the grant's check of
//! the consuming route turns it back into an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::grant::Opened;
use crate::vault::{Purpose, Vault};

/// How a handle begins, so that people know one when they see it, and a later form can differ.
const PREFIX: &str = "wharf1.";
/// Longest address that is sealed, in bytes: SharePoint's have about 2 KiB.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Seals and opens the handles of one destination.
#[derive(Debug, Clone)]
pub struct Handles {
    vault: Vault,
    bound_to: Vec<u8>,
}

impl Handles {
    /// Handles of this destination, whose requests carry this account's credential.
    #[must_use]
    pub fn new(vault: Vault, destination: &str, account: Option<&str>, connector_id: &str) -> Self {
        let bound_to = [destination, account.unwrap_or_default(), connector_id].join("\0").into_bytes();
        Self { vault, bound_to }
    }

    /// A handle for an address, minted under `name`; none when it is no address that could be used.
    #[must_use]
    pub fn seal(&self, name: &str, address: &str) -> Option<String> {
        if address.len() > URL_BYTES_MAX || !Url::parse(address).is_ok_and(|url| url.has_host()) {
            return None;
        }
        let text = format!("{name}\0{address}");
        let sealed = self.vault.seal(Purpose::Handle, &self.bound_to, text.as_bytes()).ok()?;
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// What a handle stands for; none when it is not one of this destination's.
    #[must_use]
    pub fn open(&self, handle: &str) -> Option<Opened> {
        let sealed = URL_SAFE_NO_PAD.decode(handle.strip_prefix(PREFIX)?).ok()?;
        let text = self.vault.unseal(Purpose::Handle, &self.bound_to, &sealed).ok()?;
        let (name, address) = std::str::from_utf8(&text).ok()?.split_once('\0')?;
        Some(Opened { name: name.to_owned(), url: Url::parse(address).ok()? })
    }
}
