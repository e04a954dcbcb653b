//! One configured place to write backups to.
//!
//! A destination is `destinations/NAME.toml`: plain data that a person can read, write and compare.
//! This room parses it, checks every bound, and creates, lists and deletes; whether the connector is
//! installed, its options fit and its routes exist is for those to say who hold the manifest.
//!
//! A backup directory belongs to one writing destination: two of one account may not name the same
//! one, whatever its case, since the services do not tell case apart. Only a read-only destination may
//! look into a directory that another one writes. A directory *inside* another's is allowed; the
//! outer one then lists what the inner one stores.

mod file;

pub use crate::network::HttpVersion;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    hint::Hint,
    home::{self, Created, Home, Name, Stamp, Subject},
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
/// Most options: no manifest has more.
pub const OPTIONS_MAX: usize = 64;
/// Longest text in a file, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Largest file that is read: all of the above at their longest.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// How long a change waits for another change of the home's configuration.
const CONFIGURATION_WAIT: Duration = Duration::from_secs(10);

/// What can be wrong with a destination.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is none of this name.
    #[error("there is no destination `{0}`")]
    NotFound(Name),
    /// There is one already.
    #[error("there is a destination `{0}` already")]
    Exists(Name),
    /// The file is not what it should be.
    #[error("`destinations/{name}.toml` {problem}")]
    File {
        /// The destination.
        name: Name,
        /// What is wrong and where: a line, or a key and its bound.
        problem: String,
    },
    /// Another destination writes there.
    #[error("destination `{other}` writes to `{directory}` already")]
    DirectoryTaken {
        /// The one that does.
        other: Name,
        /// The backup directory, as that one spells it.
        directory: Directory,
    },
    /// It names an account that is not there.
    #[error("destination `{name}` names account `{account}`, which does not exist")]
    NoAccount {
        /// The destination.
        name: Name,
        /// The account.
        account: Name,
    },
    /// Read-only is decided once.
    #[error("`read_only` of destination `{0}` was decided when it was created")]
    ReadOnlyForLife(Name),
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(Arc<home::Error>),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("run `wharf destination list` to see which there are".to_owned()),
            Self::Exists(name) => Some(format!("run `wharf destination modify {name}` to change it")),
            Self::DirectoryTaken { .. } => Some(
                "choose another backup directory, or create the destination with `--read-only` to restore from that one"
                    .to_owned(),
            ),
            Self::NoAccount { account, .. } => Some(format!("run `wharf account add {account}` first")),
            Self::ReadOnlyForLife(_) => Some("create another destination".to_owned()),
            Self::Home(error) => error.hint(),
            Self::File { .. } => None,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}

/// Which connector a destination uses: its type or its id, and optionally one version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectorReference {
    /// Its type (`onedrive`) or its id (`dev.wharf.onedrive`).
    pub name: String,
    /// The one version that will do; none for whichever is installed.
    pub version: Option<semver::Version>,
}

impl ConnectorReference {
    /// Parse `NAME` or `NAME@VERSION`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, version) =
            text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        if !is_connector_name(name) {
            return Err(format!(
                "{:?} is not a connector's type or id (`a-z`, `0-9`, `.` and `-`)",
                shorten(text)
            ));
        }
        let parse = |version| semver::Version::parse(version).map_err(|error| (version, error));
        let version = version.map(parse).transpose();
        let version = version
            .map_err(|(version, error)| format!("{:?} is not a version: {error}", shorten(version)))?;
        Ok(Self { name: name.to_owned(), version })
    }
}

impl fmt::Display for ConnectorReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(formatter, "{}@{version}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

impl TryFrom<String> for ConnectorReference {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ConnectorReference> for String {
    fn from(reference: ConnectorReference) -> Self {
        reference.to_string()
    }
}

/// Is it a type or an id as manifests have them?
pub(crate) fn is_connector_name(name: &str) -> bool {
    let right = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    (1..=100).contains(&name.len())
        && name.bytes().all(right)
        && name.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
}

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
    /// The routes that the operator granted, in the order of the file.
    pub grants: Vec<String>,
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
            grants: Vec::new(),
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

    /// Would both write to the same place?
    fn collides_with(&self, other: &Self) -> bool {
        let same_service = match (&self.account, &other.account) {
            (None, None) => self.connector.name == other.connector.name,
            (one, another) => one == another,
        };
        let folded = |directory: &Directory| directory.as_str().to_lowercase();
        same_service
            && !self.read_only
            && !other.read_only
            && folded(&self.backup_directory) == folded(&other.backup_directory)
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
    /// [`Error::NotFound`], [`Error::ReadOnlyForLife`], and as [`create`](Self::create).
    pub fn modify(&self, name: &Name, change: impl FnOnce(&mut Destination)) -> Result<Destination, Error> {
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        let before = self.load(name)?;
        let mut after = before.clone();
        change(&mut after);
        after.name = name.clone();
        if after.read_only != before.read_only {
            return Err(Error::ReadOnlyForLife(name.clone()));
        }
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

    /// Delete one: its configuration, not what is stored at its service.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete(&self, name: &Name) -> Result<(), Error> {
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        if !self.exists(name) {
            return Err(Error::NotFound(name.clone()));
        }
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
