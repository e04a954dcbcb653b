//! From what a connector asks to the address that is sent: nothing leads out of the backup directory, and
//! nothing to another host.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};
use wharf_runtime::grant::{Ask, Carried, Grant, Granted};
use wharf_runtime::manifest::Manifest;
use wharf_runtime::path::Directory;

/// Both services' routes, with a directory that can be told from everything else.
static GRANTS: LazyLock<Vec<(Grant, &'static str)>> = LazyLock::new(|| {
    let grant = |text: &str| {
        let manifest = Arc::new(Manifest::parse(text.as_bytes()).unwrap());
        let all = Granted::everything(&manifest);
        Grant::new(manifest, &all, Directory::parse("/backups/fuzz").unwrap(), &Map::new(), false)
    };
    vec![
        (grant(include_str!("../../connectors/onedrive/manifest.json")), "graph.microsoft.com"),
        (grant(include_str!("../../connectors/dropbox/manifest.json")), "dropboxapi.com"),
    ]
});

/// Lines: the route, the item or `-`, the JSON or `-`, then pairs as `q key value` and `h name value`.
pub(crate) fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut given = || lines.next().filter(|line| *line != "-").map(str::to_owned);
    let mut ask = Ask {
        route: given().unwrap_or_default(),
        item: given(),
        json: given(),
        payload: Carried::Nothing,
        ..Ask::default()
    };
    for line in lines {
        let mut words = line.splitn(3, ' ');
        let pairs = match words.next() {
            Some("q") => &mut ask.query,
            Some("h") => &mut ask.headers,
            _ => continue,
        };
        pairs
            .push((words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned()));
    }
    for (grant, service) in GRANTS.iter() {
        for payload in [Carried::Nothing, Carried::Section, Carried::Bytes(10)] {
            if let Ok(allowed) = grant.allow(&Ask { payload, ..ask.clone() }, None) {
                check(&allowed, service, &ask);
            }
        }
    }
}

fn check(allowed: &wharf_runtime::grant::Allowed, service: &str, ask: &Ask) {
    let url = allowed.url();
    assert_eq!(url.scheme(), "https");
    assert!(url.host_str().is_some_and(|host| host.ends_with(service)), "{url}");
    assert!(url.port().is_none() && url.username().is_empty() && url.fragment().is_none(), "{url}");
    assert!(!url.path().split('/').any(|name| matches!(name, "." | "..")), "{url}");
    // The parser that reads it next reads the same.
    assert_eq!(url::Url::parse(url.as_str()).as_ref(), Ok(url));
    if ask.item.as_ref().is_some_and(|item| !item.is_empty()) && url.path().contains("root:") {
        assert!(url.path().contains("root:/backups/fuzz/"), "{url}");
    }
    for (name, value) in allowed.headers() {
        assert!(!matches!(name.as_str(), "authorization" | "host" | "cookie"), "{name}");
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}");
    }
    if let Some(json) = allowed.json_body() {
        let json: Value = serde_json::from_slice(json).unwrap();
        for path in allowed.route().json.iter().flat_map(|rule| &rule.confine) {
            // Where a key that is confined is at the top, what it holds is inside.
            if let Some(Value::String(place)) = json.get(path.key.to_string()) {
                assert!(place.starts_with("/backups/fuzz") || place.contains(":/backups/fuzz"), "{place}");
                assert!(!place.split('/').any(|name| matches!(name, "." | "..")), "{place}");
            }
        }
    }
}
