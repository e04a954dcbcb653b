//! The operations of a connector, one method each, in the host's words.
//!
//! Every call runs in an instance of its own, within its limits. What comes back is checked (`answer`)
//! before anyone sees it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use wasmtime::Store;
use wasmtime::component::Resource;

use super::answer::{bounded, changes_page, entry, info, page, progress, relocation, same_length};
use super::bindings::exports::wharf::connector::destination as wit;
use super::host::{Body, Content, State};
use super::limits::{LOOK_BYTES_FREE, LOOKS_MAX};
use super::output::LogBudget;
use super::{Connector, Overdrawn, meter, store};
use crate::broker::Arriving;
use crate::broker::Call;
pub use crate::broker::Cause;
use crate::content::Section;
use crate::entry::{Entry, Info, Kind};
use crate::figures::Counting;
use crate::hash::Digest;
use crate::path::RelativePath;

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The connector says why, in the contract's words.
    #[error("{refusal}")]
    Refused {
        /// Its reason.
        refusal: Refusal,
        /// What the host knows of it: the last thing that went wrong on the way to the service.
        cause: Option<Box<Cause>>,
    },
    /// The guest broke down: it trapped, or ran out of memory or stack.
    #[error("the connector broke down: {0}")]
    Trapped(String),
    /// The guest overdrew a budget.
    #[error("the connector was stopped: {0}")]
    Overdrawn(#[from] Overdrawn),
    /// What it returned makes no sense.
    #[error("the connector returned nonsense: {0}")]
    Nonsense(String),
    /// It was not called: the operator stopped it, or nobody vouches for it any more.
    #[error("{reason}")]
    Stopped {
        /// Why, in words.
        reason: String,
        /// What helps.
        hint: Option<String>,
    },
}

impl Error {
    /// The connector's reason, if it gave one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::Trapped(_) | Self::Overdrawn(_) | Self::Nonsense(_) | Self::Stopped { .. } => None,
        }
    }
}

/// A connector's reason, in the contract's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it; the contract has the details")]
pub enum Refusal {
    #[error("not found")]
    NotFound,
    #[error("something is there already")]
    Exists,
    #[error("a file stands where a folder is needed, or a folder where a file is")]
    WrongKind,
    #[error("denied")]
    Denied,
    #[error("the account's sign-in is no longer good")]
    SignInAgain,
    #[error("it was changed by someone else meanwhile")]
    Conflict,
    #[error("no space left at the service")]
    Quota,
    #[error("the service asks for patience")]
    Throttled(Option<Duration>),
    #[error("the service cannot store this name: {0}")]
    BadName(String),
    #[error("too large for the service")]
    TooLarge,
    #[error("what is stored is not what was meant")]
    Corrupt,
    #[error("the upload session is gone")]
    SessionGone,
    #[error("the listing cannot be continued")]
    CursorGone,
    #[error("the service has no such function")]
    Unsupported,
    #[error("the service does not answer")]
    Unavailable,
    #[error("the request was sent, and its outcome is unknown")]
    Lost,
    #[error("the source changed, or could not be read, while it was sent")]
    SourceChanged,
    #[error("{0}")]
    Other(String),
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What is on it; may be empty before the end.
    pub entries: Vec<Entry>,
    /// What gets the next; none at the end.
    pub next: Option<String>,
}

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The service has this many bytes from the start.
    More(u64),
    /// Parts may come in any order, and we keep account of those that were acknowledged.
    AnyOrder,
    /// It has them all; a commit makes them a file.
    Staged,
    /// It is a file.
    Done(Entry),
}

/// An upload to be committed.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The connector's session.
    pub session: String,
    /// Where the file goes.
    pub path: RelativePath,
    /// What to store with it.
    pub info: Info,
}

/// Something to be removed.
#[derive(Debug, Clone)]
pub struct Removal {
    /// Where.
    pub path: RelativePath,
    /// A file, or a folder with everything in it.
    pub kind: Kind,
    /// Only this revision.
    pub revision: Option<String>,
}

/// A download that has begun.
#[derive(Debug)]
pub struct Download {
    /// The bytes.
    pub body: Arriving,
    /// The offset of their first.
    pub offset: u64,
    /// What is stored there, if the reply told.
    pub entry: Option<Entry>,
}

/// What becomes of something that is moved or copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relocation {
    /// It is there.
    Done(Entry),
    /// The service is at it; the connector's words for asking how far.
    Running(String),
}

