//! `cargo xtask bench`: Wharf's operations beside a native client that makes the same requests.
//!
//! Both speak to the same emulator (a process of its own) over TLS, compute the same hashes, and take
//! turns in shuffled rounds; what is printed are medians and their ratio, which hold on a busy machine
//! where seconds do not.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has failed; its figures are its output"
)]

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use serde_json::{Value, json};
use wharf_runtime::account::{Client, StoredToken};
use wharf_runtime::attached::Attached;
use wharf_runtime::content::{Section, Source};
use wharf_runtime::destination::{ConnectorReference, Destination};
use wharf_runtime::entry::{Info, Mode};
use wharf_runtime::grant::Granted;
use wharf_runtime::hash::Running;
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::network::{self, ConnectTo};
use wharf_runtime::path::Directory;
use wharf_runtime::sandbox::operation::Progress;
use wharf_runtime::secret::Secret;
use wharf_tests::{Service, hostile, hostile_name, path};

/// Bytes of a part, as the OneDrive connector's manifest says.
const PART: u64 = 10 * 1024 * 1024;
const GRAPH: &str = "https://graph.microsoft.com/v1.0/me/drive/root:/backups/onedrive";
/// Where the backup directories are.
const DIRECTORY: &str = "/backups";
/// The component that sends a file a hundred times in one operation.
const ASKING: &str = "requests";
/// How often it does.
const SENDS: u32 = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut option = |default: u64| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (rounds, mebibytes) = (option(21), option(1024));
    let only = arguments.next();
    let runtime = wharf_runtime::workers::builder().build().unwrap();
    runtime.block_on(bench(rounds, mebibytes, only.as_deref()));
}

/// Everything, or `only` the one of that name.
async fn bench(rounds: u64, mebibytes: u64, only: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(folder.path());
    let host = open(&emulator, folder.path());
    let scene = Scene {
        attached: attach(&host, &emulator, "onedrive", &wharf_tests::connector("onedrive")).await,
        asking: attach(&host, &emulator, &hostile_name(ASKING, Service::OneDrive), &asking()).await,
        native: Native::new(&emulator),
        folder: folder.path().to_owned(),
        rounds,
        mebibytes,
    };
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    println!("{rounds} shuffled rounds, medians; 1.00 is the native client");
    if wanted("large") {
        scene.large().await;
    }
    if wanted("small") {
        scene.small().await;
    }
    if wanted("request") {
        scene.request().await;
    }
    if wanted("call") {
        call(&scene.attached).await;
    }
    if wanted("curl") {
        curl(&scene.native, &emulator, folder.path(), rounds).await;
    }
    println!("peak resident memory of this process: {} MiB", peak() / 1024);
}

struct Scene {
    attached: Attached,
    /// A component that makes a hundred requests in one operation.
    asking: Attached,
    native: Native,
    folder: PathBuf,
    rounds: u64,
    mebibytes: u64,
}

impl Scene {
    async fn large(&self) {
        let (attached, native, size) = (&self.attached, &self.native, self.mebibytes * 1024 * 1024);
        let file = self.folder.join("large");
        write_noise(&file, self.mebibytes);
        let up = [
            measure(|| wharf_up(attached, &file)),
            measure(|| native.up(&file, true)),
            measure(|| native.up(&file, false)),
        ];
        ratio(&format!("{} MiB up in 10 MiB parts", self.mebibytes), compare(self.rounds, up).await);
        let down = [
            measure(|| wharf_down(attached, size)),
            measure(|| native.down(size, true)),
            measure(|| native.down(size, false)),
        ];
        ratio(&format!("{} MiB down in 10 MiB parts", self.mebibytes), compare(self.rounds, down).await);
    }

