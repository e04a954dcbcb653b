//! Files: what a vendor ships, what an operator writes, what other programs left.

use wharf_runtime::account::{StoredToken, rclone};
use wharf_runtime::destination::Destination;
use wharf_runtime::grant::Granted;
use wharf_runtime::home::Name;
use wharf_runtime::manifest::{Address, HostPattern, Manifest, section};
use wharf_runtime::recovery::RecoveryKey;
use wharf_runtime::sandbox::Sandbox;
use wharf_runtime::trust::{bundle::Bundle, image, revocation};

/// A manifest that is taken keeps what the others promise to whoever reads it.
pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    for route in &manifest.routes {
        assert!(!route.does.chars().any(char::is_control), "{}", route.name);
        let Address::Minted { hosts, .. } = &route.address else { continue };
        for host in hosts {
            let (HostPattern::Exact(name) | HostPattern::Below(name)) = host;
            assert!(name.contains('.') && *name == name.to_lowercase(), "{name}");
            assert!(!host.covers("evil.test") || name.ends_with("test"), "{name}");
        }
    }
    let all = Granted::everything(&manifest);
    assert_eq!(all.routes.len(), manifest.permissions().count());
}

/// A component is read without being run.
pub(crate) fn component(bytes: &[u8]) {
    let _ = section::read(bytes);
    if Sandbox::inspect(bytes).is_ok() {
        for name in Sandbox::imports(bytes) {
            assert!(name.starts_with("wharf:connector/") || name.starts_with("wasi:"), "{name}");
        }
    }
}

/// What was read is what is written, and reads the same again.
pub(crate) fn destination(bytes: &[u8]) {
    let name = Name::parse("fuzz").unwrap();
    let Ok(read) = Destination::parse(name.clone(), bytes) else { return };
    let written = read.to_toml().unwrap();
    assert_eq!(Destination::parse(name, written.as_bytes()).unwrap(), read, "{written}");
}

/// A signature, in either of its forms.
pub(crate) fn bundle(bytes: &[u8]) {
    let _ = Bundle::parse(bytes);
    let _ = image::proof(b"{}", bytes);
}

/// What a registry says an image is.
pub(crate) fn image(bytes: &[u8]) {
    let _ = image::Manifest::parse(bytes);
    if let Ok(image) = image::Image::parse(bytes) {
        let _ = image.version();
        assert!(image.check(b"another component").is_err());
    }
}

/// What a publisher takes back.
pub(crate) fn revocation(bytes: &[u8]) {
    let Ok(list) = revocation::List::parse(bytes) else { return };
    let text = list.to_text().unwrap();
    assert!(revocation::List::parse(&text).is_ok(), "{}", String::from_utf8_lossy(&text));
}

/// What rclone left, and what a person writes down.
pub(crate) fn rclone(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(remotes) = rclone::parse(text) {
        for remote in remotes {
            let _ = (remote.drive_id(), remote.credentials().is_ok());
        }
    }
    let _ = StoredToken::from_rclone(text);
    let _ = RecoveryKey::parse(text);
}
