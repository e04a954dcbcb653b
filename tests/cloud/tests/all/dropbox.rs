//! Calls, uploads, sessions and batches of Dropbox.

use std::time::Duration;

use cloud::{Action, CommitLock, DEFAULT_ACCOUNT, DropboxSwitches, Entries, Rule, TooManyWrites};
use reqwest::Method;
use serde_json::{Value, json};

use crate::help::{Bench, Reply, access, bytes, content_hash, send, with_json};

const BLOCK: usize = 4 * 1024 * 1024;

fn error(reply: &Reply) -> &Value {
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.json["error_summary"].as_str().unwrap().ends_with('.'));
    &reply.json["error"]
}

#[tokio::test]
async fn a_file_from_upload_to_download() {
    let bench = Bench::start().await;
    let data = bytes(10_240);
    let argument = json!({
        "path": "/A/Bé.bin", "mode": {".tag": "add"}, "client_modified": "2020-01-02T03:04:05Z",
        "content_hash": content_hash(&data), "mute": true,
    });
    let stored = send(bench.content("files/upload", &argument, data.clone())).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(stored.json["content_hash"], content_hash(&data));
    assert_eq!(stored.json["client_modified"], "2020-01-02T03:04:05Z");
    assert_eq!(stored.json["path_lower"], "/a/bé.bin");
    assert!(stored.json[".tag"].is_null(), "FileMetadata has no tag here");
    let id = stored.json["id"].as_str().unwrap();

    let request = bench.content("files/download", &json!({"path": id}), "");
    let part = send(request.header("range", "bytes=100-149")).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &data[100..150]));
    let result: Value = serde_json::from_str(part.header("dropbox-api-result")).unwrap();
    assert_eq!(result["path_display"], "/A/Bé.bin");
    let url = format!("https://content.dropboxapi.com/2/files/download?arg={{\"path\":\"{id}\"}}");
    let get = bench.bare(Method::GET, &url).bearer_auth(bench.dropbox_token());
    assert_eq!(send(get).await.body, data);
    let missing = send(bench.content("files/download", &json!({"path": "/none"}), "")).await;
    assert_eq!(error(&missing), &json!({".tag": "path", "path": {".tag": "not_found"}}));
    let folder = send(bench.content("files/download", &json!({"path": "/a"}), "")).await;
    assert_eq!(error(&folder)["path"][".tag"], "not_file");
    let file = bench.cloud.dropbox().file(DEFAULT_ACCOUNT, "/a/BÉ.bin").unwrap();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut file.open().unwrap(), &mut read).unwrap();
    assert_eq!(read, data);
}

#[tokio::test]
async fn arguments_are_read_strictly() {
    let bench = Bench::start().await;
    let unknown = bench.rpc("files/get_metadata", json!({"path": "/a", "paht": 1})).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.text().starts_with("Error in call to API function \"files/get_metadata\""));
    assert_eq!(bench.rpc("files/get_metadata", json!({"path": "a"})).await.status, 400);
    assert_eq!(bench.rpc("files/list_folder", json!({"path": "/"})).await.status, 400);
    assert_eq!(bench.rpc("files/none", Value::Null).await.status, 400);
    let wrong_host = bench.rpc("files/upload", json!({"path": "/a"})).await;
    assert_eq!(wrong_host.status, 400);
    assert!(wrong_host.text().contains("content.dropboxapi.com"));
    let raw = bench.content("files/upload", &Value::Null, "x");
    let header = reqwest::header::HeaderValue::from_bytes("{\"path\":\"/raw/é☃\"}".as_bytes());
    let mut raw = raw.build().unwrap();
    raw.headers_mut().insert("dropbox-api-arg", header.unwrap());
    assert_eq!(bench.http.execute(raw).await.unwrap().status(), 200);
    assert!(bench.cloud.dropbox().file(DEFAULT_ACCOUNT, "/raw/é☃").is_some());
    let update = json!({"path": "/raw/é☃", "mode": {".tag": "update", "update": "xyz"}});
    assert_eq!(send(bench.content("files/upload", &update, "y")).await.status, 400);
    let time = json!({"path": "/t", "client_modified": "2020-01-02T03:04:05.678Z"});
    assert_eq!(send(bench.content("files/upload", &time, "y")).await.status, 400);
    for (path, tag) in [("/a/desktop.ini", "disallowed_name"), ("/a /b", "malformed_path")] {
        let refused = bench.upload(path, "x").await;
        assert_eq!(error(&refused)["reason"][".tag"], tag, "{path}");
    }
}

