//! From bytes and a bundle to a ticket.
//!
//! The order is the point: nothing in the bytes is read before their signature is good, and nothing in a
//! statement before its own is. A ticket can be made here and nowhere else, so what is installed was
//! verified, or an operator said in so many words that nobody signed it.

use jiff::Timestamp;

use super::{
    Error,
    bundle::Bundle,
    image::{Image, Proof},
    key::KeyId,
    revocation::Accepted,
    store::{Publisher, Trust, TrustedKey},
};
use crate::{
    home::Name,
    registry::{Digest, Installed},
};

/// Bytes that a trusted publisher signed, before anything in them was read.
#[derive(Debug)]
pub struct Verified {
    digest: Digest,
    publisher: Publisher,
    key: KeyId,
    bundle: Vec<u8>,
}

impl Verified {
    /// Who signed.
    #[must_use]
    pub const fn publisher(&self) -> &Name {
        &self.publisher.name
    }

    /// With which key.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// What was signed.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// May the publisher sign a connector of this id?
    ///
    /// # Errors
    /// [`Error::ForeignId`].
    pub fn admit(self, id: &str) -> Result<Trusted, Error> {
        let Self { digest, publisher, key, bundle } = self;
        if !publisher.owns(id) {
            let prefixes: Vec<_> = publisher.id_prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
            let (publisher, prefixes) = (publisher.name, prefixes.join(", "));
            return Err(Error::ForeignId { publisher, prefixes, id: id.to_owned() });
        }
        Ok(Trusted { digest, publisher: publisher.name, key, bundle, id: id.to_owned() })
    }
}

/// A component that a trusted publisher signed, of an id that is theirs.
#[derive(Debug)]
pub struct Trusted {
    pub(super) digest: Digest,
    pub(super) publisher: Name,
    pub(super) key: KeyId,
    pub(super) bundle: Vec<u8>,
    pub(super) id: String,
}

/// A component that nobody signed, and that an operator wants all the same.
#[derive(Debug)]
pub struct Unsigned {
    digest: Digest,
}

impl Unsigned {
    /// The operator said so.
    #[must_use]
    pub fn on_the_operators_word(component: &[u8]) -> Self {
        Self { digest: Digest::of(component) }
    }
}

/// What an installation is allowed by.
#[derive(Debug)]
pub enum Ticket {
    /// A signature.
    Trusted(Trusted),
    /// The operator's word.
    Unsigned(Unsigned),
}

impl Ticket {
    /// Of which component.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        match self {
            Self::Trusted(trusted) => &trusted.digest,
            Self::Unsigned(unsigned) => &unsigned.digest,
        }
    }

    /// Who signed it, if somebody did.
    #[must_use]
    pub const fn publisher(&self) -> Option<&Name> {
        match self {
            Self::Trusted(trusted) => Some(&trusted.publisher),
            Self::Unsigned(_) => None,
        }
    }

    /// With which key.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyId> {
        match self {
            Self::Trusted(trusted) => Some(&trusted.key),
            Self::Unsigned(_) => None,
        }
    }

    /// The bundle, to be kept beside the component.
    #[must_use]
    pub fn bundle(&self) -> Option<&[u8]> {
        match self {
            Self::Trusted(trusted) => Some(&trusted.bundle),
            Self::Unsigned(_) => None,
        }
    }

    /// Is it for a connector of this id?
    #[must_use]
    pub fn is_for(&self, id: &str) -> bool {
        match self {
            Self::Trusted(trusted) => trusted.id == id,
            Self::Unsigned(_) => true,
        }
    }
}

/// What an installed connector stands on, to be looked at again while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    publisher: Name,
    key: KeyId,
    digest: Digest,
}

/// Publishers and lists, as they are at one moment.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) publishers: Vec<Publisher>,
    pub(super) lists: Vec<Accepted>,
}

impl Trust {
    /// Did a trusted publisher sign this component, with a key that is good at `now`? Offline. The bundle is
    /// over the component, or one over an image's manifest in a [`proof`](super::image::proof).
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, bytes: &[u8], bundle: &[u8], now: Timestamp) -> Result<Verified, Error> {
        let book = self.book()?;
        let (verified, key) = book.vouched(bytes, bundle)?;
        book.check_list(&verified.publisher.name, now)?;
        check_window(&verified.publisher.name, key, now)?;
        book.check_standing(&verified.standing())?;
        Ok(verified)
    }

    /// Is what was installed on a signature still good, its key not taken back? A key may have ended since:
    /// that stops installs, and no restore. None for what was installed unsigned.
    ///
    /// # Errors
    /// Why it may not be used.
    pub fn recheck(
        &self,
        installed: &Installed,
        component: &[u8],
        bundle: Option<&[u8]>,
    ) -> Result<Option<Standing>, Error> {
        let (Some(publisher), Some(key)) = (&installed.signed_by, &installed.key) else { return Ok(None) };
        let book = self.book()?;
        let standing =
            Standing { publisher: publisher.clone(), key: key.clone(), digest: installed.digest.clone() };
        book.check_standing(&standing)?;
        let (verified, _) = book.vouched(component, bundle.ok_or(Error::BundleGone)?)?;
        if verified.standing() != standing {
            return Err(Error::Withdrawn { publisher: publisher.clone(), key: key.clone() });
        }
        verified.admit(&installed.id)?;
        Ok(Some(standing))
    }

    /// As [`recheck`](Self::recheck), and would it be installed today: is the key good at `now`, and the
    /// publisher's list?
    ///
    /// # Errors
    /// Why it would not.
    pub fn audit(
        &self,
        installed: &Installed,
        component: &[u8],
        bundle: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if self.recheck(installed, component, bundle)?.is_some() {
            self.verify(component, bundle.ok_or(Error::BundleGone)?, now)?;
        }
        Ok(())
    }

    /// Was nothing taken back of what a running connector stands on?
    ///
    /// # Errors
    /// What was.
    pub fn still(&self, standing: &Standing) -> Result<(), Error> {
        self.book()?.check_standing(standing)
    }
}

