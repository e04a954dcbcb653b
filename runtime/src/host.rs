//! The host: what a process shares, and how a destination is put together from it.
//!
//! A command opens one, and asks for destinations by name. Nothing is set up before it is needed: a
//! listing of accounts starts no engine, and a listing of a folder compiles nothing, because an
//! artefact is there from when the connector was installed. How a connector gets in is `install`'s.

mod install;
mod sign_in;
mod version;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::account::{self, Accounts, REPLY_BYTES_MAX, TokenEndpoint, TokenTransport, TransportError};
use crate::attached::{Attached, Gate};
use crate::audit::{self, Audit};
use crate::broker::{Broker, ELAPSED_MAX, Settings};
use crate::catalog::{self, Catalog};
use crate::clock::{Clock, SystemClock};
use crate::destination::{self, Caller, ConnectorReference, Destination, Destinations, Setting};
use crate::folder::{self, Folder};
use crate::grant::Grant;
use crate::handle::Handles;
use crate::hint::Hint;
use crate::home::{self, Home, Name, Subject};
use crate::journal::Journal;
use crate::leave;
use crate::manifest::{Manifest, OAuth, OptionError, section};
use crate::network::{self, HttpVersion, Network, Outgoing, Payload, Timeouts};
use crate::oci;
use crate::ownership::Server;
use crate::rate::{Chosen, Flow};
use crate::registry::{self, ArtefactKey, Artefacts, Digest, Installed, Registry};
use crate::retry::Budget;
use crate::sandbox::limits::Limits;
use crate::sandbox::{self, Connector, Sandbox};
use crate::secret::Secret;
use crate::state::{self, State};
use crate::threads::Seat;
use crate::trust::{self, Trust};
use crate::usage::{self, Usage};
use crate::vault::{self, Given, Vault};
use crate::{ErrorKind, attached};

pub use install::Candidate;
pub use version::{Waiting, news};

/// Settings that the compiled code depends on, beyond what the engine's own hash covers.
const ARTEFACT_SETTINGS: &str = "1";

