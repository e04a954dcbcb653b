//! The network against services that behave, and services that do not.

mod egress;
mod server;

use std::io;
use std::net::TcpListener;
use std::sync::atomic::AtomicUsize;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use self::server::{HOST as NAME, Server, read_head};
use super::*;
use crate::content;
use crate::hash::{Algorithm, Running};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(400);

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        payload: Payload::None,
        version: HttpVersion::Default,
        pool: "account".into(),
        timeouts: Timeouts::default(),
    }
}

fn service() -> Outgoing {
    get(&format!("https://{NAME}/path?query=1"))
}

fn put(payload: Payload) -> Outgoing {
    Outgoing { method: Method::PUT, payload, ..service() }
}

/// A section of `size` bytes in memory.
fn section(size: usize) -> Section {
    let bytes = Bytes::from(vec![7; size]);
    Section::whole(Arc::new(Source::from_bytes(bytes, "memory".to_owned())))
}

fn hurried(request: Outgoing) -> Outgoing {
    let timeouts = Timeouts { send_stall: SHORT, reply: SHORT, receive_stall: SHORT, ..Timeouts::default() };
    Outgoing { timeouts, ..request }
}

async fn echo(request: http::Request<hyper::body::Incoming>) -> http::Response<String> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().len());
    let mut headers: Vec<_> =
        head.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
    headers.sort();
    let text = format!("{} {} {body:?} {}", head.method, head.uri.path(), headers.join(" "));
    http::Response::new(text)
}

async fn failure(network: &Network, request: Outgoing) -> (Reached, SendErrorKind) {
    let error = network.send(request).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("query=1"), "{error:?}");
    (error.reached, error.kind)
}

#[tokio::test]
async fn what_is_sent_is_what_was_handed_in() {
    let server = Server::answering(echo);
    let network = server.network();
    let check = async |request: Outgoing, version: HttpVersion, spoken, expected: &str| {
        let incoming = network.send(Outgoing { version, ..request }).await.unwrap();
        assert_eq!(incoming.version(), spoken);
        assert_eq!(incoming.remote(), Some(server.address));
        let text = incoming.read(10_000).await.unwrap();
        assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
    };
    let (one, two) = (http::Version::HTTP_11, http::Version::HTTP_2);
    check(service(), HttpVersion::Http1, one, "GET /path Ok(0) accept=*/* host=service.test").await;
    check(service(), HttpVersion::Http2, two, "GET /path Ok(0) accept=*/*").await;
    check(service(), HttpVersion::Default, two, "GET /path Ok(0) accept=*/*").await;
    let bytes = || put(Payload::Bytes(Bytes::from_static(b"hello")));
    let sent = "PUT /path Ok(5) accept=*/* content-length=5";
    check(bytes(), HttpVersion::Http1, one, &format!("{sent} host=service.test")).await;
    check(bytes(), HttpVersion::Http2, two, sent).await;
    let big = || put(Payload::Section(section(3_000_000).body(Tap::default())));
    let sent = "PUT /path Ok(3000000) accept=*/* content-length=3000000";
    check(big(), HttpVersion::Http1, one, &format!("{sent} host=service.test")).await;
    check(big(), HttpVersion::Http2, two, sent).await;
    let sent = "PUT /path Ok(0) accept=*/* content-length=0";
    check(put(Payload::None), HttpVersion::Http1, one, &format!("{sent} host=service.test")).await;
    check(put(Payload::None), HttpVersion::Http2, two, sent).await;
    let counters = network.counters();
    assert_eq!((counters.requests, counters.sent_bytes), (9, 6_000_010));
    assert!(counters.received_bytes > 400);
}

