//! Items and folders of OneDrive.

use std::time::Duration;

use cloud::{DEFAULT_ACCOUNT, OneDriveSwitches};
use reqwest::Method;
use serde_json::{Value, json};

use crate::help::{Bench, Reply, access, bytes, quick, send};

#[tokio::test]
async fn a_file_from_put_to_download() {
    let bench = Bench::start().await;
    let data = bytes(10_240);
    let put = bench.put("/a/Bé/ten.bin", data.clone()).await;
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.json["file"]["hashes"]["quickXorHash"], quick(&data));
    assert_eq!(put.json["parentReference"]["path"], "/drive/root:/a/B%C3%A9");
    let again = bench.put("/A/bé/TEN.bin", data.clone()).await;
    assert_eq!((again.status, &again.json["id"]), (200, &put.json["id"]));
    assert_eq!(again.json["name"], "ten.bin");
    assert_ne!(again.json["cTag"], put.json["cTag"]);

    let redirect = bench.get("/root:/a/b%C3%A9/ten.bin:/content").await;
    assert_eq!(redirect.status, 302);
    let url = redirect.header("location").to_owned();
    assert!(url.starts_with("https://contoso-my.sharepoint.com/"), "{url}");
    let whole = send(bench.bare(Method::GET, &url)).await;
    assert_eq!((whole.status, whole.body), (200, data.clone()));
    let range = bench.bare(Method::GET, &url).header("range", "bytes=10-19");
    let part = send(range).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &data[10..20]));
    assert_eq!(part.header("content-range"), "bytes 10-19/10240");
    let beyond = bench.bare(Method::GET, &url).header("range", "bytes=10240-");
    let beyond = send(beyond).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10240"));
    let leaked = send(bench.graph(Method::GET, &url)).await;
    assert_eq!((leaked.status, leaked.code().as_str()), (401, "unauthenticated"));
    assert_eq!(bench.cloud.summary().leaked_authorization, 1);

    bench.cloud.clock().advance(Duration::from_secs(3601));
    assert_eq!(send(bench.bare(Method::GET, &url)).await.status, 401);
    let stored = bench.cloud.onedrive().file(DEFAULT_ACCOUNT, "/a/bé/ten.bin").unwrap();
    assert_eq!((stored.size, stored.hash), (10_240, quick(&data)));
    assert!(bench.cloud.log().iter().all(|entry| !entry.path.contains("tempauth")));
}

#[tokio::test]
async fn ranges_can_be_ignored() {
    let bench = Bench::start().await;
    bench.cloud.onedrive().set_switches(OneDriveSwitches {
        ignore_range: true,
        download_host: Some("public.sn3302.files.1drv.com".to_owned()),
        ..OneDriveSwitches::default()
    });
    let put = bench.put("/x y.txt", "0123456789").await;
    let url = put.json["@microsoft.graph.downloadUrl"].as_str().unwrap();
    assert!(url.starts_with("https://public.sn3302.files.1drv.com/y4m"), "{url}");
    let part = bench.bare(Method::GET, url).header("range", "bytes=2-3");
    let part = send(part).await;
    assert_eq!((part.status, part.text().as_str()), (200, "0123456789"));
}

#[tokio::test]
async fn every_spelling_reaches_the_item() {
    let bench = Bench::start().await;
    let put = bench.put("/g/s%20%231%25.bin", "x").await;
    let drive = bench.cloud.onedrive().drive_id(DEFAULT_ACCOUNT).unwrap();
    let id = put.json["id"].as_str().unwrap();
    let parent = put.json["parentReference"]["id"].as_str().unwrap();
    for path in [
        format!("me/drive/items/{id}"),
        format!("me/drive/items/{}", id.to_lowercase()),
        format!("drives/{drive}/items/{id}"),
        "me/drive/root:/g/s%20%231%25.bin".to_owned(),
        "me/drive/root:/G/S%20%231%25.BIN:".to_owned(),
        "me/drive/root:/.%2Fg%2Fs%20%231%25.bin".to_owned(),
        "me/drive/items/root%3A%2Fg%2Fs%20%231%25.bin%3A".to_owned(),
        format!("me/drive/items/{parent}:/s%20%231%25.bin"),
        format!("drives/{drive}/items/{parent}:/s%20%231%25.bin:"),
    ] {
        let url = format!("https://graph.microsoft.com/v1.0/{path}?select=id");
        let reply = send(bench.graph(Method::GET, &url)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.json, json!({ "id": id }), "{path}");
    }
    let plain = format!("http://{}/_api/v2.0/drives/{drive}/items/{id}", bench.cloud.plain_addr());
    assert_eq!(send(bench.graph(Method::GET, &plain)).await.json["id"], id);
    let foreign = "https://graph.microsoft.com/v1.0/drives/b!nobody/root";
    assert_eq!(send(bench.graph(Method::GET, foreign)).await.code().as_str(), "itemNotFound");
}

