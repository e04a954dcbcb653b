//! Which request is which, who sends it, and which word of the service answers it.

use std::sync::{Arc, Mutex};

use http::header::{HeaderName, LOCATION};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::address::{self, Address, DriveName, Place, Start};
use super::drive::Drive;
use super::node::Key;
use super::switches::Conflict;
use super::ticket::{self, Purpose};
use super::view::View;
use super::{Failure, OneDrive, batch, children, content, copy, delta, item, session, version};
use crate::call::Call;
use crate::hosts::Role;
use crate::inbound::DOCUMENT_BYTES_MAX;
use crate::login::{self, Flavour};
use crate::reply::{Answer, Reply, Stop};
use crate::sync::lock;
use crate::token::{Access, Refused};
use crate::world::World;

/// What is asked of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Update,
    Delete,
    CommitSession,
    Children,
    CreateFolder,
    Content,
    PutContent,
    CreateSession,
    Copy,
    Delta,
    Versions,
    VersionContent,
    DeleteVersion,
    RestoreVersion,
    PermanentDelete,
}

impl Verb {
    fn of(method: &Method, action: &str) -> Option<Self> {
        let verb = match (method.as_str(), action) {
            ("GET" | "HEAD", "") => Self::Get,
            ("PATCH", "") => Self::Update,
            ("DELETE", "") => Self::Delete,
            ("PUT", "") => Self::CommitSession,
            ("GET", "children") => Self::Children,
            ("POST", "children") => Self::CreateFolder,
            ("GET" | "HEAD", "content") => Self::Content,
            ("PUT", "content") => Self::PutContent,
            ("POST", "createUploadSession" | "microsoft.graph.createUploadSession") => Self::CreateSession,
            ("POST", "copy" | "microsoft.graph.copy") => Self::Copy,
            ("GET", "versions") => Self::Versions,
            ("POST", "permanentDelete" | "microsoft.graph.permanentDelete") => Self::PermanentDelete,
            ("GET", action) if is_delta(action) => Self::Delta,
            (method, action) => Self::of_version(method, action.strip_prefix("versions/")?)?,
        };
        Some(verb)
    }

    fn of_version(method: &str, rest: &str) -> Option<Self> {
        match (method, rest.split_once('/')) {
            ("DELETE", None) => Some(Self::DeleteVersion),
            ("GET", Some((_, "content"))) => Some(Self::VersionContent),
            ("POST", Some((_, "restoreVersion"))) => Some(Self::RestoreVersion),
            _ => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Get => "onedrive.item",
            Self::Update => "onedrive.update",
            Self::Delete => "onedrive.delete",
            Self::CommitSession => "onedrive.commit-session",
            Self::Children => "onedrive.children",
            Self::CreateFolder => "onedrive.create-folder",
            Self::Content => "onedrive.content",
            Self::PutContent => "onedrive.put-content",
            Self::CreateSession => "onedrive.create-session",
            Self::Copy => "onedrive.copy",
            Self::Delta => "onedrive.delta",
            Self::Versions => "onedrive.versions",
            Self::VersionContent => "onedrive.version-content",
            Self::DeleteVersion => "onedrive.delete-version",
            Self::RestoreVersion => "onedrive.restore-version",
            Self::PermanentDelete => "onedrive.permanent-delete",
        }
    }

    /// Whether a token that may only read is refused.
    fn writes(self) -> bool {
        match self {
            Self::Get
            | Self::Children
            | Self::Content
            | Self::Delta
            | Self::Versions
            | Self::VersionContent => false,
            Self::Update
            | Self::Delete
            | Self::CommitSession
            | Self::CreateFolder
            | Self::PutContent
            | Self::CreateSession
            | Self::Copy
            | Self::DeleteVersion
            | Self::RestoreVersion
            | Self::PermanentDelete => true,
        }
    }
}

fn is_delta(action: &str) -> bool {
    action == "delta" || action.starts_with("delta(") || action.starts_with("microsoft.graph.delta")
}

/// What a request turned out to be.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Discovery,
    Authorize,
    Token,
    Device,
    Me,
    Drives,
    Drive(DriveName),
    Batch,
    Item(Verb, Address),
    Upload(String),
    Download(String),
    Monitor(String),
}

