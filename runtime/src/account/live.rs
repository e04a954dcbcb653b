//! An account in use: a token that is good, whenever one is asked for.
//!
//! The token at hand is returned without waiting. When it nears its end, or the service refuses it,
//! one task renews it: alone in this process (a mutex) and on this machine (the account's lock), and
//! to its end even when the operation that wanted it is gone, because the service may rotate the
//! refresh token and what it sent must not be lost. What was stored meanwhile by another process is
//! taken instead of asking again, and a rotated token is on disk before it is used.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Error, StoredToken, TokenEndpoint, TokenTransport, message,
    pause::{Pause, Paused},
    token::{Safe, Secrets},
};
use crate::{
    clock::Clock,
    home::{Home, LOCK_POLL, Lock, Name, Subject},
    secret::Secret,
};

/// A token is renewed when it has less than this left: longer than an attempt takes, so that none
/// starts with a token that ends on its way.
pub const REFRESH_MARGIN: Duration = Duration::from_mins(5);

/// Tokens that live shortly are renewed when this part of their life is left, if that is less.
const MARGIN_PART: u32 = 5;

/// A token that is refused this soon after it was refreshed is not refreshed again: the refusal has
/// another reason, and a connector that loops on it must not wear the account out.
pub const REFUSED_WINDOW: Duration = Duration::from_mins(1);

/// A failed renewal is not repeated within this time: the operations that waited for it share it.
const FAILURE_SHARED: Duration = Duration::from_secs(1);

/// How long to wait for another process that renews the token: longer than its request may take.
pub const LOCK_WAIT: Duration = Duration::from_mins(2);

/// What signs a request. Its secret cannot print.
#[derive(Debug, Clone)]
pub struct Credential(Arc<StoredToken>);

impl Credential {
    /// The access token, to be sent as `Authorization: Bearer …` and nowhere else.
    #[must_use]
    pub fn access_token(&self) -> &Secret {
        &self.0.access
    }
}

/// An account that is open. Cheap to clone; clones share the token.
#[derive(Debug, Clone)]
pub struct Account(Arc<Shared>);

struct Shared {
    home: Home,
    safe: Safe,
    endpoint: TokenEndpoint,
    pause: Pause,
    transport: Arc<dyn TokenTransport>,
    clock: Arc<dyn Clock>,
    at_hand: RwLock<Arc<StoredToken>>,
    turn: Arc<Mutex<Turn>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Account").field("name", self.safe.name()).finish_non_exhaustive()
    }
}

/// What whoever renews knows of earlier renewals in this process.
#[derive(Debug, Default)]
struct Turn {
    failed: Option<(Duration, Error)>,
    /// A refresh token that will never be good again, with what the service said.
    dead: Option<(Secret, Error)>,
    /// A new token that could not be stored yet, and the refresh token that it came from.
    unsaved: Option<(Secret, Secrets)>,
}

/// Why the token at hand will not do.
#[derive(Debug, Clone)]
enum Need {
    /// It ends soon.
    Fresh,
    /// The service refused this one.
    OtherThan(Secret),
}

