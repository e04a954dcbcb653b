//! What is installed.
//!
//! A connector is a blob under its own digest, and an entry in `connectors.json` that names it. The
//! blob is there before the entry and gone after it, so a crash at any moment leaves the old state or
//! the new one, and at worst a blob that nobody names, which the next change sweeps away. Whether a
//! component may be installed at all was decided before: a [`Ticket`] of [`crate::trust`] says on what it
//! stands, and without one nothing is installed. This room keeps what was decided, and keeps versions
//! from going back.

mod artefact;
mod digest;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use semver::Version;
use serde::{Deserialize, Serialize};

pub use self::{
    artefact::{ARTEFACT_BYTES_MAX, Artefact, ArtefactKey, Artefacts, Unusable},
    digest::Digest,
};
use crate::{
    destination::{ConnectorReference, is_connector_name},
    hint::Hint,
    home::{self, CONNECTORS_FILE, Home, Name, Stamp, Subject},
    trust::{BUNDLE_BYTES_MAX, BUNDLE_SUFFIX, KeyId, Ticket},
};

/// Largest component: a hundred times what ours have, and still verified in half a second.
pub const COMPONENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest `connectors.json`: thousands of connectors.
const INDEX_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What this version writes into it.
const INDEX_FORMAT: u32 = 1;

/// Versions of one connector that are kept beside the installed one. Who has not agreed to this many
/// updates does without the oldest.
const KEPT_MAX: usize = 8;

/// How long a change waits for another one; each may write a large blob.
const REGISTRY_WAIT: Duration = Duration::from_secs(30);

/// What can be wrong with what is installed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nothing of this type or id is installed.
    #[error("no connector `{0}` is installed")]
    NotInstalled(String),
    /// The destination wants another version than the one installed.
    #[error("connector `{wanted}` is not installed; its version {installed} is")]
    OtherVersion {
        /// What was asked for.
        wanted: ConnectorReference,
        /// What there is.
        installed: Version,
    },
    /// Two connectors cannot have one type.
    #[error("connector `{id}` has the type `{connector_type}` already")]
    TypeTaken {
        /// The type.
        connector_type: String,
        /// Who has it.
        id: String,
    },
    /// Older than what was installed before.
    #[error("version {version} of connector `{id}` is older than {floor}, which was installed before")]
    Downgrade {
        /// Which connector.
        id: String,
        /// What was to be installed.
        version: Version,
        /// The highest version that ever was.
        floor: Version,
    },
    /// The same version, with other bytes.
    #[error("version {version} of connector `{id}` was installed with other contents")]
    SameVersion {
        /// Which connector.
        id: String,
        /// Which version.
        version: Version,
        /// Is it signed? Then its publisher made two things of one name, and nobody may insist.
        signed: bool,
    },
    /// Unsigned, in place of one that is signed.
    #[error("connector `{id}` is installed with the signature of `{publisher}`, and this one has none")]
    SignatureLost {
        /// Which connector.
        id: String,
        /// Who signed what is installed.
        publisher: Name,
    },
    /// What describes it is not well-formed.
    #[error("the connector cannot be installed: {0}")]
    Description(String),
    /// Larger than any connector.
    #[error("the component is larger than {COMPONENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Destinations use it.
    #[error("connector `{id}` is used by {users}")]
    InUse {
        /// Which connector.
        id: String,
        /// The destinations, quoted.
        users: String,
    },
    /// The blob is gone, or has other contents than its name says.
    #[error("the component of connector `{0}` is missing or damaged")]
    Damaged(String),
    /// `connectors.json` cannot be understood.
    #[error("`connectors.json` {0}")]
    Index(String),
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(Arc<home::Error>),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotInstalled(_) => Some("run `wharf connector list` to see which are".to_owned()),
            Self::OtherVersion { wanted, .. } => {
                Some(format!("install that version, or write `connector = \"{}\"`", wanted.name))
            }
            Self::TypeTaken { id, .. } => Some(format!("run `wharf connector remove {id}` first")),
            Self::SameVersion { signed: true, .. } => {
                Some("ask its publisher for a release with a version of its own".to_owned())
            }
            Self::SameVersion { signed: false, .. } => Some(
                "raise `version` in its manifest and pack it again, or add `--allow-downgrade`".to_owned(),
            ),
            Self::Downgrade { .. } | Self::SignatureLost { .. } => {
                Some("if that is what you want, add `--allow-downgrade`".to_owned())
            }
            Self::InUse { .. } => Some("delete those destinations first".to_owned()),
            Self::Damaged(id) => Some(format!("install `{id}` again")),
            Self::Home(error) => error.hint(),
            Self::Description(_) | Self::TooLarge | Self::Index(_) => None,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}

