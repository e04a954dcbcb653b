//! Answers that mean nothing, or would mean harm.

use hostile::{Abuse, file};
use wharf_connector::{
    Algorithm, Broker, Change, ChangesPage, Datetime, Download, Entry, Error, Facts, Hash, Info, Node,
    Outcome, Page, Progress, Removal, Request, Staged, Upload, Whereabouts,
};

wharf_connector::component!(hostile::Hostile<crate::Nonsense>);

/// The abuse.
#[derive(Debug)]
pub struct Nonsense;

fn timed(seconds: i64, nanoseconds: u32) -> Entry {
    Entry { modified: Some(Datetime { seconds, nanoseconds }), ..file("time") }
}

fn hashed(algorithm: Algorithm, length: usize) -> Entry {
    Entry { hash: Some(Hash { algorithm, value: vec![0; length] }), ..file("hash") }
}

fn facts() -> Outcome {
    Outcome::File(Facts { size: 0, modified: None, hash: None, revision: None })
}

fn at_path(path: &str) -> Change {
    Change { at: Whereabouts::Path(path.to_owned()), is: facts() }
}

fn node(id: &str, parent: Option<&str>, name: &str, is: Outcome) -> Change {
    let parent = parent.map(str::to_owned);
    Change { at: Whereabouts::Node(Node { id: id.to_owned(), parent, name: name.to_owned() }), is }
}

impl<B: Broker> Abuse<B> for Nonsense {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        Ok(match what {
            "up" => file("../x"),
            "absolute" => file("/etc/passwd"),
            "nul" => file("a\0b"),
            "dots" => file("a/./b"),
            "double" => file("a//b"),
            "endless" => file(&"a/".repeat(100_000)),
            "escape" => file("\u{1b}[2J/../\u{202e}"),
            "late" => timed(i64::MAX, 0),
            "early" => timed(i64::MIN, 0),
            "fraction" => timed(0, 1_000_000_000),
            "short-hash" => hashed(Algorithm::BlockSha256, 31),
            "long-hash" => hashed(Algorithm::Quickxor, 21),
            "no-hash" => hashed(Algorithm::Sha1, 0),
            "throttled" => return Err(Error::Throttled(Some(u64::MAX))),
            "text" => return Err(Error::Other("\u{1b}[2J\r\n\u{202e}".repeat(10_000))),
            "name" => return Err(Error::BadName("\u{1b}[2J\r\n\u{202e}".repeat(10_000))),
            _ => return Err(Error::NotFound),
        })
    }

    fn list(_broker: &mut B, path: &str, next: Option<&str>) -> Result<Page, Error> {
        let page = |entries| Page { entries, next: None };
        Ok(match next.unwrap_or_default() {
            "outside" => page(vec![file("elsewhere/x")]),
            "sibling" => page(vec![file(&format!("{path}s/x"))]),
            "itself" => page(vec![file(path)]),
            "up" => page(vec![file(&format!("{path}/../x"))]),
            "next" => Page { entries: Vec::new(), next: Some("x".repeat(1 << 20)) },
            _ => page(Vec::new()),
        })
    }

    fn begin_upload(_broker: &mut B, path: &str, _info: &Info) -> Result<Upload, Error> {
        let session = if path == "session" { "x".repeat(1 << 20) } else { String::new() };
        Ok(Upload { session, progress: Progress::Done(file("../x")) })
    }

    fn finish_uploads(_broker: &mut B, uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        Ok((0..=uploads.len()).map(|_| Ok(file("x"))).collect())
    }

    /// What is at the path is returned, whatever it is, from a place that nobody asked for.
    fn get(broker: &mut B, path: &str) -> Result<Download<B::Body>, Error> {
        let request = Request::route("download").json(&serde_json::json!({ "path": path }));
        let (_, body) = broker.fetch(&request)?;
        Ok(Download { body, offset: u64::MAX, entry: None })
    }

    fn changes(_broker: &mut B, cursor: Option<&str>) -> Result<ChangesPage, Error> {
        let change = match cursor.unwrap_or_default() {
            "up" => at_path("../x"),
            "itself" => at_path(""),
            "two-names" => node("1", Some("0"), "a/b", facts()),
            "dots" => node("1", Some("0"), "..", Outcome::Folder),
            "no-name" => node("1", Some("0"), "", facts()),
            "no-folder" => node("1", None, "x", facts()),
            "no-id" => node("", Some("0"), "x", facts()),
            "long-id" => node(&"x".repeat(2000), Some("0"), "x", facts()),
            "cursor" => {
                return Ok(ChangesPage { changes: Vec::new(), cursor: "x".repeat(20_000), more: true });
            }
            "no-cursor" => {
                return Ok(ChangesPage { changes: Vec::new(), cursor: String::new(), more: false });
            }
            "flood" => {
                return Ok(ChangesPage {
                    changes: vec![at_path("x"); 30_000],
                    cursor: "x".to_owned(),
                    more: false,
                });
            }
            "" => return Ok(ChangesPage { changes: Vec::new(), cursor: "0".to_owned(), more: true }),
            // A number: the next, for ever, and each with nothing on it.
            number => {
                let next = number.parse::<u64>().map_err(|_| Error::CursorGone)? + 1;
                return Ok(ChangesPage { changes: Vec::new(), cursor: next.to_string(), more: true });
            }
        };
        Ok(ChangesPage { changes: vec![change], cursor: "next".to_owned(), more: false })
    }

    fn remove(_broker: &mut B, _items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        Ok(Vec::new())
    }
}
