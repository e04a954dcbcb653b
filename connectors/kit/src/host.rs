//! The host as a [`Broker`], and a [`Connector`] as a component's exports. WebAssembly only.

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::time::Duration;

use crate::bindings::exports::wharf::connector::destination::{self, Guest};
use crate::bindings::wharf::connector::{broker, content, log, settings};
use crate::{
    Algorithm, Broker, ChangesPage, Connector, Entry, Error, Failure, Info, Level, Page, Payload, Progress,
    Relocation, Removal, Reply, Request, Settings, Space, Staged, Upload,
};

/// The host, as the operation that runs here sees it.
#[derive(Debug, Default)]
pub struct Host {
    settings: OnceCell<Settings>,
}

impl Broker for Host {
    type Content = content::Content;
    type Body = content::Body;

    fn exchange(
        &mut self,
        request: &Request<'_, content::Content>,
        limit_bytes: u32,
    ) -> Result<Reply, Failure> {
        broker::exchange(&lower(request), limit_bytes)
    }

    fn fetch(&mut self, request: &Request<'_, content::Content>) -> Result<(Reply, content::Body), Failure> {
        broker::fetch(&lower(request))
    }

    fn settings(&self) -> &Settings {
        self.settings.get_or_init(settings::get)
    }

    fn size(&self, content: &content::Content) -> u64 {
        content.size()
    }

    fn read(&self, content: &content::Content, offset: u64, len_bytes: u32) -> Option<Vec<u8>> {
        content.read(offset, len_bytes)
    }

    fn hash(&self, content: &content::Content, algorithm: Algorithm) -> Option<Vec<u8>> {
        content.hash(algorithm)
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn log(&mut self, level: Level, message: &str) {
        log::write(level, message);
    }
}

fn lower<'a>(request: &Request<'a, content::Content>) -> broker::Request<'a> {
    let owned = |pairs: &[(&'static str, String)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    broker::Request {
        route: request.route.to_owned(),
        item: request.item.as_deref().map(str::to_owned),
        handle: request.handle.map(str::to_owned),
        query: owned(&request.query),
        headers: owned(&request.headers),
        json: request.json.clone(),
        payload: match &request.payload {
            Payload::None => broker::Payload::None,
            Payload::Bytes(bytes) => broker::Payload::Bytes(bytes.clone()),
            Payload::Section { content, offset, len } => {
                broker::Payload::Section(broker::Section { source: content, offset: *offset, len: *len })
            }
        },
        replay: request.replay,
    }
}

/// A connector in the shape that the generated exports ask for.
#[derive(Debug)]
pub struct Component<C>(PhantomData<C>);

impl<C: Connector<Host>> Guest for Component<C> {
    fn stat(path: String) -> Result<Entry, Error> {
        C::stat(&mut Host::default(), &path)
    }

    fn list(path: String, recursive: bool, next: Option<String>) -> Result<Page, Error> {
        C::list(&mut Host::default(), &path, recursive, next.as_deref())
    }

    fn make_folder(path: String) -> Result<Entry, Error> {
        C::make_folder(&mut Host::default(), &path)
    }

    fn put(path: String, source: content::Content, info: Info) -> Result<Entry, Error> {
        C::put(&mut Host::default(), &path, &source, &info)
    }

    fn begin_upload(path: String, info: Info, first: Option<content::Content>) -> Result<Upload, Error> {
        C::begin_upload(&mut Host::default(), &path, &info, first.as_ref())
    }

    fn upload_part(
        session: String,
        offset: u64,
        info: Info,
        source: content::Content,
        last: bool,
    ) -> Result<Progress, Error> {
        C::upload_part(&mut Host::default(), &session, offset, &info, &source, last)
    }

    fn upload_status(session: String, path: String, info: Info) -> Result<Progress, Error> {
        C::upload_status(&mut Host::default(), &session, &path, &info)
    }

    fn abort_upload(session: String) -> Result<(), Error> {
        C::abort_upload(&mut Host::default(), &session)
    }

    fn finish_uploads(uploads: Vec<Staged>) -> Result<Vec<Result<Entry, Error>>, Error> {
        C::finish_uploads(&mut Host::default(), &uploads)
    }

    fn get(
        path: String,
        offset: u64,
        len: Option<u64>,
        revision: Option<String>,
    ) -> Result<destination::Download, Error> {
        let download = C::get(&mut Host::default(), &path, offset, len, revision.as_deref())?;
        Ok(destination::Download { body: download.body, offset: download.offset, entry: download.entry })
    }

    fn remove(items: Vec<Removal>) -> Result<Vec<Result<(), Error>>, Error> {
        C::remove(&mut Host::default(), &items)
    }

    fn relocate(from: String, to: String) -> Result<Relocation, Error> {
        C::relocate(&mut Host::default(), &from, &to)
    }

    fn copy(from: String, to: String) -> Result<Relocation, Error> {
        C::copy(&mut Host::default(), &from, &to)
    }

    fn relocation_status(job: String, to: String) -> Result<Relocation, Error> {
        C::relocation_status(&mut Host::default(), &job, &to)
    }

    fn usage() -> Result<Space, Error> {
        C::usage(&mut Host::default())
    }

    fn changes(cursor: Option<String>) -> Result<ChangesPage, Error> {
        C::changes(&mut Host::default(), cursor.as_deref())
    }
}
