use serde_json::{Value, json};

use super::*;

fn manifest() -> Arc<Manifest> {
    parsed(&described())
}

fn parsed(text: &Value) -> Arc<Manifest> {
    Arc::new(Manifest::parse(text.to_string().as_bytes()).unwrap())
}

fn described() -> Value {
    json!({
        "id": "dev.wharf.test", "version": "1.0.0", "world": crate::manifest::WORLD, "type": "test", "name": "Test",
        "roles": ["destination"],
        "bind": { "drive": { "option": "drive_id", "set": "drives/{}", "unset": "me/drive" },
            "drive-path": { "option": "drive_id", "set": "drives/{}", "unset": "drive" } },
        "routes": [
            { "name": "list", "does": "list a folder", "method": "GET",
              "url": "https://graph.example.com/v1/{drive}/root:{item}:/children",
              "url_at_root": "https://graph.example.com/v1/{drive}/root/children", "item_forbid": ":",
              "query": ["$top", "$select"], "headers": ["if-match"],
              "access": "read", "credential": "account", "replay": "safe", "mints": { "upload": ["uploadUrl"], "page": ["@next"] } },
            { "name": "next", "does": "list on", "method": "GET", "minted": "page", "hosts": ["graph.example.com"],
              "access": "read", "credential": "account", "replay": "safe" },
            { "name": "part", "does": "upload a part", "method": "PUT", "minted": "upload", "hosts": ["*.up.example.com"],
              "payload": "section", "headers": ["content-range"], "access": "write", "credential": "none", "replay": "safe" },
            { "name": "commit", "does": "commit", "method": "POST", "url": "https://api.example.com/2/commit",
              "json": { "in": "body", "keys": ["entries/cursor/*", "entries/commit/path", "entries/commit/mode", "entries/commit/mode/*", "mute"],
                        "confine": { "entries/commit/path": "{item}" } },
              "access": "write", "credential": "account", "replay": "once" },
            { "name": "read", "does": "download", "method": "POST", "url": "https://content.example.com/2/read",
              "json": { "in": "header:Api-Arg", "keys": ["path", "parent"], "confine": { "path": "{item}", "parent": "/drive/root:{item}" } },
              "access": "read", "credential": "account", "replay": "safe" },
            { "name": "erase", "does": "delete for good", "method": "DELETE", "url": "https://api.example.com/2/files{item}",
              "only_with": "for_good", "access": "write", "credential": "account", "replay": "safe" },
            { "name": "move", "does": "move to another folder", "method": "PATCH",
              "url": "https://graph.example.com/v1/{drive}/root:{item}", "item_forbid": ":",
              "json": { "in": "body", "keys": ["name", "parent/path"], "confine": { "parent/path": "/{drive-path}/root:{item-encoded}" } },
              "access": "write", "credential": "account", "replay": "safe" }
        ],
        "oauth": { "token": "https://login.example.com/token", "scopes": { "read": ["r"], "write": ["w"] } },
        "options": { "type": "object", "properties": { "drive_id": { "type": "string", "description": "which drive" },
            "for_good": { "type": "boolean", "description": "without the recycle bin" } } },
        "upload": { "single_max": 1, "part_size": 20, "part_quantum": 10, "part_max": 40 }
    })
}

fn grant_of(directory: &str, options: Value, read_only: bool) -> Grant {
    let manifest = manifest();
    let all = Granted::everything(&manifest);
    let directory = Directory::parse(directory).unwrap();
    Grant::new(manifest, &all, directory, options.as_object().unwrap(), read_only)
}

fn plain_grant(manifest: Arc<Manifest>, granted: &Granted) -> Grant {
    Grant::new(manifest, granted, Directory::parse("/b").unwrap(), &serde_json::Map::new(), false)
}

fn grant() -> Grant {
    grant_of("/backups/server1", json!({}), false)
}

fn item(item: &str) -> Ask {
    Ask { route: "list".to_owned(), item: Some(item.to_owned()), ..Ask::default() }
}

fn arguments(route: &str, json: Value) -> Ask {
    Ask { route: route.to_owned(), json: Some(json.to_string()), ..Ask::default() }
}

fn opened(name: &str, url: &str) -> Opened {
    Opened { name: name.to_owned(), url: Url::parse(url).unwrap() }
}

