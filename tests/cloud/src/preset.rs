//! The documented answers of both services when something is wrong, by name.
//!
//! A fault plan names one of these instead of spelling out a body. The real code paths do not use
//! them: they build the same bodies from `onedrive::error` and `dropbox::error`.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::dropbox::error as dropbox;
use crate::onedrive::error as onedrive;
use crate::reply::Reply;

/// A documented answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// 401 `InvalidAuthenticationToken`.
    OnedriveInvalidToken,
    /// 401 `unauthenticated`, as upload hosts say it.
    OnedriveUnauthenticated,
    /// 403 `accessDenied`.
    OnedriveAccessDenied,
    /// 403 `notAllowed`.
    OnedriveNotAllowed,
    /// 403 `malwareDetected`.
    OnedriveMalware,
    /// 404 `itemNotFound`.
    OnedriveNotFound,
    /// 404 `itemNotFound` with the inner code `uploadSessionNotFound`.
    OnedriveSessionGone,
    /// 400 `invalidRequest`.
    OnedriveInvalidRequest,
    /// 400 `invalidRequest`, "ObjectHandle is Invalid".
    OnedriveBadHandle,
    /// 400 `pathIsTooLong`.
    OnedrivePathTooLong,
    /// 409 `nameAlreadyExists`.
    OnedriveNameExists,
    /// 409 `conflict`: somebody else is uploading a file of this name.
    OnedriveBeingUploaded,
    /// 410 `resyncRequired`.
    OnedriveResync,
    /// 412 `resourceModified`.
    OnedriveModified,
    /// 413 `maxFragmentLengthExceeded`.
    OnedriveFragmentTooLarge,
    /// 416 `invalidRange`.
    OnedriveInvalidRange,
    /// 423 `resourceLocked`.
    OnedriveLocked,
    /// 429 `TooManyRequests`, the documented body.
    OnedriveThrottled,
    /// 429 `activityLimitReached`, the older code.
    OnedriveActivityLimit,
    /// 500 `generalException`.
    OnedriveGeneralException,
    /// 502 with a page of HTML, as a gateway says it.
    OnedriveBadGateway,
    /// 503 `serviceNotAvailable`.
    OnedriveUnavailable,
    /// 504 without a body.
    OnedriveGatewayTimeout,
    /// 507 `quotaLimitReached`.
    OnedriveQuota,
    /// 509 bandwidth limit.
    OnedriveBandwidth,
    /// 400 `invalid_grant` of the token endpoint: expired by inactivity.
    OnedriveInvalidGrant,
    /// 400 in plain text.
    DropboxBadInput,
    /// 401 `invalid_access_token`.
    DropboxInvalidToken,
    /// 401 `expired_access_token`.
    DropboxExpiredToken,
    /// 401 `missing_scope`.
    DropboxMissingScope,
    /// 401 `user_suspended`.
    DropboxUserSuspended,
    /// 403 `invalid_account_type`.
    DropboxAccountType,
    /// 409 `not_found` where the route says it.
    DropboxNotFound,
    /// 409 `malformed_path` where the route says it.
    DropboxMalformedPath,
    /// 409 `conflict/file` where the route says it.
    DropboxConflict,
    /// 409 `no_write_permission` where the route says it.
    DropboxNoWritePermission,
    /// 409 `insufficient_space` where the route says it.
    DropboxInsufficientSpace,
    /// 409 `disallowed_name` where the route says it.
    DropboxDisallowedName,
    /// 409 `too_many_write_operations` where the route says it.
    DropboxTooManyWrites,
    /// 409 `too_many_files`.
    DropboxTooManyFiles,
    /// 409 `internal_error`.
    DropboxInternalError,
    /// 409: the upload session is not there.
    DropboxSessionGone,
    /// 409: the upload session is closed.
    DropboxSessionClosed,
    /// 409 `content_hash_mismatch`.
    DropboxHashMismatch,
    /// 409 `reset`.
    DropboxReset,
    /// 422: the path root is not valid.
    DropboxPathRoot,
    /// 429 as JSON, `too_many_requests`.
    DropboxTooManyRequests,
    /// 429 as JSON, `too_many_write_operations`.
    DropboxRateWrites,
    /// 429 as plain text.
    DropboxTooManyRequestsText,
    /// 500 in plain text.
    DropboxServerError,
    /// 503 in plain text.
    DropboxUnavailable,
    /// 400 `invalid_grant` of the token endpoint.
    DropboxInvalidGrant,
}

impl Preset {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        SHAPES.iter().map(|(preset, _)| *preset)
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(formatter)
    }
}

