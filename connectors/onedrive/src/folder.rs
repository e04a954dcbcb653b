//! Making folders.
//!
//! Graph makes one folder in a parent that must be there. So it is tried where it should be, and only a
//! missing parent sends us up to the deepest folder that exists and down again: one request in the
//! usual case.

use serde_json::json;
use wharf_connector::{Broker, Entry, Error, Failure, Kind, Reply, Request, path};

use crate::item::Item;
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, error, name};

/// The name of a file that exists for a moment, see [`make_by_file`].
const PLACEHOLDER: &str = ".wharf-placeholder";

/// What became of one folder.
enum Made {
    New(Entry),
    /// Something of this name is there already.
    There,
}

/// Make a folder and the folders on the way to it.
///
/// # Errors
/// [`Error::WrongKind`] when a file is in the way, or why it could not be made.
pub(crate) fn make<B: Broker>(broker: &mut B, path: &str) -> Result<Entry, Error> {
    name::check(broker.settings(), path)?;
    if path.is_empty() {
        return match stat(broker, path) {
            Err(Error::NotFound) => make_by_file(broker, path),
            entry => must_be_folder(entry?),
        };
    }
    let mut missing = Vec::new();
    let mut at = path;
    let mut made = loop {
        if let Some(made) = make_one(broker, at)? {
            break made;
        }
        missing.push(at);
        match path::parent(at) {
            None | Some("") => return make_by_file(broker, path),
            Some(parent) => at = parent,
        }
    };
    for child in missing.into_iter().rev() {
        // A parent that is there and yet does not hold folders is a file.
        made = make_one(broker, child)?.ok_or(Error::WrongKind)?;
    }
    match made {
        Made::New(entry) => Ok(entry),
        Made::There => must_be_folder(stat(broker, path)?),
    }
}

/// None when the folder that it should be in is missing.
fn make_one<B: Broker>(broker: &mut B, path: &str) -> Result<Option<Made>, Error> {
    let parent = path::parent(path).unwrap_or_default();
    let arguments = json!({
        "name": name::stored(broker.settings(), path::name(path)),
        "folder": {},
        "@microsoft.graph.conflictBehavior": "fail",
    });
    let request =
        Request::route("make-folder").item(name::stored(broker.settings(), parent)).json(&arguments);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, path),
        Err(failure) => return Err(failure.into()),
    };
    match reply.status {
        200..=299 => Ok(Some(Made::New(reply.json::<Item>()?.entry(path.to_owned())?))),
        // Ours or not, it is there.
        409 => Ok(Some(Made::There)),
        404 => Ok(None),
        400 => Err(after_refusal(broker, parent, path, &reply)),
        _ => Err(error::read(&reply)),
    }
}

fn after_lost<B: Broker>(broker: &mut B, path: &str) -> Result<Option<Made>, Error> {
    match stat(broker, path) {
        Ok(entry) => Ok(Some(Made::New(must_be_folder(entry)?))),
        Err(_) => Err(Error::Lost),
    }
}

/// A folder in a file is refused as a bad request.
fn after_refusal<B: Broker>(broker: &mut B, parent: &str, path: &str, reply: &Reply) -> Error {
    match stat(broker, parent) {
        Ok(entry) if entry.kind == Kind::File => Error::WrongKind,
        _ => name::explain(reply, path),
    }
}

/// Make a folder while the backup directory itself is missing.
///
/// Its own parent cannot be named in a request, since that lies outside of it; but an upload makes
/// every folder on its way. So an empty file is uploaded into the folder and removed again, which
/// happens at most once in the life of a destination.
fn make_by_file<B: Broker>(broker: &mut B, path: &str) -> Result<Entry, Error> {
    let placeholder = name::stored(broker.settings(), &path::join(path, PLACEHOLDER));
    let upload = Request::route("put")
        .item(&placeholder)
        .header("content-type", "application/octet-stream")
        .bytes(Vec::new());
    let reply = broker.exchange(&upload, ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(name::explain(&reply, path));
    }
    let reply = broker.exchange(&Request::route("delete").item(&placeholder), ITEM_BYTES_MAX)?;
    if !reply.is_success() && reply.status != 404 {
        return Err(error::read(&reply));
    }
    Ok(Entry {
        path: path.to_owned(),
        kind: Kind::Folder,
        size: 0,
        modified: None,
        hash: None,
        revision: None,
    })
}

