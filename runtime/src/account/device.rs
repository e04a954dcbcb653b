//! Signing in with a device code (RFC 8628): a person types a short code into a page on any machine.
//!
//! The service says how often it may be asked whether they did; the `oauth2` crate asks, slower when it
//! is told so, and the clock here ends it.

use std::time::Duration;

use oauth2::{
    DeviceAuthorizationUrl, DeviceCodeErrorResponse, DeviceCodeErrorResponseType, RequestTokenError,
    StandardDeviceAuthorizationResponse, basic::BasicErrorResponseType,
};

use super::{
    StoredToken,
    message::{self, Carrier, NoAnswer, plain},
    sign_in::{ANSWER_WAIT, Application, Error},
};
use crate::{clock::Clock, secret::Secret};

/// The service is asked no more often than this, whatever it allows, and no more seldom.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Longest code that a person is asked to type; real ones have 8 or 9 characters.
const USER_CODE_CHARACTERS_MAX: usize = 64;

/// What Microsoft says for `access_denied` here.
const DECLINED: &str = "authorization_declined";
/// What it says for `expired_token` when the device code is unknown by then.
const UNKNOWN: &str = "bad_verification_code";

/// A code for a person to type, and a longer one that asks what came of it.
#[derive(Debug)]
pub struct DeviceCode {
    details: StandardDeviceAuthorizationResponse,
    device_code: Secret,
}

impl DeviceCode {
    /// Ask the service for one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the connector has no device codes; else what the service says.
    pub async fn begin(application: &Application) -> Result<Self, Error> {
        let account = &application.account;
        let Some(url) = application.device.clone() else {
            let (way, missing) = ("with a device code", "endpoint for that (`oauth.device`)");
            return Err(Error::Unsupported { account: account.clone(), way, missing });
        };
        let url = DeviceAuthorizationUrl::new(url);
        let url = url.map_err(|error| message::endpoint_error(account, &error))?;
        let client = message::client(account, &application.endpoint)?.set_device_authorization_url(url);
        let carrier = Carrier(&*application.transport);
        let request = client.exchange_device_code().add_scopes(application.scopes());
        let reply: Result<StandardDeviceAuthorizationResponse, _> = request.request_async(&carrier).await;
        let told = [application.endpoint.client_secret.as_ref()];
        let details = reply.map_err(|error| message::explain(account, error, &told))?;
        let device_code = Secret::new(details.device_code().secret().clone());
        let begun = Self { details, device_code };
        let is_good = begun.url().starts_with("https://")
            && begun.code().chars().count() <= USER_CODE_CHARACTERS_MAX
            && begun.code().chars().all(|character| character.is_ascii_graphic());
        if is_good {
            Ok(begun)
        } else {
            let problem = "what it gives is no device code".to_owned();
            Err(super::Error::Endpoint { account: account.clone(), problem }.into())
        }
    }

    /// The page to open, on any machine.
    #[must_use]
    pub fn url(&self) -> &str {
        self.details.verification_uri()
    }

    /// What to type there.
    #[must_use]
    pub fn code(&self) -> &str {
        self.details.user_code().secret()
    }

    /// How long it is good for.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.details.expires_in().min(ANSWER_WAIT)
    }

    /// Wait until the person has answered.
    ///
    /// # Errors
    /// [`Error::Declined`], [`Error::TooLate`], or what else the service says.
    pub async fn wait(self, application: &Application, clock: &dyn Clock) -> Result<StoredToken, Error> {
        let account = &application.account;
        let client = message::client(account, &application.endpoint)?;
        let carrier = Carrier(&*application.transport);
        let pace = |interval: Duration| clock.sleep(interval.clamp(INTERVAL_MIN, INTERVAL_MAX));
        let asking = client
            .exchange_device_access_token(&self.details)
            .set_max_backoff_interval(INTERVAL_MAX)
            .request_async(&carrier, pace, Some(self.lifetime()));
        let reply = tokio::select! {
            reply = asking => reply,
            () = clock.sleep(self.lifetime()) => return Err(self.too_late(application)),
        };
        let reply = reply.map_err(|error| self.explain(application, error))?;
        Ok(message::stored(account, &reply, clock.now())?)
    }

    fn too_late(&self, application: &Application) -> Error {
        Error::TooLate { account: application.account.clone(), waited: self.lifetime() }
    }

    fn explain(
        &self,
        application: &Application,
        error: RequestTokenError<NoAnswer, DeviceCodeErrorResponse>,
    ) -> Error {
        let account = application.account.clone();
        let told = [Some(&self.device_code), application.endpoint.client_secret.as_ref()];
        let reply = match error {
            RequestTokenError::ServerResponse(reply) => reply,
            RequestTokenError::Request(failure) => {
                let reason = plain(&failure.to_string(), &told);
                return super::Error::Unavailable { account, reason }.into();
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                return message::no_answer(account).into();
            }
        };
        let words = reply.error_description().map_or("", String::as_str);
        let declined = |account| {
            let reason = plain(&format!("{}: {words}", reply.error().as_ref()), &told);
            Error::Declined { account, reason }
        };
        match reply.error() {
            DeviceCodeErrorResponseType::AccessDenied => declined(account),
            DeviceCodeErrorResponseType::Basic(BasicErrorResponseType::Extension(name))
                if name == DECLINED =>
            {
                declined(account)
            }
            DeviceCodeErrorResponseType::Basic(BasicErrorResponseType::Extension(name))
                if name == UNKNOWN =>
            {
                self.too_late(application)
            }
            // The first two are asked again and never come here.
            DeviceCodeErrorResponseType::AuthorizationPending
            | DeviceCodeErrorResponseType::SlowDown
            | DeviceCodeErrorResponseType::ExpiredToken => self.too_late(application),
            DeviceCodeErrorResponseType::Basic(kind) => message::refused(account, kind, words, &told).into(),
        }
    }
}
