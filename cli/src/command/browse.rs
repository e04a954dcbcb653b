//! `wharf ls` and `wharf stat`.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use wharf_runtime::ErrorKind;
use wharf_runtime::attached::{self, Attached};
use wharf_runtime::entry::{Entry, Kind};
use wharf_runtime::path::RelativePath;

use super::{Desk, recorded};
use crate::args::List;
use crate::format;
use crate::location::Remote;
use crate::output::{Output, harmless};
use crate::report::Failure;

/// Width of a size in bytes, up to a petabyte.
const SIZE_WIDTH: usize = 15;
/// Width of a moment.
const MOMENT_WIDTH: usize = 20;

/// List a folder.
pub(super) async fn list(desk: Desk<'_>, list: &List) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(&list.place.destination).await?;
    let listed = Listing { output: desk.output, list, attached: &attached }.run().await;
    recorded(&host, &attached, listed).await
}

struct Listing<'a> {
    output: &'a Output,
    list: &'a List,
    attached: &'a Attached,
}

impl Listing<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let path = &self.list.place.path;
        let listed = if self.list.recursive {
            self.tree(path).await
        } else {
            self.folder(path, false).await.map(drop)
        };
        match listed {
            Ok(()) => Ok(()),
            Err(Stopped::Operation(error)) if error.kind() == ErrorKind::WrongKind => {
                // A file lists as itself.
                self.print(&self.attached.stat(path).await?)
            }
            Err(Stopped::Operation(error)) if path.is_root() && error.kind() == ErrorKind::NotFound => {
                // A destination that nothing was copied to yet has no folder at the service.
                self.output.note("the backup directory is not there yet; the first copy makes it");
                Ok(())
            }
            Err(Stopped::Operation(error)) => Err((*error).into()),
            Err(Stopped::Other(failure)) => Err(failure),
        }
    }

    /// A tree, in one go where the service can, else folder by folder, as many at a time as the
    /// destination has threads. A folder's entries come after it; folders come in no order.
    async fn tree(&self, path: &RelativePath) -> Result<(), Stopped> {
        match self.folder(path, true).await {
            Ok(_) => return Ok(()),
            Err(Stopped::Operation(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        let (mut waiting, mut listing) = (vec![path.clone()], FuturesUnordered::new());
        loop {
            while listing.len() < self.attached.threads().limit()
                && let Some(folder) = waiting.pop()
            {
                listing.push(async move { self.folder(&folder, false).await });
            }
            match listing.next().await {
                Some(below) => waiting.append(&mut below?),
                None => return Ok(()),
            }
        }
    }

    /// Everything in a folder, page by page. Returns the folders in it.
    async fn folder(&self, path: &RelativePath, recursive: bool) -> Result<Vec<RelativePath>, Stopped> {
        let mut folders = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.attached.list(path, recursive, next.as_deref()).await?;
            for entry in page.entries {
                self.print(&entry)?;
                if entry.kind == Kind::Folder {
                    folders.push(entry.path);
                }
            }
            self.output.flush().map_err(Failure::from)?;
            match page.next {
                Some(more) => next = Some(more),
                None => return Ok(folders),
            }
        }
    }

    fn print(&self, entry: &Entry) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(self.output.json(&EntryJson::new(entry))?);
        }
        let shown = entry.path.strip(&self.list.place.path).unwrap_or_else(|| entry.path.clone());
        let shown = if shown.is_root() { entry.path.name().unwrap_or_default() } else { shown.as_str() };
        Ok(self.output.line(line(entry, shown, self.list.long))?)
    }
}

/// Why a listing ended early: only some errors of operations have another way.
enum Stopped {
    Operation(Box<attached::Error>),
    Other(Failure),
}

impl From<attached::Error> for Stopped {
    fn from(error: attached::Error) -> Self {
        Self::Operation(Box::new(error))
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

fn line(entry: &Entry, shown: &str, long: bool) -> String {
    let (size, mark) = match entry.kind {
        Kind::File => (entry.size.to_string(), ""),
        Kind::Folder => ("-".to_owned(), "/"),
    };
    let name = format!("{}{mark}", harmless(shown));
    if !long {
        return name;
    }
    let modified = entry.modified.map_or_else(|| "-".to_owned(), format::moment);
    format!("{size:>SIZE_WIDTH$}  {modified:<MOMENT_WIDTH$}  {name}")
}

/// Show what is stored at a path.
pub(super) async fn stat(desk: Desk<'_>, place: &Remote) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(&place.destination).await?;
    let found = attached.stat(&place.path).await.map_err(Failure::from);
    let entry = recorded(&host, &attached, found).await?;
    let output = desk.output;
    if output.is_json() {
        return Ok(output.json(&EntryJson::new(&entry))?);
    }
    let (kind, size) = match entry.kind {
        Kind::File => ("file", Some(size(entry.size))),
        Kind::Folder => ("folder", None),
    };
    let facts = [
        ("path", Some(format!("{}:{}", place.destination, harmless(entry.path.as_str())))),
        ("kind", Some(kind.to_owned())),
        ("size", size),
        ("modified", entry.modified.map(format::moment)),
        ("hash", entry.hash.as_ref().map(|hash| format!("{} {hash}", hash.algorithm()))),
        ("revision", entry.revision.as_deref().map(harmless)),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            output.line(format_args!("{name:<9} {value}"))?;
        }
    }
    Ok(())
}

/// Exactly, and as people say it where that is shorter.
fn size(bytes: u64) -> String {
    let exact = format::count(bytes, "byte");
    if bytes < 1024 { exact } else { format!("{} ({exact})", format::bytes(bytes)) }
}

/// What is stored, as `--json` has it.
#[derive(Debug, Serialize)]
struct EntryJson<'a> {
    path: &'a str,
    name: &'a str,
    kind: Kind,
    size: u64,
    modified: Option<jiff::Timestamp>,
    hash: Option<HashJson>,
    revision: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct HashJson {
    algorithm: &'static str,
    digest: String,
}

impl<'a> EntryJson<'a> {
    fn new(entry: &'a Entry) -> Self {
        let hash = entry.hash.as_ref();
        Self {
            path: entry.path.as_str(),
            name: entry.path.name().unwrap_or_default(),
            kind: entry.kind,
            size: entry.size,
            modified: entry.modified,
            hash: hash.map(|hash| HashJson { algorithm: hash.algorithm().name(), digest: hash.to_string() }),
            revision: entry.revision.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_an_entry() {
        let entry = |kind| Entry {
            path: RelativePath::parse("data/a\u{1b}b").unwrap(),
            kind,
            size: 1234,
            modified: Some(jiff::Timestamp::UNIX_EPOCH),
            hash: None,
            revision: None,
        };
        assert_eq!(line(&entry(Kind::File), "a\u{1b}b", false), "a\\u{1b}b");
        assert_eq!(line(&entry(Kind::Folder), "ab", false), "ab/");
        assert_eq!(line(&entry(Kind::File), "ab", true), "           1234  1970-01-01T00:00:00Z  ab");
        assert_eq!(line(&entry(Kind::Folder), "ab", true), "              -  1970-01-01T00:00:00Z  ab/");
    }
}
