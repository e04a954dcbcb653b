//! The broker: a connector's only way out.
//!
//! A request is allowed by the grant, signed for each attempt, sent by the network, judged by the
//! retry table and recorded, in this order and in this file; every other room does one of those
//! things. What the connector learns of the outcome is cleaned by [`scrub`]; what the operator may
//! know is kept as the call's cause and in the audit.

mod arriving;
mod cause;
mod circuit;
mod credential;
mod folder;
mod outcome;
mod record;
mod scrub;
mod sign;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use tracing::Instrument as _;

use crate::account::{Account, Credential};
use crate::audit::{self, Audit, Decision, Record};
use crate::clock::Clock;
use crate::content::{Progress, Receipt, Section, Tap};
use crate::destination::Watch;
use crate::folder::Folder;
use crate::grant::{Allowed, Ask, Denial, Grant};
use crate::handle::Handles;
use crate::hash::Running;
use crate::manifest::Replay;
use crate::network::{HttpVersion, Incoming, Network, ReadError, SendError};
use crate::rate::Flow;
use crate::retry::circuit::Circuit;
use crate::retry::{Attempts, Budget, Reason, Verdict};

use circuit::Notices;
use outcome::outcome;
use record::{chain, excerpt};
use scrub::{Disguises, Scrub};

pub use arriving::{ArrivalError, Arriving};
pub use cause::Cause;
pub(crate) use folder::Refused;

/// How long one operation may take in all, pauses and retries included. A service that throttles
/// asks for minutes at most; what takes longer is better told to the operator.
pub const ELAPSED_MAX: Duration = Duration::from_secs(30 * 60);

/// A request as a guest made it.
#[derive(Debug)]
pub struct Request {
    /// What it asks.
    pub ask: Ask,
    /// A handle in place of an address.
    pub handle: Option<String>,
    /// What it carries.
    pub carrying: Carrying,
    /// May it be sent twice, as far as the guest is concerned?
    pub replay: Replay,
}

/// What a request carries beside its arguments.
#[derive(Debug)]
pub enum Carrying {
    /// Nothing.
    Nothing,
    /// Bytes of the guest's.
    Bytes(Bytes),
    /// Bytes of the host's.
    Section(Section),
}

/// A reply as a guest sees it.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers that concern a connector.
    pub headers: Vec<(String, String)>,
    /// The body, if it was read.
    pub body: Vec<u8>,
    /// An earlier attempt may have reached the service.
    pub maybe_applied: bool,
}

/// Why there is no reply, as a guest may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract has the words")]
pub enum Failure {
    Denied,
    SignInAgain,
    Throttled(Option<Duration>),
    Unreachable,
    Lost,
    TimedOut,
    TooLarge,
    SourceChanged,
    Invalid(String),
}

/// What a destination's requests are made with.
#[derive(Debug)]
pub struct Settings {
    /// The destination's name.
    pub destination: Arc<str>,
    /// What its service is called.
    pub service: Arc<str>,
    /// Its connector: type and version.
    pub connector: Arc<str>,
    /// The component's digest.
    pub digest: Arc<str>,
    /// Who signed it, with which key; or `unsigned`.
    pub signed_by: Arc<str>,
    /// Options for the connector, as JSON.
    pub options: String,
    /// How often a failed request is sent again.
    pub retries: u32,
    /// How many requests one operation may make.
    pub requests: u64,
    /// How long one operation may take in all.
    pub elapsed_max: Duration,
    /// Which HTTP to speak.
    pub http_version: HttpVersion,
    /// Requests of different pools share no connection: the account's name, or the destination's.
    pub pool: Arc<str>,
    /// The backup directory, where the connector works on this machine.
    pub folder: Option<Folder>,
    /// How fast; none for as fast as it goes.
    pub flow: Option<Flow>,
}

/// One destination's way out.
pub struct Broker {
    settings: Settings,
    grant: RwLock<Arc<Grant>>,
    watch: Watch,
    handles: Handles,
    account: Option<Account>,
    network: Arc<Network>,
    audit: Audit,
    clock: Arc<dyn Clock>,
    calls: AtomicU64,
    /// Until when this destination is silent, in nanoseconds of the clock's elapsed time.
    paused_until: AtomicU64,
    /// Does the service answer?
    circuit: Mutex<Circuit>,
    notices: Notices,
    /// Of the token that was sent last.
    disguises: Mutex<Option<Arc<Disguises>>>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Broker({})", self.settings.destination)
    }
}

