//! What changed in the backup directory, page by page.
//!
//! The cursor at the end of a listing is where the next changes begin, so there is no request of its
//! own for this: the routes are those of a listing, confined to the directory as it is.

use wharf_connector::name::DROPBOX;
use wharf_connector::{Broker, Change, ChangesPage, Entry, Error, Facts, Kind, Level, Outcome, Whereabouts};

use crate::metadata::Metadata;
use crate::{error, listing};

/// One page; `cursor` is that of the page before.
///
/// # Errors
/// [`Error::CursorGone`] when the cursor is no longer good, or the directory is gone. Else why it
/// cannot be told.
pub(crate) fn changes<B: Broker>(broker: &mut B, cursor: Option<&str>) -> Result<ChangesPage, Error> {
    let reply = listing::ask(broker, "", true, cursor)?;
    if !reply.is_success() {
        return Err(match (error::read(&reply), cursor) {
            // The directory was removed, and perhaps made anew: only a new listing knows.
            (Error::NotFound | Error::WrongKind, Some(_)) => Error::CursorGone,
            // A cursor that the service cannot read.
            (Error::Other(_), Some(_)) if reply.status == 400 => Error::CursorGone,
            (error, _) => error,
        });
    }
    let answer: listing::Answer = reply.json()?;
    let directory = broker.settings().directory.clone();
    let mut changes = Vec::with_capacity(answer.entries.len());
    for item in answer.entries {
        changes.extend(change(broker, &directory, item));
    }
    Ok(ChangesPage { changes, cursor: answer.cursor, more: answer.has_more })
}

fn change<B: Broker>(broker: &mut B, directory: &str, item: Metadata) -> Option<Change> {
    let path = match item.path_below(directory, "") {
        Some(below) => DROPBOX.decode(&below).or_else(|| {
            let stored = below.escape_debug();
            broker.log(Level::Warn, &format!("`{stored}` cannot be named here and is left out"));
            None
        })?,
        // The directory itself is of interest only when it goes.
        None if item.is_deleted() && item.has_path() => String::new(),
        None => return None,
    };
    let is = match item.entry(path.clone()) {
        Ok(Entry { kind: Kind::Folder, .. }) => Outcome::Folder,
        Ok(Entry { kind: Kind::File, size, modified, hash, revision, .. }) => {
            Outcome::File(Facts { size, modified, hash, revision })
        }
        // Deleted, or to be exported only.
        Err(_) => Outcome::Removed,
    };
    Some(Change { at: Whereabouts::Path(path), is })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Answer, Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    fn first(answer: Answer) -> Script {
        let arguments = json!({"path": "", "recursive": true, "limit": 2000});
        Script::new(MANIFEST).on("list", json!({"json": arguments}), answer)
    }

    fn next(answer: Answer) -> Script {
        Script::new(MANIFEST).on("next-page", json!({"json": {"cursor": "c0"}}), answer)
    }

    fn at(path: &str) -> Whereabouts {
        Whereabouts::Path(path.to_owned())
    }

    #[track_caller]
    fn check(mut script: Script, cursor: Option<&str>, expected: Result<(Vec<Change>, bool), Error>) {
        let page = super::changes(&mut script, cursor);
        let expected = expected.map(|(changes, more)| ChangesPage { changes, cursor: "c1".to_owned(), more });
        assert_eq!(page, expected);
    }

    #[test]
    fn a_tree_and_then_what_changed() {
        let facts = Facts { size: 5, modified: None, hash: None, revision: Some("r".to_owned()) };
        let entries = json!([
            {".tag": "folder", "name": "server1", "path_display": "/backups/server1"},
            {".tag": "folder", "name": "a", "path_display": "/backups/server1/a"},
            {".tag": "file", "name": "x＼y", "size": 5, "rev": "r", "path_display": "/backups/server1/a/x＼y"},
            {".tag": "file", "name": "‛z", "path_display": "/backups/server1/a/‛z"},
        ]);
        let expected = vec![
            Change { at: at("a"), is: Outcome::Folder },
            Change { at: at("a/x\\y"), is: Outcome::File(facts) },
        ];
        let page = |entries: Value, more: bool| {
            reply(200, &json!({"entries": entries, "cursor": "c1", "has_more": more}))
        };
        check(first(page(entries, true)), None, Ok((expected, true)));
        let entries = json!([
            {".tag": "deleted", "name": "a", "path_display": "/backups/server1/a"},
            {".tag": "deleted", "name": "server1", "path_display": "/backups/server1"},
            {".tag": "file", "name": "n.paper", "path_display": "/backups/server1/n.paper", "is_downloadable": false},
        ]);
        let expected = ["a", "", "n.paper"].map(|path| Change { at: at(path), is: Outcome::Removed });
        check(next(page(entries, false)), Some("c0"), Ok((expected.to_vec(), false)));
        check(next(page(json!([]), false)), Some("c0"), Ok((Vec::new(), false)));
    }

    #[test]
    fn a_cursor_grows_old() {
        let refused = |tag: Value| reply(409, &json!({"error": tag}));
        let missing = json!({".tag": "path", "path": {".tag": "not_found"}});
        check(next(refused(json!({".tag": "reset"}))), Some("c0"), Err(Error::CursorGone));
        check(next(refused(missing.clone())), Some("c0"), Err(Error::CursorGone));
        check(next(reply(400, &json!("cursor: invalid"))), Some("c0"), Err(Error::CursorGone));
        check(next(reply(500, &Value::Null)), Some("c0"), Err(Error::Unavailable));
        check(first(refused(missing)), None, Err(Error::NotFound));
    }
}
