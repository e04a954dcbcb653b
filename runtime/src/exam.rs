//! The examination of a connector, before anybody installs it.
//!
//! First what can be said of the file alone: is it a component of this contract, what does it import, how
//! large is it, how long does it take to compile. Then it is put under pressure (`pressure`): every
//! operation, while a service that is played in this process lies (`lies`). And where its author has a
//! real service, or an emulator of it, everything that the contract promises is asked there
//! (`conformance`). It decides nothing: what is found is told, and whoever asked draws the conclusion.

pub mod conformance;
mod lies;
mod pressure;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use crate::attached::Attached;
use crate::audit::{Audit, Filter};
use crate::destination::{ConnectorReference, Destination, Setting};
use crate::entry::Kind;
use crate::figures::Figures;
use crate::grant::Granted;
use crate::hint::Hint;
use crate::home::Name;
use crate::host::{self, Host};
use crate::manifest::Manifest;
use crate::network;
use crate::path::{Directory, RelativePath};
use crate::registry::Digest;
use crate::sandbox::Sandbox;
use crate::sandbox::limits::MEMORY_BYTES_MAX;
use crate::sandbox::operation::Removal;
use crate::state::State;

/// What the folder's name begins with that an examination works in at a service.
pub const PREFIX: &str = "wharf-test-";
/// Bytes of a component that deserve a thought: those of this repository have a tenth of it.
const COMPONENT_BYTES_COMFORT: usize = 8 * 1024 * 1024;
/// Milliseconds of compiling that deserve one: every operator waits for it at each update.
const COMPILING_MS_COMFORT: u128 = 10_000;

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which part of the examination.
    pub part: &'static str,
    /// What was looked at.
    pub what: String,
    /// And how it is.
    pub outcome: Outcome,
}

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be; what was seen, if that says anything.
    Good(String),
    /// It works, and could be better.
    Advice(String),
    /// It was not looked at, and why.
    Skipped(String),
    /// It is not as it must be.
    Failed(String),
}

impl Outcome {
    const fn good() -> Self {
        Self::Good(String::new())
    }
}

/// Who is told of each finding.
pub type Told<'a> = &'a mut dyn FnMut(Finding);

/// Why an examination could not be held.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that it stands on.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// Something that it made up itself.
    #[error("the examination cannot be set up: {0}")]
    Setup(String),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Host(error) => error.hint(),
            Self::Setup(_) => None,
        }
    }
}

fn setup(error: impl std::fmt::Display) -> Error {
    Error::Setup(error.to_string())
}

/// What is examined, and where there is room for it.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The packed component.
    pub component: &'a [u8],
    /// A home for the examination alone.
    pub home: &'a Path,
    /// A folder beside that home, for connectors that work on this machine.
    pub folder: &'a Path,
    /// The destination's options.
    pub options: BTreeMap<String, Setting>,
}

/// A real service, or an emulator of it.
#[derive(Debug)]
pub struct Place<'a> {
    /// Who has the account, if the connector needs one.
    pub accounts: Option<&'a Host>,
    /// How the service is reached.
    pub network: network::Options,
    /// Whose token is used; none where the connector needs none.
    pub account: Option<Name>,
    /// Where a folder is made, worked in and removed again.
    pub directory: Directory,
}

/// Read what a component says of itself; what is wrong with it is told, and then there is no more to see.
pub fn read(component: &[u8], told: Told<'_>) -> Option<Manifest> {
    let part = "component";
    match Sandbox::inspect(component) {
        Ok(manifest) => {
            told(Finding {
                part,
                what: "a manifest that holds together".to_owned(),
                outcome: Outcome::good(),
            });
            let imports = Outcome::Good(Sandbox::imports(component).join(", "));
            told(Finding {
                part,
                what: "imports of the contract and of empty WASI only".to_owned(),
                outcome: imports,
            });
            let size = component.len();
            let outcome = if size > COMPONENT_BYTES_COMFORT {
                Outcome::Advice(format!(
                    "{size} bytes; build for size, and leave out names and debug sections"
                ))
            } else {
                Outcome::Good(format!("{size} bytes"))
            };
            told(Finding { part, what: "its size".to_owned(), outcome });
            Some(manifest)
        }
        Err(error) => {
            let what = "a component of this contract".to_owned();
            told(Finding { part, what, outcome: Outcome::Failed(error.to_string()) });
            None
        }
    }
}

/// Compile it and put it under pressure.
///
/// # Errors
/// When the examination cannot be held; what is wrong with the connector is told.
pub async fn press(subject: &Subject<'_>, manifest: &Manifest, told: Told<'_>) -> Result<(), Error> {
    let play = pressure::Play::set(subject, manifest)?;
    let started = Instant::now();
    let installed = play.host().install_unsigned(subject.component);
    let (part, what) = ("component", "compiles, and implements the contract".to_owned());
    let took = started.elapsed().as_millis();
    let (outcome, sound) = match installed {
        Err(host::Error::Component(error)) => (Outcome::Failed(error.to_string()), false),
        Err(error) => return Err(error.into()),
        Ok(_) if took > COMPILING_MS_COMFORT => {
            (Outcome::Advice(format!("in {took} ms; operators wait for that at each update")), true)
        }
        Ok(_) => (Outcome::Good(format!("in {took} ms")), true),
    };
    told(Finding { part, what, outcome });
    if sound {
        play.run(told).await?;
        told(cost(play.host(), subject, "under pressure").await?);
    }
    Ok(())
}