impl Broker {
    /// A way out for one destination.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "a way out is put together of all of these, once")]
    pub fn new(
        settings: Settings,
        grant: Grant,
        watch: Watch,
        handles: Handles,
        account: Option<Account>,
        network: Arc<Network>,
        audit: Audit,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let grant = RwLock::new(Arc::new(grant));
        Arc::new(Self {
            settings,
            grant,
            watch,
            handles,
            account,
            network,
            audit,
            clock,
            calls: AtomicU64::new(1),
            paused_until: AtomicU64::new(0),
            circuit: Mutex::default(),
            notices: Notices::default(),
            disguises: Mutex::default(),
        })
    }

    /// The grant as it was when somebody looked last.
    #[must_use]
    pub fn grant(&self) -> Arc<Grant> {
        Arc::clone(&self.grant.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The grant in force: what an operator changed meanwhile holds for this request already, also when
    /// its operation began before. A destination that is gone, disabled or unreadable allows nothing.
    #[must_use]
    pub fn current_grant(&self) -> Arc<Grant> {
        let Some(changed) = self.watch.changed() else { return self.grant() };
        let before = self.grant();
        let after = Arc::new(match changed {
            Ok(destination) if destination.disabled => {
                before.stopped(format!("destination `{}` is disabled", destination.name))
            }
            Ok(destination) => before.regranted(&destination.grants),
            Err(error) => before.stopped(chain(&error)),
        });
        *self.grant.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        after
    }

    /// The backup directory, if it lies on this machine.
    #[must_use]
    pub const fn folder(&self) -> Option<&Folder> {
        self.settings.folder.as_ref()
    }

    /// The record of what was sent.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Have a token that the service should take, renewed if need be; none where no account is needed.
    ///
    /// # Errors
    /// Why the account cannot be used.
    pub async fn sign_in(&self) -> Option<Result<(), crate::account::Error>> {
        let account = self.account.as_ref()?;
        Some(account.credential().await.map(drop))
    }

    /// Wait until what is under way beside the requests is on disk: records, and a renewed token.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn settle(&self) -> Result<(), audit::Error> {
        if let Some(account) = &self.account {
            account.settle().await;
        }
        self.audit.flush().await
    }

    /// Time, as this destination sees it.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// What must not be seen of the credential that was sent.
    fn disguises(&self, credential: Option<&Credential>) -> Option<Arc<Disguises>> {
        let token = credential?.access_token();
        let mut known = self.disguises.lock().unwrap_or_else(PoisonError::into_inner);
        let current = known.as_ref().filter(|known| known.are_of(token)).map(Arc::clone);
        let current = current.unwrap_or_else(|| Arc::new(Disguises::new(token)));
        *known = Some(Arc::clone(&current));
        Some(current)
    }

    /// Keep this destination silent for a while; a longer pause that stands is not cut short.
    pub fn pause(&self, pause: Duration) {
        let until = self.clock.elapsed().saturating_add(pause);
        self.paused_until.fetch_max(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Record that a connector claims that the service asks for patience.
    pub async fn claimed(self: &Arc<Self>, operation: &'static str, pause: Duration) {
        let call = self.call(operation);
        let wait_ms = u64::try_from(pause.as_millis()).ok();
        let rule = "claimed".to_owned();
        let reason = "the connector says that the service asks for patience".to_owned();
        let record =
            Record { wait_ms, rule, reason, guest_claimed: true, ..call.blank("".into(), Decision::Paused) };
        // The operation that follows fails if the audit does.
        let _ = call.append(record).await;
    }

    /// Record that an operation was not begun, because the connector may not run any more.
    pub async fn stopped(self: &Arc<Self>, operation: &'static str, reason: &str) {
        let call = self.call(operation);
        let (rule, reason) = ("connector-stopped".to_owned(), reason.to_owned());
        let record = Record { rule, reason, ..call.blank("".into(), Decision::Denied) };
        // It is refused whether or not that can be written down.
        let _ = call.append(record).await;
    }

    /// Record that an operation was ended because its connector broke down, took too long or answered what
    /// makes no sense: no attempt says so, and there may have been none.
    pub async fn ended(
        self: &Arc<Self>,
        operation: &'static str,
        number: u64,
        rule: &'static str,
        reason: String,
    ) {
        let call = self.call(operation);
        let blank = call.blank("".into(), Decision::GaveUp);
        // It has failed whether or not that can be written down.
        let _ = call.append(Record { operation_id: number, rule: rule.to_owned(), reason, ..blank }).await;
    }

    /// Begin an operation.
    #[must_use]
    pub fn call(self: &Arc<Self>, operation: &'static str) -> Call {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let started = self.clock.elapsed();
        Call {
            id: number,
            broker: Arc::clone(self),
            operation,
            deadline: started.saturating_add(self.settings.elapsed_max),
            requests: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            hashing: Mutex::new(None),
            progress: None,
            cause: Mutex::new(None),
        }
    }
}

/// One operation under way: its budget, and what the host learns while the guest runs.
pub struct Call {
    /// Unique in this process.
    id: u64,
    broker: Arc<Broker>,
    operation: &'static str,
    /// By the broker's clock.
    deadline: Duration,
    requests: AtomicU64,
    sent_bytes: AtomicU64,
    hashing: Mutex<Option<Running>>,
    progress: Option<Progress>,
    cause: Mutex<Option<Cause>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Call({} {})", self.operation, self.id)
    }
}

/// A request that was answered, before the guest sees anything of it.
struct Answered {
    allowed: Allowed,
    incoming: Incoming,
    credential: Option<Credential>,
    maybe_applied: bool,
}

impl Call {
    /// Which operation of this process it is.
    #[must_use]
    pub(crate) const fn number(&self) -> u64 {
        self.id
    }

    /// Hash what is sent, from this state on: sections that follow it are taken into it when the
    /// service has acknowledged them.
    #[must_use]
    pub fn hashing(mut self, running: Running) -> Self {
        self.hashing = Mutex::new(Some(running));
        self
    }

    /// Tell how many bytes went to the socket.
    #[must_use]
    pub fn with_progress(mut self, progress: Option<Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// The hash of what was acknowledged.
    pub fn take_hash(&self) -> Option<Running> {
        self.hashing.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The last thing that went wrong, for the operator.
    pub fn cause(&self) -> Option<Cause> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How much of the operation's time is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.broker.clock.elapsed())
    }

    /// What the operator chose: the backup directory and the options.
    pub(crate) fn settings(&self) -> (String, String) {
        (self.broker.grant().directory().to_string(), self.broker.settings.options.clone())
    }

    /// Send a request and read its answer, at most `limit` bytes.
    pub(crate) async fn exchange(&self, request: Request, limit: u32) -> Result<Reply, Failure> {
        let answered = self.send(&request).await?;
        self.read(answered, limit).await
    }

    /// Send a request; the body of a success stays with the host, any other answer is read whole.
    pub(crate) async fn fetch(
        &self,
        request: Request,
        limit: u32,
    ) -> Result<(Reply, Option<Arriving>), Failure> {
        let answered = self.send(&request).await?;
        if !answered.incoming.status().is_success() {
            return Ok((self.read(answered, limit).await?, None));
        }
        let disguises = self.broker.disguises(answered.credential.as_ref());
        let scrub = self.scrub(&answered.allowed, disguises.as_deref());
        let reply = Reply {
            status: answered.incoming.status().as_u16(),
            headers: scrub.headers(answered.incoming.headers()),
            body: Vec::new(),
            maybe_applied: answered.maybe_applied,
        };
        let arriving = Arriving::from_network(answered.incoming, self.broker.settings.flow.clone());
        Ok((reply, Some(arriving)))
    }

    async fn read(&self, answered: Answered, limit: u32) -> Result<Reply, Failure> {
        let Answered { allowed, incoming, credential, maybe_applied } = answered;
        let status = incoming.status().as_u16();
        let headers = incoming.headers().clone();
        let body = incoming.read(u64::from(limit)).await.map_err(|error| {
            self.note(&allowed, &error.to_string());
            match error {
                ReadError::TooLarge { .. } => Failure::TooLarge,
                ReadError::Stalled | ReadError::Cut(_) => Failure::Lost,
            }
        })?;
        let disguises = self.broker.disguises(credential.as_ref());
        let scrub = self.scrub(&allowed, disguises.as_deref());
        let body = scrub.body(&body);
        if status >= 400 {
            self.note(&allowed, &format!("the service answered {status}{}", excerpt(&body)));
        }
        Ok(Reply { status, headers: scrub.headers(&headers), body, maybe_applied })
    }

    fn scrub<'a>(&'a self, allowed: &'a Allowed, credential: Option<&'a Disguises>) -> Scrub<'a> {
        Scrub { route: allowed.route(), handles: &self.broker.handles, credential }
    }

    /// The path of every request: allowed, then attempt after attempt until a verdict ends it.
    async fn send(&self, request: &Request) -> Result<Answered, Failure> {
        let allowed = self.allow(request).await?;
        let mut attempts = Attempts::new(self.budget(), allowed.replay(request.replay));
        let mut credential = None;
        for number in 1_u32.. {
            self.wait_for_pause(&allowed).await?;
            if credential.is_none() {
                credential = self.credential(&allowed).await?;
            }
            let passed = self.pass(&allowed).await?;
            // While a token was renewed, or a rate waited for, another request may have been refused.
            self.wait_for_pause(&allowed).await?;
            let started = self.broker.clock.elapsed();
            let (tap, receipt) = self.tap(&request.carrying);
            let outgoing =
                sign::outgoing(&self.broker.settings, &allowed, credential.as_ref(), &request.carrying, tap);
            let span = tracing::debug_span!("attempt", route = %request.ask.route, number);
            let sent = self.broker.network.send(outgoing).instrument(span).await;
            if let Carrying::Section(section) = &request.carrying {
                self.sent_bytes.fetch_add(section.size(), Ordering::Relaxed);
            }
            let outcome = outcome(&sent, self.broker.clock.now());
            self.judge(passed, &allowed, outcome).await?;
            let verdict = attempts.note(outcome, self.elapsed(), &mut || rand::random());
            self.record(
                &allowed,
                &request.carrying,
                number,
                started,
                &sent,
                verdict,
                attempts.maybe_applied(),
            )
            .await?;
            match verdict {
                Verdict::Deliver => {
                    let maybe_applied = attempts.maybe_applied();
                    return self.deliver(allowed, sent, credential, receipt, maybe_applied);
                }
                Verdict::DeliverAndPause(pause) => {
                    self.pause(pause);
                    let maybe_applied = attempts.maybe_applied();
                    return self.deliver(allowed, sent, credential, receipt, maybe_applied);
                }
                Verdict::RetryAfter(wait) => {
                    drop(sent);
                    self.broker.clock.sleep(wait).await;
                }
                // A pause that only a connector can claim is not among a reply's verdicts; it would
                // mean the same.
                Verdict::PauseAccount(pause) | Verdict::PauseDestination(pause) => {
                    drop(sent);
                    self.pause(pause);
                }
                Verdict::RefreshOnce if credential.is_some() => {
                    drop(sent);
                    credential = self.refresh(&allowed, credential).await?;
                }
                Verdict::RefreshOnce => {
                    return self.deliver(allowed, sent, credential, receipt, attempts.maybe_applied());
                }
                Verdict::GiveUp(reason) => return Err(self.give_up(&allowed, reason, &sent)),
            }
        }
        Err(Failure::TimedOut)
    }

    /// One more request of this operation, unless it has made too many.
    async fn count_request(&self, route: &str) -> Result<(), Failure> {
        let made = self.requests.fetch_add(1, Ordering::Relaxed);
        let most = self.broker.settings.requests;
        if made >= most {
            let reason = format!(
                "more than {most} requests in one operation; `--guest-limit requests=NUMBER` allows more"
            );
            // One record says it; a guest that goes on must not fill the audit.
            if made > most {
                return Err(Failure::Invalid(reason));
            }
            return Err(self.refuse(route, "requests", reason).await);
        }
        Ok(())
    }

    async fn allow(&self, request: &Request) -> Result<Allowed, Failure> {
        self.count_request(&request.ask.route).await?;
        let opened = match request.handle.as_deref().map(|handle| self.broker.handles.open(handle)) {
            None => Ok(None),
            Some(Some(opened)) => Ok(Some(opened)),
            Some(None) => Err(Denial::Handle),
        };
        match opened.and_then(|opened| self.broker.current_grant().allow(&request.ask, opened.as_ref())) {
            Ok(allowed) => Ok(allowed),
            Err(denial) => Err(self.deny_with(self.denied(&request.ask.route, &denial), &denial).await),
        }
    }

    /// As [`refuse`](Self::refuse), and it counts as a request: a guest that goes on asking for what it
    /// was refused must not fill the audit.
    pub(crate) async fn refuse_counted(&self, route: &str, rule: &str, reason: String) -> Failure {
        match self.count_request(route).await {
            Ok(()) => self.refuse(route, rule, reason).await,
            Err(failure) => failure,
        }
    }

    /// Refuse a request for a reason of the sandbox's.
    pub(crate) async fn refuse(&self, route: &str, rule: &str, reason: String) -> Failure {
        self.set_cause(reason.clone());
        let (rule, told) = (rule.to_owned(), reason.clone());
        let record = Record { rule, reason: told, ..self.blank(route.into(), Decision::Denied) };
        match self.append(record).await {
            Ok(()) => Failure::Invalid(reason),
            Err(failure) => failure,
        }
    }

    /// Bytes of sections that were handed to the network, in all attempts.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// The record of a denial.
    fn denied(&self, route: &str, denial: &Denial) -> Record {
        let rule = denial.rule().to_owned();
        Record { rule, reason: denial.to_string(), ..self.blank(route.into(), Decision::Denied) }
    }

    /// The guest learns that it may not; the operator, which rule said so.
    async fn deny_with(&self, record: Record, denial: &Denial) -> Failure {
        self.tell_cause(cause::denied(&self.broker.settings, &record.route, denial));
        if let Err(failure) = self.append(record).await {
            return failure;
        }
        if denial.is_mistake() { Failure::Invalid(denial.to_string()) } else { Failure::Denied }
    }

    fn budget(&self) -> Budget {
        Budget::new(self.broker.settings.retries, self.broker.settings.elapsed_max)
    }

    /// Time since the operation began.
    fn elapsed(&self) -> Duration {
        self.broker.settings.elapsed_max.saturating_sub(self.left())
    }

    /// What a section's bytes are told to on their way: the hash, if the section goes on where it
    /// stands, and the progress.
    fn tap(&self, carrying: &Carrying) -> (Tap, Option<Receipt>) {
        match carrying {
            Carrying::Section(section) => self.tap_section(section),
            Carrying::Nothing | Carrying::Bytes(_) => (Tap::default(), None),
        }
    }

    fn tap_section(&self, section: &Section) -> (Tap, Option<Receipt>) {
        let flow = self.broker.settings.flow.clone();
        let hashing = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        let (tap, receipt) = match &*hashing {
            Some(running) if running.at() == section.offset() => {
                let (tap, receipt) = Tap::hashing(running.clone());
                (tap, Some(receipt))
            }
            Some(_) | None => (Tap::default(), None),
        };
        let tap = tap.with_flow(flow);
        match &self.progress {
            Some(progress) => (tap.with_progress(Arc::clone(progress)), receipt),
            None => (tap, receipt),
        }
    }

    /// The reply goes to the guest; what it acknowledges is hashed for good.
    fn deliver(
        &self,
        allowed: Allowed,
        sent: Result<Incoming, SendError>,
        credential: Option<Credential>,
        receipt: Option<Receipt>,
        maybe_applied: bool,
    ) -> Result<Answered, Failure> {
        let incoming = match sent {
            Ok(incoming) => incoming,
            Err(error) => return Err(self.fail(&allowed, &error)),
        };
        if incoming.status().is_success()
            && let Some(running) = receipt.and_then(Receipt::take)
        {
            *self.hashing.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        }
        Ok(Answered { allowed, incoming, credential, maybe_applied })
    }

    /// A section was stored: it counts, and so does its hash.
    fn acknowledge(&self, bytes: u64, hashed: Option<Running>) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(running) = hashed {
            *self.hashing.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        }
    }

    fn give_up(&self, allowed: &Allowed, reason: Reason, sent: &Result<Incoming, SendError>) -> Failure {
        let told = sent.as_ref().err().map(|error| format!(": {}", chain(&error.kind))).unwrap_or_default();
        self.note(allowed, &format!("{reason}{told}"));
        match reason {
            Reason::Unreachable => Failure::Unreachable,
            Reason::Lost => Failure::Lost,
            Reason::Throttled(pause) => {
                self.pause(pause);
                Failure::Throttled(Some(pause))
            }
            Reason::SourceChanged => Failure::SourceChanged,
            Reason::Refused => Failure::Denied,
            Reason::TooLarge => Failure::TooLarge,
        }
    }

    fn fail(&self, allowed: &Allowed, error: &SendError) -> Failure {
        self.note(allowed, &chain(&error.kind));
        Failure::Unreachable
    }
}
