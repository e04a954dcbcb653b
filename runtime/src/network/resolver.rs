//! From names to addresses that may be dialled.
//!
//! A name is resolved once for each connection, every address of the answer is vetted, and exactly
//! those are dialled: an answer that changes between the check and the connection has no second
//! chance to be asked. Where addresses come from is a [`Resolver`]; what is wrong with them is the
//! guard's to say.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::connect_to::ConnectTo;
use super::guard;

/// A source of addresses.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of a host. What they are worth is not its business.
    ///
    /// # Errors
    /// When the name cannot be resolved.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A resolver behind the guard.
#[derive(Debug)]
pub(super) struct Guarded(pub(super) Arc<dyn Resolver>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await?;
            guard::vet(name.as_str(), &addresses)?;
            // Port 0 stands for the port of the request.
            let vetted: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(vetted)
        })
    }
}

/// The one address of a pair that the operator exempted, and no name but its own.
#[derive(Debug)]
pub(super) struct Exempt(pub(super) ConnectTo);

impl Resolve for Exempt {
    fn resolve(&self, name: Name) -> Resolving {
        let pair = self.0.clone();
        Box::pin(async move {
            if name.as_str() != pair.host() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let address: Addrs = Box::new(std::iter::once(pair.address()));
            Ok(address)
        })
    }
}

/// A resolver for the one name that the operator wants to be spoken to wherever it is.
#[derive(Debug)]
pub(super) struct Unguarded {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) host: String,
}

impl Resolve for Unguarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, host) = (Arc::clone(&self.resolver), self.host.clone());
        Box::pin(async move {
            if name.as_str() != host {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let addresses = resolver.resolve(&host).await?;
            let all: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(all)
        })
    }
}