/// Ask everything that the contract promises, in a folder of its own at a service, until `stop` comes. The
/// folder is removed again whatever is found. Returns whether it was gone through to the end.
///
/// # Errors
/// When the examination cannot be held.
pub async fn visit(
    subject: &Subject<'_>,
    manifest: &Manifest,
    place: Place<'_>,
    stop: impl Future<Output = ()>,
    told: Told<'_>,
) -> Result<bool, Error> {
    let host = Host::open(subject.home, place.network.clone())?;
    let host = match place.accounts {
        Some(accounts) => host.with_accounts_of(accounts),
        None => host,
    };
    host.install_unsigned(subject.component)?;
    let folder = format!("{PREFIX}{:016x}", rand::random::<u64>());
    let parent = place.directory.as_str().trim_end_matches('/');
    let inside = Directory::parse(&format!("{parent}/{folder}")).map_err(setup)?;
    let attached = attach(&host, subject, manifest, &place, "visit", inside).await?;
    let whole = tokio::select! {
        biased;
        () = stop => false,
        () = conformance::examine(&attached, &mut *told) => true,
    };
    attached.settle().await.map_err(host::Error::from)?;
    if whole {
        told(unused(&host, manifest, attached.name())?);
        told(cost(&host, subject, "at the service").await?);
    }
    drop(attached);
    let outside = attach(&host, subject, manifest, &place, "visit-end", place.directory.clone()).await?;
    told(clean(&outside, &folder).await);
    outside.settle().await.map_err(host::Error::from)?;
    Ok(whole)
}

async fn attach(
    host: &Host,
    subject: &Subject<'_>,
    manifest: &Manifest,
    place: &Place<'_>,
    name: &str,
    directory: Directory,
) -> Result<Attached, Error> {
    let name = Name::parse(name).map_err(setup)?;
    let reference = ConnectorReference { name: manifest.id.clone(), version: None };
    let mut destination = Destination::new(name, reference, directory);
    destination.options = subject.options.clone();
    destination.account = place.account.clone();
    destination.grants = Granted::everything(manifest);
    // Its account is one of another home, and no file of this one may name it.
    Ok(host.attach_unwritten(&destination).await?)
}

/// Remove the folder that was worked in. It is named by us, and nothing else below the directory is touched;
/// whose that is does not matter for it.
async fn clean(outside: &Attached, folder: &str) -> Finding {
    let (part, what) = ("end", format!("`{folder}` is removed"));
    let Ok(path) = RelativePath::parse(folder) else {
        return Finding { part, what, outcome: Outcome::Failed("it has no name".to_owned()) };
    };
    let removal = Removal { path: path.clone(), kind: Kind::Folder, revision: None };
    let removed = match outside.consider_owned().await {
        Err(error) => Err(error.to_string()),
        Ok(()) => match outside.remove(&[removal]).await.map(|mut results| results.pop()) {
            Ok(Some(Err(error))) | Err(error) => Err(conformance::word::<()>(&Err(error))),
            Ok(Some(Ok(())) | None) => Ok(()),
        },
    };
    let outcome = match (removed, outside.stat(&path).await) {
        (Ok(()), Err(error)) if error.kind() == crate::ErrorKind::NotFound => Outcome::good(),
        (Ok(()), Ok(_) | Err(_)) => Outcome::Failed("it is there still; remove it by hand".to_owned()),
        (Err(why), _) => Outcome::Failed(format!("{why}; remove it by hand")),
    };
    Finding { part, what, outcome }
}

/// A manifest that asks for what nobody needs is refused by careful operators.
fn unused(host: &Host, manifest: &Manifest, name: &Name) -> Result<Finding, Error> {
    let mut asked = BTreeSet::new();
    for record in Audit::read(host.home(), name, Filter::default()).map_err(host::Error::from)? {
        asked.insert(record.map_err(host::Error::from)?.route.to_string());
    }
    let idle = manifest.permissions().map(|one| one.name()).filter(|name| !asked.contains(*name));
    let idle: Vec<&str> = idle.collect();
    let outcome = if idle.is_empty() {
        Outcome::Good("all were used here".to_owned())
    } else {
        Outcome::Advice(format!("nothing here used {}; leave out what no operation needs", idle.join(", ")))
    };
    Ok(Finding { part: "manifest", what: "routes that are needed".to_owned(), outcome })
}

/// What it took so far.
async fn cost(host: &Host, subject: &Subject<'_>, whereabouts: &str) -> Result<Finding, Error> {
    let state = State::open(host.home()).map_err(host::Error::from)?;
    let figures = Figures::load(&state, &Digest::of(subject.component)).await.map_err(host::Error::from)?;
    let Figures { instances, cpu_us, memory_peak, .. } = figures.unwrap_or_default();
    let each = cpu_us.checked_div(instances).unwrap_or_default();
    let said =
        format!("{instances} operations, {each} µs of computing each, at most {memory_peak} bytes of memory");
    let comfort = u64::try_from(MEMORY_BYTES_MAX / 2).unwrap_or(u64::MAX);
    let outcome = if memory_peak > comfort {
        Outcome::Advice(format!("{said}; an operation ends at {MEMORY_BYTES_MAX}"))
    } else {
        Outcome::Good(said)
    };
    Ok(Finding { part: "cost", what: format!("what it takes {whereabouts}"), outcome })
}
