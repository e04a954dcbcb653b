//! The emulated OneDrive: accounts with drives, upload sessions, copy jobs, and what a test may
//! do to them from outside.
//!
//! `route` names a request, `handle` answers it; the other files are one word of the service each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::clock::{self, Clock};
use crate::hash::Hasher;
use crate::hosts::Role;
use crate::seal::Seal;
use crate::store::Store;
use crate::sync::lock;
use crate::token::{self, TokenSwitches, Tokens, Wish};
use crate::{DEFAULT_ACCOUNT, Error};

mod address;
mod batch;
mod children;
mod content;
mod copy;
mod delta;
mod drive;
pub(crate) mod error;
mod item;
mod name;
mod node;
mod office;
mod reference;
pub(crate) mod route;
mod session;
mod switches;
mod throttle;
mod ticket;
mod version;
mod view;

pub use switches::{Conflict, DriveKind, Multiples, OneDriveSwitches, RangeStyle, Throttle};

pub(crate) use content::ranged;
pub(crate) use error::Failure;
pub(crate) use view::{mime, segment};

use drive::Drive;
use node::Times;

/// The application that is registered from the start.
const CLIENT_ID: &str = "4f1c7a0e-2b7d-4c55-9a43-6f0c2f2d7e11";
const CLIENT_SECRET: &str = "onedrive~secret";
/// Space of a new drive.
const DRIVE_BYTES: u64 = 1024 * 1024 * 1024 * 1024;
/// Everything a client may ask for.
const SCOPES: [&str; 5] =
    ["Files.Read", "Files.ReadWrite", "Files.Read.All", "Files.ReadWrite.All", "offline_access"];

/// The emulated OneDrive.
#[derive(Debug)]
pub struct OneDrive {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) seal: Seal,
    pub(crate) tokens: Tokens,
    pub(crate) meter: throttle::Meter,
    pub(crate) sessions: session::Sessions,
    pub(crate) jobs: copy::Jobs,
    switches: Mutex<OneDriveSwitches>,
    accounts: Mutex<BTreeMap<String, Account>>,
}

/// The drives of one account; the first is its own.
#[derive(Clone, Debug)]
struct Account {
    drives: Vec<Handle>,
    /// The account's folder for applications, `Apps/{name}`.
    app: String,
}

/// A drive with its id, which can be asked without the drive's lock.
#[derive(Clone, Debug)]
struct Handle {
    id: String,
    drive: Arc<Mutex<Drive>>,
}

impl Handle {
    fn new(drive: Drive) -> Self {
        Self { id: drive.id.clone(), drive: Arc::new(Mutex::new(drive)) }
    }
}

/// A stored file as tests see it, of either service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    /// The path from the root, with a leading slash.
    pub path: String,
    /// Its id at the service.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
    /// The service's hash of its content: `quickXorHash` or `content_hash`.
    pub hash: String,
    /// The modification time that the client gave.
    pub modified: String,
    /// Its current version (OneDrive) or revision (Dropbox).
    pub revision: String,
    /// The file on this machine that holds its bytes.
    #[serde(skip)]
    pub bytes: std::path::PathBuf,
}

impl StoredFile {
    /// Its bytes. The emulator removes the file behind them when the object is deleted.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, for instance because the object is gone.
    pub fn open(&self) -> std::io::Result<std::fs::File> {
        std::fs::File::open(&self.bytes)
    }
}