impl Operation {
    /// Names a request, or says that nothing fits.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        match call.role {
            Role::Login => login_operation(call),
            Role::Storage => storage_operation(call),
            Role::Graph => graph_operation(call),
            Role::Local => login_operation(call).or_else(|| graph_operation(call)),
            Role::DropboxApi
            | Role::DropboxContent
            | Role::DropboxNotify
            | Role::DropboxWeb
            | Role::DropboxLink
            | Role::Unknown => None,
        }
    }

    /// The name in the log.
    pub(crate) fn kind(&self, method: &Method) -> &'static str {
        match self {
            Self::Discovery => "onedrive.discovery",
            Self::Authorize => "onedrive.authorize",
            Self::Token => "onedrive.token",
            Self::Device => "onedrive.device-code",
            Self::Me => "onedrive.me",
            Self::Drives => "onedrive.drives",
            Self::Drive(_) => "onedrive.drive",
            Self::Batch => "onedrive.batch",
            Self::Item(verb, _) => verb.kind(),
            Self::Download(_) => "onedrive.download",
            Self::Monitor(_) => "onedrive.monitor",
            Self::Upload(_) => match method.as_str() {
                "PUT" => "onedrive.session-part",
                "DELETE" => "onedrive.session-cancel",
                "POST" => "onedrive.session-commit",
                _ => "onedrive.session-status",
            },
        }
    }

    /// The account a request acts for, as far as it tells.
    pub(crate) fn account(&self, service: &OneDrive, call: &Call) -> Option<String> {
        match self {
            Self::Upload(token) => service.sessions.account(token),
            Self::Monitor(token) => service.jobs.account(token),
            Self::Download(text) => {
                let ticket: Option<ticket::Download> = service.seal.open(ticket::DOWNLOAD, text);
                ticket.map(|ticket| ticket.account)
            }
            Self::Discovery
            | Self::Authorize
            | Self::Token
            | Self::Device
            | Self::Me
            | Self::Drives
            | Self::Drive(_)
            | Self::Batch
            | Self::Item(..) => service.tokens.owner(call.bearer()?),
        }
    }
}

fn login_operation(call: &Call) -> Option<Operation> {
    if call.method == Method::GET && call.path.ends_with("/v2.0/.well-known/openid-configuration") {
        return Some(Operation::Discovery);
    }
    let (_, action) = call.path.split_once("/oauth2/v2.0/")?;
    match (call.method.as_str(), action) {
        ("GET", "authorize") => Some(Operation::Authorize),
        ("POST", "token") => Some(Operation::Token),
        ("POST", "devicecode") | ("GET", "deviceauth") => Some(Operation::Device),
        _ => None,
    }
}

fn storage_operation(call: &Call) -> Option<Operation> {
    let (purpose, ticket) = ticket::read(call)?;
    match (purpose, call.method.as_str()) {
        (Purpose::Upload, "PUT" | "GET" | "DELETE" | "POST") => Some(Operation::Upload(ticket)),
        (Purpose::Download, "GET" | "HEAD") => Some(Operation::Download(ticket)),
        (Purpose::Monitor, "GET") => Some(Operation::Monitor(ticket)),
        _ => None,
    }
}

fn graph_operation(call: &Call) -> Option<Operation> {
    let place = address::parse(&call.path)?;
    match (call.method.as_str(), place) {
        ("GET", Place::Me) => Some(Operation::Me),
        ("GET", Place::Drives) => Some(Operation::Drives),
        ("GET", Place::Drive(name)) => Some(Operation::Drive(name)),
        ("POST", Place::Batch) => Some(Operation::Batch),
        (_, Place::Item(address)) => {
            let verb = Verb::of(&call.method, &address.action)?;
            Some(Operation::Item(verb, address))
        }
        _ => None,
    }
}

/// Who asks, and what they may do.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) service: &'a OneDrive,
    pub(crate) account: String,
    access: Access,
}

impl<'a> Context<'a> {
    /// Checks the token of a Graph call.
    pub(crate) fn sign_in(service: &'a OneDrive, call: &Call) -> Result<Self, Failure> {
        let refused = |message| Failure::new(401, "InvalidAuthenticationToken", message);
        let access = service.tokens.check(call.bearer()).map_err(|why| match why {
            Refused::Missing => refused("Access token is empty."),
            Refused::Invalid => refused("IDX14100: the token could not be validated."),
            Refused::Expired => refused("Access token has expired or is not yet valid."),
        })?;
        Ok(Self { service, account: access.account.clone(), access })
    }

