//! Upload sessions: content in several requests, in order or in parallel, then one commit.
//!
//! As with OneDrive's sessions, what is known of a session and the file being written are behind
//! two locks, so that one is never held across I/O.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::args::{
    SessionAppend, SessionAppendBatch, SessionCursor, SessionFinish, SessionFinishBatch, SessionStart,
    SessionStartBatch,
};
use super::block::Blocks;
use super::entry::Commit;
use super::route::{self, Context};
use super::{Account, commit, error, job, metadata, upload};
use crate::call::Call;
use crate::clock;
use crate::hash::{CONTENT_BLOCK_BYTES, ContentHash, Hasher};
use crate::number;
use crate::reply::{Answer, Reply, Stop};
use crate::seal;
use crate::store::{Blob, Writer};
use crate::sync::lock;

/// The largest file: 2^41 − 2^22 bytes.
const FILE_BYTES_MAX: u64 = (1 << 41) - (1 << 22);
/// Sessions that are remembered before those that are over are forgotten.
const SESSIONS_MAX: usize = 20_000;
/// Sessions of one batch.
const BATCH_MAX: usize = 1000;

/// The sessions of all accounts, by id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Mutex<HashMap<String, Arc<Session>>>,
}

/// One upload.
#[derive(Debug)]
struct Session {
    account: String,
    concurrent: bool,
    expires: Timestamp,
    state: Mutex<State>,
    writer: tokio::sync::Mutex<Option<Writer>>,
}

/// What is known of an upload.
#[derive(Debug, Default)]
struct State {
    /// The end of what has arrived.
    offset: u64,
    closed: bool,
    finished: bool,
    /// Hashes of the blocks of a parallel upload.
    blocks: BTreeMap<u64, [u8; 32]>,
    /// All bytes, once they have been put together.
    whole: Option<Arc<Blob>>,
}

impl State {
    /// The session is done; its bytes belong to the file now.
    fn finish(&mut self) {
        self.finished = true;
        self.whole = None;
        self.blocks = BTreeMap::new();
    }
}

fn tag(name: &str) -> Value {
    json!({".tag": name})
}

impl Sessions {
    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        let table = lock(&self.table);
        table.values().filter(|s| !lock(&s.state).finished).count()
    }

    fn open(&self, context: &Context<'_>, concurrent: bool) -> (String, Arc<Session>) {
        let id = format!("pid_upload_session:{}", seal::random(44));
        let life = Duration::from_secs(context.switches.session_seconds);
        let session = Arc::new(Session {
            account: context.account.name.clone(),
            concurrent,
            expires: clock::later(context.now(), life),
            state: Mutex::default(),
            writer: tokio::sync::Mutex::default(),
        });
        let mut table = lock(&self.table);
        if table.len() >= SESSIONS_MAX {
            let now = context.now();
            table.retain(|_, old| now < old.expires && !lock(&old.state).finished);
        }
        table.insert(id.clone(), Arc::clone(&session));
        (id, session)
    }

    /// Keeps the bytes of an upload that could not be saved; gives the session's id.
    pub(crate) fn keep(&self, context: &Context<'_>, blob: Arc<Blob>) -> String {
        let (id, session) = self.open(context, false);
        let mut state = lock(&session.state);
        state.offset = blob.size();
        state.closed = true;
        state.whole = Some(blob);
        id
    }

    /// The session with an id; the error is an `UploadSessionLookupError`.
    fn get(&self, context: &Context<'_>, id: &str) -> Result<Arc<Session>, Value> {
        let found = lock(&self.table).get(id).cloned();
        let own = found.filter(|session| session.account == context.account.name);
        let session = own.ok_or_else(|| tag("not_found"))?;
        let finished = lock(&session.state).finished;
        match (finished, context.switches.finished_is_closed) {
            (true, true) => Err(tag("closed")),
            (true, false) => Err(tag("not_found")),
            (false, _) if context.now() >= session.expires => Err(tag("not_found")),
            (false, _) => Ok(session),
        }
    }
}

/// What a body must satisfy, and what follows it.
struct Part<'a> {
    offset: u64,
    close: bool,
    hash: Option<&'a str>,
    /// The part of a shared body that is this one's; all of it if `None`.
    length: Option<u64>,
}

