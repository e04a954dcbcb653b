use std::time::SystemTime;

use super::*;
use crate::{
    account::{Client, StoredToken},
    home::tests::scratch,
    registry::{ArtefactKey, Digest},
    vault::{KEY_BYTES, Key},
};

const COMPILED: &[u8] = b"compiled";
const ADDRESS: &str = "https://up.test/session?guid=sesame";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn given(key: Option<u8>, old: Option<u8>) -> Given {
    let make = |byte| Key::given(&[byte; KEY_BYTES], Source::Environment).unwrap();
    Given { key: key.map(make), old: old.map(make) }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Two accounts, a compiled component and a recovery key, sealed with the home's key.
fn fill(home: &Home, given: &Given) {
    let vault = Vault::open_with(home, given).unwrap();
    let token = StoredToken::from_rclone(r#"{"access_token":"a","refresh_token":"r"}"#).unwrap();
    for account in ["work", "other"] {
        let accounts = Accounts::new(home, &vault);
        accounts.add(&name(account), "dropbox", token.clone(), Client::default(), SystemTime::now()).unwrap();
    }
    let component = Digest::of(b"component");
    Artefacts::new(home, &vault).store(&artefact(&component), COMPILED).unwrap();
    recovery::tests::fill(home, &vault);
}

fn artefact(component: &Digest) -> ArtefactKey<'_> {
    ArtefactKey { component, engine: b"engine", settings: "1" }
}

/// Everything that was sealed opens. Returns the key's fingerprint.
#[track_caller]
fn check(home: &Home, given: &Given) -> String {
    let vault = Vault::open_with(home, given).unwrap();
    for account in ["work", "other"] {
        Accounts::new(home, &vault).show(&name(account), SystemTime::now()).unwrap();
    }
    assert!(recovery::tests::opens(home, &vault));
    let component = Digest::of(b"component");
    assert_eq!(Artefacts::new(home, &vault).load(&artefact(&component)).unwrap().bytes(), COMPILED);
    vault.fingerprint().to_owned()
}

#[test]
fn everything_is_sealed_anew_and_the_old_key_opens_nothing() {
    let (_folder, home) = scratch();
    fill(&home, &Given::default());
    let old_key = home.root().read("key", 100).unwrap().unwrap();
    let before = check(&home, &Given::default());
    let summary = block_on(rotate(&home, &Given::default())).unwrap();
    assert_eq!((summary.accounts, summary.artefacts, summary.source), (2, 1, Source::File));
    assert_eq!(check(&home, &Given::default()), summary.key);
    assert_ne!(summary.key, before);
    assert!(!home.root().has("key.next"));
    home.root().write("key", &old_key).unwrap();
    let vault = Vault::open(&home).unwrap();
    let error = Accounts::new(&home, &vault).show(&name("work"), SystemTime::now()).unwrap_err();
    assert!(matches!(error, account::Error::Sealed(_)), "{error}");
    assert!(Artefacts::new(&home, &vault).load(&artefact(&Digest::of(b"component"))).is_err());
    assert!(!recovery::tests::opens(&home, &vault));
}

/// The power fails at every step of a rotation from one key to the other in turn. Each time everything
/// opens with what is given before or after, and running it again ends it.
#[track_caller]
fn survives_every_crash(before: &Given, after: &Given) {
    let fresh = || {
        let (folder, home) = scratch();
        fill(&home, before);
        (folder, home)
    };
    let place = std::cell::RefCell::new(fresh());
    let mut crashes = 0;
    crate::home::crash::at_every_step(
        || block_on(rotate(&place.borrow().1, after)),
        |steps, done| {
            {
                let (_, home) = &*place.borrow();
                let opens = Vault::open_with(home, after).is_ok();
                check(home, if opens { after } else { before });
                crashes += usize::from(done.is_none());
                if done.is_none() && (!opens || Vault::open_with(home, after).unwrap().is_unfinished()) {
                    block_on(rotate(home, after)).unwrap();
                }
                check(home, after);
                let vault = Vault::open_with(home, after).unwrap();
                assert!(!vault.is_unfinished(), "after {steps} steps");
                assert!(!home.root().has("key.next"), "after {steps} steps");
                assert_eq!(home.root().has("key"), vault.source() == Source::File, "after {steps} steps");
            }
            place.replace(fresh());
        },
    );
    assert!(crashes > 20, "{crashes}");
}

#[test]
fn a_rotation_survives_a_crash_at_every_step() {
    survives_every_crash(&given(None, None), &given(None, None));
}

#[test]
fn so_does_the_change_to_a_key_that_is_given() {
    survives_every_crash(&given(None, None), &given(Some(1), None));
}

#[test]
fn and_the_change_of_a_key_that_is_given() {
    survives_every_crash(&given(Some(1), None), &given(Some(2), Some(1)));
}

#[test]
fn what_there_is_to_change_to_must_be_said() {
    let (_folder, home) = scratch();
    let refused = |given: &Given| {
        let error = block_on(rotate(&home, given)).unwrap_err();
        let Error::Vault(error) = error else { panic!("{error}") };
        error
    };
    assert!(matches!(refused(&given(None, None)), vault::Error::NothingSealed));
    fill(&home, &given(Some(1), None));
    assert!(matches!(refused(&given(Some(1), None)), vault::Error::NoNewKey { .. }));
    assert!(matches!(refused(&given(None, None)), vault::Error::KeyAbsent(_)));
    assert!(matches!(refused(&given(Some(2), None)), vault::Error::OtherKey { .. }));
    assert!(matches!(refused(&given(Some(2), Some(3))), vault::Error::OtherKey { .. }));
    check(&home, &given(Some(1), None));
}

#[test]
fn handles_are_sealed_anew_where_they_are_in_a_session() {
    let (_folder, home) = scratch();
    let vault = Vault::open(&home).unwrap();
    let handles = Handles::new(vault.clone(), "archive", Some("work"), "dev.wharf.onedrive");
    let handle = handles.seal("upload", ADDRESS).unwrap();
    let session = format!(r#"{{"url":"{handle}","next":"{handle}","at":7}}"#);
    assert_eq!(handles.reseal(&session).as_deref(), Some(&*session), "with the newest key already");
    drop((vault, handles));
    let rotation = Rotation::begin(&home, &Given::default()).unwrap();
    let handles = Handles::new(rotation.vault.clone(), "archive", Some("work"), "dev.wharf.onedrive");
    let anew = handles.reseal(&session).unwrap();
    assert!(anew != session && anew.ends_with(r#"","at":7}"#), "{anew}");
    let others = Handles::new(rotation.vault.clone(), "archive", Some("other"), "dev.wharf.onedrive");
    assert_eq!(others.reseal(&session), None, "bound to another account");
    assert_eq!(handles.reseal("no handle").as_deref(), Some("no handle"));
    assert_eq!(handles.reseal("wharf1.sealed"), None);
    drop((handles, others));
    rotation.finish(&home).unwrap();
    let vault = Vault::open(&home).unwrap();
    let handles = Handles::new(vault, "archive", Some("work"), "dev.wharf.onedrive");
    let first = anew.split('"').nth(3).unwrap();
    assert_eq!(handles.open(first).unwrap().url.as_str(), ADDRESS);
    assert!(handles.open(&handle).is_none(), "the old key is gone");
}
