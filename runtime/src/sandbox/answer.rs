//! What goes over the border and what comes back, from the contract's types to the host's words and the
//! other way.
//!
//! What a guest answers is checked here: a path that is none, a text without end, a listing of what was
//! not asked for or a time that no clock shows is a guest's nonsense, not an answer.

use std::time::Duration;

use jiff::Timestamp;

use super::bindings::exports::wharf::connector::destination as wit;
use super::bindings::wharf::connector::content as wit_content;
use super::limits::{ID_BYTES_MAX, PAGE_ENTRIES_MAX, TEXT_BYTES_MAX};
use super::operation::{
    Change, ChangesPage, Error, Facts, Outcome, Page, Progress, Refusal, Relocation, Whereabouts,
};
use crate::entry::{Entry, Info, Kind, Mode};
use crate::hash::{Algorithm, Digest};
use crate::path::RelativePath;

/// Longest text of an error that is kept, in bytes.
const ERROR_TEXT_BYTES_MAX: usize = 1024;

pub(super) fn same_length(asked: usize, answered: usize) -> Result<(), Error> {
    if asked == answered {
        Ok(())
    } else {
        Err(Error::Nonsense(format!("{answered} results for {asked} items")))
    }
}

pub(super) fn bounded(what: &str, text: &str) -> Result<(), Error> {
    if text.len() <= TEXT_BYTES_MAX {
        Ok(())
    } else {
        Err(Error::Nonsense(format!("a {what} of {} bytes", text.len())))
    }
}

pub(super) fn info(info: &Info) -> wit::Info {
    wit::Info {
        size: info.size,
        modified: info.modified.and_then(datetime),
        keep_modified: info.keep_modified,
        mode: match &info.mode {
            Mode::Replace => wit::Mode::Replace,
            Mode::Create => wit::Mode::Create,
            Mode::ReplaceIfRevision(revision) => wit::Mode::ReplaceIfRevision(revision.clone()),
        },
    }
}

/// Whole seconds towards the past, so that the fraction is never negative.
fn datetime(time: Timestamp) -> Option<wit::Datetime> {
    let nanoseconds = time.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let nanoseconds = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    Some(wit::Datetime { seconds, nanoseconds })
}

fn timestamp(time: wit::Datetime) -> Result<Timestamp, Error> {
    let nanoseconds =
        i128::from(time.seconds).saturating_mul(1_000_000_000).saturating_add(i128::from(time.nanoseconds));
    let within = time.nanoseconds < 1_000_000_000;
    let parsed = within.then(|| Timestamp::from_nanosecond(nanoseconds).ok()).flatten();
    parsed.ok_or_else(|| Error::Nonsense(format!("a time {} seconds from 1970", time.seconds)))
}

pub(super) fn entry(entry: wit::Entry) -> Result<Entry, Error> {
    let path = RelativePath::parse(&entry.path)
        .map_err(|error| Error::Nonsense(format!("the path `{}`: {error}", shown(&entry.path))))?;
    if let Some(revision) = &entry.revision {
        bounded("revision", revision)?;
    }
    Ok(Entry {
        path,
        kind: match entry.kind {
            wit::Kind::File => Kind::File,
            wit::Kind::Folder => Kind::Folder,
        },
        size: entry.size,
        modified: entry.modified.map(timestamp).transpose()?,
        hash: entry.hash.map(digest).transpose()?,
        revision: entry.revision,
    })
}

fn digest(hash: wit_content::Hash) -> Result<Digest, Error> {
    let algorithm: Algorithm = hash.algorithm.into();
    Digest::new(algorithm, &hash.value).map_err(|error| Error::Nonsense(error.to_string()))
}

pub(super) fn page(folder: &RelativePath, recursive: bool, page: wit::Page) -> Result<Page, Error> {
    if page.entries.len() > PAGE_ENTRIES_MAX {
        return Err(Error::Nonsense(format!("a page of {} entries", page.entries.len())));
    }
    if let Some(next) = &page.next {
        bounded("page's successor", next)?;
    }
    let entries: Vec<Entry> = page.entries.into_iter().map(entry).collect::<Result<_, _>>()?;
    let belongs = |entry: &Entry| {
        let depth = entry.path.strip(folder).map_or(0, |rest| rest.names().count());
        depth == 1 || (recursive && depth > 1)
    };
    match entries.iter().find(|entry| !belongs(entry)) {
        Some(stray) => Err(Error::Nonsense(format!(
            "a listing of `{folder}` with `{}` in it",
            shown(stray.path.as_str())
        ))),
        None => Ok(Page { entries, next: page.next }),
    }
}

