//! What an operator lets a connector use, from the command line and the environment.

use wharf_tests::{Service, Shell};

#[test]
fn limits_are_set_up_to_their_ceilings() {
    let shell = Shell::with_archive(Service::Dropbox);
    shell
        .run(&["--guest-memory", "256", "--guest-cpu", "60", "--guest-wait", "300", "ls", "archive:"])
        .done();
    // Less than a connector needs to begin.
    let small = shell.run(&["--guest-memory", "1", "ls", "archive:"]);
    assert_eq!(small.code, Some(13), "{small}");
    assert!(small.stderr.contains("(it was refused more memory)"), "{small}");
    assert!(small.stderr.contains("; `--guest-memory MIB` allows it more"), "{small}");
    let mut command = shell.command(&["ls", "archive:"]);
    let told = shell.ran(&command.env("WHARF_GUEST_MEMORY", "1").output().unwrap());
    assert_eq!(told.code, Some(13), "{told}");
    for (option, value, range) in [
        ("--guest-memory", "257", "1..=256"),
        ("--guest-cpu", "61", "1..=60"),
        ("--guest-wait", "0", "1..=300"),
    ] {
        let refused = shell.run(&[option, value, "ls", "archive:"]).failed(2);
        assert!(refused.contains(&format!("{value} is not in {range}")), "{refused}");
    }
}
