//! Paths as Dropbox takes them: what is not even a path, what is malformed, what is not allowed.
//!
//! Three refusals that clients must tell apart: a string that does not fit the argument's pattern
//! is 400 in plain text; a path with an impossible component is `malformed_path`; one with a name
//! that Dropbox keeps for itself is `disallowed_name`.

use serde_json::{Value, json};

/// UTF-16 units of one component.
const COMPONENT_UNITS_MAX: usize = 255;
/// Names that are never saved.
const IGNORED: [&str; 6] = ["desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr"];

/// What an argument may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `WritePath`: a path or a namespace's.
    Write,
    /// `WritePathOrId`, `PathOrId`: also an id.
    WriteOrId,
    /// `ReadPath`: also a revision.
    Read,
    /// `PathROrId`: also the root.
    Folder,
}

impl Pattern {
    /// As the interface description spells it.
    fn text(self) -> &'static str {
        match self {
            Self::Write => r"(/(.|[\r\n])*)|(ns:[0-9]+(/(.|[\r\n])*)?)",
            Self::WriteOrId => r"(/(.|[\r\n])*)|(ns:[0-9]+(/(.|[\r\n])*)?)|(id:.*)",
            Self::Read => r"(/(.|[\r\n])*|id:.*)|(rev:[0-9a-f]{9,})|(ns:[0-9]+(/(.|[\r\n])*)?)",
            Self::Folder => r"(/(.|[\r\n])*)?|id:.*|(ns:[0-9]+(/(.|[\r\n])*)?)",
        }
    }
}

/// What a path argument names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A path from the root, without a slash at its end; empty for the root.
    Path(String),
    /// An id, and a path below it.
    Id(String, String),
    /// A revision.
    Rev(String),
}

/// Reads a path argument; the error is the text of a 400.
pub(crate) fn read(text: &str, pattern: Pattern, namespace: &str) -> Result<Named, String> {
    let mismatch = || format!("path: '{text}' did not match pattern '{}'", pattern.text());
    if text.is_empty() {
        return match pattern {
            Pattern::Folder => Ok(Named::Path(String::new())),
            Pattern::Read | Pattern::Write | Pattern::WriteOrId => Err(mismatch()),
        };
    }
    if text == "/" && pattern == Pattern::Folder {
        return Err("path: Specify the root folder as an empty string rather than as \"/\".".to_owned());
    }
    if text.starts_with('/') {
        return Ok(Named::Path(trimmed(text)));
    }
    if let Some(rest) = text.strip_prefix("ns:") {
        let (id, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let known = id == namespace;
        return match id.bytes().all(|byte| byte.is_ascii_digit()) && !id.is_empty() {
            true if known => Ok(Named::Path(trimmed(rest))),
            true => Ok(Named::Id(format!("ns:{id}"), String::new())),
            false => Err(mismatch()),
        };
    }
    if text.starts_with("id:") && pattern != Pattern::Write {
        let (id, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        return Ok(Named::Id(id.to_owned(), trimmed(rest)));
    }
    match text.strip_prefix("rev:") {
        Some(rev) if pattern == Pattern::Read && is_rev(rev) => Ok(Named::Rev(rev.to_owned())),
        Some(_) | None => Err(mismatch()),
    }
}

/// Whether a string has the form of a revision.
pub(crate) fn is_rev(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() >= 9 && text.bytes().all(digit)
}

fn trimmed(text: &str) -> String {
    text.strip_suffix('/').unwrap_or(text).to_owned()
}

/// Whether a path can be looked up at all; the error is a `LookupError`.
pub(crate) fn check_lookup(path: &str) -> Result<(), Value> {
    let malformed = path.split('/').skip(1).any(is_malformed);
    match malformed {
        true => Err(json!({".tag": "malformed_path"})),
        false => Ok(()),
    }
}

/// Whether a path can be written to; the error is a `WriteError`.
pub(crate) fn check_write(path: &str, refuse_emoji: bool) -> Result<(), Value> {
    let mut names = path.split('/').skip(1).peekable();
    let beyond = refuse_emoji && path.chars().any(|letter| letter > '\u{ffff}');
    if names.peek().is_none() || beyond || names.any(is_malformed) {
        return Err(json!({".tag": "malformed_path"}));
    }
    let ignored = |name: &str| IGNORED.contains(&name.to_lowercase().as_str());
    match path.split('/').any(ignored) {
        true => Err(json!({".tag": "disallowed_name"})),
        false => Ok(()),
    }
}

fn is_malformed(name: &str) -> bool {
    name.is_empty()
        || name == "."
        || name == ".."
        || name.ends_with(' ')
        || name.contains(['\\', '\u{7f}'])
        || name.encode_utf16().count() > COMPONENT_UNITS_MAX
        || (name.chars().any(char::is_control) && !IGNORED.contains(&name.to_lowercase().as_str()))
}

/// The key under which a path is unique: Dropbox ignores case.
pub(crate) fn fold(path: &str) -> String {
    path.to_lowercase()
}

/// The folder of a path; empty for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The last name of a path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Every folder above a path, from the top.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).map(|(place, _)| &path[..place])
}

/// `a.txt` with a mark before its extension: `a (1).txt`.
pub(crate) fn marked(path: &str, mark: &str) -> String {
    let (folder, last) = (parent(path), name(path));
    match last.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => {
            format!("{folder}/{stem} ({mark}).{extension}")
        }
        _ => format!("{folder}/{last} ({mark})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_by_their_pattern() {
        use Pattern::{Folder, Read, Write, WriteOrId};
        let path = |text: &str| Some(Named::Path(text.to_owned()));
        let id = |text: &str, rest: &str| Some(Named::Id(text.to_owned(), rest.to_owned()));
        let cases = [
            ("/a/b", Write, path("/a/b")),
            ("/a/b/", Read, path("/a/b")),
            ("a/b", Write, None),
            ("", Folder, path("")),
            ("", Read, None),
            ("/", Folder, None),
            ("id:abc", WriteOrId, id("id:abc", "")),
            ("id:abc/x", Read, id("id:abc", "/x")),
            ("id:abc", Write, None),
            ("rev:0123456789", Read, Some(Named::Rev("0123456789".to_owned()))),
            ("rev:01234567", Read, None),
            ("rev:0123456789", WriteOrId, None),
            ("ns:42/a", Write, path("/a")),
            ("ns:42", Folder, path("")),
            ("ns:7/a", Read, id("ns:7", "")),
            ("ns:x/a", Read, None),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(read(text, pattern, "42").ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn names_by_the_rules() {
        let tag = |path: &str, emoji| {
            let error = check_write(path, emoji).err()?;
            Some(error[".tag"].as_str()?.to_owned())
        };
        let cases = [
            ("/a/é#%.txt", false, None),
            ("/😀", false, None),
            ("/😀", true, Some("malformed_path")),
            ("/a /b", false, Some("malformed_path")),
            ("/a//b", false, Some("malformed_path")),
            ("/a\\b", false, Some("malformed_path")),
            ("/Desktop.ini", false, Some("disallowed_name")),
            ("/.DS_Store/x", false, Some("disallowed_name")),
            ("", false, Some("malformed_path")),
        ];
        for (path, emoji, expected) in cases {
            assert_eq!(tag(path, emoji).as_deref(), expected, "{path:?}");
        }
        assert!(check_write(&format!("/{}", "x".repeat(256)), false).is_err());
        assert_eq!(marked("/a/b.txt", "1"), "/a/b (1).txt");
        let above: Vec<_> = ancestors("/a/b/c").collect();
        assert_eq!(above, ["/a", "/a/b"]);
    }
}
