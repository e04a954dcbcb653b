//! What a vendor does: pack a component with its manifest, make a key, sign.

use std::path::Path;

use wharf_runtime::manifest::section::{self, COMPONENT_BYTES_MAX};
use wharf_runtime::manifest::{MANIFEST_BYTES_MAX, Manifest};
use wharf_runtime::registry::Digest;
use wharf_runtime::sandbox::{self, Sandbox};
use wharf_runtime::secret::Secret;
use wharf_runtime::trust::sign::{self, PrivateKey};
use wharf_runtime::trust::{BUNDLE_SUFFIX, key::KEY_FILE_BYTES_MAX};

use crate::args::{self, ConnectorKeygen, ConnectorPack, ConnectorSign};
use crate::ask;
use crate::command::Desk;
use crate::exit::Exit;
use crate::file::{self, PRIVATE_MODE, PUBLIC_MODE};
use crate::format;
use crate::report::Failure;

pub(super) fn pack(desk: Desk<'_>, pack: &ConnectorPack) -> Result<(), Failure> {
    let component = file::read(&pack.component, COMPONENT_BYTES_MAX)?;
    let text = file::read(&pack.manifest, MANIFEST_BYTES_MAX)?;
    let manifest = Manifest::parse(&text).map_err(|error| {
        Failure::new(Exit::Unfit, error)
            .with_context(format!("the manifest `{}` is refused", pack.manifest.display()))
            .with_hint("mend that field and pack again")
    })?;
    let refused = |error: sandbox::Error| {
        Failure::from(error).with_context(format!("`{}` cannot be packed", pack.component.display()))
    };
    let packed = section::write(&component, &text).map_err(|error| refused(error.into()))?;
    // What was just written must read back, and import nothing foreign: here rather than at a customer's.
    Sandbox::inspect(&packed).map_err(refused)?;
    file::replace(&pack.output, &packed, PUBLIC_MODE)?;
    let size = u64::try_from(packed.len()).unwrap_or(u64::MAX);
    if desk.output.is_json() {
        desk.output.json(&serde_json::json!({
            "id": manifest.id, "version": manifest.version.to_string(), "type": manifest.kind,
            "digest": Digest::of(&packed).to_string(), "size": size, "output": pack.output,
        }))?;
    }
    let (label, place) = (manifest.label(), pack.output.display());
    desk.output.note(format_args!("packed `{label}` into `{place}` ({})", format::bytes(size)));
    Ok(())
}

pub(super) fn sign(desk: Desk<'_>, sign: &ConnectorSign) -> Result<(), Failure> {
    let component = file::read(&sign.component, COMPONENT_BYTES_MAX)?;
    let refused = |error: sandbox::Error| {
        let hint = "pack it first with `wharf connector pack`, then sign what that wrote";
        let failure = Failure::from(error);
        failure.with_context(format!("`{}` cannot be signed", sign.component.display())).with_hint(hint)
    };
    let manifest = Sandbox::inspect(&component).map_err(refused)?;
    let key = private_key(desk, &sign.key, sign.password_file.as_deref())?;
    let bundle = key.sign(&component)?;
    let output = sign.output.clone().unwrap_or_else(|| file::suffixed(&sign.component, BUNDLE_SUFFIX));
    file::replace(&output, &bundle, PUBLIC_MODE)?;
    let (digest, id) = (Digest::of(&component), key.public()?.id());
    if desk.output.is_json() {
        desk.output.json(&serde_json::json!({
            "id": manifest.id, "version": manifest.version.to_string(), "digest": digest.to_string(),
            "key": id, "bundle": output,
        }))?;
    }
    let label = manifest.label();
    desk.output.note(format_args!("signed `{label}` with key `{}` into `{}`", id.short(), output.display()));
    Ok(())
}

pub(super) fn keygen(desk: Desk<'_>, keygen: &ConnectorKeygen) -> Result<(), Failure> {
    let (private, public) = sign::generate()?;
    let (key, shared) = (file::suffixed(&keygen.output, ".key"), file::suffixed(&keygen.output, ".pub"));
    if shared.exists() {
        // Before the key is written, which would be of no use without it.
        return file::create(&shared, public.to_pem().as_bytes(), PUBLIC_MODE);
    }
    file::create(&key, private.expose().as_bytes(), PRIVATE_MODE)?;
    file::create(&shared, public.to_pem().as_bytes(), PUBLIC_MODE)?;
    if desk.output.is_json() {
        let json = serde_json::json!({ "key": public.id(), "private": key, "public": shared });
        desk.output.json(&json)?;
    }
    let (key, shared, id) = (key.display(), shared.display(), public.id());
    desk.output.note(format_args!("made key `{id}`: `{key}` is yours alone, `{shared}` is for everybody"));
    Ok(())
}

/// A vendor's private key, opened with its password where it has one.
pub(crate) fn private_key(
    desk: Desk<'_>,
    path: &Path,
    password_file: Option<&Path>,
) -> Result<PrivateKey, Failure> {
    let text = file::read_secret(path, KEY_FILE_BYTES_MAX)?;
    let password = match password_file {
        _ if !PrivateKey::is_encrypted(&text) => None,
        Some(file) => {
            let password = file::read_secret(file, KEY_FILE_BYTES_MAX)?;
            Some(Secret::new(password.expose().trim_end_matches(['\r', '\n']).to_owned()))
        }
        None => match args::cosign_password() {
            Some(password) => Some(password),
            None => ask::password(desk.output, &format!("Password of `{}`: ", path.display()))?,
        },
    };
    PrivateKey::parse(&text, password.as_ref()).map_err(|error| {
        Failure::from(error).with_context(format!("the key `{}` cannot be used", path.display()))
    })
}
