//! A file in one request.
//!
//! `PUT …:/content` replaces, and can be bound to a revision. It neither keeps a modification time nor
//! creates atomically ("fail" is documented for sessions, and personal accounts ignore
//! `If-None-Match`), so those two go through an upload session, which takes two requests. A session
//! cannot hold zero bytes, so an empty file is always a `PUT`.

use serde_json::json;
use wharf_connector::{
    Broker, Entry, Error, Failure, Info, Kind, Mode, Progress, Reply, Request, outcome, path, time,
};

use crate::item::Item;
use crate::session::{Part, Session};
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, complaint, error, folder, name};

/// How often a session may ask for another offset before it is given up: each such answer means that
/// the service kept only some of what it was sent.
const SENDS_MAX: u32 = 8;

/// Store a file, by the cheapest way that does what `info` asks for.
///
/// # Errors
/// As the contract says for `put`.
pub(crate) fn put<B: Broker>(
    broker: &mut B,
    path: &str,
    source: &B::Content,
    info: &Info,
) -> Result<Entry, Error> {
    check_place(broker, path)?;
    let needs_session = info.mode == Mode::Create || (info.keep_modified && info.modified.is_some());
    if info.size == 0 {
        put_nothing(broker, path, info)
    } else if needs_session {
        put_by_session(broker, path, source, info)
    } else {
        put_content(broker, path, Some(source), info)
    }
}

/// Store an empty file.
///
/// # Errors
/// As [`put`].
pub(crate) fn put_nothing<B: Broker>(broker: &mut B, path: &str, info: &Info) -> Result<Entry, Error> {
    let entry = put_content(broker, path, None, info)?;
    match info.modified.as_ref().filter(|_| info.keep_modified).and_then(time::format) {
        Some(modified) => set_modified(broker, path, &modified),
        None => Ok(entry),
    }
}

/// Can there be a file at this path?
///
/// # Errors
/// [`Error::BadName`], or [`Error::WrongKind`] for the backup directory itself.
pub(crate) fn check_place<B: Broker>(broker: &B, path: &str) -> Result<(), Error> {
    name::check(broker.settings(), path)?;
    if path.is_empty() { Err(Error::WrongKind) } else { Ok(()) }
}

/// Send something that makes the folders on its way, and make them ourselves where the service does
/// not after all.
///
/// # Errors
/// When there is no reply, or the folders cannot be made.
pub(crate) fn send_to_place<B: Broker>(
    broker: &mut B,
    path: &str,
    info: &Info,
    request: &Request<'_, B::Content>,
) -> Result<Result<Reply, Failure>, Error> {
    let reply = broker.exchange(request, ITEM_BYTES_MAX);
    let is_parent_missing = reply.as_ref().is_ok_and(|reply| reply.status == 404);
    if is_parent_missing && !matches!(info.mode, Mode::ReplaceIfRevision(_)) {
        folder::make(broker, path::parent(path).unwrap_or_default())?;
        return Ok(broker.exchange(request, ITEM_BYTES_MAX));
    }
    Ok(reply)
}

/// One `PUT`; without a source, of an empty file.
fn put_content<B: Broker>(
    broker: &mut B,
    path: &str,
    source: Option<&B::Content>,
    info: &Info,
) -> Result<Entry, Error> {
    let mut request = Request::route("put")
        .item(name::stored(broker.settings(), path))
        .header("content-type", "application/octet-stream")
        .header_if("if-match", complaint::if_match(&info.mode));
    if info.mode == Mode::Create {
        request = request.query("@microsoft.graph.conflictBehavior", "fail");
    }
    request = match source {
        Some(source) => request.section(source, 0, info.size),
        None => request.bytes(Vec::new()),
    };
    let reply = match send_to_place(broker, path, info, &request)? {
        Ok(reply) => reply,
        Err(Failure::Lost) => return settle(broker, path, source, Error::Lost),
        Err(failure) => return Err(failure.into()),
    };
    if reply.is_success() {
        return reply.json::<Item>()?.entry(path.to_owned());
    }
    let complaint = complaint::read(broker, path, info, &reply);
    if reply.maybe_applied && matches!(reply.status, 409 | 412) {
        return settle(broker, path, source, complaint);
    }
    Err(complaint)
}

fn settle<B: Broker>(
    broker: &mut B,
    path: &str,
    source: Option<&B::Content>,
    complaint: Error,
) -> Result<Entry, Error> {
    let stored = stat(broker, path);
    match source {
        Some(source) => outcome::settle(broker, complaint, stored, source),
        // Nothing can be unlike about the bytes of an empty file.
        None => stored.ok().filter(|entry| entry.kind == Kind::File && entry.size == 0).ok_or(complaint),
    }
}