#[tokio::test]
async fn folders_and_conflicts() {
    let bench = Bench::start().await;
    let make = |name: &str, conflict: &str| json!({"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": conflict});
    let first = bench.post("/root/children", make("Docs", "fail")).await;
    assert_eq!((first.status, &first.json["folder"]["childCount"]), (201, &json!(0)));
    let second = bench.post("/root/children", make("docs", "fail")).await;
    assert_eq!((second.status, second.code().as_str()), (409, "nameAlreadyExists"));
    let third = bench.post("/root/children", make("docs", "rename")).await;
    assert_eq!(third.json["name"], "docs 1");
    let old = json!({"name": "docs", "folder": {}, "@name.conflictBehavior": "replace"});
    assert_eq!(bench.post("/root/children", old).await.json["id"], first.json["id"]);
    for name in ["a:b", "CON", "a.", "~x", "forms", ".lock", "x_vti_y"] {
        let refused = bench.post("/root/children", make(name, "fail")).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalidRequest"), "{name}");
    }
    let orphan = bench.post("/root:/none:/children", make("x", "fail")).await;
    assert_eq!(orphan.status, 404);

    bench.put("/Docs/a.txt", "one").await;
    let put = |conflict: &str| {
        let path = format!("/root:/docs/A.txt:/content?@microsoft.graph.conflictBehavior={conflict}");
        bench.drive(Method::PUT, &path).body("two")
    };
    assert_eq!(send(put("fail")).await.status, 409);
    assert_eq!(send(put("rename")).await.json["name"], "A 1.txt");
    assert_eq!(send(put("replace")).await.status, 200);
    assert_eq!(bench.put("/Docs", "in the way").await.status, 409);
    assert_eq!(bench.put("/empty", "").await.json["size"], 0);
}

#[tokio::test]
async fn conditions() {
    let bench = Bench::start().await;
    let first = bench.put("/a.txt", "one").await;
    let etag = first.json["eTag"].as_str().unwrap().to_owned();
    let ctag = first.json["cTag"].as_str().unwrap().to_owned();
    let with = |method: Method, path: &str, name: &str, value: &str| {
        bench.drive(method, path).header(name, value).body("two")
    };
    let content = "/root:/a.txt:/content";
    let unchanged = with(Method::GET, "/root:/a.txt", "if-none-match", &etag);
    assert_eq!(send(unchanged).await.status, 304);
    let unchanged = with(Method::GET, content, "if-none-match", &ctag);
    assert_eq!(send(unchanged).await.status, 304);
    assert_eq!(send(with(Method::PUT, content, "if-match", &ctag)).await.status, 200);
    let stale = send(with(Method::PUT, content, "if-match", &etag)).await;
    assert_eq!((stale.status, stale.code().as_str()), (412, "resourceModified/entityTagDoesNotMatch"));
    assert_eq!(send(with(Method::DELETE, "/root:/a.txt", "if-match", &etag)).await.status, 412);
    assert_eq!(send(with(Method::PUT, "/root:/new:/content", "if-match", "\"x\"")).await.status, 412);
    assert_eq!(bench.delete("/root:/a.txt").await.status, 204);
    assert_eq!(bench.delete("/root:/a.txt").await.status, 404);
}

