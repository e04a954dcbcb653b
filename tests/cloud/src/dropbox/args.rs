//! The arguments of each route, read strictly: an unknown field is an error, as at the service.

use icu_normalizer::ComposingNormalizerBorrowed;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::entry::{Commit, Mode};
use super::error;
use super::path::{self, Named, Pattern};
use crate::reply::Stop;

/// Where an argument was found, for the text of a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) route: &'static str,
    pub(crate) place: &'static str,
    /// Are paths taken in Unicode's NFC?
    pub(crate) normalize: bool,
}

impl Source {
    /// The refusal of an argument that could not be read.
    pub(crate) fn bad(self, why: &str) -> Stop {
        error::bad_input(self.route, self.place, why).into()
    }

    /// Reads an argument.
    pub(crate) fn parse<T: DeserializeOwned>(self, text: &str) -> Result<T, Stop> {
        let parsed: Result<T, _> = serde_json::from_str(text);
        parsed.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => self.bad(&error.to_string()),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => self.bad("could not decode input as JSON"),
        })
    }

    /// Reads a path argument.
    pub(crate) fn path(self, text: &str, pattern: Pattern, namespace: &str) -> Result<Named, Stop> {
        let composed = self.normalize.then(|| ComposingNormalizerBorrowed::new_nfc().normalize(text));
        let text = composed.as_deref().unwrap_or(text);
        path::read(text, pattern, namespace).map_err(|why| self.bad(&why))
    }
}

/// A union member without a value: `"add"` or `{".tag": "add"}`.
fn tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    tag_of(&value).ok_or_else(|| D::Error::custom("expected a tag"))
}

fn tag_of(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value.get(".tag")?.as_str())?;
    Some(text.to_owned())
}

fn optional_tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    tag(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let tag = tag_of(&value).ok_or_else(|| D::Error::custom("mode: expected a tag"))?;
        match tag.as_str() {
            "add" => Ok(Self::Add),
            "overwrite" => Ok(Self::Overwrite),
            "update" => {
                let rev = value.get("update").and_then(Value::as_str);
                let rev = rev.filter(|rev| path::is_rev(rev));
                let bad = || D::Error::custom("mode: update: not a revision");
                Ok(Self::Update(rev.ok_or_else(bad)?.to_owned()))
            }
            other => Err(D::Error::custom(format!("mode: unknown tag '{other}'"))),
        }
    }
}

fn add() -> Mode {
    Mode::Add
}

fn yes() -> bool {
    true
}

/// `CommitInfo`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommitInfo {
    path: String,
    #[serde(default = "add")]
    mode: Mode,
    #[serde(default)]
    autorename: bool,
    #[serde(default)]
    client_modified: Option<String>,
    #[serde(default, rename = "mute")]
    _mute: bool,
    #[serde(default, rename = "property_groups")]
    _property_groups: Option<Vec<Value>>,
    #[serde(default)]
    strict_conflict: bool,
}

impl CommitInfo {
    /// The commit it asks for.
    pub(crate) fn commit(self, source: Source, namespace: &str) -> Result<Commit, Stop> {
        Ok(Commit {
            path: source.path(&self.path, Pattern::WriteOrId, namespace)?,
            mode: self.mode,
            autorename: self.autorename,
            client_modified: self.client_modified.map(|text| time(source, &text)).transpose()?,
            strict: self.strict_conflict,
        })
    }
}

/// A `DropboxTimestamp`: whole seconds, and nothing else.
fn time(source: Source, text: &str) -> Result<Timestamp, Stop> {
    let bad = || {
        let why = format!("client_modified: time data '{text}' does not match format '%Y-%m-%dT%H:%M:%SZ'");
        source.bad(&why)
    };
    match text.len() == "2015-05-12T15:50:38Z".len() && text.ends_with('Z') {
        true => text.parse().map_err(|_| bad()),
        false => Err(bad()),
    }
}

/// `UploadArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    path: String,
    #[serde(default = "add")]
    mode: Mode,
    #[serde(default)]
    autorename: bool,
    #[serde(default)]
    client_modified: Option<String>,
    #[serde(default)]
    mute: bool,
    #[serde(default)]
    property_groups: Option<Vec<Value>>,
    #[serde(default)]
    strict_conflict: bool,
    #[serde(default)]
    content_hash: Option<String>,
}

impl Upload {
    /// Its commit, and the hash its body must have.
    pub(crate) fn split(self) -> (CommitInfo, Option<String>) {
        let info = CommitInfo {
            path: self.path,
            mode: self.mode,
            autorename: self.autorename,
            client_modified: self.client_modified,
            _mute: self.mute,
            _property_groups: self.property_groups,
            strict_conflict: self.strict_conflict,
        };
        (info, self.content_hash)
    }
}

/// `UploadSessionCursor`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionCursor {
    pub(crate) session_id: String,
    pub(crate) offset: u64,
}

/// `UploadSessionStartArg`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SessionStart {
    pub(crate) close: bool,
    #[serde(deserialize_with = "optional_tag")]
    pub(crate) session_type: Option<String>,
    pub(crate) content_hash: Option<String>,
}

