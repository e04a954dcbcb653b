//! Folders in pages, and what changed since: one cursor does both.
//!
//! A cursor is a sealed string that holds its own state. While it lists, it remembers the last
//! path; when the listing is done, it remembers the change from which to go on.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::{ListContinue, ListFolder, Longpoll, Source};
use super::download::lookup;
use super::namespace::Namespace;
use super::path::Pattern;
use super::route::{self, Context};
use super::{Dropbox, error, metadata};
use crate::reply::{Answer, Stop};
use crate::sync::lock;

/// The most entries of a page.
const PAGE_ENTRIES_MAX: u32 = 2000;
/// The purpose under which cursors are sealed.
const CURSOR: &str = "dropbox-cursor";

/// Where a listing stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    #[serde(rename = "a")]
    account: String,
    /// The folder, folded.
    #[serde(rename = "f")]
    folder: String,
    #[serde(rename = "r")]
    recursive: bool,
    #[serde(rename = "d")]
    deleted: bool,
    #[serde(rename = "l")]
    limit: usize,
    /// The last path that was listed, while the listing goes on.
    #[serde(rename = "k")]
    after: Option<String>,
    /// Changes after this one are still to be told.
    #[serde(rename = "s")]
    since: u64,
}

/// Where an argument's listing starts.
fn cursor(context: &Context<'_>, args: &ListFolder) -> Result<Cursor, Stop> {
    if args.shared_link.is_some() {
        return Err(context.source.bad("shared_link: not supported"));
    }
    let limit = match args.limit {
        None => context.switches.page_entries,
        Some(limit) if (1..=PAGE_ENTRIES_MAX).contains(&limit) => usize::try_from(limit).unwrap_or(1),
        Some(_) => return Err(context.source.bad("limit: expected 1 to 2000")),
    };
    let id = &context.account.namespace_id;
    let named = context.source.path(&args.path, Pattern::Folder, id)?;
    let namespace = lock(&context.account.namespace);
    let folder = namespace.locate(&named).map_err(lookup)?;
    if !folder.is_empty() {
        let entry = namespace.get(&folder);
        let entry = entry.ok_or_else(|| lookup(json!({".tag": "not_found"})))?;
        if entry.file.is_some() {
            return Err(lookup(json!({".tag": "not_folder"})));
        }
    }
    Ok(Cursor {
        account: context.account.name.clone(),
        folder,
        recursive: args.recursive,
        deleted: args.include_deleted,
        limit,
        after: None,
        since: namespace.newest(),
    })
}

/// `files/list_folder`
pub(crate) fn start(context: &Context<'_>) -> Answer {
    let args: ListFolder = context.args()?;
    let cursor = cursor(context, &args)?;
    let namespace = lock(&context.account.namespace);
    let mut entries = Vec::new();
    if cursor.deleted {
        let gone = namespace.deleted(&cursor.folder, cursor.recursive);
        entries.extend(gone.into_iter().map(metadata::deleted));
    }
    Ok(listing(context.service, &namespace, cursor, entries))
}

/// A page of the listing itself.
fn listing(
    service: &Dropbox,
    namespace: &Namespace,
    mut cursor: Cursor,
    mut entries: Vec<Value>,
) -> crate::reply::Reply {
    let after = cursor.after.as_deref();
    let (page, next) = namespace.list(&cursor.folder, cursor.recursive, after, cursor.limit);
    entries.extend(page.into_iter().map(metadata::tagged));
    let more = next.is_some();
    cursor.after = next;
    answer(service, &cursor, entries, more)
}

fn answer(service: &Dropbox, cursor: &Cursor, entries: Vec<Value>, more: bool) -> crate::reply::Reply {
    let cursor = service.seal.close(CURSOR, cursor);
    route::ok(&json!({"entries": entries, "cursor": cursor, "has_more": more}))
}

/// `files/list_folder/get_latest_cursor`
pub(crate) fn latest_cursor(context: &Context<'_>) -> Answer {
    let args: ListFolder = context.args()?;
    let cursor = cursor(context, &args)?;
    let text = context.service.seal.close(CURSOR, &cursor);
    Ok(route::ok(&json!({ "cursor": text })))
}

/// `files/list_folder/continue`
pub(crate) fn go_on(context: &Context<'_>) -> Answer {
    let args: ListContinue = context.args()?;
    let opened: Option<Cursor> = context.service.seal.open(CURSOR, &args.cursor);
    let own = opened.filter(|cursor| cursor.account == context.account.name);
    let mut cursor = own.ok_or_else(|| context.source.bad("cursor: Invalid \"cursor\" parameter"))?;
    let namespace = lock(&context.account.namespace);
    if cursor.since < namespace.floor {
        return Err(error::endpoint(json!({".tag": "reset"})).into());
    }
    if cursor.after.is_some() {
        return Ok(listing(context.service, &namespace, cursor, Vec::new()));
    }
    let (changes, next) = namespace.changed(&cursor.folder, cursor.recursive, cursor.since, cursor.limit);
    let entries = changes.iter().map(metadata::found).collect();
    cursor.since = next.unwrap_or_else(|| namespace.newest());
    Ok(answer(context.service, &cursor, entries, next.is_some()))
}

/// `files/list_folder/longpoll`
pub(crate) async fn longpoll(service: &Dropbox, source: Source, text: &str) -> Answer {
    let args: Longpoll = source.parse(text)?;
    if !(30..=480).contains(&args.timeout) {
        return Err(source.bad("timeout: expected 30 to 480"));
    }
    let cursor: Option<Cursor> = service.seal.open(CURSOR, &args.cursor);
    let bad = || source.bad("cursor: Invalid \"cursor\" parameter");
    let cursor = cursor.ok_or_else(bad)?;
    let account = service.account(&cursor.account).ok_or_else(bad)?;
    let wait = async {
        loop {
            let changed = account.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let namespace = lock(&account.namespace);
                if cursor.since < namespace.floor {
                    return Err(error::endpoint(json!({".tag": "reset"})));
                }
                let since = cursor.since;
                let (found, _) = namespace.changed(&cursor.folder, cursor.recursive, since, 1);
                if !found.is_empty() {
                    return Ok(true);
                }
            }
            changed.await;
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(args.timeout), wait).await;
    let changes = outcome.unwrap_or(Ok(false))?;
    Ok(route::ok(&json!({ "changes": changes })))
}
