//! What must hold before something at a destination is changed: the backup directory is ours, the path
//! is not one of Wharf's own files there, and the disk limit leaves room.
//!
//! Whose the directory is costs a request once, before the first write of a destination's life; how full
//! the service is, one every few minutes, and only where there is a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{Attached, Error};
use crate::broker::Call;
use crate::catalog::Shelf;
use crate::destination::{Destination, Destinations};
use crate::entry::Mode;
use crate::hint::Hint as _;
use crate::ownership::{self, Mark, Own, Owner, Server};
use crate::path::RelativePath;
use crate::sandbox::operation::{self, Cause, Refusal, Space};
use crate::usage::{self, Usage};

/// What the gate of a destination goes by.
#[derive(Debug)]
pub(crate) struct Gate {
    server: Server,
    destinations: Destinations,
    directory: String,
    read_only: bool,
    /// In percent; 0 for none.
    disk_limit: u8,
    /// Is the directory ours? Told once; a failure to find out is not an answer.
    ours: OnceCell<Result<(), Cause>>,
    /// What was stored since somebody asked how full the service is.
    stored_bytes: AtomicU64,
    asking: tokio::sync::Mutex<()>,
}

/// Does the disk limit leave room?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// There is no limit.
    Unlimited,
    /// It does.
    Enough,
    /// Nobody knows: the service does not tell how full it is. Nothing is held up by that.
    Unknown,
    /// It does not.
    Full {
        /// How full it is, in percent.
        percent: u64,
        /// When the service was asked.
        asked: SystemTime,
    },
}

