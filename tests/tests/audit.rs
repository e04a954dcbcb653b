//! The audit, the figures and the log as an operator sees them, and what is told of an audit that
//! somebody changed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::PathBuf;

use serde_json::Value;
use wharf_tests::{Service, Shell};

/// A destination that was used.
fn used() -> Shell {
    let shell = Shell::with_archive(Service::OneDrive);
    let file = shell.file("data/hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    shell.run(&["ls", "archive:"]).done();
    shell
}

fn audit(shell: &Shell) -> PathBuf {
    shell.path("home/audit/archive.jsonl")
}

fn head(shell: &Shell) -> String {
    let verified = shell.run(&["audit", "archive", "--verify", "--json"]).json().remove(0);
    verified["head"].as_str().unwrap().to_owned()
}

#[test]
fn an_audit_that_is_whole() {
    let shell = used();
    let head = head(&shell);
    let records: u64 = head.split_once(':').unwrap().0.parse().unwrap();
    assert_eq!(shell.run(&["audit", "archive", "--json"]).json().len().to_string(), records.to_string());
    let ran = shell.run(&["audit", "archive", "--verify"]);
    assert_eq!(ran.stderr, "nothing was changed, moved, put in or taken away");
    assert_eq!(ran.done(), format!("{records} records from 1 on; head {head}"));
    // What was noted is still there after more was done.
    shell.run(&["ls", "archive:"]).done();
    shell.run(&["audit", "archive", "--verify", "--anchor", &head]).done();
    let other = format!("{records}:{}", "0".repeat(64));
    let told = shell.run(&["audit", "archive", "--verify", "--anchor", &other]).failed(9);
    assert!(told.contains("the audit of `archive` is not what was written: 1 fault"), "{told}");
    let told = shell.run(&["audit", "archive", "--verify", "--anchor", "7"]).failed(2);
    assert!(told.contains("64 hexadecimal digits"), "{told}");
    let told = shell.run(&["audit", "nobody", "--verify"]).failed(3);
    assert!(told.contains("there is no destination `nobody`"), "{told}");
}

#[test]
fn an_audit_that_was_changed() {
    let shell = used();
    let text = std::fs::read_to_string(audit(&shell)).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let changed = lines[1].replace("onedrive", "twodrive");
    lines[1] = &changed;
    lines.pop();
    std::fs::write(audit(&shell), lines.join("\n") + "\n").unwrap();
    let ran = shell.run(&["audit", "archive", "--verify"]);
    let last = lines.len() + 1;
    let expected = format!(
        "line 2 of `archive.jsonl`: record 2 was changed, or something was put in after it\n\
         the end is missing: records {last} to {last} were on disk"
    );
    assert!(ran.stdout.starts_with(&expected), "{ran}");
    insta::assert_snapshot!(ran.failed(9), @"
    error: the audit of `archive` is not what was written: 2 faults
    hint: copy the folder `[FOLDER]/home/audit` away before anything else is written, then find out who could write there
    ");
    let ran = shell.run(&["audit", "archive", "--verify", "--json"]);
    let verified: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&verified["faults_total"], &verified["faults"][0]["fault"]), (&2.into(), &"changed".into()));
    assert_eq!(verified["faults"][0]["at"]["line"], 2);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["kind"], &error["exit_code"]), (&"corrupt".into(), &9.into()));
}

#[test]
fn a_line_that_a_kill_tore() {
    let shell = used();
    let mut text = std::fs::read(audit(&shell)).unwrap();
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    text.extend_from_slice(br#"{"time":"2026-0"#);
    std::fs::write(audit(&shell), text).unwrap();
    let torn = format!(
        "line {} of `archive.jsonl` is torn: a process was killed while it wrote; no fault",
        lines + 1
    );
    for _ in 0..2 {
        let ran = shell.run(&["audit", "archive", "--verify"]);
        assert!(ran.stderr.contains(&torn), "{ran}");
        ran.done();
        shell.run(&["ls", "archive:"]).done();
    }
}

#[test]
fn what_a_connector_cost() {
    let shell = Shell::with_archive(Service::OneDrive);
    let figures = || shell.run(&["connector", "show", "onedrive", "--json"]).json()[0]["figures"].clone();
    assert_eq!(figures(), Value::Null);
    assert!(!shell.run(&["connector", "show", "onedrive"]).done().contains("so far"));
    shell.run(&["mkdir", "archive:one"]).done();
    let first = figures();
    assert!(first["instances"].as_u64() > Some(0) && first["cpu_us"].as_u64() > Some(0), "{first}");
    assert!(first["memory_peak"].as_u64() > Some(65_536), "{first}");
    assert_eq!((&first["refusals"], &first["traps"], &first["overdrawn"]), (&0.into(), &0.into(), &0.into()));
    shell.run(&["mkdir", "archive:two"]).done();
    assert!(figures()["instances"].as_u64() > first["instances"].as_u64());
    let shown = shell.run(&["connector", "show", "onedrive"]).done();
    let line = shown.lines().find(|line| line.starts_with("so far")).unwrap();
    assert!(line.ends_with("0 requests refused, 0 breakdowns, 0 stopped for taking too long"), "{line}");
}

#[test]
fn a_log_for_people_and_one_for_programs() {
    let shell = used();
    let file = shell.file("data/again.txt", "again");
    let logged = |format: &str| {
        let words = ["copy", &file, "archive:", "--log", "wharf_runtime=debug", "--log-format", format];
        let ran = shell.run(&words);
        let text = ran.stderr.clone();
        ran.done();
        text
    };
    let text = logged("text");
    for span in ["transfer{", "operation{", "attempt{"] {
        assert!(text.contains(span), "no {span} in {text}");
    }
    std::fs::write(&file, "once more").unwrap();
    let text = logged("json");
    let objects: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let closed = |name: &str| {
        let of = |object: &&Value| object["span"]["name"] == name && object["message"] == "close";
        objects.iter().find(of).unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert_eq!(closed("transfer")["span"]["destination"], "archive");
    let is_put = |object: &Value| {
        object["span"]["name"] == "operation"
            && object["span"]["operation"] == "put"
            && object["message"] == "close"
    };
    assert!(objects.iter().any(is_put), "no operation that stores in {text}");
    assert!(closed("attempt")["time.busy"].is_string() && closed("attempt")["timestamp"].is_string());
    assert!(!text.contains("Bearer"), "{text}");
}
