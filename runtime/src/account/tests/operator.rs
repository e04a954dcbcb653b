//! The operator's side: adding, showing, removing; and what lies on disk.

use super::*;

#[test]
fn rclones_tokens_are_taken_as_they_are() {
    let expiry = |json: &str| {
        let token = StoredToken::from_rclone(json).unwrap();
        token.expires.map(|expires| expires.duration_since(START).unwrap().as_millis())
    };
    let with = |expiry: &str| {
        format!(r#"{{"access_token":"a","token_type":"Bearer","refresh_token":"r","expiry":"{expiry}"}}"#)
    };
    assert_eq!(expiry(&with("2020-01-01T00:00:00Z")), Some(1_577_836_800_000));
    assert_eq!(expiry(&with("2020-01-01T00:00:00.123456789Z")), Some(1_577_836_800_123));
    assert_eq!(expiry(&with("2020-01-01T02:30:00.5+02:30")), Some(1_577_836_800_500));
    assert_eq!(expiry(&with("2019-12-31T16:00:00-08:00")), Some(1_577_836_800_000));
    assert_eq!(expiry(&with("0001-01-01T00:00:00Z")), None);
    assert_eq!(expiry(r#" {"access_token":"a","refresh_token":"r"} "#), None);
    assert_eq!(expiry(r#"{"access_token":"a","expires_in":3599,"extra":{"x":[1]}}"#), None);
    assert_eq!(expiry(r#"{"refresh_token":"r"}"#), Some(0));
    let token = StoredToken::from_rclone(&with("2020-01-01T00:00:00Z")).unwrap();
    assert_eq!((token.access.expose(), token.refresh.unwrap().expose()), ("a", "r"));
}

#[test]
fn what_is_no_token_is_told_so_without_repeating_it() {
    let check = |json: &str, expected: &str| {
        let error = StoredToken::from_rclone(json).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    };
    check("sesame", "a JSON object with `access_token`");
    check(r#"{"access_token":"sesame""#, "a JSON object");
    check(r#"["sesame"]"#, "a JSON object");
    check(r#"{"access_token":{"x":"sesame"}}"#, "a JSON object");
    check("{}", "neither `access_token` nor `refresh_token`");
    check(r#"{"access_token":"sesame\nHost: x"}"#, "`access_token` has a character");
    check(r#"{"access_token":"a","refresh_token":"ses ame"}"#, "`refresh_token` has a character");
    check(r#"{"access_token":"a","token_type":"mac"}"#, "of type `mac`");
    check(r#"{"access_token":"a","expiry":"tomorrow"}"#, "`expiry` is not a moment");
    let long = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(20_000));
    check(&long, "longer than 16384 bytes");
}

#[test]
fn no_secret_lies_in_the_home() {
    let scene = scene();
    let token =
        StoredToken::from_rclone(r#"{"access_token":"sesame-access","refresh_token":"sesame-refresh"}"#)
            .unwrap();
    let client = Client {
        id: Some("mine".to_owned()),
        secret: Some(Secret::new("sesame-client".to_owned())),
        token_url: None,
    };
    scene.accounts.add(&name("work"), "dropbox", token.clone(), client, scene.clock.now()).unwrap();
    let signed_in = SignedIn { method: Method::Pasted, at: scene.clock.now() };
    scene.accounts.sign_in(&name("work"), token.clone(), None, &signed_in).unwrap();
    assert_eq!(scene.stored().client_secret.unwrap().expose(), "sesame-client");
    for (path, bytes) in all_files(scene.home.path()) {
        assert!(!bytes.windows(6).any(|window| window == b"sesame"), "{}", path.display());
    }
    let summary = scene.accounts.show(&name("work"), scene.clock.now()).unwrap();
    let printed =
        format!("{summary:?} {token:?} {:?} {:?}", scene.stored(), scene.open(&Endpoint::replying([])));
    assert!(!printed.contains("sesame"), "{printed}");
    assert!(summary.refreshable && summary.has_client_secret);
    assert_eq!(summary.client_id.as_deref(), Some("mine"));
}

#[test]
fn an_account_is_added_whole_or_not_at_all() {
    let scene = scene();
    let token = StoredToken::from_rclone(r#"{"access_token":"a"}"#).unwrap();
    let now = scene.clock.now();
    let add = || scene.accounts.add(&name("work"), "dropbox", token.clone(), Client::default(), now);
    crate::home::crash::at_every_step(add, |steps, done| {
        if scene.accounts.exists(&name("work")) {
            scene.accounts.show(&name("work"), now).unwrap();
            scene.accounts.remove::<Error>(&name("work"), || Ok(Vec::new())).unwrap();
        } else {
            assert!(done.is_none(), "after {steps} steps");
        }
    });
    add().unwrap();
    assert!(matches!(add(), Err(Error::Exists(_))));
    let removed = scene.accounts.remove::<Error>(&name("work"), || Ok(vec![name("archive"), name("b")]));
    assert_eq!(removed.unwrap_err().to_string(), "account `work` is used by `archive`, `b`");
    assert_eq!(scene.accounts.names().unwrap(), [name("work")]);
    crate::home::crash::at_every_step(
        || scene.accounts.remove::<Error>(&name("work"), || Ok(Vec::new())),
        |_, _| {
            if scene.accounts.exists(&name("work")) {
                scene.accounts.show(&name("work"), now).unwrap();
            } else {
                assert!(matches!(scene.accounts.show(&name("work"), now), Err(Error::NotFound(_))));
                add().unwrap();
            }
        },
    );
}

#[test]
fn a_broken_file_says_where() {
    let scene = scene();
    scene.add(60);
    let check = |text: &str, expected: &str| {
        scene.home.accounts().write("work.toml", text.as_bytes()).unwrap();
        let error = scene.accounts.show(&name("work"), START).unwrap_err().to_string();
        assert!(error.starts_with("`accounts/work.toml` line "), "{error}");
        assert!(error.contains(expected), "{error}");
    };
    check("type = \"x\"\ncreated = \"2026-01-01T00:00:00Z\"\nclient = 1\n", "line 3: unknown field `client`");
    check("type = \"x\"\ncreated = 7\n", "line 2: ");
    check("type = ", "line 1: ");
    scene
        .home
        .accounts()
        .write("work.toml", b"type = \"onedrive\"\ncreated = \"2026-01-01T00:00:00Z\"\n")
        .unwrap();
    scene.home.accounts().write("work.sealed", b"garbage").unwrap();
    let error = scene.accounts.show(&name("work"), START).unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "run `wharf account authorize work`, with `--paste` where there is no browser"
    );
    scene
        .accounts
        .sign_in(
            &name("work"),
            StoredToken::from_rclone(r#"{"access_token":"a"}"#).unwrap(),
            None,
            &by_hand(),
        )
        .unwrap();
    scene.accounts.show(&name("work"), START).unwrap();
}