impl Account {
    pub(super) fn new(
        home: Home,
        safe: Safe,
        secrets: Secrets,
        endpoint: TokenEndpoint,
        pause: Pause,
        transport: Arc<dyn TokenTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let at_hand = RwLock::new(Arc::new(secrets.token));
        let turn = Arc::default();
        Self(Arc::new(Shared { home, safe, endpoint, pause, transport, clock, at_hand, turn }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.0.safe.name()
    }

    /// A credential that is good for now, renewed first if it must be.
    ///
    /// # Errors
    /// [`Error::SignInAgain`] when only a person can help, [`Error::Unavailable`] when later may be
    /// better; else what is wrong with the client, the endpoint or the home.
    pub async fn credential(&self) -> Result<Credential, Error> {
        let at_hand = self.0.at_hand();
        if is_fresh(&at_hand, self.0.clock.now()) {
            return Ok(Credential(at_hand));
        }
        // It is renewed early: until it really ends, the old one will do for all but the one who renews.
        if has_ended(&at_hand, self.0.clock.now()) {
            return self.renew(Need::Fresh, Arc::clone(&self.0.turn).lock_owned().await).await;
        }
        let Ok(turn) = Arc::clone(&self.0.turn).try_lock_owned() else { return Ok(Credential(at_hand)) };
        match self.renew(Need::Fresh, turn).await {
            Err(Error::Unavailable { .. }) => Ok(Credential(at_hand)),
            renewed => renewed,
        }
    }

    /// The service refused `used` with a 401: a credential to try once more with.
    ///
    /// # Errors
    /// [`Error::StillRefused`] when `used` was refreshed less than [`REFUSED_WINDOW`] ago; else as
    /// [`credential`](Self::credential).
    pub async fn refused(&self, used: &Credential) -> Result<Credential, Error> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        self.renew(Need::OtherThan(used.access_token().clone()), turn).await
    }

    /// Wait for a renewal that is under way. To be called before the program ends: what the service
    /// sends then is the only token that is good.
    pub async fn settle(&self) {
        drop(self.0.turn.lock().await);
    }

    /// Until when the service asked for silence, if it still does. Costs a read of eight cached bytes.
    #[must_use]
    pub fn paused_until(&self) -> Option<SystemTime> {
        self.0.pause.until(self.0.clock.now())
    }

    /// Pause the account in every process, at most [`PAUSE_MAX`](super::PAUSE_MAX) from now. A longer
    /// pause that stands is not cut short.
    pub fn pause(&self, until: SystemTime) {
        self.0.pause.extend(until, self.0.clock.now());
    }

    /// Wait until no pause stands, also one that grows meanwhile. Returns how long that took.
    /// `deadline` is a moment of [`Clock::elapsed`] of the same clock.
    ///
    /// # Errors
    /// [`Paused`], at once, when the pause lasts beyond `deadline`.
    pub async fn wait_for_pause(&self, clock: &dyn Clock, deadline: Duration) -> Result<Duration, Paused> {
        self.0.pause.wait(clock, deadline).await
    }

    async fn renew(&self, need: Need, turn: OwnedMutexGuard<Turn>) -> Result<Credential, Error> {
        let shared = Arc::clone(&self.0);
        let renewal = tokio::spawn(async move { shared.renew(need, turn).await });
        renewal.await.unwrap_or_else(|_| Err(self.0.unavailable("the program is ending"))).map(Credential)
    }
}

impl Shared {
    async fn renew(&self, need: Need, mut turn: OwnedMutexGuard<Turn>) -> Result<Arc<StoredToken>, Error> {
        let at_hand = self.at_hand();
        if need.is_met_by(&at_hand, self.clock.now()) {
            return Ok(at_hand);
        }
        if let Some((failed_at, error)) = &turn.failed
            && self.clock.elapsed().saturating_sub(*failed_at) < FAILURE_SHARED
        {
            return Err(error.clone());
        }
        let renewed = self.renew_in_turn(&mut turn, &need).await;
        turn.failed = renewed.as_ref().err().map(|error| (self.clock.elapsed(), error.clone()));
        let token = Arc::new(renewed?);
        // Nothing can panic while this is held.
        *self.at_hand.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&token);
        Ok(token)
    }

