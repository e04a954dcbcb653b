//! What changed: pages from a token to now, and the token for next time.
//!
//! Without a token everything is listed, each folder before what is in it, as on the service: clients build
//! paths out of it as they read. What changes meanwhile is told by the link at its end, which knows of
//! nothing that came after the beginning.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::address::{self, Address};
use super::drive::Drive;
use super::node::{Change, Item, Key};
use super::route::Context;
use super::view::View;
use super::{Failure, view};
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::sync::lock;

/// Entries of a page when `$top` is not given, and at most.
const PAGE_ENTRIES_MAX: usize = 1000;
/// The purpose under which delta tokens are sealed.
const DELTA: &str = "onedrive-delta";

/// Where an enumeration stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    folder: Key,
    at: At,
}

/// What has been given.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum At {
    /// Of everything there is, all up to this item, by the names that lead to it from the folder; none before
    /// the folder itself. `since` is the newest change when it began.
    Tree { last: Option<Vec<String>>, since: u64 },
    /// Every change up to this one.
    Change(u64),
}

impl Cursor {
    /// Nothing has been given.
    fn start(drive: &Drive, folder: Key) -> Self {
        Self { folder, at: At::Tree { last: None, since: drive.newest() } }
    }

    /// Must the client begin anew?
    fn is_stale(&self, drive: &Drive, folder: Key) -> bool {
        let too_old = match self.at {
            At::Tree { .. } => false,
            At::Change(after) => after < drive.delta_floor,
        };
        self.folder != folder || too_old
    }
}

/// A page of changes below a folder.
pub(crate) fn page(context: &Context<'_>, address: &Address, call: &Call) -> Answer {
    let drive = context.drive(&address.drive)?;
    let mut drive = lock(&drive);
    let folder = context.resolve(&mut drive, address)?;
    let cursor = match token(call, address).as_deref() {
        None | Some("") => Some(Cursor::start(&drive, folder)),
        Some("latest") => Some(Cursor { folder, at: At::Change(drive.newest()) }),
        Some(text) => context.service.seal.open(DELTA, text),
    };
    let Some(cursor) = cursor.filter(|cursor: &Cursor| !cursor.is_stale(&drive, folder)) else {
        return gone(context, call, &drive, folder);
    };
    let top = call.query("$top").and_then(|text| text.parse::<usize>().ok());
    let top = top.unwrap_or(PAGE_ENTRIES_MAX).clamp(1, PAGE_ENTRIES_MAX);
    let view = context.view(call, &address.drive).without_paths();
    let (mut values, next) = match &cursor.at {
        At::Tree { last, since } => tree(&view, &drive, folder, last.as_deref(), *since, top),
        At::Change(after) => changes(&view, &drive, folder, *after, top),
    };
    if context.service.switches().delta_repeats {
        repeat_first(&mut values);
    }
    let mut body = Map::new();
    let (key, at) = match next {
        Next::Page(at) => ("@odata.nextLink", at),
        Next::Time(at) => ("@odata.deltaLink", at),
    };
    let url = link(context, call, &drive, &Cursor { folder, at })?;
    body.insert(key.to_owned(), json!(url));
    body.insert("value".to_owned(), Value::Array(values));
    Ok(Reply::value(StatusCode::OK, &Value::Object(body)))
}

/// The token of a call: in the query, or in brackets after `delta`.
fn token(call: &Call, address: &Address) -> Option<String> {
    let inside = address.action.split_once("(token='");
    let inside = inside.and_then(|(_, rest)| rest.split_once('\''));
    inside.map(|(token, _)| token).or_else(|| call.query("token")).map(str::to_owned)
}

/// How it goes on.
enum Next {
    /// There is more of this.
    Page(At),
    /// That is all, until something changes.
    Time(At),
}

/// What comes after `last` of a tree, each folder before what is in it.
fn tree(
    view: &View<'_>,
    drive: &Drive,
    folder: Key,
    last: Option<&[String]>,
    since: u64,
    top: usize,
) -> (Vec<Value>, Next) {
    let mut values = Vec::new();
    let mut at = last.map(<[String]>::to_vec);
    let mut walk = Walk::after(drive, folder, last);
    while let Some((key, names)) = walk.next() {
        if values.len() == top {
            return (values, Next::Page(At::Tree { last: at, since }));
        }
        values.extend(drive.get(key).map(|item| view.item(drive, item)));
        at = Some(names);
    }
    (values, Next::Time(At::Change(since)))
}