    fn may_write(&self) -> bool {
        let mut scopes = self.access.scopes.iter();
        scopes.any(|scope| scope.contains("ReadWrite") || scope.ends_with(".default"))
    }

    /// Whether the token reaches the application's folder and nothing else.
    fn is_confined(&self) -> bool {
        let mut scopes = self.access.scopes.iter();
        let broad = |scope: &String| {
            (scope.starts_with("Files.") || scope.starts_with("Sites.")) && !scope.ends_with(".AppFolder")
        };
        !scopes.any(broad) && self.access.scopes.iter().any(|scope| scope.ends_with(".AppFolder"))
    }

    /// The drive that was named.
    pub(crate) fn drive(&self, name: &DriveName) -> Result<Arc<Mutex<Drive>>, Failure> {
        let own = self.service.own_drive(&self.account);
        let found = match name {
            DriveName::Mine => own.clone(),
            DriveName::Id(id) => self.service.drive_by_id(&self.account, id),
        };
        found.ok_or_else(|| match own {
            Some(own) if !lock(&own).keeps_versions() => Failure::bad_handle(),
            _ => Failure::not_found(),
        })
    }

    /// The item a path starts from. The application's folder is made when it is first asked for.
    pub(crate) fn start(&self, drive: &mut Drive, start: &Start) -> Result<Key, Failure> {
        let key = match start {
            Start::Root => drive.root,
            Start::Id(id) => drive.by_id(id)?,
            Start::AppFolder => self.app_folder(drive)?,
        };
        if self.is_confined() {
            let folder = self.app_folder(drive)?;
            if !drive.is_inside(key, folder) {
                return Err(Failure::denied());
            }
        }
        Ok(key)
    }

    fn app_folder(&self, drive: &mut Drive) -> Result<Key, Failure> {
        let names = ["Apps".to_owned(), self.service.app_folder(&self.account)];
        let root = drive.root;
        match drive.resolve(root, &names) {
            Ok(key) => Ok(key),
            Err(_) if !self.may_write() => Err(Failure::denied()),
            Err(_) => drive.resolve_or_make(root, &names, self.service.clock.now()),
        }
    }

    /// The item an address names.
    pub(crate) fn resolve(&self, drive: &mut Drive, address: &Address) -> Result<Key, Failure> {
        let start = self.start(drive, &address.start)?;
        drive.resolve(start, &address.names)
    }

    pub(crate) fn view<'b>(&'b self, call: &'b Call, name: &'b DriveName) -> View<'b> {
        View::new(self.service, call, &self.account, name)
    }
}

/// Answers a request that `Operation::of` has named.
pub(crate) async fn handle(world: &Arc<World>, operation: Operation, call: &mut Call) -> Answer {
    let service = &world.onedrive;
    let answer = match operation {
        Operation::Authorize => {
            return Ok(login::authorize(&service.tokens, Flavour::Microsoft, call));
        }
        Operation::Discovery => return Ok(login::discovery(call)),
        Operation::Token => return login::token(&service.tokens, Flavour::Microsoft, call).await,
        Operation::Device => return login::device(&service.tokens, call).await,
        Operation::Upload(token) => return storage(session::handle(service, &token, call).await),
        Operation::Download(ticket) => {
            return storage(content::download(service, &ticket, call));
        }
        Operation::Monitor(token) => return storage(copy::monitor(service, &token)),
        Operation::Batch => return Box::pin(batch::handle(world, call)).await,
        Operation::Me => me(service, call),
        Operation::Drives => drives(service, call),
        Operation::Drive(name) => drive(service, call, &name),
        Operation::Item(verb, address) => item(service, verb, &address, call).await,
    };
    answer.map(|reply| with_ids(reply, call))
}

