//! Signing in: what is asked of a person, and what is made of the answer.
//!
//! A [`Question`] is the address of the service's own page, with a state and a PKCE challenge that are
//! drawn for it alone. Its answer comes back by itself ([`Question::listen`]), or a person pastes it
//! ([`Question::pasted`]); either way it is good for this question only. Where a service has device
//! codes, a [`DeviceCode`] needs no answer at all. Nothing here stores anything: the caller has the token
//! sealed before anybody is told, and until then the old one stays.

use std::{io, sync::Arc, time::Duration};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::{AuthUrl, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use ring::rand::SecureRandom;
pub use ring::rand::SystemRandom;
use url::Url;

use super::{
    Authorization, StoredToken, TokenEndpoint, TokenTransport, exchange_code,
    message::{self, plain},
};
pub use super::{
    device::DeviceCode,
    loopback::{Loopback, PORT_DEFAULT},
};
use crate::{ErrorKind, clock::Clock, hint::Hint, home::Name, secret::Secret, vault};

/// How long a person has for the service's page. Codes and device codes live for 10 to 15 minutes; whoever
/// needs longer begins again.
pub const ANSWER_WAIT: Duration = Duration::from_mins(15);

/// Longest text that is taken for an answer, in bytes. Microsoft's codes have up to 2 KiB.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Random bytes of a state and of a verifier: 43 characters, the least that RFC 7636 (4.1) allows and more
/// than anybody guesses.
const RANDOM_BYTES: usize = 32;

/// Why nobody signed in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account, its client or its endpoint.
    #[error(transparent)]
    Account(#[from] super::Error),
    /// The connector does not know this way.
    #[error("account `{account}` cannot sign in {way}: its connector names no {missing}")]
    Unsupported {
        /// The account.
        account: Name,
        /// Which way.
        way: &'static str,
        /// What its manifest would need.
        missing: &'static str,
    },
    /// The person said no, or may not say yes.
    #[error("the sign-in of account `{account}` was declined: {reason}")]
    Declined {
        /// The account.
        account: Name,
        /// What the service said, shortened.
        reason: String,
    },
    /// An answer to something else.
    #[error("this does not answer the sign-in of account `{0}`: its `state` is not the one that was sent")]
    OtherQuestion(Name),
    /// What was pasted is no answer.
    #[error("what was pasted does not sign in account `{account}`: {problem}")]
    Pasted {
        /// The account.
        account: Name,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody answered.
    #[error("nobody signed in account `{account}` within {} min", .waited.as_secs() / 60)]
    TooLate {
        /// The account.
        account: Name,
        /// How long was waited.
        waited: Duration,
    },
    /// The port for the answer is not to be had.
    #[error("cannot listen on 127.0.0.1:{port} for the answer to the sign-in of account `{account}`")]
    Port {
        /// The account.
        account: Name,
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("cannot draw a state for the sign-in of account `{0}`: the system gives no random bytes")]
    Random(Name),
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported { .. } | Self::Pasted { .. } => ErrorKind::Usage,
            Self::Account(_) | Self::Declined { .. } | Self::OtherQuestion(_) | Self::TooLate { .. } => {
                ErrorKind::SignIn
            }
            Self::Port { .. } | Self::Random(_) => ErrorKind::Local,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Account(error) => return error.hint(),
            Self::Unsupported { way: "with a device code", .. } => {
                "leave out `--device`; with `--paste` no browser is needed on this machine".to_owned()
            }
            Self::Unsupported { .. } => "bring a token with `--token-file FILE`".to_owned(),
            Self::Declined { .. } => "run the command again and allow what the page asks for; where it says \
                that an administrator must approve, ask for that first"
                .to_owned(),
            Self::OtherQuestion(_) => {
                "run the command again, and use the page that it names and no older one".to_owned()
            }
            Self::Pasted { .. } => "paste the code that the page shows, or the whole address that the \
                browser ended at"
                .to_owned(),
            Self::TooLate { .. } => "run the command again; nothing was changed".to_owned(),
            Self::Port { .. } => "name a port that is free with `--port N` (0 for any), if the application \
                is registered with it; or use `--paste`"
                .to_owned(),
            Self::Random(_) => return None,
        })
    }
}

/// Who asks for what, and where.
#[derive(Debug, Clone)]
pub struct Application {
    /// The account that it is for.
    pub account: Name,
    /// Where codes become tokens, and as which client.
    pub endpoint: TokenEndpoint,
    /// The page that asks the person.
    pub authorize: Option<String>,
    /// Where device codes come from.
    pub device: Option<String>,
    /// Where the page leads when nobody listens; none where it shows the code itself.
    pub paste_redirect: Option<String>,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// What carries the requests.
    pub transport: Arc<dyn TokenTransport>,
}

