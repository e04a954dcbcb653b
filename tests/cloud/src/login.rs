//! The sign-in pages and token endpoints of both services.
//!
//! What differs is the wording: parameters, error bodies, which fields a reply has. What the
//! tokens mean lives in `token`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::call::{self, Call};
use crate::inbound::DOCUMENT_BYTES_MAX;
use crate::reply::{Answer, Reply};
use crate::seal;
use crate::token::{Challenge, Denied, Issued, Tokens, Wish};

/// Which service's words are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Microsoft,
    Dropbox,
}

/// The scopes of a Dropbox app that asks for none in particular.
pub(crate) const DROPBOX_SCOPES: [&str; 6] = [
    "account_info.read",
    "files.metadata.read",
    "files.metadata.write",
    "files.content.read",
    "files.content.write",
    "files.permanent_delete",
];

/// A token error of Microsoft: HTTP 400 with numbers that tell the reason.
pub(crate) fn microsoft_error(error: &str, number: u32, text: &str) -> Reply {
    let trace = seal::guid();
    let correlation = seal::guid();
    let time = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ");
    let body = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{number}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {time}"
        ),
        "error_codes": [number],
        "timestamp": time.to_string(),
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    let status = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    Reply::json(status, &body)
}

/// A token error of Dropbox.
pub(crate) fn dropbox_error(error: &str, description: &str) -> Reply {
    let body = json!({"error": error, "error_description": description});
    match error {
        "invalid_client" => Reply::json(StatusCode::UNAUTHORIZED, &body)
            .header(WWW_AUTHENTICATE, "Basic realm=\"Dropbox API\""),
        _ => Reply::json(StatusCode::BAD_REQUEST, &body),
    }
}

fn refusal(flavour: Flavour, denied: Denied) -> Reply {
    let (error, number, text) = match denied {
        Denied::Client => ("unauthorized_client", 700_016, "Application not found."),
        Denied::Secret => ("invalid_client", 7_000_215, "Invalid client secret."),
        Denied::Grant => ("invalid_grant", 9_002_313, "The token is not valid."),
        Denied::Redeemed => ("invalid_grant", 54_005, "OAuth2 Authorization code was already redeemed."),
        Denied::Revoked => {
            ("invalid_grant", 50_173, "The provided grant has expired due to it being revoked.")
        }
        Denied::Inactive => ("invalid_grant", 700_082, "The refresh token has expired due to inactivity."),
        Denied::Verifier => ("invalid_grant", 50_148, "The code_verifier does not match the code_challenge."),
        Denied::Redirect => ("invalid_grant", 50_011, "The redirect URI does not match."),
        Denied::Pending => ("authorization_pending", 70_016, "The user has not answered."),
        Denied::TooSoon => ("slow_down", 70_017, "The client asks too often."),
        Denied::Declined => ("authorization_declined", 70_003, "The user declined."),
        Denied::Expired => ("expired_token", 70_020, "The device code has expired."),
    };
    match (flavour, denied) {
        (Flavour::Microsoft, _) => microsoft_error(error, number, text),
        (Flavour::Dropbox, Denied::Client) => {
            dropbox_error("invalid_client", "Invalid client_id or client_secret")
        }
        (Flavour::Dropbox, Denied::Secret) => {
            dropbox_error("invalid_client", "Invalid client_id or client_secret")
        }
        (Flavour::Dropbox, Denied::Revoked | Denied::Inactive) => {
            dropbox_error("invalid_grant", "refresh token is invalid or revoked")
        }
        (Flavour::Dropbox, Denied::Verifier) => dropbox_error("invalid_grant", "invalid code verifier"),
        (Flavour::Dropbox, Denied::Redirect) => dropbox_error("invalid_grant", "redirect_uri mismatch"),
        (Flavour::Dropbox, Denied::Redeemed) => dropbox_error("invalid_grant", "code has already been used"),
        (
            Flavour::Dropbox,
            Denied::Grant | Denied::Pending | Denied::TooSoon | Denied::Declined | Denied::Expired,
        ) => dropbox_error("invalid_grant", "refresh token is invalid or revoked"),
    }
}

/// A form, looked up by key.
struct Form(Vec<(String, String)>);

