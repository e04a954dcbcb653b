//! What a reply that is not a success means.
//!
//! An error is a union: an object whose `.tag` names the case, and whose value, often another union, is
//! under that name. So it is read as the path of its tags, `["path", "conflict", "file"]`. The
//! `error_summary` beside it is for people, and its end varies.

use serde_json::Value;
use wharf_connector::{Error, Reply};

/// How deep tags are looked for: the deepest of the specification has three.
const DEPTH_MAX: usize = 8;
/// How much of a message in plain text is passed on, in characters: one sentence.
const MESSAGE_LENGTH_MAX: usize = 200;

/// The path of an error's tags.
#[derive(Debug)]
pub(crate) struct Tags<'a>(Vec<&'a str>);

impl<'a> Tags<'a> {
    /// Read a union. A case without a value may be its bare name.
    pub(crate) fn read(union: &'a Value) -> Self {
        let mut tags = Vec::new();
        let mut level = Some(union);
        while let Some(union) = level.filter(|_| tags.len() < DEPTH_MAX) {
            let Some(tag) = union.as_str().or_else(|| union.get(".tag").and_then(Value::as_str)) else {
                break;
            };
            tags.push(tag);
            // `files/upload` alone puts the cause of a `path` error under `reason`.
            level = union.get(tag).or_else(|| union.get("reason"));
        }
        Self(tags)
    }

    pub(crate) fn path(&self) -> &[&'a str] {
        &self.0
    }
}

/// What this reply complains about.
pub(crate) fn read(reply: &Reply) -> Error {
    let body = reply.value();
    let tags = Tags::read(&body["error"]);
    match reply.status {
        // A scope that the operator did not give is no sign-in that went stale.
        401 if tags.path().first() == Some(&"missing_scope") => Error::Denied,
        401 => Error::SignInAgain,
        403 | 422 => Error::Denied,
        409 => of(&tags),
        429 => Error::Throttled(None),
        500..=599 => Error::Unavailable,
        status => Error::Other(format!("Dropbox answered {status}: {}", message(reply))),
    }
}

/// What the reply to a move or a copy complains about. Whatever is in the way of one is `exists`: a
/// relocation replaces nothing, of whatever kind.
pub(crate) fn relocation(reply: &Reply) -> Error {
    let body = reply.value();
    match Tags::read(&body["error"]).path() {
        ["to", "conflict", "file" | "folder", ..] => Error::Exists,
        ["from_lookup" | "from_write" | "to", cause @ ..] if reply.status == 409 => {
            meaning(cause).unwrap_or_else(|| of(&Tags(cause.to_vec())))
        }
        ["insufficient_quota", ..] => Error::Quota,
        ["cant_move_folder_into_itself" | "duplicated_or_nested_paths", ..] => Error::WrongKind,
        [
            "cant_copy_shared_folder"
            | "cant_nest_shared_folder"
            | "cant_transfer_ownership"
            | "cant_move_shared_folder"
            | "cant_move_into_vault"
            | "cant_move_into_family",
            ..,
        ] => Error::Unsupported,
        _ => read(reply),
    }
}

/// What this union complains about.
pub(crate) fn of(tags: &Tags<'_>) -> Error {
    meaning(tags.path())
        .unwrap_or_else(|| Error::Other(format!("Dropbox answered {}", tags.path().join("/"))))
}

fn meaning(tags: &[&str]) -> Option<Error> {
    Some(match tags {
        ["path" | "path_lookup" | "path_write" | "lookup_failed", cause @ ..] => return meaning(cause),
        ["not_found", ..] => Error::NotFound,
        ["not_file" | "not_folder", ..] | ["conflict", "folder" | "file_ancestor", ..] => Error::WrongKind,
        ["conflict", ..] => Error::Exists,
        ["malformed_path", ..] => Error::BadName("Dropbox does not take this path".to_owned()),
        ["disallowed_name", ..] => Error::BadName("Dropbox does not store this name".to_owned()),
        [
            "no_write_permission"
            | "restricted_content"
            | "access_restricted"
            | "team_folder"
            | "operation_suppressed",
            ..,
        ] => Error::Denied,
        ["insufficient_space", ..] => Error::Quota,
        // All of these pass, and the host waits better than we do.
        ["too_many_write_operations" | "locked", ..] => Error::Throttled(None),
        ["too_many_files" | "too_large" | "payload_too_large", ..] => Error::TooLarge,
        ["content_hash_mismatch", ..] => Error::Corrupt,
        ["unsupported_content_type" | "unsupported_file" | "encryption_not_supported", ..] => {
            Error::Unsupported
        }
        ["internal_error", ..] => Error::Unavailable,
        ["reset", ..] => Error::CursorGone,
        ["incorrect_offset" | "closed" | "not_closed", ..] => Error::SessionGone,
        _ => return None,
    })
}