/// `files/upload_session/start`
pub(crate) async fn start(context: &Context<'_>, call: &mut Call) -> Answer {
    let args: SessionStart = context.args()?;
    upload::check_hash(context, args.content_hash.as_deref())?;
    let concurrent = session_type(context, args.session_type.as_deref())?;
    if concurrent && args.close {
        return Err(error::endpoint(tag("concurrent_session_close_not_allowed")).into());
    }
    if concurrent && call.body.next().await?.is_some() {
        return Err(error::endpoint(tag("concurrent_session_data_not_allowed")).into());
    }
    let (id, session) = context.service.sessions.open(context, concurrent);
    let part = Part { offset: 0, close: args.close, hash: args.content_hash.as_deref(), length: None };
    if !concurrent {
        let taken = session.take(context, call, &part).await;
        if taken.is_err() {
            lock(&context.service.sessions.table).remove(&id);
        }
        taken?;
    }
    Ok(route::ok(&json!({ "session_id": id })))
}

fn session_type(context: &Context<'_>, tag: Option<&str>) -> Result<bool, Stop> {
    match tag {
        None | Some("sequential") => Ok(false),
        Some("concurrent") => Ok(true),
        Some(other) => Err(context.source.bad(&format!("session_type: unknown tag '{other}'"))),
    }
}

/// `files/upload_session/start_batch`
pub(crate) fn start_batch(context: &Context<'_>) -> Answer {
    let args: SessionStartBatch = context.args()?;
    let concurrent = session_type(context, args.session_type.as_deref())?;
    if args.num_sessions == 0 || args.num_sessions > number::size(BATCH_MAX) {
        return Err(context.source.bad("num_sessions: expected 1 to 1000"));
    }
    let open = |_| context.service.sessions.open(context, concurrent).0;
    let ids: Vec<String> = (0..args.num_sessions).map(open).collect();
    Ok(route::ok(&json!({ "session_ids": ids })))
}

/// `files/upload_session/append_v2`
pub(crate) async fn append(context: &Context<'_>, call: &mut Call) -> Answer {
    let args: SessionAppend = context.args()?;
    upload::check_hash(context, args.content_hash.as_deref())?;
    let sessions = &context.service.sessions;
    let session = sessions.get(context, &args.cursor.session_id);
    let session = session.map_err(error::endpoint)?;
    let part = Part {
        offset: args.cursor.offset,
        close: args.close,
        hash: args.content_hash.as_deref(),
        length: None,
    };
    session.take(context, call, &part).await?;
    Ok(route::null())
}

/// `files/upload_session/append`
pub(crate) async fn append_old(context: &Context<'_>, call: &mut Call) -> Answer {
    let cursor: SessionCursor = context.args()?;
    let session = context.service.sessions.get(context, &cursor.session_id);
    let session = session.map_err(error::endpoint)?;
    let part = Part { offset: cursor.offset, close: false, hash: None, length: None };
    session.take(context, call, &part).await?;
    Ok(route::null())
}

/// `files/upload_session/append_batch`: one body, cut by the lengths of its entries.
pub(crate) async fn append_batch(context: &Context<'_>, call: &mut Call) -> Answer {
    let args: SessionAppendBatch = context.args()?;
    if args.entries.len() > BATCH_MAX {
        return Err(context.source.bad("entries: too many items"));
    }
    upload::check_hash(context, args.content_hash.as_deref())?;
    let limit = context.switches.request_bytes_max;
    let whole = upload::receive(context.service, call, limit).await?;
    let whole = whole.ok_or_else(upload::payload_too_large)?;
    let total: u64 = args.entries.iter().map(|entry| entry.length).sum();
    if total != whole.size() {
        return Err(error::endpoint(tag("length_mismatch")).into());
    }
    if args.content_hash.is_some_and(|hash| hash != whole.hash()) {
        return Err(error::endpoint(tag("content_hash_mismatch")).into());
    }
    let mut file = whole.open(0).await?;
    let mut results = Vec::new();
    for entry in &args.entries {
        let bytes = read_exactly(&mut file, entry.length).await?;
        let session = context.service.sessions.get(context, &entry.cursor.session_id);
        let result = match session {
            Err(error) => Err(error),
            Ok(session) => {
                let part = Part {
                    offset: entry.cursor.offset,
                    close: entry.close,
                    hash: None,
                    length: Some(entry.length),
                };
                let mut body = crate::inbound::Inbound::memory(bytes.into());
                session.take_from(context, &mut body, &part).await?
            }
        };
        results.push(match result {
            Ok(()) => tag("success"),
            Err(error) => json!({".tag": "failure", "failure": error}),
        });
    }
    Ok(route::ok(&json!({ "entries": results })))
}

