//! How names are stored, and those that OneDrive cannot store, found before anything is sent.
//!
//! Most of what the service refuses in a name is encoded (`wharf_connector::name`); what is left are
//! the rules of <https://support.microsoft.com/office/64883a5d-228e-48f5-b3d2-eb39e07630fa> about names as
//! a whole. What only some accounts refuse is left to the service, and explained when it does.

use wharf_connector::name::ONEDRIVE;
use wharf_connector::{Error, Reply, Settings, path};

use crate::error;

/// Names of devices and of files with a meaning of their own, in lower case.
const RESERVED: [&str; 6] = [".lock", "con", "prn", "aux", "nul", "desktop.ini"];
/// Longest name, in UTF-16 units.
const NAME_LENGTH_MAX: usize = 255;
/// Longest path from the root of the drive, in UTF-16 units.
const PATH_LENGTH_MAX: usize = 400;

/// What SharePoint rewrites after an upload, by the end of its name; the manifest's `rewrites` are the same.
const REWRITTEN: [&str; 17] = [
    ".docx", ".docm", ".dotx", ".xlsx", ".xlsm", ".xltx", ".pptx", ".pptm", ".potx", ".ppsx", ".vsdx",
    ".html", ".htm", ".aspx", ".jpg", ".jpeg", ".heic",
];
/// What makes a name one that SharePoint leaves alone.
const OPAQUE: &str = ".bin";

/// What of the destination's options concerns names.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Options {
    opaque_names: bool,
}

impl Options {
    fn of(settings: &Settings) -> Self {
        serde_json::from_str(&settings.options).unwrap_or_default()
    }
}

/// A path as the service has it; every request says this one.
pub(crate) fn stored(settings: &Settings, path: &str) -> String {
    let encoded = encoded(path);
    if !Options::of(settings).opaque_names {
        return encoded;
    }
    let names: Vec<String> = path::names(&encoded).map(opaque).collect();
    names.join("/")
}

/// A name as it was before it was stored; none for one that these rules do not make.
pub(crate) fn told(settings: &Settings, stored: &str) -> Option<String> {
    if Options::of(settings).opaque_names && is_rewritten(stored) {
        // Without the end it was stored before the option was set, or by somebody else.
        return ONEDRIVE.decode_name(stored.strip_suffix(OPAQUE)?);
    }
    ONEDRIVE.decode_name(stored)
}

fn encoded(path: &str) -> String {
    ONEDRIVE.encode(path)
}

/// One end more, also for names that have one of their own: so each name can be told from its stored one.
fn opaque(name: &str) -> String {
    if is_rewritten(name) { format!("{name}{OPAQUE}") } else { name.to_owned() }
}

fn is_rewritten(name: &str) -> bool {
    let bare = name.trim_end_matches(OPAQUE).to_ascii_lowercase();
    REWRITTEN.iter().any(|end| bare.ends_with(end))
}

/// Can this path be stored?
///
/// # Errors
/// [`Error::BadName`] with the rule that a name of it breaks.
pub(crate) fn check(settings: &Settings, path: &str) -> Result<(), Error> {
    for name in path::names(path) {
        if let Some(rule) = broken_rule(name) {
            return Err(bad(name, rule));
        }
    }
    if utf16_length(&settings.directory) + 1 + utf16_length(&stored(settings, path)) > PATH_LENGTH_MAX {
        return Err(Error::BadName(format!("the path is longer than {PATH_LENGTH_MAX} characters")));
    }
    Ok(())
}

/// Can this path be spoken of? Names may be there that [`check`] would not store, but none that the
/// host would not send.
///
/// # Errors
/// [`Error::NotFound`].
pub(crate) fn check_readable(path: &str) -> Result<(), Error> {
    let readable = path::names(path).all(|name| !has_forbidden(&encoded(name)));
    if readable { Ok(()) } else { Err(Error::NotFound) }
}

