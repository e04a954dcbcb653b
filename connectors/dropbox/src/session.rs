//! Upload sessions: bytes at offsets, staged until `finish` makes them a file.
//!
//! What fits one request goes with the opening one. A longer file goes through a *concurrent* session, whose
//! parts arrive in any order side by side, unless the operator wants them one after the other; such
//! a session takes no bytes when it is opened, and its last part closes it. A session that is closed, or
//! has as many bytes as the file, is staged.
//!
//! Every request with bytes says their hash, so what is damaged on the way is refused where it happens.

use serde::Deserialize;
use serde_json::{Value, json};
use wharf_connector::{Broker, Error, Failure, Info, Progress, Reply, Request, Upload, outcome};

use crate::error::{self, Tags};
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, OCTETS, name, put};

/// Largest file, in bytes (`too_large` of `UploadSessionLookupError`).
const FILE_BYTES_MAX: u64 = (1 << 41) - (1 << 22);

/// What the words of a concurrent session begin with; ids of the service have no such beginning.
const ANY_ORDER: &str = "any-order:";

/// A session as its words say it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session<'a> {
    /// The service's id for it.
    pub(crate) id: &'a str,
    any_order: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn parse(words: &'a str) -> Self {
        match words.strip_prefix(ANY_ORDER) {
            Some(id) => Self { id, any_order: true },
            None => Self { id: words, any_order: false },
        }
    }
}

#[derive(Deserialize)]
struct Started {
    session_id: String,
}

/// What of the destination's options concerns uploads.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    sequential_uploads: bool,
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
    if !is_all && !is_sequential(broker) {
        let words = format!("{ANY_ORDER}{}", open(broker, &json!({"session_type": "concurrent"}), None)?);
        return Ok(Upload { session: words, progress: Progress::AnyOrder });
    }
    let session = open(broker, &json!({"close": is_all}), first)?;
    Ok(Upload { session, progress: if is_all { Progress::Staged } else { Progress::More(sent) } })
}

/// Open a session, with its first bytes if there are any. Returns the service's id for it.
fn open<B: Broker>(broker: &mut B, arguments: &Value, first: Option<&B::Content>) -> Result<String, Error> {
    let request = Request::route("start-upload").header("content-type", OCTETS);
    let request = match first {
        Some(first) => {
            let arguments = with_hash(broker, arguments, first);
            request.json(&arguments).section(first, 0, broker.size(first))
        }
        None => request.json(arguments).bytes(Vec::new()),
    };
    // A session that was opened in vain has no effect, so a lost reply leaves nothing in doubt.
    let reply = broker.ask(&request, ITEM_BYTES_MAX)?;
    if reply.is_success() { Ok(reply.json::<Started>()?.session_id) } else { Err(error::read(&reply)) }
}

fn is_sequential<B: Broker>(broker: &B) -> bool {
    let options = serde_json::from_str::<Options>(&broker.settings().options);
    options.unwrap_or_default().sequential_uploads
}

/// These arguments, and the hash of the bytes that go with them.
fn with_hash<B: Broker>(broker: &B, arguments: &Value, source: &B::Content) -> Value {
    let mut arguments = arguments.clone();
    if let (Some(arguments), Some(digits)) = (arguments.as_object_mut(), put::hash_ahead(broker, source)) {
        arguments.insert("content_hash".to_owned(), json!(digits));
    }
    arguments
}

/// Send a part.
///
/// # Errors
/// As the contract says for `upload-part`.
pub(crate) fn append<B: Broker>(
    broker: &mut B,
    words: &str,
    offset: u64,
    info: &Info,
    source: &B::Content,
    last: bool,
) -> Result<Progress, Error> {
    let session = Session::parse(words);
    let len = broker.size(source);
    let arguments = json!({"cursor": {"session_id": session.id, "offset": offset}, "close": last});
    let request = Request::route("send-part")
        .header("content-type", OCTETS)
        .json(&with_hash(broker, &arguments, source))
        .section(source, 0, len);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        // Which parts of a concurrent session arrived cannot be asked; the host sends this one again.
        Err(Failure::Lost) if session.any_order && !last => return Err(Error::Lost),
        Err(Failure::Lost) => return probe(broker, session, info).map_err(after_lost),
        Err(failure) => return Err(failure.into()),
    };
    if !reply.is_success() {
        return standing(session, &reply, info);
    }
    Ok(match session.any_order {
        _ if last => Progress::Staged,
        true => Progress::AnyOrder,
        false => Progress::More(offset.saturating_add(len)),
    })
}

