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
/// Longest handle, in characters: the longest address and its name, sealed, in base64.
const HANDLE_CHARACTERS_MAX: usize = 16 * 1024;
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

    /// A text in which handles are (a session in the journal), with every handle sealed with the newest
    /// key; none when one of them is not this destination's.
    pub(crate) fn reseal(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(PREFIX) {
            let (before, after) = rest.split_at(at);
            let coded = after.get(PREFIX.len()..)?;
            let is_coded = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
            let end = coded.find(|character| !is_coded(character)).unwrap_or(coded.len());
            let coded = coded.get(..end).filter(|coded| coded.len() <= HANDLE_CHARACTERS_MAX)?;
            let sealed = URL_SAFE_NO_PAD.decode(coded).ok()?;
            let sealed = match self.vault.reseal(Purpose::Handle, &self.bound_to, &sealed).ok()? {
                Some(anew) => anew,
                None => sealed,
            };
            out.push_str(before);
            out.push_str(PREFIX);
            out.push_str(&URL_SAFE_NO_PAD.encode(sealed));
            rest = after.get(PREFIX.len() + end..)?;
        }
        out.push_str(rest);
        Some(out)
    }
}
