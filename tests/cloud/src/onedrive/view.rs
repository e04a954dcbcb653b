//! Items, drives and quotas as Graph writes them.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::address::DriveName;
use super::drive::Drive;
use super::node::{Body, File, Item, Key};
use super::switches::{DriveKind, OneDriveSwitches};
use super::{OneDrive, ticket};
use crate::call::Call;
use crate::clock;

/// What a name in a path may keep; everything else is percent-encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How the items of one answer are written.
pub(crate) struct View<'a> {
    service: &'a OneDrive,
    call: &'a Call,
    account: &'a str,
    /// How the drive was named, which shows in paths.
    name: &'a DriveName,
    switches: OneDriveSwitches,
    now: jiff::Timestamp,
    select: Option<Vec<String>>,
    /// Do items say the path of their folder? Not in delta, where it could be out of date.
    paths: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(service: &'a OneDrive, call: &'a Call, account: &'a str, name: &'a DriveName) -> Self {
        let select = call.query("$select").map(|text| {
            text.split(',').map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect()
        });
        Self {
            service,
            call,
            account,
            name,
            switches: service.switches(),
            now: service.clock.now(),
            select,
            paths: true,
        }
    }

    /// As delta shows items: their folder by id and name, not by path.
    pub(crate) fn without_paths(self) -> Self {
        Self { paths: false, ..self }
    }

    /// One item, with what `$select` leaves of it.
    pub(crate) fn item(&self, drive: &Drive, item: &Item) -> Value {
        let mut out = Map::new();
        let mut set = |key: &str, value: Value| {
            if self.wants(key) {
                out.insert(key.to_owned(), value);
            }
        };
        let stamp = |time| stamp(drive.kind, time);
        let file = item.file();
        if file.is_some() && self.wants("@microsoft.graph.downloadUrl") {
            let url = self.download_url(drive, item, None);
            set("@microsoft.graph.downloadUrl", json!(url));
        }
        set("createdDateTime", json!(stamp(item.created)));
        set("eTag", json!(etag(drive.kind, item)));
        set("id", json!(item.id));
        set("lastModifiedDateTime", json!(stamp(item.modified)));
        set("name", json!(item.name));
        set("webUrl", json!(web_url(drive, item)));
        if file.is_some() || !drive.keeps_versions() {
            set("cTag", json!(ctag(drive.kind, item)));
        }
        set("size", json!(size(drive, item.key)));
        set("createdBy", self.person());
        set("lastModifiedBy", self.person());
        set("parentReference", self.parent(drive, item));
        set(
            "fileSystemInfo",
            json!({
                "createdDateTime": stamp(item.times.created),
                "lastModifiedDateTime": stamp(item.times.modified),
            }),
        );
        match &item.body {
            Body::File(file) => set("file", self.file(item, file)),
            Body::Folder(children) => set("folder", json!({"childCount": children.len()})),
        }
        if item.parent.is_none() {
            set("root", json!({}));
        }
        if item.vault {
            set("specialFolder", json!({"name": "vault"}));
        }
        Value::Object(out)
    }

    /// What remains of an item that is gone.
    pub(crate) fn deleted(&self, drive: &Drive, id: &str, was_folder: bool) -> Value {
        let mut out = Map::new();
        out.insert("id".to_owned(), json!(id));
        out.insert(
            "parentReference".to_owned(),
            json!({"driveId": self.drive_id(drive), "driveType": drive.kind.word()}),
        );
        out.insert("deleted".to_owned(), json!({"state": "deleted"}));
        let facet = if was_folder { "folder" } else { "file" };
        out.insert(facet.to_owned(), json!({}));
        Value::Object(out)
    }

    /// A drive with its quota.
    pub(crate) fn drive(&self, drive: &Drive) -> Value {
        let quota = drive.quota;
        json!({
            "id": self.drive_id(drive),
            "driveType": drive.kind.word(),
            "name": "OneDrive",
            "webUrl": web_root(drive.kind),
            "owner": {"user": {"displayName": self.account, "id": crate::seal::guid()}},
            "quota": {
                "deleted": quota.deleted,
                "remaining": quota.remaining(),
                "state": quota.state(),
                "total": quota.total,
                "used": quota.used,
            },
        })
    }

    /// A pre-authenticated address of a file's content, or of one of its versions.
    pub(crate) fn download_url(&self, drive: &Drive, item: &Item, version: Option<u64>) -> String {
        let life = Duration::from_secs(self.switches.download_seconds);
        let ticket = ticket::Download {
            account: self.account.to_owned(),
            drive: drive.id.clone(),
            item: item.key,
            version,
            expires: clock::later(self.now, life).as_second(),
        };
        let host = self.switches.download_host.as_deref();
        let sealed = self.service.seal.close(ticket::DOWNLOAD, &ticket);
        let (host, path) = ticket::download_path(drive.kind, host, &sealed, item);
        self.call.mint(&host, &path)
    }

    fn wants(&self, key: &str) -> bool {
        let Some(select) = &self.select else {
            return true;
        };
        let plain = key.trim_start_matches("@microsoft.graph.");
        select.iter().any(|field| {
            let field = field.trim_start_matches('@');
            let field = field.trim_start_matches("microsoft.graph.");
            field.trim_start_matches("content.") == plain
        })
    }

    fn person(&self) -> Value {
        json!({
            "application": {"id": "00000000-0000-0000-0000-00004c12ae6f", "displayName": "cloud"},
            "user": {"id": "66d53be8a5056eca", "displayName": self.account},
        })
    }

    fn parent(&self, drive: &Drive, item: &Item) -> Value {
        let mut out = Map::new();
        out.insert("driveType".to_owned(), json!(drive.kind.word()));
        out.insert("driveId".to_owned(), json!(self.drive_id(drive)));
        let parent = item.parent.and_then(|key| drive.get(key).ok());
        if let Some(parent) = parent {
            out.insert("id".to_owned(), json!(parent.id));
            if parent.parent.is_some() {
                out.insert("name".to_owned(), json!(parent.name));
            }
            if self.paths {
                out.insert("path".to_owned(), json!(self.path(drive, parent.key)));
            }
        }
        Value::Object(out)
    }

    fn path(&self, drive: &Drive, folder: Key) -> String {
        let mut path = match self.name {
            DriveName::Mine => "/drive/root:".to_owned(),
            DriveName::Id(_) => format!("/drives/{}/root:", drive.id),
        };
        for name in drive.path(folder) {
            path.push('/');
            path.extend(utf8_percent_encode(name, SEGMENT));
        }
        path
    }

    /// The drive's id; with the quirk on, in either case and without leading zeros.
    fn drive_id(&self, drive: &Drive) -> String {
        if !self.switches.drive_id_quirks || drive.kind != DriveKind::Personal {
            return drive.id.clone();
        }
        match rand::random::<bool>() {
            true => drive.id.to_lowercase(),
            false => drive.id.trim_start_matches('0').to_owned(),
        }
    }

    fn file(&self, item: &Item, file: &File) -> Value {
        let mut out = Map::new();
        out.insert("mimeType".to_owned(), json!(mime(&item.name)));
        let known = clock::later(file.stored, Duration::from_secs(self.switches.hash_delay_seconds));
        if !self.switches.hash_missing && self.now >= known {
            let hashes = json!({"quickXorHash": file.blob.hash()});
            out.insert("hashes".to_owned(), hashes);
        }
        Value::Object(out)
    }
}

