//! Fault plans: which requests go wrong, how often, and in what way.
//!
//! A plan is a list of rules. The first rule that matches a request and still has something to do
//! acts on it; the rest are not asked. Rules act on what the emulators would have done, so every
//! fault of a plan is one the real service or the network can produce.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};

use crate::log::Service;
use crate::preset::Preset;
use crate::reply::Reply;
use crate::sync::lock;

/// One line of a fault plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the log calls it; the action's name if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Which requests it is about; every field that is given must fit.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// Lets the first so many matching requests pass.
    #[serde(default)]
    pub skip: u64,
    /// Acts on so many requests, then no more; 0 means for ever.
    #[serde(default = "one")]
    pub times: u64,
    /// Acts on each n-th matching request only (1: on all).
    #[serde(default = "one")]
    pub every: u64,
    /// What happens.
    pub action: Action,
}

fn one() -> u64 {
    1
}

impl Rule {
    /// A rule for one kind of request, acting once.
    pub fn once(kind: &str, action: Action) -> Self {
        Self {
            name: None,
            matching: Match { kind: Some(kind.to_owned()), ..Match::default() },
            skip: 0,
            times: 1,
            every: 1,
            action,
        }
    }

    /// Acts on so many requests; 0 means for ever.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Lets the first so many matching requests pass.
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Acts only on requests of one account.
    pub fn account(mut self, account: &str) -> Self {
        self.matching.account = Some(account.to_owned());
        self
    }

    /// Acts only on paths that contain this text.
    pub fn path(mut self, text: &str) -> Self {
        self.matching.path = Some(text.to_owned());
        self
    }
}

/// Which requests a rule is about. An empty one is about all of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The service.
    #[serde(default)]
    pub service: Option<Service>,
    /// The kind, as in the log; `dropbox.*` fits every kind that begins with `dropbox.`.
    #[serde(default)]
    pub kind: Option<String>,
    /// The method.
    #[serde(default)]
    pub method: Option<String>,
    /// A part of the decoded path, or of the Dropbox argument.
    #[serde(default)]
    pub path: Option<String>,
    /// The account.
    #[serde(default)]
    pub account: Option<String>,
    /// The host name.
    #[serde(default)]
    pub host: Option<String>,
}

/// What goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// A documented answer instead of the real one; nothing happens at the service.
    Preset {
        /// Which.
        name: Preset,
        /// The `Retry-After` header in seconds, for answers that can have one.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Any answer instead of the real one; nothing happens at the service.
    Reply {
        /// The status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body; JSON objects are sent as JSON, strings as they are.
        #[serde(default)]
        body: serde_json::Value,
        /// Answers without reading the request body.
        #[serde(default)]
        early: bool,
    },
    /// The connection dies before the body is read; nothing happens at the service.
    CutBefore,
    /// The connection dies once so many bytes of the body have arrived.
    CutAfter {
        /// How many.
        bytes: u64,
    },
    /// Everything happens at the service, then the connection dies instead of the answer.
    CutAfterCommit,
    /// Nothing is read or done for a while.
    Delay {
        /// Real milliseconds.
        ms: u64,
    },
    /// Everything happens at the service, and the answer comes late.
    DelayReply {
        /// Real milliseconds.
        ms: u64,
    },
    /// The connection dies after so many bytes of the reply's body.
    TruncateReply {
        /// How many.
        bytes: u64,
    },
    /// One byte of the reply's body is wrong.
    CorruptReply {
        /// Which, from 0.
        at: u64,
    },
    /// One byte of the request's body is stored wrong: the hash will tell.
    CorruptStored {
        /// Which, from 0.
        at: u64,
    },
    /// The reply's body comes slowly.
    TrickleReply {
        /// Bytes a second.
        rate: u64,
    },
    /// Entries of a Dropbox batch fail, the rest succeed.
    FailEntries(Entries),
}

/// Which entries of a batch fail, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// The first entry that fails, from 0.
    #[serde(default)]
    pub first: usize,
    /// How many fail.
    #[serde(default = "one_entry")]
    pub count: usize,
    /// The failure's tag, such as `too_many_write_operations`.
    pub tag: String,
}

fn one_entry() -> usize {
    1
}

impl Entries {
    /// Whether the entry at `index` is to fail.
    pub(crate) fn covers(&self, index: usize) -> bool {
        index >= self.first && index - self.first < self.count
    }
}

impl Action {
    /// The answer that this action gives by itself, and whether the body is left unread.
    pub(crate) fn reply(&self, kind: &str) -> Option<(Reply, bool)> {
        match self {
            Self::Preset { name, retry_after } => {
                let reply = name.reply(kind);
                let reply = match retry_after {
                    Some(seconds) => reply.retry_after(*seconds),
                    None => reply,
                };
                Some((reply, false))
            }
            Self::Reply { status, headers, body, early } => Some((custom(*status, headers, body), *early)),
            Self::CutBefore
            | Self::CutAfter { .. }
            | Self::CutAfterCommit
            | Self::Delay { .. }
            | Self::DelayReply { .. }
            | Self::TruncateReply { .. }
            | Self::CorruptReply { .. }
            | Self::CorruptStored { .. }
            | Self::TrickleReply { .. }
            | Self::FailEntries(_) => None,
        }
    }

