//! How a connector gets in, and on what it stands from then on.
//!
//! A component is examined first, which makes a [`Candidate`]: its signature, then what it says of itself.
//! An operator looks at that; only a candidate can be installed. What is installed is verified again
//! whenever a destination is put together from it, and as a whole by [`Host::audit`].

use super::{Error, Host, artefact_key};
use crate::home::Name;
use crate::leave::{self, Leave};
use crate::manifest::Manifest;
use crate::oci::{self, Pulled};
use crate::registry::{Direction, Installed, Wanted};
use crate::sandbox::Sandbox;
use crate::shown::shown;
use crate::trust::{self, Standing, Ticket, Unsigned, bundle, image};

/// Longest version of an annotation in a message, in bytes.
const VERSION_BYTES_MAX: usize = 100;

/// A component that may be installed, and on what ground.
#[derive(Debug)]
pub struct Candidate<'a> {
    component: &'a [u8],
    manifest: Manifest,
    ticket: Ticket,
    origin: Option<String>,
}

impl<'a> Candidate<'a> {
    /// A component that nobody signed, because the operator wants it all the same.
    ///
    /// # Errors
    /// When it is not sound.
    pub fn unsigned(component: &'a [u8]) -> Result<Self, Error> {
        let manifest = Sandbox::inspect(component)?;
        let ticket = Ticket::Unsigned(Unsigned::on_the_operators_word(component));
        Ok(Self { component, manifest, ticket, origin: None })
    }

    /// The same, with where it was got from, to be kept. `in_the_clear`: the operator allowed that.
    ///
    /// # Errors
    /// When the registry's annotations name another version than the component.
    pub fn from_registry(mut self, pulled: &Pulled, in_the_clear: bool) -> Result<Self, Error> {
        let version = self.manifest.version.to_string();
        if let Some(annotated) = pulled.version.as_ref().filter(|annotated| **annotated != version) {
            let (place, annotated) = (pulled.reference.to_string(), shown(annotated, VERSION_BYTES_MAX));
            return Err(oci::Error::OtherVersion { place, annotated, version }.into());
        }
        let how = if in_the_clear { ", in the clear" } else { "" };
        self.origin = Some(format!("{}{how}", pulled.reference));
        Ok(self)
    }

    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// On what ground it may be installed.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }
}

