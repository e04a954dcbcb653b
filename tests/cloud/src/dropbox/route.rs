//! Which request is which, on which host it belongs, who sends it, and which word answers it.

use std::sync::Arc;

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::Source;
use super::{Account, Dropbox, DropboxSwitches};
use super::{delete, download, error, folder, job, link, list, relocate, revision, session};
use super::{upload, user};
use crate::call::Call;
use crate::hosts::Role;
use crate::inbound::DOCUMENT_BYTES_MAX;
use crate::login::{self, Flavour};
use crate::reply::{Answer, Reply, Stop};
use crate::token::Refused;
use crate::world::World;

/// Where a route takes its argument, which also decides its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// JSON body, on the API host.
    Rpc,
    /// Argument in a header, content as the body, on the content host.
    Upload,
    /// Argument in a header, content as the reply, on the content host.
    Download,
    /// JSON body, no token, on the notify host.
    Notify,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    AppendBatch,
    Append,
    AppendOld,
    CopyBatch,
    CheckJob,
    Copy,
    CreateFolder,
    CreateFolderBatch,
    CurrentAccount,
    Delete,
    DeleteBatch,
    Download,
    Finish,
    FinishBatch,
    FinishBatchOld,
    LatestCursor,
    ListContinue,
    ListFolder,
    ListRevisions,
    Longpoll,
    Metadata,
    Move,
    MoveBatch,
    PermanentDelete,
    Restore,
    Revoke,
    SessionStart,
    SessionStartBatch,
    SpaceUsage,
    TemporaryLink,
    TemporaryUploadLink,
    Upload,
}

/// One route of the API.
#[derive(Debug)]
pub(crate) struct Route {
    name: &'static str,
    kind: &'static str,
    style: Style,
    scope: &'static str,
    verb: Verb,
}

const fn route(
    name: &'static str,
    kind: &'static str,
    style: Style,
    scope: &'static str,
    verb: Verb,
) -> Route {
    Route { name, kind, style, scope, verb }
}

const ACCOUNT: &str = "account_info.read";
const META: &str = "files.metadata.read";
const READ: &str = "files.content.read";
const WRITE: &str = "files.content.write";

#[rustfmt::skip]
const ROUTES: [Route; 36] = [
    route("auth/token/revoke", "dropbox.revoke", Style::Rpc, "", Verb::Revoke),
    route("users/get_current_account", "dropbox.account", Style::Rpc, ACCOUNT, Verb::CurrentAccount),
    route("users/get_space_usage", "dropbox.space-usage", Style::Rpc, ACCOUNT, Verb::SpaceUsage),
    route("files/get_metadata", "dropbox.metadata", Style::Rpc, META, Verb::Metadata),
    route("files/list_folder", "dropbox.list-folder", Style::Rpc, META, Verb::ListFolder),
    route("files/list_folder/continue", "dropbox.list-continue", Style::Rpc, META, Verb::ListContinue),
    route("files/list_folder/get_latest_cursor", "dropbox.latest-cursor", Style::Rpc, META, Verb::LatestCursor),
    route("files/list_folder/longpoll", "dropbox.longpoll", Style::Notify, "", Verb::Longpoll),
    route("files/create_folder_v2", "dropbox.create-folder", Style::Rpc, WRITE, Verb::CreateFolder),
    route("files/create_folder_batch", "dropbox.create-folder-batch", Style::Rpc, WRITE, Verb::CreateFolderBatch),
    route("files/create_folder_batch/check", "dropbox.create-folder-check", Style::Rpc, WRITE, Verb::CheckJob),
    route("files/upload", "dropbox.upload", Style::Upload, WRITE, Verb::Upload),
    route("files/upload_session/start", "dropbox.session-start", Style::Upload, WRITE, Verb::SessionStart),
    route("files/upload_session/start_batch", "dropbox.session-start-batch", Style::Rpc, WRITE, Verb::SessionStartBatch),
    route("files/upload_session/append", "dropbox.append", Style::Upload, WRITE, Verb::AppendOld),
    route("files/upload_session/append_v2", "dropbox.append", Style::Upload, WRITE, Verb::Append),
    route("files/upload_session/append_batch", "dropbox.append-batch", Style::Upload, WRITE, Verb::AppendBatch),
    route("files/upload_session/finish", "dropbox.finish", Style::Upload, WRITE, Verb::Finish),
    route("files/upload_session/finish_batch", "dropbox.finish-batch-job", Style::Rpc, WRITE, Verb::FinishBatchOld),
    route("files/upload_session/finish_batch_v2", "dropbox.finish-batch", Style::Rpc, WRITE, Verb::FinishBatch),
    route("files/upload_session/finish_batch/check", "dropbox.finish-batch-check", Style::Rpc, WRITE, Verb::CheckJob),
    route("files/delete_v2", "dropbox.delete", Style::Rpc, WRITE, Verb::Delete),
    route("files/delete_batch", "dropbox.delete-batch", Style::Rpc, WRITE, Verb::DeleteBatch),
    route("files/delete_batch/check", "dropbox.delete-check", Style::Rpc, WRITE, Verb::CheckJob),
    route("files/permanently_delete", "dropbox.permanent-delete", Style::Rpc, "files.permanent_delete", Verb::PermanentDelete),
    route("files/move_v2", "dropbox.move", Style::Rpc, WRITE, Verb::Move),
    route("files/move_batch_v2", "dropbox.move-batch", Style::Rpc, WRITE, Verb::MoveBatch),
    route("files/move_batch/check_v2", "dropbox.move-check", Style::Rpc, WRITE, Verb::CheckJob),
    route("files/copy_v2", "dropbox.copy", Style::Rpc, WRITE, Verb::Copy),
    route("files/copy_batch_v2", "dropbox.copy-batch", Style::Rpc, WRITE, Verb::CopyBatch),
    route("files/copy_batch/check_v2", "dropbox.copy-check", Style::Rpc, WRITE, Verb::CheckJob),
    route("files/download", "dropbox.download", Style::Download, READ, Verb::Download),
    route("files/list_revisions", "dropbox.revisions", Style::Rpc, META, Verb::ListRevisions),
    route("files/restore", "dropbox.restore", Style::Rpc, WRITE, Verb::Restore),
    route("files/get_temporary_link", "dropbox.temporary-link", Style::Rpc, READ, Verb::TemporaryLink),
    route("files/get_temporary_upload_link", "dropbox.temporary-upload-link", Style::Rpc, WRITE, Verb::TemporaryUploadLink),
];

