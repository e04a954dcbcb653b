//! The host's side of the contract: what a guest's imports do.
//!
//! Everything here only translates. A request goes to the broker as an [`Ask`], bytes stay behind
//! handles, and a guest that breaks the contract (a section beyond its source) is trapped.

use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::wharf::connector::{broker as wit, content, log, settings};
use super::limits::{HOSTCALL_BYTES_MAX, LOOK_BYTES_MIN, OPEN_BODIES_MAX, READ_BYTES_MAX};
use super::meter::Meter;
use super::output::LogBudget;
use super::store::Limiter;
use crate::broker::{self, Arriving, Call, Carrying, Request};
use crate::content::Section;
use crate::grant::{Ask, Carried};
use crate::hash::Algorithm;
use crate::manifest::Replay;

/// Behind a guest's `content` handle: bytes to be sent.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Content {
    pub(super) section: Section,
}

/// Behind a guest's `body` handle: bytes that arrive.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Body {
    /// None for a reply that was read whole (an error's).
    pub(super) incoming: Option<Arriving>,
}

/// What one operation's instance can reach.
pub(super) struct State {
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) limiter: Limiter,
    pub(super) meter: Arc<Meter>,
    pub(super) call: Arc<Call>,
    pub(super) log: LogBudget,
    /// What it sees of a reply at most, in bytes.
    pub(super) reply_bytes: u32,
    /// Bytes of content that this operation may still have read or hashed for it; set by the first
    /// content it is given.
    pub(super) look_left: u64,
    /// Replies whose body is still open.
    pub(super) open_bodies: usize,
}

impl State {
    /// Reading and hashing is the host's work, which costs the guest no time: it has a budget instead.
    fn look(&mut self, bytes: u64) -> wasmtime::Result<()> {
        self.look_left = self.look_left.checked_sub(bytes.max(LOOK_BYTES_MIN)).ok_or_else(|| {
            wasmtime::format_err!("it had more content read and hashed than an operation needs")
        })?;
        Ok(())
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Run something that blocks (a read, a hash) where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> wasmtime::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| wasmtime::format_err!("reading a source failed: {error}"))
}

impl content::Host for State {}

impl content::HostBody for State {
    fn drop(&mut self, this: Resource<Body>) -> wasmtime::Result<()> {
        let body = self.table.delete(this)?;
        self.open_bodies = self.open_bodies.saturating_sub(usize::from(body.incoming.is_some()));
        Ok(())
    }
}

impl content::HostContent for State {
    fn size(&mut self, this: Resource<Content>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.section.size())
    }

    async fn read(
        &mut self,
        this: Resource<Content>,
        offset: u64,
        len: u32,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        let section = self.table.get(&this)?.section.clone();
        let left = section.size().saturating_sub(offset);
        let len = u64::from(len.min(READ_BYTES_MAX)).min(left);
        self.look(len)?;
        let len = u32::try_from(len)?;
        let meter = Arc::clone(&self.meter);
        let read = meter.host(blocking(move || section.read(offset, len))).await?;
        Ok(read.ok().map(|bytes| bytes.to_vec()))
    }

    async fn hash(
        &mut self,
        this: Resource<Content>,
        algorithm: content::Algorithm,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        let section = self.table.get(&this)?.section.clone();
        self.look(section.size())?;
        let meter = Arc::clone(&self.meter);
        let algorithm = Algorithm::from(algorithm);
        let digests = meter.host(blocking(move || section.digests(&[algorithm]))).await?;
        let digest =
            digests.ok().and_then(|digests| digests.get(algorithm).map(|digest| digest.bytes().to_vec()));
        Ok(digest)
    }

    fn drop(&mut self, this: Resource<Content>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl From<content::Algorithm> for Algorithm {
    fn from(algorithm: content::Algorithm) -> Self {
        match algorithm {
            content::Algorithm::BlockSha256 => Self::BlockSha256,
            content::Algorithm::Quickxor => Self::QuickXor,
            content::Algorithm::Sha256 => Self::Sha256,
            content::Algorithm::Sha1 => Self::Sha1,
        }
    }
}

impl State {
    /// A guest's request in the broker's terms. What the contract forbids traps.
    fn request(&self, request: wit::Request) -> wasmtime::Result<Request> {
        let (carried, carrying) = match request.payload {
            wit::Payload::None => (Carried::Nothing, Carrying::Nothing),
            wit::Payload::Bytes(bytes) => (Carried::Bytes(bytes.len()), Carrying::Bytes(bytes.into())),
            wit::Payload::Section(section) => {
                let content = self.table.get(&section.source)?;
                let part = content.section.part(section.offset, section.len)?;
                (Carried::Section, Carrying::Section(part))
            }
        };
        let ask = Ask {
            route: request.route,
            item: request.item,
            query: request.query,
            headers: request.headers,
            json: request.json,
            payload: carried,
        };
        let replay = match request.replay {
            wit::Replay::Safe => Replay::Safe,
            wit::Replay::Once => Replay::Once,
        };
        Ok(Request { ask, handle: request.handle, carrying, replay })
    }
}

impl wit::Host for State {
    async fn exchange(
        &mut self,
        request: wit::Request,
        limit: u32,
    ) -> wasmtime::Result<Result<wit::Reply, wit::Failure>> {
        let request = self.request(request)?;
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let reply = meter.host(call.exchange(request, limit.min(self.reply_bytes))).await;
        Ok(reply.map(Into::into).map_err(Into::into))
    }

    async fn fetch(
        &mut self,
        request: wit::Request,
    ) -> wasmtime::Result<Result<(wit::Reply, Resource<Body>), wit::Failure>> {
        let request = self.request(request)?;
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        if self.open_bodies >= OPEN_BODIES_MAX {
            let reason = format!("more than {OPEN_BODIES_MAX} replies are open at once");
            return Ok(Err(call.refuse_counted(&request.ask.route, "open-bodies", reason).await.into()));
        }
        match meter.host(call.fetch(request, self.reply_bytes)).await {
            Ok((reply, incoming)) => {
                self.open_bodies = self.open_bodies.saturating_add(usize::from(incoming.is_some()));
                let body = self.table.push(Body { incoming })?;
                Ok(Ok((reply.into(), body)))
            }
            Err(failure) => Ok(Err(failure.into())),
        }
    }
}

impl From<broker::Reply> for wit::Reply {
    fn from(reply: broker::Reply) -> Self {
        let broker::Reply { status, headers, body, maybe_applied } = reply;
        Self { status, headers, body, maybe_applied }
    }
}

impl From<broker::Failure> for wit::Failure {
    fn from(failure: broker::Failure) -> Self {
        match failure {
            broker::Failure::Denied => Self::Denied,
            broker::Failure::SignInAgain => Self::SignInAgain,
            broker::Failure::Throttled(after) => Self::Throttled(after.map(|after| after.as_secs())),
            broker::Failure::Unreachable => Self::Unreachable,
            broker::Failure::Lost => Self::Lost,
            broker::Failure::TimedOut => Self::TimedOut,
            broker::Failure::TooLarge => Self::TooLarge,
            broker::Failure::SourceChanged => Self::SourceChanged,
            broker::Failure::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl settings::Host for State {
    fn get(&mut self) -> wasmtime::Result<settings::Settings> {
        let (directory, options) = self.call.settings();
        Ok(settings::Settings { directory, options })
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
        };
        self.log.write(level, &message);
        Ok(())
    }
}

/// Lists and strings of one call from the guest together; see [`HOSTCALL_BYTES_MAX`].
pub(super) const FUEL: usize = HOSTCALL_BYTES_MAX;
