//! Tokens of both services: who they speak for, what they may do, when they end.
//!
//! The two services differ in settings, not in kind: Microsoft's refresh tokens rotate and its
//! access tokens live a random time, Dropbox's do neither. How a token is asked for over HTTP is
//! not known here (`login`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clock::{self, Clock};
use crate::seal;
use crate::sync::lock;

/// How long an authorization code may wait to be redeemed.
const CODE_LIFE: Duration = Duration::from_secs(600);
/// How long a device code may wait for its user.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_secs(900);

/// What happens to a refresh token that has been replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Refresh tokens are not replaced.
    Never,
    /// A new one is given each time; the old one still works.
    #[default]
    Lenient,
    /// A new one is given each time; the old one is refused.
    Strict,
    /// A new one is given each time; using the old one revokes everything of its grant.
    Revoking,
}

/// How the tokens of a service behave.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSwitches {
    /// What becomes of replaced refresh tokens.
    pub rotation: Rotation,
    /// The shortest life of an access token, in seconds.
    pub access_seconds_min: u64,
    /// The longest life of an access token, in seconds.
    pub access_seconds_max: u64,
    /// A refresh token dies when it is not used for so many seconds; 0: never.
    pub refresh_seconds: u64,
    /// Whether the authorize page approves by itself instead of waiting for a click.
    pub auto_approve: bool,
    /// Whether the user declines.
    pub decline: bool,
    /// Whether redirect addresses other than the machine's own are accepted.
    pub any_redirect: bool,
    /// How many seconds a client must leave between two questions about a device code.
    pub device_interval_seconds: u64,
    /// Whether a client must show its secret (a confidential client) or may use PKCE alone.
    pub secret_required: bool,
}

impl Default for TokenSwitches {
    fn default() -> Self {
        Self::microsoft()
    }
}

impl TokenSwitches {
    pub(crate) fn microsoft() -> Self {
        Self {
            rotation: Rotation::Lenient,
            access_seconds_min: 3600,
            access_seconds_max: 5400,
            refresh_seconds: 90 * 24 * 3600,
            auto_approve: true,
            decline: false,
            any_redirect: false,
            device_interval_seconds: 5,
            secret_required: false,
        }
    }

    pub(crate) fn dropbox() -> Self {
        Self {
            rotation: Rotation::Never,
            access_seconds_min: 14_400,
            access_seconds_max: 14_400,
            refresh_seconds: 0,
            ..Self::microsoft()
        }
    }
}

/// What a valid access token says.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) account: String,
    pub(crate) scopes: Vec<String>,
    expires: Timestamp,
    grant: u64,
}

/// Why an access token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There was none.
    Missing,
    /// It was never given, or it was revoked.
    Invalid,
    /// Its time is over.
    Expired,
}

/// Why the token endpoint refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The client id is not known.
    Client,
    /// The client's secret is wrong or missing.
    Secret,
    /// The code or refresh token is not valid for this client.
    Grant,
    /// The code was redeemed before.
    Redeemed,
    /// The grant was revoked.
    Revoked,
    /// The refresh token was not used for too long.
    Inactive,
    /// The verifier does not fit the challenge.
    Verifier,
    /// The redirect address is not the one the code was asked with.
    Redirect,
    /// The device code's user has not answered yet.
    Pending,
    /// The device code was asked about too soon.
    TooSoon,
    /// The device code's user declined.
    Declined,
    /// The device code is too old.
    Expired,
}

/// What a client asked for at the authorize page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) client: String,
    pub(crate) account: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect: Option<String>,
    pub(crate) challenge: Option<Challenge>,
    /// Whether a refresh token is wanted.
    pub(crate) offline: bool,
}

/// A PKCE challenge.
#[derive(Clone, Debug)]
pub(crate) enum Challenge {
    Plain(String),
    S256(String),
}

impl Challenge {
    fn met_by(&self, verifier: &str) -> bool {
        match self {
            Self::Plain(text) => text == verifier,
            Self::S256(text) => {
                URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == text.trim_end_matches('=')
            }
        }
    }
}

/// Tokens as the token endpoint hands them out.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) seconds: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) account: String,
    pub(crate) expires: Timestamp,
}

#[derive(Debug)]
struct Grant {
    account: String,
    client: String,
    scopes: Vec<String>,
    offline: bool,
    revoked: bool,
}

#[derive(Debug)]
struct Refresh {
    grant: u64,
    replaced: bool,
    used: Timestamp,
}

#[derive(Debug)]
struct Code {
    wish: Wish,
    expires: Timestamp,
    redeemed: bool,
}

