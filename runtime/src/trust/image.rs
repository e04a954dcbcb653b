//! An OCI image as a connector has it: a manifest that names one component.
//!
//! `cosign sign` vouches for a manifest, and not for what lies below it. This file is the step between: the
//! manifest names its one layer by digest and size, so who signed the manifest signed that component and
//! no other. Whatever would leave a choice is refused: an index, a second layer, a layer that is to be got
//! from elsewhere. What is kept beside an installed component is a [`Proof`]: a bundle as it is, or a
//! manifest with the bundle over it, in one file, because they are worth nothing apart.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{BUNDLE_BYTES_MAX, bundle};
use crate::{json, registry::Digest, shown::shown};

/// Largest manifest, in bytes: ours has 700.
pub const MANIFEST_BYTES_MAX: u64 = 64 * 1024;
/// What a manifest calls itself.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What several manifests call themselves.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The same, of Docker.
pub const DOCKER_LIST_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The configuration of a component
/// ([CNCF, Wasm OCI artifact layout](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/)).
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// A component.
pub const COMPONENT_TYPE: &str = "application/wasm";
/// The annotation with a component's version.
pub const VERSION_ANNOTATION: &str = "org.opencontainers.image.version";
/// What a kept proof over a manifest calls itself.
const PROOF_TYPE: &str = "application/vnd.wharf.image-proof.v1+json";
/// Longest foreign text in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 120;

/// Why a manifest names no component, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No JSON, or with a field that is not known.
    #[error("is malformed: {0}")]
    Malformed(String),
    /// Larger than any.
    #[error("is larger than {MANIFEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Several manifests, of which somebody would choose.
    #[error("is an index of several images, and must be one image")]
    Index,
    /// Something else.
    #[error("is of the type `{0}`, and not `{MANIFEST_TYPE}`")]
    Type(String),
    /// No image of WebAssembly.
    #[error("has a configuration of the type `{0}`, and not `{CONFIG_TYPE}`")]
    Config(String),
    /// Not one.
    #[error("has {0} layers, and must have one")]
    Layers(usize),
    /// No component.
    #[error("has a layer of the type `{0}`, and not `{COMPONENT_TYPE}`")]
    LayerType(String),
    /// To be got from an address that the manifest names.
    #[error("has a layer that is to be got from elsewhere (`urls`)")]
    Foreign,
    /// Another component than the one at hand.
    #[error("names the layer {named}, and this component has {actual}")]
    OtherLayer {
        /// What the manifest names.
        named: Digest,
        /// What the component has.
        actual: Digest,
    },
    /// The right digest, and another length: whoever wrote it is not to be believed.
    #[error("names a layer of {named} bytes, and this component has {actual}")]
    OtherSize {
        /// What the manifest names.
        named: u64,
        /// What the component has.
        actual: u64,
    },
}

/// What a descriptor says of what it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    #[serde(serialize_with = "with_algorithm")]
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Where else it could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    /// Itself, if it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What kind of artefact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// For which machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<serde_json::Value>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

fn with_algorithm<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

impl Descriptor {
    /// Of these bytes.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: length(bytes),
            urls: None,
            data: None,
            artifact_type: None,
            platform: None,
            annotations: None,
        }
    }
}

/// A manifest as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artefact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its configuration.
    pub config: Descriptor,
    /// What it is made of.
    pub layers: Vec<Descriptor>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Read a manifest of whatever artefact; an index is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if length(text) > MANIFEST_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let malformed = |error: serde_json::Error| Error::Malformed(error.to_string());
        let value = json::parse(text).map_err(malformed)?;
        let media_type = value.get("mediaType").and_then(serde_json::Value::as_str);
        if value.get("manifests").is_some()
            || [Some(INDEX_TYPE), Some(DOCKER_LIST_TYPE)].contains(&media_type)
        {
            return Err(Error::Index);
        }
        if let Some(other) = media_type.filter(|media_type| *media_type != MANIFEST_TYPE) {
            return Err(Error::Type(shown(other, SHOWN_BYTES_MAX)));
        }
        let manifest: Self = serde_json::from_value(value).map_err(malformed)?;
        if manifest.schema_version != 2 {
            return Err(Error::Malformed(format!("`schemaVersion` is {}", manifest.schema_version)));
        }
        Ok(manifest)
    }
}

