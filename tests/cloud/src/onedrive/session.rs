//! Upload sessions: content in parts, in order, at an address of its own.
//!
//! A session knows two things apart: what has arrived (behind a lock that is held for a moment)
//! and the file being written (behind a lock that one part holds while it arrives). So a status
//! can be asked while a part is on its way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::address::{Address, DriveName};
use super::content::{self, Conditions, Target};
use super::drive::Drive;
use super::node::Times;
use super::route::{self, Context, Refusal};
use super::switches::{Conflict, DriveKind, Multiples, RangeStyle};
use super::view::View;
use super::{Failure, OneDrive, Table, item, office, ticket};
use crate::call::Call;
use crate::clock;
use crate::hash::Hasher;
use crate::range::Sent;
use crate::reply::{Answer, Reply, Stop};
use crate::seal;
use crate::store::{Blob, Writer};
use crate::sync::lock;

/// Every part but the last is a multiple of this.
const PART_QUANTUM: u64 = 320 * 1024;
/// A part must be smaller than this.
const PART_BYTES_LIMIT: u64 = 60 * 1024 * 1024;
/// Sessions that are remembered before those that are over are forgotten.
const SESSIONS_MAX: usize = 20_000;
/// How long a part waits for the one before it, whose connection may have died unnoticed.
const WRITER_WAIT: Duration = Duration::from_secs(30);

/// The open sessions, by the secret in their address.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Table<Session>,
}

/// One upload.
#[derive(Debug)]
struct Session {
    account: String,
    drive: Arc<Mutex<Drive>>,
    drive_id: String,
    drive_name: DriveName,
    target: Target,
    conflict: Conflict,
    conditions: Conditions,
    times: Option<Times>,
    deferred: bool,
    temporary: Option<super::node::Key>,
    progress: Mutex<Progress>,
    writer: tokio::sync::Mutex<Option<Writer>>,
}

/// How far an upload has come.
#[derive(Debug)]
struct Progress {
    next: u64,
    total: Option<u64>,
    expires: Timestamp,
    /// Whether a part was no multiple of the quantum.
    odd: bool,
    /// All bytes, waiting to be committed.
    whole: Option<Arc<Blob>>,
}

impl Sessions {
    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        lock(&self.table).len()
    }

    /// Adds a session; those that are over go first when there are many.
    fn add(&self, token: String, session: Session, now: Timestamp) {
        let mut table = lock(&self.table);
        if table.len() >= SESSIONS_MAX {
            table.retain(|_, old| now < lock(&old.progress).expires);
        }
        table.insert(token, Arc::new(session));
    }

    pub(crate) fn account(&self, token: &str) -> Option<String> {
        let table = lock(&self.table);
        table.get(token).map(|session| session.account.clone())
    }

    /// The session with this secret, unless its time is over.
    fn get(&self, token: &str, now: Timestamp) -> Result<Arc<Session>, Failure> {
        let found = lock(&self.table).get(token).cloned();
        let session = found.ok_or_else(Failure::session_gone)?;
        if now < lock(&session.progress).expires {
            return Ok(session);
        }
        // The table's lock is free again: a drive's lock is never taken under it.
        lock(&self.table).remove(token);
        session.drop_temporary();
        Err(Failure::session_gone())
    }

    /// With the switch on, refuses to write where a session is already writing.
    pub(crate) fn check_writer(
        &self,
        service: &OneDrive,
        drive: &str,
        target: &Target,
    ) -> Result<(), Failure> {
        if !service.switches().one_writer {
            return Ok(());
        }
        let now = service.clock.now();
        let table = lock(&self.table);
        let mut open = table
            .values()
            .filter(|session| session.drive_id == drive && now < lock(&session.progress).expires);
        match open.any(|session| same(&session.target, target)) {
            true => {
                Err(Failure::new(409, "conflict", "A file with the same name is currently being uploaded"))
            }
            false => Ok(()),
        }
    }
}

fn same(left: &Target, right: &Target) -> bool {
    match (left, right) {
        (Target::Item(left), Target::Item(right)) => left == right,
        (
            Target::Child { start, folders, name },
            Target::Child { start: other_start, folders: other_folders, name: other_name },
        ) => {
            let fold = super::name::fold;
            start == other_start
                && fold(&folders.join("/")) == fold(&other_folders.join("/"))
                && fold(name) == fold(other_name)
        }
        (Target::Item(_), Target::Child { .. }) | (Target::Child { .. }, Target::Item(_)) => false,
    }
}

