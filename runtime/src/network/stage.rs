//! Somebody who answers in place of the internet, in this process.
//!
//! For the examination of a connector: what is under test there is the component, and the service that it
//! meets should lie as no emulator does. A request that comes this far was granted, signed and passed
//! the guard like any other; it is read to its end, and then it is answered here. No command line and no
//! file can put anybody in this place.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use url::Url;

use super::{Incoming, Network, Outgoing, Pace, Reached, SendError, SendErrorKind, length};

/// Bytes of one piece of a body that does not end.
const PIECE_BYTES: usize = 64 * 1024;

/// Who answers.
pub trait Stage: Send + Sync + std::fmt::Debug {
    /// The answer to a request.
    fn answer(&self, request: &Asked) -> Answer;
}

/// What was asked, without what is secret in it.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Bytes of body.
    pub bytes: u64,
}

/// What is answered.
#[derive(Debug)]
pub enum Answer {
    /// A reply.
    Reply {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
        /// Its body.
        body: Script,
    },
    /// None, and why.
    Nothing {
        /// May the service have received the request?
        reached: Reached,
        /// What went wrong.
        kind: SendErrorKind,
    },
}

/// How a body goes.
#[derive(Debug)]
pub enum Script {
    /// These bytes, and then it ends.
    Whole(Bytes),
    /// These bytes, and then the connection breaks.
    Broken(Bytes),
    /// Zeros, for as long as somebody reads.
    Endless,
}

impl Script {
    fn body(self) -> reqwest::Body {
        type Piece = Result<Bytes, std::io::Error>;
        match self {
            Self::Whole(bytes) => bytes.into(),
            Self::Broken(bytes) => {
                let broken: Piece = Err(std::io::ErrorKind::ConnectionReset.into());
                reqwest::Body::wrap_stream(stream::iter([Ok(bytes), broken]))
            }
            Self::Endless => {
                let zeros = Bytes::from(vec![0; PIECE_BYTES]);
                reqwest::Body::wrap_stream(stream::iter(std::iter::repeat_with(move || -> Piece {
                    Ok(zeros.clone())
                })))
            }
        }
    }
}

impl Network {
    /// Send a request to the stage.
    pub(super) async fn perform(&self, stage: &dyn Stage, request: Outgoing) -> Result<Incoming, SendError> {
        let Outgoing { method, url, headers: _, payload, version: _, pool: _, timeouts } = request;
        let mut body = payload.into_body();
        let mut bytes = 0_u64;
        while let Some(frame) = body.frame().await {
            let content = |error| SendError { reached: Reached::Maybe, kind: SendErrorKind::Content(error) };
            bytes = bytes.saturating_add(frame.map_err(content)?.data_ref().map_or(0, |data| length(data)));
        }
        let (status, headers, script) = match stage.answer(&Asked { method, url, bytes }) {
            Answer::Reply { status, headers, body } => (status, headers, body),
            Answer::Nothing { reached, kind } => return Err(SendError { reached, kind }),
        };
        let mut reply = http::Response::new(script.body());
        *reply.status_mut() = status;
        *reply.headers_mut() = headers;
        Ok(Incoming {
            reply: reply.into(),
            pace: Pace::new(),
            stall: timeouts.receive_stall,
            received_bytes: std::sync::Arc::clone(&self.received_bytes),
        })
    }
}
