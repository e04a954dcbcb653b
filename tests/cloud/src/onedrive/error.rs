//! What Graph says when it refuses: a status, a code, a message, and codes within codes.

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde_json::{Map, Value, json};

use crate::reply::{Reply, Stop};
use crate::seal;

/// An error of Graph.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    message: String,
    inner: &'static str,
    retry_after: Option<u64>,
}

impl Failure {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), inner: "", retry_after: None }
    }

    /// Adds the more precise code that hides inside.
    pub(crate) fn inner(mut self, code: &'static str) -> Self {
        self.inner = code;
        self
    }

    /// Asks the client to stay away for so many seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer. Storage hosts spell the inner error in lower case and have no request id.
    pub(crate) fn reply(&self, storage: bool) -> Reply {
        let body = self.body(storage);
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut reply = Reply::json(status, &body);
        if status == StatusCode::UNAUTHORIZED && !storage {
            let challenge = "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"invalid_token\"";
            reply = reply.header(WWW_AUTHENTICATE, challenge);
        }
        match self.retry_after {
            Some(seconds) => reply.retry_after(seconds),
            None => reply,
        }
    }

    /// The body of the answer.
    pub(crate) fn body(&self, storage: bool) -> Value {
        let mut inner = Map::new();
        if !self.inner.is_empty() {
            inner.insert("code".to_owned(), json!(self.inner));
        }
        if self.status == 429 {
            inner.insert("status".to_owned(), json!("429"));
            inner.insert("message".to_owned(), json!("Please retry after"));
        }
        if !storage {
            let id = seal::guid();
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S");
            inner.insert("date".to_owned(), json!(now.to_string()));
            inner.insert("request-id".to_owned(), json!(id));
            inner.insert("client-request-id".to_owned(), json!(id));
        }
        let mut error = Map::new();
        error.insert("code".to_owned(), json!(self.code));
        error.insert("message".to_owned(), json!(self.message));
        if !inner.is_empty() {
            let spelling = if storage { "innererror" } else { "innerError" };
            error.insert(spelling.to_owned(), Value::Object(inner));
        }
        json!({ "error": error })
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "itemNotFound", "Item not found")
    }

    pub(crate) fn session_gone() -> Self {
        Self::new(404, "itemNotFound", "The upload session was not found").inner("uploadSessionNotFound")
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalidRequest", message)
    }

    pub(crate) fn exists() -> Self {
        Self::new(409, "nameAlreadyExists", "An item with the same name already exists under the parent")
    }

    pub(crate) fn modified() -> Self {
        Self::new(412, "resourceModified", "ETag does not match current item's value")
            .inner("entityTagDoesNotMatch")
    }

    pub(crate) fn quota() -> Self {
        Self::new(507, "quotaLimitReached", "The account is out of space").inner("insufficientStorage")
    }

    pub(crate) fn denied() -> Self {
        Self::new(403, "accessDenied", "Access denied")
    }

    pub(crate) fn bad_handle() -> Self {
        Self::invalid("ObjectHandle is Invalid")
    }

    pub(crate) fn locked() -> Self {
        Self::new(423, "resourceLocked", "The resource you are attempting to access is locked")
            .inner("locked")
    }
}

/// Whether errors of this kind of request come from a storage host.
pub(crate) fn is_storage(kind: &str) -> bool {
    matches!(
        kind,
        "onedrive.session-part"
            | "onedrive.session-status"
            | "onedrive.session-cancel"
            | "onedrive.session-commit"
            | "onedrive.download"
            | "onedrive.monitor"
    )
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::from(failure.reply(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_the_inner_error() {
        let failure = Failure::session_gone();
        let graph = failure.body(false);
        assert_eq!(graph["error"]["innerError"]["code"], "uploadSessionNotFound");
        assert!(graph["error"]["innerError"]["request-id"].is_string());
        let storage = failure.body(true);
        assert_eq!(storage["error"]["innererror"]["code"], "uploadSessionNotFound");
        assert!(storage["error"]["innererror"]["request-id"].is_null());
    }
}
