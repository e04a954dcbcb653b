use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::*;
use crate::{
    home::tests::scratch,
    trust::{Unsigned, tests::trusted},
    vault::Vault,
};

fn wanted(connector_type: &str, version: &str) -> Wanted {
    Wanted {
        r#type: connector_type.to_owned(),
        id: format!("dev.wharf.{connector_type}"),
        version: version.parse().unwrap(),
        origin: None,
    }
}

fn moment() -> jiff::Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn unsigned(component: &[u8]) -> Ticket {
    Ticket::Unsigned(Unsigned::on_the_operators_word(component))
}

fn put(
    registry: &Registry,
    wanted: Wanted,
    component: &[u8],
    direction: Direction,
) -> Result<Option<Installed>, Error> {
    let ticket = trusted(component, &wanted.id);
    let (installed, replaced) = registry.install(wanted, component, &ticket, direction, moment())?;
    assert_eq!(installed.signed_by.as_ref(), ticket.publisher());
    Ok(replaced)
}

fn reference(text: &str) -> ConnectorReference {
    ConnectorReference::parse(text).unwrap()
}

fn install(
    registry: &Registry,
    connector_type: &str,
    version: &str,
    component: &[u8],
) -> Result<Option<Installed>, Error> {
    put(registry, wanted(connector_type, version), component, Direction::Forward)
}

#[test]
fn a_connector_is_found_by_type_and_by_id() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    assert!(matches!(registry.get(&reference("onedrive")), Err(Error::NotInstalled(_))));
    assert!(registry.list().unwrap().is_empty());
    install(&registry, "onedrive", "1.4.0", b"one").unwrap();
    install(&registry, "dropbox", "0.1.0", b"drop").unwrap();
    for name in ["onedrive", "dev.wharf.onedrive", "onedrive@1.4.0", "dev.wharf.onedrive@1.4.0"] {
        let found = registry.get(&reference(name)).unwrap();
        assert_eq!(registry.component(&found).unwrap(), b"one");
        assert_eq!(registry.bundle(&found).unwrap().unwrap(), b"bundle");
    }
    let error = registry.get(&reference("onedrive@1.5.0")).unwrap_err();
    assert_eq!(error.to_string(), "connector `onedrive@1.5.0` is not installed; its version 1.4.0 is");
    assert_eq!(
        registry.list().unwrap().iter().map(|known| known.r#type.as_str()).collect::<Vec<_>>(),
        ["dropbox", "onedrive"]
    );
    registry.set_disabled("dropbox", true).unwrap();
    assert!(registry.get(&reference("dropbox")).unwrap().disabled);
}

#[test]
fn no_two_have_one_type_and_nothing_goes_back() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    install(&registry, "onedrive", "1.4.0", b"one").unwrap();
    let stranger = Wanted { id: "test.evil.onedrive".to_owned(), ..wanted("onedrive", "9.0.0") };
    let error = put(&registry, stranger, b"evil", Direction::Forward).unwrap_err();
    assert_eq!(error.to_string(), "connector `dev.wharf.onedrive` has the type `onedrive` already");
    let disguised = Wanted { id: "onedrive".to_owned(), ..wanted("other", "9.0.0") };
    assert!(matches!(put(&registry, disguised, b"evil", Direction::Forward), Err(Error::TypeTaken { .. })));
    assert!(matches!(install(&registry, "onedrive", "1.3.9", b"old"), Err(Error::Downgrade { .. })));
    assert!(matches!(install(&registry, "onedrive", "1.4.0-rc.1", b"old"), Err(Error::Downgrade { .. })));
    assert!(matches!(
        install(&registry, "onedrive", "1.4.0", b"same version"),
        Err(Error::SameVersion { .. })
    ));
    install(&registry, "onedrive", "1.4.0", b"one").unwrap();
    let replaced = install(&registry, "onedrive", "1.5.0", b"two").unwrap().unwrap();
    assert_eq!(replaced.version.to_string(), "1.4.0");
    assert!(home.blobs().has(replaced.digest.as_str()), "who has not agreed to the new one runs it");
    registry.release("dev.wharf.onedrive", &[]).unwrap();
    assert!(!home.blobs().has(replaced.digest.as_str()), "nobody names it any more");
    // The floor outlives the connector.
    registry.remove::<Error>("onedrive", |_| Ok(Vec::new())).unwrap();
    assert!(home.blobs().names().unwrap().is_empty());
    assert!(matches!(install(&registry, "onedrive", "1.4.0", b"one"), Err(Error::Downgrade { .. })));
    put(&registry, wanted("onedrive", "1.4.0"), b"one", Direction::Any).unwrap();
    assert_eq!(registry.floor("dev.wharf.onedrive").unwrap().unwrap().to_string(), "1.5.0");
}

