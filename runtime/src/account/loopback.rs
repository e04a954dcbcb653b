//! Where a browser on this machine brings the answer of a sign-in page.
//!
//! It listens on 127.0.0.1 alone, for one answer, and speaks as little HTTP as that takes: it reads the
//! head of a `GET /` and answers with a page of fixed text. Whatever else comes (a favicon, a connection
//! that a browser opens in advance and leaves silent) is turned away without ending the wait; how many at
//! once, how long and how large they may be is bounded. What an answer means is for [`Question`] to say.

use std::{io, net::Ipv4Addr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    Authorization,
    sign_in::{ANSWER_WAIT, Error, Question},
};
use crate::clock::Clock;

/// The port when none is named. It is rclone's, so that an application that was registered for rclone
/// (`http://localhost:53682/`) serves here as well: Dropbox compares the port, Microsoft does not.
pub const PORT_DEFAULT: u16 = 53682;

/// Largest head of a request: cookies of everything on `localhost` come with it, and a code of 2 KiB.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long one connection may take to say what it wants. Browsers open some without a word.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Connections at a time: a browser opens six to one address.
const CONNECTIONS_MAX: usize = 8;

/// What the person sees in the browser.
const PAGE_DONE: &str = "Wharf has its answer. Close this page and look at the terminal.";
const PAGE_FAILED: &str = "This answer is not good. Close this page and look at the terminal.";
const PAGE_NOTHING: &str = "Wharf waits for the answer of a sign-in here, and this is none.";

type Answer = Result<Authorization, Error>;

/// A port of this machine that waits for an answer.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Listen on this port of 127.0.0.1; 0 for any that is free.
    ///
    /// # Errors
    /// When the port is taken, or not to be had.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Where the page is to lead. By its name: that is what services let applications register.
    #[must_use]
    pub fn redirect(&self) -> String {
        Self::redirect_to(self.port)
    }

    /// Where the page is to lead for a port of this machine, whether anybody listens there or not.
    #[must_use]
    pub fn redirect_to(port: u16) -> String {
        format!("http://localhost:{port}/")
    }

    /// Wait for the answer to `question`; none when there is none in time.
    pub(super) async fn answer(&self, question: &Question, clock: &dyn Clock) -> Option<Answer> {
        let mut over = clock.sleep(ANSWER_WAIT);
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = &mut over => return None,
                Some(answer) = connections.next(), if !connections.is_empty() => {
                    if let Some(answer) = answer {
                        return Some(answer);
                    }
                }
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                    // One that is gone before it is taken is no reason to stop.
                    if let Ok((stream, _)) = accepted {
                        connections.push(serve(stream, question, clock));
                    }
                }
            }
        }
    }
}

/// One connection; its answer, if it brought one.
async fn serve(mut stream: TcpStream, question: &Question, clock: &dyn Clock) -> Option<Answer> {
    let head = tokio::select! {
        head = read_head(&mut stream) => head?,
        () = clock.sleep(HEAD_WAIT) => return None,
    };
    let answer = query(&head).and_then(|query| {
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        question.redirected(&pairs)
    });
    let (status, page) = match &answer {
        Some(Ok(_)) => ("200 OK", PAGE_DONE),
        Some(Err(_)) => ("400 Bad Request", PAGE_FAILED),
        None => ("404 Not Found", PAGE_NOTHING),
    };
    let reply = reply(status, page);
    // A browser that does not stay for the page has brought its answer all the same.
    tokio::select! {
        _ = async { stream.write_all(reply.as_bytes()).await?; stream.shutdown().await } => {}
        () = clock.sleep(HEAD_WAIT) => {}
    }
    answer
}

/// The head of a request; none when it never ends, is too large, or is not text.
async fn read_head(stream: &mut TcpStream) -> Option<zeroize::Zeroizing<String>> {
    let mut head = zeroize::Zeroizing::new(Vec::with_capacity(HEAD_BYTES_MAX));
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(part.get(..count)?);
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
    Some(zeroize::Zeroizing::new(String::from_utf8(head.to_vec()).ok()?))
}

/// The query of `GET /?…`; none for any other request.
fn query(head: &str) -> Option<&str> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_ours = method == "GET" && version.starts_with("HTTP/1.") && words.next().is_none();
    target.strip_prefix("/?").filter(|_| is_ours)
}

fn reply(status: &str, page: &str) -> String {
    let body = format!("<!doctype html><meta charset=utf-8><title>Wharf</title><p>{page}</p>\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'\r\n\r\n{body}",
        body.len()
    )
}
