//! `CommitInfo`: what is to become of uploaded bytes, and what a refusal of it complains about.

use serde_json::{Map, Value, json};
use wharf_connector::{Error, Info, Mode, time};

use crate::error::{self, Tags};
use crate::name;

/// The arguments of a commit.
///
/// # Errors
/// [`Error::Conflict`] for a revision that no file of this service can have.
pub(crate) fn arguments(path: &str, info: &Info) -> Result<Map<String, Value>, Error> {
    let mode = match &info.mode {
        Mode::Replace => json!("overwrite"),
        Mode::Create => json!("add"),
        Mode::ReplaceIfRevision(revision) => {
            check_revision(revision)?;
            json!({".tag": "update", "update": revision})
        }
    };
    let mut arguments = Map::new();
    arguments.insert("path".to_owned(), json!(name::stored(path)));
    arguments.insert("mode".to_owned(), mode);
    // Under another name it would not be found again.
    arguments.insert("autorename".to_owned(), json!(false));
    // Nobody wants a notification for each file of a backup.
    arguments.insert("mute".to_owned(), json!(true));
    // Without this, identical bytes count as no conflict, and two creators of a lock would both win.
    arguments.insert("strict_conflict".to_owned(), json!(info.mode != Mode::Replace));
    if let Some(modified) = info.modified.as_ref().and_then(time::format) {
        arguments.insert("client_modified".to_owned(), json!(modified));
    }
    Ok(arguments)
}

/// What the refusal of a commit complains about.
pub(crate) fn complaint(tags: &Tags<'_>, mode: &Mode) -> Error {
    let error = error::of(tags);
    if error == Error::Exists && *mode != Mode::Create { Error::Conflict } else { error }
}

/// A request with anything else would be refused as a whole, without a reason to act on.
///
/// # Errors
/// [`Error::Conflict`].
pub(crate) fn check_revision(revision: &str) -> Result<(), Error> {
    let fits = revision.len() >= 9 && revision.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { Ok(()) } else { Err(Error::Conflict) }
}

#[cfg(test)]
mod tests {
    use wharf_connector::Datetime;

    use super::*;

    #[track_caller]
    fn check(mode: Mode, modified: Option<i64>, expected: Value) {
        let modified = modified.map(|seconds| Datetime { seconds, nanoseconds: 999 });
        let info = Info { size: 5, modified, keep_modified: false, mode };
        assert_eq!(arguments("a/f", &info).map(Value::Object), Ok(expected));
    }

    #[test]
    fn the_mode_decides() {
        let common = |mode: Value, strict: bool| json!({"path": "a/f", "mode": mode, "autorename": false, "mute": true, "strict_conflict": strict});
        check(Mode::Replace, None, common(json!("overwrite"), false));
        check(Mode::Create, None, common(json!("add"), true));
        let update = json!({".tag": "update", "update": "a1c10ce0dd78"});
        check(Mode::ReplaceIfRevision("a1c10ce0dd78".to_owned()), None, common(update, true));
        let mut timed = common(json!("overwrite"), false);
        timed["client_modified"] = json!("1969-12-31T23:59:59Z");
        check(Mode::Replace, Some(-1), timed);
        // The year 300000 is left out rather than wrong.
        check(Mode::Replace, Some(9_400_000_000_000), common(json!("overwrite"), false));
    }

    #[test]
    fn a_revision_of_another_service_conflicts() {
        for revision in ["", "a1c10ce0", "A1C10CE0DD78", "\"c:1\""] {
            assert_eq!(check_revision(revision), Err(Error::Conflict));
        }
    }
}
