//! What the tests share: a rig of emulators, a home and attached destinations, and the built files.
//!
//! Everything here is test code, so it panics where a product would return an error.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed, and where it panics says why"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cloud::Cloud;
use serde_json::Value;
use wharf_runtime::account::{Client, StoredToken};
use wharf_runtime::attached::Attached;
use wharf_runtime::destination::{ConnectorReference, Destination};
use wharf_runtime::grant::Granted;
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::network::{self, ConnectTo};
use wharf_runtime::path::{Directory, RelativePath};
use wharf_runtime::sandbox::limits::Limits;
use wharf_runtime::secret::Secret;
use wharf_runtime::transfer::{self, Event, Observer, Options, Summary};

mod browser;
mod docker_registry;
mod foreign;
mod registry;
mod shell;
mod vendor;

pub use browser::{Page, SigningIn};
pub use docker_registry::DockerRegistry;
pub use foreign::{Finished, Foreign, installed as foreign_program, run as run_foreign};
pub use registry::{FakeRegistry, Lie};
pub use shell::{Ran, Shell};
pub use vendor::{MANIFEST, steady};

/// The account that the emulators have from the start.
pub const ACCOUNT: &str = "default";

/// A service, and what differs between the two for a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Service {
    OneDrive,
    Dropbox,
}

impl Service {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OneDrive, Self::Dropbox];

    /// The type of its connector.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::OneDrive => "onedrive",
            Self::Dropbox => "dropbox",
        }
    }

    /// What the emulators call a request that stores a whole small file.
    #[must_use]
    pub const fn put(self) -> &'static str {
        match self {
            Self::OneDrive => "onedrive.put-content",
            Self::Dropbox => "dropbox.upload",
        }
    }

    /// What they call the request that carries a small file of a tree: where a service commits many
    /// files at once, it is staged.
    #[must_use]
    pub const fn staged(self) -> &'static str {
        match self {
            Self::OneDrive => "onedrive.put-content",
            Self::Dropbox => "dropbox.session-start",
        }
    }

    /// What they call a request that sends a part of a large one.
    #[must_use]
    pub const fn part(self) -> &'static str {
        match self {
            Self::OneDrive => "onedrive.session-part",
            Self::Dropbox => "dropbox.append",
        }
    }
}

/// The folder that everything is built into.
#[must_use]
pub fn target() -> PathBuf {
    profile().parent().unwrap().to_owned()
}

/// The folder of the programs that were built as this one was: `target/debug`, `target/release`.
#[must_use]
pub fn profile() -> PathBuf {
    // Tests run from `target/PROFILE/deps`, benches from `target/PROFILE`.
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}