#[tokio::test]
async fn moving_renaming_and_times() {
    let bench = Bench::start().await;
    let put = bench.put("/a/one.txt", "1234").await;
    let id = put.json["id"].as_str().unwrap().to_owned();
    let folder = bench.post("/root/children", json!({"name": "b", "folder": {}})).await;
    let time = "2020-02-03T04:05:06Z";
    let body = json!({
        "name": "two.txt",
        "parentReference": {"id": folder.json["id"]},
        "fileSystemInfo": {"lastModifiedDateTime": time},
    });
    let moved = bench.patch(&format!("/items/{id}"), body).await;
    assert_eq!(moved.status, 200, "{}", moved.text());
    assert_eq!(moved.json["parentReference"]["path"], "/drive/root:/b");
    assert_eq!(moved.json["fileSystemInfo"]["lastModifiedDateTime"], time);
    assert_ne!(moved.json["eTag"], put.json["eTag"]);
    assert_eq!(moved.json["cTag"], put.json["cTag"]);
    let quota = bench.get("").await.json["quota"]["used"].clone();
    assert_eq!(quota, 8, "setting the time made a version that counts");
    let versions = bench.get(&format!("/items/{id}/versions")).await;
    assert_eq!(versions.json["value"].as_array().unwrap().len(), 2);
    let dropped = bench.delete(&format!("/items/{id}/versions/1.0")).await;
    assert_eq!(dropped.status, 204);
    assert_eq!(bench.get("").await.json["quota"]["used"], 4);
    bench.put("/b/three.txt", "x").await;
    let clash = bench.patch(&format!("/items/{id}"), json!({"name": "Three.txt"})).await;
    assert_eq!((clash.status, clash.code().as_str()), (409, "nameAlreadyExists"));
    let case = bench.patch(&format!("/items/{id}"), json!({"name": "TWO.txt"})).await;
    assert_eq!(case.json["name"], "TWO.txt");
    assert_ne!(case.json["fileSystemInfo"]["lastModifiedDateTime"], time, "a move forgets it");
    bench.cloud.onedrive().set_locked(DEFAULT_ACCOUNT, "/b/TWO.txt", true);
    assert_eq!(bench.delete(&format!("/items/{id}")).await.status, 423);
    assert_eq!(bench.put("/b/two.txt", "x").await.status, 423);
}

/// A folder by its path: as the service writes one, and nothing else.
#[tokio::test]
async fn moving_by_path() {
    let bench = Bench::start().await;
    let put = bench.put("/a/one.txt", "1234").await;
    bench.put("/a/two.txt", "x").await;
    let make = |name: &str| bench.post("/root/children", json!({"name": name, "folder": {}}));
    for name in ["b c", "100%", "d"] {
        assert_eq!(make(name).await.status, 201);
    }
    let bench = &bench;
    let go =
        |from: &'static str, body: Value| async move { bench.patch(&format!("/root:{from}"), body).await };
    let to = |path: &str| json!({"parentReference": {"path": path}});
    let moved = go("/a/one.txt", to("/drive/root:/b%20c")).await;
    assert_eq!((moved.status, &moved.json["id"]), (200, &put.json["id"]), "{}", moved.text());
    assert_eq!(moved.json["parentReference"]["path"], "/drive/root:/b%20c");
    let drive = bench.get("").await.json["id"].as_str().unwrap().to_owned();
    let named = to(&format!("/drives/{drive}/root:/100%25"));
    assert_eq!(go("/b c/one.txt", named).await.status, 200);
    assert_eq!(bench.get("/root:/100%25/one.txt").await.status, 200);

    let check = |reply: Reply, status: u16, code: &str| {
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
    };
    let one = "/100%25/one.txt";
    check(go(one, to("/drive/root:/100%")).await, 400, "invalidRequest");
    check(go(one, to("/drive/root:/none")).await, 404, "itemNotFound");
    check(go(one, to("/drive/root:/a/two.txt")).await, 400, "invalidRequest");
    check(go(one, to("/drive/root:")).await, 400, "invalidRequest");
    check(go(one, to("/drives/b!other/root:/a")).await, 400, "invalidRequest");
    check(go("/a", to("/drive/root:/a")).await, 400, "invalidRequest");
    let clash = json!({"name": "TWO.txt", "parentReference": {"path": "/drive/root:/a"}});
    check(go(one, clash.clone()).await, 409, "nameAlreadyExists");
    let stale = bench.drive(Method::PATCH, &format!("/root:{one}")).header("if-match", "\"x\"");
    check(send(crate::help::with_json(stale, &clash)).await, 412, "resourceModified/entityTagDoesNotMatch");
    let mut other = clash;
    other["@microsoft.graph.conflictBehavior"] = json!("rename");
    assert_eq!(go(one, other).await.json["name"], "TWO 1.txt");
    assert_eq!(go("/a", to("/drive/root:/d")).await.status, 200);
    assert_eq!(bench.get("/root:/d/a/two.txt").await.status, 200);
    let copy = json!({"name": "again", "parentReference": {"path": "/drive/root:/b%20c"}});
    assert_eq!(bench.post("/root:/d/a:/copy", copy).await.status, 202);
    bench.cloud.clock().advance(Duration::from_secs(60));
    assert_eq!(bench.get("/root:/b c/again/two.txt").await.status, 200);
}

