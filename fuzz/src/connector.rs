//! The connectors' own logic, natively: any operation, any replies.
//!
//! An input is text. The first line is the operation, a number, and a string that stands for a path, a
//! session or a page. Replies follow, each begun by a line `---`: its status, its headers, an empty line
//! and its body. The last reply is given again to whoever asks on.

use std::time::Duration;

use wharf_connector::{
    Algorithm, Broker, Connector, Failure, Info, Kind, Level, Mode, Removal, Reply, Request, Settings, Staged,
};

/// Requests of one operation. A connector that asks on for ever is wrong; one that removes or pages
/// through many asks some dozens.
const REQUESTS_MAX: usize = 2000;
/// Bytes of what is stored.
const SIZE: u64 = 100_000;

pub(crate) fn onedrive(bytes: &[u8]) {
    operate::<connector_onedrive::OneDrive>(bytes);
}

pub(crate) fn dropbox(bytes: &[u8]) {
    operate::<connector_dropbox::Dropbox>(bytes);
}

/// A service that says what the input says.
struct Service {
    settings: Settings,
    replies: Vec<Result<Reply, Failure>>,
    asked: usize,
}

impl Service {
    fn next(&mut self) -> Result<Reply, Failure> {
        let at = self.asked.min(self.replies.len().saturating_sub(1));
        self.asked += 1;
        assert!(self.asked < REQUESTS_MAX, "a connector that asks for ever");
        self.replies.get(at).cloned().unwrap_or(Err(Failure::Unreachable))
    }
}

impl Broker for Service {
    type Content = u64;
    type Body = ();

    fn exchange(&mut self, request: &Request<'_, u64>, limit_bytes: u32) -> Result<Reply, Failure> {
        if let Some(json) = &request.json {
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
        let reply = self.next()?;
        let fits = u32::try_from(reply.body.len()).is_ok_and(|length| length <= limit_bytes);
        if fits { Ok(reply) } else { Err(Failure::TooLarge) }
    }

    fn fetch(&mut self, _request: &Request<'_, u64>) -> Result<(Reply, ()), Failure> {
        Ok((self.next()?, ()))
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn size(&self, content: &u64) -> u64 {
        *content
    }

    fn read(&self, content: &u64, offset: u64, len_bytes: u32) -> Option<Vec<u8>> {
        let left = content.checked_sub(offset)?.min(u64::from(len_bytes)).min(4096);
        Some(vec![0; usize::try_from(left).ok()?])
    }

    fn hash(&self, _content: &u64, _algorithm: Algorithm) -> Option<Vec<u8>> {
        Some(vec![0; 20])
    }

    fn wait(&mut self, _time: Duration) {}

    fn log(&mut self, _level: Level, _message: &str) {}
}

fn operate<C: Connector<Service>>(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("\n---\n");
    let first = parts.next().unwrap_or_default();
    let mut words = first.splitn(3, ' ');
    let operation = words.next().unwrap_or_default();
    let number = words.next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    let given = words.next().unwrap_or("a/f");
    let options =
        if number.is_multiple_of(2) { "{}" } else { r#"{"track_changes":true,"permanent_delete":true}"# };
    let settings = Settings { directory: "/backups/fuzz".to_owned(), options: options.to_owned() };
    let mut service = Service { settings, replies: parts.map(reply).collect(), asked: 0 };
    perform::<C>(&mut service, operation, number, given);
}

fn perform<C: Connector<Service>>(service: &mut Service, operation: &str, number: u64, given: &str) {
    let mode = match number % 3 {
        0 => Mode::Replace,
        1 => Mode::Create,
        _ => Mode::ReplaceIfRevision(given.to_owned()),
    };
    let info = Info { size: SIZE, modified: None, keep_modified: number.is_multiple_of(5), mode };
    let half = number % SIZE;
    match operation {
        "stat" => drop(C::stat(service, given)),
        "list" => drop(C::list(service, "a", false, Some(given))),
        "first" => drop(C::list(service, given, number.is_multiple_of(2), None)),
        "make-folder" => drop(C::make_folder(service, given)),
        "put" => drop(C::put(service, given, &SIZE, &info)),
        "begin" => drop(C::begin_upload(service, given, &info, Some(&half))),
        "part" => drop(C::upload_part(service, given, number, &info, &half, number.is_multiple_of(2))),
        "status" => drop(C::upload_status(service, given, "a/f", &info)),
        "abort" => drop(C::abort_upload(service, given)),
        "finish" => {
            let staged = Staged { session: given.to_owned(), path: "a/f".to_owned(), info };
            if let Ok(results) = C::finish_uploads(service, &[staged.clone(), staged]) {
                assert_eq!(results.len(), 2);
            }
        }
        "get" => {
            let len = number.is_multiple_of(2).then_some(10);
            if let Ok(download) =
                C::get(service, "a/f", number, len, number.is_multiple_of(3).then_some(given))
            {
                assert!(download.offset <= number, "a download from {number} begins at {}", download.offset);
            }
        }
        "remove" => {
            let removal = |kind| Removal { path: given.to_owned(), kind, revision: None };
            if let Ok(results) = C::remove(service, &[removal(Kind::File), removal(Kind::Folder)]) {
                assert_eq!(results.len(), 2);
            }
        }
        "relocate" => drop(C::relocate(service, given, "b/g")),
        "copy" => drop(C::copy(service, given, "b/g")),
        "job" => drop(C::relocation_status(service, given, "b/g")),
        "usage" => drop(C::usage(service)),
        "changes" => drop(C::changes(service, (number > 0).then_some(given))),
        _ => {}
    }
}

fn reply(text: &str) -> Result<Reply, Failure> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = match lines.next().unwrap_or_default() {
        "lost" => return Err(Failure::Lost),
        "denied" => return Err(Failure::Denied),
        "throttled" => return Err(Failure::Throttled(Some(u64::MAX))),
        status => status.parse().unwrap_or(200),
    };
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Ok(Reply { status, headers, body: body.as_bytes().to_vec(), maybe_applied: status % 2 == 1 })
}
