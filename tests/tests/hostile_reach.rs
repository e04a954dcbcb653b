//! A component that tries to reach what it was not given: refused, one audit record each, and nothing
//! of it arrives at the service.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::{Value, json};
use wharf_runtime::attached::Attached;
use wharf_runtime::path::RelativePath;
use wharf_tests::{ACCOUNT, Rig, Service, audit, hostile};

/// What came of each of these requests.
async fn attempt(attached: &Attached, steps: &[Value]) -> Vec<Value> {
    let script = Value::from(steps.to_vec()).to_string();
    let page = attached.list(&RelativePath::root(), false, Some(&script)).await.unwrap();
    let text: String = page.entries.into_iter().filter_map(|entry| entry.revision).collect();
    serde_json::from_str(&text).unwrap()
}

/// Requests, and the rule that refuses each.
async fn refused(rig: &Rig, attached: &Attached, attempts: &[(Value, &str)]) {
    let name = attached.name().as_str();
    attached.settle().await.unwrap();
    let before = audit(&rig.host, name).len();
    rig.cloud.clear_log();
    let steps: Vec<Value> = attempts.iter().map(|(step, _)| step.clone()).collect();
    let results = attempt(attached, &steps).await;
    attached.settle().await.unwrap();
    let records = audit(&rig.host, name).split_off(before);
    let mut wrong = Vec::new();
    for ((step, _), result) in attempts.iter().zip(&results) {
        if !["denied", "invalid"].contains(&result["failure"].as_str().unwrap_or_default()) {
            wrong.push(format!("not refused: {} => {}", cut(step), cut(result)));
        }
    }
    for entry in rig.cloud.log() {
        wrong.push(format!("arrived: {} {} {}", entry.kind, entry.host, entry.path));
    }
    let found: Vec<String> = records
        .iter()
        .map(|record| format!("{} {} {}", record["decision"], record["rule"], record["route"]))
        .collect();
    if records.len() == attempts.len() {
        for ((step, rule), record) in attempts.iter().zip(&records) {
            if record["decision"] != "denied"
                || record["rule"] != *rule
                || record["reason"].as_str().is_none()
            {
                wrong.push(format!("{} => {} and not {rule}", cut(step), cut(record)));
            }
            if record["url"].as_str().is_some() {
                wrong.push(format!("an address in {}", cut(record)));
            }
        }
    } else {
        wrong.push(format!("{} attempts, {} records: {found:#?}", attempts.len(), records.len()));
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    rig.assert_harmless(attached).await;
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

/// What is refused on both services, on a route of each that reads.
fn common(read: &Value) -> Vec<(Value, &'static str)> {
    let with = |key: &str, value: Value| {
        let mut step = read.clone();
        step[key] = value;
        step
    };
    let mut all: Vec<(Value, &'static str)> = Vec::new();
    for route in
        ["mail", "$batch", "users", "STAT", "", "stat ", "../stat", "stat\0", "\u{1b}[2J", "no\nroute"]
    {
        all.push((with("route", route.into()), "unknown-route"));
    }
    for name in [
        "authorization",
        "Authorization",
        "host",
        "Host",
        "cookie",
        "connection",
        "transfer-encoding",
        "content-length",
        "te",
        "upgrade",
        "expect",
        "proxy-authorization",
        "x-forwarded-for",
        "user-agent",
        "x-http-method-override",
        "x-http-method",
        ":authority",
        ":path",
        ":method",
        "",
        "a b",
        "a\r\nb",
        "dropbox-api-path-root",
        "Dropbox-API-Path-Root",
        "dropbox-api-select-user",
        "dropbox-api-select-admin",
        "dropbox-api-arg",
        "prefer",
        "if-match",
    ] {
        all.push((with("headers", json!([[name, "x"]])), "header"));
    }
    for key in [
        "$expand",
        "$filter",
        "access_token",
        "arg",
        "authorization",
        "reject_cors_preflight",
        "",
        "$Select",
        "a&b",
    ] {
        all.push((with("query", json!([[key, "x"]])), "query"));
    }
    all.push((with("bytes", "x".into()), "payload"));
    all.push((with("handle", "wharf1.AAAA".into()), "handle"));
    all.push((with("handle", "".into()), "handle"));
    all.push((with("handle", "https://graph.microsoft.com/v1.0/me/messages".into()), "handle"));
    all
}

fn paths() -> Vec<String> {
    let far = "../".repeat(40);
    let long = "x".repeat(5000);
    let texts = [
        "..",
        "../other",
        "a/../../other",
        "./a",
        "a/.",
        "/",
        "/etc/passwd",
        "/backups/other",
        "//other",
        "a//b",
        "a/",
        "..\\other",
        "a\\..\\..\\other",
        "\\",
        "a\0b",
        "a\nb",
        "a\r\nHost: evil",
        "\u{1b}[2J",
        "a\u{7f}",
        &far,
        &long,
    ];
    texts.into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_keeps_a_connector_in_its_directory() {
    let rig = Rig::new().await;
    rig.cloud.onedrive().put_many(ACCOUNT, "/backups/other", 5).unwrap();
    let attached = rig.hostile("reach", Service::OneDrive).await;
    let other = rig.hostile_with("dump", Service::OneDrive, |_| {}, |_| {}).await;
    rig.cloud.onedrive().put_many(ACCOUNT, "/backups/reach-onedrive", 5).unwrap();
    rig.cloud.onedrive().put_many(ACCOUNT, "/backups/dump-onedrive", 5).unwrap();

    let children = json!({"route": "children", "item": "", "query": [["$top", "2"]]});
    let page = attempt(&attached, std::slice::from_ref(&children)).await;
    let own = handle(&page.into()).expect("a page's handle");
    let script = json!({"requests": [children]}).to_string();
    let page = other.list(&RelativePath::root(), false, Some(&script)).await.unwrap();
    let text: String = page.entries.into_iter().filter_map(|entry| entry.revision).collect();
    let foreign = handle(&serde_json::from_str(&text).unwrap()).expect("a page's handle");
    // It is good where it belongs.
    assert_eq!(attempt(&attached, &[json!({"route": "next-page", "handle": own})]).await[0]["status"], 200);

    let read = json!({"route": "stat", "item": "x"});
    let mut all = common(&read);
    for item in paths() {
        all.push((json!({"route": "stat", "item": item}), "item"));
        all.push((json!({"route": "put", "item": item, "bytes": "x"}), "item"));
        all.push((json!({"route": "delete", "item": item}), "item"));
    }
    // What ends the path in Graph's addresses.
    for item in ["x:/children", ":", "x:", "../other:/content", "x:/createUploadSession", "a?b", "a*", "a|b"]
    {
        all.push((json!({"route": "stat", "item": item}), "item"));
    }
    let mut tampered = own.clone();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.push(last);
    let mut cut_short = own.clone();
    cut_short.truncate(own.len() / 2);
    for handle in [
        &foreign,
        &tampered,
        &cut_short,
        "wharf1.",
        "",
        "graph.microsoft.com",
        "https://graph.microsoft.com/v1.0/me",
    ] {
        all.push((json!({"route": "next-page", "handle": handle}), "handle"));
    }
    all.extend([
        // On the wrong route.
        (json!({"route": "download", "handle": own}), "handle"),
        (json!({"route": "send-part", "handle": own}), "handle"),
        (json!({"route": "upload-status", "handle": own}), "handle"),
        // A blank too many, or too few.
        (json!({"route": "stat", "item": "x", "handle": own}), "blank"),
        (json!({"route": "next-page", "item": "x", "handle": own}), "blank"),
        (json!({"route": "next-page"}), "blank"),
        (json!({"route": "stat"}), "blank"),
        // A minted address takes no more query.
        (json!({"route": "next-page", "handle": own, "query": [["$filter", "x"]]}), "query"),
        // Arguments.
        (json!({"route": "stat", "item": "x", "json": "{}"}), "json"),
        (json!({"route": "make-folder", "item": "", "json": r#"{"name":"x","parentReference":{"path":"/drive/root:/other"}}"#}), "json"),
        (json!({"route": "make-folder", "item": "", "json": r#"{"name":"x","name":"y"}"#}), "json"),
        (json!({"route": "make-folder", "item": "", "json": r#"{"folder":{"x":1}}"#}), "json"),
        (json!({"route": "make-folder", "item": "", "json": r#"{"remoteItem":{}}"#}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": r#"{"name":"y"}"#}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": r#"{"parentReference":{"id":"root"}}"#}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": r#"{"fileSystemInfo":{"lastModifiedDateTime":"x","lastModifiedDateTime":"y"}}"#}), "json"),
        (json!({"route": "start-upload", "item": "x", "json": r#"{"item":{"name":"../y"}}"#}), "json"),
        (json!({"route": "start-upload", "item": "x", "json": r#"{"item":{"sourceUrl":"https://evil.test"}}"#}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": "[]"}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": "{"}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": "{} {}"}), "json"),
        (json!({"route": "set-modified", "item": "x", "json": "[".repeat(100)}), "json"),
        // Values of headers that it may set.
        (json!({"route": "put", "item": "x", "bytes": "x", "headers": [["content-type", "a\r\nx: y"]]}), "header"),
        (json!({"route": "put", "item": "x", "bytes": "x", "headers": [["content-type", "a\0"]]}), "header"),
        (json!({"route": "put", "item": "x", "bytes": "x", "headers": [["if-match", "a"], ["if-match", "b"]]}), "header"),
        (json!({"route": "put", "item": "x", "bytes": "x", "headers": [["If-Match", "a"]]}), "header"),
        (json!({"route": "delete", "item": "x", "headers": [["if-match", "x".repeat(40_000)]]}), "header"),
        (json!({"route": "children", "item": "", "query": [["$select", "x".repeat(20_000)]]}), "length"),
    ]);
    // Where a move or a copy leads.
    for route in ["move", "copy-to"] {
        for path in paths() {
            let argument = json!({"name": "x", "parentReference": {"path": path}}).to_string();
            all.push((json!({"route": route, "item": "0", "json": argument}), "confine"));
        }
        for end in ["other:", "other:/children", "a/b:/../../other", "x\"y", "a*b", "a?b", "a|b", "<a>"] {
            let argument = json!({"name": "x", "parentReference": {"path": end}}).to_string();
            all.push((json!({"route": route, "item": "0", "json": argument}), "confine"));
        }
        for reference in [
            r#"{"id":"root"}"#,
            r#"{"path":"x","id":"root"}"#,
            r#"{"path":"x","driveId":"b!other"}"#,
            r#"{"path":"x","siteId":"other"}"#,
            r#"{"path":"x","path":"/drive/root:/backups/other"}"#,
            r#"{"path":["x"]}"#,
            r#"{"path":{"x":"y"}}"#,
            r#"{"path":7}"#,
            r#""/drive/root:/backups/other""#,
        ] {
            let argument = format!(r#"{{"name":"x","parentReference":{reference}}}"#);
            all.push((json!({"route": route, "item": "0", "json": argument}), "json"));
        }
    }
    refused(&rig, &attached, &all).await;

    // What looks like an escape but is a name, or a value, stays what it is.
    let into = |path: &str| json!({"name": "x", "parentReference": {"path": path}}).to_string();
    let inside = [
        json!({"route": "move", "item": "000000.bin", "json": into("%2e%2e/other")}),
        json!({"route": "move", "item": "000000.bin", "json": into("%2e%2e%2fother")}),
        json!({"route": "move", "item": "000000.bin", "json": into("..%2f..%2f..%2fdrives")}),
        json!({"route": "copy-to", "item": "000000.bin", "json": into("%2fother")}),
        json!({"route": "stat", "item": "%2e%2e/other"}),
        json!({"route": "stat", "item": "%2e%2e%2fother"}),
        json!({"route": "stat", "item": "..;/other"}),
        json!({"route": "stat", "item": "#/../../other".replace("/../..", "")}),
        json!({"route": "stat", "item": "id!1"}),
        json!({"route": "make-folder", "item": "", "json": r#"{"name":"../escaped","folder":{}}"#}),
        json!({"route": "make-folder", "item": "", "json": r#"{"name":"..","folder":{}}"#}),
        json!({"route": "make-folder", "item": "", "json": r#"{"name":"/escaped","folder":{}}"#}),
    ];
    stays_inside(&rig, &attached, &inside).await;
    let hidden = json!({"route": "children", "item": "", "query": [["$select", "name&$expand=children#"]]});
    stays_inside(&rig, &attached, &[hidden]).await;
    let files = rig.cloud.onedrive().files(ACCOUNT);
    assert!(files.iter().all(|file| !file.path.contains("escaped")));
    let there = |folder: &str| files.iter().filter(|file| file.path.starts_with(folder)).count();
    assert_eq!((there("/backups/other/"), there("/backups/reach-onedrive/0")), (5, 5), "nothing was moved");
    read_only(&rig, Service::OneDrive, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbox_keeps_a_connector_in_its_directory() {
    let rig = Rig::new().await;
    rig.cloud.dropbox().put_many(ACCOUNT, "/backups/other", 5).unwrap();
    rig.cloud.dropbox().put_many(ACCOUNT, "/backups/reach-dropbox", 5).unwrap();
    let attached = rig.hostile("reach", Service::Dropbox).await;
    let other = rig.hostile("dump", Service::Dropbox).await;
    let mut all = common(&json!({"route": "stat", "json": r#"{"path":"x"}"#}));
    for path in paths() {
        let argument = json!({ "path": path }).to_string();
        for route in ["stat", "list", "download", "make-folder", "put", "delete"] {
            all.push((json!({"route": route, "json": argument}), "confine"));
        }
        let entries = json!({"entries": [{"path": "fine"}, {"path": path}]}).to_string();
        all.push((json!({"route": "delete-many", "json": entries}), "confine"));
        let commits =
            json!({"entries": [{"cursor": {"session_id": "x", "offset": 0}, "commit": {"path": path}}]});
        all.push((json!({"route": "finish-uploads", "json": commits.to_string()}), "confine"));
    }
    for text in [
        r#"{"path":"x","path":"../other"}"#,
        r#"{"path":"x","\u0070ath":"/other"}"#,
        r#"{"path":{".tag":"x"}}"#,
        r#"{"path":["/other"]}"#,
        r#"{"path":7}"#,
        r#"{"Path":"/other"}"#,
        r#"{"path":"x","include_deleted":true}"#,
        r#"{"path":"x","rev":"1"}"#,
        r#"{"path/":"x"}"#,
        r#"{"from_path":"/other","to_path":"/x"}"#,
        r#"{"":"x"}"#,
        r#"["x"]"#,
        r#""x""#,
        "null",
        "",
        "{",
        r#"{"path":"x"}{}"#,
    ] {
        all.push((json!({"route": "stat", "json": text}), "json"));
    }
    all.extend([
        (json!({"route": "put", "json": r#"{"path":"x","mode":{".tag":"update","other":"x"}}"#}), "json"),
        (json!({"route": "list", "json": r#"{"path":"x","shared_link":{"url":"https://evil.test"}}"#}), "json"),
        (json!({"route": "next-page", "json": r#"{"cursor":"x","path":"/other"}"#}), "json"),
        (json!({"route": "delete-many", "json": r#"{"entries":["id:abc"]}"#}), "json"),
        (json!({"route": "delete-many", "json": r#"{"entries":[["id:abc"]]}"#}), "json"),
        (json!({"route": "stat", "item": "x"}), "blank"),
        (json!({"route": "put", "json": r#"{"path":"x"}"#, "bytes": "x"}), "payload"),
        (json!({"route": "download", "json": r#"{"path":"x"}"#, "headers": [["range", "a"], ["range", "b"]]}), "header"),
        (json!({"route": "download", "json": r#"{"path":"x"}"#, "headers": [["range", "a\nb"]]}), "header"),
    ]);
    refused(&rig, &attached, &all).await;

    let inside: Vec<Value> = [
        "id:abc",
        "ns:123/x",
        "rev:015f",
        "%2e%2e/other",
        "..;/x",
        "link",
        "id:abc/../x".split('/').next().unwrap(),
    ]
    .iter()
    .map(|path| json!({"route": "stat", "json": json!({ "path": path }).to_string()}))
    .collect();
    stays_inside(&rig, &attached, &inside).await;
    read_only(&rig, Service::Dropbox, &other).await;
}

/// These may be sent, and whatever comes of them is about something in the backup directory.
async fn stays_inside(rig: &Rig, attached: &Attached, steps: &[Value]) {
    rig.cloud.clear_log();
    let results = attempt(attached, steps).await;
    let directory = format!("/backups/{}", attached.name());
    // Dropbox names what a request is about in its arguments, which the emulator's log does not keep;
    // what comes back tells there.
    for entry in rig.cloud.log().iter().filter(|entry| entry.kind.starts_with("onedrive.")) {
        assert!(entry.path.contains(&directory), "{entry:?}");
    }
    for (step, result) in steps.iter().zip(&results) {
        assert!(result["failure"] == Value::Null || result["failure"] == "denied", "{step} => {result}");
        assert!(!result.to_string().contains("/other"), "{step} => {result}");
    }
    rig.assert_harmless(attached).await;
}

/// The first handle in it, at any depth.
fn handle(value: &Value) -> Option<String> {
    let text = value.to_string();
    let start = text.find("wharf1.")?;
    let rest = &text[start..];
    let end = rest.find(|character: char| !(character.is_ascii_alphanumeric() || "-_.".contains(character)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// Every route that writes is refused on a destination that only reads.
async fn read_only(rig: &Rig, service: Service, writing: &Attached) {
    let name = format!("reader-{}", service.kind());
    let reference =
        wharf_runtime::destination::ConnectorReference::parse(&format!("reach-{}", service.kind())).unwrap();
    let (_, manifest) = rig.host.manifest(&reference).unwrap();
    let directory = wharf_runtime::path::Directory::parse(&format!("/backups/{}", writing.name())).unwrap();
    let name = wharf_runtime::home::Name::parse(&name).unwrap();
    let mut destination = wharf_runtime::destination::Destination::new(name.clone(), reference, directory);
    destination.account =
        Some(wharf_runtime::home::Name::parse(&format!("reach-{}", service.kind())).unwrap());
    destination.grants = wharf_runtime::grant::Granted::everything(&manifest);
    destination.grants.deny("next-page");
    destination.read_only = true;
    rig.host.destinations().create(&destination).unwrap();
    let attached = rig.host.attach(&name).await.unwrap();
    let writes = attached
        .manifest()
        .routes
        .iter()
        .filter(|route| route.access == wharf_runtime::manifest::Access::Write);
    let mut all: Vec<(Value, &str)> = writes
        .map(|route| {
            let mut step = json!({ "route": route.name });
            match (service, route.address.minted()) {
                (Service::OneDrive, None) => step["item"] = "x".into(),
                (Service::OneDrive, Some(_)) | (Service::Dropbox, _) => {}
            }
            (step, "read-only")
        })
        .collect();
    assert!(all.len() >= 6, "{}", all.len());
    all.push((json!({"route": "next-page", "json": r#"{"cursor":"x"}"#}), "not-granted"));
    refused(rig, &attached, &all).await;
    // It can read all the same, also after what was permitted above removed the directory.
    let there = format!("/backups/{}/there", writing.name());
    match service {
        Service::OneDrive => rig.cloud.onedrive().put_file(ACCOUNT, &there, b"x").unwrap(),
        Service::Dropbox => rig.cloud.dropbox().put_file(ACCOUNT, &there, b"x").unwrap(),
    }
    let read = match service {
        Service::OneDrive => json!({"route": "stat", "item": ""}),
        Service::Dropbox => json!({"route": "stat", "json": r#"{"path":""}"#}),
    };
    assert_eq!(attempt(&attached, &[read]).await[0]["status"], 200);
}

/// What looks confined to whoever reads the manifest must be: the service would see two arguments.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_cannot_offer_the_header_of_its_own_arguments() {
    let rig = Rig::new().await;
    rig.cloud.dropbox().put_file(ACCOUNT, "/backups/other/secret", b"not yours").unwrap();
    let twice = |manifest: &mut Value| {
        for route in manifest["routes"].as_array_mut().unwrap() {
            if route["name"] == "download" {
                route["headers"] = json!(["range", "dropbox-api-arg"]);
            }
        }
    };
    if rig.host.install_unsigned(&hostile("reach", Service::Dropbox, twice)).is_err() {
        return;
    }
    let attached = rig.hostile_with("reach", Service::Dropbox, twice, |_| {}).await;
    let step = json!({
        "route": "download",
        "json": r#"{"path":"x"}"#,
        "headers": [["dropbox-api-arg", r#"{"path":"/backups/other/secret"}"#]],
    });
    refused(&rig, &attached, &[(step, "header")]).await;
}

/// A read-only destination trusts the manifest about what reads, but some methods never do.
#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_writes_cannot_be_declared_to_read() {
    let rig = Rig::new().await;
    for name in ["delete", "put", "set-modified"] {
        let lie = |manifest: &mut Value| {
            for route in manifest["routes"].as_array_mut().unwrap() {
                if route["name"] == name {
                    route["access"] = "read".into();
                }
            }
        };
        assert!(
            rig.host.install_unsigned(&hostile("reach", Service::OneDrive, lie)).is_err(),
            "{name} claims to read"
        );
    }
}

/// The requests of one operation are counted, the refused ones too.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_are_all_an_operation_gets() {
    let rig = Rig::new().await;
    let attached = rig.hostile("reach", Service::Dropbox).await;
    let steps = vec![json!({"route": "no"}); 10_010];
    let results = attempt(&attached, &steps).await;
    let over = results.iter().filter(|result| result["failure"] == "invalid").count();
    assert_eq!(over, 10);
    attached.settle().await.unwrap();
    // One more says that there were too many; those after it are not worth the disk.
    assert_eq!(audit(&rig.host, attached.name().as_str()).len(), 10_001);
    rig.assert_harmless(&attached).await;
}
