//! Emulators of OneDrive (Microsoft Graph v1.0) and Dropbox (API v2), faithful and nasty.
//!
//! They answer under the services' real host names on one TLS port, keep object bytes in files,
//! log every request, and break on demand: fault plans, a clock that can be moved, switches for
//! what differs from place to place. Tests run them in their own process ([`Cloud`]); the `cloud`
//! binary serves the same to other processes, with a control port for what [`Cloud`] offers
//! in process. They listen on loopback only and are no product: tokens are not encrypted, and
//! whoever reaches the control port can do anything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

mod call;
mod certificate;
mod clock;
mod control;
mod dropbox;
mod fault;
mod hash;
mod hosts;
mod inbound;
mod log;
mod login;
mod number;
mod onedrive;
mod outbound;
mod pause;
mod pipeline;
mod preset;
mod proxy;
mod range;
mod reply;
mod seal;
mod server;
mod store;
mod sync;
mod token;
mod world;

pub use clock::Clock;
pub use dropbox::{CommitLock, Dropbox, DropboxSwitches, TooManyWrites};
pub use fault::{Action, Entries, Faults, Match, Rule, Standing};
pub use hash::{CONTENT_BLOCK_BYTES, ContentHash, QuickXor};
pub use log::{LOG_ENTRIES_MAX, LogEntry, Service, Summary};
pub use onedrive::{
    Conflict, DriveKind, Multiples, OneDrive, OneDriveSwitches, RangeStyle, StoredFile, Throttle,
};
pub use preset::Preset;
pub use token::{Rotation, TokenSwitches};

/// The account that each service has from the start.
pub const DEFAULT_ACCOUNT: &str = "default";

/// How often it is looked whether all has settled.
const SETTLE_POLL: Duration = Duration::from_millis(2);

/// Why the emulators cannot do what a test asks of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port, a directory or a file could not be had.
    #[error("the emulators could not reach a port or file")]
    Io(#[from] std::io::Error),
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("tls could not be set up")]
    Tls(#[from] rustls::Error),
    /// There is no account of that name.
    #[error("there is no such account")]
    NoAccount,
    /// The service would refuse that name or size.
    #[error("the service would refuse `{0}`")]
    Refused(String),
}

/// How to start the emulators.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where object bytes go; `None` makes a temporary directory that is removed at the end.
    pub data_dir: Option<PathBuf>,
    /// How long every request waits before anything happens.
    pub latency: Duration,
    /// Where to write the log as JSON Lines, besides memory.
    pub log_file: Option<PathBuf>,
    /// The kind of the default account's drive.
    pub drive_kind: DriveKind,
    /// Whether TLS offers HTTP/2.
    pub http2: bool,
    /// Whether to run the proxy for clients that cannot be pointed elsewhere.
    pub proxy: bool,
    /// Ports to listen on; 0 takes any that is free.
    pub ports: Ports,
}

/// The ports to listen on; 0 takes any that is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// The services with TLS.
    pub tls: u16,
    /// The services without.
    pub plain: u16,
    /// The control calls.
    pub control: u16,
    /// The proxy.
    pub proxy: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_dir: None,
            latency: Duration::ZERO,
            log_file: None,
            drive_kind: DriveKind::Business,
            http2: true,
            proxy: false,
            ports: Ports::default(),
        }
    }
}

/// Running emulators. Dropping this stops them and removes what they stored.
#[derive(Debug)]
pub struct Cloud {
    world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
    ca_pem: String,
    tls: SocketAddr,
    plain: SocketAddr,
    control: SocketAddr,
    proxy: Option<SocketAddr>,
    /// Removed after everything that stores in it.
    _directory: Option<tempfile::TempDir>,
}

use world::World;