/// How an answer is built.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// An error of Graph: status, code, message, inner code.
    Graph(u16, &'static str, &'static str, &'static str),
    /// A page of HTML.
    Page(u16, &'static str),
    /// Plain text.
    Text(u16, &'static str),
    /// A status alone.
    Bare(u16),
    /// `invalid_grant` of Microsoft.
    MicrosoftGrant,
    /// `invalid_grant` of Dropbox.
    DropboxGrant,
    /// A Dropbox 401 with this tag.
    Unauthorized(&'static str),
    /// A Dropbox 403 with this tag.
    Forbidden(&'static str),
    /// A Dropbox 422 with this tag.
    PathRoot(&'static str),
    /// A Dropbox 429 as JSON with this reason.
    Rate(&'static str),
    /// A Dropbox lookup error with this tag, where the route has it.
    Lookup(&'static str),
    /// A Dropbox write error with this tag, where the route has it.
    Write(&'static str),
    /// A Dropbox upload session error with this tag, where the route has it.
    Session(&'static str),
    /// A Dropbox error with this tag at the top.
    Plain(&'static str),
}

impl Preset {
    /// The answer, shaped for the kind of request it is given to.
    pub(crate) fn reply(self, kind: &str) -> Reply {
        let found = SHAPES.iter().find(|(preset, _)| *preset == self);
        match found {
            Some((_, shape)) => shape.reply(kind),
            None => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl Shape {
    fn reply(self, kind: &str) -> Reply {
        let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
        match self {
            Self::Graph(code, name, message, inner) => {
                onedrive::Failure::new(code, name, message).inner(inner).reply(onedrive::is_storage(kind))
            }
            Self::Page(code, html) => Reply::page(status(code), html.to_owned()),
            Self::Text(code, text) => Reply::text(status(code), text),
            Self::Bare(code) => Reply::empty(status(code)),
            Self::MicrosoftGrant => crate::login::microsoft_error(
                "invalid_grant",
                700_082,
                "The refresh token has expired due to inactivity.",
            ),
            Self::DropboxGrant => {
                crate::login::dropbox_error("invalid_grant", "refresh token is invalid or revoked")
            }
            Self::Unauthorized("missing_scope") => dropbox::missing_scope("files.content.write"),
            Self::Unauthorized(tag) => dropbox::unauthorized(json!({".tag": tag})),
            Self::Forbidden(tag) => dropbox::forbidden(json!({".tag": tag, tag: {".tag": "endpoint"}})),
            Self::PathRoot(tag) => dropbox::path_root(json!({".tag": tag})),
            Self::Rate(reason) => dropbox::rate_limit(reason, 1),
            Self::Lookup(tag) => dropbox::lookup_at(kind, json!({".tag": tag})),
            Self::Write("conflict") => dropbox::write_at(kind, dropbox::conflict_with("file")),
            Self::Write(tag) => dropbox::write_at(kind, json!({".tag": tag})),
            Self::Session(tag) => dropbox::session_at(kind, json!({".tag": tag})),
            Self::Plain(tag) => dropbox::endpoint(json!({".tag": tag})),
        }
    }
}

const SHAPES: &[(Preset, Shape)] = &[
    (
        Preset::OnedriveInvalidToken,
        Shape::Graph(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.", ""),
    ),
    (Preset::OnedriveUnauthenticated, Shape::Graph(401, "unauthenticated", "Unauthenticated", "")),
    (Preset::OnedriveAccessDenied, Shape::Graph(403, "accessDenied", "Access denied", "")),
    (Preset::OnedriveNotAllowed, Shape::Graph(403, "notAllowed", "The action is not allowed", "")),
    (Preset::OnedriveMalware, Shape::Graph(403, "malwareDetected", "Malware was detected", "")),
    (Preset::OnedriveNotFound, Shape::Graph(404, "itemNotFound", "Item not found", "")),
    (
        Preset::OnedriveSessionGone,
        Shape::Graph(404, "itemNotFound", "The upload session was not found", "uploadSessionNotFound"),
    ),
    (Preset::OnedriveInvalidRequest, Shape::Graph(400, "invalidRequest", "Invalid request", "")),
    (Preset::OnedriveBadHandle, Shape::Graph(400, "invalidRequest", "ObjectHandle is Invalid", "")),
    (Preset::OnedrivePathTooLong, Shape::Graph(400, "pathIsTooLong", "Path exceeds maximum length", "")),
    (Preset::OnedriveNameExists, Shape::Graph(409, "nameAlreadyExists", "Name already exists", "")),
    (
        Preset::OnedriveBeingUploaded,
        Shape::Graph(409, "conflict", "A file with the same name is currently being uploaded", ""),
    ),
    (Preset::OnedriveResync, Shape::Graph(410, "resyncRequired", "Resync required", "")),
    (
        Preset::OnedriveModified,
        Shape::Graph(
            412,
            "resourceModified",
            "ETag does not match current item's value",
            "entityTagDoesNotMatch",
        ),
    ),
    (
        Preset::OnedriveFragmentTooLarge,
        Shape::Graph(413, "invalidRequest", "The fragment is too large", "maxFragmentLengthExceeded"),
    ),
    (Preset::OnedriveInvalidRange, Shape::Graph(416, "invalidRange", "Invalid range", "fragmentOverlap")),
    (Preset::OnedriveLocked, Shape::Graph(423, "resourceLocked", "The resource is locked", "locked")),
    (Preset::OnedriveThrottled, Shape::Graph(429, "TooManyRequests", "Please retry again later.", "429")),
    (
        Preset::OnedriveActivityLimit,
        Shape::Graph(429, "activityLimitReached", "The app or user has been throttled", "throttledRequest"),
    ),
    (Preset::OnedriveGeneralException, Shape::Graph(500, "generalException", "General exception", "")),
    (Preset::OnedriveBadGateway, Shape::Page(502, "<html><body><h1>502 Bad Gateway</h1></body></html>")),
    (Preset::OnedriveUnavailable, Shape::Graph(503, "serviceNotAvailable", "Service is unavailable", "")),
    (Preset::OnedriveGatewayTimeout, Shape::Bare(504)),
    (Preset::OnedriveQuota, Shape::Graph(507, "quotaLimitReached", "Quota limit reached", "")),
    (Preset::OnedriveBandwidth, Shape::Graph(509, "bandwidthLimitExceeded", "Bandwidth limit", "")),
    (Preset::OnedriveInvalidGrant, Shape::MicrosoftGrant),
    (
        Preset::DropboxBadInput,
        Shape::Text(400, "Error in call to API function: request body: could not decode input as JSON"),
    ),
    (Preset::DropboxInvalidToken, Shape::Unauthorized("invalid_access_token")),
    (Preset::DropboxExpiredToken, Shape::Unauthorized("expired_access_token")),
    (Preset::DropboxMissingScope, Shape::Unauthorized("missing_scope")),
    (Preset::DropboxUserSuspended, Shape::Unauthorized("user_suspended")),
    (Preset::DropboxAccountType, Shape::Forbidden("invalid_account_type")),
    (Preset::DropboxNotFound, Shape::Lookup("not_found")),
    (Preset::DropboxMalformedPath, Shape::Lookup("malformed_path")),
    (Preset::DropboxConflict, Shape::Write("conflict")),
    (Preset::DropboxNoWritePermission, Shape::Write("no_write_permission")),
    (Preset::DropboxInsufficientSpace, Shape::Write("insufficient_space")),
    (Preset::DropboxDisallowedName, Shape::Write("disallowed_name")),
    (Preset::DropboxTooManyWrites, Shape::Write("too_many_write_operations")),
    (Preset::DropboxTooManyFiles, Shape::Plain("too_many_files")),
    (Preset::DropboxInternalError, Shape::Plain("internal_error")),
    (Preset::DropboxSessionGone, Shape::Session("not_found")),
    (Preset::DropboxSessionClosed, Shape::Session("closed")),
    (Preset::DropboxHashMismatch, Shape::Plain("content_hash_mismatch")),
    (Preset::DropboxReset, Shape::Plain("reset")),
    (Preset::DropboxPathRoot, Shape::PathRoot("no_permission")),
    (Preset::DropboxTooManyRequests, Shape::Rate("too_many_requests")),
    (Preset::DropboxRateWrites, Shape::Rate("too_many_write_operations")),
    (Preset::DropboxTooManyRequestsText, Shape::Text(429, "too_many_requests")),
    (Preset::DropboxServerError, Shape::Text(500, "Internal Server Error")),
    (Preset::DropboxUnavailable, Shape::Text(503, "Service Unavailable")),
    (Preset::DropboxInvalidGrant, Shape::DropboxGrant),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_the_status_of_its_table() {
        for (preset, shape) in SHAPES {
            let status = preset.reply("dropbox.upload").status.as_u16();
            assert!(status >= 400, "{preset}: {shape:?}");
        }
        let reply = Preset::OnedriveThrottled.reply("onedrive.item");
        assert_eq!(reply.status.as_u16(), 429);
    }
}
