//! How accounts of a connector sign in. Only the host talks to these addresses.

use super::{Error, problem};
use crate::account::ClientAuth;

/// Endpoints and scopes of OAuth 2.0.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The token endpoint (RFC 6749, 3.2).
    pub token: String,
    /// The authorization endpoint (RFC 6749, 3.1).
    pub authorize: Option<String>,
    /// The device authorization endpoint (RFC 8628, 3.1).
    pub device: Option<String>,
    /// Where the authorization page leads for those whose browser runs elsewhere: they paste the address
    /// that it ends at. Without it the page is asked for no redirect, and shows the code itself.
    pub paste_redirect: Option<String>,
    /// A public client that the vendor registered; an operator can bring another.
    pub client_id: Option<String>,
    /// How a client with a secret proves itself.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// What to ask for.
    pub scopes: Scopes,
}

/// The scopes that an account asks for, by what its destinations may do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// For accounts of read-only destinations.
    pub read: Vec<String>,
    /// For the others.
    pub write: Vec<String>,
}

impl OAuth {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_endpoint("oauth/token", Some(&self.token))?;
        check_endpoint("oauth/authorize", self.authorize.as_deref())?;
        check_endpoint("oauth/paste_redirect", self.paste_redirect.as_deref())?;
        check_endpoint("oauth/device", self.device.as_deref())
    }
}

/// An endpoint is an https address of a named host on the usual port, nothing hidden in it.
fn check_endpoint(field: &str, address: Option<&str>) -> Result<(), Error> {
    let Some(address) = address else { return Ok(()) };
    let fits = url::Url::parse(address).is_ok_and(|url| {
        url.scheme() == "https"
            && url.domain().is_some_and(|host| host.contains('.') && !host.ends_with('.'))
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    if fits { Ok(()) } else { Err(problem(field, "is not an https address of a named host on port 443")) }
}