/// How full a service is, in bytes, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Space {
    /// What counts against the limit.
    pub used: Option<u64>,
    /// The limit.
    pub total: Option<u64>,
}

/// What is known of a file that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Length in bytes.
    pub size: u64,
    /// The modification time that the service keeps for it.
    pub modified: Option<Timestamp>,
    /// A hash that the service computed.
    pub hash: Option<Digest>,
    /// Changes whenever the bytes do.
    pub revision: Option<String>,
}

/// Where something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// At this path; the empty one is the backup directory itself.
    Path(RelativePath),
    /// In the tree of ids that the service keeps.
    Node {
        /// Its id.
        id: String,
        /// The folder that holds it; none for the top of the drive.
        parent: Option<String>,
        /// Its name there.
        name: String,
    },
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A file.
    File(Facts),
    /// A folder.
    Folder,
    /// Nothing.
    Removed,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub at: Whereabouts,
    /// What is there now.
    pub is: Outcome,
}

/// One page of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesPage {
    /// In the order in which they are to be applied.
    pub changes: Vec<Change>,
    /// What gets the next page.
    pub cursor: String,
    /// Is there one now?
    pub more: bool,
}

/// One call: the guest's answer in the contract's types, and the store it came from.
type Answer<T> = (Store<State>, Result<T, wit::Error>);

/// Call the export `$name` with these arguments, in this store.
macro_rules! operation {
    ($self:expr, $store:expr, $name:literal, $arguments:expr) => {{
        let mut store: Store<State> = $store;
        let (meter, log) = (Arc::clone(&store.data().meter), store.data().log.clone());
        let exports = Arc::clone(&$self.exports);
        // In its box before it is moved anywhere: it has everything that the call will ever wait for.
        let call = Box::pin(async move {
            let answer = exports.call(&mut store, $name, $arguments).await;
            (store, answer)
        });
        ended(
            meter::within(&$self.limits, meter, Arc::clone(&$self.credit), call).await,
            &log,
            &$self.counting,
        )
    }};
}

impl Connector {
    /// What is stored at `path`?
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn stat(&self, call: &Arc<Call>, path: &RelativePath) -> Result<Entry, Error> {
        let text = path.as_str().to_owned();
        let (_, answer) = operation!(self, self.store(call), "stat", (text.as_str(),))?;
        entry(self.answer(call, answer)?)
    }

