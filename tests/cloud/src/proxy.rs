//! A small CONNECT proxy for clients that insist on the services' real addresses.
//!
//! It tunnels every known host name to the TLS port, whatever port was asked for, and refuses the
//! rest: a test client must not reach the real network by accident. Its record of hosts shows what
//! a client contacts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::hosts::Role;
use crate::world::World;

/// Bytes of a request head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Accepts connections until the task is aborted.
pub(crate) fn run(world: Arc<World>, listener: TcpListener, tls: SocketAddr) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tunnels = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        let world = Arc::clone(&world);
                        tunnels.spawn(async move {
                            // An error here is one of the two ends going away.
                            let _ = tunnel(&world, stream, tls).await;
                        });
                    }
                }
                Some(_) = tunnels.join_next() => {}
            }
        }
    })
}

async fn tunnel(world: &World, mut client: TcpStream, tls: SocketAddr) -> io::Result<()> {
    let head = head(&mut client).await?;
    let mut words = head.split_ascii_whitespace();
    let target = match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => target.to_owned(),
        _ => return refuse(&mut client, "405 Method Not Allowed").await,
    };
    world.note_proxied(&target);
    let host = target.rsplit_once(':').map_or(target.as_str(), |(host, _)| host);
    if Role::of(host) == Role::Unknown {
        return refuse(&mut client, "403 Forbidden").await;
    }
    let mut server = TcpStream::connect(tls).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The request's head. One byte at a time, so that none of the tunnel's is taken.
async fn head(client: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if bytes.len() == HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    let reply = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(reply.as_bytes()).await
}