/// Where does it stand, and is it a file already?
///
/// # Errors
/// [`Error::SessionGone`], or why it cannot be told.
pub(crate) fn status<B: Broker>(
    broker: &mut B,
    words: &str,
    path: &str,
    info: &Info,
) -> Result<Progress, Error> {
    match probe(broker, Session::parse(words), info) {
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
/// nothing where it is right, and is answered with the right offset where it is wrong. A concurrent session
/// says no more than that it is there.
fn probe<B: Broker>(broker: &mut B, session: Session<'_>, info: &Info) -> Result<Progress, Error> {
    let request = Request::route("upload-status")
        .header("content-type", OCTETS)
        .json(&json!({"cursor": {"session_id": session.id, "offset": 0}}))
        .bytes(Vec::new());
    let reply = broker.ask(&request, ITEM_BYTES_MAX)?;
    match session.any_order {
        _ if !reply.is_success() => standing(session, &reply, info),
        true => Ok(Progress::AnyOrder),
        false => Ok(Progress::More(0)),
    }
}

/// Looking after a lost reply either tells, or the loss stands.
fn after_lost(error: Error) -> Error {
    if error == Error::SessionGone { error } else { Error::Lost }
}

/// What a refused append says about the session. An offset that is beyond what was sent means that
/// our own append arrived and only its reply was lost.
fn standing(session: Session<'_>, reply: &Reply, info: &Info) -> Result<Progress, Error> {
    if reply.status != 409 {
        return Err(error::read(reply));
    }
    let body = reply.value();
    match Tags::read(&body["error"]).path() {
        // Damaged on the way, and dropped: the host sends it again.
        ["content_hash_mismatch", ..] => Err(Error::Unavailable),
        // It will not take nothing, but it is there.
        ["concurrent_session_invalid_data_size", ..] if session.any_order => Ok(Progress::AnyOrder),
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
    use wharf_connector::{Algorithm, Datetime, Mode};

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

    const SEQUENTIAL: &str = r#"{"sequential_uploads": true}"#;

    #[track_caller]
    fn check_begin(
        options: &str,
        (size, first): (u64, Option<Source>),
        arguments: Value,
        payload: &str,
        expected: (&str, Progress),
    ) {
        let expected_request = json!({"json": arguments, "payload": payload});
        let started = reply(200, &json!({"session_id": "s1"}));
        let mut script = Script::new(MANIFEST).options(options).on("start-upload", expected_request, started);
        let upload = begin(&mut script, "a/f", &info(size, None), first.as_ref()).unwrap();
        assert_eq!((upload.session.as_str(), upload.progress), expected);
    }

    #[test]
    fn the_opening_takes_bytes() {
        let (open, closed) = (json!({"close": false}), json!({"close": true}));
        let of = |size, first: u64| (size, Some(Source::new(first)));
        check_begin(SEQUENTIAL, of(100, 40), open.clone(), "40 bytes from 0", ("s1", Progress::More(40)));
        check_begin(SEQUENTIAL, (100, None), open, "0 bytes", ("s1", Progress::More(0)));
        for options in ["{}", SEQUENTIAL] {
            check_begin(options, of(40, 40), closed.clone(), "40 bytes from 0", ("s1", Progress::Staged));
            check_begin(options, of(0, 0), closed.clone(), "0 bytes from 0", ("s1", Progress::Staged));
            check_begin(options, (0, None), closed.clone(), "0 bytes", ("s1", Progress::Staged));
        }
    }

    #[test]
    fn bytes_go_with_their_hash() {
        let source = || Source::new(40).hashed(Algorithm::BlockSha256, &[7; 32]);
        let hashed = json!({"close": true, "content_hash": "07".repeat(32)});
        check_begin("{}", (40, Some(source())), hashed, "40 bytes from 0", ("s1", Progress::Staged));
        let cursor = json!({"session_id": "s1", "offset": 0});
        let expected = json!({"cursor": cursor, "close": true, "content_hash": "07".repeat(32)});
        let mut script =
            Script::new(MANIFEST).on("send-part", json!({"json": expected}), reply(200, &Value::Null));
        let sent = append(&mut script, "s1", 0, &info(40, None), &source(), true);
        assert_eq!(sent, Ok(Progress::Staged));
    }

    #[test]
    fn what_does_not_fit_one_request_goes_in_any_order() {
        let concurrent = json!({"session_type": "concurrent"});
        let begun = ("any-order:s1", Progress::AnyOrder);
        check_begin("{}", (100, Some(Source::new(40))), concurrent, "0 bytes", begun);
        let part = |last: bool, answer| {
            let cursor = json!({"session_id": "s1", "offset": 40});
            let expected = json!({"json": {"cursor": cursor, "close": last}});
            let mut script = Script::new(MANIFEST).on("send-part", expected, answer);
            append(&mut script, "any-order:s1", 40, &info(100, None), &Source::new(60), last)
        };
        assert_eq!(part(false, reply(200, &Value::Null)), Ok(Progress::AnyOrder));
        assert_eq!(part(true, reply(200, &Value::Null)), Ok(Progress::Staged));
        // An earlier attempt closed it.
        assert_eq!(part(true, tag("closed")), Ok(Progress::Staged));
        assert_eq!(part(false, failure(Failure::Lost)), Err(Error::Lost));
        assert_eq!(part(false, tag("content_hash_mismatch")), Err(Error::Unavailable));
        assert_eq!(part(false, tag("not_found")), Err(Error::SessionGone));
    }

    #[test]
    fn a_concurrent_session_says_only_that_it_stands() {
        let ask = |answer| {
            let mut script = on_probe(Script::new(MANIFEST), answer);
            status(&mut script, "any-order:s1", "a/f", &info(100, None))
        };
        assert_eq!(ask(reply(200, &Value::Null)), Ok(Progress::AnyOrder));
        assert_eq!(ask(tag("concurrent_session_invalid_data_size")), Ok(Progress::AnyOrder));
        assert_eq!(ask(tag("closed")), Ok(Progress::Staged));
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
        check_append(true, tag("content_hash_mismatch"), None, Err(Error::Unavailable));
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