impl Gate {
    pub(crate) fn new(server: Server, destinations: Destinations, destination: &Destination) -> Self {
        Self {
            server,
            destinations,
            directory: destination.backup_directory.to_string(),
            read_only: destination.read_only,
            disk_limit: destination.disk_limit,
            ours: OnceCell::new(),
            stored_bytes: AtomicU64::new(0),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Is nothing written here?
    pub(super) const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Remember how full the service says it is; what cannot be kept is asked for again.
    pub(super) async fn note_usage(&self, shelf: &Shelf, space: Space) {
        self.stored_bytes.store(0, Ordering::Relaxed);
        let noted = usage::remember(shelf, Usage { space, asked: SystemTime::now() }).await;
        if let Err(error) = noted {
            tracing::warn!("how full the service is cannot be kept: {error}");
        }
    }
}

impl Attached {
    /// Consider the backup directory ours without a look: for who knows it otherwise.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn consider_owned(&self) -> Result<(), crate::state::Error> {
        ownership::remember(self.shelf(), None).await
    }

    /// See that the backup directory is ours, leaving our mark if there is none.
    ///
    /// # Errors
    /// When it is another's, or nobody can tell.
    pub async fn claim(&self) -> Result<(), Error> {
        if self.gate.read_only {
            // The grant refuses whatever writes, and says so better.
            return Ok(());
        }
        let verdict = self.gate.ours.get_or_try_init(|| self.find_out()).await?;
        let refused =
            |cause: &Cause| self.refused("claim", &Own::Mark.path(), Refusal::Denied, cause.clone());
        verdict.as_ref().copied().map_err(refused)
    }

    /// Whose mark is in the backup directory? None when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn owner(&self) -> Result<Option<Owner>, Error> {
        let (bytes, _) = match self.read_mark().await {
            Ok(read) => read,
            Err(error) if error.kind() == crate::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mark = Mark::parse(&bytes).unwrap_or_else(unreadable);
        Ok(Some(self.owner_of(mark)))
    }

    /// Is the backup directory there: with our mark, if we left one? A disk that is not mounted leaves an
    /// empty directory without.
    ///
    /// # Errors
    /// When nobody can tell.
    pub async fn is_there(&self) -> Result<bool, Error> {
        if ownership::is_known(self.shelf()).await.map_err(|error| self.unusable(&error))? {
            return Ok(self.owner().await?.is_some());
        }
        match self.stat(&RelativePath::root()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Look at the mark in the backup directory whatever is remembered, and see that it is ours.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub async fn claim_anew(&self) -> Result<(), Error> {
        match self.owner().await? {
            Some(Owner::Us) => {}
            Some(Owner::Gone(_) | Owner::Another(_)) | None => {
                ownership::forget(self.shelf()).await.map_err(|error| self.unusable(&error))?;
            }
        }
        self.claim().await
    }

    /// Does the disk limit leave room for so many bytes more?
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn room(&self, bytes: u64) -> Result<Room, crate::state::Error> {
        if self.gate.disk_limit == 0 {
            return Ok(Room::Unlimited);
        }
        let _asking = self.gate.asking.lock().await;
        let fresh = |usage: &Usage| {
            SystemTime::now().duration_since(usage.asked).is_ok_and(|age| age <= usage::AGE_MAX)
        };
        let known = match usage::last(self.shelf()).await?.filter(fresh) {
            Some(known) => Some(known),
            None => match self.usage().await {
                Ok(space) => Some(Usage { space, asked: SystemTime::now() }),
                // Nothing was stored yet, on a disk of this machine: the first file makes the directory.
                Err(error) if error.kind() == crate::ErrorKind::NotFound => return Ok(Room::Enough),
                // What the service does not tell holds nothing up, and the operation itself says what is wrong.
                Err(_) => None,
            },
        };
        let more = self.gate.stored_bytes.load(Ordering::Relaxed).saturating_add(bytes);
        let Some(known) = known else { return Ok(Room::Unknown) };
        Ok(match usage::percent(known.space, more) {
            None => Room::Unknown,
            Some(percent) if percent > u64::from(self.gate.disk_limit) => {
                Room::Full { percent, asked: known.asked }
            }
            Some(_) => Room::Enough,
        })
    }

    /// May something at this path be changed?
    pub(super) async fn may_change(&self, operation: &'static str, path: &RelativePath) -> Result<(), Error> {
        self.not_our_own(operation, path)?;
        self.claim().await
    }

    /// May so many bytes be stored at this path?
    pub(super) async fn may_store(
        &self,
        operation: &'static str,
        path: &RelativePath,
        bytes: u64,
    ) -> Result<(), Error> {
        self.may_change(operation, path).await?;
        self.may_grow(operation, path, bytes).await
    }

    /// Does the disk limit leave room for what is to be stored at this path?
    pub(super) async fn may_grow(
        &self,
        operation: &'static str,
        path: &RelativePath,
        bytes: u64,
    ) -> Result<(), Error> {
        if self.gate.read_only {
            return Ok(());
        }
        let unreadable = |error: crate::state::Error| {
            self.refused(operation, path, Refusal::Unavailable, Cause::new(error.to_string()))
        };
        match self.room(bytes).await.map_err(unreadable)? {
            Room::Unlimited | Room::Enough | Room::Unknown => {}
            Room::Full { percent, asked } => {
                return Err(self.refused(operation, path, Refusal::Quota, self.too_full(percent, asked)));
            }
        }
        self.gate.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn too_full(&self, percent: u64, asked: SystemTime) -> Cause {
        let (name, limit) = (self.name(), self.gate.disk_limit);
        let asked = jiff::Timestamp::try_from(asked).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Cause {
            said: format!(
                "the service would be {percent} % full (as of {asked:.0}), and the disk limit of destination `{name}` is {limit} %"
            ),
            remedy: Some(format!(
                "free some space at the service, or run `wharf destination modify {name} --disk-limit PERCENT`"
            )),
            of_all: false,
        }
    }

    /// The mark and the export are Wharf's own: nobody reads, writes or removes them by their path.
    pub(super) fn not_our_own(&self, operation: &'static str, path: &RelativePath) -> Result<(), Error> {
        let Some(own) = Own::of(path) else { return Ok(()) };
        let reason = format!("`{}` {}, and is Wharf's own", own.name(), own.does());
        let refusal = Refusal::BadName(reason);
        let problem = operation::Error::Refused { refusal, cause: None };
        Err(self.error(operation, path, problem))
    }

    /// The journal does not take what must be noted.
    pub(super) fn unnoted(
        &self,
        operation: &'static str,
        path: &RelativePath,
        error: &crate::journal::Error,
    ) -> Error {
        let cause = Cause { remedy: error.hint(), ..Cause::new(error.to_string()) };
        self.refused(operation, path, Refusal::Unavailable, cause)
    }

    /// Something was asked of the service, and nobody can tell what came of it.
    pub(crate) fn in_doubt(&self, operation: &'static str, path: &RelativePath, said: String) -> Error {
        let name = self.name();
        let remedy = format!(
            "see what is there with `wharf ls -R {name}:{path}`; if it is not whole, remove it with `wharf rm -r {name}:{path}` and run the same command again"
        );
        self.refused(operation, path, Refusal::Lost, Cause { remedy: Some(remedy), ..Cause::new(said) })
    }

    /// Nothing goes into itself. Asked before anything is done, or the folder to hold it would be made in it.
    pub(super) fn not_into_itself(
        &self,
        operation: &'static str,
        from: &RelativePath,
        to: &RelativePath,
    ) -> Result<(), Error> {
        let names = self.manifest().names;
        let keys = |path: &RelativePath| -> Vec<String> {
            path.names().map(|name| names.key(name).into_owned()).collect()
        };
        let (inner, outer) = (keys(to), keys(from));
        if from.is_root() || inner.len() <= outer.len() || !inner.starts_with(&outer) {
            return Ok(());
        }
        let cause = Cause {
            remedy: Some(format!("give it a path that does not lie in `{from}`")),
            ..Cause::new(format!("`{to}` lies in `{from}`, and nothing can be put into itself"))
        };
        Err(self.refused(operation, from, Refusal::WrongKind, cause))
    }

    /// Is the directory ours? Our mark is left if there is none.
    async fn find_out(&self) -> Result<Result<(), Cause>, Error> {
        if ownership::is_known(self.shelf()).await.map_err(|error| self.unusable(&error))? {
            return Ok(Ok(()));
        }
        let revision = match self.leave_mark(Mode::Create).await {
            Ok(revision) => revision,
            Err(error) if error.kind() == crate::ErrorKind::Exists => match self.look_at_mark().await? {
                Ok(revision) => revision,
                Err(cause) => return Ok(Err(cause)),
            },
            Err(error) => return Err(error),
        };
        ownership::remember(self.shelf(), revision).await.map_err(|error| self.unusable(&error))?;
        Ok(Ok(()))
    }

    /// There is a mark. Returns its revision, if it is ours or can be made so.
    async fn look_at_mark(&self) -> Result<Result<Option<String>, Cause>, Error> {
        let (bytes, revision) = self.read_mark().await?;
        let mark = Mark::parse(&bytes).unwrap_or_else(unreadable);
        match (self.owner_of(mark), revision) {
            (Owner::Us, revision) => Ok(Ok(revision)),
            // Nobody writes there any more, and this server knows it. Of two who notice, one wins.
            (Owner::Gone(_), Some(revision)) => {
                self.leave_mark(Mode::ReplaceIfRevision(revision)).await.map(Ok)
            }
            (Owner::Gone(mark), None) | (Owner::Another(mark), _) => Ok(Err(self.another(&mark))),
        }
    }

    fn owner_of(&self, mark: Mark) -> Owner {
        Owner::of(mark, &self.gate.server, self.name(), |name| self.gate.destinations.exists(name))
    }

    fn another(&self, mark: &Mark) -> Cause {
        let (name, directory) = (self.name(), &self.gate.directory);
        let whose = if mark.server == self.gate.server.id {
            format!("destination `{}` of this server", mark.destination)
        } else {
            format!("destination `{}` of server `{}`", mark.destination, mark.server_name)
        };
        Cause {
            said: format!(
                "`{directory}` belongs to {whose}, and only its owner writes there; this is destination `{name}` of server `{}`",
                self.gate.server.name
            ),
            remedy: Some(
                "create a destination with `--read-only` to restore from it, or choose another backup directory"
                    .to_owned(),
            ),
            of_all: true,
        }
    }

    async fn leave_mark(&self, mode: Mode) -> Result<Option<String>, Error> {
        let mark = Mark {
            server: self.gate.server.id.clone(),
            server_name: self.gate.server.name.clone(),
            destination: self.name().to_string(),
            claimed: jiff::Timestamp::now(),
        };
        let stored = self.store_own("claim", Own::Mark, Bytes::from(mark.bytes()), mode);
        Ok(stored.await?.revision)
    }

    /// The mark that is there, and its revision.
    async fn read_mark(&self) -> Result<(Vec<u8>, Option<String>), Error> {
        let (bytes, revision) = self.read_own("claim", Own::Mark, ownership::BYTES_MAX).await?;
        let revision = match revision {
            Some(revision) => Some(revision),
            None => {
                let path = Own::Mark.path();
                let work = |call: Arc<Call>| {
                    let path = &path;
                    async move { self.connector.stat(&call, path).await }
                };
                self.run("claim", &path, work).await?.revision
            }
        };
        Ok((bytes, revision))
    }

    fn unusable(&self, error: &crate::state::Error) -> Error {
        self.refused("claim", &Own::Mark.path(), Refusal::Unavailable, Cause::new(error.to_string()))
    }

    pub(super) fn refused(
        &self,
        operation: &'static str,
        path: &RelativePath,
        refusal: Refusal,
        cause: Cause,
    ) -> Error {
        self.error(operation, path, operation::Error::Refused { refusal, cause: Some(Box::new(cause)) })
    }
}

/// A mark that says nothing we know is not ours.
fn unreadable() -> Mark {
    Mark {
        server: String::new(),
        server_name: "unknown".to_owned(),
        destination: "unknown".to_owned(),
        claimed: jiff::Timestamp::UNIX_EPOCH,
    }
}
