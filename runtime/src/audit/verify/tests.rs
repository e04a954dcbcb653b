use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use super::*;
use crate::audit::{Audit, Decision, FILE_BYTES_MAX, Filter};
use crate::home::tests::{child, in_role, scratch};

fn name() -> Name {
    Name::parse("archive").unwrap()
}

fn file(home: &Home, age: u32) -> PathBuf {
    home.audit().path_of(&file_name(&name(), age))
}

fn record(number: u64) -> Record {
    Record {
        operation_id: number,
        reason: format!("reason {number}"),
        ..Record::new(SystemTime::UNIX_EPOCH, "archive".into(), "x@1.0.0".into(), Decision::Allowed)
    }
}

/// One process's worth of records.
async fn write(home: &Home, count: u64) {
    let audit = Audit::open(home, &State::open(home).unwrap(), &name()).unwrap();
    for number in 0..count {
        audit.append(record(number)).await.unwrap();
    }
}

fn found(home: &Home) -> Verified {
    found_with(home, None)
}

fn found_with(home: &Home, anchor: Option<&str>) -> Verified {
    let anchor = anchor.map(|anchor| anchor.parse().unwrap());
    Audit::verify(home, &State::open(home).unwrap(), &name(), anchor).unwrap()
}

fn faults(home: &Home) -> Vec<String> {
    found(home).faults.iter().map(ToString::to_string).collect()
}

fn lines(home: &Home) -> Vec<String> {
    fs::read_to_string(file(home, 0)).unwrap().lines().map(str::to_owned).collect()
}

fn rewrite(home: &Home, lines: &[String]) {
    fs::write(file(home, 0), lines.join("\n") + "\n").unwrap();
}

#[tokio::test]
async fn what_was_written_is_found_whole() {
    let (_folder, home) = scratch();
    write(&home, 20).await;
    write(&home, 5).await;
    let verified = found(&home);
    assert_eq!((verified.records, verified.first, verified.faults_total), (25, Some(1), 0));
    assert!(verified.head.as_ref().unwrap().starts_with("25:"));
    assert!(!verified.end_unknown && verified.torn.is_empty() && verified.torn_end.is_none());
    assert_eq!(Audit::read(&home, &name(), Filter::default()).unwrap().count(), 25);
}

