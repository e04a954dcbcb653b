//! Names that lead where nothing may go: refused before a packet leaves.

use std::net::IpAddr;
use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::*;
use crate::network::guard::{Refusal, Rule};

/// Gives one prepared answer after the other.
#[derive(Debug)]
struct Prepared {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Prepared {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().rev().map(parse).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Prepared {
    fn resolve(&self, _host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().unwrap().pop().ok_or(io::ErrorKind::NotFound.into());
        Box::pin(async move { answer })
    }
}

#[tokio::test]
async fn an_answer_that_leads_inside_is_not_dialled() {
    let server = Server::answering(echo);
    let port = server.address.port();
    let check = async |answer: &[&str], address: &str, rule: Rule| {
        let options = Options { resolver: Prepared::new(&[answer]), ..server.options() };
        let network = Network::new(options).unwrap();
        let (reached, kind) = failure(&network, get(&format!("https://inside.test:{port}/"))).await;
        let SendErrorKind::Refused(Refusal::Address { host, address: found, rule: broken }) = kind else {
            panic!("{answer:?}: {kind:?}");
        };
        assert_eq!((host.as_str(), found.to_string().as_str(), broken), ("inside.test", address, rule));
        assert_eq!(reached, Reached::No);
        assert_eq!(server.connections(), 0, "{answer:?}");
    };
    check(&["127.0.0.1"], "127.0.0.1", Rule::Loopback).await;
    check(&["::ffff:127.0.0.1"], "::ffff:127.0.0.1", Rule::Translated).await;
    check(&["0.0.0.0"], "0.0.0.0", Rule::Unspecified).await;
    // The good one is not dialled either.
    check(&["8.8.8.8", "127.0.0.1"], "127.0.0.1", Rule::Loopback).await;
    check(&["127.0.0.1", "8.8.8.8"], "127.0.0.1", Rule::Loopback).await;
}

#[tokio::test]
async fn an_answer_is_vetted_each_time_and_dialled_as_it_was_vetted() {
    use reqwest::dns::Resolve;
    let resolver = Prepared::new(&[&["8.8.8.8", "8.8.4.4"], &["127.0.0.1"]]);
    let guarded = resolver::Guarded(resolver.clone());
    let found = guarded.resolve("name.test".parse().unwrap()).await.unwrap();
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    let expected = ["8.8.8.8:0", "8.8.4.4:0"].map(|text| text.parse().unwrap());
    assert_eq!(found.collect::<Vec<SocketAddr>>(), expected);
    let refused = guarded.resolve("name.test".parse().unwrap()).await.err().unwrap();
    assert!(matches!(refused.downcast_ref(), Some(Refusal::Address { rule: Rule::Loopback, .. })));
}

#[tokio::test]
async fn what_is_no_name_is_not_even_looked_up() {
    let server = Server::answering(echo);
    let port = server.address.port();
    let resolver = Prepared::new(&[]);
    let network = Network::new(Options { resolver: resolver.clone(), ..server.options() }).unwrap();
    for host in
        ["127.0.0.1", "2130706433", "0177.1", "0x7f.1", "127.1", "[::1]", "[::ffff:7f00:1]", "service.test."]
    {
        let (reached, kind) = failure(&network, get(&format!("https://{host}:{port}/"))).await;
        assert!(matches!(kind, SendErrorKind::Refused(_)), "{host}: {kind:?}");
        assert_eq!(reached, Reached::No);
    }
    let (reached, kind) = failure(&network, get(&format!("http://{NAME}/"))).await;
    assert!(matches!(kind, SendErrorKind::Refused(Refusal::NotHttps)), "{kind:?}");
    assert_eq!(reached, Reached::No);
    assert_eq!((server.connections(), resolver.asked.load(Ordering::SeqCst)), (0, 0));

    let (reached, kind) = failure(&network, get("https://unknown.test/")).await;
    assert!(matches!(kind, SendErrorKind::Resolve(_)), "{kind:?}");
    assert_eq!(reached, Reached::No);
}

#[tokio::test]
async fn a_pair_exempts_itself_and_nothing_else() {
    let server = Server::answering(echo);
    let port = server.address.port();
    let pairs = [format!("{NAME}:443:{}", server.address), format!("{NAME}:8443:{}", server.address)];
    let options = Options {
        connect_to: pairs.iter().map(|pair| pair.parse().unwrap()).collect(),
        resolver: Prepared::new(&[&["127.0.0.1"]]),
        ..server.options()
    };
    let network = Network::new(options).unwrap();
    let check = async |url: String, host: &str| {
        let request = Outgoing { version: HttpVersion::Http1, ..get(&url) };
        let text = network.send(request).await.unwrap().read(1000).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.ends_with(&format!("host={host}")), "{text}");
    };
    check(format!("https://{NAME}/"), NAME).await;
    check(format!("https://{NAME}:8443/"), &format!("{NAME}:8443")).await;
    let connections = server.connections();
    let (reached, kind) = failure(&network, get(&format!("https://{NAME}:{port}/"))).await;
    assert!(matches!(kind, SendErrorKind::Refused(Refusal::Address { .. })), "{kind:?}");
    assert_eq!((reached, server.connections()), (Reached::No, connections));
}
