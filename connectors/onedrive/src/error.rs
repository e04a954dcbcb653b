//! What a reply that is not a success means.
//!
//! The body is `{"error": {"code", "message", "innerError": {"code", …}}}`; the outer code is coarse, the
//! inner ones are exact, and `innerError` is also spelt `innererror`.
//! <https://learn.microsoft.com/graph/errors>

use serde_json::Value;
use wharf_connector::{Error, Reply};

/// How deep codes are looked for: Graph nests two or three.
const DEPTH_MAX: usize = 8;
/// How much of the service's message is passed on, in characters: one sentence.
const MESSAGE_LENGTH_MAX: usize = 200;

/// What this reply complains about.
pub(crate) fn read(reply: &Reply) -> Error {
    let body = reply.value();
    let codes = Codes::read(&body);
    match reply.status {
        400 if codes.has("pathIsTooLong") => {
            Error::BadName("the path is longer than OneDrive takes".to_owned())
        }
        400 if codes.has("invalidPath") => Error::BadName("OneDrive does not take this path".to_owned()),
        400 if codes.has("maxFileSizeExceeded") => Error::TooLarge,
        401 => Error::SignInAgain,
        403 if codes.any(|code| code.to_ascii_lowercase().contains("quota")) => Error::Quota,
        403 => Error::Denied,
        404 => Error::NotFound,
        409 if codes.has("nameAlreadyExists") => Error::Exists,
        409 | 412 => Error::Conflict,
        413 => Error::TooLarge,
        // Locked by somebody who edits it, or too much traffic where the host does not see it.
        423 | 429 | 509 => Error::Throttled(None),
        507 => Error::Quota,
        // An address of this service's that is no longer good: the host begins again.
        410 | 500..=599 => Error::Unavailable,
        status => Error::Other(describe(status, &codes, &body)),
    }
}

/// Does the reply name this code, at any depth?
pub(crate) fn has_code(reply: &Reply, code: &str) -> bool {
    Codes::read(&reply.value()).has(code)
}

struct Codes<'a>(Vec<&'a str>);

impl<'a> Codes<'a> {
    fn read(body: &'a Value) -> Self {
        let mut codes = Vec::new();
        let mut level = body.get("error");
        while let Some(error) = level.filter(|_| codes.len() < DEPTH_MAX) {
            codes.push(error.get("code").and_then(Value::as_str).unwrap_or_default());
            level = error.get("innerError").or_else(|| error.get("innererror"));
        }
        Self(codes)
    }

    fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|code| fits(code))
    }

    fn has(&self, code: &str) -> bool {
        self.any(|one| one == code)
    }
}

fn describe(status: u16, codes: &Codes<'_>, body: &Value) -> String {
    let code = codes.0.iter().rev().find(|code| !code.is_empty()).unwrap_or(&"no code");
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    let message: String = message.chars().take(MESSAGE_LENGTH_MAX).collect();
    format!("OneDrive answered {status} ({code}): {message}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, body: &Value) -> Reply {
        Reply { status, headers: Vec::new(), body: body.to_string().into_bytes(), maybe_applied: false }
    }

    #[track_caller]
    fn check(status: u16, code: &str, expected: &Error) {
        let outer = json!({"error": {"code": code, "message": "m"}});
        let inner =
            json!({"error": {"code": "x", "innerError": {"code": "y", "innererror": {"code": code}}}});
        for body in [outer, inner] {
            assert_eq!(&read(&reply(status, &body)), expected, "{body}");
        }
    }

    #[test]
    fn status_and_code_decide() {
        check(400, "maxFileSizeExceeded", &Error::TooLarge);
        check(401, "InvalidAuthenticationToken", &Error::SignInAgain);
        check(403, "accessDenied", &Error::Denied);
        check(403, "malwareDetected", &Error::Denied);
        check(403, "quotaLimitReached", &Error::Quota);
        check(404, "itemNotFound", &Error::NotFound);
        check(409, "nameAlreadyExists", &Error::Exists);
        check(409, "conflict", &Error::Conflict);
        check(410, "resyncRequired", &Error::Unavailable);
        check(412, "resourceModified", &Error::Conflict);
        check(413, "maxFragmentLengthExceeded", &Error::TooLarge);
        check(423, "resourceLocked", &Error::Throttled(None));
        check(429, "activityLimitReached", &Error::Throttled(None));
        check(500, "generalException", &Error::Unavailable);
        check(503, "serviceNotAvailable", &Error::Unavailable);
        check(507, "insufficientStorage", &Error::Quota);
        check(509, "bandwidthLimitExceeded", &Error::Throttled(None));
    }

    #[test]
    fn names_are_bad_in_two_ways() {
        for code in ["pathIsTooLong", "invalidPath"] {
            let error = read(&reply(400, &json!({"error": {"code": code}})));
            assert!(matches!(error, Error::BadName(_)), "{error:?}");
        }
    }

    #[test]
    fn the_rest_is_told_to_people() {
        let body = json!({"error": {"code": "invalidRequest", "message": "ObjectHandle is Invalid"}});
        let expected = "OneDrive answered 400 (invalidRequest): ObjectHandle is Invalid";
        assert_eq!(read(&reply(400, &body)), Error::Other(expected.to_owned()));
        let expected = "OneDrive answered 418 (no code): ";
        assert_eq!(read(&reply(418, &Value::Null)), Error::Other(expected.to_owned()));
    }

    #[test]
    fn a_nest_without_end_ends() {
        let mut body = json!({"code": "deep"});
        for _ in 0..100 {
            body = json!({"code": "", "innerError": body});
        }
        assert!(!has_code(&reply(400, &json!({"error": body})), "deep"));
    }
}
