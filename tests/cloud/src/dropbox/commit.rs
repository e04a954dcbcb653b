//! Turns at writing to a namespace.
//!
//! The service locks a whole namespace while it commits, so commits in parallel contend although
//! data in parallel does not. The switches decide whether the emulator notices.

use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use super::error;
use super::route::Context;
use super::switches::{CommitLock, TooManyWrites};
use crate::reply::Reply;

/// The right to commit, given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _held: Option<OwnedMutexGuard<()>>,
}

/// Somebody else is committing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy;

/// Takes a turn, for as long as the switch says a commit lasts.
pub(crate) async fn turn(context: &Context<'_>) -> Result<Turn, Busy> {
    let commits = std::sync::Arc::clone(&context.account.commits);
    let held = match context.switches.commit_lock {
        CommitLock::Off => None,
        CommitLock::Queue => Some(commits.lock_owned().await),
        CommitLock::Refuse => Some(commits.try_lock_owned().map_err(|_| Busy)?),
    };
    if context.switches.commit_ms > 0 {
        let time = std::time::Duration::from_millis(context.switches.commit_ms);
        tokio::time::sleep(time).await;
    }
    Ok(Turn { _held: held })
}

/// How a refused turn is told outside of a batch.
pub(crate) fn busy(context: &Context<'_>) -> Reply {
    let tag = "too_many_write_operations";
    let seconds = context.switches.retry_after_seconds;
    match (context.switches.too_many_writes, context.kind) {
        (TooManyWrites::RateLimit, _) if context.switches.plain_rate_limit => {
            Reply::text(http::StatusCode::TOO_MANY_REQUESTS, tag).retry_after(seconds)
        }
        (TooManyWrites::RateLimit, _) => error::rate_limit(tag, seconds),
        (TooManyWrites::Conflict, "dropbox.finish" | "dropbox.delete") => {
            error::endpoint(json!({".tag": tag}))
        }
        (TooManyWrites::Conflict, kind) => error::write_at(kind, json!({".tag": tag})),
    }
}