impl Application {
    /// Trade the answer for a token.
    ///
    /// # Errors
    /// As [`exchange_code`].
    pub async fn exchange(&self, answer: Authorization, clock: &dyn Clock) -> Result<StoredToken, Error> {
        let transport = &*self.transport;
        Ok(exchange_code(&self.account, &self.endpoint, answer, transport, clock.now()).await?)
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        self.scopes.iter().cloned().map(Scope::new)
    }
}

/// A page that somebody is to open, and what proves that an answer belongs to it.
#[derive(Debug)]
pub struct Question {
    account: Name,
    url: String,
    redirect: Option<String>,
    state: Secret,
    verifier: Secret,
}

impl Question {
    /// A question of its own, whose answer goes to `redirect` or, without one, is shown by the page.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the connector names no page, or an address is no address.
    pub fn new(
        application: &Application,
        redirect: Option<String>,
        random: &dyn SecureRandom,
    ) -> Result<Self, Error> {
        let account = application.account.clone();
        let Some(page) = application.authorize.clone() else {
            let (way, missing) = ("in a browser", "page for that (`oauth.authorize`)");
            return Err(Error::Unsupported { account, way, missing });
        };
        let wrong = |error| message::endpoint_error(&account, &error);
        let mut client = message::client(&account, &application.endpoint)?
            .set_auth_uri(AuthUrl::new(page).map_err(wrong)?);
        if let Some(redirect) = redirect.clone() {
            client = client.set_redirect_uri(RedirectUrl::new(redirect).map_err(wrong)?);
        }
        let draw = || draw(random).ok_or_else(|| Error::Random(account.clone()));
        let (state, verifier) = (draw()?, draw()?);
        let pkce = PkceCodeVerifier::new(verifier.expose().to_owned());
        let (url, _) = client
            .authorize_url(|| CsrfToken::new(state.expose().to_owned()))
            .add_scopes(application.scopes())
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&pkce))
            .url();
        Ok(Self { url: url.into(), redirect, state, verifier, account })
    }

    /// The page to open.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its answer goes; none where the page shows a code.
    #[must_use]
    pub fn redirect(&self) -> Option<&str> {
        self.redirect.as_deref()
    }

    /// The answer, as a person pasted it: the code alone, or the address that the browser ended at.
    ///
    /// # Errors
    /// [`Error::Pasted`] when it is neither; else as the answer says.
    pub fn pasted(&self, text: &str) -> Result<Authorization, Error> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>']);
        let wrong = |problem| Error::Pasted { account: self.account.clone(), problem };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.len() > ANSWER_BYTES_MAX {
            return Err(wrong("it is too long for an answer"));
        }
        if let Some((_, query)) = text.split_once('?') {
            let query = query.split('#').next().unwrap_or_default();
            let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            return self.redirected(&pairs).unwrap_or_else(|| Err(wrong("the address has no `code`")));
        }
        if Url::parse(text).is_ok_and(|url| url.has_host()) {
            return Err(wrong("the address has no `code`"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("a code has no spaces and no letters beyond ASCII"));
        }
        Ok(self.authorization(text))
    }

    /// The answer in the query of the redirect; none when it holds neither an answer nor an error. An
    /// error counts like a code: only with the state of this question.
    pub(super) fn redirected(&self, pairs: &[(String, String)]) -> Option<Result<Authorization, Error>> {
        let get = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let (code, error) = (get("code").filter(|code| !code.is_empty()), get("error"));
        if code.is_none() && error.is_none() {
            return None;
        }
        if !vault::is_same(get("state").unwrap_or_default(), self.state.expose()) {
            return Some(Err(Error::OtherQuestion(self.account.clone())));
        }
        if let Some(error) = error {
            let words = get("error_description").unwrap_or_default();
            let reason = if words.is_empty() { error.to_owned() } else { format!("{error}: {words}") };
            let told = [Some(&self.state), Some(&self.verifier)];
            let (account, reason) = (self.account.clone(), plain(&reason, &told));
            return Some(Err(Error::Declined { account, reason }));
        }
        code.map(|code| Ok(self.authorization(code)))
    }

    /// Wait for the answer to come to `loopback`, to which this question redirects.
    ///
    /// # Errors
    /// [`Error::TooLate`] when none comes; else as the answer says.
    pub async fn listen(&self, loopback: &Loopback, clock: &dyn Clock) -> Result<Authorization, Error> {
        loopback
            .answer(self, clock)
            .await
            .unwrap_or_else(|| Err(Error::TooLate { account: self.account.clone(), waited: ANSWER_WAIT }))
    }

    fn authorization(&self, code: &str) -> Authorization {
        Authorization {
            code: Secret::new(code.to_owned()),
            verifier: Some(self.verifier.clone()),
            redirect_url: self.redirect.clone(),
        }
    }
}

fn draw(random: &dyn SecureRandom) -> Option<Secret> {
    let mut bytes = zeroize::Zeroizing::new([0; RANDOM_BYTES]);
    random.fill(bytes.as_mut()).ok()?;
    Some(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}