/// One installed connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// What operators type; unique.
    pub r#type: String,
    /// Its reverse domain name; unique.
    pub id: String,
    /// Its version.
    pub version: Version,
    /// Of its component.
    pub digest: Digest,
    /// The publisher whose signature was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<Name>,
    /// With which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Was it installed without a signature, on the operator's word?
    pub unsigned: bool,
    /// When.
    pub installed: jiff::Timestamp,
    /// Not to be used.
    pub disabled: bool,
    /// Where it was got from, if from a registry: by digest, and whether in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Installed {
    /// Who signed it, and the first digits of the key; or `unsigned`.
    #[must_use]
    pub fn signature(&self) -> String {
        match (&self.signed_by, &self.key) {
            (Some(publisher), Some(key)) => format!("{publisher} ({})", key.short()),
            (Some(publisher), None) => publisher.to_string(),
            (None, _) => "unsigned".to_owned(),
        }
    }
}

/// What is to be installed, as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What operators type.
    pub r#type: String,
    /// Its reverse domain name.
    pub id: String,
    /// Its version.
    pub version: Version,
    /// Where it was got from, if from a registry.
    pub origin: Option<String>,
}

/// May an installation go back to an older version, or change the contents of the same one?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Only to a newer version, or to the same with the same contents.
    Forward,
    /// Anywhere: the operator said so. A signed version has one content all the same.
    Any,
}

/// `connectors.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format: u32,
    connectors: Vec<Installed>,
    /// By id, the highest version ever installed. Stays when a connector is removed.
    floors: BTreeMap<String, Version>,
    /// By id, the contents that the highest version had.
    #[serde(default)]
    contents: BTreeMap<String, Digest>,
    /// What an update replaced, and destinations still run; of each id the last that was replaced first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<Installed>,
}

/// The connectors of a home.
#[derive(Debug, Clone)]
pub struct Registry {
    home: Home,
}

impl Registry {
    /// The connectors of this home.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Could this be installed, as far as what is installed says?
    ///
    /// # Errors
    /// [`Error::TypeTaken`], [`Error::Downgrade`], [`Error::SameVersion`], [`Error::SignatureLost`].
    pub fn permits(&self, wanted: &Wanted, ticket: &Ticket, direction: Direction) -> Result<(), Error> {
        check_direction(&self.index()?, wanted, ticket, direction)
    }

    /// Install a component, durably, in place of another version of the same id. The bundle of the ticket
    /// is kept, so that it can be verified again; so is the version that an update replaced, until
    /// [`release`](Self::release) says that nobody runs it. Returns what is installed now, and what it
    /// replaced.
    ///
    /// # Errors
    /// As [`permits`](Self::permits), or what the home says.
    pub fn install(
        &self,
        wanted: Wanted,
        component: &[u8],
        ticket: &Ticket,
        direction: Direction,
        now: jiff::Timestamp,
    ) -> Result<(Installed, Option<Installed>), Error> {
        check_description(&wanted, component, ticket)?;
        let _lock = self.home.lock(&Subject::Registry, REGISTRY_WAIT)?;
        let mut index = self.index()?;
        check_direction(&index, &wanted, ticket, direction)?;
        let digest = ticket.digest().clone();
        let blobs = self.home.blobs();
        blobs.write(digest.as_str(), component)?;
        if let Some(bundle) = ticket.bundle() {
            blobs.write(&bundle_file(&digest), bundle)?;
        }
        let place = index.connectors.iter().position(|known| known.id == wanted.id);
        let replaced = place.map(|place| index.connectors.remove(place));
        let installed = Installed {
            r#type: wanted.r#type,
            id: wanted.id,
            version: wanted.version,
            digest,
            signed_by: ticket.publisher().cloned(),
            key: ticket.key().cloned(),
            unsigned: ticket.publisher().is_none(),
            installed: now,
            // What an operator stopped does not start again because there is a newer one.
            disabled: replaced.as_ref().is_some_and(|replaced| replaced.disabled),
            origin: wanted.origin,
        };
        raise_floor(&mut index, &installed);
        keep(&mut index, &installed, replaced.as_ref(), direction);
        index.connectors.push(installed.clone());
        index.connectors.sort_by(|one, other| one.r#type.cmp(&other.r#type));
        self.write(&index)?;
        self.sweep(&index);
        Ok((installed, replaced))
    }

    /// What changes whenever a connector is installed, disabled or removed.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.home.root().stamp(CONNECTORS_FILE)
    }