/// What a refused write complains about; a `400` without an exact code is about the name when the
/// name is one that only some accounts take.
pub(crate) fn explain(reply: &Reply, path: &str) -> Error {
    if reply.status == 400
        && let Some(name) = path::names(path).find(|name| name.eq_ignore_ascii_case("forms"))
    {
        return bad(name, "is reserved at the root of a library");
    }
    error::read(reply)
}

fn bad(name: &str, rule: &str) -> Error {
    Error::BadName(format!("`{}` {rule}", name.escape_debug()))
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let stored = encoded(name);
    let lower = stored.to_ascii_lowercase();
    if has_forbidden(&stored) {
        Some("has a control character that nothing stands for")
    } else if RESERVED.contains(&lower.as_str()) || lower.contains("_vti_") || is_numbered_device(&lower) {
        Some("is reserved")
    } else if utf16_length(&stored) > NAME_LENGTH_MAX {
        Some("is longer than 255 characters as it is stored")
    } else {
        None
    }
}

/// The control characters from 128 to 159, which no encoding covers and no address of the host's takes.
fn has_forbidden(stored: &str) -> bool {
    stored.contains(char::is_control)
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

    fn settings(options: &str) -> Settings {
        Settings { directory: "/backups".to_owned(), options: options.to_owned() }
    }

    #[test]
    fn opaque_names_come_back() {
        let opaque = settings(r#"{"opaque_names": true}"#);
        for (name, expected) in [
            ("a/report.docx", "a/report.docx.bin"),
            ("a/report.docx.bin", "a/report.docx.bin.bin"),
            ("PHOTO.JPG", "PHOTO.JPG.bin"),
            ("disk.bin", "disk.bin"),
            ("site.html/a:b", "site.html.bin/a：b"),
        ] {
            assert_eq!(stored(&opaque, name), expected);
            let back: Option<Vec<String>> = path::names(expected).map(|name| told(&opaque, name)).collect();
            assert_eq!(back.map(|names| names.join("/")).as_deref(), Some(name));
        }
        assert_eq!(told(&opaque, "report.docx"), None);
        assert_eq!(stored(&settings("{}"), "report.docx"), "report.docx");
        assert_eq!(told(&settings("{}"), "report.docx").as_deref(), Some("report.docx"));
    }

    #[test]
    fn the_manifest_names_what_is_rewritten() {
        let manifest: serde_json::Value = serde_json::from_str(crate::tests::MANIFEST).unwrap();
        assert_eq!(manifest["upload"]["rewrites"]["endings"], serde_json::json!(REWRITTEN));
    }

    #[track_caller]
    fn check_refused(path: &str, rule: &str) {
        let Err(Error::BadName(text)) = check(&settings("{}"), path) else { panic!("`{path}` was taken") };
        assert!(text.contains(rule), "{text}");
    }

    #[test]
    fn what_the_service_refuses_is_refused_first() {
        check_refused("a\u{85}b", "control character");
        assert_eq!(check_readable("a\u{85}b"), Err(Error::NotFound));
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
            "a:b", "a*", "a?", "\"", "<", ">", "|", "a\\b", "a\u{7}", "a\u{7f}", " a", "a ", "x/ a/y", "a.",
            &wide, &near,
        ] {
            assert_eq!(check(&settings("{}"), path), Ok(()), "{path}");
            assert_eq!(check_readable(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_it_is_stored() {
        assert_eq!(check(&settings("{}"), &":".repeat(255)), Ok(()));
        assert_eq!(check(&settings("{}"), &"：".repeat(127)), Ok(()));
        check_refused(&"：".repeat(128), "255");
        check_refused(&["：".repeat(100), "：".repeat(100)].join("/"), "400");
    }

    #[test]
    fn a_refusal_is_explained_by_the_name() {
        let refused = |status, path| {
            let body = br#"{"error": {"code": "invalidRequest"}}"#.to_vec();
            explain(&Reply { status, headers: Vec::new(), body, maybe_applied: false }, path)
        };
        assert!(
            matches!(refused(400, "Forms/x"), Error::BadName(text) if text.contains("root of a library"))
        );
        assert!(matches!(refused(400, "a"), Error::Other(_)));
        assert_eq!(refused(403, "forms"), Error::Denied);
    }
}
