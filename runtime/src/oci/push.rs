//! A component into a registry, signed.
//!
//! What is named last is what others see first: blobs, the manifest by its digest, the bundle that vouches
//! for it, and only then the tag. Whoever follows the tag finds the signature. A registry that keeps no
//! list of what refers to an image is given one under the tag `sha256-<hex>`, where others look for it.

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::json;
use url::Url;

use super::client::Ask;
use super::pull::fallback_tag;
use super::{BUNDLE_TYPE, Error, INDEX_BYTES_MAX, Remote, Version};
use crate::registry::Digest;
use crate::trust::bundle::Bundle;
use crate::trust::image::{
    COMPONENT_TYPE, CONFIG_TYPE, Descriptor, INDEX_TYPE, MANIFEST_TYPE, Manifest, VERSION_ANNOTATION,
};
use crate::trust::sign::PrivateKey;

/// The configuration of what needs none.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// Its contents.
const EMPTY: &[u8] = b"{}";
/// Largest reply to something that was put, in bytes; most are empty.
const REPLY_BYTES_MAX: u64 = 64 * 1024;

/// What is to be published.
#[derive(Debug)]
pub struct Release<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its name, for people.
    pub title: &'a str,
    /// Its version.
    pub version: &'a str,
    /// When.
    pub now: jiff::Timestamp,
}

/// Who vouches for it.
#[derive(Debug)]
pub enum Vouched<'a> {
    /// A key, that signs the manifest.
    By(&'a PrivateKey),
    /// A bundle over the component, made before.
    With(&'a [u8]),
}

/// What was published.
#[derive(Debug)]
pub struct Published {
    /// Its manifest's digest.
    pub manifest: Digest,
    /// Its component's.
    pub component: Digest,
    /// Under which tag the list of signatures is kept, where the registry keeps none.
    pub listed: Option<String>,
}

impl Remote {
    /// Put a component there, with its signature.
    ///
    /// # Errors
    /// When the registry cannot be used, or does not keep what it is given.
    pub async fn publish(&self, release: &Release<'_>, vouched: &Vouched<'_>) -> Result<Published, Error> {
        let Version::Tag(tag) = self.reference.version() else {
            return Err(Error::NoTag { place: self.reference.to_string() });
        };
        self.in_time(async {
            let config = config(release)?;
            let manifest = written(&manifest(release, &config))?;
            let subject = Descriptor::of(MANIFEST_TYPE, &manifest);
            let bundle = match vouched {
                Vouched::By(key) => key.sign_statement(&subject.digest)?,
                Vouched::With(bundle) => {
                    Bundle::parse(bundle)?;
                    (*bundle).to_owned()
                }
            };
            self.put_blob(Bytes::from(config)).await?;
            self.put_blob(Bytes::copy_from_slice(release.component)).await?;
            let named = subject.digest.to_string();
            self.put_manifest(&named, manifest.clone().into(), MANIFEST_TYPE).await?;
            let listed = self.put_bundle(&subject, bundle, release.now).await?;
            self.put_manifest(tag, manifest.into(), MANIFEST_TYPE).await?;
            Ok(Published { manifest: subject.digest, component: Digest::of(release.component), listed })
        })
        .await
    }

    /// Put a bundle there that refers to `subject`. Returns the tag of the list, where one had to be kept.
    async fn put_bundle(
        &self,
        subject: &Descriptor,
        bundle: Vec<u8>,
        now: jiff::Timestamp,
    ) -> Result<Option<String>, Error> {
        let annotations = [("org.opencontainers.image.created".to_owned(), now.to_string())];
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            artifact_type: Some(BUNDLE_TYPE.to_owned()),
            config: Descriptor::of(EMPTY_TYPE, EMPTY),
            layers: vec![Descriptor::of(BUNDLE_TYPE, &bundle)],
            subject: Some(subject.clone()),
            annotations: Some(annotations.into()),
        };
        let manifest = written(&manifest)?;
        let mut descriptor = Descriptor::of(MANIFEST_TYPE, &manifest);
        descriptor.artifact_type = Some(BUNDLE_TYPE.to_owned());
        self.put_blob(Bytes::from_static(EMPTY)).await?;
        self.put_blob(bundle.into()).await?;
        let named = descriptor.digest.to_string();
        if self.put_manifest(&named, manifest.into(), MANIFEST_TYPE).await? {
            return Ok(None);
        }
        let place = self.reference.pinned(&subject.digest).to_string();
        let tag = fallback_tag(&subject.digest);
        let mut listed = self.tagged(&place, &subject.digest).await?.manifests;
        listed.push(descriptor);
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed });
        self.put_manifest(&tag, written(&index)?.into(), INDEX_TYPE).await?;
        Ok(Some(tag))
    }

    /// Put a blob there, unless it is there.
    async fn put_blob(&self, blob: Bytes) -> Result<(), Error> {
        let digest = Digest::of(&blob);
        let ask = |method, url, body| Ask { method, url, what: "blob", accept: None, body };
        let there = self.ask(ask(Method::HEAD, self.address(&format!("blobs/{digest}"))?, None)).await?;
        if there.status() == StatusCode::OK {
            return Ok(());
        }
        let begun = self.ask(ask(Method::POST, self.address("blobs/uploads/")?, None)).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(self.problem(begun, "an upload").await);
        }
        let location =
            begun.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut address: Url = self.join(&self.address("blobs/uploads/")?, location)?;
        address.query_pairs_mut().append_pair("digest", &digest.to_string());
        let body = Some((blob, "application/octet-stream"));
        let put = self.ask(ask(Method::PUT, address, body)).await?;
        self.expect(put, &[StatusCode::CREATED], "an upload", REPLY_BYTES_MAX).await.map(drop)
    }

    /// Put a manifest there. Returns whether the registry lists what it refers to.
    async fn put_manifest(&self, named: &str, text: Bytes, media_type: &'static str) -> Result<bool, Error> {
        let actual = Digest::of(&text);
        let url = self.address(&format!("manifests/{named}"))?;
        let ask =
            Ask { method: Method::PUT, url, what: "manifest", accept: None, body: Some((text, media_type)) };
        let reply = self.ask(ask).await?;
        let header = |name: &str| {
            let value = reply.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let (said, lists) = (header("docker-content-digest"), header("oci-subject").is_some());
        self.expect(reply, &[StatusCode::CREATED], "manifest", INDEX_BYTES_MAX).await?;
        match said {
            Some(said) if said != actual.to_string() => {
                let (registry, said) = (self.registry(), crate::shown::shown(&said, 100));
                Err(Error::Kept { registry, place: self.reference.to_string(), said, actual })
            }
            Some(_) | None => Ok(lists),
        }
    }
}

/// What an image of a component says of it, as other tools for components write it.
fn config(release: &Release<'_>) -> Result<Vec<u8>, Error> {
    written(&json!({
        "created": release.now,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [Digest::of(release.component).to_string()],
    }))
}

fn manifest(release: &Release<'_>, config: &[u8]) -> Manifest {
    let annotation = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let annotations = [
        annotation("org.opencontainers.image.title", release.title),
        annotation(VERSION_ANNOTATION, release.version),
    ];
    Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPE.to_owned()),
        artifact_type: None,
        config: Descriptor::of(CONFIG_TYPE, config),
        layers: vec![Descriptor::of(COMPONENT_TYPE, release.component)],
        subject: None,
        annotations: Some(annotations.into()),
    }
}

fn written(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Written(error.to_string()))
}
