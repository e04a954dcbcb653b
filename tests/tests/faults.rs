//! What goes wrong on the way: each fault ends with the right bytes or a clear error.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::time::{Duration, Instant};

use cloud::{Action, Preset, Rule};
use wharf_runtime::ErrorKind;
use wharf_runtime::transfer::{Options, Summary};
use wharf_tests::{ACCOUNT, Rig, Service, audit, down, noise, path, up};

/// A file that goes up in two parts on either service.
fn large(service: Service) -> Vec<u8> {
    match service {
        Service::OneDrive => noise(5, 12 * 1024 * 1024 + 17),
        Service::Dropbox => noise(5, 33 * 1024 * 1024 + 17),
    }
}

/// One file up while `rule` acts on the first request of `kind`: the right bytes are stored, and the
/// fault was really met.
async fn survives(rig: &Rig, service: Service, kind: &str, action: Action, bytes: &[u8]) {
    let name = format!("{}-{}", service.kind(), rig.cloud.faults().list().len());
    let attached = rig.destination(service, &name).await;
    let room = rig.room(&name);
    std::fs::write(room.join("file.bin"), bytes).unwrap();
    let rule = rig.cloud.faults().add(Rule::once(kind, action.clone()));
    // A file by itself goes in one request, one of a tree may be staged.
    let from = if kind == service.put() { room.join("file.bin") } else { room };
    let (summary, told) = up(&attached, &from, "", &Options::default()).await;
    assert_eq!((summary.files_copied, summary.files_failed), (1, 0), "{kind} {action:?}: {:?}", told.lines());
    assert_eq!(rig.cloud.faults().acted(rule), 1, "{kind} {action:?} was not met");
    assert!(
        rig.stored(service, &format!("/backups/{name}/file.bin")).unwrap() == bytes,
        "{kind} {action:?}: wrong bytes"
    );
    rig.assert_clean();
}