fn must_be_folder(entry: Entry) -> Result<Entry, Error> {
    if entry.kind == Kind::Folder { Ok(entry) } else { Err(Error::WrongKind) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::testing::{Answer, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    /// Expect one attempt at `path`.
    fn attempt(script: Script, path: &str, answer: Answer) -> Script {
        let arguments =
            json!({"name": path::name(path), "folder": {}, "@microsoft.graph.conflictBehavior": "fail"});
        let parent = path::parent(path).unwrap_or_default();
        script.on("make-folder", json!({"item": parent, "json": arguments}), answer)
    }

    fn made() -> Answer {
        reply(201, &json!({"name": "n", "folder": {}}))
    }

    fn exists() -> Answer {
        reply(409, &json!({"error": {"code": "nameAlreadyExists"}}))
    }

    fn missing() -> Answer {
        reply(404, &json!({"error": {"code": "itemNotFound"}}))
    }

    fn facet(facet: &str) -> Answer {
        reply(200, &json!({"name": "n", facet: {}}))
    }

    #[track_caller]
    fn check(mut script: Script, path: &str, expected: Result<(), Error>) {
        let entry = make(&mut script, path);
        assert_eq!(entry.as_ref().map(|_| ()).map_err(Clone::clone), expected);
        if let Ok(entry) = entry {
            assert_eq!((entry.path.as_str(), entry.kind), (path, Kind::Folder));
        }
    }

    fn script() -> Script {
        Script::new(MANIFEST)
    }

    #[test]
    fn one_request_where_the_parent_exists() {
        check(attempt(script(), "a/b/c", made()), "a/b/c", Ok(()));
        check(attempt(script(), "a", made()), "a", Ok(()));
    }

    #[test]
    fn one_that_is_there_is_success() {
        let there = || attempt(script(), "a/b", exists());
        check(there().on("stat", json!({"item": "a/b"}), facet("folder")), "a/b", Ok(()));
        check(there().on("stat", json!({"item": "a/b"}), facet("file")), "a/b", Err(Error::WrongKind));
    }

    #[test]
    fn missing_parents_are_made_from_the_deepest_that_exists() {
        let up = attempt(attempt(attempt(script(), "a/b/c", missing()), "a/b", missing()), "a", made());
        check(attempt(attempt(up, "a/b", made()), "a/b/c", made()), "a/b/c", Ok(()));
        // Somebody else made them meanwhile.
        let up = attempt(attempt(script(), "a/b", missing()), "a", exists());
        let down = attempt(up, "a/b", exists());
        check(down.on("stat", json!({"item": "a/b"}), facet("folder")), "a/b", Ok(()));
    }

    #[test]
    fn a_file_on_the_way_is_in_the_way() {
        let up = attempt(attempt(script(), "a/b", missing()), "a", exists());
        check(attempt(up, "a/b", missing()), "a/b", Err(Error::WrongKind));
        let refused =
            || attempt(script(), "a/forms", reply(400, &json!({"error": {"code": "invalidRequest"}})));
        check(refused().on("stat", json!({"item": "a"}), facet("file")), "a/forms", Err(Error::WrongKind));
        let mut script = refused().on("stat", json!({"item": "a"}), facet("folder"));
        assert!(matches!(make(&mut script, "a/forms"), Err(Error::BadName(_))));
    }

    #[test]
    fn a_folder_is_called_what_is_stored() {
        let arguments = json!({"name": "c␠", "folder": {}, "@microsoft.graph.conflictBehavior": "fail"});
        let expected = json!({"item": "a：b", "json": arguments});
        check(script().on("make-folder", expected, made()), "a:b/c ", Ok(()));
    }

    #[test]
    fn the_backup_directory_comes_with_a_file() {
        let by_file = |script: Script, item: &str| {
            script
                .on(
                    "put",
                    json!({"item": item, "payload": "0 bytes"}),
                    reply(201, &json!({"name": "n", "file": {}})),
                )
                .on("delete", json!({"item": item}), reply(204, &Value::Null))
        };
        check(by_file(attempt(script(), "a", missing()), "a/.wharf-placeholder"), "a", Ok(()));
        let absent = script().on("stat", json!({"item": ""}), missing());
        check(by_file(absent, ".wharf-placeholder"), "", Ok(()));
        check(script().on("stat", json!({"item": ""}), facet("folder")), "", Ok(()));
    }

    #[test]
    fn a_lost_reply_is_looked_after() {
        let lost = || attempt(script(), "a/b", failure(Failure::Lost));
        check(lost().on("stat", json!({"item": "a/b"}), facet("folder")), "a/b", Ok(()));
        check(lost().on("stat", json!({"item": "a/b"}), facet("file")), "a/b", Err(Error::WrongKind));
        check(lost().on("stat", json!({"item": "a/b"}), missing()), "a/b", Err(Error::Lost));
        check(attempt(script(), "a", failure(Failure::Denied)), "a", Err(Error::Denied));
    }

    #[test]
    fn a_bad_name_is_not_sent() {
        assert!(matches!(make(&mut script(), "a/con"), Err(Error::BadName(_))));
    }
}
