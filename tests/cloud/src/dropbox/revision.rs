//! Earlier contents of a file, and bringing one back.

use serde_json::{Value, json};

use super::args::{ListRevisions, Restore};
use super::entry::{Commit, Entry, Mode};
use super::path::{self, Pattern};
use super::route::{self, Context};
use super::{error, metadata};
use crate::clock;
use crate::reply::Answer;
use crate::sync::lock;

/// The most revisions of one answer.
const LIMIT_MAX: usize = 100;

/// `files/list_revisions`
pub(crate) fn list(context: &Context<'_>) -> Answer {
    let args: ListRevisions = context.args()?;
    if args.limit == 0 || args.limit > LIMIT_MAX {
        return Err(context.source.bad("limit: expected 1 to 100"));
    }
    let mode = args.mode.as_deref().unwrap_or("path");
    if !matches!(mode, "path" | "id") {
        return Err(context.source.bad("mode: unknown tag"));
    }
    if mode == "id" && args.before_rev.is_some() {
        return Err(error::endpoint(json!({".tag": "before_rev_not_supported"})).into());
    }
    let id = &context.account.namespace_id;
    let named = context.source.path(&args.path, Pattern::WriteOrId, id)?;
    let namespace = lock(&context.account.namespace);
    let lookup = |error: Value| error::endpoint(json!({".tag": "path", "path": error}));
    let path = namespace.locate(&named).map_err(lookup)?;
    let current = namespace.get(&path);
    if current.is_some_and(|entry| entry.file.is_none()) {
        return Err(lookup(json!({".tag": "not_file"})).into());
    }
    let mut all: Vec<&Entry> = current.into_iter().chain(namespace.history(&path)).collect();
    if all.is_empty() {
        return Err(lookup(json!({".tag": "not_found"})).into());
    }
    if let Some(rev) = &args.before_rev {
        let place = all.iter().position(|entry| rev_of(entry) == Some(rev));
        let Some(place) = place else {
            return Err(error::endpoint(json!({".tag": "invalid_before_rev"})).into());
        };
        all.drain(..=place);
    }
    let shown: Vec<Value> = all.iter().take(args.limit).map(|entry| metadata::plain(entry)).collect();
    let mut body = json!({
        "is_deleted": current.is_none(),
        "entries": shown,
        "has_more": all.len() > args.limit,
    });
    if let Some(tombstone) = namespace.tombstone(&path) {
        body["server_deleted"] = json!(clock::seconds(tombstone.deleted));
    }
    Ok(route::ok(&body))
}

fn rev_of(entry: &Entry) -> Option<&String> {
    entry.file.as_ref().map(|file| &file.rev)
}

/// `files/restore`
pub(crate) fn restore(context: &Context<'_>) -> Answer {
    let args: Restore = context.args()?;
    let id = &context.account.namespace_id;
    let named = context.source.path(&args.path, Pattern::Write, id)?;
    if !path::is_rev(&args.rev) {
        return Err(context.source.bad("rev: did not match pattern '[0-9a-f]+'"));
    }
    let mut namespace = lock(&context.account.namespace);
    let source = namespace.find(&path::Named::Rev(args.rev));
    let file = source.ok().and_then(|(_, entry)| entry.file);
    let Some(file) = file else {
        return Err(error::endpoint(json!({".tag": "invalid_revision"})).into());
    };
    let commit = Commit {
        path: named,
        mode: Mode::Overwrite,
        autorename: false,
        client_modified: Some(file.client_modified),
        strict: true,
    };
    let saved = namespace.commit(&commit, &file.blob, context.now());
    let entry = saved.map_err(|error| error::endpoint(json!({".tag": "path_write", "path_write": error})))?;
    context.changed();
    Ok(route::ok(&metadata::plain(&entry)))
}
