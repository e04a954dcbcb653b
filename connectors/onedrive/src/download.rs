//! Reading a file: two requests, one to the service and one to where it keeps the bytes.
//!
//! The first reads the item, which names that place, and what the bytes should hash to, and the
//! revision. Asking `/content` costs as much and tells only the place; it is for items that do not.

use wharf_connector::range::Range;
use wharf_connector::{Broker, Download, Error, Kind, Request};

use crate::item::Item;
use crate::{ITEM_BYTES_MAX, error, name};

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
    // Without `$select`: with it, some accounts leave the address out.
    let reply =
        broker.ask(&Request::route("stat").item(name::stored(broker.settings(), path)), ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let mut item: Item = reply.json()?;
    let address = item.download.take();
    let entry = item.entry(path.to_owned())?;
    if entry.kind != Kind::File {
        return Err(Error::WrongKind);
    }
    if revision.is_some() && revision != entry.revision.as_deref() {
        return Err(Error::Conflict);
    }
    // No range fits an empty file.
    let range_header = if entry.size == 0 { None } else { range.header() };
    let download = match address {
        Some(handle) => fetch(broker, &handle, range, range_header)?,
        None => fetch_content(broker, path, range, range_header)?,
    };
    Ok(Download { entry: Some(entry), ..download })
}

fn fetch<B: Broker>(
    broker: &mut B,
    handle: &str,
    range: Range,
    range_header: Option<String>,
) -> Result<Download<B::Body>, Error> {
    let request = Request::route("download").handle(handle).header_if("range", range_header);
    let (reply, body) = broker.fetch(&request)?;
    match reply.status {
        206 => Ok(Download { body, offset: range.first_byte(&reply)?, entry: None }),
        200..=299 => Ok(Download { body, offset: 0, entry: None }),
        416 => Err(Error::Other("the range begins beyond the end of the file".to_owned())),
        // The address went stale between the two requests, and there will be another.
        300..=399 | 401 | 403 | 404 | 410 => Err(Error::Unavailable),
        _ => Err(error::read(&reply)),
    }
}

/// The way through `/content`: a redirect, or the bytes themselves.
fn fetch_content<B: Broker>(
    broker: &mut B,
    path: &str,
    range: Range,
    range_header: Option<String>,
) -> Result<Download<B::Body>, Error> {
    let (reply, body) =
        broker.fetch(&Request::route("content").item(name::stored(broker.settings(), path)))?;
    match reply.status {
        200 => Ok(Download { body, offset: 0, entry: None }),
        300..=399 => {
            drop(body);
            let handle = reply.header("location").ok_or(Error::Unavailable)?;
            fetch(broker, handle, range, range_header)
        }
        _ => Err(error::read(&reply)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Answer, Body, Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    const PLACE: &str = "https://contoso.sharepoint.com/download?tempauth=1";
    const HANDLE: &str = "download!https://contoso.sharepoint.com/download?tempauth=1";

    fn on_stat(item: Value) -> Script {
        Script::new(MANIFEST).on("stat", json!({"item": "a/f", "query": null}), reply(200, &item))
    }

    fn file() -> Value {
        json!({"name": "f", "size": 100, "file": {}, "cTag": "c1", "@microsoft.graph.downloadUrl": PLACE})
    }

    fn on_download(script: Script, headers: Value, answer: Answer) -> Script {
        script.on("download", json!({"handle": HANDLE, "headers": headers}), answer.bytes("bytes"))
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
            assert!(download.entry.is_some_and(|entry| entry.path == "a/f"));
            download.offset
        });
        assert_eq!(download, expected);
    }

    #[test]
    fn the_range_goes_where_the_bytes_are() {
        let whole = reply(200, &Value::Null);
        check(on_download(on_stat(file()), Value::Null, whole), 0, None, None, Ok(0));
        let cases = [
            (10, None, "bytes=10-"),
            (0, Some(5), "bytes=0-4"),
            (10, Some(1), "bytes=10-10"),
            (7, Some(0), "bytes=7-7"),
        ];
        for (offset, len, range) in cases {
            let part = reply(206, &Value::Null).header("content-range", &format!("bytes {offset}-11/100"));
            check(on_download(on_stat(file()), json!({"range": range}), part), offset, len, None, Ok(offset));
        }
        let late = reply(206, &Value::Null).header("content-range", "bytes 11-11/100");
        let range = json!({"range": "bytes=10-"});
        check(on_download(on_stat(file()), range, late), 10, None, None, Err(Error::Corrupt));
        let range = json!({"range": "bytes=5-18446744073709551614"});
        check(on_download(on_stat(file()), range, reply(206, &Value::Null)), 5, Some(u64::MAX), None, Ok(5));
    }

    #[test]
    fn a_range_may_be_ignored_or_impossible() {
        let on =
            |status| on_download(on_stat(file()), json!({"range": "bytes=10-"}), reply(status, &Value::Null));
        check(on(200), 10, None, None, Ok(0));
        check(on(206), 10, None, None, Ok(10));
        assert!(matches!(
            get(&mut on(416), "a/f", Range { offset: 10, len: None }, None),
            Err(Error::Other(_))
        ));
        for status in [302, 401, 403, 404, 410, 500] {
            check(on(status), 10, None, None, Err(Error::Unavailable));
        }
        check(on(429), 10, None, None, Err(Error::Throttled(None)));
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        let empty = json!({"size": 0, "file": {}, "@microsoft.graph.downloadUrl": PLACE});
        check(on_download(on_stat(empty), Value::Null, reply(200, &Value::Null)), 0, Some(10), None, Ok(0));
    }

    #[test]
    fn another_revision_is_not_read() {
        check(
            on_download(on_stat(file()), Value::Null, reply(200, &Value::Null)),
            0,
            None,
            Some("c1"),
            Ok(0),
        );
        check(on_stat(file()), 0, None, Some("c0"), Err(Error::Conflict));
    }

    #[test]
    fn an_item_without_an_address_is_asked_for_one() {
        let bare = || on_stat(json!({"size": 100, "file": {}}));
        let on =
            |script: Script, answer| script.on("content", json!({"item": "a/f", "headers": null}), answer);
        let redirect = || reply(302, &Value::Null).header("location", PLACE);
        let range = json!({"range": "bytes=10-"});
        check(on_download(on(bare(), redirect()), range, reply(206, &Value::Null)), 10, None, None, Ok(10));
        check(on(bare(), reply(200, &Value::Null).bytes("bytes")), 10, None, None, Ok(0));
        let astray = reply(302, &Value::Null).header("location", "https://evil.test/x");
        check(on(bare(), astray), 0, None, None, Err(Error::Denied));
        check(on(bare(), reply(302, &Value::Null)), 0, None, None, Err(Error::Unavailable));
        check(on(bare(), reply(404, &Value::Null)), 0, None, None, Err(Error::NotFound));
        // The host says which address it was that lies where the manifest does not reach.
        let astray = json!({"size": 1, "file": {}, "@microsoft.graph.downloadUrl": "https://evil.test/x"});
        check(on_stat(astray), 0, None, None, Err(Error::Denied));
    }

    #[test]
    fn only_files_are_read() {
        check(on_stat(json!({"folder": {}})), 0, None, None, Err(Error::WrongKind));
        let gone = Script::new(MANIFEST).on("stat", json!({}), reply(404, &Value::Null));
        check(gone, 0, None, None, Err(Error::NotFound));
    }
}
