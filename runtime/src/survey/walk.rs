//! What is there, folder by folder.
//!
//! As many folders are listed at a time as the destination has threads; a service that can list a tree at
//! once does. Each page and what is to be listed next are one transaction, so a walk that was killed
//! goes on where it was. Folders that vanish meanwhile are empty.

use std::sync::{Mutex, PoisonError};

use super::Error;
use super::stage::{self, Stage, Todo};
use crate::attached::Attached;
use crate::entry::Kind;
use crate::manifest::Names;
use crate::sandbox::operation::{Page, Refusal};
use crate::transfer::pages::Pages;
use crate::transfer::work::Work;

/// List all that is still to be listed.
pub(super) async fn walk(attached: &Attached, stage: &Stage, survey: i64) -> Result<(), Error> {
    let mut todo = stage.todo(survey).await?;
    let Some(first) = todo.pop() else { return Ok(()) };
    let work = Work::new(first);
    work.add(todo);
    let walk = Walk { attached, stage, survey };
    let failure = Mutex::new(None);
    work.run(attached.threads().limit(), async |todo| {
        let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        // What is not listed now is listed by the next run.
        if failed {
            return;
        }
        if let Err(error) = walk.folder(todo, &work).await {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    })
    .await;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct Walk<'a> {
    attached: &'a Attached,
    stage: &'a Stage,
    survey: i64,
}

impl Walk<'_> {
    async fn folder(&self, todo: Todo, work: &Work<Todo>) -> Result<(), Error> {
        let Todo { path, next, mut deep } = todo;
        let place = format!("{}:{path}", self.attached.name());
        let mut pages = Pages::from(next);
        loop {
            let listed = self.attached.list(&path, deep, pages.due()).await;
            let page = match listed {
                Ok(page) => page,
                Err(error) if pages.restart(&error) => continue,
                Err(error) => match error.problem.refusal() {
                    Some(Refusal::Unsupported) if deep => {
                        deep = false;
                        continue;
                    }
                    Some(Refusal::NotFound) => Page { entries: Vec::new(), next: None },
                    Some(_) | None => return Err(error.into()),
                },
            };
            let more = pages.after(&page, &place)?;
            let (survey, names, folder) = (self.survey, self.attached.manifest().names, path.clone());
            let new =
                self.stage.write(move |connection| take(connection, survey, names, &folder, deep, &page));
            work.add(new.await?);
            if !more {
                return Ok(());
            }
        }
    }
}

/// One page. Returns the folders that are to be listed because of it.
fn take(
    connection: &rusqlite::Connection,
    survey: i64,
    names: Names,
    folder: &crate::path::RelativePath,
    deep: bool,
    page: &Page,
) -> Result<Vec<Todo>, rusqlite::Error> {
    let mut new = Vec::new();
    for entry in &page.entries {
        match entry.kind {
            Kind::File => stage::put_found(connection, survey, &names.key(entry.path.as_str()), entry)?,
            Kind::Folder if deep => {}
            Kind::Folder => {
                let todo = Todo { path: entry.path.clone(), next: None, deep: false };
                if stage::add_todo(connection, survey, &todo)? {
                    new.push(todo);
                }
            }
        }
    }
    // Which way it is listed belongs to what gets its next page.
    connection
        .prepare_cached("UPDATE survey_todo SET deep = ?3 WHERE survey = ?1 AND path = ?2")?
        .execute(rusqlite::params![survey, folder.as_str(), deep])?;
    stage::advance_todo(connection, survey, folder, page.next.as_deref())?;
    Ok(new)
}
