//! The port for other processes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::help::{Bench, Reply, send, with_json};

async fn ask(bench: &Bench, method: Method, path: &str, body: Value) -> Reply {
    let url = format!("http://{}{path}", bench.cloud.control_addr());
    let request = bench.bare(method, &url);
    match body.is_null() {
        true => send(request).await,
        false => send(with_json(request, &body)).await,
    }
}

async fn get(bench: &Bench, path: &str) -> Value {
    let reply = ask(bench, Method::GET, path, Value::Null).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json
}

#[test]
fn the_binary_announces_itself_and_ends_with_its_input() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let directory = tempfile::tempdir().unwrap();
    let (ca, tokens) = (directory.path().join("ca.pem"), directory.path().join("tokens"));
    let mut process = Command::new(env!("CARGO_BIN_EXE_cloud"))
        .args(["serve", "--proxy", "--drive", "personal", "--ca-out"])
        .arg(&ca)
        .arg("--token-dir")
        .arg(&tokens)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    for port in ["tls", "plain", "control", "proxy"] {
        assert!(ready[port].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    }
    assert!(ready["connect_to"].as_array().unwrap().len() >= 15);
    assert!(std::fs::read_to_string(&ca).unwrap().contains("BEGIN CERTIFICATE"));
    let token = std::fs::read_to_string(tokens.join("onedrive.json")).unwrap();
    assert!(serde_json::from_str::<Value>(&token).unwrap()["refresh_token"].is_string());
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[tokio::test]
async fn everything_is_reachable() {
    let bench = Bench::start().await;
    let post = |path: &'static str, body| ask(&bench, Method::POST, path, body);
    bench.put("/a/b.txt", "hello").await;
    let files = get(&bench, "/files?service=onedrive&path=/a").await;
    assert_eq!(files[0]["hash"], "aCgDG9jwBgAAAAAABQAAAAAAAAA=");
    let put = bench.bare(
        Method::PUT,
        &format!("http://{}/files/content?service=dropbox&path=/x/y", bench.cloud.control_addr()),
    );
    assert_eq!(send(put.body("by hand")).await.status, 200);
    let read = ask(&bench, Method::GET, "/files/content?service=dropbox&path=/X/Y", Value::Null);
    assert_eq!(read.await.text(), "by hand");

    let rule = json!({"match": {"kind": "onedrive.item"}, "action": {"do": "cut-before"}});
    let added = post("/faults", json!([rule, rule])).await;
    assert_eq!(added.json["ids"].as_array().unwrap().len(), 2);
    assert_eq!(get(&bench, "/faults").await[0]["acted"], 0);
    ask(&bench, Method::DELETE, "/faults", Value::Null).await;
    assert_eq!(get(&bench, "/faults").await, json!([]));
    let wrong = post("/faults", json!({"action": {"do": "explode"}})).await;
    assert_eq!(wrong.status, 400);

    let switched = post("/switches", json!({"onedrive": {"ignore_range": true}})).await;
    assert_eq!(switched.json["onedrive"]["ignore_range"], true);
    assert!(bench.cloud.onedrive().switches().ignore_range);
    let wrong = post("/switches", json!({"onedrive": {"ignore_rnage": true}})).await;
    assert_eq!(wrong.status, 400);
    let ahead = post("/clock", json!({"advance_ms": 5000})).await;
    assert_eq!(ahead.json["ahead_ms"], 5000);

    let token = get(&bench, "/token?service=dropbox&scopes=account_info.read").await;
    assert_eq!(token["token_type"], "bearer");
    post("/token/expire?service=dropbox", Value::Null).await;
    let expired = bench.rpc("users/get_space_usage", Value::Null).await;
    assert_eq!(expired.status, 401);
    let account = json!({"service": "onedrive", "account": "other", "kind": "personal"});
    let added = post("/accounts", account).await;
    assert_eq!(added.json["drive_id"].as_str().unwrap().len(), 16);
    post("/seed?service=onedrive&account=other&path=/s&count=3", Value::Null).await;
    let seeded = get(&bench, "/files?service=onedrive&account=other").await;
    assert_eq!(seeded.as_array().unwrap().len(), 3);

    let library = json!({"account": "other", "kind": "documentLibrary"});
    assert!(post("/drives", library).await.json["drive_id"].as_str().unwrap().starts_with("b!"));
    let client = json!({"service": "dropbox", "id": "app2", "secret": "s"});
    assert_eq!(post("/clients", client).await.status, 200);

    let puts = get(&bench, "/log?kind=onedrive.put*").await;
    assert_eq!(puts[0]["request_bytes"], 5);
    assert_eq!(puts[0]["version"], "HTTP/2.0");
    assert_eq!(get(&bench, "/summary").await["kinds"]["onedrive.put-content"], 1);
    ask(&bench, Method::DELETE, "/log", Value::Null).await;
    assert_eq!(get(&bench, "/log").await, json!([]));
    assert_eq!(ask(&bench, Method::GET, "/none", Value::Null).await.status, 404);
}