impl Cloud {
    /// Starts both emulators on loopback.
    ///
    /// # Errors
    ///
    /// When a port, the data directory or the log file cannot be had, or TLS cannot be set up.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (root, directory) = match &options.data_dir {
            Some(path) => (path.clone(), None),
            None => {
                let directory = tempfile::tempdir()?;
                (directory.path().to_owned(), Some(directory))
            }
        };
        let clock = Clock::default();
        let store = store::Store::create(&root)?;
        let seal = seal::Seal::new();
        let log = log::Log::open(options.log_file.as_deref())?;
        let onedrive = OneDrive::new(clock.clone(), store.clone(), seal.clone(), options.drive_kind);
        let dropbox = Dropbox::new(clock.clone(), store, seal);
        let world = World::new(clock, log, onedrive, dropbox, options.latency);
        Self::listen(Arc::new(world), &options, directory).await
    }

    async fn listen(
        world: Arc<World>,
        options: &Options,
        directory: Option<tempfile::TempDir>,
    ) -> Result<Self, Error> {
        let identity = certificate::identity(options.http2)?;
        let ports = options.ports;
        let (tls_listener, tls) = server::bind(ports.tls).await?;
        let (plain_listener, plain) = server::bind(ports.plain).await?;
        let (control_listener, control) = server::bind(ports.control).await?;
        let run = |listener, port| server::run(Arc::clone(&world), listener, port);
        let mut tasks = vec![
            run(tls_listener, server::Port::Tls(identity.acceptor)),
            run(plain_listener, server::Port::Plain),
            run(control_listener, server::Port::Control),
        ];
        let mut proxy = None;
        if options.proxy {
            let (listener, address) = server::bind(ports.proxy).await?;
            tasks.push(proxy::run(Arc::clone(&world), listener, tls));
            proxy = Some(address);
        }
        Ok(Self { world, tasks, ca_pem: identity.ca_pem, tls, plain, control, proxy, _directory: directory })
    }

    /// The services with TLS, for every host name.
    pub fn tls_addr(&self) -> SocketAddr {
        self.tls
    }

    /// The services without TLS, for clients that take a base address.
    pub fn plain_addr(&self) -> SocketAddr {
        self.plain
    }

    /// The control calls over HTTP.
    pub fn control_addr(&self) -> SocketAddr {
        self.control
    }

    /// The proxy for foreign clients, if it was asked for.
    pub fn proxy_addr(&self) -> Option<SocketAddr> {
        self.proxy
    }

    /// The authority that signed the emulators' certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// `HOST:443:127.0.0.1:PORT` for every host name that is served or minted, as curl's
    /// `--connect-to` takes it.
    pub fn connect_to(&self) -> Vec<String> {
        let port = self.tls.port();
        let line = |host: &&str| format!("{host}:443:127.0.0.1:{port}");
        hosts::ALL.iter().map(line).collect()
    }

    /// The emulated OneDrive.
    pub fn onedrive(&self) -> &OneDrive {
        &self.world.onedrive
    }

    /// The emulated Dropbox.
    pub fn dropbox(&self) -> &Dropbox {
        &self.world.dropbox
    }

    /// The fault plan.
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// The emulated time.
    pub fn clock(&self) -> &Clock {
        &self.world.clock
    }

    /// Changes how long every request waits before anything happens.
    pub fn set_latency(&self, latency: Duration) {
        self.world.set_latency(latency);
    }

    /// Every request so far, in the order of arrival.
    pub fn log(&self) -> Vec<LogEntry> {
        self.world.log.entries()
    }

    /// Counts over the log.
    pub fn summary(&self) -> Summary {
        self.world.log.summary()
    }

    /// Waits until no connection to a service is open and no request carried out: what a client sent before
    /// it ended has then arrived and is in the log. False if that does not come about within `patience`.
    pub fn settle(&self, patience: Duration) -> bool {
        let begun = std::time::Instant::now();
        while !self.world.is_quiet() {
            if begun.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(SETTLE_POLL);
        }
        true
    }

    /// Forgets the log, the `Retry-After` windows and what throttling has counted.
    pub fn clear_log(&self) {
        self.world.forget();
    }

    /// Everything secret that either service ever issued or was shown at its sign-in pages: tokens, codes,
    /// device codes, PKCE verifiers. A client must leave none of it lying about.
    pub fn secrets(&self) -> Vec<String> {
        [self.world.onedrive.secrets(), self.world.dropbox.secrets()].concat()
    }

    /// What the control port understands, as text.
    pub fn control_help() -> &'static str {
        control::HELP
    }

    /// Every host that was asked for through the proxy, in order.
    pub fn proxied(&self) -> Vec<String> {
        self.world.proxied()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
