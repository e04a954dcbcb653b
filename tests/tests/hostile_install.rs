//! Files that are no connector, or one that must not run, and compiled artefacts that were tampered
//! with: each gives one clear message, and nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::os::unix::fs::{PermissionsExt as _, symlink};

use wasm_encoder::{
    Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, CustomSection, InstanceType,
};
use wharf_runtime::hint::Hint as _;
use wharf_runtime::manifest::section;
use wharf_tests::{ACCOUNT, Rig, Service, connector, hostile, hostile_manifest, path};

fn manifest() -> String {
    hostile_manifest("spin", Service::Dropbox, |_| {})
}

/// A component that imports one instance of this name, and does nothing.
fn importing(name: &str) -> Vec<u8> {
    let mut component = Component::new();
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    imports.import(name, ComponentTypeRef::Instance(0));
    component.section(&types).section(&imports);
    section::write(&component.finish(), manifest().as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sound_connector_is_refused_with_a_reason() {
    let rig = Rig::new().await;
    let honest = connector("dropbox");
    let good = hostile("spin", Service::Dropbox, |_| {});
    let bare = section::write(&good, b"").unwrap();
    let twice = {
        let one = CustomSection { name: section::NAME.into(), data: manifest().into_bytes().into() };
        let mut bytes = good.clone();
        wasm_encoder::ComponentSection::append_to_component(&one, &mut bytes);
        bytes
    };
    let followed = {
        let other = CustomSection { name: "other".into(), data: (&b"x"[..]).into() };
        let mut bytes = good.clone();
        wasm_encoder::ComponentSection::append_to_component(&other, &mut bytes);
        bytes
    };
    let none = Component::new().finish();
    let unknown = hostile("spin", Service::Dropbox, |manifest| manifest["surprise"] = 1.into());
    let duplicate = {
        let text = manifest().replacen('{', r#"{"name":"twice","#, 1);
        section::write(&good, text.as_bytes()).unwrap()
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a text", b"#!/bin/sh\necho hello\n".to_vec(), "not a WebAssembly component"),
        ("nothing", Vec::new(), "not a WebAssembly component"),
        ("the magic number", b"\0asm".to_vec(), ""),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), "not a WebAssembly component"),
        ("no manifest", none, "no manifest"),
        ("an empty manifest", bare, "manifest"),
        ("two manifests", twice, "more than one manifest"),
        ("something after the manifest", followed, "goes on after its manifest"),
        ("an unknown field", unknown, "surprise"),
        ("a key that occurs twice", duplicate, "manifest"),
        ("half of it", good[..good.len() / 2].to_vec(), "damaged"),
        ("all but a byte", good[..good.len() - 1].to_vec(), "damaged"),
        ("sockets", importing("wasi:sockets/tcp@0.2.0"), "`wasi:sockets/tcp@0.2.0`"),
        ("names", importing("wasi:sockets/ip-name-lookup@0.2.0"), "`wasi:sockets/ip-name-lookup@0.2.0`"),
        ("http", importing("wasi:http/outgoing-handler@0.2.0"), "`wasi:http/outgoing-handler@0.2.0`"),
        ("its own", importing("evil:own/thing@1.0.0"), "`evil:own/thing@1.0.0`"),
        ("almost ours", importing("wharf:connector/secrets@0.1.0"), "`wharf:connector/secrets@0.1.0`"),
        ("another version", importing("wharf:connector/broker@0.2.0"), "`wharf:connector/broker@0.2.0`"),
        ("almost wasi", importing("wasi:clocks-evil/x@0.2.0"), "`wasi:clocks-evil/x@0.2.0`"),
        ("a service of wasi that is not there", importing("wasi:cli/evil@0.2.0"), ""),
        ("no world", importing("wasi:io/error@0.2.0"), "does not implement"),
    ];
    let before = rig.host.registry().list().unwrap();
    let files = wharf_tests::tree(&rig.folder.path().join("home"));
    let mut wrong = Vec::new();
    for (case, bytes, expected) in cases {
        match rig.host.install_unsigned(&bytes) {
            Ok(_) => wrong.push(format!("{case}: installed")),
            Err(error) => {
                let text = error.to_string();
                if !text.contains(expected) || text.chars().any(char::is_control) || text.len() > 1000 {
                    wrong.push(format!("{case}: {text:?} and not {expected:?} (hint {:?})", error.hint()));
                }
            }
        }
    }
    // A sound one with every single byte of its manifest's section header broken is refused, not run.
    for at in [0, 4, 5, 6, 8] {
        let mut bytes = honest.clone();
        bytes[at] ^= 0xff;
        if rig.host.install_unsigned(&bytes).is_ok() {
            wrong.push(format!("byte {at}: installed"));
        }
    }
    assert_eq!(rig.host.registry().list().unwrap(), before);
    assert!(files == wharf_tests::tree(&rig.folder.path().join("home")), "something is left in the home");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever is done to a compiled artefact, it is not run: the connector is compiled again, works, and
/// the file is sound afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_artefact_is_replaced() {
    let rig = Rig::new().await;
    rig.cloud.dropbox().put_file(ACCOUNT, "/backups/one/there", b"x").unwrap();
    rig.destination(Service::Dropbox, "one").await;
    let name = wharf_runtime::home::Name::parse("one").unwrap();
    let reference = wharf_runtime::destination::ConnectorReference::parse("dropbox").unwrap();
    let installed = rig.host.registry().get(&reference).unwrap();
    let folder = rig.folder.path().join("home/artefacts");
    let file = folder.join(installed.digest.as_str());
    let sound = std::fs::read(&file).unwrap();
    let other =
        rig.host.registry().get(&wharf_runtime::destination::ConnectorReference::parse("onedrive").unwrap());
    let foreign = std::fs::read(folder.join(other.unwrap().digest.as_str())).unwrap();
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let end = sound.len();
    let mut poisons: Vec<(&str, Vec<u8>)> = vec![
        ("its first byte", flipped(0)),
        ("a byte in its middle", flipped(end / 2)),
        ("what it was made of: another engine", flipped(end - 72)),
        ("its mac", flipped(end - 20)),
        ("its mark", flipped(end - 1)),
        ("cut by a byte", sound[..end - 1].to_vec()),
        ("cut in half", sound[..end / 2].to_vec()),
        ("empty", Vec::new()),
        ("another connector's", foreign),
        ("one byte more", [sound.as_slice(), b"x"].concat()),
    ];
    let works = async |case: &str| {
        let attached =
            rig.another_host().attach(&name).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        attached.stat(&path("there")).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let metadata = std::fs::symlink_metadata(&file).unwrap();
        assert!(metadata.is_file(), "{case}: not a file");
        assert_eq!(metadata.permissions().mode() & 0o022, 0, "{case}: open to others");
        // It is sound again: loaded once more without being written.
        let before = std::fs::metadata(&file).unwrap().modified().unwrap();
        rig.another_host().attach(&name).await.unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), before, "{case}: compiled again");
    };
    for (case, bytes) in poisons.drain(..) {
        std::fs::write(&file, bytes).unwrap();
        works(case).await;
    }
    std::fs::remove_file(&file).unwrap();
    works("gone").await;
    let elsewhere = rig.folder.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    works("a link").await;
    assert!(elsewhere.exists(), "what the link points to is not ours to remove");
    std::fs::remove_file(&file).unwrap();
    std::fs::hard_link(&elsewhere, &file).unwrap();
    works("a second name of another file").await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    works("open to others").await;
}

/// An artefact only saves time: a connector runs without one that can be kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_runs_where_its_artefact_cannot_be_kept() {
    let rig = Rig::new().await;
    rig.cloud.dropbox().put_file(ACCOUNT, "/backups/one/there", b"x").unwrap();
    rig.destination(Service::Dropbox, "one").await;
    let name = wharf_runtime::home::Name::parse("one").unwrap();
    let reference = wharf_runtime::destination::ConnectorReference::parse("dropbox").unwrap();
    let installed = rig.host.registry().get(&reference).unwrap();
    let file = rig.folder.path().join("home/artefacts").join(installed.digest.as_str());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let attached = rig.another_host().attach(&name).await.unwrap_or_else(|error| panic!("{error}"));
    attached.stat(&path("there")).await.unwrap();
}
