//! Paths relative to the backup directory: names between single slashes, `""` for the directory.
//!
//! The host has checked them; what a *service* cannot store is for its connector to refuse.

/// The names of a path, first to last. Works for absolute directories too.
pub fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// How many names it has.
#[must_use]
pub fn depth(path: &str) -> usize {
    names(path).count()
}

/// The last name; empty for the backup directory.
#[must_use]
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Where it lies; none for the backup directory, whose own place cannot be spoken of.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some((parent, _)) => Some(parent),
        None if path.is_empty() => None,
        None => Some(""),
    }
}

/// A name in a folder.
#[must_use]
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected_parent: Option<&str>, expected_name: &str, expected_depth: usize) {
        assert_eq!((parent(path), name(path), depth(path)), (expected_parent, expected_name, expected_depth));
        if let Some(parent) = parent(path) {
            assert_eq!(join(parent, name(path)), path);
        }
    }

    #[test]
    fn a_path_comes_apart_and_together() {
        check("", None, "", 0);
        check("a", Some(""), "a", 1);
        check("a/b", Some("a"), "b", 2);
        check("a/b c/d", Some("a/b c"), "d", 3);
    }

    #[test]
    fn directories_have_names_too() {
        assert_eq!(names("/backups/server1").collect::<Vec<_>>(), ["backups", "server1"]);
        assert_eq!(depth("/"), 0);
    }
}
