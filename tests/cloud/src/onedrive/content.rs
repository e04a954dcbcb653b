//! Content in one request: storing it whole, and handing out addresses to read it from.

use std::sync::Arc;

use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED,
};

use super::address::Address;
use super::drive::Drive;
use super::node::{Item, Key};
use super::route::{self, Context, Refusal};
use super::switches::Conflict;
use super::{Failure, OneDrive, item, name, office, ticket, view};
use crate::call::Call;
use crate::hash::Hasher;
use crate::number;
use crate::outbound::Payload;
use crate::range::{self, Wanted};
use crate::reply::{Answer, Reply, Stop};
use crate::store::Blob;
use crate::sync::lock;

/// Where content is to be stored.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// An item that is there.
    Item(Key),
    /// A name below folders that may have to be made.
    Child { start: Key, folders: Vec<String>, name: String },
}

impl Target {
    /// The target of an address: the last name is the file's, unless there are no names.
    pub(crate) fn of(context: &Context<'_>, drive: &mut Drive, address: &Address) -> Result<Self, Failure> {
        let start = context.start(drive, &address.start)?;
        let mut names = address.names.clone();
        let Some(last) = names.pop() else {
            return Ok(Self::Item(start));
        };
        let mut whole: Vec<String> = drive.path(start).into_iter().map(str::to_owned).collect();
        whole.extend(address.names.iter().cloned());
        name::check_path(&whole)?;
        Ok(Self::Child { start, folders: names, name: last })
    }

    /// The item that is there now, if there is one.
    pub(crate) fn existing(&self, drive: &Drive) -> Option<Key> {
        match self {
            Self::Item(key) => drive.get(*key).ok().map(|item| item.key),
            Self::Child { start, folders, name } => {
                let parent = drive.resolve(*start, folders).ok()?;
                drive.child(parent, name)
            }
        }
    }

    /// Checks the conditions of a request against what is there.
    pub(crate) fn check(&self, drive: &Drive, conditions: &Conditions) -> Result<(), Failure> {
        let there = self.existing(drive).and_then(|key| drive.get(key).ok());
        let fits = |tag: &String| there.is_some_and(|item| view::matches(drive.kind, item, tag));
        if conditions.only_if.as_ref().is_some_and(|tag| !fits(tag))
            || conditions.unless.as_ref().is_some_and(fits)
        {
            return Err(Failure::modified());
        }
        match there {
            Some(item) if item.file().is_none() => Err(Failure::exists()),
            Some(item) => drive.check_unlocked(item.key),
            None => Ok(()),
        }
    }
}

/// `If-Match` and `If-None-Match`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    only_if: Option<String>,
    unless: Option<String>,
}

impl Conditions {
    pub(crate) fn of(call: &Call) -> Self {
        Self {
            only_if: call.header("if-match").map(str::to_owned),
            unless: call.header("if-none-match").map(str::to_owned),
        }
    }
}

/// `PUT …/content`.
pub(crate) async fn put(context: &Context<'_>, address: &Address, call: &mut Call) -> Answer {
    let service = context.service;
    let limit = service.switches().put_bytes_max;
    if call.content_length().is_some_and(|length| length > limit) {
        return Err(too_large().into());
    }
    let conflict = route::conflict(&serde_json::Value::Null, call)?.unwrap_or(Conflict::Replace);
    let conditions = Conditions::of(call);
    let shared = context.drive(&address.drive)?;
    let target = {
        let mut drive = lock(&shared);
        let target = Target::of(context, &mut drive, address)?;
        target.check(&drive, &conditions)?;
        if let Some(size) = call.content_length() {
            drive.check_quota(size, target.existing(&drive))?;
        }
        service.sessions.check_writer(service, &drive.id, &target)?;
        target
    };
    let blob = receive(service, call, limit).await?;
    let blob = office::rewrite(service, &shared, &target, blob).await?;
    let mut drive = lock(&shared);
    target.check(&drive, &conditions)?;
    let (key, new) = store(service, &mut drive, &target, blob, conflict, None)?;
    let item = drive.get(key)?;
    let value = context.view(call, &address.drive).item(&drive, item);
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::json(status, &value).header(ETAG, view::etag(drive.kind, item)))
}