/// What a request turned out to be.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Authorize,
    Token,
    Route(&'static Route),
    Link(String),
    UploadLink(String),
}

impl Operation {
    /// Names a request, or says that nothing fits.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        let path = call.path.as_str();
        let get_or_head = matches!(call.method.as_str(), "GET" | "HEAD");
        match call.role {
            Role::DropboxLink => {
                let token = path.strip_prefix("/cd/0/get/")?.split('/').next()?;
                get_or_head.then(|| Self::Link(token.to_owned()))
            }
            Role::DropboxWeb
            | Role::DropboxApi
            | Role::DropboxContent
            | Role::DropboxNotify
            | Role::Local => Self::by_path(call, path),
            Role::Graph | Role::Login | Role::Storage | Role::Unknown => None,
        }
    }

    fn by_path(call: &Call, path: &str) -> Option<Self> {
        let post = call.method == http::Method::POST;
        match path {
            "/oauth2/authorize" | "/1/oauth2/authorize" if !post => return Some(Self::Authorize),
            "/oauth2/token" | "/1/oauth2/token" if post => return Some(Self::Token),
            _ => {}
        }
        if let Some(token) = path.strip_prefix("/apitul/1/") {
            return post.then(|| Self::UploadLink(token.to_owned()));
        }
        let name = path.strip_prefix("/2/")?;
        let route = ROUTES.iter().find(|route| route.name == name)?;
        let get = call.method == http::Method::GET && route.style == Style::Download;
        (post || get).then_some(Self::Route(route))
    }

    /// The name in the log.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Authorize => "dropbox.authorize",
            Self::Token => "dropbox.token",
            Self::Route(route) => route.kind,
            Self::Link(_) => "dropbox.link",
            Self::UploadLink(_) => "dropbox.upload-link",
        }
    }

    /// The path for the log, without the secret of a link.
    pub(crate) fn path(&self, call: &Call) -> String {
        match self {
            Self::Link(_) => "/cd/0/get/*".to_owned(),
            Self::UploadLink(_) => "/apitul/1/*".to_owned(),
            Self::Authorize | Self::Token | Self::Route(_) => call.path.clone(),
        }
    }

    /// The account a request acts for, as far as it tells.
    pub(crate) fn account(&self, service: &Dropbox, call: &Call) -> Option<String> {
        match self {
            Self::Authorize | Self::Token => None,
            Self::Route(_) => service.tokens.owner(call.bearer()?),
            Self::Link(token) | Self::UploadLink(token) => service.links.account(token),
        }
    }
}