fn put_by_session<B: Broker>(
    broker: &mut B,
    path: &str,
    source: &B::Content,
    info: &Info,
) -> Result<Entry, Error> {
    let (session, offset) = Session::start(broker, path, info)?;
    let sent = send_all(broker, &session, offset, source, info);
    if let Err(error) = &sent
        && !error.ends_operation()
        && *error != Error::SessionGone
    {
        // Out of courtesy: a session that is left alone expires, but shows as a file until then.
        let _ = session.cancel(broker);
    }
    sent.map_err(|error| if error == Error::SessionGone { Error::Unavailable } else { error })
}

fn send_all<B: Broker>(
    broker: &mut B,
    session: &Session,
    first: u64,
    source: &B::Content,
    info: &Info,
) -> Result<Entry, Error> {
    let mut offset = first;
    for _ in 0..SENDS_MAX {
        let len = info.size.checked_sub(offset).ok_or(Error::SessionGone)?;
        let part = Part { content: source, skip: offset, offset, len, last: true };
        match session.send(broker, info, &part)? {
            Progress::Done(entry) => return Ok(entry),
            Progress::More(next) => offset = next,
            Progress::Staged | Progress::AnyOrder => return Err(Error::Unavailable),
        }
    }
    Err(Error::Unavailable)
}

