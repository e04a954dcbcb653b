//! One file up.
//!
//! A small file goes in one request, a large one in parts through an upload session that the host
//! drives and journals. Where a service commits many uploads at once, a file of a tree is only staged
//! here and committed with others. The host hashes what the service acknowledged, in order, and
//! compares at the end; a copy that is not what was meant is removed again and never counted.

use std::sync::Arc;

use super::resume::Begun;
use super::scatter::Scattered;
use super::{Error, Evidence, Mismatch, Remains, Rewritten, verify};
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
pub(super) const STANDSTILLS_MAX: u32 = 5;

/// What was stored, and what passed through our hands.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) entry: Entry,
    pub(super) digests: Digests,
    pub(super) evidence: Evidence,
}

/// How sending a file ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is a file.
    Stored(Sent),
    /// The service has its bytes, and a commit makes them a file.
    Staged {
        /// The session.
        session: String,
        /// The hashes of what was sent.
        digests: Digests,
    },
}

/// One file to be sent.
pub(super) struct Upload<'a> {
    pub(super) attached: &'a Attached,
    pub(super) path: &'a RelativePath,
    pub(super) source: &'a Arc<Source>,
    pub(super) info: &'a Info,
    pub(super) moved: Option<&'a Moved>,
    /// Was an upload to this path journaled before?
    pub(super) journaled: bool,
    /// May it be staged, to be committed with others?
    pub(super) stage: bool,
}

/// How the bytes got there, before they are verified.
enum Moving {
    Stored(Entry, Passed),
    Staged(String, Passed),
}

