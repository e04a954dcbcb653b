//! Files, folders and deleted things as Dropbox writes them.

use serde_json::{Map, Value, json};

use super::entry::{Entry, File, Found, Tombstone};
use super::path;
use crate::clock;

/// An entry with its tag, where the description says `Metadata`.
pub(crate) fn tagged(entry: &Entry) -> Value {
    let tag = match &entry.file {
        Some(_) => "file",
        None => "folder",
    };
    with_tag(tag, fields(entry))
}

/// An entry without a tag, where the description says `FileMetadata` or `FolderMetadata`.
pub(crate) fn plain(entry: &Entry) -> Value {
    Value::Object(fields(entry))
}

fn fields(entry: &Entry) -> Map<String, Value> {
    match &entry.file {
        Some(file) => file_fields(entry, file),
        None => names(&entry.display, Some(&entry.id)),
    }
}

/// An entry beside another union's tag, such as `success`.
pub(crate) fn beside(tag: &str, entry: &Entry) -> Value {
    with_tag(tag, fields(entry))
}

/// Something that is gone.
pub(crate) fn deleted(tombstone: &Tombstone) -> Value {
    with_tag("deleted", names(&tombstone.display, None))
}

/// A line of the record of changes.
pub(crate) fn found(found: &Found<'_>) -> Value {
    match found {
        Found::Entry(entry) => tagged(entry),
        Found::Deleted(tombstone) => deleted(tombstone),
    }
}

fn with_tag(tag: &str, fields: Map<String, Value>) -> Value {
    let mut out = Map::new();
    out.insert(".tag".to_owned(), json!(tag));
    out.extend(fields);
    Value::Object(out)
}

fn names(display: &str, id: Option<&str>) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(path::name(display)));
    out.insert("path_lower".to_owned(), json!(path::fold(display)));
    out.insert("path_display".to_owned(), json!(display));
    if let Some(id) = id {
        out.insert("id".to_owned(), json!(id));
    }
    out
}

fn file_fields(entry: &Entry, file: &File) -> Map<String, Value> {
    let mut out = names(&entry.display, Some(&entry.id));
    let mut set = |key: &str, value: Value| out.insert(key.to_owned(), value);
    set("client_modified", json!(clock::seconds(file.client_modified)));
    set("server_modified", json!(clock::seconds(file.server_modified)));
    set("rev", json!(file.rev));
    set("size", json!(file.blob.size()));
    set("is_downloadable", json!(true));
    set("content_hash", json!(file.blob.hash()));
    out
}

/// JSON for a header: everything beyond ASCII is escaped.
pub(crate) fn ascii(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' '..='~' => out.push(letter),
            _ => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_ascii() {
        assert_eq!(ascii(&json!({"a": "é😀\u{7f}"})), r#"{"a":"\u00e9\ud83d\ude00\u007f"}"#);
    }
}