async fn read_exactly(file: &mut tokio::fs::File, length: u64) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    let mut bytes = vec![0; number::index(length)];
    file.read_exact(&mut bytes).await?;
    Ok(bytes)
}

impl Session {
    /// Takes a part of an upload from a request's body.
    async fn take(&self, context: &Context<'_>, call: &mut Call, part: &Part<'_>) -> Result<(), Stop> {
        let taken = self.take_from(context, &mut call.body, part).await?;
        taken.map_err(|error| error::endpoint(error).into())
    }

    /// Takes a part; the inner error is an `UploadSessionAppendError`.
    async fn take_from(
        &self,
        context: &Context<'_>,
        body: &mut crate::inbound::Inbound,
        part: &Part<'_>,
    ) -> Result<Result<(), Value>, Stop> {
        if lock(&self.state).closed {
            return Ok(Err(tag("closed")));
        }
        match self.concurrent {
            true => self.take_block(context, body, part).await,
            false => self.take_next(context, body, part).await,
        }
    }

    /// The next part of an upload in order. A part that breaks off is dropped whole, or kept as
    /// far as it came, as the switch says.
    async fn take_next(
        &self,
        context: &Context<'_>,
        body: &mut crate::inbound::Inbound,
        part: &Part<'_>,
    ) -> Result<Result<(), Value>, Stop> {
        let mut writer = self.writer.lock().await;
        {
            let state = lock(&self.state);
            if state.closed {
                return Ok(Err(tag("closed")));
            }
            if part.offset != state.offset {
                return Ok(Err(incorrect_offset(state.offset)));
            }
        }
        if writer.is_none() {
            *writer = Some(context.service.store.writer(Hasher::content()).await?);
        }
        let Some(file) = writer.as_mut() else {
            return Ok(Err(tag("not_found")));
        };
        let mark = file.mark();
        let mut hash = ContentHash::default();
        let limit = context.switches.request_bytes_max;
        let mut refused = None;
        loop {
            let piece = match body.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(broken) => {
                    match context.switches.keep_partial_appends {
                        true => lock(&self.state).offset = file.size(),
                        false => file.rollback(mark).await?,
                    }
                    return Err(broken.into());
                }
            };
            if part.hash.is_some() {
                hash.update(&piece);
            }
            file.write(&piece).await?;
            if file.size() - part.offset > limit {
                refused = Some(tag("payload_too_large"));
                break;
            }
        }
        if file.size() > FILE_BYTES_MAX {
            refused = Some(tag("too_large"));
        }
        if part.hash.is_some_and(|wanted| wanted != hash.finish()) {
            refused.get_or_insert_with(|| tag("content_hash_mismatch"));
        }
        if let Some(error) = refused {
            file.rollback(mark).await?;
            return Ok(Err(error));
        }
        let mut state = lock(&self.state);
        state.offset = file.size();
        state.closed = part.close;
        Ok(Ok(()))
    }

    /// A part of a parallel upload: whole blocks at a block's place, except the one that closes.
    async fn take_block(
        &self,
        context: &Context<'_>,
        body: &mut crate::inbound::Inbound,
        part: &Part<'_>,
    ) -> Result<Result<(), Value>, Stop> {
        if !part.offset.is_multiple_of(CONTENT_BLOCK_BYTES) {
            return Ok(Err(tag("concurrent_session_invalid_offset")));
        }
        let mut file = {
            let mut writer = self.writer.lock().await;
            if writer.is_none() {
                *writer = Some(context.service.store.writer(Hasher::content()).await?);
            }
            match writer.as_ref() {
                Some(writer) => writer.part(part.offset).await?,
                None => return Ok(Err(tag("not_found"))),
            }
        };
        let mut blocks = Blocks::default();
        let mut hash = ContentHash::default();
        while let Some(piece) = body.next().await? {
            if part.hash.is_some() {
                hash.update(&piece);
            }
            blocks.update(&piece);
            if blocks.size > context.switches.request_bytes_max {
                return Ok(Err(tag("payload_too_large")));
            }
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        if part.length.is_some_and(|length| length != blocks.size) {
            return Ok(Err(tag("concurrent_session_invalid_data_size")));
        }
        if !blocks.size.is_multiple_of(CONTENT_BLOCK_BYTES) && !part.close {
            return Ok(Err(tag("concurrent_session_invalid_data_size")));
        }
        if part.hash.is_some_and(|wanted| wanted != hash.finish()) {
            return Ok(Err(tag("content_hash_mismatch")));
        }
        let mut state = lock(&self.state);
        if state.closed {
            return Ok(Err(tag("closed")));
        }
        let first = part.offset / CONTENT_BLOCK_BYTES;
        let size = blocks.size;
        for (number, digest) in (first..).zip(blocks.finish()) {
            state.blocks.insert(number, digest);
        }
        state.offset = state.offset.max(part.offset + size);
        state.closed = part.close;
        Ok(Ok(()))
    }

    /// All bytes as one object; the inner error is an `UploadSessionFinishError`.
    async fn whole(&self) -> Result<Result<Arc<Blob>, Value>, Stop> {
        let mut writer = self.writer.lock().await;
        let (known, blocks, offset) = {
            let state = lock(&self.state);
            (state.whole.clone(), state.blocks.clone(), state.offset)
        };
        if let Some(whole) = known {
            return Ok(Ok(whole));
        }
        if self.concurrent && number::size(blocks.len()) != offset.div_ceil(CONTENT_BLOCK_BYTES) {
            return Ok(Err(tag("concurrent_session_missing_data")));
        }
        let Some(file) = writer.take() else {
            return Ok(Err(lookup_failed(tag("not_found"))));
        };
        let whole = match self.concurrent {
            false => file.finish().await?,
            true => {
                let mut outer = Sha256::new();
                blocks.values().for_each(|block| outer.update(block));
                file.finish_as(offset, hex::encode(outer.finalize()))
            }
        };
        lock(&self.state).whole = Some(Arc::clone(&whole));
        Ok(Ok(whole))
    }
}