/// A time in the precision of the drive.
pub(crate) fn stamp(kind: DriveKind, time: jiff::Timestamp) -> String {
    match kind {
        DriveKind::Business | DriveKind::DocumentLibrary => clock::seconds(time),
        DriveKind::Personal => clock::milliseconds(time),
    }
}

/// The tag that changes with content and metadata.
pub(crate) fn etag(kind: DriveKind, item: &Item) -> String {
    match kind {
        DriveKind::Business | DriveKind::DocumentLibrary => {
            format!("\"{{{}}},{}\"", item.id, item.etag)
        }
        DriveKind::Personal => format!("a{}.{}", item.id, item.etag),
    }
}

/// The tag that changes with content only.
pub(crate) fn ctag(kind: DriveKind, item: &Item) -> String {
    match kind {
        DriveKind::Business | DriveKind::DocumentLibrary => {
            format!("\"c:{{{}}},{}\"", item.id, item.ctag)
        }
        DriveKind::Personal => format!("aYzo{}.{}", item.id, item.ctag),
    }
}

/// Whether one of the tags of an `If-Match` or `If-None-Match` header is the item's.
pub(crate) fn matches(kind: DriveKind, item: &Item, header: &str) -> bool {
    let plain = |tag: &str| {
        let tag = tag.trim().trim_start_matches("W/");
        tag.trim_matches('"').to_owned()
    };
    let wanted = header.trim();
    let tags = [plain(&etag(kind, item)), plain(&ctag(kind, item))];
    wanted == "*" || tags.contains(&plain(wanted))
}

/// The host whose pages show a drive.
fn web_root(kind: DriveKind) -> &'static str {
    match kind {
        DriveKind::Business => "https://contoso-my.sharepoint.com/personal/default/Documents",
        DriveKind::DocumentLibrary => "https://contoso.sharepoint.com/sites/backup/Documents",
        DriveKind::Personal => "https://onedrive.live.com",
    }
}

fn web_url(drive: &Drive, item: &Item) -> String {
    let mut url = web_root(drive.kind).to_owned();
    for name in drive.path(item.key) {
        url.push('/');
        url.extend(utf8_percent_encode(name, SEGMENT));
    }
    url
}

/// Bytes of a file, or of everything below a folder.
fn size(drive: &Drive, key: Key) -> u64 {
    let mut total = 0;
    let mut next = vec![key];
    while let Some(key) = next.pop() {
        match drive.get(key).map(|item| &item.body) {
            Ok(Body::File(file)) => total += file.blob.size(),
            Ok(Body::Folder(children)) => next.extend(children.values()),
            Err(_) => {}
        }
    }
    total
}

/// The media type by the name's end, for the few that matter to somebody.
pub(crate) fn mime(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
        "txt" | "log" => "text/plain",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "pdf" => "application/pdf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}

/// One name, percent-encoded as a path segment.
pub(crate) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}
