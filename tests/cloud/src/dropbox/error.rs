//! What Dropbox says when it refuses: plain text for what it could not read, unions for the rest.
//!
//! The shapes follow the published interface description: a union of a union nests under its tag,
//! a union of a struct puts the fields beside the tag.

use http::StatusCode;
use serde_json::{Value, json};

use crate::reply::Reply;

/// The tags on the way down a union, as `error_summary` has them. Clients must not read it, and
/// the number of dots at its end changes to make that hurt.
fn summary(error: &Value) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(value) = next {
        let Some(tag) = value.get(".tag").and_then(Value::as_str) else {
            break;
        };
        text.push_str(tag);
        text.push('/');
        next = value.get(tag).or_else(|| value.get("reason"));
    }
    let dots = rand::random_range(1..=3);
    text + &".".repeat(dots)
}

fn union(status: StatusCode, error: &Value) -> Reply {
    let body = json!({"error_summary": summary(error), "error": error});
    Reply::json(status, &body)
}

/// 409: an endpoint's own error.
pub(crate) fn endpoint(error: Value) -> Reply {
    union(StatusCode::CONFLICT, &error)
}

/// 401: an authentication error.
pub(crate) fn unauthorized(error: Value) -> Reply {
    union(StatusCode::UNAUTHORIZED, &error)
}

/// 401: the token does not have a scope.
pub(crate) fn missing_scope(scope: &str) -> Reply {
    unauthorized(json!({".tag": "missing_scope", "required_scope": scope}))
}

/// 403: an access error.
pub(crate) fn forbidden(error: Value) -> Reply {
    union(StatusCode::FORBIDDEN, &error)
}

/// 422: the path root is not right.
pub(crate) fn path_root(error: Value) -> Reply {
    union(StatusCode::UNPROCESSABLE_ENTITY, &error)
}

/// 429 as JSON, with the header as well.
pub(crate) fn rate_limit(reason: &str, seconds: u64) -> Reply {
    let body = json!({
        "error_summary": format!("{reason}/.."),
        "error": {"reason": {".tag": reason}, "retry_after": seconds},
    });
    Reply::json(StatusCode::TOO_MANY_REQUESTS, &body).retry_after(seconds)
}

/// 400 in plain text: the call could not be read.
pub(crate) fn bad_input(route: &str, place: &str, why: &str) -> Reply {
    let text = format!("Error in call to API function \"{route}\": {place}: {why}");
    Reply::text(StatusCode::BAD_REQUEST, text)
}

/// `conflict` with what is in the way.
pub(crate) fn conflict_with(what: &str) -> Value {
    json!({".tag": "conflict", "conflict": {".tag": what}})
}

/// A lookup error where the endpoint has it.
pub(crate) fn lookup_at(kind: &str, lookup: Value) -> Reply {
    let tag = match kind {
        "dropbox.delete" | "dropbox.restore" | "dropbox.permanent-delete" => "path_lookup",
        "dropbox.move" | "dropbox.copy" => "from_lookup",
        _ => "path",
    };
    endpoint(json!({".tag": tag, tag: lookup}))
}

/// A write error where the endpoint has it.
pub(crate) fn write_at(kind: &str, write: Value) -> Reply {
    let tag = match kind {
        "dropbox.upload" => {
            return endpoint(upload_failed(write, "pid_upload_session:AAAAAAAAAAA"));
        }
        "dropbox.delete" | "dropbox.restore" | "dropbox.permanent-delete" => "path_write",
        "dropbox.move" | "dropbox.copy" => "to",
        _ => "path",
    };
    endpoint(json!({".tag": tag, tag: write}))
}

/// The `path` error of `files/upload`: the reason beside the session that keeps the bytes.
pub(crate) fn upload_failed(write: Value, session: &str) -> Value {
    json!({".tag": "path", "reason": write, "upload_session_id": session})
}

/// An upload session error where the endpoint has it.
pub(crate) fn session_at(kind: &str, lookup: Value) -> Reply {
    match kind {
        "dropbox.finish" => endpoint(json!({".tag": "lookup_failed", "lookup_failed": lookup})),
        _ => endpoint(lookup),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_follow_the_tags() {
        let nested = json!({".tag": "path", "path": conflict_with("folder")});
        assert!(summary(&nested).starts_with("path/conflict/folder/."));
        let beside = upload_failed(json!({".tag": "insufficient_space"}), "s");
        assert!(summary(&beside).starts_with("path/insufficient_space/."));
        let offset = json!({".tag": "incorrect_offset", "correct_offset": 7});
        assert!(summary(&offset).starts_with("incorrect_offset/."));
    }
}
