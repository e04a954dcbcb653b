use serde_json::{Value, json};

use super::*;

fn sound() -> Value {
    json!({
        "id": "dev.wharf.test", "version": "1.2.3", "world": WORLD, "type": "test", "name": "Test",
        "roles": ["destination"],
        "bind": { "drive": { "option": "drive_id", "set": "drives/{}", "unset": "me/drive" } },
        "routes": [
            { "name": "list", "does": "list a folder", "method": "GET",
              "url": "https://api.example.com/v1/{drive}/root:{item}:/children",
              "url_at_root": "https://api.example.com/v1/{drive}/root/children", "item_forbid": ":",
              "query": ["$top"], "access": "read", "credential": "account", "replay": "safe",
              "mints": { "page": ["@next"] } },
            { "name": "next", "does": "list on", "method": "GET", "minted": "page", "hosts": ["api.example.com"],
              "access": "read", "credential": "account", "replay": "safe" },
            { "name": "remove", "does": "remove", "method": "POST", "url": "https://api.example.com/v1/delete",
              "json": { "in": "body", "keys": ["path", "how/*"], "confine": { "path": "{item}" } },
              "access": "write", "credential": "account", "replay": "safe" }
        ],
        "oauth": { "token": "https://login.example.com/token", "scopes": { "read": ["r"], "write": ["w"] } },
        "options": { "type": "object", "properties": { "drive_id": { "type": "string", "description": "which drive" } } },
        "upload": { "single_max": 1, "part_size": 20, "part_quantum": 10, "part_max": 40 }
    })
}

fn parse(value: &Value) -> Result<Manifest, Error> {
    Manifest::parse(value.to_string().as_bytes())
}

