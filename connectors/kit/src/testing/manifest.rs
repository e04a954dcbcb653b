//! The connector's manifest, as far as a test holds requests against it.

use serde_json::{Map, Value};

use crate::testing::Source;
use crate::{Failure, Payload, Reply, Request, path};

/// What stands where an address was that became no handle.
const BLANKED: &str = "[address]";
/// Headers that the host passes on without being asked.
const REPLY_HEADERS: [&str; 6] =
    ["content-type", "content-length", "content-range", "etag", "retry-after", "date"];

#[derive(Debug)]
pub(super) struct Manifest {
    routes: Vec<Value>,
}

impl Manifest {
    pub(super) fn parse(text: &str) -> Self {
        let Ok(manifest) = serde_json::from_str::<Value>(text) else { panic!("the manifest is not JSON") };
        Self { routes: manifest.get("routes").and_then(Value::as_array).cloned().unwrap_or_default() }
    }

    /// Panic unless the route permits all of the request; give the route's place.
    ///
    /// # Errors
    /// When the service minted the address on a host that the route does not list.
    pub(super) fn check(&self, request: &Request<'_, Source>) -> Result<usize, Failure> {
        let found = self.routes.iter().position(|route| text(route, "name") == Some(request.route));
        let Some(index) = found else { panic!("no route `{}`", request.route) };
        let route = &self.routes[index];
        let built = text(route, "url").is_some_and(|url| url.contains("{item}"));
        assert_eq!(
            request.item.is_some(),
            built,
            "{request:?}: an item belongs to the routes that have `{{item}}`"
        );
        if let Some(item) = request.item.as_deref() {
            check_path(item, text(route, "item_forbid").unwrap_or_default());
        }
        let handle = request.handle.and_then(|handle| handle.split_once('!'));
        let name = handle.map(|(name, _)| name);
        assert_eq!(name, text(route, "minted"), "{request:?}: handles belong to the routes that take them");
        if handle.is_some_and(|(_, address)| !lists_host(route, address)) {
            return Err(Failure::Denied);
        }
        for (key, _) in &request.query {
            assert!(lists(route, "query", key), "{request:?}: the query key `{key}` is not permitted");
        }
        for (name, _) in &request.headers {
            assert!(lists(route, "headers", name), "{request:?}: the header `{name}` is not permitted");
        }
        check_json(route, request);
        let payload = text(route, "payload").unwrap_or("none");
        let fits = match &request.payload {
            Payload::None => true,
            Payload::Bytes(_) => matches!(payload, "bytes" | "any"),
            Payload::Section { .. } => matches!(payload, "section" | "any"),
        };
        assert!(fits, "{request:?}: the route takes a payload of `{payload}`");
        Ok(index)
    }

    /// Turn the addresses in a reply into handles or blanks, and keep back headers, as the host does.
    pub(super) fn mint(&self, route: usize, reply: &mut Reply) {
        let none = Map::new();
        let mints = self.routes[route].get("mints").and_then(Value::as_object).unwrap_or(&none);
        if let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) {
            mint_value(mints, "", &mut body);
            reply.body = body.to_string().into_bytes();
        }
        for (name, value) in std::mem::take(&mut reply.headers) {
            if let Some(mint) = minted_as(mints, &format!("header:{name}")) {
                reply.headers.push((name, format!("{mint}!{value}")));
            } else if REPLY_HEADERS.contains(&name.as_str())
                || lists(&self.routes[route], "accept_headers", &name)
            {
                reply.headers.push((name, value));
            }
        }
    }
}

fn mint_value(mints: &Map<String, Value>, key: &str, value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| mint_value(mints, key, value)),
        Value::Array(elements) => elements.iter_mut().for_each(|value| mint_value(mints, key, value)),
        Value::String(address) if address.starts_with("https://") => {
            *address = minted_as(mints, key).map_or(BLANKED.to_owned(), |mint| format!("{mint}!{address}"));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn lists_host(route: &Value, address: &str) -> bool {
    let host = address.trim_start_matches("https://").split(['/', '?']).next().unwrap_or_default();
    let patterns = route.get("hosts").and_then(Value::as_array);
    patterns
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|pattern| pattern.strip_prefix('*').map_or(host == pattern, |suffix| host.ends_with(suffix)))
}

fn text<'a>(route: &'a Value, field: &str) -> Option<&'a str> {
    route.get(field).and_then(Value::as_str)
}

fn lists(route: &Value, field: &str, wanted: &str) -> bool {
    let listed = route.get(field).and_then(Value::as_array);
    listed.into_iter().flatten().any(|name| name.as_str() == Some(wanted))
}

fn minted_as<'a>(mints: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let names =
        |keys: &Value| keys.as_array().is_some_and(|keys| keys.iter().any(|one| one.as_str() == Some(key)));
    mints.iter().find(|(_, keys)| names(keys)).map(|(name, _)| name.as_str())
}

fn check_path(item: &str, forbidden: &str) {
    let whole = item.is_empty() || item.split('/').all(|name| !matches!(name, "" | "." | ".."));
    assert!(whole, "`{item}` is not a path relative to the backup directory");
    for name in path::names(item) {
        let fits = !name.contains(|one: char| one == '\\' || one.is_control() || forbidden.contains(one));
        assert!(fits, "the route takes no name like `{name}`");
    }
}

fn check_json(route: &Value, request: &Request<'_, Source>) {
    let Some(arguments) = &request.json else { return };
    let Some(rule) = route.get("json") else { panic!("{request:?}: the route takes no JSON") };
    let Ok(arguments) = serde_json::from_str::<Value>(arguments) else { panic!("{request:?} is not JSON") };
    if text(rule, "in") == Some("body") {
        assert!(matches!(request.payload, Payload::None), "{request:?}: the arguments are the body");
    }
    check_keys(rule, text(route, "item_forbid").unwrap_or_default(), "", &arguments);
}

fn check_keys(rule: &Value, item_forbid: &str, place: &str, value: &Value) {
    if let Some(template) = rule.get("confine").and_then(|confine| confine.get(place)) {
        let template = template.as_str().unwrap_or_default();
        let items = ["{item}", "{item-encoded}"].map(|blank| template.matches(blank).count());
        assert_eq!(items.iter().sum::<usize>(), 1, "the template of `{place}`");
        let Some(path) = value.as_str() else { panic!("`{place}` holds a path") };
        check_path(path, item_forbid);
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let place = if place.is_empty() { key.clone() } else { format!("{place}/{key}") };
                let permitted = rule.get("keys").and_then(Value::as_array).into_iter().flatten();
                // An object may be what leads to a key that is listed.
                let leads = value.is_object() || value.is_array();
                let below = |pattern: &str| {
                    let levels: Vec<&str> = pattern.split('/').take(place.split('/').count()).collect();
                    leads && fits(&levels.join("/"), &place)
                };
                let permitted = permitted
                    .filter_map(Value::as_str)
                    .any(|pattern| fits(pattern, &place) || below(pattern));
                assert!(permitted, "the JSON key `{place}` is not permitted");
                check_keys(rule, item_forbid, &place, value);
            }
        }
        Value::Array(elements) => {
            elements.iter().for_each(|value| check_keys(rule, item_forbid, place, value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fits(pattern: &str, place: &str) -> bool {
    let (mut pattern, mut place) = (pattern.split('/'), place.split('/'));
    loop {
        match (pattern.next(), place.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}
