//! Taking up an upload that an earlier process left.
//!
//! The journal says what was sent and of what; the service says how much it has. An upload goes on
//! only when the source is the file that it was and its first bytes still hash to what was sent; else
//! the old session is given up and the file goes from its start.

use super::Error;
use super::send::{Upload, hash, is_gone};
use crate::content::{Identity, Section};
use crate::hash::{Algorithm, Running};
use crate::journal::{self, Known};
use crate::sandbox::operation::Progress;

/// A session that has begun, in this process or an earlier one.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) session: String,
    pub(super) progress: Progress,
    /// The hash of what was acknowledged, as far as it is known.
    pub(super) running: Running,
    /// Bytes that were sent so far.
    pub(super) sent_bytes: u64,
}

impl Upload<'_> {
    /// What was left of an upload to this path, if one can go on with it.
    pub(super) async fn resume(&self) -> Result<Option<Begun>, Error> {
        let Known::Ours(left) = self.attached.journal().take(self.path).await? else { return Ok(None) };
        let running = match self.same_source(&left).await? {
            Some(running) => running,
            None => return self.give_up(&left).await,
        };
        let progress = match self.attached.upload_status(self.path, &left.session, self.info).await {
            Ok(progress) => progress,
            Err(error) if is_gone(&error) => return self.give_up(&left).await,
            Err(error) => return Err(error.into()),
        };
        // The process that sent the last parts did not live to note them. Parts that go in order are sent
        // one at a time, and each is noted while the next is: a connector that claims more than those two
        // lies. Of parts in any order only those that were noted count.
        let unnoted_max = self.attached.manifest().upload.part_size.saturating_mul(2);
        let sent_bytes = match progress {
            Progress::AnyOrder => left.acknowledged.min(self.info.size),
            Progress::More(_) | Progress::Staged | Progress::Done(_) => self.arrived(&progress),
        };
        if sent_bytes > left.acknowledged.saturating_add(unnoted_max) {
            return self.give_up(&left).await;
        }
        if let Some(moved) = self.moved {
            moved(sent_bytes);
        }
        Ok(Some(Begun { session: left.session, progress, running, sent_bytes }))
    }

    /// The hash of what was sent, if the source is still what it was sent from.
    async fn same_source(&self, left: &journal::Upload) -> Result<Option<Running>, Error> {
        // Where it lies does not matter (the next snapshot is mounted elsewhere): its bytes will tell.
        let facts =
            |identity: Identity| (identity.size, identity.modified_seconds, identity.modified_nanoseconds);
        if self.source.identity().map(facts) != Some(facts(left.source)) || *self.info != left.info {
            return Ok(None);
        }
        let whole = Section::whole(std::sync::Arc::clone(self.source));
        let sent = whole.part(0, left.acknowledged)?;
        let running = hash(sent, Running::new(&self.attached.algorithms())).await?;
        let digests = running.clone().finish();
        let own = digests.get(Algorithm::BlockSha256).map(crate::hash::Digest::bytes);
        Ok((own == Some(&left.block_sha256[..])).then_some(running))
    }

    /// Nothing can be done with it. The service forgets it by itself, so failing to say so is no harm.
    async fn give_up(&self, left: &journal::Upload) -> Result<Option<Begun>, Error> {
        let _ = self.attached.abort_upload(self.path, &left.session).await;
        self.attached.journal().end(self.path, None).await?;
        Ok(None)
    }

    /// An upload has begun: whoever comes after us can go on with it.
    pub(super) async fn note_beginning(&self, begun: &Begun) -> Result<(), Error> {
        let Some(source) = self.source.identity() else { return Ok(()) };
        let running = self.hashed_to(begun.running.clone(), self.arrived(&begun.progress)).await?;
        let Some(block_sha256) = own(&running) else { return Ok(()) };
        let upload = journal::Upload {
            path: self.path.clone(),
            session: begun.session.clone(),
            source,
            info: self.info.clone(),
            acknowledged: running.at(),
            block_sha256,
        };
        Ok(self.attached.journal().begin(upload).await?)
    }

    /// How many bytes the service has when it says this.
    fn arrived(&self, progress: &Progress) -> u64 {
        match progress {
            Progress::More(offset) => (*offset).min(self.info.size),
            Progress::AnyOrder => 0,
            Progress::Staged | Progress::Done(_) => self.info.size,
        }
    }

    /// This much is acknowledged.
    pub(super) async fn note_progress(&self, running: &Running) -> Result<(), Error> {
        match own(running) {
            Some(digest) => Ok(self.attached.journal().acknowledge(self.path, running.at(), digest).await?),
            None => Ok(()),
        }
    }
}

/// Wharf's own hash of what was acknowledged.
fn own(running: &Running) -> Option<[u8; 32]> {
    let digests = running.clone().finish();
    digests.get(Algorithm::BlockSha256)?.bytes().try_into().ok()
}
