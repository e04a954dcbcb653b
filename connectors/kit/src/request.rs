//! One request: the name of a route of the manifest, and what fills its blanks.
//!
//! There is no way to say an address or a credential here; the host checks the rest against the
//! route and refuses what the route does not permit.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::Replay;

/// A request, built up blank by blank.
///
/// ```
/// # use wharf_connector::Request;
/// let request: Request<'_, ()> = Request::route("children").item("a/b").query("$top", "100");
/// assert_eq!(request.route, "children");
/// ```
pub struct Request<'a, Content> {
    /// The route's name.
    pub route: &'static str,
    /// Which item, relative to the backup directory.
    pub item: Option<Cow<'a, str>>,
    /// The handle that stands for a minted address.
    pub handle: Option<&'a str>,
    /// Query keys and values.
    pub query: Vec<(&'static str, String)>,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON arguments, one object.
    pub json: Option<String>,
    /// The body.
    pub payload: Payload<'a, Content>,
    /// May it be sent twice?
    pub replay: Replay,
}

/// What a request carries besides its arguments.
pub enum Payload<'a, Content> {
    /// Nothing.
    None,
    /// A few bytes of the connector's own making, at most 1 MiB.
    Bytes(Vec<u8>),
    /// A part of a content.
    Section {
        /// Where the bytes come from.
        content: &'a Content,
        /// First byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
}

impl<'a, Content> Request<'a, Content> {
    /// A request for this route of the manifest. Whether it may be sent twice is the route's to say,
    /// unless [`once`](Self::once) is stricter.
    #[must_use]
    pub const fn route(route: &'static str) -> Self {
        Self {
            route,
            item: None,
            handle: None,
            query: Vec::new(),
            headers: Vec::new(),
            json: None,
            payload: Payload::None,
            replay: Replay::Safe,
        }
    }

    /// Which item, relative to the backup directory; `""` is the directory itself.
    #[must_use]
    pub fn item(mut self, path: impl Into<Cow<'a, str>>) -> Self {
        self.item = Some(path.into());
        self
    }

    /// The handle of a minted address.
    #[must_use]
    pub const fn handle(mut self, handle: &'a str) -> Self {
        self.handle = Some(handle);
        self
    }

    /// One more query key.
    #[must_use]
    pub fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// One more header, if there is a value for it.
    #[must_use]
    pub fn header_if(self, name: &'static str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// The JSON arguments.
    #[must_use]
    pub fn json(mut self, arguments: &Value) -> Self {
        self.json = Some(arguments.to_string());
        self
    }

    /// A body of the connector's own making.
    #[must_use]
    pub fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.payload = Payload::Bytes(bytes);
        self
    }

    /// A body of the host's: `len` bytes of `content` from `offset`.
    #[must_use]
    pub fn section(mut self, content: &'a Content, offset: u64, len: u64) -> Self {
        self.payload = Payload::Section { content, offset, len };
        self
    }

    /// Never send it again once it may have reached the service.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.replay = Replay::Once;
        self
    }
}

impl<Content> fmt::Debug for Request<'_, Content> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("route", &self.route)
            .field("item", &self.item)
            .field("query", &self.query)
            .field("headers", &self.headers)
            .field("json", &self.json)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

impl<Content> fmt::Debug for Payload<'_, Content> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("nothing"),
            Self::Bytes(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Self::Section { offset, len, .. } => write!(formatter, "{len} bytes from {offset}"),
        }
    }
}