/// Who asks, and of what.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) service: &'a Dropbox,
    pub(crate) account: Arc<Account>,
    pub(crate) source: Source,
    pub(crate) kind: &'static str,
    pub(crate) switches: DropboxSwitches,
    /// The argument as JSON text.
    text: String,
}

impl Context<'_> {
    /// The argument of the route.
    pub(crate) fn args<T: DeserializeOwned>(&self) -> Result<T, Stop> {
        self.source.parse(&self.text)
    }

    /// Tells long polls that something changed.
    pub(crate) fn changed(&self) {
        self.account.changed.notify_waiters();
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.service.clock.now()
    }
}

/// Answers a request that `Operation::of` has named.
pub(crate) async fn handle(world: &Arc<World>, operation: Operation, call: &mut Call) -> Answer {
    let service = &world.dropbox;
    match operation {
        Operation::Authorize => Ok(login::authorize(&service.tokens, Flavour::Dropbox, call)),
        Operation::Token => login::token(&service.tokens, Flavour::Dropbox, call).await,
        Operation::Link(token) => link::download(service, &token, call),
        Operation::UploadLink(token) => link::upload(service, &token, call).await,
        Operation::Route(route) => {
            check_host(route, call)?;
            if route.verb == Verb::Longpoll {
                let text = body(route, call).await?;
                return list::longpoll(service, route_source(route), &text).await;
            }
            let context = context(service, route, call).await?;
            dispatch(route.verb, &context, call).await
        }
    }
}

fn route_source(route: &Route) -> Source {
    let place = match route.style {
        Style::Rpc | Style::Notify => "request body",
        Style::Upload | Style::Download => "HTTP header \"Dropbox-API-Arg\"",
    };
    Source { route: route.name, place, normalize: false }
}

/// A route on the wrong host is refused in plain text. On the machine's own name all hosts are one.
fn check_host(route: &Route, call: &Call) -> Result<(), Stop> {
    let (right, host) = match route.style {
        Style::Rpc => (Role::DropboxApi, "api.dropboxapi.com"),
        Style::Upload | Style::Download => (Role::DropboxContent, "content.dropboxapi.com"),
        Style::Notify => (Role::DropboxNotify, "notify.dropboxapi.com"),
    };
    if call.role == right || call.is_local() {
        return Ok(());
    }
    let text = format!(
        "Error in call to API function \"{}\": This API function operates on a different host: {host}",
        route.name
    );
    Err(Reply::text(StatusCode::BAD_REQUEST, text).into())
}

/// Checks the token, its scope and the path root, and reads the argument.
async fn context<'a>(
    service: &'a Dropbox,
    route: &'static Route,
    call: &mut Call,
) -> Result<Context<'a>, Stop> {
    let account = sign_in(service, route, call)?;
    let switches = service.switches();
    let text = match route.style {
        Style::Rpc | Style::Notify => body(route, call).await?,
        Style::Upload | Style::Download => argument(route, &switches, call)?,
    };
    service.jobs.settle(service, &account);
    let source = Source { normalize: switches.normalize, ..route_source(route) };
    Ok(Context { service, account, source, kind: route.kind, switches, text })
}

fn sign_in(service: &Dropbox, route: &Route, call: &Call) -> Result<Arc<Account>, Stop> {
    let refused = |tag: &str| Stop::from(error::unauthorized(serde_json::json!({".tag": tag})));
    let access = service.tokens.check(call.bearer()).map_err(|why| match why {
        Refused::Missing => {
            let text = format!(
                "Error in call to API function \"{}\": Must provide HTTP header \"Authorization\" or URL parameter \"authorization\".",
                route.name
            );
            Reply::text(StatusCode::BAD_REQUEST, text).into()
        }
        Refused::Invalid => refused("invalid_access_token"),
        Refused::Expired => refused("expired_access_token"),
    })?;
    if !route.scope.is_empty() && !access.scopes.iter().any(|scope| scope == route.scope) {
        return Err(error::missing_scope(route.scope).into());
    }
    let account = service.account(&access.account);
    let account = account.ok_or_else(|| refused("invalid_access_token"))?;
    user::check_path_root(&account, call)?;
    Ok(account)
}

