//! `wharf connector test`, as a vendor runs it: on connectors that are as they must be, at both services,
//! and on components that are not.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeMap;

use serde_json::Value;
use wharf_tests::{ACCOUNT, Ran, Service, Shell, hostile};

/// Findings by part: those that are good, and what was said of the others.
fn findings(ran: &Ran) -> BTreeMap<String, (usize, Vec<String>)> {
    let mut parts: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for line in ran.stdout.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        let part = parts.entry(finding["part"].as_str().unwrap().to_owned()).or_default();
        match finding["outcome"].as_str().unwrap() {
            "ok" => part.0 += 1,
            _ => part.1.push(line.to_owned()),
        }
    }
    parts
}

#[test]
fn a_connector_of_this_machine_needs_nothing_else() {
    let shell = Shell::new();
    let file = wharf_tests::target().join("connectors/local.wasm").display().to_string();
    let ran = shell.run(&["connector", "test", &file, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let parts = findings(&ran);
    assert!(parts["pressure"].0 == 1 && parts["names"].0 > 40 && parts["end"].0 == 1, "{parts:?}");
    let others: Vec<&String> = parts.values().flat_map(|(_, others)| others).collect();
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others[0].contains("on one page") && others[1].contains("in one piece"), "{others:?}");
    let shown = shell.run(&["connector", "test", &file]);
    assert!(shown.stdout.contains("ok       names        50 checks as promised"), "{shown}");
    assert!(shown.stderr.contains("asks operators for:"), "{shown}");
    assert!(shown.stderr.contains("local.wasm` is as it must be"), "{shown}");
}

#[test]
fn connectors_are_tried_at_their_services() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let file = wharf_tests::target().join(format!("connectors/{}.wasm", service.kind()));
        let file = file.display().to_string();
        let account =
            shell.run(&["account", "list", "--json"]).json()[0]["name"].as_str().unwrap().to_owned();
        let mut words = vec!["connector", "test", &file, "--json", "--account", &account];
        words.extend(["--backup-directory", "/exam"]);
        if service == Service::OneDrive {
            words.extend(["--option", "track_changes=true"]);
        }
        let ran = shell.run(&words);
        assert_eq!(ran.code, Some(0), "{ran}");
        let parts = findings(&ran);
        assert!(parts["pressure"].0 == 27 && parts["uploads"].0 > 8 && parts["changes"].0 > 5, "{parts:?}");
        // Nothing of it is left, and nothing of it is in the home.
        let left = match service {
            Service::OneDrive => shell.cloud.onedrive().files(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().files(ACCOUNT),
        };
        assert!(!left.iter().any(|file| file.path.contains("wharf-test-")), "{left:?}");
        assert_eq!(shell.run(&["destination", "list", "--json"]).json().len(), 1);
        assert_eq!(shell.run(&["connector", "list", "--json"]).json().len(), 1);
    }
}

#[test]
fn what_is_wrong_with_a_component_is_told() {
    let shell = Shell::new();
    for (example, part, said) in [
        ("trap", "pressure", "broke down"),
        ("liar", "pressure", "succeeds"),
        ("spin", "pressure", "was stopped"),
        ("requests", "pressure", "was stopped"),
    ] {
        let file = shell.folder.path().join(format!("{example}.wasm"));
        std::fs::write(&file, hostile(example, Service::Dropbox, |_| {})).unwrap();
        let ran = shell.run(&["connector", "test", &file.display().to_string(), "--json"]);
        assert_eq!(ran.code, Some(15), "{example}: {ran}");
        let parts = findings(&ran);
        assert!(parts[part].1.iter().any(|line| line.contains(said)), "{example}: {parts:?}");
        assert!(ran.stderr.contains("not as it must be"), "{ran}");
        // It was examined in a home of its own.
        assert!(shell.run(&["connector", "list"]).stdout.is_empty());
    }
}

#[test]
fn what_is_no_connector_is_said_to_be_none() {
    let shell = Shell::new();
    let file = shell.file("module.wasm", "\0asm\u{1}\0\0\0");
    let ran = shell.run(&["connector", "test", &file]);
    assert_eq!(ran.code, Some(15), "{ran}");
    assert!(ran.stdout.contains("FAILED   component"), "{ran}");
    let onedrive = wharf_tests::target().join("connectors/onedrive.wasm").display().to_string();
    let ran = shell.run(&["connector", "test", &onedrive, "--account", "nobody", "--backup-directory", "/x"]);
    assert!(ran.stderr.contains("hint: "), "{ran}");
    assert_ne!(ran.code, Some(0), "{ran}");
    let ran = shell.run(&["connector", "test", &onedrive, "--option", "drive=x"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("there is no option `drive`"), "{ran}");
}

/// Whoever stops it finds nothing left at the service.
#[test]
fn an_interrupt_cleans_up() {
    let shell = Shell::with_archive(Service::Dropbox);
    let file = wharf_tests::target().join("connectors/dropbox.wasm").display().to_string();
    let account = shell.run(&["account", "list", "--json"]).json()[0]["name"].as_str().unwrap().to_owned();
    let words = ["connector", "test", &file, "--account", &account, "--backup-directory", "/exam"];
    let is_there =
        || shell.cloud.dropbox().files(ACCOUNT).iter().any(|file| file.path.contains("wharf-test-"));
    let mut child = shell.command(&words);
    child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = child.spawn().unwrap();
    let started = std::time::Instant::now();
    while !is_there() {
        assert!(started.elapsed() < std::time::Duration::from_secs(60), "nothing is stored");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran = shell.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{ran}");
    assert!(ran.stderr.contains("what was stored there is removed"), "{ran}");
    assert!(!is_there(), "{:?}", shell.cloud.dropbox().files(ACCOUNT));
}
