//! What the refusal of an upload complains about, which depends on what was meant by it.

use wharf_connector::{Broker, Error, Info, Kind, Mode, Reply, path};

use crate::stat::stat;
use crate::{error, name};

/// Why `path` was not written.
pub(crate) fn read<B: Broker>(broker: &mut B, path: &str, info: &Info, reply: &Reply) -> Error {
    match (reply.status, &info.mode) {
        (409, Mode::Create) if error::has_code(reply, "nameAlreadyExists") => Error::Exists,
        (409, mode) => in_the_way(broker, path, mode),
        // The revision is gone with its file.
        (404, Mode::ReplaceIfRevision(_)) => Error::Conflict,
        _ => name::explain(reply, path),
    }
}

/// What is in the way of a write: something that is there, a file where a folder should be, or else an
/// upload of somebody else that is not finished.
fn in_the_way<B: Broker>(broker: &mut B, path: &str, mode: &Mode) -> Error {
    match stat(broker, path) {
        Ok(_) if *mode == Mode::Create => Error::Exists,
        Ok(entry) if entry.kind == Kind::Folder => Error::WrongKind,
        Ok(_) => Error::Throttled(None),
        Err(Error::NotFound) => on_the_way(broker, path),
        Err(error) => error,
    }
}

/// What the deepest thing on the way to `path` has to do with it.
fn on_the_way<B: Broker>(broker: &mut B, path: &str) -> Error {
    let mut at = path;
    while let Some(parent) = path::parent(at) {
        at = parent;
        match stat(broker, at) {
            Ok(entry) if entry.kind == Kind::File => return Error::WrongKind,
            Ok(_) => break,
            Err(Error::NotFound) => {}
            Err(error) => return error,
        }
    }
    Error::Throttled(None)
}

/// The revision as `If-Match` wants it. Personal accounts leave out the quotes in JSON, the header
/// needs them (RFC 9110, 8.8.3).
pub(crate) fn if_match(mode: &Mode) -> Option<String> {
    match mode {
        Mode::Replace | Mode::Create => None,
        Mode::ReplaceIfRevision(revision) => Some(quoted(revision)),
    }
}

pub(crate) fn quoted(revision: &str) -> String {
    let is_quoted = revision.starts_with('"') || revision.starts_with("W/\"");
    if is_quoted { revision.to_owned() } else { format!("\"{revision}\"") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    /// What a refusal means where these facets are, from the path itself up; "" is nothing.
    #[track_caller]
    fn check(status: u16, code: &str, mode: Mode, facets: &[&str], expected: Error) {
        let mut script = Script::new(MANIFEST);
        for (place, facet) in ["a/b/f", "a/b", "a", ""].into_iter().zip(facets) {
            let found =
                if facet.is_empty() { reply(404, &Value::Null) } else { reply(200, &json!({*facet: {}})) };
            script = script.on("stat", json!({"item": place}), found);
        }
        let body = json!({"error": {"code": code}}).to_string().into_bytes();
        let refusal = Reply { status, headers: Vec::new(), body, maybe_applied: false };
        let info = Info { size: 5, modified: None, keep_modified: false, mode };
        assert_eq!(read(&mut script, "a/b/f", &info, &refusal), expected);
    }

    #[test]
    fn it_depends_on_what_was_meant_and_what_is_there() {
        let revision = || Mode::ReplaceIfRevision("c1".to_owned());
        check(409, "nameAlreadyExists", Mode::Create, &[], Error::Exists);
        check(409, "conflict", Mode::Create, &["file"], Error::Exists);
        check(409, "conflict", Mode::Create, &["", "folder"], Error::Throttled(None));
        check(409, "nameAlreadyExists", Mode::Replace, &["folder"], Error::WrongKind);
        check(409, "nameAlreadyExists", Mode::Replace, &["file"], Error::Throttled(None));
        check(409, "nameAlreadyExists", Mode::Replace, &["", "file"], Error::WrongKind);
        check(409, "nameAlreadyExists", Mode::Replace, &["", "", "file"], Error::WrongKind);
        check(409, "nameAlreadyExists", Mode::Replace, &["", "", "", "folder"], Error::Throttled(None));
        check(404, "itemNotFound", Mode::Replace, &[], Error::NotFound);
        check(404, "itemNotFound", revision(), &[], Error::Conflict);
        check(412, "resourceModified", revision(), &[], Error::Conflict);
    }

    #[test]
    fn a_revision_is_quoted_once() {
        for (revision, header) in [("c1", "\"c1\""), ("\"c:{1},2\"", "\"c:{1},2\""), ("W/\"1\"", "W/\"1\"")] {
            assert_eq!(if_match(&Mode::ReplaceIfRevision(revision.to_owned())).as_deref(), Some(header));
        }
        assert_eq!(if_match(&Mode::Replace), None);
    }
}
