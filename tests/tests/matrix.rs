//! Every documented error at every request of an upload, a download and a listing.
//!
//! Each run ends with the right bytes or with a clear error. Nothing wrong is ever called good, nothing
//! is stored twice, our own file is no conflict, and the next run mends what failed.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use cloud::{Action, Preset, Rule};
use wharf_runtime::attached::Attached;
use wharf_runtime::transfer::Options;
use wharf_tests::{ACCOUNT, Rig, Service, down, noise, path, tree, up};

/// What is done while the error comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A file by itself, in one request.
    One,
    /// A tree of one file.
    Tree,
    /// A file in parts.
    Parts,
    Download,
    Listing,
    /// A listing of two pages.
    Pages,
}

/// What is done, which of its requests is answered with the error, and how many of that kind pass first.
const ONEDRIVE: &[(Work, &str, u64)] = &[
    (Work::One, "onedrive.put-content", 0),
    (Work::Parts, "onedrive.create-session", 0),
    (Work::Parts, "onedrive.session-part", 0),
    // The last one makes it a file.
    (Work::Parts, "onedrive.session-part", 1),
    (Work::Download, "onedrive.item", 0),
    (Work::Download, "onedrive.download", 0),
    (Work::Listing, "onedrive.children", 0),
    (Work::Pages, "onedrive.children", 1),
];
const DROPBOX: &[(Work, &str, u64)] = &[
    (Work::One, "dropbox.upload", 0),
    (Work::Tree, "dropbox.session-start", 0),
    (Work::Tree, "dropbox.finish-batch", 0),
    (Work::Parts, "dropbox.session-start", 0),
    (Work::Parts, "dropbox.append", 0),
    (Work::Parts, "dropbox.finish-batch", 0),
    (Work::Download, "dropbox.download", 0),
    (Work::Listing, "dropbox.list-folder", 0),
    (Work::Pages, "dropbox.list-continue", 0),
];

struct Cell<'a> {
    rig: &'a Rig,
    attached: &'a Attached,
    service: Service,
    work: Work,
    kind: &'a str,
    skip: u64,
    preset: Preset,
    /// A folder of its own, here and at the service.
    place: String,
}