    /// The connector of this type or id, in the version that is asked for.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::OtherVersion`].
    pub fn get(&self, reference: &ConnectorReference) -> Result<Installed, Error> {
        let index = self.index()?;
        let place = place_of(&index, &reference.name)?;
        let installed = index.connectors.into_iter().nth(place);
        let installed = installed.ok_or_else(|| Error::NotInstalled(reference.name.clone()))?;
        match &reference.version {
            Some(version) if *version != installed.version => {
                let found =
                    index.kept.into_iter().find(|kept| kept.id == installed.id && kept.version == *version);
                found.ok_or(Error::OtherVersion { wanted: reference.clone(), installed: installed.version })
            }
            Some(_) | None => Ok(installed),
        }
    }

    /// Versions of this id that were replaced and are kept, the last that was replaced first.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn kept(&self, id: &str) -> Result<Vec<Installed>, Error> {
        Ok(self.index()?.kept.into_iter().filter(|kept| kept.id == id).collect())
    }

    /// Keep no replaced version of this id but those that are still `needed`.
    ///
    /// # Errors
    /// When the list cannot be read or written.
    pub fn release(&self, id: &str, needed: &[Digest]) -> Result<(), Error> {
        let _lock = self.home.lock(&Subject::Registry, REGISTRY_WAIT)?;
        let mut index = self.index()?;
        let before = index.kept.len();
        index.kept.retain(|kept| kept.id != id || needed.contains(&kept.digest));
        if index.kept.len() < before {
            self.write(&index)?;
            self.sweep(&index);
        }
        Ok(())
    }

    /// All of them, sorted by type.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn list(&self) -> Result<Vec<Installed>, Error> {
        Ok(self.index()?.connectors)
    }

    /// The highest version of this id that was ever installed here.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn floor(&self, id: &str) -> Result<Option<Version>, Error> {
        Ok(self.index()?.floors.remove(id))
    }

    /// The component of a connector, its digest verified.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is missing or has other contents.
    pub fn component(&self, installed: &Installed) -> Result<Vec<u8>, Error> {
        let damaged = || Error::Damaged(installed.id.clone());
        let bytes = self.home.blobs().read(installed.digest.as_str(), COMPONENT_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(damaged)?;
        if Digest::of(&bytes) == installed.digest { Ok(bytes) } else { Err(damaged()) }
    }

    /// The signature bundle that it was installed with, if it was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn bundle(&self, installed: &Installed) -> Result<Option<Vec<u8>>, Error> {
        if installed.unsigned {
            return Ok(None);
        }
        Ok(self.home.blobs().read(&bundle_file(&installed.digest), BUNDLE_BYTES_MAX)?)
    }

    /// Use a connector again, or no more.
    ///
    /// # Errors
    /// [`Error::NotInstalled`].
    pub fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), Error> {
        let _lock = self.home.lock(&Subject::Registry, REGISTRY_WAIT)?;
        let mut index = self.index()?;
        let place = place_of(&index, name)?;
        if let Some(installed) = index.connectors.get_mut(place) {
            installed.disabled = disabled;
            // What is kept of it is the same connector.
            let versions = index.kept.iter_mut().filter(|kept| kept.id == installed.id);
            versions.for_each(|kept| kept.disabled = disabled);
        }
        self.write(&index)
    }

    /// Remove a connector. `users` says which destinations use it; it is asked while no destination
    /// can be created, and the connector stays if there are any.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::InUse`], or what `users` says.
    pub fn remove<E: From<Error>>(
        &self,
        name: &str,
        users: impl FnOnce(&Installed) -> Result<Vec<Name>, E>,
    ) -> Result<Installed, E> {
        let lock = |subject| self.home.lock(&subject, REGISTRY_WAIT).map_err(Error::from);
        let _configuration = lock(Subject::Configuration)?;
        let _registry = lock(Subject::Registry)?;
        let mut index = self.index()?;
        let removed = index.connectors.remove(place_of(&index, name)?);
        let users = users(&removed)?;
        if !users.is_empty() {
            let users: Vec<_> = users.iter().map(|name| format!("`{name}`")).collect();
            return Err(Error::InUse { id: removed.id, users: users.join(", ") }.into());
        }
        index.kept.retain(|kept| kept.id != removed.id);
        self.write(&index)?;
        self.sweep(&index);
        Ok(removed)
    }

    fn index(&self) -> Result<Index, Error> {
        let Some(bytes) = self.home.root().read(CONNECTORS_FILE, INDEX_BYTES_MAX)? else {
            return Ok(Index::default());
        };
        let index: Index = serde_json::from_slice(&bytes).map_err(|error| Error::Index(error.to_string()))?;
        if index.format > INDEX_FORMAT {
            let problem = format!(
                "was written by a newer Wharf (format {}; this one knows {INDEX_FORMAT})",
                index.format
            );
            return Err(Error::Index(problem));
        }
        Ok(index)
    }

    fn write(&self, index: &Index) -> Result<(), Error> {
        let index = Index {
            format: INDEX_FORMAT,
            connectors: index.connectors.clone(),
            floors: index.floors.clone(),
            contents: index.contents.clone(),
            kept: index.kept.clone(),
        };
        let mut bytes = serde_json::to_vec_pretty(&index).map_err(|error| Error::Index(error.to_string()))?;
        bytes.push(b'\n');
        Ok(self.home.root().write(CONNECTORS_FILE, &bytes)?)
    }

    /// Remove blobs and artefacts that no entry names. Best effort: they only take room.
    fn sweep(&self, index: &Index) {
        for folder in [self.home.blobs(), self.home.artefacts()] {
            for name in folder.names().unwrap_or_default() {
                let digest = name.split('.').next().unwrap_or_default();
                let mut named = index.connectors.iter().chain(&index.kept);
                let is_named = named.any(|installed| installed.digest.as_str() == digest);
                if !is_named && let Err(error) = folder.remove(&name) {
                    tracing::warn!(%error, "a file that is not used any more stays");
                }
            }
        }
    }
}