#[tokio::test]
async fn a_refused_upload_keeps_its_bytes() {
    let bench = Bench::start().await;
    bench.upload("/a", "first").await;
    let argument = json!({"path": "/a"});
    let refused = send(bench.content("files/upload", &argument, "other")).await;
    let error = error(&refused);
    assert_eq!(error["reason"], json!({".tag": "conflict", "conflict": {".tag": "file"}}));
    let id = error["upload_session_id"].as_str().unwrap();
    let finish = json!({
        "cursor": {"session_id": id, "offset": 5}, "commit": {"path": "/b"},
    });
    let saved = send(bench.content("files/upload_session/finish", &finish, "")).await;
    assert_eq!(saved.json["content_hash"], content_hash(b"other"), "{}", saved.text());
    bench.cloud.dropbox().set_quota(DEFAULT_ACCOUNT, 12);
    let full = bench.upload("/c", "xyz").await;
    assert_eq!(crate::dropbox::error(&full)["reason"][".tag"], "insufficient_space");
    let wrong = json!({"path": "/d", "content_hash": "0".repeat(64)});
    let wrong = send(bench.content("files/upload", &wrong, "x")).await;
    assert_eq!(crate::dropbox::error(&wrong), &json!({".tag": "content_hash_mismatch"}));
}

