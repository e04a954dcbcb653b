//! A device code: how often the service is asked, and how it ends.

use super::{question, *};
use crate::account::sign_in::{DeviceCode, Error as NotSignedIn};

/// Remembers the waits between two questions; the wait for the person never ends.
#[derive(Debug, Default)]
struct Paced(Mutex<Vec<u64>>);

impl Clock for Paced {
    fn now(&self) -> SystemTime {
        START
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration >= Duration::from_mins(10) {
            return Box::pin(std::future::pending());
        }
        self.0.lock().unwrap().push(duration.as_secs());
        Box::pin(tokio::task::yield_now())
    }
}

fn begun(interval: &str) -> Reply {
    Ok((
        200,
        format!(
            r#"{{"device_code":"sesame-device","user_code":"ABC123","verification_uri":"https://login.test/link",
                "expires_in":900{interval},"message":"x"}}"#
        ),
    ))
}

fn says(error: &str) -> Reply {
    Ok((400, format!(r#"{{"error":"{error}","error_description":"AADSTS1: sesame-device said\r\nTrace"}}"#)))
}

async fn sign_in(replies: Vec<Reply>) -> (Result<StoredToken, NotSignedIn>, Vec<u64>, Arc<Endpoint>) {
    let endpoint = Endpoint::replying(replies);
    let application = question::application(&endpoint);
    let clock = Paced::default();
    let signed_in = match DeviceCode::begin(&application).await {
        Ok(device) => {
            assert_eq!((device.url(), device.code()), ("https://login.test/link", "ABC123"));
            assert!(!format!("{device:?}").contains("sesame"), "{device:?}");
            device.wait(&application, &clock).await
        }
        Err(error) => Err(error),
    };
    (signed_in, clock.0.into_inner().unwrap(), endpoint)
}

#[tokio::test]
async fn the_service_is_asked_as_seldom_as_it_wants() {
    let pending = || says("authorization_pending");
    let busy = Err(TransportError("busy".to_owned()));
    let replies = vec![
        begun(",\"interval\":7"),
        pending(),
        says("slow_down"),
        pending(),
        busy,
        Ok((503, String::new())),
    ];
    let (token, waits, endpoint) = sign_in(replies).await;
    assert_eq!(token.unwrap().access.expose(), "access-7");
    assert_eq!(waits, [7, 12, 12, 24, 48]);
    let asked: Vec<Question> = std::mem::take(&mut *endpoint.asked.lock().unwrap());
    assert!(
        asked[0].0 == "https://login.test/device" && asked[0].2.contains("scope=Files.Read+offline_access")
    );
    assert!(asked[1].0 == "https://login.test/token" && asked[1].2.contains("device_code=sesame-device"));
    // No interval is five seconds (RFC 8628, 3.2); none at all is not taken for leave to hammer.
    for (interval, expected) in [("", 5), (",\"interval\":0", 1), (",\"interval\":9999", 60)] {
        let (token, waits, _) = sign_in(vec![begun(interval), pending()]).await;
        assert_eq!((token.is_ok(), waits), (true, vec![expected]), "{interval}");
    }
}

#[tokio::test]
async fn how_it_ends_otherwise() {
    for (error, expected) in [
        ("authorization_declined", "the sign-in of account `work` was declined: authorization_declined"),
        ("access_denied", "the sign-in of account `work` was declined: access_denied"),
        ("expired_token", "nobody signed in account `work` within 15 min"),
        ("bad_verification_code", "nobody signed in account `work` within 15 min"),
        ("invalid_client", "the service refuses the client of account `work`: invalid_client"),
        ("invalid_grant", "account `work` must sign in again: invalid_grant"),
    ] {
        let (token, _, _) = sign_in(vec![begun(""), says(error)]).await;
        let failed = token.unwrap_err();
        assert!(failed.to_string().starts_with(expected), "{failed}");
        assert!(!failed.to_string().contains("sesame") && !failed.to_string().contains("Trace"), "{failed}");
        assert!(failed.hint().is_some(), "{failed}");
    }
}

#[tokio::test]
async fn what_is_no_device_code() {
    for reply in [
        begun("")
            .map(|(status, text)| (status, text.replace("https://login.test/link", "http://evil.test/"))),
        begun("").map(|(status, text)| (status, text.replace("ABC123", "A B\\u001b[2J"))),
        begun("").map(|(status, text)| (status, text.replace("ABC123", &"A".repeat(100)))),
        Ok((200, "[]".to_owned())),
    ] {
        let (token, _, endpoint) = sign_in(vec![reply]).await;
        assert!(matches!(token.unwrap_err(), NotSignedIn::Account(_)));
        assert_eq!(endpoint.questions(), 1, "nothing is waited for");
    }
    let endpoint = Endpoint::replying([]);
    let application =
        crate::account::sign_in::Application { device: None, ..question::application(&endpoint) };
    let error = DeviceCode::begin(&application).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "account `work` cannot sign in with a device code: its connector names no endpoint for that (`oauth.device`)"
    );
    assert!(error.hint().unwrap().contains("`--paste`"));
    assert_eq!(endpoint.questions(), 0);
}
