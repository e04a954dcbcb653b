//! A connector under pressure: every operation while its service lies, with arguments that no sound host
//! would give.
//!
//! Nothing here needs an account or a network. A connector may fail at all of it; it may not break down,
//! ask for ever, or take a lie for a success.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::conformance::{case, info, noise, path, source, word};
use super::lies::{self, Lie, Promise};
use super::time::Leaping;
use super::{Error as Ended, Finding, Outcome, Subject, Told, setup};
use crate::account::{Client, StoredToken};
use crate::attached::{Attached, Error};
use crate::content::Section;
use crate::destination::{ConnectorReference, Destination};
use crate::entry::{Kind, Mode};
use crate::grant::Granted;
use crate::hash::Running;
use crate::home::Name;
use crate::host::{self, Host};
use crate::manifest::Manifest;
use crate::network::{self, Answer, Asked, Stage};
use crate::path::Directory;
use crate::sandbox::operation::{self, Removal, Staged};
use crate::secret::Secret;

/// Requests that one operation may make while every one of them fails: what fails is not asked again
/// and again by the connector, since the host has done so.
const REQUESTS_MAX: u64 = 64;
/// Time that one operation may take, by a clock on the wall.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Time that passes between two operations: no pause and no open circuit of one outlasts it.
const BETWEEN: Duration = Duration::from_hours(1);
/// Bytes that are stored.
const FILE_BYTES: usize = 4096;
/// Bytes of a download that are read; it may have no end.
const DOWNLOAD_BYTES: usize = 1024 * 1024;

/// What is asked of a connector.
const OPERATIONS: [&str; 15] = [
    "stat",
    "list",
    "list-tree",
    "make-folder",
    "put",
    "begin-upload",
    "upload-part",
    "upload-status",
    "abort-upload",
    "finish-uploads",
    "get",
    "remove",
    "relocate",
    "copy",
    "usage",
];
/// Those that have to be told the truth by the service: they have nothing else to tell it from.
const ASKING: [&str; 4] = ["stat", "list", "put", "get"];
/// Those that cannot succeed without something of the reply.
const TELLING: [&str; 4] = ["stat", "list", "put", "finish-uploads"];
/// Forgetting an upload needs no service: one that is left alone ends by itself.
const FORGETTING: &str = "abort-upload";

/// Strings in place of what an earlier answer gave: of a journal that was damaged, or of another version.
const STRANGE: [&str; 8] = [
    "",
    "{}",
    "null",
    "[[[[[[[[",
    "{\"handle\":1,\"offset\":-1}",
    "AAAA:18446744073709551616",
    "\u{202e}\u{0}\u{1b}[2J",
    "https://127.0.0.1/",
];

/// The service: it lies, and counts how often.
#[derive(Debug)]
pub(super) struct Service {
    lie: Mutex<Lie>,
    token: Mutex<Option<String>>,
    asked: AtomicU64,
}

