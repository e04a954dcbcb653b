//! Asking for a token: the messages of RFC 6749, and what their answers mean.
//!
//! The `oauth2` crate writes and reads the messages; [`TokenTransport`] carries them. Nothing is
//! retried here: a refresh may rotate the token, so the caller decides with the account's lock in hand.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse, BasicTokenType},
};

use super::{ClientAuth, Error, StoredToken, TokenEndpoint, TokenTransport, TransportError};
use crate::{home::Name, secret::Secret};

/// Most of a token reply that is read; real ones have 2 to 6 KiB.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Longest piece of a service's own words that is repeated, in characters.
const REASON_CHARACTERS_MAX: usize = 300;

/// A lifetime beyond this is not believed; no service gives access tokens for a year.
const LIFETIME_MAX: Duration = Duration::from_hours(24 * 366);

/// What Microsoft's token endpoint calls a sign-in that only a person can mend, besides
/// `invalid_grant`: expired by inactivity, revoked, a password changed, a second factor or a consent
/// missing, a code used twice.
const SIGN_IN_CODES: [&str; 11] = [
    "AADSTS700082",
    "AADSTS70008",
    "AADSTS50173",
    "AADSTS50076",
    "AADSTS50078",
    "AADSTS50079",
    "AADSTS50158",
    "AADSTS53003",
    "AADSTS54005",
    "AADSTS65001",
    "AADSTS700084",
];

/// What a person brought back from a sign-in page.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// The code.
    pub code: Secret,
    /// The secret half of the PKCE challenge that was in the address.
    pub verifier: Option<Secret>,
    /// The redirect address that was in it, if any.
    pub redirect_url: Option<String>,
}

/// Trade an authorization code for a token.
///
/// # Errors
/// [`Error::SignInAgain`] when the code is not good (any more), [`Error::ClientRefused`],
/// [`Error::Endpoint`] when an address is no address, [`Error::Unavailable`] for anything that may pass.
pub async fn exchange_code(
    account: &Name,
    endpoint: &TokenEndpoint,
    authorization: Authorization,
    transport: &dyn TokenTransport,
    now: SystemTime,
) -> Result<StoredToken, Error> {
    let client = client(account, endpoint)?;
    let mut request = client.exchange_code(AuthorizationCode::new(authorization.code.expose().to_owned()));
    if let Some(verifier) = &authorization.verifier {
        request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
    }
    if let Some(url) = authorization.redirect_url {
        let url = RedirectUrl::new(url).map_err(|error| endpoint_error(account, &error))?;
        request = request.set_redirect_uri(Cow::Owned(url));
    }
    let send = Carrier(transport);
    let reply = request.request_async(&send).await;
    let told = [Some(&authorization.code), authorization.verifier.as_ref(), endpoint.client_secret.as_ref()];
    let reply = reply.map_err(|error| explain(account, error, &told))?;
    stored(account, &reply, now)
}

/// Trade a refresh token for the next token. Where the reply has no refresh token, the old one stays.
pub(super) async fn refresh(
    account: &Name,
    endpoint: &TokenEndpoint,
    refresh: &Secret,
    transport: &dyn TokenTransport,
    now: SystemTime,
) -> Result<StoredToken, Error> {
    let client = client(account, endpoint)?;
    let token = RefreshToken::new(refresh.expose().to_owned());
    let send = Carrier(transport);
    let reply = client.exchange_refresh_token(&token).request_async(&send).await;
    let told = [Some(refresh), endpoint.client_secret.as_ref()];
    let reply = reply.map_err(|error| explain(account, error, &told))?;
    let mut token = stored(account, &reply, now)?;
    token.refresh.get_or_insert_with(|| refresh.clone());
    Ok(token)
}

pub(super) type ReadyClient = BasicClient<
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

pub(super) fn client(account: &Name, endpoint: &TokenEndpoint) -> Result<ReadyClient, Error> {
    let url = TokenUrl::new(endpoint.url.clone()).map_err(|error| endpoint_error(account, &error))?;
    let auth = match endpoint.auth {
        ClientAuth::Form => AuthType::RequestBody,
        ClientAuth::Basic => AuthType::BasicAuth,
    };
    let client = BasicClient::new(ClientId::new(endpoint.client_id.clone())).set_auth_type(auth);
    let client = match &endpoint.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    };
    Ok(client.set_token_uri(url))
}

/// Why there is no answer to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("the token endpoint answered {0}")]
    Status(u16),
    #[error("the answer of the token endpoint is larger than {REPLY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the request could not be written")]
    Request,
}

/// [`TokenTransport`] as the `oauth2` crate wants it.
pub(super) struct Carrier<'a>(pub(super) &'a dyn TokenTransport);

impl<'c> AsyncHttpClient<'c> for Carrier<'_> {
    type Error = NoAnswer;
    type Future = BoxFuture<'c, Result<HttpResponse, NoAnswer>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(carry(self.0, request))
    }
}

