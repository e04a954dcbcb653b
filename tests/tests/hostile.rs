//! Components that break down, hang or answer nonsense: each ends its own operation with a clear
//! error, in bounded time, and neither its neighbour nor its next operation notices.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::{Duration, Instant};

use wharf_runtime::attached::{Attached, Error};
use wharf_runtime::entry::{Info, Mode};
use wharf_runtime::path::RelativePath;
use wharf_runtime::sandbox::Overdrawn;
use wharf_runtime::sandbox::limits::Limits;
use wharf_runtime::sandbox::operation::{self, Refusal, Removal};
use wharf_runtime::transfer::Options;
use wharf_tests::{Rig, Service, path, up};

/// What an operation may take at the very most, on a machine that compiles something else meanwhile.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Longest message that a person should have to read, in bytes.
const MESSAGE_BYTES_MAX: usize = 4096;

fn limits() -> Limits {
    Limits {
        cpu: Duration::from_millis(300),
        wall: Duration::from_secs(3),
        memory_bytes: 16 * 1024 * 1024,
        ..Limits::default()
    }
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Cpu,
    Wall,
    /// Either of the two.
    Overdrawn,
    /// With this in the message.
    Trapped(&'static str),
    /// With this in the message.
    Nonsense(&'static str),
    /// With this in the message.
    Refused(&'static str),
    Fine,
}

use Expected::{Cpu, Fine, Nonsense, Refused, Trapped, Wall};

/// Component, path of the `stat` that asks for the abuse, and how it ends.
const CASES: &[(&str, &str, Expected)] = &[
    ("spin", "loop", Cpu),
    ("spin", "allocate", Cpu),
    ("spin", "fill", Cpu),
    ("begin", "x", Cpu),
    ("linger", "drop", Cpu),
    ("linger", "after", Cpu),
    ("sleep", "long", Wall),
    ("sleep", "naps", Expected::Overdrawn),
    ("grow", "vectors", Trapped("refused more memory")),
    ("grow", "politely", Refused("256 pages")),
    ("recurse", "x", Trapped("call stack exhausted")),
    ("trap", "now", Trapped("unreachable")),
    ("trap", "abort", Trapped("unreachable")),
    ("trap", "exit", Trapped("exit")),
    ("trap", "fail", Trapped("exit")),
    ("panic", "x", Trapped("panicked at")),
    ("panic", "flood", Trapped("")),
    ("requests", "x", Cpu),
    ("huge", "arguments", Trapped("")),
    ("huge", "pairs", Trapped("")),
    ("huge", "route", Refused("denied")),
    ("huge", "log", Trapped("")),
    ("huge", "text", Refused("\\u{1b}")),
    ("huge", "revision", Nonsense("revision")),
    ("huge", "more", Trapped("")),
    ("thirst", "everything", Trapped("")),
    ("thirst", "much", Trapped("")),
    ("thirst", "insecure", Trapped("")),
    ("thirst", "sips", Expected::Overdrawn),
    ("nonsense", "up", Nonsense("`../x`")),
    ("nonsense", "absolute", Nonsense("`/etc/passwd`")),
    ("nonsense", "nul", Nonsense("NUL")),
    ("nonsense", "dots", Nonsense("`.`")),
    ("nonsense", "double", Nonsense("empty name")),
    ("nonsense", "endless", Nonsense("longer than")),
    ("nonsense", "escape", Nonsense("`..`")),
    ("nonsense", "late", Nonsense("a time")),
    ("nonsense", "early", Nonsense("a time")),
    ("nonsense", "fraction", Nonsense("a time")),
    ("nonsense", "short-hash", Nonsense("31")),
    ("nonsense", "long-hash", Nonsense("21")),
    ("nonsense", "no-hash", Nonsense("0")),
    ("nonsense", "throttled", Refused("patience")),
    ("nonsense", "text", Refused("\\u{1b}")),
    ("nonsense", "name", Refused("cannot store this name")),
    ("flood", "lines", Fine),
];

/// Changes that name what cannot be, and pages without end.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_make_no_sense_change_nothing() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("nonsense", Service::Dropbox).await;
    for (cursor, said) in [
        ("up", "`../x`"),
        ("itself", "in place of the backup directory"),
        ("two-names", "the name `a/b`"),
        ("dots", "the name `..`"),
        ("no-name", "the name ``"),
        ("no-folder", "in no folder"),
        ("no-id", "an id of 0 bytes"),
        ("long-id", "an id of 2000 bytes"),
        ("cursor", "a cursor of 20000 bytes"),
        ("no-cursor", "without a cursor"),
        ("flood", "a page of 30000 changes"),
    ] {
        let error = attached.changes(Some(cursor)).await.unwrap_err();
        let is_nonsense = matches!(&error.problem, operation::Error::Nonsense(text) if text.contains(said));
        assert!(is_nonsense, "{cursor}: {error}");
        assert!(harmless(&error).is_ok(), "{cursor}: {error}");
    }
    let error = Box::pin(wharf_runtime::survey::reindex(&attached)).await.unwrap_err();
    assert!(error.to_string().contains("does not finish telling what changed"), "{error}");
    rig.assert_harmless(&attached).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abuse_ends_its_own_operation_and_nothing_else() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    rig.cloud.dropbox().put_file(wharf_tests::ACCOUNT, "/backups/neighbour/there", b"x").unwrap();
    let neighbour = rig.destination(Service::Dropbox, "neighbour").await;
    let mut wrong = Vec::new();
    let mut hostile: Option<(&str, Attached)> = None;
    for (component, what, expected) in CASES {
        let attached = match hostile.take() {
            Some((name, attached)) if name == *component => attached,
            _ => rig.hostile(component, Service::Dropbox).await,
        };
        let start = Instant::now();
        let ended = tokio::time::timeout(4 * TIME_MAX, attached.stat(&path(what))).await;
        let took = start.elapsed();
        let case = format!("{component} {what}");
        match ended {
            Err(_) => wrong.push(format!("{case}: never ends")),
            Ok(ended) => {
                let ended = ended.map(|_| ());
                if took > TIME_MAX {
                    wrong.push(format!("{case}: took {took:?}"));
                }
                if !fits(*expected, &ended) {
                    wrong.push(format!("{case}: {expected:?} expected, not {}", shown(&ended)));
                }
                if let Err(error) = &ended
                    && let Err(problem) = harmless(error)
                {
                    wrong.push(format!("{case}: {problem}"));
                }
                attached.settle().await.unwrap();
                if let Err(problem) = is_recorded(&rig, &attached, what, &ended) {
                    wrong.push(format!("{case}: {problem}"));
                }
            }
        }
        if attached.threads().free() != attached.threads().limit() {
            wrong.push(format!("{case}: a permit is gone"));
        }
        neighbour.stat(&path("there")).await.unwrap_or_else(|error| panic!("after {case}: {error}"));
        if *component != "begin" {
            attached.stat(&path("fine")).await.unwrap_or_else(|error| panic!("after {case}: {error}"));
        }
        hostile = Some((component, attached));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rig.assert_clean();
}

/// What ended an operation from outside is one record of its audit, found by a word; no record has anything
/// of the token in it, or what repaints a terminal. What the connector ended itself is none.
fn is_recorded(rig: &Rig, attached: &Attached, what: &str, ended: &Result<(), Error>) -> Result<(), String> {
    let rule = match ended.as_ref().map_err(|error| &error.problem) {
        Err(operation::Error::Trapped(_)) => Some("broke-down"),
        Err(operation::Error::Overdrawn(_)) => Some("overdrawn"),
        Err(operation::Error::Nonsense(_)) => Some("nonsense"),
        Ok(()) | Err(operation::Error::Refused { .. } | operation::Error::Stopped { .. }) => None,
    };
    let records = wharf_tests::audit(&rig.host, attached.name().as_str());
    let token = rig.cloud.dropbox().token_json(wharf_tests::ACCOUNT)["access_token"].clone();
    for record in &records {
        let text = record.to_string();
        if text.contains(token.as_str().unwrap()) || text.chars().any(char::is_control) {
            return Err(format!("a record with something in it: {text}"));
        }
    }
    // The last operation of this destination is the one that was just asked for.
    let last = records.iter().map(|record| record["operation_id"].as_u64().unwrap()).max();
    let of_it = records.iter().filter(|record| record["operation_id"].as_u64() == last);
    let ends: Vec<&str> = of_it
        .filter_map(|record| record["rule"].as_str())
        .filter(|rule| ["broke-down", "overdrawn", "nonsense"].contains(rule))
        .collect();
    match rule {
        Some(rule) if ends != [rule] => Err(format!("recorded as {ends:?}, not as `{rule}`: {what}")),
        Some(_) | None => Ok(()),
    }
}

fn fits(expected: Expected, ended: &Result<(), Error>) -> bool {
    let problem = ended.as_ref().map_err(|error| &error.problem);
    let says = |part: &str| problem.as_ref().err().is_some_and(|problem| problem.to_string().contains(part));
    match (expected, problem) {
        (Fine, Ok(())) => true,
        (Cpu, Err(operation::Error::Overdrawn(Overdrawn::Cpu(_)))) => true,
        (Wall, Err(operation::Error::Overdrawn(Overdrawn::Wall(_)))) => true,
        (Expected::Overdrawn, Err(operation::Error::Overdrawn(_))) => true,
        (Trapped(part), Err(operation::Error::Trapped(_)))
        | (Nonsense(part), Err(operation::Error::Nonsense(_)))
        | (Refused(part), Err(operation::Error::Refused { .. })) => says(part),
        (_, Ok(()) | Err(_)) => false,
    }
}

fn shown(ended: &Result<(), Error>) -> String {
    let text = ended.as_ref().map_or_else(|error| format!("{:?}", error.problem), |()| "success".to_owned());
    text.chars().take(300).collect()
}

/// A message and its cause: short, in one line, and nothing in it that moves a cursor.
fn harmless(error: &Error) -> Result<(), String> {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    for (what, text) in [("message", error.to_string()), ("cause", cause)] {
        if text.chars().any(char::is_control) {
            return Err(format!("a control character in its {what}"));
        }
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(format!("a {what} of {} bytes", text.len()));
        }
    }
    Ok(())
}

/// What turns text around is as good as a control character: the audit escapes both.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_turns_the_text_around_it() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let mut wrong = Vec::new();
    for (component, what) in
        [("nonsense", "text"), ("nonsense", "name"), ("nonsense", "escape"), ("panic", "x")]
    {
        let name = wharf_runtime::home::Name::parse(&wharf_tests::hostile_name(component, Service::Dropbox))
            .unwrap();
        let attached = match rig.host.attach(&name).await {
            Ok(attached) => attached,
            Err(_) => rig.hostile(component, Service::Dropbox).await,
        };
        let error = attached.stat(&path(what)).await.unwrap_err();
        if error.to_string().contains('\u{202e}') {
            wrong.push(format!("{component} {what}"));
        }
    }
    assert!(wrong.is_empty(), "U+202E in the messages of {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_checked() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let nonsense = rig.hostile("nonsense", Service::Dropbox).await;
    for case in ["outside", "sibling", "itself", "up", "next"] {
        let error = nonsense.list(&path("folder"), false, Some(case)).await.unwrap_err();
        assert!(matches!(error.problem, operation::Error::Nonsense(_)), "{case}: {error}");
        assert_eq!(harmless(&error), Ok(()), "{case}");
    }
    let huge = rig.hostile("huge", Service::Dropbox).await;
    let error = huge.list(&path(""), false, None).await.unwrap_err();
    let long = matches!(error.problem, operation::Error::Nonsense(_) | operation::Error::Trapped(_));
    assert!(long, "{error}");
    rig.assert_harmless(&nonsense).await;
    rig.assert_harmless(&huge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_answers_are_checked() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("nonsense", Service::Dropbox).await;
    let is_nonsense = |case: &str, problem: Result<(), Error>| {
        let error = problem.expect_err(case);
        assert!(matches!(error.problem, operation::Error::Nonsense(_)), "{case}: {error}");
        assert_eq!(harmless(&error), Ok(()), "{case}");
    };
    let removal = Removal { path: path("x"), kind: wharf_runtime::entry::Kind::File, revision: None };
    is_nonsense("too few results", attached.remove(std::slice::from_ref(&removal)).await.map(|_| ()));
    let staged = operation::Staged { session: String::new(), path: path("x"), info: info(1) };
    is_nonsense("too many results", attached.finish_uploads(&[staged]).await.map(|_| ()));
    is_nonsense(
        "a long session",
        attached.begin_upload(&path("session"), &info(1), None, None).await.map(|_| ()),
    );
    is_nonsense("a stray file", attached.begin_upload(&path("x"), &info(1), None, None).await.map(|_| ()));
    // A reply that is an error has no body to return.
    is_nonsense("no body", attached.get(&path("missing"), 0, None, None).await.map(|_| ()));
    let place = format!("/backups/{}/there", attached.name());
    rig.cloud.dropbox().put_file(wharf_tests::ACCOUNT, &place, b"x").unwrap();
    is_nonsense("an offset beyond", attached.get(&path("there"), 0, None, None).await.map(|_| ()));
    rig.assert_harmless(&attached).await;
}

const fn info(size: u64) -> Info {
    Info { size, modified: None, keep_modified: false, mode: Mode::Replace }
}

/// Nothing in memory outlives an operation, whoever calls and however often.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_begins_with_an_empty_memory() {
    let rig = Rig::new().await;
    let attached = rig.hostile("canary", Service::Dropbox).await;
    for secret in ["first", "second", "third", "second"] {
        let entry = attached.stat(&path(secret)).await.unwrap();
        assert_eq!(entry.revision.as_deref(), Some("[]"), "{secret}");
    }
    let paths = [path("a"), path("b"), path("c"), path("d")];
    let (a, b, c, d) = tokio::join!(
        attached.stat(&paths[0]),
        attached.stat(&paths[1]),
        attached.stat(&paths[2]),
        attached.stat(&paths[3])
    );
    for entry in [a, b, c, d] {
        assert_eq!(entry.unwrap().revision.as_deref(), Some("[]"));
    }
    rig.assert_harmless(&attached).await;
}

/// What the host computes for a guest is not the guest's time, but it must end all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_cannot_keep_the_host_computing() {
    use std::sync::Arc;
    use wharf_runtime::content::{Section, Source};
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("toil", Service::Dropbox).await;
    let file = rig.room("toil").join("file");
    std::fs::write(&file, vec![0; 4 * 1024 * 1024]).unwrap();
    let section = Section::whole(Arc::new(Source::open(&file).unwrap()));
    let mut wrong = Vec::new();
    for what in ["reads", "hashes"] {
        let start = Instant::now();
        let (place, about) = (path(what), info(section.size()));
        let put = attached.put(&place, &section, &about, None);
        match tokio::time::timeout(3 * TIME_MAX, put).await {
            Err(_) => wrong.push(format!("{what}: not ended after {:?}", start.elapsed())),
            Ok(Ok(_)) => wrong.push(format!("{what}: success")),
            Ok(Err(error)) => {
                let stopped =
                    matches!(error.problem, operation::Error::Overdrawn(_) | operation::Error::Trapped(_));
                if !stopped {
                    wrong.push(format!("{what}: {error}"));
                }
            }
        }
        assert_eq!(attached.threads().free(), attached.threads().limit(), "{what}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rig.assert_harmless(&attached).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_downloads_and_handles_are_bounded() {
    let rig = Rig::new().await;
    let leak = rig.hostile("leak", Service::Dropbox).await;
    let error = leak.list(&path(""), false, Some("download")).await.unwrap_err();
    assert!(matches!(error.problem, operation::Error::Trapped(_)), "{error}");
    assert_eq!(harmless(&error), Ok(()));
    // The one that finds no room is sent too.
    let handles_max = wharf_runtime::sandbox::limits::HANDLES_MAX + 1;
    assert!(rig.requests("dropbox.download") <= handles_max, "{}", rig.requests("dropbox.download"));
    leak.stat(&path("fine")).await.unwrap();

    rig.cloud.clear_log();
    let hoard = rig.hostile("hoard", Service::Dropbox).await;
    let place = format!("/backups/{}/there", hoard.name());
    rig.cloud.dropbox().put_file(wharf_tests::ACCOUNT, &place, &vec![1; 4 << 20]).unwrap();
    let ended = hoard.list(&path(""), false, Some("there")).await;
    let sent = rig.requests("dropbox.download");
    let bodies_max = wharf_runtime::sandbox::limits::OPEN_BODIES_MAX;
    assert!(sent <= bodies_max, "{sent} downloads are open at once; {bodies_max} may be");
    drop(ended);
    assert_eq!(hoard.threads().free(), hoard.threads().limit());
    hoard.stat(&path("fine")).await.unwrap();
    rig.assert_harmless(&leak).await;
    rig.assert_harmless(&hoard).await;
}

/// Upload a file of this name with the liar; the failures that were told.
async fn lie(attached: &Attached, rig: &Rig, name: &str, size: usize) -> Result<Vec<String>, String> {
    let room = rig.room(&format!("lie-{name}"));
    std::fs::write(room.join(name), wharf_tests::noise(1, size)).unwrap();
    let (summary, told) =
        tokio::time::timeout(2 * TIME_MAX, up(attached, &room.join(name), "", &Options::default()))
            .await
            .map_err(|_| format!("{name}: never ends"))?;
    if summary.files_copied > 0 {
        return Err(format!("{name}: counted as copied: {:?}", told.lines()));
    }
    Ok(told.failures())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_report_is_no_copy() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("liar", Service::Dropbox).await;
    for name in ["size", "hash", "kind"] {
        let failures = lie(&attached, &rig, name, 1000).await.unwrap();
        assert_eq!(failures.len(), 1, "{failures:?}");
    }
    rig.assert_harmless(&attached).await;
}

/// Its hash agrees, because the host computed it for the guest; but no byte was ever sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_sent_is_no_copy() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("liar", Service::Dropbox).await;
    let lied = lie(&attached, &rig, "silent", 1000).await;
    assert_eq!(rig.requests("dropbox.upload"), 0);
    let failures = lied.unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    rig.assert_harmless(&attached).await;
}

/// An upload that makes no headway ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_ends() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let small = |manifest: &mut serde_json::Value| {
        manifest["upload"]["single_max"] = 10.into();
        manifest["upload"]["part_size"] = 100.into();
        manifest["upload"]["part_quantum"] = 10.into();
    };
    let attached = rig.hostile_with("liar", Service::Dropbox, small, |_| {}).await;
    let mut wrong = Vec::new();
    for name in ["beyond", "back", "seesaw", "done"] {
        match lie(&attached, &rig, name, 1000).await {
            Ok(failures) => assert_eq!(failures.len(), 1, "{name}: {failures:?}"),
            Err(problem) => wrong.push(problem),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rig.assert_harmless(&attached).await;
}

/// A page that names itself as its successor ends the transfer, not the operator's patience.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_end_ends() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("liar", Service::Dropbox).await;
    let (from, to) = (rig.room("from"), rig.room("to"));
    let told = wharf_tests::Told::default();
    let (eternal, root) = (path("eternal"), RelativePath::root());
    let options = Options::default();
    let mut wrong = Vec::new();
    let uploading = wharf_runtime::transfer::upload(&attached, &from, &eternal, &options, &told);
    if tokio::time::timeout(TIME_MAX, uploading).await.is_err() {
        wrong.push("up");
    }
    let downloading = wharf_runtime::transfer::download(&attached, &root, &to, &options, &told);
    assert!(tokio::time::timeout(TIME_MAX, downloading).await.is_ok_and(|ended| ended.is_ok()));
    assert!(wrong.is_empty(), "listing for ever: {wrong:?}");
    rig.assert_harmless(&attached).await;
}

/// A refusal that claims patience for ever is no reason to wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn claimed_patience_is_bounded() {
    let rig = Rig::with(cloud::Options::default(), limits()).await;
    let attached = rig.hostile("nonsense", Service::Dropbox).await;
    let ended = tokio::time::timeout(TIME_MAX, attached.stat(&path("throttled"))).await;
    let error = ended.expect("it waits").unwrap_err();
    assert!(matches!(error.problem.refusal(), Some(Refusal::Throttled(_))), "{error}");
    // What one guest claims is not held against another destination of the account.
    let neighbour = rig.destination(Service::Dropbox, "neighbour").await;
    let looked =
        tokio::time::timeout(TIME_MAX, neighbour.stat(&path("x"))).await.expect("the neighbour waits");
    assert!(looked.is_err());
    rig.assert_harmless(&attached).await;
}

/// Every component has a case: its name is in one of these files.
#[test]
fn every_hostile_component_has_a_case() {
    let cases = [
        include_str!("hostile.rs"),
        include_str!("hostile_reach.rs"),
        include_str!("hostile_dump.rs"),
        include_str!("hostile_install.rs"),
        include_str!("hostile_flood.rs"),
        include_str!("local.rs"),
    ];
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/examples");
    let mut seen = 0;
    for example in std::fs::read_dir(examples).unwrap() {
        let file = example.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".rs").unwrap();
        let called = format!("\"{name}\"");
        assert!(cases.iter().any(|text| text.contains(&called)), "no test runs `{name}`");
        seen += 1;
    }
    assert!(seen > 15, "{seen} components");
}
