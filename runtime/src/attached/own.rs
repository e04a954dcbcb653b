//! Wharf's own files in a backup directory: small, written whole, and reached by no path of anybody's.
//!
//! The mark of ownership is one (`gate` says when it is left); the export of the configuration is the
//! other. Both go through the connector's `put` and `get` like any file, and through the same grant.

use std::sync::Arc;

use bytes::Bytes;

use super::{Attached, Error};
use crate::ErrorKind;
use crate::broker::Call;
use crate::content::{Section, Source};
use crate::entry::{Entry, Info, Mode};
use crate::ownership::Own;
use crate::sandbox::operation::{Cause, Refusal};

impl Attached {
    /// Store the sealed export of the configuration in place of the one that is there, and see that it
    /// can be read back. The directory must be ours.
    ///
    /// # Errors
    /// When the destination is read-only or another's, full, or does not keep what it is given.
    pub async fn store_export(&self, sealed: &[u8]) -> Result<(), Error> {
        const OPERATION: &str = "export";
        let path = Own::Export.path();
        let size = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
        if size > self.manifest().upload.single_max {
            return Err(self.refused(
                OPERATION,
                &path,
                Refusal::TooLarge,
                Cause::new(format!(
                    "{size} bytes are to be stored at once, and the service takes {}",
                    self.manifest().upload.single_max
                )),
            ));
        }
        self.claim().await?;
        self.may_grow(OPERATION, &path, size).await?;
        self.store_own(OPERATION, Own::Export, Bytes::copy_from_slice(sealed), Mode::Replace).await?;
        let (stored, _) = self.read_own(OPERATION, Own::Export, sealed.len()).await?;
        if stored == sealed {
            return Ok(());
        }
        let cause = Cause::new("what is stored is not what was sent".to_owned());
        Err(self.refused(OPERATION, &path, Refusal::Corrupt, cause))
    }

    /// The sealed export that is there, at most `bytes_max` bytes and one of it; none when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read_export(&self, bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.read_own("recover", Own::Export, bytes_max).await {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn store_own(
        &self,
        operation: &'static str,
        own: Own,
        bytes: Bytes,
        mode: Mode,
    ) -> Result<Entry, Error> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let info = Info { size, modified: None, keep_modified: false, mode };
        let source = Arc::new(Source::from_bytes(bytes, format!("`{}`", own.name())));
        let (path, section) = (own.path(), Section::whole(source));
        let work = |call: Arc<Call>| {
            let (path, section, info) = (&path, section.clone(), &info);
            async move { self.connector.put(&call, path, section, info).await }
        };
        let entry = self.run(operation, &path, work).await?;
        if entry.size == size {
            return Ok(entry);
        }
        let said = format!("{size} bytes were sent, and {} are stored", entry.size);
        Err(self.refused(operation, &path, Refusal::Corrupt, Cause::new(said)))
    }

    /// What is there, cut off after the first byte beyond `bytes_max`; and its revision, if the reply
    /// says it.
    pub(super) async fn read_own(
        &self,
        operation: &'static str,
        own: Own,
        bytes_max: usize,
    ) -> Result<(Vec<u8>, Option<String>), Error> {
        let path = own.path();
        let mut opened = self.open(&path, 0, None, None).await?;
        let mut bytes = Vec::new();
        let cut = |reason: String| self.refused(operation, &path, Refusal::Unavailable, Cause::new(reason));
        while let Some(chunk) = opened.download.body.chunk().await.map_err(|error| cut(error.to_string()))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > bytes_max {
                bytes.truncate(bytes_max.saturating_add(1));
                break;
            }
        }
        Ok((bytes, opened.download.entry.take().and_then(|entry| entry.revision)))
    }
}
