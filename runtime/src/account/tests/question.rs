//! What is asked of a person, and what counts as the answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::account::sign_in::{Application, Error as NotSignedIn, Question as Page, SystemRandom};

pub(super) fn application(transport: &Arc<Endpoint>) -> Application {
    Application {
        account: name("work"),
        endpoint: client_endpoint(),
        authorize: Some("https://login.test/authorize?token_access_type=offline".to_owned()),
        device: Some("https://login.test/device".to_owned()),
        paste_redirect: None,
        scopes: vec!["Files.Read".to_owned(), "offline_access".to_owned()],
        transport: transport.clone(),
    }
}

pub(super) fn ask(redirect: Option<&str>) -> Page {
    let application = application(&Endpoint::replying([]));
    Page::new(&application, redirect.map(str::to_owned), &SystemRandom::new()).unwrap()
}

/// A part of the page's address.
pub(super) fn part(page: &Page, key: &str) -> Option<String> {
    let url = url::Url::parse(page.url()).unwrap();
    url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_page_is_asked_for_what_the_account_may_and_nothing_is_shown_that_proves_it() {
    let page = ask(Some("http://localhost:53682/"));
    for (key, value) in [
        ("client_id", "manifest-client"),
        ("response_type", "code"),
        ("redirect_uri", "http://localhost:53682/"),
        ("scope", "Files.Read offline_access"),
        ("token_access_type", "offline"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(part(&page, key).as_deref(), Some(value), "{}", page.url());
    }
    // The challenge is the hash of what is sent with the code, and of nothing else.
    let state = part(&page, "state").unwrap();
    let answer = page.pasted(&format!("http://localhost:53682/?code=the-code&state={state}")).unwrap();
    let endpoint = Endpoint::replying([]);
    application(&endpoint).exchange(answer, &Manual::default()).await.unwrap();
    let body = endpoint.asked.lock().unwrap()[0].2.clone();
    let verifier = body.split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    assert_eq!(part(&page, "code_challenge").unwrap(), URL_SAFE_NO_PAD.encode(hash));
    assert!(
        body.contains("code=the-code") && body.contains("redirect_uri=http%3A%2F%2Flocalhost%3A53682%2F")
    );
    assert!(!page.url().contains(verifier) && !format!("{page:?}").contains(verifier));
    // Without a redirect none is named; and no two questions are alike.
    let other = ask(None);
    assert_eq!(part(&other, "redirect_uri"), None);
    assert_ne!(part(&other, "state"), Some(state));
    assert_ne!(part(&other, "code_challenge"), part(&page, "code_challenge"));
}

#[test]
fn what_is_pasted_is_a_code_or_an_address_with_the_right_state() {
    let page = ask(Some("http://localhost:53682/"));
    let state = part(&page, "state").unwrap();
    let check = |text: &str, expected: Result<&str, &str>| match (page.pasted(text), expected) {
        (Ok(answer), Ok(code)) => {
            assert_eq!(answer.code.expose(), code, "{text}");
            assert_eq!(answer.redirect_url.as_deref(), Some("http://localhost:53682/"));
            assert!(answer.verifier.is_some());
        }
        (Err(error), Err(words)) => {
            assert!(error.to_string().contains(words), "{text}: {error}");
            assert!(error.hint().is_some());
        }
        (got, expected) => panic!("{text}: {got:?}, not {expected:?}"),
    };
    check("  the-code\r\n", Ok("the-code"));
    check("M.C507_BAY.2.U.9f-0!*", Ok("M.C507_BAY.2.U.9f-0!*"));
    check(&format!("http://localhost:53682/?code=a%2Bb&state={state}"), Ok("a+b"));
    check(&format!("\"http://localhost:53682/?state={state}&code=c&session_state=x#\""), Ok("c"));
    check(&format!("?code=c&state={state}"), Ok("c"));
    check("", Err("it is empty"));
    check("  \n", Err("it is empty"));
    check("two words", Err("no spaces"));
    check("http://localhost:53682/", Err("the address has no `code`"));
    check(&format!("http://localhost:53682/?state={state}"), Err("the address has no `code`"));
    check(&"x".repeat(20_000), Err("too long"));
    check("http://localhost:53682/?code=c&state=other", Err("does not answer the sign-in of account `work`"));
    check("http://localhost:53682/?code=c", Err("does not answer"));
    check(&format!("http://localhost:53682/?code=c&state={state}x"), Err("does not answer"));
    check("http://localhost:53682/?error=access_denied&state=other", Err("does not answer"));
    let denied =
        format!("http://localhost:53682/?error=access_denied&error_description=No%0D%0Asecond&state={state}");
    check(&denied, Err("was declined: access_denied: No"));
    let error = page.pasted(&denied).unwrap_err();
    assert!(!error.to_string().contains("second"), "one line of the service's words: {error}");
}

#[test]
fn what_the_connector_does_not_know_is_told() {
    let mut application = application(&Endpoint::replying([]));
    application.authorize = None;
    let error = Page::new(&application, None, &SystemRandom::new()).unwrap_err();
    assert!(matches!(error, NotSignedIn::Unsupported { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "bring a token with `--token-file FILE`");
}
