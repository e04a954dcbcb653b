//! Killed at each request and at each reply of what is done at the service in a step: removals, jobs that
//! remove, moves, copies and their jobs, and the renewal of a token. What is run again ends it: nothing is done
//! twice, nothing else is touched, and the catalog says what the service has.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use cloud::{Action, DriveKind, Match, Rotation, Rule, TokenSwitches};
use wharf_tests::{ACCOUNT, Ran, Service, Shell};

/// How long a request is held that somebody is killed at: longer than a test may take.
const HELD_MS: u64 = 600_000;
/// How long the service takes at most for what it is asked here, before its answer is held.
const DONE_WITHIN: Duration = Duration::from_millis(200);
/// More requests than any of these commands sends.
const REQUESTS_MAX: u64 = 60;
/// What is at each place before: the one is worked on, the other must stay.
const BEFORE: [(&str, &str); 6] = [
    ("file", "a file"),
    ("second", "another file"),
    ("tree/one", "one"),
    ("tree/deep/two", "two"),
    ("stays/file", "somebody's"),
    ("stays/tree/one", "somebody else's"),
];

/// Where it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The request has left, and the service has not begun with it.
    Request,
    /// The service has done it, and its answer has not arrived.
    Reply,
}

impl At {
    const ALL: [Self; 2] = [Self::Request, Self::Reply];

    const fn action(self) -> Action {
        match self {
            Self::Request => Action::Delay { ms: HELD_MS },
            Self::Reply => Action::DelayReply { ms: HELD_MS },
        }
    }
}

/// Run it, and kill it at the first request that the rule acts on. False if it came to its end before.
fn kill_at(shell: &Shell, words: &[&str], at: At, rule: Rule) -> bool {
    let rule = shell.cloud.faults().add(rule);
    let mut child = shell.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut ended = None;
    while shell.cloud.faults().acted(rule) == 0 && ended.is_none() {
        ended = child.try_wait().unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let held = shell.cloud.faults().acted(rule) > 0;
    if held && at == At::Reply {
        std::thread::sleep(DONE_WITHIN);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    shell.cloud.faults().clear();
    if !held {
        assert!(ended.is_some_and(|status| status.success()), "{words:?} ended with {ended:?}");
    }
    held
}

/// What is done, and what is there afterwards.
struct Case {
    service: Service,
    /// Words of the command; `@` stands for the place that it works at.
    words: &'static [&'static str],
    /// How the second run may end. One that finds it done may say so.
    codes: &'static [i32],
    /// What is there in the end.
    after: &'static [(&'static str, &'static str)],
}

impl Case {
    fn words(&self, place: &str) -> Vec<String> {
        self.words.iter().map(|word| word.replace('@', &format!("archive:{place}"))).collect()
    }

    /// The files at a place, by what is below it.
    fn stored(&self, shell: &Shell, place: &str) -> BTreeMap<String, String> {
        let files = match self.service {
            Service::OneDrive => shell.cloud.onedrive().files(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().files(ACCOUNT),
        };
        let folder = format!("/backups/server1/{place}/");
        let at_place = files.iter().filter_map(|file| Some((file.path.strip_prefix(&folder)?, file)));
        at_place
            .map(|(path, file)| {
                let mut bytes = String::new();
                file.open().unwrap().read_to_string(&mut bytes).unwrap();
                (path.to_owned(), bytes)
            })
            .collect()
    }

    fn run(&self, shell: &Shell) {
        let mut number = 0;
        while At::ALL.map(|at| self.cell(shell, number, at)) != [false, false] {
            number += 1;
            assert!(number < REQUESTS_MAX, "{:?} does not end", self.words);
        }
        assert!(number >= 2, "{:?} sends next to nothing", self.words);
    }

    /// Kill it at one instant and run it again. False when it has fewer requests.
    fn cell(&self, shell: &Shell, number: u64, at: At) -> bool {
        let place = format!("{at:?}-{number}");
        let about = format!("{:?}, {:?}, {at:?} {number}", self.service, self.words);
        for (path, bytes) in BEFORE {
            shell.file(&format!("from/{place}/{path}"), bytes);
        }
        shell.run(&["copy", &shell.room(&format!("from/{place}")), &format!("archive:{place}")]).done();
        let words = self.words(&place);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let matching = Match::default();
        let rule = Rule { name: None, matching, skip: number, times: 1, every: 1, action: at.action() };
        let killed = kill_at(shell, &words, at, rule);
        if killed {
            let again = shell.run(&words);
            assert!(again.code.is_some_and(|code| self.codes.contains(&code)), "{about}: {again}");
        }
        let after: BTreeMap<String, String> =
            self.after.iter().map(|(path, bytes)| ((*path).to_owned(), (*bytes).to_owned())).collect();
        assert_eq!(self.stored(shell, &place), after, "{about}");
        let check = shell.run(&["destination", "check", "archive", &place]);
        let told = (check.code, check.stdout.as_str());
        assert_eq!(told, (Some(0), ""), "{about}: the catalog is not right: {check}");
        killed
    }
}

/// A destination that has written before, or its mark of ownership goes along.
fn archive(service: Service, drive: DriveKind) -> Shell {
    let shell = Shell::with(cloud::Options { drive_kind: drive, ..cloud::Options::default() });
    shell.install(service).done();
    shell.add_account("work", service).done();
    shell.create("archive", service, &["--yes"]).done();
    shell.run(&["mkdir", "archive:begun"]).done();
    // Jobs that are not done when they are first asked for.
    let mut onedrive = shell.cloud.onedrive().switches();
    onedrive.copy_ms = 900;
    shell.cloud.onedrive().set_switches(onedrive);
    let mut dropbox = shell.cloud.dropbox().switches();
    dropbox.job_ms = 300;
    shell.cloud.dropbox().set_switches(dropbox);
    shell
}

const STAYS: [(&str, &str); 2] = [BEFORE[4], BEFORE[5]];

fn each(
    words: &'static [&'static str],
    codes: &'static [i32],
    after: &'static [(&'static str, &'static str)],
) {
    for service in Service::ALL {
        one(service, words, codes, after);
    }
}

/// Of the two kinds of drives it is the one that takes the next free name rather than refuse a second copy.
fn one(
    service: Service,
    words: &'static [&'static str],
    codes: &'static [i32],
    after: &'static [(&'static str, &'static str)],
) {
    let shell = archive(service, DriveKind::Personal);
    Case { service, words, codes, after }.run(&shell);
}

