//! Does a connector do what `wit/connector.wit` promises? Asked at its service, through the host, as a
//! transfer would ask it.
//!
//! An answer that is not as promised is told, and the examination goes on: one run shows all that is
//! wrong. What a service cannot do (copies, a change feed) is `unsupported`, which is an answer too.
//! Everything is stored in the destination's backup directory, which has to be empty before and is not
//! emptied here.

mod files;
mod places;
mod relocations;
mod removals;
mod uploads;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Finding, Outcome, Told};
use crate::attached::{Attached, Error};
use crate::content::{Section, Source};
use crate::entry::{Entry, Info, Kind, Mode};
use crate::path::RelativePath;
use crate::sandbox::operation::{Refusal, Removal};

/// The modification time of everything that is stored, in seconds.
const TIME: i64 = 1_431_445_838;
/// Pages of one listing that are asked for: a listing of thirty files has fewer, whatever a page holds.
const PAGES_MAX: usize = 100;
/// Bytes that are read of one file: the largest that is stored here is two parts and a byte.
const READ_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A part of the examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Folders,
    Files,
    Modes,
    Ranges,
    Listings,
    Names,
    Uploads,
    Removals,
    Relocations,
    Changes,
}

impl Part {
    const ALL: [Self; 10] = [
        Self::Folders,
        Self::Files,
        Self::Modes,
        Self::Ranges,
        Self::Listings,
        Self::Names,
        Self::Uploads,
        Self::Removals,
        Self::Relocations,
        Self::Changes,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Folders => "folders",
            Self::Files => "files",
            Self::Modes => "modes",
            Self::Ranges => "ranges",
            Self::Listings => "listings",
            Self::Names => "names",
            Self::Uploads => "uploads",
            Self::Removals => "removals",
            Self::Relocations => "relocations",
            Self::Changes => "changes",
        }
    }
}

/// Examine a connector at the service of this destination; `told` hears of each check.
pub async fn examine(attached: &Attached, told: Told<'_>) {
    let mut suite = Suite { attached, part: Part::Folders.name(), told };
    for part in Part::ALL {
        suite.part = part.name();
        let ended = match part {
            Part::Folders => Box::pin(suite.folders()).await,
            Part::Files => Box::pin(suite.files()).await,
            Part::Modes => Box::pin(suite.modes()).await,
            Part::Ranges => Box::pin(suite.ranges()).await,
            Part::Listings => Box::pin(suite.listings()).await,
            Part::Names => Box::pin(suite.names_and_places()).await,
            Part::Uploads => Box::pin(suite.uploads()).await,
            Part::Removals => Box::pin(suite.removals()).await,
            Part::Relocations => Box::pin(suite.relocations()).await,
            Part::Changes => Box::pin(suite.changes()).await,
        };
        if let Err(Stop { what, said }) = ended {
            suite.tell(format!("{what}, which the rest of this part stands on"), Outcome::Failed(said));
        }
    }
}

/// Something that a part stands on is not there: the rest of the part would say nothing.
struct Stop {
    what: &'static str,
    said: String,
}

/// A connector under examination.
struct Suite<'a> {
    attached: &'a Attached,
    part: &'static str,
    told: Told<'a>,
}

impl Suite<'_> {
    fn tell(&mut self, what: String, outcome: Outcome) {
        (self.told)(Finding { part: self.part, what, outcome });
    }

    fn check<T: PartialEq + Debug>(&mut self, what: &str, got: T, wanted: T) {
        let outcome = if got == wanted {
            Outcome::good()
        } else {
            Outcome::Failed(format!("{got:?}, and {wanted:?} is promised"))
        };
        self.tell(what.to_owned(), outcome);
    }

    /// One of these words is promised.
    fn check_word<T>(&mut self, what: &str, got: &Result<T, Error>, wanted: &[&str]) {
        let got = word(got);
        let outcome = if wanted.contains(&&*got) {
            Outcome::Good(got)
        } else {
            Outcome::Failed(format!("`{got}`, and {} is promised", one_of(wanted)))
        };
        self.tell(what.to_owned(), outcome);
    }

    async fn put(&self, to: &str, bytes: &[u8], mode: Mode) -> Result<Entry, Error> {
        let section = Section::whole(source(bytes));
        Ok(self.attached.put(&path(to), &section, &info(bytes.len(), mode), None).await?.0)
    }

    /// The bytes of a file; none when they do not come to their end.
    async fn read(&self, from: &str, offset: u64, len: Option<u64>) -> Result<Option<Vec<u8>>, Error> {
        let opened = self.attached.get(&path(from), offset, len, None).await?;
        Ok(drained(opened, offset, len).await)
    }

    async fn stat(&self, place: &str) -> Result<Entry, Error> {
        self.attached.stat(&path(place)).await
    }

    async fn names(&self, folder: &str) -> Result<BTreeSet<String>, Error> {
        let (mut names, mut next) = (BTreeSet::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.attached.list(&path(folder), false, next.as_deref()).await?;
            names.extend(page.entries.iter().map(|entry| entry.path.to_string()));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok(names)
    }

    async fn remove(&self, place: &str, kind: Kind, revision: Option<&str>) -> Result<(), Error> {
        let removal = Removal { path: path(place), kind, revision: revision.map(str::to_owned) };
        // One result for one item: the host has seen to that.
        self.attached.remove(&[removal]).await?.pop().unwrap_or(Ok(()))
    }
}

