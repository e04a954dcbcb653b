//! Many objects, many connections, and a large one.

use std::time::{Duration, Instant};

use cloud::{DEFAULT_ACCOUNT, Options};
use reqwest::Method;
use serde_json::json;

use crate::help::{Bench, bytes, client, content_hash, quick, send};

/// Objects of the large listing.
const OBJECTS: usize = 50_000;

#[tokio::test]
async fn many_objects_list_quickly() {
    let bench = Bench::start().await;
    bench.cloud.onedrive().put_many(DEFAULT_ACCOUNT, "/many", OBJECTS).unwrap();
    bench.cloud.dropbox().put_many(DEFAULT_ACCOUNT, "/many", OBJECTS).unwrap();
    let started = Instant::now();
    let mut page = bench.get("/root:/many:/children?$top=1000&$select=name,size").await;
    let mut seen = page.json["value"].as_array().unwrap().len();
    while let Some(next) = page.json["@odata.nextLink"].as_str() {
        page = send(bench.graph(Method::GET, next)).await;
        seen += page.json["value"].as_array().unwrap().len();
    }
    assert_eq!(seen, OBJECTS);
    let mut page = bench.rpc("files/list_folder", json!({"path": "/many", "limit": 2000})).await;
    let mut seen = page.json["entries"].as_array().unwrap().len();
    while page.json["has_more"] == true {
        let cursor = json!({"cursor": page.json["cursor"]});
        page = bench.rpc("files/list_folder/continue", cursor).await;
        seen += page.json["entries"].as_array().unwrap().len();
    }
    assert_eq!(seen, OBJECTS);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn many_connections_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::with(Options {
        data_dir: Some(directory.path().to_owned()),
        log_file: Some(directory.path().join("log.jsonl")),
        ..Options::default()
    })
    .await;
    let data = bytes(300_000);
    let clients: Vec<_> = (0..24).map(|n| client(&bench.cloud, n % 2 == 0)).collect();
    let uploads = clients.iter().enumerate().map(|(n, http)| {
        let token = bench.cloud.onedrive().token_json(DEFAULT_ACCOUNT);
        let url = format!("https://graph.microsoft.com/v1.0/me/drive/root:/d/{n}.bin:/content");
        let request = http.put(url).bearer_auth(crate::help::access(&token));
        send(request.body(data.clone()))
    });
    for reply in futures_util::future::join_all(uploads).await {
        assert_eq!(reply.status, 201, "{}", reply.text());
        assert_eq!(reply.json["file"]["hashes"]["quickXorHash"], quick(&data));
    }
    let objects = || {
        let inner = std::fs::read_dir(directory.path()).unwrap().flatten();
        let folders = inner.filter(|entry| entry.path().is_dir());
        folders.map(|folder| std::fs::read_dir(folder.path()).unwrap().count()).sum::<usize>()
    };
    assert_eq!(objects(), 24);
    let Bench { cloud, http, .. } = bench;
    drop((http, clients));
    drop(cloud);
    for _ in 0..100 {
        if objects() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(objects(), 0, "dropping the emulators removes what they stored");
    let log = std::fs::read_to_string(directory.path().join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 24);
}

#[tokio::test]
async fn a_large_object_both_ways() {
    let bench = Bench::start().await;
    let data = bytes(20 * 1024 * 1024 + 7);
    let stored = bench.upload("/large", data.clone()).await;
    assert_eq!(stored.json["content_hash"], content_hash(&data));
    let read = send(bench.content("files/download", &json!({"path": "/large"}), "")).await;
    assert!(read.body == data);
    let put = bench.put("/large", data.clone()).await;
    assert_eq!(put.json["file"]["hashes"]["quickXorHash"], quick(&data));
    let url = put.json["@microsoft.graph.downloadUrl"].as_str().unwrap();
    assert!(send(bench.bare(Method::GET, url)).await.body == data);
}
