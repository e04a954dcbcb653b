//! Compiled components, kept so that the next start need not compile.
//!
//! A compiled artefact is code: whoever can write one runs as us. So it is kept with a mac under a key
//! of the home, over its bytes and over everything it depends on, and what comes back from here is a
//! buffer that was verified, never a path. Whatever is wrong with a file, it is removed and the caller
//! compiles again.

use cap_std::fs::MetadataExt;

use super::{Digest, Error};
use crate::{
    home::{self, Home},
    vault::{MAC_BYTES, Purpose, Vault},
};

/// Largest artefact that is kept; ours have one to three megabytes.
pub const ARTEFACT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// After the artefact: what it was made of, its mac, this.
const MARK: &[u8; 8] = b"wharf-a1";
const INPUTS_BYTES: usize = 32;
const TRAILER_BYTES: usize = INPUTS_BYTES + MAC_BYTES + MARK.len();

/// Everything that an artefact depends on.
#[derive(Debug, Clone, Copy)]
pub struct ArtefactKey<'a> {
    /// The component that was compiled.
    pub component: &'a Digest,
    /// The engine's compatibility hash.
    pub engine: &'a [u8],
    /// The settings that it was compiled with.
    pub settings: &'a str,
}

/// An artefact whose mac was verified. The only thing that may be deserialised.
pub struct Artefact(Vec<u8>);

impl Artefact {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Artefact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Artefact({} bytes)", self.0.len())
    }
}

/// Why there is no artefact to use, and the component must be compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is none.
    #[error("there is no compiled artefact yet")]
    Absent,
    /// Made by another engine or with other settings.
    #[error("the compiled artefact was made by another engine or with other settings")]
    Outdated,
    /// Shorter than it was, or no artefact at all.
    #[error("the compiled artefact is cut short")]
    Truncated,
    /// Its mac is wrong: altered, or made in another home.
    #[error("the compiled artefact was altered, or made in another home")]
    Altered,
    /// A link, not a regular file, too large, or open to others.
    #[error("the compiled artefact is not a file of our own")]
    Foreign,
    /// The disk fails.
    #[error("the compiled artefact cannot be read")]
    Unreadable,
}

/// The artefacts of a home.
#[derive(Debug, Clone)]
pub struct Artefacts {
    home: Home,
    vault: Vault,
}

impl Artefacts {
    /// The artefacts of this home.
    #[must_use]
    pub fn new(home: &Home, vault: &Vault) -> Self {
        Self { home: home.clone(), vault: vault.clone() }
    }

    /// Keep an artefact, in place of an older one of the same component.
    ///
    /// # Errors
    /// When it is too large, or the home cannot be written.
    pub fn store(&self, key: &ArtefactKey<'_>, artefact: &[u8]) -> Result<(), Error> {
        if u64::try_from(artefact.len()).is_ok_and(|length| length > ARTEFACT_BYTES_MAX) {
            return Err(Error::TooLarge);
        }
        let inputs = key.hash();
        let mut bytes = Vec::with_capacity(artefact.len() + TRAILER_BYTES);
        bytes.extend_from_slice(artefact);
        bytes.extend_from_slice(&inputs);
        bytes.extend_from_slice(&self.vault.mac(Purpose::Artefact, &[&inputs, artefact]));
        bytes.extend_from_slice(MARK);
        Ok(self.home.artefacts().write(key.component.as_str(), &bytes)?)
    }

    /// The artefact of a component, verified. One that cannot be used is removed.
    ///
    /// # Errors
    /// Why the component must be compiled (again).
    pub fn load(&self, key: &ArtefactKey<'_>) -> Result<Artefact, Unusable> {
        let loaded = self.read(key);
        let is_there = !matches!(loaded, Ok(_) | Err(Unusable::Absent));
        if is_there && let Err(error) = self.home.artefacts().remove(key.component.as_str()) {
            tracing::warn!(%error, "an artefact that is not used stays");
        }
        loaded
    }

    fn read(&self, key: &ArtefactKey<'_>) -> Result<Artefact, Unusable> {
        let (folder, name) = (self.home.artefacts(), key.component.as_str());
        let file = folder.open_to_read(name).map_err(|_| Unusable::Foreign)?.ok_or(Unusable::Absent)?;
        let metadata = file.metadata().map_err(|_| Unusable::Unreadable)?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || metadata.mode() & 0o022 != 0 || metadata.nlink() != 1 {
            return Err(Unusable::Foreign);
        }
        // The very file that was looked at: a name may point elsewhere by now.
        let bytes_max = ARTEFACT_BYTES_MAX.saturating_add(u64::try_from(TRAILER_BYTES).unwrap_or_default());
        let mut bytes = home::read_capped(file, metadata.len(), bytes_max)
            .map_err(|_| Unusable::Unreadable)?
            .ok_or(Unusable::Foreign)?;
        let end = bytes.len().checked_sub(TRAILER_BYTES).ok_or(Unusable::Truncated)?;
        let trailer = bytes.split_off(end);
        let (inputs, rest) = trailer.split_at_checked(INPUTS_BYTES).ok_or(Unusable::Truncated)?;
        let mac = rest.strip_suffix(MARK).ok_or(Unusable::Truncated)?;
        if inputs != key.hash() {
            return Err(Unusable::Outdated);
        }
        self.vault.verify(Purpose::Artefact, &[inputs, &bytes], mac).map_err(|_| Unusable::Altered)?;
        Ok(Artefact(bytes))
    }
}

impl ArtefactKey<'_> {
    /// One hash over all of it, each part with its length.
    fn hash(&self) -> [u8; INPUTS_BYTES] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for part in [self.component.as_str().as_bytes(), self.engine, self.settings.as_bytes()] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            context.update(part);
        }
        let digest = context.finish();
        let mut hash = [0; INPUTS_BYTES];
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }
}