#[derive(Debug)]
struct Device {
    wish: Wish,
    expires: Timestamp,
    user_code: String,
    approved: Option<bool>,
    asked: Option<Timestamp>,
}

/// The tokens of one service.
#[derive(Debug)]
pub(crate) struct Tokens {
    clock: Clock,
    access_prefix: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    switches: TokenSwitches,
    clients: BTreeMap<String, String>,
    next: u64,
    grants: HashMap<u64, Grant>,
    refreshes: HashMap<String, Refresh>,
    accesses: HashMap<String, Access>,
    codes: HashMap<String, Code>,
    devices: HashMap<String, Device>,
    counts: HashMap<String, u64>,
    verifiers: Vec<String>,
}

impl Tokens {
    pub(crate) fn new(clock: Clock, switches: TokenSwitches, access_prefix: &'static str) -> Self {
        Self {
            clock,
            access_prefix,
            state: Mutex::new(State {
                switches,
                clients: BTreeMap::new(),
                next: 0,
                grants: HashMap::new(),
                refreshes: HashMap::new(),
                accesses: HashMap::new(),
                codes: HashMap::new(),
                devices: HashMap::new(),
                counts: HashMap::new(),
                verifiers: Vec::new(),
            }),
        }
    }

    pub(crate) fn switches(&self) -> TokenSwitches {
        lock(&self.state).switches
    }

    pub(crate) fn set_switches(&self, switches: TokenSwitches) {
        lock(&self.state).switches = switches;
    }

    /// Registers an application.
    pub(crate) fn add_client(&self, id: &str, secret: &str) {
        let mut state = lock(&self.state);
        state.clients.insert(id.to_owned(), secret.to_owned());
    }

    pub(crate) fn knows_client(&self, id: &str) -> bool {
        lock(&self.state).clients.contains_key(id)
    }

    /// Checks the client of a token request. A public client shows no secret and proves itself by
    /// PKCE or by its refresh token.
    pub(crate) fn check_client(&self, id: &str, secret: Option<&str>) -> Result<(), Denied> {
        let state = lock(&self.state);
        let expected = state.clients.get(id).ok_or(Denied::Client)?;
        match secret {
            Some(secret) if secret == expected => Ok(()),
            None if !state.switches.secret_required => Ok(()),
            Some(_) | None => Err(Denied::Secret),
        }
    }

    /// A code for a user who has approved.
    pub(crate) fn code(&self, wish: Wish) -> String {
        let code = seal::random(32);
        let expires = clock::later(self.clock.now(), CODE_LIFE);
        let entry = Code { wish, expires, redeemed: false };
        lock(&self.state).codes.insert(code.clone(), entry);
        code
    }

