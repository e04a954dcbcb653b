//! How names are stored, and those that Dropbox cannot store, found before anything is sent.
//!
//! Some of what the service refuses in a name is encoded (`wharf_connector::name`); what is left are the
//! rules of <https://help.dropbox.com/organize/file-names>.

use wharf_connector::name::DROPBOX;
use wharf_connector::{Error, path};

/// Names that its desktop client ignores and its API refuses, in lower case.
const IGNORED: [&str; 5] = ["desktop.ini", "thumbs.db", ".ds_store", ".dropbox", ".dropbox.attr"];
/// Longest name, in UTF-16 units.
const NAME_LENGTH_MAX: usize = 255;

/// A path as the service has it; every request says this one.
pub(crate) fn stored(path: &str) -> String {
    DROPBOX.encode(path)
}

/// Can there be a file or folder at this path?
///
/// # Errors
/// [`Error::BadName`] with the rule that a name of it breaks.
pub(crate) fn check(path: &str) -> Result<(), Error> {
    for name in path::names(path) {
        if let Some(rule) = broken_rule(name) {
            return Err(Error::BadName(format!("`{}` {rule}", name.escape_debug())));
        }
    }
    Ok(())
}

/// Can there be a file at this path? The backup directory itself is none.
///
/// # Errors
/// As [`check`], and [`Error::WrongKind`].
pub(crate) fn check_file(path: &str) -> Result<(), Error> {
    check(path)?;
    if path.is_empty() { Err(Error::WrongKind) } else { Ok(()) }
}

/// Can this path be spoken of? Older rules than today's may have let more names in than [`check`]
/// does, but none that the host would not send.
///
/// # Errors
/// [`Error::NotFound`].
pub(crate) fn check_readable(path: &str) -> Result<(), Error> {
    let readable = path::names(path).all(|name| !has_forbidden(&stored(name)));
    if readable { Ok(()) } else { Err(Error::NotFound) }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let stored = stored(name);
    if has_forbidden(&stored) {
        Some("has a control character")
    } else if IGNORED.contains(&stored.to_ascii_lowercase().as_str()) {
        Some("is a name that Dropbox ignores")
    } else if stored.encode_utf16().count() > NAME_LENGTH_MAX {
        Some("is longer than 255 characters as it is stored")
    } else {
        None
    }
}

/// Control characters but DEL, which alone is encoded.
fn has_forbidden(stored: &str) -> bool {
    stored.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(path: &str, rule: &str) {
        let Err(Error::BadName(text)) = check(path) else { panic!("`{path}` was taken") };
        assert!(text.contains(rule), "{text}");
    }

    #[test]
    fn what_the_service_refuses_is_refused_first() {
        for name in ["a\nb", "a\u{85}", "a/Icon\r/b"] {
            check_refused(name, "control");
            assert_eq!(check_readable(name), Err(Error::NotFound));
        }
        for name in ["Desktop.ini", "thumbs.db", ".DS_Store", ".dropbox", "a/.dropbox.attr"] {
            check_refused(name, "ignores");
            assert_eq!(check_readable(name), Ok(()));
        }
        check_refused(&"😀".repeat(128), "255");
        check_refused(&"＼".repeat(128), "255");
    }

    #[test]
    fn the_rest_is_sent() {
        let long = "é".repeat(255);
        for path in
            ["", "a", " a", "a./b", "con", "a:b", "*", "~$x", ".lock", "a\\b", "a\u{7f}", "a ", "a /b", &long]
        {
            assert_eq!(check(path), Ok(()), "{path}");
            assert_eq!(check_readable(path), Ok(()), "{path}");
        }
        assert_eq!(check_file("a"), Ok(()));
        assert_eq!(check_file(""), Err(Error::WrongKind));
    }
}
