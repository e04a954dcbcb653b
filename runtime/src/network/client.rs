//! The clients underneath, one for each pool of connections.
//!
//! A client does less than it could: it connects where the guard lets it, speaks TLS 1.2 or newer
//! to who can prove the name, and sends what it is given once.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use reqwest::{Certificate, Client, ClientBuilder, redirect, retry, tls};
use url::Url;

use super::connect_to::ConnectTo;
use super::plain::Plain;
use super::resolver::{Exempt, Guarded, Resolver, Unguarded};
use super::{CONNECT_TIMEOUT, Error, HEADER_BYTES_MAX, HttpVersion, Options, Outgoing, SendErrorKind};

/// Time that an unused connection is kept: services close theirs after one to two minutes, and one
/// that closes just when it is used costs an attempt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Unused connections kept for one host: as many as a destination has threads, usually.
const IDLE_MAX: usize = 16;
/// Time that sent bytes may stay unacknowledged before the system gives the connection up.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);
/// HTTP/2 only: how often a connection in use is asked for a sign of life, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// See [`PING_INTERVAL`].
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// HTTP/2 only: bytes that one reply may be ahead of its reader. 100 megabytes a second over 40
/// milliseconds of distance.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// HTTP/2 only: bytes that all replies of a connection may be ahead of their readers.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// What connections can be shared by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pool {
    name: Arc<str>,
    version: HttpVersion,
    /// The exempt pair, by its position.
    pair: Option<usize>,
    /// The pair that is spoken to in the clear, by its position.
    plain: Option<usize>,
}

/// All clients so far.
#[derive(Debug)]
pub(super) struct Clients {
    connect_to: Vec<ConnectTo>,
    plain: Vec<Plain>,
    certificates: Vec<Certificate>,
    resolver: Arc<dyn Resolver>,
    /// All header names and values of a reply, in bytes.
    pub(super) header_bytes: usize,
    built: Mutex<HashMap<Pool, Client>>,
}

impl Clients {
    pub(super) fn new(options: Options) -> Result<Self, Error> {
        let Options { connect_to, plain, ca_certificates, resolver, stage: _ } = options;
        let mut certificates = Vec::new();
        for path in ca_certificates {
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(problem) => return Err(Error::Unreadable { path, problem }),
            };
            match Certificate::from_pem_bundle(&text) {
                Ok(found) if !found.is_empty() => certificates.extend(found),
                Ok(_) | Err(_) => return Err(Error::NoCertificate(path)),
            }
        }
        let header_bytes = HEADER_BYTES_MAX;
        Ok(Self { connect_to, plain, certificates, resolver, header_bytes, built: Mutex::default() })
    }

    /// The client for a request, built when it is the first of its pool.
    pub(super) fn get(&self, request: &Outgoing) -> Result<Client, SendErrorKind> {
        let pair = self.connect_to.iter().position(|pair| pair.applies(&request.url));
        let plain = self.plain_pair(&request.url);
        let pool = Pool { name: Arc::clone(&request.pool), version: request.version, pair, plain };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = built.get(&pool) {
            return Ok(client.clone());
        }
        let client = self.build(&pool).map_err(|error| SendErrorKind::Setup(error.to_string()))?;
        built.insert(pool, client.clone());
        Ok(client)
    }

    /// May this address be spoken to in the clear?
    pub(super) fn is_plain(&self, url: &Url) -> bool {
        self.plain_pair(url).is_some()
    }

    fn plain_pair(&self, url: &Url) -> Option<usize> {
        self.plain.iter().position(|pair| pair.applies(url))
    }

    /// The client dials a port that the address spells out, whatever the pair says. Take it out of
    /// the address, and give the `Host` header that says it instead.
    pub(super) fn take_port(&self, url: &mut Url) -> Option<HeaderValue> {
        let pair = self.connect_to.iter().find(|pair| pair.applies(url))?;
        let port = url.port()?;
        url.set_port(None).ok()?;
        HeaderValue::from_str(&format!("{}:{port}", pair.host())).ok()
    }

    fn build(&self, pool: &Pool) -> Result<Client, reqwest::Error> {
        // The client asks for the process's provider; whoever installed one first chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = restrained()
            .tls_certs_merge(self.certificates.iter().cloned())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .tcp_nodelay(true)
            .tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(u32::try_from(self.header_bytes).unwrap_or(u32::MAX))
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT);
        let builder = match pool.version {
            HttpVersion::Default => builder,
            HttpVersion::Http1 => builder.http1_only(),
            HttpVersion::Http2 => builder.http2_prior_knowledge(),
        };
        let pair = pool.pair.and_then(|pair| self.connect_to.get(pair));
        let plain = pool.plain.and_then(|pair| self.plain.get(pair));
        match (pair, plain) {
            (Some(pair), None) => builder.dns_resolver(Exempt(pair.clone())),
            (None, None) => builder.dns_resolver(Guarded(Arc::clone(&self.resolver))),
            (pair, Some(plain)) => {
                let (resolver, host) = (Arc::clone(&self.resolver), plain.host().to_owned());
                let builder = builder.https_only(false);
                match pair {
                    Some(pair) => builder.dns_resolver(Exempt(pair.clone())),
                    None => builder.dns_resolver(Unguarded { resolver, host }),
                }
            }
        }
        .build()
    }
}

/// A client that does nothing by itself. Said in full, so that a feature which some other crate
/// turns on changes nothing here.
fn restrained() -> ClientBuilder {
    Client::builder()
        .https_only(true)
        .tls_version_min(tls::Version::TLS_1_2)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
}