/// What the rest of a part stands on.
fn need<T>(what: &'static str, got: Result<T, Error>) -> Result<T, Stop> {
    got.map_err(|error| Stop { what, said: word::<()>(&Err(error)) })
}

/// What an answer has to hold for the rest of a part.
fn given<T>(what: &'static str, got: Option<T>) -> Result<T, Stop> {
    got.ok_or_else(|| Stop { what, said: "it is not given".to_owned() })
}

/// How an operation ended, in a word: `ok`, or the contract's case.
pub(super) fn word<T>(result: &Result<T, Error>) -> String {
    let error = match result {
        Ok(_) => return "ok".to_owned(),
        Err(error) => error,
    };
    match error.problem.refusal() {
        Some(refusal) => case(refusal),
        None => format!("broke down: {}", error.problem),
    }
}

/// A refusal, as the contract spells it.
pub(super) fn case(refusal: &Refusal) -> String {
    let word = match refusal {
        Refusal::NotFound => "not-found",
        Refusal::Exists => "exists",
        Refusal::WrongKind => "wrong-kind",
        Refusal::Denied => "denied",
        Refusal::SignInAgain => "sign-in-again",
        Refusal::Conflict => "conflict",
        Refusal::Quota => "quota",
        Refusal::Throttled(_) => "throttled",
        Refusal::BadName(_) => "bad-name",
        Refusal::TooLarge => "too-large",
        Refusal::Corrupt => "corrupt",
        Refusal::SessionGone => "session-gone",
        Refusal::CursorGone => "cursor-gone",
        Refusal::Unsupported => "unsupported",
        Refusal::Unavailable => "unavailable",
        Refusal::Lost => "lost",
        Refusal::SourceChanged => "source-changed",
        Refusal::Other(text) => return format!("other: {text}"),
    };
    word.to_owned()
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(" or ")
}

/// What a download brings from `offset` on: a service may begin before what was asked for, and go on
/// behind it. None when it is cut off, or never ends.
async fn drained(mut opened: crate::attached::Opened, offset: u64, len: Option<u64>) -> Option<Vec<u8>> {
    let mut skip = usize::try_from(offset.saturating_sub(opened.download.offset)).ok()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = opened.download.body.chunk().await.ok()? {
        let skipped = skip.min(chunk.len());
        skip -= skipped;
        bytes.extend_from_slice(chunk.get(skipped..).unwrap_or_default());
        if bytes.len() > READ_BYTES_MAX {
            return None;
        }
    }
    if let Some(len) = len {
        bytes.truncate(usize::try_from(len).ok()?);
    }
    Some(bytes)
}

pub(super) fn info(size: usize, mode: Mode) -> Info {
    let modified = jiff::Timestamp::from_second(TIME).ok();
    Info { size: length(size), modified, keep_modified: false, mode }
}

pub(super) fn source(bytes: &[u8]) -> Arc<Source> {
    Arc::new(Source::from_bytes(bytes.to_vec().into(), "the source".to_owned()))
}

fn length(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// A path that is written here, and is one.
pub(super) fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap_or_default()
}

/// Bytes that no compression and no repetition makes equal: different at every offset and seed.
pub(super) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size.saturating_add(8));
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
