//! Upload sessions: a file in parts, each at its offset, the last of which makes it a file.
//!
//! The address of a session is its credential; here it is only a handle. A session that is unknown may
//! have expired, or may have become the file already while the reply was lost: what is stored tells.
//! <https://learn.microsoft.com/graph/api/driveitem-createuploadsession>

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wharf_connector::{Broker, Error, Failure, Info, Mode, Progress, Reply, Request, Upload, outcome, time};

use crate::item::Item;
use crate::put::{check_place, put_nothing, send_to_place};
use crate::stat::stat;
use crate::{ITEM_BYTES_MAX, complaint, error, name};

/// Largest file, in bytes: 250 GB, counted the larger way so that nothing is refused that fits.
const FILE_BYTES_MAX: u64 = 250 << 30;

/// What the host keeps of an upload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The handle of the session's address.
    upload: String,
    /// Where the file goes.
    path: String,
}

/// Bytes to send.
pub(crate) struct Part<'a, Content> {
    /// Where they come from: a part of the file, or all of it.
    pub(crate) content: &'a Content,
    /// The first of them in the content.
    pub(crate) skip: u64,
    /// The first of them in the file.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) len: u64,
    /// Does the file end with them?
    pub(crate) last: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    upload_url: Option<String>,
    #[serde(default)]
    next_expected_ranges: Vec<String>,
}

impl Standing {
    /// The first byte that is missing. Ranges read `26-` or `26-51`, need not be all of them, and need
    /// not lie where a part began.
    fn next_offset(&self) -> Option<u64> {
        let starts =
            self.next_expected_ranges.iter().map(|range| range.split('-').next().unwrap_or_default());
        starts.filter_map(|start| start.trim().parse().ok()).min()
    }
}

/// Open a session for a file; an empty one is a file at once.
///
/// # Errors
/// As the contract says for `begin-upload`.
pub(crate) fn begin<B: Broker>(broker: &mut B, path: &str, info: &Info) -> Result<Upload, Error> {
    check_place(broker, path)?;
    if info.size == 0 {
        let entry = put_nothing(broker, path, info)?;
        return Ok(Upload { session: String::new(), progress: Progress::Done(entry) });
    }
    let (session, offset) = Session::start(broker, path, info)?;
    Ok(Upload { session: json!(session).to_string(), progress: Progress::More(offset) })
}