    async fn renew_in_turn(&self, turn: &mut Turn, need: &Need) -> Result<StoredToken, Error> {
        let _lock = self.lock().await?;
        let stored = self.load().await?;
        if let Some((origin, secrets)) = turn.unsaved.take()
            && stored.token.refresh.as_ref() == Some(&origin)
        {
            return self.store(turn, origin, secrets).await;
        }
        let now = self.clock.now();
        if need.is_met_by(&stored.token, now) {
            return Ok(stored.token);
        }
        self.check_window(need, &stored, now)?;
        let Some(refresh) = stored.token.refresh.clone() else {
            let reason = "its token has ended and came without a refresh token".to_owned();
            return Err(Error::SignInAgain { account: self.safe.name().clone(), reason });
        };
        if let Some((dead, error)) = &turn.dead
            && *dead == refresh
        {
            return Err(error.clone());
        }
        let account = self.safe.name();
        let reply = message::refresh(account, &self.endpoint, &refresh, &*self.transport, now).await;
        if let Err(error @ Error::SignInAgain { .. }) = &reply {
            turn.dead = Some((refresh.clone(), error.clone()));
        }
        let mut token = reply?;
        token.scope = token.scope.or(stored.token.scope.clone());
        let secrets = Secrets { token, refreshed: Some(self.clock.now()), ..stored };
        self.store(turn, refresh, secrets).await
    }

    /// A token that was refreshed a moment ago and is refused all the same is not refreshed again.
    fn check_window(&self, need: &Need, stored: &Secrets, now: SystemTime) -> Result<(), Error> {
        let age = stored.refreshed.and_then(|refreshed| now.duration_since(refreshed).ok());
        match (need, age) {
            (Need::OtherThan(_), Some(age)) if age < REFUSED_WINDOW => {
                Err(Error::StillRefused { account: self.safe.name().clone(), age })
            }
            (Need::OtherThan(_) | Need::Fresh, _) => Ok(()),
        }
    }

    /// Put a new token on disk; only then may it be used. If that fails, it is kept for the next try:
    /// the one on disk may be good for nothing any more.
    async fn store(&self, turn: &mut Turn, origin: Secret, secrets: Secrets) -> Result<StoredToken, Error> {
        let (safe, copy) = (self.safe.clone(), secrets.clone());
        let stored = tokio::task::spawn_blocking(move || safe.store(&copy)).await;
        match stored.unwrap_or_else(|_| Err(self.unavailable("the program is ending"))) {
            Ok(()) => Ok(secrets.token),
            Err(error) => {
                turn.unsaved = Some((origin, secrets));
                Err(error)
            }
        }
    }

    async fn load(&self) -> Result<Secrets, Error> {
        let safe = self.safe.clone();
        let loaded = tokio::task::spawn_blocking(move || safe.load()).await;
        loaded.unwrap_or_else(|_| Err(self.unavailable("the program is ending")))
    }

    /// The account's lock. The wait is for another process, so it is on the machine's own time.
    async fn lock(&self) -> Result<Lock, Error> {
        let subject = Subject::Account(self.safe.name().clone());
        let start = Instant::now();
        loop {
            if let Some(lock) = self.home.try_lock(&subject)? {
                return Ok(lock);
            }
            if start.elapsed() > LOCK_WAIT {
                return Err(self.home.busy(&subject, LOCK_WAIT).into());
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    fn at_hand(&self) -> Arc<StoredToken> {
        Arc::clone(&self.at_hand.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn unavailable(&self, reason: &str) -> Error {
        Error::Unavailable { account: self.safe.name().clone(), reason: reason.to_owned() }
    }
}

impl Need {
    fn is_met_by(&self, token: &StoredToken, now: SystemTime) -> bool {
        match self {
            Self::Fresh => is_fresh(token, now),
            Self::OtherThan(refused) => token.access != *refused && !has_ended(token, now),
        }
    }
}

/// Does it last for another attempt? One that cannot be renewed is used to its end.
fn is_fresh(token: &StoredToken, now: SystemTime) -> bool {
    let part = token.lifetime.map_or(REFRESH_MARGIN, |lifetime| lifetime / MARGIN_PART);
    let margin = if token.refresh.is_some() { part.min(REFRESH_MARGIN) } else { Duration::ZERO };
    token.expires.is_none_or(|expires| now + margin < expires)
}

fn has_ended(token: &StoredToken, now: SystemTime) -> bool {
    token.expires.is_some_and(|expires| expires <= now)
}
