//! A running pair of emulators and a client that reaches them under their real names.

use cloud::{Cloud, DEFAULT_ACCOUNT, DriveKind, Options};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// Emulators and a client for them.
pub(crate) struct Bench {
    pub(crate) cloud: Cloud,
    pub(crate) http: Client,
    onedrive: String,
    dropbox: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a Graph error, with the inner one after a slash if there is one.
    pub(crate) fn code(&self) -> String {
        let error = &self.json["error"];
        let inner = error["innerError"]["code"].as_str();
        let inner = inner.or(error["innererror"]["code"].as_str());
        let code = error["code"].as_str().unwrap_or("none");
        inner.map_or(code.to_owned(), |inner| format!("{code}/{inner}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn access(token: &Value) -> String {
    token["access_token"].as_str().unwrap().to_owned()
}

/// Sends a request and reads its answer.
pub(crate) async fn send(request: RequestBuilder) -> Reply {
    try_send(request).await.unwrap()
}

/// Sends a request whose connection may be cut.
pub(crate) async fn try_send(request: RequestBuilder) -> Result<Reply, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.bytes().await?.to_vec();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Reply { status, headers, body, json })
}

/// A client that trusts the emulators and finds them behind every real name.
pub(crate) fn client(cloud: &Cloud, http1: bool) -> Client {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(cloud.ca_pem().as_bytes()).unwrap();
    let mut builder =
        Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only([ca]);
    for line in cloud.connect_to() {
        let host = line.split(':').next().unwrap();
        builder = builder.resolve(host, cloud.tls_addr());
    }
    if http1 {
        builder = builder.http1_only();
    }
    builder.build().unwrap()
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn personal() -> Self {
        Self::with(Options { drive_kind: DriveKind::Personal, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let cloud = Cloud::start(options).await.unwrap();
        Self {
            http: client(&cloud, false),
            onedrive: access(&cloud.onedrive().token_json(DEFAULT_ACCOUNT)),
            dropbox: access(&cloud.dropbox().token_json(DEFAULT_ACCOUNT)),
            cloud,
        }
    }

    /// A Graph request below `/v1.0/me/drive`.
    pub(crate) fn drive(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("https://graph.microsoft.com/v1.0/me/drive{path}");
        self.graph(method, &url)
    }

    /// A request with the OneDrive token.
    pub(crate) fn graph(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url).bearer_auth(&self.onedrive)
    }

    /// A request without a token.
    pub(crate) fn bare(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        send(self.drive(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        send(with_json(self.drive(Method::POST, path), &body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        send(with_json(self.drive(Method::PATCH, path), &body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        send(self.drive(Method::DELETE, path)).await
    }

    /// Stores a file of OneDrive in one request.
    pub(crate) async fn put(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let request = self.drive(Method::PUT, &format!("/root:{path}:/content"));
        send(request.body(body.into())).await
    }

    /// A Dropbox call with a JSON body.
    pub(crate) async fn rpc(&self, route: &str, body: Value) -> Reply {
        let url = format!("https://api.dropboxapi.com/2/{route}");
        let request = self.bare(Method::POST, &url).bearer_auth(&self.dropbox);
        send(with_json(request, &body)).await
    }

    /// A Dropbox call with content.
    pub(crate) fn content(&self, route: &str, argument: &Value, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let url = format!("https://content.dropboxapi.com/2/{route}");
        self.bare(Method::POST, &url)
            .bearer_auth(&self.dropbox)
            .header("dropbox-api-arg", argument.to_string())
            .header("content-type", "application/octet-stream")
            .body(body.into())
    }

    /// Stores a file of Dropbox in one request.
    pub(crate) async fn upload(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let argument = json!({"path": path, "mode": "overwrite"});
        send(self.content("files/upload", &argument, body)).await
    }

    /// The Dropbox token in use.
    pub(crate) fn dropbox_token(&self) -> &str {
        &self.dropbox
    }

    /// Kinds of the log, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.cloud.log().into_iter().map(|entry| entry.kind).collect()
    }
}

pub(crate) fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

/// Bytes that are not all alike, the same each time.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub(crate) fn quick(bytes: &[u8]) -> String {
    let mut hash = cloud::QuickXor::default();
    hash.update(bytes);
    hash.finish()
}

pub(crate) fn content_hash(bytes: &[u8]) -> String {
    let mut hash = cloud::ContentHash::default();
    hash.update(bytes);
    hash.finish()
}
