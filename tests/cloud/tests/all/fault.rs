//! What goes wrong on purpose, and how it is counted.

use std::time::{Duration, Instant};

use cloud::{Action, Match, Preset, Rule, Service};
use reqwest::Method;
use serde_json::json;

use crate::help::{Bench, bytes, client, content_hash, send, try_send};

#[tokio::test]
async fn presets_come_with_their_headers() {
    let bench = Bench::start().await;
    let preset = |name, retry_after| Action::Preset { name, retry_after };
    let faults = bench.cloud.faults();
    faults.add(Rule::once("onedrive.item", preset(Preset::OnedriveThrottled, Some(1))));
    faults.add(Rule::once("dropbox.upload", preset(Preset::DropboxInsufficientSpace, None)));
    faults.add(Rule::once("dropbox.upload", preset(Preset::DropboxTooManyRequestsText, Some(300))));
    let throttled = bench.get("/root").await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "1"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.get("/root").await.status, 200);
    assert_eq!(bench.cloud.summary().too_early, 1, "it came back within the second");
    bench.cloud.clock().advance(Duration::from_secs(1));
    bench.get("/root").await;
    assert_eq!(bench.cloud.summary().too_early, 1);
    let full = bench.upload("/a", "x").await;
    assert_eq!(full.json["error"]["reason"][".tag"], "insufficient_space");
    let plain = bench.upload("/a", "x").await;
    assert_eq!((plain.status, plain.text().as_str()), (429, "too_many_requests"));
    assert_eq!(plain.header("retry-after"), "300");
    assert!(bench.cloud.dropbox().files("default").is_empty());
    assert_eq!(bench.cloud.summary().faulted, 3);
}

#[tokio::test]
async fn connections_die_before_between_and_after() {
    for http1 in [true, false] {
        let mut bench = Bench::start().await;
        bench.http = client(&bench.cloud, http1);
        let upload = |path: &str| {
            let argument = json!({"path": path, "mode": "overwrite"});
            try_send(bench.content("files/upload", &argument, bytes(200_000)))
        };
        let faults = bench.cloud.faults();
        let stored = || bench.cloud.dropbox().files("default").len();
        faults.add(Rule::once("dropbox.upload", Action::CutBefore));
        assert!(upload("/a").await.is_err());
        faults.add(Rule::once("dropbox.upload", Action::CutAfter { bytes: 70_000 }));
        assert!(upload("/a").await.is_err());
        assert_eq!(stored(), 0);
        faults.add(Rule::once("dropbox.upload", Action::CutAfterCommit));
        assert!(upload("/a").await.is_err());
        assert_eq!(stored(), 1);
        let received: Vec<u64> = bench.cloud.log().iter().map(|entry| entry.request_bytes).collect();
        assert_eq!(received, [0, 70_000, 200_000]);
        assert!(upload("/a").await.is_ok());
    }
}

#[tokio::test]
async fn bodies_are_spoilt() {
    let bench = Bench::start().await;
    let data = bytes(100_000);
    bench.upload("/a", data.clone()).await;
    let faults = bench.cloud.faults();
    let download = || try_send(bench.content("files/download", &json!({"path": "/a"}), ""));
    faults.add(Rule::once("dropbox.download", Action::TruncateReply { bytes: 500 }));
    assert!(download().await.is_err());
    faults.add(Rule::once("dropbox.download", Action::CorruptReply { at: 99_999 }));
    let wrong = download().await.unwrap().body;
    assert_eq!(wrong.len(), data.len());
    assert_eq!(wrong.iter().zip(&data).filter(|(a, b)| a != b).count(), 1);
    faults.add(Rule::once("dropbox.download", Action::TrickleReply { rate: 500_000 }));
    let started = Instant::now();
    assert_eq!(download().await.unwrap().body, data);
    assert!(started.elapsed() >= Duration::from_millis(150));
    faults.add(Rule::once("dropbox.upload", Action::CorruptStored { at: 5 }));
    let stored = bench.upload("/b", data.clone()).await;
    assert_ne!(stored.json["content_hash"], content_hash(&data));
    let sizes: Vec<u64> = bench
        .cloud
        .log()
        .iter()
        .filter(|entry| entry.kind == "dropbox.download")
        .map(|entry| entry.response_bytes)
        .collect();
    assert_eq!(sizes, [500, 100_000, 100_000]);
}

#[tokio::test]
async fn any_answer_late_or_early() {
    let bench = Bench::start().await;
    let rule = Rule {
        name: Some("html".to_owned()),
        matching: Match {
            service: Some(Service::Onedrive),
            method: Some("get".to_owned()),
            path: Some("/special".to_owned()),
            ..Match::default()
        },
        skip: 0,
        times: 0,
        every: 2,
        action: Action::Reply {
            status: 502,
            headers: [("x-test".to_owned(), "1".to_owned())].into(),
            body: json!("<html>"),
            early: true,
        },
    };
    let id = bench.cloud.faults().add(rule);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(bench.get("/special/approot").await.status);
    }
    assert_eq!(statuses, [502, 200, 502, 200]);
    assert_eq!(bench.cloud.faults().acted(id), 2);
    assert_eq!(bench.cloud.log()[0].fault.as_deref(), Some("html"));
    let late = Action::DelayReply { ms: 150 };
    bench.cloud.faults().add(Rule::once("onedrive.item", late));
    let started = Instant::now();
    bench.get("/root").await;
    assert!(started.elapsed() >= Duration::from_millis(150));
    bench.cloud.set_latency(Duration::from_millis(120));
    let started = Instant::now();
    send(bench.bare(Method::GET, "https://graph.microsoft.com/v1.0/me")).await;
    assert!(started.elapsed() >= Duration::from_millis(120));
}
