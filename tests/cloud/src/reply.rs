//! An answer before it is sent: a status, headers and what it carries.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::inbound::Broken;
use crate::outbound::Payload;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
}

impl Reply {
    /// No body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), payload: Payload::Empty }
    }

    /// A JSON document.
    pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        Self::bytes(status, "application/json", bytes.into())
    }

    /// A JSON document that is already a value. Printing a value is code of `serde_json` itself,
    /// which is optimised even where this crate is not: long listings go this way.
    pub(crate) fn value(status: StatusCode, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string().into())
    }

    /// Plain text, which is how Dropbox says most of its 400s.
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let bytes = Bytes::from(text.into());
        Self::bytes(status, "text/plain; charset=utf-8", bytes)
    }

    /// A page for a browser.
    pub(crate) fn page(status: StatusCode, html: String) -> Self {
        Self::bytes(status, "text/html; charset=utf-8", html.into())
    }

    pub(crate) fn bytes(status: StatusCode, kind: &'static str, bytes: Bytes) -> Self {
        let mut reply = Self::empty(status);
        reply.payload = Payload::Bytes(bytes);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        reply
    }

    /// Adds a header; a value that HTTP cannot carry is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Asks the client to stay away for so many seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, seconds.to_string())
    }
}

/// Why a handler did not finish.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It answers at once.
    Answer(Box<Reply>),
    /// The request body broke off; there is nobody to answer.
    Cut,
}

/// What a handler gives back.
pub(crate) type Answer = Result<Reply, Stop>;

impl From<Broken> for Stop {
    fn from(_: Broken) -> Self {
        Self::Cut
    }
}

impl From<Reply> for Stop {
    fn from(reply: Reply) -> Self {
        Self::Answer(Box::new(reply))
    }
}

impl From<Box<Reply>> for Stop {
    fn from(reply: Box<Reply>) -> Self {
        Self::Answer(reply)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        // The emulator's own disk failed: said loudly, so that no test takes it for a service error.
        let text = format!("the emulator could not reach its files: {error}");
        Self::from(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text))
    }
}
