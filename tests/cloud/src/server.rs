//! Listening: TLS or plain, HTTP/1.1 or HTTP/2, and cutting connections when a fault says so.
//!
//! Every request is carried out in a task of its own, because a service finishes what it has
//! begun even when its client has gone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::call::Call;
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::reply::Reply;
use crate::world::World;
use crate::{control, pipeline};

/// Flow-control windows of HTTP/2: large enough that loopback is not waiting for credit.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// What a port is for.
#[derive(Clone)]
pub(crate) enum Port {
    /// The services, with TLS.
    Tls(TlsAcceptor),
    /// The services, without.
    Plain,
    /// The control calls of tests.
    Control,
}

/// A port on this machine that is free.
pub(crate) async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts connections until the task is aborted; that also ends the connections.
pub(crate) fn run(world: Arc<World>, listener: TcpListener, port: Port) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(connection(Arc::clone(&world), stream, port.clone()));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

async fn connection(world: Arc<World>, stream: TcpStream, port: Port) {
    // A request split over small packets must not wait for Nagle's timer.
    let _ = stream.set_nodelay(true);
    match port {
        Port::Tls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(world, stream, Speech::Service("https")).await;
            }
        }
        Port::Plain => serve(world, stream, Speech::Service("http")).await,
        Port::Control => serve(world, stream, Speech::Control).await,
    }
}

/// What is spoken on a connection.
#[derive(Clone, Copy)]
enum Speech {
    /// The services, under this scheme.
    Service(&'static str),
    /// The control calls.
    Control,
}

impl Speech {
    const fn is_service(self) -> bool {
        matches!(self, Self::Service(_))
    }
}

async fn serve<S>(world: Arc<World>, stream: S, speech: Speech)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _open = speech.is_service().then(|| world.under_way());
    let cut = Arc::new(Notify::new());
    let service = {
        let cut = Arc::clone(&cut);
        service_fn(move |request| respond(Arc::clone(&world), request, speech, Arc::clone(&cut)))
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error here is the client's going away.
        _ = connection => {}
        () = cut.notified() => {}
    }
}

async fn respond(
    world: Arc<World>,
    request: http::Request<Incoming>,
    speech: Speech,
    cut: Arc<Notify>,
) -> io::Result<Response<Outbound>> {
    let work = tokio::spawn(async move {
        let _carried_out = speech.is_service().then(|| world.under_way());
        match speech {
            Speech::Service(scheme) => {
                let (head, body) = request.into_parts();
                let call = Call::new(head, Inbound::network(body), scheme);
                let (reply, extras) = pipeline::answer(&world, call).await?;
                Some(response(reply, |payload| Outbound::new(payload, extras.tamper, Some(extras.meter))))
            }
            Speech::Control => {
                let reply = control::answer(&world, request).await;
                Some(response(reply, |payload| Outbound::new(payload, None, None)))
            }
        }
    });
    match work.await {
        Ok(Some(response)) => Ok(response),
        Ok(None) => {
            cut.notify_one();
            // The connection's task drops this future when it hears of the cut.
            std::future::pending().await
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

fn response(reply: Reply, body: impl FnOnce(crate::outbound::Payload) -> Outbound) -> Response<Outbound> {
    let length = reply.payload.length();
    let no_content = matches!(reply.status.as_u16(), 204 | 304);
    let mut response = Response::new(body(reply.payload));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if !no_content {
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_LENGTH, length.into());
    }
    response
}
