//! One configured place to write backups to.
//!
//! A destination is `destinations/NAME.toml`: plain data that a person can read, write and compare.
//! This room parses it, checks every bound, and creates, lists and deletes; whether the connector is
//! installed, its options fit and its routes exist is for those to say who hold the manifest.
//!
//! A backup directory belongs to one writing destination: two of one account and drive may not name the
//! same one, whatever its case, since the services do not tell case apart. Only a read-only destination
//! may look into a directory that another one writes. A directory *inside* another's is allowed; the
//! outer one then lists what the inner one stores.
//!
//! A destination has an owner, a user of this machine. The owner, the accounts above the owner's and root
//! may change and delete it; everybody who can read the home may use it.

mod caller;
mod error;
mod file;
mod reference;
mod watch;

pub use crate::network::HttpVersion;
pub(crate) use reference::is_connector_name;
pub use {caller::Caller, error::Error, reference::ConnectorReference, watch::Watch};

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    grant::Granted,
    home::{Created, Home, Name, Stamp, Subject},
    path::Directory,
    rate::Rates,
};

/// Most operations of one destination at a time.
pub const THREADS_MAX: u16 = 400;
/// What a destination gets that does not say: enough to hide latency, few enough for any service.
pub const THREADS_DEFAULT: u16 = 4;
/// Most transfers of one destination at a time that can be asked for; what drives Wharf asks for 10 at most.
pub const TASKS_MAX: u16 = 100;
/// Most retries of one request.
pub const RETRIES_MAX: u8 = 10;
/// What a destination gets that does not say.
pub const RETRIES_DEFAULT: u8 = 3;
/// A destination that is fuller than this is not written to; 0 means that nobody looks.
pub const DISK_LIMIT_PERCENT_MAX: u8 = 100;
/// Most routes in a grant: no manifest has more.
pub const GRANTS_MAX: usize = 256;
/// Most lines that say what one granted route allows: the longest manifest has fewer.
pub const ALLOWS_MAX: usize = 1024;
/// Most parent accounts: products nest resellers a few levels deep.
pub const PARENTS_MAX: usize = 16;
/// Most options: no manifest has more.
pub const OPTIONS_MAX: usize = 64;
/// Longest text in a file, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Largest file that is read: the granted routes of the longest manifest, spelled out, and room.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// How long a change waits for another change of the home's configuration.
const CONFIGURATION_WAIT: Duration = Duration::from_secs(10);

/// What a destination holds, as the products that drive Wharf tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// Backups.
    #[default]
    Backup,
    /// Clones of a server.
    Clones,
}

/// The value of an option. Options are one flat table, as the manifest's schema of them is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
}

/// A destination, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name: the file's.
    pub name: Name,
    /// What speaks to its service.
    pub connector: ConnectorReference,
    /// Whose token is used; none where the connector needs none.
    pub account: Option<Name>,
    /// Who may change it; none for the user that the home belongs to.
    pub owner: Option<String>,
    /// The accounts above the owner's, which may change it too.
    pub parents: Vec<String>,
    /// Where everything of it lies at the service.
    pub backup_directory: Directory,
    /// Only restored from, never written to. Decided when it is created.
    pub read_only: bool,
    /// Operations at a time, 1 to [`THREADS_MAX`].
    pub threads: u16,
    /// Transfers at a time on this machine, 0 to [`TASKS_MAX`]; 0 for any number.
    pub tasks: u16,
    /// Bytes and requests a second.
    pub rates: Rates,
    /// Retries of one request, 0 to [`RETRIES_MAX`].
    pub retries: u8,
    /// Which HTTP.
    pub http_version: HttpVersion,
    /// Not written to when it is fuller than this, in percent; 0 for no limit.
    pub disk_limit: u8,
    /// Not shown to end users.
    pub hidden: bool,
    /// Not used.
    pub disabled: bool,
    /// What it holds.
    pub job_type: JobType,
    /// Takes part in disaster recovery: exports of the configuration go here too.
    pub dr: bool,
    /// What its connector wants to know.
    pub options: BTreeMap<String, Setting>,
    /// What the operator granted.
    pub grants: Granted,
}

impl Destination {
    /// A destination with the defaults of everything that has one.
    #[must_use]
    pub const fn new(name: Name, connector: ConnectorReference, backup_directory: Directory) -> Self {
        Self {
            name,
            connector,
            account: None,
            owner: None,
            parents: Vec::new(),
            backup_directory,
            read_only: false,
            threads: THREADS_DEFAULT,
            tasks: 0,
            rates: Rates::NONE,
            retries: RETRIES_DEFAULT,
            http_version: HttpVersion::Default,
            disk_limit: 0,
            hidden: false,
            disabled: false,
            job_type: JobType::Backup,
            dr: false,
            options: BTreeMap::new(),
            grants: Granted { connector: None, routes: Vec::new(), denied: Vec::new() },
        }
    }