#[test]
fn a_signed_version_has_one_content_for_ever() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    install(&registry, "onedrive", "1.5.0", b"two").unwrap();
    let twice = |direction| put(&registry, wanted("onedrive", "1.5.0"), b"other", direction);
    for direction in [Direction::Forward, Direction::Any] {
        let error = twice(direction).unwrap_err();
        assert!(matches!(error, Error::SameVersion { signed: true, .. }), "{error}");
        assert_eq!(error.hint().unwrap(), "ask its publisher for a release with a version of its own");
    }
    // Also when it is not there any more, or an older one is.
    registry.remove::<Error>("onedrive", |_| Ok(Vec::new())).unwrap();
    assert!(matches!(twice(Direction::Any), Err(Error::SameVersion { .. })));
    put(&registry, wanted("onedrive", "1.0.0"), b"one", Direction::Any).unwrap();
    assert!(matches!(twice(Direction::Forward), Err(Error::SameVersion { .. })));
    install(&registry, "onedrive", "1.5.0", b"two").unwrap();
}

#[test]
fn what_was_signed_does_not_become_unsigned_by_itself() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    install(&registry, "onedrive", "1.0.0", b"one").unwrap();
    let put = |direction| {
        let wanted = wanted("onedrive", "1.1.0");
        registry.install(wanted, b"own", &unsigned(b"own"), direction, moment())
    };
    let error = put(Direction::Forward).unwrap_err();
    assert_eq!(
        error.to_string(),
        "connector `dev.wharf.onedrive` is installed with the signature of `wharf`, and this one has none"
    );
    let (installed, _) = put(Direction::Any).unwrap();
    assert!(installed.unsigned && installed.key.is_none());
    assert!(registry.bundle(&installed).unwrap().is_none());
    // Of one's own, the same version may change while it is being written.
    let again = registry.install(
        wanted("onedrive", "1.1.0"),
        b"new",
        &unsigned(b"new"),
        Direction::Forward,
        moment(),
    );
    assert!(matches!(again, Err(Error::SameVersion { signed: false, .. })));
    registry
        .install(wanted("onedrive", "1.1.0"), b"new", &unsigned(b"new"), Direction::Any, moment())
        .unwrap();
}

#[test]
fn an_update_does_not_enable() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    install(&registry, "onedrive", "1.0.0", b"one").unwrap();
    let before = registry.stamp();
    registry.set_disabled("onedrive", true).unwrap();
    assert_ne!(registry.stamp(), before);
    install(&registry, "onedrive", "1.1.0", b"two").unwrap();
    assert!(registry.get(&reference("onedrive")).unwrap().disabled);
}

#[test]
fn what_does_not_fit_its_description_is_not_installed() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    let check = |wanted: Wanted, ticket: &Ticket, expected: &str| {
        let error = registry.install(wanted, b"one", ticket, Direction::Any, moment()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(home.blobs().names().unwrap().is_empty());
    };
    let good = || wanted("onedrive", "1.0.0");
    check(good(), &unsigned(b"two"), "do not have the digest");
    check(good(), &trusted(b"one", "dev.wharf.dropbox"), "its id is not the one that was verified");
    check(Wanted { r#type: "../x".to_owned(), ..good() }, &unsigned(b"one"), "type or id");
    check(Wanted { id: "a/b".to_owned(), ..good() }, &unsigned(b"one"), "type or id");
    for text in ["", "../../etc/passwd", &"A".repeat(64), &"a".repeat(63)] {
        Digest::parse(text).unwrap_err();
    }
    let digest = Digest::of(b"");
    assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
    assert_eq!(digest.short(), "e3b0c44298fc");
}

#[test]
fn a_component_that_was_changed_is_not_used() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    install(&registry, "onedrive", "1.0.0", b"one").unwrap();
    let known = registry.get(&reference("onedrive")).unwrap();
    fs::write(home.path().join("blobs/sha256").join(known.digest.as_str()), b"two").unwrap();
    let error = registry.component(&known).unwrap_err();
    assert_eq!(error.hint().unwrap(), "install `dev.wharf.onedrive` again");
    home.blobs().remove(known.digest.as_str()).unwrap();
    assert!(matches!(registry.component(&known), Err(Error::Damaged(_))));
    install(&registry, "onedrive", "1.0.0", b"one").unwrap();
    registry.component(&known).unwrap();
}

#[test]
fn what_is_used_stays() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    install(&registry, "onedrive", "1.0.0", b"one").unwrap();
    let error =
        registry.remove::<Error>("onedrive", |_| Ok(vec![Name::parse("archive").unwrap()])).unwrap_err();
    assert_eq!(error.to_string(), "connector `dev.wharf.onedrive` is used by `archive`");
    registry.remove::<Error>("onedrive", |_| Err(Error::TooLarge)).unwrap_err();
    registry.component(&registry.get(&reference("onedrive")).unwrap()).unwrap();
    assert!(matches!(registry.remove::<Error>("x", |_| Ok(Vec::new())), Err(Error::NotInstalled(_))));
}

