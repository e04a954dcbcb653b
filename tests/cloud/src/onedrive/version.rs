//! Earlier versions of a file, which business drives keep and count.

use http::StatusCode;
use serde_json::{Value, json};

use super::address::Address;
use super::drive::Drive;
use super::node::{File, Item};
use super::route::{self, Context};
use super::{Failure, view};
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::sync::lock;

/// The versions of a file, newest first.
pub(crate) fn list(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    let item = drive.get(key)?;
    let file = versioned(&drive, item)?;
    let view = context.view(call, &address.drive);
    let mut values = vec![json!({
        "id": format!("{}.0", file.version),
        "lastModifiedDateTime": view::stamp(drive.kind, item.modified),
        "size": file.blob.size(),
    })];
    values.extend(file.versions.iter().rev().map(|version| {
        json!({
            "id": format!("{}.0", version.number),
            "lastModifiedDateTime": view::stamp(drive.kind, version.modified),
            "size": version.blob.size(),
            "@microsoft.graph.downloadUrl":
                view.download_url(&drive, item, Some(version.number)),
        })
    }));
    let body = json!({"value": Value::Array(values)});
    Ok(Reply::json(StatusCode::OK, &body))
}

/// The address of a version's bytes.
pub(crate) fn content(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let number = number(address)?;
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    let item = drive.get(key)?;
    versioned(&drive, item)?;
    let view = context.view(call, &address.drive);
    Ok(route::found(&view.download_url(&drive, item, Some(number))))
}

/// Drops an earlier version; the current one cannot be dropped.
pub(crate) fn delete(context: &Context<'_>, address: &Address) -> Answer {
    let number = number(address)?;
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    let current = versioned(&drive, drive.get(key)?)?.version;
    if number == current {
        return Err(Failure::invalid("You cannot delete the current version.").into());
    }
    drive.drop_version(key, number)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Makes an earlier version the current one again, as a new version.
pub(crate) fn restore(context: &Context<'_>, address: &Address) -> Answer {
    let number = number(address)?;
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let key = context.resolve(&mut drive, address)?;
    let item = drive.get(key)?;
    let times = item.times;
    let mut versions = versioned(&drive, item)?.versions.iter();
    let found = versions.find(|version| version.number == number);
    let blob = found.ok_or_else(Failure::not_found)?.blob.clone();
    let now = context.service.clock.now();
    drive.replace(key, blob, Some(times), now)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn versioned<'a>(drive: &Drive, item: &'a Item) -> Result<&'a File, Failure> {
    match drive.keeps_versions() {
        true => item.file().ok_or_else(Failure::not_found),
        false => Err(Failure::invalid("API not found")),
    }
}

/// The number in `versions/2.0/…`.
fn number(address: &Address) -> Result<u64, Failure> {
    let rest = address.action.strip_prefix("versions/").unwrap_or_default();
    let id = rest.split('/').next().unwrap_or_default();
    let number = id.strip_suffix(".0").unwrap_or(id);
    number.parse().map_err(|_| Failure::not_found())
}
