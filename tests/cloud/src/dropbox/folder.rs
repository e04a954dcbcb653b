//! Making folders, one or many.

use serde_json::{Value, json};

use super::args::{CreateFolder, CreateFolderBatch};
use super::path::{Named, Pattern};
use super::route::{self, Context};
use super::{Account, commit, error, job, metadata};
use crate::reply::{Answer, Stop};
use crate::sync::lock;

/// Folders of one batch.
const PATHS_MAX: usize = 10_000;

/// `files/create_folder_v2`
pub(crate) async fn create(context: &Context<'_>) -> Answer {
    let args: CreateFolder = context.args()?;
    let id = &context.account.namespace_id;
    let path = context.source.path(&args.path, Pattern::Write, id)?;
    let turn = commit::turn(context).await;
    let _turn = turn.map_err(|_| Stop::from(commit::busy(context)))?;
    let made = lock(&context.account.namespace).make_folder(&path, args.autorename);
    let entry = made.map_err(|error| error::endpoint(json!({".tag": "path", "path": error})))?;
    context.changed();
    Ok(route::ok(&json!({"metadata": metadata::plain(&entry)})))
}

/// `files/create_folder_batch`
pub(crate) fn create_batch(context: &Context<'_>) -> Answer {
    let args: CreateFolderBatch = context.args()?;
    if args.paths.len() > PATHS_MAX {
        return Err(context.source.bad("paths: too many items"));
    }
    let id = &context.account.namespace_id;
    let read = |text: &String| context.source.path(text, Pattern::Write, id);
    let paths: Vec<Named> = args.paths.iter().map(read).collect::<Result<_, _>>()?;
    let work = move |account: &Account, _| {
        let mut namespace = lock(&account.namespace);
        let make = |path: &Named| match namespace.make_folder(path, args.autorename) {
            Ok(entry) => json!({".tag": "success", "metadata": metadata::plain(&entry)}),
            Err(error) => {
                json!({".tag": "failure", "failure": {".tag": "path", "path": error}})
            }
        };
        json!({"entries": paths.iter().map(make).collect::<Vec<Value>>()})
    };
    Ok(job::launch(context, args.force_async, work))
}
