//! One repository of one registry, and requests to it.
//!
//! What this file adds to a request is who one is (once, when it is asked) and, to a request that reads,
//! the few steps a registry sends one on to where its blobs lie. Nothing of the sign-in goes to another
//! origin than the registry's and the one that gives tokens. All that comes back is bounded and hashed by
//! whoever asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::login::{Challenge, secret_header};
use super::{Error, Login, Reference};
use crate::network::{HttpVersion, Incoming, Network, Outgoing, Payload, SendErrorKind, Timeouts};
use crate::shown::shown;

/// Most steps that a registry may send a request on: real ones take one, to a store of blobs.
const REDIRECTS_MAX: usize = 3;
/// Largest reply with a token, in bytes; those of real registries have 4 KiB.
const TOKEN_REPLY_BYTES_MAX: u64 = 64 * 1024;
/// Longest token, in bytes: a header must hold it.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Largest reply that only says what went wrong.
const PROBLEM_BYTES_MAX: u64 = 16 * 1024;
/// Longest text of a registry's in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 200;
/// The longest that one exchange with a registry may take as a whole: the largest component at 40 KiB a
/// second.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// A repository, and who one is there.
#[derive(Debug)]
pub struct Remote {
    network: Arc<Network>,
    pub(super) reference: Reference,
    /// `https://HOST/v2/REPO/`, or `http`, where the operator allowed that.
    base: Url,
    login: Option<Login>,
    /// What signs requests, once the registry asked.
    authorization: Mutex<Option<HeaderValue>>,
    /// Does this end with something written there?
    writes: bool,
}

/// One request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    /// What it is about, for messages.
    pub(super) what: &'static str,
    /// What may come back.
    pub(super) accept: Option<&'static str>,
    /// What it carries, and of which type.
    pub(super) body: Option<(Bytes, &'static str)>,
}

#[derive(Deserialize)]
struct TokenReply {
    #[serde(default)]
    token: Zeroizing<String>,
    #[serde(default)]
    access_token: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Problems {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Remote {
    /// A place to read from. It is spoken to over https, unless `network` may speak to it in the clear.
    ///
    /// # Errors
    /// When its host is none that a request could be sent to.
    pub fn new(network: Arc<Network>, reference: Reference, login: Option<Login>) -> Result<Self, Error> {
        Self::with(network, reference, login, false)
    }

    /// The same, to write to.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn to_write(
        network: Arc<Network>,
        reference: Reference,
        login: Option<Login>,
    ) -> Result<Self, Error> {
        Self::with(network, reference, login, true)
    }

    fn with(
        network: Arc<Network>,
        reference: Reference,
        login: Option<Login>,
        writes: bool,
    ) -> Result<Self, Error> {
        let base = |scheme: &str| {
            let address = format!("{scheme}://{}/v2/{}/", reference.host(), reference.repository());
            let wrong = || Error::Address { registry: reference.host().to_owned(), address: address.clone() };
            Url::parse(&address).map_err(|_| wrong())
        };
        let plain = base("http")?;
        let base = if network.is_plain(&plain) { plain } else { base("https")? };
        Ok(Self { network, reference, base, login, authorization: Mutex::default(), writes })
    }

    /// Which place.
    #[must_use]
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Is it spoken to in the clear?
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    pub(super) fn registry(&self) -> String {
        self.reference.host().to_owned()
    }

    /// An address below the repository.
    pub(super) fn address(&self, path: &str) -> Result<Url, Error> {
        self.join(&self.base, path)
    }

    /// Where another address, or a part of one, leads from here.
    pub(super) fn join(&self, from: &Url, to: &str) -> Result<Url, Error> {
        let wrong = || Error::Address { registry: self.registry(), address: shown(to, SHOWN_BYTES_MAX) };
        from.join(to).map_err(|_| wrong())
    }

    /// The whole of an exchange within its time.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let minutes = WHOLE_TIME_MAX.as_secs() / 60;
        let expired = |_| Error::TimedOut { registry: self.registry(), minutes };
        tokio::time::timeout(WHOLE_TIME_MAX, Box::pin(work)).await.map_err(expired)?
    }