    /// Read the text of `destinations/NAME.toml`.
    ///
    /// # Errors
    /// [`Error::File`], saying which line or key, and which bound.
    pub fn parse(name: Name, text: &[u8]) -> Result<Self, Error> {
        file::parse(&name, text).map_err(|problem| Error::File { name, problem })
    }

    /// Write it as a file; what has its default is left out, so that a file says what was chosen.
    ///
    /// # Errors
    /// [`Error::File`] when a value is out of its bounds.
    pub fn to_toml(&self) -> Result<String, Error> {
        file::write(self).map_err(|problem| Error::File { name: self.name.clone(), problem })
    }

    /// Are exports of the configuration written here?
    #[must_use]
    pub const fn takes_exports(&self) -> bool {
        self.dr && !self.read_only
    }

    fn check_dr(&self) -> Result<(), Error> {
        if self.dr && self.read_only { Err(Error::ReadOnlyDr(self.name.clone())) } else { Ok(()) }
    }

    /// May this caller change it? The owner may, the accounts above the owner's, and root.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn check_caller(&self, caller: &Caller) -> Result<(), Error> {
        if caller.is_root() || self.is_owned_by(caller) {
            return Ok(());
        }
        let owner = self.owner.clone().unwrap_or_else(|| "the user of the home".to_owned());
        let (name, parents) = (self.name.clone(), self.parents.clone());
        Err(Error::NotOwner { name, owner, parents, caller: caller.clone() })
    }

    /// Is this caller its owner, or an account above the owner's?
    #[must_use]
    pub fn is_owned_by(&self, caller: &Caller) -> bool {
        match &self.owner {
            None => caller.has_home() || self.parents.iter().any(|parent| caller.is(parent)),
            Some(owner) => caller.is(owner) || self.parents.iter().any(|parent| caller.is(parent)),
        }
    }

    /// Would both write to the same place? Where a service has several drives, the options tell them
    /// apart; what this cannot know, the marker in the backup directory does.
    fn collides_with(&self, other: &Self) -> bool {
        let same_service = match (&self.account, &other.account) {
            (None, None) => self.is_of_the_connector_of(other),
            (one, another) => one == another && self.options == other.options,
        };
        let folded = |directory: &Directory| directory.as_str().to_lowercase();
        same_service
            && !self.read_only
            && !other.read_only
            && folded(&self.backup_directory) == folded(&other.backup_directory)
    }

    /// One may name its connector by type and the other by id.
    fn is_of_the_connector_of(&self, other: &Self) -> bool {
        let granted = |one: &Self, another: &Self| {
            one.grants.connector.is_some() && one.grants.connector == another.grants.connector
        };
        self.connector.name == other.connector.name || granted(self, other)
    }
}

/// The destinations of a home.
#[derive(Debug, Clone)]
pub struct Destinations {
    home: Home,
}

impl Destinations {
    /// The destinations of this home.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Create one, durably.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::DirectoryTaken`], [`Error::NoAccount`], or a value out of bounds.
    pub fn create(&self, destination: &Destination) -> Result<(), Error> {
        destination.check_dr()?;
        let text = destination.to_toml()?;
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        let name = &destination.name;
        if self.exists(name) {
            return Err(Error::Exists(name.clone()));
        }
        self.check_neighbours(destination)?;
        match self.home.destinations().create(&file_name(name), text.as_bytes())? {
            Created::Yes => Ok(()),
            Created::Existed => Err(Error::Exists(name.clone())),
        }
    }

    /// Change one, durably. Comments in its file are not kept.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotOwner`], [`Error::ForLife`], and as [`create`](Self::create).
    pub fn modify(
        &self,
        name: &Name,
        caller: &Caller,
        change: impl FnOnce(&mut Destination),
    ) -> Result<Destination, Error> {
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        let before = self.load(name)?;
        before.check_caller(caller)?;
        let mut after = before.clone();
        change(&mut after);
        after.name = name.clone();
        let decided = [
            ("read-only", after.read_only == before.read_only),
            ("backup directory", after.backup_directory == before.backup_directory),
            ("type", after.connector.name == before.connector.name),
        ];
        if let Some((what, _)) = decided.into_iter().find(|(_, same)| !same) {
            return Err(Error::ForLife { name: name.clone(), what });
        }
        after.check_dr()?;
        let text = after.to_toml()?;
        self.check_neighbours(&after)?;
        self.home.destinations().write(&file_name(name), text.as_bytes())?;
        Ok(after)
    }