impl Form {
    async fn read(call: &mut Call) -> Result<Self, crate::inbound::Broken> {
        let body = call.body.read(DOCUMENT_BYTES_MAX).await?;
        let text = String::from_utf8(body.unwrap_or_default()).unwrap_or_default();
        Ok(Self(call::form(&text)))
    }

    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// The client's id and secret: from HTTP Basic, where Go's library puts them, or from the form.
fn client(call: &Call, form: &Form) -> (String, Option<String>) {
    let basic = || {
        let value = call.header("authorization")?;
        let (scheme, coded) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then_some(())?;
        let text = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        let plain = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
        Some((plain(id), Some(plain(secret)).filter(|text| !text.is_empty())))
    };
    basic().unwrap_or_else(|| {
        let secret = form.get("client_secret").filter(|text| !text.is_empty());
        let id = form.get("client_id").unwrap_or_default();
        (id.to_owned(), secret.map(str::to_owned))
    })
}

/// The token endpoint.
pub(crate) async fn token(tokens: &Tokens, flavour: Flavour, call: &mut Call) -> Answer {
    let form = Form::read(call).await?;
    let (id, secret) = client(call, &form);
    if let Err(denied) = tokens.check_client(&id, secret.as_deref()) {
        return Ok(refusal(flavour, denied));
    }
    let grant_type = form.get("grant_type").unwrap_or_default();
    let issued = match grant_type {
        "authorization_code" => tokens.redeem(
            &id,
            form.get("code").unwrap_or_default(),
            form.get("redirect_uri"),
            form.get("code_verifier"),
        ),
        "refresh_token" => {
            if flavour == Flavour::Dropbox && form.get("scope") == Some("") {
                return Ok(dropbox_error("invalid_request", "scope must not be empty"));
            }
            tokens.refresh(&id, form.get("refresh_token").unwrap_or_default())
        }
        "urn:ietf:params:oauth:grant-type:device_code" if flavour == Flavour::Microsoft => {
            poll_device(tokens, &id, &form)
        }
        "client_credentials" if flavour == Flavour::Microsoft && secret.is_some() => {
            Ok(tokens.issue_for(own(&id)))
        }
        other => return Ok(unsupported(flavour, other)),
    };
    let reply = match issued {
        Ok(issued) => success(flavour, grant_type, &issued),
        Err(denied) => refusal(flavour, denied),
    };
    Ok(reply.header(CACHE_CONTROL, "no-store"))
}

/// An application's own token, for unattended access to a tenant.
fn own(client: &str) -> Wish {
    Wish {
        client: client.to_owned(),
        account: crate::DEFAULT_ACCOUNT.to_owned(),
        scopes: vec!["Files.ReadWrite.All".to_owned()],
        ..Wish::default()
    }
}

fn unsupported(flavour: Flavour, grant_type: &str) -> Reply {
    let text = format!("grant type {grant_type:?} is not supported");
    match flavour {
        Flavour::Microsoft => microsoft_error("unsupported_grant_type", 70_003, &text),
        Flavour::Dropbox => dropbox_error("unsupported_grant_type", &text),
    }
}

/// A poll with a device code. A user who approves by himself still takes one poll to do so.
fn poll_device(tokens: &Tokens, client: &str, form: &Form) -> Result<Issued, Denied> {
    let device = form.get("device_code").unwrap_or_default();
    let outcome = tokens.redeem_device(client, device);
    if outcome.as_ref().err() == Some(&Denied::Pending) {
        let switches = tokens.switches();
        if switches.decline || switches.auto_approve {
            tokens.answer_device_code(device, !switches.decline);
        }
    }
    outcome
}

fn success(flavour: Flavour, grant_type: &str, issued: &Issued) -> Reply {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    match flavour {
        Flavour::Microsoft => {
            set("token_type", json!("Bearer"));
            set("scope", json!(issued.scopes.join(" ")));
            set("expires_in", json!(issued.seconds));
            set("ext_expires_in", json!(issued.seconds));
            set("access_token", json!(issued.access));
            if let Some(refresh) = &issued.refresh {
                set("refresh_token", json!(refresh));
            }
        }
        Flavour::Dropbox => {
            set("access_token", json!(issued.access));
            set("token_type", json!("bearer"));
            set("expires_in", json!(issued.seconds));
            if grant_type == "authorization_code" {
                if let Some(refresh) = &issued.refresh {
                    set("refresh_token", json!(refresh));
                }
                set("scope", json!(issued.scopes.join(" ")));
                set("uid", json!(crate::dropbox::uid(&issued.account)));
                let id = crate::dropbox::account_id(&issued.account);
                set("account_id", json!(id));
            }
        }
    }
    Reply::json(StatusCode::OK, &body)
}

/// Where the endpoints are (OpenID Connect Discovery), which Microsoft's own library asks first.
pub(crate) fn discovery(call: &Call) -> Reply {
    let at = |action: &str| call.same_host(&format!("/common/oauth2/v2.0/{action}"));
    let body = json!({
        "issuer": call.same_host("/{tenantid}/v2.0"),
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "device_authorization_endpoint": at("devicecode"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    });
    Reply::json(StatusCode::OK, &body)
}

/// The authorize page.
pub(crate) fn authorize(tokens: &Tokens, flavour: Flavour, call: &Call) -> Reply {
    let page = |status, text: &str| Reply::page(status, format!("<html><p>{text}</p></html>"));
    let client = call.query("client_id").unwrap_or_default();
    if !tokens.knows_client(client) {
        return page(StatusCode::BAD_REQUEST, "AADSTS700016: unknown client_id");
    }
    let redirect = call.query("redirect_uri").map(str::to_owned);
    let switches = tokens.switches();
    if let Some(redirect) = &redirect
        && !switches.any_redirect
        && !is_loopback(redirect)
    {
        return page(StatusCode::BAD_REQUEST, "AADSTS50011: the redirect_uri is not registered");
    }
    if call.query("response_type") != Some("code") {
        return page(StatusCode::BAD_REQUEST, "response_type must be code");
    }
    let state = call.query("state");
    if switches.decline || call.query("approve") == Some("no") {
        return declined(redirect.as_deref(), state);
    }
    if !switches.auto_approve && call.query("approve") != Some("yes") {
        return ask(call);
    }
    let code = tokens.code(wish(flavour, call, client, redirect.clone()));
    match redirect {
        Some(redirect) => {
            let code = utf8_percent_encode(&code, NON_ALPHANUMERIC).to_string();
            to(&redirect, &format!("code={code}"), state)
        }
        None => page(StatusCode::OK, &format!("<code>{code}</code>")),
    }
}

fn wish(flavour: Flavour, call: &Call, client: &str, redirect: Option<String>) -> Wish {
    let asked = call.query("scope").unwrap_or_default();
    let mut scopes: Vec<String> =
        asked.split([' ', '+']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    let offline = match flavour {
        Flavour::Microsoft => scopes.iter().any(|scope| scope == "offline_access"),
        Flavour::Dropbox => call.query("token_access_type") == Some("offline"),
    };
    if scopes.is_empty() && flavour == Flavour::Dropbox {
        scopes = DROPBOX_SCOPES.map(str::to_owned).to_vec();
    }
    let challenge = call.query("code_challenge").map(str::to_owned);
    let s256 = call.query("code_challenge_method") == Some("S256");
    Wish {
        client: client.to_owned(),
        account: call.query("login_hint").unwrap_or(crate::DEFAULT_ACCOUNT).to_owned(),
        scopes,
        redirect,
        challenge: challenge.map(|text| match s256 {
            true => Challenge::S256(text),
            false => Challenge::Plain(text),
        }),
        offline,
    }
}

/// The machine's own addresses are registered for every application; their ports do not count.
fn is_loopback(redirect: &str) -> bool {
    let Ok(uri) = redirect.parse::<http::Uri>() else {
        return false;
    };
    matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
        || redirect == "https://login.microsoftonline.com/common/oauth2/nativeclient"
}

fn ask(call: &Call) -> Reply {
    let query: Vec<String> = call
        .query
        .iter()
        .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    let link = call.same_host(&format!("{}?{}&approve", call.path, query.join("&")));
    let html = format!(
        "<html><p>An application wants to use this drive.</p>\
         <a id=\"yes\" href=\"{link}=yes\">Allow</a> <a id=\"no\" href=\"{link}=no\">Deny</a></html>"
    );
    Reply::page(StatusCode::OK, html)
}

fn declined(redirect: Option<&str>, state: Option<&str>) -> Reply {
    match redirect {
        Some(redirect) => to(redirect, "error=access_denied&error_description=The%20user%20declined", state),
        None => Reply::page(StatusCode::FORBIDDEN, "<html>declined</html>".to_owned()),
    }
}

fn to(redirect: &str, query: &str, state: Option<&str>) -> Reply {
    let joint = if redirect.contains('?') { '&' } else { '?' };
    let state = state
        .map_or_else(String::new, |state| format!("&state={}", utf8_percent_encode(state, NON_ALPHANUMERIC)));
    Reply::empty(StatusCode::FOUND).header(LOCATION, format!("{redirect}{joint}{query}{state}"))
}

/// The device code endpoint, and the page where its user answers.
pub(crate) async fn device(tokens: &Tokens, call: &mut Call) -> Answer {
    if call.method == Method::GET {
        let user_code = call.query("user_code").unwrap_or_default();
        let known = tokens.answer_device(user_code, call.query("approve") != Some("no"));
        let status = match known {
            true => StatusCode::OK,
            false => StatusCode::NOT_FOUND,
        };
        return Ok(Reply::page(status, "<html>answered</html>".to_owned()));
    }
    let form = Form::read(call).await?;
    let client = form.get("client_id").unwrap_or_default();
    if !tokens.knows_client(client) {
        return Ok(refusal(Flavour::Microsoft, Denied::Client));
    }
    let scope = form.get("scope").unwrap_or_default();
    let scopes: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
    let (device_code, user_code) = tokens.device(Wish {
        client: client.to_owned(),
        account: crate::DEFAULT_ACCOUNT.to_owned(),
        offline: scopes.iter().any(|scope| scope == "offline_access"),
        scopes,
        ..Wish::default()
    });
    let uri = "https://www.microsoft.com/link";
    let body = json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": uri,
        "expires_in": crate::token::DEVICE_LIFE.as_secs(),
        "interval": tokens.switches().device_interval_seconds,
        "message": format!("To sign in, open {uri} and enter the code {user_code}."),
    });
    Ok(Reply::json(StatusCode::OK, &body))
}
