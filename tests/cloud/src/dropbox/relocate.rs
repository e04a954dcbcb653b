//! Moving and copying, one or many.

use serde_json::{Value, json};

use super::args::{Relocation, RelocationBatch};
use super::entry::Entry;
use super::namespace::Namespace;
use super::path::{Named, Pattern};
use super::route::{self, Context};
use super::{Account, commit, error, job, metadata};
use crate::reply::{Answer, Stop};
use crate::sync::lock;

/// Entries of one batch.
const ENTRIES_MAX: usize = 1000;

/// `files/move_v2`, `files/copy_v2`
pub(crate) async fn one(context: &Context<'_>, copy: bool) -> Answer {
    let args: Relocation = context.args()?;
    let (from, to) = read(context, &args.from_path, &args.to_path)?;
    let turn = commit::turn(context).await;
    let _turn = turn.map_err(|_| Stop::from(commit::busy(context)))?;
    let moved = {
        let mut namespace = lock(&context.account.namespace);
        check_count(&namespace, &from, context.switches.files_max)
            .and_then(|()| namespace.relocate(&from, &to, copy, args.autorename, context.now()))
    };
    let entry: Entry = moved.map_err(error::endpoint)?;
    context.changed();
    Ok(route::ok(&json!({"metadata": metadata::tagged(&entry)})))
}

fn read(context: &Context<'_>, from: &str, to: &str) -> Result<(Named, Named), Stop> {
    let id = &context.account.namespace_id;
    let from = context.source.path(from, Pattern::WriteOrId, id)?;
    let to = context.source.path(to, Pattern::WriteOrId, id)?;
    Ok((from, to))
}

fn check_count(namespace: &Namespace, from: &Named, files_max: usize) -> Result<(), Value> {
    let count = match namespace.find(from) {
        Ok((path, _)) => namespace.subtree(&path).len(),
        Err(_) => 0,
    };
    match count > files_max {
        true => Err(json!({".tag": "too_many_files"})),
        false => Ok(()),
    }
}

/// `files/move_batch_v2`, `files/copy_batch_v2`
pub(crate) async fn batch(context: &Context<'_>, copy: bool) -> Answer {
    let args: RelocationBatch = context.args()?;
    if args.entries.is_empty() || args.entries.len() > ENTRIES_MAX {
        return Err(context.source.bad("entries: expected 1 to 1000 items"));
    }
    let pairs = args.entries.iter();
    let pairs: Vec<(Named, Named)> =
        pairs.map(|pair| read(context, &pair.from_path, &pair.to_path)).collect::<Result<_, _>>()?;
    let autorename = args.autorename;
    let work = move |account: &Account, now| {
        let mut namespace = lock(&account.namespace);
        let relocate = |(from, to): &(Named, Named)| match namespace.relocate(from, to, copy, autorename, now)
        {
            Ok(entry) => json!({".tag": "success", "success": metadata::tagged(&entry)}),
            Err(error) => json!({
                ".tag": "failure",
                "failure": {".tag": "relocation_error", "relocation_error": error},
            }),
        };
        json!({"entries": pairs.iter().map(relocate).collect::<Vec<Value>>()})
    };
    Ok(job::launch(context, false, work))
}
