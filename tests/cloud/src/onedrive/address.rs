//! The many ways to name an item: by id, by path, by both, with and without the last colon.
//!
//! Works on the decoded path, because clients encode the whole `root:/a/b:` as if it were an id.

/// Which drive is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DriveName {
    /// The account's own.
    Mine,
    /// By id.
    Id(String),
}

/// Which item the path starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The root.
    Root,
    /// By id.
    Id(String),
    /// The folder of the application.
    AppFolder,
}

/// An item of a drive, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) drive: DriveName,
    pub(crate) start: Start,
    /// Names below the start.
    pub(crate) names: Vec<String>,
    /// What follows the item, such as `children`; empty for the item itself.
    pub(crate) action: String,
}

/// A place below the API's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/me`
    Me,
    /// `/$batch`
    Batch,
    /// A drive itself.
    Drive(DriveName),
    /// The list of drives.
    Drives,
    /// An item.
    Item(Address),
}

/// Prefixes of the API; the last two are what rclone and old clients use.
const PREFIXES: [&str; 4] = ["/v1.0/", "/beta/", "/_api/v2.0/", "/v2.0/"];

/// The part of a decoded path below the API's root, with the prefix that was used.
pub(crate) fn strip(path: &str) -> Option<(&'static str, &str)> {
    PREFIXES.iter().find_map(|prefix| {
        let rest = path.strip_prefix(prefix)?;
        Some((prefix.trim_end_matches('/'), rest))
    })
}

/// Reads a decoded path; `None` when it is no place the emulator knows.
pub(crate) fn parse(path: &str) -> Option<Place> {
    let (_, rest) = strip(path)?;
    let rest = rest.trim_end_matches('/');
    match rest {
        "me" => return Some(Place::Me),
        "$batch" => return Some(Place::Batch),
        _ => {}
    }
    let (drive, rest) = drive(rest)?;
    match rest {
        None => return Some(Place::Drives),
        Some("") => return Some(Place::Drive(drive)),
        Some(_) => {}
    }
    let rest = rest?.strip_prefix('/')?;
    let (start, rest) = start(rest)?;
    let (names, action) = names(rest)?;
    Some(Place::Item(Address { drive, start, names, action }))
}

/// The drive, and what follows it; `None` in the second place for the list of drives.
fn drive(rest: &str) -> Option<(DriveName, Option<&str>)> {
    if let Some(rest) = rest.strip_prefix("drives/") {
        let end = rest.find('/').unwrap_or(rest.len());
        let (id, rest) = rest.split_at(end);
        return Some((DriveName::Id(id.to_owned()), Some(rest)));
    }
    let owner = rest.strip_prefix("me/").map(Some).unwrap_or_else(|| {
        let rest = rest.strip_prefix("users/").or_else(|| rest.strip_prefix("sites/"))?;
        rest.split_once('/').map(|(_, rest)| rest)
    });
    let rest = match owner {
        Some(rest) => rest,
        // Old clients leave the owner out: `/drive/root`.
        None => rest,
    };
    if rest == "drives" {
        return Some((DriveName::Mine, None));
    }
    if let Some(rest) = rest.strip_prefix("drives/") {
        let end = rest.find('/').unwrap_or(rest.len());
        let (id, rest) = rest.split_at(end);
        return Some((DriveName::Id(id.to_owned()), Some(rest)));
    }
    let rest = rest.strip_prefix("drive")?;
    (rest.is_empty() || rest.starts_with('/')).then_some((DriveName::Mine, Some(rest)))
}

fn start(rest: &str) -> Option<(Start, &str)> {
    if let Some(rest) = rest.strip_prefix("items/") {
        let end = rest.find(['/', ':']).unwrap_or(rest.len());
        let (id, rest) = rest.split_at(end);
        let start = match id {
            "" => return None,
            "root" => Start::Root,
            _ => Start::Id(id.to_owned()),
        };
        return Some((start, rest));
    }
    if let Some(rest) = rest.strip_prefix("special/") {
        return Some((Start::AppFolder, rest.strip_prefix("approot")?));
    }
    let rest = rest.strip_prefix("root")?;
    (rest.is_empty() || rest.starts_with(['/', ':'])).then_some((Start::Root, rest))
}

/// The names after `:` and the action after the closing colon.
fn names(rest: &str) -> Option<(Vec<String>, String)> {
    let Some(path) = rest.strip_prefix(':') else {
        let action = rest.strip_prefix('/').unwrap_or(rest);
        return Some((Vec::new(), action.to_owned()));
    };
    let (path, action) = match path.split_once(':') {
        None => (path, ""),
        Some((path, "")) => (path, ""),
        Some((path, action)) => (path, action.strip_prefix('/')?),
    };
    let names = path.split('/').filter(|name| !name.is_empty() && *name != ".").map(str::to_owned).collect();
    Some((names, action.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_item() {
        let mine = DriveName::Mine;
        let id = |text: &str| DriveName::Id(text.to_owned());
        let at = |text: &str| Start::Id(text.to_owned());
        let cases = [
            ("me/drive/root", mine.clone(), Start::Root, vec![], ""),
            ("me/drive/root/children", mine.clone(), Start::Root, vec![], "children"),
            ("me/drive/root:/a/b.txt", mine.clone(), Start::Root, vec!["a", "b.txt"], ""),
            ("me/drive/root:/a/b.txt:", mine.clone(), Start::Root, vec!["a", "b.txt"], ""),
            ("me/drive/root:/a:/content", mine.clone(), Start::Root, vec!["a"], "content"),
            ("drives/b!X/items/01A", id("b!X"), at("01A"), vec![], ""),
            (
                "drives/b!X/items/01A:/x/y:/createUploadSession",
                id("b!X"),
                at("01A"),
                vec!["x", "y"],
                "createUploadSession",
            ),
            ("drives/D/items/root:/g/s.bin:/content", id("D"), Start::Root, vec!["g", "s.bin"], "content"),
            ("drives/D/root:/./h.txt", id("D"), Start::Root, vec!["h.txt"], ""),
            ("me/drive/special/approot:/a:/children", mine.clone(), Start::AppFolder, vec!["a"], "children"),
            ("drives/D/items/01A/versions/2.0/content", id("D"), at("01A"), vec![], "versions/2.0/content"),
            ("users/u@x/drive/root/delta", mine.clone(), Start::Root, vec![], "delta"),
            ("me/drive/root:/:/children", mine, Start::Root, vec![], "children"),
        ];
        for (path, drive, start, names, action) in cases {
            let expected = Place::Item(Address {
                drive,
                start,
                names: names.into_iter().map(str::to_owned).collect(),
                action: action.to_owned(),
            });
            assert_eq!(parse(&format!("/v1.0/{path}")), Some(expected), "{path}");
        }
    }

    #[test]
    fn places_that_are_no_items() {
        assert_eq!(parse("/v1.0/me"), Some(Place::Me));
        assert_eq!(parse("/v1.0/$batch"), Some(Place::Batch));
        assert_eq!(parse("/v1.0/me/drives"), Some(Place::Drives));
        assert_eq!(parse("/v1.0/me/drive"), Some(Place::Drive(DriveName::Mine)));
        assert_eq!(parse("/_api/v2.0/drives/D"), Some(Place::Drive(DriveName::Id("D".to_owned()))));
        for path in ["/v1.0/me/messages", "/v9/me", "/v1.0/me/drivex", "/"] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
