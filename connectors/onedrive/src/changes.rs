//! What changed on the drive, page by page.
//!
//! The service tells of the whole drive, in ids: an item's parent, but no path, and of a folder that
//! was renamed nothing below it. So it is told as it comes, and the host puts the paths together.
//! Whoever did not ask for it with `track_changes` sends nothing here: it shows names outside of
//! the backup directory.

use serde::Deserialize;
use wharf_connector::{
    Broker, Change, ChangesPage, Entry, Error, Facts, Kind, Node, Outcome, Request, Settings, Whereabouts,
};

use crate::item::{Item, SELECT_CHANGES};
use crate::{error, name};

/// Entries of a page, a hint: larger pages are not given, and smaller ones cost a request each.
const PAGE_ENTRIES: &str = "1000";
/// Longest page, in bytes: an item is about 700, so this is ten times what is asked for.
const PAGE_BYTES_MAX: u32 = 7 * 1024 * 1024;

/// What of the destination's options says whether this may be asked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    track_changes: bool,
    app_folder: bool,
}

#[derive(Deserialize)]
struct Answer {
    value: Vec<Item>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    last: Option<String>,
}

/// One page; `cursor` is the handle of the page before.
///
/// # Errors
/// [`Error::Unsupported`] when the operator did not ask for it, [`Error::CursorGone`] when the service
/// has forgotten what changed since. Else why it cannot be told.
pub(crate) fn changes<B: Broker>(broker: &mut B, cursor: Option<&str>) -> Result<ChangesPage, Error> {
    let options: Options = serde_json::from_str(&broker.settings().options).unwrap_or_default();
    if !options.track_changes || options.app_folder {
        return Err(Error::Unsupported);
    }
    let request = match cursor {
        Some(handle) => Request::route("next-changes").handle(handle),
        None => Request::route("changes").query("$top", PAGE_ENTRIES).query("$select", SELECT_CHANGES),
    };
    let reply = broker.ask(&request, PAGE_BYTES_MAX)?;
    // Too old, or of an application that is another now.
    if cursor.is_some() && matches!(reply.status, 400 | 404 | 410) {
        return Err(Error::CursorGone);
    }
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let answer: Answer = reply.json()?;
    let more = answer.next.is_some();
    let Some(cursor) = answer.next.or(answer.last) else {
        return Err(Error::Other("OneDrive told what changed, but not how to go on".to_owned()));
    };
    let settings = broker.settings();
    let changes = answer.value.into_iter().filter_map(|item| change(settings, item)).collect();
    Ok(ChangesPage { changes, cursor, more })
}

fn change(settings: &Settings, mut item: Item) -> Option<Change> {
    let id = std::mem::take(&mut item.id);
    if id.is_empty() {
        return None;
    }
    let is_top = item.root.is_some();
    let parent = item.parent_reference.take().and_then(|parent| parent.id).filter(|_| !is_top);
    let told = if is_top { Some(String::new()) } else { name::told(settings, &item.name) };
    let (name, is) = match (told, parent.is_some() || is_top) {
        // What cannot be named here is not there for us, and neither is what is below it.
        (Some(name), true) => (name, outcome(item)),
        (_, false) | (None, true) => (String::new(), Outcome::Removed),
    };
    Some(Change { at: Whereabouts::Node(Node { id, parent, name }), is })
}