    /// Redeems a code.
    pub(crate) fn redeem(
        &self,
        client: &str,
        code: &str,
        redirect: Option<&str>,
        verifier: Option<&str>,
    ) -> Result<Issued, Denied> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let entry = state.codes.get_mut(code).ok_or(Denied::Grant)?;
        if entry.wish.client != client || now >= entry.expires {
            return Err(Denied::Grant);
        }
        if entry.redeemed {
            return Err(Denied::Redeemed);
        }
        if entry.wish.redirect.as_deref() != redirect {
            return Err(Denied::Redirect);
        }
        if let Some(challenge) = &entry.wish.challenge
            && !verifier.is_some_and(|verifier| challenge.met_by(verifier))
        {
            return Err(Denied::Verifier);
        }
        entry.redeemed = true;
        let wish = entry.wish.clone();
        state.verifiers.extend(verifier.map(str::to_owned));
        Ok(self.grant(&mut state, wish))
    }

    /// Exchanges a refresh token.
    pub(crate) fn refresh(&self, client: &str, token: &str) -> Result<Issued, Denied> {
        let mut state = lock(&self.state);
        let rotation = state.switches.rotation;
        let refresh = state.refreshes.get(token).ok_or(Denied::Grant)?;
        let (id, replaced) = (refresh.grant, refresh.replaced);
        let life = Duration::from_secs(state.switches.refresh_seconds);
        if !life.is_zero() && self.clock.now() >= clock::later(refresh.used, life) {
            return Err(Denied::Inactive);
        }
        let grant = state.grants.get_mut(&id).ok_or(Denied::Grant)?;
        if grant.client != client {
            return Err(Denied::Grant);
        }
        if replaced && rotation == Rotation::Revoking {
            grant.revoked = true;
        }
        if grant.revoked {
            return Err(Denied::Revoked);
        }
        if replaced && rotation == Rotation::Strict {
            return Err(Denied::Grant);
        }
        let account = grant.account.clone();
        *state.counts.entry(account).or_default() += 1;
        let mut issued = self.issue(&mut state, id);
        let now = self.clock.now();
        if rotation != Rotation::Never {
            issued.refresh = Some(new_refresh(&mut state, id, now));
        }
        if let Some(old) = state.refreshes.get_mut(token) {
            old.replaced |= rotation != Rotation::Never;
            old.used = now;
        }
        Ok(issued)
    }

    /// Tokens for a wish that needs no code: a test's, or an application's own.
    pub(crate) fn issue_for(&self, wish: Wish) -> Issued {
        let mut state = lock(&self.state);
        self.grant(&mut state, wish)
    }

    fn grant(&self, state: &mut State, wish: Wish) -> Issued {
        state.next += 1;
        let id = state.next;
        let grant = Grant {
            account: wish.account,
            client: wish.client,
            scopes: wish.scopes,
            offline: wish.offline,
            revoked: false,
        };
        let offline = grant.offline;
        state.grants.insert(id, grant);
        let mut issued = self.issue(state, id);
        if offline {
            issued.refresh = Some(new_refresh(state, id, self.clock.now()));
        }
        issued
    }

    fn issue(&self, state: &mut State, id: u64) -> Issued {
        let switches = state.switches;
        let longest = switches.access_seconds_max.max(switches.access_seconds_min);
        let seconds = rand::random_range(switches.access_seconds_min..=longest);
        let expires = clock::later(self.clock.now(), Duration::from_secs(seconds));
        let (account, scopes) = match state.grants.get(&id) {
            Some(grant) => (grant.account.clone(), grant.scopes.clone()),
            None => Default::default(),
        };
        let token = format!("{}{}", self.access_prefix, seal::random(120));
        let access = Access { account: account.clone(), scopes: scopes.clone(), expires, grant: id };
        state.accesses.insert(token.clone(), access);
        Issued { access: token, refresh: None, seconds, scopes, account, expires }
    }

    /// What an access token says, if it is still good.
    pub(crate) fn check(&self, token: Option<&str>) -> Result<Access, Refused> {
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or(Refused::Missing)?;
        let state = lock(&self.state);
        let access = state.accesses.get(token).ok_or(Refused::Invalid)?;
        if state.grants.get(&access.grant).is_none_or(|g| g.revoked) {
            return Err(Refused::Invalid);
        }
        match self.clock.now() < access.expires {
            true => Ok(access.clone()),
            false => Err(Refused::Expired),
        }
    }

    /// Whose token it is, good or not: for the log.
    pub(crate) fn owner(&self, token: &str) -> Option<String> {
        let state = lock(&self.state);
        state.accesses.get(token).map(|access| access.account.clone())
    }

    /// Starts a device code: the device's and the user's.
    pub(crate) fn device(&self, wish: Wish) -> (String, String) {
        let device = seal::random(48);
        let user_code = seal::random(9).to_ascii_uppercase();
        let entry = Device {
            wish,
            expires: clock::later(self.clock.now(), DEVICE_LIFE),
            user_code: user_code.clone(),
            approved: None,
            asked: None,
        };
        lock(&self.state).devices.insert(device.clone(), entry);
        (device, user_code)
    }

    /// The user's answer to a device code; whether the code was known.
    pub(crate) fn answer_device(&self, user_code: &str, approve: bool) -> bool {
        let mut state = lock(&self.state);
        let mut known = false;
        for device in state.devices.values_mut() {
            if device.user_code == user_code {
                device.approved = Some(approve);
                known = true;
            }
        }
        known
    }

    /// The user's answer, by the device's own code.
    pub(crate) fn answer_device_code(&self, device: &str, approve: bool) {
        if let Some(device) = lock(&self.state).devices.get_mut(device) {
            device.approved = Some(approve);
        }
    }

    /// Exchanges a device code.
    pub(crate) fn redeem_device(&self, client: &str, device: &str) -> Result<Issued, Denied> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let interval = Duration::from_secs(state.switches.device_interval_seconds);
        let entry = state.devices.get_mut(device).ok_or(Denied::Grant)?;
        if entry.wish.client != client {
            return Err(Denied::Grant);
        }
        if now >= entry.expires {
            return Err(Denied::Expired);
        }
        // A client's clock and this one are not the same to the millisecond.
        let patience = interval.saturating_sub(Duration::from_millis(100));
        let too_soon = entry.asked.is_some_and(|asked| now < clock::later(asked, patience));
        entry.asked = Some(now);
        if too_soon {
            return Err(Denied::TooSoon);
        }
        match entry.approved {
            None => Err(Denied::Pending),
            Some(false) => Err(Denied::Declined),
            Some(true) => {
                let wish = entry.wish.clone();
                state.devices.remove(device);
                Ok(self.grant(&mut state, wish))
            }
        }
    }

    /// Ends every access token of an account; refresh tokens stay.
    pub(crate) fn expire(&self, account: &str) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let ended = state.accesses.values_mut();
        for access in ended.filter(|access| access.account == account) {
            access.expires = now;
        }
    }

    /// Revokes every grant of an account.
    pub(crate) fn revoke(&self, account: &str) {
        let mut state = lock(&self.state);
        let revoked = state.grants.values_mut();
        for grant in revoked.filter(|grant| grant.account == account) {
            grant.revoked = true;
        }
    }

    /// Revokes the grant an access token came from, with everything else of it.
    pub(crate) fn revoke_access(&self, token: &str) {
        let mut state = lock(&self.state);
        let id = state.accesses.get(token).map(|access| access.grant);
        if let Some(grant) = id.and_then(|id| state.grants.get_mut(&id)) {
            grant.revoked = true;
        }
    }

    /// Everything secret that was ever issued or shown here: tokens, codes, device codes and verifiers.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let state = lock(&self.state);
        let issued = state.accesses.keys().chain(state.refreshes.keys()).chain(state.codes.keys());
        issued.chain(state.devices.keys()).chain(&state.verifiers).cloned().collect()
    }

    /// How often tokens of an account have been refreshed.
    pub(crate) fn refreshes(&self, account: &str) -> u64 {
        let state = lock(&self.state);
        state.counts.get(account).copied().unwrap_or_default()
    }
}

