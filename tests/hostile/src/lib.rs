//! What the hostile components share: a connector that behaves until it is asked to do its one abuse,
//! and a runner of requests that a test wrote.
//!
//! Each abuse is one file in `examples/`. A path of `fine` gets a harmless answer from all of them, so
//! that a test can see that the next operation of the same connector works.

pub mod script;

use std::marker::PhantomData;

use wharf_connector::{
    Broker, ChangesPage, Connector, Datetime, Download, Entry, Error, Info, Kind, Page, Progress, Removal,
    Staged, Upload,
};

/// The path that every hostile component answers like an honest one.
pub const FINE: &str = "fine";

/// One way to break the rules. What is not written is refused as unsupported.
#[expect(clippy::missing_errors_doc, reason = "an abuse fails as it likes")]
pub trait Abuse<B: Broker> {
    /// The abuse; `what` is the path that was looked at, and chooses among several.
    fn abuse(_broker: &mut B, _what: &str) -> Result<Entry, Error> {
        Err(Error::Unsupported)
    }

    /// A listing.
    fn list(_broker: &mut B, _path: &str, _next: Option<&str>) -> Result<Page, Error> {
        Err(Error::Unsupported)
    }

    /// An upload in one request.
    fn put(broker: &mut B, path: &str, _source: &B::Content, _info: &Info) -> Result<Entry, Error> {
        Self::abuse(broker, path)
    }

    /// The opening of an upload in parts.
    fn begin_upload(_broker: &mut B, _path: &str, _info: &Info) -> Result<Upload, Error> {
        Err(Error::Unsupported)
    }

    /// A part.
    fn upload_part(_broker: &mut B, _session: &str, _offset: u64, _info: &Info) -> Result<Progress, Error> {
        Err(Error::Unsupported)
    }

    /// A batch of commits.
    fn finish_uploads(_broker: &mut B, _uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        Err(Error::Unsupported)
    }

    /// A download.
    fn get(_broker: &mut B, _path: &str) -> Result<Download<B::Body>, Error> {
        Err(Error::Unsupported)
    }

    /// A removal.
    fn remove(_broker: &mut B, _items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        Err(Error::Unsupported)
    }

    /// What changed.
    fn changes(_broker: &mut B, _cursor: Option<&str>) -> Result<ChangesPage, Error> {
        Err(Error::Unsupported)
    }
}

/// An abuse, as a connector.
#[derive(Debug)]
pub struct Hostile<A>(PhantomData<A>);

impl<B: Broker, A: Abuse<B>> Connector<B> for Hostile<A> {
    fn stat(broker: &mut B, path: &str) -> Result<Entry, Error> {
        if path == FINE { Ok(file(path)) } else { A::abuse(broker, path) }
    }

    fn list(broker: &mut B, path: &str, _recursive: bool, next: Option<&str>) -> Result<Page, Error> {
        A::list(broker, path, next)
    }

    fn make_folder(_broker: &mut B, path: &str) -> Result<Entry, Error> {
        Ok(Entry { kind: Kind::Folder, ..file(path) })
    }

    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        A::put(broker, path, source, info)
    }

    fn begin_upload(
        broker: &mut B,
        path: &str,
        info: &Info,
        _first: Option<&B::Content>,
    ) -> Result<Upload, Error> {
        A::begin_upload(broker, path, info)
    }

    fn upload_part(
        broker: &mut B,
        session: &str,
        offset: u64,
        info: &Info,
        _source: &B::Content,
        _last: bool,
    ) -> Result<Progress, Error> {
        A::upload_part(broker, session, offset, info)
    }

    fn upload_status(_broker: &mut B, _session: &str, _path: &str, _info: &Info) -> Result<Progress, Error> {
        Err(Error::Unsupported)
    }

    fn abort_upload(_broker: &mut B, _session: &str) -> Result<(), Error> {
        Ok(())
    }

    fn finish_uploads(broker: &mut B, uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        A::finish_uploads(broker, uploads)
    }

    fn get(
        broker: &mut B,
        path: &str,
        _offset: u64,
        _len: Option<u64>,
        _revision: Option<&str>,
    ) -> Result<Download<B::Body>, Error> {
        A::get(broker, path)
    }

    fn remove(broker: &mut B, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        A::remove(broker, items)
    }

    fn changes(broker: &mut B, cursor: Option<&str>) -> Result<ChangesPage, Error> {
        A::changes(broker, cursor)
    }
}

/// A file that an honest connector might report.
#[must_use]
pub fn file(path: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        kind: Kind::File,
        size: 0,
        modified: Some(Datetime { seconds: 0, nanoseconds: 0 }),
        hash: None,
        revision: None,
    }
}

/// Bytes of a revision that the host is sure to keep.
const CHUNK_BYTES: usize = 12 * 1024;

/// A long text as a page of entries, a piece in each revision.
#[must_use]
pub fn page(text: &str) -> Page {
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(CHUNK_BYTES));
        let entry = Entry { revision: Some(piece.to_owned()), ..file(&format!("{:05}", entries.len())) };
        entries.push(entry);
        rest = after;
    }
    Page { entries, next: None }
}
