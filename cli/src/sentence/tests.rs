use serde_json::json;

use super::*;

fn manifest() -> Manifest {
    let route = |extra: serde_json::Value| {
        let mut route =
            json!({ "access": "read", "credential": "account", "replay": "safe", "method": "POST" });
        route.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        route
    };
    let manifest = json!({
        "id": "dev.wharf.test", "version": "1.2.3", "world": "wharf:connector@0.1.0", "type": "test",
        "name": "Test", "roles": ["destination"],
        "routes": [
            route(json!({ "name": "list", "does": "list a folder", "method": "GET",
                "url": "https://api.example.com/v1/root:{item}:/children", "mints": { "page": ["@next"] } })),
            route(json!({ "name": "next-page", "does": "continue a list", "method": "GET", "minted": "page",
                "hosts": ["api.example.com"], "mints": { "page": ["@next"] } })),
            route(json!({ "name": "put", "does": "upload a file", "method": "PUT", "access": "write",
                "url": "https://api.example.com/v1/root:{item}:/content", "payload": "any" })),
            route(json!({ "name": "delete", "does": "delete a file", "access": "write",
                "url": "https://api.example.com/v1/delete",
                "json": { "in": "body", "keys": ["path"], "confine": { "path": "{item}" } } })),
            route(json!({ "name": "start", "does": "begin an upload", "access": "write",
                "url": "https://api.example.com/v1/start",
                "json": { "in": "body", "keys": ["cursor", "cursor/id", "close"] }, "mints": { "upload": ["url"] } })),
            route(json!({ "name": "send", "does": "upload a part", "method": "PUT", "access": "write",
                "minted": "upload", "hosts": ["*.up.example.com", "up.example.org"], "credential": "none",
                "payload": "section" })),
            route(json!({ "name": "usage", "does": "ask for the space left", "method": "GET",
                "url": "https://api.example.com/v1/usage" })),
        ],
        "oauth": { "token": "https://login.example.com/token", "scopes": { "read": ["r"], "write": ["w"] } },
        "upload": { "single_max": 1, "part_size": 20, "part_quantum": 10, "part_max": 40 }
    });
    Manifest::parse(manifest.to_string().as_bytes()).unwrap()
}

#[test]
fn what_a_connector_asks_for_in_words() {
    let manifest = manifest();
    let lines = lines(&manifest, manifest.permissions(), Detail::Host, |text| format!("<{text}>"));
    insta::assert_snapshot!(lines.join("\n"), @"
    Reads:
      list          list a folder
                    GET https://api.example.com/…  inside the backup directory
      next-page     continue a list
                    GET api.example.com  only where the service said
      usage         ask for the space left
                    GET https://api.example.com/…  <NOT CONFINED to the backup directory>
    Writes:
      put           upload a file
                    PUT https://api.example.com/…  inside the backup directory
      delete        delete a file
                    POST https://api.example.com/…  inside the backup directory
      start         begin an upload
                    POST https://api.example.com/…
                    <NOT CONFINED to the backup directory> (arguments: cursor/id, close)
      send          upload a part
                    PUT *.up.example.com, up.example.org
                    <NOT CONFINED to the backup directory>, without the account's token
    ");
}

#[test]
fn whole_addresses_on_request() {
    let manifest = manifest();
    let lines = lines(&manifest, manifest.permissions().take(1), Detail::Address, str::to_owned);
    insta::assert_snapshot!(lines.join("\n"), @"
    Reads:
      list          list a folder
                    GET https://api.example.com/v1/root:{item}:/children  inside the backup directory
    ");
}

#[test]
fn an_address_is_as_confined_as_the_request_that_got_it() {
    let manifest = manifest();
    let check = |name: &str, expected: &Reach| {
        assert_eq!(&reach(&manifest, manifest.route(name).unwrap()), expected, "{name}")
    };
    let unconfined = |arguments: &[&str]| Reach::Unconfined {
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
    };
    check("list", &Reach::Inside);
    check("next-page", &Reach::Given);
    check("delete", &Reach::Inside);
    check("start", &unconfined(&["cursor/id", "close"]));
    check("send", &unconfined(&[]));
    check("usage", &unconfined(&[]));
}

#[test]
fn programs_get_the_same() {
    let manifest = manifest();
    let json = RouteJson::new(&manifest, manifest.permission("send").unwrap(), Some(true));
    insta::assert_snapshot!(serde_json::to_string(&json).unwrap(), @r#"{"name":"send","does":"upload a part","method":"PUT","hosts":["*.up.example.com","up.example.org"],"access":"write","credential":"none","confined":false,"arguments":[],"granted":true}"#);
}
