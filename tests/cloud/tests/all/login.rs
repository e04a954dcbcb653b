//! Tokens of both services over HTTP.

use std::time::Duration;

use cloud::{DEFAULT_ACCOUNT, Rotation, TokenSwitches};
use reqwest::Method;

use crate::help::{Bench, Reply, send};

const MICROSOFT: &str = "https://login.microsoftonline.com/common/oauth2/v2.0";

async fn form(bench: &Bench, url: &str, pairs: &[(&str, &str)]) -> Reply {
    let body: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let request = bench
        .bare(Method::POST, url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"));
    send(request).await
}

#[tokio::test]
async fn microsoft_code_with_a_verifier() {
    let bench = Bench::start().await;
    let client = bench.cloud.onedrive().client_id();
    let url = format!(
        "{MICROSOFT}/authorize?client_id={client}&response_type=code&redirect_uri=http://localhost:9/cb\
         &scope=Files.ReadWrite%20offline_access&state=s1\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
    let page = send(bench.bare(Method::GET, &url)).await;
    assert_eq!(page.status, 302, "{}", page.text());
    let location = page.header("location");
    assert!(location.starts_with("http://localhost:9/cb?code="), "{location}");
    assert!(location.ends_with("&state=s1"));
    let code = location.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let token = format!("{MICROSOFT}/token");
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", "http://localhost:9/cb"),
        ("code_verifier", "wrong"),
    ];
    let wrong = form(&bench, &token, &pairs).await;
    assert_eq!((wrong.status, &wrong.json["error"]), (400, &"invalid_grant".into()));
    pairs[4].1 = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let good = form(&bench, &token, &pairs).await;
    assert_eq!((good.status, &good.json["token_type"]), (200, &"Bearer".into()));
    let seconds = good.json["expires_in"].as_u64().unwrap();
    assert!((3600..=5400).contains(&seconds));
    let used = form(&bench, &token, &pairs).await;
    assert_eq!(used.json["error_codes"][0], 54_005);
    let access = good.json["access_token"].as_str().unwrap();
    let drive = "https://graph.microsoft.com/v1.0/me/drive";
    let signed = bench.bare(Method::GET, drive).bearer_auth(access);
    assert_eq!(send(signed).await.status, 200);
    bench.cloud.clock().advance(Duration::from_secs(5401));
    let expired = send(bench.bare(Method::GET, drive).bearer_auth(access)).await;
    assert_eq!(expired.status, 401);
    assert!(expired.header("www-authenticate").contains("invalid_token"));
    let elsewhere = url.replace("localhost:9", "evil.test");
    assert_eq!(send(bench.bare(Method::GET, &elsewhere)).await.status, 400);
}

#[tokio::test]
async fn microsoft_refresh_rotates() {
    let bench = Bench::start().await;
    let service = bench.cloud.onedrive();
    let first = service.token_json(DEFAULT_ACCOUNT);
    let first = first["refresh_token"].as_str().unwrap().to_owned();
    service.set_token_switches(TokenSwitches { rotation: Rotation::Revoking, ..service.token_switches() });
    let url = format!("{MICROSOFT}/token");
    let refresh = |token: String| {
        let request = bench
            .bare(Method::POST, &url)
            .basic_auth(service.client_id(), Some(service.client_secret()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("grant_type=refresh_token&refresh_token={token}"));
        send(request)
    };
    let second = refresh(first.clone()).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let rotated = second.json["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(rotated, first);
    assert_eq!(service.refreshes(DEFAULT_ACCOUNT), 1);
    let reused = refresh(first).await;
    assert_eq!((reused.status, &reused.json["error_codes"][0]), (400, &50_173.into()));
    assert_eq!(refresh(rotated).await.status, 400, "everything was revoked");
    let wrong = bench
        .bare(Method::POST, &url)
        .basic_auth(service.client_id(), Some("wrong"))
        .body("grant_type=refresh_token");
    let wrong = send(wrong).await;
    assert_eq!((wrong.status, &wrong.json["error"]), (401, &"invalid_client".into()));
}

#[tokio::test]
async fn refresh_tokens_die_of_inactivity() {
    let bench = Bench::start().await;
    let service = bench.cloud.onedrive();
    let token = service.token_json(DEFAULT_ACCOUNT);
    bench.cloud.clock().advance(Duration::from_secs(91 * 24 * 3600));
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_id", service.client_id()),
        ("refresh_token", token["refresh_token"].as_str().unwrap()),
    ];
    let dead = form(&bench, &format!("{MICROSOFT}/token"), &pairs).await;
    assert_eq!((dead.status, &dead.json["error_codes"][0]), (400, &700_082.into()));
}

#[tokio::test]
async fn microsoft_device_code() {
    let bench = Bench::start().await;
    let client = bench.cloud.onedrive().client_id();
    let pairs = [("client_id", client), ("scope", "Files.Read offline_access")];
    let started = form(&bench, &format!("{MICROSOFT}/devicecode"), &pairs).await;
    let device = started.json["device_code"].as_str().unwrap();
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", client),
        ("device_code", device),
    ];
    let url = format!("{MICROSOFT}/token");
    let pending = form(&bench, &url, &poll).await;
    assert_eq!(pending.json["error"], "authorization_pending");
    let hasty = form(&bench, &url, &poll).await;
    assert_eq!((hasty.status, &hasty.json["error"]), (400, &"slow_down".into()));
    bench.cloud.clock().advance(Duration::from_secs(started.json["interval"].as_u64().unwrap()));
    assert_eq!(form(&bench, &url, &poll).await.status, 200);
    assert_eq!(form(&bench, &url, &poll).await.json["error"], "invalid_grant", "it is good once");
}

#[tokio::test]
async fn microsoft_device_code_that_is_declined_or_too_old() {
    let bench = Bench::start().await;
    let service = bench.cloud.onedrive();
    let client = service.client_id();
    let pairs = [("client_id", client), ("scope", "Files.Read")];
    let url = format!("{MICROSOFT}/token");
    for (decline, wait, expected) in [(true, 5, "authorization_declined"), (false, 901, "expired_token")] {
        service.set_token_switches(TokenSwitches {
            decline,
            auto_approve: false,
            ..service.token_switches()
        });
        let started = form(&bench, &format!("{MICROSOFT}/devicecode"), &pairs).await;
        let poll = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", client),
            ("device_code", started.json["device_code"].as_str().unwrap()),
        ];
        assert_eq!(form(&bench, &url, &poll).await.json["error"], "authorization_pending");
        bench.cloud.clock().advance(Duration::from_secs(wait));
        assert_eq!(form(&bench, &url, &poll).await.json["error"], expected);
    }
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_and_ends() {
    let bench = Bench::start().await;
    let dropbox = bench.cloud.dropbox();
    let authorize = "https://www.dropbox.com/oauth2/authorize?response_type=code&token_access_type=offline";
    let redirect = "http://localhost:53682/";
    let url = format!("{authorize}&client_id={}&redirect_uri={redirect}", dropbox.client_id());
    let code = || async {
        let page = send(bench.bare(Method::GET, &url)).await;
        let location = page.header("location").to_owned();
        location.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let redeem = |code: String, redirect: &'static str| {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", dropbox.client_id()),
            ("code", Box::leak(code.into_boxed_str())),
            ("redirect_uri", redirect),
        ];
        let bench = &bench;
        async move { form(bench, "https://api.dropboxapi.com/oauth2/token", &pairs).await }
    };
    let other = redeem(code().await, "http://localhost:1/").await;
    assert_eq!((other.status, &other.json["error"]), (400, &"invalid_grant".into()));
    let late = code().await;
    bench.cloud.clock().advance(Duration::from_secs(601));
    assert_eq!(redeem(late, redirect).await.status, 400);
    assert_eq!(redeem(code().await, redirect).await.status, 200);
}

#[tokio::test]
async fn dropbox_refresh_does_not_rotate() {
    let bench = Bench::start().await;
    let service = bench.cloud.dropbox();
    let token = service.token_json(DEFAULT_ACCOUNT);
    let refresh = token["refresh_token"].as_str().unwrap();
    let url = "https://api.dropboxapi.com/oauth2/token";
    let pairs =
        [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", service.client_id())];
    for _ in 0..2 {
        let reply = form(&bench, url, &pairs).await;
        assert_eq!((reply.status, &reply.json["expires_in"]), (200, &14_400.into()));
        assert!(reply.json["refresh_token"].is_null());
    }
    let mut empty = pairs.to_vec();
    empty.push(("scope", ""));
    assert_eq!(form(&bench, url, &empty).await.status, 400);
    service.expire_tokens(DEFAULT_ACCOUNT);
    let expired = bench.rpc("users/get_space_usage", serde_json::Value::Null).await;
    assert_eq!((expired.status, &expired.json["error"][".tag"]), (401, &"expired_access_token".into()));
    service.revoke(DEFAULT_ACCOUNT);
    let revoked = form(&bench, url, &pairs).await;
    assert_eq!((revoked.status, &revoked.json["error"]), (400, &"invalid_grant".into()));
}