#[test]
fn addresses_are_built_inside_the_backup_directory() {
    let check = |directory: &str, options: Value, name: &str, expected: &str| {
        let allowed = grant_of(directory, options, false).allow(&item(name), None).unwrap();
        assert_eq!(allowed.url().as_str(), format!("https://graph.example.com/v1/{expected}"));
    };
    check("/b", json!({}), "", "me/drive/root:/b:/children");
    check("/b", json!({}), "a/ü #%?.txt", "me/drive/root:/b/a/%C3%BC%20%23%25%3F.txt:/children");
    check("/", json!({}), "", "me/drive/root/children");
    check("/", json!({}), "a", "me/drive/root:/a:/children");
    check("/b", json!({ "drive_id": "b!x/../y" }), "a", "drives/b!x%2F..%2Fy/root:/b/a:/children");
    // Encoded dots stay a name: the percent sign itself is encoded.
    check("/b", json!({}), "%2e%2e/%2F", "me/drive/root:/b/%252e%252e/%252F:/children");
}

#[test]
fn items_cannot_leave_the_backup_directory() {
    let check = |name: &str, rule: &str| {
        let denial = grant().allow(&item(name), None).unwrap_err();
        assert_eq!(denial.rule(), rule, "{name}: {denial}");
    };
    check("..", "item");
    check("../server2", "item");
    check("a/../../server2", "item");
    check("/etc", "item");
    check("a//b", "item");
    check("a\\..\\b", "item");
    check("a:/content", "item");
    check("a\r\nHost: evil.test", "item");
    check("a\0", "item");
    check(&"a/".repeat(3000), "item");
}

#[test]
fn only_what_the_route_permits_is_sent() {
    let check = |ask: Ask, rule: &str| {
        let denial = grant().allow(&ask, None).unwrap_err();
        assert_eq!(denial.rule(), rule, "{ask:?}: {denial}");
    };
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    check(Ask { route: "batch".to_owned(), ..Ask::default() }, "unknown-route");
    check(Ask { item: None, ..item("a") }, "blank");
    check(Ask { query: pair("$expand", "x"), ..item("a") }, "query");
    check(Ask { headers: pair("authorization", "Bearer x"), ..item("a") }, "header");
    check(Ask { headers: pair("If-Match", "x"), ..item("a") }, "header");
    check(Ask { headers: pair("if-match", "x\r\nhost: evil"), ..item("a") }, "header");
    check(Ask { headers: [pair("if-match", "x"), pair("if-match", "y")].concat(), ..item("a") }, "header");
    check(Ask { payload: Carried::Bytes(1), ..item("a") }, "payload");
    check(Ask { payload: Carried::Section, ..item("a") }, "payload");
    check(Ask { json: Some("{}".to_owned()), ..item("a") }, "json");
    check(Ask { query: pair("$top", &"x".repeat(URL_BYTES_MAX)), ..item("a") }, "length");
    check(Ask { item: Some("a".to_owned()), ..arguments("commit", json!({})) }, "blank");

    let allowed = grant().allow(&Ask { query: pair("$top", "1&b=2#c"), ..item("a") }, None).unwrap();
    assert_eq!(allowed.url().query(), Some("$top=1%26b%3D2%23c"));
}