/// `POST …/createUploadSession`.
pub(crate) async fn create(context: &Context<'_>, address: &Address, call: &mut Call) -> Answer {
    let service = context.service;
    let document = route::document(call).await?;
    let wanted = document.get("item").cloned().unwrap_or_else(|| json!({}));
    let switches = service.switches();
    let conflict = route::conflict(&wanted, call)?.unwrap_or(switches.session_conflict);
    let now = service.clock.now();
    let shared = context.drive(&address.drive)?;
    let (session, token, url) = {
        let mut drive = lock(&shared);
        let target = Target::of(context, &mut drive, address)?;
        check_new(service, &drive, &target, conflict, &wanted, call)?;
        let token = seal::random(64);
        let host = switches.upload_host.as_deref();
        let (host, path) = ticket::upload_path(drive.kind, host, &token);
        let temporary = match switches.show_temporary && drive.kind != DriveKind::Personal {
            true => temporary(service, &mut drive, &target, now)?,
            false => None,
        };
        let session = Session {
            account: context.account.clone(),
            drive: Arc::clone(&shared),
            drive_id: drive.id.clone(),
            drive_name: address.drive.clone(),
            conditions: Conditions::of(call),
            times: item::new_times(&wanted, drive.kind, now)?,
            deferred: document.get("deferCommit") == Some(&Value::Bool(true)),
            target,
            conflict,
            temporary,
            progress: Mutex::new(Progress {
                next: 0,
                total: None,
                expires: clock::later(now, Duration::from_secs(switches.session_seconds)),
                odd: false,
                whole: None,
            }),
            writer: tokio::sync::Mutex::new(None),
        };
        (session, token, call.mint(&host, &path))
    };
    let mut body = session.status(switches.range_style);
    body["uploadUrl"] = json!(url);
    service.sessions.add(token, session, now);
    Ok(Reply::json(StatusCode::OK, &body))
}

/// What may be wrong with a session before a byte has come.
fn check_new(
    service: &OneDrive,
    drive: &Drive,
    target: &Target,
    conflict: Conflict,
    wanted: &Value,
    call: &Call,
) -> Result<(), Failure> {
    target.check(drive, &Conditions::of(call))?;
    let existing = target.existing(drive);
    if existing.is_some() && conflict == Conflict::Fail {
        return Err(Failure::exists());
    }
    if let Target::Child { start, folders, name } = target {
        let at_root = folders.is_empty() && *start == drive.root;
        super::name::check(name, super::name::Use::File, drive.kind, at_root)?;
        if let Some(given) = wanted.get("name").and_then(Value::as_str)
            && given != name
        {
            return Err(Failure::invalid("Name from path does not match name from body"));
        }
    }
    if let Some(size) = wanted.get("fileSize").and_then(Value::as_u64) {
        drive.check_quota(size, existing)?;
    }
    service.sessions.check_writer(service, &drive.id, target)
}

/// The item that business drives show while an upload is open.
fn temporary(
    service: &OneDrive,
    drive: &mut Drive,
    target: &Target,
    now: Timestamp,
) -> Result<Option<super::node::Key>, Stop> {
    let Target::Child { start, folders, name } = target else {
        return Ok(None);
    };
    let empty = service.store.keep(b"", Hasher::quick())?;
    let parent = drive.resolve_or_make(*start, folders, now)?;
    let name = format!("~tmp{}_{name}", seal::random(2).to_uppercase());
    let made = drive.put(parent, &name, empty, Conflict::Rename, None, now)?;
    Ok(Some(made.0))
}

