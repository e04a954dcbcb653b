//! One file's parts, side by side.
//!
//! Where a service takes the parts of an upload in any order, several are in flight at once: a long way to
//! the service is then gone once for all of them. Each is an operation with a permit of its own and is
//! hashed by itself; the hashes are joined in the order of the file, and the journal follows as far as
//! the parts are acknowledged without a gap. The last part goes when all others are there, since
//! it ends the upload. What is sent again after a crash is at most what was in flight.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Error;
use super::send::{STANDSTILLS_MAX, Upload, may_stand};
use crate::attached::Passed;
use crate::hash::Running;
use crate::sandbox::operation::Progress;

/// Parts of one file in flight at most. Four of 16 MiB keep a line of a gigabit busy over half a second of
/// distance, and are what a crash may cost; the destination's threads bound them as well.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// An upload whose parts may arrive in any order.
#[derive(Clone, Copy)]
pub(super) struct Scattered<'a> {
    pub(super) upload: &'a Upload<'a>,
    pub(super) session: &'a str,
}

/// A part that the service has.
struct Acknowledged {
    progress: Progress,
    /// Where it ends.
    end: u64,
    /// The hash of its bytes, if they went in one piece.
    running: Option<Running>,
    /// What was sent for it, failed attempts too.
    sent_bytes: u64,
}

impl Scattered<'_> {
    /// Send what follows the bytes of `running`, which the service has. Returns where that led, with the
    /// hash of all, and the bytes that were sent for it.
    pub(super) async fn send(self, running: Running) -> Result<(Progress, Passed), Error> {
        let last = self.last();
        let at = self.whole_parts(running.at()).min(last);
        let mut running = self.upload.hashed_to(running, at).await?;
        let (mut noted, mut sent_bytes) = (running.at(), 0_u64);
        let offsets = self.offsets(at, last);
        let sending = stream::iter(offsets).map(|offset| self.part(offset)).buffered(PARTS_IN_FLIGHT_MAX);
        let mut sending = std::pin::pin!(sending);
        loop {
            // The journal is written while parts are sent: it costs no time of its own.
            let note = async {
                if running.at() > noted { self.upload.note_progress(&running).await } else { Ok(()) }
            };
            let (part, written) = tokio::join!(sending.next(), note);
            written?;
            noted = running.at();
            let Some(part) = part else { break };
            let part = part?;
            sent_bytes = sent_bytes.saturating_add(part.sent_bytes);
            running = self.joined(running, part.running, part.end).await?;
        }
        let part = self.part(last).await?;
        let sent_bytes = sent_bytes.saturating_add(part.sent_bytes);
        let running = self.joined(running, part.running, part.end).await?;
        Ok((part.progress, Passed { running: Some(running), sent_bytes }))
    }

    /// Send one part until the service has it.
    async fn part(self, offset: u64) -> Result<Acknowledged, Error> {
        let upload = self.upload;
        let part = upload.part(offset)?;
        let end = part.offset().saturating_add(part.size());
        let mut sent_bytes = 0_u64;
        for _ in 0..=STANDSTILLS_MAX {
            let fresh = Running::starting_at(offset, &upload.attached.algorithms());
            let fresh = fresh.unwrap_or_else(|_| Running::new(&[]));
            let sent = upload
                .attached
                .upload_part(upload.path, self.session, upload.info, &part, &fresh, upload.moved)
                .await;
            let (progress, running) = match sent {
                Ok((progress, passed)) => {
                    sent_bytes = sent_bytes.saturating_add(passed.sent_bytes);
                    (progress, passed.running)
                }
                Err(error) if may_stand(&error) => {
                    sent_bytes = sent_bytes.saturating_add(part.size());
                    let status = upload.attached.upload_status(upload.path, self.session, upload.info).await;
                    match status {
                        // It stands, and nobody knows whether this part is there.
                        Ok(Progress::AnyOrder) => continue,
                        Ok(progress) => (progress, None),
                        // What the first failure says is worth more than that the question failed too.
                        Err(_) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            };
            return match (&progress, offset == self.last()) {
                (Progress::AnyOrder, false) | (Progress::Staged | Progress::Done(_), true) => {
                    Ok(Acknowledged { progress, end, running, sent_bytes })
                }
                (Progress::AnyOrder | Progress::More(_), _)
                | (Progress::Staged | Progress::Done(_), false) => Err(upload.stuck(offset)),
            };
        }
        Err(upload.stuck(offset))
    }

    /// The hash of the file up to `end`, from that of its beginning and that of the part which follows.
    async fn joined(self, mut running: Running, part: Option<Running>, end: u64) -> Result<Running, Error> {
        if let Some(part) = part.filter(|part| part.at() == end) {
            // What cannot be joined is read once more.
            let _ = running.append(part);
        }
        self.upload.hashed_to(running, end).await
    }

    /// Where the last part begins.
    fn last(self) -> u64 {
        self.whole_parts(self.upload.info.size.saturating_sub(1))
    }

    fn whole_parts(self, offset: u64) -> u64 {
        offset.saturating_sub(offset % self.part_size())
    }

    fn part_size(self) -> u64 {
        self.upload.attached.manifest().upload.part_size.max(1)
    }

    /// Where the parts from `at` on begin, but the last.
    fn offsets(self, at: u64, last: u64) -> impl Iterator<Item = u64> {
        let size = self.part_size();
        std::iter::successors(Some(at), move |offset| offset.checked_add(size))
            .take_while(move |offset| *offset < last)
    }
}