#[test]
fn a_sound_manifest_is_taken() {
    let manifest = parse(&sound()).unwrap();
    assert_eq!(manifest.label(), "dev.wharf.test@1.2.3");
    assert_eq!(manifest.hosts(), ["api.example.com"]);
    assert_eq!(manifest.route("next").unwrap().address.minted(), Some("page"));
    assert_eq!(manifest.upload.commit_batch_max, 1);
    assert_eq!(manifest.names, Names::default());
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let check = |pointer: &str, value: Value, expected: &str| {
        let mut manifest = sound();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = manifest.pointer_mut(parent).unwrap();
        match parent {
            Value::Object(members) => drop(members.insert(key.to_owned(), value)),
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => unreachable!(),
        }
        let error = parse(&manifest).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    };
    check("/surprise", json!(1), "unknown field `surprise`");
    check("/world", json!("wharf:connector@9.0.0"), "this host speaks");
    check("/id", json!("../etc/passwd"), "reverse domain name");
    check("/id", json!("nodots"), "reverse domain name");
    check("/version", json!("01.0.0"), "semantic version");
    check("/type", json!("One Drive"), "may have only");
    check("/name", json!("\u{1b}[31mred"), "control or invisible");
    check("/name", json!("a\u{202e}b"), "control or invisible");
    check("/roles", json!([]), "no role");
    check("/oauth", Value::Null, "wants the account's credential");
    check("/oauth/token", json!("http://login.example.com/token"), "not an https address");
    check("/oauth/token", json!("https://127.0.0.1/token"), "not an https address");
    check("/bind/drive/option", json!("nothing"), "does not have");
    check("/bind/drive/set", json!("../{}"), "single slashes");
    check("/routes/0/surprise", json!(1), "unknown field `surprise`");
    check("/routes/0/method", json!("TRACE"), "unknown variant");
    check("/routes/0/name", json!("next"), "twice");
    check("/routes/0/url", json!("http://api.example.com/{item}"), "does not begin with");
    check("/routes/0/url", json!("https://api.example.com"), "has no path");
    check("/routes/0/url", json!("https://API.example.com/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://api.example.com:8443/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://graph.microsoft.com@evil.test/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://127.0.0.1/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://2130706433/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://0x7f.1/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://[::1]/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://localhost/{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://api.example.com./{item}"), "plain lower-case");
    check("/routes/0/url", json!("https://api.example.com/a/../b"), "not plain");
    check("/routes/0/url", json!("https://api.example.com/a?b"), "not plain");
    check("/routes/0/url", json!("https://api.example.com/%2e%2e/b"), "not plain");
    check("/routes/0/url", json!("https://api.example.com//b"), "not plain");
    check("/routes/0/url", json!("https://api.example.com/{wish}"), "does not fill");
    check("/routes/0/url", json!("https://api.example.com/v1{item}{item}"), "twice");
    check("/routes/0/url_at_root", json!("https://other.example.com/"), "host of `url`");
    check("/routes/0/query", json!(["a b"]), "not a plain key");
    check("/routes/0/headers", json!(["authorization"]), "belongs to the host");
    check("/routes/0/headers", json!(["x-forwarded-for"]), "belongs to the host");
    check("/routes/0/headers", json!(["x-http-method-override"]), "belongs to the host");
    check("/routes/0/headers", json!(["If-Match"]), "belongs to the host");
    check("/routes/0/accept_headers", json!(["set-cookie"]), "belongs to the host");
    check("/routes/0/accept_headers", json!(["location"]), "belongs to the host");
    check("/routes/0/mints", json!({ "other": ["@next"] }), "which no route takes");
    check("/routes/0/mints", json!({}), "which no route mints");
    check("/routes/1/hosts", json!([]), "names no host");
    check("/routes/1/hosts", json!(["*.com"]), "two labels");
    check("/routes/1/hosts", json!(["*"]), "two labels");
    for suffix in ["co.uk", "com.au", "github.io", "blob.core.windows.net", "s3.amazonaws.com", "anything.ck"]
    {
        check("/routes/1/hosts", json!([format!("*.{suffix}")]), "strangers cannot register");
    }
    check("/routes/1/url", json!("https://api.example.com/"), "one of the two");
    check("/routes/2/json/in", json!("header:Host"), "may be sent");
    check("/routes/2/json/confine", json!({ "other": "{item}" }), "does not list");
    check("/routes/2/json/confine", json!({ "path": "/fixed" }), "needs one of `{item}`");
    check("/routes/2/json/confine", json!({ "path": "{item}{item-encoded}" }), "needs one of `{item}`");
    check("/routes/2/json/confine", json!({ "path": "{item}{item}" }), "has `{item}` twice");
    check("/routes/2/json/confine", json!({ "path": "/{nowhere}{item}" }), "has the blank `nowhere`");
    check("/routes/2/payload", json!("bytes"), "beside JSON");
    check("/options/properties/drive_id/type", json!("array"), "unknown variant");
    check("/options/required", json!(["other"]), "not a property");
    check("/upload/part_size", json!(15), "part_quantum");
    check("/upload/commit_batch_max", json!(0), "1 to 1000");
}

#[test]
fn a_key_that_occurs_twice_is_refused() {
    let text = sound().to_string().replacen(
        "\"version\":\"1.2.3\"",
        "\"version\":\"1.2.3\",\"version\":\"1.2.4\"",
        1,
    );
    let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("`version` occurs twice"), "{error}");
}

#[test]
fn wildcards_cover_what_lies_below_and_nothing_else() {
    let manifest = |hosts: Value| {
        let mut value = sound();
        value["routes"][1]["hosts"] = hosts;
        parse(&value).unwrap()
    };
    let manifest = manifest(json!(["*.sharepoint.com"]));
    let Address::Minted { hosts, .. } = &manifest.route("next").unwrap().address else { unreachable!() };
    let check = |host: &str, expected: bool| assert_eq!(hosts[0].covers(host), expected, "{host}");
    check("contoso.sharepoint.com", true);
    check("a.b.sharepoint.com", true);
    check("sharepoint.com", false);
    check(".sharepoint.com", false);
    check("evilsharepoint.com", false);
    check("contoso.sharepoint.com.evil.test", false);
    check("contoso.sharepoint.com.", false);
}

#[test]
fn wildcards_end_where_strangers_register() {
    // Below a name that somebody registered, whatever that is below.
    for domain in ["example.co.uk", "acme.github.io", "acme.blob.core.windows.net", "www.ck", "acme.internal"]
    {
        let mut value = sound();
        value["routes"][1]["hosts"] = json!([format!("*.{domain}")]);
        let manifest = parse(&value).unwrap();
        assert_eq!(manifest.hosts(), ["api.example.com".to_owned(), format!("*.{domain}")]);
    }
    let mut value = sound();
    value["routes"][1]["hosts"] = json!(["co.uk"]);
    // One host is one host, also where nobody would be at home.
    assert!(parse(&value).is_ok());
}

