//! Uploads in parts: whole, begun and forgotten, and asked for by those who never began one.

use super::super::Outcome;
use super::{Stop, Suite, info, length, need, noise, path, source, word};
use crate::attached::Error;
use crate::content::Section;
use crate::entry::{Info, Mode};
use crate::hash::Running;
use crate::sandbox::operation::{Progress, Staged};

/// A service that takes this much at once gets everything at once.
const WHOLE_BYTES_MIN: u64 = 1 << 40;
/// Bytes of the largest part that is tried: two of them are held in memory.
const PART_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Requests for parts that an upload of two parts may take.
const STEPS_MAX: usize = 10;

/// One upload to be tried.
struct Upload<'a> {
    place: &'a str,
    bytes: &'a [u8],
    part: u64,
    opening: bool,
    info: Info,
}

impl Suite<'_> {
    pub(super) async fn uploads(&mut self) -> Result<(), Stop> {
        let upload = &self.attached.manifest().upload;
        let (part, opening, single) = (upload.part_size, upload.opening_takes_bytes, upload.single_max);
        let skipped = if single > WHOLE_BYTES_MIN {
            Some("everything goes in one piece".to_owned())
        } else if part > PART_BYTES_MAX {
            Some(format!("parts of {part} bytes are not tried; {PART_BYTES_MAX} are"))
        } else {
            None
        };
        if let Some(reason) = skipped {
            self.tell("an upload in parts".to_owned(), Outcome::Skipped(reason));
            return Ok(());
        }
        let two = usize::try_from(part.saturating_mul(2)).unwrap_or_default();
        for (name, more) in [("exact", 0), ("and-one", 1)] {
            let size = two.saturating_add(more);
            let (place, bytes) = (format!("sessions/{name}"), noise(11 + length(more), size));
            let info = info(size, Mode::Replace);
            let upload = Upload { place: &place, bytes: &bytes, part, opening, info };
            let done = self.upload(&upload).await;
            self.check(&format!("an upload of two parts and {more} bytes"), done.as_deref(), Ok("done"));
            let back = self.read(&place, 0, None).await.ok().flatten();
            self.check(&format!("`{name}` comes back"), back == Some(bytes), true);
        }
        let bytes = noise(13, two);
        self.forgotten(&bytes, part, opening).await?;
        need("put a file", self.put("sessions/there", b"x", Mode::Replace).await)?;
        let info = info(bytes.len(), Mode::Create);
        let over = Upload { place: "sessions/there", bytes: &bytes, part, opening, info };
        let over = self.upload(&over).await;
        self.check("an upload that creates what is there", over, Err("exists".to_owned()));
        let bytes = self.read("sessions/there", 0, None).await.ok().flatten();
        self.check("leaves it as it was", bytes, Some(b"x".to_vec()));
        Ok(())
    }

    /// An upload that is begun, asked for and aborted.
    async fn forgotten(&mut self, bytes: &[u8], part: u64, opening: bool) -> Result<(), Stop> {
        let (info, first) = (info(bytes.len(), Mode::Replace), first(bytes, part, opening));
        let place = path("sessions/aborted");
        let begun = self.attached.begin_upload(&place, &info, first.as_ref(), None).await;
        self.check_word("begin an upload", &begun, &["ok"]);
        let (session, progress, _) = need("begin an upload", begun)?;
        let stands = if opening { part } else { 0 };
        let any_order = progress == Progress::AnyOrder;
        let expected = if any_order { Progress::AnyOrder } else { Progress::More(stands) };
        self.check("it stands where it began", progress, expected.clone());
        let status = self.attached.upload_status(&place, &session, &info).await;
        self.check("and says so when it is asked", status.ok(), Some(expected));
        let missing = self.stat("sessions/aborted").await;
        self.check_word("what is not finished is no file", &missing, &["not-found"]);
        let aborted = self.attached.abort_upload(&place, &session).await;
        self.check_word("abort an upload", &aborted, &["ok"]);
        let garbage = self.attached.upload_status(&place, "no session of anybody", &info).await;
        self.check_word("ask for a session that never was", &garbage, &["session-gone"]);
        Ok(())
    }

    /// An upload from its first part to its last: `done`, or what it ended with.
    async fn upload(&self, upload: &Upload<'_>) -> Result<String, String> {
        let Upload { place, bytes, part, opening, info } = upload;
        let (place, whole) = (path(place), Section::whole(source(bytes)));
        let first = first(bytes, *part, *opening);
        let told = |error: Error| word::<()>(&Err(error));
        let begun = self.attached.begin_upload(&place, info, first.as_ref(), None).await.map_err(told)?;
        let (session, mut progress, _) = begun;
        let mut at = 0;
        for _ in 0..STEPS_MAX {
            // What may come in any order comes in the file's here.
            let due = match progress {
                Progress::More(offset) => offset,
                Progress::AnyOrder | Progress::Staged | Progress::Done(_) => at,
            };
            progress = match progress {
                Progress::Done(entry) if entry.size == info.size => return Ok("done".to_owned()),
                Progress::Done(entry) => return Ok(format!("done with {} bytes", entry.size)),
                Progress::Staged => self.finished(&session, &place, info).await.map_err(told)?,
                Progress::More(_) | Progress::AnyOrder => {
                    let left = whole.size().saturating_sub(due);
                    let section = whole.part(due, left.min(*part));
                    let section = section.map_err(|_| format!("asks for bytes from {due} on"))?;
                    at = due.saturating_add(section.size());
                    let running = Running::new(&self.attached.algorithms());
                    let sent =
                        self.attached.upload_part(&place, &session, info, &section, &running, None).await;
                    sent.map_err(told)?.0
                }
            };
        }
        Ok("no end".to_owned())
    }

    async fn finished(
        &self,
        session: &str,
        place: &crate::path::RelativePath,
        info: &Info,
    ) -> Result<Progress, Error> {
        let staged = Staged { session: session.to_owned(), path: place.clone(), info: info.clone() };
        let result = self.attached.finish_uploads(&[staged]).await?.pop();
        // One result for one upload: the host has seen to that.
        result.map_or(Ok(Progress::Staged), |result| result.map(Progress::Done))
    }
}

fn first(bytes: &[u8], part: u64, opening: bool) -> Option<Section> {
    let whole = Section::whole(source(bytes));
    opening.then(|| whole.part(0, part.min(whole.size())).ok()).flatten()
}
