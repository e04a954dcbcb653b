//! A file in one request, which is atomic, keeps the time and makes the folders on the way.

use serde_json::{Value, json};
use wharf_connector::{Algorithm, Broker, Entry, Error, Failure, Info, Request, hash, outcome};

use crate::error::{self, Tags};
use crate::metadata::Metadata;
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, OCTETS, commit, name};

/// Store a file.
///
/// # Errors
/// As the contract says for `put`.
pub(crate) fn put<B: Broker>(
    broker: &mut B,
    path: &str,
    source: &B::Content,
    info: &Info,
) -> Result<Entry, Error> {
    name::check_file(path)?;
    let mut arguments = commit::arguments(path, info)?;
    if let Some(digits) = hash_ahead(broker, source) {
        arguments.insert("content_hash".to_owned(), json!(digits));
    }
    let request = Request::route("put")
        .header("content-type", OCTETS)
        .json(&Value::Object(arguments))
        .section(source, 0, info.size);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => {
            let stored = stat(broker, path);
            return outcome::settle(broker, Error::Lost, stored, source);
        }
        Err(failure) => return Err(failure.into()),
    };
    if reply.is_success() {
        return reply.json::<Metadata>()?.entry(path.to_owned());
    }
    if reply.status != 409 {
        return Err(error::read(&reply));
    }
    let body = reply.value();
    let complaint = commit::complaint(&Tags::read(&body["error"]), &info.mode);
    if reply.maybe_applied && matches!(complaint, Error::Exists | Error::Conflict) {
        let stored = stat(broker, path);
        return outcome::settle(broker, complaint, stored, source);
    }
    Err(complaint)
}

/// The hash that the service is to check before it commits.
///
/// It costs one more pass over the source, and is worth it: bytes that were damaged on the way replace
/// nothing, and of a part it is known at once rather than when the whole is compared at the end.
pub(crate) fn hash_ahead<B: Broker>(broker: &B, source: &B::Content) -> Option<String> {
    broker.hash(source, Algorithm::BlockSha256).map(|value| hash::to_hex(&value))
}

#[cfg(test)]
mod tests {
    use wharf_connector::testing::{Answer, Script, Source, failure, reply};
    use wharf_connector::{Datetime, Mode};

    use super::*;
    use crate::tests::MANIFEST;

    const HASH: [u8; 32] = [7; 32];

    fn digits(byte: u8) -> String {
        hash::to_hex(&[byte; 32])
    }

    fn info(mode: Mode) -> Info {
        let modified = Some(Datetime { seconds: 1_431_445_838, nanoseconds: 0 });
        Info { size: 5, modified, keep_modified: true, mode }
    }

    fn on(answer: Answer) -> Script {
        let headers = json!({"content-type": "application/octet-stream"});
        Script::new(MANIFEST).on("put", json!({"headers": headers, "payload": "5 bytes from 0"}), answer)
    }

    fn stored(byte: u8) -> Answer {
        reply(200, &json!({"name": "f", "size": 5, "content_hash": digits(byte)}))
    }

    fn on_stat(script: Script, answer: Answer) -> Script {
        script.on("stat", json!({"json": {"path": "a/f"}}), answer)
    }

    fn refused(cause: Value) -> Answer {
        reply(409, &json!({"error": {".tag": "path", "reason": cause, "upload_session_id": "s"}}))
    }

    fn conflict() -> Answer {
        refused(json!({".tag": "conflict", "conflict": {".tag": "file"}}))
    }

    #[track_caller]
    fn check(mut script: Script, mode: Mode, expected: Result<u64, Error>) {
        let source = Source::new(5).hashed(Algorithm::BlockSha256, &HASH);
        assert_eq!(put(&mut script, "a/f", &source, &info(mode)).map(|entry| entry.size), expected);
    }

    fn revision() -> Mode {
        Mode::ReplaceIfRevision("a1c10ce0dd78".to_owned())
    }

    #[test]
    fn a_file_is_one_request() {
        let arguments = json!({
            "path": "a/f", "mode": "overwrite", "autorename": false, "mute": true, "strict_conflict": false,
            "client_modified": "2015-05-12T15:50:38Z", "content_hash": digits(7),
        });
        check(Script::new(MANIFEST).on("put", json!({"json": arguments}), stored(7)), Mode::Replace, Ok(5));
        check(on(stored(7)), Mode::Create, Ok(5));
        check(on(stored(7)), revision(), Ok(5));
    }

    #[test]
    fn a_file_that_the_host_cannot_hash_goes_without() {
        let mut script = on(stored(7));
        assert!(put(&mut script, "a/f", &Source::new(5), &info(Mode::Replace)).is_ok());
    }

    #[test]
    fn refusals_are_told_apart() {
        check(on(conflict()), Mode::Create, Err(Error::Exists));
        check(on(conflict()), revision(), Err(Error::Conflict));
        let folder = refused(json!({".tag": "conflict", "conflict": {".tag": "folder"}}));
        check(on(folder.maybe_applied()), Mode::Create, Err(Error::WrongKind));
        check(on(refused(json!({".tag": "insufficient_space"}))), Mode::Replace, Err(Error::Quota));
        check(on(refused(json!("too_many_write_operations"))), Mode::Replace, Err(Error::Throttled(None)));
        let damaged = reply(409, &json!({"error": {".tag": "content_hash_mismatch"}}));
        check(on(damaged), Mode::Replace, Err(Error::Corrupt));
        check(on(reply(500, &Value::Null)), Mode::Replace, Err(Error::Unavailable));
        check(on(failure(Failure::SourceChanged)), Mode::Replace, Err(Error::SourceChanged));
        let foreign = Mode::ReplaceIfRevision("\"c:1\"".to_owned());
        check(Script::new(MANIFEST), foreign, Err(Error::Conflict));
    }

    #[test]
    fn what_may_be_our_own_doing_is_settled_by_the_hash() {
        let doubt = || on(conflict().maybe_applied());
        check(on_stat(doubt(), stored(7)), Mode::Create, Ok(5));
        check(on_stat(doubt(), stored(8)), Mode::Create, Err(Error::Exists));
        check(on_stat(doubt(), stored(7)), revision(), Ok(5));
        check(on_stat(doubt(), stored(8)), revision(), Err(Error::Conflict));
        let lost = || on(failure(Failure::Lost));
        check(on_stat(lost(), stored(7)), Mode::Replace, Ok(5));
        check(on_stat(lost(), stored(8)), Mode::Replace, Err(Error::Lost));
        check(on_stat(lost(), failure(Failure::Unreachable)), Mode::Replace, Err(Error::Lost));
    }

    #[test]
    fn a_bad_place_is_not_sent() {
        let mut script = Script::new(MANIFEST);
        assert_eq!(put(&mut script, "", &Source::new(5), &info(Mode::Replace)), Err(Error::WrongKind));
        let bad = put(&mut script, "desktop.ini", &Source::new(5), &info(Mode::Replace));
        assert!(matches!(bad, Err(Error::BadName(_))));
    }
}
