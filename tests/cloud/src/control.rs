//! The control port: what a test may ask of a `cloud` in another process.
//!
//! Small JSON calls, one word each; `GET /` lists them. Everything here is also a method of
//! [`Cloud`](crate::Cloud), which tests in the same process use instead.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call;
use crate::fault::Rule;
use crate::log::Service;
use crate::number;
use crate::onedrive::{DriveKind, StoredFile};
use crate::outbound::Payload;
use crate::reply::Reply;
use crate::world::World;
use crate::{DEFAULT_ACCOUNT, Error};

/// What the port understands, as `GET /` shows it.
pub(crate) const HELP: &str = "\
GET    /log?kind=K            every request so far, or those of one kind (`dropbox.*` works too)
DELETE /log                   forget them
GET    /summary               counts: requests, too_early, leaked_authorization, unknown, by kind
GET    /faults                the fault plan with its counts
POST   /faults                add a rule or a list of rules
DELETE /faults?id=N           remove one rule, or all without an id
GET    /clock                 the emulated time
POST   /clock                 {\"advance_ms\": N} moves it forward
GET    /switches              every switch: onedrive, dropbox, onedrive_tokens, dropbox_tokens, latency_ms
POST   /switches              changes those that are named
GET    /accounts              the accounts of both services
POST   /accounts              {\"service\", \"account\", \"kind\"?, \"app_folder\"?} adds one
POST   /drives                {\"account\", \"kind\"} adds another drive to an OneDrive account
GET    /clients               client ids and secrets
POST   /clients               {\"service\", \"id\", \"secret\"} registers an application
GET    /token?service=S&account=A&scopes=a,b   a fresh token as rclone keeps it
GET    /token/refreshes?…     how often the account's tokens were refreshed
POST   /token/expire?…        ends the account's access tokens
POST   /token/revoke?…        revokes everything of the account
POST   /quota?…&bytes=N       space of the account
POST   /reset?…               makes delta links and cursors stale
POST   /recycle-bin?…         empties OneDrive's recycle bin
POST   /lock?…&path=P&locked=true   holds an OneDrive item checked out (423)
POST   /seed?…&path=FOLDER&count=N  stores many small files
GET    /files?…&path=PREFIX   stored files: path, id, size, hash, modified, revision
DELETE /files?…&path=P        deletes one without a request
GET    /files/content?…&path=P   its bytes
PUT    /files/content?…&path=P   stores a file without a request
GET    /sessions              upload sessions that are open
GET    /proxied               every host asked for through the proxy
`…` stands for service=onedrive|dropbox and account=NAME (default if absent).
";

/// The largest file that can be put by hand.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A control call.
struct Ask {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Bytes,
}

/// Why a call failed: a status and a sentence.
type Failed = (StatusCode, String);

impl Ask {
    fn get(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    fn account(&self) -> &str {
        self.get("account").unwrap_or(DEFAULT_ACCOUNT)
    }

    fn service(&self) -> Result<Service, Failed> {
        match self.get("service") {
            Some("onedrive") => Ok(Service::Onedrive),
            Some("dropbox") => Ok(Service::Dropbox),
            Some(_) | None => Err(bad("service must be onedrive or dropbox")),
        }
    }

    fn path_argument(&self) -> Result<&str, Failed> {
        self.get("path").ok_or_else(|| bad("path is missing"))
    }

    fn number(&self, key: &str) -> Result<u64, Failed> {
        let number = self.get(key).and_then(|text| text.parse().ok());
        number.ok_or_else(|| bad(&format!("{key} must be a number")))
    }

    fn document<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        serde_json::from_slice(&self.body).map_err(|error| bad(&error.to_string()))
    }
}

fn bad(text: &str) -> Failed {
    (StatusCode::BAD_REQUEST, text.to_owned())
}

fn missing() -> Failed {
    (StatusCode::NOT_FOUND, "not found".to_owned())
}

fn failed(error: &Error) -> Failed {
    (StatusCode::CONFLICT, error.to_string())
}

fn ok<T: Serialize>(value: T) -> Result<Reply, Failed> {
    Ok(Reply::json(StatusCode::OK, &value))
}

fn done() -> Result<Reply, Failed> {
    ok(json!({"ok": true}))
}

/// Answers a control call.
pub(crate) async fn answer(world: &Arc<World>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let limited = http_body_util::Limited::new(body, BODY_BYTES_MAX);
    let Ok(body) = limited.collect().await else {
        return Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    };
    let ask = Ask {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: call::form(head.uri.query().unwrap_or_default()),
        body: body.to_bytes(),
    };
    match handle(world, &ask) {
        Ok(reply) => reply,
        Err((status, text)) => Reply::json(status, &json!({ "error": text })),
    }
}

fn handle(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    match (ask.method.as_str(), ask.path.as_str()) {
        ("GET", "/") => Ok(Reply::text(StatusCode::OK, HELP)),
        ("GET", "/log") => log(world, ask),
        ("DELETE", "/log") => {
            world.forget();
            done()
        }
        ("GET", "/summary") => ok(world.log.summary()),
        ("GET", "/faults") => ok(world.faults.list()),
        ("POST", "/faults") => add_faults(world, ask),
        ("DELETE", "/faults") => remove_faults(world, ask),
        ("GET", "/clock") => clock(world),
        ("POST", "/clock") => {
            let document: Value = ask.document()?;
            let ms = document.get("advance_ms").and_then(Value::as_u64);
            let ms = ms.ok_or_else(|| bad("advance_ms must be a number"))?;
            world.clock.advance(Duration::from_millis(ms));
            clock(world)
        }
        ("GET", "/switches") => ok(switches(world)),
        ("POST" | "PATCH", "/switches") => set_switches(world, ask),
        ("GET", "/accounts") => ok(json!({
            "onedrive": world.onedrive.accounts(),
            "dropbox": world.dropbox.accounts(),
        })),
        ("POST", "/accounts") => add_account(world, ask),
        ("POST", "/drives") => add_drive(world, ask),
        ("POST", "/clients") => add_client(world, ask),
        ("GET", "/clients") => ok(json!({
            "onedrive": {"id": world.onedrive.client_id(), "secret": world.onedrive.client_secret()},
            "dropbox": {"id": world.dropbox.client_id(), "secret": world.dropbox.client_secret()},
        })),
        ("GET", "/sessions") => ok(json!({
            "onedrive": world.onedrive.open_sessions(),
            "dropbox": world.dropbox.open_sessions(),
        })),
        ("GET", "/proxied") => ok(world.proxied()),
        (method, path) => of_account(world, ask, method, path),
    }
}

/// Calls about one account of one service.
fn of_account(world: &World, ask: &Ask, method: &str, path: &str) -> Result<Reply, Failed> {
    let account = ask.account();
    let (onedrive, dropbox) = (&world.onedrive, &world.dropbox);
    let each = |on_onedrive: &dyn Fn(), on_dropbox: &dyn Fn()| {
        match ask.service()? {
            Service::Onedrive => on_onedrive(),
            Service::Dropbox | Service::None => on_dropbox(),
        }
        done()
    };
    match (method, path) {
        ("GET", "/token") => token(world, ask),
        ("GET", "/token/refreshes") => ok(json!({
            "refreshes": match ask.service()? {
                Service::Onedrive => onedrive.refreshes(account),
                Service::Dropbox | Service::None => dropbox.refreshes(account),
            },
        })),
        ("POST", "/token/expire") => {
            each(&|| onedrive.expire_tokens(account), &|| dropbox.expire_tokens(account))
        }
        ("POST", "/token/revoke") => each(&|| onedrive.revoke(account), &|| dropbox.revoke(account)),
        ("POST", "/quota") => {
            let bytes = ask.number("bytes")?;
            each(&|| onedrive.set_quota(account, bytes), &|| dropbox.set_quota(account, bytes))
        }
        ("POST", "/reset") => each(&|| onedrive.reset_delta(account), &|| dropbox.reset_cursors(account)),
        ("POST", "/recycle-bin") => {
            onedrive.empty_recycle_bin(account);
            done()
        }
        ("POST", "/lock") => {
            let locked = ask.get("locked") != Some("false");
            match onedrive.set_locked(account, ask.path_argument()?, locked) {
                true => done(),
                false => Err(missing()),
            }
        }
        ("POST", "/seed") => seed(world, ask),
        ("GET", "/files") => {
            let prefix = ask.get("path").unwrap_or_default();
            let mut files = files(world, ask)?;
            files.retain(|file| file.path.starts_with(prefix));
            ok(files)
        }
        ("DELETE", "/files") => remove_file(world, ask),
        ("GET", "/files/content") => content(world, ask),
        ("PUT", "/files/content") => put(world, ask),
        _ => Err(missing()),
    }
}

fn log(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let mut entries = world.log.entries();
    if let Some(kind) = ask.get("kind") {
        entries.retain(|entry| match kind.strip_suffix('*') {
            Some(start) => entry.kind.starts_with(start),
            None => entry.kind == kind,
        });
    }
    ok(entries)
}

fn add_faults(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let document: Value = ask.document()?;
    let rules: Vec<Rule> = match document.is_array() {
        true => ask.document()?,
        false => vec![ask.document()?],
    };
    let ids: Vec<u64> = rules.into_iter().map(|rule| world.faults.add(rule)).collect();
    ok(json!({ "ids": ids }))
}

fn remove_faults(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    if ask.get("id").is_none() {
        world.faults.clear();
        return done();
    }
    match world.faults.remove(ask.number("id")?) {
        true => done(),
        false => Err(missing()),
    }
}

fn clock(world: &World) -> Result<Reply, Failed> {
    ok(json!({
        "now": world.clock.now().to_string(),
        "ahead_ms": number::millis(world.clock.ahead()),
    }))
}

fn switches(world: &World) -> Value {
    json!({
        "onedrive": world.onedrive.switches(),
        "dropbox": world.dropbox.switches(),
        "onedrive_tokens": world.onedrive.token_switches(),
        "dropbox_tokens": world.dropbox.token_switches(),
        "latency_ms": number::millis(world.latency()),
    })
}

fn set_switches(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let mut merged = switches(world);
    merge(&mut merged, ask.document()?);
    let part = |key: &str| merged[key].clone();
    let wrong = |error: serde_json::Error| bad(&error.to_string());
    let onedrive = serde_json::from_value(part("onedrive")).map_err(wrong)?;
    let dropbox = serde_json::from_value(part("dropbox")).map_err(wrong)?;
    let onedrive_tokens = serde_json::from_value(part("onedrive_tokens")).map_err(wrong)?;
    let dropbox_tokens = serde_json::from_value(part("dropbox_tokens")).map_err(wrong)?;
    let latency: u64 = serde_json::from_value(part("latency_ms")).map_err(wrong)?;
    if merged.as_object().is_none_or(|all| all.len() != 5) {
        return Err(bad("there is no such group of switches"));
    }
    world.onedrive.set_switches(onedrive);
    world.dropbox.set_switches(dropbox);
    world.onedrive.set_token_switches(onedrive_tokens);
    world.dropbox.set_token_switches(dropbox_tokens);
    world.set_latency(Duration::from_millis(latency));
    ok(switches(world))
}

/// Lays one document over another, object by object.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// A text field of a document.
fn text<'a>(document: &'a Value, key: &str) -> Result<&'a str, Failed> {
    let text = document.get(key).and_then(Value::as_str);
    text.ok_or_else(|| bad(&format!("{key} is missing")))
}

fn kind(document: &Value) -> Result<DriveKind, Failed> {
    let kind = document.get("kind").cloned().unwrap_or(json!("business"));
    serde_json::from_value(kind).map_err(|error| bad(&error.to_string()))
}

fn add_drive(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let document: Value = ask.document()?;
    let id = world.onedrive.add_drive(text(&document, "account")?, kind(&document)?);
    ok(json!({"drive_id": id.ok_or_else(missing)?}))
}

fn add_client(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let document: Value = ask.document()?;
    let (id, secret) = (text(&document, "id")?, text(&document, "secret")?);
    match text(&document, "service")? {
        "onedrive" => world.onedrive.add_client(id, secret),
        "dropbox" => world.dropbox.add_client(id, secret),
        _ => return Err(bad("service must be onedrive or dropbox")),
    }
    done()
}

fn add_account(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let document: Value = ask.document()?;
    let account = text(&document, "account")?;
    match document.get("service").and_then(Value::as_str) {
        Some("onedrive") => {
            world.onedrive.add_account(account, kind(&document)?);
            ok(json!({"drive_id": world.onedrive.drive_id(account)}))
        }
        Some("dropbox") => {
            let app_folder = document.get("app_folder") == Some(&Value::Bool(true));
            world.dropbox.add_account(account, app_folder);
            done()
        }
        Some(_) | None => Err(bad("service must be onedrive or dropbox")),
    }
}

fn token(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let account = ask.account();
    let scopes: Option<Vec<&str>> = ask.get("scopes").map(|text| text.split(',').collect());
    ok(match (ask.service()?, scopes) {
        (Service::Onedrive, None) => world.onedrive.token_json(account),
        (Service::Onedrive, Some(scopes)) => world.onedrive.token_json_for(account, &scopes),
        (Service::Dropbox | Service::None, None) => world.dropbox.token_json(account),
        (Service::Dropbox | Service::None, Some(scopes)) => world.dropbox.token_json_for(account, &scopes),
    })
}

fn files(world: &World, ask: &Ask) -> Result<Vec<StoredFile>, Failed> {
    Ok(match ask.service()? {
        Service::Onedrive => world.onedrive.files(ask.account()),
        Service::Dropbox | Service::None => world.dropbox.files(ask.account()),
    })
}

fn file(world: &World, ask: &Ask) -> Result<StoredFile, Failed> {
    let path = ask.path_argument()?;
    let found = match ask.service()? {
        Service::Onedrive => world.onedrive.file(ask.account(), path),
        Service::Dropbox | Service::None => world.dropbox.file(ask.account(), path),
    };
    found.ok_or_else(missing)
}

fn content(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let file = file(world, ask)?;
    let bytes = std::fs::read(&file.bytes).map_err(|_| missing())?;
    let mut reply = Reply::empty(StatusCode::OK);
    reply.payload = Payload::Bytes(bytes.into());
    Ok(reply)
}

fn put(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let (account, path) = (ask.account(), ask.path_argument()?);
    let stored = match ask.service()? {
        Service::Onedrive => world.onedrive.put_file(account, path, &ask.body),
        Service::Dropbox | Service::None => world.dropbox.put_file(account, path, &ask.body),
    };
    stored.map_err(|error| failed(&error))?;
    done()
}

fn remove_file(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let (account, path) = (ask.account(), ask.path_argument()?);
    let removed = match ask.service()? {
        Service::Onedrive => world.onedrive.remove(account, path),
        Service::Dropbox | Service::None => world.dropbox.remove(account, path),
    };
    match removed {
        true => done(),
        false => Err(missing()),
    }
}

fn seed(world: &World, ask: &Ask) -> Result<Reply, Failed> {
    let (account, folder) = (ask.account(), ask.path_argument()?);
    let count = number::index(ask.number("count")?);
    let seeded = match ask.service()? {
        Service::Onedrive => world.onedrive.put_many(account, folder, count),
        Service::Dropbox | Service::None => world.dropbox.put_many(account, folder, count),
    };
    seeded.map_err(|error| failed(&error))?;
    done()
}
