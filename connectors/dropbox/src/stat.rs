//! What is stored at a path.

use serde_json::json;
use wharf_connector::{Broker, Entry, Error, Request, path};

use crate::metadata::{Metadata, folder};
use crate::{ITEM_BYTES_MAX, error, name};

/// The entry at a path.
///
/// # Errors
/// [`Error::NotFound`], or why it cannot be told.
pub(crate) fn stat<B: Broker>(broker: &mut B, path: &str) -> Result<Entry, Error> {
    name::check_readable(path)?;
    if is_root(broker, path) {
        return Ok(folder(String::new()));
    }
    let reply =
        broker.ask(&Request::route("stat").json(&json!({"path": name::stored(path)})), ITEM_BYTES_MAX)?;
    if reply.is_success() {
        reply.json::<Metadata>()?.entry(path.to_owned())
    } else {
        Err(error::read(&reply))
    }
}

/// Is it the root of the account (or of the app's folder)? It is always there, and the service has no
/// metadata for it.
pub(crate) fn is_root<B: Broker>(broker: &B, path: &str) -> bool {
    path.is_empty() && path::depth(&broker.settings().directory) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::testing::{Answer, Script, failure, reply};
    use wharf_connector::{Failure, Kind};

    use super::*;
    use crate::tests::MANIFEST;

    #[track_caller]
    fn check(answer: Answer, expected: Result<Kind, Error>) {
        let mut script = Script::new(MANIFEST).on("stat", json!({"json": {"path": "a/b"}}), answer);
        assert_eq!(stat(&mut script, "a/b").map(|entry| entry.kind), expected);
    }

    #[test]
    fn the_reply_tells() {
        check(reply(200, &json!({".tag": "file", "name": "b"})), Ok(Kind::File));
        check(reply(200, &json!({".tag": "folder", "name": "b"})), Ok(Kind::Folder));
        check(reply(200, &Value::Null), Err(Error::Unavailable));
        let missing = json!({"error": {".tag": "path", "path": {".tag": "not_found"}}});
        check(reply(409, &missing), Err(Error::NotFound));
        check(failure(Failure::Lost), Err(Error::Unavailable));
    }

    #[test]
    fn the_root_is_always_there() {
        let entry = stat(&mut Script::new(MANIFEST).directory("/"), "");
        assert_eq!(entry, Ok(folder(String::new())));
        let mut script = Script::new(MANIFEST).on(
            "stat",
            json!({"json": {"path": ""}}),
            reply(200, &json!({".tag": "folder"})),
        );
        assert_eq!(stat(&mut script, ""), Ok(folder(String::new())));
    }
}