/// `UploadSessionStartBatchArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionStartBatch {
    #[serde(default, deserialize_with = "optional_tag")]
    pub(crate) session_type: Option<String>,
    pub(crate) num_sessions: u64,
}

/// `UploadSessionAppendArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionAppend {
    pub(crate) cursor: SessionCursor,
    #[serde(default)]
    pub(crate) close: bool,
    #[serde(default)]
    pub(crate) content_hash: Option<String>,
}

/// `UploadSessionAppendBatchArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionAppendBatch {
    pub(crate) entries: Vec<SessionAppendEntry>,
    #[serde(default)]
    pub(crate) content_hash: Option<String>,
}

/// `UploadSessionAppendBatchArgEntry`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionAppendEntry {
    pub(crate) cursor: SessionCursor,
    pub(crate) length: u64,
    #[serde(default)]
    pub(crate) close: bool,
}

/// `UploadSessionFinishArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionFinish {
    pub(crate) cursor: SessionCursor,
    pub(crate) commit: CommitInfo,
    #[serde(default)]
    pub(crate) content_hash: Option<String>,
}

/// `UploadSessionFinishBatchArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionFinishBatch {
    pub(crate) entries: Vec<SessionFinish>,
}

/// `GetMetadataArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetMetadata {
    pub(crate) path: String,
    #[serde(default, rename = "include_media_info")]
    _media: bool,
    #[serde(default)]
    pub(crate) include_deleted: bool,
    #[serde(default, rename = "include_has_explicit_shared_members")]
    _members: bool,
    #[serde(default, rename = "include_property_groups")]
    _properties: Option<Value>,
}

/// `ListFolderArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListFolder {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) recursive: bool,
    #[serde(default, rename = "include_media_info")]
    _media: bool,
    #[serde(default)]
    pub(crate) include_deleted: bool,
    #[serde(default, rename = "include_has_explicit_shared_members")]
    _members: bool,
    #[serde(default = "yes", rename = "include_mounted_folders")]
    _mounted: bool,
    #[serde(default)]
    pub(crate) limit: Option<u32>,
    #[serde(default)]
    pub(crate) shared_link: Option<Value>,
    #[serde(default, rename = "include_property_groups")]
    _properties: Option<Value>,
    #[serde(default = "yes", rename = "include_non_downloadable_files")]
    _non_downloadable: bool,
    #[serde(default, rename = "include_restorable_info")]
    _restorable: bool,
}

/// `ListFolderContinueArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListContinue {
    pub(crate) cursor: String,
}

/// `ListFolderLongpollArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Longpoll {
    pub(crate) cursor: String,
    #[serde(default = "half_a_minute")]
    pub(crate) timeout: u64,
}

fn half_a_minute() -> u64 {
    30
}

/// `CreateFolderArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateFolder {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) autorename: bool,
}

/// `CreateFolderBatchArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateFolderBatch {
    pub(crate) paths: Vec<String>,
    #[serde(default)]
    pub(crate) autorename: bool,
    #[serde(default)]
    pub(crate) force_async: bool,
}

/// `DeleteArg`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) parent_rev: Option<String>,
}

/// `DeleteBatchArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteBatch {
    pub(crate) entries: Vec<Delete>,
}

/// `RelocationArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relocation {
    pub(crate) from_path: String,
    pub(crate) to_path: String,
    #[serde(default, rename = "allow_shared_folder")]
    _shared: bool,
    #[serde(default)]
    pub(crate) autorename: bool,
    #[serde(default, rename = "allow_ownership_transfer")]
    _ownership: bool,
}

/// `RelocationPath`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelocationPath {
    pub(crate) from_path: String,
    pub(crate) to_path: String,
}

/// `RelocationBatchArgBase` and `MoveBatchArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelocationBatch {
    pub(crate) entries: Vec<RelocationPath>,
    #[serde(default)]
    pub(crate) autorename: bool,
    #[serde(default, rename = "allow_ownership_transfer")]
    _ownership: bool,
}

/// `PollArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Poll {
    pub(crate) async_job_id: String,
}

/// `DownloadArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Download {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) rev: Option<String>,
}

/// `GetTemporaryLinkArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemporaryLink {
    pub(crate) path: String,
}

/// `GetTemporaryUploadLinkArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemporaryUploadLink {
    pub(crate) commit_info: CommitInfo,
    #[serde(default)]
    pub(crate) duration: Option<f64>,
}

/// `ListRevisionsArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRevisions {
    pub(crate) path: String,
    #[serde(default, deserialize_with = "optional_tag")]
    pub(crate) mode: Option<String>,
    #[serde(default = "ten")]
    pub(crate) limit: usize,
    #[serde(default)]
    pub(crate) before_rev: Option<String>,
    #[serde(default, rename = "include_restorable_info")]
    _restorable: bool,
}

fn ten() -> usize {
    10
}

/// `RestoreArg`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    pub(crate) path: String,
    pub(crate) rev: String,
}
