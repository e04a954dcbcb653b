//! What went wrong on the way, and whether the request may have arrived.
//!
//! The second matters more: it decides whether a request may be sent again. No text here carries an
//! address beyond its host, since the rest may be a bearer secret.

use std::error::Error as StdError;
use std::io;

use super::guard::Refusal;
use crate::content;

/// May the service have received the request?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Certainly not: not a byte of it was written to a connection, or the peer says that it did not
    /// look at it.
    No,
    /// Some of it was written, or all.
    Maybe,
}

/// A request without a reply.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}")]
pub struct SendError {
    /// May the service have received it?
    pub reached: Reached,
    /// What went wrong.
    #[source]
    pub kind: SendErrorKind,
}

/// Why a request has no reply.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendErrorKind {
    /// The egress guard.
    #[error("the request is refused")]
    Refused(#[source] Refusal),
    /// It is no request: an address or a header that HTTP has no form for.
    #[error("the request cannot be written: {0}")]
    Malformed(String),
    /// The machine's root certificates, or those that were added, are of no use.
    #[error("no secure connection can be made: {0}")]
    Setup(String),
    /// The name has no address.
    #[error("the name of the service cannot be resolved: {0}")]
    Resolve(String),
    /// Nobody listens, or the network is down.
    #[error("the service cannot be connected to: {0}")]
    Connect(String),
    /// Who answers cannot prove to be the service.
    #[error("the connection to the service is not secure: {0}")]
    Tls(String),
    /// No connection in time.
    #[error("the service did not answer the connection in time")]
    ConnectTimedOut,
    /// The service stopped taking bytes.
    #[error("the service stopped taking the request")]
    Stalled,
    /// The request was sent, and no reply began in time.
    #[error("the service did not reply in time")]
    ReplyTimedOut,
    /// The reply's headers are longer than [`super::HEADER_BYTES_MAX`].
    #[error("the headers of the reply are too long")]
    HeadersTooLong,
    /// The content of the request could not be read to its end.
    #[error("the content of the request cannot be sent")]
    Content(#[source] content::Error),
    /// The connection ended before a reply, or what came was not one.
    #[error("the connection to the service ended: {0}")]
    Lost(String),
}

/// A reply that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More than was asked for.
    #[error("the reply is longer than {limit} bytes")]
    TooLarge {
        /// Bytes asked for.
        limit: u64,
    },
    /// Too few bytes came for too long.
    #[error("the reply stopped coming")]
    Stalled,
    /// The connection ended within the reply.
    #[error("the reply was cut off: {0}")]
    Cut(String),
}

/// What the client underneath reports, in our words.
pub(super) fn kind(error: reqwest::Error) -> SendErrorKind {
    let malformed = error.is_builder();
    let (connect, dns, timeout) = (error.is_connect(), error.is_dns(), error.is_timeout());
    let error = error.without_url();
    for cause in causes(&error) {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return SendErrorKind::Refused(refusal.clone());
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return SendErrorKind::Tls(tls.to_string());
        }
    }
    let told = innermost(&error);
    if malformed {
        return SendErrorKind::Malformed(told);
    }
    match (connect, dns, timeout) {
        (true, _, true) => SendErrorKind::ConnectTimedOut,
        (_, true, _) => SendErrorKind::Resolve(told),
        (true, false, false) => SendErrorKind::Connect(told),
        (false, false, _) => SendErrorKind::Lost(told),
    }
}

/// Does the peer say that it never looked at the request? HTTP/2 can: a stream that it refused, and
/// one that it had not begun when it said goodbye
/// ([RFC 9113, section 8.7](https://www.rfc-editor.org/rfc/rfc9113#section-8.7)).
pub(super) fn unprocessed(error: &reqwest::Error) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let goodbye = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_remote() && (refused || goodbye)
    })
}

/// A reply that ended early, in our words.
pub(super) fn cut(error: reqwest::Error) -> ReadError {
    ReadError::Cut(innermost(&error.without_url()))
}

/// What the deepest cause says: those above it say only where it happened.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The causes of an error, outermost first. An I/O error hides the error that it was made from.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        }
    })
}
