//! Does a destination do what a backup needs of it? Tried step by step, at the service itself.
//!
//! What is stored for it are small files of a random name in the backup directory, and they are removed
//! again whatever happens. A step that fails ends the trial: what follows could only fail for the same
//! reason. A read-only destination is only read from.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::account;
use crate::attached::{self, Attached};
use crate::content::{Section, Source};
use crate::entry::{Entry, Info, Kind, Mode};
use crate::hash::Digests;
use crate::ownership::Owner;
use crate::path::RelativePath;
use crate::sandbox::operation::{Refusal, Removal};
use crate::transfer::verify::{self, Evidence, Mismatch};

/// What the names of the files begin with that are stored for a trial.
pub const PREFIX: &str = ".wharf-probe-";
/// Bytes of such a file: more than one packet, and nothing beside any quota.
const PROBE_BYTES: usize = 96 * 1024;
/// The range that is read of it: neither at its beginning nor at its end.
const RANGE: std::ops::Range<usize> = 12_345..54_321;

/// One thing that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`name` and `means` say what they are")]
pub enum Step {
    SignIn,
    Quota,
    List,
    Owner,
    Put,
    RangeRead,
    Hash,
    Overwrite,
    Create,
    Remove,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::SignIn,
        Self::Quota,
        Self::List,
        Self::Owner,
        Self::Put,
        Self::RangeRead,
        Self::Hash,
        Self::Overwrite,
        Self::Create,
        Self::Remove,
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Quota => "quota",
            Self::List => "list",
            Self::Owner => "owner",
            Self::Put => "put",
            Self::RangeRead => "range-read",
            Self::Hash => "hash",
            Self::Overwrite => "overwrite",
            Self::Create => "create",
            Self::Remove => "remove",
        }
    }

    /// What it means when it fails.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::SignIn => "nothing can be stored or restored until the account signs in",
            Self::Quota => "the service refuses to say how full it is",
            Self::List => "nothing can be found, so nothing can be restored",
            Self::Owner => "nothing can be stored: the backup directory is not this destination's",
            Self::Put => "nothing can be stored",
            Self::RangeRead => "a restore cannot go on where it was interrupted, and engines cannot use it",
            Self::Hash => "what the service stores is not what was sent, or it says so",
            Self::Overwrite => "a file that changed cannot be stored again",
            Self::Create => "two writers could overwrite each other: no engine may lock here",
            Self::Remove => "nothing can be removed, so space is never given back",
        }
    }

    const fn writes(self) -> bool {
        match self {
            Self::SignIn | Self::Quota | Self::List | Self::Owner => false,
            Self::Put | Self::RangeRead | Self::Hash | Self::Overwrite | Self::Create | Self::Remove => true,
        }
    }
}

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// As it should; what was seen.
    Good(String),
    /// It does not apply, and why.
    Skipped(String),
    /// It did not.
    Failed(Failure),
}

