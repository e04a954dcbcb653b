//! Upload sessions of OneDrive.

use std::time::Duration;

use cloud::{Action, DEFAULT_ACCOUNT, Multiples, OneDriveSwitches, RangeStyle, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::help::{Bench, Reply, bytes, quick, send, try_send, with_json};

/// The quantum of parts.
const QUANTUM: usize = 320 * 1024;

async fn open(bench: &Bench, path: &str, item: Value) -> Reply {
    let path = format!("/root:{path}:/createUploadSession");
    bench.post(&path, json!({ "item": item })).await
}

async fn part(bench: &Bench, url: &str, data: &[u8], start: usize, end: usize) -> Reply {
    send(request(bench, url, data, start, end)).await
}

fn request(bench: &Bench, url: &str, data: &[u8], start: usize, end: usize) -> reqwest::RequestBuilder {
    let range = format!("bytes {start}-{}/{}", end - 1, data.len());
    bench.bare(Method::PUT, url).header("content-range", range).body(data[start..end].to_vec())
}

fn url(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json["uploadUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn parts_in_order() {
    let bench = Bench::start().await;
    let data = bytes(2 * QUANTUM + 100);
    let time = "2019-01-02T03:04:05Z";
    let item = json!({"fileSystemInfo": {"lastModifiedDateTime": time}, "name": "big.bin"});
    let session = open(&bench, "/a/big.bin", item).await;
    assert_eq!(session.json["nextExpectedRanges"], json!(["0-"]));
    let url = url(&session);
    let first = part(&bench, &url, &data, 0, QUANTUM).await;
    assert_eq!(first.status, 202);
    assert_eq!(first.json["nextExpectedRanges"], json!(["327680-"]));
    let status = send(bench.bare(Method::GET, &url)).await;
    assert_eq!((status.status, &status.json), (200, &first.json));
    for (start, end, code) in [
        (0, QUANTUM, "invalidRange/fragmentOverlap"),
        (2 * QUANTUM, data.len(), "invalidRange/fragmentOutOfOrder"),
    ] {
        let wrong = part(&bench, &url, &data, start, end).await;
        assert_eq!((wrong.status, wrong.code().as_str()), (416, code));
        assert!(wrong.json["error"]["innererror"]["request-id"].is_null());
    }
    let total = part(&bench, &url, &data[..data.len() - 1], QUANTUM, 2 * QUANTUM).await;
    assert_eq!((total.status, total.code().as_str()), (400, "invalidRequest/fragmentLengthMismatch"));
    let odd = part(&bench, &url, &data, QUANTUM, 2 * QUANTUM - 1).await;
    assert_eq!((odd.status, odd.code().as_str()), (400, "invalidRequest"));
    let leaked = request(&bench, &url, &data, QUANTUM, 2 * QUANTUM).bearer_auth("x");
    assert_eq!(send(leaked).await.status, 401);
    assert_eq!(part(&bench, &url, &data, QUANTUM, 2 * QUANTUM).await.status, 202);
    let last = part(&bench, &url, &data, 2 * QUANTUM, data.len()).await;
    assert_eq!(last.status, 201);
    assert_eq!(last.json["file"]["hashes"]["quickXorHash"], quick(&data));
    assert_eq!(last.json["fileSystemInfo"]["lastModifiedDateTime"], time);
    let gone = send(bench.bare(Method::GET, &url)).await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "itemNotFound/uploadSessionNotFound"));
    assert_eq!(bench.cloud.onedrive().open_sessions(), 0);
}

#[tokio::test]
async fn what_a_session_refuses() {
    let bench = Bench::start().await;
    let wrong = open(&bench, "/a.bin", json!({"name": "b.bin"})).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("Name from path does not match name from body"));
    bench.put("/there.bin", "x").await;
    let fail = json!({"@microsoft.graph.conflictBehavior": "fail"});
    assert_eq!(open(&bench, "/there.bin", fail).await.status, 409);
    let stale = bench.drive(Method::POST, "/root:/there.bin:/createUploadSession");
    let stale = send(with_json(stale.header("if-match", "\"x\""), &json!({}))).await;
    assert_eq!(stale.status, 412);
    bench.cloud.onedrive().set_quota(DEFAULT_ACCOUNT, 1000);
    assert_eq!(open(&bench, "/c.bin", json!({"fileSize": 2000})).await.status, 507);
    let url = url(&open(&bench, "/c.bin", json!({})).await);
    let zero = bench.bare(Method::PUT, &url).header("content-range", "bytes 0-0/0").body("");
    assert_eq!(send(zero).await.status, 400);
    let short = bench.bare(Method::PUT, &url).header("content-range", "bytes 0-9/10").body("abc");
    assert_eq!(send(short).await.code(), "invalidRequest/contentLengthMismatch");
    let huge = bench.bare(Method::PUT, &url).header("content-range", "bytes 0-62914559/99999999").body("abc");
    assert_eq!(send(huge).await.status, 413);
    let data = bytes(1001);
    let over = part(&bench, &url, &data, 0, 1001).await;
    assert_eq!((over.status, over.code().as_str()), (507, "quotaLimitReached/insufficientStorage"));
    assert_eq!(send(bench.bare(Method::DELETE, &url)).await.status, 204);
    assert_eq!(part(&bench, &url, &data, 0, 1001).await.status, 404);
    let other = crate::session::url(&open(&bench, "/d.bin", json!({})).await);
    bench.cloud.clock().advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(send(bench.bare(Method::GET, &other)).await.status, 404);
}