/// A way through a tree, each folder before what is in it, its children by their folded names.
struct Walk<'a> {
    drive: &'a Drive,
    /// The folder itself, when it is still to come.
    first: Option<Key>,
    /// For each folder on the way down, the name that led into what comes next, and what follows that.
    open: Vec<(Option<&'a str>, Range<'a, String, Key>)>,
}

impl<'a> Walk<'a> {
    /// What comes after the item that these names lead to, whether or not it is still there.
    fn after(drive: &'a Drive, folder: Key, last: Option<&[String]>) -> Self {
        let mut walk = Self { drive, first: last.is_none().then_some(folder), open: Vec::new() };
        let mut inside = last.is_some().then_some(folder);
        for name in last.unwrap_or_default() {
            let Some(children) = inside.and_then(|key| walk.children(key)) else { break };
            let at = children.get_key_value(name);
            let rest = children.range::<str, _>((Bound::Excluded(name.as_str()), Bound::Unbounded));
            walk.open.push((at.map(|(name, _)| name.as_str()), rest));
            inside = at.map(|(_, key)| *key);
        }
        walk.open
            .extend(inside.and_then(|key| walk.children(key)).map(|all| (None, all.range::<str, _>(..))));
        walk
    }

    fn children(&self, key: Key) -> Option<&'a BTreeMap<String, Key>> {
        self.drive.get(key).ok().and_then(Item::children)
    }

    /// The next item, and the names that lead to it.
    fn next(&mut self) -> Option<(Key, Vec<String>)> {
        let key = match self.first.take() {
            Some(folder) => folder,
            None => loop {
                let (at, rest) = self.open.last_mut()?;
                match rest.next() {
                    Some((name, key)) => {
                        *at = Some(name);
                        break *key;
                    }
                    None => drop(self.open.pop()),
                }
            },
        };
        let names = self.open.iter().filter_map(|(at, _)| at.map(str::to_owned)).collect();
        self.open.extend(self.children(key).map(|all| (None, all.range::<str, _>(..))));
        Some((key, names))
    }
}

/// The changes after one, and the last of them if there are more.
fn changes(view: &View<'_>, drive: &Drive, folder: Key, after: u64, top: usize) -> (Vec<Value>, Next) {
    let mut values = Vec::new();
    let mut last = after;
    for (number, change) in drive.changes.range(after + 1..) {
        if values.len() == top {
            return (values, Next::Page(At::Change(last)));
        }
        last = *number;
        match change {
            Change::Present(key) if drive.is_inside(*key, folder) => {
                values.extend(drive.get(*key).map(|item| view.item(drive, item)));
            }
            Change::Deleted { id, was_folder } => values.push(view.deleted(drive, id, *was_folder)),
            Change::Present(_) => {}
        }
    }
    (values, Next::Time(At::Change(drive.newest())))
}

/// The service may give an item more than once; the last one counts.
fn repeat_first(values: &mut Vec<Value>) {
    if let Some(first) = values.first().cloned() {
        values.push(first);
    }
}

/// 410: the token is too old, and here is where to start again.
fn gone(context: &Context<'_>, call: &Call, drive: &Drive, folder: Key) -> Answer {
    let url = link(context, call, drive, &Cursor::start(drive, folder))?;
    let failure =
        Failure::new(410, "resyncRequired", "Resync required").inner("resyncChangesApplyDifferences");
    Ok(failure.reply(false).header(LOCATION, url))
}

fn link(context: &Context<'_>, call: &Call, drive: &Drive, cursor: &Cursor) -> Result<String, Failure> {
    let (prefix, _) = address::strip(&call.path).ok_or_else(Failure::not_found)?;
    let item = drive.get(cursor.folder)?;
    let place = match item.parent {
        None => "root".to_owned(),
        Some(_) => format!("items/{}", item.id),
    };
    let mut path = format!("{prefix}/drives/{}/{place}/delta?", drive.id);
    for key in ["$top", "$select"] {
        if let Some(value) = call.query(key) {
            path.push_str(&format!("{key}={}&", view::segment(value)));
        }
    }
    let token = context.service.seal.close(DELTA, cursor);
    path.push_str(&format!("token={token}"));
    Ok(call.same_host(&path))
}
