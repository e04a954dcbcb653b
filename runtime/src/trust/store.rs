//! `trust.toml`: the publishers that an operator trusts, and what was accepted of their revocation lists.
//!
//! The file is the operator's: a person can read, compare and edit it, and a misspelt key in it is an
//! error. `revocations.json` beside it is the runtime's; it holds the newest list of each publisher. Two
//! publishers share no key and no ids, so who signed a connector is never a matter of which is asked first.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error,
    key::{KEY_ID_DIGITS_MIN, KeyId, PublicKey},
    revocation::{Accepted, LIST_BYTES_MAX, List, check_reason},
    verify::{Book, Verified},
};
use crate::{
    destination::is_connector_name,
    home::{Home, Lock, Name, REVOCATIONS_FILE, Subject, TRUST_FILE},
    registry::Digest,
    toml_file,
};

/// Most publishers: nobody can judge more.
pub const PUBLISHERS_MAX: usize = 64;
/// Most keys of one publisher: a new one each year, for longer than any of them is good.
pub const KEYS_MAX: usize = 16;
/// Most prefixes of ids of one publisher.
pub const ID_PREFIXES_MAX: usize = 16;

/// Largest `trust.toml`: all of the above at their longest.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Largest `revocations.json`: a full list of each publisher would be 128 MiB, and is not.
const REVOCATIONS_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What this version writes into it.
const REVOCATIONS_FORMAT: u32 = 1;
/// How long a change waits for another one.
const TRUST_WAIT: Duration = Duration::from_secs(10);

/// When a key's signatures are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// From then on; none for always.
    pub not_before: Option<Timestamp>,
    /// Until then; none for ever.
    pub not_after: Option<Timestamp>,
}

/// A key of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// When it is good.
    pub window: Window,
    /// Why the operator took it back.
    pub revoked: Option<String>,
}

/// Somebody whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// What the operator calls them.
    pub name: Name,
    /// Which connectors are theirs: an id that is one of these, or begins with one and a dot.
    pub id_prefixes: Vec<String>,
    /// Their keys; two while one replaces the other.
    pub keys: Vec<TrustedKey>,
}

impl Publisher {
    /// May they sign a connector of this id?
    #[must_use]
    pub fn owns(&self, id: &str) -> bool {
        self.id_prefixes.iter().any(|prefix| covers(prefix, id))
    }
}

/// What [`Trust::revoke`] took back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Whose.
    pub publisher: Name,
    /// The keys that were good before.
    pub keys: Vec<KeyId>,
}

/// Whom this home trusts.
#[derive(Debug, Clone)]
pub struct Trust {
    home: Home,
}

impl Trust {
    /// Of this home.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Everything that is known now, read once so that a check sees one state.
    ///
    /// # Errors
    /// When a file cannot be read or understood.
    pub(super) fn book(&self) -> Result<Book, Error> {
        Ok(Book { publishers: self.publishers()?, lists: self.lists()? })
    }

    /// The publishers, in the file's order.
    ///
    /// # Errors
    /// When `trust.toml` cannot be read or understood.
    pub fn publishers(&self) -> Result<Vec<Publisher>, Error> {
        let Some(text) = self.home.root().read(TRUST_FILE, FILE_BYTES_MAX)? else { return Ok(Vec::new()) };
        parse(&text)
    }

    /// The newest revocation list of each publisher that gave one.
    ///
    /// # Errors
    /// When `revocations.json` cannot be read or understood.
    pub fn lists(&self) -> Result<Vec<Accepted>, Error> {
        let Some(text) = self.home.root().read(REVOCATIONS_FILE, REVOCATIONS_BYTES_MAX)? else {
            return Ok(Vec::new());
        };
        parse_lists(&text)
    }

    /// Both files as they are written, where they are there.
    pub(super) fn raw(&self) -> Result<[Option<Vec<u8>>; 2], Error> {
        let trust = self.home.root().read(TRUST_FILE, FILE_BYTES_MAX)?;
        Ok([trust, self.home.root().read(REVOCATIONS_FILE, REVOCATIONS_BYTES_MAX)?])
    }

    pub(super) fn lock(&self) -> Result<Lock, Error> {
        Ok(self.home.lock(&Subject::Trust, TRUST_WAIT)?)
    }

