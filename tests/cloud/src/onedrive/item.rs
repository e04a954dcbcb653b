//! An item itself: looking at it, changing its name, place and times, deleting it.

use http::StatusCode;
use http::header::ETAG;
use jiff::Timestamp;
use serde_json::Value;

use super::address::Address;
use super::drive::Drive;
use super::node::{Item, Key, Times};
use super::route::{self, Context};
use super::switches::{Conflict, DriveKind};
use super::{Failure, name, reference, view};
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::sync::lock;

/// The item's metadata.
pub(crate) fn get(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    let item = drive.get(key)?;
    let tag = view::etag(drive.kind, item);
    if let Some(known) = call.header("if-none-match")
        && view::matches(drive.kind, item, known)
    {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).header(ETAG, tag));
    }
    let value = context.view(call, &address.drive).item(&drive, item);
    Ok(Reply::json(StatusCode::OK, &value).header(ETAG, tag))
}

/// Changes name, parent and times.
pub(crate) async fn update(context: &Context<'_>, address: &Address, call: &mut Call) -> Answer {
    let document = route::document(call).await?;
    let conflict = route::conflict(&document, call)?.unwrap_or(Conflict::Fail);
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    check_match(&drive, key, call)?;
    drive.check_unlocked(key)?;
    let times = times(&document, drive.kind, drive.get(key)?)?;
    let parent = reference::folder(context, &mut drive, key, &document)?;
    let named = document.get("name").and_then(Value::as_str);
    let now = context.service.clock.now();
    if parent.is_some() || named.is_some() {
        let item = drive.get(key)?;
        let name = named.unwrap_or(&item.name).to_owned();
        let parent = parent.or(item.parent).ok_or_else(Failure::denied)?;
        let moves = item.parent != Some(parent) || item.name != name;
        if moves {
            check_path(&drive, parent, &name)?;
            drive.relocate(key, parent, &name, conflict)?;
        }
        if moves && times.is_none() {
            // A move that does not say the times loses them.
            let old = drive.get(key)?.times;
            set_times_quietly(&mut drive, key, old, now)?;
        }
    }
    if let Some(times) = times {
        drive.set_times(key, times, now)?;
    }
    let item = drive.get(key)?;
    let value = context.view(call, &address.drive).item(&drive, item);
    Ok(Reply::json(StatusCode::OK, &value))
}

/// After a move without times, the modification time is the move's.
fn set_times_quietly(drive: &mut Drive, key: Key, old: Times, now: Timestamp) -> Result<(), Failure> {
    if drive.get(key)?.file().is_none() {
        return Ok(());
    }
    let times = Times { created: old.created, modified: now };
    drive.reset_times(key, times)
}

fn check_path(drive: &Drive, parent: Key, last: &str) -> Result<(), Failure> {
    let mut names: Vec<String> = drive.path(parent).into_iter().map(str::to_owned).collect();
    names.push(last.to_owned());
    name::check_path(&names)
}

/// Deletes an item with everything below it.
pub(crate) fn delete(context: &Context<'_>, address: &Address, call: &Call, for_good: bool) -> Answer {
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    if for_good && drive.kind == DriveKind::Personal {
        return Err(Failure::invalid("The API is not found").into());
    }
    let key = context.resolve(&mut drive, address)?;
    check_match(&drive, key, call)?;
    drive.remove(key, for_good)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `If-Match` against the item as it is.
pub(crate) fn check_match(drive: &Drive, key: Key, call: &Call) -> Result<(), Failure> {
    let item = drive.get(key)?;
    match call.header("if-match") {
        Some(tag) if !view::matches(drive.kind, item, tag) => Err(Failure::modified()),
        Some(_) | None => Ok(()),
    }
}

/// The times that a document sets; those it leaves out stay as they are.
pub(crate) fn times(document: &Value, kind: DriveKind, item: &Item) -> Result<Option<Times>, Failure> {
    let Some(info) = document.get("fileSystemInfo") else {
        return Ok(None);
    };
    Ok(Some(Times {
        created: time(info, "createdDateTime", kind)?.unwrap_or(item.times.created),
        modified: time(info, "lastModifiedDateTime", kind)?.unwrap_or(item.times.modified),
    }))
}

/// The times that a document gives a new item.
pub(crate) fn new_times(document: &Value, kind: DriveKind, now: Timestamp) -> Result<Option<Times>, Failure> {
    let Some(info) = document.get("fileSystemInfo") else {
        return Ok(None);
    };
    Ok(Some(Times {
        created: time(info, "createdDateTime", kind)?.unwrap_or(now),
        modified: time(info, "lastModifiedDateTime", kind)?.unwrap_or(now),
    }))
}

/// A time as precise as the drive keeps it.
fn time(info: &Value, field: &str, kind: DriveKind) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = info.get(field).and_then(Value::as_str) else {
        return Ok(None);
    };
    let bad = || Failure::invalid(format!("{field} is not a date and time"));
    let time: Timestamp = text.parse().map_err(|_| bad())?;
    let kept = match kind {
        DriveKind::Business | DriveKind::DocumentLibrary => Timestamp::from_second(time.as_second()),
        DriveKind::Personal => Timestamp::from_millisecond(time.as_millisecond()),
    };
    kept.map(Some).map_err(|_| bad())
}
