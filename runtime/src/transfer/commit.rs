//! Many files in one commit.
//!
//! Where a service commits many uploads at once, the files of a tree are staged side by side and made
//! files together, one commit at a time: a service that locks a namespace for each would refuse the
//! second anyway. What is staged is journaled, so a process that is killed in between leaves nothing
//! that would have to be sent again.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::attached::{self, Attached};
use crate::entry::{Entry, Info};
use crate::hash::Digests;
use crate::path::RelativePath;
use crate::sandbox::operation::{Refusal, Staged};

/// Files in one commit at most, whatever the service takes: enough that the commits do not count
/// beside the uploads, and few enough that a file is not long in coming.
const BATCH_MAX: usize = 250;
/// How often entries of a commit that are throttled by themselves are asked for again.
const COMMITS_MAX: u32 = 8;

/// A file that the service has the bytes of.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Where it comes from.
    pub(super) from: PathBuf,
    /// Where it is, below the copied root.
    pub(super) path: RelativePath,
    /// Where it goes.
    pub(super) place: RelativePath,
    pub(super) info: Info,
    pub(super) session: String,
    pub(super) digests: Digests,
}

/// The files that wait for a commit.
#[derive(Debug)]
pub(super) struct Commits {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
    batch_max: usize,
}

/// What a commit came to.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// These are files.
    pub(super) stored: Vec<(Waiting, Entry)>,
    /// The service forgot the bytes of these.
    pub(super) gone: Vec<Waiting>,
    /// These it would not have.
    pub(super) failed: Vec<(Waiting, attached::Error)>,
}

impl Commits {
    /// Nothing waits yet. None where the service commits one by one.
    pub(super) fn new(attached: &Attached) -> Option<Self> {
        let upload = &attached.manifest().upload;
        let batch_max = usize::try_from(upload.commit_batch_max).unwrap_or(usize::MAX).min(BATCH_MAX);
        let batches = batch_max > 1 && upload.opening_takes_bytes;
        batches.then(|| Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default(), batch_max })
    }

    /// Another one. Returns whether there are enough for a commit.
    pub(super) fn add(&self, file: Waiting) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(file);
        waiting.len() >= self.batch_max
    }

    /// Commit what waits, at most one batch, when it is our turn. What goes wrong goes wrong for some of
    /// the files, so each has its own end.
    pub(super) async fn commit(&self, attached: &Attached) -> Committed {
        let _turn = self.turn.lock().await;
        let mut left = self.take();
        let mut committed = Committed::default();
        for commit in 1..=COMMITS_MAX {
            if left.is_empty() {
                break;
            }
            let throttled = committed.once(attached, &mut left).await;
            match throttled {
                Some(error) if commit < COMMITS_MAX => attached.patience(&error).await,
                Some(error) => committed.failed.extend(left.drain(..).map(|file| (file, error.clone()))),
                None => break,
            }
        }
        committed
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let end = waiting.len().min(self.batch_max);
        waiting.drain(..end).collect()
    }

    /// Does anything wait?
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Committed {
    /// One commit. Those that are to be asked for again are left; the reason is one of theirs.
    async fn once(&mut self, attached: &Attached, left: &mut Vec<Waiting>) -> Option<attached::Error> {
        let staged: Vec<Staged> = left
            .iter()
            .map(|file| Staged {
                session: file.session.clone(),
                path: file.place.clone(),
                info: file.info.clone(),
            })
            .collect();
        let files = std::mem::take(left);
        let results = match attached.finish_uploads(&staged).await {
            Ok(results) => results,
            Err(error) => {
                self.failed.extend(files.into_iter().map(|file| (file, error.clone())));
                return None;
            }
        };
        let mut throttled = None;
        for (file, result) in files.into_iter().zip(results) {
            match result {
                Ok(entry) => self.stored.push((file, entry)),
                Err(error) => match error.problem.refusal() {
                    Some(Refusal::Throttled(_)) => {
                        throttled = Some(error);
                        left.push(file);
                    }
                    Some(Refusal::SessionGone) => self.gone.push(file),
                    Some(_) | None => self.failed.push((file, error)),
                },
            }
        }
        throttled
    }
}