impl Service {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { lie: Mutex::new(Lie::NotFound), token: Mutex::default(), asked: AtomicU64::new(0) })
    }

    fn lie(&self) -> Lie {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage for Service {
    fn answer(&self, request: &Asked) -> Answer {
        let endpoint = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if endpoint.as_deref() == Some(request.url.as_str()) {
            return lies::token(self.lie());
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.lie().answer()
    }
}

/// A stage with a connector on it.
pub(super) struct Play<'a> {
    host: Host,
    service: Arc<Service>,
    clock: Arc<Leaping>,
    /// Operations that have no end of their own: one proof is enough.
    hanging: Mutex<BTreeSet<&'static str>>,
    manifest: &'a Manifest,
    subject: &'a Subject<'a>,
}

impl<'a> Play<'a> {
    /// Set the stage: a home of its own, the connector installed in it, and nobody else.
    pub(super) fn set(subject: &'a Subject<'a>, manifest: &'a Manifest) -> Result<Self, Ended> {
        let (service, clock) = (Service::new(), Arc::new(Leaping::default()));
        let stage: Arc<dyn Stage> = Arc::<Service>::clone(&service);
        let options = network::Options { stage: Some(stage), ..network::Options::default() };
        let host = Host::open(subject.home, options)?.with_clock(Arc::<Leaping>::clone(&clock));
        if let Some(oauth) = &manifest.oauth {
            let endpoint = url::Url::parse(&oauth.token).map(String::from).ok();
            *service.token.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
        }
        Ok(Self { host, service, clock, hanging: Mutex::default(), manifest, subject })
    }

    /// The host that the play is on.
    pub(super) const fn host(&self) -> &Host {
        &self.host
    }

    /// All lies, then strange arguments.
    pub(super) async fn run(&self, told: Told<'_>) -> Result<(), Ended> {
        let works_here = self.manifest.routes.is_empty();
        for (number, lie) in Lie::ALL.into_iter().enumerate() {
            if works_here && lie != Lie::Ungranted {
                // Its service is a directory, which answers for itself.
                continue;
            }
            *self.service.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
            let attached = self.attach(number, lie != Lie::Ungranted).await?;
            let outcome = Box::pin(self.under(lie, &attached)).await;
            attached.settle().await.map_err(host::Error::from)?;
            told(Finding { part: "pressure", what: lie.does().to_owned(), outcome });
        }
        *self.service.lie.lock().unwrap_or_else(PoisonError::into_inner) = Lie::NotFound;
        let attached = self.attach(Lie::ALL.len(), true).await?;
        let outcome = Box::pin(self.strange(&attached)).await;
        attached.settle().await.map_err(host::Error::from)?;
        told(Finding { part: "arguments", what: "what no host would give".to_owned(), outcome });
        Ok(())
    }

    /// A destination and an account that nobody else has, so that no lie outlives its turn.
    async fn attach(&self, number: usize, granted: bool) -> Result<Attached, Ended> {
        let name = Name::parse(&format!("exam-{number}")).map_err(setup)?;
        let reference = ConnectorReference { name: self.manifest.id.clone(), version: None };
        let directory = match self.manifest.folder {
            Some(_) => self.subject.folder.join("pressed").display().to_string(),
            None => "/exam".to_owned(),
        };
        let directory =
            Directory::parse(&format!("{directory}/{number}")).unwrap_or_else(|_| Directory::root());
        let mut destination = Destination::new(name.clone(), reference, directory);
        destination.options = self.subject.options.clone();
        destination.retries = 1;
        if granted {
            destination.grants = Granted::everything(self.manifest);
        }
        if self.manifest.oauth.is_some() {
            let client = Client {
                id: Some("exam".to_owned()),
                secret: Some(Secret::new("exam".to_owned())),
                token_url: None,
            };
            let token = r#"{"access_token":"exam","token_type":"bearer","refresh_token":"exam","expiry":"2999-01-01T00:00:00Z"}"#;
            let token = StoredToken::from_rclone(token).map_err(setup)?;
            let now = crate::clock::Clock::now(self.clock.as_ref());
            self.host
                .accounts()
                .add(&name, &self.manifest.kind, token, client, now)
                .map_err(host::Error::from)?;
            destination.account = Some(name.clone());
        }
        self.host.destinations().create(&destination).map_err(host::Error::from)?;
        let attached = self.host.attach(&name).await?;
        // Whose the directory is would be asked before the first write, of a service that lies.
        attached.consider_owned().await.map_err(host::Error::from)?;
        Ok(attached)
    }

    /// Every operation under one lie.
    async fn under(&self, lie: Lie, attached: &Attached) -> Outcome {
        let mut wrong = Vec::new();
        for operation in OPERATIONS {
            if self.hanging().contains(operation) {
                continue;
            }
            let ended = self.watched(attached, perform(attached, operation, "exam")).await;
            let problem = match ended {
                Ok((ended, asked)) => {
                    if matches!(&ended, Err(error) if matches!(error.problem, operation::Error::Overdrawn(_)))
                    {
                        self.hanging().insert(operation);
                    }
                    judge(lie.promise(), operation, &ended, asked)
                }
                Err(problem) => {
                    self.hanging().insert(operation);
                    Some(problem)
                }
            };
            wrong.extend(problem.map(|problem| format!("`{operation}` {problem}")));
        }
        told(wrong, format!("{} operations, none of them mistaken", OPERATIONS.len()))
    }

    fn hanging(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations that go on from what somebody else has written.
    async fn strange(&self, attached: &Attached) -> Outcome {
        let mut wrong = Vec::new();
        for given in STRANGE {
            for operation in
                ["list-on", "changes", "upload-part", "upload-status", "abort-upload", "finish-uploads"]
            {
                let problem = match self.watched(attached, perform(attached, operation, given)).await {
                    Ok((ended, asked)) => judge(Promise::Evidence, operation, &ended, asked),
                    Err(problem) => Some(problem),
                };
                wrong.extend(problem.map(|problem| format!("`{operation}` of {given:?} {problem}")));
            }
        }
        told(wrong, format!("{} strings in place of sessions, pages and cursors", STRANGE.len()))
    }

    /// An operation, watched: how it ended and how many requests it took, or why it has no end.
    async fn watched(
        &self,
        attached: &Attached,
        operation: impl Future<Output = Result<(), Error>>,
    ) -> Result<(Result<(), Error>, u64), String> {
        self.clock.leap(BETWEEN);
        self.service.asked.store(0, Ordering::Relaxed);
        let ended = tokio::time::timeout(TIME_MAX, operation).await;
        let ended = ended.map_err(|_| format!("has no end after {} seconds", TIME_MAX.as_secs()))?;
        if attached.threads().free() != attached.threads().limit() {
            return Err("keeps its permit".to_owned());
        }
        Ok((ended, self.service.asked.load(Ordering::Relaxed)))
    }
}

/// What is wrong with how an operation ended; none when it is as promised.
fn judge(promise: Promise, operation: &str, ended: &Result<(), Error>, asked: u64) -> Option<String> {
    if let Err(error) = ended
        && error.problem.refusal().is_none()
    {
        return Some(format!("ends in: {}", error.problem));
    }
    if asked > REQUESTS_MAX {
        return Some(format!("makes {asked} requests; {REQUESTS_MAX} are enough"));
    }
    let refusal = ended.as_ref().err().and_then(|error| error.problem.refusal());
    if refusal.is_some_and(|refusal| case(refusal) == "unsupported") {
        return None;
    }
    match promise {
        Promise::Case(wanted) if ASKING.contains(&operation) && word(ended) != wanted => {
            Some(format!("answers `{}`, and `{wanted}` is promised", word(ended)))
        }
        Promise::Case(_) | Promise::Failure if ended.is_ok() && operation != FORGETTING => {
            Some("succeeds".to_owned())
        }
        Promise::Evidence if ended.is_ok() && TELLING.contains(&operation) => Some("succeeds".to_owned()),
        Promise::Case(_) | Promise::Failure | Promise::Evidence => None,
    }
}

fn told(wrong: Vec<String>, good: String) -> Outcome {
    if wrong.is_empty() { Outcome::Good(good) } else { Outcome::Failed(wrong.join("; ")) }
}

/// One operation on a file that is not there. `given` stands for a session, a page or a cursor.
async fn perform(attached: &Attached, operation: &str, given: &str) -> Result<(), Error> {
    let (place, other) = (path("exam/file"), path("exam/other"));
    let whole = Section::whole(source(&noise(1, FILE_BYTES)));
    let info = info(FILE_BYTES, Mode::Replace);
    match operation {
        "stat" => attached.stat(&place).await.map(drop),
        "list" => attached.list(&path("exam"), false, None).await.map(drop),
        "list-tree" => attached.list(&path("exam"), true, None).await.map(drop),
        "list-on" => attached.list(&path("exam"), false, Some(given)).await.map(drop),
        "make-folder" => attached.make_folder(&place).await.map(drop),
        "put" => attached.put(&place, &whole, &info, None).await.map(drop),
        "begin-upload" => attached.begin_upload(&place, &info, Some(&whole), None).await.map(drop),
        "upload-part" => {
            let running = Running::new(&attached.algorithms());
            attached.upload_part(&place, given, &info, &whole, &running, None).await.map(drop)
        }
        "upload-status" => attached.upload_status(&place, given, &info).await.map(drop),
        "abort-upload" => attached.abort_upload(&place, given).await,
        "finish-uploads" => {
            let staged = Staged { session: given.to_owned(), path: place, info };
            attached.finish_uploads(&[staged]).await?.pop().map_or(Ok(()), |result| result.map(drop))
        }
        "get" => downloaded(attached.get(&place, 0, None, None).await?).await,
        "remove" => {
            let removal = Removal { path: place, kind: Kind::File, revision: None };
            attached.remove(&[removal]).await?.pop().unwrap_or(Ok(()))
        }
        "relocate" => attached.relocate(&place, &other).await.map(drop),
        "copy" => attached.copy(&place, &other).await.map(drop),
        "changes" => attached.changes(Some(given)).await.map(drop),
        _ => attached.usage().await.map(drop),
    }
}

/// Some of a download. What cannot be read to its end is the host's to tell, not the connector's.
async fn downloaded(mut opened: crate::attached::Opened) -> Result<(), Error> {
    let mut read = 0_usize;
    while let Ok(Some(chunk)) = opened.download.body.chunk().await {
        read = read.saturating_add(chunk.len());
        if read > DOWNLOAD_BYTES {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::operation::Refusal;

    fn refused(refusal: Refusal) -> Result<(), Error> {
        failed(operation::Error::Refused { refusal, cause: None })
    }

    fn failed(problem: operation::Error) -> Result<(), Error> {
        let destination = Name::parse("exam").unwrap();
        Err(Error { destination, operation: "stat", path: path("a"), problem, folder: None })
    }

    #[test]
    fn what_is_promised_is_held_against_what_came() {
        let check = |promise, operation: &str, ended: Result<(), Error>, asked, expected: Option<&str>| {
            let problem = judge(promise, operation, &ended, asked);
            let fits = problem.as_deref().zip(expected).is_some_and(|(problem, part)| problem.contains(part));
            assert!(fits || (problem.is_none() && expected.is_none()), "{operation} {ended:?}: {problem:?}");
        };
        let denied = Promise::Case("denied");
        check(denied, "stat", refused(Refusal::Denied), 1, None);
        check(denied, "stat", refused(Refusal::NotFound), 1, Some("`not-found`, and `denied` is promised"));
        check(denied, "usage", refused(Refusal::Unavailable), 1, None);
        check(denied, "usage", Ok(()), 0, Some("succeeds"));
        check(Promise::Failure, "put", refused(Refusal::Lost), 64, None);
        check(Promise::Failure, "put", refused(Refusal::Lost), 65, Some("65 requests"));
        check(Promise::Failure, "remove", Ok(()), 1, Some("succeeds"));
        check(Promise::Failure, "abort-upload", Ok(()), 0, None);
        check(Promise::Evidence, "get", Ok(()), 1, None);
        check(Promise::Evidence, "list", Ok(()), 1, Some("succeeds"));
        check(Promise::Evidence, "copy", refused(Refusal::Unsupported), 0, None);
        for broken in [operation::Error::Trapped("x".to_owned()), operation::Error::Nonsense("x".to_owned())]
        {
            check(Promise::Evidence, "get", failed(broken), 1, Some("x"));
        }
    }

    /// Each lie answers what it says, and a sign-in that is gone is gone at the token endpoint too.
    #[test]
    fn every_lie_is_told_once() {
        let mut said: Vec<&str> = Lie::ALL.iter().map(|lie| lie.does()).collect();
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), Lie::ALL.len());
        let status = |answer: Answer| match answer {
            Answer::Reply { status, .. } => Some(status.as_u16()),
            Answer::Nothing { .. } => None,
        };
        for lie in Lie::ALL {
            let number = lie.does().split(' ').next().and_then(|word| word.parse::<u16>().ok());
            if number.is_some() {
                assert_eq!(status(lie.answer()), number, "{lie:?}");
            }
        }
        assert_eq!(status(lies::token(Lie::SignedOut)), Some(400));
        assert_eq!(status(lies::token(Lie::Unauthorized)), Some(200));
    }
}
