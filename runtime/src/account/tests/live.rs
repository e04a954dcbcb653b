//! A token that is good whenever one is asked for, and one refresh at a time.

use super::*;

#[tokio::test]
async fn a_good_token_is_used_as_it_is() {
    let scene = scene();
    scene.add(3600);
    let endpoint = Endpoint::replying([]);
    let account = scene.open(&endpoint);
    assert_eq!(text(&account.credential().await.unwrap()), "access-0");
    scene.clock.advance(Duration::from_secs(3600 - 301));
    assert_eq!(text(&account.credential().await.unwrap()), "access-0");
    assert_eq!(endpoint.questions(), 0);
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(text(&account.credential().await.unwrap()), "access-1");
    assert_eq!(endpoint.questions(), 1);
}

#[tokio::test]
async fn a_token_of_a_short_life_is_not_refreshed_all_the_time() {
    let scene = scene();
    scene.add(-1);
    let reply = r#"{"access_token":"short","token_type":"Bearer","expires_in":60}"#;
    let endpoint = Endpoint::replying([Ok((200, reply.to_owned()))]);
    let account = scene.open(&endpoint);
    for _ in 0..4 {
        assert_eq!(text(&account.credential().await.unwrap()), "short");
        scene.clock.advance(Duration::from_secs(11));
    }
    assert_eq!(endpoint.questions(), 1);
    scene.clock.advance(Duration::from_secs(5));
    assert_eq!(text(&account.credential().await.unwrap()), "access-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wait_for_one_refresh() {
    let scene = scene();
    scene.add(-1);
    let endpoint = Endpoint::replying([]);
    // Two processes: separate opens of one account.
    let (one, other) = (scene.open(&endpoint), scene.open(&endpoint));
    let waiting = (0..200).map(|number| {
        let account = if number % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move { account.credential().await })
    });
    for credential in futures_util::future::join_all(waiting).await {
        assert_eq!(text(&credential.unwrap().unwrap()), "access-1");
    }
    assert_eq!(endpoint.questions(), 1);
}

