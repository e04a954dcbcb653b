//! Dropbox, through its API v2.
//!
//! Every request is a `POST` with JSON arguments; the bytes of a file travel beside arguments in a
//! header. What the service calls things and how it answers is in `metadata`, `error`, `name` and
//! `commit`; the other files are one operation each. A revision is a file's `rev`.
//!
//! The manifest's sizes: parts are 16 MiB, a multiple of the 4 MiB that the service stores in: large
//! enough that a part outlasts its round trip by far, small enough that a cut connection sends little
//! twice. One request may hold 150 MiB; `put` takes no more than a part, for the same reason.

mod changes;
mod commit;
mod download;
mod error;
mod finish;
mod folder;
mod listing;
mod metadata;
mod name;
mod put;
mod relocation;
mod removal;
mod session;
mod stat;
mod usage;

use wharf_connector::range::Range;
use wharf_connector::{
    Broker, ChangesPage, Connector, Download, Entry, Error, Info, Page, Progress, Relocation, Removal, Space,
    Staged, Upload,
};

wharf_connector::component!(crate::Dropbox);

/// Longest answer about one item, in bytes: they are under 2 KiB, and an error's is less.
const ITEM_BYTES_MAX: u32 = 256 * 1024;
/// Longest answer about many items, in bytes: 2,000 of a listing are about 1.5 MiB, with the longest
/// names ten times that of a few. The host reads no more than this in one piece.
const LIST_BYTES_MAX: u32 = 8 * 1024 * 1024;
/// What the service wants beside bytes. <https://www.dropbox.com/developers/documentation/http/documentation#formats>
const OCTETS: &str = "application/octet-stream";

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Dropbox;

impl<B: Broker> Connector<B> for Dropbox {
    fn stat(broker: &mut B, path: &str) -> Result<Entry, Error> {
        stat::stat(broker, path)
    }

    fn list(broker: &mut B, path: &str, recursive: bool, next: Option<&str>) -> Result<Page, Error> {
        listing::list(broker, path, recursive, next)
    }

    fn make_folder(broker: &mut B, path: &str) -> Result<Entry, Error> {
        folder::make(broker, path)
    }

    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        put::put(broker, path, source, info)
    }

    fn begin_upload(
        broker: &mut B,
        path: &str,
        info: &Info,
        first: Option<&B::Content>,
    ) -> Result<Upload, Error> {
        session::begin(broker, path, info, first)
    }

    fn upload_part(
        broker: &mut B,
        session: &str,
        offset: u64,
        info: &Info,
        source: &B::Content,
        last: bool,
    ) -> Result<Progress, Error> {
        session::append(broker, session, offset, info, source, last)
    }

    fn upload_status(broker: &mut B, session: &str, path: &str, info: &Info) -> Result<Progress, Error> {
        session::status(broker, session, path, info)
    }

    /// There is no request for it: a session that is left alone costs nothing and ends after 7 days.
    fn abort_upload(_broker: &mut B, _session: &str) -> Result<(), Error> {
        Ok(())
    }

    fn finish_uploads(broker: &mut B, uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        finish::finish(broker, uploads)
    }

    fn get(
        broker: &mut B,
        path: &str,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
    ) -> Result<Download<B::Body>, Error> {
        download::get(broker, path, Range { offset, len }, revision)
    }

    fn remove(broker: &mut B, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        Ok(removal::remove(broker, items))
    }

    fn relocate(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
        relocation::rename(broker, from, to)
    }

    fn copy(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
        relocation::copy(broker, from, to)
    }

    fn usage(broker: &mut B) -> Result<Space, Error> {
        usage::usage(broker)
    }

    fn changes(broker: &mut B, cursor: Option<&str>) -> Result<ChangesPage, Error> {
        changes::changes(broker, cursor)
    }
}

#[cfg(test)]
mod tests {
    pub(crate) const MANIFEST: &str = include_str!("../manifest.json");
}
