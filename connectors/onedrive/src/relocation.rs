//! Other names and copies, within one folder.
//!
//! Another folder would have to be named by its id, and an id says nothing about where the folder lies:
//! the host could not see that it is inside the backup directory. So what leaves its folder is
//! `unsupported`. A copy is a job of the service's, watched at an address that it mints; what a job
//! has copied is looked at before it is believed.

use serde::Deserialize;
use serde_json::json;
use wharf_connector::{Broker, Entry, Error, Failure, Relocation, Request, path, time};

use crate::item::Item;
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, error, name};

#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    status: String,
    #[serde(rename = "errorCode", default)]
    error_code: String,
}

/// Give an item another name in its folder.
///
/// # Errors
/// [`Error::Unsupported`] for another folder; else why it has its old name.
pub(crate) fn rename<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    let source = source(broker, from, to)?;
    let mut body = json!({"name": name::stored(broker.settings(), path::name(to))});
    if let Some(modified) = source.modified.as_ref().and_then(time::format) {
        // Else the service takes the moment of the renaming.
        body["fileSystemInfo"] = json!({"lastModifiedDateTime": modified});
    }
    let request = Request::route("rename").item(name::stored(broker.settings(), from)).json(&body);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, from, to),
        Err(failure) => return Err(failure.into()),
    };
    match reply.status {
        200..=299 => Ok(Relocation::Done(reply.json::<Item>()?.entry(to.to_owned())?)),
        404 if reply.maybe_applied => after_lost(broker, from, to),
        _ => Err(name::explain(&reply, to)),
    }
}

/// Begin a copy under another name in the same folder.
///
/// # Errors
/// [`Error::Exists`] when something has the name; [`Error::Unsupported`] for another folder.
pub(crate) fn copy<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    source(broker, from, to)?;
    // Private drives give a copy another name rather than refuse it.
    match stat(broker, to) {
        Err(Error::NotFound) => {}
        Ok(_) => return Err(Error::Exists),
        Err(error) => return Err(error),
    }
    let request = Request::route("copy")
        .item(name::stored(broker.settings(), from))
        .query("@microsoft.graph.conflictBehavior", "fail")
        .json(&json!({"name": name::stored(broker.settings(), path::name(to))}));
    let reply = broker.exchange(&request, ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(name::explain(&reply, to));
    }
    match reply.header("location") {
        Some(monitor) => Ok(Relocation::Running(monitor.to_owned())),
        None => Err(Error::Unavailable),
    }
}

/// How far is a copy?
///
/// # Errors
/// Why there is none.
pub(crate) fn status<B: Broker>(broker: &mut B, job: &str, to: &str) -> Result<Relocation, Error> {
    let reply = broker.ask(&Request::route("copy-status").handle(job), ITEM_BYTES_MAX)?;
    match reply.status {
        // A monitor that is done with may lead on to the item, or be gone.
        303 | 404 | 410 => stat(broker, to).map(Relocation::Done),
        200..=299 => {
            let state = reply.json::<Job>()?;
            match &*state.status {
                "completed" => stat(broker, to).map(Relocation::Done),
                "failed" | "deleteFailed" if state.error_code == "nameAlreadyExists" => Err(Error::Exists),
                "failed" | "deleteFailed" if state.error_code.contains("quota") => Err(Error::Quota),
                "failed" | "deleteFailed" => {
                    Err(Error::Other(format!("OneDrive could not copy it ({})", state.error_code)))
                }
                _ => Ok(Relocation::Running(job.to_owned())),
            }
        }
        _ => Err(error::read(&reply)),
    }
}

/// What is to get another name in its folder.
fn source<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Entry, Error> {
    name::check(broker.settings(), to)?;
    if from.is_empty() || to.is_empty() || path::parent(from) != path::parent(to) {
        return Err(Error::Unsupported);
    }
    stat(broker, from)
}

