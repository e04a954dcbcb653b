use std::{fs, io::Write, time::SystemTime};

use super::*;
use crate::home::tests::{child, in_role, scratch};

fn name() -> Name {
    Name::parse("archive").unwrap()
}

fn record(number: u64) -> Record {
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456 + number);
    Record {
        operation_id: number,
        operation: "put".into(),
        route: "put-content".into(),
        method: "PUT".to_owned(),
        url: "https://graph.microsoft.com/v1.0/me/drive/root:/backups/a.bin:/content".to_owned(),
        attempt: 1,
        status: Some(201),
        request_bytes: 4096,
        response_bytes: 300,
        elapsed_us: 12_000,
        rule: "put-content".to_owned(),
        ..Record::new(time, "archive".into(), "onedrive@0.1.0".into(), Decision::Allowed)
    }
}

fn numbers(home: &Home, filter: Filter) -> Vec<u64> {
    Audit::read(home, &name(), filter).unwrap().map(|record| record.unwrap().operation_id).collect()
}

fn file(home: &Home, age: u32) -> std::path::PathBuf {
    home.audit().path_of(&file_name(&name(), age))
}

#[tokio::test]
async fn records_come_back_as_they_went() {
    let (_folder, home) = scratch();
    let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
    let whole = Record {
        account: Some("work".into()),
        digest: "e3b0c44298fc".into(),
        signed_by: "wharf (3b1f0c9a8e77)".into(),
        failure: Some("timed out".to_owned()),
        service_request_id: Some("4f7a".to_owned()),
        wait_ms: Some(1000),
        maybe_applied: true,
        guest_claimed: true,
        reason: "grüße".to_owned(),
        ..record(2)
    };
    audit.append(record(1)).await.unwrap();
    audit.append(whole.clone()).await.unwrap();
    audit.flush().await.unwrap();
    let read: Vec<_> = Audit::read(&home, &name(), Filter::default()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, [record(1), whole]);
    let text = fs::read_to_string(file(&home, 0)).unwrap();
    assert!(text.starts_with(r#"{"time":"2023-11-14T22:13:20.123457Z","process":"#), "{text}");
    assert_eq!(text.lines().count(), 2);
}

#[tokio::test]
async fn the_last_one_to_go_writes_what_is_left() {
    let (_folder, home) = scratch();
    let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
    for number in 0..1000 {
        audit.append(record(number)).await.unwrap();
    }
    drop(audit.clone());
    drop(audit);
    assert_eq!(numbers(&home, Filter::default()), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn texts_are_bounded_and_harmless() {
    let (_folder, home) = scratch();
    let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
    let check = async |hostile: &str, expected: &str| {
        let sent = Record { reason: hostile.to_owned(), route: hostile.into(), ..record(1) };
        audit.append(sent).await.unwrap();
        audit.flush().await.unwrap();
        let read = Audit::read(&home, &name(), Filter::default()).unwrap().last().unwrap().unwrap();
        assert_eq!(read.reason, expected);
        assert_eq!(&*read.route, expected);
    };
    check("plain", "plain").await;
    check("\x1b[2J\r\n{\"fake\":1}", "\\u{1b}[2J\\u{d}\\u{a}{\"fake\":1}").await;
    check("\u{202e}gpj.exe", "\\u{202e}gpj.exe").await;
    check("\u{9b}31m", "\\u{9b}31m").await;
    check("日本", "日本").await;
    check(&"a".repeat(5000), &format!("{}…", "a".repeat(253))).await;
    check(&"\0".repeat(5000), &format!("{}…", "\\u{0}".repeat(50))).await;
    let text = fs::read_to_string(file(&home, 0)).unwrap();
    assert!(text.lines().all(|line| serde_json::from_str::<Record>(line).is_ok()));
    assert!(!text.contains('\x1b'));
    let long = Record { url: format!("https://x.test/{}", "ü\"".repeat(10_000)), ..record(2) };
    audit.append(long).await.unwrap();
    let secret = Record { url: "https://x.test/a?sig=sesame#sesame".to_owned(), ..record(3) };
    audit.append(secret).await.unwrap();
    audit.flush().await.unwrap();
    let mut reader = Audit::read(&home, &name(), Filter::default()).unwrap();
    let urls: Vec<_> = reader.by_ref().map(|record| record.unwrap().url).collect();
    assert_eq!(reader.skipped(), 0);
    assert!(urls[7].len() <= URL_BYTES_MAX && urls[7].ends_with('…'));
    assert_eq!(urls[8], "https://x.test/a");
    assert!(!fs::read_to_string(file(&home, 0)).unwrap().contains("sesame"));
}

#[tokio::test]
async fn a_torn_line_costs_one_record() {
    let (_folder, home) = scratch();
    let write = async |number| {
        let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
        audit.append(record(number)).await.unwrap();
    };
    write(1).await;
    let mut half = fs::File::options().append(true).open(file(&home, 0)).unwrap();
    half.write_all(br#"{"time":"2023-11-14T22:1"#).unwrap();
    assert_eq!(numbers(&home, Filter::default()), [1]);
    write(2).await;
    let mut reader = Audit::read(&home, &name(), Filter::default()).unwrap();
    assert_eq!(reader.by_ref().map(|record| record.unwrap().operation_id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(reader.skipped(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_put_aside_while_several_write() {
    let (_folder, home) = scratch();
    // More than a file's worth, in long lines, from two writers at once.
    let each = 2200;
    let write = |first: u64| {
        let home = Home::open_existing(home.path()).unwrap();
        tokio::spawn(async move {
            let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
            for number in first..first + each {
                let url = format!("https://x.test/{}", "a".repeat(4000));
                audit.append(Record { url, ..record(number) }).await.unwrap();
            }
        })
    };
    let (one, other) = (write(0), write(1_000_000));
    // Whoever reads meanwhile finds whole lines, in order.
    while !one.is_finished() {
        let found = numbers(&home, Filter::default());
        let mine: Vec<_> = found.into_iter().filter(|number| *number < 1_000_000).collect();
        assert!(mine.is_sorted());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    one.await.unwrap();
    other.await.unwrap();
    let mut reader = Audit::read(&home, &name(), Filter::default()).unwrap();
    let mut found: Vec<_> = reader.by_ref().map(|record| record.unwrap().operation_id).collect();
    assert_eq!(reader.skipped(), 0);
    found.sort_unstable();
    assert_eq!(found, (0..each).chain(1_000_000..1_000_000 + each).collect::<Vec<_>>());
    for age in 0..FILES_MAX {
        assert!(
            fs::metadata(file(&home, age)).is_ok_and(|metadata| metadata.len() <= FILE_BYTES_MAX) || age > 0
        );
    }
}

#[tokio::test]
async fn the_oldest_file_goes() {
    let (_folder, home) = scratch();
    for age in 0..FILES_MAX {
        let line = serde_json::to_string(&record(100 - u64::from(age))).unwrap() + "\n";
        fs::write(file(&home, age), line).unwrap();
    }
    // The current file is as good as full.
    let mut full = serde_json::to_string(&record(101)).unwrap().into_bytes();
    full.push(b'\n');
    full.resize(usize::try_from(FILE_BYTES_MAX).unwrap() - 10, b' ');
    fs::write(file(&home, 0), full).unwrap();
    let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
    audit.append(record(102)).await.unwrap();
    audit.flush().await.unwrap();
    assert_eq!(numbers(&home, Filter::default()), [94, 95, 96, 97, 98, 99, 101, 102]);
    assert!(!file(&home, FILES_MAX).exists());
}

#[tokio::test]
async fn a_disk_that_refuses_is_told_and_nothing_is_lost() {
    let (_folder, home) = scratch();
    let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
    audit.append(record(0)).await.unwrap();
    audit.flush().await.unwrap();
    // A folder in the file's place: it cannot be written until that is gone.
    let aside = home.path().join("aside");
    fs::rename(file(&home, 0), &aside).unwrap();
    fs::create_dir(file(&home, 0)).unwrap();
    let mut refused = 0;
    for number in 1..=10 {
        refused += u64::from(audit.append(record(number)).await.is_err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused > 0);
    let error = audit.flush().await.unwrap_err();
    assert_eq!(error.to_string(), "the audit of destination `archive` cannot be written");
    fs::remove_dir(file(&home, 0)).unwrap();
    fs::rename(&aside, file(&home, 0)).unwrap();
    while audit.flush().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(numbers(&home, Filter::default()), (0..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_flushed_survives_a_kill() {
    if let Some(home) = in_role("auditor") {
        let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
        for number in 0.. {
            audit.append(record(number)).await.unwrap();
            if number % 100 == 99 {
                audit.flush().await.unwrap();
                home.root().write("state.db-told", number.to_string().as_bytes()).unwrap();
            }
        }
    }
    let (_folder, home) = scratch();
    let mut auditor = child("audit::tests::what_was_flushed_survives_a_kill", "auditor", home.path());
    while !home.root().has("state.db-told") {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(17));
    auditor.kill().unwrap();
    auditor.wait().unwrap();
    let told = home.root().read("state.db-told", 100).unwrap().unwrap();
    let told: u64 = String::from_utf8(told).unwrap().parse().unwrap();
    let found = numbers(&home, Filter::default());
    assert_eq!(found, (0..u64::try_from(found.len()).unwrap()).collect::<Vec<_>>());
    assert!(found.last().is_some_and(|last| *last >= told), "told {told}, found {:?}", found.last());
}

#[tokio::test]
async fn filters_and_sums() {
    let (_folder, home) = scratch();
    let audit = Audit::open(&home, &State::open(&home).unwrap(), &name()).unwrap();
    let with = |number, decision, change: &dyn Fn(&mut Record)| {
        let mut record = Record { decision, ..record(number) };
        change(&mut record);
        record
    };
    let records = [
        with(1, Decision::Retried, &|record| {
            record.status = None;
            record.failure = Some("reset".to_owned());
            record.elapsed_us = 50_000;
        }),
        with(1, Decision::Allowed, &|_| {}),
        with(2, Decision::Paused, &|record| record.status = Some(429)),
        with(3, Decision::Denied, &|record| {
            record.attempt = 0;
            record.status = None;
            record.request_bytes = 0;
            record.response_bytes = 0;
            record.route = "delete-item".into();
        }),
    ];
    for record in records {
        audit.append(record).await.unwrap();
    }
    audit.flush().await.unwrap();
    let all = Filter::default;
    assert_eq!(
        numbers(&home, Filter { decisions: vec![Decision::Paused, Decision::Denied], ..all() }),
        [2, 3]
    );
    assert_eq!(numbers(&home, Filter { route: Some("delete-item".to_owned()), ..all() }), [3]);
    assert_eq!(numbers(&home, Filter { operation: Some((std::process::id(), 1)), ..all() }), [1, 1]);
    assert_eq!(numbers(&home, Filter { operation: Some((0, 1)), ..all() }), [0; 0]);
    assert_eq!(
        numbers(&home, Filter { since: Some(record(2).time), until: Some(record(3).time), ..all() }),
        [2]
    );
    let summary = Audit::read(&home, &name(), all()).unwrap().summary().unwrap();
    let put = &summary.routes[0];
    assert_eq!((&*put.operation, &*put.route), ("put", "put-content"));
    assert_eq!((put.attempts, put.retried, put.paused, put.failed, put.denied), (3, 1, 1, 1, 0));
    assert_eq!(put.statuses, [0, 1, 0, 1, 0]);
    assert_eq!((put.request_bytes, put.elapsed_us, put.elapsed_us_max), (3 * 4096, 74_000, 50_000));
    assert_eq!((summary.routes[1].attempts, summary.routes[1].denied), (0, 1));
    assert_eq!(summary.first, Some(record(1).time.try_into().unwrap()));
    assert!(
        serde_json::to_string(&summary).unwrap().starts_with(r#"{"first":"2023-11-14T22:13:20.123457Z""#)
    );
    assert_eq!(numbers(&Home::open(&home.path().join("audit/other")).unwrap(), all()), [0; 0]);
}