/// Why a destination cannot be used, or a connector not installed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is a room's own error, or says itself what it is")]
pub enum Error {
    #[error(transparent)]
    Home(#[from] home::Error),
    #[error(transparent)]
    Vault(#[from] vault::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Destination(#[from] destination::Error),
    #[error(transparent)]
    Account(#[from] account::Error),
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    #[error(transparent)]
    Audit(#[from] audit::Error),
    #[error(transparent)]
    Network(#[from] network::Error),
    #[error("the connector is refused: {0}")]
    Component(#[from] sandbox::Error),
    #[error("destination `{destination}`: {problem}")]
    Options { destination: Name, problem: OptionError },
    #[error("destination `{0}` is disabled")]
    Disabled(Name),
    #[error("destination `{destination}` is in use: something is copied, listed or changed there")]
    InUse { destination: Name },
    #[error("destination `{destination}` needs an account of type `{needed}`")]
    NoAccount { destination: Name, needed: String },
    #[error(
        "destination `{destination}` is of type `{needed}`, but account `{account}` is of type `{given}`"
    )]
    AccountType { destination: Name, account: Name, needed: String, given: String },
    #[error("destination `{destination}` writes, but account `{account}` was signed in for reading alone")]
    AccountReadOnly { destination: Name, account: Name, needed: String },
    #[error("destination `{destination}` would work in `{}`, where Wharf keeps its own home", directory.display())]
    HomeInside { destination: Name, directory: PathBuf },
    #[error("the connector `{0}` has no client id of its own")]
    NoClient(String),
    #[error("connector `{0}` needs no account")]
    NoSignIn(String),
    #[error("the connector is not signed")]
    Unsigned,
    #[error(transparent)]
    Trust(#[from] trust::Error),
    #[error(transparent)]
    Oci(Box<oci::Error>),
    #[error("destination `{destination}`: {problem}")]
    Stopped { destination: Name, problem: Box<leave::Error> },
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Registry(registry::Error::NotInstalled(_))
            | Self::Destination(destination::Error::NotFound(_))
            | Self::Account(account::Error::NotFound(_)) => ErrorKind::NotFound,
            Self::Destination(destination::Error::Exists(_)) | Self::Account(account::Error::Exists(_)) => {
                ErrorKind::Exists
            }
            Self::Account(account::Error::SignInAgain { .. }) | Self::NoAccount { .. } => ErrorKind::SignIn,
            Self::Component(_) => ErrorKind::Connector,
            Self::InUse { .. } => ErrorKind::Exists,
            Self::Unsigned | Self::Disabled(_) | Self::AccountReadOnly { .. } => ErrorKind::Denied,
            Self::Stopped { problem, .. } => problem.kind(),
            Self::Trust(error) => error.kind(),
            Self::Oci(error) => error.kind(),
            Self::Options { .. }
            | Self::HomeInside { .. }
            | Self::AccountType { .. }
            | Self::NoClient(_)
            | Self::NoSignIn(_)
            | Self::Network(_) => ErrorKind::Usage,
            Self::Home(_)
            | Self::Vault(_)
            | Self::State(_)
            | Self::Registry(_)
            | Self::Destination(_)
            | Self::Account(_)
            | Self::Catalog(_)
            | Self::Audit(_) => ErrorKind::State,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Home(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Destination(error) => error.hint(),
            Self::Account(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Audit(error) => error.hint(),
            Self::Network(_) => None,
            Self::Component(error) => component_hint(error),
            Self::Options { destination, .. } => Some(format!(
                "run `wharf destination modify {destination} --option KEY=VALUE`, or `--unset-option KEY`"
            )),
            Self::Disabled(name) => Some(format!("run `wharf destination modify {name} --disabled=false`")),
            Self::Trust(error) => error.hint(),
            Self::Oci(error) => error.hint(),
            Self::Stopped { problem, .. } => problem.hint(),
            Self::NoAccount { needed, .. } | Self::AccountType { needed, .. } => Some(format!(
                "run `wharf account add NAME --type {needed}`, and name it as the destination's account"
            )),
            Self::AccountReadOnly { needed, .. } => Some(format!(
                "create the destination with `--read-only`, or with an account that may write: `wharf account add NAME --type {needed}`"
            )),
            Self::HomeInside { .. } => {
                Some("choose a backup directory that neither holds the home nor lies in it".to_owned())
            }
            Self::InUse { destination } => Some(format!(
                "run the same command once that has ended; `wharf audit {destination} --limit 5` shows what is being done"
            )),
            Self::NoClient(_) => Some(
                "register an application with the service (redirect address `http://localhost:53682/`), and \
                 add the account with `--client-id ID`"
                    .to_owned(),
            ),
            Self::NoSignIn(_) => Some("create its destinations without `--account`".to_owned()),
            Self::Unsigned => Some(
                "get its bundle (`FILE.sigstore.json`) from the publisher; `--allow-unsigned` installs it all the same, shown as unsigned everywhere"
                    .to_owned(),
            ),
        }
    }
}

fn component_hint(error: &sandbox::Error) -> Option<String> {
    match error {
        sandbox::Error::Section(section::Error::Missing) => {
            Some("add one with `wharf connector pack FILE --manifest MANIFEST`".to_owned())
        }
        sandbox::Error::Section(section::Error::NotComponent) => {
            Some("a connector is built for WASI 0.2, in Rust with `--target wasm32-wasip2`".to_owned())
        }
        sandbox::Error::Section(section::Error::Damaged(_)) => {
            Some("get the file again from its vendor".to_owned())
        }
        sandbox::Error::Unasked(_) => Some(
            "add `\"folder\": {\"access\": [\"read\"]}` to its manifest, then operators are asked for it"
                .to_owned(),
        ),
        sandbox::Error::Import(_) | sandbox::Error::Contract { .. } => {
            Some("ask the vendor for a connector of this contract".to_owned())
        }
        sandbox::Error::Section(
            section::Error::TooLarge | section::Error::Duplicate | section::Error::NotLast,
        )
        | sandbox::Error::Manifest(_)
        | sandbox::Error::TooComplex { .. }
        | sandbox::Error::Compile(_)
        | sandbox::Error::Engine(_) => None,
    }
}

impl From<oci::Error> for Error {
    fn from(error: oci::Error) -> Self {
        Self::Oci(Box::new(error))
    }
}

/// What a process shares.
#[derive(Debug)]
pub struct Host {
    home: Home,
    vault: Vault,
    accounts: Accounts,
    destinations: Destinations,
    registry: Registry,
    trust: Trust,
    artefacts: Artefacts,
    network: Arc<Network>,
    clock: Arc<dyn Clock>,
    sandbox: OnceLock<Sandbox>,
    limits: Limits,
    /// This process's place at each destination that is attached.
    seats: Mutex<HashMap<Name, Weak<Seat>>>,
}

/// What is chosen for one task instead of what its destination says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Choice {
    /// Operations at a time, if fewer than the destination has.
    pub threads: Option<u16>,
    /// How fast.
    pub rates: Chosen,
}

impl Host {
    /// Open the home, making it if there is none.
    ///
    /// # Errors
    /// When the home, its key or the network's certificates are of no use.
    pub fn open(path: &Path, options: network::Options) -> Result<Self, Error> {
        Self::open_with(path, options, &Given::default())
    }

    /// As [`open`](Self::open), with a key for the home that was given from outside.
    ///
    /// # Errors
    /// As [`open`](Self::open); and when that is not the home's key.
    pub fn open_with(path: &Path, options: network::Options, given: &Given) -> Result<Self, Error> {
        let home = Home::open(path)?;
        let vault = Vault::open_with(&home, given)?;
        Ok(Self {
            accounts: Accounts::new(&home, &vault),
            destinations: Destinations::new(&home),
            registry: Registry::new(&home),
            trust: Trust::new(&home),
            artefacts: Artefacts::new(&home, &vault),
            network: Arc::new(Network::new(options)?),
            clock: Arc::new(SystemClock::default()),
            sandbox: OnceLock::new(),
            limits: Limits::default(),
            seats: Mutex::default(),
            home,
            vault,
        })
    }

    /// With other limits for guests than the usual; for tests and for what an operator overrides. To be set
    /// before anything is attached.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits.within_ceilings();
        // Nobody else has it yet.
        if let Some(network) = Arc::get_mut(&mut self.network) {
            network.take_headers(self.limits.header_bytes);
        }
        self
    }

    /// With another source of time, for tests. To be set before anything is attached.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With the accounts of another host, which are used, refreshed and kept in its home.
    #[must_use]
    pub fn with_accounts_of(mut self, other: &Self) -> Self {
        self.accounts = other.accounts.clone();
        self
    }

    /// The folder that holds everything.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// What seals its secrets.
    #[must_use]
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The accounts.
    #[must_use]
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The destinations.
    #[must_use]
    pub const fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// The connectors.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whom this home trusts.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The way out.
    #[must_use]
    pub const fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn sandbox(&self) -> Result<&Sandbox, Error> {
        if let Some(sandbox) = self.sandbox.get() {
            return Ok(sandbox);
        }
        let sandbox = Sandbox::new(self.limits.stack_bytes)?;
        Ok(self.sandbox.get_or_init(|| sandbox))
    }

    /// What an installed connector says of itself.
    ///
    /// # Errors
    /// When it is not installed, or its file is damaged.
    pub fn manifest(&self, reference: &ConnectorReference) -> Result<(Installed, Manifest), Error> {
        let installed = self.registry.get(reference)?;
        let manifest = self.manifest_of(&installed)?;
        Ok((installed, manifest))
    }

    /// A connector, ready to be called. Its artefact is used if it is sound; else it is compiled again.
    fn connector(&self, installed: &Installed, component: &[u8]) -> Result<Connector, Error> {
        let manifest = Manifest::parse(section::read(component).map_err(sandbox::Error::from)?);
        let manifest = Arc::new(manifest.map_err(sandbox::Error::from)?);
        let sandbox = self.sandbox()?;
        let compatibility = sandbox.compatibility();
        let key = artefact_key(&installed.digest, &compatibility);
        let unusable = match self.artefacts.load(&key) {
            Ok(artefact) => return Ok(sandbox.load(&artefact, manifest, self.limits, &installed.digest)?),
            Err(unusable) => unusable,
        };
        tracing::warn!(connector = %installed.id, "compiling the connector again: {unusable}");
        let compiled = sandbox.compile(component)?;
        if let Err(error) = self.artefacts.store(&key, compiled.bytes()) {
            // A restore must not fail because the disk of the home is full.
            tracing::warn!(connector = %installed.id, "the compiled connector cannot be kept: {error}");
        }
        Ok(sandbox.load_compiled(&compiled, manifest, self.limits, &installed.digest)?)
    }

    /// Put a destination together, ready for operations.
    ///
    /// # Errors
    /// When something it needs is missing, disabled or does not fit.
    pub async fn attach(&self, name: &Name) -> Result<Attached, Error> {
        self.attach_with(name, Choice::default()).await
    }

    /// As [`attach`](Self::attach), with something else than the destination says.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub async fn attach_with(&self, name: &Name, choice: Choice) -> Result<Attached, Error> {
        let in_use = self.home.share(&Subject::Use(name.clone()))?;
        let (destination, watch) = self.destinations.watch(name)?;
        self.put_together(&destination, watch, in_use, choice).await
    }

    /// Put a destination together that is no destination of this home: a look into a backup directory,
    /// and nothing else. What is remembered of it goes by its name; see [`forget_aside`](Self::forget_aside).
    ///
    /// # Errors
    /// As [`attach`](Self::attach); and [`destination::Error::Exists`] when there is one of this name.
    pub async fn attach_aside(&self, destination: &Destination) -> Result<Attached, Error> {
        self.attach_unwritten(&Destination { read_only: true, ..destination.clone() }).await
    }

    /// Put a destination together that is written down nowhere.
    pub(crate) async fn attach_unwritten(&self, destination: &Destination) -> Result<Attached, Error> {
        let name = &destination.name;
        let in_use = self.home.share(&Subject::Use(name.clone()))?;
        if self.destinations.exists(name) {
            return Err(destination::Error::Exists(name.clone()).into());
        }
        let watch = self.destinations.watch_unwritten(name);
        self.put_together(destination, watch, in_use, Choice::default()).await
    }

    /// Forget what is remembered of a look aside.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_aside(&self, name: &Name) -> Result<(), Error> {
        if self.destinations.exists(name) {
            return Ok(());
        }
        Ok(Catalog::new(State::open(&self.home)?).forget_destination(name).await?)
    }

    async fn put_together(
        &self,
        destination: &Destination,
        watch: destination::Watch,
        in_use: home::Lock,
        choice: Choice,
    ) -> Result<Attached, Error> {
        let name = &destination.name;
        if destination.disabled {
            return Err(Error::Disabled(name.clone()));
        }
        let installed = self.version_for(destination)?;
        let component = self.registry.component(&installed)?;
        let leave = self.leave(name, &installed, &component)?;
        let connector = self.connector(&installed, &component)?;
        drop(component);
        let manifest = Arc::clone(connector.manifest());
        let options = json_options(destination);
        manifest
            .options
            .validate(&options)
            .map_err(|problem| Error::Options { destination: name.clone(), problem })?;
        let account = self.account_of(destination, &manifest)?;
        let account_name = destination.account.as_ref().filter(|_| account.is_some()).map(Name::as_str);
        let handles = Handles::new(self.vault.clone(), name.as_str(), account_name, &manifest.id);
        let folder = self.folder_of(destination, &manifest)?;
        let place = place(destination, &manifest);
        let service: Arc<str> = manifest.name.as_str().into();
        let threads = self.seat(name).task(choice.threads);
        let flow = Some(Flow::new(threads.clone(), choice.rates, Arc::clone(&self.clock)));
        let grant = Grant::new(
            manifest,
            &destination.grants,
            destination.backup_directory.clone(),
            &options,
            destination.read_only,
        )
        .with_url_bytes(self.limits.url_bytes);
        let settings = Settings {
            destination: name.as_str().into(),
            connector: format!("{}@{}", installed.r#type, installed.version).into(),
            digest: installed.digest.short().into(),
            signed_by: installed.signature().into(),
            options: serde_json::Value::Object(options).to_string(),
            retries: destination.retries.into(),
            requests: self.limits.requests,
            elapsed_max: ELAPSED_MAX,
            http_version: destination.http_version,
            pool: account_name.unwrap_or(name.as_str()).into(),
            folder,
            service,
            flow,
        };
        let budget = Budget::new(settings.retries, settings.elapsed_max);
        let state = State::open(&self.home)?;
        let audit = Audit::open(&self.home, &state, name)?;
        let clock = Arc::clone(&self.clock);
        let network = Arc::clone(&self.network);
        let broker = Broker::new(settings, grant, watch, handles, account, network, audit, clock);
        let gate = Gate::new(Server::of(&state).await?, self.destinations.clone(), destination);
        let catalog = Catalog::new(state);
        let shelf = catalog.shelf(name, &place).await?;
        let journal = Journal::new(shelf, self.home.clone());
        Ok(Attached::new(name.clone(), connector, leave, broker, threads, journal, budget, gate, in_use))
    }

    /// Delete a destination: its configuration, and what is remembered of it; not what is stored at its
    /// service.
    ///
    /// # Errors
    /// When it is in use, or the caller may not.
    pub async fn delete(&self, name: &Name, caller: &Caller) -> Result<(), Error> {
        self.destinations.check_deletion(name, caller)?;
        let alone = self.home.try_lock(&Subject::Use(name.clone()))?;
        let Some(_alone) = alone else { return Err(Error::InUse { destination: name.clone() }) };
        // Killed in between, it is there and remembers nothing, which costs time and no file.
        Catalog::new(State::open(&self.home)?).forget_destination(name).await?;
        Ok(self.destinations.delete(name, caller)?)
    }

    /// How full the service of a destination was when it was asked last; nobody is asked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_usage(&self, name: &Name) -> Result<Option<Usage>, Error> {
        Ok(usage::of(&State::open(&self.home)?, name).await?)
    }

    /// This process's place at a destination.
    fn seat(&self, name: &Name) -> Arc<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|_, seat| seat.strong_count() > 0);
        if let Some(seat) = seats.get(name).and_then(Weak::upgrade) {
            return seat;
        }
        let seat = Seat::new(&self.home, name, Arc::clone(&self.clock));
        seats.insert(name.clone(), Arc::downgrade(&seat));
        seat
    }

    /// May this destination have the backup directory that it names? What only the service knows is not
    /// asked.
    ///
    /// # Errors
    /// When it lies on this machine and would hold Wharf's own home, or lie in it.
    pub fn check_directory(&self, destination: &Destination, manifest: &Manifest) -> Result<(), Error> {
        self.folder_of(destination, manifest).map(drop)
    }

    /// The directory of this machine that the connector works in, if it is one that does.
    fn folder_of(&self, destination: &Destination, manifest: &Manifest) -> Result<Option<Folder>, Error> {
        if manifest.folder.is_none() {
            return Ok(None);
        }
        let path = PathBuf::from(destination.backup_directory.as_str());
        if folder::overlap(&path, self.home.path()) {
            return Err(Error::HomeInside { destination: destination.name.clone(), directory: path });
        }
        Ok(Some(Folder::new(path)))
    }

    fn account_of(
        &self,
        destination: &Destination,
        manifest: &Manifest,
    ) -> Result<Option<account::Account>, Error> {
        let Some(oauth) = &manifest.oauth else { return Ok(None) };
        let needed = manifest.kind.clone();
        let Some(name) = &destination.account else {
            return Err(Error::NoAccount { destination: destination.name.clone(), needed });
        };
        self.check_account(&destination.name, name, manifest, destination.read_only)?;
        let transport = self.transport(name);
        let account = self.accounts.open(name, endpoint(oauth), transport, Arc::clone(&self.clock))?;
        Ok(Some(account))
    }
}