/// A manifest that names one component.
#[derive(Debug, Clone)]
pub struct Image {
    component: Descriptor,
    version: Option<String>,
}

impl Image {
    /// Read the manifest of a component.
    ///
    /// # Errors
    /// Why it names none.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let manifest = Manifest::parse(text)?;
        if manifest.config.media_type != CONFIG_TYPE {
            return Err(Error::Config(shown(&manifest.config.media_type, SHOWN_BYTES_MAX)));
        }
        let layers = manifest.layers.len();
        let mut layers_left = manifest.layers.into_iter();
        let (Some(component), None) = (layers_left.next(), layers_left.next()) else {
            return Err(Error::Layers(layers));
        };
        if component.media_type != COMPONENT_TYPE {
            return Err(Error::LayerType(shown(&component.media_type, SHOWN_BYTES_MAX)));
        }
        if component.urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
            return Err(Error::Foreign);
        }
        let version = manifest.annotations.and_then(|mut annotations| annotations.remove(VERSION_ANNOTATION));
        Ok(Self { component, version })
    }

    /// What it says of its component.
    #[must_use]
    pub const fn component(&self) -> &Descriptor {
        &self.component
    }

    /// The version that its annotations name, if they do.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Is it about this component? Returns the component's digest.
    ///
    /// # Errors
    /// [`Error::OtherLayer`], [`Error::OtherSize`].
    pub fn check(&self, component: &[u8]) -> Result<Digest, Error> {
        let actual = Digest::of(component);
        if actual != self.component.digest {
            return Err(Error::OtherLayer { named: self.component.digest.clone(), actual });
        }
        if length(component) != self.component.size {
            return Err(Error::OtherSize { named: self.component.size, actual: length(component) });
        }
        Ok(actual)
    }
}

/// What vouches for a component, as it is kept.
#[derive(Debug)]
pub(super) enum Proof {
    /// A bundle over the component.
    Component,
    /// A manifest, and a bundle over that.
    Image {
        /// The manifest, byte for byte.
        manifest: Vec<u8>,
        /// The bundle.
        bundle: Vec<u8>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kept {
    media_type: String,
    /// Base64: what was signed is these bytes, and no other spelling of them.
    manifest: String,
    bundle: Box<RawValue>,
}

/// What looks like a kept proof, before anything else of it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    media_type: String,
}

impl Proof {
    /// Read what is kept. What is no manifest with a bundle is taken for a bundle, to be read as one.
    pub(super) fn parse(text: &[u8]) -> Result<Self, bundle::Error> {
        let kind = serde_json::from_slice::<Kind>(text).map(|kind| kind.media_type);
        if kind.ok().as_deref() != Some(PROOF_TYPE) || length(text) > BUNDLE_BYTES_MAX {
            return Ok(Self::Component);
        }
        let malformed = |problem: String| bundle::Error::Malformed(problem);
        let kept: Kept = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        let manifest =
            BASE64.decode(kept.manifest).map_err(|_| malformed("its manifest is not base64".to_owned()))?;
        Ok(Self::Image { manifest, bundle: kept.bundle.get().as_bytes().to_owned() })
    }
}

/// A manifest and the bundle over it as one proof, to be given and kept where a bundle is.
///
/// # Errors
/// When the bundle is no JSON, or both are too large together.
pub fn proof(manifest: &[u8], bundle: &[u8]) -> Result<Vec<u8>, bundle::Error> {
    let malformed = |error: serde_json::Error| bundle::Error::Malformed(error.to_string());
    let kept = Kept {
        media_type: PROOF_TYPE.to_owned(),
        manifest: BASE64.encode(manifest),
        bundle: serde_json::from_slice(bundle).map_err(malformed)?,
    };
    let kept = serde_json::to_vec(&kept).map_err(malformed)?;
    if length(&kept) > BUNDLE_BYTES_MAX {
        return Err(bundle::Error::Refused(format!(
            "and its manifest are larger than {BUNDLE_BYTES_MAX} bytes"
        )));
    }
    Ok(kept)
}

/// A length that fits, as every slice's does.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::{Name, tests::scratch};
    use crate::trust::sign::{self, PrivateKey};
    use crate::trust::{Error as TrustError, Trust, Window};

