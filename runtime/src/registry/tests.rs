use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::*;
use crate::{home::tests::scratch, vault::Vault};

fn installed(connector_type: &str, version: &str, component: &[u8]) -> Installed {
    Installed {
        r#type: connector_type.to_owned(),
        id: format!("dev.wharf.{connector_type}"),
        version: version.parse().unwrap(),
        digest: Digest::of(component),
        signed_by: Some("wharf".to_owned()),
        unsigned: false,
        installed: "2026-01-31T12:00:00Z".parse().unwrap(),
        disabled: false,
    }
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
    registry.install(
        installed(connector_type, version, component),
        component,
        Some(b"bundle"),
        Direction::Forward,
    )
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
    let stranger =
        Installed { id: "test.evil.onedrive".to_owned(), ..installed("onedrive", "9.0.0", b"evil") };
    let error = registry.install(stranger, b"evil", None, Direction::Forward).unwrap_err();
    assert_eq!(error.to_string(), "connector `dev.wharf.onedrive` has the type `onedrive` already");
    let disguised = Installed { id: "onedrive".to_owned(), ..installed("other", "9.0.0", b"evil") };
    assert!(matches!(
        registry.install(disguised, b"evil", None, Direction::Forward),
        Err(Error::TypeTaken { .. })
    ));
    assert!(matches!(install(&registry, "onedrive", "1.3.9", b"old"), Err(Error::Downgrade { .. })));
    assert!(matches!(install(&registry, "onedrive", "1.4.0-rc.1", b"old"), Err(Error::Downgrade { .. })));
    assert!(matches!(
        install(&registry, "onedrive", "1.4.0", b"same version"),
        Err(Error::SameVersion { .. })
    ));
    install(&registry, "onedrive", "1.4.0", b"one").unwrap();
    let replaced = install(&registry, "onedrive", "1.5.0", b"two").unwrap().unwrap();
    assert_eq!(replaced.version.to_string(), "1.4.0");
    assert!(!home.blobs().has(replaced.digest.as_str()), "nobody names it any more");
    // The floor outlives the connector.
    registry.remove::<Error>("onedrive", |_| Ok(Vec::new())).unwrap();
    assert!(home.blobs().names().unwrap().is_empty());
    assert!(matches!(install(&registry, "onedrive", "1.4.0", b"one"), Err(Error::Downgrade { .. })));
    registry.install(installed("onedrive", "1.4.0", b"one"), b"one", None, Direction::Any).unwrap();
    assert_eq!(registry.floor("dev.wharf.onedrive").unwrap().unwrap().to_string(), "1.5.0");
}

#[test]
fn what_does_not_fit_its_description_is_not_installed() {
    let (_folder, home) = scratch();
    let registry = Registry::new(&home);
    let check = |description: Installed, expected: &str| {
        let error = registry.install(description, b"one", None, Direction::Any).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(home.blobs().names().unwrap().is_empty());
    };
    let good = || installed("onedrive", "1.0.0", b"one");
    check(Installed { digest: Digest::of(b"two"), ..good() }, "do not have the digest");
    check(Installed { r#type: "../x".to_owned(), ..good() }, "type or id");
    check(Installed { id: "a/b".to_owned(), ..good() }, "type or id");
    check(Installed { unsigned: true, ..good() }, "either signed or unsigned");
    check(Installed { signed_by: None, ..good() }, "either signed or unsigned");
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
