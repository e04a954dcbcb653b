//! Making staged uploads files, all of them in one request.
//!
//! Commits of one account contend for a lock, so a batch costs about as much as one of them. Each has a
//! result of its own inside the one reply.

use serde::Deserialize;
use serde_json::{Value, json};
use wharf_connector::{Broker, Entry, Error, Failure, Request, Staged, outcome};

use crate::error::{self, Tags};
use crate::metadata::Metadata;
use crate::session::Session;
use crate::stat::stat;
use crate::{LIST_BYTES_MAX, commit};

/// Make them files.
///
/// # Errors
/// When the batch as a whole was refused; else one result each, in order.
pub(crate) fn finish<B: Broker>(
    broker: &mut B,
    uploads: &[Staged],
) -> Result<Vec<Result<Entry, Error>>, Error> {
    let commits: Vec<_> =
        uploads.iter().map(|upload| commit::arguments(&upload.path, &upload.info)).collect();
    // What cannot be asked for is left out of the request, and of the reply.
    let entries: Vec<Value> = uploads
        .iter()
        .zip(&commits)
        .filter_map(|(upload, commit)| {
            let id = Session::parse(&upload.session).id;
            let cursor = json!({"session_id": id, "offset": upload.info.size});
            Some(json!({"cursor": cursor, "commit": commit.as_ref().ok()?}))
        })
        .collect();
    let mut answers = if entries.is_empty() { Answers::none() } else { Answers::ask(broker, &entries)? };
    let mut results = Vec::with_capacity(uploads.len());
    for (upload, commit) in uploads.iter().zip(commits) {
        results.push(match commit {
            Ok(_) => answers.next(broker, upload),
            Err(error) => Err(error),
        });
    }
    Ok(results)
}

#[derive(Deserialize)]
struct Answer {
    entries: Vec<Value>,
}

/// The results of a batch, one after the other.
struct Answers {
    entries: std::vec::IntoIter<Value>,
    /// An earlier attempt may have made the files already.
    maybe_applied: bool,
    /// Looking did not work for an earlier one, and would not for the next.
    blind: bool,
}

impl Answers {
    fn none() -> Self {
        Self { entries: Vec::new().into_iter(), maybe_applied: false, blind: false }
    }

    fn ask<B: Broker>(broker: &mut B, entries: &[Value]) -> Result<Self, Error> {
        let request = Request::route("finish-uploads").json(&json!({"entries": entries}));
        let reply = match broker.exchange(&request, LIST_BYTES_MAX) {
            Ok(reply) => reply,
            // Nothing was said about any of them.
            Err(Failure::Lost) => return Ok(Self { maybe_applied: true, ..Self::none() }),
            Err(failure) => return Err(failure.into()),
        };
        if !reply.is_success() {
            return Err(error::read(&reply));
        }
        let answer: Answer = reply.json()?;
        Ok(Self { entries: answer.entries.into_iter(), maybe_applied: reply.maybe_applied, blind: false })
    }

    fn next<B: Broker>(&mut self, broker: &mut B, upload: &Staged) -> Result<Entry, Error> {
        // Without an answer it is in doubt what happened.
        let Some(answer) = self.entries.next() else { return self.look(broker, upload, true, Error::Lost) };
        let failure = &answer["failure"];
        if failure.is_null() {
            let metadata: Metadata = serde_json::from_value(answer).map_err(|_| Error::Unavailable)?;
            return metadata.entry(upload.path.clone());
        }
        let tags = Tags::read(failure);
        match tags.path() {
            // Expired, or a file already.
            ["lookup_failed", "not_found" | "closed" | "incorrect_offset" | "not_closed", ..] => {
                self.look(broker, upload, self.maybe_applied, Error::SessionGone)
            }
            _ => {
                let complaint = commit::complaint(&tags, &upload.info.mode);
                if self.maybe_applied && matches!(complaint, Error::Exists | Error::Conflict) {
                    return self.look(broker, upload, true, complaint);
                }
                Err(complaint)
            }
        }
    }