#[tokio::test]
async fn a_rotated_token_is_on_disk_before_it_is_used() {
    let scene = scene();
    scene.add(-1);
    let endpoint = Arc::new(Endpoint { rotates: true, ..Endpoint::default() });
    let account = scene.open(&endpoint);
    let credential = account.credential().await.unwrap();
    let stored = scene.stored();
    assert_eq!(stored.token.access, *credential.access_token());
    assert_eq!(stored.token.refresh.unwrap().expose(), "refresh-1");
    assert_eq!(stored.token.scope.as_deref(), Some("files"), "a reply without a scope leaves it as it was");
    assert_eq!(stored.refreshed, Some(scene.clock.now()));
    let (url, headers, body) = endpoint.asked.lock().unwrap()[0].clone();
    assert_eq!(url, "https://login.test/token");
    assert_eq!(body, "grant_type=refresh_token&refresh_token=refresh-0&client_id=manifest-client");
    assert!(headers.contains(&("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())));
    // The next one is asked for with the rotated token.
    scene.clock.advance(Duration::from_secs(3500));
    account.credential().await.unwrap();
    assert!(endpoint.asked.lock().unwrap()[1].2.contains("refresh_token=refresh-1&"));
}

#[tokio::test]
async fn a_rotated_token_that_cannot_be_stored_is_kept_and_not_used() {
    let scene = scene();
    scene.add(-1);
    let endpoint = Arc::new(Endpoint { rotates: true, ..Endpoint::default() });
    let account = scene.open(&endpoint);
    // While the endpoint answers, a folder takes the file's place: it can no longer be replaced.
    let (sealed, aside) = (scene.home.path().join("accounts/work.sealed"), scene.home.path().join("aside"));
    let moved = (sealed.clone(), aside.clone());
    *endpoint.meanwhile.0.lock().unwrap() = Some(Box::new(move || {
        std::fs::rename(&moved.0, &moved.1).unwrap();
        std::fs::create_dir(&moved.0).unwrap();
    }));
    let failed = account.credential().await;
    std::fs::remove_dir(&sealed).unwrap();
    std::fs::rename(&aside, &sealed).unwrap();
    assert!(matches!(failed, Err(Error::Home(_))), "{failed:?}");
    assert_eq!(scene.stored().token.refresh.unwrap().expose(), "refresh-0");
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(text(&account.credential().await.unwrap()), "access-1");
    assert_eq!(endpoint.questions(), 1, "what was got is stored, not asked for again");
    assert_eq!(scene.stored().token.refresh.unwrap().expose(), "refresh-1");
}

#[tokio::test]
async fn a_refresh_goes_on_when_nobody_waits_any_more() {
    let scene = scene();
    scene.add(-1);
    let endpoint = Arc::new(Endpoint { rotates: true, ..Endpoint::default() });
    let account = scene.open(&endpoint);
    let waiting = tokio::time::timeout(Duration::from_micros(200), account.credential()).await;
    assert!(waiting.is_err());
    account.settle().await;
    assert_eq!(scene.stored().token.access.expose(), "access-1");
}

#[tokio::test]
async fn what_another_process_got_is_taken() {
    let scene = scene();
    scene.add(-1);
    let endpoint = Endpoint::replying([]);
    let (one, other) = (scene.open(&endpoint), scene.open(&endpoint));
    let first = one.credential().await.unwrap();
    assert_eq!(text(&other.credential().await.unwrap()), "access-1");
    // Refused: the first asks again, the other takes what the first got.
    scene.clock.advance(Duration::from_mins(2));
    assert_eq!(text(&one.refused(&first).await.unwrap()), "access-2");
    assert_eq!(text(&other.refused(&first).await.unwrap()), "access-2");
    assert_eq!(endpoint.questions(), 2);
    // A new sign-in by the operator is found as well.
    let fresh = StoredToken::from_rclone(r#"{"access_token":"signed-in","refresh_token":"r"}"#).unwrap();
    scene.accounts.sign_in(&name("work"), fresh, None, &by_hand()).unwrap();
    let used = one.credential().await.unwrap();
    assert_eq!(text(&one.refused(&used).await.unwrap()), "signed-in");
    assert_eq!(endpoint.questions(), 2);
}

#[tokio::test]
async fn a_connector_that_loops_on_401_gets_one_refresh() {
    let scene = scene();
    scene.add(3600);
    let endpoint = Endpoint::replying([]);
    let account = scene.open(&endpoint);
    let mut used = account.credential().await.unwrap();
    used = account.refused(&used).await.unwrap();
    for _ in 0..50 {
        let error = account.refused(&used).await.unwrap_err();
        assert!(matches!(error, Error::StillRefused { .. }), "{error}");
        scene.clock.advance(Duration::from_secs(1));
    }
    // In another process too: when it was refreshed is stored with it.
    let other = scene.open(&endpoint);
    other.refused(&other.credential().await.unwrap()).await.unwrap_err();
    assert_eq!(endpoint.questions(), 1);
    scene.clock.advance(Duration::from_secs(15));
    account.refused(&used).await.unwrap();
    assert_eq!(endpoint.questions(), 2);
}

#[tokio::test]
async fn errors_say_who_can_help() {
    let kind = async |reply: Reply| {
        let scene = scene();
        scene.add(-1);
        let account = scene.open(&Endpoint::replying([reply]));
        let error = account.credential().await.unwrap_err();
        assert!(!error.to_string().contains("refresh-0"), "{error}");
        match &error {
            Error::SignInAgain { .. } => {
                assert_eq!(
                    error.hint().unwrap(),
                    "run `wharf account authorize work`, with `--paste` where there is no browser"
                );
                "sign in"
            }
            Error::ClientRefused { .. } => "client",
            Error::Endpoint { .. } => "endpoint",
            Error::Unavailable { .. } => "later",
            Error::NotFound(_)
            | Error::Exists(_)
            | Error::InUse { .. }
            | Error::File { .. }
            | Error::Sealed(_)
            | Error::StillRefused { .. }
            | Error::Home(_)
            | Error::Vault(_) => panic!("{error:?}"),
        }
    };
    let check = async |status: u16, body: &str, expected: &str| {
        assert_eq!(kind(Ok((status, body.to_owned()))).await, expected, "{status} {body}");
    };
    check(400, r#"{"error":"invalid_grant","error_description":"AADSTS700082: expired\r\nTrace ID: 1","error_codes":[700082]}"#, "sign in").await;
    check(
        400,
        r#"{"error":"invalid_grant","error_description":"refresh token is invalid or revoked: refresh-0"}"#,
        "sign in",
    )
    .await;
    check(400, r#"{"error":"interaction_required","error_description":"AADSTS50076: MFA"}"#, "sign in").await;
    check(
        400,
        r#"{"error":"invalid_request","error_description":"AADSTS50173: password changed"}"#,
        "sign in",
    )
    .await;
    check(400, r#"{"error":"invalid_request","error_description":"AADSTS700081: not that one"}"#, "endpoint")
        .await;
    check(
        401,
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret"}"#,
        "client",
    )
    .await;
    check(400, r#"{"error":"unauthorized_client"}"#, "client").await;
    check(400, r#"{"error":"temporarily_unavailable"}"#, "later").await;
    check(503, "<html>", "later").await;
    check(429, r#"{"error":"invalid_grant"}"#, "later").await;
    check(200, "<html>refresh-0</html>", "later").await;
    check(200, "", "later").await;
    check(302, "", "later").await;
    check(200, r#"{"access_token":"a b","token_type":"bearer"}"#, "endpoint").await;
    check(200, r#"{"access_token":"a","token_type":"mac"}"#, "endpoint").await;
    check(
        200,
        &format!(r#"{{"access_token":"{}","token_type":"bearer"}}"#, "a".repeat(REPLY_BYTES_MAX)),
        "later",
    )
    .await;
    assert_eq!(kind(Err(TransportError("no route to refresh-0".to_owned()))).await, "later");
}

#[tokio::test]
async fn a_sign_in_that_is_gone_is_not_asked_for_again() {
    let scene = scene();
    scene.add(-1);
    let gone = || Ok((400, r#"{"error":"invalid_grant"}"#.to_owned()));
    let endpoint = Endpoint::replying([gone(), gone()]);
    let account = scene.open(&endpoint);
    for _ in 0..10 {
        let error = account.credential().await.unwrap_err();
        assert!(matches!(error, Error::SignInAgain { .. }));
        scene.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(endpoint.questions(), 1);
    scene
        .accounts
        .sign_in(
            &name("work"),
            StoredToken::from_rclone(r#"{"access_token":"new"}"#).unwrap(),
            None,
            &by_hand(),
        )
        .unwrap();
    assert_eq!(text(&account.credential().await.unwrap()), "new");
}

#[tokio::test]
async fn a_failure_is_shared_and_then_tried_again() {
    let scene = scene();
    scene.add(-1);
    let endpoint = Endpoint::replying([Err(TransportError("down".to_owned()))]);
    let account = scene.open(&endpoint);
    let waiting: Vec<_> = (0..50).map(|_| account.credential()).collect();
    for outcome in futures_util::future::join_all(waiting).await {
        assert!(matches!(outcome, Err(Error::Unavailable { .. })));
    }
    assert_eq!(endpoint.questions(), 1);
    scene.clock.advance(Duration::from_secs(1));
    account.credential().await.unwrap();
}

#[tokio::test]
async fn until_it_really_ends_the_old_token_will_do() {
    let scene = scene();
    scene.add(200);
    let endpoint =
        Endpoint::replying([Err(TransportError("down".to_owned())), Err(TransportError("down".to_owned()))]);
    let account = scene.open(&endpoint);
    assert_eq!(text(&account.credential().await.unwrap()), "access-0");
    scene.clock.advance(Duration::from_secs(201));
    account.credential().await.unwrap_err();
}

#[tokio::test]
async fn while_one_renews_early_the_others_go_on() {
    let scene = scene();
    scene.add(200);
    let endpoint = Endpoint::replying([]);
    let account = scene.open(&endpoint);
    let credentials = futures_util::future::join_all((0..50).map(|_| account.credential())).await;
    let renewed =
        credentials.iter().filter(|credential| text(credential.as_ref().unwrap()) == "access-1").count();
    assert!((1..50).contains(&renewed), "{renewed} of 50 waited");
    assert_eq!(text(&account.credential().await.unwrap()), "access-1");
    assert_eq!(endpoint.questions(), 1);
}

#[tokio::test]
async fn the_client_says_who_it_is_as_the_operator_wants() {
    let scene = scene();
    let token = StoredToken::from_rclone(r#"{"refresh_token":"r"}"#).unwrap();
    let client = Client {
        id: Some("mine".to_owned()),
        secret: Some(Secret::new("s p".to_owned())),
        token_url: Some("https://own.test/token".to_owned()),
    };
    scene.accounts.add(&name("work"), "onedrive", token, client, scene.clock.now()).unwrap();
    let endpoint = Endpoint::replying([]);
    scene.open(&endpoint).credential().await.unwrap();
    scene.clock.advance(Duration::from_hours(1));
    let basic = TokenEndpoint { auth: ClientAuth::Basic, ..client_endpoint() };
    scene.open_with(basic, &endpoint).credential().await.unwrap();
    let asked = endpoint.asked.lock().unwrap();
    assert_eq!(asked[0].0, "https://own.test/token");
    assert_eq!(asked[0].2, "grant_type=refresh_token&refresh_token=r&client_id=mine&client_secret=s+p");
    assert_eq!(asked[1].2, "grant_type=refresh_token&refresh_token=r");
    assert!(
        asked[1].1.contains(&("authorization".to_owned(), "Basic bWluZTpzK3A=".to_owned())),
        "{:?}",
        asked[1].1
    );
}

#[tokio::test]
async fn a_code_becomes_a_token() {
    let endpoint = Arc::new(Endpoint { rotates: true, ..Endpoint::default() });
    let authorization = Authorization {
        code: Secret::new("the-code".to_owned()),
        verifier: Some(Secret::new("the-verifier".to_owned())),
        redirect_url: Some("http://localhost:53682/".to_owned()),
    };
    let (account, client) = (name("work"), client_endpoint());
    let trade = tokio::spawn({
        let endpoint = Arc::clone(&endpoint);
        async move { exchange_code(&account, &client, authorization, &*endpoint, START).await }
    });
    let token = trade.await.unwrap().unwrap();
    assert_eq!(token.access.expose(), "access-1");
    assert_eq!(token.refresh.unwrap().expose(), "refresh-1");
    assert_eq!(token.expires, Some(START + Duration::from_hours(1)));
    let body = endpoint.asked.lock().unwrap()[0].2.clone();
    for part in [
        "grant_type=authorization_code",
        "code=the-code",
        "code_verifier=the-verifier",
        "redirect_uri=http%3A%2F%2Flocalhost%3A53682%2F",
    ] {
        assert!(body.contains(part), "{body}");
    }
}
