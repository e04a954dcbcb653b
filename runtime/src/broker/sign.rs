//! A request as it is sent: the allowed one, with what only the host may add.
//!
//! Signed anew for each attempt, since a token may be refreshed between two. The credential goes into
//! the one header that it belongs in, and only on routes that say so; an address that is its own
//! credential gets none.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};

use super::{Carrying, Settings};
use crate::account::Credential;
use crate::content::Tap;
use crate::grant::Allowed;
use crate::manifest;
use crate::network::{Outgoing, Payload, Timeouts};

/// What requests call themselves when the manifest does not say.
const USER_AGENT_DEFAULT: HeaderValue =
    HeaderValue::from_static(concat!("Wharf/", env!("CARGO_PKG_VERSION")));

pub(super) fn outgoing(
    settings: &Settings,
    allowed: &Allowed,
    credential: Option<&Credential>,
    carrying: &Carrying,
    tap: Tap,
) -> Outgoing {
    let route = allowed.route();
    let mut headers: HeaderMap = allowed.headers().iter().cloned().collect();
    let agent = allowed.user_agent().and_then(|agent| HeaderValue::from_str(agent).ok());
    headers.insert(USER_AGENT, agent.unwrap_or(USER_AGENT_DEFAULT));
    match (route.credential, credential) {
        (manifest::Credential::Account, Some(credential)) => {
            if let Some(value) = bearer(credential) {
                headers.insert(AUTHORIZATION, value);
            }
        }
        (manifest::Credential::Account, None) | (manifest::Credential::None, _) => {}
    }
    let payload = payload(allowed, carrying, tap);
    let kind = match (&payload, allowed.json_body()) {
        (_, Some(_)) => Some("application/json"),
        (Payload::None, None) => None,
        (Payload::Bytes(_) | Payload::Section(_), None) => Some("application/octet-stream"),
    };
    if let Some(kind) = kind {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    Outgoing {
        method: method(route.method),
        url: allowed.url().clone(),
        headers,
        payload,
        version: settings.http_version,
        pool: Arc::clone(&settings.pool),
        timeouts: Timeouts::default(),
    }
}

fn payload(allowed: &Allowed, carrying: &Carrying, tap: Tap) -> Payload {
    match (allowed.json_body(), carrying) {
        (Some(json), _) => Payload::Bytes(Bytes::copy_from_slice(json)),
        (None, Carrying::Nothing) => Payload::None,
        (None, Carrying::Bytes(bytes)) => Payload::Bytes(bytes.clone()),
        (None, Carrying::Section(section)) => Payload::Section(section.body(tap)),
    }
}

/// The token in its header, marked so that nothing underneath prints it or keeps it in a table.
fn bearer(credential: &Credential) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", credential.access_token().expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

const fn method(method: manifest::Method) -> Method {
    match method {
        manifest::Method::Get => Method::GET,
        manifest::Method::Head => Method::HEAD,
        manifest::Method::Post => Method::POST,
        manifest::Method::Put => Method::PUT,
        manifest::Method::Patch => Method::PATCH,
        manifest::Method::Delete => Method::DELETE,
    }
}
