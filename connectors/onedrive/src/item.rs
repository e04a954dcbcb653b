//! A `driveItem` as the service writes it, made an [`Entry`].

use serde::Deserialize;
use serde::de::IgnoredAny;
use wharf_connector::{Algorithm, Entry, Error, Hash, Kind, hash, time};

/// The fields of [`Item`] that make an entry; without this, an answer is five times as long.
pub(crate) const SELECT: &str =
    "name,size,file,folder,package,remoteItem,specialFolder,deleted,cTag,eTag,fileSystemInfo";

/// The fields of [`Item`] that say what changed, and where.
pub(crate) const SELECT_CHANGES: &str = "id,name,size,file,folder,root,package,remoteItem,specialFolder,deleted,cTag,fileSystemInfo,parentReference";

/// What is used of a `driveItem`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) root: Option<IgnoredAny>,
    pub(crate) parent_reference: Option<ParentReference>,
    size: u64,
    file: Option<File>,
    folder: Option<IgnoredAny>,
    package: Option<IgnoredAny>,
    remote_item: Option<IgnoredAny>,
    special_folder: Option<SpecialFolder>,
    deleted: Option<IgnoredAny>,
    c_tag: Option<String>,
    e_tag: Option<String>,
    file_system_info: Option<FileSystemInfo>,
    /// The handle of the address where the bytes are; only when no fields were selected.
    #[serde(rename = "@microsoft.graph.downloadUrl")]
    pub(crate) download: Option<String>,
}

/// Where an item is. In lists of changes there is no path.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ParentReference {
    pub(crate) id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecialFolder {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    hashes: Option<Hashes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hashes {
    quick_xor_hash: Option<String>,
    sha256_hash: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FileSystemInfo {
    last_modified_date_time: Option<String>,
}

impl Item {
    /// The entry at `path`.
    pub(crate) fn entry(self, path: String) -> Result<Entry, Error> {
        let kind = self.kind()?;
        let modified = self.file_system_info.and_then(|info| info.last_modified_date_time);
        let modified = modified.and_then(|text| time::parse(&text));
        Ok(match kind {
            Kind::Folder => Entry { path, kind, size: 0, modified, hash: None, revision: None },
            Kind::File => Entry {
                path,
                kind,
                size: self.size,
                modified,
                hash: self.file.and_then(|file| file.hashes).and_then(Hashes::best),
                revision: self.c_tag.or(self.e_tag),
            },
        })
    }

    fn kind(&self) -> Result<Kind, Error> {
        if self.deleted.is_some() {
            Err(Error::NotFound)
        } else if self.package.is_some() || self.remote_item.is_some() {
            // A notebook has no bytes of its own, and a shortcut leads out of the directory.
            Err(Error::Unsupported)
        } else if self.special_folder.as_ref().is_some_and(|special| special.name == "vault") {
            // The Personal Vault shows itself, and refuses whoever goes in.
            Err(Error::Unsupported)
        } else if self.folder.is_some() {
            Ok(Kind::Folder)
        } else if self.file.is_some() {
            Ok(Kind::File)
        } else {
            Err(Error::Unsupported)
        }
    }
}

impl Hashes {
    /// The declared one first: SHA-256 is only there on some personal accounts.
    fn best(self) -> Option<Hash> {
        let quickxor = self.quick_xor_hash.and_then(|text| hash::from_base64(Algorithm::Quickxor, &text));
        quickxor.or_else(|| hash::from_hex(Algorithm::Sha256, &self.sha256_hash?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::Datetime;

    use super::*;

    #[track_caller]
    fn check(item: Value, expected: Result<Entry, Error>) {
        let item: Item = serde_json::from_value(item).unwrap();
        assert_eq!(item.entry("a/b".to_owned()), expected);
    }

    fn file() -> Entry {
        let path = "a/b".to_owned();
        Entry { path, kind: Kind::File, size: 5, modified: None, hash: None, revision: None }
    }

    #[test]
    fn a_file_has_everything() {
        let hash = hash::from_base64(Algorithm::Quickxor, "aCgDG9jwBgAAAAAABQAAAAAAAAA=");
        let modified = Some(Datetime { seconds: 1_431_445_838, nanoseconds: 250_000_000 });
        check(
            json!({"id": "01", "name": "b", "size": 5, "cTag": "\"c:{1},1\"", "eTag": "\"{1},2\"", "webUrl": "",
                "file": {"mimeType": "x/y", "hashes": {"quickXorHash": "aCgDG9jwBgAAAAAABQAAAAAAAAA="}},
                "fileSystemInfo": {"lastModifiedDateTime": "2015-05-12T15:50:38.25Z"}}),
            Ok(Entry { hash, modified, revision: Some("\"c:{1},1\"".to_owned()), ..file() }),
        );
    }

    #[test]
    fn what_the_service_leaves_out_is_unknown() {
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        check(json!({"size": 5, "file": {}}), Ok(file()));
        check(json!({"size": 5, "file": {"hashes": {"quickXorHash": "short"}}}), Ok(file()));
        check(json!({"size": 5, "file": {"hashes": null}, "fileSystemInfo": null, "cTag": null}), Ok(file()));
        check(
            json!({"size": 5, "file": {}, "eTag": "e"}),
            Ok(Entry { revision: Some("e".to_owned()), ..file() }),
        );
        check(
            json!({"size": 5, "file": {"hashes": {"sha256Hash": sha256.to_uppercase(), "sha1Hash": "00"}}}),
            Ok(Entry { hash: hash::from_hex(Algorithm::Sha256, sha256), ..file() }),
        );
    }

    #[test]
    fn a_folder_has_no_bytes() {
        check(
            json!({"size": 99, "folder": {"childCount": 3}, "eTag": "e"}),
            Ok(Entry { kind: Kind::Folder, size: 0, ..file() }),
        );
    }

    #[test]
    fn what_is_neither_is_said_to_be() {
        check(json!({"deleted": {"state": "deleted"}, "file": {}}), Err(Error::NotFound));
        check(json!({"package": {"type": "oneNote"}, "folder": {}}), Err(Error::Unsupported));
        check(json!({"remoteItem": {"folder": {}}}), Err(Error::Unsupported));
        check(json!({"folder": {}, "specialFolder": {"name": "vault"}}), Err(Error::Unsupported));
        check(json!({}), Err(Error::Unsupported));
    }
}