#[test]
fn json_keys_are_a_closed_list() {
    let check = |json: Value, expected: Option<&str>| {
        let rule = grant().allow(&arguments("commit", json.clone()), None).err();
        assert_eq!(rule.as_ref().map(Denial::rule), expected, "{json}: {rule:?}");
    };
    check(
        json!({ "entries": [{ "cursor": { "offset": 1, "session_id": "s" }, "commit": { "path": "a", "mode": "add" } }] }),
        None,
    );
    check(
        json!({ "entries": [{ "commit": { "path": "a", "mode": { ".tag": "update", "update": "rev" } } }] }),
        None,
    );
    check(json!({ "mute": true }), None);
    check(json!({ "autorename": true }), Some("json"));
    check(json!({ "entries": [{ "commit": { "path": "a", "shared_link": "x" } }] }), Some("json"));
    check(json!({ "entries": { "commit": { "other": 1 } } }), Some("json"));
    check(json!({ "entries": "text" }), Some("json"));
    check(json!({ "mute": { "x": 1 } }), Some("json"));
    check(json!({ "mute": [{ "x": 1 }] }), Some("json"));
    check(json!({ "entries": [{ "commit": { "path": ["a"] } }] }), Some("json"));
    check(json!({ "entries": [{ "commit": { "path": { "x": "a" } } }] }), Some("json"));
    check(json!({ "entries": [{ "commit": { "path": 7 } }] }), Some("json"));
    check(json!({ "entries": [{ "commit": { "path": "../server2/a" } }] }), Some("confine"));
    check(json!({ "entries": [{ "commit": { "path": "/a" } }] }), Some("confine"));
    check(json!({ "entries": [{ "commit": { "path": "a\\..\\b" } }] }), Some("confine"));
    check(json!([1]), Some("json"));
    let twice = Ask {
        route: "commit".to_owned(),
        json: Some(r#"{"mute":true,"mute":false}"#.to_owned()),
        ..Ask::default()
    };
    assert_eq!(grant().allow(&twice, None).unwrap_err().rule(), "json");
}

#[test]
fn paths_in_json_are_made_absolute_by_the_host() {
    let allowed = grant().allow(
        &arguments(
            "commit",
            json!({ "entries": [{ "commit": { "path": "id:abc" } }, { "commit": { "path": "" } }] }),
        ),
        None,
    );
    assert_eq!(
        String::from_utf8_lossy(allowed.unwrap().json_body().unwrap()),
        r#"{"entries":[{"commit":{"path":"/backups/server1/id:abc"}},{"commit":{"path":"/backups/server1"}}]}"#
    );
    let header = |grant: Grant, path: &str| {
        let allowed = grant.allow(&arguments("read", json!({ "path": path, "parent": path })), None).unwrap();
        let (name, value) = allowed.headers()[0].clone();
        assert_eq!(name, "api-arg");
        value.to_str().unwrap().to_owned()
    };
    assert_eq!(
        header(grant(), "ü"),
        r#"{"path":"/backups/server1/\u00fc","parent":"/drive/root:/backups/server1/\u00fc"}"#
    );
    assert_eq!(header(grant_of("/", json!({}), false), ""), r#"{"path":"","parent":"/drive/root:"}"#);
}

/// Where a move leads is the host's text, name by name: nothing in it is decoded into a way out, and no
/// option of the destination is a connector's to say.
#[test]
fn a_path_that_a_service_decodes_stays_inside() {
    let into = |path: &str| Ask {
        item: Some("a".to_owned()),
        ..arguments("move", json!({ "parent": { "path": path } }))
    };
    let check = |directory: &str, options: Value, path: &str, expected: &str| {
        let allowed = grant_of(directory, options, false).allow(&into(path), None).unwrap();
        let body: Value = serde_json::from_slice(allowed.json_body().unwrap()).unwrap();
        assert_eq!(body["parent"]["path"], expected);
    };
    check("/b", json!({}), "c/d", "/drive/root:/b/c/d");
    check("/b", json!({}), "", "/drive/root:/b");
    check("/", json!({}), "", "/drive/root:");
    check("/b c", json!({}), "%2e%2e/%2F/ü", "/drive/root:/b%20c/%252e%252e/%252F/%C3%BC");
    check("/b", json!({ "drive_id": "b!X/../Y" }), "c", "/drives/b!X%2F..%2FY/root:/b/c");
    let refused = |ask: Ask, rule: &str| {
        let denial = grant().allow(&ask, None).unwrap_err();
        assert_eq!(denial.rule(), rule, "{ask:?}: {denial}");
    };
    for path in ["..", "../server2", "c/../../server2", "/server2", "c:/children", "c:", "c\\d", "c\nd"] {
        refused(into(path), "confine");
    }
    for parent in [json!({ "id": "x" }), json!({ "driveId": "x" }), json!("/x"), json!({ "path": ["/x"] })] {
        let ask = Ask { item: Some("a".to_owned()), ..arguments("move", json!({ "parent": parent })) };
        refused(ask, "json");
    }
}

#[test]
fn handles_are_good_for_their_route_only() {
    let ask = |route: &str| Ask { route: route.to_owned(), ..Ask::default() };
    let check = |route: &str, opened: Option<Opened>, rule: Option<&str>| {
        let denial = grant().allow(&ask(route), opened.as_ref()).err();
        assert_eq!(denial.as_ref().map(Denial::rule), rule, "{opened:?}: {denial:?}");
    };
    check("next", Some(opened("page", "https://graph.example.com/v1/x?token=1")), None);
    check("next", None, Some("blank"));
    check("next", Some(opened("upload", "https://graph.example.com/v1/x")), Some("handle"));
    check("next", Some(opened("page", "https://evil.test/")), Some("handle"));
    check("next", Some(opened("page", "http://graph.example.com/")), Some("handle"));
    check("next", Some(opened("page", "https://graph.example.com:8443/")), Some("handle"));
    check("next", Some(opened("page", "https://u:p@graph.example.com/")), Some("handle"));
    check("next", Some(opened("page", "https://graph.example.com.evil.test/")), Some("handle"));
    check("part", Some(opened("upload", "https://x.up.example.com/")), None);
    check("part", Some(opened("upload", "https://up.example.com/")), Some("handle"));
    check("part", Some(opened("upload", "https://127.0.0.1/")), Some("handle"));
    check("list", Some(opened("page", "https://graph.example.com/")), Some("blank"));
    let with_item = Ask { item: Some("a".to_owned()), ..ask("next") };
    let denial = grant().allow(&with_item, Some(&opened("page", "https://graph.example.com/"))).unwrap_err();
    assert_eq!(denial.rule(), "blank");
}

#[test]
fn what_is_not_granted_is_not_sent() {
    let list_only = plain_grant(manifest(), &Granted::of(&manifest(), manifest().permission("list")));
    assert_eq!(
        list_only.allow(&arguments("read", json!({ "path": "a" })), None).unwrap_err().rule(),
        "not-granted"
    );
    let read_only = grant_of("/b", json!({}), true);
    assert_eq!(read_only.allow(&arguments("commit", json!({})), None).unwrap_err().rule(), "read-only");
    assert_eq!(
        read_only.routes().map(|route| route.name.as_str()).collect::<Vec<_>>(),
        ["list", "next", "read"]
    );
}

#[test]
fn secrets_of_an_address_are_not_shown() {
    let shown = |route: &str, opened: Option<Opened>, ask: Ask| {
        grant().allow(&Ask { route: route.to_owned(), ..ask }, opened.as_ref()).unwrap().shown()
    };
    assert_eq!(
        shown("list", None, item("a")),
        "https://graph.example.com/v1/me/drive/root:/backups/server1/a:/children"
    );
    let minted = opened("page", "https://graph.example.com/signed-path?token=secret");
    assert_eq!(shown("next", Some(minted), Ask::default()), "https://graph.example.com/[page]");
}

proptest::proptest! {
    #[test]
    fn no_decoded_path_escapes(name in "[a-z./%\\\\: 0-9A-F]{0,20}") {
        let asked = arguments("move", json!({ "parent": { "path": name } }));
        if let Ok(allowed) = grant().allow(&Ask { item: Some("a".to_owned()), ..asked }, None) {
            let body: Value = serde_json::from_slice(allowed.json_body().unwrap()).unwrap();
            let path = body["parent"]["path"].as_str().unwrap().to_owned();
            let below = path.strip_prefix("/drive/root:/backups/server1").unwrap();
            let decoded = percent_encoding::percent_decode_str(below).decode_utf8().unwrap();
            let whole = if name.is_empty() { String::new() } else { format!("/{name}") };
            proptest::prop_assert_eq!(decoded, whole);
        }
    }

    #[test]
    fn no_item_escapes(name in "[a-z./%\\\\: ]{0,20}") {
        if let Ok(allowed) = grant().allow(&item(&name), None) {
            let path = allowed.url().path().to_owned();
            proptest::prop_assert!(path.starts_with("/v1/me/drive/root:/backups/server1"), "{}", path);
            proptest::prop_assert!(path.ends_with(":/children"), "{}", path);
            proptest::prop_assert!(!path.split('/').any(|name| matches!(name, "." | "..")), "{}", path);
        }
    }
}

fn folder_manifest(access: &[&str]) -> Arc<Manifest> {
    let manifest = serde_json::json!({
        "id": "dev.wharf.test", "version": "1.2.3", "world": "wharf:connector@0.1.0", "type": "test",
        "name": "Test", "roles": ["destination"], "folder": { "access": access },
        "upload": { "single_max": 1, "part_size": 20, "part_quantum": 10, "part_max": 40 }
    });
    Arc::new(Manifest::parse(manifest.to_string().as_bytes()).unwrap())
}

fn local(access: &[&str], granted: &[&str], read_only: bool) -> Grant {
    let manifest = folder_manifest(access);
    let all = folder_manifest(&["read", "write"]);
    let granted = Granted::of(&all, granted.iter().filter_map(|name| all.permission(name)));
    Grant::new(manifest, &granted, Directory::parse("/b").unwrap(), &serde_json::Map::new(), read_only)
}

#[test]
fn a_folder_is_granted_by_access() {
    let both = &["folder-read", "folder-write"];
    let check = |grant: &Grant, access, path: &str, expected: Result<&str, &str>| {
        let allowed = grant.allow_folder(access, path);
        let allowed = allowed.as_ref().map(|allowed| allowed.path().as_str()).map_err(Denial::rule);
        assert_eq!(allowed, expected, "{access:?} {path:?}");
    };
    let full = local(&["read", "write"], both, false);
    check(&full, Access::Read, "a/b", Ok("a/b"));
    check(&full, Access::Write, "", Ok(""));
    for path in ["../x", "a/../../x", "/etc/passwd", "a//b", "a/", ".", "a\0b", &"a/".repeat(3000)] {
        check(&full, Access::Read, path, Err("item"));
        check(&full, Access::Write, path, Err("item"));
    }
    let read_only = local(&["read", "write"], both, true);
    check(&read_only, Access::Read, "a", Ok("a"));
    check(&read_only, Access::Write, "a", Err("read-only"));
    check(&local(&["read", "write"], &["folder-read"], false), Access::Write, "a", Err("not-granted"));
    // What a manifest does not ask for cannot be granted, whatever an operator writes.
    check(&local(&["read"], both, false), Access::Write, "a", Err("unknown-route"));
}

#[test]
fn some_routes_are_for_those_who_want_them_by_name() {
    let ask = Ask { route: "erase".to_owned(), item: Some("a".to_owned()), ..Ask::default() };
    for options in [json!({}), json!({"for_good": false})] {
        let denied = grant_of("/b", options, false).allow(&ask, None).unwrap_err();
        assert_eq!(denied, Denial::OptionOff { route: "erase".to_owned(), option: "for_good".to_owned() });
        assert_eq!(denied.rule(), "option");
    }
    assert!(grant_of("/b", json!({"for_good": true}), false).allow(&ask, None).is_ok());
}

#[test]
fn a_flag_that_is_off_fills_no_blank() {
    let manifest = |options: Value| {
        let grant = grant_of("/b", options, false);
        grant.allow(&item("a"), None).unwrap().url().path().to_owned()
    };
    assert_eq!(manifest(json!({"drive_id": "x"})), "/v1/drives/x/root:/b/a:/children");
    assert_eq!(manifest(json!({"drive_id": false})), "/v1/me/drive/root:/b/a:/children");
}

#[test]
fn a_route_that_became_wider_is_not_in_force_until_somebody_agrees() {
    let granted = Granted::everything(&manifest());
    let check = |change: &dyn Fn(&mut Value), route: &str, expected: &[&str]| {
        let mut text = described();
        change(&mut text);
        let updated = parsed(&text);
        let standing = granted.standing(&updated, updated.permission(route).unwrap());
        let expected = match expected {
            [] => Standing::Granted,
            more => Standing::Wider(more.iter().map(|line| (*line).to_owned()).collect()),
        };
        assert_eq!(standing, expected);
    };
    // More than before.
    check(
        &|text| text["routes"][0]["query"] = json!(["$top", "$select", "$expand"]),
        "list",
        &["query $expand"],
    );
    check(&|text| text["routes"][0]["headers"] = json!(["if-match", "prefer"]), "list", &["header prefer"]);
    check(
        &|text| text["routes"][0]["method"] = json!("POST"),
        "list",
        &[
            "POST https://graph.example.com/v1/{drive}/root/children",
            "POST https://graph.example.com/v1/{drive}/root:{item}:/children ({item} without any of :)",
        ],
    );
    check(
        &|text| text["routes"][0]["item_forbid"] = json!(";"),
        "list",
        &["GET https://graph.example.com/v1/{drive}/root:{item}:/children ({item} without any of ;)"],
    );
    check(
        &|text| text["bind"]["drive"]["unset"] = json!("drives/x"),
        "list",
        &["{drive} is drives/{} by the option drive_id, else drives/x"],
    );
    check(&|text| text["routes"][1]["access"] = json!("write"), "next", &["writes"]);
    check(&|text| text["routes"][2]["credential"] = json!("account"), "part", &["with the account's token"]);
    check(
        &|text| text["routes"][2]["hosts"] = json!(["*.up.example.com", "*.evil.test"]),
        "part",
        &["PUT to *.evil.test, where the service said (upload)"],
    );
    check(
        &|text| text["routes"][2]["payload"] = json!("any"),
        "part",
        &["carries bytes of the connector's own"],
    );
    check(&|text| text["routes"][3]["replay"] = json!("safe"), "commit", &["may be sent twice"]);
    check(
        &|text| text["routes"][4]["json"]["confine"] = json!({ "path": "{item}" }),
        "read",
        &["arguments in the header api-arg, inside the backup directory: path as {item}"],
    );
    check(
        &|text| text["routes"][6]["json"]["confine"] = json!({ "parent/path": "/drive/root:{item-encoded}" }),
        "move",
        &[
            "arguments in the body, inside the backup directory: parent/path as /drive/root:{item-encoded} ({item} without any of :)",
        ],
    );
    check(
        &|text| text["bind"]["drive-path"]["unset"] = json!("drives/x"),
        "move",
        &["{drive-path} is drives/{} by the option drive_id, else drives/x"],
    );
    check(
        &|text| text["routes"][4]["json"]["keys"] = json!(["path", "parent", "id"]),
        "read",
        &["argument id"],
    );
    check(
        &|text| drop(text["routes"][5].as_object_mut().unwrap().remove("only_with")),
        "erase",
        &["DELETE https://api.example.com/2/files{item}"],
    );
    // As much, or less.
    check(&|text| text["routes"][0]["does"] = json!("something else"), "list", &[]);
    check(&|text| text["version"] = json!("2.0.0"), "list", &[]);
    check(&|text| text["routes"][0]["query"] = json!(["$top"]), "list", &[]);
    check(&|text| text["routes"][2]["payload"] = json!("none"), "part", &[]);
    check(&|text| text["routes"][0]["replay"] = json!("once"), "list", &[]);
}

#[test]
fn an_update_does_what_was_granted_and_no_more() {
    let granted = Granted::everything(&manifest());
    let mut text = described();
    text["routes"][0]["query"] = json!(["$top", "$select", "$expand"]);
    let updated = parsed(&text);
    let grant = plain_grant(Arc::clone(&updated), &granted);
    let denial = grant.allow(&item("a"), None).unwrap_err();
    assert_eq!(
        (denial.rule(), &*denial.to_string()),
        ("wider", "the route `list` asks for more than was granted: query $expand")
    );
    grant.allow(&arguments("read", json!({ "path": "a" })), None).unwrap();
    let mut agreed = granted;
    agreed.allow(&updated, updated.permission("list").unwrap());
    grant.regranted(&agreed).allow(&item("a"), None).unwrap();
    let stopped = grant.stopped("it is disabled".to_owned());
    assert_eq!(stopped.allow(&item("a"), None).unwrap_err().to_string(), "it is disabled");
}

#[test]
fn another_connector_of_the_type_inherits_nothing() {
    let mut granted = Granted::everything(&manifest());
    let mut text = described();
    text["id"] = json!("com.example.test");
    let other = parsed(&text);
    let denial = plain_grant(Arc::clone(&other), &granted).allow(&item("a"), None).unwrap_err();
    assert_eq!(denial.rule(), "another-connector");
    assert!(denial.to_string().contains("granted to the connector `dev.wharf.test`"), "{denial}");
    granted.allow(&other, other.permission("list").unwrap());
    assert_eq!((granted.connector.as_deref(), granted.routes.len()), (Some("com.example.test"), 1));
    plain_grant(Arc::clone(&other), &granted).allow(&item("a"), None).unwrap();
    assert!(granted.deny("list"));
    assert_eq!(granted, Granted::default());
    assert!(!granted.deny("list") && !granted.deny("list"));
    assert_eq!(granted, Granted { denied: vec!["list".to_owned()], ..Granted::default() });
}