impl Host {
    /// Look at a component that may be installed: the digest, the signature of its bundle, the publisher's
    /// key; only then what it says of itself, and whether the publisher may sign that.
    ///
    /// # Errors
    /// When nobody trusted signed it, or it is not sound.
    pub fn examine<'a>(&self, component: &'a [u8], bundle: &[u8]) -> Result<Candidate<'a>, Error> {
        let verified = self.trust.verify(component, bundle, self.now())?;
        let manifest = Sandbox::inspect(component)?;
        let ticket = Ticket::Trusted(verified.admit(&manifest.id)?);
        Ok(Candidate { component, manifest, ticket, origin: None })
    }

    /// The same of a component from a registry. Each bundle there vouches for the image or for the component,
    /// and the first that does for what is trusted here is the one that is kept.
    ///
    /// # Errors
    /// When no bundle is of somebody trusted: what the one says that came nearest.
    pub fn examine_pulled<'a>(
        &self,
        pulled: &'a Pulled,
        bundles: &[Vec<u8>],
    ) -> Result<Candidate<'a>, Error> {
        let mut nearest: Option<trust::Error> = None;
        for bundle in bundles {
            let over_image = image::proof(&pulled.manifest, bundle).map_err(trust::Error::from);
            let verified = over_image
                .and_then(|proof| self.trust.verify(&pulled.component, &proof, self.now()))
                .or_else(|error| match self.trust.verify(&pulled.component, bundle, self.now()) {
                    Err(other) if is_of_something_else(&other) => Err(error),
                    verified => verified,
                });
            match verified {
                Ok(verified) => {
                    let manifest = Sandbox::inspect(&pulled.component)?;
                    let ticket = Ticket::Trusted(verified.admit(&manifest.id)?);
                    return Ok(Candidate { component: &pulled.component, manifest, ticket, origin: None });
                }
                // A stranger's bundle says less than that of somebody who is known here.
                Err(error) if nearest.as_ref().is_none_or(is_a_strangers) => nearest = Some(error),
                Err(_) => {}
            }
        }
        Err(nearest.map_or(Error::Unsigned, Error::Trust))
    }

    /// Install what was examined: compile it, keep both. Returns what it is now, and what it replaced.
    ///
    /// # Errors
    /// When it does not implement the contract, or would replace a newer one.
    pub fn install(
        &self,
        candidate: &Candidate<'_>,
        direction: Direction,
    ) -> Result<(Installed, Option<Installed>), Error> {
        let Candidate { component, manifest, ticket, origin } = candidate;
        let wanted = Wanted {
            r#type: manifest.kind.clone(),
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            origin: origin.clone(),
        };
        self.registry.permits(&wanted, ticket, direction)?;
        let sandbox = self.sandbox()?;
        let compiled = sandbox.compile(component)?;
        self.artefacts.store(&artefact_key(ticket.digest(), &sandbox.compatibility()), compiled.bytes())?;
        let done = self.registry.install(wanted, component, ticket, direction, self.now())?;
        if let Err(error) = self.release_versions(&done.0) {
            // They only take room, and the next change looks again.
            tracing::warn!(connector = %done.0.id, "versions that were replaced stay: {error}");
        }
        Ok(done)
    }

    /// Both in one, of a component that nobody signed: for tests and benches.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub fn install_unsigned(&self, component: &[u8]) -> Result<(Installed, Option<Installed>), Error> {
        self.install(&Candidate::unsigned(component)?, Direction::Forward)
    }

    /// Check everything about an installed connector again, as if it were installed today: its bytes, its
    /// signature, its key and what was revoked since.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn audit(&self, installed: &Installed) -> Result<(), Error> {
        let component = self.registry.component(installed)?;
        let bundle = self.registry.bundle(installed)?;
        self.trust.audit(installed, &component, bundle.as_deref(), self.now())?;
        Sandbox::inspect(&component)?;
        Ok(())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::try_from(self.clock.now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// May a destination use this connector: is it enabled, and does its signature still count?
    ///
    /// # Errors
    /// Why not, for this destination.
    pub fn check_leave(&self, destination: &Name, installed: &Installed) -> Result<(), Error> {
        let component = self.registry.component(installed)?;
        self.leave(destination, installed, &component).map(drop)
    }

    /// The signature of what is about to run, checked again: the home may be older than what was revoked.
    pub(super) fn leave(
        &self,
        destination: &Name,
        installed: &Installed,
        component: &[u8],
    ) -> Result<Leave, Error> {
        let stopped =
            |problem| Error::Stopped { destination: destination.clone(), problem: Box::new(problem) };
        let bundle = self.registry.bundle(installed)?;
        let standing: Option<Standing> =
            self.trust.recheck(installed, component, bundle.as_deref()).map_err(|problem| {
                let connector = format!("{}@{}", installed.id, installed.version);
                stopped(leave::Error::Untrusted { connector, problem })
            })?;
        let leave = Leave::new(&self.home, installed, standing);
        leave.check().map_err(stopped)?;
        Ok(leave)
    }
}

/// Does a bundle that is good, or may be, vouch for other bytes?
const fn is_of_something_else(error: &trust::Error) -> bool {
    matches!(
        error,
        trust::Error::Bundle(bundle::Error::OtherDigest { .. })
            | trust::Error::BadSignature { .. }
            | trust::Error::UnknownKey(_)
            | trust::Error::NoKeyFits
    )
}

const fn is_a_strangers(error: &trust::Error) -> bool {
    matches!(error, trust::Error::Bundle(_) | trust::Error::UnknownKey(_) | trust::Error::NoKeyFits)
}