#[test]
fn a_crash_leaves_the_old_version_or_the_new() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    let whole = |expected: &[&[u8]]| {
        let found = registry.get(&reference("onedrive")).unwrap();
        let component = registry.component(&found).unwrap();
        assert!(expected.contains(&component.as_slice()));
        assert_eq!(Digest::of(&component), found.digest);
        component
    };
    install(&registry, "onedrive", "1.0.0", b"one").unwrap();
    crate::home::crash::at_every_step(
        || install(&registry, "onedrive", "2.0.0", b"two"),
        |_, done| {
            let component = whole(&[b"one", b"two"]);
            assert!(done.is_none() || component == b"two");
        },
    );
    crate::home::crash::at_every_step(
        || registry.remove::<Error>("onedrive", |_| Ok(Vec::new())),
        |_, _| {
            if registry.list().unwrap().is_empty() {
                install(&registry, "onedrive", "2.0.0", b"two").unwrap();
            }
            whole(&[b"two"]);
        },
    );
    // Whatever crashes left behind is gone with the next change.
    install(&registry, "dropbox", "1.0.0", b"drop").unwrap();
    assert_eq!(home.blobs().names().unwrap().len(), 4, "two components and their bundles");
}

#[test]
fn a_list_of_a_later_version_is_refused() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    let check = |text: &str, expected: &str| {
        home.root().write(CONNECTORS_FILE, text.as_bytes()).unwrap();
        let error = registry.list().unwrap_err().to_string();
        assert!(error.starts_with("`connectors.json` ") && error.contains(expected), "{error}");
    };
    check(r#"{"format":2,"connectors":[],"floors":{}}"#, "was written by a newer Wharf");
    check(r#"{"format":1,"connectors":[],"floors":{},"x":1}"#, "unknown field `x`");
    check("", "EOF");
}

fn artefacts() -> (tempfile::TempDir, Home, Artefacts, Digest) {
    let (folder, home) = scratch();
    let artefacts = Artefacts::new(&home, &Vault::open(&home).unwrap());
    (folder, home, artefacts, Digest::of(b"component"))
}

#[test]
fn an_artefact_comes_back_for_what_it_was_made_of() {
    let (_folder, _home, artefacts, component) = artefacts();
    let key = ArtefactKey { component: &component, engine: b"engine-1", settings: "fast" };
    assert_eq!(artefacts.load(&key).unwrap_err(), Unusable::Absent);
    for length in [0, 1, 100_000] {
        artefacts.store(&key, &vec![7; length]).unwrap();
        assert_eq!(artefacts.load(&key).unwrap().bytes(), vec![7; length]);
    }
    let outdated = |other: ArtefactKey<'_>| {
        artefacts.store(&key, b"artefact").unwrap();
        assert_eq!(artefacts.load(&other).unwrap_err(), Unusable::Outdated);
        assert_eq!(artefacts.load(&key).unwrap_err(), Unusable::Absent, "it was removed");
    };
    outdated(ArtefactKey { engine: b"engine-2", ..key });
    outdated(ArtefactKey { settings: "fas", ..key });
    outdated(ArtefactKey { engine: b"engine-1f", settings: "ast", ..key });
}

