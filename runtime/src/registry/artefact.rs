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
        let name = key.component.as_str();
        Ok(self.home.artefacts().write(name, &self.sealed(&key.hash(), artefact))?)
    }

    fn sealed(&self, inputs: &[u8], artefact: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(artefact.len() + TRAILER_BYTES);
        bytes.extend_from_slice(artefact);
        bytes.extend_from_slice(inputs);
        bytes.extend_from_slice(&self.vault.mac(Purpose::Artefact, &[inputs, artefact]));
        bytes.extend_from_slice(MARK);
        bytes
    }

    /// Seal every artefact with the newest key. One that no key of the home sealed goes: it will be
    /// compiled again. Returns how many are sealed anew.
    ///
    /// # Errors
    /// When the home cannot be read or written.
    pub(crate) fn reseal(&self) -> Result<u64, home::Error> {
        let folder = self.home.artefacts();
        let mut count = 0;
        for name in folder.names()? {
            let opened = self.open(&name).ok().filter(|stored| self.verify(stored).is_ok());
            let Some(stored) = opened else {
                folder.remove(&name)?;
                continue;
            };
            let sealed = self.sealed(&stored.inputs, &stored.artefact);
            // A new key changes the mac and nothing else.
            if !sealed.ends_with(&[stored.mac.as_slice(), MARK].concat()) {
                folder.write(&name, &sealed)?;
                count += 1;
            }
        }
        Ok(count)
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
        let stored = self.open(key.component.as_str())?;
        if stored.inputs != key.hash() {
            return Err(Unusable::Outdated);
        }
        self.verify(&stored)?;
        Ok(Artefact(stored.artefact))
    }

    fn verify(&self, stored: &Stored) -> Result<(), Unusable> {
        let parts = [stored.inputs.as_slice(), &stored.artefact];
        self.vault.verify(Purpose::Artefact, &parts, &stored.mac).map_err(|_| Unusable::Altered)
    }

    /// What lies there under this name, not verified yet.
    fn open(&self, name: &str) -> Result<Stored, Unusable> {
        let folder = self.home.artefacts();
        let file = folder.open_to_read(name).map_err(|_| Unusable::Foreign)?.ok_or(Unusable::Absent)?;
        let metadata = file.metadata().map_err(|_| Unusable::Unreadable)?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || metadata.mode() & 0o022 != 0 || metadata.nlink() != 1 {
            return Err(Unusable::Foreign);
        }
        // The very file that was looked at: a name may point elsewhere by now.
        let bytes_max = ARTEFACT_BYTES_MAX.saturating_add(u64::try_from(TRAILER_BYTES).unwrap_or_default());
        let mut artefact = home::read_capped(file, metadata.len(), bytes_max)
            .map_err(|_| Unusable::Unreadable)?
            .ok_or(Unusable::Foreign)?;
        let end = artefact.len().checked_sub(TRAILER_BYTES).ok_or(Unusable::Truncated)?;
        let trailer = artefact.split_off(end);
        let (inputs, rest) = trailer.split_at_checked(INPUTS_BYTES).ok_or(Unusable::Truncated)?;
        let mac = rest.strip_suffix(MARK).ok_or(Unusable::Truncated)?;
        Ok(Stored { inputs: inputs.to_vec(), mac: mac.to_vec(), artefact })
    }
}

/// An artefact as it lies there.
struct Stored {
    artefact: Vec<u8>,
    inputs: Vec<u8>,
    mac: Vec<u8>,
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
