//! Which names a drive takes.
//!
//! Clients are told `400 invalidRequest` for everything else; nothing is silently changed.

use super::error::Failure;
use super::switches::DriveKind;

/// Characters of one name.
const NAME_CHARACTERS_MAX: usize = 255;
/// Characters of a whole decoded path.
const PATH_CHARACTERS_MAX: usize = 400;
const FORBIDDEN: [char; 9] = ['"', '*', ':', '<', '>', '?', '/', '\\', '|'];
const RESERVED: [&str; 6] = [".lock", "con", "prn", "aux", "nul", "desktop.ini"];

/// What a name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    File,
    Folder,
}

/// Checks one name.
pub(crate) fn check(name: &str, wanted: Use, kind: DriveKind, at_root: bool) -> Result<(), Failure> {
    let bad = |why: &str| Err(Failure::invalid(format!("The provided name is invalid: {why}")));
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
        return bad("its length");
    }
    if name.contains(FORBIDDEN) || name.chars().any(char::is_control) {
        return bad("a forbidden character");
    }
    if name.starts_with(' ') || name.ends_with([' ', '.']) {
        return bad("a space or period at its edge");
    }
    let lower = name.to_lowercase();
    if RESERVED.contains(&lower.as_str()) || is_device(&lower) || lower.contains("_vti_") {
        return bad("it is reserved");
    }
    if kind == DriveKind::Personal {
        return Ok(());
    }
    if lower.starts_with("~$") || (wanted == Use::Folder && lower.starts_with('~')) {
        return bad("it looks temporary");
    }
    match at_root && lower == "forms" {
        true => bad("it is reserved at the root"),
        false => Ok(()),
    }
}

/// `COM0`–`COM9` and `LPT0`–`LPT9`.
fn is_device(lower: &str) -> bool {
    let digit = lower.strip_prefix("com").or_else(|| lower.strip_prefix("lpt"));
    digit.is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Checks the length of a whole path.
pub(crate) fn check_path(names: &[String]) -> Result<(), Failure> {
    let length: usize = names.iter().map(|name| name.chars().count() + 1).sum();
    match length > PATH_CHARACTERS_MAX {
        true => Err(Failure::new(400, "pathIsTooLong", "Path exceeds maximum length")),
        false => Ok(()),
    }
}

/// The key under which a name is unique: drives ignore case and keep it.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// `report.txt` becomes `report 1.txt`, `report 2.txt`, …
pub(crate) fn numbered(name: &str, number: usize) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} {number}.{extension}"),
        _ => format!("{name} {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_the_rules() {
        use DriveKind::{Business, Personal};
        use Use::{File, Folder};
        let cases = [
            ("a.txt", File, Business, true),
            ("#%~é😀", File, Business, true),
            ("a:b", File, Business, false),
            ("a ", File, Business, false),
            (" a", File, Business, false),
            ("a.", File, Business, false),
            ("CON", File, Personal, false),
            ("con.txt", File, Personal, true),
            ("LPT3", File, Personal, false),
            ("LPTX", File, Personal, true),
            ("x_vti_y", File, Personal, false),
            ("Desktop.ini", File, Personal, false),
            ("~$a.docx", File, Business, false),
            ("~$a.docx", File, Personal, true),
            ("~a", Folder, Business, false),
            ("~a", File, Business, true),
            ("forms", Folder, Business, false),
            ("forms", Folder, Personal, true),
        ];
        for (name, wanted, kind, good) in cases {
            assert_eq!(check(name, wanted, kind, true).is_ok(), good, "{name:?}");
        }
        assert!(check(&"x".repeat(256), File, Business, false).is_err());
        assert!(check_path(&vec!["x".repeat(100); 4]).is_err());
    }

    #[test]
    fn numbers_go_before_the_extension() {
        assert_eq!(numbered("a.tar.gz", 1), "a.tar 1.gz");
        assert_eq!(numbered(".env", 2), ".env 2");
        assert_eq!(numbered("a", 3), "a 3");
    }
}