async fn start(bench: &Bench, argument: Value, body: &[u8]) -> String {
    let reply = send(bench.content("files/upload_session/start", &argument, body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json["session_id"].as_str().unwrap().to_owned()
}

async fn append(bench: &Bench, id: &str, offset: usize, close: bool, body: &[u8]) -> Reply {
    let argument = json!({"cursor": {"session_id": id, "offset": offset}, "close": close});
    send(bench.content("files/upload_session/append_v2", &argument, body)).await
}

#[tokio::test]
async fn sessions_in_order() {
    let bench = Bench::start().await;
    let id = start(&bench, json!({}), b"one").await;
    let early = append(&bench, &id, 5, false, b"two").await;
    assert_eq!(error(&early), &json!({".tag": "incorrect_offset", "correct_offset": 3}));
    let appended = append(&bench, &id, 3, false, b"two").await;
    assert_eq!((appended.status, appended.text().as_str()), (200, "null"));
    let argument = json!({
        "cursor": {"session_id": id, "offset": 6}, "content_hash": content_hash(b"x"),
    });
    let wrong = send(bench.content("files/upload_session/append_v2", &argument, "three")).await;
    assert_eq!(error(&wrong), &json!({".tag": "content_hash_mismatch"}));
    assert_eq!(append(&bench, &id, 6, true, b"").await.status, 200);
    assert_eq!(error(&append(&bench, &id, 6, false, b"x").await), &json!({".tag": "closed"}));
    bench.upload("/taken/x", "").await;
    let finish = |offset: usize, path: &str| json!({"cursor": {"session_id": id, "offset": offset}, "commit": {"path": path}});
    let finish = |offset, path| bench.content("files/upload_session/finish", &finish(offset, path), "");
    let wrong = send(finish(4, "/ok")).await;
    assert_eq!(error(&wrong)["lookup_failed"]["correct_offset"], 6);
    let taken = send(finish(6, "/taken")).await;
    let folder = json!({".tag": "path", "path": {".tag": "conflict", "conflict": {".tag": "folder"}}});
    assert_eq!(error(&taken), &folder);
    let saved = send(finish(6, "/ok")).await;
    assert_eq!(saved.json["content_hash"], content_hash(b"onetwo"), "{}", saved.text());
    let again = send(finish(6, "/ok")).await;
    assert_eq!(error(&again)["lookup_failed"][".tag"], "not_found");
    let old = start(&bench, json!({}), b"").await;
    bench.cloud.clock().advance(Duration::from_secs(7 * 24 * 3600 + 1));
    let token = access(&bench.cloud.dropbox().token_json(DEFAULT_ACCOUNT));
    let argument = json!({"cursor": {"session_id": old, "offset": 0}});
    let request = bench.content("files/upload_session/append_v2", &argument, "x");
    let mut request = request.build().unwrap();
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let expired = bench.http.execute(request).await.unwrap();
    assert_eq!(expired.status(), 409);
    assert!(expired.text().await.unwrap().contains("not_found"));
}

#[tokio::test]
async fn sessions_in_parallel() {
    let bench = Bench::start().await;
    let data = bytes(2 * BLOCK + 99);
    let concurrent = json!({"session_type": "concurrent"});
    let with_data = bench.content("files/upload_session/start", &concurrent, "x");
    let with_data = send(with_data).await;
    assert_eq!(error(&with_data)[".tag"], "concurrent_session_data_not_allowed");
    let closed = json!({"session_type": {".tag": "concurrent"}, "close": true});
    let closed = send(bench.content("files/upload_session/start", &closed, "")).await;
    assert_eq!(error(&closed)[".tag"], "concurrent_session_close_not_allowed");
    let id = start(&bench, concurrent, b"").await;
    let odd = append(&bench, &id, 5, false, &data[..BLOCK]).await;
    assert_eq!(error(&odd)[".tag"], "concurrent_session_invalid_offset");
    let short = append(&bench, &id, 0, false, &data[..99]).await;
    assert_eq!(error(&short)[".tag"], "concurrent_session_invalid_data_size");
    let argument = json!({
        "cursor": {"session_id": id, "offset": data.len()}, "commit": {"path": "/p"},
    });
    let finish = || send(bench.content("files/upload_session/finish", &argument, ""));
    assert_eq!(error(&finish().await)[".tag"], "concurrent_session_not_closed");
    let (second, first) = tokio::join!(
        append(&bench, &id, BLOCK, false, &data[BLOCK..2 * BLOCK]),
        append(&bench, &id, 0, false, &data[..BLOCK]),
    );
    assert_eq!((second.status, first.status), (200, 200));
    assert_eq!(append(&bench, &id, 2 * BLOCK, true, &data[2 * BLOCK..]).await.status, 200);
    let saved = finish().await;
    assert_eq!(saved.json["content_hash"], content_hash(&data), "{}", saved.text());
    let stored = bench.cloud.dropbox().file(DEFAULT_ACCOUNT, "/p").unwrap();
    assert_eq!(std::fs::read(stored.bytes).unwrap(), data);

    let id = start(&bench, json!({"session_type": "concurrent"}), b"").await;
    append(&bench, &id, BLOCK, true, b"end").await;
    let argument = json!({
        "cursor": {"session_id": id, "offset": BLOCK + 3}, "commit": {"path": "/q"},
    });
    let holes = send(bench.content("files/upload_session/finish", &argument, "")).await;
    assert_eq!(error(&holes)[".tag"], "concurrent_session_missing_data");
}

#[tokio::test]
async fn batches_fail_entry_by_entry() {
    let bench = Bench::start().await;
    let ids = bench.rpc("files/upload_session/start_batch", json!({"num_sessions": 4})).await;
    let ids: Vec<_> = ids.json["session_ids"].as_array().unwrap().clone();
    let entries: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| json!({"cursor": {"session_id": id, "offset": 0}, "length": n + 1, "close": n != 2}))
        .collect();
    let append = json!({ "entries": entries });
    let appended = bench.content("files/upload_session/append_batch", &append, "abbcccdddd");
    let appended = send(appended).await;
    assert_eq!(appended.json["entries"][3], json!({".tag": "success"}), "{}", appended.text());
    let entries: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| {
            json!({"cursor": {"session_id": id, "offset": n + 1}, "commit": {"path": format!("/{n}")}})
        })
        .collect();
    let finish = json!({ "entries": entries });
    let fail = Entries { first: 3, count: 1, tag: "too_many_write_operations".to_owned() };
    bench.cloud.faults().add(Rule::once("dropbox.finish-batch", Action::FailEntries(fail)));
    let finished = bench.rpc("files/upload_session/finish_batch_v2", finish.clone()).await;
    let results = &finished.json["entries"];
    assert_eq!(results[0][".tag"], "success");
    assert_eq!(results[1]["content_hash"], content_hash(b"bb"));
    assert_eq!(results[2]["failure"]["lookup_failed"][".tag"], "not_closed");
    assert_eq!(results[3]["failure"], json!({".tag": "too_many_write_operations"}));
    let again = bench.rpc("files/upload_session/finish_batch_v2", finish).await;
    assert_eq!(again.json["entries"][0]["failure"]["lookup_failed"][".tag"], "not_found");
    assert_eq!(again.json["entries"][3][".tag"], "success");
}

