//! What an operator lets a connector use, from the command line and the environment.

use std::collections::BTreeMap;

use cloud::{Action, Rule};
use serde_json::json;
use wharf_runtime::sandbox::limits::{Limits, NAMED};
use wharf_tests::{Service, Shell};

#[test]
fn limits_are_set_up_to_their_ceilings() {
    let shell = Shell::with_archive(Service::Dropbox);
    let most = NAMED.map(|limit| format!("{}={}", limit.name, limit.most)).join(",");
    shell.run(&["--guest-limit", &most, "ls", "archive:"]).done();
    for limit in NAMED {
        let name = limit.name;
        for amount in [0, limit.most + 1] {
            let refused =
                shell.run(&["--guest-limit", &format!("{name}={amount}"), "ls", "archive:"]).failed(2);
            let range = format!("`{name}` is a number from 1 to {}: {}", limit.most, limit.what);
            assert!(refused.contains(&range), "{refused}");
        }
        let mut limits = Limits::default();
        assert!((limit.get)(&limits) <= limit.most, "{name}");
        (limit.set)(&mut limits, limit.most);
        assert_eq!((limit.get)(&limits), limit.most, "{name}");
        assert_eq!(limits.within_ceilings(), limits, "{name}");
        (limit.set)(&mut limits, limit.most + 1);
        assert_eq!((limit.get)(&limits.within_ceilings()), limit.most, "{name}");
    }
    let refused = shell.run(&["--guest-limit", "memory", "ls", "archive:"]).failed(2);
    assert!(refused.contains("a limit is set as NAME=AMOUNT, like `memory=128`"), "{refused}");
    let refused = shell.run(&["--guest-limit", "disk=9", "ls", "archive:"]).failed(2);
    assert!(refused.contains("there is no limit `disk`; there are: cpu, wait, memory, "), "{refused}");
}

/// Less than an honest connector needs stops it, and says what allows it more.
#[test]
fn each_limit_is_in_force() {
    let shell = Shell::with_archive(Service::OneDrive);
    let file = shell.file("a", "a");
    let name = "\u{43b}".repeat(200);
    let far = format!("archive:{name}/b");
    for (limit, to, code, said, hint) in [
        ("memory=1", "archive:", 13, "refused more memory", Some("memory=MIB")),
        ("tables=1", "archive:", 13, "refused more room for tables", Some("tables=ELEMENTS")),
        ("stack=1", "archive:", 13, "call stack exhausted", Some("stack=KIB")),
        ("handles=1", "archive:", 13, "store handle limit exceeded", Some("handles=NUMBER")),
        ("requests=1", "archive:", 1, "more than 1 requests in one operation", Some("requests=NUMBER")),
        ("url=1", &far, 1, "the address is longer than 1024 bytes", Some("url=KIB")),
    ] {
        let stopped = shell.run(&["--guest-limit", limit, "copy", &file, to]);
        assert!(stopped.code == Some(code) && stopped.stderr.contains(said), "{limit}: {stopped}");
        if let Some(hint) = hint {
            assert!(stopped.stderr.contains(&format!("`--guest-limit {hint}` allows ")), "{stopped}");
        }
    }
    let mut command = shell.command(&["ls", "archive:"]);
    let told = shell.ran(&command.env("WHARF_GUEST_LIMIT", "cpu=2,memory=1").output().unwrap());
    assert!(told.code == Some(13) && told.stderr.contains("refused more memory"), "{told}");
    shell.run(&["copy", &file, "archive:"]).done();
}

/// A reply that fits what is usual, and not what was set.
#[test]
fn what_a_service_sends_is_limited_too() {
    let shell = Shell::with_archive(Service::OneDrive);
    let long = [("x-long".into(), "a".repeat(2000))].into();
    let large = json!({ "value": [], "more": "a".repeat(3 << 19) });
    // What is too long for the second version of HTTP is a broken connection there.
    for (limit, headers, body, said) in [
        ("headers=1", long, json!({ "value": [] }), "the connection to the service ended"),
        ("reply=1", BTreeMap::new(), large, "the reply is longer than 1048576 bytes"),
    ] {
        let action = Action::Reply { status: 200, headers, body, early: false };
        shell.cloud.faults().add(Rule::once("onedrive.children", action).times(u64::MAX));
        assert_eq!(shell.run(&["ls", "archive:"]).done(), "", "{limit}");
        let stopped = shell.run(&["--guest-limit", limit, "ls", "archive:"]);
        assert!(stopped.code == Some(8) && stopped.stderr.contains(said), "{limit}: {stopped}");
        shell.cloud.faults().clear();
    }
}
