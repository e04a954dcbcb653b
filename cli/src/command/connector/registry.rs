//! Connectors in OCI registries: got from there to be installed, put there by their vendors.

use std::path::Path;
use std::sync::Arc;

use wharf_runtime::manifest::section::COMPONENT_BYTES_MAX;
use wharf_runtime::network::{self, Network};
use wharf_runtime::oci::{CONFIG_BYTES_MAX, Login, Pulled, Reference, Release, Remote, Vouched};
use wharf_runtime::sandbox::{self, Sandbox};
use wharf_runtime::secret::Secret;
use wharf_runtime::trust::{BUNDLE_SUFFIX, key::KEY_FILE_BYTES_MAX};

use super::install::read_bundle;
use super::vendor::private_key;
use crate::args::{Access, ConnectorPublish, Proof};
use crate::command::{Desk, waiting};
use crate::exit::Exit;
use crate::file;
use crate::report::Failure;

/// A component out of a registry, and the bundles that may vouch for it; none where none is looked for.
pub(super) struct Got {
    pub(super) pulled: Pulled,
    pub(super) bundles: Option<Vec<Vec<u8>>>,
    pub(super) in_the_clear: bool,
}

/// What a text on the command line names in a registry, if it names something there.
pub(super) fn named(path: &Path) -> Result<Option<Reference>, Failure> {
    match path.to_str().filter(|text| Reference::is_meant(text)) {
        Some(text) => Ok(Some(Reference::parse(text).map_err(wharf_runtime::oci::Error::from)?)),
        None => Ok(None),
    }
}

/// Get a component with its bundles.
pub(super) fn get(
    desk: Desk<'_>,
    reference: &Reference,
    access: &Access,
    proof: &Proof,
) -> Result<Got, Failure> {
    let (network, login) = way(desk, reference, access)?;
    let remote = Remote::new(network, reference.clone(), login)?;
    warn(desk, &remote);
    waiting(async {
        let pulled = remote.pull().await?;
        let bundles = match &proof.bundle {
            _ if proof.allow_unsigned => None,
            Some(path) => Some(vec![read_bundle(path)?]),
            None => Some(remote.bundles(&pulled).await?),
        };
        Ok::<_, Failure>(Got { pulled, bundles, in_the_clear: remote.is_plain() })
    })
}

/// `wharf connector publish`.
pub(super) fn publish(desk: Desk<'_>, publish: &ConnectorPublish) -> Result<(), Failure> {
    let component = file::read(&publish.component, COMPONENT_BYTES_MAX)?;
    let path = publish.component.display();
    let refused = |error: sandbox::Error| {
        let hint = "pack it first with `wharf connector pack`, then publish what that wrote";
        Failure::from(error).with_context(format!("`{path}` cannot be published")).with_hint(hint)
    };
    let manifest = Sandbox::inspect(&component).map_err(refused)?;
    let reference = named(Path::new(&publish.place))?.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{}` is no place in a registry", publish.place))
            .with_hint("write it as `oci://registry.acme.com/onedrive:1.4.0`")
    })?;
    let key = publish.key.as_deref().map(|key| private_key(desk, key, publish.password_file.as_deref()));
    let key = key.transpose()?;
    let bundle = if key.is_some() { Vec::new() } else { bundle_beside(&publish.component)? };
    let vouched = key.as_ref().map_or(Vouched::With(&bundle), Vouched::By);
    let (network, login) = way(desk, &reference, &publish.access)?;
    let remote = Remote::to_write(network, reference.clone(), login)?;
    warn(desk, &remote);
    let version = manifest.version.to_string();
    let now = jiff::Timestamp::now();
    let release = Release { component: &component, title: &manifest.id, version: &version, now };
    let published = waiting(async { Ok::<_, Failure>(remote.publish(&release, &vouched).await?) })?;
    let pinned = reference.pinned(&published.manifest);
    if desk.output.is_json() {
        desk.output.json(&serde_json::json!({
            "id": manifest.id, "version": version, "digest": published.component.to_string(),
            "reference": reference.to_string(), "pinned": pinned.to_string(),
            "manifest": published.manifest.to_string(), "signatures_tag": published.listed,
        }))?;
    }
    desk.output.note(format_args!("published `{}` as `{reference}`, which is `{pinned}`", manifest.label()));
    Ok(())
}

/// The bundle that was made before, of the component itself.
fn bundle_beside(component: &Path) -> Result<Vec<u8>, Failure> {
    let beside = file::suffixed(component, BUNDLE_SUFFIX);
    if !beside.exists() {
        let message =
            format!("`{}` is not signed, and nothing is published that nobody signed", component.display());
        return Err(Failure::new(Exit::Usage, message).with_hint(
            "sign what is published with `--key KEY`, or the file before with `wharf connector sign`",
        ));
    }
    read_bundle(&beside)
}

/// A way out for this exchange alone: what is exempt for a registry is exempt for nothing else.
fn way(
    desk: Desk<'_>,
    reference: &Reference,
    access: &Access,
) -> Result<(Arc<Network>, Option<Login>), Failure> {
    let options = network::Options { plain: access.registry_insecure.clone(), ..desk.network_options() };
    let network = Arc::new(Network::new(options).map_err(wharf_runtime::host::Error::from)?);
    Ok((network, login(reference, access)?))
}

fn login(reference: &Reference, access: &Access) -> Result<Option<Login>, Failure> {
    if let (Some(user), Some(path)) = (&access.registry_user, &access.registry_password_file) {
        let password = file::read_secret(path, KEY_FILE_BYTES_MAX)?;
        let password = Secret::new(password.expose().trim_end_matches(['\r', '\n']).to_owned());
        return Ok(Some(Login::new(user, &password)));
    }
    let Some(path) = &access.registry_config else { return Ok(None) };
    let text = file::read_secret(path, CONFIG_BYTES_MAX)?;
    Login::from_config(&text, reference.host()).map_err(|error| {
        let error = wharf_runtime::oci::Error::from(error);
        Failure::from(error).with_context(format!("`{}` cannot be used", path.display()))
    })
}

fn warn(desk: Desk<'_>, remote: &Remote) {
    if remote.is_plain() {
        let host = remote.reference().host();
        desk.output.warning(format_args!(
            "registry `{host}` is spoken to in the clear, as `--registry-insecure` allows; a password would be read on the way"
        ));
    }
}