    async fn small(&self) {
        const REQUESTS: u32 = 100;
        let file = self.folder.join("small");
        std::fs::write(&file, wharf_tests::noise(2, 4096)).unwrap();
        let runs = [
            measure(|| wharf_small(&self.attached, &file, REQUESTS)),
            measure(|| self.native.small(&file, REQUESTS)),
            measure(|| self.native.small(&file, REQUESTS)),
            measure(|| self.native.small_as_a_task(&file, REQUESTS)),
        ];
        let times = compare(self.rounds, runs).await;
        over_native("4 KiB file, an operation each", times, REQUESTS);
    }

    /// What a request costs within an operation: the instance is there, and makes a hundred.
    async fn request(&self) {
        let file = self.folder.join("small");
        std::fs::write(&file, wharf_tests::noise(2, 4096)).unwrap();
        let runs = [
            measure(|| wharf_requests(&self.asking, &file)),
            measure(|| self.native.small(&file, SENDS)),
            measure(|| self.native.small(&file, SENDS)),
            measure(|| self.native.small_as_a_task(&file, SENDS)),
        ];
        let times = compare(self.rounds, runs).await;
        over_native("4 KiB request, a hundred in one operation", times, SENDS);
    }
}

/// The median of what each round's took longer than that round's native, for each request: on a machine
/// that is now faster, now slower, what lies beside each other is compared. Native waits for its work on
/// the program's first thread, as such programs do; once more where its connection is, which is the fastest
/// that it could be.
fn over_native(what: &str, [wharf, native, again, task]: [Vec<Duration>; 4], requests: u32) {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(requests);
    let longer = |times: &[Duration]| {
        let mut differences: Vec<f64> =
            times.iter().zip(&native).map(|(time, native)| each(*time) - each(*native)).collect();
        differences.sort_by(f64::total_cmp);
        differences[differences.len() / 2]
    };
    let (ours, theirs, beside) = (longer(&wharf), longer(&again), longer(&task));
    let native = each(median(native.clone()));
    println!(
        "{what}: {ours:+.1} µs over native, of {native:.0} µs (native again: {theirs:+.1} µs, as a task: {beside:+.1} µs)"
    );
}

/// A file of noise, written piece by piece: its bytes must not count as memory of this process.
fn write_noise(path: &Path, mebibytes: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    for piece in 0..mebibytes {
        file.write_all(&wharf_tests::noise(piece, 1024 * 1024)).unwrap();
    }
}

/// Store, instance and one call that sends nothing: a listing of a tree, which OneDrive does not have.
async fn call(attached: &Attached) {
    const CALLS: u32 = 2000;
    let folder = path("a");
    let started = Instant::now();
    for _ in 0..CALLS {
        assert!(attached.list(&folder, true, None).await.is_err());
    }
    println!("store + instance + call: {:.1} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
}

/// The native client must itself be a fair one: one PUT of 200 MiB beside `curl -T`.
async fn curl(native: &Native, emulator: &Emulator, folder: &Path, rounds: u64) {
    let file = folder.join("curl");
    write_noise(&file, 200);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(9) {
        let started = Instant::now();
        native.put(&format!("{GRAPH}/native.bin:/content"), &file).await;
        ours.push(started.elapsed());
        let started = Instant::now();
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "-o", "/dev/null", "--cacert"]).arg(&emulator.ca);
        command.args(["--connect-to", &format!("graph.microsoft.com:443:{}", emulator.tls)]);
        command.arg("-H").arg(format!("Authorization: Bearer {}", native.token)).arg("-T").arg(&file);
        let status = command.arg(format!("{GRAPH}/curl.bin:/content")).status();
        assert!(status.unwrap().success());
        theirs.push(started.elapsed());
    }
    println!(
        "native client beside `curl -T`, 200 MiB: {:.2}x",
        median(ours).as_secs_f64() / median(theirs).as_secs_f64()
    );
}

type Run<'a> = Box<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> + 'a>;