fn place_of(index: &Index, name: &str) -> Result<usize, Error> {
    let place = index.connectors.iter().position(|known| known.r#type == name || known.id == name);
    place.ok_or_else(|| Error::NotInstalled(name.to_owned()))
}

fn check_description(wanted: &Wanted, component: &[u8], ticket: &Ticket) -> Result<(), Error> {
    if u64::try_from(component.len()).is_ok_and(|length| length > COMPONENT_BYTES_MAX) {
        return Err(Error::TooLarge);
    }
    if !is_connector_name(&wanted.r#type) || !is_connector_name(&wanted.id) {
        return Err(Error::Description("its type or id has characters that none has".to_owned()));
    }
    if !ticket.is_for(&wanted.id) {
        return Err(Error::Description("its id is not the one that was verified".to_owned()));
    }
    if Digest::of(component) != *ticket.digest() {
        return Err(Error::Description("its bytes do not have the digest that was verified".to_owned()));
    }
    Ok(())
}

fn check_direction(
    index: &Index,
    wanted: &Wanted,
    ticket: &Ticket,
    direction: Direction,
) -> Result<(), Error> {
    for known in &index.connectors {
        let names = [wanted.r#type.as_str(), wanted.id.as_str()];
        let clash = names.contains(&known.r#type.as_str()) || names.contains(&known.id.as_str());
        if known.id != wanted.id && clash {
            return Err(Error::TypeTaken { connector_type: wanted.r#type.clone(), id: known.id.clone() });
        }
    }
    let (id, version) = (wanted.id.clone(), wanted.version.clone());
    let signed = ticket.publisher().is_some();
    let insists = direction == Direction::Any;
    let before = index.connectors.iter().find(|known| known.id == id);
    let floor = index.floors.get(&id);
    // Build metadata is part of the order here: it is another text, so another release.
    let same = before.filter(|known| known.version == version).map(|known| &known.digest);
    let same = same.or_else(|| index.contents.get(&id).filter(|_| floor == Some(&version)));
    if same.is_some_and(|digest| digest != ticket.digest()) && (signed || !insists) {
        return Err(Error::SameVersion { id, version, signed });
    }
    if let Some(floor) = floor
        && version < *floor
        && !insists
    {
        return Err(Error::Downgrade { id, version, floor: floor.clone() });
    }
    match before.and_then(|known| known.signed_by.clone()) {
        Some(publisher) if !signed && !insists => Err(Error::SignatureLost { id, publisher }),
        Some(_) | None => Ok(()),
    }
}

/// Keep what an update replaced. Who goes back to an older version wants to be rid of the newer.
fn keep(index: &mut Index, installed: &Installed, replaced: Option<&Installed>, direction: Direction) {
    let is_other = |kept: &Installed| kept.id != installed.id;
    index.kept.retain(|kept| is_other(kept) || kept.digest != installed.digest);
    match direction {
        Direction::Any => index.kept.retain(is_other),
        Direction::Forward => {
            let replaced = replaced.filter(|replaced| replaced.digest != installed.digest);
            index.kept.splice(0..0, replaced.cloned());
        }
    }
    let mut count = 0;
    index.kept.retain(|kept| {
        count += usize::from(kept.id == installed.id);
        is_other(kept) || count <= KEPT_MAX
    });
}

fn raise_floor(index: &mut Index, installed: &Installed) {
    let floor = index.floors.get(&installed.id);
    if floor.is_none_or(|floor| installed.version >= *floor) {
        index.floors.insert(installed.id.clone(), installed.version.clone());
        index.contents.insert(installed.id.clone(), installed.digest.clone());
    }
}

fn bundle_file(digest: &Digest) -> String {
    format!("{}{BUNDLE_SUFFIX}", digest.as_str())
}

#[cfg(test)]
mod tests;