    /// Ask, signing in if that is asked for, and follow where a request that reads is sent on to.
    pub(super) async fn ask(&self, mut ask: Ask) -> Result<Incoming, Error> {
        let mut steps = 0;
        let mut signed_in = false;
        loop {
            let reply = self.send(&ask).await?;
            let status = reply.status();
            if status == StatusCode::UNAUTHORIZED && !signed_in && self.is_own(&ask.url) {
                let challenge = Challenge::of(reply.headers());
                self.sign_in(challenge, ask.what).await?;
                signed_in = true;
                continue;
            }
            if !status.is_redirection() || ask.method != Method::GET {
                return Ok(reply);
            }
            steps += 1;
            let location = reply.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| steps <= REDIRECTS_MAX) else {
                return Err(Error::Redirects { registry: self.registry() });
            };
            ask.url = self.join(&ask.url, location)?;
        }
    }

    /// What a reply holds, which must have one of these statuses.
    pub(super) async fn expect(
        &self,
        reply: Incoming,
        statuses: &[StatusCode],
        what: &'static str,
        limit: u64,
    ) -> Result<Bytes, Error> {
        let status = reply.status();
        if statuses.contains(&status) {
            let read = reply.read(limit).await;
            return read.map_err(|problem| Error::Read { registry: self.registry(), what, problem });
        }
        Err(self.problem(reply, what).await)
    }

    /// What a reply of another status says.
    pub(super) async fn problem(&self, reply: Incoming, what: &'static str) -> Error {
        let (registry, status) = (self.registry(), reply.status());
        match status {
            StatusCode::NOT_FOUND => {
                return Error::NotFound { registry, what, place: self.reference.to_string() };
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Error::Denied { registry, what, status: status.as_u16() };
            }
            _ => {}
        }
        let text = reply.read(PROBLEM_BYTES_MAX).await.unwrap_or_default();
        let problems = serde_json::from_slice::<Problems>(&text).map(|problems| problems.errors);
        let first = problems.ok().and_then(|problems| problems.into_iter().next());
        let told = first.map(|problem| format!(": {} {}", problem.code, problem.message)).unwrap_or_default();
        Error::Status { registry, what, status: status.as_u16(), told: shown(&told, SHOWN_BYTES_MAX) }
    }

    /// Is this an address of the registry itself?
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    async fn send(&self, ask: &Ask) -> Result<Incoming, Error> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = ask.accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(authorization) = authorization.filter(|_| self.is_own(&ask.url)) {
            headers.insert(AUTHORIZATION, authorization);
        }
        let payload = match &ask.body {
            None => Payload::None,
            Some((bytes, content_type)) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                Payload::Bytes(bytes.clone())
            }
        };
        self.dispatch(ask.method.clone(), ask.url.clone(), headers, payload).await
    }

    async fn dispatch(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        payload: Payload,
    ) -> Result<Incoming, Error> {
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("wharf/", env!("CARGO_PKG_VERSION"))));
        let host = shown(url.host_str().unwrap_or_default(), SHOWN_BYTES_MAX);
        let outgoing = Outgoing {
            method,
            url,
            headers,
            payload,
            version: HttpVersion::Default,
            pool: "registry".into(),
            timeouts: Timeouts::default(),
        };
        self.network.send(outgoing).await.map_err(|error| {
            let (registry, problem) = (self.registry(), error.kind);
            if let SendErrorKind::Refused(problem) = problem {
                return Error::Refused { registry, host, problem };
            }
            Error::Send { registry, host, problem }
        })
    }

    /// Become whom the registry asks for.
    async fn sign_in(&self, challenge: Option<Challenge>, what: &'static str) -> Result<(), Error> {
        let registry = self.registry();
        let header = match challenge {
            None => return Err(Error::Challenge { registry }),
            Some(Challenge::Basic) => {
                let denied = || Error::Denied { registry, what, status: StatusCode::UNAUTHORIZED.as_u16() };
                self.login.as_ref().and_then(Login::header).ok_or_else(denied)?
            }
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref()).await?,
        };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
        Ok(())
    }

    /// A token for this repository and no other, whatever scope the registry names.
    async fn token(&self, realm: &str, service: Option<&str>) -> Result<HeaderValue, Error> {
        let wrong = || Error::Address { registry: self.registry(), address: shown(realm, SHOWN_BYTES_MAX) };
        let mut url = Url::parse(realm).map_err(|_| wrong())?;
        let actions = if self.writes { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{actions}", self.reference.repository());
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &scope);
        let host = shown(url.host_str().unwrap_or_default(), SHOWN_BYTES_MAX);
        let mut headers = HeaderMap::new();
        if let Some(login) = self.login.as_ref().and_then(Login::header) {
            headers.insert(AUTHORIZATION, login);
        }
        let what = "a token";
        let reply = self.dispatch(Method::GET, url, headers, Payload::None).await?;
        let text = self.expect(reply, &[StatusCode::OK], what, TOKEN_REPLY_BYTES_MAX).await?;
        let none = || Error::Token { registry: self.registry(), host: host.clone() };
        let reply: TokenReply = serde_json::from_slice(&text).map_err(|_| none())?;
        let token = if reply.token.is_empty() { reply.access_token } else { reply.token };
        let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || token.len() > TOKEN_BYTES_MAX {
            return Err(none());
        }
        secret_header(&Zeroizing::new(format!("Bearer {}", *token))).ok_or_else(none)
    }
}