fn status(status: u16) -> Action {
    Action::Reply { status, headers: Default::default(), body: Default::default(), early: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_survives_every_fault_of_the_way() {
    let rig = Rig::new().await;
    let bytes = noise(1, 100_000);
    for service in Service::ALL {
        let cut = Action::CutAfter { bytes: 50_000 };
        for action in [status(503), status(500), Action::CutBefore, cut, Action::CutAfterCommit] {
            survives(&rig, service, service.put(), action, &bytes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_file_survives_every_fault_of_the_way() {
    let rig = Rig::new().await;
    let bytes = noise(1, 100_000);
    for kind in ["dropbox.session-start", "dropbox.finish-batch"] {
        for action in [status(503), status(500), Action::CutBefore, Action::CutAfterCommit] {
            survives(&rig, Service::Dropbox, kind, action, &bytes).await;
        }
    }
    let cut = Action::CutAfter { bytes: 50_000 };
    survives(&rig, Service::Dropbox, "dropbox.session-start", cut, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_survives_every_fault_of_the_way() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let bytes = large(service);
        for action in [status(503), Action::CutAfter { bytes: 1_000_000 }, Action::CutAfterCommit] {
            survives(&rig, service, service.part(), action, &bytes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_survives_every_fault_of_the_way() {
    let rig = Rig::new().await;
    for (service, kind) in [(Service::OneDrive, "onedrive.download"), (Service::Dropbox, "dropbox.download")]
    {
        let attached = rig.destination(service, service.kind()).await;
        let room = rig.room(service.kind());
        std::fs::write(room.join("file.bin"), noise(9, 3_000_000)).unwrap();
        up(&attached, &room, "", &Options::default()).await;
        let cut = Action::TruncateReply { bytes: 1_000_001 };
        for (number, action) in [status(503), Action::CutBefore, cut].into_iter().enumerate() {
            let rule = rig.cloud.faults().add(Rule::once(kind, action.clone()));
            let back = rig.room(&format!("back-{}-{number}", service.kind()));
            let (summary, told) = down(&attached, "", &back, &Options::default()).await;
            assert_eq!(
                (summary.files_copied, summary.files_failed),
                (1, 0),
                "{action:?}: {:?}",
                told.lines()
            );
            assert_eq!(rig.cloud.faults().acted(rule), 1, "{action:?} was not met");
            wharf_tests::assert_same_tree(&room, &back);
        }
        rig.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_wrong_never_gets_the_name() {
    let rig = Rig::new().await;
    for (service, kind) in [(Service::OneDrive, "onedrive.download"), (Service::Dropbox, "dropbox.download")]
    {
        let attached = rig.destination(service, service.kind()).await;
        let room = rig.room(service.kind());
        std::fs::write(room.join("file.bin"), noise(9, 300_000)).unwrap();
        up(&attached, &room, "", &Options::default()).await;
        rig.cloud.faults().add(Rule::once(kind, Action::CorruptReply { at: 1234 }));
        let back = rig.room(&format!("back-{}", service.kind()));
        let (summary, told) = down(&attached, "", &back, &Options::default()).await;
        assert_eq!(summary.files_failed, 1);
        assert!(told.failures()[0].contains("not what was meant"), "{:?}", told.failures());
        assert_eq!(wharf_tests::tree(&back), [], "nothing is left behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_wrong_is_taken_back_and_not_counted() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let room = rig.room(service.kind());
        std::fs::write(room.join("file.bin"), noise(9, 300_000)).unwrap();
        // Dropbox is told the hash and refuses by itself; either way it is not counted.
        rig.cloud.faults().add(Rule::once(service.put(), Action::CorruptStored { at: 1234 }));
        let (summary, told) = up(&attached, &room.join("file.bin"), "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (0, 1), "{:?}", told.lines());
        assert_eq!(
            rig.stored(service, &format!("/backups/{}/file.bin", service.kind())),
            None,
            "{:?}",
            told.lines()
        );
        let (summary, _) = up(&attached, &room, "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (1, 0), "the next run mends it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refreshed_once_and_the_request_goes_on() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        attached.list(&path(""), false, None).await.ok();
        let refreshes = |rig: &Rig| match service {
            Service::OneDrive => rig.cloud.onedrive().refreshes(ACCOUNT),
            Service::Dropbox => rig.cloud.dropbox().refreshes(ACCOUNT),
        };
        let before = refreshes(&rig);
        match service {
            Service::OneDrive => rig.cloud.onedrive().expire_tokens(ACCOUNT),
            Service::Dropbox => rig.cloud.dropbox().expire_tokens(ACCOUNT),
        }
        let room = rig.room(service.kind());
        for number in 0..8 {
            std::fs::write(room.join(format!("{number}")), noise(number, 10_000)).unwrap();
        }
        let (summary, told) = up(&attached, &room, "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (8, 0), "{:?}", told.lines());
        assert_eq!(refreshes(&rig) - before, 1, "one refresh for all threads");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_sign_in_says_so() {
    let rig = Rig::new().await;
    rig.cloud.onedrive().revoke(ACCOUNT);
    let attached = rig.destination(Service::OneDrive, "archive").await;
    let error = attached.stat(&path("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignIn, "{error}");
    assert!(error.to_string().contains("archive:a"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_for_the_account_in_every_process() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let first = rig.destination(service, &format!("{}-one", service.kind())).await;
        let second = rig.destination(service, &format!("{}-two", service.kind())).await;
        first.make_folder(&path("a")).await.unwrap();
        second.make_folder(&path("a")).await.unwrap();
        let other = rig.another_host();
        let elsewhere = other.attach(second.name()).await.unwrap();
        let preset = match service {
            Service::OneDrive => Preset::OnedriveThrottled,
            Service::Dropbox => Preset::DropboxTooManyRequests,
        };
        let kind = match service {
            Service::OneDrive => "onedrive.item",
            Service::Dropbox => "dropbox.metadata",
        };
        rig.cloud.faults().add(Rule::once(kind, Action::Preset { name: preset, retry_after: Some(2) }));
        let started = Instant::now();
        let throttled = async { first.stat(&path("a")).await.map(|_| started.elapsed()) };
        let bystander = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            elsewhere.stat(&path("a")).await.map(|_| started.elapsed())
        };
        let (one, two) = tokio::join!(throttled, bystander);
        assert!(one.unwrap() >= Duration::from_secs(2), "the request itself waits");
        assert!(
            two.unwrap() >= Duration::from_secs(2),
            "another destination in another process waits as well"
        );
        rig.assert_clean();
        first.settle().await.unwrap();
        let records = audit(&rig.host, first.name().as_str());
        assert!(records.iter().any(|record| record["decision"] == "paused"), "{records:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_together_have_no_more_than_a_destination_s_threads() {
    let rig = Rig::new().await;
    let first = rig.destination_with(Service::OneDrive, "archive", |one| one.threads = 3).await;
    let other = rig.another_host();
    let second = other.attach(first.name()).await.unwrap();
    let rooms = [rig.room("one"), rig.room("two")];
    for (room, seed) in rooms.iter().zip([1_u64, 100]) {
        for number in 0..40 {
            std::fs::write(room.join(format!("{number}")), noise(seed + number, 2_000)).unwrap();
        }
    }
    first.make_folder(&path("a")).await.unwrap();
    second.make_folder(&path("b")).await.unwrap();
    rig.cloud.clear_log();
    rig.cloud.set_latency(Duration::from_millis(20));
    let options = Options::default();
    let (one, two) =
        tokio::join!(up(&first, &rooms[0], "a", &options), up(&second, &rooms[1], "b", &options));
    assert_eq!((one.0.files_copied, two.0.files_copied), (40, 40));
    // What the service had in hand at each request's arrival, the milliseconds of its replies rounded down.
    let log = rig.cloud.log();
    let end = |entry: &cloud::LogEntry| {
        entry.time + jiff::SignedDuration::from_millis(i64::try_from(entry.elapsed_ms).unwrap())
    };
    let at_once = |entry: &cloud::LogEntry| {
        log.iter().filter(|other| other.time <= entry.time && end(other) > entry.time).count()
    };
    assert_eq!(log.iter().map(at_once).max(), Some(3), "as many as there are, and no more");
    assert_eq!((first.threads().free(), second.threads().free()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_while_it_is_sent_is_not_stored() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let room = rig.room(service.kind());
        let file = room.join("file.bin");
        std::fs::write(&file, noise(3, 4_000_000)).unwrap();
        // The service asks for a second of patience; meanwhile the file becomes another.
        let headers = [("retry-after".to_owned(), "1".to_owned())].into();
        let action = Action::Reply { status: 503, headers, body: Default::default(), early: false };
        rig.cloud.faults().add(Rule::once(service.staged(), action));
        let options = Options::default();
        let (done, ()) = tokio::join!(up(&attached, &room, "", &options), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let file = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
            file.set_len(1_000_000).unwrap();
        });
        let (summary, told) = done;
        assert_eq!(
            Summary { folders_made: 0, ..summary },
            Summary { files_failed: 1, ..Summary::default() },
            "{:?}",
            told.lines()
        );
        assert!(told.failures()[0].contains("changed"), "{:?}", told.failures());
        assert_eq!(rig.stored(service, &format!("/backups/{}/file.bin", service.kind())), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_do_not_replace_each_other() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let room = rig.room(service.kind());
        std::fs::create_dir_all(room.join("thing")).unwrap();
        std::fs::write(room.join("thing/inside"), b"x").unwrap();
        up(&attached, &room, "", &Options::default()).await;
        let other = rig.room(&format!("other-{}", service.kind()));
        std::fs::write(other.join("thing"), b"a file").unwrap();
        let (summary, told) = up(&attached, &other, "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (0, 1), "{:?}", told.lines());
        assert!(told.failures()[0].contains("is a folder"), "{:?}", told.failures());
        let (summary, told) = down(&attached, "", &other, &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (0, 1), "{:?}", told.lines());
        assert!(told.failures()[0].contains("is a file"), "{:?}", told.failures());
    }
}