    /// Read one.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what is wrong with its file.
    pub fn load(&self, name: &Name) -> Result<Destination, Error> {
        let text = self.home.destinations().read(&file_name(name), FILE_BYTES_MAX)?;
        Destination::parse(name.clone(), &text.ok_or_else(|| Error::NotFound(name.clone()))?)
    }

    /// Read one, and be told when its file changes.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn watch(&self, name: &Name) -> Result<(Destination, Watch), Error> {
        let watch = Watch::new(self.clone(), name.clone());
        Ok((self.load(name)?, watch))
    }

    /// Be told when the file of one that is not there is written.
    #[must_use]
    pub(crate) fn watch_unwritten(&self, name: &Name) -> Watch {
        Watch::new(self.clone(), name.clone())
    }

    /// Its file, word for word: also one that is broken.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when it is no text.
    pub(crate) fn text(&self, name: &Name) -> Result<String, Error> {
        let text = self.home.destinations().read(&file_name(name), FILE_BYTES_MAX)?;
        String::from_utf8(text.ok_or_else(|| Error::NotFound(name.clone()))?)
            .map_err(|_| Error::File { name: name.clone(), problem: "is no text".to_owned() })
    }

    /// What tells its file from what it was before; none when there is none.
    #[must_use]
    pub fn stamp(&self, name: &Name) -> Option<Stamp> {
        self.home.destinations().stamp(&file_name(name))
    }

    /// Is there one of this name?
    #[must_use]
    pub fn exists(&self, name: &Name) -> bool {
        self.home.destinations().has(&file_name(name))
    }

    /// Their names, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<Name>, Error> {
        let names = self.home.destinations().names()?;
        Ok(names.iter().filter_map(|name| Name::parse(name.strip_suffix(".toml")?).ok()).collect())
    }

    /// All of them, sorted by name; a broken file does not hide the others.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Destination, Error>>, Error> {
        Ok(self.names()?.iter().map(|name| self.load(name)).collect())
    }

    /// Those that name an account.
    ///
    /// # Errors
    /// When the folder, or any file, cannot be read: a broken file may name it too.
    pub fn users_of_account(&self, account: &Name) -> Result<Vec<Name>, Error> {
        self.users(|destination| destination.account.as_ref() == Some(account))
    }

    /// Those that use a connector, by its type or its id.
    ///
    /// # Errors
    /// As [`users_of_account`](Self::users_of_account).
    pub fn users_of_connector(&self, connector_type: &str, id: &str) -> Result<Vec<Name>, Error> {
        self.users(|destination| [connector_type, id].contains(&destination.connector.name.as_str()))
    }

    /// May this caller delete it? A broken file names no owner: then it is the home's user, or root.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotOwner`].
    pub fn check_deletion(&self, name: &Name, caller: &Caller) -> Result<(), Error> {
        match self.load(name) {
            Ok(destination) => destination.check_caller(caller),
            Err(error @ Error::NotFound(_)) => Err(error),
            Err(_) => {
                let connector = ConnectorReference { name: String::new(), version: None };
                let root = Directory::root();
                Destination::new(name.clone(), connector, root).check_caller(caller)
            }
        }
    }

    /// Delete one: its configuration, not what is stored at its service.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotOwner`].
    pub fn delete(&self, name: &Name, caller: &Caller) -> Result<(), Error> {
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        self.check_deletion(name, caller)?;
        Ok(self.home.destinations().remove(&file_name(name))?)
    }

    fn users(&self, uses: impl Fn(&Destination) -> bool) -> Result<Vec<Name>, Error> {
        let mut users = Vec::new();
        for destination in self.list()? {
            let destination = destination?;
            if uses(&destination) {
                users.push(destination.name);
            }
        }
        Ok(users)
    }

    fn check_neighbours(&self, destination: &Destination) -> Result<(), Error> {
        if let Some(account) = &destination.account
            && !crate::account::exists(&self.home, account)
        {
            return Err(Error::NoAccount { name: destination.name.clone(), account: account.clone() });
        }
        for other in self.list()? {
            let other = other?;
            if other.name != destination.name && destination.collides_with(&other) {
                return Err(Error::DirectoryTaken { other: other.name, directory: other.backup_directory });
            }
        }
        Ok(())
    }
}

fn file_name(name: &Name) -> String {
    format!("{name}.toml")
}

/// Enough of a text to recognise it in a message.
fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
