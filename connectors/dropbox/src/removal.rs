//! Removing files and folders: one by itself, or many in a job.
//!
//! A job runs at the service after its request is answered, and is asked after until it is done: less
//! and less often, and within the time that an operation may spend on waiting. The items of a job that
//! takes longer are handed back as `throttled`, for the host to ask again later. Those that the job has
//! removed by then are not found, which for a removal is as good.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wharf_connector::{Broker, Error, Failure, Removal, Request};

use crate::error::Tags;
use crate::stat::{is_root, stat};
use crate::{ITEM_BYTES_MAX, LIST_BYTES_MAX, commit, error, name};

/// Most items of a job (`DeleteBatchArg`).
const JOB_ITEMS_MAX: usize = 1000;
/// How long jobs are waited for in one operation: the host stops one that waits for 10 s.
const WAIT_MAX: Duration = Duration::from_millis(7500);
/// How long before a job is asked after first, about what one of a few files takes.
const WAIT_FIRST: Duration = Duration::from_millis(100);
/// How long at most between two questions.
const WAIT_STEP_MAX: Duration = Duration::from_secs(1);
/// When to ask again for the items of a job that is not done, in seconds.
const JOB_WAIT_SECONDS: u64 = 5;

/// One result for each, in order.
pub(crate) fn remove<B: Broker>(broker: &mut B, items: &[Removal]) -> Vec<Result<(), Error>> {
    let mut results = Vec::with_capacity(items.len());
    let mut patience = WAIT_MAX;
    for batch in items.chunks(JOB_ITEMS_MAX) {
        match batch {
            [item] => results.push(remove_one(broker, item)),
            _ => results.extend(remove_many(broker, batch, &mut patience)),
        }
    }
    results
}

fn remove_one<B: Broker>(broker: &mut B, item: &Removal) -> Result<(), Error> {
    let request = Request::route("delete").json(&arguments(broker, item)?);
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, &item.path),
        Err(failure) => return Err(failure.into()),
    };
    match reply.status {
        200..=299 => Ok(()),
        409 => refused(&reply.value()["error"], reply.maybe_applied),
        _ => Err(error::read(&reply)),
    }
}

fn after_lost<B: Broker>(broker: &mut B, path: &str) -> Result<(), Error> {
    match stat(broker, path) {
        Err(Error::NotFound) => Ok(()),
        Ok(_) | Err(_) => Err(Error::Lost),
    }
}

fn remove_many<B: Broker>(
    broker: &mut B,
    batch: &[Removal],
    patience: &mut Duration,
) -> Vec<Result<(), Error>> {
    // What cannot be asked for is left out of the job, and of its results.
    let arguments: Vec<Result<Value, Error>> = batch.iter().map(|item| arguments(broker, item)).collect();
    let entries: Vec<&Value> = arguments.iter().flatten().collect();
    let job = if entries.is_empty() { Ok(Vec::new()) } else { run_job(broker, &entries, patience) };
    let mut results = job.as_ref().map_or(&[][..], Vec::as_slice).iter();
    let mut result = || match &job {
        Ok(_) => results.next().cloned().unwrap_or(Err(Error::Lost)),
        Err(error) => Err(error.clone()),
    };
    arguments
        .iter()
        .map(|arguments| arguments.as_ref().map_err(Clone::clone).and_then(|_| result()))
        .collect()
}

