//! Conformance: every connector, the same assertions.
//!
//! What `wit/connector.wit` promises is asked of each connector through the host, as a transfer would ask
//! it. The list is the runtime's (`exam/conformance`), so that `wharf connector test` asks the same of
//! others; here it must hold for every connector of this repository, at every kind of drive. What only a
//! service can do to a connector is asked besides.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use cloud::{Action, Rule};
use wharf_runtime::attached::{Attached, Error};
use wharf_runtime::content::{Section, Source};
use wharf_runtime::entry::{Entry, Info, Mode};
use wharf_runtime::exam::{self, Outcome};
use wharf_runtime::sandbox::operation::Refusal;
use wharf_tests::{ACCOUNT, Rig, Service, noise, path};

/// What the issue asks for.
const CHECKS_MIN: usize = 80;

async fn examine(attached: &Attached, name: &str) {
    let (mut checks, mut wrong) = (0, Vec::new());
    exam::conformance::examine(attached, &mut |finding| match finding.outcome {
        // Ours move; a service that cannot is another matter.
        Outcome::Good(said) if said == "unsupported" && finding.what.starts_with("move") => {
            wrong.push(format!("{}: {}: {said}", finding.part, finding.what));
        }
        Outcome::Good(_) => checks += 1,
        Outcome::Failed(said) => wrong.push(format!("{}: {}: {said}", finding.part, finding.what)),
        // A folder takes everything whole, and few files are on one page; nothing else is left out.
        Outcome::Skipped(said) => {
            let known = (name, finding.part) == ("local", "uploads") || said.contains("on one page");
            assert!(known, "{name}: {}: {said}", finding.what);
        }
        Outcome::Advice(said) => wrong.push(format!("advice in {}: {said}", finding.part)),
    })
    .await;
    assert!(wrong.is_empty(), "{name}, {checks} checks:\n{}", wrong.join("\n"));
    assert!(checks >= CHECKS_MIN, "{name}: only {checks} checks");
}

async fn put(attached: &Attached, to: &str, bytes: &[u8], mode: Mode) -> Result<Entry, Error> {
    let source = Source::from_bytes(bytes.to_vec().into(), "the source".to_owned());
    let section = Section::whole(std::sync::Arc::new(source));
    let info = Info { size: section.size(), modified: None, keep_modified: false, mode };
    Ok(attached.put(&path(to), &section, &info, None).await?.0)
}

async fn read(attached: &Attached, from: &str) -> Vec<u8> {
    let mut opened = attached.get(&path(from), 0, None, None).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = opened.download.body.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// What lets OneDrive tell what changed.
fn track_changes(destination: &mut wharf_runtime::destination::Destination) {
    let on = wharf_runtime::destination::Setting::Flag(true);
    destination.options.insert("track_changes".to_owned(), on);
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_for_business() {
    let rig = Rig::new().await;
    examine(&rig.destination_with(Service::OneDrive, "archive", track_changes).await, "business").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_of_a_person() {
    let options = cloud::Options { drive_kind: cloud::DriveKind::Personal, ..cloud::Options::default() };
    let rig = Rig::with(options, wharf_runtime::sandbox::limits::Limits::default()).await;
    examine(&rig.destination_with(Service::OneDrive, "archive", track_changes).await, "personal").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_by_its_drive_id() {
    let rig = Rig::new().await;
    let drive = rig.cloud.onedrive().add_drive(ACCOUNT, cloud::DriveKind::DocumentLibrary).unwrap();
    let with_drive = |destination: &mut wharf_runtime::destination::Destination| {
        track_changes(destination);
        let id = wharf_runtime::destination::Setting::Text(drive);
        destination.options.insert("drive_id".to_owned(), id);
    };
    let attached = rig.destination_with(Service::OneDrive, "archive", with_drive).await;
    examine(&attached, "library").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbox() {
    let rig = Rig::new().await;
    examine(&rig.destination(Service::Dropbox, "archive").await, "dropbox").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    let rig = Rig::new().await;
    examine(&rig.local("disk").await, "local").await;
}

/// What only a service can do to a connector: each of these at a `create`, whose answer must not be a
/// conflict with its own doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_no_conflict() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let kind = if service == Service::OneDrive { service.part() } else { service.put() };
        for (number, action) in [Action::CutAfterCommit, Action::CutBefore].into_iter().enumerate() {
            let place = format!("create-{number}");
            let rule = rig.cloud.faults().add(Rule::once(kind, action.clone()));
            let stored = put(&attached, &place, b"lock", Mode::Create).await;
            assert!(stored.is_ok(), "{service:?} {action:?}: {stored:?}");
            assert_eq!(rig.cloud.faults().acted(rule), 1, "{service:?} {action:?} was not met");
            assert_eq!(read(&attached, &place).await, b"lock");
        }
    }
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_service_says_so() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        put(&attached, "before", b"x", Mode::Replace).await.unwrap();
        match service {
            Service::OneDrive => rig.cloud.onedrive().set_quota(ACCOUNT, 1000),
            Service::Dropbox => rig.cloud.dropbox().set_quota(ACCOUNT, 1000),
        }
        let stored = put(&attached, "large", &noise(1, 5000), Mode::Replace).await.unwrap_err();
        assert_eq!(stored.problem.refusal(), Some(&Refusal::Quota), "{service:?}");
        let missing = attached.stat(&path("large")).await.unwrap_err();
        assert_eq!(missing.problem.refusal(), Some(&Refusal::NotFound), "{service:?}");
        assert_eq!(read(&attached, "before").await, b"x");
    }
}