impl Cell<'_> {
    fn bytes(&self) -> Vec<u8> {
        let part = usize::try_from(self.attached.manifest().upload.part_size).unwrap();
        noise(3, if self.work == Work::Parts { part + 77_777 } else { 77_777 })
    }

    fn room(&self) -> PathBuf {
        let room = self.rig.room(&self.place);
        std::fs::write(room.join("file.bin"), self.bytes()).unwrap();
        room
    }

    fn stored(&self) -> Option<Vec<u8>> {
        self.rig.stored(self.service, &format!("/backups/{}/{}/file.bin", self.attached.name(), self.place))
    }

    /// How many files the service has in our folder, whatever they are called.
    fn count(&self) -> usize {
        let folder = format!("/backups/{}/{}/", self.attached.name(), self.place);
        let files = match self.service {
            Service::OneDrive => self.rig.cloud.onedrive().files(ACCOUNT),
            Service::Dropbox => self.rig.cloud.dropbox().files(ACCOUNT),
        };
        files.iter().filter(|file| file.path.starts_with(&folder)).count()
    }

    fn sent(&self) -> u64 {
        let kinds = [self.service.put(), self.service.staged(), self.service.part()];
        let log = self.rig.cloud.log();
        log.iter().filter(|entry| kinds.contains(&&*entry.kind)).map(|entry| entry.request_bytes).sum()
    }

    async fn run(&self) {
        let about = format!("{:?} {} {} after {}", self.work, self.kind, self.preset, self.skip);
        let (room, bytes) = (self.room(), self.bytes());
        if matches!(self.work, Work::Download | Work::Listing) {
            up(self.attached, &room, &self.place, &Options::default()).await;
        }
        self.rig.cloud.clear_log();
        // Those that can say how long to wait do, or each would cost what is waited unsaid.
        let patient = ["throttled", "limit", "unavailable", "bandwidth", "too-many-requests", "rate"];
        let retry_after = patient.iter().any(|word| self.preset.to_string().contains(word)).then_some(1);
        let action = Action::Preset { name: self.preset, retry_after };
        let fault = Rule { skip: self.skip, ..Rule::once(self.kind, action) };
        let fault = self.rig.cloud.faults().add(fault);
        match self.work {
            Work::One | Work::Tree | Work::Parts => self.upload(&about, &room, &bytes, fault).await,
            Work::Download => self.download(&about, &bytes, fault).await,
            Work::Listing => self.listing(&about, fault).await,
            Work::Pages => self.pages(&about, fault).await,
        }
        self.rig.assert_clean();
    }

    /// The error came, and comes no more.
    fn end(&self, about: &str, fault: u64) {
        let faults = self.rig.cloud.faults();
        // A second run has none.
        assert!(faults.list().is_empty() || faults.acted(fault) == 1, "{about}: nothing was answered so");
        faults.clear();
    }

    async fn upload(&self, about: &str, room: &std::path::Path, bytes: &[u8], fault: u64) {
        let from = if self.work == Work::Tree { room.to_owned() } else { room.join("file.bin") };
        let (summary, told) = up(self.attached, &from, &self.place, &Options::default()).await;
        assert_eq!(summary.files_copied + summary.files_failed, 1, "{about}: {:?}", told.lines());
        if summary.files_copied == 1 {
            assert!(self.stored().as_deref() == Some(bytes), "{about}: wrong bytes are called good");
            let size = u64::try_from(bytes.len()).unwrap();
            // A fault costs a part; a session that the service forgot costs all that was in it.
            // That is what 404 and 410 mean there, whoever answers them.
            let preset = self.preset.to_string();
            let forgotten = preset.contains("session-gone")
                || (self.kind.ends_with("session-part")
                    && ["not-found", "resync"].iter().any(|gone| preset.ends_with(gone)));
            let part = self.attached.manifest().upload.part_size.min(size);
            let most = if forgotten { size * 2 + part } else { size + part };
            assert!(self.sent() <= most, "{about}: {} bytes were sent, {most} at most", self.sent());
        } else {
            assert!(self.stored().is_none_or(|stored| stored == bytes), "{about}: wrong bytes are stored");
            let failure = told.failures().concat();
            assert!(failure.contains(self.attached.name().as_str()), "{about}: {failure}");
        }
        self.end(about, fault);
        let (summary, told) = up(self.attached, &from, &self.place, &Options::default()).await;
        assert_eq!(summary.files_failed, 0, "{about}, again: {:?}", told.lines());
        assert!(self.stored().as_deref() == Some(bytes), "{about}, again: wrong bytes");
        assert_eq!(self.count(), 1, "{about}: more than our file is there");
    }

    async fn download(&self, about: &str, bytes: &[u8], fault: u64) {
        let back = self.rig.room(&format!("{}-back", self.place));
        let from = format!("{}/file.bin", self.place);
        for attempt in ["first", "again"] {
            let told = wharf_tests::Told::default();
            let (from, options) = (path(&from), Options::default());
            let ended = wharf_runtime::transfer::download(self.attached, &from, &back, &options, &told).await;
            let good = ended.is_ok_and(|summary| summary.files_failed == 0);
            let files = tree(&back);
            if good {
                assert_eq!(files.len(), 1, "{about}, {attempt}");
                assert!(
                    files[0].1.as_deref() == Some(bytes),
                    "{about}, {attempt}: wrong bytes are called good"
                );
            } else {
                assert_eq!(files, [], "{about}, {attempt}: something is left");
                assert_eq!(attempt, "first", "{about}: {:?}", told.lines());
            }
            self.end(about, fault);
        }
        let (summary, _) = down(self.attached, &from, &back, &Options::default()).await;
        assert_eq!(summary.files_unchanged, 1, "{about}");
    }

    async fn listing(&self, about: &str, fault: u64) {
        let listed = self.attached.list(&path(&self.place), false, None).await;
        if let Ok(page) = &listed {
            assert_eq!(page.entries.len(), 1, "{about}: a listing that is not whole");
        }
        self.end(about, fault);
        let again = self.attached.list(&path(&self.place), false, None).await;
        assert_eq!(again.unwrap().entries.len(), 1, "{about}, again");
    }

    async fn pages(&self, about: &str, fault: u64) {
        for attempt in ["first", "again"] {
            match self.names().await {
                Ok(names) => assert_eq!(names.len(), FILES, "{about}, {attempt}: not whole"),
                Err(problem) => assert_eq!(attempt, "first", "{about}: {problem}"),
            }
            self.end(about, fault);
        }
    }

    /// What is in the large folder, page by page; each once.
    async fn names(&self) -> Result<BTreeSet<String>, String> {
        let (mut names, mut next) = (BTreeSet::new(), None);
        loop {
            let page = self.attached.list(&path(MANY), false, next.as_deref()).await;
            let page = page.map_err(|error| error.to_string())?;
            for entry in page.entries {
                assert!(names.insert(entry.path.to_string()), "`{}` is listed twice", entry.path);
            }
            match page.next {
                Some(cursor) => next = Some(cursor),
                None => return Ok(names),
            }
        }
    }
}

/// The folder that has more than a page, and how many files.
const MANY: &str = "many";
const FILES: usize = 2003;

async fn matrix(service: Service, cells: &[(Work, &str, u64)]) {
    let rig = Rig::new().await;
    let attached = rig.destination(service, service.kind()).await;
    let many = format!("/backups/{}/{MANY}", attached.name());
    match service {
        Service::OneDrive => rig.cloud.onedrive().put_many(ACCOUNT, &many, FILES).unwrap(),
        Service::Dropbox => rig.cloud.dropbox().put_many(ACCOUNT, &many, FILES).unwrap(),
    }
    let mut runs = 0;
    for preset in Preset::all() {
        let name = preset.to_string();
        // Those of token requests have tests of their own.
        if !name.starts_with(service.kind()) || name.ends_with("invalid-grant") {
            continue;
        }
        for (work, kind, skip) in cells {
            let place = format!("cell-{runs}");
            let (work, skip) = (*work, *skip);
            Cell { rig: &rig, attached: &attached, service, work, kind, skip, preset, place }.run().await;
            runs += 1;
        }
    }
    assert!(runs > 100, "only {runs} cells");
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive() {
    matrix(Service::OneDrive, ONEDRIVE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbox() {
    matrix(Service::Dropbox, DROPBOX).await;
}
