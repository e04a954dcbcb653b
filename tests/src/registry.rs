//! An OCI registry in memory, that lies where it is told to.
//!
//! It keeps what it is given, as a registry does, on a loopback port in the clear. What a [`Lie`] names it
//! does wrong; everything else it does right, so that what is refused is refused for that.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::json;
use wharf_runtime::registry::Digest;

use super::*;

/// What a registry does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// Other bytes for a manifest that is asked for by its digest, or than its header says.
    ManifestBytes,
    /// A header that is no digest.
    OddDigest,
    /// Other bytes for every blob of this many bytes.
    BlobBytes(usize),
    /// More bytes than a manifest names.
    LongBlob(usize),
    /// A manifest that has no end.
    EndlessManifest,
    /// The tag means something else from the second time on.
    MovingTag(Vec<u8>),
    /// Blobs are to be had there.
    Redirect(String),
    /// From one address to the next.
    RedirectLoop,
    /// A token is to be had there, or no request is answered.
    Realm(String),
    /// What it says of a manifest that was put is another digest.
    KeptElsewhere,
}

#[derive(Debug, Default)]
struct Kept {
    blobs: BTreeMap<String, Vec<u8>>,
    /// By digest and by tag.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    lie: Option<Lie>,
    refers: bool,
    /// `METHOD /path`, and whether something signed it.
    log: Vec<String>,
    /// What `Authorization` must be, to be answered.
    token: Option<String>,
    tag_requests: usize,
}

/// The registry. Its thread ends with the process.
#[derive(Debug, Clone)]
pub struct FakeRegistry {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    authorization: Option<String>,
    content_type: String,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn of(body: Vec<u8>, content_type: &str) -> Self {
        Self { body, ..Self::new(200) }.with("content-type", content_type)
    }
}

impl FakeRegistry {
    /// An honest one. `refers`: it keeps lists of what refers to an image.
    #[must_use]
    pub fn start(refers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept { refers, ..Kept::default() }));
        let registry = Self { address, kept };
        let server = registry.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(&stream));
            }
        });
        registry
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// From now on, do this wrong; or nothing.
    pub fn lie(&self, lie: Option<Lie>) {
        let mut kept = self.kept.lock().unwrap();
        kept.lie = lie;
        kept.tag_requests = 0;
        kept.log.clear();
    }

    /// Answer only to who has this token.
    pub fn demand(&self, token: &str) {
        self.kept.lock().unwrap().token = Some(format!("Bearer {token}"));
    }

    /// What it was asked since the last [`lie`](Self::lie): `GET /v2/… signed`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.kept.lock().unwrap().log.clone()
    }

    /// Keep a manifest under a tag, and under its digest. Returns that.
    pub fn keep(&self, tag: &str, manifest: &[u8], media_type: &str) -> String {
        let digest = Digest::of(manifest).to_string();
        let mut kept = self.kept.lock().unwrap();
        for name in [tag, &digest] {
            kept.manifests.insert(name.to_owned(), (media_type.to_owned(), manifest.to_owned()));
        }
        digest
    }

    /// The manifest that it keeps under a name.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Option<Vec<u8>> {
        self.kept.lock().unwrap().manifests.get(name).map(|(_, manifest)| manifest.clone())
    }

    /// Keep a blob.
    pub fn keep_blob(&self, blob: &[u8]) {
        self.kept.lock().unwrap().blobs.insert(Digest::of(blob).to_string(), blob.to_owned());
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader) {
            let endless = {
                let kept = self.kept.lock().unwrap();
                kept.lie == Some(Lie::EndlessManifest) && request.path.contains("/manifests/")
            };
            let sent = if endless { flood(stream) } else { write(stream, &request, &self.answer(&request)) };
            if sent.is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> Reply {
        let mut kept = self.kept.lock().unwrap();
        let signed = if request.authorization.is_some() { " signed" } else { "" };
        kept.log.push(format!("{} {}{signed}", request.method, request.path));
        let realm = match &kept.lie {
            Some(Lie::Realm(realm)) => Some(realm.clone()),
            _ => kept.token.is_some().then(|| format!("http://{}/token", self.address)),
        };
        if request.path == "/token" {
            // It says for what it was asked, in a token that is good for that.
            let token = kept.token.clone().unwrap_or_default();
            let is_scoped = request.query.contains("scope=repository%3A");
            let known = request.authorization.as_deref() == Some("Basic dmVuZG9yOmdlaGVpbQ==");
            return match (is_scoped, known) {
                (true, true) => {
                    let text = json!({ "token": token.trim_start_matches("Bearer ") }).to_string();
                    Reply::of(text.into_bytes(), "application/json")
                }
                _ => Reply::new(401),
            };
        }
        if let Some(realm) =
            realm.filter(|_| request.authorization.is_none() || request.authorization != kept.token)
        {
            return Reply::new(401)
                .with("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"fake\""));
        }
        let Some((_, rest)) = request.path.split_once("/v2/") else { return Reply::new(404) };
        if rest.is_empty() {
            return Reply::new(200);
        }
        for (part, answer) in ROOMS {
            if let Some((_, name)) = rest.split_once(part) {
                return answer(&mut kept, request, name);
            }
        }
        Reply::new(404)
    }
}

