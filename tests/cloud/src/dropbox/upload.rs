//! A file in one request.

use std::sync::Arc;

use serde_json::json;

use super::args::Upload;
use super::route::{self, Context};
use super::{Dropbox, commit, error, metadata};
use crate::call::Call;
use crate::hash::Hasher;
use crate::number;
use crate::reply::{Answer, Stop};
use crate::store::Blob;
use crate::sync::lock;

/// Digits of a content hash.
const HASH_DIGITS: usize = 64;

/// `files/upload`
pub(crate) async fn handle(context: &Context<'_>, call: &mut Call) -> Answer {
    let args: Upload = context.args()?;
    let (info, hash) = args.split();
    check_hash(context, hash.as_deref())?;
    let id = &context.account.namespace_id;
    let wanted = info.commit(context.source, id)?;
    let limit = context.switches.request_bytes_max;
    let blob = receive(context.service, call, limit).await?;
    let blob = blob.ok_or_else(payload_too_large)?;
    if hash.is_some_and(|hash| hash != blob.hash()) {
        return Err(error::endpoint(json!({".tag": "content_hash_mismatch"})).into());
    }
    let turn = commit::turn(context).await;
    let _turn = turn.map_err(|_| Stop::from(commit::busy(context)))?;
    let saved = lock(&context.account.namespace).commit(&wanted, &blob, context.now());
    match saved {
        Ok(entry) => {
            context.changed();
            Ok(route::ok(&metadata::plain(&entry)))
        }
        Err(write) => {
            // The bytes are not lost: a session keeps them for another try.
            let session = context.service.sessions.keep(context, blob);
            Err(error::endpoint(error::upload_failed(write, &session)).into())
        }
    }
}

/// A hash argument must look like one.
pub(crate) fn check_hash(context: &Context<'_>, hash: Option<&str>) -> Result<(), Stop> {
    match hash {
        Some(text) if text.len() != HASH_DIGITS => {
            Err(context.source.bad("content_hash: expected 64 characters"))
        }
        Some(_) | None => Ok(()),
    }
}

pub(crate) fn payload_too_large() -> Stop {
    error::endpoint(json!({".tag": "payload_too_large"})).into()
}

/// The body as an object; `None` if it is larger than the limit.
pub(crate) async fn receive(
    service: &Dropbox,
    call: &mut Call,
    limit: u64,
) -> Result<Option<Arc<Blob>>, Stop> {
    if call.content_length().is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut writer = service.store.writer(Hasher::content()).await?;
    while let Some(piece) = call.body.next().await? {
        if writer.size() + number::size(piece.len()) > limit {
            return Ok(None);
        }
        writer.write(&piece).await?;
    }
    Ok(Some(writer.finish().await?))
}
