//! A vendor beside the operator: keys, signatures and releases, in a shell.

use wharf_runtime::manifest::section;

use super::*;

/// What the connector of Dropbox says of itself.
pub const MANIFEST: &str = include_str!("../../connectors/dropbox/manifest.json");

impl Shell {
    /// A shell, and the key of a vendor: `vendor.key` and `vendor.pub`.
    #[must_use]
    pub fn with_vendor() -> Self {
        let shell = Self::new();
        shell.keygen("vendor");
        shell
    }

    /// The same, trusted for `dev.wharf`.
    #[must_use]
    pub fn trusting() -> Self {
        let shell = Self::with_vendor();
        shell.trust("wharf", "vendor", "dev.wharf").done();
        shell
    }

    /// Make a key. Returns its id.
    pub fn keygen(&self, name: &str) -> String {
        let made = self.run(&["connector", "keygen", "--output", name, "--json"]).json();
        made[0]["key"].as_str().unwrap().to_owned()
    }

    /// Trust a publisher's key for ids of this prefix.
    pub fn trust(&self, publisher: &str, key: &str, prefix: &str) -> Ran {
        self.run(&["trust", "add", publisher, "--key", &format!("{key}.pub"), "--id-prefix", prefix])
    }

    /// Sign a component.
    pub fn sign(&self, file: &str, key: &str) -> Ran {
        self.run(&["connector", "sign", file, "--key", &format!("{key}.key")])
    }

    /// The connector of Dropbox in another version, not signed yet. Returns the file.
    pub fn release(&self, version: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
        manifest["version"] = version.into();
        change(&mut manifest);
        let packed = section::write(&connector("dropbox"), manifest.to_string().as_bytes()).unwrap();
        self.file(&format!("dropbox-{version}.wasm"), packed)
    }

    /// The same, signed by the vendor.
    pub fn signed(&self, version: &str) -> String {
        let file = self.release(version, |_| {});
        self.sign(&file, "vendor").done();
        file
    }

    /// Install a file.
    pub fn put_connector(&self, file: &str, more: &[&str]) -> Ran {
        self.run(&[&["connector", "install", file], more].concat())
    }

    /// The text of a file in the shell's folder.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// A command's end without the digits of keys, which differ from run to run: `(id, word)` each.
#[must_use]
pub fn steady(ran: &Ran, ids: &[(&str, &str)]) -> String {
    ids.iter().fold(ran.to_string(), |text, (id, word)| text.replace(id, word).replace(&id[..12], word))
}
