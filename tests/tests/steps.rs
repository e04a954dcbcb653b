//! Every documented error, and both ways to lose an answer, at each request of a move, a copy and a removal at the
//! service.
//!
//! Each ends with what was meant or with an error that names the destination, and run again it ends with what
//! was meant: nothing is there twice, nothing is lost, nothing else is touched.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeSet;

use cloud::{Action, DriveKind, Preset, Rule};
use wharf_runtime::attached::Attached;
use wharf_runtime::transfer::{self, Options};
use wharf_runtime::{ErrorKind, sandbox::limits::Limits};
use wharf_tests::{ACCOUNT, Rig, Service, path, up};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Move,
    Copy,
    Remove,
}

const ONEDRIVE: &[(Work, &str)] = &[
    (Work::Move, "onedrive.create-folder"),
    (Work::Move, "onedrive.item"),
    (Work::Move, "onedrive.update"),
    (Work::Remove, "onedrive.delete"),
];
const ONEDRIVE_COPIES: &[(Work, &str)] =
    &[(Work::Copy, "onedrive.item"), (Work::Copy, "onedrive.copy"), (Work::Copy, "onedrive.monitor")];
const DROPBOX: &[(Work, &str)] = &[
    (Work::Move, "dropbox.create-folder"),
    (Work::Move, "dropbox.move"),
    (Work::Copy, "dropbox.copy"),
    (Work::Remove, "dropbox.delete"),
];

struct Cell<'a> {
    rig: &'a Rig,
    attached: &'a Attached,
    service: Service,
    work: Work,
    place: String,
}

impl Cell<'_> {
    /// The files at our place.
    fn stored(&self) -> BTreeSet<String> {
        let folder = format!("/backups/{}/{}/", self.attached.name(), self.place);
        let files = match self.service {
            Service::OneDrive => self.rig.cloud.onedrive().files(ACCOUNT),
            Service::Dropbox => self.rig.cloud.dropbox().files(ACCOUNT),
        };
        files.iter().filter_map(|file| file.path.strip_prefix(&folder)).map(str::to_owned).collect()
    }

    fn meant(&self) -> BTreeSet<String> {
        let names = match self.work {
            Work::Move => &["other", "new/file"][..],
            Work::Copy => &["file", "other", "new/file"],
            Work::Remove => &["other"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn once(&self) -> Result<(), transfer::Error> {
        let (from, to) = (path(&format!("{}/file", self.place)), path(&format!("{}/new/file", self.place)));
        match self.work {
            Work::Move => transfer::relocate(self.attached, &from, &to).await.map(drop),
            Work::Copy => transfer::copy(self.attached, &from, &to).await.map(drop),
            Work::Remove => {
                let entry = transfer::removable(self.attached, &from).await?;
                transfer::remove(self.attached, &[entry]).await?.pop().unwrap()
            }
        }
    }

    async fn run(&self, about: &str, rule: Rule) {
        let room = self.rig.room(&self.place);
        std::fs::write(room.join("file"), "a file").unwrap();
        std::fs::write(room.join("other"), "another").unwrap();
        up(self.attached, &room, &self.place, &Options::default()).await;
        let before = self.stored();
        let rule = self.rig.cloud.faults().add(rule);
        let ended = self.once().await;
        assert_eq!(self.rig.cloud.faults().acted(rule), 1, "{about}: was not met");
        self.rig.cloud.faults().clear();
        if let Err(error) = &ended {
            assert!(error.to_string().contains(self.attached.name().as_str()), "{about}: {error}");
            let left = self.stored();
            assert!(left == before || left == self.meant(), "{about}: {left:?} after {error}");
            match self.once().await {
                Ok(()) => {}
                // What the service has done after all.
                Err(error) if self.work == Work::Remove && error.kind() == ErrorKind::NotFound => {}
                Err(error) => assert_eq!(error.to_string(), "", "{about}, again"),
            }
        }
        assert_eq!(self.stored(), self.meant(), "{about}: {ended:?}");
        let known = self.attached.shelf().under(&path(&self.place), None).await.unwrap();
        let inside = |known: &wharf_runtime::catalog::Entry| {
            known.path.strip(&path(&self.place)).map(|below| below.to_string())
        };
        let known: BTreeSet<String> = known.iter().filter_map(inside).collect();
        assert_eq!(known, self.meant(), "{about}: the catalog");
        self.rig.assert_clean();
    }
}

async fn steps(service: Service, cells: &[(Work, &str)]) {
    // Of the drives the kind that takes the next free name rather than refuse a second copy.
    let options = cloud::Options { drive_kind: DriveKind::Personal, ..cloud::Options::default() };
    let rig = Rig::with(options, Limits::default()).await;
    let attached = rig.destination(service, service.kind()).await;
    let presets = Preset::all().filter(|preset| {
        let name = preset.to_string();
        name.starts_with(service.kind()) && !name.ends_with("invalid-grant")
    });
    let patient = ["throttled", "limit", "unavailable", "bandwidth", "too-many-requests", "rate"];
    let presets = presets.map(|name| {
        let retry_after = patient.iter().any(|word| name.to_string().contains(word)).then_some(1);
        (name.to_string(), Action::Preset { name, retry_after })
    });
    let lost = [("cut before", Action::CutBefore), ("cut after", Action::CutAfterCommit)];
    let lost = lost.map(|(name, action)| (name.to_owned(), action));
    let mut runs = 0;
    for (name, action) in presets.chain(lost) {
        for (work, kind) in cells {
            let place = format!("step-{runs}");
            let about = format!("{work:?} {kind} {name}");
            let cell = Cell { rig: &rig, attached: &attached, service, work: *work, place };
            cell.run(&about, Rule::once(kind, action.clone())).await;
            runs += 1;
        }
    }
    assert!(runs > 40, "only {runs} cells");
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive() {
    steps(Service::OneDrive, ONEDRIVE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_copies() {
    steps(Service::OneDrive, ONEDRIVE_COPIES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbox() {
    steps(Service::Dropbox, DROPBOX).await;
}