impl From<attached::Error> for ErrorKind {
    fn from(error: attached::Error) -> Self {
        error.kind()
    }
}

const fn artefact_key<'a>(component: &'a Digest, compatibility: &'a [u8]) -> ArtefactKey<'a> {
    ArtefactKey { component, engine: compatibility, settings: ARTEFACT_SETTINGS }
}

/// What the catalog's memory is of: another account, directory or drive is another place. An option that
/// only opens a route leads nowhere else.
fn place(destination: &Destination, manifest: &Manifest) -> String {
    let opens = |name: &str| manifest.routes.iter().any(|route| route.only_with.as_deref() == Some(name));
    let binds = |name: &str| manifest.bind.values().any(|binding| binding.option == name);
    let leads = |name: &str| binds(name) || !opens(name);
    let options = destination.options.iter().filter(|(name, _)| leads(name));
    let options: Vec<String> = options.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!(
        "{} {} {} {}",
        destination.connector.name,
        destination.account.as_ref().map_or("", Name::as_str),
        destination.backup_directory,
        options.join(" ")
    )
}

fn json_options(destination: &Destination) -> serde_json::Map<String, serde_json::Value> {
    let value = |setting: &Setting| match setting {
        Setting::Text(text) => text.clone().into(),
        Setting::Number(number) => (*number).into(),
        Setting::Flag(on) => (*on).into(),
    };
    destination.options.iter().map(|(name, setting)| (name.clone(), value(setting))).collect()
}

