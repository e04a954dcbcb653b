//! A component out of a registry, with what vouches for it.
//!
//! A tag is asked for once; its bytes are what counts from then on. A tag that moves afterwards moves
//! nothing here, because nothing is asked for by tag again. Blobs are hashed before they are handed on, and
//! no manifest leaves a choice. Whether a bundle is any good is not looked at: that is `trust`'s.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::client::Ask;
use super::{BUNDLE_TYPE, BUNDLES_MAX, Error, INDEX_BYTES_MAX, Reference, Remote, Version};
use crate::json;
use crate::registry::{COMPONENT_BYTES_MAX, Digest};
use crate::shown::shown;
use crate::trust::BUNDLE_BYTES_MAX;
use crate::trust::image::{Descriptor, Image, MANIFEST_BYTES_MAX, Manifest};

/// What an image may come as. An index is asked for as well, so that one is told as what it is.
const IMAGE_ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// What a manifest that was named by an index may come as.
const MANIFEST_ACCEPT: &str = crate::trust::image::MANIFEST_TYPE;
/// What a list may come as.
pub(super) const INDEX_ACCEPT: &str = crate::trust::image::INDEX_TYPE;

/// A component that was got, and from where.
#[derive(Debug)]
pub struct Pulled {
    /// Where it lies, by digest.
    pub reference: Reference,
    /// Its manifest, byte for byte.
    pub manifest: Vec<u8>,
    /// The component, which the manifest names.
    pub component: Vec<u8>,
    /// Its version, as the manifest's annotations have it.
    pub version: Option<String>,
}

/// A list of what refers to an image. Of its entries only where they lie counts: of what kind each is, is
/// read from the manifest itself, because some who write this list leave that empty.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) manifests: Vec<Descriptor>,
}

impl Remote {
    /// Get the component. One request by tag; all else by digest.
    ///
    /// # Errors
    /// When the registry cannot be used, or lies.
    pub async fn pull(&self) -> Result<Pulled, Error> {
        self.in_time(async {
            let (digest, manifest) = self.image().await?;
            let reference = self.reference.pinned(&digest);
            let place = reference.to_string();
            let wrong = |problem| Error::Image { place: place.clone(), problem };
            let image = Image::parse(&manifest).map_err(wrong)?;
            let component = self.blob(&place, image.component(), "component", COMPONENT_BYTES_MAX).await?;
            let version = image.version().map(str::to_owned);
            Ok(Pulled { reference, manifest: manifest.to_vec(), component: component.to_vec(), version })
        })
        .await
    }

    /// All bundles that the registry has about an image, newest last, [`BUNDLES_MAX`] at most.
    ///
    /// # Errors
    /// [`Error::NoBundle`], or when the registry cannot be used, or lies.
    pub async fn bundles(&self, pulled: &Pulled) -> Result<Vec<Vec<u8>>, Error> {
        self.in_time(async {
            let place = pulled.reference.to_string();
            let subject = Digest::of(&pulled.manifest);
            let referring = self.referring(&place, &subject).await?;
            let mut bundles = Vec::new();
            for descriptor in referring.iter().skip(referring.len().saturating_sub(BUNDLES_MAX)) {
                let Some(manifest) = self.referrer(&place, descriptor).await? else { continue };
                let [layer] = manifest.layers.as_slice() else { continue };
                if layer.media_type == BUNDLE_TYPE {
                    bundles.push(self.blob(&place, layer, "bundle", BUNDLE_BYTES_MAX).await?.to_vec());
                }
            }
            if bundles.is_empty() {
                return Err(Error::NoBundle { registry: self.registry(), place });
            }
            Ok(bundles)
        })
        .await
    }

    /// The manifest, and what it is known by from now on.
    async fn image(&self) -> Result<(Digest, Bytes), Error> {
        let place = self.reference.to_string();
        let address = self.address(&format!("manifests/{}", self.reference.version()))?;
        let reply = self.ask(get(address, "manifest", Some(IMAGE_ACCEPT))).await?;
        let said = reply.headers().get("docker-content-digest").map(|value| value.as_bytes().to_vec());
        let manifest = self.expect(reply, &[StatusCode::OK], "manifest", MANIFEST_BYTES_MAX).await?;
        let actual = Digest::of(&manifest);
        let same = |named: &Digest| {
            let (registry, place, named) = (self.registry(), place.clone(), named.clone());
            let actual = actual.clone();
            if named == actual {
                Ok(())
            } else {
                Err(Error::ManifestDigest { registry, place, named, actual })
            }
        };
        match self.reference.version() {
            Version::Digest(named) => same(named)?,
            Version::Tag(_) => {}
        }
        // What the registry says of it must fit too: one that is not sure is not to be believed.
        if let Some(said) = said {
            let said = String::from_utf8_lossy(&said).into_owned();
            let odd = |_| {
                let (registry, said) = (self.registry(), shown(&said, 100));
                Error::OddDigest { registry, place: place.clone(), said }
            };
            same(&Digest::parse(&said).map_err(odd)?)?;
        }
        Ok((actual, manifest))
    }

