//! The network: the one place that sends.
//!
//! Everything else hands in a finished request (a granted address, signed headers, a body that can be
//! sent) and gets back the reply, or an error that says whether the request may have arrived.
//! Nothing is decided here but where packets may go at all: there are no redirects, no retries, no
//! cookies, no proxies, no compression, and no address that the guard would not have. The client
//! library is known to this room alone.

mod client;
mod connect_to;
mod error;
pub mod guard;
mod plain;
mod resolver;
mod stage;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

pub use connect_to::{ConnectTo, Error as ConnectToError};
pub use error::{Reached, ReadError, SendError, SendErrorKind};
pub use plain::{Error as PlainError, Plain};
pub use resolver::{Resolver, SystemResolver};
pub use stage::{Answer, Asked, Script, Stage};

use crate::content::{Body, Section, Source, Tap};
use client::Clients;
use watch::{Pace, Watch, Watched};

/// Time to resolve a name, connect and agree on a key. Lost packets are sent again after 1, 3 and 7
/// seconds; who has not answered the fourth does not answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a peer to make room for more of a request. The client takes about half a megabyte before
/// it waits for room again, so this allows 2 KiB a second: one of several uploads on a slow line.
pub const SEND_STALL: Duration = Duration::from_secs(300);
/// Time from the last byte of a request to the first of its reply. What is still in the machine's own
/// buffers counts, and services take minutes to commit a large file.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(300);
/// Time for [`MOVING_BYTES_MIN`] of a reply to arrive.
pub const RECEIVE_STALL: Duration = Duration::from_secs(60);
/// Bytes of a reply that count as movement. One byte every ten seconds keeps a connection from
/// being idle and an operation from ever ending.
pub const MOVING_BYTES_MIN: u64 = 32 * 1024;
/// All header names and values of a reply, in bytes. The services' replies have 2 KiB; minted
/// addresses and cookies can double that.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// How the network is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Pairs that are dialled elsewhere, the first that fits. For tests and emulators.
    pub connect_to: Vec<ConnectTo>,
    /// Pairs that are spoken to in the clear, wherever they are. For registries of one's own.
    pub plain: Vec<Plain>,
    /// Files of certificates (PEM) that are trusted besides the machine's own.
    pub ca_certificates: Vec<PathBuf>,
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolver>,
    /// Who answers in place of the internet; nobody but where a connector is examined.
    pub stage: Option<Arc<dyn Stage>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_to: Vec::new(),
            plain: Vec::new(),
            ca_certificates: Vec::new(),
            resolver: Arc::new(SystemResolver),
            stage: None,
        }
    }
}

/// Why the network cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of certificates cannot be read.
    #[error("the certificates in `{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        problem: std::io::Error,
    },
    /// A file has no certificates in it.
    #[error("`{0}` holds no certificate in PEM form")]
    NoCertificate(PathBuf),
}

/// Which versions of HTTP a destination speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum HttpVersion {
    /// The newest that both sides know.
    #[default]
    #[serde(rename = "default")]
    Default,
    /// Only 1.1.
    #[serde(rename = "1.1")]
    Http1,
    /// Only 2.
    #[serde(rename = "2")]
    Http2,
}

/// How long one request may stand still. Waiting for permits and pauses is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// See [`CONNECT_TIMEOUT`], which is also the most that has an effect.
    pub connect: Duration,
    /// See [`SEND_STALL`].
    pub send_stall: Duration,
    /// See [`REPLY_TIMEOUT`].
    pub reply: Duration,
    /// See [`RECEIVE_STALL`].
    pub receive_stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            send_stall: SEND_STALL,
            reply: REPLY_TIMEOUT,
            receive_stall: RECEIVE_STALL,
        }
    }
}

/// What a request carries.
#[derive(Debug)]
pub enum Payload {
    /// Nothing.
    None,
    /// A few bytes.
    Bytes(Bytes),
    /// Part of a source.
    Section(Body),
}

impl Payload {
    fn into_body(self) -> Body {
        let bytes = match self {
            Self::None => Bytes::new(),
            Self::Bytes(bytes) => bytes,
            Self::Section(body) => return body,
        };
        let source = Source::from_bytes(bytes, "the request".to_owned());
        Section::whole(Arc::new(source)).body(Tap::default())
    }
}

/// A request, finished: what is here is what is sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where to: `https` and a name, or one of [`Options::plain`].
    pub url: Url,
    /// All headers but those of the connection and the length.
    pub headers: HeaderMap,
    /// The body.
    pub payload: Payload,
    /// Which versions to speak.
    pub version: HttpVersion,
    /// Requests of different pools share no connection and no session; usually the account's name.
    pub pool: Arc<str>,
    /// How long it may stand still.
    pub timeouts: Timeouts,
}

/// What went through a [`Network`] so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests that were begun.
    pub requests: u64,
    /// Bytes of bodies that connections took.
    pub sent_bytes: u64,
    /// Bytes of bodies that came back.
    pub received_bytes: u64,
}

/// The way out.
#[derive(Debug)]
pub struct Network {
    clients: Clients,
    stage: Option<Arc<dyn Stage>>,
    requests: AtomicU64,
    sent_bytes: Arc<AtomicU64>,
    received_bytes: Arc<AtomicU64>,
}