fn new_refresh(state: &mut State, grant: u64, used: Timestamp) -> String {
    let token = format!("M.{}", seal::random(90));
    let entry = Refresh { grant, replaced: false, used };
    state.refreshes.insert(token.clone(), entry);
    token
}

/// A token as rclone keeps it in its configuration.
pub(crate) fn rclone_json(issued: &Issued, kind: &str) -> Value {
    json!({
        "access_token": issued.access,
        "token_type": kind,
        "refresh_token": issued.refresh,
        "expiry": clock::seconds(issued.expires),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(rotation: Rotation) -> (Tokens, Issued) {
        let switches = TokenSwitches { rotation, ..TokenSwitches::microsoft() };
        let tokens = Tokens::new(Clock::default(), switches, "EwB");
        tokens.add_client("app", "secret");
        let issued = tokens.issue_for(wish());
        (tokens, issued)
    }

    fn wish() -> Wish {
        Wish { client: "app".to_owned(), account: "default".to_owned(), offline: true, ..Wish::default() }
    }

    #[test]
    fn rotation_by_its_strictness() {
        for (rotation, old_works, new_works) in [
            (Rotation::Lenient, true, true),
            (Rotation::Strict, false, true),
            (Rotation::Revoking, false, false),
        ] {
            let (tokens, first) = tokens(rotation);
            let old = first.refresh.unwrap();
            let new = tokens.refresh("app", &old).unwrap().refresh.unwrap();
            assert_eq!(tokens.refresh("app", &old).is_ok(), old_works, "{rotation:?}");
            assert_eq!(tokens.refresh("app", &new).is_ok(), new_works, "{rotation:?}");
            assert_eq!(tokens.refresh("other", &new).err(), Some(Denied::Grant));
        }
    }

    #[test]
    fn access_ends_by_time_and_by_hand() {
        let (tokens, issued) = tokens(Rotation::Lenient);
        assert!((3600..=5400).contains(&issued.seconds));
        assert!(tokens.check(Some(&issued.access)).is_ok());
        tokens.expire("default");
        assert_eq!(tokens.check(Some(&issued.access)).err(), Some(Refused::Expired));
        tokens.revoke("default");
        assert_eq!(tokens.check(Some(&issued.access)).err(), Some(Refused::Invalid));
        assert_eq!(tokens.check(None).err(), Some(Refused::Missing));
    }

    #[test]
    fn codes_need_their_verifier_and_work_once() {
        let (tokens, _) = tokens(Rotation::Lenient);
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let mut wish = wish();
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        wish.challenge = Some(Challenge::S256(challenge.to_owned()));
        let code = tokens.code(wish);
        let redeem = |verifier| tokens.redeem("app", &code, None, verifier);
        assert_eq!(redeem(None).err(), Some(Denied::Verifier));
        assert_eq!(redeem(Some("other")).err(), Some(Denied::Verifier));
        assert!(redeem(Some(verifier)).is_ok());
        assert_eq!(redeem(Some(verifier)).err(), Some(Denied::Redeemed));
    }
}