#[tokio::test]
async fn commits_contend_for_the_namespace() {
    let bench = Bench::start().await;
    let mut switches = DropboxSwitches {
        commit_lock: CommitLock::Refuse,
        commit_ms: 300,
        retry_after_seconds: 7,
        ..DropboxSwitches::default()
    };
    bench.cloud.dropbox().set_switches(switches.clone());
    let (one, two) = tokio::join!(bench.upload("/a", "x"), bench.upload("/b", "y"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    let refused = if one.status == 429 { one } else { two };
    assert_eq!(refused.header("retry-after"), "7");
    assert_eq!(refused.json["error"]["reason"][".tag"], "too_many_write_operations");
    switches.too_many_writes = TooManyWrites::Conflict;
    bench.cloud.dropbox().set_switches(switches.clone());
    let (one, two) = tokio::join!(bench.upload("/c", "x"), bench.upload("/d", "y"));
    let refused = if one.status == 409 { one } else { two };
    assert_eq!(error(&refused)["reason"][".tag"], "too_many_write_operations");
    switches.commit_lock = CommitLock::Queue;
    bench.cloud.dropbox().set_switches(switches);
    let (one, two) = tokio::join!(bench.upload("/e", "x"), bench.upload("/f", "y"));
    assert_eq!((one.status, two.status), (200, 200));
}

#[tokio::test]
async fn listing_and_cursors() {
    let bench = Bench::start().await;
    for path in ["/Top/a/1", "/Top/a/2", "/Top/b"] {
        bench.upload(path, path).await;
    }
    let arguments = json!({"path": "/top", "recursive": true, "limit": 2, "include_deleted": false});
    let mut page = bench.rpc("files/list_folder", arguments).await;
    let mut seen = Vec::new();
    loop {
        assert_eq!(page.status, 200, "{}", page.text());
        let entries = page.json["entries"].as_array().unwrap().clone();
        seen.extend(entries.iter().map(|e| e["path_display"].as_str().unwrap().to_owned()));
        let cursor = json!({"cursor": page.json["cursor"]});
        if page.json["has_more"] == false {
            page = bench.rpc("files/list_folder/continue", cursor).await;
            break;
        }
        page = bench.rpc("files/list_folder/continue", cursor).await;
    }
    assert_eq!(seen, ["/Top", "/Top/a", "/Top/a/1", "/Top/a/2", "/Top/b"]);
    assert_eq!(page.json["entries"], json!([]));
    let cursor = json!({"cursor": page.json["cursor"]});
    bench.upload("/Top/c", "c").await;
    bench.rpc("files/delete_v2", json!({"path": "/top/A"})).await;
    let changes = bench.rpc("files/list_folder/continue", cursor.clone()).await;
    let tags: Vec<_> = changes.json["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry[".tag"].as_str().unwrap(), entry["name"].as_str().unwrap()))
        .collect();
    assert_eq!(tags, [("file", "c"), ("deleted", "a")]);
    let file = bench.rpc("files/list_folder", json!({"path": "/top/b"})).await;
    assert_eq!(error(&file)["path"][".tag"], "not_folder");
    bench.cloud.dropbox().reset_cursors(DEFAULT_ACCOUNT);
    let reset = bench.rpc("files/list_folder/continue", cursor).await;
    assert_eq!(error(&reset), &json!({".tag": "reset"}));
}

#[tokio::test]
async fn long_polls_wake_up() {
    let bench = Bench::start().await;
    let latest = json!({"path": "", "recursive": true});
    let latest = bench.rpc("files/list_folder/get_latest_cursor", latest).await;
    let url = "https://notify.dropboxapi.com/2/files/list_folder/longpoll";
    let body = json!({"cursor": latest.json["cursor"], "timeout": 30});
    let poll = send(with_json(bench.bare(Method::POST, url), &body));
    let change = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.upload("/new", "x").await
    };
    let (poll, _) = tokio::join!(poll, change);
    assert_eq!((poll.status, poll.json), (200, json!({"changes": true})));
}

#[tokio::test]
async fn moving_copying_and_deleting() {
    let bench = Bench::start().await;
    let file = bench.upload("/a/File.txt", "x").await;
    let moved = json!({"from_path": "/A/file.txt", "to_path": "/b/New.txt"});
    let moved = bench.rpc("files/move_v2", moved).await;
    assert_eq!(moved.json["metadata"][".tag"], "file", "{}", moved.text());
    assert_eq!(moved.json["metadata"]["id"], file.json["id"]);
    let copy = json!({"from_path": "/b/new.txt", "to_path": "/c/copy.txt"});
    let copied = bench.rpc("files/copy_v2", copy.clone()).await;
    assert_ne!(copied.json["metadata"]["id"], file.json["id"]);
    let clash = bench.rpc("files/copy_v2", copy).await;
    let conflict = json!({".tag": "to", "to": {".tag": "conflict", "conflict": {".tag": "file"}}});
    assert_eq!(error(&clash), &conflict);
    let none = json!({"from_path": "/none", "to_path": "/x"});
    let none = bench.rpc("files/move_v2", none).await;
    assert_eq!(error(&none)["from_lookup"][".tag"], "not_found");
    let rev = copied.json["metadata"]["rev"].as_str().unwrap();
    let stale = json!({"path": "/c/copy.txt", "parent_rev": "000000000"});
    let stale = bench.rpc("files/delete_v2", stale).await;
    assert_eq!(error(&stale)["path_write"][".tag"], "conflict");
    let exact = json!({"path": "/c/copy.txt", "parent_rev": rev});
    assert_eq!(bench.rpc("files/delete_v2", exact).await.status, 200);
    let batch = json!({"entries": [{"path": "/b/new.txt"}, {"path": "/none"}]});
    let job = bench.rpc("files/delete_batch", batch).await;
    let poll = json!({"async_job_id": job.json["async_job_id"]});
    let pending = bench.rpc("files/delete_batch/check", poll.clone()).await;
    assert_eq!(pending.json, json!({".tag": "in_progress"}));
    bench.cloud.clock().advance(Duration::from_secs(1));
    let done = bench.rpc("files/delete_batch/check", poll).await;
    assert_eq!(done.json["entries"][0]["metadata"]["name"], "New.txt", "{}", done.text());
    assert_eq!(done.json["entries"][1]["failure"]["path_lookup"][".tag"], "not_found");
    let wrong = bench.rpc("files/delete_batch/check", json!({"async_job_id": "x"})).await;
    assert_eq!(error(&wrong), &json!({".tag": "invalid_async_job_id"}));
}

#[tokio::test]
async fn links_accounts_and_roots() {
    let bench = Bench::start().await;
    bench.upload("/a.txt", "linked").await;
    let link = bench.rpc("files/get_temporary_link", json!({"path": "/a.txt"})).await;
    let url = link.json["link"].as_str().unwrap().to_owned();
    assert!(url.contains(".dl.dropboxusercontent.com/"), "{url}");
    assert_eq!(send(bench.bare(Method::GET, &url)).await.text(), "linked");
    let leaked = send(bench.bare(Method::GET, &url).bearer_auth("x")).await;
    assert_eq!(leaked.status, 401);
    bench.cloud.clock().advance(Duration::from_secs(4 * 3600 - 60));
    assert_eq!(send(bench.bare(Method::GET, &url)).await.status, 200);
    bench.cloud.clock().advance(Duration::from_secs(61));
    assert_eq!(send(bench.bare(Method::GET, &url)).await.status, 410);
    assert_eq!(bench.cloud.summary().leaked_authorization, 1);

    let bench = Bench::start().await;
    let account = bench.rpc("users/get_current_account", Value::Null).await;
    let root = account.json["root_info"]["root_namespace_id"].as_str().unwrap();
    let with_root = |root: Value, token: &str| {
        let url = "https://api.dropboxapi.com/2/users/get_space_usage";
        let request = bench.bare(Method::POST, url).bearer_auth(token);
        send(request.header("dropbox-api-path-root", root.to_string()))
    };
    let own = json!({".tag": "root", "root": root});
    assert_eq!(with_root(own.clone(), bench.dropbox_token()).await.status, 200);
    let other = json!({".tag": "root", "root": "1"});
    let refused = with_root(other, bench.dropbox_token()).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json["error"]["invalid_root"]["root_namespace_id"], root);
    bench.cloud.dropbox().add_account("app", true);
    let token = access(&bench.cloud.dropbox().token_json("app"));
    assert_eq!(with_root(own, &token).await.status, 400);
    let read = bench.cloud.dropbox().token_json_for(DEFAULT_ACCOUNT, &["files.metadata.read"]);
    let url = "https://content.dropboxapi.com/2/files/upload";
    let write = bench.bare(Method::POST, url).bearer_auth(access(&read));
    let write = send(write.header("dropbox-api-arg", "{\"path\":\"/x\"}").body("x")).await;
    assert_eq!(write.status, 401);
    assert_eq!(write.json["error"]["required_scope"], "files.content.write");
}