impl Verified {
    fn standing(&self) -> Standing {
        Standing {
            publisher: self.publisher.name.clone(),
            key: self.key.clone(),
            digest: self.digest.clone(),
        }
    }
}

impl Book {
    /// Who vouches for a component: for its bytes, or for a manifest that names them.
    fn vouched(&self, component: &[u8], text: &[u8]) -> Result<(Verified, &TrustedKey), Error> {
        let (manifest, bundle) = match Proof::parse(text)? {
            Proof::Component => return self.signature(component, text),
            Proof::Image { manifest, bundle } => (manifest, bundle),
        };
        let (image, key) = self.signature(&manifest, &bundle)?;
        // Only now is the manifest read, and only what it names by digest is let through.
        let digest = Image::parse(&manifest)?.check(component)?;
        Ok((Verified { digest, bundle: text.to_owned(), ..image }, key))
    }

    /// The digest, then the signature, then what was signed.
    fn signature(&self, bytes: &[u8], text: &[u8]) -> Result<(Verified, &TrustedKey), Error> {
        let digest = Digest::of(bytes);
        let bundle = Bundle::parse(text)?;
        bundle.check_digest(&digest)?;
        let (publisher, trusted) = self.signer(&bundle, bytes)?;
        bundle.check_statement(&digest)?;
        let (publisher, key) = (publisher.clone(), trusted.key.id());
        Ok((Verified { digest, publisher, key, bundle: text.to_owned() }, trusted))
    }

    /// Whose key made this signature? A hint only says whom to ask first: what it names must fit.
    fn signer(&self, bundle: &Bundle, bytes: &[u8]) -> Result<(&Publisher, &TrustedKey), Error> {
        let keys = || {
            self.publishers
                .iter()
                .flat_map(|publisher| publisher.keys.iter().map(move |key| (publisher, key)))
        };
        let Some(hint) = bundle.hint() else {
            let mut fitting = keys().filter(|(_, key)| bundle.check(&key.key, bytes).is_ok());
            return fitting.next().ok_or(Error::NoKeyFits);
        };
        let named = keys().find(|(_, key)| key.key.id() == *hint);
        let (publisher, key) = named.ok_or_else(|| Error::UnknownKey(hint.clone()))?;
        let bad = |_| Error::BadSignature { publisher: publisher.name.clone(), key: hint.clone() };
        bundle.check(&key.key, bytes).map_err(bad)?;
        Ok((publisher, key))
    }

    /// Did a publisher sign this list, with a key that is good? An old list does not speak against a newer.
    pub(super) fn verify_list(&self, text: &[u8], bundle: &[u8], now: Timestamp) -> Result<Verified, Error> {
        let (verified, key) = self.signature(text, bundle)?;
        check_window(&verified.publisher.name, key, now)?;
        self.check_standing(&verified.standing())?;
        Ok(verified)
    }

    /// Is it known what the publisher took back?
    fn check_list(&self, publisher: &Name, now: Timestamp) -> Result<(), Error> {
        match self.list(publisher) {
            Some(Accepted { list, .. }) if list.expires <= now => Err(Error::ListStale {
                publisher: publisher.clone(),
                number: list.number,
                expired: list.expires,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Is the key there still, and neither it nor the component taken back?
    fn check_standing(&self, standing: &Standing) -> Result<(), Error> {
        let Standing { publisher, key, digest } = standing.clone();
        let known = self.publishers.iter().find(|known| known.name == publisher);
        let trusted = known.and_then(|known| known.keys.iter().find(|trusted| trusted.key.id() == key));
        let Some(trusted) = trusted else { return Err(Error::Withdrawn { publisher, key }) };
        if let Some(reason) = trusted.revoked.clone() {
            return Err(Error::KeyRevoked { publisher, key, by: "by the operator".to_owned(), reason });
        }
        let Some(Accepted { list, .. }) = self.list(&publisher) else { return Ok(()) };
        if let Some(reason) = list.reason_for_key(&key) {
            let (by, reason) = (format!("by its list {}", list.number), reason.to_owned());
            return Err(Error::KeyRevoked { publisher, key, by, reason });
        }
        if let Some(reason) = list.reason_for_digest(&digest) {
            let (number, reason) = (list.number, reason.to_owned());
            return Err(Error::DigestRevoked { publisher, digest, number, reason });
        }
        Ok(())
    }

    fn list(&self, publisher: &Name) -> Option<&Accepted> {
        self.lists.iter().find(|list| list.publisher == *publisher)
    }
}

fn check_window(publisher: &Name, trusted: &TrustedKey, now: Timestamp) -> Result<(), Error> {
    let (publisher, key) = (publisher.clone(), trusted.key.id());
    match (trusted.window.not_before, trusted.window.not_after) {
        (Some(from), _) if now < from => Err(Error::NotYet { publisher, key, from }),
        (_, Some(until)) if now >= until => Err(Error::KeyExpired { publisher, key, until }),
        _ => Ok(()),
    }
}
