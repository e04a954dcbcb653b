//! A component that tells everything it can see: it never sees a token, a secret or an address that
//! the service minted, and neither does any file of the home.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use serde_json::{Value, json};
use wharf_runtime::attached::Attached;
use wharf_runtime::content::{Section, Source};
use wharf_runtime::entry::{Info, Mode};
use wharf_runtime::home::Name;
use wharf_runtime::path::RelativePath;
use wharf_tests::{ACCOUNT, Rig, Service, hostile_name, path};

/// What must not be seen, by what it is.
fn secrets(token: &Value, client_secret: &str) -> Vec<(String, String)> {
    ["access_token", "refresh_token"]
        .iter()
        .map(|key| ((*key).to_owned(), token[*key].as_str().unwrap().to_owned()))
        .chain([("client secret".to_owned(), client_secret.to_owned())])
        .collect()
}

struct Seen {
    rig: Rig,
    attached: Attached,
    secrets: Vec<(String, String)>,
}

impl Seen {
    async fn new(service: Service) -> Self {
        let rig = Rig::new().await;
        let change = |manifest: &mut Value| {
            if service == Service::Dropbox {
                manifest["routes"].as_array_mut().unwrap().push(json!({
                    "name": "link", "does": "mint a link", "method": "POST",
                    "url": "https://api.dropboxapi.com/2/files/get_temporary_link",
                    "json": { "in": "body", "keys": ["path"], "confine": { "path": "{item}" } },
                    "access": "read", "credential": "account", "replay": "safe",
                }));
            }
        };
        let name = Name::parse("watched").unwrap();
        let (token, secret) = rig.add_account_of(service, ACCOUNT, &name, &hostile_name("dump", service));
        let account =
            |destination: &mut wharf_runtime::destination::Destination| destination.account = Some(name);
        let attached = rig.hostile_with("dump", service, change, account).await;
        Self { rig, attached, secrets: secrets(&token, &secret) }
    }

    /// Needles that must not be in its memory, and two that must: else the search finds nothing.
    fn asked(&self, steps: &[Value]) -> String {
        let mut needles = serde_json::Map::new();
        let controls = [("control".to_owned(), "/backups/dump-".to_owned())];
        let minted = ["tempauth=", "$skiptoken=", "contoso-my", "dropboxusercontent"];
        let minted: Vec<_> =
            minted.iter().map(|text| (format!("address {}", &text[1..4]), (*text).to_owned())).collect();
        for (name, text) in self.secrets.iter().chain(&controls).chain(&minted) {
            let masked: Vec<u8> = text.bytes().map(|byte| byte ^ 0x5a).collect();
            needles.insert(name.clone(), json!(masked));
        }
        json!({ "requests": steps, "needles": needles }).to_string()
    }

    fn check(&self, text: &str) -> Value {
        for (name, secret) in &self.secrets {
            assert!(!text.contains(secret.as_str()), "the {name} in {text}");
        }
        for minted in ["://", ":\\/\\/", "tempauth", "skiptoken", "contoso-my", "dropboxusercontent"] {
            assert!(!text.contains(minted), "`{minted}` in {text}");
        }
        let seen: Value = serde_json::from_str(text).unwrap();
        let found = seen["memory"]["found"].as_object().unwrap();
        assert!(found.contains_key("control"), "the search finds nothing: {found:?}");
        assert_eq!(found.len(), 1, "in its memory: {found:?}");
        let around = &seen["surroundings"];
        for key in ["environment", "folders", "files"] {
            assert_eq!(around[key], json!([]), "{key}");
        }
        assert_eq!(
            (&around["one"], &around["written"], &around["input"]),
            (&Value::Null, &json!(false), &json!(["0", ""]))
        );
        seen["replies"].clone()
    }

    async fn ask(&self, steps: &[Value]) -> Vec<Value> {
        let asked = self.asked(steps);
        let page = self.attached.list(&RelativePath::root(), false, Some(&asked)).await.unwrap();
        let text: String = page.entries.into_iter().filter_map(|entry| entry.revision).collect();
        serde_json::from_value(self.check(&text)).unwrap()
    }

    /// As [`ask`](Self::ask), in an operation that has bytes to send.
    async fn send(&self, file: &Path, steps: &[Value]) -> Vec<Value> {
        let section = Section::whole(std::sync::Arc::new(Source::open(file).unwrap()));
        let mode = Mode::ReplaceIfRevision(self.asked(steps));
        let info = Info { size: section.size(), modified: None, keep_modified: false, mode };
        let (entry, _) = self.attached.put(&path("x"), &section, &info, None).await.unwrap();
        serde_json::from_value(self.check(&entry.revision.unwrap())).unwrap()
    }

    /// No file of the home has a secret in clear.
    async fn home_is_clean(&self) {
        self.rig.assert_harmless(&self.attached).await;
        let home = wharf_tests::tree(&self.rig.folder.path().join("home"));
        for (name, bytes) in home {
            let bytes = bytes.unwrap_or_default();
            for (what, text) in self
                .secrets
                .iter()
                .map(|(what, text)| (what.as_str(), text.as_str()))
                .chain([("ticket", "tempauth=")])
            {
                let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                // The signature of an address is no secret in a connector's own code.
                assert!(
                    !found || name.starts_with("blobs") || name.starts_with("artefacts"),
                    "the {what} in {name}"
                );
            }
        }
    }
}