/// The results of the job, or what is to be said of every item of it. Waiting uses up the patience; a
/// job that nobody can wait for is not begun.
fn run_job<B: Broker>(
    broker: &mut B,
    entries: &[&Value],
    patience: &mut Duration,
) -> Result<Vec<Result<(), Error>>, Error> {
    let later = Error::Throttled(Some(JOB_WAIT_SECONDS));
    if patience.is_zero() {
        return Err(later);
    }
    let request = Request::route("delete-many").json(&json!({"entries": entries}));
    let reply = broker.exchange(&request, LIST_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let mut state = reply.value();
    let check = Request::route("delete-status").json(&json!({"async_job_id": &state["async_job_id"]}));
    let mut step = WAIT_FIRST;
    loop {
        match state[".tag"].as_str() {
            Some("complete") => return Ok(results(&state, reply.maybe_applied)),
            Some("failed") => return Err(error::of(&Tags::read(&state["failed"]))),
            Some("async_job_id" | "in_progress") => {}
            _ => return Err(Error::Lost),
        }
        if patience.is_zero() {
            return Err(later);
        }
        step = step.min(*patience);
        *patience -= step;
        broker.wait(step);
        step = (step * 2).min(WAIT_STEP_MAX);
        // The job goes on without us.
        let lost = |error| if error == Error::Unavailable { Error::Lost } else { error };
        let answer = broker.ask(&check, LIST_BYTES_MAX).map_err(lost)?;
        if !answer.is_success() {
            // The service has forgotten the job, which may have done its work.
            return Err(Error::Lost);
        }
        state = answer.value();
    }
}

fn results(state: &Value, maybe_applied: bool) -> Vec<Result<(), Error>> {
    let entries = state["entries"].as_array().map_or(&[][..], Vec::as_slice);
    let result = |entry: &Value| match entry.get("failure") {
        Some(failure) => refused(failure, maybe_applied),
        None => Ok(()),
    };
    entries.iter().map(result).collect()
}

/// What the refusal of one removal means.
fn refused(union: &Value, maybe_applied: bool) -> Result<(), Error> {
    let error = error::of(&Tags::read(union));
    if error == Error::NotFound && maybe_applied {
        return Ok(());
    }
    // Only a revision can conflict here.
    Err(if error == Error::Exists { Error::Conflict } else { error })
}

fn arguments<B: Broker>(broker: &B, item: &Removal) -> Result<Value, Error> {
    name::check_readable(&item.path)?;
    if is_root(broker, &item.path) {
        // The root of an account cannot be removed.
        return Err(Error::Denied);
    }
    let mut arguments = Map::new();
    arguments.insert("path".to_owned(), json!(name::stored(&item.path)));
    if let Some(revision) = &item.revision {
        commit::check_revision(revision)?;
        arguments.insert("parent_rev".to_owned(), json!(revision));
    }
    Ok(Value::Object(arguments))
}

#[cfg(test)]
mod tests {
    use wharf_connector::Kind;
    use wharf_connector::testing::{Answer, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    fn item(path: &str) -> Removal {
        Removal { path: path.to_owned(), kind: Kind::File, revision: None }
    }

    fn bound(path: &str, revision: &str) -> Removal {
        Removal { revision: Some(revision.to_owned()), ..item(path) }
    }

    fn script() -> Script {
        Script::new(MANIFEST)
    }

    fn not_found() -> Value {
        json!({".tag": "path_lookup", "path_lookup": {".tag": "not_found"}})
    }

    #[track_caller]
    fn check(mut script: Script, items: &[Removal], expected: &[Result<(), Error>]) {
        assert_eq!(remove(&mut script, items), expected);
    }

    #[test]
    fn one_is_removed_by_itself() {
        let on = |answer| script().on("delete", json!({"json": {"path": "a/f"}}), answer);
        let refused = |error: Value| reply(409, &json!({"error": error}));
        let items = [item("a/f")];
        check(on(reply(200, &json!({"metadata": {}}))), &items, &[Ok(())]);
        check(on(refused(not_found())), &items, &[Err(Error::NotFound)]);
        check(on(refused(not_found()).maybe_applied()), &items, &[Ok(())]);
        check(on(refused(json!({".tag": "too_many_files"}))), &items, &[Err(Error::TooLarge)]);
        check(
            on(refused(json!({".tag": "too_many_write_operations"}))),
            &items,
            &[Err(Error::Throttled(None))],
        );
        check(on(reply(401, &Value::Null)), &items, &[Err(Error::SignInAgain)]);
        let lost = || on(failure(Failure::Lost));
        let missing = refused(json!({".tag": "path", "path": {".tag": "not_found"}}));
        check(lost().on("stat", json!({}), missing), &items, &[Ok(())]);
        check(
            lost().on("stat", json!({}), reply(200, &json!({".tag": "file"}))),
            &items,
            &[Err(Error::Lost)],
        );
    }

    #[test]
    fn a_revision_is_a_condition() {
        let arguments = json!({"path": "a", "parent_rev": "a1c10ce0dd78"});
        let conflict =
            json!({".tag": "path_write", "path_write": {".tag": "conflict", "conflict": {".tag": "file"}}});
        let on = |answer| script().on("delete", json!({"json": arguments}), answer);
        let items = [bound("a", "a1c10ce0dd78")];
        check(on(reply(200, &Value::Null)), &items, &[Ok(())]);
        check(on(reply(409, &json!({"error": conflict}))), &items, &[Err(Error::Conflict)]);
        check(script(), &[bound("a", "foreign")], &[Err(Error::Conflict)]);
    }

    /// Two items, `a` and `b`, in a job.
    fn started(answer: Answer) -> Script {
        script().on("delete-many", json!({"json": {"entries": [{"path": "a"}, {"path": "b"}]}}), answer)
    }

    fn checked(script: Script, answer: Value) -> Script {
        script.on("delete-status", json!({"json": {"async_job_id": "j1"}}), reply(200, &answer))
    }

    fn job() -> Answer {
        reply(200, &json!({".tag": "async_job_id", "async_job_id": "j1"}))
    }

    fn both(expected: &Result<(), Error>) -> [Result<(), Error>; 2] {
        [expected.clone(), expected.clone()]
    }

    #[test]
    fn many_are_removed_in_a_job() {
        let items = [item("a"), item("b")];
        let missing = json!({".tag": "failure", "failure": not_found()});
        let complete = json!({".tag": "complete", "entries": [{".tag": "success", "metadata": {}}, missing]});
        check(started(reply(200, &complete)), &items, &[Ok(()), Err(Error::NotFound)]);
        check(started(reply(200, &complete).maybe_applied()), &items, &both(&Ok(())));
        let asked = checked(started(job()), json!({".tag": "in_progress"}));
        check(checked(asked, complete), &items, &[Ok(()), Err(Error::NotFound)]);
        let busy = json!({".tag": "failed", "failed": {".tag": "too_many_write_operations"}});
        check(checked(started(job()), busy), &items, &both(&Err(Error::Throttled(None))));
    }

    #[test]
    fn a_job_that_says_no_more_is_in_doubt() {
        let items = [item("a"), item("b")];
        check(started(failure(Failure::Lost)), &items, &both(&Err(Error::Lost)));
        check(checked(started(job()), json!({".tag": "other"})), &items, &both(&Err(Error::Lost)));
        let forgotten = json!({"error": {".tag": "invalid_async_job_id"}});
        check(
            started(job()).on("delete-status", json!({}), reply(409, &forgotten)),
            &items,
            &both(&Err(Error::Lost)),
        );
        let silent = started(job()).on("delete-status", json!({}), failure(Failure::Unreachable));
        check(silent, &items, &both(&Err(Error::Lost)));
        let short = json!({".tag": "complete", "entries": [{".tag": "success"}]});
        check(started(reply(200, &short)), &items, &[Ok(()), Err(Error::Lost)]);
        check(started(reply(500, &Value::Null)), &items, &both(&Err(Error::Unavailable)));
    }

    #[test]
    fn a_long_job_is_the_hosts_to_wait_for() {
        // 0.1, 0.2, 0.4 and 0.8 s, and then 1 s each for the 6 s that are left.
        let mut script = started(job());
        for _ in 0..10 {
            script = checked(script, json!({".tag": "in_progress"}));
        }
        let later = Err(Error::Throttled(Some(JOB_WAIT_SECONDS)));
        check(script, &[item("a"), item("b")], &both(&later));
        // What comes after it is not begun.
        let mut script = Script::new(MANIFEST).on("delete-many", json!({}), job());
        for _ in 0..10 {
            script = checked(script, json!({".tag": "in_progress"}));
        }
        let many: Vec<Removal> = (0..JOB_ITEMS_MAX + 2).map(|number| item(&number.to_string())).collect();
        check(script, &many, &vec![later; JOB_ITEMS_MAX + 2]);
    }

    #[test]
    fn what_cannot_be_asked_for_is_left_out() {
        let complete = json!({".tag": "complete", "entries": [{".tag": "success"}, {".tag": "success"}]});
        let items = [item("a"), item("x\ny"), bound("c", "foreign"), item("b")];
        let expected = [Ok(()), Err(Error::NotFound), Err(Error::Conflict), Ok(())];
        check(started(reply(200, &complete)), &items, &expected);
        let root = [item(""), item("x\ny")];
        check(script().directory("/"), &root, &[Err(Error::Denied), Err(Error::NotFound)]);
    }

    #[test]
    fn a_job_has_a_bound() {
        let many: Vec<Removal> = (0..=JOB_ITEMS_MAX).map(|number| item(&number.to_string())).collect();
        let success = vec![json!({".tag": "success"}); JOB_ITEMS_MAX];
        let script = script()
            .on("delete-many", json!({}), reply(200, &json!({".tag": "complete", "entries": success})))
            .on("delete", json!({"json": {"path": "1000"}}), reply(200, &Value::Null));
        check(script, &many, &vec![Ok(()); JOB_ITEMS_MAX + 1]);
    }
}
