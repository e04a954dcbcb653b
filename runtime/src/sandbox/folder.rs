//! The host's side of the contract's `folder`: it translates, and [`Call`](crate::broker::Call) does.

use std::sync::Arc;

use jiff::Timestamp;

use super::bindings::wharf::connector::{broker, folder as wit};
use super::host::{Body, State};
use super::limits::OPEN_BODIES_MAX;
use crate::broker::{Failure, Refused};
use crate::entry::{Kind, Mode};
use crate::folder::{Item, Listing, Problem, Space};
use crate::manifest::folder::READ;

type Answer<T> = wasmtime::Result<Result<T, wit::Problem>>;

impl wit::Host for State {
    async fn stat(&mut self, path: String) -> Answer<wit::Item> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let done = meter.host(call.folder_stat(&path)).await;
        Ok(done.map(Into::into).map_err(Into::into))
    }

    async fn list(&mut self, path: String, next: Option<String>) -> Answer<wit::Listing> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let done = meter.host(call.folder_list(&path, next)).await;
        Ok(done.map(Into::into).map_err(Into::into))
    }

    async fn make_folder(&mut self, path: String) -> Answer<wit::Item> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let done = meter.host(call.folder_make(&path)).await;
        Ok(done.map(Into::into).map_err(Into::into))
    }

    async fn read(&mut self, path: String, offset: u64, len: Option<u64>) -> Answer<wit::Opened> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        if self.open_bodies >= OPEN_BODIES_MAX {
            let reason = format!("more than {OPEN_BODIES_MAX} files are open at once");
            let refused = Refused::Failure(call.refuse_counted(READ, "open-bodies", reason).await);
            return Ok(Err(refused.into()));
        }
        match meter.host(call.folder_read(&path, offset, len)).await {
            Ok((item, arriving)) => {
                self.open_bodies = self.open_bodies.saturating_add(1);
                let body = self.table.push(Body { incoming: Some(arriving) })?;
                Ok(Ok(wit::Opened { item: item.into(), body }))
            }
            Err(refused) => Ok(Err(refused.into())),
        }
    }

    async fn write(
        &mut self,
        path: String,
        bytes: broker::Section,
        mode: wit::Mode,
        modified: Option<wit::Moment>,
    ) -> Answer<wit::Item> {
        let section = self.table.get(&bytes.source)?.section.part(bytes.offset, bytes.len)?;
        let modified = modified.map(timestamp).transpose()?;
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let done = meter.host(call.folder_write(&path, section, mode.into(), modified)).await;
        Ok(done.map(Into::into).map_err(Into::into))
    }

    async fn remove(&mut self, path: String, kind: wit::Kind, revision: Option<String>) -> Answer<()> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let kind = match kind {
            wit::Kind::File => Kind::File,
            wit::Kind::Folder => Kind::Folder,
        };
        Ok(meter.host(call.folder_remove(&path, kind, revision)).await.map_err(Into::into))
    }

    async fn rename(&mut self, path: String, to: String, mode: wit::Mode) -> Answer<wit::Item> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let done = meter.host(call.folder_rename(&path, &to, mode.into())).await;
        Ok(done.map(Into::into).map_err(Into::into))
    }

    async fn usage(&mut self) -> Answer<wit::Space> {
        let (meter, call) = (Arc::clone(&self.meter), Arc::clone(&self.call));
        let done = meter.host(call.folder_usage()).await;
        Ok(done.map(|Space { total, free }| wit::Space { total, free }).map_err(Into::into))
    }
}

/// A moment that makes no sense traps, as the contract's other nonsense does.
fn timestamp(moment: wit::Moment) -> wasmtime::Result<Timestamp> {
    let nanoseconds = i128::from(moment.seconds).saturating_mul(1_000_000_000);
    let nanoseconds = nanoseconds.saturating_add(i128::from(moment.nanoseconds));
    let within = moment.nanoseconds < 1_000_000_000;
    let parsed = within.then(|| Timestamp::from_nanosecond(nanoseconds).ok()).flatten();
    parsed.ok_or_else(|| wasmtime::format_err!("a time {} seconds from 1970", moment.seconds))
}

impl From<wit::Mode> for Mode {
    fn from(mode: wit::Mode) -> Self {
        match mode {
            wit::Mode::Replace => Self::Replace,
            wit::Mode::Create => Self::Create,
            wit::Mode::ReplaceIfRevision(revision) => Self::ReplaceIfRevision(revision),
        }
    }
}

impl From<Item> for wit::Item {
    fn from(item: Item) -> Self {
        let Item { kind, size, modified, revision } = item;
        let kind = match kind {
            Kind::File => wit::Kind::File,
            Kind::Folder => wit::Kind::Folder,
        };
        Self { kind, size, modified: modified.and_then(moment), revision }
    }
}

/// Whole seconds towards the past, so that the fraction is never negative.
fn moment(time: Timestamp) -> Option<wit::Moment> {
    let nanoseconds = time.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let nanoseconds = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?;
    Some(wit::Moment { seconds, nanoseconds })
}

impl From<Listing> for wit::Listing {
    fn from(listing: Listing) -> Self {
        let named = |(name, item): (String, Item)| wit::Named { name, item: item.into() };
        Self { items: listing.items.into_iter().map(named).collect(), next: listing.next }
    }
}

impl From<Refused> for wit::Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failure(Failure::Invalid(text)) => Self::Invalid(text),
            Refused::Failure(
                Failure::Denied
                | Failure::SignInAgain
                | Failure::Throttled(_)
                | Failure::Unreachable
                | Failure::Lost
                | Failure::TimedOut
                | Failure::TooLarge
                | Failure::SourceChanged,
            ) => Self::Denied,
            Refused::Problem(problem) => problem.into(),
        }
    }
}

/// The case; a place on this machine and the system's words are the operator's.
impl From<Problem> for wit::Problem {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::NotFound => Self::NotFound,
            Problem::Exists => Self::Exists,
            Problem::WrongKind(_) | Problem::OnTheWay { .. } => Self::WrongKind,
            Problem::Conflict => Self::Conflict,
            Problem::BadName(rule) => Self::BadName(rule.to_owned()),
            Problem::Invalid(text) => Self::Invalid(text.to_owned()),
            Problem::TimedOut => Self::TimedOut,
            Problem::Source(_) => Self::SourceChanged,
            Problem::NoSpace(_) => Self::NoSpace,
            Problem::TooLarge(_) => Self::TooLarge,
            Problem::Denied(_) => Self::Denied,
            Problem::System(error) => Self::Other(error.kind().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_are_whole_seconds_towards_the_past() {
        let time = Timestamp::from_nanosecond(-1).unwrap();
        let told = moment(time).unwrap();
        assert_eq!((told.seconds, told.nanoseconds), (-1, 999_999_999));
        assert_eq!(timestamp(told).unwrap(), time);
        assert!(timestamp(wit::Moment { seconds: 0, nanoseconds: 1_000_000_000 }).is_err());
        assert!(timestamp(wit::Moment { seconds: i64::MAX, nanoseconds: 0 }).is_err());
    }
}
