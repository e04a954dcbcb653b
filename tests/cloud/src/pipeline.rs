//! The way of one request: named, delayed, perhaps spoiled, answered, logged.
//!
//! Fault plans and the log see every request, also those inside a batch and those nobody
//! understands. What a request means is the services' business.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::AUTHORIZATION;
use jiff::Timestamp;

use crate::call::Call;
use crate::dropbox;
use crate::fault::{Action, Seen};
use crate::hosts::Role;
use crate::log::{LogEntry, Meter, Service, UNKNOWN};
use crate::number;
use crate::onedrive::{self, Failure};
use crate::outbound::Tamper;
use crate::pause;
use crate::reply::{Answer, Reply, Stop};
use crate::world::World;

/// What a request turned out to be.
#[derive(Debug)]
enum Operation {
    OneDrive(onedrive::route::Operation),
    Dropbox(dropbox::route::Operation),
    Unknown,
}

/// What goes with a reply on its way out.
#[derive(Debug)]
pub(crate) struct Extras {
    pub(crate) tamper: Option<Tamper>,
    pub(crate) meter: Meter,
}

/// Answers a request; `None` cuts its connection.
pub(crate) async fn answer(world: &Arc<World>, mut call: Call) -> Option<(Reply, Extras)> {
    let started = Instant::now();
    let now = world.clock.now();
    let operation = Operation::of(&call);
    let print = pause::fingerprint(&call);
    let mut entry = operation.entry(world, &call, print, now);
    let received = call.body.received();
    if !call.batched && !world.latency().is_zero() {
        tokio::time::sleep(world.latency()).await;
    }
    let fault = world.faults.take(&seen(&entry, &call));
    let (action, name) = fault.unzip();
    entry.fault = name;
    let outcome = run(world, operation, &mut call, action.as_ref(), &entry).await;
    if let Some(reply) = &outcome.reply {
        entry.status = Some(reply.status.as_u16());
        if let Some(account) = &entry.account
            && reply.status.as_u16() >= 400
        {
            let now = world.clock.now();
            world.pauses.note(entry.service, account, print, reply, now);
        }
        if !outcome.early {
            call.body.drain().await;
        }
    }
    entry.elapsed_ms = number::millis(started.elapsed());
    let meter = world.log.add(entry, received);
    let tamper = action.as_ref().and_then(tamper);
    Some((outcome.reply?, Extras { tamper, meter }))
}

impl Operation {
    fn of(call: &Call) -> Self {
        let onedrive = onedrive::route::Operation::of(call).map(Self::OneDrive);
        onedrive.or_else(|| dropbox::route::Operation::of(call).map(Self::Dropbox)).unwrap_or(Self::Unknown)
    }

    /// The path without the ticket it may carry.
    fn path(&self, call: &Call) -> String {
        match self {
            Self::Dropbox(operation) => operation.path(call),
            Self::OneDrive(_) | Self::Unknown => onedrive::redacted(call.role, &call.path),
        }
    }

    /// What the log knows of a request before it is answered.
    fn entry(&self, world: &World, call: &Call, print: Option<u64>, now: Timestamp) -> LogEntry {
        let (service, kind, account) = match self {
            Self::OneDrive(operation) => (
                Service::Onedrive,
                operation.kind(&call.method).to_owned(),
                operation.account(&world.onedrive, call),
            ),
            Self::Dropbox(operation) => {
                (Service::Dropbox, operation.kind().to_owned(), operation.account(&world.dropbox, call))
            }
            Self::Unknown => (service_of(call.role), UNKNOWN.to_owned(), None),
        };
        let authorized = call.headers.contains_key(AUTHORIZATION);
        let too_early =
            account.as_deref().is_some_and(|account| world.pauses.too_early(service, account, print, now));
        LogEntry {
            sequence: world.log.number(),
            time: now,
            service,
            kind,
            host: call.host.clone(),
            method: call.method.to_string(),
            path: self.path(call),
            account,
            version: format!("{:?}", call.version),
            authorized,
            leaked_authorization: authorized && call.role.is_preauthenticated(),
            user_agent: call.header("user-agent").map(str::to_owned),
            too_early,
            batched: call.batched,
            ..LogEntry::default()
        }
    }
}

fn service_of(role: Role) -> Service {
    match role {
        Role::Graph | Role::Login | Role::Storage => Service::Onedrive,
        Role::DropboxApi
        | Role::DropboxContent
        | Role::DropboxNotify
        | Role::DropboxWeb
        | Role::DropboxLink => Service::Dropbox,
        Role::Local | Role::Unknown => Service::None,
    }
}

fn seen<'a>(entry: &'a LogEntry, call: &'a Call) -> Seen<'a> {
    Seen {
        service: entry.service,
        kind: &entry.kind,
        method: &entry.method,
        path: &entry.path,
        argument: call.header("dropbox-api-arg").unwrap_or_default(),
        account: entry.account.as_deref(),
        host: &entry.host,
    }
}

