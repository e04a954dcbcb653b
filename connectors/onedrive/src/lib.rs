//! Microsoft OneDrive and SharePoint libraries, through Microsoft Graph v1.0.
//!
//! What the service calls things and how it answers is in `item`, `error` and `name`; the other files
//! are one operation each. A small file is one `PUT`; what the service must decide atomically
//! (create only if absent) or keep (the modification time) goes through an upload session, two
//! requests. A revision is a file's `cTag`, which changes with its bytes only, or its `eTag` where there
//! is none; `If-Match` takes either.

mod changes;
mod complaint;
mod download;
mod error;
mod folder;
mod item;
mod listing;
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

wharf_connector::component!(crate::OneDrive);

/// Longest answer about one item, in bytes: they are 2 to 4 KiB, and an error's is less.
const ITEM_BYTES_MAX: u32 = 256 * 1024;

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct OneDrive;

impl<B: Broker> Connector<B> for OneDrive {
    fn stat(broker: &mut B, path: &str) -> Result<Entry, Error> {
        stat::stat(broker, path)
    }

    fn list(broker: &mut B, path: &str, recursive: bool, next: Option<&str>) -> Result<Page, Error> {
        // Only delta lists a tree, and only of a whole drive.
        if recursive { Err(Error::Unsupported) } else { listing::list(broker, path, next) }
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
        _first: Option<&B::Content>,
    ) -> Result<Upload, Error> {
        session::begin(broker, path, info)
    }

    fn upload_part(
        broker: &mut B,
        session: &str,
        offset: u64,
        info: &Info,
        source: &B::Content,
        last: bool,
    ) -> Result<Progress, Error> {
        let part = session::Part { content: source, skip: 0, offset, len: broker.size(source), last };
        session::Session::parse(session)?.send(broker, info, &part)
    }

    fn upload_status(broker: &mut B, session: &str, _path: &str, info: &Info) -> Result<Progress, Error> {
        session::Session::parse(session)?.status(broker, info, None, false)
    }

    fn abort_upload(broker: &mut B, session: &str) -> Result<(), Error> {
        session::Session::parse(session)?.cancel(broker)
    }

    /// Uploads finish with their last part here, so there is never one to finish.
    fn finish_uploads(_broker: &mut B, uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        Ok(uploads.iter().map(|_| Err(Error::Unsupported)).collect())
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

    fn relocation_status(broker: &mut B, job: &str, to: &str) -> Result<Relocation, Error> {
        relocation::status(broker, job, to)
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
