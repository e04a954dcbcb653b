//! `Metadata` as the service writes it, made an [`Entry`].

use serde::Deserialize;
use wharf_connector::{Algorithm, Entry, Error, Kind, hash, path, time};

/// What is used of it. The `.tag` is missing where only a file is possible, and says something else in
/// lists of results.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    #[serde(rename = ".tag")]
    tag: Option<String>,
    name: String,
    path_display: Option<String>,
    path_lower: Option<String>,
    client_modified: Option<String>,
    rev: Option<String>,
    size: u64,
    content_hash: Option<String>,
    is_downloadable: Option<bool>,
}

impl Metadata {
    /// The entry at `path`.
    pub(crate) fn entry(self, path: String) -> Result<Entry, Error> {
        match self.tag.as_deref() {
            Some("deleted") => Err(Error::NotFound),
            Some("folder") => Ok(folder(path)),
            _ if self.is_downloadable == Some(false) => Err(Error::Unsupported),
            _ => Ok(Entry {
                path,
                kind: Kind::File,
                size: self.size,
                modified: self.client_modified.and_then(|text| time::parse(&text)),
                hash: self.content_hash.and_then(|text| hash::from_hex(Algorithm::BlockSha256, &text)),
                revision: self.rev,
            }),
        }
    }

    /// Is it something that is no longer there?
    pub(crate) fn is_deleted(&self) -> bool {
        self.tag.as_deref() == Some("deleted")
    }

    /// Is it mounted anywhere?
    pub(crate) const fn has_path(&self) -> bool {
        self.path_display.is_some() || self.path_lower.is_some()
    }

    /// Where it lies below `folder`, in which it was listed, as it is stored; none for the folder itself,
    /// or what is not mounted anywhere.
    ///
    /// The service has its own spelling of our directory, whose case need not be ours; so the names of
    /// what we asked for are counted, not compared. Of the names below, only the last has its case for
    /// certain.
    pub(crate) fn path_below(&self, directory: &str, folder: &str) -> Option<String> {
        let full = self.path_display.as_ref().or(self.path_lower.as_ref())?;
        let mut below: Vec<&str> =
            path::names(full).skip(path::depth(directory) + path::depth(folder)).collect();
        let last = below.last_mut()?;
        if !self.name.is_empty() {
            *last = &self.name;
        }
        Some(below.join("/"))
    }
}

/// A folder has nothing but its place.
pub(crate) const fn folder(path: String) -> Entry {
    Entry { path, kind: Kind::Folder, size: 0, modified: None, hash: None, revision: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::Datetime;

    use super::*;

    fn read(metadata: Value) -> Metadata {
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn a_file_has_everything() {
        let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for tag in [json!("file"), json!("success"), Value::Null] {
            let metadata =
                read(json!({".tag": tag, "name": "f", "size": 5, "rev": "a1c10ce0dd78", "id": "id:a",
                "client_modified": "2015-05-12T15:50:38Z", "content_hash": digits, "is_downloadable": true}));
            let expected = Entry {
                path: "a/f".to_owned(),
                kind: Kind::File,
                size: 5,
                modified: Some(Datetime { seconds: 1_431_445_838, nanoseconds: 0 }),
                hash: hash::from_hex(Algorithm::BlockSha256, digits),
                revision: Some("a1c10ce0dd78".to_owned()),
            };
            assert_eq!(metadata.entry("a/f".to_owned()), Ok(expected));
        }
    }

    #[test]
    fn the_rest_is_no_file() {
        let entry = |metadata: Value| read(metadata).entry("a".to_owned());
        assert_eq!(entry(json!({".tag": "folder", "name": "a"})), Ok(folder("a".to_owned())));
        assert_eq!(entry(json!({".tag": "deleted", "name": "a"})), Err(Error::NotFound));
        assert_eq!(entry(json!({".tag": "file", "is_downloadable": false})), Err(Error::Unsupported));
    }

    #[track_caller]
    fn check_path(metadata: Value, folder: &str, expected: Option<&str>) {
        assert_eq!(read(metadata).path_below("/Backups/server1", folder).as_deref(), expected);
    }

    #[test]
    fn paths_are_counted_not_compared() {
        check_path(json!({"name": "F", "path_display": "/backups/Server1/F"}), "", Some("F"));
        check_path(json!({"name": "F", "path_display": "/backups/server1/A/b/F"}), "a", Some("b/F"));
        check_path(json!({"name": "F", "path_lower": "/backups/server1/a/b/f"}), "a", Some("b/F"));
        check_path(json!({"path_lower": "/backups/server1/a/f"}), "a", Some("f"));
        check_path(json!({"name": "a", "path_display": "/backups/server1/a"}), "a", None);
        check_path(json!({"name": "F"}), "a", None);
        check_path(json!({"name": "F", "path_display": null, "path_lower": null}), "a", None);
    }
}
