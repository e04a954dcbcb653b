//! What a service may do to a connector: every answer here was seen from a real one on a bad day, or is
//! what somebody in its place would send.

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::network::{Answer, Reached, Script, SendErrorKind};

/// Levels of a JSON reply that is nothing but levels: a parser that recurses without a bound has no stack
/// left before.
const DEPTH: usize = 100_000;

/// One way to be unhelpful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    Ungranted,
    SignedOut,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    Precondition,
    Range,
    Throttled,
    Failing,
    Down,
    Full,
    Teapot,
    Unreachable,
    Unanswered,
    Broken,
    Empty,
    NoContent,
    Garbled,
    Page,
    Half,
    Null,
    OtherTypes,
    Deep,
    Endless,
    Redirect,
    OtherRange,
}

/// What an operation may answer then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// This case of the contract.
    Case(&'static str),
    /// Any case of the contract, but no success: nothing was done, and the connector can know.
    Failure,
    /// Any case, or a success where none of the reply is needed for it.
    Evidence,
}

impl Lie {
    pub(super) const ALL: [Self; 27] = [
        Self::Ungranted,
        Self::SignedOut,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Precondition,
        Self::Range,
        Self::Throttled,
        Self::Failing,
        Self::Down,
        Self::Full,
        Self::Teapot,
        Self::Unreachable,
        Self::Unanswered,
        Self::Broken,
        Self::Empty,
        Self::NoContent,
        Self::Garbled,
        Self::Page,
        Self::Half,
        Self::Null,
        Self::OtherTypes,
        Self::Deep,
        Self::Endless,
        Self::Redirect,
        Self::OtherRange,
    ];

    /// What the service does.
    pub(super) const fn does(self) -> &'static str {
        match self {
            Self::Ungranted => "nothing is granted",
            Self::SignedOut => "the sign-in is no longer good",
            Self::Unauthorized => "401 for every token",
            Self::Forbidden => "403",
            Self::NotFound => "404",
            Self::Conflict => "409 without a reason",
            Self::Precondition => "412",
            Self::Range => "416",
            Self::Throttled => "429 for ever",
            Self::Failing => "500",
            Self::Down => "503",
            Self::Full => "507",
            Self::Teapot => "418",
            Self::Unreachable => "nobody can be reached",
            Self::Unanswered => "a request without an answer",
            Self::Broken => "a reply that is cut off",
            Self::Empty => "200 and nothing",
            Self::NoContent => "204",
            Self::Garbled => "bytes that are no JSON",
            Self::Page => "the sign-in page of a hotel",
            Self::Half => "half of a JSON object",
            Self::Null => "null",
            Self::OtherTypes => "JSON of other types",
            Self::Deep => "JSON of a hundred thousand levels",
            Self::Endless => "a reply without end",
            Self::Redirect => "a redirect to this machine",
            Self::OtherRange => "a range that was not asked for",
        }
    }

    /// What is promised of every operation while it goes on.
    pub(super) const fn promise(self) -> Promise {
        match self {
            Self::Ungranted => Promise::Case("denied"),
            Self::SignedOut | Self::Unauthorized => Promise::Case("sign-in-again"),
            Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::Precondition
            | Self::Range
            | Self::Throttled
            | Self::Failing
            | Self::Down
            | Self::Full
            | Self::Teapot
            | Self::Unreachable
            | Self::Unanswered
            | Self::Redirect => Promise::Failure,
            Self::Broken
            | Self::Empty
            | Self::NoContent
            | Self::Garbled
            | Self::Page
            | Self::Half
            | Self::Null
            | Self::OtherTypes
            | Self::Deep
            | Self::Endless
            | Self::OtherRange => Promise::Evidence,
        }
    }

    /// What the service answers to any request.
    pub(super) fn answer(self) -> Answer {
        let json = |text: &'static str| whole(200, "application/json", text.as_bytes());
        match self {
            // Nothing should come this far; if it does, that is seen.
            Self::Ungranted => json("{}"),
            Self::SignedOut | Self::Unauthorized => status(401),
            Self::Forbidden => status(403),
            Self::NotFound => status(404),
            Self::Conflict => status(409),
            Self::Precondition => status(412),
            Self::Range => status(416),
            Self::Throttled => with(status(429), &RETRY_AFTER, "600"),
            Self::Failing => status(500),
            Self::Down => status(503),
            Self::Full => status(507),
            Self::Teapot => status(418),
            Self::Unreachable => nothing(Reached::No, SendErrorKind::Connect("nobody listens".to_owned())),
            Self::Unanswered => nothing(Reached::Maybe, SendErrorKind::ReplyTimedOut),
            Self::Broken => {
                reply(200, "application/json", Script::Broken(Bytes::from_static(b"{\"id\":\"x")))
            }
            Self::Empty => whole(200, "application/json", b""),
            Self::NoContent => whole(204, "application/json", b""),
            Self::Garbled => whole(200, "application/json", b"\xff\xfe\x00{\x80\xc0\xaf]\x1b[2J"),
            Self::Page => whole(200, "text/html", b"<!DOCTYPE html><title>Welcome</title><form>Room number"),
            Self::Half => json("{\"id\":\"x\",\"name\":\"file\",\"size\":1,\"entries\":[{\"name"),
            Self::Null => json("null"),
            Self::OtherTypes => json(OTHER_TYPES),
            Self::Deep => whole(200, "application/json", &b"[".repeat(DEPTH)),
            Self::Endless => reply(200, "application/json", Script::Endless),
            Self::Redirect => with(status(302), &LOCATION, "https://127.0.0.1/latest/meta-data"),
            Self::OtherRange => {
                let part = whole(206, "application/octet-stream", b"other bytes");
                with(part, &CONTENT_RANGE, "bytes 18446744073709551610-18446744073709551615/3")
            }
        }
    }
}

/// The names that services use, each with a value of a type that none of them gives it.
const OTHER_TYPES: &str = r#"{
    "id": [], "name": {}, "path": 7, "path_display": false, "size": "-1", "rev": -1, "etag": [null],
    "file": 1e400, "folder": "yes", "value": {"0": null}, "entries": {"a": 1}, "has_more": "no", "cursor": {},
    "error": 42, "error_summary": {}, "next": [], "uploadUrl": {}, "session_id": null, "nextExpectedRanges": 5,
    "modified": "tomorrow", "server_modified": -9e99, "hash": {"sha1Hash": 1}, "content_hash": "zz",
    ".tag": ["file"], "metadata": null, "total": -1, "used": "all"
}"#;

fn status(code: u16) -> Answer {
    whole(code, "application/json", b"{}")
}

fn whole(code: u16, kind: &'static str, body: &[u8]) -> Answer {
    reply(code, kind, Script::Whole(Bytes::copy_from_slice(body)))
}

fn reply(code: u16, kind: &'static str, body: Script) -> Answer {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
    Answer::Reply { status, headers, body }
}

fn with(mut answer: Answer, name: &HeaderName, value: &'static str) -> Answer {
    if let Answer::Reply { headers, .. } = &mut answer {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

const fn nothing(reached: Reached, kind: SendErrorKind) -> Answer {
    Answer::Nothing { reached, kind }
}

/// What the token endpoint answers: fresh tokens, unless the sign-in is gone.
pub(super) fn token(lie: Lie) -> Answer {
    if lie == Lie::SignedOut {
        return whole(400, "application/json", br#"{"error":"invalid_grant"}"#);
    }
    let fresh =
        br#"{"access_token":"another","token_type":"bearer","expires_in":3600,"refresh_token":"another"}"#;
    whole(200, "application/json", fresh)
}