/// Why a step did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An operation failed.
    #[error(transparent)]
    Operation(#[from] attached::Error),
    /// The account cannot be used.
    #[error(transparent)]
    Account(#[from] account::Error),
    /// What is stored is not what was meant.
    #[error("what is stored is not what was sent: {0}")]
    Mismatch(#[from] Mismatch),
    /// Everything was answered, and the answers are wrong.
    #[error("{0}")]
    Wrong(String),
}

/// A step that was tried.
#[derive(Debug)]
pub struct Tried {
    /// Which.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub elapsed: Duration,
}

/// Try everything; `told` hears of each step when it has ended. Returns whether all went well. Files
/// that were stored are removed; what cannot be removed is returned.
pub async fn validate(attached: &Attached, told: &mut (dyn FnMut(Tried) + Send)) -> (bool, Vec<String>) {
    let trial = Trial::new(attached);
    let mut good = true;
    for step in Step::ALL {
        if !good || (step.writes() && attached.is_read_only()) {
            let reason = if good { "the destination is read-only" } else { "not tried" };
            told(Tried { step, outcome: Outcome::Skipped(reason.to_owned()), elapsed: Duration::ZERO });
            continue;
        }
        let started = attached.broker().clock().elapsed();
        let outcome = trial.step(step).await.unwrap_or_else(Outcome::Failed);
        good = !matches!(outcome, Outcome::Failed(_));
        told(Tried { step, outcome, elapsed: attached.broker().clock().elapsed().saturating_sub(started) });
    }
    (good, trial.clean_up().await)
}

/// Files of a trial, and what is in them.
struct Trial<'a> {
    attached: &'a Attached,
    probe: RelativePath,
    race: RelativePath,
    first: Bytes,
    second: Bytes,
}

impl<'a> Trial<'a> {
    fn new(attached: &'a Attached) -> Self {
        let name = format!("{PREFIX}{:016x}", rand::random::<u64>());
        // A name of letters, digits and dashes is a path.
        let path = |name: &str| RelativePath::parse(name).unwrap_or_default();
        let bytes =
            || -> Bytes { (0..PROBE_BYTES).map(|_| rand::random::<u8>()).collect::<Vec<u8>>().into() };
        Self {
            attached,
            probe: path(&name),
            race: path(&format!("{name}-race")),
            first: bytes(),
            second: bytes(),
        }
    }

    async fn step(&self, step: Step) -> Result<Outcome, Failure> {
        match step {
            Step::SignIn => self.sign_in().await,
            Step::Quota => self.quota().await,
            Step::List => self.list().await,
            Step::Owner => self.owner().await,
            Step::Put => self.put_probe(&self.first).await,
            Step::RangeRead => self.range_read().await,
            Step::Hash => self.hash().await,
            Step::Overwrite => self.overwrite().await,
            Step::Create => self.create().await,
            Step::Remove => self.remove().await,
        }
    }

    async fn sign_in(&self) -> Result<Outcome, Failure> {
        match self.attached.broker().sign_in().await {
            None => Ok(Outcome::Skipped("the connector needs no account".to_owned())),
            Some(signed_in) => {
                signed_in?;
                Ok(Outcome::Good("there is a token".to_owned()))
            }
        }
    }

    async fn quota(&self) -> Result<Outcome, Failure> {
        let space = match self.attached.usage().await {
            Ok(space) => space,
            Err(error) if matches!(error.problem.refusal(), Some(Refusal::Unsupported)) => {
                return Ok(Outcome::Skipped("the service does not tell how full it is".to_owned()));
            }
            Err(error) if error.kind() == crate::ErrorKind::NotFound => {
                return Ok(Outcome::Skipped("the backup directory is not there yet".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let bytes =
            |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string());
        Ok(Outcome::Good(format!("{} of {} bytes used", bytes(space.used), bytes(space.total))))
    }

    async fn list(&self) -> Result<Outcome, Failure> {
        match self.attached.list(&RelativePath::root(), false, None).await {
            Ok(page) => Ok(Outcome::Good(match page.entries.len() {
                1 => "1 entry on the first page".to_owned(),
                entries => format!("{entries} entries on the first page"),
            })),
            Err(error) if error.kind() == crate::ErrorKind::NotFound => {
                Ok(Outcome::Good("the backup directory is not there yet".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn owner(&self) -> Result<Outcome, Failure> {
        if !self.attached.is_read_only() {
            self.attached.claim_anew().await?;
            return Ok(Outcome::Good("the backup directory is this destination's".to_owned()));
        }
        Ok(Outcome::Good(match self.attached.owner().await? {
            None => "the backup directory is nobody's".to_owned(),
            Some(Owner::Us) => "the backup directory is this destination's".to_owned(),
            Some(Owner::Gone(mark) | Owner::Another(mark)) => format!(
                "the backup directory is that of destination `{}` of server `{}`",
                mark.destination, mark.server_name
            ),
        }))
    }

    async fn put_probe(&self, bytes: &Bytes) -> Result<Outcome, Failure> {
        let entry = self.store(&self.probe, bytes, Mode::Replace).await?;
        let told = match verify::verify(&entry, &self.digests(bytes)?)? {
            Evidence::Hash => "stored, with the hash that was sent",
            Evidence::Size => "stored, with the length that was sent",
        };
        Ok(Outcome::Good(told.to_owned()))
    }

    async fn range_read(&self) -> Result<Outcome, Failure> {
        let arrived = self.read(RANGE).await?;
        if self.first.get(RANGE) == Some(&*arrived) {
            return Ok(Outcome::Good(format!("{} bytes from {}", RANGE.len(), RANGE.start)));
        }
        Err(Failure::Wrong(format!("other bytes arrived than were stored from {}", RANGE.start)))
    }

    async fn hash(&self) -> Result<Outcome, Failure> {
        let entry = self.attached.stat(&self.probe).await?;
        let told = match (verify::verify(&entry, &self.digests(&self.first)?)?, &entry.hash) {
            (Evidence::Hash, Some(hash)) => format!("{} agrees", hash.algorithm().name()),
            (Evidence::Hash | Evidence::Size, _) => "the service reports none; the length agrees".to_owned(),
        };
        Ok(Outcome::Good(told))
    }

    async fn overwrite(&self) -> Result<Outcome, Failure> {
        self.put_probe(&self.second).await?;
        if self.read(0..PROBE_BYTES).await? == self.second {
            return Ok(Outcome::Good("read back as it was stored anew".to_owned()));
        }
        Err(Failure::Wrong("after it was replaced, something else is read".to_owned()))
    }

    /// Two create one file at once: one has to win.
    async fn create(&self) -> Result<Outcome, Failure> {
        let (one, other) = tokio::join!(
            self.store(&self.race, &self.first, Mode::Create),
            self.store(&self.race, &self.second, Mode::Create)
        );
        match (one, other) {
            (Ok(_), Ok(_)) => {
                Err(Failure::Wrong("two created the same file, and both were told that they did".to_owned()))
            }
            (Ok(_), Err(lost)) | (Err(lost), Ok(_)) if lost.kind() == crate::ErrorKind::Exists => {
                Ok(Outcome::Good("of two at once, one won".to_owned()))
            }
            (Ok(_), Err(error)) | (Err(error), Ok(_) | Err(_)) => Err(error.into()),
        }
    }

    async fn remove(&self) -> Result<Outcome, Failure> {
        for path in [&self.probe, &self.race] {
            self.remove_file(path).await?;
        }
        match self.attached.stat(&self.probe).await {
            Err(error) if error.kind() == crate::ErrorKind::NotFound => {
                Ok(Outcome::Good("what was stored is gone".to_owned()))
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(Failure::Wrong("what was removed is there still".to_owned())),
        }
    }

    /// Leave nothing behind. Returns what stays all the same.
    async fn clean_up(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.attached.is_read_only() {
            return left;
        }
        for path in [&self.probe, &self.race] {
            // What is not known to be gone is looked for: a failed step may have stored it.
            match self.attached.stat(path).await {
                Err(error) if error.kind() == crate::ErrorKind::NotFound => {}
                Err(_) => left.push(path.to_string()),
                Ok(_) => {
                    if self.remove_file(path).await.is_err() {
                        left.push(path.to_string());
                    }
                }
            }
        }
        left
    }

    async fn remove_file(&self, path: &RelativePath) -> Result<(), attached::Error> {
        let removal = Removal { path: path.clone(), kind: Kind::File, revision: None };
        for result in self.attached.remove(&[removal]).await? {
            result?;
        }
        Ok(())
    }

    async fn store(&self, path: &RelativePath, bytes: &Bytes, mode: Mode) -> Result<Entry, attached::Error> {
        let section = section(bytes);
        let info = Info { size: section.size(), modified: None, keep_modified: false, mode };
        Ok(self.attached.put(path, &section, &info, None).await?.0)
    }

    async fn read(&self, range: std::ops::Range<usize>) -> Result<Bytes, Failure> {
        let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let (start, length) = (number(range.start), number(range.len()));
        let mut opened = self.attached.get(&self.probe, start, Some(length), None).await?;
        // A service may begin before what was asked for, and go on behind it.
        let skip = usize::try_from(start.saturating_sub(opened.download.offset)).unwrap_or(usize::MAX);
        let wanted = skip.saturating_add(range.len());
        let mut bytes = Vec::new();
        while bytes.len() < wanted {
            let chunk = opened.download.body.chunk().await;
            match chunk.map_err(|error| Failure::Wrong(format!("it cannot be read to its end: {error}")))? {
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => break,
            }
        }
        bytes.truncate(wanted);
        Ok(Bytes::from(bytes.split_off(skip.min(bytes.len()))))
    }

    fn digests(&self, bytes: &Bytes) -> Result<Digests, Failure> {
        let digests = section(bytes).digests(&self.attached.algorithms());
        digests.map_err(|error| Failure::Wrong(error.to_string()))
    }
}

fn section(bytes: &Bytes) -> Section {
    Section::whole(Arc::new(Source::from_bytes(bytes.clone(), "a probe".to_owned())))
}
