//! What this room can say, and what helps against it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{bundle, image, key::KeyId};
use crate::{
    ErrorKind,
    hint::Hint,
    home::{self, Name},
    registry::Digest,
};

/// Why something is not believed, or cannot be written down.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The bundle is of no use, or about something else.
    #[error("its bundle {0}")]
    Bundle(#[from] bundle::Error),
    /// The manifest that was signed names no component, or another.
    #[error("its signed manifest {0}")]
    Image(#[from] image::Error),
    /// Nobody is trusted who has this key.
    #[error("it is signed with key `{}`, which no trusted publisher has", .0.short())]
    UnknownKey(KeyId),
    /// The bundle names no key, and no trusted one fits.
    #[error("it is signed with a key that no trusted publisher has")]
    NoKeyFits,
    /// The key is known, but it did not sign these bytes.
    #[error("key `{}` of publisher `{publisher}` did not sign these bytes: they, or the bundle, were changed", key.short())]
    BadSignature {
        /// Whose key.
        publisher: Name,
        /// Which.
        key: KeyId,
    },
    /// The key is not good yet.
    #[error("key `{}` of publisher `{publisher}` is good from {from} on", key.short())]
    NotYet {
        /// Whose key.
        publisher: Name,
        /// Which.
        key: KeyId,
        /// Its first moment.
        from: Timestamp,
    },
    /// The key was good once.
    #[error("key `{}` of publisher `{publisher}` was good until {until}", key.short())]
    KeyExpired {
        /// Whose key.
        publisher: Name,
        /// Which.
        key: KeyId,
        /// Its last moment.
        until: Timestamp,
    },
    /// The key was taken back.
    #[error("key `{}` of publisher `{publisher}` was revoked {by}: {reason}", key.short())]
    KeyRevoked {
        /// Whose key.
        publisher: Name,
        /// Which.
        key: KeyId,
        /// By whom: `by the operator`, `by its list 7`.
        by: String,
        /// Why.
        reason: String,
    },
    /// The component was taken back.
    #[error("publisher `{publisher}` revoked {digest} by its list {number}: {reason}")]
    DigestRevoked {
        /// Whose component.
        publisher: Name,
        /// Which.
        digest: Digest,
        /// By which list.
        number: u64,
        /// Why.
        reason: String,
    },
    /// Nobody knows any more what the publisher took back.
    #[error(
        "revocation list {number} of publisher `{publisher}` expired on {expired}, and there is no newer one here"
    )]
    ListStale {
        /// Whose list.
        publisher: Name,
        /// Which.
        number: u64,
        /// When.
        expired: Timestamp,
    },
    /// The publisher signed something that is not theirs to name.
    #[error("publisher `{publisher}` may sign ids of {prefixes}, and this one is `{id}`")]
    ForeignId {
        /// Who signed.
        publisher: Name,
        /// What they may.
        prefixes: String,
        /// What it is.
        id: String,
    },
    /// The publisher, or the key, is not in `trust.toml` any more.
    #[error("it was signed by `{publisher}` with key `{}`, which is not trusted any more", key.short())]
    Withdrawn {
        /// Who signed.
        publisher: Name,
        /// With which key.
        key: KeyId,
    },
    /// What was installed as signed has no bundle any more.
    #[error("its bundle is gone from the home")]
    BundleGone,
    /// No publisher of this name, no key of this id.
    #[error("there is no publisher and no key `{0}`")]
    NotFound(String),
    /// The first digits of more than one key.
    #[error("`{0}` begins the id of more than one key")]
    Ambiguous(String),
    /// The key belongs to somebody.
    #[error("key `{}` is publisher `{publisher}`'s already", key.short())]
    KeyTaken {
        /// Which key.
        key: KeyId,
        /// Whose.
        publisher: Name,
    },
    /// The ids belong to somebody.
    #[error("ids of `{prefix}` are publisher `{publisher}`'s already")]
    PrefixTaken {
        /// Which ids.
        prefix: String,
        /// Whose.
        publisher: Name,
    },
    /// What was to be written makes no sense.
    #[error("publisher `{publisher}` {problem}")]
    Entry {
        /// Which publisher.
        publisher: Name,
        /// What is wrong, to follow its name.
        problem: String,
    },
    /// Connectors are installed that they signed.
    #[error("publisher `{publisher}` signed {connectors}, installed here")]
    InUse {
        /// Which publisher.
        publisher: Name,
        /// The connectors, quoted.
        connectors: String,
    },
    /// A revocation list that cannot be taken.
    #[error("the revocation list {0}")]
    List(String),
    /// Older than the one that is known.
    #[error(
        "the revocation list of publisher `{publisher}` has the number {number}, and {seen} is known already"
    )]
    ListOld {
        /// Whose.
        publisher: Name,
        /// Its number.
        number: u64,
        /// The number of the one that is known.
        seen: u64,
    },
    /// The same number twice, with other contents.
    #[error("another revocation list {number} of publisher `{publisher}` is known already")]
    ListTwice {
        /// Whose.
        publisher: Name,
        /// The number of both.
        number: u64,
    },
    /// It expired before it came.
    #[error("revocation list {number} of publisher `{publisher}` expired on {expired}")]
    ListExpired {
        /// Whose.
        publisher: Name,
        /// Which.
        number: u64,
        /// When.
        expired: Timestamp,
    },
    /// A file of the home cannot be understood.
    #[error("`{file}` {problem}")]
    File {
        /// Which.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(Arc<home::Error>),
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Bundle(bundle::Error::OtherDigest { .. })
            | Self::Image(image::Error::OtherLayer { .. } | image::Error::OtherSize { .. })
            | Self::BadSignature { .. }
            | Self::BundleGone => ErrorKind::Corrupt,
            Self::Image(
                image::Error::Malformed(_)
                | image::Error::TooLarge
                | image::Error::Index
                | image::Error::Type(_)
                | image::Error::Config(_)
                | image::Error::Layers(_)
                | image::Error::LayerType(_)
                | image::Error::Foreign,
            ) => ErrorKind::Denied,
            Self::Bundle(bundle::Error::Malformed(_) | bundle::Error::Refused(_))
            | Self::UnknownKey(_)
            | Self::NoKeyFits
            | Self::NotYet { .. }
            | Self::KeyExpired { .. }
            | Self::KeyRevoked { .. }
            | Self::DigestRevoked { .. }
            | Self::ListStale { .. }
            | Self::ForeignId { .. }
            | Self::Withdrawn { .. }
            | Self::List(_)
            | Self::ListOld { .. }
            | Self::ListTwice { .. }
            | Self::ListExpired { .. } => ErrorKind::Denied,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::KeyTaken { .. } | Self::PrefixTaken { .. } | Self::InUse { .. } => ErrorKind::Exists,
            Self::Ambiguous(_) | Self::Entry { .. } => ErrorKind::Usage,
            Self::File { .. } | Self::Home(_) => ErrorKind::State,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Bundle(bundle::Error::OtherDigest { .. }) => {
                "get the file and its bundle again, both from the publisher".to_owned()
            }
            Self::Bundle(bundle::Error::Malformed(_) | bundle::Error::Refused(_)) => {
                "sign it with `wharf connector sign FILE --key KEY`, or `cosign sign-blob --key KEY --bundle FILE.sigstore.json FILE`"
                    .to_owned()
            }
            Self::Image(_) => "publish it with `wharf connector publish FILE oci://HOST/REPO:TAG --key KEY`".to_owned(),
            Self::UnknownKey(_) | Self::NoKeyFits => {
                "if you trust its owner, run `wharf trust add NAME --key FILE --id-prefix PREFIX`".to_owned()
            }
            Self::BadSignature { .. } => "get it again from the publisher; sign Ed25519 without pre-hashing".to_owned(),
            Self::NotYet { .. } => "see that this machine's clock is right, or wait until then".to_owned(),
            Self::KeyExpired { publisher, .. } => format!(
                "get a version that is signed with a newer key, and run `wharf trust add {publisher} --key FILE` for that"
            ),
            Self::KeyRevoked { publisher, .. } => format!(
                "install a version that is signed with another key of `{publisher}`; `wharf trust list` has them"
            ),
            Self::DigestRevoked { publisher, .. } => {
                format!("install a newer version of `{publisher}`'s")
            }
            Self::ListStale { publisher, .. } | Self::ListExpired { publisher, .. } | Self::ListOld { publisher, .. } => {
                format!("get the newest list of `{publisher}`, and run `wharf trust update FILE`")
            }
            Self::ForeignId { publisher, id, .. } => format!(
                "do not install it, unless you know why `{publisher}` signs `{id}`; then run `wharf trust add {publisher} --id-prefix {id}`"
            ),
            Self::Withdrawn { publisher, .. } => format!(
                "run `wharf trust add {publisher} --key FILE --id-prefix PREFIX` if you trust it again, or install another version"
            ),
            Self::BundleGone => "install it again, with its bundle".to_owned(),
            Self::NotFound(_) => "run `wharf trust list` to see which there are".to_owned(),
            Self::Ambiguous(_) => "write more digits of it".to_owned(),
            Self::KeyTaken { publisher, .. } | Self::PrefixTaken { publisher, .. } => {
                format!("`wharf trust list` shows what is `{publisher}`'s")
            }
            Self::InUse { publisher, .. } => format!(
                "remove those connectors first, or run `wharf trust revoke {publisher} --reason TEXT` to stop them"
            ),
            Self::ListTwice { publisher, .. } => {
                format!("ask `{publisher}` which is right: two lists of one number should not exist")
            }
            Self::List(_) => "make lists with `wharf trust issue`".to_owned(),
            Self::Home(error) => return error.hint(),
            Self::Entry { .. } | Self::File { .. } => return None,
        })
    }
}