impl Session {
    /// Read what the host kept.
    ///
    /// # Errors
    /// [`Error::SessionGone`] for words that are not our own.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|_| Error::SessionGone)
    }

    /// Open a session; give it and the offset that it wants first.
    ///
    /// # Errors
    /// Why the file may not be written. A session that was opened in vain has no effect.
    pub(crate) fn start<B: Broker>(broker: &mut B, path: &str, info: &Info) -> Result<(Self, u64), Error> {
        if info.size > FILE_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let request = Request::route("start-upload")
            .item(name::stored(broker.settings(), path))
            .header_if("if-match", complaint::if_match(&info.mode))
            .json(&json!({"item": item(info)}));
        let reply = match send_to_place(broker, path, info, &request)? {
            Ok(reply) => reply,
            Err(Failure::Lost) => return Err(Error::Unavailable),
            Err(failure) => return Err(failure.into()),
        };
        if !reply.is_success() {
            return Err(complaint::read(broker, path, info, &reply));
        }
        let standing: Standing = reply.json()?;
        let offset = standing.next_offset().unwrap_or(0);
        let upload = standing.upload_url.ok_or(Error::Unavailable)?;
        Ok((Self { upload, path: path.to_owned() }, offset))
    }

    /// Send some bytes.
    ///
    /// # Errors
    /// As the contract says for `upload-part`.
    pub(crate) fn send<B: Broker>(
        &self,
        broker: &mut B,
        info: &Info,
        part: &Part<'_, B::Content>,
    ) -> Result<Progress, Error> {
        let Some(end) = part.offset.checked_add(part.len).filter(|_| part.len > 0) else {
            return self.status(broker, info, None, false);
        };
        let request = Request::route("send-part")
            .handle(&self.upload)
            .header("content-range", format!("bytes {}-{}/{}", part.offset, end - 1, info.size))
            .section(part.content, part.skip, part.len);
        let reply = match broker.exchange(&request, ITEM_BYTES_MAX) {
            Ok(reply) => reply,
            Err(Failure::Lost) => return self.status(broker, info, Some(part), true).map_err(after_lost),
            Err(failure) => return Err(failure.into()),
        };
        match reply.status {
            200 | 201 => Ok(Progress::Done(reply.json::<Item>()?.entry(self.path.clone())?)),
            202 => Ok(Progress::More(reply.json::<Standing>()?.next_offset().unwrap_or(end))),
            404 | 410 if part.last => {
                self.settle(broker, info, Some(part), reply.maybe_applied, Error::SessionGone)
            }
            404 | 410 => Err(Error::SessionGone),
            409 | 412 => {
                let complaint = complaint::read(broker, &self.path, info, &reply);
                if !reply.maybe_applied {
                    return Err(complaint);
                }
                self.settle(broker, info, Some(part), true, complaint)
            }
            // It has some of these bytes, or lacks some before them.
            416 => self.status(broker, info, Some(part), reply.maybe_applied),
            _ => Err(refusal(&reply)),
        }
    }

    /// Where does it stand? `part` is what was sent last, if that is at hand; `may_have_arrived` is
    /// whether it was sent at all.
    ///
    /// # Errors
    /// [`Error::SessionGone`], or why it cannot be told.
    pub(crate) fn status<B: Broker>(
        &self,
        broker: &mut B,
        info: &Info,
        part: Option<&Part<'_, B::Content>>,
        may_have_arrived: bool,
    ) -> Result<Progress, Error> {
        let reply = broker.ask(&Request::route("upload-status").handle(&self.upload), ITEM_BYTES_MAX)?;
        match reply.status {
            200..=299 => match reply.json::<Standing>()?.next_offset() {
                Some(offset) => Ok(Progress::More(offset)),
                // It has them all. If it is not the file, nothing that is left to send will make it one.
                None => self.settle(broker, info, part, may_have_arrived, Error::SessionGone),
            },
            404 | 410 => self.settle(broker, info, part, may_have_arrived, Error::SessionGone),
            _ => Err(refusal(&reply)),
        }
    }

    /// Give it up.
    ///
    /// # Errors
    /// Why it is still there.
    pub(crate) fn cancel<B: Broker>(&self, broker: &mut B) -> Result<(), Error> {
        let reply = broker.exchange(&Request::route("cancel-upload").handle(&self.upload), ITEM_BYTES_MAX)?;
        if reply.is_success() || matches!(reply.status, 404 | 410) { Ok(()) } else { Err(refusal(&reply)) }
    }

    /// Has it become the file already? The complaint if not. With the whole source at hand the bytes
    /// decide, else size and time.
    fn settle<B: Broker>(
        &self,
        broker: &mut B,
        info: &Info,
        part: Option<&Part<'_, B::Content>>,
        may_have_arrived: bool,
        complaint: Error,
    ) -> Result<Progress, Error> {
        let stored = stat(broker, &self.path);
        if let Some(part) = part.filter(|part| broker.size(part.content) == info.size) {
            return outcome::settle(broker, complaint, stored, part.content).map(Progress::Done);
        }
        match stored {
            Ok(entry) if outcome::resembles(&entry, info, may_have_arrived) => Ok(Progress::Done(entry)),
            Ok(_) | Err(Error::NotFound) => Err(complaint),
            Err(error) => Err(error),
        }
    }
}