fn set_modified<B: Broker>(broker: &mut B, path: &str, modified: &str) -> Result<Entry, Error> {
    let arguments = json!({"fileSystemInfo": {"lastModifiedDateTime": modified}});
    let reply = broker.exchange(
        &Request::route("set-modified").item(name::stored(broker.settings(), path)).json(&arguments),
        ITEM_BYTES_MAX,
    )?;
    if reply.is_success() { reply.json::<Item>()?.entry(path.to_owned()) } else { Err(error::read(&reply)) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::testing::{Answer, Script, Source, failure, reply};
    use wharf_connector::{Algorithm, Datetime};

    use super::*;
    use crate::tests::MANIFEST;

    const UPLOAD: &str = "https://x.up.1drv.com/up?tempauth=1";
    const HANDLE: &str = "upload!https://x.up.1drv.com/up?tempauth=1";

    fn info(size: u64, mode: Mode) -> Info {
        Info { size, modified: None, keep_modified: false, mode }
    }

    fn timed(info: Info) -> Info {
        let modified = Some(Datetime { seconds: 1_431_445_838, nanoseconds: 999 });
        Info { modified, keep_modified: true, ..info }
    }

    fn revision() -> Mode {
        Mode::ReplaceIfRevision("c1".to_owned())
    }

    /// Five bytes whose QuickXorHash is that of "hello".
    fn hello() -> Source {
        let hash = wharf_connector::hash::from_base64(Algorithm::Quickxor, HELLO).unwrap();
        Source::new(5).hashed(Algorithm::Quickxor, &hash.value)
    }

    const HELLO: &str = "aCgDG9jwBgAAAAAABQAAAAAAAAA=";

    fn stored(status: u16, size: u64, hash: &str) -> Answer {
        reply(status, &json!({"name": "f", "size": size, "file": {"hashes": {"quickXorHash": hash}}}))
    }

    fn refused(status: u16, code: &str) -> Answer {
        reply(status, &json!({"error": {"code": code}}))
    }

    fn script() -> Script {
        Script::new(MANIFEST)
    }

    fn on_put(answer: Answer) -> Script {
        script().on("put", json!({"item": "a/f", "payload": "5 bytes from 0"}), answer)
    }

    fn on_stat(script: Script, answer: Answer) -> Script {
        script.on("stat", json!({"item": "a/f"}), answer)
    }

    fn on_start(script: Script, item: Value, answer: Answer) -> Script {
        script.on("start-upload", json!({"item": "a/f", "json": {"item": item}}), answer)
    }

    fn on_part(script: Script, range: &str, payload: &str, answer: Answer) -> Script {
        let expected = json!({"handle": HANDLE, "headers": {"content-range": range}, "payload": payload});
        script.on("send-part", expected, answer)
    }

    fn opened() -> Answer {
        reply(200, &json!({"uploadUrl": UPLOAD, "expirationDateTime": "2030-01-01T00:00:00Z"}))
    }

    #[track_caller]
    fn check(mut script: Script, info: &Info, expected: Result<u64, Error>) {
        let entry = put(&mut script, "a/f", &hello(), info);
        assert_eq!(entry.map(|entry| entry.size), expected);
    }

    #[test]
    fn a_small_file_is_one_request() {
        let content_type = json!({"content-type": "application/octet-stream"});
        let expected =
            json!({"item": "a/f", "headers": content_type, "query": {}, "payload": "5 bytes from 0"});
        let replace = info(5, Mode::Replace);
        check(script().on("put", expected, stored(201, 5, HELLO)), &replace, Ok(5));
        let not_kept = Info { keep_modified: false, ..timed(replace) };
        check(on_put(stored(200, 5, HELLO)), &not_kept, Ok(5));
    }

    #[test]
    fn a_revision_is_a_condition() {
        let headers = json!({"content-type": "application/octet-stream", "if-match": "\"c1\""});
        let on = |answer| script().on("put", json!({"item": "a/f", "headers": headers.clone()}), answer);
        let bound = info(5, revision());
        check(on(stored(200, 5, HELLO)), &bound, Ok(5));
        check(on(refused(412, "resourceModified")), &bound, Err(Error::Conflict));
        check(on(refused(404, "itemNotFound")), &bound, Err(Error::Conflict));
        // Our own first attempt has changed the revision.
        check(
            on_stat(on(refused(412, "resourceModified").maybe_applied()), stored(200, 5, HELLO)),
            &bound,
            Ok(5),
        );
        let other =
            on_stat(on(refused(412, "x").maybe_applied()), stored(200, 5, "SgAAAAAAAAAAAAAAAQAAAAAAAAA="));
        check(other, &bound, Err(Error::Conflict));
    }

    #[test]
    fn what_is_in_the_way_is_looked_at() {
        let taken = || on_put(refused(409, "nameAlreadyExists"));
        let replace = info(5, Mode::Replace);
        check(on_stat(taken(), reply(200, &json!({"folder": {}}))), &replace, Err(Error::WrongKind));
        check(on_stat(taken(), stored(200, 9, HELLO)), &replace, Err(Error::Throttled(None)));
        check(on_stat(taken(), refused(403, "accessDenied")), &replace, Err(Error::Denied));
        check(on_put(refused(507, "insufficientStorage")), &replace, Err(Error::Quota));
        check(on_put(refused(423, "resourceLocked")), &replace, Err(Error::Throttled(None)));
        check(on_put(failure(Failure::SourceChanged)), &replace, Err(Error::SourceChanged));
    }

    #[test]
    fn a_lost_reply_is_settled_by_the_hash() {
        let lost = || on_put(failure(Failure::Lost));
        let replace = info(5, Mode::Replace);
        check(on_stat(lost(), stored(200, 5, HELLO)), &replace, Ok(5));
        check(on_stat(lost(), stored(200, 5, "SgAAAAAAAAAAAAAAAQAAAAAAAAA=")), &replace, Err(Error::Lost));
        check(on_stat(lost(), stored(200, 5, "")), &replace, Err(Error::Lost));
        check(on_stat(lost(), refused(404, "itemNotFound")), &replace, Err(Error::Lost));
    }

    #[test]
    fn missing_folders_are_made_where_the_service_does_not() {
        let folder = json!({"item": "", "json": {"name": "a", "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}});
        let without = on_put(refused(404, "itemNotFound")).on(
            "make-folder",
            folder,
            reply(201, &json!({"folder": {}})),
        );
        let again = without.on("put", json!({"item": "a/f"}), stored(201, 5, HELLO));
        check(again, &info(5, Mode::Replace), Ok(5));
    }

    #[test]
    fn creating_takes_a_session() {
        let create = info(5, Mode::Create);
        let fail = json!({"@microsoft.graph.conflictBehavior": "fail"});
        let started = || on_start(script(), fail.clone(), opened());
        let part = |answer| on_part(started(), "bytes 0-4/5", "5 bytes from 0", answer);
        check(part(stored(201, 5, HELLO)), &create, Ok(5));
        check(
            on_start(script(), fail.clone(), refused(409, "nameAlreadyExists")),
            &create,
            Err(Error::Exists),
        );
        // Somebody else's upload is not finished.
        let busy = || on_start(script(), fail.clone(), refused(409, "conflict"));
        check(on_stat(busy(), stored(200, 5, HELLO)), &create, Err(Error::Exists));
        // Two writers: the other was first.
        let beaten = part(refused(409, "nameAlreadyExists"));
        let cancelled = beaten.on("cancel-upload", json!({"handle": HANDLE}), reply(204, &Value::Null));
        check(cancelled, &create, Err(Error::Exists));
        // The same answer, but it was us.
        let doubt = || part(refused(409, "nameAlreadyExists").maybe_applied());
        check(on_stat(doubt(), stored(200, 5, HELLO)), &create, Ok(5));
        let theirs = on_stat(doubt(), stored(200, 5, "SgAAAAAAAAAAAAAAAQAAAAAAAAA="));
        check(theirs.on("cancel-upload", json!({}), reply(204, &Value::Null)), &create, Err(Error::Exists));
        check(on_stat(part(refused(404, "itemNotFound")), stored(200, 5, HELLO)), &create, Ok(5));
        let vanished = on_stat(part(refused(404, "itemNotFound")), refused(404, "itemNotFound"));
        check(vanished, &create, Err(Error::Unavailable));
        // The reply was lost and the session is gone: only the bytes tell who made the file.
        let lost =
            || part(failure(Failure::Lost)).on("upload-status", json!({}), refused(404, "itemNotFound"));
        check(on_stat(lost(), stored(200, 5, HELLO)), &create, Ok(5));
        check(
            on_stat(lost(), stored(200, 5, "SgAAAAAAAAAAAAAAAQAAAAAAAAA=")),
            &create,
            Err(Error::Unavailable),
        );
    }

    #[test]
    fn keeping_the_time_takes_a_session() {
        let kept = timed(info(5, Mode::Replace));
        let item = json!({
            "@microsoft.graph.conflictBehavior": "replace",
            "fileSystemInfo": {"lastModifiedDateTime": "2015-05-12T15:50:38Z"},
        });
        let started = on_start(script(), item.clone(), opened());
        check(on_part(started, "bytes 0-4/5", "5 bytes from 0", stored(200, 5, HELLO)), &kept, Ok(5));
        let bound = Info { mode: revision(), ..kept };
        let headers = json!({"if-match": "\"c1\""});
        let changed =
            script().on("start-upload", json!({"headers": headers}), refused(412, "resourceModified"));
        check(changed, &bound, Err(Error::Conflict));
    }

    #[test]
    fn a_session_may_ask_for_the_rest() {
        let create = info(5, Mode::Create);
        let started = on_start(script(), json!({"@microsoft.graph.conflictBehavior": "fail"}), opened());
        let half = on_part(
            started,
            "bytes 0-4/5",
            "5 bytes from 0",
            reply(202, &json!({"nextExpectedRanges": ["2-"]})),
        );
        check(on_part(half, "bytes 2-4/5", "3 bytes from 2", stored(201, 5, HELLO)), &create, Ok(5));
        let mut never = on_start(script(), json!({"@microsoft.graph.conflictBehavior": "fail"}), opened());
        for _ in 0..SENDS_MAX {
            let again = reply(202, &json!({"nextExpectedRanges": ["0-"]}));
            never = on_part(never, "bytes 0-4/5", "5 bytes from 0", again);
        }
        check(never, &create, Err(Error::Unavailable));
    }

    #[test]
    fn an_empty_file_is_a_put() {
        let empty = |info: &Info, mut script: Script, expected: Result<u64, Error>| {
            let entry = put(&mut script, "a/f", &Source::new(0), info);
            assert_eq!(entry.map(|entry| entry.size), expected);
        };
        let on = |query: Value, answer| {
            script().on("put", json!({"item": "a/f", "query": query, "payload": "0 bytes"}), answer)
        };
        let fail = json!({"@microsoft.graph.conflictBehavior": "fail"});
        let create = info(0, Mode::Create);
        empty(&info(0, Mode::Replace), on(Value::Null, stored(201, 0, "")), Ok(0));
        empty(&create, on(fail.clone(), stored(201, 0, "")), Ok(0));
        empty(&create, on(fail.clone(), refused(409, "nameAlreadyExists")), Err(Error::Exists));
        let doubt = || on(fail.clone(), refused(409, "nameAlreadyExists").maybe_applied());
        empty(&create, on_stat(doubt(), stored(200, 0, "")), Ok(0));
        empty(&create, on_stat(doubt(), stored(200, 1, "")), Err(Error::Exists));
        let time = json!({"fileSystemInfo": {"lastModifiedDateTime": "2015-05-12T15:50:38Z"}});
        let timed = timed(info(0, Mode::Replace));
        let patch = json!({"item": "a/f", "json": time});
        let put = || on(Value::Null, stored(201, 0, ""));
        empty(&timed, put().on("set-modified", patch.clone(), stored(200, 0, "")), Ok(0));
        empty(&timed, put().on("set-modified", patch, refused(423, "locked")), Err(Error::Throttled(None)));
    }

    #[test]
    fn a_bad_place_is_not_sent() {
        let replace = info(5, Mode::Replace);
        assert_eq!(put(&mut script(), "", &hello(), &replace), Err(Error::WrongKind));
        assert!(matches!(put(&mut script(), "a/.lock", &hello(), &replace), Err(Error::BadName(_))));
    }
}
