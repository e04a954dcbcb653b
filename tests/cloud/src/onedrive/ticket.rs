//! Pre-authenticated addresses: where they point, and what they prove.
//!
//! Whoever has such an address may use it until it expires, without a token; that is why the
//! emulator refuses a token on these hosts and why clients must not log the addresses.

use serde::{Deserialize, Serialize};

use super::node::{Item, Key};
use super::switches::DriveKind;
use super::view;
use crate::call::Call;
use crate::hosts;

/// The purpose under which download tickets are sealed.
pub(crate) const DOWNLOAD: &str = "onedrive-download";

/// What a download address proves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Download {
    #[serde(rename = "a")]
    pub(crate) account: String,
    #[serde(rename = "d")]
    pub(crate) drive: String,
    #[serde(rename = "i")]
    pub(crate) item: Key,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none", default)]
    pub(crate) version: Option<u64>,
    /// Seconds since 1970.
    #[serde(rename = "e")]
    pub(crate) expires: i64,
}

/// What a pre-authenticated address is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Upload,
    Download,
    Monitor,
}

/// The host and path of a download address.
pub(crate) fn download_path(
    kind: DriveKind,
    host: Option<&str>,
    ticket: &str,
    item: &Item,
) -> (String, String) {
    let host = host.unwrap_or_else(|| storage_host(kind)).to_owned();
    let path = match host.ends_with(".files.1drv.com") {
        true => format!("/y4m{ticket}/{}?download&psid=1", view::segment(&item.name)),
        false => format!(
            "/personal/default_contoso_onmicrosoft_com/_layouts/15/download.aspx?UniqueId={}&Translate=false&tempauth=v1.{ticket}%3D%3D&ApiVersion=2.0",
            item.id,
        ),
    };
    (host, path)
}

/// The host and path of an upload address.
pub(crate) fn upload_path(kind: DriveKind, host: Option<&str>, token: &str) -> (String, String) {
    let host = host.unwrap_or_else(|| storage_host(kind)).to_owned();
    let path = match host.ends_with(".up.1drv.com") {
        true => format!("/up/{token}"),
        false => format!(
            "/personal/default_contoso_onmicrosoft_com/_api/v2.0/drive/items/uploadSession?guid='{}'&overwrite=True&rename=False&dc=0&tempauth=v1.{token}%3D%3D",
            crate::seal::guid(),
        ),
    };
    (host, path)
}

/// The host and path of a copy job's monitor.
pub(crate) fn monitor_path(kind: DriveKind, token: &str) -> (&'static str, String) {
    match kind {
        DriveKind::Personal => (hosts::MONITOR, format!("/v1.0/monitor/{token}")),
        DriveKind::Business | DriveKind::DocumentLibrary => {
            let host = storage_host(kind);
            (host, format!("/_api/v2.0/monitor/{token}"))
        }
    }
}

fn storage_host(kind: DriveKind) -> &'static str {
    match kind {
        DriveKind::Business => hosts::SHAREPOINT,
        DriveKind::DocumentLibrary => hosts::SHAREPOINT_SITE,
        DriveKind::Personal => hosts::PERSONAL,
    }
}

/// What an address on a storage host is for, and the ticket it carries.
pub(crate) fn read(call: &Call) -> Option<(Purpose, String)> {
    let path = call.path.as_str();
    if let Some(token) = path.strip_prefix("/up/") {
        return Some((Purpose::Upload, token.to_owned()));
    }
    if let Some(rest) = path.strip_prefix("/y4m") {
        let ticket = rest.split('/').next().unwrap_or(rest);
        return Some((Purpose::Download, ticket.to_owned()));
    }
    if let Some((_, token)) = path.split_once("/monitor/") {
        return Some((Purpose::Monitor, token.to_owned()));
    }
    let purpose = match path {
        _ if path.ends_with("/uploadSession") => Purpose::Upload,
        _ if path.ends_with("/download.aspx") => Purpose::Download,
        _ => return None,
    };
    let ticket = call.query("tempauth").unwrap_or_default();
    // A client that encodes the query a second time breaks the ticket, as on the service.
    let ticket = ticket.strip_prefix("v1.").unwrap_or_default();
    let ticket = ticket.strip_suffix("==").unwrap_or_default();
    Some((purpose, ticket.to_owned()))
}

/// The path of a storage address without its ticket, for the log.
pub(crate) fn redacted(path: &str) -> String {
    for prefix in ["/up/", "/y4m"] {
        if path.starts_with(prefix) {
            return format!("{prefix}*");
        }
    }
    match path.split_once("/monitor/") {
        Some((start, _)) => format!("{start}/monitor/*"),
        None => path.to_owned(),
    }
}