/// What is to become of the item. Its name is in the address; said twice, it would have to agree.
fn item(info: &Info) -> Value {
    let behavior = match info.mode {
        Mode::Create => "fail",
        // Bound to a revision, `If-Match` decides.
        Mode::Replace | Mode::ReplaceIfRevision(_) => "replace",
    };
    let mut item = json!({"@microsoft.graph.conflictBehavior": behavior});
    if let Some(modified) = info.modified.as_ref().and_then(time::format) {
        // Set here it costs nothing; set later it would make a second version of the file.
        item["fileSystemInfo"] = json!({"lastModifiedDateTime": modified});
    }
    item
}

/// Looking after a lost reply either tells, or the loss stands.
fn after_lost(error: Error) -> Error {
    if error == Error::SessionGone { error } else { Error::Lost }
}

fn refusal(reply: &Reply) -> Error {
    // Begun for another length: only a new session can have this one.
    let is_mismatch = reply.status == 400 && error::has_code(reply, "fragmentLengthMismatch");
    if is_mismatch { Error::SessionGone } else { error::read(reply) }
}

#[cfg(test)]
mod tests {
    use wharf_connector::testing::{Answer, Script, Source, failure, reply};
    use wharf_connector::{Connector, Datetime};

    use super::*;
    use crate::OneDrive;
    use crate::tests::MANIFEST;

    const UPLOAD: &str = "https://contoso-my.sharepoint.com/up?tempauth=1";
    const HANDLE: &str = "upload!https://contoso-my.sharepoint.com/up?tempauth=1";
    const TIME: &str = "2015-05-12T15:50:38Z";

    fn info(modified: bool) -> Info {
        let moment = Datetime { seconds: 1_431_445_838, nanoseconds: 0 };
        Info { size: 100, modified: modified.then_some(moment), keep_modified: false, mode: Mode::Replace }
    }

    fn session() -> String {
        json!(Session { upload: HANDLE.to_owned(), path: "a/f".to_owned() }).to_string()
    }

    fn stored(status: u16, size: u64, modified: &str) -> Answer {
        let times = json!({"lastModifiedDateTime": modified});
        reply(status, &json!({"name": "f", "size": size, "file": {}, "fileSystemInfo": times}))
    }

    fn refused(status: u16, code: &str) -> Answer {
        reply(status, &json!({"error": {"code": code}}))
    }

    fn standing(ranges: &[&str]) -> Answer {
        reply(200, &json!({"nextExpectedRanges": ranges}))
    }

    /// The last 60 bytes of 100.
    fn on_last(answer: Answer) -> Script {
        let headers = json!({"content-range": "bytes 40-99/100"});
        let expected = json!({"handle": HANDLE, "headers": headers, "payload": "60 bytes from 0"});
        Script::new(MANIFEST).on("send-part", expected, answer)
    }

    fn on_status(script: Script, answer: Answer) -> Script {
        script.on("upload-status", json!({"handle": HANDLE}), answer)
    }

    fn on_stat(script: Script, answer: Answer) -> Script {
        script.on("stat", json!({"item": "a/f"}), answer)
    }

    /// `Err` is an error, `Ok(None)` is done, `Ok(Some)` is more from there.
    type Expected = Result<Option<u64>, Error>;

    #[track_caller]
    fn assert_progress(progress: Result<Progress, Error>, expected: Expected) {
        let progress = progress.map(|progress| match progress {
            Progress::More(offset) => Some(offset),
            Progress::Done(_) => None,
            Progress::Staged | Progress::AnyOrder => panic!("nothing is ever staged"),
        });
        assert_eq!(progress, expected);
    }

    #[track_caller]
    fn check_last(mut script: Script, expected: Expected) {
        let part = Source::new(60);
        assert_progress(
            OneDrive::upload_part(&mut script, &session(), 40, &info(true), &part, true),
            expected,
        );
    }

    #[track_caller]
    fn check_status(mut script: Script, modified: bool, expected: Expected) {
        assert_progress(OneDrive::upload_status(&mut script, &session(), "a/f", &info(modified)), expected);
    }