    /// A page of what is in the folder `path`.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn list(
        &self,
        call: &Arc<Call>,
        path: &RelativePath,
        recursive: bool,
        next: Option<&str>,
    ) -> Result<Page, Error> {
        let text = path.as_str().to_owned();
        let next = next.map(str::to_owned);
        let (_, answer) =
            operation!(self, self.store(call), "list", (text.as_str(), recursive, next.as_deref()))?;
        page(path, recursive, self.answer(call, answer)?)
    }

    /// Make a folder and the folders on the way to it.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn make_folder(&self, call: &Arc<Call>, path: &RelativePath) -> Result<Entry, Error> {
        let text = path.as_str().to_owned();
        let (_, answer) = operation!(self, self.store(call), "make-folder", (text.as_str(),))?;
        entry(self.answer(call, answer)?)
    }

    /// Store a file in one request.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn put(
        &self,
        call: &Arc<Call>,
        path: &RelativePath,
        source: Section,
        about: &Info,
    ) -> Result<Entry, Error> {
        let (text, info) = (path.as_str().to_owned(), info(about));
        let mut store = self.store(call);
        let source = give(&mut store, source)?;
        let (_, answer) = operation!(self, store, "put", (text.as_str(), source, &info))?;
        entry(self.answer(call, answer)?)
    }

    /// Begin an upload in parts.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn begin_upload(
        &self,
        call: &Arc<Call>,
        path: &RelativePath,
        about: &Info,
        first: Option<Section>,
    ) -> Result<(String, Progress), Error> {
        let (text, info) = (path.as_str().to_owned(), info(about));
        let mut store = self.store(call);
        let first = first.map(|first| give(&mut store, first)).transpose()?;
        let (_, answer) = operation!(self, store, "begin-upload", (text.as_str(), &info, first))?;
        let upload: wit::Upload = self.answer(call, answer)?;
        bounded("session", &upload.session)?;
        Ok((upload.session, progress(upload.progress)?))
    }

    /// Send one part.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn upload_part(
        &self,
        call: &Arc<Call>,
        session: &str,
        offset: u64,
        about: &Info,
        source: Section,
        last: bool,
    ) -> Result<Progress, Error> {
        let (session, info) = (session.to_owned(), info(about));
        let mut store = self.store(call);
        let source = give(&mut store, source)?;
        let (_, answer) =
            operation!(self, store, "upload-part", (session.as_str(), offset, &info, source, last))?;
        progress(self.answer(call, answer)?)
    }

    /// Where does this upload stand?
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn upload_status(
        &self,
        call: &Arc<Call>,
        session: &str,
        path: &RelativePath,
        about: &Info,
    ) -> Result<Progress, Error> {
        let (text, info) = (path.as_str().to_owned(), info(about));
        let session = session.to_owned();
        let (_, answer) =
            operation!(self, self.store(call), "upload-status", (session.as_str(), text.as_str(), &info))?;
        progress(self.answer(call, answer)?)
    }

    /// Forget an upload and what it has sent.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn abort_upload(&self, call: &Arc<Call>, session: &str) -> Result<(), Error> {
        let session = session.to_owned();
        let (_, answer) = operation!(self, self.store(call), "abort-upload", (session.as_str(),))?;
        self.answer(call, answer)
    }

    /// Make staged uploads files; one result each, in the same order.
    ///
    /// # Errors
    /// The connector's reason for doing none of them, or the guest's breakdown.
    pub async fn finish_uploads(
        &self,
        call: &Arc<Call>,
        uploads: &[Staged],
    ) -> Result<Vec<Result<Entry, Error>>, Error> {
        let staged: Vec<wit::Staged> = uploads
            .iter()
            .map(|upload| wit::Staged {
                session: upload.session.clone(),
                path: upload.path.as_str().to_owned(),
                info: info(&upload.info),
            })
            .collect();
        let (_, answer) = operation!(self, self.store(call), "finish-uploads", (staged.as_slice(),))?;
        let results: Vec<Result<wit::Entry, wit::Error>> = self.answer(call, answer)?;
        same_length(uploads.len(), results.len())?;
        Ok(results.into_iter().map(|result| self.answer(call, result).and_then(entry)).collect())
    }

    /// Read a file, or a part of it.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn get(
        &self,
        call: &Arc<Call>,
        path: &RelativePath,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
    ) -> Result<Download, Error> {
        let text = path.as_str().to_owned();
        let wanted = revision.map(str::to_owned);
        let (mut store, answer) =
            operation!(self, self.store(call), "get", (text.as_str(), offset, len, wanted.as_deref()))?;
        let download: wit::Download = self.answer(call, answer)?;
        let taken: Result<Body, _> = store.data_mut().table.delete(download.body);
        let body = taken.ok().and_then(|body| body.incoming);
        let body = body.ok_or_else(|| Error::Nonsense("a download without a body".to_owned()))?;
        if download.offset > offset {
            return Err(Error::Nonsense(format!(
                "a download from {offset} that starts at {}",
                download.offset
            )));
        }
        Ok(Download { body, offset: download.offset, entry: download.entry.map(entry).transpose()? })
    }

    /// Remove files and folders; one result each, in the same order.
    ///
    /// # Errors
    /// The connector's reason for doing none of them, or the guest's breakdown.
    pub async fn remove(&self, call: &Arc<Call>, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        let removals: Vec<wit::Removal> = items
            .iter()
            .map(|item| wit::Removal {
                path: item.path.as_str().to_owned(),
                kind: match item.kind {
                    Kind::File => wit::Kind::File,
                    Kind::Folder => wit::Kind::Folder,
                },
                revision: item.revision.clone(),
            })
            .collect();
        let (_, answer) = operation!(self, self.store(call), "remove", (removals.as_slice(),))?;
        let results: Vec<Result<(), wit::Error>> = self.answer(call, answer)?;
        same_length(items.len(), results.len())?;
        Ok(results.into_iter().map(|result| self.answer(call, result)).collect())
    }

    /// Give something another path, replacing nothing.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn relocate(
        &self,
        call: &Arc<Call>,
        from: &RelativePath,
        to: &RelativePath,
    ) -> Result<Relocation, Error> {
        let (from, text) = (from.as_str().to_owned(), to.as_str().to_owned());
        let (_, answer) = operation!(self, self.store(call), "relocate", (from.as_str(), text.as_str()))?;
        relocation(to, self.answer(call, answer)?)
    }

    /// Copy something at the service, replacing nothing.
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn copy(
        &self,
        call: &Arc<Call>,
        from: &RelativePath,
        to: &RelativePath,
    ) -> Result<Relocation, Error> {
        let (from, text) = (from.as_str().to_owned(), to.as_str().to_owned());
        let (_, answer) = operation!(self, self.store(call), "copy", (from.as_str(), text.as_str()))?;
        relocation(to, self.answer(call, answer)?)
    }

    /// How far is a relocation that was running?
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn relocation_status(
        &self,
        call: &Arc<Call>,
        job: &str,
        to: &RelativePath,
    ) -> Result<Relocation, Error> {
        let text = to.as_str().to_owned();
        let job = job.to_owned();
        let (_, answer) =
            operation!(self, self.store(call), "relocation-status", (job.as_str(), text.as_str()))?;
        relocation(to, self.answer(call, answer)?)
    }

    /// How full is the service?
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn usage(&self, call: &Arc<Call>) -> Result<Space, Error> {
        let (_, answer) = operation!(self, self.store(call), "usage", ())?;
        let wit::Space { used, total } = self.answer(call, answer)?;
        Ok(Space { used, total })
    }

    /// What changed since a cursor, or all that is there?
    ///
    /// # Errors
    /// The connector's reason, or the guest's breakdown.
    pub async fn changes(&self, call: &Arc<Call>, cursor: Option<&str>) -> Result<ChangesPage, Error> {
        let cursor = cursor.map(str::to_owned);
        let (_, answer) = operation!(self, self.store(call), "changes", (cursor.as_deref(),))?;
        changes_page(self.answer(call, answer)?)
    }

    fn store(&self, call: &Arc<Call>) -> Store<State> {
        store::fresh(&self.engine, self.limits, Arc::clone(call), &self.counting)
    }

    fn answer<T>(&self, call: &Call, answer: Result<T, wit::Error>) -> Result<T, Error> {
        answer.map_err(|error| Error::Refused { refusal: error.into(), cause: call.cause().map(Box::new) })
    }
}