    /// Trust a publisher, or give one that is trusted another key or other ids.
    ///
    /// # Errors
    /// [`Error::KeyTaken`], [`Error::PrefixTaken`], or [`Error::Entry`] saying which bound.
    pub fn add(
        &self,
        name: &Name,
        key: Option<(PublicKey, Window)>,
        id_prefixes: &[String],
    ) -> Result<Publisher, Error> {
        self.change(|publishers| {
            let place = publishers.iter().position(|known| known.name == *name).unwrap_or_else(|| {
                publishers.push(Publisher { name: name.clone(), id_prefixes: Vec::new(), keys: Vec::new() });
                publishers.len() - 1
            });
            let publisher = publishers.get_mut(place).ok_or_else(|| Error::NotFound(name.to_string()))?;
            for prefix in id_prefixes {
                if !publisher.id_prefixes.contains(prefix) {
                    publisher.id_prefixes.push(prefix.clone());
                }
            }
            if let Some((key, window)) = key {
                if publisher.keys.iter().any(|known| known.key == key) {
                    return Err(Error::KeyTaken { key: key.id(), publisher: name.clone() });
                }
                publisher.keys.push(TrustedKey { key, window, revoked: None });
            }
            let changed = publisher.clone();
            // Whoever comes later is told what is another's already.
            for other in publishers.iter().filter(|other| other.name != *name) {
                check_pair(other, &changed)?;
            }
            Ok(changed)
        })
    }

    /// Take a key back, by the first digits of its id, or all keys of a publisher.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn revoke(&self, what: &str, reason: &str) -> Result<Revoked, Error> {
        self.change(|publishers| {
            let place = find(publishers, what)?;
            let publisher = publishers.get_mut(place).ok_or_else(|| Error::NotFound(what.to_owned()))?;
            let (name, all) = (publisher.name.clone(), publisher.name.as_str() == what);
            check_reason(reason).map_err(|problem| Error::Entry { publisher: name.clone(), problem })?;
            let chosen = publisher.keys.iter_mut().filter(|key| all || begins(key, what));
            let mut keys = Vec::new();
            for key in chosen.filter(|key| key.revoked.is_none()) {
                key.revoked = Some(reason.to_owned());
                keys.push(key.key.id());
            }
            Ok(Revoked { publisher: name, keys })
        })
    }

    /// Trust a publisher no more, and forget what they revoked. `users` says which installed connectors
    /// they signed; the publisher stays if there are any.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InUse`].
    pub fn remove(&self, name: &Name, users: &[String]) -> Result<(), Error> {
        let removed = self.change(|publishers| {
            let place = publishers.iter().position(|known| known.name == *name);
            let place = place.ok_or_else(|| Error::NotFound(name.to_string()))?;
            if !users.is_empty() {
                let users: Vec<_> = users.iter().map(|user| format!("`{user}`")).collect();
                return Err(Error::InUse { publisher: name.clone(), connectors: users.join(", ") });
            }
            publishers.remove(place);
            Ok(())
        });
        removed?;
        let _lock = self.lock()?;
        let mut lists = self.lists()?;
        lists.retain(|list| list.publisher != *name);
        self.write_lists(lists)
    }

    /// Accept a revocation list that one of the publishers signed. Returns whose it is, and the list.
    ///
    /// # Errors
    /// When nobody trusted signed it, it expired, or a newer one is known.
    pub fn update(&self, text: &[u8], bundle: &[u8], now: Timestamp) -> Result<Accepted, Error> {
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > LIST_BYTES_MAX {
            return Err(Error::List(format!("is larger than {LIST_BYTES_MAX} bytes")));
        }
        let _lock = self.lock()?;
        let book = self.book()?;
        let signed: Verified = book.verify_list(text, bundle, now)?;
        let list = List::parse(text).map_err(Error::List)?;
        let (publisher, number) = (signed.publisher().clone(), list.number);
        if list.expires <= now {
            return Err(Error::ListExpired { publisher, number, expired: list.expires });
        }
        let accepted = Accepted { publisher: publisher.clone(), digest: Digest::of(text), list };
        let mut lists = book.lists;
        match lists.iter().find(|known| known.publisher == publisher) {
            Some(known) if known.digest == accepted.digest => return Ok(accepted),
            Some(known) if known.list.number > number => {
                return Err(Error::ListOld { publisher, number, seen: known.list.number });
            }
            Some(known) if known.list.number == number => {
                return Err(Error::ListTwice { publisher, number });
            }
            Some(_) | None => {}
        }
        lists.retain(|known| known.publisher != publisher);
        lists.push(accepted.clone());
        self.write_lists(lists)?;
        Ok(accepted)
    }

    pub(super) fn write_lists(&self, lists: Vec<Accepted>) -> Result<(), Error> {
        let wrong = |problem: String| Error::File { file: REVOCATIONS_FILE, problem };
        let file = Revocations { format: REVOCATIONS_FORMAT, lists };
        let text = serde_json::to_vec_pretty(&file).map_err(|error| wrong(error.to_string()))?;
        Ok(self.home.root().write(REVOCATIONS_FILE, &text)?)
    }

    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Publisher>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _lock = self.lock()?;
        let mut publishers = self.publishers()?;
        let done = change(&mut publishers)?;
        check(&publishers)?;
        let wrong = |problem: String| Error::File { file: TRUST_FILE, problem };
        let file = File { publishers: publishers.iter().map(PublisherEntry::of).collect() };
        let text = toml::to_string(&file).map_err(|error| wrong(error.to_string()))?;
        self.home.root().write(TRUST_FILE, text.as_bytes())?;
        Ok(done)
    }
}