impl OneDrive {
    pub(crate) fn new(clock: Clock, store: Store, seal: Seal, kind: DriveKind) -> Self {
        let tokens = Tokens::new(clock.clone(), TokenSwitches::microsoft(), "EwB");
        tokens.add_client(CLIENT_ID, CLIENT_SECRET);
        let service = Self {
            clock,
            store,
            seal,
            tokens,
            meter: throttle::Meter::default(),
            sessions: session::Sessions::default(),
            jobs: copy::Jobs::default(),
            switches: Mutex::default(),
            accounts: Mutex::default(),
        };
        service.add_account(DEFAULT_ACCOUNT, kind);
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

    /// Adds an account with one drive; an account of this name is replaced.
    pub fn add_account(&self, account: &str, kind: DriveKind) {
        let drive = Drive::new(kind, DRIVE_BYTES, self.clock.now());
        let entry = Account { drives: vec![Handle::new(drive)], app: "Wharf".to_owned() };
        lock(&self.accounts).insert(account.to_owned(), entry);
    }

    /// Adds another drive to an account, such as a document library, and gives its id.
    pub fn add_drive(&self, account: &str, kind: DriveKind) -> Option<String> {
        let drive = Drive::new(kind, DRIVE_BYTES, self.clock.now());
        let id = drive.id.clone();
        let mut accounts = lock(&self.accounts);
        let entry = accounts.get_mut(account)?;
        entry.drives.push(Handle::new(drive));
        Some(id)
    }

    /// The names of all accounts.
    pub fn accounts(&self) -> Vec<String> {
        lock(&self.accounts).keys().cloned().collect()
    }

    /// The id of an account's own drive.
    pub fn drive_id(&self, account: &str) -> Option<String> {
        let accounts = lock(&self.accounts);
        Some(accounts.get(account)?.drives.first()?.id.clone())
    }

    /// Space of an account's own drive, in bytes.
    pub fn set_quota(&self, account: &str, bytes: u64) {
        if let Some(drive) = self.own_drive(account) {
            lock(&drive).quota.total = bytes;
        }
    }

    /// Empties the recycle bin of an account's own drive.
    pub fn empty_recycle_bin(&self, account: &str) {
        if let Some(drive) = self.own_drive(account) {
            lock(&drive).quota.deleted = 0;
        }
    }

    /// A fresh token with every scope, as rclone keeps it.
    pub fn token_json(&self, account: &str) -> Value {
        self.token_json_for(account, &SCOPES)
    }

    /// A fresh token with the given scopes, as rclone keeps it.
    pub fn token_json_for(&self, account: &str, scopes: &[&str]) -> Value {
        let issued = self.tokens.issue_for(Wish {
            client: CLIENT_ID.to_owned(),
            account: account.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            offline: scopes.contains(&"offline_access"),
            ..Wish::default()
        });
        token::rclone_json(&issued, "Bearer")
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
    pub fn switches(&self) -> OneDriveSwitches {
        lock(&self.switches).clone()
    }

    /// Changes how the service behaves.
    pub fn set_switches(&self, switches: OneDriveSwitches) {
        for drive in self.all_drives() {
            self.place_vault(&drive, switches.vault);
            if switches.migrated_ids {
                lock(&drive).migrate();
            }
        }
        *lock(&self.switches) = switches;
    }

    fn place_vault(&self, drive: &Mutex<Drive>, wanted: bool) {
        let mut drive = lock(drive);
        let root = drive.root;
        if !wanted || drive.kind != DriveKind::Personal {
            return;
        }
        let now = self.clock.now();
        let made = drive.make_folder(root, "Personal Vault", Conflict::Replace, now);
        if let Ok((key, _)) = made {
            // The folder was made a moment ago, so it is there.
            let _ = drive.set_vault(key, true);
        }
    }

    /// Every file of an account's own drive.
    pub fn files(&self, account: &str) -> Vec<StoredFile> {
        let Some(drive) = self.own_drive(account) else {
            return Vec::new();
        };
        let drive = lock(&drive);
        let files = drive.files();
        files
            .into_iter()
            .filter_map(|(path, item)| {
                let file = item.file()?;
                Some(StoredFile {
                    path,
                    id: item.id.clone(),
                    size: file.blob.size(),
                    hash: file.blob.hash().to_owned(),
                    modified: clock::seconds(item.times.modified),
                    revision: format!("{}.0", file.version),
                    bytes: file.blob.path(),
                })
            })
            .collect()
    }

    /// One file of an account's own drive, by its path in any case.
    pub fn file(&self, account: &str, path: &str) -> Option<StoredFile> {
        let mut files = self.files(account).into_iter();
        files.find(|file| name::fold(&file.path) == name::fold(path))
    }

    /// Stores a file without a request, making the folders above it.
    ///
    /// # Errors
    ///
    /// When the account is not there, the name is refused, or the bytes cannot be written.
    pub fn put_file(&self, account: &str, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let blob = self.store.keep(bytes, Hasher::quick())?;
        self.put_blob(account, path, &blob)
    }

    /// Stores many small files in one folder, `{folder}/{number}.bin`, sharing their bytes.
    ///
    /// # Errors
    ///
    /// As [`OneDrive::put_file`].
    pub fn put_many(&self, account: &str, folder: &str, count: usize) -> Result<(), Error> {
        let blob = self.store.keep(b"many", Hasher::quick())?;
        (0..count).try_for_each(|n| self.put_blob(account, &format!("{folder}/{n:06}.bin"), &blob))
    }

    fn put_blob(&self, account: &str, path: &str, blob: &Arc<crate::store::Blob>) -> Result<(), Error> {
        let drive = self.own_drive(account).ok_or(Error::NoAccount)?;
        let refused = |_| Error::Refused(path.to_owned());
        let mut names: Vec<String> = split(path);
        let name = names.pop().ok_or_else(|| Error::Refused(path.to_owned()))?;
        let now = self.clock.now();
        let mut drive = lock(&drive);
        let root = drive.root;
        let parent = drive.resolve_or_make(root, &names, now).map_err(refused)?;
        let times = Some(Times { created: now, modified: now });
        let blob = Arc::clone(blob);
        drive.put(parent, &name, blob, Conflict::Replace, times, now).map_err(refused)?;
        Ok(())
    }

    /// Deletes an item without a request; whether it was there.
    pub fn remove(&self, account: &str, path: &str) -> bool {
        self.with_item(account, path, |drive, key| drive.remove(key, true))
    }

    /// Holds an item checked out, so that changes get 423, or lets go of it.
    pub fn set_locked(&self, account: &str, path: &str, locked: bool) -> bool {
        self.with_item(account, path, |drive, key| drive.set_locked(key, locked))
    }

    fn with_item(
        &self,
        account: &str,
        path: &str,
        act: impl FnOnce(&mut Drive, node::Key) -> Result<(), Failure>,
    ) -> bool {
        let Some(drive) = self.own_drive(account) else {
            return false;
        };
        let mut drive = lock(&drive);
        let found = drive.resolve(drive.root, &split(path));
        found.and_then(|key| act(&mut drive, key)).is_ok()
    }

    /// Makes every delta link given so far stale: 410 and a full enumeration.
    pub fn reset_delta(&self, account: &str) {
        if let Some(drive) = self.own_drive(account) {
            let mut drive = lock(&drive);
            // Links from here on are good, whether anything changes or not.
            drive.next_change += 1;
            drive.delta_floor = drive.newest();
        }
    }

    /// Upload sessions that are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.count()
    }

    /// The name of the application folder of an account.
    pub(crate) fn app_folder(&self, account: &str) -> String {
        let accounts = lock(&self.accounts);
        accounts.get(account).map_or_else(String::new, |entry| entry.app.clone())
    }

    pub(crate) fn own_drive(&self, account: &str) -> Option<Arc<Mutex<Drive>>> {
        let accounts = lock(&self.accounts);
        let own = accounts.get(account)?.drives.first()?;
        Some(Arc::clone(&own.drive))
    }

    pub(crate) fn drives(&self, account: &str) -> Vec<Arc<Mutex<Drive>>> {
        let accounts = lock(&self.accounts);
        let entry = accounts.get(account).into_iter();
        let handles = entry.flat_map(|entry| &entry.drives);
        handles.map(|handle| Arc::clone(&handle.drive)).collect()
    }

    fn all_drives(&self) -> Vec<Arc<Mutex<Drive>>> {
        let accounts = lock(&self.accounts);
        let handles = accounts.values().flat_map(|entry| &entry.drives);
        handles.map(|handle| Arc::clone(&handle.drive)).collect()
    }

    /// A drive of an account by id.
    pub(crate) fn drive_by_id(&self, account: &str, id: &str) -> Option<Arc<Mutex<Drive>>> {
        let accounts = lock(&self.accounts);
        let mut handles = accounts.get(account)?.drives.iter();
        let found = handles.find(|handle| is_same_drive(&handle.id, id))?;
        Some(Arc::clone(&found.drive))
    }
}

/// Whether two ids name one drive: those of personal drives come in any case and may have lost
/// their leading zeros.
pub(crate) fn is_same_drive(left: &str, right: &str) -> bool {
    let plain = |id: &str| id.to_lowercase().trim_start_matches('0').to_owned();
    plain(left) == plain(right)
}

/// A path without the ticket it may carry, for the log.
pub(crate) fn redacted(role: Role, path: &str) -> String {
    match role == Role::Storage {
        true => ticket::redacted(path),
        false => path.to_owned(),
    }
}

/// A moment so many milliseconds after another.
pub(crate) fn after_ms(now: jiff::Timestamp, ms: u64) -> jiff::Timestamp {
    clock::later(now, Duration::from_millis(ms))
}

/// The names of a path.
pub(crate) fn split(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A table by random token, used for sessions and jobs.
pub(crate) type Table<T> = Mutex<HashMap<String, Arc<T>>>;
