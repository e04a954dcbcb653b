//! Making folders: one request, which makes the folders on the way as well.

use serde_json::json;
use wharf_connector::{Broker, Entry, Error, Failure, Kind, Request};

use crate::error::{self, Tags};
use crate::metadata::folder;
use crate::stat::{is_root, stat};
use crate::{ITEM_BYTES_MAX, name};

/// Make a folder.
///
/// # Errors
/// [`Error::WrongKind`] when a file is in the way, or why it could not be made.
pub(crate) fn make<B: Broker>(broker: &mut B, path: &str) -> Result<Entry, Error> {
    name::check(path)?;
    if is_root(broker, path) {
        return Ok(folder(String::new()));
    }
    let request =
        Request::route("make-folder").json(&json!({"path": name::stored(path), "autorename": false}));
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, path),
        Err(failure) => return Err(failure.into()),
    };
    let body = reply.value();
    let is_there = matches!(Tags::read(&body["error"]).path(), ["path", "conflict", "folder", ..]);
    // Ours or not, it is there.
    if reply.is_success() || is_there {
        Ok(folder(path.to_owned()))
    } else {
        Err(refusal(error::read(&reply)))
    }
}

/// A folder replaces nothing, so a file in the way is of the wrong kind.
fn refusal(error: Error) -> Error {
    if error == Error::Exists { Error::WrongKind } else { error }
}

fn after_lost<B: Broker>(broker: &mut B, path: &str) -> Result<Entry, Error> {
    match stat(broker, path) {
        Ok(entry) if entry.kind == Kind::Folder => Ok(entry),
        Ok(_) => Err(Error::WrongKind),
        Err(_) => Err(Error::Lost),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::testing::{Answer, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    fn on(answer: Answer) -> Script {
        Script::new(MANIFEST).on("make-folder", json!({"json": {"path": "a/b", "autorename": false}}), answer)
    }

    fn refused(cause: Value) -> Answer {
        reply(409, &json!({"error": {".tag": "path", "path": cause}}))
    }

    fn conflict(what: &str) -> Answer {
        refused(json!({".tag": "conflict", "conflict": {".tag": what}}))
    }

    #[track_caller]
    fn check(mut script: Script, expected: Result<(), Error>) {
        assert_eq!(make(&mut script, "a/b"), expected.map(|()| folder("a/b".to_owned())));
    }

    #[test]
    fn one_request_makes_it() {
        check(on(reply(200, &json!({"metadata": {"name": "b"}}))), Ok(()));
        check(on(conflict("folder")), Ok(()));
        check(on(conflict("file")), Err(Error::WrongKind));
        check(on(conflict("file_ancestor")), Err(Error::WrongKind));
        check(on(refused(json!({".tag": "insufficient_space"}))), Err(Error::Quota));
        check(on(refused(json!({".tag": "too_many_write_operations"}))), Err(Error::Throttled(None)));
    }

    #[test]
    fn a_lost_reply_is_looked_after() {
        let look = |answer| on(failure(Failure::Lost)).on("stat", json!({"json": {"path": "a/b"}}), answer);
        check(look(reply(200, &json!({".tag": "folder"}))), Ok(()));
        check(look(reply(200, &json!({".tag": "file"}))), Err(Error::WrongKind));
        check(look(failure(Failure::Unreachable)), Err(Error::Lost));
    }

    #[test]
    fn the_root_is_always_there() {
        let mut script = Script::new(MANIFEST).directory("/");
        assert_eq!(make(&mut script, ""), Ok(folder(String::new())));
        assert!(matches!(make(&mut script, "a\n"), Err(Error::BadName(_))));
    }
}