    const COMPONENT: &[u8] = b"a component, as far as this room can tell";

    fn manifest(component: &[u8]) -> Vec<u8> {
        let config = Descriptor::of(CONFIG_TYPE, b"{}");
        let layers = vec![Descriptor::of(COMPONENT_TYPE, component)];
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: None,
        };
        serde_json::to_vec(&manifest).unwrap()
    }

    fn now() -> jiff::Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    fn trusting() -> (tempfile::TempDir, Trust, PrivateKey) {
        let (folder, home) = scratch();
        let key = PrivateKey::parse(&sign::generate().unwrap().0, None).unwrap();
        let trust = Trust::new(&home);
        let (name, prefix) = (Name::parse("wharf").unwrap(), "dev.wharf".to_owned());
        trust.add(&name, Some((key.public().unwrap(), Window::default())), &[prefix]).unwrap();
        (folder, trust, key)
    }

    #[test]
    fn a_signed_manifest_vouches_for_its_layer_and_for_nothing_else() {
        let (_folder, trust, key) = trusting();
        let manifest = manifest(COMPONENT);
        let bundle = key.sign_statement(&Digest::of(&manifest)).unwrap();
        let kept = proof(&manifest, &bundle).unwrap();
        let verified = trust.verify(COMPONENT, &kept, now()).unwrap();
        assert_eq!(*verified.digest(), Digest::of(COMPONENT), "the ticket is for the component");
        let told = |bytes: &[u8], proof: &[u8]| trust.verify(bytes, proof, now()).unwrap_err().to_string();
        assert!(told(b"another", &kept).contains("its signed manifest names the layer sha256:"));
        assert!(told(&manifest, &kept).contains("its signed manifest names the layer sha256:"));
        // Neither half is worth anything without the other.
        assert!(told(COMPONENT, &bundle).contains("its bundle is for sha256:"));
        let other = self::manifest(b"another");
        assert!(told(b"another", &proof(&other, &bundle).unwrap()).contains("its bundle is for sha256:"));
        // A proof in a proof is none.
        let twice = proof(&manifest, &kept).unwrap();
        assert!(matches!(trust.verify(COMPONENT, &twice, now()), Err(TrustError::Bundle(_))));
        // Nor does an image speak for a publisher's revocations.
        assert!(trust.update(COMPONENT, &kept, now()).is_err());
    }

    #[test]
    fn whatever_byte_of_a_proof_is_changed_it_vouches_for_nothing_new() {
        let (_folder, trust, key) = trusting();
        let manifest = manifest(COMPONENT);
        let kept = proof(&manifest, &key.sign_statement(&Digest::of(&manifest)).unwrap()).unwrap();
        for at in 0..kept.len() {
            let mut changed = kept.clone();
            changed[at] ^= 1;
            if let Ok(verified) = trust.verify(COMPONENT, &changed, now()) {
                assert_eq!(*verified.digest(), Digest::of(COMPONENT), "byte {at}");
            }
            assert!(trust.verify(b"another", &changed, now()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_layer_of_another_length_is_another() {
        let mut image = Image::parse(&manifest(COMPONENT)).unwrap();
        image.check(COMPONENT).unwrap();
        image.component.size += 1;
        assert!(matches!(image.check(COMPONENT), Err(Error::OtherSize { .. })));
        let long = vec![b' '; usize::try_from(MANIFEST_BYTES_MAX).unwrap() + 1];
        assert!(matches!(Image::parse(&long), Err(Error::TooLarge)));
    }
}