/// The JSON body of a call.
async fn body(route: &Route, call: &mut Call) -> Result<String, Stop> {
    let kind = call.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    let bytes = call.body.read(DOCUMENT_BYTES_MAX).await?.unwrap_or_default();
    if !bytes.is_empty() && kind != "application/json" && kind != "text/plain" {
        let text = format!(
            "Error in call to API function \"{}\": Bad HTTP \"Content-Type\" header: \"{kind}\".  Expecting one of \"application/json\", \"application/json; charset=utf-8\", \"text/plain; charset=dropbox-cors-hack\".",
            route.name
        );
        return Err(Reply::text(StatusCode::BAD_REQUEST, text).into());
    }
    String::from_utf8(bytes).map_err(|_| route_source(route).bad("could not decode input as JSON"))
}

/// The argument of a content call: in a header, escaped or raw, or in the query.
fn argument(route: &Route, switches: &DropboxSwitches, call: &Call) -> Result<String, Stop> {
    let source = route_source(route);
    if route.style == Style::Upload {
        let kind = call.header("content-type").unwrap_or("application/octet-stream");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind != "application/octet-stream" && kind != "text/plain" {
            let text = format!(
                "Error in call to API function \"{}\": Bad HTTP \"Content-Type\" header: \"{kind}\".  Expecting one of \"application/octet-stream\", \"text/plain; charset=dropbox-cors-hack\".",
                route.name
            );
            return Err(Reply::text(StatusCode::BAD_REQUEST, text).into());
        }
    }
    let header = call.headers.get("dropbox-api-arg");
    let text = match (header, call.query("arg")) {
        (Some(value), _) => {
            let ascii = value.as_bytes().is_ascii();
            if switches.require_escaped_header && !ascii {
                return Err(source.bad("could not decode input as JSON"));
            }
            let text = std::str::from_utf8(value.as_bytes());
            text.map_err(|_| source.bad("could not decode input as JSON"))?
        }
        (None, Some(text)) => text,
        (None, None) => {
            return Err(source.bad("Must provide HTTP header \"Dropbox-API-Arg\" or URL parameter \"arg\"."));
        }
    };
    Ok(text.to_owned())
}

async fn dispatch(verb: Verb, context: &Context<'_>, call: &mut Call) -> Answer {
    match verb {
        Verb::AppendBatch => session::append_batch(context, call).await,
        Verb::Append => session::append(context, call).await,
        Verb::AppendOld => session::append_old(context, call).await,
        Verb::Copy => relocate::one(context, true).await,
        Verb::CopyBatch => relocate::batch(context, true).await,
        Verb::CheckJob => job::check(context),
        Verb::CreateFolder => folder::create(context).await,
        Verb::CreateFolderBatch => folder::create_batch(context),
        Verb::CurrentAccount => user::current_account(context),
        Verb::Delete => delete::one(context).await,
        Verb::DeleteBatch => delete::batch(context, call),
        Verb::Download => download::handle(context, call),
        Verb::Finish => session::finish(context, call).await,
        Verb::FinishBatch => session::finish_batch(context, call).await,
        Verb::FinishBatchOld => session::finish_batch_job(context, call).await,
        Verb::LatestCursor => list::latest_cursor(context),
        Verb::ListContinue => list::go_on(context),
        Verb::ListFolder => list::start(context),
        Verb::ListRevisions => revision::list(context),
        Verb::Longpoll => Err(context.source.bad("no token is taken here")),
        Verb::Metadata => download::metadata(context),
        Verb::Move => relocate::one(context, false).await,
        Verb::MoveBatch => relocate::batch(context, false).await,
        Verb::PermanentDelete => delete::for_good(context).await,
        Verb::Restore => revision::restore(context),
        Verb::Revoke => {
            context.service.tokens.revoke_access(call.bearer().unwrap_or_default());
            Ok(null())
        }
        Verb::SessionStart => session::start(context, call).await,
        Verb::SessionStartBatch => session::start_batch(context),
        Verb::SpaceUsage => user::space_usage(context),
        Verb::TemporaryLink => link::create(context, call),
        Verb::TemporaryUploadLink => link::create_upload(context, call),
        Verb::Upload => upload::handle(context, call).await,
    }
}

/// A reply with a result.
pub(crate) fn ok(value: &Value) -> Reply {
    Reply::value(StatusCode::OK, value)
}

/// The reply of a route whose result is void.
pub(crate) fn null() -> Reply {
    Reply::json(StatusCode::OK, &Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_one_entry() {
        for (place, route) in ROUTES.iter().enumerate() {
            let first = ROUTES.iter().position(|other| other.name == route.name);
            assert_eq!(first, Some(place), "{}", route.name);
        }
    }
}
