//! What a connector can do: the functions of `destination` in `wit/connector.wit`, which says what
//! each of them promises.

use crate::{
    Broker, ChangesPage, Entry, Error, Info, Page, Progress, Relocation, Removal, Space, Staged, Upload,
};

/// A download that has begun.
#[derive(Debug)]
pub struct Download<Body> {
    /// The bytes.
    pub body: Body,
    /// The offset of the body's first byte.
    pub offset: u64,
    /// What is stored there, if the reply told.
    pub entry: Option<Entry>,
}

/// A connector for one kind of destination. Paths are relative to the backup directory. One call is
/// one operation: nothing is kept from one to the next.
#[expect(
    clippy::missing_errors_doc,
    reason = "every function fails as `destination.error` of the contract says"
)]
pub trait Connector<B: Broker> {
    /// What is stored at `path`?
    fn stat(broker: &mut B, path: &str) -> Result<Entry, Error>;

    /// A page of what is in a folder.
    fn list(broker: &mut B, path: &str, recursive: bool, next: Option<&str>) -> Result<Page, Error>;

    /// Make a folder and the folders on the way to it.
    fn make_folder(broker: &mut B, path: &str) -> Result<Entry, Error>;

    /// Store a file in one request.
    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error>;

    /// Begin an upload in parts.
    fn begin_upload(
        broker: &mut B,
        path: &str,
        info: &Info,
        first: Option<&B::Content>,
    ) -> Result<Upload, Error>;

    /// Send one part; `source` is the part, `offset` its place in the whole.
    fn upload_part(
        broker: &mut B,
        session: &str,
        offset: u64,
        info: &Info,
        source: &B::Content,
        last: bool,
    ) -> Result<Progress, Error>;

    /// Where does this upload stand?
    fn upload_status(broker: &mut B, session: &str, path: &str, info: &Info) -> Result<Progress, Error>;

    /// Forget an upload and what it has sent.
    fn abort_upload(broker: &mut B, session: &str) -> Result<(), Error>;

    /// Make staged uploads files.
    fn finish_uploads(broker: &mut B, uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error>;

    /// Read a range of a file.
    fn get(
        broker: &mut B,
        path: &str,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
    ) -> Result<Download<B::Body>, Error>;

    /// Remove files and folders.
    fn remove(broker: &mut B, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error>;

    /// Give something another path, replacing nothing. Not every service can.
    fn relocate(_broker: &mut B, _from: &str, _to: &str) -> Result<Relocation, Error> {
        Err(Error::Unsupported)
    }

    /// Copy something at the service, replacing nothing. Not every service can.
    fn copy(_broker: &mut B, _from: &str, _to: &str) -> Result<Relocation, Error> {
        Err(Error::Unsupported)
    }

    /// How far is a relocation that was running? Only for those that leave one running.
    fn relocation_status(_broker: &mut B, _job: &str, _to: &str) -> Result<Relocation, Error> {
        Err(Error::Unsupported)
    }

    /// How full is the service? Not every one tells.
    fn usage(_broker: &mut B) -> Result<Space, Error> {
        Err(Error::Unsupported)
    }

    /// What changed since a cursor, or all that is there? Not every service keeps account.
    fn changes(_broker: &mut B, _cursor: Option<&str>) -> Result<ChangesPage, Error> {
        Err(Error::Unsupported)
    }
}