async fn item(service: &OneDrive, verb: Verb, address: &Address, call: &mut Call) -> Answer {
    let context = Context::sign_in(service, call)?;
    service.jobs.settle(service);
    if verb.writes() && !context.may_write() {
        return Err(Failure::denied().into());
    }
    match verb {
        Verb::Get => item::get(&context, address, call),
        Verb::Update => item::update(&context, address, call).await,
        Verb::Delete => item::delete(&context, address, call, false),
        Verb::PermanentDelete => item::delete(&context, address, call, true),
        Verb::CommitSession => session::commit_by_path(&context, address, call).await,
        Verb::Children => children::list(&context, address, call),
        Verb::CreateFolder => children::create(&context, address, call).await,
        Verb::Content => content::redirect(&context, address, call),
        Verb::PutContent => content::put(&context, address, call).await,
        Verb::CreateSession => session::create(&context, address, call).await,
        Verb::Copy => copy::start(&context, address, call).await,
        Verb::Delta => delta::page(&context, address, call),
        Verb::Versions => version::list(&context, address, call),
        Verb::VersionContent => version::content(&context, address, call),
        Verb::DeleteVersion => version::delete(&context, address),
        Verb::RestoreVersion => version::restore(&context, address),
    }
}

fn me(service: &OneDrive, call: &Call) -> Answer {
    let context = Context::sign_in(service, call)?;
    let body = json!({
        "id": "48d31887-5fad-4d73-a9f5-3c356e68a038",
        "displayName": context.account,
        "userPrincipalName": format!("{}@contoso.onmicrosoft.com", context.account),
        "mail": format!("{}@contoso.onmicrosoft.com", context.account),
    });
    Ok(Reply::json(StatusCode::OK, &body))
}

fn drives(service: &OneDrive, call: &Call) -> Answer {
    let context = Context::sign_in(service, call)?;
    let view = context.view(call, &DriveName::Mine);
    let drives = service.drives(&context.account);
    let values: Vec<Value> = drives.iter().map(|drive| view.drive(&lock(drive))).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "value": values })))
}

fn drive(service: &OneDrive, call: &Call, name: &DriveName) -> Answer {
    let context = Context::sign_in(service, call)?;
    service.jobs.settle(service);
    let drive = context.drive(name)?;
    let value = context.view(call, name).drive(&lock(&drive));
    Ok(Reply::json(StatusCode::OK, &value))
}

/// Errors of storage hosts have another spelling.
fn storage(answer: Result<Reply, Refusal>) -> Answer {
    answer.map_err(|refusal| match refusal {
        Refusal::Failure(failure) => Stop::from(failure.reply(true)),
        Refusal::Stop(stop) => stop,
    })
}

/// Why a storage host does not do what was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    Failure(Failure),
    Stop(Stop),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Stop(error.into())
    }
}

impl From<crate::inbound::Broken> for Refusal {
    fn from(broken: crate::inbound::Broken) -> Self {
        Self::Stop(broken.into())
    }
}

fn with_ids(reply: Reply, call: &Call) -> Reply {
    let id = crate::seal::guid();
    let client = call.header("client-request-id").unwrap_or(&id).to_owned();
    reply
        .header(HeaderName::from_static("request-id"), id)
        .header(HeaderName::from_static("client-request-id"), client)
}

/// The JSON body of a request; an empty one is an empty object.
pub(crate) async fn document(call: &mut Call) -> Result<Value, Stop> {
    let bytes = call.body.read(DOCUMENT_BYTES_MAX).await?;
    let too_large = || Failure::new(413, "requestEntityTooLarge", "The body is too large");
    let bytes = bytes.ok_or_else(too_large)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    let value: Result<Value, _> = serde_json::from_slice(&bytes);
    match value {
        Ok(Value::Null) => Ok(json!({})),
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) | Err(_) => Err(Failure::new(400, "BadRequest", "Unable to read JSON request payload.").into()),
    }
}

/// What a document or a query says about conflicts, in the new spelling or the old.
pub(crate) fn conflict(document: &Value, call: &Call) -> Result<Option<Conflict>, Failure> {
    const NEW: &str = "@microsoft.graph.conflictBehavior";
    const OLD: &str = "@name.conflictBehavior";
    let spelled = [NEW, OLD].iter().find_map(|key| document.get(key)?.as_str());
    let text = spelled.or_else(|| call.query(NEW)).or_else(|| call.query(OLD));
    let parse = |text| {
        let bad = || Failure::invalid("conflictBehavior must be fail, replace or rename");
        Conflict::parse(text).ok_or_else(bad)
    };
    text.map(parse).transpose()
}

/// A redirect to a pre-authenticated address.
pub(crate) fn found(url: &str) -> Reply {
    Reply::empty(StatusCode::FOUND).header(LOCATION, url)
}
