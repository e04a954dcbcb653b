//! Names that a service stores in other words, and names that it does not keep apart.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use wharf_runtime::transfer::Options;
use wharf_tests::{Rig, Service, Told, assert_same_tree, down, path, up};

fn write(room: &std::path::Path, name: &str, text: &str) {
    let file = room.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// The failures, without the folder that the test happens to run in.
fn failures(told: &Told, room: &std::path::Path) -> Vec<String> {
    let room = format!("{}/", room.display());
    told.failures().into_iter().map(|line| line.replace(&room, "")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_stored_in_other_words_and_comes_back() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    for name in ["a:b/ c?.", "~$x/del\u{7f}", "trail /＼‛", "␠/a‛b"] {
        write(&room, name, name);
    }
    std::fs::create_dir(room.join("empty .")).unwrap();
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let (summary, told) = up(&attached, &room, "t:t", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (4, 0), "{service:?} {:?}", told.lines());
        let stored = match service {
            Service::OneDrive => "/backups/onedrive/t：t/a：b/␠c？．",
            Service::Dropbox => "/backups/dropbox/t:t/a:b/ c?.",
        };
        assert_eq!(rig.stored(service, stored).unwrap(), b"a:b/ c?.");
        let back = rig.room(&format!("back-{}", service.kind()));
        let (summary, told) = down(&attached, "t:t", &back, &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (4, 0), "{service:?} {:?}", told.lines());
        assert_same_tree(&room, &back);
        let (summary, _) = up(&attached, &room, "t:t", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_unchanged), (0, 4), "{service:?}");
        assert_eq!(attached.stat(&path("t:t/a:b/ c?.")).await.unwrap().size, 8);
    }
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_one_at_the_service_stay_here_and_the_others_go() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    for name in ["README", "readme", "Readme", "other", "Docs/one", "docs/two", "x/é", "x/e\u{301}", "x/y"] {
        write(&room, name, name);
    }
    let expected = [
        "failed : `Docs` cannot be copied: `docs` beside it is the same name to SERVICE",
        "failed : `README` cannot be copied: `Readme` beside it is the same name to SERVICE",
        "failed : `Readme` cannot be copied: `README` beside it is the same name to SERVICE",
        "failed : `docs` cannot be copied: `Docs` beside it is the same name to SERVICE",
        "failed : `readme` cannot be copied: `README` beside it is the same name to SERVICE",
        "failed x: `x/e\u{301}` cannot be copied: `é` beside it is the same name to SERVICE",
        "failed x: `x/é` cannot be copied: `e\u{301}` beside it is the same name to SERVICE",
    ];
    for (service, name, copied) in
        [(Service::OneDrive, "Microsoft OneDrive", 4), (Service::Dropbox, "Dropbox", 2)]
    {
        let attached = rig.destination(service, service.kind()).await;
        let (summary, told) = up(&attached, &room, "", &Options::default()).await;
        // OneDrive keeps the two spellings of a letter apart.
        let apart = |line: &&&str| service == Service::Dropbox || !line.contains("x/");
        let expected: Vec<String> =
            expected.iter().filter(apart).map(|line| line.replace("SERVICE", name)).collect();
        let mut failed = failures(&told, &room);
        failed.sort();
        assert_eq!(failed, expected, "{service:?}");
        assert_eq!(summary.files_copied, copied, "{:?}", told.lines());
        assert_eq!(
            rig.requests(service.staged()),
            usize::try_from(copied).unwrap(),
            "no byte of theirs moved"
        );
        rig.cloud.clear_log();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_known_by_what_its_name_is_to_the_service() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    write(&room, "Name", "as ever");
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        up(&attached, &room, "", &Options::default()).await;
        let renamed = rig.room(&format!("renamed-{}", service.kind()));
        std::fs::copy(room.join("Name"), renamed.join("NAME")).unwrap();
        let (summary, told) = up(&attached, &renamed, "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_unchanged), (0, 1), "{:?}", told.lines());
    }
}

/// Dropbox composes the letters of names, so what comes back in a listing is not spelt as it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_service_spells_otherwise_is_not_sent_again() {
    let rig = Rig::new().await;
    let dropbox = rig.cloud.dropbox();
    dropbox.set_switches(cloud::DropboxSwitches { normalize: true, ..dropbox.switches() });
    let room = rig.room("from");
    write(&room, "e\u{301}te\u{301}/a\u{30a}", "composed there");
    let attached = rig.destination(Service::Dropbox, "dropbox").await;
    let (summary, told) = up(&attached, &room, "", &Options::default()).await;
    assert_eq!((summary.files_copied, summary.files_failed), (1, 0), "{:?}", told.lines());
    assert!(rig.stored(Service::Dropbox, "/backups/dropbox/\u{e9}t\u{e9}/\u{e5}").is_some());
    let (summary, told) = up(&attached, &room, "", &Options::default()).await;
    assert_eq!((summary.files_copied, summary.files_unchanged), (0, 1), "{:?}", told.lines());
    let back = rig.room("back");
    down(&attached, "", &back, &Options::default()).await;
    assert_eq!(std::fs::read(back.join("\u{e9}t\u{e9}/\u{e5}")).unwrap(), b"composed there");
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_in_nobodys_way() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    write(&room, "README", "1");
    write(&room, "readme", "2");
    let attached = rig.destination(Service::Dropbox, "dropbox").await;
    let filter: wharf_runtime::transfer::Filter = std::sync::Arc::new(|path| path.as_str() != "readme");
    let options = Options { filter: Some(filter), ..Options::default() };
    let (summary, told) = up(&attached, &room, "", &options).await;
    assert_eq!((summary.files_copied, summary.files_failed), (1, 0), "{:?}", told.lines());
}