fn measure<'a, F: Future<Output = ()> + 'a>(run: impl Fn() -> F + 'a) -> Run<'a> {
    Box::new(move || Box::pin(run()))
}

/// Each contender once a round, in an order that changes from round to round.
async fn compare<const N: usize>(rounds: u64, runs: [Run<'_>; N]) -> [Vec<Duration>; N] {
    let mut times = [const { Vec::new() }; N];
    for run in &runs {
        run().await;
    }
    for round in 0..usize::try_from(rounds).unwrap() {
        for turn in 0..N {
            let turn = if round % 2 == 0 { turn } else { N - 1 - turn };
            let which = (turn + round / 2) % N;
            let started = Instant::now();
            runs[which]().await;
            times[which].push(started.elapsed());
        }
    }
    times
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ratio(what: &str, times: [Vec<Duration>; 3]) {
    let [wharf, hashing, plain] = times.map(median);
    let of = |native: &Duration| wharf.as_secs_f64() / native.as_secs_f64();
    println!(
        "{what}: {:.2}x with the same hashes ({:.2} s), {:.2}x of one that hashes nothing",
        of(&hashing),
        wharf.as_secs_f64(),
        of(&plain)
    );
}

async fn wharf_up(attached: &Attached, file: &Path) {
    let source = Arc::new(Source::open(file).unwrap());
    let whole = Section::whole(Arc::clone(&source));
    let info = Info { size: source.size(), modified: None, keep_modified: false, mode: Mode::Replace };
    let target = path("large");
    let (session, mut progress, _) = attached.begin_upload(&target, &info, None, None).await.unwrap();
    let mut running = Running::new(&attached.algorithms());
    while let Progress::More(offset) = progress {
        let part = whole.part(offset, PART.min(info.size - offset)).unwrap();
        let (next, passed) =
            attached.upload_part(&target, &session, &info, &part, &running, None).await.unwrap();
        (progress, running) = (next, passed.running.unwrap());
    }
    let Progress::Done(entry) = progress else { unreachable!() };
    assert_eq!(running.finish().get(entry.hash.as_ref().unwrap().algorithm()), entry.hash.as_ref());
}

async fn wharf_down(attached: &Attached, size: u64) {
    let mut running = Running::new(&attached.algorithms());
    let mut offset = 0;
    while offset < size {
        let mut opened =
            attached.get(&path("large"), offset, Some(PART.min(size - offset)), None).await.unwrap();
        while let Some(chunk) = opened.download.body.chunk().await.unwrap() {
            running.update(&chunk);
        }
        offset = running.at();
    }
    std::hint::black_box(running.finish());
}

async fn wharf_small(attached: &Attached, file: &Path, requests: u32) {
    for number in 0..requests {
        let source = Arc::new(Source::open(file).unwrap());
        let info = Info { size: source.size(), modified: None, keep_modified: false, mode: Mode::Replace };
        let target = path(&format!("small-{}", number % 10));
        let (entry, passed) = attached.put(&target, &Section::whole(source), &info, None).await.unwrap();
        assert_eq!(
            passed.running.unwrap().finish().get(entry.hash.as_ref().unwrap().algorithm()),
            entry.hash.as_ref()
        );
    }
}

/// One operation that sends the file a hundred times.
async fn wharf_requests(attached: &Attached, file: &Path) {
    let source = Arc::new(Source::open(file).unwrap());
    let info = Info { size: source.size(), modified: None, keep_modified: false, mode: Mode::Replace };
    attached.put(&path("small-0"), &Section::whole(source), &info, None).await.unwrap();
}

/// The same requests, as one would write them without Wharf.
#[derive(Clone)]
struct Native {
    client: reqwest::Client,
    token: String,
}

impl Native {
    fn new(emulator: &Emulator) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(&emulator.ca).unwrap()).unwrap();
        let mut builder = reqwest::Client::builder().tls_certs_merge([ca]).tcp_nodelay(true).no_proxy();
        for host in &emulator.hosts {
            builder = builder.resolve(host, emulator.tls);
        }
        Self { client: builder.build().unwrap(), token: emulator.token.clone() }
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> Value {
        let reply = request.header(AUTHORIZATION, format!("Bearer {}", self.token)).send().await.unwrap();
        serde_json::from_slice(&reply.error_for_status().unwrap().bytes().await.unwrap()).unwrap()
    }

    async fn up(&self, file: &Path, hash: bool) {
        let body = json!({ "item": { "@microsoft.graph.conflictBehavior": "replace" } }).to_string();
        let request = self.client.post(format!("{GRAPH}/large:/createUploadSession"));
        let session = self.json(request.header("content-type", "application/json").body(body)).await;
        let url = session["uploadUrl"].as_str().unwrap().to_owned();
        let size = std::fs::metadata(file).unwrap().len();
        let running = Arc::new(std::sync::Mutex::new(Running::new(&algorithms())));
        let mut offset = 0;
        while offset < size {
            let len = PART.min(size - offset);
            let body = stream(file, offset, len, hash.then(|| Arc::clone(&running)));
            let range = format!("bytes {offset}-{}/{size}", offset + len - 1);
            let request =
                self.client.put(&url).header(CONTENT_RANGE, range).header(CONTENT_LENGTH, len).body(body);
            request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
            offset += len;
        }
    }

    async fn down(&self, size: u64, hash: bool) {
        let mut running = Running::new(&algorithms());
        let mut offset = 0;
        while offset < size {
            let item = self.json(self.client.get(format!("{GRAPH}/large"))).await;
            let url = item["@microsoft.graph.downloadUrl"].as_str().unwrap();
            let range = format!("bytes={offset}-{}", offset + PART.min(size - offset) - 1);
            let mut reply =
                self.client.get(url).header(RANGE, range).send().await.unwrap().error_for_status().unwrap();
            while let Some(chunk) = reply.chunk().await.unwrap() {
                offset += u64::try_from(chunk.len()).unwrap();
                if hash {
                    running.update(&chunk);
                }
            }
        }
        std::hint::black_box(running.finish());
    }

    async fn small(&self, file: &Path, requests: u32) {
        for number in 0..requests {
            // As Wharf does: what is this small is read where it is, not on a thread for that.
            let bytes = std::fs::read(file).unwrap();
            let mut running = Running::new(&algorithms());
            running.update(&bytes);
            let url = format!("{GRAPH}/small-{}:/content", number % 10);
            let item = self.json(self.client.put(url).body(bytes)).await;
            assert!(item["file"]["hashes"]["quickXorHash"].is_string());
            std::hint::black_box(running.finish());
        }
    }

    /// As [`small`](Self::small), among the tasks that the connection is one of.
    async fn small_as_a_task(&self, file: &Path, requests: u32) {
        let (native, file) = (self.clone(), file.to_owned());
        tokio::spawn(async move { native.small(&file, requests).await }).await.unwrap();
    }

    async fn put(&self, url: &str, file: &Path) {
        let size = std::fs::metadata(file).unwrap().len();
        let request = self.client.put(url).header(CONTENT_LENGTH, size).body(stream(file, 0, size, None));
        self.json(request).await;
    }
}

fn algorithms() -> [wharf_runtime::hash::Algorithm; 2] {
    [wharf_runtime::hash::Algorithm::BlockSha256, wharf_runtime::hash::Algorithm::QuickXor]
}

/// A part of a file as a body, the plain way: read, hash, hand over.
fn stream(file: &Path, offset: u64, len: u64, hash: Option<Arc<std::sync::Mutex<Running>>>) -> reqwest::Body {
    use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
    let file = file.to_owned();
    let state = (None::<tokio::fs::File>, file, offset, len, hash);
    reqwest::Body::wrap_stream(futures_util::stream::unfold(
        state,
        |(open, path, offset, left, hash)| async move {
            if left == 0 {
                return None;
            }
            let mut file = match open {
                Some(file) => file,
                None => {
                    let mut file = tokio::fs::File::open(&path).await.unwrap();
                    file.set_max_buf_size(256 * 1024);
                    file.seek(std::io::SeekFrom::Start(offset)).await.unwrap();
                    file
                }
            };
            let mut block = bytes::BytesMut::with_capacity(256 * 1024);
            (&mut file).take(left).read_buf(&mut block).await.unwrap();
            if let Some(hash) = &hash {
                hash.lock().unwrap().update(&block);
            }
            let left = left - u64::try_from(block.len()).unwrap();
            Some((Ok::<_, std::io::Error>(block.freeze()), (Some(file), path, offset, left, hash)))
        },
    ))
}

/// The emulators, as a process of their own.
struct Emulator {
    child: Child,
    tls: SocketAddr,
    ca: PathBuf,
    hosts: Vec<String>,
    connect_to: Vec<String>,
    token: String,
    token_file: PathBuf,
    client: (String, String),
}

impl Emulator {
    fn start(folder: &Path) -> Self {
        let program = std::env::current_exe().unwrap().with_file_name("cloud");
        let mut command = Command::new(program);
        command.args(["serve", "--http1", "--data"]).arg(folder.join("data"));
        command.arg("--ca-out").arg(folder.join("ca.pem")).arg("--token-dir").arg(folder.join("tokens"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let connect_to: Vec<String> = ready["connect_to"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| pair.as_str().unwrap().to_owned())
            .collect();
        let token_file = PathBuf::from(ready["tokens"]["onedrive"].as_str().unwrap());
        let token: Value = serde_json::from_slice(&std::fs::read(&token_file).unwrap()).unwrap();
        let client = &ready["clients"]["onedrive"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            tls: ready["tls"].as_str().unwrap().parse().unwrap(),
            ca: ready["ca"].as_str().unwrap().into(),
            hosts: connect_to.iter().map(|pair| pair.split(':').next().unwrap().to_owned()).collect(),
            connect_to,
            token: text(&token["access_token"]),
            token_file,
            client: (text(&client["id"]), text(&client["secret"])),
            child,
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open(emulator: &Emulator, folder: &Path) -> Host {
    let connect_to = emulator.connect_to.iter().map(|pair| pair.parse::<ConnectTo>().unwrap()).collect();
    let options = network::Options {
        connect_to,
        ca_certificates: vec![emulator.ca.clone()],
        ..network::Options::default()
    };
    Host::open(&folder.join("home"), options).unwrap()
}

fn asking() -> Vec<u8> {
    hostile(ASKING, Service::OneDrive, |_| {})
}

/// A component installed, with an account and a destination of the name of its type.
async fn attach(host: &Host, emulator: &Emulator, kind: &str, component: &[u8]) -> Attached {
    host.install_unsigned(component).unwrap();
    let token = StoredToken::from_rclone(&std::fs::read_to_string(&emulator.token_file).unwrap()).unwrap();
    let (id, secret) = emulator.client.clone();
    let client = Client { id: Some(id), secret: Some(Secret::new(secret)), token_url: None };
    let name = Name::parse(kind).unwrap();
    host.accounts().add(&name, kind, token, client, std::time::SystemTime::now()).unwrap();
    let reference = ConnectorReference::parse(kind).unwrap();
    let (_, manifest) = host.manifest(&reference).unwrap();
    let directory = Directory::parse(&format!("{DIRECTORY}/{kind}")).unwrap();
    let mut destination = Destination::new(name.clone(), reference, directory);
    destination.account = Some(name);
    destination.grants = Granted::everything(&manifest);
    host.destinations().create(&destination).unwrap();
    let attached = host.attach(&destination.name).await.unwrap();
    // What is measured is copying, not the mark that goes before the first write.
    attached.consider_owned().await.unwrap();
    attached
}

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
