//! What is stored at a path.

use wharf_connector::{Broker, Entry, Error, Request};

use crate::item::{Item, SELECT};
use crate::{ITEM_BYTES_MAX, error, name};

/// The entry at a path.
///
/// # Errors
/// [`Error::NotFound`], or why it cannot be told.
pub(crate) fn stat<B: Broker>(broker: &mut B, path: &str) -> Result<Entry, Error> {
    name::check_readable(path)?;
    let request = Request::route("stat").item(name::stored(broker.settings(), path)).query("$select", SELECT);
    let reply = broker.ask(&request, ITEM_BYTES_MAX)?;
    if reply.is_success() { reply.json::<Item>()?.entry(path.to_owned()) } else { Err(error::read(&reply)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Answer, Script, failure, reply};
    use wharf_connector::{Failure, Kind};

    use super::*;
    use crate::tests::MANIFEST;

    #[track_caller]
    fn check(answer: Answer, expected: Result<Kind, Error>) {
        let mut script =
            Script::new(MANIFEST).on("stat", json!({"item": "a/b", "query": {"$select": SELECT}}), answer);
        assert_eq!(stat(&mut script, "a/b").map(|entry| entry.kind), expected);
    }

    #[test]
    fn the_reply_tells() {
        check(reply(200, &json!({"name": "b", "file": {}})), Ok(Kind::File));
        check(reply(200, &json!({"name": "b", "folder": {}})), Ok(Kind::Folder));
        check(reply(200, &Value::Null), Err(Error::Unavailable));
        check(reply(404, &json!({"error": {"code": "itemNotFound"}})), Err(Error::NotFound));
        check(failure(Failure::SignInAgain), Err(Error::SignInAgain));
        check(failure(Failure::Unreachable), Err(Error::Unavailable));
    }

    #[test]
    fn a_path_that_no_address_can_say_is_not_there() {
        assert_eq!(stat(&mut Script::new(MANIFEST), "a\u{85}b"), Err(Error::NotFound));
    }

    #[test]
    fn a_name_is_asked_for_as_it_is_stored() {
        let file = reply(200, &json!({"name": "b：c．", "file": {}}));
        let mut script = Script::new(MANIFEST).on("stat", json!({"item": "␠a/b：c．"}), file);
        assert_eq!(stat(&mut script, " a/b:c.").map(|entry| entry.path), Ok(" a/b:c.".to_owned()));
    }
}
