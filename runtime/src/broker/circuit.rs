//! What holds a request back beside its account's pause: a service that does not answer, and the
//! destination's own rate.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Broker, Call, Failure};
use crate::audit::{Decision, Record};
use crate::grant::Allowed;
use crate::retry::Outcome;
use crate::retry::circuit::{Change, Circuit, Pass};

/// Sentences that nobody has read yet are kept, so many of them.
const NOTICES_MAX: usize = 16;

/// What the operator should hear while work goes on.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Mutex<Vec<String>>,
    told: Notify,
}

impl Notices {
    fn tell(&self, text: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < NOTICES_MAX {
            waiting.push(text);
        }
        drop(waiting);
        self.told.notify_one();
    }

    async fn next(&self) -> String {
        loop {
            let told = self.told.notified();
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if !waiting.is_empty() {
                    return waiting.remove(0);
                }
            }
            told.await;
        }
    }
}

/// A request that was let through. Dropped without an outcome, somebody else may try.
#[derive(Debug)]
pub(super) struct Passed<'a> {
    call: &'a Call,
    pass: Pass,
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        let broker = &self.call.broker;
        broker.circuit().give_back(self.pass, broker.clock.elapsed());
    }
}

impl Broker {
    /// The next sentence that the operator should hear: the service does not answer, or does again.
    pub async fn notice(&self) -> String {
        self.notices.next().await
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment of this process's clock as the operator's watch shows it.
    fn time_of(&self, moment: Duration) -> String {
        let ago = self.clock.elapsed().saturating_sub(moment);
        let time = Timestamp::try_from(self.clock.now() - ago).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{} UTC", time.strftime("%H:%M"))
    }

    fn silent_since(&self, since: Duration) -> String {
        format!("{} does not answer since {}", self.settings.service, self.time_of(since))
    }
}

impl Call {
    /// Wait until the service answers, as far as is known, and the destination's rate lets another
    /// request go.
    pub(super) async fn pass(&self, allowed: &Allowed) -> Result<Passed<'_>, Failure> {
        let passed = self.pass_circuit(allowed).await?;
        let Some(flow) = &self.broker.settings.flow else { return Ok(passed) };
        match flow.request(self.left()) {
            Ok(None) => {}
            Ok(Some(hold)) => hold.await,
            Err(wait) => {
                self.note(allowed, "the destination's `requests_per_second` leaves no time for this request");
                return Err(Failure::Throttled(Some(wait)));
            }
        }
        Ok(passed)
    }

    async fn pass_circuit(&self, allowed: &Allowed) -> Result<Passed<'_>, Failure> {
        let clock = &self.broker.clock;
        loop {
            let (pass, since) = {
                let mut circuit = self.broker.circuit();
                (circuit.pass(clock.elapsed()), circuit.since())
            };
            let wait = match pass {
                Pass::Go | Pass::Try => return Ok(Passed { call: self, pass }),
                Pass::Wait(wait) => wait,
            };
            if wait > self.left() {
                self.note(allowed, &self.broker.silent_since(since.unwrap_or_default()));
                return Err(Failure::Unreachable);
            }
            clock.sleep(wait).await;
        }
    }

    /// How the request ended that was let through; what that changes is told, once.
    pub(super) async fn judge(
        &self,
        mut passed: Passed<'_>,
        allowed: &Allowed,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let broker = &self.broker;
        let change =
            broker.circuit().note(passed.pass, outcome, broker.clock.elapsed(), &mut || rand::random());
        // It came to its end: nothing is to be given back.
        passed.pass = Pass::Go;
        let tell = |text: &str| {
            broker.notices.tell(format!("destination `{}`: {text}", broker.settings.destination));
        };
        match change {
            None => Ok(()),
            Some(Change::Closed { since }) => {
                let (service, since) = (&broker.settings.service, broker.time_of(since));
                tell(&format!("{service} answers again; it had not since {since}"));
                Ok(())
            }
            Some(Change::Opened { since, wait }) => {
                let text = format!("{}; trying again in {} s", broker.silent_since(since), wait.as_secs());
                tell(&text);
                let record = Record {
                    rule: "circuit".to_owned(),
                    reason: text,
                    wait_ms: u64::try_from(wait.as_millis()).ok(),
                    ..self.blank(allowed.route().name.as_str().into(), Decision::Paused)
                };
                self.append(record).await
            }
        }
    }
}