    #[test]
    fn an_upload_begins_with_its_time() {
        let item = json!({"@microsoft.graph.conflictBehavior": "replace", "fileSystemInfo": {"lastModifiedDateTime": TIME}});
        let on = |answer| {
            Script::new(MANIFEST).on("start-upload", json!({"item": "a/f", "json": {"item": item}}), answer)
        };
        let begin = |mut script: Script| OneDrive::begin_upload(&mut script, "a/f", &info(true), None);
        let upload = begin(on(reply(200, &json!({"uploadUrl": UPLOAD})))).unwrap();
        assert_eq!(upload.session, session());
        assert_progress(Ok(upload.progress), Ok(Some(0)));
        // The host lets no bytes go where the manifest does not reach.
        let elsewhere = begin(on(reply(200, &json!({"uploadUrl": "https://evil.test/up"})))).unwrap();
        let part = Source::new(100);
        let sent = OneDrive::upload_part(
            &mut Script::new(MANIFEST),
            &elsewhere.session,
            0,
            &info(true),
            &part,
            true,
        );
        assert_progress(sent, Err(Error::Denied));
        assert_eq!(begin(on(reply(200, &json!({})))).unwrap_err(), Error::Unavailable);
        assert_eq!(begin(on(refused(507, "insufficientStorage"))).unwrap_err(), Error::Quota);
        // A session that was opened in vain leaves nothing in doubt.
        assert_eq!(begin(on(failure(Failure::Lost))).unwrap_err(), Error::Unavailable);
    }

    #[test]
    fn an_upload_of_nothing_is_done_at_once() {
        let nothing = Info { size: 0, ..info(false) };
        let mut script = Script::new(MANIFEST).on("put", json!({"payload": "0 bytes"}), stored(201, 0, TIME));
        let upload = OneDrive::begin_upload(&mut script, "a/f", &nothing, None).unwrap();
        assert_progress(Ok(upload.progress), Ok(None));
        let vast = Info { size: FILE_BYTES_MAX + 1, ..info(false) };
        let upload = OneDrive::begin_upload(&mut Script::new(MANIFEST), "a/f", &vast, None);
        assert_eq!(upload.unwrap_err(), Error::TooLarge);
    }

    #[test]
    fn the_service_says_what_it_lacks() {
        let cases: [(&[&str], u64); 6] = [
            (&["100-"], 100),
            (&["26-51"], 26),
            (&["50-", "26-30"], 26),
            (&["1325399232-"], 1_325_399_232),
            (&["0-"], 0),
            (&["nonsense", "7-"], 7),
        ];
        for (ranges, offset) in cases {
            let mut script = Script::new(MANIFEST).on(
                "send-part",
                json!({"headers": {"content-range": "bytes 0-39/100"}}),
                reply(202, &json!({"nextExpectedRanges": ranges, "expirationDateTime": TIME})),
            );
            let part = Source::new(40);
            assert_progress(
                OneDrive::upload_part(&mut script, &session(), 0, &info(true), &part, false),
                Ok(Some(offset)),
            );
            check_status(on_status(Script::new(MANIFEST), standing(ranges)), true, Ok(Some(offset)));
        }
        check_last(on_last(reply(202, &json!({}))), Ok(Some(100)));
    }

    #[test]
    fn the_last_part_makes_the_file() {
        check_last(on_last(stored(201, 100, TIME)), Ok(None));
        check_last(on_last(stored(200, 100, TIME)), Ok(None));
        check_last(on_last(refused(507, "quotaLimitReached")), Err(Error::Quota));
        check_last(on_last(refused(400, "fragmentLengthMismatch")), Err(Error::SessionGone));
        check_last(on_last(refused(503, "serviceNotAvailable")), Err(Error::Unavailable));
    }

    #[test]
    fn a_part_out_of_place_asks_where_it_stands() {
        let misplaced = || on_last(refused(416, "invalidRange"));
        check_last(on_status(misplaced(), standing(&["12-"])), Ok(Some(12)));
        let gone = || on_status(misplaced(), refused(404, "itemNotFound"));
        check_last(on_stat(gone(), stored(200, 100, TIME)), Ok(None));
        check_last(on_stat(gone(), stored(200, 99, TIME)), Err(Error::SessionGone));
    }

