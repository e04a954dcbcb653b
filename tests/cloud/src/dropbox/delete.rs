//! Deleting, one or many, with or without a condition.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::{Delete, DeleteBatch};
use super::entry::Entry;
use super::namespace::Namespace;
use super::path::{Named, Pattern};
use super::route::{self, Context};
use super::{Account, commit, error, job, metadata};
use crate::call::Call;
use crate::reply::{Answer, Stop};
use crate::sync::lock;

/// Entries of one batch.
const ENTRIES_MAX: usize = 1000;

/// What to delete, and on which condition.
struct Wanted {
    path: Named,
    rev: Option<String>,
}

/// `files/delete_v2`
pub(crate) async fn one(context: &Context<'_>) -> Answer {
    let entry = remove_one(context).await?;
    Ok(route::ok(&json!({"metadata": metadata::tagged(&entry)})))
}

/// `files/permanently_delete`
pub(crate) async fn for_good(context: &Context<'_>) -> Answer {
    remove_one(context).await?;
    Ok(route::null())
}

async fn remove_one(context: &Context<'_>) -> Result<Entry, Stop> {
    let wanted = read(context, context.args()?)?;
    let turn = commit::turn(context).await;
    let _turn = turn.map_err(|_| Stop::from(commit::busy(context)))?;
    let files_max = context.switches.files_max;
    let removed = {
        let mut namespace = lock(&context.account.namespace);
        remove(&mut namespace, &wanted, files_max, context.now())
    };
    let entry = removed.map_err(error::endpoint)?;
    context.changed();
    Ok(entry)
}

fn read(context: &Context<'_>, args: Delete) -> Result<Wanted, Stop> {
    let id = &context.account.namespace_id;
    Ok(Wanted { path: context.source.path(&args.path, Pattern::WriteOrId, id)?, rev: args.parent_rev })
}

/// Deletes; the error is a `DeleteError`.
fn remove(
    namespace: &mut Namespace,
    wanted: &Wanted,
    files_max: usize,
    now: Timestamp,
) -> Result<Entry, Value> {
    let lookup = |error| json!({".tag": "path_lookup", "path_lookup": error});
    let (path, entry) = namespace.find(&wanted.path).map_err(lookup)?;
    if let Some(rev) = &wanted.rev {
        let current = entry.file.as_ref().map(|file| &file.rev);
        if current != Some(rev) {
            let what = if current.is_some() { "file" } else { "folder" };
            let write = error::conflict_with(what);
            return Err(json!({".tag": "path_write", "path_write": write}));
        }
    }
    if namespace.subtree(&path).len() > files_max {
        return Err(json!({".tag": "too_many_files"}));
    }
    namespace.remove(&path, now).ok_or_else(|| lookup(json!({".tag": "not_found"})))
}

/// `files/delete_batch`
pub(crate) fn batch(context: &Context<'_>, call: &Call) -> Answer {
    let args: DeleteBatch = context.args()?;
    if args.entries.len() > ENTRIES_MAX {
        return Err(context.source.bad("entries: too many items"));
    }
    let entries = args.entries.into_iter();
    let wanted: Vec<Wanted> = entries.map(|entry| read(context, entry)).collect::<Result<_, _>>()?;
    let files_max = context.switches.files_max;
    let fail = call.fail_entries.clone();
    let work = move |account: &Account, now| {
        let mut namespace = lock(&account.namespace);
        let mut results = Vec::new();
        for (place, wanted) in wanted.iter().enumerate() {
            let fault = fail.as_ref().filter(|fail| fail.covers(place));
            let result = match fault {
                Some(fail) => Err(json!({".tag": fail.tag})),
                None => remove(&mut namespace, wanted, files_max, now),
            };
            results.push(match result {
                Ok(entry) => json!({".tag": "success", "metadata": metadata::tagged(&entry)}),
                Err(error) => json!({".tag": "failure", "failure": error}),
            });
        }
        json!({ "entries": results })
    };
    Ok(job::launch(context, false, work))
}