#[tokio::test]
async fn whatever_is_done_to_a_record_is_found() {
    let check = async |change: &dyn Fn(&mut Vec<String>), expected: &[&str]| {
        let (_folder, home) = scratch();
        write(&home, 9).await;
        let mut all = lines(&home);
        change(&mut all);
        rewrite(&home, &all);
        assert_eq!(faults(&home), expected);
        // Nor does writing on make it good.
        write(&home, 2).await;
        assert!(!faults(&home).is_empty(), "{expected:?} is forgotten once more is written");
    };
    let changed = |lines: &mut Vec<String>, index: usize| {
        lines[index] = lines[index].replace("reason", "excuse");
    };
    let file = "`archive.jsonl`";
    check(
        &|lines| changed(lines, 3),
        &[&format!("line 4 of {file}: record 4 was changed, or something was put in after it")],
    )
    .await;
    check(
        &|lines| changed(lines, 8),
        &[&format!("line 9 of {file}: record 9 was changed, or something was put in after it")],
    )
    .await;
    check(
        &|lines| drop(lines.remove(4)),
        &[&format!("line 5 of {file}: records 5 to 5 are missing before it")],
    )
    .await;
    check(
        &|lines| drop(lines.drain(..2)),
        &[&format!("line 1 of {file}: records 1 to 2 are missing before it")],
    )
    .await;
    check(
        &|lines| lines.swap(3, 4),
        &[
            &format!("line 4 of {file}: records 4 to 4 are missing before it"),
            &format!("line 5 of {file}: record 4 stands after record 5: it was moved or put in"),
        ],
    )
    .await;
    check(
        &|lines| lines.insert(4, lines[2].clone()),
        &[&format!("line 5 of {file}: record 3 stands after record 4: it was moved or put in")],
    )
    .await;
    check(
        &|lines| {
            let end = lines[2].find(r#","number""#).unwrap();
            let foreign = lines[2][..end].to_owned() + "}";
            lines.insert(4, foreign);
        },
        &[
            &format!("line 5 of {file}: a record that was not written by Wharf"),
            &format!("line 4 of {file}: record 4 was changed, or something was put in after it"),
        ],
    )
    .await;
    check(
        &|lines| lines.insert(4, "{torn".to_owned()),
        &[&format!("line 4 of {file}: record 4 was changed, or something was put in after it")],
    )
    .await;
    check(&|lines| lines.truncate(6), &["the end is missing: records 7 to 9 were on disk"]).await;
    check(&Vec::clear, &["the end is missing: records 1 to 9 were on disk"]).await;
}

/// Whoever rebuilds the whole chain is told from the truth by what was noted elsewhere.
#[tokio::test]
async fn a_chain_that_was_rebuilt_is_not_the_one_that_was_noted() {
    let (_folder, home) = scratch();
    write(&home, 9).await;
    let noted = found(&home).head.unwrap();
    assert_eq!(found_with(&home, Some(&noted)).faults, []);
    fs::remove_file(file(&home, 0)).unwrap();
    let forget = |connection: &rusqlite::Connection| connection.execute("DELETE FROM audit_head", []);
    State::open(&home).unwrap().write(forget).await.unwrap();
    write(&home, 20).await;
    assert_eq!(faults(&home), [""; 0]);
    // The same records again are another chain if one of them differs; here the reasons do.
    let verified = found_with(&home, Some(&noted.replace("9:", "12:")));
    assert_eq!(verified.faults, [Fault::NotNoted { number: 12 }]);
    let beyond = format!("21:{}", "0".repeat(64));
    assert_eq!(found_with(&home, Some(&beyond)).faults, [Fault::NotNoted { number: 21 }]);
    for wrong in ["", "9", "0:", "9:00", "x:00", &format!("0:{}", "0".repeat(64))] {
        assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_torn_line_is_told_and_is_no_fault() {
    let (_folder, home) = scratch();
    write(&home, 3).await;
    let tear = |text: &[u8]| {
        fs::File::options().append(true).open(file(&home, 0)).unwrap().write_all(text).unwrap();
    };
    tear(br#"{"time":"2023-11-14T22:1"#);
    let torn = Line { file: "archive.jsonl".to_owned(), line: 4 };
    let verified = found(&home);
    assert_eq!((verified.faults_total, &verified.torn_end), (0, &Some(torn.clone())));
    write(&home, 2).await;
    let verified = found(&home);
    assert_eq!((verified.faults_total, verified.records, &verified.torn), (0, 5, &vec![torn]));
    // The record after it vouches for it, too.
    let mut all = lines(&home);
    all[3].push('x');
    rewrite(&home, &all);
    assert_eq!(found(&home).faults_total, 1);
}

#[tokio::test]
async fn records_from_before_there_was_a_chain_are_told() {
    let (_folder, home) = scratch();
    let old = serde_json::to_string(&record(1)).unwrap() + "\n";
    fs::write(file(&home, 1), &old).unwrap();
    fs::write(file(&home, 0), old.repeat(3)).unwrap();
    let verified = found(&home);
    assert_eq!((verified.unlinked, verified.records, verified.faults_total), (4, 0, 0));
    write(&home, 2).await;
    let verified = found(&home);
    assert_eq!((verified.unlinked, verified.records, verified.faults_total), (4, 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_goes_on_through_files_and_processes() {
    let (_folder, home) = scratch();
    if let Some(home) = in_role("chained") {
        let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
        for number in 0.. {
            let url = format!("https://x.test/{}", "a".repeat(4000));
            audit.append(Record { url, ..record(number) }).await.unwrap();
        }
    }
    let test = "audit::verify::tests::the_chain_goes_on_through_files_and_processes";
    let mut processes = [(); 2].map(|()| child(test, "chained", home.path()));
    while !file(&home, 2).exists() {
        assert_eq!(faults(&home), [""; 0]);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for process in &mut processes {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    write(&home, 1).await;
    let verified = found(&home);
    assert_eq!(verified.faults, []);
    assert!(verified.records > 2 * FILE_BYTES_MAX / 6000, "{}", verified.records);
    // A whole file that is taken away is missing.
    fs::remove_file(file(&home, 1)).unwrap();
    let verified = found(&home);
    assert!(matches!(verified.faults.as_slice(), [Fault::Missing { .. }]), "{:?}", verified.faults);
    fs::remove_file(file(&home, 2)).unwrap();
    let verified = found(&home);
    assert!(matches!(verified.faults.as_slice(), [Fault::Missing { first: 1, .. }]), "{:?}", verified.faults);
}

/// What is dropped when there are too many files is no gap; what somebody else drops is.
#[tokio::test]
async fn files_that_are_dropped_are_no_gap() {
    let (_folder, home) = scratch();
    // Two records a file: what fills it up otherwise was torn, and is blank.
    for _ in 0..FILES_MAX + 2 {
        write(&home, 2).await;
        let mut full = fs::File::options().append(true).open(file(&home, 0)).unwrap();
        let length = usize::try_from(FILE_BYTES_MAX - full.metadata().unwrap().len()).unwrap();
        full.write_all(&vec![b' '; length - 600]).unwrap();
    }
    let verified = found(&home);
    assert_eq!((verified.first, verified.records, verified.faults_total), (Some(5), 16, 0));
    fs::remove_file(file(&home, FILES_MAX - 1)).unwrap();
    assert_eq!(faults(&home), ["line 1 of `archive.jsonl.6`: records 5 to 6 are missing before it"]);
}
