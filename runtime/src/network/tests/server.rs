//! A service on this machine that does as it is told.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::{Network, Options};

/// The name that its certificate is for.
pub(super) const HOST: &str = "service.test";
/// Bytes that the system takes for the server before it asks for them: little, so that a server
/// that does not read is soon felt.
const RECEIVE_BUFFER_BYTES: u32 = 64 * 1024;

pub(super) type Connection = TlsStream<TcpStream>;

/// A listener, and what it does with connections. Ends with the value.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    certificate: tempfile::NamedTempFile,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Hand each connection, and how many came before it, to `script`.
    pub(super) fn raw<F, T>(script: F) -> Self
    where
        F: Fn(Connection, usize) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self::start(HOST, &[], script)
    }

    /// Answer each request, in the newest version that the client knows.
    pub(super) fn answering<F, T>(answer: F) -> Self
    where
        F: Fn(http::Request<Incoming>) -> T + Send + Sync + 'static,
        T: Future<Output = http::Response<String>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::start(HOST, &[b"h2", b"http/1.1"], move |connection, _| {
            let answer = Arc::clone(&answer);
            async move {
                let service = service_fn(move |request| {
                    let reply = answer(request);
                    async move { Ok::<_, Infallible>(reply.await) }
                });
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            }
        })
    }

    /// As [`raw`](Self::raw), with a certificate for `name`.
    pub(super) fn start<F, T>(name: &str, versions: &[&[u8]], script: F) -> Self
    where
        F: Fn(Connection, usize) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let mut certificate = tempfile::NamedTempFile::new().unwrap();
        certificate.write_all(cert.pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], signing_key.serialize_der().try_into().unwrap())
            .unwrap();
        tls.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(tls));

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let script = Arc::new(script);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                tokio::spawn(async move {
                    if let Ok(connection) = acceptor.accept(stream).await {
                        script(connection, number).await;
                    }
                });
            }
        });
        Self { address, connections, certificate, accepting }
    }

    /// Connections that were begun so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Options under which this server is the service.
    pub(super) fn options(&self) -> Options {
        Options {
            connect_to: vec![format!("{HOST}:443:{}", self.address).parse().unwrap()],
            ca_certificates: vec![self.certificate.path().to_owned()],
            ..Options::default()
        }
    }

    /// A network in which this server is the service.
    pub(super) fn network(&self) -> Network {
        Network::new(self.options()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Read the head of a request, up to its empty line.
pub(super) async fn read_head(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}