fn statuses(replies: &[Value]) -> Vec<i64> {
    replies.iter().map(|reply| reply["status"].as_i64().unwrap_or(-1)).collect()
}

/// The handle under this key of a reply's body, or in this header.
fn handle(reply: &Value, key: &str) -> String {
    let headers = reply["headers"].as_array().unwrap();
    let header = headers.iter().find(|pair| pair[0] == key).map(|pair| pair[1].clone());
    let found = header.unwrap_or_else(|| {
        let body: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
        body[key].clone()
    });
    let found = found.as_str().unwrap_or_else(|| panic!("no {key} in {reply}")).to_owned();
    assert!(found.starts_with("wharf1."), "{key} is {found}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_tells_a_component_no_secret() {
    let seen = Seen::new(Service::OneDrive).await;
    let onedrive = seen.rig.cloud.onedrive();
    onedrive.put_file(ACCOUNT, "/backups/dump-onedrive/file", b"bytes").unwrap();
    onedrive.put_many(ACCOUNT, "/backups/dump-onedrive/many", 9).unwrap();
    let first = seen
        .ask(&[
            json!({"route": "stat", "item": "file"}),
            json!({"route": "children", "item": "many", "query": [["$top", "3"]]}),
            json!({"route": "content", "item": "file"}),
            json!({"route": "start-upload", "item": "new", "json": "{}"}),
            json!({"route": "stat", "item": "missing"}),
            json!({"route": "put", "item": "put", "bytes": "x"}),
            json!({"route": "make-folder", "item": "", "json": r#"{"name":"made","folder":{}}"#}),
            json!({"route": "content", "item": "file", "fetch": true}),
        ])
        .await;
    assert_eq!(statuses(&first), [200, 200, 302, 200, 404, 201, 201, 302], "{first:#?}");
    let page = handle(&first[1], "@odata.nextLink");
    let upload = handle(&first[3], "uploadUrl");
    let download = handle(&first[2], "location");
    let direct = handle(&first[0], "@microsoft.graph.downloadUrl");
    let second = seen
        .ask(&[
            json!({"route": "next-page", "handle": page}),
            json!({"route": "upload-status", "handle": upload}),
            json!({"route": "download", "handle": download}),
            json!({"route": "download", "handle": direct, "fetch": true}),
        ])
        .await;
    assert_eq!(statuses(&second), [200, 200, 200, 200], "{second:#?}");
    assert_eq!(second[2]["body"], "bytes");
    let file = seen.rig.room("x").join("file");
    std::fs::write(&file, vec![7; 1000]).unwrap();
    let sent = seen
        .send(&file, &[
            json!({"route": "send-part", "handle": upload, "section": [0, 1000], "headers": [["content-range", "bytes 0-999/1000"]]}),
            json!({"route": "put", "item": "whole", "section": [0, 1000]}),
            json!({"route": "upload-status", "handle": upload}),
        ])
        .await;
    assert_eq!(statuses(&sent)[..2], [201, 201], "{sent:#?}");
    // Once more with a token that must be refreshed first.
    onedrive.expire_tokens(ACCOUNT);
    assert_eq!(statuses(&seen.ask(&[json!({"route": "stat", "item": "file"})]).await), [200]);
    seen.home_is_clean().await;
    seen.rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbox_tells_a_component_no_secret() {
    let seen = Seen::new(Service::Dropbox).await;
    let dropbox = seen.rig.cloud.dropbox();
    dropbox.put_file(ACCOUNT, "/backups/dump-dropbox/file", b"bytes").unwrap();
    dropbox.put_many(ACCOUNT, "/backups/dump-dropbox/many", 9).unwrap();
    let first = seen
        .ask(&[
            json!({"route": "stat", "json": r#"{"path":"file"}"#}),
            json!({"route": "list", "json": r#"{"path":"many","limit":3}"#}),
            json!({"route": "download", "json": r#"{"path":"file"}"#}),
            json!({"route": "download", "json": r#"{"path":"file"}"#, "fetch": true}),
            json!({"route": "stat", "json": r#"{"path":"missing"}"#}),
            json!({"route": "start-upload", "json": "{}", "bytes": "x"}),
            json!({"route": "make-folder", "json": r#"{"path":"made"}"#}),
            json!({"route": "link", "json": r#"{"path":"file"}"#}),
        ])
        .await;
    assert_eq!(statuses(&first), [200, 200, 200, 200, 409, 200, 200, 200], "{first:#?}");
    assert!(first[7]["body"].as_str().unwrap().contains("[address]"), "{first:#?}");
    let file = seen.rig.room("x").join("file");
    std::fs::write(&file, vec![7; 1000]).unwrap();
    let put = json!({"route": "put", "json": r#"{"path":"whole"}"#, "section": [0, 1000]});
    assert_eq!(statuses(&seen.send(&file, &[put]).await), [200]);
    dropbox.expire_tokens(ACCOUNT);
    assert_eq!(statuses(&seen.ask(&[json!({"route": "stat", "json": r#"{"path":"file"}"#})]).await), [200]);
    seen.home_is_clean().await;
    seen.rig.assert_clean();
}

/// Have the emulator answer the next look with this, and look.
async fn echoed(seen: &Seen, status: u16, headers: &[(&str, &str)], body: Value) -> Value {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let action = cloud::Action::Reply { status, headers, body, early: false };
    seen.rig.cloud.faults().add(cloud::Rule::once("onedrive.item", action));
    seen.ask(&[json!({"route": "stat", "item": "x"})]).await.remove(0)
}

/// A service, or something in front of it, that sends back what it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_echoes_the_token_is_cleaned() {
    let seen = Seen::new(Service::OneDrive).await;
    let token = seen.secrets[0].1.clone();
    let bearer = format!("Bearer {token}");
    let minted = "https://contoso-my.sharepoint.com/x?tempauth=v1.SECRET";
    let headers = [
        ("www-authenticate", bearer.as_str()),
        ("set-cookie", &bearer),
        ("etag", &token),
        ("x-echo", &bearer),
        ("link", minted),
        ("location", minted),
        ("content-location", minted),
    ];
    let deep = json!({"a": [{"b": {"c": [[bearer, minted]]}}], (token.clone()): 1, (minted): 2, "uploadUrl": [minted], "text": format!("see {minted}, {bearer}")});
    for status in [200, 201, 400, 404, 302] {
        echoed(&seen, status, &headers, deep.clone()).await;
        echoed(&seen, status, &headers, format!("<html>{bearer} <a href='{minted}'>").into()).await;
    }
    // Escapes of JSON are no disguise.
    let escaped = r#"{"a":"https:\/\/contoso-my.sharepoint.com\/x?tempauth=v1.SECRET","b":"\u0068ttps\u003a//contoso-my.sharepoint.com/"}"#;
    echoed(&seen, 200, &[("content-type", "application/json")], escaped.into()).await;
    seen.home_is_clean().await;
}

/// A body that begins like JSON and is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_reply_is_cleaned_too() {
    let seen = Seen::new(Service::OneDrive).await;
    let escaped = r#"{"uploadUrl":"https:\/\/contoso-my.sharepoint.com\/x?tempauth=v1.SECRET"}"#;
    for body in
        [format!("{escaped}\n{escaped}"), format!("{escaped} x"), escaped.trim_end_matches('}').to_owned()]
    {
        echoed(&seen, 200, &[], body.into()).await;
    }
    seen.rig.assert_harmless(&seen.attached).await;
}

/// JSON inside a text of JSON, as batches and error details have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_within_a_reply_is_cleaned_too() {
    let seen = Seen::new(Service::OneDrive).await;
    let inner = r#"{"uploadUrl":"https:\/\/contoso-my.sharepoint.com\/x?tempauth=v1.SECRET"}"#;
    echoed(&seen, 200, &[], json!({ "body": inner })).await;
    seen.rig.assert_harmless(&seen.attached).await;
}

/// The token in the forms that a log or a proxy gives it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_disguise_is_cleaned_too() {
    let seen = Seen::new(Service::OneDrive).await;
    let token = seen.secrets[0].1.clone();
    let base64 = base64(token.as_bytes());
    let reply = echoed(&seen, 400, &[], json!({ "error": base64 })).await;
    assert!(!reply["body"].as_str().unwrap().contains(&base64), "{reply}");
    seen.rig.assert_harmless(&seen.attached).await;
}

/// A connector that hopes for a template: what it writes where no token belongs stays what it wrote.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_looks_like_a_place_for_the_token_is_filled() {
    let seen = Seen::new(Service::OneDrive).await;
    let directory = format!("/backups/{}", seen.attached.name());
    seen.rig.cloud.onedrive().put_many(ACCOUNT, &format!("{directory}/many"), 5).unwrap();
    let children = json!({"route": "children", "item": "many", "query": [["$top", "2"]]});
    let page = seen.ask(&[children]).await.remove(0);
    let sealed = handle(&page, "@odata.nextLink");
    let texts =
        ["{token}", "{{access_token}}", "${ACCESS_TOKEN}", "$AUTHORIZATION", "Bearer {account}", &sealed];
    for (number, text) in texts.iter().enumerate() {
        let name = format!("{directory}/{number}");
        let put = json!({"route": "put", "item": number.to_string(), "bytes": text});
        assert_eq!(statuses(&seen.ask(&[put]).await), [201], "{text}");
        let stored = seen.rig.stored(Service::OneDrive, &name).unwrap();
        assert_eq!(String::from_utf8(stored).unwrap(), *text);
    }
    seen.rig.assert_clean();
    seen.home_is_clean().await;
}

/// Standard base64 without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            let sextet = bits >> (18 - 6 * place) & 63;
            text.push(char::from(LETTERS[usize::try_from(sextet).unwrap()]));
        }
    }
    text
}