/// What is no file and no folder, or is gone, is not there.
fn outcome(item: Item) -> Outcome {
    match item.entry(String::new()) {
        Ok(Entry { kind: Kind::Folder, .. }) => Outcome::Folder,
        Ok(Entry { kind: Kind::File, size, modified, hash, revision, .. }) => {
            Outcome::File(Facts { size, modified, hash, revision })
        }
        Err(_) => Outcome::Removed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Answer, Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    const PAGE: &str = "https://graph.microsoft.com/v1.0/me/drive/root/delta?token=1";
    const ON: &str = r#"{"track_changes": true}"#;

    fn first(answer: Answer) -> Script {
        let query = json!({"$top": "1000", "$select": SELECT_CHANGES});
        Script::new(MANIFEST).options(ON).on("changes", json!({"handle": null, "query": query}), answer)
    }

    fn next(answer: Answer) -> Script {
        let expected = json!({"handle": format!("changes!{PAGE}"), "query": null});
        Script::new(MANIFEST).options(ON).on("next-changes", expected, answer)
    }

    fn node(id: &str, parent: Option<&str>, name: &str) -> Whereabouts {
        let parent = parent.map(str::to_owned);
        Whereabouts::Node(Node { id: id.to_owned(), parent, name: name.to_owned() })
    }

    fn within(id: &str) -> Value {
        json!({"id": id, "driveId": "d"})
    }

    #[test]
    fn ids_are_told_as_they_come() {
        let value = json!([
            {"id": "0", "name": "root", "root": {}, "folder": {}, "parentReference": {"driveId": "d"}},
            {"id": "1", "name": "a．", "folder": {}, "parentReference": within("0")},
            {"id": "2", "name": "b", "file": {}, "size": 5, "cTag": "c", "eTag": "e", "parentReference": within("1")},
            {"id": "3", "deleted": {}, "file": {}, "parentReference": {"driveId": "d"}},
            {"id": "4", "name": "notes", "package": {}, "parentReference": within("1")},
            {"id": "5", "name": "‛q", "file": {}, "parentReference": within("1")},
            {"name": "nobody", "file": {}, "parentReference": within("1")},
        ]);
        let mut script = first(reply(200, &json!({"value": value, "@odata.nextLink": PAGE})));
        let facts = Facts { size: 5, modified: None, hash: None, revision: Some("c".to_owned()) };
        let expected = [
            (node("0", None, ""), Outcome::Folder),
            (node("1", Some("0"), "a."), Outcome::Folder),
            (node("2", Some("1"), "b"), Outcome::File(facts)),
            (node("3", None, ""), Outcome::Removed),
            (node("4", Some("1"), "notes"), Outcome::Removed),
            (node("5", Some("1"), ""), Outcome::Removed),
        ];
        let changes = expected.map(|(at, is)| Change { at, is }).to_vec();
        let page = ChangesPage { changes, cursor: format!("changes!{PAGE}"), more: true };
        assert_eq!(changes_of(&mut script, None), Ok(page));
    }

    fn changes_of(script: &mut Script, cursor: Option<&str>) -> Result<ChangesPage, Error> {
        super::changes(script, cursor)
    }

    #[test]
    fn an_empty_page_need_not_be_the_last() {
        let handle = format!("changes!{PAGE}");
        for (key, more) in [("@odata.nextLink", true), ("@odata.deltaLink", false)] {
            let mut script = next(reply(200, &json!({"value": [], key: PAGE})));
            let page = ChangesPage { changes: Vec::new(), cursor: handle.clone(), more };
            assert_eq!(changes_of(&mut script, Some(&handle)), Ok(page));
        }
        let mut script = next(reply(200, &json!({"value": []})));
        assert!(matches!(changes_of(&mut script, Some(&handle)), Err(Error::Other(_))));
    }

    #[test]
    fn a_cursor_grows_old() {
        let handle = format!("changes!{PAGE}");
        for status in [400, 404, 410] {
            let mut script = next(reply(status, &json!({"error": {"code": "resyncRequired"}})));
            assert_eq!(changes_of(&mut script, Some(&handle)), Err(Error::CursorGone));
        }
        let mut script = first(reply(404, &Value::Null));
        assert_eq!(changes_of(&mut script, None), Err(Error::NotFound));
        let mut script = next(reply(500, &Value::Null));
        assert_eq!(changes_of(&mut script, Some(&handle)), Err(Error::Unavailable));
    }

    #[test]
    fn nothing_is_asked_unless_the_operator_wants_it() {
        for options in ["{}", r#"{"track_changes": false}"#, r#"{"track_changes": true, "app_folder": true}"#]
        {
            let mut script = Script::new(MANIFEST).options(options);
            assert_eq!(changes_of(&mut script, None), Err(Error::Unsupported));
        }
    }

    #[test]
    fn a_cursor_elsewhere_is_refused() {
        let elsewhere = "changes!https://graph.evil.test/v1.0/next";
        let mut script = Script::new(MANIFEST).options(ON);
        assert_eq!(changes_of(&mut script, Some(elsewhere)), Err(Error::Denied));
    }
}
