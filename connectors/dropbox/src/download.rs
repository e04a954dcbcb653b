//! Reading a file: one request, whose reply has the bytes, and what they are in a header.

use serde_json::json;
use wharf_connector::range::Range;
use wharf_connector::{Broker, Download, Entry, Error, Reply, Request};

use crate::metadata::Metadata;
use crate::{error, name};

/// Begin to read a file.
///
/// # Errors
/// As the contract says for `get`.
pub(crate) fn get<B: Broker>(
    broker: &mut B,
    path: &str,
    range: Range,
    revision: Option<&str>,
) -> Result<Download<B::Body>, Error> {
    name::check_readable(path)?;
    let (mut reply, mut body) = fetch(broker, path, range.header())?;
    if reply.status == 416 && range.offset == 0 {
        // Nothing begins at 0: the file is empty, which no range can say.
        (reply, body) = fetch(broker, path, None)?;
    }
    let offset = match reply.status {
        206 => range.first_byte(&reply)?,
        200..=299 => 0,
        416 => return Err(Error::Other("the range begins beyond the end of the file".to_owned())),
        _ => return Err(error::read(&reply)),
    };
    let entry = entry(&reply, path);
    match (revision, &entry) {
        (Some(expected), Some(entry)) if entry.revision.as_deref() != Some(expected) => Err(Error::Conflict),
        // Which revision this is cannot be told, and must be.
        (Some(_), None) => Err(Error::Unavailable),
        _ => Ok(Download { body, offset, entry }),
    }
}

fn fetch<B: Broker>(broker: &mut B, path: &str, range: Option<String>) -> Result<(Reply, B::Body), Error> {
    let request =
        Request::route("download").header_if("range", range).json(&json!({"path": name::stored(path)}));
    Ok(broker.fetch(&request)?)
}

fn entry(reply: &Reply, path: &str) -> Option<Entry> {
    let metadata: Metadata = serde_json::from_str(reply.header("dropbox-api-result")?).ok()?;
    metadata.entry(path.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wharf_connector::Failure;
    use wharf_connector::testing::{Answer, Body, Script, failure, reply};

    use super::*;
    use crate::tests::MANIFEST;

    const RESULT: &str = r#"{"name": "f", "size": 100, "rev": "a1c10ce0dd78", "path_display": "/\u00e9"}"#;

    fn on(script: Script, headers: Value, answer: Answer) -> Script {
        let expected = json!({"json": {"path": "a/f"}, "headers": headers, "payload": null});
        script.on("download", expected, answer.bytes("bytes"))
    }

    fn answer(status: u16) -> Answer {
        reply(status, &Value::Null).header("dropbox-api-result", RESULT)
    }

    #[track_caller]
    fn check(
        mut script: Script,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
        expected: Result<u64, Error>,
    ) {
        let download = get(&mut script, "a/f", Range { offset, len }, revision);
        let download = download.map(|download| {
            assert_eq!(download.body, Body("bytes".to_owned()));
            download.offset
        });
        assert_eq!(download, expected);
    }

    fn script() -> Script {
        Script::new(MANIFEST)
    }

    #[test]
    fn a_range_is_a_header() {
        check(on(script(), Value::Null, answer(200)), 0, None, None, Ok(0));
        let cases = [(10, None, "bytes=10-"), (0, Some(5), "bytes=0-4"), (10, Some(1), "bytes=10-10")];
        for (offset, len, range) in cases {
            let part = answer(206).header("content-range", &format!("bytes {offset}-11/100"));
            check(on(script(), json!({"range": range}), part), offset, len, None, Ok(offset));
        }
        let range = json!({"range": "bytes=10-"});
        check(on(script(), range.clone(), answer(200)), 10, None, None, Ok(0));
        check(on(script(), range.clone(), answer(206)), 10, None, None, Ok(10));
        let early = answer(206).header("content-range", "bytes 4-11/100");
        check(on(script(), range.clone(), early), 10, None, None, Ok(4));
        let late = answer(206).header("content-range", "bytes 11-11/100");
        check(on(script(), range.clone(), late), 10, None, None, Err(Error::Corrupt));
        let mut beyond = on(script(), range, reply(416, &Value::Null));
        assert!(matches!(
            get(&mut beyond, "a/f", Range { offset: 10, len: None }, None),
            Err(Error::Other(_))
        ));
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        let refused = on(script(), json!({"range": "bytes=0-9"}), reply(416, &Value::Null));
        check(on(refused, Value::Null, answer(200)), 0, Some(10), None, Ok(0));
    }

    #[test]
    fn the_reply_tells_what_it_is() {
        let entry =
            |answer| get(&mut on(script(), Value::Null, answer), "a/f", Range { offset: 0, len: None }, None);
        let told = entry(answer(200)).unwrap().entry.unwrap();
        assert_eq!(
            (told.path.as_str(), told.size, told.revision.as_deref()),
            ("a/f", 100, Some("a1c10ce0dd78"))
        );
        assert_eq!(entry(reply(200, &Value::Null)).unwrap().entry, None);
    }

    #[test]
    fn another_revision_is_not_read() {
        let whole = |answer| on(script(), Value::Null, answer);
        check(whole(answer(200)), 0, None, Some("a1c10ce0dd78"), Ok(0));
        check(whole(answer(200)), 0, None, Some("000000000"), Err(Error::Conflict));
        check(whole(reply(200, &Value::Null)), 0, None, Some("a1c10ce0dd78"), Err(Error::Unavailable));
    }

    #[test]
    fn refusals_are_told_apart() {
        let refused = |error: Value| on(script(), Value::Null, reply(409, &json!({"error": error})));
        let of_path = |tag: &str| refused(json!({".tag": "path", "path": {".tag": tag}}));
        check(of_path("not_found"), 0, None, None, Err(Error::NotFound));
        check(of_path("not_file"), 0, None, None, Err(Error::WrongKind));
        check(of_path("restricted_content"), 0, None, None, Err(Error::Denied));
        check(refused(json!({".tag": "unsupported_file"})), 0, None, None, Err(Error::Unsupported));
        check(on(script(), Value::Null, failure(Failure::Denied)), 0, None, None, Err(Error::Denied));
        check(on(script(), Value::Null, reply(500, &Value::Null)), 0, None, None, Err(Error::Unavailable));
        assert!(get(&mut script(), "a\nb", Range { offset: 0, len: None }, None).is_err());
    }
}
