//! Other names, other folders and copies.
//!
//! A folder is named by its path, never by its id: an id says nothing about where the folder lies, and
//! the host could not see that it is inside the backup directory; into a path it puts that itself. What
//! the service does not take as a path is `unsupported`. A copy is a job of the service's, watched at an
//! address that it mints; what a job has copied is looked at before it is believed.

use serde::Deserialize;
use serde_json::{Value, json};
use wharf_connector::{Broker, Entry, Error, Failure, Relocation, Reply, Request, Settings, path, time};

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

/// What of the destination's options concerns where folders are.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    app_folder: bool,
}

/// Give an item another name, another folder, or both.
///
/// # Errors
/// [`Error::Exists`] when something is there; else why it has its old path.
pub(crate) fn rename<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    let source = source(broker, from, to)?;
    let (route, mut body) = target(broker.settings(), ["rename", "move"], from, to);
    if let Some(modified) = source.modified.as_ref().and_then(time::format_fine) {
        // Else the service takes the moment of the renaming.
        body["fileSystemInfo"] = json!({"lastModifiedDateTime": modified});
    }
    let request = Request::route(route).item(name::stored(broker.settings(), from)).json(&body);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, from, to),
        Err(failure) => return Err(failure.into()),
    };
    match reply.status {
        200..=299 => Ok(Relocation::Done(reply.json::<Item>()?.entry(to.to_owned())?)),
        404 if reply.maybe_applied => after_lost(broker, from, to),
        _ => Err(refused(broker.settings(), &reply, from, to)),
    }
}

/// Begin a copy under another name, in another folder, or both.
///
/// # Errors
/// [`Error::Exists`] when something has the name; else why there is no copy.
pub(crate) fn copy<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
    source(broker, from, to)?;
    // Private drives give a copy another name rather than refuse it.
    match stat(broker, to) {
        Err(Error::NotFound) => {}
        Ok(_) => return Err(Error::Exists),
        Err(error) => return Err(error),
    }
    let (route, body) = target(broker.settings(), ["copy", "copy-to"], from, to);
    let request = Request::route(route)
        .item(name::stored(broker.settings(), from))
        .query("@microsoft.graph.conflictBehavior", "fail")
        .json(&body);
    let reply = broker.exchange(&request, ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(refused(broker.settings(), &reply, from, to));
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

/// What is to get another path.
fn source<B: Broker>(broker: &mut B, from: &str, to: &str) -> Result<Entry, Error> {
    name::check(broker.settings(), to)?;
    if from.is_empty() || to.is_empty() {
        return Err(Error::Unsupported);
    }
    if is_below(to, from) {
        return Err(Error::WrongKind);
    }
    stat(broker, from)
}

/// Does the first path lie in the second, to a service that does not tell letters by their case?
fn is_below(path: &str, folder: &str) -> bool {
    let rest = path.to_lowercase();
    rest.strip_prefix(&folder.to_lowercase()).is_some_and(|rest| rest.starts_with('/'))
}

/// The route and the arguments that say `to`: `routes` are for the same folder and for another.
fn target(settings: &Settings, routes: [&'static str; 2], from: &str, to: &str) -> (&'static str, Value) {
    let [within, beyond] = routes;
    let name = name::stored(settings, path::name(to));
    match (path::parent(from), path::parent(to)) {
        (old, new) if old == new => (within, json!({"name": name})),
        (_, new) => {
            let folder = name::stored(settings, new.unwrap_or_default());
            (beyond, json!({"name": name, "parentReference": {"path": folder}}))
        }
    }
}

/// Why the service did not do it. It takes no path for the root of a business drive, and nobody has
/// promised that it takes one for the folder of an application.
fn refused(settings: &Settings, reply: &Reply, from: &str, to: &str) -> Error {
    let folder = path::parent(to).unwrap_or_default();
    let moved = path::parent(from).unwrap_or_default() != folder;
    let is_root = folder.is_empty() && settings.directory.trim_matches('/').is_empty();
    let options: Options = serde_json::from_str(&settings.options).unwrap_or_default();
    if reply.status == 400 && moved && (is_root || options.app_folder) {
        return Error::Unsupported;
    }
    name::explain(reply, to)
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

    fn on_move(answer: Answer) -> Script {
        let times = json!({"lastModifiedDateTime": TIME});
        let body = json!({"name": "g", "parentReference": {"path": "a"}, "fileSystemInfo": times});
        let found = on_stat(Script::new(MANIFEST), "b/f", file("f"));
        found.on("move", json!({"item": "b/f", "json": body}), answer)
    }

    #[test]
    fn another_folder_is_named_by_its_path() {
        check(rename(&mut on_move(file("g")), "b/f", "a/g"), Ok(None));
        let refused = |status, code: &str| reply(status, &json!({"error": {"code": code}}));
        check(rename(&mut on_move(refused(409, "nameAlreadyExists")), "b/f", "a/g"), Err(Error::Exists));
        check(rename(&mut on_move(refused(404, "itemNotFound")), "b/f", "a/g"), Err(Error::NotFound));
        let late = refused(404, "itemNotFound").maybe_applied();
        let moved = on_stat(on_stat(on_move(late), "b/f", missing()), "a/g", file("g"));
        check(rename(&mut { moved }, "b/f", "a/g"), Ok(None));
        let begun = reply(202, &Value::Null).header("location", MONITOR);
        let body = json!({"name": "g", "parentReference": {"path": "a"}});
        let found = on_stat(on_stat(Script::new(MANIFEST), "b/f", file("f")), "a/g", missing());
        let copied = found.on("copy-to", json!({"item": "b/f", "json": body}), begun);
        check(copy(&mut { copied }, "b/f", "a/g"), Ok(Some(HANDLE)));
    }

    /// Where the service says no to a path as such, nothing has happened.
    #[test]
    fn a_folder_that_has_no_path_is_unsupported() {
        let bad = || reply(400, &json!({"error": {"code": "invalidRequest"}}));
        let script = |directory: &str, options: &str, parent: &str| {
            let body = json!({"name": "f", "parentReference": {"path": parent}, "fileSystemInfo": {"lastModifiedDateTime": TIME}});
            let script = Script::new(MANIFEST).directory(directory).options(options);
            on_stat(script, "b/f", file("f")).on("move", json!({"item": "b/f", "json": body}), bad())
        };
        check(rename(&mut script("/", "{}", ""), "b/f", "f"), Err(Error::Unsupported));
        let app_folder = r#"{"app_folder": true}"#;
        check(rename(&mut script("/x", app_folder, "a"), "b/f", "a/f"), Err(Error::Unsupported));
        let other = rename(&mut script("/x", "{}", "a"), "b/f", "a/f");
        assert!(!matches!(other, Ok(_) | Err(Error::Unsupported)), "{other:?}");
    }

    #[test]
    fn what_leads_nowhere_is_not_asked() {
        for (from, to, expected) in [
            ("", "f", Error::Unsupported),
            ("f", "", Error::Unsupported),
            ("a", "a/b", Error::WrongKind),
            ("a/F", "A/f/b/c", Error::WrongKind),
        ] {
            check(rename(&mut Script::new(MANIFEST), from, to), Err(expected.clone()));
            check(copy(&mut Script::new(MANIFEST), from, to), Err(expected));
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