/// `revocations.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocations {
    format: u32,
    lists: Vec<Accepted>,
}

/// `trust.toml` as it is spelled.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "publisher")]
    publishers: Vec<PublisherEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherEntry {
    name: Name,
    id_prefixes: Vec<String>,
    #[serde(default, rename = "key")]
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    /// For people, and to be looked for; where it is there, it must be the key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<KeyId>,
    public: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

impl PublisherEntry {
    fn of(publisher: &Publisher) -> Self {
        let key = |trusted: &TrustedKey| KeyEntry {
            id: Some(trusted.key.id()),
            public: trusted.key.to_pem(),
            not_before: trusted.window.not_before,
            not_after: trusted.window.not_after,
            revoked: trusted.revoked.clone(),
        };
        Self {
            name: publisher.name.clone(),
            id_prefixes: publisher.id_prefixes.clone(),
            keys: publisher.keys.iter().map(key).collect(),
        }
    }
}

impl KeyEntry {
    fn check(self, publisher: &Name) -> Result<TrustedKey, Error> {
        let wrong = |problem: String| Error::Entry { publisher: publisher.clone(), problem };
        let key = PublicKey::parse(self.public.as_bytes())
            .map_err(|error| wrong(format!("has a `public` that {error}")))?;
        if self.id.as_ref().is_some_and(|id| *id != key.id()) {
            return Err(wrong(format!("has a key whose `id` is not `{}`, as the key's is", key.id())));
        }
        let window = Window { not_before: self.not_before, not_after: self.not_after };
        Ok(TrustedKey { key, window, revoked: self.revoked })
    }
}

pub(super) fn parse_lists(text: &[u8]) -> Result<Vec<Accepted>, Error> {
    let wrong = |problem: String| Error::File { file: REVOCATIONS_FILE, problem };
    let file: Revocations = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    if file.format != REVOCATIONS_FORMAT {
        return Err(wrong(format!("has the format {}; this Wharf knows {REVOCATIONS_FORMAT}", file.format)));
    }
    Ok(file.lists)
}

pub(super) fn parse(text: &[u8]) -> Result<Vec<Publisher>, Error> {
    let file: File = toml_file::parse(text).map_err(|problem| Error::File { file: TRUST_FILE, problem })?;
    let publisher = |entry: PublisherEntry| {
        let keys = entry.keys.into_iter().map(|key| key.check(&entry.name));
        Ok::<_, Error>(Publisher {
            keys: keys.collect::<Result<_, _>>()?,
            name: entry.name,
            id_prefixes: entry.id_prefixes,
        })
    };
    let publishers = file.publishers.into_iter().map(publisher).collect::<Result<Vec<_>, _>>()?;
    check(&publishers)?;
    Ok(publishers)
}

/// Is every publisher within bounds, and is nothing two publishers'?
fn check(publishers: &[Publisher]) -> Result<(), Error> {
    if publishers.len() > PUBLISHERS_MAX {
        let problem = format!("has more than {PUBLISHERS_MAX} publishers");
        return Err(Error::File { file: TRUST_FILE, problem });
    }
    for (place, publisher) in publishers.iter().enumerate() {
        check_publisher(publisher)?;
        for other in publishers.iter().skip(place + 1) {
            check_pair(publisher, other)?;
        }
    }
    Ok(())
}

fn check_publisher(publisher: &Publisher) -> Result<(), Error> {
    let wrong = |problem: String| Err(Error::Entry { publisher: publisher.name.clone(), problem });
    if publisher.id_prefixes.is_empty() {
        return wrong("has no prefix of ids, and so could sign nothing".to_owned());
    }
    if publisher.id_prefixes.len() > ID_PREFIXES_MAX {
        return wrong(format!("has more than {ID_PREFIXES_MAX} prefixes of ids"));
    }
    if let Some(prefix) = publisher.id_prefixes.iter().find(|prefix| !is_prefix(prefix)) {
        let prefix = crate::shown::shown(prefix, 100);
        return wrong(format!(
            "has the prefix `{prefix}`, which is no beginning of ids: two labels at least, as in `com.example`"
        ));
    }
    if publisher.keys.is_empty() {
        return wrong("has no key".to_owned());
    }
    if publisher.keys.len() > KEYS_MAX {
        return wrong(format!("has more than {KEYS_MAX} keys"));
    }
    for (place, trusted) in publisher.keys.iter().enumerate() {
        let Window { not_before, not_after } = trusted.window;
        if let (Some(from), Some(until)) = (not_before, not_after)
            && until <= from
        {
            return wrong(format!("has key `{}`, which ends before it begins", trusted.key.id().short()));
        }
        if let Some(reason) = &trusted.revoked
            && let Err(problem) = check_reason(reason)
        {
            return wrong(problem);
        }
        if publisher.keys.iter().skip(place + 1).any(|other| other.key == trusted.key) {
            return wrong(format!("has key `{}` twice", trusted.key.id().short()));
        }
    }
    Ok(())
}

/// Has `other` nothing that is `publisher`'s?
pub(super) fn check_pair(publisher: &Publisher, other: &Publisher) -> Result<(), Error> {
    let owner = publisher.name.clone();
    if publisher.name == other.name {
        return Err(Error::Entry { publisher: owner, problem: "is there twice".to_owned() });
    }
    let shared = other.keys.iter().find(|key| publisher.keys.iter().any(|known| known.key == key.key));
    if let Some(shared) = shared {
        return Err(Error::KeyTaken { key: shared.key.id(), publisher: owner });
    }
    for prefix in &other.id_prefixes {
        let overlaps = |known: &String| covers(known, prefix) || covers(prefix, known);
        if let Some(known) = publisher.id_prefixes.iter().find(|known| overlaps(known)) {
            return Err(Error::PrefixTaken { prefix: known.clone(), publisher: owner });
        }
    }
    Ok(())
}

/// Two labels at least: nobody owns all of `com`.
fn is_prefix(prefix: &str) -> bool {
    is_connector_name(prefix) && prefix.contains('.')
}

/// `dev.wharf` covers itself and `dev.wharf.onedrive`, but not `dev.wharfs`.
fn covers(prefix: &str, id: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn begins(key: &TrustedKey, digits: &str) -> bool {
    digits.len() >= KEY_ID_DIGITS_MIN && key.key.id().as_str().starts_with(digits)
}

/// The publisher of this name, or whose key begins with these digits.
fn find(publishers: &[Publisher], what: &str) -> Result<usize, Error> {
    if let Some(place) = publishers.iter().position(|known| known.name.as_str() == what) {
        return Ok(place);
    }
    let with_key = publishers.iter().enumerate().flat_map(|(place, publisher)| {
        publisher.keys.iter().filter(|key| begins(key, what)).map(move |_| place)
    });
    match with_key.collect::<Vec<_>>().as_slice() {
        [place] => Ok(*place),
        [] => Err(Error::NotFound(what.to_owned())),
        _ => Err(Error::Ambiguous(what.to_owned())),
    }
}
