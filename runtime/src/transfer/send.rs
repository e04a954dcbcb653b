//! One file up.
//!
//! A small file goes in one request, a large one in parts through an upload session that the host
//! drives. The host hashes what the service acknowledged, in order, and compares at the end; a copy
//! that is not what was meant is removed again and never counted.

use std::sync::Arc;

use super::{Error, Evidence, Mismatch, Remains, verify};
use crate::attached::{self, Attached, Passed};
use crate::content::{Progress as Moved, Section, Source};
use crate::entry::{Entry, Info, Kind};
use crate::hash::{Digests, Running};
use crate::path::RelativePath;
use crate::sandbox::operation::{Progress, Refusal, Removal, Staged};

/// How often an upload is begun anew when its session is gone: once for a session that expired while
/// it was used, once more for bad luck.
const SESSIONS_MAX: u32 = 3;
/// How often in a row an upload may stand still before it is given up.
const STANDSTILLS_MAX: u32 = 5;

/// What was stored, and what passed through our hands.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) entry: Entry,
    pub(super) digests: Digests,
    pub(super) evidence: Evidence,
}

/// Send a file, verified.
pub(super) async fn send(
    attached: &Attached,
    path: &RelativePath,
    source: &Arc<Source>,
    info: &Info,
    moved: Option<&Moved>,
) -> Result<Sent, Error> {
    let upload = Upload { attached, path, source, info, moved };
    let (entry, passed) = if info.size <= attached.manifest().upload.single_max {
        let whole = Section::whole(Arc::clone(source));
        attached.put(path, &whole, info, moved).await?
    } else {
        upload.in_parts().await?
    };
    // A connector that says "stored" and never sent it could report any hash: we would have computed it.
    if passed.sent_bytes < info.size {
        return Err(upload.never_sent(passed.sent_bytes));
    }
    let digests = upload.digests(passed.running).await?;
    match verify::verify(&entry, &digests) {
        Ok(evidence) => Ok(Sent { entry, digests, evidence }),
        Err(mismatch) => Err(upload.take_back(&entry, mismatch).await),
    }
}

struct Upload<'a> {
    attached: &'a Attached,
    path: &'a RelativePath,
    source: &'a Arc<Source>,
    info: &'a Info,
    moved: Option<&'a Moved>,
}

/// A session that came to its end.
type Finished = (Entry, Passed);