fn incorrect_offset(correct: u64) -> Value {
    json!({".tag": "incorrect_offset", "correct_offset": correct})
}

fn lookup_failed(error: Value) -> Value {
    json!({".tag": "lookup_failed", "lookup_failed": error})
}

/// `files/upload_session/finish`
pub(crate) async fn finish(context: &Context<'_>, call: &mut Call) -> Answer {
    let args: SessionFinish = context.args()?;
    upload::check_hash(context, args.content_hash.as_deref())?;
    let id = &context.account.namespace_id;
    let wanted = args.commit.clone().commit(context.source, id)?;
    let sessions = &context.service.sessions;
    let session = sessions.get(context, &args.cursor.session_id);
    let session = session.map_err(|error| error::endpoint(lookup_failed(error)))?;
    let closed = lock(&session.state).closed;
    if session.concurrent && !closed {
        return Err(error::endpoint(tag("concurrent_session_not_closed")).into());
    }
    if closed {
        // Nothing may follow what has been closed.
        let more = call.body.next().await?.is_some();
        if more && session.concurrent {
            return Err(error::endpoint(tag("concurrent_session_data_not_allowed")).into());
        }
        if more {
            return Err(error::endpoint(lookup_failed(tag("closed"))).into());
        }
        check_offset(&session, args.cursor.offset).map_err(error::endpoint)?;
    } else {
        let part = Part {
            offset: args.cursor.offset,
            close: false,
            hash: args.content_hash.as_deref(),
            length: None,
        };
        let taken = session.take_from(context, &mut call.body, &part).await?;
        taken.map_err(|error| error::endpoint(finish_error(error)))?;
    }
    let blob = session.whole().await?.map_err(error::endpoint)?;
    let turn = commit::turn(context).await;
    let _turn = turn.map_err(|_| Stop::from(commit::busy(context)))?;
    let saved = lock(&context.account.namespace).commit(&wanted, &blob, context.now());
    let entry = saved.map_err(|error| error::endpoint(json!({".tag": "path", "path": error})))?;
    lock(&session.state).finish();
    context.changed();
    Ok(route::ok(&metadata::plain(&entry)))
}