#[test]
fn a_removal() {
    let after = &[BEFORE[1], BEFORE[2], BEFORE[3], STAYS[0], STAYS[1]];
    each(&["rm", "@/file"], &[0, 3], after);
}

#[test]
fn a_removal_of_a_folder() {
    let after = &[BEFORE[0], BEFORE[1], STAYS[0], STAYS[1]];
    each(&["rm", "-r", "@/tree", "--yes"], &[0, 3], after);
}

/// One job at Dropbox, one request each at OneDrive: what is gone already keeps nothing else from going.
#[test]
fn a_removal_of_many() {
    let after = &[STAYS[0], STAYS[1]];
    each(&["rm", "-r", "@/file", "@/second", "@/tree", "--yes"], &[0, 3], after);
}

#[test]
fn a_move() {
    const AFTER: [(&str, &str); 6] =
        [BEFORE[1], BEFORE[2], BEFORE[3], STAYS[0], STAYS[1], ("new/place/moved", BEFORE[0].1)];
    each(&["move", "@/file", "@/new/place/moved"], &[0], &AFTER);
}

#[test]
fn a_move_of_a_folder() {
    const AFTER: [(&str, &str); 6] = [
        BEFORE[0],
        BEFORE[1],
        ("stays/moved/one", BEFORE[2].1),
        ("stays/moved/deep/two", BEFORE[3].1),
        STAYS[0],
        STAYS[1],
    ];
    each(&["move", "@/tree", "@/stays/moved"], &[0], &AFTER);
}

fn copy(service: Service) {
    const AFTER: [(&str, &str); 7] =
        [BEFORE[0], BEFORE[1], BEFORE[2], BEFORE[3], STAYS[0], STAYS[1], ("new/copy", BEFORE[0].1)];
    one(service, &["copy", "@/file", "@/new/copy"], &[0], &AFTER);
}

#[test]
fn a_copy_at_onedrive() {
    copy(Service::OneDrive);
}

#[test]
fn a_copy_at_dropbox() {
    copy(Service::Dropbox);
}

fn copy_of_a_folder(service: Service) {
    const AFTER: [(&str, &str); 8] = [
        BEFORE[0],
        BEFORE[1],
        BEFORE[2],
        BEFORE[3],
        STAYS[0],
        STAYS[1],
        ("copy/one", BEFORE[2].1),
        ("copy/deep/two", BEFORE[3].1),
    ];
    one(service, &["copy", "@/tree", "@/copy"], &[0], &AFTER);
}

#[test]
fn a_copy_of_a_folder_at_onedrive() {
    copy_of_a_folder(Service::OneDrive);
}

#[test]
fn a_copy_of_a_folder_at_dropbox() {
    copy_of_a_folder(Service::Dropbox);
}

/// What a killed run left is for the same command alone: another one to the same path finds what is there.
#[test]
fn another_copy_is_another() {
    let shell = archive(Service::OneDrive, DriveKind::Business);
    for (path, bytes) in BEFORE {
        shell.file(&format!("from/{path}"), bytes);
    }
    shell.run(&["copy", &shell.room("from"), "archive:a"]).done();
    let held = Rule::once("onedrive.copy", At::Reply.action());
    assert!(kill_at(&shell, &["copy", "archive:a/file", "archive:a/copy"], At::Reply, held));
    // The clock of the service goes on, and with it the job.
    shell.cloud.clock().advance(Duration::from_secs(5));
    let told = shell.run(&["copy", "archive:a/second", "archive:a/copy"]).failed(4);
    assert!(told.contains("something is there already"), "{told}");
    let copied = shell.cloud.onedrive().file(ACCOUNT, "/backups/server1/a/copy").unwrap();
    assert_eq!(copied.size, 6, "the first copy");
    let told = shell.run(&["copy", "archive:a/file", "archive:a/copy"]).failed(4);
    assert!(told.contains("something is there already"), "what was forgotten is not taken up: {told}");
}