impl Upload<'_> {
    async fn in_parts(&self) -> Result<Finished, Error> {
        let mut sessions = 0_u32;
        loop {
            sessions = sessions.saturating_add(1);
            match self.session().await {
                Err(Error::Operation(error)) if is_gone(&error) && sessions < SESSIONS_MAX => {}
                ended => return ended,
            }
        }
    }

    /// One session, from its opening to the file.
    async fn session(&self) -> Result<Finished, Error> {
        let first = self.part(0)?;
        let first = self.attached.manifest().upload.opening_takes_bytes.then_some(&first);
        let begun = self.attached.begin_upload(self.path, self.info, first, self.moved).await?;
        let (session, mut progress, passed) = begun;
        let mut sent_bytes = passed.sent_bytes;
        let mut running = passed.running.unwrap_or_else(|| Running::new(&self.attached.algorithms()));
        let (mut standstills, mut furthest) = (0_u32, 0_u64);
        loop {
            let offset = match progress {
                Progress::Done(entry) => return Ok((entry, Passed { running: Some(running), sent_bytes })),
                Progress::Staged => {
                    let entry = self.commit(&session).await?;
                    return Ok((entry, Passed { running: Some(running), sent_bytes }));
                }
                Progress::More(offset) => offset,
            };
            running = self.hashed_to(running, offset).await?;
            let part = self.part(offset)?;
            let sent =
                self.attached.upload_part(self.path, &session, self.info, &part, &running, self.moved).await;
            let (next, passed) = match sent {
                Ok((next, passed)) => (next, passed),
                Err(error) if may_stand(&error) => {
                    let status = self.attached.upload_status(self.path, &session, self.info).await;
                    // What the first failure says is worth more than that the question failed too.
                    let sent_bytes = part.size();
                    (status.map_err(|_| error)?, Passed { running: None, sent_bytes })
                }
                Err(error) => return Err(error.into()),
            };
            // Going back and forth is no progress: only further than ever is.
            let moved_on = !matches!(next, Progress::More(next) if next <= furthest.max(offset));
            furthest = furthest.max(offset);
            if let Progress::More(next) = next {
                furthest = furthest.max(next);
            }
            standstills = if moved_on { 0 } else { standstills.saturating_add(1) };
            if standstills > STANDSTILLS_MAX {
                return Err(self.stuck(offset));
            }
            progress = next;
            sent_bytes = sent_bytes.saturating_add(passed.sent_bytes);
            running = passed.running.unwrap_or(running);
        }
    }

    async fn commit(&self, session: &str) -> Result<Entry, Error> {
        let staged = Staged { session: session.to_owned(), path: self.path.clone(), info: self.info.clone() };
        // A commit that is throttled by itself, beside others that are not, is repeated alone.
        for _ in 0..STANDSTILLS_MAX {
            let mut results = self.attached.finish_uploads(std::slice::from_ref(&staged)).await?;
            match results.pop() {
                Some(Err(error)) if matches!(error.problem.refusal(), Some(Refusal::Throttled(_))) => {
                    self.attached.patience(&error).await;
                }
                Some(result) => return Ok(result?),
                None => break,
            }
        }
        Err(self.stuck(self.info.size))
    }

    /// The part that begins at `offset`: it ends on a multiple of the part size, also when the
    /// service resumed in the middle of one.
    fn part(&self, offset: u64) -> Result<Section, Error> {
        let size = self.attached.manifest().upload.part_size;
        let end = (offset / size).saturating_add(1).saturating_mul(size).min(self.info.size);
        let whole = Section::whole(Arc::clone(self.source));
        Ok(whole.part(offset, end.saturating_sub(offset))?)
    }

    /// The hash of the first `offset` bytes: what is there already, or read once more.
    async fn hashed_to(&self, running: Running, offset: u64) -> Result<Running, Error> {
        if running.at() == offset {
            return Ok(running);
        }
        let known = if running.at() < offset { running } else { Running::new(&self.attached.algorithms()) };
        let whole = Section::whole(Arc::clone(self.source));
        let gap = whole.part(known.at(), offset.saturating_sub(known.at()))?;
        hash(gap, known).await
    }

    async fn digests(&self, running: Option<Running>) -> Result<Digests, Error> {
        let running = running.unwrap_or_else(|| Running::new(&self.attached.algorithms()));
        Ok(self.hashed_to(running, self.info.size).await?.finish())
    }

    /// What is stored is wrong: it must not stay where a restore would find it.
    async fn take_back(&self, entry: &Entry, mismatch: Mismatch) -> Error {
        let removal = Removal { path: self.path.clone(), kind: Kind::File, revision: entry.revision.clone() };
        let removed = self.attached.remove(&[removal]).await;
        let removed = removed.is_ok_and(|results| results.iter().all(Result::is_ok));
        let remains = if removed { Remains::Removed } else { Remains::Present };
        Error::Corrupt { place: self.place(), mismatch, remains }
    }

    fn never_sent(&self, sent: u64) -> Error {
        let reason =
            format!("the connector says it is stored, but sent only {sent} of {} bytes", self.info.size);
        Error::Unsent { place: self.place(), reason }
    }

    fn stuck(&self, offset: u64) -> Error {
        Error::Stuck {
            place: self.place(),
            reason: format!("the service stays at {offset} of {} bytes", self.info.size),
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.attached.name(), self.path)
    }
}

/// Hash a section where it may block.
pub(super) async fn hash(section: Section, mut running: Running) -> Result<Running, Error> {
    let name = section.source().name().to_owned();
    let hashed = tokio::task::spawn_blocking(move || section.hash_into(&mut running).map(|()| running)).await;
    let lost = |problem: tokio::task::JoinError| Error::Local {
        action: "read",
        path: name.into(),
        problem: problem.into(),
    };
    Ok(hashed.map_err(lost)??)
}

fn is_gone(error: &attached::Error) -> bool {
    matches!(error.problem.refusal(), Some(Refusal::SessionGone))
}

/// Failures after which the session may still stand, further than we know.
fn may_stand(error: &attached::Error) -> bool {
    matches!(error.problem.refusal(), Some(Refusal::Lost | Refusal::Unavailable))
}
