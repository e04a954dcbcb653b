//! Folders: their pages, and making new ones.

use std::ops::Bound;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::address::{self, Address};
use super::drive::Drive;
use super::node::Key;
use super::route::{self, Context};
use super::switches::Conflict;
use super::{Failure, view};
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::sync::lock;

/// The most entries of one page.
const PAGE_ENTRIES_MAX: usize = 1000;
/// The purpose under which paging tokens are sealed.
const PAGE: &str = "onedrive-page";

/// Where the next page starts.
#[derive(Debug, Serialize, Deserialize)]
struct Next {
    /// The folder, so that a token of one is no token of another.
    folder: Key,
    /// The last name that was given, folded; `None` before the first.
    after: Option<String>,
}

/// A page of a folder.
pub(crate) fn list(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let switches = context.service.switches();
    let top = match call.query("$top").map(str::parse::<usize>) {
        None => switches.page_entries,
        Some(Ok(top)) if top > 0 => top.min(PAGE_ENTRIES_MAX),
        Some(_) => return Err(Failure::invalid("$top must be a positive number").into()),
    };
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let folder = context.resolve(&mut drive, address)?;
    if drive.get(folder)?.vault {
        return Err(Failure::bad_handle().into());
    }
    let token = call.query("$skiptoken").or_else(|| call.query("$skipToken"));
    let start = match token {
        None => None,
        Some(text) => {
            let next: Option<Next> = context.service.seal.open(PAGE, text);
            let next = next.filter(|next| next.folder == folder);
            Some(next.ok_or_else(|| Failure::invalid("The skip token is not valid"))?)
        }
    };
    let top = match (&start, switches.empty_first_page) {
        (None, true) => 0,
        (Some(_), _) | (None, false) => top,
    };
    let after = start.and_then(|next| next.after);
    let (values, next) = page(context, address, call, &drive, folder, after, top)?;
    let mut body = Map::new();
    body.insert("value".to_owned(), Value::Array(values));
    if let Some(next) = next {
        let url = link(context, address, call, &drive, folder, &next)?;
        body.insert("@odata.nextLink".to_owned(), json!(url));
    }
    Ok(Reply::value(StatusCode::OK, &Value::Object(body)))
}

/// The entries after a name, and where the next page starts if there is one.
fn page(
    context: &Context<'_>,
    address: &Address,
    call: &Call,
    drive: &Drive,
    folder: Key,
    after: Option<String>,
    top: usize,
) -> Result<(Vec<Value>, Option<Next>), Failure> {
    let view = context.view(call, &address.drive);
    // A file has no children; the service answers with an empty page.
    let Some(children) = drive.get(folder)?.children() else {
        return Ok((Vec::new(), None));
    };
    let from = match &after {
        Some(name) => Bound::Excluded(name.as_str()),
        None => Bound::Unbounded,
    };
    let mut entries = children.range::<str, _>((from, Bound::Unbounded));
    let mut values = Vec::new();
    let mut last = after;
    for (name, key) in entries.by_ref().take(top) {
        values.push(view.item(drive, drive.get(*key)?));
        last = Some(name.clone());
    }
    let next = entries.next().map(|_| Next { folder, after: last });
    Ok((values, next))
}

/// The address of the next page, with the same selection and size.
fn link(
    context: &Context<'_>,
    address: &Address,
    call: &Call,
    drive: &Drive,
    folder: Key,
    next: &Next,
) -> Result<String, Failure> {
    let (prefix, _) = address::strip(&call.path).ok_or_else(Failure::not_found)?;
    let drive_part = match &address.drive {
        address::DriveName::Mine => "me/drive".to_owned(),
        address::DriveName::Id(id) => format!("drives/{id}"),
    };
    let id = &drive.get(folder)?.id;
    let mut path = format!("{prefix}/{drive_part}/items/{id}/children?");
    for key in ["$top", "$select", "$expand", "$orderby"] {
        if let Some(value) = call.query(key) {
            path.push_str(&format!("{key}={}&", view::segment(value)));
        }
    }
    let token = context.service.seal.close(PAGE, next);
    path.push_str(&format!("$skiptoken={token}"));
    Ok(call.same_host(&path))
}

/// Makes a folder.
pub(crate) async fn create(context: &Context<'_>, address: &Address, call: &mut Call) -> Answer {
    let document = route::document(call).await?;
    let conflict = route::conflict(&document, call)?.unwrap_or(Conflict::Fail);
    let name = document.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| Failure::invalid("The name is missing"))?;
    if document.get("folder").is_none() {
        return Err(Failure::invalid("The folder facet is missing").into());
    }
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let parent = context.resolve(&mut drive, address)?;
    let mut names: Vec<String> = drive.path(parent).into_iter().map(str::to_owned).collect();
    names.push(name.to_owned());
    super::name::check_path(&names)?;
    let now = context.service.clock.now();
    let (key, _) = drive.make_folder(parent, name, conflict, now)?;
    let times = super::item::new_times(&document, drive.kind, now)?;
    if let Some(times) = times {
        drive.set_times(key, times, now)?;
    }
    let item = drive.get(key)?;
    let value = context.view(call, &address.drive).item(&drive, item);
    Ok(Reply::json(StatusCode::CREATED, &value))
}
