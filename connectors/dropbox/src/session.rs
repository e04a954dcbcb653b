//! Upload sessions: bytes at offsets, staged until `finish` makes them a file.
//!
//! The session's words are the service's id for it. The last bytes close it, so a session that is closed,
//! or has as many bytes as the file, is staged.

use serde::Deserialize;
use serde_json::json;
use wharf_connector::{Broker, Error, Failure, Info, Progress, Reply, Request, Upload, outcome};

use crate::error::{self, Tags};
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, OCTETS, name};

/// Largest file, in bytes (`too_large` of `UploadSessionLookupError`).
const FILE_BYTES_MAX: u64 = (1 << 41) - (1 << 22);

#[derive(Deserialize)]
struct Started {
    session_id: String,
}

/// Begin with the first bytes, and close when they are all there is.
///
/// # Errors
/// As the contract says for `begin-upload`.
pub(crate) fn begin<B: Broker>(
    broker: &mut B,
    path: &str,
    info: &Info,
    first: Option<&B::Content>,
) -> Result<Upload, Error> {
    name::check_file(path)?;
    if info.size > FILE_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let sent = first.map_or(0, |first| broker.size(first));
    let is_all = sent == info.size;
    let request =
        Request::route("start-upload").header("content-type", OCTETS).json(&json!({"close": is_all}));
    let request = match first {
        Some(first) => request.section(first, 0, sent),
        None => request.bytes(Vec::new()),
    };
    // A session that was opened in vain has no effect, so a lost reply leaves nothing in doubt.
    let reply = broker.ask(&request, ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let session = reply.json::<Started>()?.session_id;
    Ok(Upload { session, progress: if is_all { Progress::Staged } else { Progress::More(sent) } })
}

/// Send a part.
///
/// # Errors
/// As the contract says for `upload-part`.
pub(crate) fn append<B: Broker>(
    broker: &mut B,
    session: &str,
    offset: u64,
    info: &Info,
    source: &B::Content,
    last: bool,
) -> Result<Progress, Error> {
    let len = broker.size(source);
    let request = Request::route("send-part")
        .header("content-type", OCTETS)
        .json(&json!({"cursor": {"session_id": session, "offset": offset}, "close": last}))
        .section(source, 0, len);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return probe(broker, session, info).map_err(after_lost),
        Err(failure) => return Err(failure.into()),
    };
    if reply.is_success() {
        return Ok(if last { Progress::Staged } else { Progress::More(offset.saturating_add(len)) });
    }
    standing(&reply, info)
}

/// Where does it stand, and is it a file already?
///
/// # Errors
/// [`Error::SessionGone`], or why it cannot be told.
pub(crate) fn status<B: Broker>(
    broker: &mut B,
    session: &str,
    path: &str,
    info: &Info,
) -> Result<Progress, Error> {
    match probe(broker, session, info) {
        // A session that has become a file is gone as well.
        Err(Error::SessionGone) => match stat(broker, path) {
            Ok(entry) if outcome::resembles(&entry, info, false) => Ok(Progress::Done(entry)),
            Ok(_) | Err(Error::NotFound) => Err(Error::SessionGone),
            Err(error) => Err(error),
        },
        progress => progress,
    }
}

/// Ask where a session stands. There is no request for that; but appending nothing at offset 0 does
/// nothing where it is right, and is answered with the right offset where it is wrong.
fn probe<B: Broker>(broker: &mut B, session: &str, info: &Info) -> Result<Progress, Error> {
    let request = Request::route("upload-status")
        .header("content-type", OCTETS)
        .json(&json!({"cursor": {"session_id": session, "offset": 0}}))
        .bytes(Vec::new());
    let reply = broker.ask(&request, ITEM_BYTES_MAX)?;
    if reply.is_success() { Ok(Progress::More(0)) } else { standing(&reply, info) }
}

/// Looking after a lost reply either tells, or the loss stands.
fn after_lost(error: Error) -> Error {
    if error == Error::SessionGone { error } else { Error::Lost }
}