    /// What a manifest names, if it is that.
    async fn blob(
        &self,
        place: &str,
        named: &Descriptor,
        what: &'static str,
        limit: u64,
    ) -> Result<Bytes, Error> {
        if named.size > limit {
            let (place, bytes) = (place.to_owned(), named.size);
            return Err(Error::TooLarge { what, place, bytes, limit });
        }
        let address = self.address(&format!("blobs/{}", named.digest))?;
        let reply = self.ask(get(address, what, None)).await?;
        // As many as are named, and not one more.
        let blob = self.expect(reply, &[StatusCode::OK], what, named.size).await?;
        let (actual, actual_bytes) = (Digest::of(&blob), u64::try_from(blob.len()).unwrap_or(u64::MAX));
        if actual != named.digest || actual_bytes != named.size {
            let (registry, place) = (self.registry(), place.to_owned());
            let named = format!("{} and {} bytes", named.digest, named.size);
            let actual = format!("{actual} and {actual_bytes} bytes");
            return Err(Error::BlobDigest { registry, what, place, named, actual });
        }
        Ok(blob)
    }

    /// What refers to an image: the registry's own list, and where it has none, the list under a tag that
    /// those who sign keep themselves.
    async fn referring(&self, place: &str, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let address = self.address(&format!("referrers/{subject}"))?;
        let reply = self.ask(get(address, "list of signatures", Some(INDEX_ACCEPT))).await?;
        // Without that service some say that there is nothing, and others that there is no such request.
        let absent = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::BAD_REQUEST];
        if !absent.contains(&reply.status()) {
            let text = self.expect(reply, &[StatusCode::OK], "list of signatures", INDEX_BYTES_MAX).await?;
            let listed = self.index(place, &text)?.manifests;
            if !listed.is_empty() {
                return Ok(listed);
            }
        }
        Ok(self.tagged(place, subject).await?.manifests)
    }

    /// The list under the tag `sha256-<hex>`; empty where there is none.
    pub(super) async fn tagged(&self, place: &str, subject: &Digest) -> Result<Index, Error> {
        let address = self.address(&format!("manifests/{}", fallback_tag(subject)))?;
        let reply = self.ask(get(address, "list of signatures", Some(INDEX_ACCEPT))).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            return Ok(Index { manifests: Vec::new() });
        }
        let text = self.expect(reply, &[StatusCode::OK], "list of signatures", INDEX_BYTES_MAX).await?;
        self.index(place, &text)
    }

    fn index(&self, place: &str, text: &[u8]) -> Result<Index, Error> {
        let parsed = json::parse(text).and_then(serde_json::from_value);
        parsed.map_err(|error| {
            let (registry, place, problem) = (self.registry(), place.to_owned(), error.to_string());
            Error::Index { registry, place, problem }
        })
    }

    /// The manifest of something that refers to an image. None when it is of a kind that is not known.
    async fn referrer(&self, place: &str, named: &Descriptor) -> Result<Option<Manifest>, Error> {
        if named.size > MANIFEST_BYTES_MAX {
            return Ok(None);
        }
        let address = self.address(&format!("manifests/{}", named.digest))?;
        let reply = self.ask(get(address, "manifest of a signature", Some(MANIFEST_ACCEPT))).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            // It was removed, and the list was not told.
            return Ok(None);
        }
        let text = self.expect(reply, &[StatusCode::OK], "manifest of a signature", named.size).await?;
        let actual = Digest::of(&text);
        if actual != named.digest {
            let (registry, place, named) = (self.registry(), place.to_owned(), named.digest.clone());
            return Err(Error::ManifestDigest { registry, place, named, actual });
        }
        Ok(Manifest::parse(&text).ok())
    }
}

/// The tag under which those who sign keep a list, where a registry keeps none.
pub(super) fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.as_str())
}

fn get(url: url::Url, what: &'static str, accept: Option<&'static str>) -> Ask {
    Ask { method: Method::GET, url, what, accept, body: None }
}
