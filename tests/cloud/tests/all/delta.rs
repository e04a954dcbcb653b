//! Changes, copy jobs, batches and throttling of OneDrive.

use std::time::Duration;

use cloud::{DEFAULT_ACCOUNT, OneDriveSwitches, Throttle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::help::{Bench, Reply, send};

/// Follows the pages of an enumeration to its end; gives the values and the delta link.
async fn enumerate(bench: &Bench, mut page: Reply) -> (Vec<Value>, String) {
    let mut values = Vec::new();
    loop {
        assert_eq!(page.status, 200, "{}", page.text());
        values.extend(page.json["value"].as_array().unwrap().iter().cloned());
        if let Some(link) = page.json["@odata.deltaLink"].as_str() {
            return (values, link.to_owned());
        }
        let next = page.json["@odata.nextLink"].as_str().unwrap().to_owned();
        page = send(bench.graph(Method::GET, &next)).await;
    }
}

fn names(values: &[Value]) -> Vec<&str> {
    values.iter().map(|item| item["name"].as_str().unwrap_or("(deleted)")).collect()
}

#[tokio::test]
async fn changes_since_a_link() {
    let bench = Bench::start().await;
    for path in ["/a/1", "/a/2", "/b"] {
        bench.put(path, "x").await;
    }
    let (all, link) = enumerate(&bench, bench.get("/root/delta?$top=2").await).await;
    assert_eq!(all.len(), 5);
    let first = all.iter().find(|item| item["name"] == "1").unwrap();
    assert_eq!(first["parentReference"]["name"], "a");
    assert!(first["parentReference"]["id"].is_string() && first["parentReference"].get("path").is_none());
    let (nothing, link) = enumerate(&bench, send(bench.graph(Method::GET, &link)).await).await;
    assert!(nothing.is_empty());
    bench.put("/a/3", "x").await;
    bench.delete("/root:/b").await;
    let (changes, _) = enumerate(&bench, send(bench.graph(Method::GET, &link)).await).await;
    let seen = names(&changes);
    assert!(seen.contains(&"3") && seen.contains(&"a") && seen.contains(&"(deleted)"), "{seen:?}");
    assert!(changes.iter().any(|item| item["deleted"]["state"] == "deleted"));
    assert!(!seen.contains(&"1"));

    let latest = bench.get("/root/delta?token=latest").await;
    assert_eq!(latest.json["value"], json!([]));
    let below = bench.get("/root:/a:/delta").await;
    let (below, _) = enumerate(&bench, below).await;
    assert_eq!(below.len(), 4);
    bench
        .cloud
        .onedrive()
        .set_switches(OneDriveSwitches { delta_repeats: true, ..OneDriveSwitches::default() });
    let (repeated, _) = enumerate(&bench, bench.get("/root:/a:/delta").await).await;
    assert_eq!(repeated.len(), 5);

    bench.cloud.onedrive().reset_delta(DEFAULT_ACCOUNT);
    let stale = send(bench.graph(Method::GET, &link)).await;
    assert_eq!((stale.status, stale.code().as_str()), (410, "resyncRequired/resyncChangesApplyDifferences"));
    let fresh = send(bench.graph(Method::GET, stale.header("location"))).await;
    assert_eq!(fresh.status, 200);
}

/// Each folder comes before what is in it, whatever came last, on pages of any size; and what changes between
/// two pages is told afterwards.
#[tokio::test]
async fn a_folder_comes_before_what_is_in_it() {
    let bench = Bench::start().await;
    for path in ["/a/deep/er/1", "/a/2", "/b/3", "/c"] {
        bench.put(path, "x").await;
    }
    let new = bench.post("/root/children", json!({"name": "z", "folder": {}})).await;
    let into = json!({"parentReference": {"id": new.json["id"]}});
    assert_eq!(bench.patch("/root:/a", into).await.status, 200);
    for top in [1, 2, 3, 100] {
        let (all, _) = enumerate(&bench, bench.get(&format!("/root/delta?$top={top}")).await).await;
        let mut known: Vec<&str> = Vec::new();
        for item in &all {
            let parent = item["parentReference"]["id"].as_str();
            let first = item.get("root").is_some();
            assert!(first || parent.is_some_and(|id| known.contains(&id)), "{:?}", names(&all));
            known.push(item["id"].as_str().unwrap());
        }
        let mut seen = names(&all);
        seen.sort_unstable();
        assert_eq!(seen, ["1", "2", "3", "a", "b", "c", "deep", "er", "root", "z"]);
    }
    let first = bench.get("/root/delta?$top=4").await;
    let before = names(first.json["value"].as_array().unwrap()).join(" ");
    assert_eq!(before, "root b 3 c");
    bench.delete("/root:/c").await;
    bench.put("/b/4", "x").await;
    bench.put("/x", "x").await;
    let next = first.json["@odata.nextLink"].as_str().unwrap().to_owned();
    let (rest, link) = enumerate(&bench, send(bench.graph(Method::GET, &next)).await).await;
    assert_eq!(names(&rest), ["x", "z", "a", "2", "deep", "er", "1"]);
    let (later, _) = enumerate(&bench, send(bench.graph(Method::GET, &link)).await).await;
    let later = names(&later);
    assert!(["4", "x", "(deleted)"].iter().all(|name| later.contains(name)), "{later:?}");
}

#[tokio::test]
async fn copies_take_their_time() {
    let bench = Bench::start().await;
    bench.cloud.onedrive().set_switches(OneDriveSwitches { copy_ms: 5000, ..OneDriveSwitches::default() });
    bench.put("/a/1", "x").await;
    let copy = bench.post("/root:/a:/copy", json!({"name": "b"})).await;
    assert_eq!(copy.status, 202);
    let url = copy.header("location").to_owned();
    assert!(url.contains("/monitor/"), "{url}");
    let pending = send(bench.bare(Method::GET, &url)).await;
    assert_eq!(pending.json["status"], "inProgress");
    assert_eq!(bench.get("/root:/b/1").await.status, 404);
    assert_eq!(send(bench.graph(Method::GET, &url)).await.status, 401);
    bench.cloud.clock().advance(Duration::from_secs(6));
    assert_eq!(bench.get("/root:/b/1").await.status, 200);
    let done = send(bench.bare(Method::GET, &url)).await;
    assert_eq!(done.json["status"], "completed");
    let id = done.json["resourceId"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/items/{id}")).await.json["name"], "b");
    let clash = bench.post("/root:/a:/copy", json!({"name": "b"})).await;
    assert_eq!(clash.status, 409);
}

#[tokio::test]
async fn batches() {
    let bench = Bench::start().await;
    bench.put("/a", "x").await;
    let body = json!({"requests": [
        {"id": "1", "method": "GET", "url": "/me/drive/root:/a"},
        {"id": "2", "method": "GET", "url": "/me/drive/root:/none"},
        {"id": "3", "method": "DELETE", "url": "/me/drive/root:/a", "dependsOn": ["2"]},
        {"id": "4", "method": "POST", "url": "/me/drive/root/children",
         "headers": {"Content-Type": "application/json"}, "body": {"name": "f", "folder": {}}},
    ]});
    let url = "https://graph.microsoft.com/v1.0/$batch";
    let reply = crate::help::with_json(bench.graph(Method::POST, url), &body);
    let reply = send(reply).await;
    let responses = reply.json["responses"].as_array().unwrap();
    let statuses: Vec<_> = responses.iter().map(|r| r["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 404, 424, 201]);
    assert_eq!(responses[0]["body"]["name"], "a");
    let batched: Vec<_> = bench.cloud.log().into_iter().filter(|entry| entry.batched).collect();
    assert_eq!(batched.len(), 3);
}

#[tokio::test]
async fn budgets_and_blocks() {
    let bench = Bench::start().await;
    bench.cloud.onedrive().set_switches(OneDriveSwitches {
        throttle: Throttle {
            units_per_minute: 10,
            retry_after_seconds: 30,
            block_after: 2,
            ..Throttle::default()
        },
        ..OneDriveSwitches::default()
    });
    let mut shown = 0;
    for _ in 0..10 {
        let reply = bench.get("/root").await;
        assert_eq!(reply.status, 200);
        shown += usize::from(!reply.header("ratelimit-remaining").is_empty());
    }
    assert_eq!(shown, 3, "from 80 % of the budget on");
    let throttled = bench.get("/root").await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "30"));
    assert_eq!(throttled.json["error"]["innerError"]["status"], "429");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.get("/root").await.status, 429);
    let blocked = bench.get("/root").await;
    assert_eq!((blocked.status, blocked.code().as_str()), (503, "serviceNotAvailable"));
    assert_eq!(bench.cloud.summary().too_early, 2);
    bench.cloud.clock().advance(Duration::from_secs(61));
    assert_eq!(bench.get("/root").await.status, 200);
    assert_eq!(bench.cloud.summary().too_early, 2);
}
