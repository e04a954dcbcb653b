//! Signing in, as a person at a terminal sees it: an address to open, and where its answer goes.
//!
//! The address and the code that is to be typed are all that is told; what comes back is secret. With
//! `--json` they are the first line of data, so that a program can show them.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;

use serde::Serialize;
use wharf_runtime::account::sign_in::{
    self, ANSWER_BYTES_MAX, Application, DeviceCode, Loopback, PORT_DEFAULT, Question, SystemRandom,
};
use wharf_runtime::account::{self, Method, StoredToken};
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::secret::Secret;

use super::{Desk, read_secret};
use crate::args::SignIn;
use crate::command::waiting;
use crate::exit::Exit;
use crate::output::harmless;
use crate::report::Failure;

/// What a program is told to show.
#[derive(Debug, Serialize)]
struct Open<'a> {
    open: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

/// Whose sign-in failed: the remedy differs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// An account that there is not yet.
    New,
    /// One that there is.
    Known,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum NoToken {
    SignIn(sign_in::Error),
    Other(Failure),
}

impl From<sign_in::Error> for NoToken {
    fn from(error: sign_in::Error) -> Self {
        Self::SignIn(error)
    }
}

impl From<Failure> for NoToken {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl NoToken {
    /// As the operator is told, while this account was to sign in.
    pub(super) fn during(self, name: &Name, of: Of) -> Failure {
        let error = match self {
            Self::Other(failure) => return failure,
            Self::SignIn(error) => error,
        };
        let error = match error {
            sign_in::Error::Account(error) => error,
            error @ (sign_in::Error::Unsupported { .. }
            | sign_in::Error::Declined { .. }
            | sign_in::Error::OtherQuestion(_)
            | sign_in::Error::Pasted { .. }
            | sign_in::Error::TooLate { .. }
            | sign_in::Error::Port { .. }
            | sign_in::Error::Random(_)) => return error.into(),
        };
        if let account::Error::SignInAgain { account, reason } = &error {
            let message = format!("the service does not take this answer for account `{account}`: {reason}");
            return Failure::new(Exit::SignIn, message).with_hint(
                "run the command again and answer anew: an answer is good once, and for a few minutes",
            );
        }
        let hint = hint(&error, name, of);
        let failure = Failure::from(error);
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// What helps while somebody signs in, where that is not what helps later.
fn hint(error: &account::Error, name: &Name, of: Of) -> Option<String> {
    match (error, of) {
        (account::Error::ClientRefused { .. }, Of::New) => {
            Some("check `--client-id` and `--client-secret-file` against what the service has".to_owned())
        }
        (account::Error::ClientRefused { .. }, Of::Known) => Some(format!(
            "check `client_id` in `accounts/{name}.toml`; a new secret goes with `--client-secret-file FILE`"
        )),
        (account::Error::Unavailable { .. }, _) => Some("run the command again later".to_owned()),
        (
            account::Error::SignInAgain { .. }
            | account::Error::NotFound(_)
            | account::Error::Exists(_)
            | account::Error::InUse { .. }
            | account::Error::File { .. }
            | account::Error::Sealed(_)
            | account::Error::Endpoint { .. }
            | account::Error::StillRefused { .. }
            | account::Error::Home(_)
            | account::Error::Vault(_),
            _,
        ) => None,
    }
}

/// Have somebody sign in, the way that the command line says.
pub(super) fn token(
    desk: Desk<'_>,
    host: &Host,
    application: &Application,
    how: &SignIn,
) -> Result<(StoredToken, Method), NoToken> {
    if let Some(path) = &how.token_file {
        return Ok((read_token(desk, path)?, Method::TokenFile));
    }
    let (token, method) = if how.device {
        (waiting(by_device(desk, host, application))?, Method::DeviceCode)
    } else if how.paste {
        let redirect = match how.port {
            Some(port) => Some(Loopback::redirect_to(port)),
            None => application.paste_redirect.clone(),
        };
        (waiting(by_paste(desk, host, application, redirect))?, Method::Pasted)
    } else {
        let port = how.port.unwrap_or(PORT_DEFAULT);
        (waiting(by_browser(desk, host, application, port))?, Method::Browser)
    };
    if token.refresh.is_none() {
        desk.output.warning("the service gave no refresh token: the account ends when its token expires");
    }
    Ok((token, method))
}

async fn by_browser(
    desk: Desk<'_>,
    host: &Host,
    application: &Application,
    port: u16,
) -> Result<StoredToken, NoToken> {
    let account = application.account.clone();
    let loopback = Loopback::bind(port).await;
    let loopback = loopback.map_err(|source| sign_in::Error::Port { account, port, source })?;
    let question = ask(application, Some(loopback.redirect()))?;
    show(
        desk,
        &Open { open: question.url(), redirect: question.redirect(), code: None },
        &[
            format!(
                "To sign in account `{}`, open this page in a browser on this machine:",
                application.account
            ),
            format!("  {}", question.url()),
            format!("Waiting for its answer at {} (no browser here? use `--paste`)", loopback.redirect()),
        ],
    )?;
    let answer = question.listen(&loopback, &**host.clock()).await?;
    Ok(application.exchange(answer, &**host.clock()).await?)
}

async fn by_paste(
    desk: Desk<'_>,
    host: &Host,
    application: &Application,
    redirect: Option<String>,
) -> Result<StoredToken, NoToken> {
    let question = ask(application, redirect)?;
    let end = match question.redirect() {
        Some(redirect) => format!(
            "Allow what it asks for. It ends at an address that begins with `{redirect}`, whatever it \
             shows there: paste that address here."
        ),
        None => "Allow what it asks for. It ends with a code: paste that here.".to_owned(),
    };
    show(
        desk,
        &Open { open: question.url(), redirect: question.redirect(), code: None },
        &[
            format!("To sign in account `{}`, open this page in any browser:", application.account),
            format!("  {}", question.url()),
            end,
        ],
    )?;
    if std::io::stdin().is_terminal() {
        desk.output.question("Answer: ");
    }
    let answer = question.pasted(read_line()?.expose())?;
    Ok(application.exchange(answer, &**host.clock()).await?)
}

async fn by_device(desk: Desk<'_>, host: &Host, application: &Application) -> Result<StoredToken, NoToken> {
    let device = DeviceCode::begin(application).await?;
    let (url, code) = (harmless(device.url()), harmless(device.code()));
    show(
        desk,
        &Open { open: &url, redirect: None, code: Some(&code) },
        &[
            format!("To sign in account `{}`, open this page in any browser:", application.account),
            format!("  {url}"),
            format!("and enter the code `{code}`. It is good for {} min.", device.lifetime().as_secs() / 60),
        ],
    )?;
    Ok(device.wait(application, &**host.clock()).await?)
}

fn ask(application: &Application, redirect: Option<String>) -> Result<Question, sign_in::Error> {
    Question::new(application, redirect, &SystemRandom::new())
}

/// Say what is to be opened, also to those who want no messages: nothing goes on without it.
fn show(desk: Desk<'_>, open: &Open<'_>, lines: &[String]) -> Result<(), Failure> {
    if desk.output.is_json() {
        desk.output.json(open)?;
        return Ok(desk.output.flush()?);
    }
    for line in lines {
        desk.output.message(line);
    }
    Ok(())
}

/// What was pasted: one line.
fn read_line() -> Result<Secret, Failure> {
    let limit = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    let mut line = String::new();
    let read = std::io::stdin().lock().take(limit).read_line(&mut line);
    let secret = Secret::new(line);
    read.map_err(|problem| Failure::local("read", Path::new("-"), problem))?;
    Ok(secret)
}

/// A token as rclone keeps it.
pub(super) fn read_token(desk: Desk<'_>, path: &Path) -> Result<StoredToken, Failure> {
    let text = read_secret(path)?;
    let token = StoredToken::from_rclone(text.expose()).map_err(|error| {
        Failure::new(Exit::Usage, error)
            .with_context(format!("`{}` holds no token that can be used", path.display()))
            .with_hint("give the token as rclone keeps it: `rclone config dump | jq -r .REMOTE.token`")
    })?;
    if token.refresh.is_none() {
        desk.output.warning("the token has no `refresh_token`: the account ends when it expires");
    }
    Ok(token)
}
