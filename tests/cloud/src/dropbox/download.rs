//! Looking at an entry, and reading a file.

use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, HeaderName};
use serde_json::{Value, json};

use super::args::{Download, GetMetadata};
use super::entry::{Entry, File};
use super::path::{Named, Pattern};
use super::route::{self, Context};
use super::{error, metadata};
use crate::call::Call;
use crate::onedrive::ranged;
use crate::reply::{Answer, Reply, Stop};
use crate::sync::lock;

/// A lookup error where most endpoints have it.
pub(crate) fn lookup(error: Value) -> Stop {
    error::endpoint(json!({".tag": "path", "path": error})).into()
}

/// `files/get_metadata`
pub(crate) fn metadata(context: &Context<'_>) -> Answer {
    let args: GetMetadata = context.args()?;
    let id = &context.account.namespace_id;
    let named = context.source.path(&args.path, Pattern::Read, id)?;
    let namespace = lock(&context.account.namespace);
    let found = namespace.find(&named);
    if found.is_err() && args.include_deleted {
        let path = namespace.locate(&named).map_err(lookup)?;
        if let Some(tombstone) = namespace.tombstone(&path) {
            return Ok(route::ok(&metadata::deleted(tombstone)));
        }
    }
    let (_, entry) = found.map_err(lookup)?;
    Ok(route::ok(&metadata::tagged(&entry)))
}

/// The file that a path, an id or a revision names.
pub(crate) fn file(context: &Context<'_>, named: &Named) -> Result<(Entry, File), Stop> {
    let namespace = lock(&context.account.namespace);
    let (_, entry) = namespace.find(named).map_err(lookup)?;
    match entry.file.clone() {
        Some(file) => Ok((entry, file)),
        None => Err(lookup(json!({".tag": "not_file"}))),
    }
}

/// `files/download`
pub(crate) fn handle(context: &Context<'_>, call: &Call) -> Answer {
    let args: Download = context.args()?;
    let path = match &args.rev {
        Some(rev) => format!("rev:{rev}"),
        None => args.path,
    };
    let id = &context.account.namespace_id;
    let named = context.source.path(&path, Pattern::Read, id)?;
    let (entry, file) = file(context, &named)?;
    let tag = format!("\"{}\"", file.rev);
    if call.header("if-none-match") == Some(tag.as_str()) {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).header(ETAG, tag));
    }
    let result = metadata::ascii(&metadata::plain(&entry));
    Ok(ranged(&file.blob, call.header("range"))
        .header(HeaderName::from_static("dropbox-api-result"), result)
        .header(HeaderName::from_static("original-content-length"), file.blob.size().to_string())
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(ETAG, tag))
}