fn too_large() -> Failure {
    Failure::new(413, "maxFileSizeExceeded", "The content is too large for one request")
}

async fn receive(service: &OneDrive, call: &mut Call, limit: u64) -> Result<Arc<Blob>, Stop> {
    let mut writer = service.store.writer(Hasher::quick()).await?;
    while let Some(piece) = call.body.next().await? {
        if writer.size() + number::size(piece.len()) > limit {
            return Err(too_large().into());
        }
        writer.write(&piece).await?;
    }
    Ok(writer.finish().await?)
}

/// Puts stored bytes at their place; gives the item and whether it is new.
pub(crate) fn store(
    service: &OneDrive,
    drive: &mut Drive,
    target: &Target,
    blob: Arc<Blob>,
    conflict: Conflict,
    times: Option<super::node::Times>,
) -> Result<(Key, bool), Failure> {
    let now = service.clock.now();
    match target {
        Target::Item(key) => {
            drive.replace(*key, blob, times, now)?;
            Ok((*key, false))
        }
        Target::Child { start, folders, name } => {
            let parent = drive.resolve_or_make(*start, folders, now)?;
            drive.put(parent, name, blob, conflict, times, now)
        }
    }
}

/// `GET …/content`: the address of the bytes, on another host.
pub(crate) fn redirect(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    let found = drive.get(key)?;
    if found.file().is_none() {
        return Err(Failure::new(400, "notSupported", "A folder has no content").into());
    }
    if let Some(known) = call.header("if-none-match")
        && view::matches(drive.kind, found, known)
    {
        let tag = view::etag(drive.kind, found);
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).header(ETAG, tag));
    }
    item::check_match(&drive, key, call)?;
    let view = context.view(call, &address.drive);
    Ok(route::found(&view.download_url(&drive, found, None)))
}

/// A download from a pre-authenticated address.
pub(crate) fn download(service: &OneDrive, sealed: &str, call: &Call) -> Result<Reply, Refusal> {
    let refused = |message| Failure::new(401, "unauthenticated", message);
    let ticket: ticket::Download =
        service.seal.open(ticket::DOWNLOAD, sealed).ok_or_else(|| refused("The address is not valid"))?;
    if service.clock.now().as_second() >= ticket.expires {
        return Err(refused("The address has expired").into());
    }
    let drive = service.drive_by_id(&ticket.account, &ticket.drive).ok_or_else(Failure::not_found)?;
    let drive = lock(&drive);
    let item = drive.get(ticket.item)?;
    let blob = version_of(item, ticket.version)?;
    let ignores = service.switches().ignore_range;
    let header = call.header("range").filter(|_| !ignores);
    Ok(ranged(&blob, header)
        .header(ETAG, view::ctag(drive.kind, item))
        .header(CONTENT_TYPE, view::mime(&item.name))
        .header(CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", view::segment(&item.name)))
        .header(LAST_MODIFIED, item.times.modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()))
}

fn version_of(item: &Item, version: Option<u64>) -> Result<Arc<Blob>, Failure> {
    let file = item.file().ok_or_else(Failure::not_found)?;
    let Some(number) = version.filter(|number| *number != file.version) else {
        return Ok(Arc::clone(&file.blob));
    };
    let found = file.versions.iter().find(|v| v.number == number);
    found.map(|version| Arc::clone(&version.blob)).ok_or_else(Failure::not_found)
}

/// Stored bytes, or the part of them that a `Range` header asks for.
pub(crate) fn ranged(blob: &Arc<Blob>, header: Option<&str>) -> Reply {
    let size = blob.size();
    let (status, start, length) = match range::wanted(header, size) {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Wanted::Unsatisfiable => {
            return Reply::empty(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(CONTENT_RANGE, format!("bytes */{size}"));
        }
    };
    let mut reply = Reply::empty(status)
        .header(ACCEPT_RANGES, "bytes")
        .header(HeaderName::from_static("cache-control"), "private, max-age=0");
    reply.payload = Payload::Stored { blob: Arc::clone(blob), start, length };
    if status == StatusCode::PARTIAL_CONTENT {
        let span = format!("bytes {start}-{}/{size}", start + length - 1);
        reply = reply.header(CONTENT_RANGE, span);
    }
    reply
}