    #[test]
    fn a_session_that_is_gone_may_be_the_file() {
        let gone = || on_last(refused(404, "itemNotFound"));
        check_last(on_stat(gone(), stored(200, 100, TIME)), Ok(None));
        check_last(on_stat(gone(), stored(200, 100, "2015-05-12T15:51:00Z")), Err(Error::SessionGone));
        check_last(on_stat(gone(), refused(404, "itemNotFound")), Err(Error::SessionGone));
        check_last(on_stat(gone(), refused(403, "accessDenied")), Err(Error::Denied));
        let mut middle =
            Script::new(MANIFEST).on("send-part", json!({}), refused(404, "uploadSessionNotFound"));
        let progress =
            OneDrive::upload_part(&mut middle, &session(), 0, &info(true), &Source::new(40), false);
        assert_progress(progress, Err(Error::SessionGone));
    }

    #[test]
    fn a_lost_reply_asks_where_it_stands() {
        let lost = || on_last(failure(Failure::Lost));
        check_last(on_status(lost(), standing(&["40-"])), Ok(Some(40)));
        check_last(on_stat(on_status(lost(), refused(404, "x")), stored(200, 100, TIME)), Ok(None));
        check_last(on_stat(on_status(lost(), refused(404, "x")), refused(404, "x")), Err(Error::SessionGone));
        check_last(on_status(lost(), failure(Failure::Unreachable)), Err(Error::Lost));
    }

    #[test]
    fn a_conflict_at_the_end_may_be_our_own_doing() {
        let doubt = || on_last(refused(409, "nameAlreadyExists").maybe_applied());
        // A replacement looks for a folder in the way first.
        check_last(on_stat(on_stat(doubt(), stored(200, 100, TIME)), stored(200, 100, TIME)), Ok(None));
        let certain = on_last(refused(409, "nameAlreadyExists"));
        check_last(on_stat(certain, reply(200, &json!({"folder": {}}))), Err(Error::WrongKind));
        check_last(on_last(refused(412, "resourceModified")), Err(Error::Conflict));
    }

    #[test]
    fn a_status_without_ranges_is_looked_after() {
        let all = || on_status(Script::new(MANIFEST), standing(&[]));
        check_status(on_stat(all(), stored(200, 100, TIME)), true, Ok(None));
        check_status(on_stat(all(), refused(404, "x")), true, Err(Error::SessionGone));
        let gone = || on_status(Script::new(MANIFEST), refused(404, "itemNotFound"));
        check_status(on_stat(gone(), stored(200, 100, TIME)), true, Ok(None));
        // Without a time of its own it may as well be the file that was there before.
        check_status(on_stat(gone(), stored(200, 100, TIME)), false, Err(Error::SessionGone));
    }

    #[test]
    fn nothing_to_send_is_a_question() {
        let mut script = on_status(Script::new(MANIFEST), standing(&["40-"]));
        let progress =
            OneDrive::upload_part(&mut script, &session(), 40, &info(true), &Source::new(0), false);
        assert_progress(progress, Ok(Some(40)));
    }

    #[test]
    fn an_upload_can_be_forgotten() {
        let abort = |answer| {
            let mut script = Script::new(MANIFEST).on("cancel-upload", json!({"handle": HANDLE}), answer);
            OneDrive::abort_upload(&mut script, &session())
        };
        assert_eq!(abort(reply(204, &Value::Null)), Ok(()));
        assert_eq!(abort(refused(404, "itemNotFound")), Ok(()));
        assert_eq!(abort(refused(403, "accessDenied")), Err(Error::Denied));
    }

    #[test]
    fn the_words_of_another_are_no_session() {
        let mut script = Script::new(MANIFEST);
        assert_eq!(OneDrive::abort_upload(&mut script, "x"), Err(Error::SessionGone));
        assert_progress(
            OneDrive::upload_status(&mut script, "", "a/f", &info(true)),
            Err(Error::SessionGone),
        );
    }
}
