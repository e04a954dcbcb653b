//! Temporary links: an address without a token to read a file from, or to write one to.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::json;

use super::args::{TemporaryLink, TemporaryUploadLink};
use super::entry::Commit;
use super::path::{Named, Pattern};
use super::route::{self, Context};
use super::{Dropbox, download, metadata, upload};
use crate::call::Call;
use crate::clock;
use crate::hosts;

use crate::onedrive::{mime, ranged, segment};
use crate::reply::{Answer, Reply};
use crate::seal;
use crate::sync::lock;

/// The links of all accounts, by the secret in their address.
#[derive(Debug, Default)]
pub(crate) struct Links {
    table: Mutex<HashMap<String, Link>>,
}

#[derive(Clone, Debug)]
struct Link {
    account: String,
    expires: Timestamp,
    purpose: Purpose,
}

#[derive(Clone, Debug)]
enum Purpose {
    Read(Named),
    Write(Box<Commit>),
}

impl Links {
    pub(crate) fn account(&self, token: &str) -> Option<String> {
        let table = lock(&self.table);
        table.get(token).map(|link| link.account.clone())
    }

    fn add(&self, link: Link) -> String {
        let token = seal::random(60);
        lock(&self.table).insert(token.clone(), link);
        token
    }
}

/// `files/get_temporary_link`
pub(crate) fn create(context: &Context<'_>, call: &Call) -> Answer {
    let args: TemporaryLink = context.args()?;
    let id = &context.account.namespace_id;
    let named = context.source.path(&args.path, Pattern::Read, id)?;
    let (entry, _) = download::file(context, &named)?;
    let life = Duration::from_secs(context.switches.link_seconds);
    let token = context.service.links.add(Link {
        account: context.account.name.clone(),
        expires: clock::later(context.now(), life),
        // The link goes on showing this file when it is moved.
        purpose: Purpose::Read(Named::Id(entry.id.clone(), String::new())),
    });
    let name = segment(super::path::name(&entry.display));
    let url = call.mint(hosts::DROPBOX_LINK, &format!("/cd/0/get/{token}/{name}"));
    Ok(route::ok(&json!({"metadata": metadata::plain(&entry), "link": url})))
}

/// A download from a temporary link.
pub(crate) fn download(service: &Dropbox, token: &str, call: &Call) -> Answer {
    let link = lock(&service.links.table).get(token).cloned();
    let gone = || Reply::text(StatusCode::GONE, "The link has expired");
    let link = link.ok_or_else(|| Reply::text(StatusCode::NOT_FOUND, "Not Found"))?;
    if service.clock.now() >= link.expires {
        return Ok(gone());
    }
    let Purpose::Read(named) = &link.purpose else {
        return Ok(gone());
    };
    let account = service.account(&link.account).ok_or_else(gone)?;
    let found = lock(&account.namespace).find(named);
    let entry = found.map_err(|_| gone())?.1;
    let file = entry.file.ok_or_else(gone)?;
    let kind = mime(super::path::name(&entry.display));
    Ok(ranged(&file.blob, call.header("range")).header(CONTENT_TYPE, kind))
}

/// `files/get_temporary_upload_link`
pub(crate) fn create_upload(context: &Context<'_>, call: &Call) -> Answer {
    let args: TemporaryUploadLink = context.args()?;
    let seconds = args.duration.unwrap_or(14_400.0);
    if !(60.0..=14_400.0).contains(&seconds) {
        return Err(context.source.bad("duration: expected 60 to 14400"));
    }
    let id = &context.account.namespace_id;
    let commit = args.commit_info.commit(context.source, id)?;
    let token = context.service.links.add(Link {
        account: context.account.name.clone(),
        expires: clock::later(context.now(), Duration::from_secs_f64(seconds)),
        purpose: Purpose::Write(Box::new(commit)),
    });
    let url = call.mint(hosts::DROPBOX_CONTENT, &format!("/apitul/1/{token}"));
    Ok(route::ok(&json!({ "link": url })))
}

/// An upload to a temporary link, which works once.
pub(crate) async fn upload(service: &Dropbox, token: &str, call: &mut Call) -> Answer {
    let text = |status, text: &str| Reply::text(status, text);
    let kind = call.header("content-type").unwrap_or_default();
    if !matches!(kind, "application/octet-stream" | "text/plain") {
        return Ok(text(StatusCode::BAD_REQUEST, "Bad Content-Type"));
    }
    let link = lock(&service.links.table).get(token).cloned();
    let Some(link) = link else {
        return Ok(text(StatusCode::CONFLICT, "No such link"));
    };
    let Purpose::Write(commit) = link.purpose else {
        return Ok(text(StatusCode::CONFLICT, "No such link"));
    };
    if service.clock.now() >= link.expires {
        return Ok(text(StatusCode::GONE, "The link has expired"));
    }
    let limit = service.switches().request_bytes_max;
    let Some(blob) = upload::receive(service, call, limit).await? else {
        return Ok(text(StatusCode::BAD_REQUEST, "The content is too large"));
    };
    let Some(account) = service.account(&link.account) else {
        return Ok(text(StatusCode::CONFLICT, "No such account"));
    };
    let now = service.clock.now();
    let saved = lock(&account.namespace).commit(&commit, &blob, now);
    if saved.is_err() {
        return Ok(text(StatusCode::CONFLICT, "The upload failed"));
    }
    if let Some(link) = lock(&service.links.table).get_mut(token) {
        link.expires = now;
    }
    account.changed.notify_waiters();
    Ok(route::ok(&json!({"content-hash": blob.hash()})))
}