/// A folder that is not what it was to be a copy of is no success, and nobody's to remove.
#[test]
fn a_copy_that_is_not_whole_is_no_copy() {
    let shell = archive(Service::OneDrive, DriveKind::Business);
    for (path, bytes) in BEFORE {
        shell.file(&format!("from/{path}"), bytes);
    }
    shell.run(&["copy", &shell.room("from"), "archive:a"]).done();
    let held = Rule::once("onedrive.copy", At::Reply.action());
    let words = ["copy", "archive:a/tree", "archive:a/copy"];
    assert!(kill_at(&shell, &words, At::Reply, held));
    shell.cloud.clock().advance(Duration::from_secs(5));
    // Any request settles what is due.
    shell.run(&["ls", "archive:a"]).done();
    assert!(shell.cloud.onedrive().remove(ACCOUNT, "/backups/server1/a/copy/deep/two"));
    let told = shell.run(&words).failed(8);
    assert!(told.contains("a copy of `a/tree` was begun before"), "{told}");
    assert!(told.contains("hint: see what is there with `wharf ls -R archive:a/copy`"), "{told}");
    shell.run(&["rm", "-r", "archive:a/copy", "--yes"]).done();
    shell.run(&words).done();
    assert!(shell.cloud.onedrive().file(ACCOUNT, "/backups/server1/a/copy/deep/two").is_some());
}

/// What the second run says after a first that was killed at a request to renew the token.
fn renewed(service: Service, rotation: Rotation, at: At) -> Ran {
    let shell = Shell::with_archive(service);
    shell.run(&["mkdir", "archive:begun"]).done();
    match service {
        Service::OneDrive => {
            let switches = TokenSwitches { rotation, ..shell.cloud.onedrive().token_switches() };
            shell.cloud.onedrive().set_token_switches(switches);
            shell.cloud.onedrive().expire_tokens(ACCOUNT);
        }
        Service::Dropbox => shell.cloud.dropbox().expire_tokens(ACCOUNT),
    }
    let rule = Rule::once(&format!("{}.token", service.kind()), at.action());
    assert!(kill_at(&shell, &["ls", "archive:"], at, rule), "{service:?}: nothing was renewed");
    let again = shell.run(&["ls", "archive:"]);
    if again.code == Some(0) {
        assert_eq!(again.stdout, "begun/");
        // And what is stored now is good: nobody has to renew it again.
        shell.cloud.clear_log();
        shell.run(&["ls", "archive:"]).done();
        let kinds = shell.cloud.summary().kinds;
        assert!(!kinds.contains_key(&format!("{}.token", service.kind())), "{kinds:?}");
    }
    again
}

#[test]
fn the_renewal_of_a_token() {
    for at in At::ALL {
        renewed(Service::Dropbox, Rotation::Never, at).done();
        renewed(Service::OneDrive, Rotation::Lenient, at).done();
    }
}

/// Where a service takes each refresh token once, one whose successor never arrived is lost; that is said at
/// once, with the command that helps, and nothing hangs.
#[test]
fn the_renewal_of_a_token_that_is_good_once() {
    for rotation in [Rotation::Strict, Rotation::Revoking] {
        renewed(Service::OneDrive, rotation, At::Request).done();
        let told = renewed(Service::OneDrive, rotation, At::Reply).failed(6);
        assert!(
            told.contains("hint: ") && told.contains("wharf account authorize work"),
            "{rotation:?}: {told}"
        );
    }
}

/// Everywhere else in a command that has to renew its token first.
#[test]
fn a_command_that_renews_its_token() {
    for service in Service::ALL {
        let mut number = 0;
        while At::ALL.map(|at| renews_first(service, number, at)) != [false, false] {
            number += 1;
            assert!(number < REQUESTS_MAX, "{service:?} does not end");
        }
        assert!(number >= 3, "{service:?}: only {number} requests");
    }
}

fn renews_first(service: Service, number: u64, at: At) -> bool {
    let shell = Shell::with_archive(service);
    shell.run(&["mkdir", "archive:begun"]).done();
    match service {
        Service::OneDrive => shell.cloud.onedrive().expire_tokens(ACCOUNT),
        Service::Dropbox => shell.cloud.dropbox().expire_tokens(ACCOUNT),
    }
    let killed = kill_at(&shell, &["ls", "archive:"], at, Rule::once("*", at.action()).skip(number));
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "begun/", "{service:?} {at:?} {number}");
    killed
}