/// A built file, or what to run to have it.
#[must_use]
pub fn built(path: &str) -> Vec<u8> {
    let path = target().join(path);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask test`, which builds it", path.display())
    })
}

/// A packed connector.
#[must_use]
pub fn connector(kind: &str) -> Vec<u8> {
    built(&format!("connectors/{kind}.wasm"))
}

/// Emulators, and a home whose host reaches them under the services' real names.
#[derive(Debug)]
pub struct Rig {
    /// The services.
    pub cloud: Cloud,
    /// What is under test.
    pub host: Host,
    /// The home, and room for files.
    pub folder: tempfile::TempDir,
    /// An honest destination beside the others, once there was need of one.
    neighbour: tokio::sync::OnceCell<Attached>,
}

impl Rig {
    /// Both services, both connectors, an account on each and no destination.
    pub async fn new() -> Self {
        Self::with(cloud::Options::default(), Limits::default()).await
    }

    /// As [`new`](Self::new), with other settings.
    pub async fn with(options: cloud::Options, limits: Limits) -> Self {
        let cloud = Cloud::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let host = host(&cloud, folder.path()).with_limits(limits);
        let rig = Self { cloud, host, folder, neighbour: tokio::sync::OnceCell::new() };
        for service in Service::ALL {
            rig.host.install_unsigned(&connector(service.kind())).unwrap();
            rig.add_account(service, ACCOUNT);
        }
        rig
    }

    /// A second process, as it were: another host on the same home.
    #[must_use]
    pub fn another_host(&self) -> Host {
        host(&self.cloud, self.folder.path())
    }

    /// Give the account of this name at the emulator to the home, as `SERVICE-ACCOUNT`.
    pub fn add_account(&self, service: Service, account: &str) {
        let (token, id, secret) = match service {
            Service::OneDrive => {
                let service = self.cloud.onedrive();
                (service.token_json(account), service.client_id(), service.client_secret())
            }
            Service::Dropbox => {
                let service = self.cloud.dropbox();
                (service.token_json(account), service.client_id(), service.client_secret())
            }
        };
        let client =
            Client { id: Some(id.to_owned()), secret: Some(Secret::new(secret.to_owned())), token_url: None };
        let token = StoredToken::from_rclone(&token.to_string()).unwrap();
        let name = account_name(service, account);
        self.host.accounts().add(&name, service.kind(), token, client, std::time::SystemTime::now()).unwrap();
    }

    /// A destination as one that has written before: what is counted is what a test does, not the mark
    /// of ownership that goes before the first write.
    async fn attach(&self, name: &Name) -> Attached {
        let attached = self.host.attach(name).await.unwrap();
        attached.consider_owned().await.unwrap();
        attached
    }

    /// A destination with every route granted, in `/backups/NAME`.
    pub async fn destination(&self, service: Service, name: &str) -> Attached {
        self.destination_with(service, name, |_| {}).await
    }

    /// As [`destination`](Self::destination), changed before it is created.
    pub async fn destination_with(
        &self,
        service: Service,
        name: &str,
        change: impl FnOnce(&mut Destination),
    ) -> Attached {
        let reference = ConnectorReference::parse(service.kind()).unwrap();
        let (_, manifest) = self.host.manifest(&reference).unwrap();
        let directory = Directory::parse(&format!("/backups/{name}")).unwrap();
        let mut destination = Destination::new(Name::parse(name).unwrap(), reference, directory);
        destination.account = Some(account_name(service, ACCOUNT));
        destination.grants = Granted::everything(&manifest);
        change(&mut destination);
        self.host.destinations().create(&destination).unwrap();
        self.attach(&destination.name).await
    }

    /// A destination of the connector `local`, with everything granted, in the folder [`disk`](Self::disk).
    pub async fn local(&self, name: &str) -> Attached {
        self.local_with(name, &connector("local"), |_| {}).await
    }

    /// As [`local`](Self::local), with another component for it, and changed before it is created.
    pub async fn local_with(
        &self,
        name: &str,
        component: &[u8],
        change: impl FnOnce(&mut Destination),
    ) -> Attached {
        let (installed, _) = self.host.install_unsigned(component).unwrap();
        let reference = ConnectorReference::parse(&installed.id).unwrap();
        let (_, manifest) = self.host.manifest(&reference).unwrap();
        let directory = Directory::parse(self.disk(name).to_str().unwrap()).unwrap();
        let mut destination = Destination::new(Name::parse(name).unwrap(), reference, directory);
        destination.grants = Granted::everything(&manifest);
        change(&mut destination);
        self.host.destinations().create(&destination).unwrap();
        self.attach(&destination.name).await
    }

    /// Where a destination of the connector `local` keeps its files. It is not there from the start.
    #[must_use]
    pub fn disk(&self, name: &str) -> PathBuf {
        self.folder.path().join("disks").join(name)
    }

    /// A folder for files, new.
    #[must_use]
    pub fn room(&self, name: &str) -> PathBuf {
        let room = self.folder.path().join("rooms").join(name);
        std::fs::create_dir_all(&room).unwrap();
        room
    }

    /// What the emulator stores at an absolute path, or none.
    #[must_use]
    pub fn stored(&self, service: Service, path: &str) -> Option<Vec<u8>> {
        let file = match service {
            Service::OneDrive => self.cloud.onedrive().file(ACCOUNT, path),
            Service::Dropbox => self.cloud.dropbox().file(ACCOUNT, path),
        };
        file.map(|file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file.open().unwrap(), &mut bytes).unwrap();
            bytes
        })
    }

    /// How many requests of this kind arrived since the log was cleared.
    #[must_use]
    pub fn requests(&self, kind: &str) -> usize {
        self.cloud.log().iter().filter(|entry| entry.kind == kind).count()
    }

    /// What a hostile component did has harmed nobody: its permits are back, its records have nothing
    /// secret in them and nothing that repaints a terminal, and a destination beside it works.
    pub async fn assert_harmless(&self, attached: &Attached) {
        let name = attached.name().as_str();
        assert_eq!(attached.threads().free(), attached.threads().limit(), "{name} keeps a permit");
        attached.settle().await.unwrap();
        let secrets = self.cloud.secrets();
        for record in audit(&self.host, name) {
            let text = record.to_string();
            assert!(!text.chars().any(char::is_control), "{name} recorded {text}");
            assert!(!secrets.iter().any(|secret| text.contains(secret)), "{name} recorded {text}");
        }
        let neighbour = self.neighbour.get_or_init(|| self.destination(Service::Dropbox, "honest"));
        let entry = neighbour.await.make_folder(&path("here")).await;
        assert!(entry.is_ok(), "beside {name}: {entry:?}");
    }

    /// No request broke a rule that no request may break.
    pub fn assert_clean(&self) {
        for entry in self.cloud.log() {
            assert!(!entry.leaked_authorization, "a token went to {}: {entry:?}", entry.host);
            assert!(!entry.too_early, "sent before the service allowed it: {entry:?}");
            assert_ne!(entry.kind, "unknown", "{entry:?}");
        }
    }
}

fn host(cloud: &Cloud, folder: &Path) -> Host {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, cloud.ca_pem()).unwrap();
    let connect_to = cloud.connect_to().iter().map(|pair| pair.parse::<ConnectTo>().unwrap()).collect();
    let options = network::Options { connect_to, ca_certificates: vec![ca], ..network::Options::default() };
    Host::open(&folder.join("home"), options).unwrap()
}

/// What an account of the emulators is called in the home.
#[must_use]
pub fn account_name(service: Service, account: &str) -> Name {
    Name::parse(&format!("{}-{account}", service.kind())).unwrap()
}

/// A path.
#[must_use]
pub fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

/// Bytes that no compression and no repetition makes equal: different at every offset and seed.
#[must_use]
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Remembers what a transfer told.
#[derive(Debug, Default)]
pub struct Told(Mutex<Vec<String>>);

impl Told {
    /// Everything told, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The failures.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.starts_with("failed")).collect()
    }
}

impl Observer for Told {
    fn event(&self, event: Event<'_>) {
        let line = match event {
            Event::Found { .. } | Event::Started { .. } | Event::Moved { .. } | Event::Rewound { .. } => {
                return;
            }
            Event::Copied { path, size, verified } => format!("copied {path} {size} verified={verified}"),
            Event::Skipped { path } => format!("skipped {path}"),
            Event::FolderMade { path } => format!("folder {path}"),
            Event::Failed { path, error } => {
                let cause =
                    std::error::Error::source(error).map(|cause| format!(" ({cause})")).unwrap_or_default();
                format!("failed {path}: {error}{cause}")
            }
            Event::Notice { path, text } => format!("notice {path}: {text}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// Copy up, and what was told of it.
pub async fn up(attached: &Attached, from: &Path, to: &str, options: &Options) -> (Summary, Arc<Told>) {
    let told = Arc::new(Told::default());
    let summary = transfer::upload(attached, from, &path(to), options, told.as_ref()).await;
    (
        summary.unwrap_or_else(|error| {
            panic!("{error}: {:?}: {:?}", std::error::Error::source(&error), told.lines())
        }),
        told,
    )
}

/// Copy down, and what was told of it.
pub async fn down(attached: &Attached, from: &str, to: &Path, options: &Options) -> (Summary, Arc<Told>) {
    let told = Arc::new(Told::default());
    let summary = transfer::download(attached, &path(from), to, options, told.as_ref()).await;
    (
        summary.unwrap_or_else(|error| {
            panic!("{error}: {:?}: {:?}", std::error::Error::source(&error), told.lines())
        }),
        told,
    )
}

/// Are the files below two folders the same, byte for byte?
pub fn assert_same_tree(one: &Path, other: &Path) {
    assert_eq!(tree(one), tree(other));
}

/// Every file and folder below a folder, with its bytes.
#[must_use]
pub fn tree(root: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                found.push((name, None));
                folders.push(path);
            } else {
                found.push((name, Some(std::fs::read(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

/// The audit of a destination, as JSON.
#[must_use]
pub fn audit(host: &Host, name: &str) -> Vec<Value> {
    let name = Name::parse(name).unwrap();
    let reader = wharf_runtime::audit::Audit::read(host.home(), &name, Default::default()).unwrap();
    reader.map(|record| serde_json::to_value(record.unwrap()).unwrap()).collect()
}

/// A component of `tests/hostile`, packed with the manifest of an honest connector. It calls itself
/// `EXAMPLE-SERVICE`; `change` is what else its vendor would declare.
#[must_use]
pub fn hostile(example: &str, service: Service, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let component = built(&format!("wasm32-wasip2/connector/examples/{example}.wasm"));
    wharf_runtime::manifest::section::write(&component, hostile_manifest(example, service, change).as_bytes())
        .unwrap()
}

/// The manifest of a component of `tests/hostile`.
#[must_use]
pub fn hostile_manifest(example: &str, service: Service, change: impl FnOnce(&mut Value)) -> String {
    let honest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../connectors")
        .join(service.kind())
        .join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(honest).unwrap()).unwrap();
    manifest["type"] = hostile_name(example, service).into();
    manifest["id"] = format!("test.hostile.{}", hostile_name(example, service)).into();
    change(&mut manifest);
    manifest.to_string()
}

/// What a component of `tests/hostile`, its account and its destination are called.
#[must_use]
pub fn hostile_name(example: &str, service: Service) -> String {
    format!("{example}-{}", service.kind())
}

impl Rig {
    /// A hostile component installed, with an account and every route granted, in `/backups/EXAMPLE-SERVICE`.
    pub async fn hostile(&self, example: &str, service: Service) -> Attached {
        self.hostile_with(example, service, |_| {}, |_| {}).await
    }

    /// As [`hostile`](Self::hostile), with another manifest and another destination.
    pub async fn hostile_with(
        &self,
        example: &str,
        service: Service,
        manifest: impl FnOnce(&mut Value),
        change: impl FnOnce(&mut Destination),
    ) -> Attached {
        self.host.install_unsigned(&hostile(example, service, manifest)).unwrap();
        let name = Name::parse(&hostile_name(example, service)).unwrap();
        self.add_account_of(service, ACCOUNT, &name, name.as_str());
        let reference = ConnectorReference::parse(name.as_str()).unwrap();
        let (_, manifest) = self.host.manifest(&reference).unwrap();
        let directory = Directory::parse(&format!("/backups/{name}")).unwrap();
        let mut destination = Destination::new(name.clone(), reference, directory);
        destination.account = Some(name);
        destination.grants = Granted::everything(&manifest);
        change(&mut destination);
        self.host.destinations().create(&destination).unwrap();
        self.attach(&destination.name).await
    }

    /// Give an account of the emulator to the home under this name, for connectors of this type.
    /// Returns its token and its client's secret, as the vault keeps them.
    pub fn add_account_of(
        &self,
        service: Service,
        account: &str,
        name: &Name,
        kind: &str,
    ) -> (Value, String) {
        let (token, id, secret) = match service {
            Service::OneDrive => {
                let service = self.cloud.onedrive();
                (service.token_json(account), service.client_id(), service.client_secret())
            }
            Service::Dropbox => {
                let service = self.cloud.dropbox();
                (service.token_json(account), service.client_id(), service.client_secret())
            }
        };
        let client =
            Client { id: Some(id.to_owned()), secret: Some(Secret::new(secret.to_owned())), token_url: None };
        let stored = StoredToken::from_rclone(&token.to_string()).unwrap();
        self.host.accounts().add(name, kind, stored, client, std::time::SystemTime::now()).unwrap();
        (token, secret.to_owned())
    }
}