#[test]
fn options_are_held_to_their_schema() {
    let manifest = parse(&sound()).unwrap();
    let check = |options: Value, expected: Option<&str>| {
        let error =
            manifest.options.validate(options.as_object().unwrap()).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected, "{options}");
    };
    check(json!({}), None);
    check(json!({ "drive_id": "b!abc" }), None);
    check(json!({ "drive": "x" }), Some("there is no option `drive`; the connector has `drive_id`"));
    check(
        json!({ "drive_id": 5 }),
        Some("the option `drive_id` must be text of at most 1024 bytes without control characters"),
    );
    assert_eq!(manifest.bind["drive"].fill(Some("b!a/../x")), "drives/b!a%2F..%2Fx");
    assert_eq!(manifest.bind["drive"].fill(None), "me/drive");
}

#[test]
fn the_manifest_is_the_last_section_of_its_component() {
    let empty = wasm_encoder::Component::new().finish();
    assert!(matches!(section::read(&empty), Err(section::Error::Missing)));
    let packed = section::write(&empty, b"one").unwrap();
    assert_eq!(section::read(&packed).unwrap(), b"one");
    let packed = section::write(&packed, b"two").unwrap();
    assert_eq!(section::read(&packed).unwrap(), b"two");

    let with = |sections: &[&[u8]]| {
        let mut component = wasm_encoder::Component::new();
        for data in sections {
            let name = if data.is_empty() { "other" } else { section::NAME };
            component.section(&wasm_encoder::CustomSection { name: name.into(), data: (*data).into() });
        }
        component.finish()
    };
    assert!(matches!(section::read(&with(&[b"one", b"two"])), Err(section::Error::Duplicate)));
    assert!(matches!(section::read(&with(&[b"one", b""])), Err(section::Error::NotLast)));
    assert!(matches!(section::read(&packed[..packed.len() - 1]), Err(section::Error::Damaged(_))));
    assert!(matches!(section::read(b"#!/bin/sh"), Err(section::Error::NotComponent)));
    let module = wasm_encoder::Module::new().finish();
    assert!(matches!(section::read(&module), Err(section::Error::NotComponent)));
    // One in a nested module is not the component's own.
    let mut nested = wasm_encoder::Component::new();
    let mut inner = wasm_encoder::Module::new();
    inner.section(&wasm_encoder::CustomSection { name: section::NAME.into(), data: b"inner"[..].into() });
    nested.section(&wasm_encoder::ModuleSection(&inner));
    assert!(matches!(section::read(&nested.finish()), Err(section::Error::Missing)));
}

#[test]
fn a_manifest_may_ask_for_a_folder_instead() {
    let mut manifest = sound();
    manifest["folder"] = json!({ "access": ["read", "write"] });
    for key in ["routes", "oauth", "bind"] {
        manifest.as_object_mut().unwrap().remove(key);
    }
    let parsed = parse(&manifest).unwrap();
    let permissions: Vec<(&str, Access)> =
        parsed.permissions().map(|one| (one.name(), one.access())).collect();
    assert_eq!(permissions, [("folder-read", Access::Read), ("folder-write", Access::Write)]);
    assert!(parsed.hosts().is_empty() && parsed.permission("put").is_none());
    let check = |folder: Value, expected: &str| {
        manifest["folder"] = folder;
        let error = parse(&manifest).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let mut check = check;
    check(json!({ "access": [] }), "names neither");
    check(json!({ "access": ["read", "read"] }), "one of them twice");
    check(json!({ "access": ["read"], "path": "/" }), "unknown field `path`");
    check(json!({ "access": ["execute"] }), "malformed");
    check(Value::Null, "has 0 routes");
    let mut taken = sound();
    taken["routes"][0]["name"] = json!("folder-write");
    assert!(parse(&taken).map(|_| ()).unwrap_err().to_string().contains("the host's own"));
}
