//! A connector's other way out: the backup directory, where that lies on this machine.
//!
//! The same path as a request's: allowed by the grant, done by [`crate::folder`], recorded. What the
//! connector learns of a failure is its case; the operator learns which file and what the system said.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::{Arriving, Call, Failure};
use crate::audit::{Decision, Record};
use crate::content::{Receipt, Section, Tap};
use crate::entry::{Kind, Mode};
use crate::folder::{self, Folder, Item, Leftovers, Listing, Problem, Space};
use crate::grant::{AllowedPath, Denial};
use crate::manifest::Access;

/// Why something was not done in the directory.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It was not tried: [`Failure::Denied`], or a mistake of the connector's.
    Failure(Failure),
    /// It was, and this came of it.
    Problem(Problem),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Something to be done, for the record.
struct Deed {
    /// As the contract calls it: `write`.
    name: &'static str,
    allowed: AllowedPath,
    /// Of a renaming, where to.
    to: Option<AllowedPath>,
    started: Duration,
}

impl Call {
    /// What is stored at a path?
    pub(crate) async fn folder_stat(&self, path: &str) -> Result<Item, Refused> {
        let deed = self.allow_folder("stat", Access::Read, path).await?;
        self.do_in_folder(deed, |folder, path| folder.stat(path.path())).await
    }

    /// A page of what is in a folder.
    pub(crate) async fn folder_list(&self, path: &str, next: Option<String>) -> Result<Listing, Refused> {
        let deed = self.allow_folder("list", Access::Read, path).await?;
        let may_write = self.broker.grant().has_folder(Access::Write);
        let leftovers = if may_write { Leftovers::Remove } else { Leftovers::Keep };
        self.do_in_folder(deed, move |folder, path| folder.list(path.path(), next.as_deref(), leftovers))
            .await
    }

    /// Make a folder.
    pub(crate) async fn folder_make(&self, path: &str) -> Result<Item, Refused> {
        let deed = self.allow_folder("make-folder", Access::Write, path).await?;
        self.do_in_folder(deed, |folder, path| folder.make_folder(path.path())).await
    }

    /// Open a file.
    pub(crate) async fn folder_read(
        &self,
        path: &str,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Item, Arriving), Refused> {
        let deed = self.allow_folder("read", Access::Read, path).await?;
        let folder = self.folder(&deed).await?;
        let allowed = deed.allowed.clone();
        let place = folder.place(allowed.path());
        let opened = folder::blocking(place, move || folder.open(allowed.path(), offset, length)).await;
        let bytes = opened.as_ref().map_or(0, |(_, section)| section.size());
        let (item, section) = self.record_deed(&deed, opened, 0, bytes).await?;
        let arriving = Arriving::from_file(section.body(Tap::default()), self.broker.settings.flow.clone());
        Ok((item, arriving))
    }

    /// Store a file. It is hashed and told like a section that is sent, and counts as sent when it is
    /// stored.
    pub(crate) async fn folder_write(
        &self,
        path: &str,
        section: Section,
        mode: Mode,
        modified: Option<Timestamp>,
    ) -> Result<Item, Refused> {
        let deed = self.allow_folder("write", Access::Write, path).await?;
        let folder = self.folder(&deed).await?;
        let (tap, receipt) = self.tap_section(&section);
        let written = folder::write(&folder, deed.allowed.path(), &section, tap, mode, modified).await;
        let bytes = if written.is_ok() { section.size() } else { 0 };
        let item = self.record_deed(&deed, written, bytes, 0).await?;
        self.acknowledge(section.size(), receipt.and_then(Receipt::take));
        Ok(item)
    }

    /// Remove a file or a folder.
    pub(crate) async fn folder_remove(
        &self,
        path: &str,
        kind: Kind,
        revision: Option<String>,
    ) -> Result<(), Refused> {
        let deed = self.allow_folder("remove", Access::Write, path).await?;
        self.do_in_folder(deed, move |folder, path| folder.remove(path.path(), kind, revision.as_deref()))
            .await
    }

    /// Give something another path.
    pub(crate) async fn folder_rename(&self, path: &str, to: &str, mode: Mode) -> Result<Item, Refused> {
        let mut deed = self.allow_folder("rename", Access::Write, path).await?;
        let to = match self.broker.current_grant().allow_folder(Access::Write, to) {
            Ok(allowed) => allowed,
            Err(denial) => return Err(self.deny_folder("rename", Access::Write, &denial).await.into()),
        };
        deed.to = Some(to.clone());
        self.do_in_folder(deed, move |folder, path| folder.rename(path.path(), to.path(), &mode)).await
    }

    /// How much room is there?
    pub(crate) async fn folder_usage(&self) -> Result<Space, Refused> {
        let deed = self.allow_folder("usage", Access::Read, "").await?;
        self.do_in_folder(deed, |folder, _| folder.usage()).await
    }

    async fn allow_folder(&self, name: &'static str, access: Access, path: &str) -> Result<Deed, Failure> {
        self.count_request(crate::manifest::folder::name(access)).await?;
        let started = self.broker.clock.elapsed();
        match self.broker.current_grant().allow_folder(access, path) {
            Ok(allowed) => Ok(Deed { name, allowed, to: None, started }),
            Err(denial) => Err(self.deny_folder(name, access, &denial).await),
        }
    }

    async fn deny_folder(&self, name: &'static str, access: Access, denial: &Denial) -> Failure {
        let permission = crate::manifest::folder::name(access);
        let record = Record { method: name.to_owned(), ..self.denied(permission, denial) };
        self.deny_with(record, denial).await
    }

    /// The directory; there is one wherever the manifest asks for it.
    async fn folder(&self, deed: &Deed) -> Result<Folder, Failure> {
        match &self.broker.settings.folder {
            Some(folder) => Ok(folder.clone()),
            None => {
                let reason = "the destination has no directory on this machine".to_owned();
                Err(self.refuse(deed.allowed.permission(), "no-folder", reason).await)
            }
        }
    }

    async fn do_in_folder<T: Send + 'static>(
        &self,
        deed: Deed,
        work: impl FnOnce(&Folder, &AllowedPath) -> Result<T, folder::Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let folder = self.folder(&deed).await?;
        let allowed = deed.allowed.clone();
        let place = folder.place(allowed.path());
        let done = folder::blocking(place, move || work(&folder, &allowed)).await;
        self.record_deed(&deed, done, 0, 0).await
    }

    /// One record for each deed, whatever came of it.
    async fn record_deed<T>(
        &self,
        deed: &Deed,
        done: Result<T, folder::Error>,
        written_bytes: u64,
        read_bytes: u64,
    ) -> Result<T, Refused> {
        let elapsed = self.broker.clock.elapsed().saturating_sub(deed.started);
        let place = self.broker.settings.folder.as_ref().map(|folder| folder.place(deed.allowed.path()));
        let url = place.and_then(|place| Url::from_file_path(place).ok());
        let route: Arc<str> = deed.allowed.permission().into();
        let record = Record {
            method: deed.name.to_owned(),
            url: url.map(String::from).unwrap_or_default(),
            attempt: 1,
            reason: deed.to.as_ref().map(|to| format!("to `{}`", to.path())).unwrap_or_default(),
            failure: done.as_ref().err().map(|error| error.problem.to_string()),
            request_bytes: written_bytes,
            response_bytes: read_bytes,
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            ..self.blank(route, Decision::Allowed)
        };
        self.append(record).await?;
        done.map_err(|error| {
            self.set_cause(error.to_string());
            Refused::Problem(error.problem)
        })
    }
}