/// A request to an upload address.
pub(crate) async fn handle(service: &OneDrive, token: &str, call: &mut Call) -> Result<Reply, Refusal> {
    let session = service.sessions.get(token, service.clock.now())?;
    let style = service.switches().range_style;
    match call.method.as_str() {
        "GET" => Ok(Reply::json(StatusCode::OK, &session.status(style))),
        "DELETE" => {
            lock(&service.sessions.table).remove(token);
            session.drop_temporary();
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        "POST" => {
            let view_call = &*call;
            session.commit(service, token, view_call, session.conflict).await
        }
        _ => session.part(service, token, call).await,
    }
}

impl Session {
    /// Where the upload stands: the body of a status and of an accepted part.
    fn status(&self, style: RangeStyle) -> Value {
        let progress = lock(&self.progress);
        let ranges = match (progress.total, style) {
            (Some(total), _) if progress.next >= total => Vec::new(),
            (Some(total), RangeStyle::Closed) => vec![format!("{}-{}", progress.next, total - 1)],
            (_, RangeStyle::Open) | (None, RangeStyle::Closed) => {
                vec![format!("{}-", progress.next)]
            }
        };
        json!({
            "expirationDateTime": clock::milliseconds(progress.expires),
            "nextExpectedRanges": ranges,
        })
    }

    /// Takes one part.
    async fn part(&self, service: &OneDrive, token: &str, call: &mut Call) -> Result<Reply, Refusal> {
        let sent = read_range(call)?;
        let writer = tokio::time::timeout(WRITER_WAIT, self.writer.lock()).await;
        let busy = |_| Failure::new(409, "conflict", "Another part is still being received");
        let mut writer = writer.map_err(busy)?;
        let switches = service.switches();
        self.check_part(sent, switches.multiples)?;
        if writer.is_none() {
            *writer = Some(service.store.writer(Hasher::quick()).await?);
        }
        let Some(file) = writer.as_mut() else {
            return Err(Failure::session_gone().into());
        };
        self.receive(file, sent, call, switches.keep_partial_parts).await?;
        {
            let life = Duration::from_secs(switches.session_seconds);
            let mut progress = lock(&self.progress);
            progress.next = sent.end + 1;
            progress.total = Some(sent.total);
            progress.odd |= !sent.is_last() && is_odd(sent);
            progress.expires = clock::later(service.clock.now(), life);
        }
        if !sent.is_last() {
            let body = self.status(switches.range_style);
            return Ok(Reply::json(StatusCode::ACCEPTED, &body));
        }
        if let Some(file) = writer.take() {
            let whole = file.finish().await?;
            lock(&self.progress).whole = Some(whole);
        }
        drop(writer);
        if self.deferred {
            let body = self.status(switches.range_style);
            return Ok(Reply::json(StatusCode::ACCEPTED, &body));
        }
        self.commit(service, token, call, self.conflict).await
    }

    /// Whether a part fits what has arrived so far.
    fn check_part(&self, sent: Sent, multiples: Multiples) -> Result<(), Failure> {
        let progress = lock(&self.progress);
        let range = |inner| Err(Failure::new(416, "invalidRange", "Invalid range").inner(inner));
        if progress.total.is_some_and(|total| total != sent.total) {
            return Err(Failure::invalid("The total length differs from the first part's")
                .inner("fragmentLengthMismatch"));
        }
        if sent.start < progress.next {
            return range("fragmentOverlap");
        }
        if sent.start > progress.next {
            return range("fragmentOutOfOrder");
        }
        match multiples == Multiples::Early && !sent.is_last() && is_odd(sent) {
            true => Err(Failure::invalid("The fragment length is not a multiple of 320 KiB")),
            false => Ok(()),
        }
    }

    /// Reads a part into the file. A part that breaks off is dropped whole, or kept as far as it
    /// came, as the switch says.
    async fn receive(
        &self,
        file: &mut Writer,
        sent: Sent,
        call: &mut Call,
        keep: bool,
    ) -> Result<(), Refusal> {
        let mark = file.mark();
        let begin = file.size();
        loop {
            let piece = match call.body.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(broken) => {
                    match keep {
                        true => {
                            let mut progress = lock(&self.progress);
                            progress.next = file.size();
                            progress.total = Some(sent.total);
                        }
                        false => file.rollback(mark).await?,
                    }
                    return Err(broken.into());
                }
            };
            file.write(&piece).await?;
            if file.size() - begin > sent.length() {
                break;
            }
        }
        if file.size() - begin == sent.length() {
            return Ok(());
        }
        file.rollback(mark).await?;
        Err(Failure::invalid("The body is not as long as Content-Range says")
            .inner("contentLengthMismatch")
            .into())
    }

    /// Makes an item of the bytes that have arrived. On a conflict the session stays.
    async fn commit(
        &self,
        service: &OneDrive,
        token: &str,
        call: &Call,
        conflict: Conflict,
    ) -> Result<Reply, Refusal> {
        let (whole, odd) = {
            let progress = lock(&self.progress);
            (progress.whole.clone(), progress.odd)
        };
        let incomplete = || Failure::invalid("The upload session is not complete");
        let whole = whole.ok_or_else(incomplete)?;
        if odd && service.switches().multiples == Multiples::AtCommit {
            lock(&service.sessions.table).remove(token);
            return Err(Failure::invalid(
                "The file could not be committed: a fragment was no multiple of 320 KiB",
            )
            .into());
        }
        let whole = office::rewrite(service, &self.drive, &self.target, whole).await?;
        self.drop_temporary();
        let mut drive = lock(&self.drive);
        self.target.check(&drive, &self.conditions)?;
        let (key, new) = content::store(service, &mut drive, &self.target, whole, conflict, self.times)?;
        lock(&service.sessions.table).remove(token);
        let view = View::new(service, call, &self.account, &self.drive_name);
        let value = view.item(&drive, drive.get(key)?);
        let status = if new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply::json(status, &value))
    }

    fn drop_temporary(&self) {
        if let Some(key) = self.temporary {
            // It may have been dropped at an earlier try to commit.
            let _ = lock(&self.drive).remove(key, true);
        }
    }
}

