//! The main job: a tree goes up, comes back, and is not sent again.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::figures::Figures;
use wharf_runtime::state::State;
use wharf_runtime::transfer::Options;
use wharf_tests::{Rig, Service, assert_same_tree, down, noise, path, up};

fn sample(room: &std::path::Path) {
    std::fs::create_dir_all(room.join("docs/deep/deeper")).unwrap();
    std::fs::create_dir_all(room.join("empty")).unwrap();
    std::fs::write(room.join("zero"), b"").unwrap();
    std::fs::write(room.join("small.txt"), noise(1, 4096)).unwrap();
    std::fs::write(room.join("docs/Zürich 東京 #1 %41.txt"), noise(2, 70_000)).unwrap();
    std::fs::write(room.join("docs/deep/deeper/last"), noise(3, 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_goes_up_comes_back_and_is_not_sent_again() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    sample(&room);
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let (summary, told) = up(&attached, &room, "tree", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (4, 0), "{service:?} {:?}", told.lines());
        assert!(told.lines().iter().all(|line| !line.contains("verified=false")), "{:?}", told.lines());
        assert_eq!(rig.requests(service.staged()), 4, "one upload request per small file");
        assert!(rig.requests("dropbox.finish-batch") <= 1, "one commit for all of them");

        let back = rig.room(&format!("back-{}", service.kind()));
        let (summary, told) = down(&attached, "tree", &back, &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (4, 0), "{service:?} {:?}", told.lines());
        assert_same_tree(&room, &back);

        rig.cloud.clear_log();
        for options in [Options::default(), Options { checksum: true, ..Options::default() }] {
            let (summary, _) = up(&attached, &room, "tree", &options).await;
            assert_eq!((summary.files_copied, summary.bytes_copied, summary.files_unchanged), (0, 0, 4));
            let (summary, _) = down(&attached, "tree", &back, &options).await;
            assert_eq!((summary.files_copied, summary.bytes_copied, summary.files_unchanged), (0, 0, 4));
        }
        assert_eq!(rig.requests(service.staged()), 0, "nothing is sent again");
        let entry = attached.stat(&path("tree/small.txt")).await.unwrap();
        assert_eq!(entry.size, 4096);
    }
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_parts() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let single = usize::try_from(attached.manifest().upload.single_max).unwrap();
        std::fs::write(room.join("large"), noise(7, single * 2 + 1_234_567)).unwrap();
        let (summary, told) = up(&attached, &room.join("large"), "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (1, 0), "{service:?} {:?}", told.lines());
        assert!(rig.requests(service.part()) > 1);
        let back = rig.room(&format!("back-{}", service.kind()));
        let (summary, told) = down(&attached, "large", &back, &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_failed), (1, 0), "{service:?} {:?}", told.lines());
        assert_same_tree(&room, &back);
        // The bytes did not pass through the guest.
        attached.settle().await.unwrap();
        let reference = ConnectorReference::parse(service.kind()).unwrap();
        let digest = rig.host.registry().get(&reference).unwrap().digest;
        let state = State::open(rig.host.home()).unwrap();
        let figures = Figures::load(&state, &digest).await.unwrap().unwrap();
        assert!(figures.memory_peak > 0 && figures.memory_peak <= 2 * 1024 * 1024, "{service:?} {figures:?}");
    }
    rig.assert_clean();
}