fn check_offset(session: &Session, offset: u64) -> Result<(), Value> {
    let correct = lock(&session.state).offset;
    match offset == correct {
        true => Ok(()),
        false => Err(lookup_failed(incorrect_offset(correct))),
    }
}

/// An append's error where `finish` has it.
fn finish_error(error: Value) -> Value {
    match error.get(".tag").and_then(Value::as_str) {
        Some("content_hash_mismatch" | "payload_too_large") => error,
        _ => lookup_failed(error),
    }
}

/// What is to be committed of one entry of a batch.
type Ready = Result<(Arc<Session>, Arc<Blob>, Commit), Value>;

/// Puts the entries of a batch together, each with its own failure.
async fn prepare(context: &Context<'_>, call: &Call) -> Result<Vec<Ready>, Stop> {
    let args: SessionFinishBatch = context.args()?;
    if args.entries.len() > BATCH_MAX {
        return Err(context.source.bad("entries: too many items"));
    }
    let mut ready = Vec::new();
    for (place, entry) in args.entries.into_iter().enumerate() {
        let fault = call.fail_entries.as_ref();
        if let Some(fault) = fault.filter(|fault| fault.covers(place)) {
            ready.push(Err(tag(&fault.tag)));
            continue;
        }
        ready.push(prepare_one(context, entry).await?);
    }
    Ok(ready)
}

async fn prepare_one(context: &Context<'_>, entry: SessionFinish) -> Result<Ready, Stop> {
    let id = &context.account.namespace_id;
    let wanted = entry.commit.commit(context.source, id)?;
    let sessions = &context.service.sessions;
    let session = match sessions.get(context, &entry.cursor.session_id) {
        Ok(session) => session,
        Err(error) => return Ok(Err(lookup_failed(error))),
    };
    if !lock(&session.state).closed {
        let error = match session.concurrent {
            true => tag("concurrent_session_not_closed"),
            false => lookup_failed(tag("not_closed")),
        };
        return Ok(Err(error));
    }
    if let Err(error) = check_offset(&session, entry.cursor.offset) {
        return Ok(Err(error));
    }
    let whole = session.whole().await?;
    Ok(whole.map(|blob| (session, blob, wanted)))
}

/// Commits what is ready, in order.
fn commit_all(account: &Account, ready: Vec<Ready>, now: Timestamp) -> Value {
    let mut namespace = lock(&account.namespace);
    let results = ready.into_iter().map(|ready| {
        let saved = ready.and_then(|(session, blob, wanted)| {
            if lock(&session.state).finished {
                return Err(lookup_failed(tag("not_found")));
            }
            let saved = namespace.commit(&wanted, &blob, now);
            let entry = saved.map_err(|error| json!({".tag": "path", "path": error}))?;
            lock(&session.state).finish();
            Ok(entry)
        });
        match saved {
            Ok(entry) => metadata::beside("success", &entry),
            Err(error) => json!({".tag": "failure", "failure": error}),
        }
    });
    json!({"entries": results.collect::<Vec<Value>>()})
}

/// `files/upload_session/finish_batch_v2`
pub(crate) async fn finish_batch(context: &Context<'_>, call: &mut Call) -> Answer {
    let mut ready = prepare(context, call).await?;
    let turn = commit::turn(context).await;
    if turn.is_err() {
        for entry in &mut ready {
            *entry = Err(tag("too_many_write_operations"));
        }
    }
    let body = commit_all(&context.account, ready, context.now());
    context.changed();
    Ok(route::ok(&body))
}

/// `files/upload_session/finish_batch`
pub(crate) async fn finish_batch_job(context: &Context<'_>, call: &mut Call) -> Answer {
    let ready = prepare(context, call).await?;
    let work = move |account: &Account, now| commit_all(account, ready, now);
    let reply: Reply = job::launch(context, true, work);
    Ok(reply)
}
