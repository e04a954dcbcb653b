//! What is in a folder, page by page.

use serde::Deserialize;
use wharf_connector::{Broker, Error, Kind, Level, Page, Request, path};

use crate::item::{Item, SELECT};
use crate::stat::stat;
use crate::{error, name};

/// Entries of a page. Graph documents 999 as the most for some collections and takes 1,000 for this
/// one; the lower is never refused.
const PAGE_ENTRIES: &str = "999";
/// Longest page, in bytes: an entry is about 500, so this is ten times what is asked for.
const PAGE_BYTES_MAX: u32 = 5 * 1024 * 1024;

#[derive(Deserialize)]
struct Answer {
    value: Vec<Item>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// One page; `next` is the handle of the page before.
///
/// # Errors
/// [`Error::NotFound`], [`Error::WrongKind`] for a file, or why it cannot be told.
pub(crate) fn list<B: Broker>(broker: &mut B, folder: &str, next: Option<&str>) -> Result<Page, Error> {
    name::check_readable(folder)?;
    let request = match next {
        Some(handle) => Request::route("next-page").handle(handle),
        None => Request::route("children")
            .item(name::stored(broker.settings(), folder))
            .query("$top", PAGE_ENTRIES)
            .query("$select", SELECT),
    };
    let reply = broker.ask(&request, PAGE_BYTES_MAX)?;
    if next.is_some() && matches!(reply.status, 404 | 410) {
        return Err(Error::CursorGone);
    }
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let answer: Answer = reply.json()?;
    // A file is said to have no children, like an empty folder.
    if next.is_none()
        && answer.next.is_none()
        && answer.value.is_empty()
        && stat(broker, folder)?.kind == Kind::File
    {
        return Err(Error::WrongKind);
    }
    Ok(Page { entries: entries(broker, folder, answer.value), next: answer.next })
}

fn entries<B: Broker>(broker: &mut B, folder: &str, items: Vec<Item>) -> Vec<wharf_connector::Entry> {
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        let Some(name) = name::told(broker.settings(), &item.name) else {
            let stored = item.name.escape_debug();
            broker
                .log(Level::Warn, &format!("`{stored}` in `{folder}` cannot be named here and is left out"));
            continue;
        };
        let path = path::join(folder, &name);
        match item.entry(path.clone()) {
            Ok(entry) => entries.push(entry),
            Err(Error::Unsupported) => {
                broker.log(
                    Level::Warn,
                    &format!("`{path}` is a notebook, a shortcut or a vault and is left out"),
                );
            }
            // Deleted while the page was made.
            Err(_) => {}
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Answer, Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    const PAGE: &str = "https://graph.microsoft.com/v1.0/me/drive/items/1/children?$skiptoken=x";

    fn first(answer: Answer) -> Script {
        let query = json!({"$top": "999", "$select": SELECT});
        Script::new(MANIFEST).on("children", json!({"item": "a", "query": query}), answer)
    }

    #[track_caller]
    fn check(mut script: Script, next: Option<&str>, expected: Result<(&[&str], Option<&str>), Error>) {
        let page = list(&mut script, "a", next);
        let paths = |page: &Page| page.entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
        let page = page.map(|page| (paths(&page), page.next));
        let expected = expected.map(|(paths, next)| {
            (paths.iter().map(|path| (*path).to_owned()).collect(), next.map(str::to_owned))
        });
        assert_eq!(page, expected);
    }

    #[test]
    fn pages_follow_each_other() {
        let value = json!([{"name": "x", "file": {}, "size": 1}, {"name": "y z", "folder": {}}]);
        let handle = format!("page!{PAGE}");
        check(
            first(reply(200, &json!({"value": value, "@odata.nextLink": PAGE}))),
            None,
            Ok((&["a/x", "a/y z"], Some(&handle))),
        );
        let script = || Script::new(MANIFEST);
        let on = json!({"handle": handle, "query": null});
        // Personal accounts send empty pages in the middle.
        check(
            script().on("next-page", on.clone(), reply(200, &json!({"value": [], "@odata.nextLink": PAGE}))),
            Some(&handle),
            Ok((&[], Some(&handle))),
        );
        check(
            script().on("next-page", on.clone(), reply(200, &json!({"value": []}))),
            Some(&handle),
            Ok((&[], None)),
        );
        check(script().on("next-page", on, reply(410, &Value::Null)), Some(&handle), Err(Error::CursorGone));
    }

    #[test]
    fn names_come_back_as_they_were() {
        let value = json!([
            {"name": "x：y．", "file": {}}, {"name": "␠z", "folder": {}},
            // Whoever wrote this quotes by other rules.
            {"name": "‛q", "file": {}},
        ]);
        check(first(reply(200, &json!({"value": value}))), None, Ok((&["a/x:y.", "a/ z"], None)));
    }

    #[test]
    fn a_next_page_elsewhere_is_no_end() {
        let elsewhere = "https://graph.evil.test/v1.0/next";
        let handle = format!("page!{elsewhere}");
        let page = json!({"value": [], "@odata.nextLink": elsewhere});
        check(first(reply(200, &page)), None, Ok((&[], Some(&handle))));
        check(Script::new(MANIFEST), Some(&handle), Err(Error::Denied));
    }

    #[test]
    fn what_is_no_file_and_no_folder_is_left_out() {
        let value = json!([
            {"name": "notes", "package": {"type": "oneNote"}},
            {"name": "theirs", "remoteItem": {"folder": {}}},
            {"name": "gone", "deleted": {}, "file": {}},
            {"name": "Personal Vault", "folder": {}, "specialFolder": {"name": "vault"}},
            {"name": "x", "file": {}},
        ]);
        check(first(reply(200, &json!({"value": value}))), None, Ok((&["a/x"], None)));
    }

    #[test]
    fn nothing_in_it_may_mean_a_file() {
        let empty = || first(reply(200, &json!({"value": []})));
        let stat = |facet: &str| reply(200, &json!({"name": "a", facet: {}}));
        check(empty().on("stat", json!({"item": "a"}), stat("folder")), None, Ok((&[], None)));
        check(empty().on("stat", json!({"item": "a"}), stat("file")), None, Err(Error::WrongKind));
        check(first(reply(404, &Value::Null)), None, Err(Error::NotFound));
    }
}