/// What a call left behind: its store, and the answer or the trap.
type Left<T> = (Store<State>, wasmtime::Result<Result<T, wit::Error>>);

/// How a call ended; the store is gone after anything but an answer.
fn ended<T>(
    ended: Result<Left<T>, Overdrawn>,
    log: &LogBudget,
    counting: &Counting,
) -> Result<Answer<T>, Error> {
    let last_words = log.last_words();
    let (store, answer) = ended.inspect_err(|_| counting.overdrawn())?;
    match answer {
        Ok(answer) => Ok((store, answer)),
        Err(trap) => {
            counting.trap();
            Err(Error::Trapped(breakdown(&trap, store.data(), last_words)))
        }
    }
}

/// What is said of a guest that trapped after it had asked for more memory than it may have.
pub(crate) const MEMORY_REFUSED: &str = " (it was refused more memory)";
/// As [`MEMORY_REFUSED`], of tables.
pub(crate) const TABLES_REFUSED: &str = " (it was refused more room for tables)";
/// What a trap says of a guest whose stack is full, in the engine's words.
pub(crate) const STACK_EXHAUSTED: &str = "call stack exhausted";
/// As [`STACK_EXHAUSTED`], of one that holds too many handles.
pub(crate) const HANDLES_EXHAUSTED: &str = "handle limit exceeded";

/// Why a guest trapped, in one line: the reason of the engine, and what the guest said last.
fn breakdown(trap: &wasmtime::Error, state: &State, last_words: Option<String>) -> String {
    let reason = match trap.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => trap.root_cause().to_string(),
    };
    let memory = state.limiter.refused.unwrap_or_default();
    match last_words {
        Some(words) => format!("{reason}{memory}; its last words: {words}"),
        None => format!("{reason}{memory}"),
    }
}

fn give(store: &mut Store<State>, section: Section) -> Result<Resource<Content>, Error> {
    let looks = section.size().saturating_mul(LOOKS_MAX);
    store.data_mut().look_left = looks.saturating_add(LOOK_BYTES_FREE);
    store.data_mut().table.push(Content { section }).map_err(|error| Error::Trapped(error.to_string()))
}