type Answer = fn(&mut Kept, &Request, &str) -> Reply;

/// Who answers for what comes after the repository's name.
const ROOMS: [(&str, Answer); 4] = [
    ("/manifests/", manifests),
    ("/blobs/uploads/", uploads),
    ("/blobs/", blobs),
    ("/referrers/", referrers),
];

fn manifests(kept: &mut Kept, request: &Request, name: &str) -> Reply {
    if request.method == "PUT" {
        let digest = Digest::of(&request.body).to_string();
        let entry = (request.content_type.clone(), request.body.clone());
        for name in [name, &digest] {
            kept.manifests.insert(name.to_owned(), entry.clone());
        }
        let subject: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let said = if kept.lie == Some(Lie::KeptElsewhere) { Digest::of(b"").to_string() } else { digest };
        let room = request.path.rsplit_once('/').map_or("", |(room, _)| room);
        let reply =
            Reply::new(201).with("location", format!("{room}/{said}")).with("docker-content-digest", said);
        return match subject["subject"]["digest"].as_str().filter(|_| kept.refers) {
            Some(subject) => reply.with("oci-subject", subject),
            None => reply,
        };
    }
    if !name.starts_with("sha256") {
        kept.tag_requests += 1;
    }
    let Some((media_type, mut manifest)) = kept.manifests.get(name).cloned() else { return Reply::new(404) };
    let mut digest = Digest::of(&manifest).to_string();
    match &kept.lie {
        Some(Lie::ManifestBytes) => manifest.push(b' '),
        Some(Lie::OddDigest) => digest = "sha256:\u{1b}[2Jhello".to_owned().replace('\u{1b}', "~"),
        Some(Lie::MovingTag(other)) if !name.starts_with("sha256") && kept.tag_requests > 1 => {
            manifest.clone_from(other);
            digest = Digest::of(&manifest).to_string();
        }
        _ => {}
    }
    Reply::of(manifest, &media_type).with("docker-content-digest", digest)
}

fn blobs(kept: &mut Kept, request: &Request, name: &str) -> Reply {
    let Some(mut blob) = kept.blobs.get(name).cloned() else { return Reply::new(404) };
    match &kept.lie {
        Some(Lie::BlobBytes(size)) if blob.len() == *size => blob[size / 2] ^= 1,
        Some(Lie::LongBlob(size)) if blob.len() == *size => blob.push(0),
        Some(Lie::Redirect(to)) => return Reply::new(307).with("location", to),
        Some(Lie::RedirectLoop) => return Reply::new(302).with("location", request.path.clone()),
        _ => {}
    }
    Reply::of(blob, "application/octet-stream")
}

fn uploads(kept: &mut Kept, request: &Request, name: &str) -> Reply {
    match request.method.as_str() {
        "POST" => Reply::new(202).with("location", format!("{}1?state=x", request.path)),
        "PATCH" => {
            kept.blobs.insert(name.to_owned(), request.body.clone());
            Reply::new(202).with("location", format!("{}?state=x", request.path))
        }
        _ => {
            let patched = kept.blobs.remove(name).unwrap_or_default();
            let blob = if request.body.is_empty() { patched } else { request.body.clone() };
            let digest = Digest::of(&blob).to_string();
            if !request.query.replace("%3A", ":").contains(&format!("digest={digest}")) {
                return Reply::new(400);
            }
            kept.blobs.insert(digest.clone(), blob);
            let room = request.path.split("/uploads/").next().unwrap_or_default();
            let reply = Reply::new(201).with("location", format!("{room}/{digest}"));
            reply.with("docker-content-digest", digest)
        }
    }
}

fn referrers(kept: &mut Kept, _: &Request, subject: &str) -> Reply {
    if !kept.refers {
        return Reply::new(404);
    }
    let mut listed = BTreeMap::new();
    for (media_type, manifest) in kept.manifests.values() {
        let value: Value = serde_json::from_slice(manifest).unwrap_or_default();
        if value["subject"]["digest"] == subject {
            let digest = Digest::of(manifest).to_string();
            listed.insert(
                digest.clone(),
                json!({ "mediaType": media_type, "digest": digest, "size": manifest.len(),
                        "artifactType": value["artifactType"] }),
            );
        }
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let listed: Vec<Value> = listed.into_values().collect();
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": listed });
    Reply::of(index.to_string().into_bytes(), media_type)
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut request =
        Request { method, path, query, authorization: None, content_type: String::new(), body: Vec::new() };
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => chunked = true,
            "content-type" => request.content_type = value,
            "authorization" => request.authorization = Some(value),
            _ => {}
        }
    }
    if chunked {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            request.body.extend_from_slice(&chunk[..size]);
        }
    } else {
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
    }
    Some(request)
}

fn write(mut stream: &TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len()));
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" { Ok(()) } else { stream.write_all(&reply.body) }
}

/// More than anybody wants, until nobody takes it.
fn flood(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    loop {
        stream.write_all(b"400\r\n")?;
        stream.write_all(&[b' '; 1024])?;
        stream.write_all(b"\r\n")?;
    }
}
