//! A browser brings the answer to a port of this machine.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{question, *};
use crate::account::sign_in::{ANSWER_WAIT, Error as NotSignedIn, Loopback, Question as Page, SystemRandom};

/// Waiting for a person never ends here; any other wait does at once when `hasty`.
#[derive(Debug)]
struct Clockwork {
    hasty: bool,
}

impl Clock for Clockwork {
    fn now(&self) -> SystemTime {
        START
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if self.hasty && duration >= ANSWER_WAIT {
            return Box::pin(tokio::time::sleep(Duration::from_millis(50)));
        }
        Box::pin(std::future::pending())
    }
}

async fn open() -> (Loopback, Page, u16) {
    let loopback = Loopback::bind(0).await.unwrap();
    let redirect = loopback.redirect();
    let port = redirect.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let application = question::application(&Endpoint::replying([]));
    let page = Page::new(&application, Some(redirect), &SystemRandom::new()).unwrap();
    (loopback, page, port)
}

async fn send(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    // What is turned away without a word is closed, or reset.
    let _ = stream.read_to_string(&mut reply).await;
    reply
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\n\r\n")
}

#[tokio::test]
async fn one_answer_is_taken_and_what_else_comes_is_turned_away() {
    let (loopback, page, port) = open().await;
    let state = question::part(&page, "state").unwrap();
    let visits = async {
        // A browser opens connections in advance and says nothing.
        let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        for target in ["/favicon.ico", "/", "/?", "/?state=x", "/other?code=c&state=x"] {
            let reply = send(port, &get(target)).await;
            assert!(reply.starts_with("HTTP/1.1 404 "), "{target}: {reply}");
        }
        let post = send(port, &get("/?code=c").replace("GET", "POST")).await;
        assert!(post.starts_with("HTTP/1.1 404 "), "{post}");
        assert_eq!(send(port, &format!("GET /?{} HTTP/1.1\r\n", "x".repeat(40_000))).await, "", "too large");
        let reply = send(port, &get(&format!("/?code=the-code&state={state}"))).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("Close this page"), "{reply}");
        assert!(reply.contains("Referrer-Policy: no-referrer") && !reply.contains("the-code"), "{reply}");
    };
    let clock = Clockwork { hasty: false };
    let (answer, ()) = tokio::join!(page.listen(&loopback, &clock), visits);
    assert_eq!(answer.unwrap().code.expose(), "the-code");
}

#[tokio::test]
async fn a_wrong_state_and_a_refusal_end_it() {
    for (query, expected) in [
        ("code=c&state=other", "does not answer the sign-in of account `work`"),
        ("code=c", "does not answer the sign-in"),
        ("error=access_denied&error_description=no&state=STATE", "was declined: access_denied: no"),
    ] {
        let (loopback, page, port) = open().await;
        let query = query.replace("STATE", &question::part(&page, "state").unwrap());
        let clock = Clockwork { hasty: false };
        let target = get(&format!("/?{query}"));
        let (answer, reply) = tokio::join!(page.listen(&loopback, &clock), send(port, &target));
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(reply.starts_with("HTTP/1.1 400 ") && reply.contains("not good"), "{reply}");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever_and_only_this_machine_is_heard() {
    let (loopback, page, port) = open().await;
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let error = page.listen(&loopback, &Clockwork { hasty: true }).await.unwrap_err();
    assert!(matches!(error, NotSignedIn::TooLate { .. }), "{error}");
    assert_eq!(error.to_string(), "nobody signed in account `work` within 15 min");
    assert!(Loopback::bind(port).await.is_err(), "the port is taken as long as it listens");
    drop(loopback);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}