/// The range of a part, checked against what HTTP says of its length.
fn read_range(call: &Call) -> Result<Sent, Failure> {
    let header = call.header("content-range");
    let header = header.ok_or_else(|| Failure::invalid("Content-Range is missing"))?;
    let sent = Sent::parse(header)
        .ok_or_else(|| Failure::invalid("Content-Range is not valid").inner("invalidContentRange"))?;
    let length = call
        .content_length()
        .ok_or_else(|| Failure::new(411, "lengthRequired", "Content-Length is missing"))?;
    if sent.length() >= PART_BYTES_LIMIT {
        return Err(Failure::new(413, "invalidRequest", "The fragment is too large")
            .inner("maxFragmentLengthExceeded"));
    }
    match length == sent.length() {
        true => Ok(sent),
        false => {
            Err(Failure::invalid("Content-Length does not match Content-Range")
                .inner("contentLengthMismatch"))
        }
    }
}

/// Whether a part breaks the rule of multiples. A part that resumes at an odd place is right if it
/// ends at an even one.
fn is_odd(sent: Sent) -> bool {
    !sent.length().is_multiple_of(PART_QUANTUM) && !(sent.end + 1).is_multiple_of(PART_QUANTUM)
}

/// `PUT {item}` with the address of a session whose bytes are complete: commits it there, with
/// another answer to a conflict, or late.
pub(crate) async fn commit_by_path(context: &Context<'_>, address: &Address, call: &mut Call) -> Answer {
    let service = context.service;
    let document = route::document(call).await?;
    let source = document
        .get("@microsoft.graph.sourceUrl")
        .or_else(|| document.get("@content.sourceUrl"))
        .and_then(Value::as_str);
    let source = source.ok_or_else(|| Failure::invalid("The source address is missing"))?;
    let conflict = route::conflict(&document, call)?;
    let token = token_of(source).ok_or_else(Failure::session_gone)?;
    let session = service.sessions.get(&token, service.clock.now())?;
    if session.account != context.account {
        return Err(Failure::denied().into());
    }
    let moved = {
        let drive = context.drive(&address.drive)?;
        let mut drive = lock(&drive);
        let mut target = Target::of(context, &mut drive, address)?;
        let name = document.get("name").and_then(Value::as_str);
        if let (Target::Child { name: last, .. }, Some(name)) = (&mut target, name) {
            *last = name.to_owned();
        }
        Session {
            account: session.account.clone(),
            drive: Arc::clone(&session.drive),
            drive_id: session.drive_id.clone(),
            drive_name: address.drive.clone(),
            target,
            conflict: session.conflict,
            conditions: Conditions::of(call),
            times: item::new_times(&document, drive.kind, service.clock.now())?.or(session.times),
            deferred: false,
            temporary: session.temporary,
            progress: Mutex::new(lock(&session.progress).copy()),
            writer: tokio::sync::Mutex::new(None),
        }
    };
    let conflict = conflict.unwrap_or(session.conflict);
    let committed = moved.commit(service, &token, call, conflict).await;
    committed.map_err(|refusal| match refusal {
        Refusal::Failure(failure) => failure.into(),
        Refusal::Stop(stop) => stop,
    })
}

impl Progress {
    fn copy(&self) -> Self {
        Self {
            next: self.next,
            total: self.total,
            expires: self.expires,
            odd: self.odd,
            whole: self.whole.clone(),
        }
    }
}

/// The secret in an upload address.
fn token_of(url: &str) -> Option<String> {
    let url = percent_encoding::percent_decode_str(url).decode_utf8_lossy();
    let token = match url.split_once("tempauth=v1.") {
        Some((_, token)) => token,
        None => url.split_once("/up/")?.1,
    };
    let end = token.find(|letter: char| !letter.is_ascii_alphanumeric());
    Some(token[..end.unwrap_or(token.len())].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_parts() {
        let odd = |text: &str| is_odd(Sent::parse(text).unwrap());
        assert!(!odd("bytes 0-327679/1000000"));
        assert!(odd("bytes 0-327678/1000000"));
        assert!(odd("bytes 0-99/1000000"));
        assert!(!odd("bytes 100-327679/1000000"), "realigned after a resume");
        assert!(!odd("bytes 100-327779/1000000"), "a multiple from an odd place");
    }

    #[test]
    fn secrets_of_addresses() {
        let cases = [
            ("https://h/x?a=1&tempauth=v1.Ab9%3D%3D", Some("Ab9")),
            ("https://h/x?tempauth=v1.Ab9==&b=2", Some("Ab9")),
            ("https://sn.up.1drv.com/up/Zz1", Some("Zz1")),
            ("https://h/x", None),
        ];
        for (url, token) in cases {
            assert_eq!(token_of(url).as_deref(), token, "{url}");
        }
    }
}