/// What a refused append says about the session. An offset that is beyond what was sent means that
/// our own append arrived and only its reply was lost.
fn standing(reply: &Reply, info: &Info) -> Result<Progress, Error> {
    if reply.status != 409 {
        return Err(error::read(reply));
    }
    let body = reply.value();
    match Tags::read(&body["error"]).path() {
        ["incorrect_offset", ..] => match body["error"]["correct_offset"].as_u64() {
            Some(offset) if offset == info.size => Ok(Progress::Staged),
            Some(offset) if offset < info.size => Ok(Progress::More(offset)),
            // It holds more than the file has: not this file's session.
            Some(_) | None => Err(Error::SessionGone),
        },
        ["closed", ..] => Ok(Progress::Staged),
        ["not_found", ..] => Err(Error::SessionGone),
        _ => Err(error::read(reply)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::testing::{Answer, Script, Source, failure, reply};
    use wharf_connector::{Datetime, Mode};

    use super::*;
    use crate::tests::MANIFEST;

    fn info(size: u64, modified: Option<i64>) -> Info {
        let modified = modified.map(|seconds| Datetime { seconds, nanoseconds: 0 });
        Info { size, modified, keep_modified: false, mode: Mode::Replace }
    }

    fn refused(error: Value) -> Answer {
        reply(409, &json!({"error_summary": "x/..", "error": error}))
    }

    fn tag(tag: &str) -> Answer {
        refused(json!({".tag": tag}))
    }

    fn incorrect(offset: u64) -> Answer {
        refused(json!({".tag": "incorrect_offset", "correct_offset": offset}))
    }

    #[track_caller]
    fn check_begin(size: u64, first: Option<u64>, close: bool, payload: &str, expected: &Progress) {
        let expected_request = json!({"json": {"close": close}, "payload": payload});
        let started = reply(200, &json!({"session_id": "s1"}));
        let mut script = Script::new(MANIFEST).on("start-upload", expected_request, started);
        let first = first.map(Source::new);
        let upload = begin(&mut script, "a/f", &info(size, None), first.as_ref()).unwrap();
        assert_eq!((upload.session.as_str(), &upload.progress), ("s1", expected));
    }

    #[test]
    fn the_opening_takes_bytes() {
        check_begin(100, Some(40), false, "40 bytes from 0", &Progress::More(40));
        check_begin(40, Some(40), true, "40 bytes from 0", &Progress::Staged);
        check_begin(0, Some(0), true, "0 bytes from 0", &Progress::Staged);
        check_begin(100, None, false, "0 bytes", &Progress::More(0));
        check_begin(0, None, true, "0 bytes", &Progress::Staged);
    }

    #[test]
    fn an_upload_that_cannot_be_is_not_begun() {
        let begin = |mut script: Script, path: &str, size| {
            begin(&mut script, path, &info(size, None), None).map(|_| ())
        };
        let script = || Script::new(MANIFEST);
        assert_eq!(begin(script(), "a", FILE_BYTES_MAX + 1), Err(Error::TooLarge));
        assert_eq!(begin(script(), "", 5), Err(Error::WrongKind));
        assert!(matches!(begin(script(), "a\n", 5), Err(Error::BadName(_))));
        let on = |answer| script().on("start-upload", json!({}), answer);
        assert_eq!(begin(on(failure(Failure::Lost)), "a", 5), Err(Error::Unavailable));
        assert_eq!(begin(on(tag("payload_too_large")), "a", 5), Err(Error::TooLarge));
    }

    /// Append 30 bytes at 40 of 100, or the last 60.
    #[track_caller]
    fn check_append(last: bool, answer: Answer, probe: Option<Answer>, expected: Result<Progress, Error>) {
        let len = if last { 60 } else { 30 };
        let expected_request = json!({
            "json": {"cursor": {"session_id": "s1", "offset": 40}, "close": last},
            "headers": {"content-type": "application/octet-stream"},
            "payload": format!("{len} bytes from 0"),
        });
        let mut script = Script::new(MANIFEST).on("send-part", expected_request, answer);
        if let Some(answer) = probe {
            script = on_probe(script, answer);
        }
        assert_eq!(append(&mut script, "s1", 40, &info(100, None), &Source::new(len), last), expected);
    }

    fn on_probe(script: Script, answer: Answer) -> Script {
        let cursor = json!({"session_id": "s1", "offset": 0});
        script.on("upload-status", json!({"json": {"cursor": cursor}, "payload": "0 bytes"}), answer)
    }

    #[test]
    fn parts_follow_each_other_to_the_stage() {
        check_append(false, reply(200, &Value::Null), None, Ok(Progress::More(70)));
        check_append(true, reply(200, &Value::Null), None, Ok(Progress::Staged));
    }

    #[test]
    fn an_append_that_arrived_before_is_known_by_the_offset() {
        check_append(false, incorrect(70), None, Ok(Progress::More(70)));
        check_append(true, incorrect(100), None, Ok(Progress::Staged));
        check_append(true, tag("closed"), None, Ok(Progress::Staged));
        check_append(false, incorrect(12), None, Ok(Progress::More(12)));
        check_append(false, incorrect(101), None, Err(Error::SessionGone));
        check_append(false, refused(json!("incorrect_offset")), None, Err(Error::SessionGone));
    }

    #[test]
    fn refusals_are_told_apart() {
        check_append(true, tag("not_found"), None, Err(Error::SessionGone));
        check_append(true, tag("too_large"), None, Err(Error::TooLarge));
        check_append(true, tag("content_hash_mismatch"), None, Err(Error::Corrupt));
        check_append(true, reply(500, &Value::Null), None, Err(Error::Unavailable));
        check_append(true, failure(Failure::SourceChanged), None, Err(Error::SourceChanged));
    }

    #[test]
    fn a_lost_reply_asks_where_it_stands() {
        check_append(true, failure(Failure::Lost), Some(tag("closed")), Ok(Progress::Staged));
        check_append(true, failure(Failure::Lost), Some(incorrect(40)), Ok(Progress::More(40)));
        check_append(true, failure(Failure::Lost), Some(tag("not_found")), Err(Error::SessionGone));
        check_append(true, failure(Failure::Lost), Some(failure(Failure::Unreachable)), Err(Error::Lost));
    }

    #[track_caller]
    fn check_status(script: Script, modified: Option<i64>, expected: Result<Progress, Error>) {
        let mut script = script;
        assert_eq!(status(&mut script, "s1", "a/f", &info(100, modified)), expected);
    }

    #[test]
    fn a_status_tells_where_to_go_on() {
        let on = |answer| on_probe(Script::new(MANIFEST), answer);
        check_status(on(reply(200, &Value::Null)), None, Ok(Progress::More(0)));
        check_status(on(incorrect(16)), None, Ok(Progress::More(16)));
        check_status(on(incorrect(100)), None, Ok(Progress::Staged));
        check_status(on(tag("closed")), None, Ok(Progress::Staged));
        check_status(on(failure(Failure::Lost)), None, Err(Error::Unavailable));
    }

    #[test]
    fn a_session_that_is_gone_may_be_the_file() {
        let on = |answer| {
            on_probe(Script::new(MANIFEST), tag("not_found")).on(
                "stat",
                json!({"json": {"path": "a/f"}}),
                answer,
            )
        };
        let stored =
            || reply(200, &json!({".tag": "file", "size": 100, "client_modified": "2015-05-12T15:50:38Z"}));
        let mut script = on(stored());
        let progress = status(&mut script, "s1", "a/f", &info(100, Some(1_431_445_838)));
        assert!(matches!(progress, Ok(Progress::Done(entry)) if entry.path == "a/f"));
        check_status(on(stored()), Some(1_431_445_000), Err(Error::SessionGone));
        check_status(on(stored()), None, Err(Error::SessionGone));
        let missing = refused(json!({".tag": "path", "path": {".tag": "not_found"}}));
        check_status(on(missing), None, Err(Error::SessionGone));
        check_status(on(reply(500, &Value::Null)), None, Err(Error::Unavailable));
    }
}