#[tokio::test]
async fn a_conflict_at_commit_keeps_the_bytes() {
    let bench = Bench::start().await;
    let data = bytes(500);
    let fail = json!({"@microsoft.graph.conflictBehavior": "fail"});
    let url = url(&open(&bench, "/a.bin", fail).await);
    bench.put("/a.bin", "somebody else").await;
    let last = part(&bench, &url, &data, 0, 500).await;
    assert_eq!((last.status, last.code().as_str()), (409, "nameAlreadyExists"));
    let body = json!({
        "name": "a.bin",
        "@microsoft.graph.conflictBehavior": "replace",
        "@microsoft.graph.sourceUrl": url,
    });
    let commit = bench.drive(Method::PUT, "/root:/a.bin");
    let commit = send(with_json(commit, &body)).await;
    assert_eq!((commit.status, &commit.json["size"]), (200, &json!(500)), "{}", commit.text());
    assert_eq!(bench.cloud.onedrive().open_sessions(), 0);
}

#[tokio::test]
async fn deferred_commits() {
    let bench = Bench::start().await;
    let data = bytes(500);
    let body = json!({"item": {}, "deferCommit": true});
    let session = bench.post("/root:/a.bin:/createUploadSession", body).await;
    let url = url(&session);
    let all = part(&bench, &url, &data, 0, 500).await;
    assert_eq!((all.status, &all.json["nextExpectedRanges"]), (202, &json!([])));
    assert_eq!(bench.get("/root:/a.bin").await.status, 404);
    let commit = send(bench.bare(Method::POST, &url).body("")).await;
    assert_eq!((commit.status, &commit.json["size"]), (201, &json!(500)));
}

#[tokio::test]
async fn odd_parts_fail_at_the_end_if_so_switched() {
    let bench = Bench::start().await;
    bench.cloud.onedrive().set_switches(OneDriveSwitches {
        multiples: Multiples::AtCommit,
        range_style: RangeStyle::Closed,
        upload_host: Some("sn3302.up.1drv.com".to_owned()),
        ..OneDriveSwitches::default()
    });
    let data = bytes(1000);
    let url = url(&open(&bench, "/a.bin", json!({})).await);
    assert!(url.starts_with("https://sn3302.up.1drv.com/up/"), "{url}");
    let first = part(&bench, &url, &data, 0, 400).await;
    assert_eq!(first.json["nextExpectedRanges"], json!(["400-999"]));
    let last = part(&bench, &url, &data, 400, 1000).await;
    assert_eq!(last.status, 400);
    assert!(bench.cloud.onedrive().files(DEFAULT_ACCOUNT).is_empty());
    let entry = bench.cloud.log().pop().unwrap();
    assert_eq!(entry.path, "/up/*");
}

#[tokio::test]
async fn a_broken_part_is_dropped_or_kept() {
    for (keep, next) in [(false, 0), (true, 100_000)] {
        let bench = Bench::start().await;
        bench
            .cloud
            .onedrive()
            .set_switches(OneDriveSwitches { keep_partial_parts: keep, ..OneDriveSwitches::default() });
        let data = bytes(2 * QUANTUM);
        let url = url(&open(&bench, "/a.bin", json!({})).await);
        let cut = Action::CutAfter { bytes: 100_000 };
        bench.cloud.faults().add(Rule::once("onedrive.session-part", cut));
        let broken = try_send(request(&bench, &url, &data, 0, QUANTUM)).await;
        assert!(broken.is_err());
        let status = send(bench.bare(Method::GET, &url)).await;
        assert_eq!(status.json["nextExpectedRanges"], json!([format!("{next}-")]).to_owned());
        assert_eq!(part(&bench, &url, &data, next, QUANTUM).await.status, 202);
        let last = part(&bench, &url, &data, QUANTUM, 2 * QUANTUM).await;
        assert_eq!(last.json["file"]["hashes"]["quickXorHash"], quick(&data), "keep {keep}");
    }
}

#[tokio::test]
async fn a_lost_reply_leaves_the_file() {
    let bench = Bench::start().await;
    let data = bytes(5000);
    let url = url(&open(&bench, "/a.bin", json!({})).await);
    bench.cloud.faults().add(Rule::once("onedrive.session-part", Action::CutAfterCommit));
    assert!(try_send(request(&bench, &url, &data, 0, 5000)).await.is_err());
    assert_eq!(part(&bench, &url, &data, 0, 5000).await.status, 404);
    let item = bench.get("/root:/a.bin").await;
    assert_eq!(item.json["file"]["hashes"]["quickXorHash"], quick(&data));
    let entries = bench.cloud.log();
    let cut = entries.iter().find(|entry| entry.status.is_none()).unwrap();
    assert_eq!(cut.fault.as_deref(), Some("cut-after-commit"));
}

#[tokio::test]
async fn business_drives_show_what_is_under_way() {
    let bench = Bench::start().await;
    bench.cloud.onedrive().set_switches(OneDriveSwitches {
        show_temporary: true,
        one_writer: true,
        rewrite_office: true,
        ..OneDriveSwitches::default()
    });
    let url = url(&open(&bench, "/report.docx", json!({})).await);
    let listed = bench.get("/root/children").await;
    let name = listed.json["value"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("~tmp") && name.ends_with("_report.docx"), "{name}");
    let second = open(&bench, "/Report.docx", json!({})).await;
    assert_eq!((second.status, second.code().as_str()), (409, "conflict"));
    let data = bytes(500);
    let last = part(&bench, &url, &data, 0, 500).await;
    assert_eq!(last.status, 201, "{}", last.text());
    assert_ne!(last.json["size"], 500, "the service wrote into the file");
    let listed = bench.get("/root/children").await;
    assert_eq!(listed.json["value"].as_array().unwrap().len(), 1);
}