impl Network {
    /// Set up, without connecting to anything. The machine's own certificates are read when the
    /// first request is sent.
    ///
    /// # Errors
    /// When a file of certificates is of no use.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Self {
            stage: options.stage.clone(),
            clients: Clients::new(options)?,
            requests: AtomicU64::new(0),
            sent_bytes: Arc::default(),
            received_bytes: Arc::default(),
        })
    }

    /// Take replies with this many bytes of headers. To be set before anything is sent.
    pub(crate) const fn take_headers(&mut self, bytes: usize) {
        self.clients.header_bytes = bytes;
    }

    /// Send one request, once, and wait for the head of its reply. Dropping the future ends the
    /// request; it may have arrived then.
    ///
    /// # Errors
    /// When there is no reply. The error says whether the request may have arrived.
    pub async fn send(&self, request: Outgoing) -> Result<Incoming, SendError> {
        let timeouts = request.timeouts;
        let unsent = |kind| SendError { reached: Reached::No, kind };
        if !self.clients.is_plain(&request.url) {
            guard::host(&request.url).map_err(|refusal| unsent(SendErrorKind::Refused(refusal)))?;
        }
        if let Some(stage) = &self.stage {
            return self.perform(stage.as_ref(), request).await;
        }
        let client = self.clients.get(&request).map_err(unsent)?;

        let watch = Watch::new();
        let exchange = Box::pin(client.execute(self.prepare(request, &watch)));
        self.requests.fetch_add(1, Ordering::Relaxed);
        // Whoever loses is dropped before anybody asks how far the request came.
        let replied = tokio::select! {
            replied = exchange => replied.map_err(|error| (error::unprocessed(&error), error::kind(error))),
            expired = watch.expired(&timeouts) => Err((false, expired)),
        };
        let reply = replied.map_err(|(unprocessed, kind)| {
            let reached = if watch.reached() && !unprocessed { Reached::Maybe } else { Reached::No };
            let kind = watch.failure().map_or(kind, SendErrorKind::Content);
            SendError { reached, kind }
        })?;
        if header_bytes(reply.headers()) > self.clients.header_bytes {
            return Err(SendError { reached: Reached::Maybe, kind: SendErrorKind::HeadersTooLong });
        }
        Ok(Incoming {
            reply,
            pace: Pace::new(),
            stall: timeouts.receive_stall,
            received_bytes: Arc::clone(&self.received_bytes),
        })
    }

    /// May this address be spoken to in the clear?
    #[must_use]
    pub fn is_plain(&self, url: &Url) -> bool {
        self.clients.is_plain(url)
    }

    /// What went through so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            requests: self.requests.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
        }
    }

    fn prepare(&self, request: Outgoing, watch: &Arc<Watch>) -> reqwest::Request {
        let Outgoing { method, mut url, mut headers, payload, version: _, pool: _, timeouts: _ } = request;
        let body = payload.into_body();
        // Without it some front ends refuse a request that could have had a body.
        if body.left() == 0 && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(host) = self.clients.take_port(&mut url) {
            headers.insert(HOST, host);
        }
        let watched = Watched { body, watch: Arc::clone(watch), sent_bytes: Arc::clone(&self.sent_bytes) };
        let mut finished = reqwest::Request::new(method, url);
        *finished.headers_mut() = headers;
        *finished.body_mut() = Some(reqwest::Body::wrap(watched));
        finished
    }
}

/// A reply, of which the head has arrived. Dropping it closes what is still coming.
#[derive(Debug)]
pub struct Incoming {
    reply: reqwest::Response,
    pace: Pace,
    stall: Duration,
    received_bytes: Arc<AtomicU64>,
}

impl Incoming {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.reply.status()
    }

    /// All headers, [`HEADER_BYTES_MAX`] of them at most.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.reply.headers()
    }

    /// The version that was spoken.
    #[must_use]
    pub fn version(&self) -> http::Version {
        self.reply.version()
    }

    /// Length of the body in bytes, if the service says.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.reply.content_length()
    }

    /// Who replied.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.reply.remote_addr()
    }

    /// The rest of the body, at most `limit` bytes.
    ///
    /// # Errors
    /// When it is longer, stops coming or is cut off. Nothing of it is returned then.
    pub async fn read(mut self, limit: u64) -> Result<Bytes, ReadError> {
        let expected = self.content_length().unwrap_or_default();
        if expected > limit {
            return Err(ReadError::TooLarge { limit });
        }
        let mut whole = BytesMut::with_capacity(usize::try_from(expected).unwrap_or_default());
        while let Some(chunk) = self.chunk().await? {
            if length(&whole) + length(&chunk) > limit {
                return Err(ReadError::TooLarge { limit });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The next bytes of the body; none after the last. Only the time spent in here counts as waiting.
    ///
    /// # Errors
    /// When it stops coming or is cut off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        let began = tokio::time::Instant::now();
        let patience = self.pace.patience(self.stall);
        let chunk = match tokio::time::timeout(patience, self.reply.chunk()).await {
            Ok(chunk) => chunk.map_err(error::cut)?,
            Err(_) => return Err(ReadError::Stalled),
        };
        let arrived = chunk.as_ref().map_or(0, |bytes| length(bytes));
        self.pace.arrived(arrived, began.elapsed(), MOVING_BYTES_MIN);
        self.received_bytes.fetch_add(arrived, Ordering::Relaxed);
        Ok(chunk)
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// A length that fits, as every slice's does.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
