//! The emulated Dropbox: accounts with namespaces, upload sessions, jobs, and what a test may do
//! to them from outside.
//!
//! `route` names a request and checks who sends it; the other files are one word of the service
//! each. The shapes follow Dropbox's published interface description.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::clock::{self, Clock};
use crate::hash::Hasher;
use crate::login::DROPBOX_SCOPES;
use crate::onedrive::StoredFile;
use crate::seal::Seal;
use crate::store::Store;
use crate::sync::lock;
use crate::token::{self, TokenSwitches, Tokens, Wish};
use crate::{DEFAULT_ACCOUNT, Error};

mod args;
mod block;
mod commit;
mod delete;
mod download;
mod entry;
pub(crate) mod error;
mod folder;
mod job;
mod link;
mod list;
mod metadata;
mod namespace;
mod path;
mod relocate;
mod revision;
pub(crate) mod route;
mod session;
mod switches;
mod upload;
mod user;

pub use switches::{CommitLock, DropboxSwitches, TooManyWrites};

use entry::{Commit, Mode};
use namespace::Namespace;
use path::Named;

/// The application that is registered from the start.
const CLIENT_ID: &str = "w4harfdropboxkey";
const CLIENT_SECRET: &str = "dropbox-secret";
/// Space of a new account.
const NAMESPACE_BYTES: u64 = 1024 * 1024 * 1024 * 1024;

/// The emulated Dropbox.
#[derive(Debug)]
pub struct Dropbox {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) seal: Seal,
    pub(crate) tokens: Tokens,
    pub(crate) sessions: session::Sessions,
    pub(crate) jobs: job::Jobs,
    pub(crate) links: link::Links,
    switches: Mutex<DropboxSwitches>,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
}

/// One account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// Whether the application sees only its own folder.
    pub(crate) app_folder: bool,
    pub(crate) namespace: Mutex<Namespace>,
    /// The namespace's number, which can be asked without its lock.
    pub(crate) namespace_id: String,
    /// Held while a commit is under way, if the switch says so.
    pub(crate) commits: Arc<tokio::sync::Mutex<()>>,
    /// Wakes long polls.
    pub(crate) changed: Notify,
}

/// The number of a user, made of the account's name.
pub(crate) fn uid(account: &str) -> String {
    let digest = Sha256::digest(account);
    let number = digest.iter().take(4).fold(0u64, |sum, byte| sum * 256 + u64::from(*byte));
    (number + 1000).to_string()
}

/// The 40 characters of an account's id.
pub(crate) fn account_id(account: &str) -> String {
    let digest = hex::encode(Sha256::digest(account));
    format!("dbid:AAH{}", &digest[..32])
}

impl Dropbox {
    pub(crate) fn new(clock: Clock, store: Store, seal: Seal) -> Self {
        let tokens = Tokens::new(clock.clone(), TokenSwitches::dropbox(), "sl.u.");
        tokens.add_client(CLIENT_ID, CLIENT_SECRET);
        let service = Self {
            clock,
            store,
            seal,
            tokens,
            sessions: session::Sessions::default(),
            jobs: job::Jobs::default(),
            links: link::Links::default(),
            switches: Mutex::default(),
            accounts: Mutex::default(),
        };
        service.add_account(DEFAULT_ACCOUNT, false);
        service
    }

    /// The id of the registered application.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The secret of the registered application.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }

    /// Adds an account; one of this name is replaced. With `app_folder`, the application sees its
    /// own folder as the root.
    pub fn add_account(&self, account: &str, app_folder: bool) {
        let id = uid(account);
        let entry = Account {
            name: account.to_owned(),
            app_folder,
            namespace: Mutex::new(Namespace::new(NAMESPACE_BYTES)),
            namespace_id: id,
            commits: Arc::default(),
            changed: Notify::new(),
        };
        lock(&self.accounts).insert(account.to_owned(), Arc::new(entry));
    }

    /// The names of all accounts.
    pub fn accounts(&self) -> Vec<String> {
        lock(&self.accounts).keys().cloned().collect()
    }

    pub(crate) fn account(&self, name: &str) -> Option<Arc<Account>> {
        lock(&self.accounts).get(name).cloned()
    }

    /// Space of an account, in bytes.
    pub fn set_quota(&self, account: &str, bytes: u64) {
        if let Some(account) = self.account(account) {
            lock(&account.namespace).allocated = bytes;
        }
    }

    /// A fresh token with every scope, as rclone keeps it.
    pub fn token_json(&self, account: &str) -> Value {
        self.token_json_for(account, &DROPBOX_SCOPES)
    }