impl Upload<'_> {
    /// Send it, verified.
    pub(super) async fn send(&self) -> Result<Ended, Error> {
        let (moving, ours) = self.bytes().await?;
        let passed = match &moving {
            Moving::Stored(_, passed) | Moving::Staged(_, passed) => passed,
        };
        // A connector that says "stored" and never sent it could report any hash: we would have computed it.
        if passed.sent_bytes < self.info.size {
            return Err(self.never_sent(passed.sent_bytes));
        }
        match moving {
            Moving::Staged(session, passed) => {
                Ok(Ended::Staged { session, digests: self.digests(passed.running).await? })
            }
            Moving::Stored(entry, passed) => {
                let digests = self.digests(passed.running).await?;
                let sent = verified(self.attached, self.path, entry, digests).await;
                if sent.is_err() && ours {
                    // What it came to is wrong: nobody is to go on with it.
                    self.attached.journal().end(self.path, None).await?;
                }
                sent.map(Ended::Stored)
            }
        }
    }

    /// Have the service get all bytes; and whether the journal knows of it.
    async fn bytes(&self) -> Result<(Moving, bool), Error> {
        if self.journaled
            && let Some(begun) = self.resume().await?
        {
            return match self.to_the_end(begun).await {
                Err(Error::Operation(error)) if is_gone(&error) => self.in_parts().await,
                ended => ended,
            }
            .map(|moving| (moving, true));
        }
        if self.stage || self.info.size > self.attached.manifest().upload.single_max {
            return Ok((self.in_parts().await?, true));
        }
        let whole = Section::whole(Arc::clone(self.source));
        let (entry, passed) = self.attached.put(self.path, &whole, self.info, self.moved).await?;
        Ok((Moving::Stored(entry, passed), false))
    }

    async fn in_parts(&self) -> Result<Moving, Error> {
        let mut sessions = 0_u32;
        loop {
            sessions = sessions.saturating_add(1);
            match self.session().await {
                Err(Error::Operation(error)) if is_gone(&error) && sessions < SESSIONS_MAX => {}
                ended => return ended,
            }
        }
    }

    /// One session, from its opening on.
    async fn session(&self) -> Result<Moving, Error> {
        let first = self.part(0)?;
        let first = self.attached.manifest().upload.opening_takes_bytes.then_some(&first);
        let begun = self.attached.begin_upload(self.path, self.info, first, self.moved).await?;
        let (session, progress, passed) = begun;
        let running = passed.running.unwrap_or_else(|| Running::new(&self.attached.algorithms()));
        let begun = Begun { session, progress, running, sent_bytes: passed.sent_bytes };
        if !matches!(begun.progress, Progress::Done(_)) {
            self.note_beginning(&begun).await?;
        }
        self.to_the_end(begun).await
    }

    /// A session from where it stands.
    async fn to_the_end(&self, begun: Begun) -> Result<Moving, Error> {
        let Begun { session, mut progress, mut running, mut sent_bytes } = begun;
        let mut noted = running.at();
        let (mut standstills, mut furthest) = (0_u32, 0_u64);
        loop {
            let offset = match progress {
                Progress::AnyOrder => {
                    let (next, passed) = Scattered { upload: self, session: &session }.send(running).await?;
                    progress = next;
                    sent_bytes = sent_bytes.saturating_add(passed.sent_bytes);
                    running = passed.running.unwrap_or_else(|| Running::new(&[]));
                    continue;
                }
                Progress::Done(entry) => {
                    return Ok(Moving::Stored(entry, Passed { running: Some(running), sent_bytes }));
                }
                Progress::Staged => {
                    return Ok(Moving::Staged(session, Passed { running: Some(running), sent_bytes }));
                }
                Progress::More(offset) => offset,
            };
            running = self.hashed_to(running, offset).await?;
            let part = self.part(offset)?;
            // The journal is written while the part is sent: it costs no time of its own.
            let note =
                async { if running.at() > noted { self.note_progress(&running).await } else { Ok(()) } };
            let (sent, written) = tokio::join!(self.send_part(&session, &part, &running), note);
            written?;
            noted = noted.max(running.at());
            let (next, passed) = sent?;
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

    /// Send a part. Where that fails, the session may stand all the same: it is asked.
    async fn send_part(
        &self,
        session: &str,
        part: &Section,
        running: &Running,
    ) -> Result<(Progress, Passed), Error> {
        let sent = self.attached.upload_part(self.path, session, self.info, part, running, self.moved).await;
        match sent {
            Err(error) if may_stand(&error) => {
                let status = self.attached.upload_status(self.path, session, self.info).await;
                // What the first failure says is worth more than that the question failed too.
                let progress = status.map_err(|_| error)?;
                Ok((progress, Passed { running: None, sent_bytes: part.size() }))
            }
            sent => Ok(sent?),
        }
    }

    /// Make a staged upload a file, by itself.
    pub(super) async fn commit(&self, session: &str, digests: Digests) -> Result<Sent, Error> {
        let staged = Staged { session: session.to_owned(), path: self.path.clone(), info: self.info.clone() };
        // A commit that is throttled by itself, beside others that are not, is repeated alone.
        for _ in 0..STANDSTILLS_MAX {
            let mut results = self.attached.finish_uploads(std::slice::from_ref(&staged)).await?;
            match results.pop() {
                Some(Err(error)) if matches!(error.problem.refusal(), Some(Refusal::Throttled(_))) => {
                    self.attached.patience(&error).await;
                }
                Some(result) => return verified(self.attached, self.path, result?, digests).await,
                None => break,
            }
        }
        Err(self.stuck(self.info.size))
    }

    /// The part that begins at `offset`: it ends on a multiple of the part size, also when the
    /// service resumed in the middle of one.
    pub(super) fn part(&self, offset: u64) -> Result<Section, Error> {
        let size = self.attached.manifest().upload.part_size;
        let end = (offset / size).saturating_add(1).saturating_mul(size).min(self.info.size);
        let whole = Section::whole(Arc::clone(self.source));
        Ok(whole.part(offset, end.saturating_sub(offset))?)
    }

    /// The hash of the first `offset` bytes: what is there already, or read once more.
    pub(super) async fn hashed_to(&self, running: Running, offset: u64) -> Result<Running, Error> {
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

    fn never_sent(&self, sent: u64) -> Error {
        let reason =
            format!("the connector says it is stored, but sent only {sent} of {} bytes", self.info.size);
        Error::Unsent { place: self.place(), reason }
    }

    pub(super) fn stuck(&self, offset: u64) -> Error {
        Error::Stuck {
            place: self.place(),
            reason: format!("the service stays at {offset} of {} bytes", self.info.size),
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.attached.name(), self.path)
    }
}

/// Is what is stored at `path` what was meant? If not, it is removed again.
pub(super) async fn verified(
    attached: &Attached,
    path: &RelativePath,
    entry: Entry,
    digests: Digests,
) -> Result<Sent, Error> {
    match verify::verify(&entry, &digests) {
        Ok(evidence) => Ok(Sent { entry, digests, evidence }),
        Err(mismatch) => Err(take_back(attached, path, &entry, mismatch).await),
    }
}

/// What is stored is wrong: it must not stay where a restore would find it.
async fn take_back(attached: &Attached, path: &RelativePath, entry: &Entry, mismatch: Mismatch) -> Error {
    let removal = Removal { path: path.clone(), kind: Kind::File, revision: entry.revision.clone() };
    let removed = attached.remove(&[removal]).await;
    let removed = removed.is_ok_and(|results| results.iter().all(Result::is_ok));
    let remains = if removed { Remains::Removed } else { Remains::Present };
    let rewrites = attached.manifest().upload.rewrites.as_ref();
    if let Some(rewrites) = rewrites
        && let Some(ending) = rewrites.ending(path.as_str())
    {
        let (ending, remedy) = (ending.to_owned(), rewrites.remedy.clone());
        let place = format!("{}:{path}", attached.name());
        return Error::Rewritten(Box::new(Rewritten { place, ending, mismatch, remains, remedy }));
    }
    Error::Corrupt { place: format!("{}:{path}", attached.name()), mismatch, remains }
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

/// Does the service know nothing of a session?
pub(super) fn is_gone(error: &attached::Error) -> bool {
    matches!(error.problem.refusal(), Some(Refusal::SessionGone))
}

/// Failures after which the session may still stand, further than we know.
pub(super) fn may_stand(error: &attached::Error) -> bool {
    matches!(error.problem.refusal(), Some(Refusal::Lost | Refusal::Unavailable))
}
