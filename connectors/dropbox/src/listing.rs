//! What is in a folder or below it, page by page.

use serde::Deserialize;
use serde_json::json;
use wharf_connector::name::DROPBOX;
use wharf_connector::{Broker, Entry, Error, Level, Page, Reply, Request, path};

use crate::metadata::Metadata;
use crate::{LIST_BYTES_MAX, error, name};

/// Entries of a page: the most there is, which the service takes as a hint.
const PAGE_ENTRIES: u32 = 2000;

/// What the service answers to both: a page, and the cursor of the next.
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) entries: Vec<Metadata>,
    pub(crate) cursor: String,
    pub(crate) has_more: bool,
}

/// Ask for the first page of a folder, or the one after `cursor`.
pub(crate) fn ask<B: Broker>(
    broker: &mut B,
    folder: &str,
    recursive: bool,
    cursor: Option<&str>,
) -> Result<Reply, Error> {
    let request = match cursor {
        Some(cursor) => Request::route("next-page").json(&json!({"cursor": cursor})),
        None => Request::route("list")
            .json(&json!({"path": name::stored(folder), "recursive": recursive, "limit": PAGE_ENTRIES})),
    };
    broker.ask(&request, LIST_BYTES_MAX)
}

/// One page; `next` is the cursor of the page before.
///
/// # Errors
/// [`Error::CursorGone`] when the cursor is no longer good. Else why it cannot be told.
pub(crate) fn list<B: Broker>(
    broker: &mut B,
    folder: &str,
    recursive: bool,
    next: Option<&str>,
) -> Result<Page, Error> {
    name::check_readable(folder)?;
    let reply = ask(broker, folder, recursive, next)?;
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let answer: Answer = reply.json()?;
    let entries = entries(broker, folder, answer.entries);
    Ok(Page { entries, next: answer.has_more.then_some(answer.cursor) })
}

fn entries<B: Broker>(broker: &mut B, folder: &str, items: Vec<Metadata>) -> Vec<Entry> {
    let directory = broker.settings().directory.clone();
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        // A tree's listing begins with the folder itself.
        let Some(below) = item.path_below(&directory, folder) else { continue };
        let Some(below) = DROPBOX.decode(&below) else {
            let stored = below.escape_debug();
            broker
                .log(Level::Warn, &format!("`{stored}` in `{folder}` cannot be named here and is left out"));
            continue;
        };
        let path = path::join(folder, &below);
        match item.entry(path.clone()) {
            Ok(entry) => entries.push(entry),
            Err(Error::Unsupported) => {
                broker.log(Level::Warn, &format!("`{path}` can only be exported and is left out"));
            }
            // Deleted since the listing began.
            Err(_) => {}
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::testing::{Answer, Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    fn first(recursive: bool, answer: Answer) -> Script {
        let arguments = json!({"path": "a", "recursive": recursive, "limit": 2000});
        Script::new(MANIFEST).on("list", json!({"json": arguments}), answer)
    }

    fn next(answer: Answer) -> Script {
        Script::new(MANIFEST).on("next-page", json!({"json": {"cursor": "c0"}}), answer)
    }

    fn page(entries: Value, has_more: bool) -> Answer {
        reply(200, &json!({"entries": entries, "cursor": "c1", "has_more": has_more}))
    }

    fn refused(path: Value) -> Answer {
        reply(409, &json!({"error_summary": "other/...", "error": path}))
    }

    #[track_caller]
    fn check(
        mut script: Script,
        recursive: bool,
        cursor: Option<&str>,
        expected: Result<(&[&str], Option<&str>), Error>,
    ) {
        let page = list(&mut script, "a", recursive, cursor);
        let paths = |page: &Page| page.entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
        let page = page.map(|page| (paths(&page), page.next));
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(page, expected.map(|(paths, next)| (owned(paths), next.map(str::to_owned))));
    }

    #[test]
    fn pages_follow_each_other() {
        let entries = json!([
            {".tag": "file", "name": "F", "path_display": "/Backups/server1/A/F"},
            {".tag": "folder", "name": "d", "path_display": "/backups/server1/a/d"},
        ]);
        check(first(false, page(entries.clone(), true)), false, None, Ok((&["a/F", "a/d"], Some("c1"))));
        check(next(page(entries, false)), false, Some("c0"), Ok((&["a/F", "a/d"], None)));
        check(next(page(json!([]), true)), false, Some("c0"), Ok((&[], Some("c1"))));
    }

    #[test]
    fn a_tree_is_one_listing() {
        let entries = json!([
            {".tag": "folder", "name": "a", "path_display": "/backups/server1/a"},
            {".tag": "folder", "name": "d", "path_display": "/backups/server1/a/d"},
            {".tag": "file", "name": "F", "path_display": "/backups/server1/a/d/F"},
        ]);
        check(first(true, page(entries, false)), true, None, Ok((&["a/d", "a/d/F"], None)));
    }

    #[test]
    fn names_come_back_as_they_were() {
        let entries = json!([
            {".tag": "folder", "name": "d␠", "path_display": "/backups/server1/a/d␠"},
            {".tag": "file", "name": "x＼y", "path_display": "/backups/server1/a/d␠/x＼y"},
            // Whoever wrote this quotes by other rules.
            {".tag": "file", "name": "‛z", "path_display": "/backups/server1/a/‛z"},
        ]);
        check(first(true, page(entries, false)), true, None, Ok((&["a/d ", "a/d /x\\y"], None)));
    }

    #[test]
    fn what_cannot_be_downloaded_is_left_out() {
        let entries = json!([
            {".tag": "file", "name": "n.paper", "path_display": "/backups/server1/a/n.paper", "is_downloadable": false},
            {".tag": "deleted", "name": "gone", "path_display": "/backups/server1/a/gone"},
            {".tag": "file", "name": "unmounted"},
        ]);
        check(first(false, page(entries, false)), false, None, Ok((&[], None)));
    }

    #[test]
    fn refusals_are_told_apart() {
        let of_path = |tag: &str| refused(json!({".tag": "path", "path": {".tag": tag}}));
        check(first(false, of_path("not_found")), false, None, Err(Error::NotFound));
        check(first(false, of_path("not_folder")), false, None, Err(Error::WrongKind));
        check(next(refused(json!({".tag": "reset"}))), false, Some("c0"), Err(Error::CursorGone));
    }
}
