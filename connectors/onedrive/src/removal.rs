//! Removing files and folders, one request each; Graph has no other way that costs it less.

use wharf_connector::{Broker, Error, Failure, Removal, Request, Settings, path};

use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, complaint, error, name};

/// What of the destination's options concerns removals.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Options {
    permanent_delete: bool,
}

impl Options {
    fn of(settings: &Settings) -> Self {
        serde_json::from_str(&settings.options).unwrap_or_default()
    }
}

/// One result for each, in order. After trouble that every request would meet, the rest is not asked.
pub(crate) fn remove<B: Broker>(broker: &mut B, items: &[Removal]) -> Vec<Result<(), Error>> {
    let mut results = Vec::with_capacity(items.len());
    let mut trouble: Option<Error> = None;
    for item in items {
        let result = match &trouble {
            Some(error) => Err(error.clone()),
            None => remove_one(broker, item),
        };
        trouble = result.as_ref().err().filter(|error| error.ends_operation()).map(|error| {
            // Nothing was sent for the items after it, so nothing about them is lost.
            if *error == Error::Lost { Error::Unavailable } else { error.clone() }
        });
        results.push(result);
    }
    results
}

fn remove_one<B: Broker>(broker: &mut B, item: &Removal) -> Result<(), Error> {
    name::check_readable(&item.path)?;
    if item.path.is_empty() && path::depth(&broker.settings().directory) == 0 {
        // The root of a drive cannot be removed.
        return Err(Error::Denied);
    }
    if Options::of(broker.settings()).permanent_delete {
        return remove_for_good(broker, item);
    }
    let request = Request::route("delete")
        .item(name::stored(broker.settings(), &item.path))
        .header_if("if-match", item.revision.as_deref().map(complaint::quoted));
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, &item.path),
        Err(failure) => return Err(failure.into()),
    };
    match reply.status {
        200..=299 => Ok(()),
        404 if reply.maybe_applied => Ok(()),
        _ => Err(error::read(&reply)),
    }
}

/// Without the recycle bin. Graph does not say that it heeds a condition here, so the revision is looked
/// at first, and said all the same.
fn remove_for_good<B: Broker>(broker: &mut B, item: &Removal) -> Result<(), Error> {
    let path = &item.path;
    if let Some(revision) = &item.revision
        && stat(broker, path)?.revision.as_ref().is_some_and(|stored| stored != revision)
    {
        return Err(Error::Conflict);
    }
    let request = Request::route("erase")
        .item(name::stored(broker.settings(), path))
        .header_if("if-match", item.revision.as_deref().map(complaint::quoted));
    let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
        Ok(reply) => reply,
        Err(Failure::Lost) => return after_lost(broker, path),
        Err(failure) => return Err(failure.into()),
    };
    match reply.status {
        200..=299 => Ok(()),
        404 if reply.maybe_applied => Ok(()),
        // It is not in the interface of personal accounts; the recycle bin instead would be a surprise.
        400 | 405 | 501 => Err(Error::Other(
            "this account has no permanent deletion: unset the option `permanent_delete`".to_owned(),
        )),
        _ => Err(error::read(&reply)),
    }
}

fn after_lost<B: Broker>(broker: &mut B, path: &str) -> Result<(), Error> {
    match stat(broker, path) {
        Err(Error::NotFound) => Ok(()),
        Ok(_) | Err(_) => Err(Error::Lost),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::Kind;
    use wharf_connector::testing::{Answer, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    fn item(path: &str, revision: Option<&str>) -> Removal {
        Removal { path: path.to_owned(), kind: Kind::File, revision: revision.map(str::to_owned) }
    }

    fn on(script: Script, path: &str, answer: Answer) -> Script {
        script.on("delete", json!({"item": path, "headers": null}), answer)
    }

    fn gone() -> Answer {
        reply(204, &Value::Null)
    }

    #[track_caller]
    fn check(mut script: Script, items: &[Removal], expected: &[Result<(), Error>]) {
        assert_eq!(remove(&mut script, items), expected);
    }

    #[test]
    fn each_has_its_own_result() {
        let script = on(on(Script::new(MANIFEST), "a", gone()), "b/c", reply(404, &Value::Null));
        let script = on(on(script, "d", reply(403, &Value::Null)), "e", gone());
        let items =
            [item("a", None), item("b/c", None), item("d", None), item("e", None), item("f\u{85}", None)];
        check(
            script,
            &items,
            &[Ok(()), Err(Error::NotFound), Err(Error::Denied), Ok(()), Err(Error::NotFound)],
        );
    }

    #[test]
    fn a_revision_is_a_condition() {
        let on =
            |answer| Script::new(MANIFEST).on("delete", json!({"headers": {"if-match": "\"c1\""}}), answer);
        for revision in ["c1", "\"c1\""] {
            check(on(gone()), &[item("a", Some(revision))], &[Ok(())]);
        }
        check(on(reply(412, &Value::Null)), &[item("a", Some("c1"))], &[Err(Error::Conflict)]);
    }

    #[test]
    fn for_good_is_another_request() {
        let script = || Script::new(MANIFEST).options(r#"{"permanent_delete": true}"#);
        let on = |answer| script().on("erase", json!({"item": "a"}), answer);
        check(on(gone()), &[item("a", None)], &[Ok(())]);
        check(on(reply(404, &Value::Null)), &[item("a", None)], &[Err(Error::NotFound)]);
        check(on(reply(404, &Value::Null).maybe_applied()), &[item("a", None)], &[Ok(())]);
        let refused = remove(&mut on(reply(400, &Value::Null)), &[item("a", None)]);
        assert!(matches!(&refused[..], [Err(Error::Other(text))] if text.contains("permanent_delete")));
        let stat = |tag: &str| script().on("stat", json!({}), reply(200, &json!({"file": {}, "cTag": tag})));
        let bound = json!({"headers": {"if-match": "\"c1\""}});
        check(stat("c1").on("erase", bound, gone()), &[item("a", Some("c1"))], &[Ok(())]);
        check(stat("c2"), &[item("a", Some("c1"))], &[Err(Error::Conflict)]);
    }

    #[test]
    fn what_an_earlier_attempt_removed_is_removed() {
        let script = on(Script::new(MANIFEST), "a", reply(404, &Value::Null).maybe_applied());
        check(script, &[item("a", None)], &[Ok(())]);
        let lost = || on(Script::new(MANIFEST), "a", failure(Failure::Lost));
        check(
            lost().on("stat", json!({"item": "a"}), reply(404, &Value::Null)),
            &[item("a", None)],
            &[Ok(())],
        );
        let left = lost().on("stat", json!({"item": "a"}), reply(200, &json!({"file": {}})));
        check(left, &[item("a", None), item("b", None)], &[Err(Error::Lost), Err(Error::Unavailable)]);
    }

    #[test]
    fn trouble_with_the_account_ends_it() {
        let script = on(Script::new(MANIFEST), "a", failure(Failure::SignInAgain));
        check(
            script,
            &[item("a", None), item("b", None)],
            &[Err(Error::SignInAgain), Err(Error::SignInAgain)],
        );
    }

    #[test]
    fn the_root_of_a_drive_stays() {
        check(Script::new(MANIFEST).directory("/"), &[item("", None)], &[Err(Error::Denied)]);
        check(on(Script::new(MANIFEST), "", gone()), &[item("", None)], &[Ok(())]);
    }
}