/// Runs the test above once more, in a process in which a proxy is set.
#[test]
fn the_environment_sets_no_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut same = std::process::Command::new(std::env::current_exe().unwrap());
    same.args(["--exact", "network::tests::what_is_sent_is_what_was_handed_in"]);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        same.env(name, &address);
    }
    for name in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        same.env_remove(name);
    }
    let output = same.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("1 passed"));
    assert_eq!(proxy.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn replies_are_passed_on_as_they_are() {
    let server = Server::answering(async |_| {
        http::Response::builder()
            .status(302)
            .header("location", "https://elsewhere.test/")
            .header("set-cookie", "a=b")
            .header("content-encoding", "gzip")
            .body("not gzip".to_owned())
            .unwrap()
    });
    let network = server.network();
    for _ in 0..2 {
        let incoming = network.send(service()).await.unwrap();
        assert_eq!(incoming.status(), 302);
        assert_eq!(incoming.headers()["location"], "https://elsewhere.test/");
        assert_eq!(incoming.headers()["content-encoding"], "gzip");
        assert_eq!(incoming.read(100).await.unwrap(), "not gzip");
    }
    assert_eq!(network.counters().requests, 2);
}

/// Another protocol on the same connection, or another address for the next request: neither is taken.
#[tokio::test]
async fn an_upgrade_and_an_alternative_are_not_taken() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let server = Server::raw(move |mut connection, number| async move {
        loop {
            read_head(&mut connection).await;
            let reply = match number {
                0 => "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
                    .to_owned(),
                1 => "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
                    .to_owned(),
                _ => format!(
                    "HTTP/1.1 200 OK\r\nalt-svc: h2=\"127.0.0.1:{port}\"; ma=9999, h3=\":{port}\"\r\ncontent-length: 2\r\n\r\nok"
                ),
            };
            if connection.write_all(reply.as_bytes()).await.is_err() || number < 2 {
                sleep(SHORT * 5).await;
                return;
            }
        }
    });
    for _ in 0..2 {
        let network = server.network();
        let outcome = network.send(hurried(service())).await;
        // What came instead of a reply is none: at most a status that is passed on, without a body.
        if let Ok(incoming) = outcome {
            assert_eq!(incoming.status(), 101);
            assert_eq!(incoming.read(100).await.map(|bytes| bytes.len()).unwrap_or_default(), 0);
        }
    }
    let network = server.network();
    for _ in 0..3 {
        assert_eq!(network.send(service()).await.unwrap().read(100).await.unwrap(), "ok");
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn pools_share_connections_with_themselves_only() {
    let server = Server::answering(echo);
    let network = server.network();
    let check = async |pool: &str, version: HttpVersion, connections: usize| {
        let request = Outgoing { pool: pool.into(), version, ..service() };
        network.send(request).await.unwrap().read(10_000).await.unwrap();
        assert_eq!(server.connections(), connections, "{pool} {version:?}");
    };
    check("one", HttpVersion::Http1, 1).await;
    check("one", HttpVersion::Http1, 1).await;
    check("two", HttpVersion::Http1, 2).await;
    check("one", HttpVersion::Http2, 3).await;
    check("one", HttpVersion::Http2, 3).await;
    check("two", HttpVersion::Http2, 4).await;
}

#[tokio::test]
async fn who_was_not_connected_to_was_not_reached() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options =
        Options { connect_to: vec![format!("{NAME}:443:{closed}").parse().unwrap()], ..Options::default() };
    let network = Network::new(options).unwrap();
    for payload in [Payload::None, Payload::Section(section(10).body(Tap::default()))] {
        let (reached, kind) = failure(&network, put(payload)).await;
        assert!(matches!(kind, SendErrorKind::Connect(_)), "{kind:?}");
        assert_eq!(reached, Reached::No);
    }

    // Accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = format!("{NAME}:443:{}", silent.local_addr().unwrap()).parse().unwrap();
    let network = Network::new(Options { connect_to: vec![pair], ..Options::default() }).unwrap();
    let mut request = service();
    request.timeouts.connect = SHORT;
    let (reached, kind) = failure(&network, request).await;
    assert!(matches!(kind, SendErrorKind::ConnectTimedOut), "{kind:?}");
    assert_eq!(reached, Reached::No);
}

#[tokio::test]
async fn who_cannot_prove_its_name_is_not_reached() {
    let other = Server::start("other.test", &[], async |_, _| {});
    let unknown = Server::raw(async |_, _| {});
    let mut distrusting = unknown.options();
    distrusting.ca_certificates.clear();
    for options in [other.options(), distrusting] {
        let network = Network::new(options).unwrap();
        let (reached, kind) = failure(&network, service()).await;
        assert!(matches!(kind, SendErrorKind::Tls(_)), "{kind:?}");
        assert_eq!(reached, Reached::No);
    }
}

#[tokio::test]
async fn a_connection_cut_within_a_request_may_have_reached() {
    let server = Server::raw(async |mut connection, number| {
        read_head(&mut connection).await;
        if number == 1 {
            connection.read_exact(&mut vec![0; 100_000]).await.unwrap();
        }
    });
    let network = server.network();
    let (tap, receipt) = Tap::hashing(Running::new(&[Algorithm::Sha256]));
    for payload in [Payload::None, Payload::Section(section(50_000_000).body(tap))] {
        let (reached, kind) = failure(&network, put(payload)).await;
        assert!(matches!(kind, SendErrorKind::Lost(_)), "{kind:?}");
        assert_eq!(reached, Reached::Maybe);
    }
    assert!(receipt.take().is_none());
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let server = Server::raw(async |mut connection, _| {
        read_head(&mut connection).await;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let _ = connection.shutdown().await;
    });
    let network = server.network();
    for connections in 1..5 {
        network.send(put(Payload::Bytes(Bytes::new()))).await.unwrap().read(0).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn a_reply_that_is_cut_off_is_never_short() {
    let check = async |reply: &'static str| {
        let server = Server::raw(async |mut connection, _| {
            read_head(&mut connection).await;
            connection.write_all(reply.as_bytes()).await.unwrap();
            connection.flush().await.unwrap();
        });
        let incoming = server.network().send(service()).await.unwrap();
        let read = incoming.read(1000).await;
        assert!(matches!(read, Err(ReadError::Cut(_))), "{reply:?}: {read:?}");
    };
    check("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello").await;
    check("HTTP/1.1 200 OK\r\n\r\nhello").await;
}

/// Let `script` answer the first request of an HTTP/2 connection.
fn second_version<F, T>(script: F) -> Server
where
    F: Fn(h2::server::SendResponse<Bytes>, h2::RecvStream) -> T + Send + Sync + 'static,
    T: Future<Output = Option<h2::Reason>> + Send + 'static,
{
    let script = Arc::new(script);
    Server::start(NAME, &[b"h2"], move |connection, _| {
        let script = Arc::clone(&script);
        async move {
            let mut connection = h2::server::handshake(connection).await.unwrap();
            let Some(Ok((request, reply))) = connection.accept().await else {
                return;
            };
            let scripted = tokio::spawn(script(reply, request.into_body()));
            tokio::select! {
                _ = connection.accept() => {}
                reason = scripted => {
                    if let Some(reason) = reason.unwrap() {
                        connection.abrupt_shutdown(reason);
                    }
                    let _ = connection.accept().await;
                }
            }
        }
    })
}

#[tokio::test]
async fn the_second_version_tells_what_it_did_not_look_at() {
    let check = async |reset: h2::Reason, expected: Reached| {
        let server = second_version(move |mut reply, _| async move {
            reply.send_reset(reset);
            None
        });
        let (reached, kind) = failure(&server.network(), put(Payload::None)).await;
        assert!(matches!(kind, SendErrorKind::Lost(_)), "{kind:?}");
        assert_eq!(reached, expected, "{reset:?}");
    };
    check(h2::Reason::REFUSED_STREAM, Reached::No).await;
    check(h2::Reason::INTERNAL_ERROR, Reached::Maybe).await;
    check(h2::Reason::CANCEL, Reached::Maybe).await;

    // It had begun with this one when it said goodbye.
    let server = second_version(async |_reply, _| Some(h2::Reason::NO_ERROR));
    let (reached, _) = failure(&server.network(), hurried(put(Payload::None))).await;
    assert_eq!(reached, Reached::Maybe);
}

#[tokio::test]
async fn the_second_version_has_the_same_limits() {
    let head = |length: &str| http::Response::builder().header("content-length", length).body(()).unwrap();
    let cut = second_version(move |mut reply, _| async move {
        let mut body = reply.send_response(head("100"), false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        sleep(SHORT / 4).await;
        body.send_reset(h2::Reason::INTERNAL_ERROR);
        None
    });
    let short = second_version(move |mut reply, _| async move {
        let mut body = reply.send_response(head("100"), false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        None
    });
    for server in [cut, short] {
        let incoming = server.network().send(service()).await.unwrap();
        let read = incoming.read(1000).await;
        assert!(matches!(read, Err(ReadError::Cut(_))), "{read:?}");
    }

    let deaf = second_version(|_reply, body| async move {
        sleep(Duration::from_secs(60)).await;
        drop(body);
        None
    });
    let big = put(Payload::Section(section(50_000_000).body(Tap::default())));
    let (reached, kind) = failure(&deaf.network(), hurried(big)).await;
    assert!(matches!(kind, SendErrorKind::Stalled), "{kind:?}");
    assert_eq!(reached, Reached::Maybe);

    let long = second_version(|mut reply, _| async move {
        let value = "a".repeat(HEADER_BYTES_MAX + 1);
        reply.send_response(http::Response::builder().header("long", value).body(()).unwrap(), true).unwrap();
        None
    });
    let (reached, kind) = failure(&long.network(), hurried(service())).await;
    assert_eq!(reached, Reached::Maybe, "{kind:?}");
}

#[tokio::test]
async fn a_reply_has_its_limits() {
    let check = async |reply: String, limit: u64, expected: Result<usize, ReadError>| {
        let server = Server::raw(move |mut connection, _| {
            let reply = reply.clone();
            async move {
                read_head(&mut connection).await;
                connection.write_all(reply.as_bytes()).await.unwrap();
                let _ = connection.shutdown().await;
            }
        });
        let incoming = server.network().send(service()).await.unwrap();
        assert_eq!(incoming.read(limit).await.map(|bytes| bytes.len()), expected);
    };
    let sized = || "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned();
    let chunked =
        || "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned();
    for reply in [sized, chunked] {
        check(reply(), 5, Ok(5)).await;
        check(reply(), 4, Err(ReadError::TooLarge { limit: 4 })).await;
    }
    check("HTTP/1.1 200 OK\r\n\r\nhello".to_owned(), 5, Ok(5)).await;

    let server = Server::raw(async |mut connection, _| {
        read_head(&mut connection).await;
        let value = "a".repeat(HEADER_BYTES_MAX);
        let _ = connection.write_all(format!("HTTP/1.1 200 OK\r\nlong: {value}\r\n\r\n").as_bytes()).await;
    });
    let (reached, kind) = failure(&server.network(), service()).await;
    assert!(matches!(kind, SendErrorKind::HeadersTooLong), "{kind:?}");
    assert_eq!(reached, Reached::Maybe);
}

#[tokio::test]
async fn whoever_stands_still_is_left() {
    // Takes the head and no more; takes all and says nothing; begins and goes on one byte at a time.
    let deaf = Server::raw(async |mut connection, _| {
        read_head(&mut connection).await;
        sleep(Duration::from_secs(60)).await;
    });
    let began = Instant::now();
    let big = put(Payload::Section(section(50_000_000).body(Tap::default())));
    let (reached, kind) = failure(&deaf.network(), hurried(big)).await;
    assert!(matches!(kind, SendErrorKind::Stalled), "{kind:?}");
    assert_eq!(reached, Reached::Maybe);
    assert!(began.elapsed() < SHORT * 5, "{:?}", began.elapsed());

    for request in [service(), put(Payload::Bytes(Bytes::from_static(b"hello")))] {
        let (reached, kind) = failure(&deaf.network(), hurried(request)).await;
        assert!(matches!(kind, SendErrorKind::ReplyTimedOut), "{kind:?}");
        assert_eq!(reached, Reached::Maybe);
    }

    let trickling = Server::raw(async |mut connection, _| {
        read_head(&mut connection).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        connection.write_all(head).await.unwrap();
        while connection.write_all(b"a").await.is_ok() && connection.flush().await.is_ok() {
            sleep(SHORT / 20).await;
        }
    });
    let began = Instant::now();
    let incoming = trickling.network().send(hurried(service())).await.unwrap();
    assert_eq!(incoming.read(1_000_000).await, Err(ReadError::Stalled));
    assert!(began.elapsed() < SHORT * 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn whoever_is_slow_is_waited_for() {
    const SIZE: usize = 12_000_000;
    let slow = Server::raw(async |mut connection, _| {
        read_head(&mut connection).await;
        let mut left = SIZE;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let size = left.min(buffer.len());
            connection.read_exact(&mut buffer[..size]).await.unwrap();
            left -= size;
            sleep(Duration::from_millis(8)).await;
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 40 * MOVING_BYTES_MIN);
        connection.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..40 {
            connection.write_all(&vec![0; usize::try_from(MOVING_BYTES_MIN).unwrap()]).await.unwrap();
            connection.flush().await.unwrap();
            sleep(SHORT / 20).await;
        }
        sleep(SHORT).await;
    });
    let began = Instant::now();
    let (tap, receipt) = Tap::hashing(Running::new(&[Algorithm::Sha256]));
    let request = put(Payload::Section(section(SIZE).body(tap)));
    let mut request = hurried(request);
    request.timeouts.reply = Duration::from_secs(1);
    let mut incoming = slow.network().send(request).await.unwrap();
    assert!(began.elapsed() > Duration::from_millis(1400), "{:?}", began.elapsed());
    assert!(receipt.take().is_some());
    // What the caller takes its time with is not the service's fault.
    incoming.chunk().await.unwrap().unwrap();
    sleep(SHORT * 2).await;
    assert!(incoming.read(u64::MAX).await.unwrap().len() > 1_000_000);
    assert!(began.elapsed() > SHORT * 5);
}

#[tokio::test]
async fn a_reply_that_is_not_wanted_is_closed() {
    let (sender, mut closed) = tokio::sync::mpsc::channel(1);
    let server = Server::raw(move |mut connection, _| {
        let sender = sender.clone();
        async move {
            read_head(&mut connection).await;
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
            assert!(matches!(connection.read(&mut [0]).await, Ok(0) | Err(_)));
            sender.send(()).await.unwrap();
        }
    });
    let network = server.network();
    drop(network.send(service()).await.unwrap());
    tokio::time::timeout(Duration::from_secs(5), closed.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reply_before_the_end_of_the_request_counts() {
    let server = Server::raw(async |mut connection, _| {
        read_head(&mut connection).await;
        let reply = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
        connection.write_all(reply).await.unwrap();
        connection.flush().await.unwrap();
        sleep(Duration::from_secs(5)).await;
    });
    let (tap, receipt) = Tap::hashing(Running::new(&[Algorithm::Sha256]));
    let request = put(Payload::Section(section(50_000_000).body(tap)));
    let incoming = server.network().send(request).await.unwrap();
    assert_eq!(incoming.status(), 413);
    assert_eq!(incoming.read(100).await.unwrap(), "no");
    assert!(receipt.take().is_none());
}

#[tokio::test]
async fn a_source_that_changes_fails_the_request() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let complete = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&complete);
        let server = Server::answering(move |request| {
            let count = Arc::clone(&count);
            async move {
                let whole = request.into_body().collect().await.is_ok();
                count.fetch_add(usize::from(whole), Ordering::SeqCst);
                http::Response::new(String::new())
            }
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(20_000_000).unwrap();
        let source = Arc::new(Source::open(file.path()).unwrap());
        let path = file.path().to_owned();
        let change = move |_| {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        };
        let tap = Tap::default().with_progress(Arc::new(change));
        let request = put(Payload::Section(Section::whole(source).body(tap)));
        let (reached, kind) = failure(&server.network(), Outgoing { version, ..request }).await;
        assert!(matches!(kind, SendErrorKind::Content(content::Error::Changed(_))), "{kind:?}");
        assert_eq!(reached, Reached::Maybe);
        assert_eq!(complete.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn certificates_that_are_of_no_use_are_said_at_once() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let with = |path: PathBuf| Options { ca_certificates: vec![path], ..Options::default() };
    assert!(matches!(Network::new(with(empty.path().to_owned())), Err(Error::NoCertificate(_))));
    assert!(matches!(Network::new(with("/nowhere".into())), Err(Error::Unreadable { .. })));
}
