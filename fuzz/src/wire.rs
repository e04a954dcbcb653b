//! What servers say beside a service's own replies: when to come again, which token to use, where to sign
//! in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use wharf_runtime::account::{
    Authorization, ClientAuth, TokenEndpoint, TokenTransport, TransportError, exchange_code,
};
use wharf_runtime::home::Name;
use wharf_runtime::oci::{Login, Reference};
use wharf_runtime::retry::{self, PAUSE_MAX, PAUSE_MIN};
use wharf_runtime::secret::Secret;

/// However a server puts it, the pause is within its bounds.
pub(crate) fn retry_after(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let (name, value) = match line.strip_prefix(b"date:") {
            Some(date) => ("date", date),
            None => ("retry-after", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    for now in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)] {
        if let Some(pause) = retry::retry_after(&headers, now) {
            assert!((PAUSE_MIN..=PAUSE_MAX).contains(&pause), "{headers:?}: {pause:?}");
        }
    }
}

/// A token endpoint that answers these bytes.
#[derive(Debug)]
struct Answering(u16, Vec<u8>);

impl TokenTransport for Answering {
    fn post(
        &self,
        _url: &str,
        _headers: Vec<(String, String)>,
        _body: Secret,
    ) -> BoxFuture<'static, Result<(u16, Vec<u8>), TransportError>> {
        let answer = (self.0, self.1.clone());
        async move { Ok(answer) }.boxed()
    }
}

const CODE: &str = "code-that-nobody-may-see";

/// No reply of a token endpoint does harm, and no message repeats what it was asked with.
pub(crate) fn token(bytes: &[u8]) {
    let endpoint = TokenEndpoint {
        url: "https://login.example.com/token".to_owned(),
        client_id: "client".to_owned(),
        client_secret: None,
        auth: ClientAuth::Form,
    };
    let name = Name::parse("fuzz").unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for status in [200, 400, 500] {
        let authorization =
            Authorization { code: Secret::new(CODE.to_owned()), verifier: None, redirect_url: None };
        let transport = Answering(status, bytes.to_vec());
        let exchanged = exchange_code(&name, &endpoint, authorization, &transport, now);
        match exchanged.now_or_never().unwrap() {
            Ok(token) => assert!(token.expires.is_none_or(|expires| expires >= SystemTime::UNIX_EPOCH)),
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains(CODE), "{text}");
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}

/// A place in a registry, and who one is there.
pub(crate) fn registry(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(reference) = Reference::parse(text) {
        let again = Reference::parse(&reference.to_string()).unwrap();
        assert_eq!(again.to_string(), reference.to_string());
        assert!(!reference.host().is_empty() && !reference.repository().is_empty(), "{reference}");
    }
    let shared: Arc<str> = text.into();
    let _ = Login::from_config(&Secret::new(shared.to_string()), "registry.example.com");
}