/// How a request ended.
struct Outcome {
    /// `None`: the connection is cut.
    reply: Option<Reply>,
    /// Whether the rest of the request's body is left unread.
    early: bool,
}

impl From<Option<Reply>> for Outcome {
    fn from(reply: Option<Reply>) -> Self {
        Self { reply, early: false }
    }
}

/// Answers a request with a fault acting on it.
async fn run(
    world: &Arc<World>,
    operation: Operation,
    call: &mut Call,
    fault: Option<&Action>,
    entry: &LogEntry,
) -> Outcome {
    let Some(fault) = fault else {
        return Outcome::from(serve(world, operation, call, entry).await);
    };
    if let Some((reply, early)) = fault.reply(&entry.kind) {
        return Outcome { reply: Some(reply), early };
    }
    match fault {
        Action::CutBefore => return Outcome::from(None),
        Action::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Action::CutAfter { bytes } => call.body.cut_after(*bytes),
        Action::CorruptStored { at } => call.body.flip_at(*at),
        Action::FailEntries(entries) => call.fail_entries = Some(entries.clone()),
        Action::Preset { .. }
        | Action::Reply { .. }
        | Action::CutAfterCommit
        | Action::DelayReply { .. }
        | Action::TruncateReply { .. }
        | Action::CorruptReply { .. }
        | Action::TrickleReply { .. } => {}
    }
    let reply = serve(world, operation, call, entry).await;
    match fault {
        Action::CutAfterCommit | Action::CutAfter { .. } => Outcome::from(None),
        Action::DelayReply { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            Outcome::from(reply)
        }
        Action::Preset { .. }
        | Action::Reply { .. }
        | Action::CutBefore
        | Action::Delay { .. }
        | Action::TruncateReply { .. }
        | Action::CorruptReply { .. }
        | Action::CorruptStored { .. }
        | Action::TrickleReply { .. }
        | Action::FailEntries(_) => Outcome::from(reply),
    }
}

/// What a fault does to the reply's body.
fn tamper(action: &Action) -> Option<Tamper> {
    match action {
        Action::TruncateReply { bytes } => Some(Tamper::Truncate(*bytes)),
        Action::CorruptReply { at } => Some(Tamper::Flip(*at)),
        Action::TrickleReply { rate } => Some(Tamper::Trickle(*rate)),
        Action::Preset { .. }
        | Action::Reply { .. }
        | Action::CutBefore
        | Action::CutAfter { .. }
        | Action::CutAfterCommit
        | Action::Delay { .. }
        | Action::DelayReply { .. }
        | Action::CorruptStored { .. }
        | Action::FailEntries(_) => None,
    }
}

/// Answers a request as the service would; `None` if its body broke off.
async fn serve(world: &Arc<World>, operation: Operation, call: &mut Call, entry: &LogEntry) -> Option<Reply> {
    if entry.leaked_authorization
        && call.role == Role::Storage
        && world.onedrive.switches().refuse_authorization
    {
        let failure = Failure::new(401, "unauthenticated", "Unauthenticated");
        return Some(failure.reply(true));
    }
    if entry.leaked_authorization && call.role == Role::DropboxLink {
        return Some(Reply::text(StatusCode::UNAUTHORIZED, "Unauthorized"));
    }
    let answer: Answer = match operation {
        Operation::OneDrive(operation) => onedrive(world, operation, call, entry).await,
        Operation::Dropbox(operation) => Box::pin(dropbox::route::handle(world, operation, call)).await,
        Operation::Unknown => Ok(unknown(call)),
    };
    match answer {
        Ok(reply) => Some(reply),
        Err(Stop::Answer(reply)) => Some(*reply),
        Err(Stop::Cut) => None,
    }
}

async fn onedrive(
    world: &Arc<World>,
    operation: onedrive::route::Operation,
    call: &mut Call,
    entry: &LogEntry,
) -> Answer {
    let service = &world.onedrive;
    let Some(account) = &entry.account else {
        return Box::pin(onedrive::route::handle(world, operation, call)).await;
    };
    let rules = service.switches().throttle;
    let now = world.clock.now();
    let reading = service.meter.take(&rules, account, &entry.kind, entry.too_early, now)?;
    let reply = Box::pin(onedrive::route::handle(world, operation, call)).await?;
    Ok(reading.show(reply))
}

fn unknown(call: &Call) -> Reply {
    match call.role {
        Role::Graph => {
            let segment = call.path.rsplit('/').next().unwrap_or_default();
            let text = format!("Resource not found for the segment '{segment}'.");
            Failure::new(400, "BadRequest", text).reply(false)
        }
        Role::Storage => Failure::not_found().reply(true),
        Role::DropboxApi | Role::DropboxContent | Role::DropboxNotify => {
            let route = call.path.trim_start_matches("/2/");
            let text = format!("Unknown API function: \"{route}\"");
            Reply::text(StatusCode::BAD_REQUEST, text)
        }
        Role::Login | Role::DropboxWeb | Role::DropboxLink | Role::Local | Role::Unknown => {
            Reply::text(StatusCode::NOT_FOUND, "Not Found")
        }
    }
}