#[test]
fn an_artefact_that_was_touched_never_comes_back() {
    let (folder, home, artefacts, component) = artefacts();
    let key = ArtefactKey { component: &component, engine: b"engine", settings: "" };
    let path = home.path().join("artefacts").join(component.as_str());
    let check = |expected: Unusable, touch: &dyn Fn()| {
        artefacts.store(&key, b"artefact").unwrap();
        touch();
        assert_eq!(artefacts.load(&key).unwrap_err(), expected);
        assert!(!path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()), "it was removed");
    };
    artefacts.store(&key, b"artefact").unwrap();
    let whole = fs::read(&path).unwrap();
    for place in [0, 7, 8, 39, 40, 71, 72, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[place] ^= 1;
        let expected = match place {
            0..8 => Unusable::Altered,
            8..40 => Unusable::Outdated,
            40..72 => Unusable::Altered,
            _ => Unusable::Truncated,
        };
        check(expected, &|| fs::write(&path, &altered).unwrap());
        check(Unusable::Truncated, &|| fs::write(&path, &whole[..place]).unwrap());
    }
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    check(Unusable::Foreign, &|| set_mode(0o602));
    check(Unusable::Foreign, &|| set_mode(0o620));
    check(Unusable::Foreign, &|| {
        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
    });
    check(Unusable::Foreign, &|| {
        fs::remove_file(&path).unwrap();
        fs::hard_link(&elsewhere, &path).unwrap();
    });
    check(Unusable::Foreign, &|| {
        fs::File::options().write(true).open(&path).unwrap().set_len(ARTEFACT_BYTES_MAX + 1000).unwrap()
    });
    // One of another home.
    let (_other_folder, other_home, other, _) = self::artefacts();
    other.store(&key, b"artefact").unwrap();
    let foreign = fs::read(other_home.path().join("artefacts").join(component.as_str())).unwrap();
    check(Unusable::Altered, &|| fs::write(&path, &foreign).unwrap());
    check(Unusable::Foreign, &|| {
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
    });
}

#[test]
fn an_artefact_is_stored_whole_or_not_at_all() {
    let (_folder, _home, artefacts, component) = artefacts();
    let key = ArtefactKey { component: &component, engine: b"engine", settings: "" };
    crate::home::crash::at_every_step(
        || artefacts.store(&key, b"artefact"),
        |_, done| match artefacts.load(&key) {
            Ok(artefact) => assert_eq!(artefact.bytes(), b"artefact"),
            Err(reason) => assert!(done.is_none() && reason == Unusable::Absent, "{reason}"),
        },
    );
}

#[test]
fn what_an_update_replaced_is_kept_until_it_is_released() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    let versions = ["1.0.0", "1.1.0", "1.2.0"];
    for version in versions {
        install(&registry, "onedrive", version, version.as_bytes()).unwrap();
    }
    let kept = |registry: &Registry| -> Vec<String> {
        let kept = registry.kept("dev.wharf.onedrive").unwrap();
        kept.iter().map(|kept| kept.version.to_string()).collect()
    };
    assert_eq!(kept(&registry), ["1.1.0", "1.0.0"]);
    let first = registry.get(&reference("onedrive@1.0.0")).unwrap();
    assert_eq!(registry.component(&first).unwrap(), b"1.0.0");
    assert!(registry.bundle(&first).unwrap().is_some());
    for disabled in [true, false] {
        registry.set_disabled("onedrive", disabled).unwrap();
        let kept = registry.kept("dev.wharf.onedrive").unwrap();
        assert!(kept.iter().all(|kept| kept.disabled == disabled), "{kept:?}");
    }
    registry.release("dev.wharf.onedrive", std::slice::from_ref(&first.digest)).unwrap();
    assert_eq!(kept(&registry), ["1.0.0"]);
    assert_eq!(registry.component(&first).unwrap(), b"1.0.0");
    assert!(matches!(registry.get(&reference("onedrive@1.1.0")), Err(Error::OtherVersion { .. })));
    // Who goes back wants to be rid of what was newer, and of what was kept.
    put(&registry, wanted("onedrive", "1.1.0"), b"1.1.0", Direction::Any).unwrap();
    assert!(kept(&registry).is_empty());
    assert!(registry.component(&first).is_err());
    // Never more than so many.
    for minor in 3..20 {
        let version = format!("1.{minor}.0");
        install(&registry, "onedrive", &version, version.as_bytes()).unwrap();
    }
    assert_eq!(kept(&registry).len(), KEPT_MAX);
    registry.remove::<Error>("onedrive", |_| Ok(Vec::new())).unwrap();
    assert!(kept(&registry).is_empty());
    assert!(home.blobs().names().unwrap().is_empty());
}
