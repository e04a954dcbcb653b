//! What a request needs of its account: the end of a pause, and a token.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::record::chain;
use super::{Call, Failure};
use crate::account::{self, Credential};
use crate::audit::{Decision, Record};
use crate::grant::Allowed;
use crate::manifest;

impl Call {
    /// No request leaves while its account, or this destination without one, is to be silent.
    pub(super) async fn wait_for_pause(&self, allowed: &Allowed) -> Result<(), Failure> {
        let clock = self.broker.clock.as_ref();
        if let Some(account) = &self.broker.account {
            let waited = account.wait_for_pause(clock, self.deadline).await;
            waited.map_err(|paused| {
                self.note(allowed, &paused.to_string());
                Failure::Throttled(Some(paused.remaining))
            })?;
        }
        let until = Duration::from_nanos(self.broker.paused_until.load(Ordering::Relaxed));
        let wait = until.saturating_sub(clock.elapsed());
        if wait > self.left() {
            self.note(allowed, "the destination is to be silent for longer than the operation has left");
            return Err(Failure::Throttled(Some(wait)));
        }
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        Ok(())
    }

    pub(super) fn pause(&self, pause: Duration) {
        match &self.broker.account {
            Some(account) => account.pause(self.broker.clock.now() + pause),
            None => self.broker.pause(pause),
        }
    }

    pub(super) async fn credential(&self, allowed: &Allowed) -> Result<Option<Credential>, Failure> {
        match (allowed.route().credential, &self.broker.account) {
            (manifest::Credential::None, _) => Ok(None),
            (manifest::Credential::Account, Some(account)) => match account.credential().await {
                Ok(credential) => Ok(Some(credential)),
                Err(error) => Err(self.no_credential(allowed, &error).await),
            },
            (manifest::Credential::Account, None) => {
                self.note(allowed, "the destination has no account");
                Err(Failure::SignInAgain)
            }
        }
    }

    /// The service refused the token: one that differs, once.
    pub(super) async fn refresh(
        &self,
        allowed: &Allowed,
        used: Option<Credential>,
    ) -> Result<Option<Credential>, Failure> {
        match (&self.broker.account, used) {
            (Some(account), Some(used)) => match account.refused(&used).await {
                Ok(credential) => Ok(Some(credential)),
                Err(error) => Err(self.no_credential(allowed, &error).await),
            },
            (_, used) => Ok(used),
        }
    }

    pub(super) async fn no_credential(&self, allowed: &Allowed, error: &account::Error) -> Failure {
        self.note(allowed, &chain(error));
        let record = Record {
            method: allowed.route().method.as_str().to_owned(),
            url: allowed.shown(),
            rule: "credential".to_owned(),
            reason: error.to_string(),
            ..self.blank(allowed.route().name.as_str().into(), Decision::GaveUp)
        };
        if let Err(failure) = self.append(record).await {
            return failure;
        }
        match error {
            account::Error::Unavailable { .. } => Failure::Unreachable,
            account::Error::NotFound(_)
            | account::Error::Exists(_)
            | account::Error::InUse { .. }
            | account::Error::File { .. }
            | account::Error::Sealed(_)
            | account::Error::Endpoint { .. }
            | account::Error::SignInAgain { .. }
            | account::Error::ClientRefused { .. }
            | account::Error::StillRefused { .. }
            | account::Error::Home(_)
            | account::Error::Vault(_) => Failure::SignInAgain,
        }
    }
}
