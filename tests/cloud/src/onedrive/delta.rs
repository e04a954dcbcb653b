//! What changed: pages from a token to now, and the token for next time.

use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::address::{self, Address};
use super::drive::Drive;
use super::node::{Change, Key};
use super::route::Context;
use super::view::View;
use super::{Failure, view};
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::sync::lock;

/// Entries of a page when `$top` is not given, and at most.
const PAGE_ENTRIES_MAX: usize = 1000;
/// The purpose under which delta tokens are sealed.
const DELTA: &str = "onedrive-delta";

/// Where an enumeration stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    folder: Key,
    /// Everything up to this change has been given.
    after: u64,
    /// Whether this is a first enumeration, which leaves out what is deleted.
    full: bool,
}

/// A page of changes below a folder.
pub(crate) fn page(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let folder = context.resolve(&mut drive, address)?;
    let mut cursor = Cursor { folder, after: 0, full: true };
    match token(call, address).as_deref() {
        None | Some("") => {}
        Some("latest") => {
            cursor.after = drive.newest();
            cursor.full = false;
        }
        Some(text) => match context.service.seal.open(DELTA, text) {
            Some(known) => cursor = known,
            None => return gone(context, call, &drive, folder),
        },
    }
    if cursor.folder != folder || (!cursor.full && cursor.after < drive.delta_floor) {
        return gone(context, call, &drive, folder);
    }
    let top = call.query("$top").and_then(|text| text.parse::<usize>().ok());
    let top = top.unwrap_or(PAGE_ENTRIES_MAX).clamp(1, PAGE_ENTRIES_MAX);
    let view = context.view(call, &address.drive).without_paths();
    let (mut values, next) = collect(&view, &drive, &cursor, top);
    if context.service.switches().delta_repeats {
        repeat_first(&mut values);
    }
    let mut body = Map::new();
    let more = next.is_some();
    let key = if more { "@odata.nextLink" } else { "@odata.deltaLink" };
    let cursor = Cursor { folder, after: next.unwrap_or_else(|| drive.newest()), full: more && cursor.full };
    let url = link(context, call, &drive, &cursor)?;
    body.insert(key.to_owned(), json!(url));
    body.insert("value".to_owned(), Value::Array(values));
    Ok(Reply::value(StatusCode::OK, &Value::Object(body)))
}

/// The token of a call: in the query, or in brackets after `delta`.
fn token(call: &Call, address: &Address) -> Option<String> {
    let inside = address.action.split_once("(token='");
    let inside = inside.and_then(|(_, rest)| rest.split_once('\''));
    inside.map(|(token, _)| token).or_else(|| call.query("token")).map(str::to_owned)
}

/// The changes after the cursor, and the last change given if there are more.
fn collect(view: &View<'_>, drive: &Drive, cursor: &Cursor, top: usize) -> (Vec<Value>, Option<u64>) {
    let mut values = Vec::new();
    let mut last = cursor.after;
    for (number, change) in drive.changes.range(cursor.after + 1..) {
        if values.len() == top {
            return (values, Some(last));
        }
        last = *number;
        match change {
            Change::Present(key) if drive.is_inside(*key, cursor.folder) => {
                values.extend(drive.get(*key).map(|item| view.item(drive, item)));
            }
            Change::Deleted { id, was_folder } if !cursor.full => {
                values.push(view.deleted(drive, id, *was_folder));
            }
            Change::Present(_) | Change::Deleted { .. } => {}
        }
    }
    (values, None)
}

/// The service may give an item more than once; the last one counts.
fn repeat_first(values: &mut Vec<Value>) {
    if let Some(first) = values.first().cloned() {
        values.push(first);
    }
}

/// 410: the token is too old, and here is where to start again.
fn gone(context: &Context<'_>, call: &Call, drive: &Drive, folder: Key) -> Answer {
    let cursor = Cursor { folder, after: 0, full: true };
    let url = link(context, call, drive, &cursor)?;
    let failure =
        Failure::new(410, "resyncRequired", "Resync required").inner("resyncChangesApplyDifferences");
    Ok(failure.reply(false).header(LOCATION, url))
}

fn link(context: &Context<'_>, call: &Call, drive: &Drive, cursor: &Cursor) -> Result<String, Failure> {
    let (prefix, _) = address::strip(&call.path).ok_or_else(Failure::not_found)?;
    let item = drive.get(cursor.folder)?;
    let place = match item.parent {
        None => "root".to_owned(),
        Some(_) => format!("items/{}", item.id),
    };
    let mut path = format!("{prefix}/drives/{}/{place}/delta?", drive.id);
    for key in ["$top", "$select"] {
        if let Some(value) = call.query(key) {
            path.push_str(&format!("{key}={}&", view::segment(value)));
        }
    }
    let token = context.service.seal.close(DELTA, cursor);
    path.push_str(&format!("token={token}"));
    Ok(call.same_host(&path))
}