    /// Its name in the log.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Preset { name, .. } => format!("preset:{name}"),
            Self::Reply { status, .. } => format!("reply:{status}"),
            Self::CutBefore => "cut-before".to_owned(),
            Self::CutAfter { bytes } => format!("cut-after:{bytes}"),
            Self::CutAfterCommit => "cut-after-commit".to_owned(),
            Self::Delay { ms } => format!("delay:{ms}"),
            Self::DelayReply { ms } => format!("delay-reply:{ms}"),
            Self::TruncateReply { bytes } => format!("truncate-reply:{bytes}"),
            Self::CorruptReply { at } => format!("corrupt-reply:{at}"),
            Self::CorruptStored { at } => format!("corrupt-stored:{at}"),
            Self::TrickleReply { rate } => format!("trickle-reply:{rate}"),
            Self::FailEntries(entries) => format!("fail-entries:{}", entries.tag),
        }
    }
}

fn custom(status: u16, headers: &BTreeMap<String, String>, body: &serde_json::Value) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = match body.as_str() {
        Some(text) => Reply::text(status, text),
        None if body.is_null() => Reply::empty(status),
        None => Reply::json(status, body),
    };
    for (name, value) in headers {
        if let Ok(name) = name.parse::<HeaderName>() {
            reply = reply.header(name, value);
        }
    }
    reply
}

/// What a rule is compared with.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) service: Service,
    pub(crate) kind: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The Dropbox argument header, which names the path of a content call.
    pub(crate) argument: &'a str,
    pub(crate) account: Option<&'a str>,
    pub(crate) host: &'a str,
}

impl Match {
    fn fits(&self, seen: &Seen<'_>) -> bool {
        let same = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let path = self.path.as_deref().unwrap_or_default();
        self.service.is_none_or(|service| service == seen.service)
            && self.kind.as_deref().is_none_or(|kind| fits(kind, seen.kind))
            && same(&self.method, seen.method)
            && same(&self.account, seen.account.unwrap_or_default())
            && same(&self.host, seen.host)
            && (seen.path.contains(path) || seen.argument.contains(path))
    }
}

fn fits(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => wanted == kind,
    }
}

/// A rule and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Its number, to remove it by.
    pub id: u64,
    /// The rule.
    pub rule: Rule,
    /// Requests that matched.
    pub matched: u64,
    /// Requests it acted on.
    pub acted: u64,
}

impl Standing {
    fn take(&mut self, seen: &Seen<'_>) -> bool {
        let spent = self.rule.times > 0 && self.acted >= self.rule.times;
        if spent || !self.rule.matching.fits(seen) {
            return false;
        }
        self.matched += 1;
        let due = self.matched.checked_sub(self.rule.skip + 1);
        let acts = due.is_some_and(|count| count % self.rule.every.max(1) == 0);
        self.acted += u64::from(acts);
        acts
    }
}

/// The fault plan in force. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    next: u64,
    rules: Vec<Standing>,
}

impl Faults {
    /// Adds a rule at the end and gives its number.
    pub fn add(&self, rule: Rule) -> u64 {
        let mut plan = lock(&self.plan);
        plan.next += 1;
        let id = plan.next;
        plan.rules.push(Standing { id, rule, matched: 0, acted: 0 });
        id
    }

    /// Removes one rule; whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let mut plan = lock(&self.plan);
        let before = plan.rules.len();
        plan.rules.retain(|standing| standing.id != id);
        plan.rules.len() < before
    }

    /// Removes every rule.
    pub fn clear(&self) {
        lock(&self.plan).rules.clear();
    }

    /// Every rule with its counts.
    pub fn list(&self) -> Vec<Standing> {
        lock(&self.plan).rules.clone()
    }

    /// How often the rule with this number has acted.
    pub fn acted(&self, id: u64) -> u64 {
        let plan = lock(&self.plan);
        let found = plan.rules.iter().find(|standing| standing.id == id);
        found.map_or(0, |standing| standing.acted)
    }

    /// The action for a request, with its name for the log.
    pub(crate) fn take(&self, seen: &Seen<'_>) -> Option<(Action, String)> {
        let mut plan = lock(&self.plan);
        let standing = plan.rules.iter_mut().find_map(|rule| {
            let acts = rule.take(seen);
            acts.then_some(rule)
        })?;
        let action = standing.rule.action.clone();
        let name = standing.rule.name.clone();
        Some((action.clone(), name.unwrap_or_else(|| action.name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: &str) -> Seen<'_> {
        Seen {
            service: Service::Dropbox,
            kind,
            method: "POST",
            path: "/2/files/upload",
            argument: r#"{"path":"/a"}"#,
            account: Some("default"),
            host: "content.dropboxapi.com",
        }
    }

    #[test]
    fn acts_on_the_requests_it_names() {
        let faults = Faults::default();
        let rule = Rule::once("dropbox.upload", Action::CutBefore).skip(1).times(2).path("/a");
        let id = faults.add(rule);
        let acts = |kind| faults.take(&seen(kind)).is_some();
        assert!(!acts("dropbox.download"));
        let sequence: Vec<_> = (0..4).map(|_| acts("dropbox.upload")).collect();
        assert_eq!(sequence, [false, true, true, false]);
        assert_eq!(faults.acted(id), 2);
        assert!(faults.remove(id) && !faults.remove(id));
    }

    #[test]
    fn reads_a_plan_as_json() {
        let text = r#"{"match":{"kind":"dropbox.*","service":"dropbox"},"times":0,"every":3,
            "action":{"do":"preset","name":"dropbox-too-many-requests","retry_after":2}}"#;
        let faults = Faults::default();
        faults.add(serde_json::from_str(text).unwrap());
        let acts: Vec<_> = (0..6).map(|_| faults.take(&seen("dropbox.upload")).is_some()).collect();
        assert_eq!(acts, [true, false, false, true, false, false]);
        let wrong = r#"{"action":{"do":"cut-before"},"tmes":1}"#;
        assert!(serde_json::from_str::<Rule>(wrong).is_err());
    }
}