fn endpoint(oauth: &OAuth) -> TokenEndpoint {
    TokenEndpoint {
        url: oauth.token.clone(),
        client_id: oauth.client_id.clone().unwrap_or_default(),
        client_secret: None,
        auth: oauth.client_auth,
    }
}

/// Token requests, over the same network and behind the same guard as everything else.
#[derive(Debug)]
struct Transport {
    network: Arc<Network>,
    pool: Arc<str>,
}

impl TokenTransport for Transport {
    fn post(
        &self,
        url: &str,
        headers: Vec<(String, String)>,
        body: Secret,
    ) -> BoxFuture<'static, Result<(u16, Vec<u8>), TransportError>> {
        let outgoing = token_request(url, &headers, &body, Arc::clone(&self.pool));
        let network = Arc::clone(&self.network);
        async move {
            let failed = |error: &dyn std::fmt::Display| TransportError(error.to_string());
            let incoming = network.send(outgoing?).await.map_err(|error| failed(&error))?;
            let status = incoming.status().as_u16();
            let limit = u64::try_from(REPLY_BYTES_MAX).unwrap_or(u64::MAX);
            let body = incoming.read(limit).await.map_err(|error| failed(&error))?;
            Ok((status, body.to_vec()))
        }
        .boxed()
    }
}

fn token_request(
    url: &str,
    headers: &[(String, String)],
    body: &Secret,
    pool: Arc<str>,
) -> Result<Outgoing, TransportError> {
    let url = Url::parse(url).map_err(|error| TransportError(format!("the token endpoint: {error}")))?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|error| TransportError(error.to_string()))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| TransportError(error.to_string()))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(Outgoing {
        method: Method::POST,
        url,
        headers: map,
        payload: Payload::Bytes(body.expose().to_owned().into()),
        version: HttpVersion::Default,
        pool,
        timeouts: Timeouts::default(),
    })
}
