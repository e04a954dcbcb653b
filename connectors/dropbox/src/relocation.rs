//! Other paths and copies: one request each, done when it is answered.

use serde::Deserialize;
use serde_json::json;
use wharf_connector::{Broker, Entry, Error, Failure, Relocation, Request};

use crate::error;
use crate::metadata::Metadata;
use crate::stat::{is_root, stat};
use crate::{ITEM_BYTES_MAX, name};

#[derive(Deserialize)]
struct Relocated {
    metadata: Metadata,
}

/// Give an item another path.
///
/// # Errors
/// [`Error::Exists`] when something is there; else why it has its old path.
pub(crate) fn rename<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    let after = |broker: &mut B| match (stat(broker, from), stat(broker, to)) {
        (Err(Error::NotFound), Ok(entry)) => Ok(entry),
        (Ok(_), Err(Error::NotFound)) => Err(Error::Unavailable),
        _ => Err(Error::Lost),
    };
    relocate(broker, "move", from, to, after)
}

/// Copy an item.
///
/// # Errors
/// [`Error::Exists`] when something is there; else why there is no copy.
pub(crate) fn copy<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    // Of a folder it cannot be told whether all of it was copied.
    let after = |broker: &mut B| match (stat(broker, from), stat(broker, to)) {
        (Ok(one), Ok(other)) if one.hash.is_some() && one.hash == other.hash => Ok(other),
        (_, Err(Error::NotFound)) => Err(Error::Unavailable),
        _ => Err(Error::Lost),
    };
    relocate(broker, "copy", from, to, after)
}

fn relocate<B: Broker>(
    broker: &mut B,
    route: &'static str,
    from: &str,
    to: &str,
    after_doubt: impl Fn(&mut B) -> Result<Entry, Error>,
) -> Result<Relocation, Error> {
    name::check_file(to)?;
    if is_root(broker, from) || from.is_empty() || to.is_empty() {
        return Err(Error::Unsupported);
    }
    let body = json!({"from_path": name::stored(from), "to_path": name::stored(to), "autorename": false});
    let reply = match broker.exchange(&Request::route(route).json(&body), ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_doubt(broker).map(Relocation::Done),
        Err(failure) => return Err(failure.into()),
    };
    if reply.is_success() {
        return Ok(Relocation::Done(reply.json::<Relocated>()?.metadata.entry(to.to_owned())?));
    }
    let complaint = error::relocation(&reply);
    if reply.maybe_applied && matches!(complaint, Error::Exists | Error::NotFound) {
        return after_doubt(broker).map(Relocation::Done);
    }
    Err(complaint)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::Kind;
    use wharf_connector::testing::{Answer, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn file() -> Value {
        json!({".tag": "file", "name": "g", "size": 5, "rev": "r", "content_hash": HASH})
    }

    fn on(route: &'static str, answer: Answer) -> Script {
        let body = json!({"from_path": "a/f", "to_path": "b/g", "autorename": false});
        Script::new(MANIFEST).on(route, json!({"json": body}), answer)
    }

    fn refused(tag: &str, cause: &Value) -> Answer {
        reply(409, &json!({"error": {".tag": tag, (tag): cause}}))
    }

    #[track_caller]
    fn check(result: Result<Relocation, Error>, expected: Result<(), Error>) {
        let result = result.map(|relocation| match relocation {
            Relocation::Done(entry) => assert_eq!((entry.path.as_str(), entry.kind), ("b/g", Kind::File)),
            Relocation::Running(job) => panic!("{job}"),
        });
        assert_eq!(result, expected);
    }

    #[test]
    fn one_request_does_it() {
        check(rename(&mut on("move", reply(200, &json!({"metadata": file()}))), "a/f", "b/g"), Ok(()));
        check(copy(&mut on("copy", reply(200, &json!({"metadata": file()}))), "a/f", "b/g"), Ok(()));
        let cases = [
            ("to", json!({".tag": "conflict", "conflict": {".tag": "file"}}), Error::Exists),
            ("to", json!({".tag": "conflict", "conflict": {".tag": "folder"}}), Error::Exists),
            ("from_lookup", json!({".tag": "not_found"}), Error::NotFound),
            ("to", json!({".tag": "insufficient_space"}), Error::Quota),
            ("insufficient_quota", Value::Null, Error::Quota),
            ("too_many_files", Value::Null, Error::TooLarge),
            ("cant_move_folder_into_itself", Value::Null, Error::WrongKind),
        ];
        for (tag, cause, expected) in cases {
            check(rename(&mut on("move", refused(tag, &cause)), "a/f", "b/g"), Err(expected));
        }
    }

    fn looked_after(route: &'static str, from: Answer, to: Answer) -> Script {
        let script = on(route, failure(Failure::Lost));
        let script = script.on("stat", json!({"json": {"path": "a/f"}}), from);
        script.on("stat", json!({"json": {"path": "b/g"}}), to)
    }

    #[test]
    fn a_lost_reply_is_looked_after() {
        let there = || reply(200, &file());
        let missing = || refused("path", &json!({".tag": "not_found"}));
        check(rename(&mut looked_after("move", missing(), there()), "a/f", "b/g"), Ok(()));
        check(rename(&mut looked_after("move", there(), missing()), "a/f", "b/g"), Err(Error::Unavailable));
        check(rename(&mut looked_after("move", there(), there()), "a/f", "b/g"), Err(Error::Lost));
        check(copy(&mut looked_after("copy", there(), there()), "a/f", "b/g"), Ok(()));
        check(copy(&mut looked_after("copy", there(), missing()), "a/f", "b/g"), Err(Error::Unavailable));
    }
}