async fn carry(transport: &dyn TokenTransport, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
    let (parts, body) = request.into_parts();
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| NoAnswer::Request)?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let body = Secret::new(String::from_utf8(body).map_err(|_| NoAnswer::Request)?);
    let (status, body) = transport.post(&parts.uri.to_string(), headers, body).await?;
    if status == 429 || status == 408 || status >= 500 {
        return Err(NoAnswer::Status(status));
    }
    if body.len() > REPLY_BYTES_MAX {
        return Err(NoAnswer::TooLarge);
    }
    http::Response::builder().status(status).body(body).map_err(|_| NoAnswer::Status(status))
}

pub(super) fn stored(
    account: &Name,
    reply: &BasicTokenResponse,
    now: SystemTime,
) -> Result<StoredToken, Error> {
    let unusable = |problem: String| Error::Endpoint { account: account.clone(), problem };
    match reply.token_type() {
        BasicTokenType::Bearer => {}
        kind @ (BasicTokenType::Mac | BasicTokenType::Extension(_)) => {
            return Err(unusable(format!("it gives tokens of type `{}`", plain(kind.as_ref(), &[]))));
        }
    }
    let lifetime = reply.expires_in().map(|lifetime| lifetime.min(LIFETIME_MAX));
    let scopes: Option<Vec<_>> =
        reply.scopes().map(|scopes| scopes.iter().map(|scope| plain(scope, &[])).collect());
    StoredToken {
        access: Secret::new(reply.access_token().secret().clone()),
        refresh: reply.refresh_token().map(|token| Secret::new(token.secret().clone())),
        expires: lifetime.map(|lifetime| now + lifetime),
        lifetime,
        scope: scopes.map(|scopes| scopes.join(" ")),
    }
    .checked()
    .map_err(|error| unusable(error.to_string()))
}

type Failed = RequestTokenError<NoAnswer, BasicErrorResponse>;

/// What a failed request means for the operator. `told` are the secrets that it carried: whoever
/// answered knows them, and may not have them printed here.
pub(super) fn explain(account: &Name, error: Failed, told: &[Option<&Secret>]) -> Error {
    let account = account.clone();
    match error {
        RequestTokenError::ServerResponse(reply) => refusal(account, &reply, told),
        RequestTokenError::Request(failure) => {
            Error::Unavailable { account, reason: plain(&failure.to_string(), told) }
        }
        // Neither the body nor the parser's words about it are repeated: they may hold a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => no_answer(account),
    }
}

pub(super) fn no_answer(account: Name) -> Error {
    let reason = "the token endpoint gave an answer that is none".to_owned();
    Error::Unavailable { account, reason }
}

fn refusal(account: Name, reply: &BasicErrorResponse, told: &[Option<&Secret>]) -> Error {
    refused(account, reply.error(), reply.error_description().map_or("", String::as_str), told)
}

/// What a refusal of the token endpoint means: `kind` is its code, `description` its words.
pub(super) fn refused(
    account: Name,
    kind: &BasicErrorResponseType,
    description: &str,
    told: &[Option<&Secret>],
) -> Error {
    let reason = match description {
        "" => plain(kind.as_ref(), told),
        description => plain(&format!("{}: {description}", kind.as_ref()), told),
    };
    if has_sign_in_code(description) {
        return Error::SignInAgain { account, reason };
    }
    match kind {
        BasicErrorResponseType::InvalidGrant => Error::SignInAgain { account, reason },
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            Error::ClientRefused { account, reason }
        }
        BasicErrorResponseType::InvalidRequest
        | BasicErrorResponseType::InvalidScope
        | BasicErrorResponseType::UnsupportedGrantType => Error::Endpoint { account, problem: reason },
        BasicErrorResponseType::Extension(name) => match name.as_str() {
            "interaction_required"
            | "consent_required"
            | "login_required"
            | "access_denied"
            | "expired_token" => Error::SignInAgain { account, reason },
            _ => Error::Unavailable { account, reason },
        },
    }
}

fn has_sign_in_code(description: &str) -> bool {
    // `AADSTS70008` must not be found in `AADSTS700081`.
    description
        .split(|character: char| !character.is_ascii_alphanumeric())
        .any(|word| SIGN_IN_CODES.contains(&word))
}

/// A service's words, short, on one line and without what it was told.
pub(super) fn plain(text: &str, told: &[Option<&Secret>]) -> String {
    let mut text = text.to_owned();
    for secret in told.iter().flatten().filter(|secret| !secret.expose().is_empty()) {
        text = text.replace(secret.expose(), "****");
    }
    let line = text.split(|character: char| character.is_control()).next().unwrap_or_default();
    line.chars().take(REASON_CHARACTERS_MAX).collect()
}

pub(super) fn endpoint_error(account: &Name, error: &dyn std::fmt::Display) -> Error {
    Error::Endpoint { account: account.clone(), problem: error.to_string() }
}