/// Errors of the request itself come as plain text.
fn message(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).chars().take(MESSAGE_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A union of these tags, as the specification writes it.
    fn union(path: &[&str]) -> Value {
        let mut union = Value::Null;
        for tag in path.iter().rev() {
            union = if union.is_null() { json!({".tag": tag}) } else { json!({".tag": tag, (*tag): union}) };
        }
        union
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec(), maybe_applied: false }
    }

    #[track_caller]
    fn check(path: &[&str], expected: &Error) {
        let body = json!({"error_summary": "path/not_found/..", "error": union(path)});
        assert_eq!(&read(&reply(409, &body.to_string())), expected);
    }

    #[test]
    fn tags_decide() {
        check(&["path", "not_found"], &Error::NotFound);
        check(&["path_lookup", "not_found"], &Error::NotFound);
        check(&["path", "not_file"], &Error::WrongKind);
        check(&["path", "not_folder"], &Error::WrongKind);
        check(&["path", "conflict", "folder"], &Error::WrongKind);
        check(&["path", "conflict", "file_ancestor"], &Error::WrongKind);
        check(&["path", "conflict", "file"], &Error::Exists);
        check(&["path_write", "conflict", "file"], &Error::Exists);
        check(&["path", "restricted_content"], &Error::Denied);
        check(&["path", "no_write_permission"], &Error::Denied);
        check(&["path", "team_folder"], &Error::Denied);
        check(&["path", "insufficient_space"], &Error::Quota);
        check(&["path", "locked"], &Error::Throttled(None));
        check(&["path", "too_many_write_operations"], &Error::Throttled(None));
        check(&["too_many_write_operations"], &Error::Throttled(None));
        check(&["too_many_files"], &Error::TooLarge);
        check(&["payload_too_large"], &Error::TooLarge);
        check(&["content_hash_mismatch"], &Error::Corrupt);
        check(&["unsupported_file"], &Error::Unsupported);
        check(&["reset"], &Error::CursorGone);
        check(&["internal_error"], &Error::Unavailable);
        check(&["lookup_failed", "not_closed"], &Error::SessionGone);
        check(&["lookup_failed", "too_large"], &Error::TooLarge);
        check(&["something", "new"], &Error::Other("Dropbox answered something/new".to_owned()));
    }

    #[test]
    fn names_are_bad_in_two_ways() {
        for error in [json!({".tag": "malformed_path", "malformed_path": "why"}), json!("disallowed_name")] {
            let body = json!({"error": {".tag": "path", "path": error}});
            assert!(matches!(read(&reply(409, &body.to_string())), Error::BadName(_)), "{body}");
        }
    }

    #[test]
    fn an_upload_hides_its_cause() {
        let cause = json!({".tag": "conflict", "conflict": {".tag": "file"}});
        let body = json!({"error": {".tag": "path", "reason": cause, "upload_session_id": "path"}});
        assert_eq!(read(&reply(409, &body.to_string())), Error::Exists);
    }

    #[test]
    fn the_status_decides_the_rest() {
        let tagged = |tag: &str| json!({"error": {".tag": tag}}).to_string();
        assert_eq!(read(&reply(401, &tagged("expired_access_token"))), Error::SignInAgain);
        assert_eq!(read(&reply(401, &tagged("missing_scope"))), Error::Denied);
        assert_eq!(read(&reply(403, &tagged("invalid_account_type"))), Error::Denied);
        assert_eq!(read(&reply(422, &tagged("no_permission"))), Error::Denied);
        assert_eq!(read(&reply(429, "Too many requests")), Error::Throttled(None));
        assert_eq!(read(&reply(500, "")), Error::Unavailable);
        let expected = "Dropbox answered 400: Error in call to API function";
        assert_eq!(read(&reply(400, "Error in call to API function")), Error::Other(expected.to_owned()));
        assert_eq!(read(&reply(409, "")), Error::Other("Dropbox answered ".to_owned()));
    }

    #[test]
    fn a_nest_without_end_ends() {
        assert_eq!(Tags::read(&union(&["path"; 100])).path().len(), DEPTH_MAX);
    }
}