#[tokio::test]
async fn pages_and_quota() {
    let bench = Bench::start().await;
    for n in 0..7 {
        bench.put(&format!("/f/{n}"), "x").await;
    }
    let mut names = Vec::new();
    let mut page = bench.get("/root:/f:/children?%24top=3&$select=name").await;
    loop {
        let values = page.json["value"].as_array().unwrap().clone();
        assert!(values.len() <= 3);
        names.extend(values.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        assert!(values.iter().all(|item| item.as_object().unwrap().len() == 1));
        let Some(next) = page.json["@odata.nextLink"].as_str() else { break };
        assert!(next.contains("$skiptoken="), "{next}");
        page = send(bench.graph(Method::GET, next)).await;
    }
    assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6"]);
    let forged = bench.get("/root:/f:/children?$skiptoken=abc").await;
    assert_eq!(forged.status, 400);
    bench
        .cloud
        .onedrive()
        .set_switches(OneDriveSwitches { empty_first_page: true, ..OneDriveSwitches::default() });
    let empty = bench.get("/root:/f:/children").await;
    assert_eq!(empty.json["value"], json!([]));
    let next = empty.json["@odata.nextLink"].as_str().unwrap();
    let rest = send(bench.graph(Method::GET, next)).await;
    assert_eq!(rest.json["value"].as_array().unwrap().len(), 7);

    bench.cloud.onedrive().set_quota(DEFAULT_ACCOUNT, 10);
    assert_eq!(bench.put("/big", "12345").await.status, 507);
    bench.delete("/root:/f").await;
    let quota = bench.get("").await.json["quota"].clone();
    assert_eq!((&quota["deleted"], &quota["remaining"]), (&json!(7), &json!(3)));
    bench.cloud.onedrive().empty_recycle_bin(DEFAULT_ACCOUNT);
    assert_eq!(bench.put("/big", "12345").await.status, 201);
    let item: &Value = &bench.get("/root:/big").await.json;
    let gone =
        send(bench.drive(Method::POST, &format!("/items/{}/permanentDelete", item["id"].as_str().unwrap())))
            .await;
    assert_eq!(gone.status, 204);
    assert_eq!(bench.get("").await.json["quota"]["deleted"], 0);
}

#[tokio::test]
async fn hashes_may_be_missing() {
    let bench = Bench::start().await;
    bench
        .cloud
        .onedrive()
        .set_switches(OneDriveSwitches { hash_delay_seconds: 30, ..OneDriveSwitches::default() });
    let put = bench.put("/a", "x").await;
    assert!(put.json["file"]["hashes"].is_null());
    bench.cloud.clock().advance(Duration::from_secs(31));
    let later = bench.get("/root:/a").await;
    assert_eq!(later.json["file"]["hashes"]["quickXorHash"], quick(b"x"));
}

#[tokio::test]
async fn scopes_and_the_application_folder() {
    let bench = Bench::start().await;
    bench.put("/outside.txt", "x").await;
    let read = access(&bench.cloud.onedrive().token_json_for(DEFAULT_ACCOUNT, &["Files.Read"]));
    let with = |method, path: &str, token: &str| {
        let url = format!("https://graph.microsoft.com/v1.0/me/drive{path}");
        bench.bare(method, &url).bearer_auth(token).body("x")
    };
    assert_eq!(send(with(Method::GET, "/root:/outside.txt", &read)).await.status, 200);
    let write = send(with(Method::PUT, "/root:/a:/content", &read)).await;
    assert_eq!((write.status, write.code().as_str()), (403, "accessDenied"));
    assert_eq!(send(with(Method::GET, "/special/approot", &read)).await.status, 403);
    let app = bench.cloud.onedrive().token_json_for(DEFAULT_ACCOUNT, &["Files.ReadWrite.AppFolder"]);
    let app = access(&app);
    let put = send(with(Method::PUT, "/special/approot:/in/a.txt:/content", &app)).await;
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(send(with(Method::GET, "/root:/outside.txt", &app)).await.status, 403);
    let inside = bench.get("/root:/Apps/Wharf/in/a.txt").await;
    assert_eq!(inside.json["id"], put.json["id"]);
    let none = send(bench.bare(Method::GET, "https://graph.microsoft.com/v1.0/me/drive")).await;
    assert_eq!((none.status, none.code().as_str()), (401, "InvalidAuthenticationToken"));
}

#[tokio::test]
async fn personal_drives_have_their_quirks() {
    let bench = Bench::personal().await;
    bench.cloud.onedrive().set_switches(OneDriveSwitches {
        drive_id_quirks: true,
        vault: true,
        ..OneDriveSwitches::default()
    });
    let put = bench.put("/a.txt", "x").await;
    assert!(put.json["id"].as_str().unwrap().contains('!'));
    let url = put.json["@microsoft.graph.downloadUrl"].as_str().unwrap();
    assert!(url.starts_with("https://my.microsoftpersonalcontent.com/"), "{url}");
    let drive = put.json["parentReference"]["driveId"].as_str().unwrap();
    let by_id = format!("https://graph.microsoft.com/v1.0/drives/{drive}/root:/a.txt");
    assert_eq!(send(bench.graph(Method::GET, &by_id)).await.status, 200);
    let vault = bench.get("/root:/Personal%20Vault:/children").await;
    assert_eq!(vault.status, 400);
    assert!(vault.text().contains("ObjectHandle is Invalid"));
    let foreign = "https://graph.microsoft.com/v1.0/drives/1234/root";
    assert_eq!(send(bench.graph(Method::GET, foreign)).await.status, 400);
    let versions = bench.get("/root:/a.txt:/versions").await;
    assert_eq!(versions.status, 400);
    let mut switches = bench.cloud.onedrive().switches();
    switches.migrated_ids = true;
    bench.cloud.onedrive().set_switches(switches);
    let new = bench.put("/b.txt", "x").await;
    let (_, id) = new.json["id"].as_str().unwrap().split_once('!').unwrap();
    assert!(id.len() == 33 && id.starts_with('s'), "{id}");
    let root = bench.get("/root").await;
    let id = root.json["id"].as_str().unwrap().to_owned();
    assert!(id.ends_with("!sea8cc6beffdb43d7976fbc7da445c639"), "{id}");
    assert_eq!(bench.get(&format!("/items/{id}/children")).await.status, 200);
}

#[tokio::test]
async fn unknown_requests_are_named_so() {
    let bench = Bench::start().await;
    assert_eq!(bench.get("/nothing").await.status, 400);
    let other = "https://login.microsoftonline.com/elsewhere";
    assert_eq!(send(bench.bare(Method::GET, other)).await.status, 404);
    assert_eq!(bench.cloud.summary().unknown, 2);
    assert_eq!(bench.kinds(), ["unknown", "unknown"]);
}