    /// A fresh token with the given scopes, as rclone keeps it.
    pub fn token_json_for(&self, account: &str, scopes: &[&str]) -> Value {
        let issued = self.tokens.issue_for(Wish {
            client: CLIENT_ID.to_owned(),
            account: account.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            offline: true,
            ..Wish::default()
        });
        token::rclone_json(&issued, "bearer")
    }

    /// Registers another application.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.tokens.add_client(id, secret);
    }

    /// Ends every access token of an account; refreshing still works.
    pub fn expire_tokens(&self, account: &str) {
        self.tokens.expire(account);
    }

    /// Revokes every token of an account; only a new consent helps.
    pub fn revoke(&self, account: &str) {
        self.tokens.revoke(account);
    }

    /// Everything secret that was ever issued or shown at its sign-in pages.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.tokens.secrets()
    }

    /// How often tokens of an account have been refreshed.
    pub fn refreshes(&self, account: &str) -> u64 {
        self.tokens.refreshes(account)
    }

    /// How tokens behave.
    pub fn token_switches(&self) -> TokenSwitches {
        self.tokens.switches()
    }

    /// Changes how tokens behave.
    pub fn set_token_switches(&self, switches: TokenSwitches) {
        self.tokens.set_switches(switches);
    }

    /// How the service behaves.
    pub fn switches(&self) -> DropboxSwitches {
        lock(&self.switches).clone()
    }

    /// Changes how the service behaves.
    pub fn set_switches(&self, switches: DropboxSwitches) {
        for account in lock(&self.accounts).values() {
            let mut namespace = lock(&account.namespace);
            namespace.refuse_emoji = switches.refuse_emoji;
            namespace.display_as_requested = switches.display_as_requested;
        }
        *lock(&self.switches) = switches;
    }

    /// Every file of an account.
    pub fn files(&self, account: &str) -> Vec<StoredFile> {
        let Some(account) = self.account(account) else {
            return Vec::new();
        };
        let namespace = lock(&account.namespace);
        let files = namespace.files();
        files
            .map(|(entry, file)| StoredFile {
                path: entry.display.clone(),
                id: entry.id.clone(),
                size: file.blob.size(),
                hash: file.blob.hash().to_owned(),
                modified: clock::seconds(file.client_modified),
                revision: file.rev.clone(),
                bytes: file.blob.path(),
            })
            .collect()
    }

    /// One file of an account, by its path in any case.
    pub fn file(&self, account: &str, path: &str) -> Option<StoredFile> {
        let mut files = self.files(account).into_iter();
        files.find(|file| path::fold(&file.path) == path::fold(path))
    }

    /// Stores a file without a request, making the folders above it.
    ///
    /// # Errors
    ///
    /// When the account is not there, the name is refused, or the bytes cannot be written.
    pub fn put_file(&self, account: &str, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let blob = self.store.keep(bytes, Hasher::content())?;
        self.put_blob(account, path, &blob)
    }

    /// Stores many small files in one folder, `{folder}/{number}.bin`, sharing their bytes.
    ///
    /// # Errors
    ///
    /// As [`Dropbox::put_file`].
    pub fn put_many(&self, account: &str, folder: &str, count: usize) -> Result<(), Error> {
        let blob = self.store.keep(b"many", Hasher::content())?;
        (0..count).try_for_each(|n| self.put_blob(account, &format!("{folder}/{n:06}.bin"), &blob))
    }

    fn put_blob(&self, account: &str, path: &str, blob: &Arc<crate::store::Blob>) -> Result<(), Error> {
        let account = self.account(account).ok_or(Error::NoAccount)?;
        let commit = Commit {
            path: Named::Path(path.to_owned()),
            mode: Mode::Overwrite,
            autorename: false,
            client_modified: None,
            strict: true,
        };
        let saved = lock(&account.namespace).commit(&commit, blob, self.clock.now());
        account.changed.notify_waiters();
        saved.map(drop).map_err(|_| Error::Refused(path.to_owned()))
    }

    /// Deletes an entry without a request; whether it was there.
    pub fn remove(&self, account: &str, path: &str) -> bool {
        let Some(account) = self.account(account) else {
            return false;
        };
        let now = self.clock.now();
        let removed = lock(&account.namespace).remove(&path::fold(path), now);
        account.changed.notify_waiters();
        removed.is_some()
    }

    /// Makes every cursor given so far stale: `reset`.
    pub fn reset_cursors(&self, account: &str) {
        if let Some(account) = self.account(account) {
            let mut namespace = lock(&account.namespace);
            // Cursors from here on are good, whether anything changes or not.
            namespace.next_change += 1;
            namespace.floor = namespace.newest();
        }
    }

    /// Upload sessions that are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_have_their_length() {
        assert_eq!(account_id("default").len(), 40);
        assert!(uid("default").parse::<u64>().is_ok());
        assert_ne!(uid("default"), uid("other"));
    }
}