fn after_lost<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    match (stat(broker, from), stat(broker, to)) {
        (Err(Error::NotFound), Ok(entry)) => Ok(Relocation::Done(entry)),
        (Ok(_), Err(Error::NotFound)) => Err(Error::Unavailable),
        _ => Err(Error::Lost),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::Kind;
    use wharf_connector::testing::{Answer, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    const MONITOR: &str = "https://api.onedrive.com/monitor/1";
    const HANDLE: &str = "monitor!https://api.onedrive.com/monitor/1";
    const TIME: &str = "2015-05-12T15:50:38Z";

    fn file(name: &str) -> Answer {
        let times = json!({"lastModifiedDateTime": TIME});
        reply(200, &json!({"name": name, "size": 5, "file": {}, "fileSystemInfo": times}))
    }

    fn missing() -> Answer {
        reply(404, &json!({"error": {"code": "itemNotFound"}}))
    }

    fn on_stat(script: Script, path: &str, answer: Answer) -> Script {
        script.on("stat", json!({"item": path}), answer)
    }

    fn on_rename(answer: Answer) -> Script {
        let body = json!({"name": "g", "fileSystemInfo": {"lastModifiedDateTime": TIME}});
        on_stat(Script::new(MANIFEST), "a/f", file("f")).on(
            "rename",
            json!({"item": "a/f", "json": body}),
            answer,
        )
    }

    #[track_caller]
    fn check(result: Result<Relocation, Error>, expected: Result<Option<&str>, Error>) {
        let result = result.map(|relocation| match relocation {
            Relocation::Done(entry) => {
                assert_eq!((entry.path.as_str(), entry.kind), ("a/g", Kind::File));
                None
            }
            Relocation::Running(job) => Some(job),
        });
        assert_eq!(result, expected.map(|job| job.map(str::to_owned)));
    }

    #[test]
    fn another_name_keeps_the_time() {
        check(rename(&mut on_rename(file("g")), "a/f", "a/g"), Ok(None));
        let refused = reply(409, &json!({"error": {"code": "nameAlreadyExists"}}));
        check(rename(&mut on_rename(refused), "a/f", "a/g"), Err(Error::Exists));
        let mut gone = on_stat(Script::new(MANIFEST), "a/f", missing());
        check(rename(&mut gone, "a/f", "a/g"), Err(Error::NotFound));
    }

    #[test]
    fn names_are_those_that_are_stored() {
        let body = json!({"name": "g：h", "fileSystemInfo": {"lastModifiedDateTime": TIME}});
        let found = || on_stat(Script::new(MANIFEST), "a/f：g", file("f：g"));
        let mut renamed = found().on("rename", json!({"item": "a/f：g", "json": body}), file("g：h"));
        let done = rename(&mut renamed, "a/f:g", "a/g:h");
        assert!(matches!(done, Ok(Relocation::Done(entry)) if entry.path == "a/g:h"));
        let begun = reply(202, &Value::Null).header("location", MONITOR);
        let mut copied = on_stat(found(), "a/g：h", missing()).on(
            "copy",
            json!({"item": "a/f：g", "json": {"name": "g：h"}}),
            begun,
        );
        check(copy(&mut copied, "a/f:g", "a/g:h"), Ok(Some(HANDLE)));
    }

    #[test]
    fn a_lost_reply_is_looked_after() {
        let lost = || on_rename(failure(Failure::Lost));
        let moved = on_stat(on_stat(lost(), "a/f", missing()), "a/g", file("g"));
        check(rename(&mut { moved }, "a/f", "a/g"), Ok(None));
        let not_moved = on_stat(on_stat(lost(), "a/f", file("f")), "a/g", missing());
        check(rename(&mut { not_moved }, "a/f", "a/g"), Err(Error::Unavailable));
        let both = on_stat(on_stat(lost(), "a/f", file("f")), "a/g", file("g"));
        check(rename(&mut { both }, "a/f", "a/g"), Err(Error::Lost));
    }

    #[test]
    fn another_folder_cannot_be_named() {
        for (from, to) in [("a/f", "b/f"), ("a/f", "f"), ("", "f"), ("f", "")] {
            check(rename(&mut Script::new(MANIFEST), from, to), Err(Error::Unsupported));
            check(copy(&mut Script::new(MANIFEST), from, to), Err(Error::Unsupported));
        }
    }

    fn on_copy(answer: Answer) -> Script {
        let found = on_stat(on_stat(Script::new(MANIFEST), "a/f", file("f")), "a/g", missing());
        found.on("copy", json!({"item": "a/f", "json": {"name": "g"}}), answer)
    }

    #[test]
    fn a_copy_is_watched() {
        let begun = reply(202, &Value::Null).header("location", MONITOR);
        check(copy(&mut on_copy(begun), "a/f", "a/g"), Ok(Some(HANDLE)));
        let there = on_stat(on_stat(Script::new(MANIFEST), "a/f", file("f")), "a/g", file("g"));
        check(copy(&mut { there }, "a/f", "a/g"), Err(Error::Exists));
        let on = |answer| Script::new(MANIFEST).on("copy-status", json!({"handle": HANDLE}), answer);
        let state = |state: &str, code: &str| on(reply(200, &json!({"status": state, "errorCode": code})));
        check(status(&mut state("inProgress", ""), HANDLE, "a/g"), Ok(Some(HANDLE)));
        check(status(&mut on_stat(state("completed", ""), "a/g", file("g")), HANDLE, "a/g"), Ok(None));
        check(status(&mut on_stat(on(missing()), "a/g", file("g")), HANDLE, "a/g"), Ok(None));
        check(status(&mut state("failed", "nameAlreadyExists"), HANDLE, "a/g"), Err(Error::Exists));
        check(status(&mut state("failed", "quotaLimitReached"), HANDLE, "a/g"), Err(Error::Quota));
    }
}