    /// Is it a file already? The complaint if not. The host compares the hash with what it sent.
    fn look<B: Broker>(
        &mut self,
        broker: &mut B,
        upload: &Staged,
        may_have_arrived: bool,
        complaint: Error,
    ) -> Result<Entry, Error> {
        if self.blind {
            return Err(Error::Lost);
        }
        match stat(broker, &upload.path) {
            Ok(entry) if outcome::resembles(&entry, &upload.info, may_have_arrived) => Ok(entry),
            Ok(_) | Err(Error::NotFound) => Err(complaint),
            Err(error) => {
                self.blind = error.ends_operation();
                Err(Error::Lost)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_connector::testing::{self, Script, failure, reply};
    use wharf_connector::{Datetime, Info, Mode};

    use super::*;
    use crate::tests::MANIFEST;

    const TIME: &str = "2015-05-12T15:50:38Z";

    fn staged(name: &str, mode: Mode) -> Staged {
        let modified = Some(Datetime { seconds: 1_431_445_838, nanoseconds: 0 });
        let info = Info { size: 5, modified, keep_modified: false, mode };
        Staged { session: format!("session-{name}"), path: format!("d/{name}"), info }
    }

    fn entry(name: &str, mode: &str) -> Value {
        json!({
            "cursor": {"session_id": format!("session-{name}"), "offset": 5},
            "commit": {
                "path": format!("d/{name}"), "mode": mode, "autorename": false, "mute": true,
                "strict_conflict": mode == "add", "client_modified": TIME,
            },
        })
    }

    fn success() -> Value {
        json!({".tag": "success", "name": "x", "size": 5, "client_modified": TIME})
    }

    fn failed(failure: Value) -> Value {
        json!({".tag": "failure", "failure": failure})
    }

    fn of_path(tag: &str) -> Value {
        failed(json!({".tag": "path", "path": {".tag": tag}}))
    }

    fn conflict(what: &str) -> Value {
        failed(json!({".tag": "path", "path": {".tag": "conflict", "conflict": {".tag": what}}}))
    }

    fn lookup_failed(tag: &str) -> Value {
        failed(json!({".tag": "lookup_failed", "lookup_failed": {".tag": tag}}))
    }

    fn answers(entries: &[Value]) -> testing::Answer {
        reply(200, &json!({"entries": entries}))
    }

    fn on(answer: testing::Answer) -> Script {
        Script::new(MANIFEST).on("finish-uploads", json!({}), answer)
    }

    fn on_stat(script: Script, size: u64) -> Script {
        let stored = json!({".tag": "file", "size": size, "client_modified": TIME});
        script.on("stat", json!({"json": {"path": "d/x"}}), reply(200, &stored))
    }

    fn missing() -> testing::Answer {
        reply(409, &json!({"error": {".tag": "path", "path": {".tag": "not_found"}}}))
    }

    fn sizes(results: Vec<Result<Entry, Error>>) -> Vec<Result<u64, Error>> {
        results.into_iter().map(|result| result.map(|entry| entry.size)).collect()
    }

    #[track_caller]
    fn check_one(mut script: Script, mode: Mode, expected: Result<u64, Error>) {
        let results = finish(&mut script, &[staged("x", mode)]).unwrap();
        assert_eq!(sizes(results), [expected]);
    }

    #[test]
    fn all_of_them_are_one_request() {
        let entries = json!({"entries": [entry("x", "overwrite"), entry("y", "add")]});
        let mut script = Script::new(MANIFEST).on(
            "finish-uploads",
            json!({"json": entries}),
            answers(&[success(), of_path("too_many_write_operations")]),
        );
        let results = finish(&mut script, &[staged("x", Mode::Replace), staged("y", Mode::Create)]).unwrap();
        assert_eq!(results[0].as_ref().unwrap().path, "d/x");
        assert_eq!(sizes(results), [Ok(5), Err(Error::Throttled(None))]);
    }

    #[test]
    fn each_has_its_own_result() {
        let certain = |answer: Value, mode, expected| check_one(on(answers(&[answer])), mode, expected);
        let revision = || Mode::ReplaceIfRevision("a1c10ce0dd78".to_owned());
        certain(conflict("file"), Mode::Create, Err(Error::Exists));
        certain(conflict("file"), revision(), Err(Error::Conflict));
        certain(conflict("folder"), Mode::Create, Err(Error::WrongKind));
        certain(conflict("file_ancestor"), Mode::Replace, Err(Error::WrongKind));
        certain(of_path("insufficient_space"), Mode::Replace, Err(Error::Quota));
        certain(of_path("no_write_permission"), Mode::Replace, Err(Error::Denied));
        certain(
            failed(json!({".tag": "too_many_write_operations"})),
            Mode::Replace,
            Err(Error::Throttled(None)),
        );
        certain(lookup_failed("too_large"), Mode::Replace, Err(Error::TooLarge));
        certain(json!({".tag": "success", "size": "five"}), Mode::Replace, Err(Error::Unavailable));
    }

    #[test]
    fn a_session_that_is_gone_may_be_the_file() {
        for tag in ["not_found", "closed", "incorrect_offset", "not_closed"] {
            let gone = || on(answers(&[lookup_failed(tag)]));
            check_one(on_stat(gone(), 5), Mode::Create, Ok(5));
            check_one(on_stat(gone(), 6), Mode::Replace, Err(Error::SessionGone));
            check_one(gone().on("stat", json!({}), missing()), Mode::Replace, Err(Error::SessionGone));
        }
    }

    #[test]
    fn a_conflict_may_be_our_own_doing() {
        let doubt = || on(answers(&[conflict("file")]).maybe_applied());
        check_one(on_stat(doubt(), 5), Mode::Create, Ok(5));
        check_one(on_stat(doubt(), 6), Mode::Create, Err(Error::Exists));
        check_one(doubt().on("stat", json!({}), reply(500, &Value::Null)), Mode::Create, Err(Error::Lost));
    }

    #[test]
    fn a_lost_reply_is_looked_after_until_that_fails_too() {
        let lost = || on(failure(Failure::Lost));
        check_one(on_stat(lost(), 5), Mode::Replace, Ok(5));
        check_one(on_stat(lost(), 6), Mode::Replace, Err(Error::Lost));
        check_one(on_stat(on(answers(&[])), 5), Mode::Replace, Ok(5));
        let mut script = lost().on("stat", json!({}), failure(Failure::Unreachable));
        let results = finish(&mut script, &[staged("x", Mode::Replace), staged("y", Mode::Replace)]).unwrap();
        assert_eq!(sizes(results), [Err(Error::Lost), Err(Error::Lost)]);
    }

    #[test]
    fn a_refused_batch_is_refused_whole() {
        let result = |answer| finish(&mut on(answer), &[staged("x", Mode::Replace)]).map(sizes);
        assert_eq!(result(reply(401, &Value::Null)), Err(Error::SignInAgain));
        assert_eq!(result(failure(Failure::Throttled(Some(7)))), Err(Error::Throttled(Some(7))));
    }

    #[test]
    fn what_cannot_be_asked_for_is_left_out() {
        let foreign = staged("z", Mode::ReplaceIfRevision("foreign".to_owned()));
        let expected = json!({"json": {"entries": [entry("x", "overwrite")]}});
        let mut script = Script::new(MANIFEST).on("finish-uploads", expected, answers(&[success()]));
        let results = finish(&mut script, &[foreign.clone(), staged("x", Mode::Replace)]).unwrap();
        assert_eq!(sizes(results), [Err(Error::Conflict), Ok(5)]);
        assert_eq!(sizes(finish(&mut Script::new(MANIFEST), &[foreign]).unwrap()), [Err(Error::Conflict)]);
    }
}