pub(super) fn changes_page(page: wit::ChangesPage) -> Result<ChangesPage, Error> {
    if page.changes.len() > PAGE_ENTRIES_MAX {
        return Err(Error::Nonsense(format!("a page of {} changes", page.changes.len())));
    }
    bounded("cursor", &page.cursor)?;
    if page.cursor.is_empty() {
        return Err(Error::Nonsense("changes without a cursor".to_owned()));
    }
    let changes = page.changes.into_iter().map(change).collect::<Result<_, _>>()?;
    Ok(ChangesPage { changes, cursor: page.cursor, more: page.more })
}

fn change(change: wit::Change) -> Result<Change, Error> {
    let is = match change.is {
        wit::Outcome::Folder => Outcome::Folder,
        wit::Outcome::Removed => Outcome::Removed,
        wit::Outcome::File(facts) => {
            if let Some(revision) = &facts.revision {
                bounded("revision", revision)?;
            }
            Outcome::File(Facts {
                size: facts.size,
                modified: facts.modified.map(timestamp).transpose()?,
                hash: facts.hash.map(digest).transpose()?,
                revision: facts.revision,
            })
        }
    };
    let at = match change.at {
        wit::Whereabouts::Path(text) => {
            let path = RelativePath::parse(&text)
                .map_err(|error| Error::Nonsense(format!("the path `{}`: {error}", shown(&text))))?;
            if path.is_root() && matches!(is, Outcome::File(_)) {
                return Err(Error::Nonsense("a file in place of the backup directory".to_owned()));
            }
            Whereabouts::Path(path)
        }
        wit::Whereabouts::Node(node) => node_of(node, &is)?,
    };
    Ok(Change { at, is })
}

/// An item in the tree of ids. What is there has a name of its own, unless it is the top.
fn node_of(node: wit::Node, is: &Outcome) -> Result<Whereabouts, Error> {
    let wit::Node { id, parent, name } = node;
    let ids = [Some(&id), parent.as_ref()];
    if let Some(id) = ids.into_iter().flatten().find(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
        return Err(Error::Nonsense(format!("an id of {} bytes", id.len())));
    }
    let is_there = match is {
        Outcome::File(_) | Outcome::Folder => parent.is_some(),
        Outcome::Removed => false,
    };
    let parsed = RelativePath::parse(&name).ok().filter(|path| path.names().count() == 1);
    if is_there && parsed.is_none() {
        return Err(Error::Nonsense(format!("the name `{}`", shown(&name))));
    }
    if matches!(is, Outcome::File(_)) && parent.is_none() {
        return Err(Error::Nonsense("a file in no folder".to_owned()));
    }
    Ok(Whereabouts::Node { id, parent, name })
}

pub(super) fn relocation(to: &RelativePath, relocation: wit::Relocation) -> Result<Relocation, Error> {
    match relocation {
        wit::Relocation::Running(job) => {
            bounded("job", &job)?;
            Ok(Relocation::Running(job))
        }
        wit::Relocation::Done(done) => match entry(done)? {
            there if there.path == *to => Ok(Relocation::Done(there)),
            stray => {
                Err(Error::Nonsense(format!("`{}` where `{to}` was asked for", shown(stray.path.as_str()))))
            }
        },
    }
}

pub(super) fn progress(progress: wit::Progress) -> Result<Progress, Error> {
    Ok(match progress {
        wit::Progress::More(offset) => Progress::More(offset),
        wit::Progress::AnyOrder => Progress::AnyOrder,
        wit::Progress::Staged => Progress::Staged,
        wit::Progress::Done(done) => Progress::Done(entry(done)?),
    })
}

impl From<wit::Error> for Refusal {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::NotFound => Self::NotFound,
            wit::Error::Exists => Self::Exists,
            wit::Error::WrongKind => Self::WrongKind,
            wit::Error::Denied => Self::Denied,
            wit::Error::SignInAgain => Self::SignInAgain,
            wit::Error::Conflict => Self::Conflict,
            wit::Error::Quota => Self::Quota,
            wit::Error::Throttled(seconds) => Self::Throttled(seconds.map(Duration::from_secs)),
            wit::Error::BadName(rule) => Self::BadName(shown(&rule)),
            wit::Error::TooLarge => Self::TooLarge,
            wit::Error::Corrupt => Self::Corrupt,
            wit::Error::SessionGone => Self::SessionGone,
            wit::Error::CursorGone => Self::CursorGone,
            wit::Error::Unsupported => Self::Unsupported,
            wit::Error::Unavailable => Self::Unavailable,
            wit::Error::Lost => Self::Lost,
            wit::Error::SourceChanged => Self::SourceChanged,
            wit::Error::Other(text) => Self::Other(shown(&text)),
        }
    }
}

/// A guest's text as a harmless line.
fn shown(text: &str) -> String {
    crate::shown::shown(text, ERROR_TEXT_BYTES_MAX)
}
