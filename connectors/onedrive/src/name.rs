//! Names that OneDrive cannot store, found before anything is sent.
//!
//! The rules are those of
//! <https://support.microsoft.com/office/64883a5d-228e-48f5-b3d2-eb39e07630fa>. What only some accounts
//! refuse is left to the service, and explained when it does.

use wharf_connector::{Error, Reply, path};

use crate::error;

/// What separates, selects or redirects somewhere in Microsoft's world.
const FORBIDDEN: [char; 9] = ['"', '*', ':', '<', '>', '?', '/', '\\', '|'];
/// Names of devices and of files with a meaning of their own, in lower case.
const RESERVED: [&str; 6] = [".lock", "con", "prn", "aux", "nul", "desktop.ini"];
/// Longest name, in UTF-16 units.
const NAME_LENGTH_MAX: usize = 255;
/// Longest path from the root of the drive, in UTF-16 units.
const PATH_LENGTH_MAX: usize = 400;

/// Can this path be stored?
///
/// # Errors
/// [`Error::BadName`] with the rule that a name of it breaks.
pub(crate) fn check(directory: &str, path: &str) -> Result<(), Error> {
    for name in path::names(path) {
        if let Some(rule) = broken_rule(name) {
            return Err(bad(name, rule));
        }
    }
    if utf16_length(directory) + 1 + utf16_length(path) > PATH_LENGTH_MAX {
        return Err(Error::BadName(format!("the path is longer than {PATH_LENGTH_MAX} characters")));
    }
    Ok(())
}

/// Can this path be spoken of? Names may be there that [`check`] would not store, but none with a
/// character that an address takes apart.
///
/// # Errors
/// [`Error::NotFound`].
pub(crate) fn check_readable(path: &str) -> Result<(), Error> {
    let readable = path::names(path).all(|name| !has_forbidden(name));
    if readable { Ok(()) } else { Err(Error::NotFound) }
}

/// What a refused write complains about; a `400` without an exact code is about the name when the
/// name is one that only some accounts take.
pub(crate) fn explain(reply: &Reply, path: &str) -> Error {
    if reply.status == 400 {
        for name in path::names(path) {
            if let Some(rule) = doubtful_rule(name) {
                return bad(name, rule);
            }
        }
    }
    error::read(reply)
}

fn bad(name: &str, rule: &str) -> Error {
    Error::BadName(format!("`{}` {rule}", name.escape_debug()))
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if has_forbidden(name) {
        Some("has a control character or one of \" * : < > ? / \\ |")
    } else if name.starts_with(' ') || name.ends_with(' ') {
        Some("begins or ends with a space")
    } else if name.ends_with('.') {
        Some("ends with a dot")
    } else if RESERVED.contains(&lower.as_str()) || lower.contains("_vti_") || is_numbered_device(&lower) {
        Some("is reserved")
    } else if utf16_length(name) > NAME_LENGTH_MAX {
        Some("is longer than 255 characters")
    } else {
        None
    }
}

fn doubtful_rule(name: &str) -> Option<&'static str> {
    if name.starts_with('~') {
        Some("begins with `~`, which OneDrive for work and SharePoint do not take")
    } else if name.eq_ignore_ascii_case("forms") {
        Some("is reserved at the root of a library")
    } else {
        None
    }
}

fn has_forbidden(name: &str) -> bool {
    name.contains(|one: char| one.is_control() || FORBIDDEN.contains(&one))
}

/// `com0` to `com9` and `lpt0` to `lpt9`, without an extension.
fn is_numbered_device(lower: &str) -> bool {
    let number = lower.strip_prefix("com").or_else(|| lower.strip_prefix("lpt"));
    number.is_some_and(|number| number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(path: &str, rule: &str) {
        let Err(Error::BadName(text)) = check("/backups", path) else { panic!("`{path}` was taken") };
        assert!(text.contains(rule), "{text}");
    }

    #[test]
    fn what_the_service_refuses_is_refused_first() {
        for name in ["a:b", "a*", "a?", "\"", "<", ">", "|", "a\\b", "a\u{7}", "a\u{7f}"] {
            check_refused(name, "has a control character or one of");
            assert_eq!(check_readable(name), Err(Error::NotFound));
        }
        for name in [" a", "a ", "x/ a/y"] {
            check_refused(name, "space");
        }
        check_refused("a.", "dot");
        for name in [".lock", "CON", "Nul", "COM1", "lpt9", "desktop.INI", "a_vti_b"] {
            check_refused(name, "reserved");
            assert_eq!(check_readable(name), Ok(()));
        }
        check_refused(&"é".repeat(256), "255");
        check_refused(&"😀".repeat(128), "255");
        check_refused(&["a".repeat(200), "b".repeat(200)].join("/"), "400");
    }

    #[test]
    fn the_rest_is_sent() {
        let wide = "é".repeat(255);
        let near = ["a".repeat(195), "b".repeat(194)].join("/");
        for path in [
            "", "a", "a/b c/d", ".hidden", "#1", "100%", "CON.txt", "com10", "~a", "~$a.docx", "forms",
            &wide, &near,
        ] {
            assert_eq!(check("/backups", path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_refusal_is_explained_by_the_name() {
        let refused = |status, path| {
            let body = br#"{"error": {"code": "invalidRequest"}}"#.to_vec();
            explain(&Reply { status, headers: Vec::new(), body, maybe_applied: false }, path)
        };
        assert!(matches!(refused(400, "a/~b"), Error::BadName(text) if text.contains("for work")));
        assert!(
            matches!(refused(400, "Forms/x"), Error::BadName(text) if text.contains("root of a library"))
        );
        assert!(matches!(refused(400, "a"), Error::Other(_)));
        assert_eq!(refused(403, "~a"), Error::Denied);
    }
}
