//! What this room can say, and what helps against it.

use super::{LoginError, ReferenceError};
use crate::{
    ErrorKind,
    hint::Hint,
    network::{ReadError, SendErrorKind},
    registry::Digest,
    trust::{bundle, image, sign},
};

/// Why something cannot be got from a registry, or put there. Each begins with whose fault it is: `place`
/// is a reference, `registry` a host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text that names no place.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// There is no request of that form.
    #[error("registry `{registry}`: `{address}` is no address")]
    Address {
        /// Which registry.
        registry: String,
        /// What it said, or was said to be.
        address: String,
    },
    /// A request without a reply.
    #[error("registry `{registry}`: no reply of `{host}`: {problem}")]
    Send {
        /// Which registry.
        registry: String,
        /// Who was asked: another, where the registry sent us on.
        host: String,
        /// Why.
        problem: SendErrorKind,
    },
    /// The guard would not let a request out.
    #[error("registry `{registry}`: nothing is sent to `{host}`: {problem}")]
    Refused {
        /// Which registry.
        registry: String,
        /// Where it would have gone.
        host: String,
        /// Why not.
        problem: crate::network::guard::Refusal,
    },
    /// A reply that is not whole.
    #[error("registry `{registry}`: {what}: {problem}")]
    Read {
        /// Which registry.
        registry: String,
        /// Of what.
        what: &'static str,
        /// Why.
        problem: ReadError,
    },
    /// It took longer than anything should.
    #[error("registry `{registry}` took more than {minutes} minutes")]
    TimedOut {
        /// Which registry.
        registry: String,
        /// How long it was waited for.
        minutes: u64,
    },
    /// Nothing is there.
    #[error("registry `{registry}` has no {what} of `{place}`")]
    NotFound {
        /// Which registry.
        registry: String,
        /// What is missing.
        what: &'static str,
        /// Of what.
        place: String,
    },
    /// One is nobody there, or may not.
    #[error("registry `{registry}` refuses {what} (status {status})")]
    Denied {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// What it said.
        status: u16,
    },
    /// Another status than the specification has.
    #[error("registry `{registry}` answers {what} with the status {status}{told}")]
    Status {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: &'static str,
        /// What it said.
        status: u16,
        /// Its own words, if any.
        told: String,
    },
    /// Sent from one address to the next.
    #[error("registry `{registry}` sends us from one address to the next")]
    Redirects {
        /// Which registry.
        registry: String,
    },
    /// Nobody knows how to sign in.
    #[error("registry `{registry}` asks for a sign-in that is not known here")]
    Challenge {
        /// Which registry.
        registry: String,
    },
    /// The token is none.
    #[error("registry `{registry}`: what `{host}` gives as a token is none")]
    Token {
        /// Which registry.
        registry: String,
        /// Who gives tokens for it.
        host: String,
    },
    /// The manifest has another digest.
    #[error(
        "registry `{registry}` gave another manifest of `{place}` than it says: it has {actual}, and not {named}"
    )]
    ManifestDigest {
        /// Which registry.
        registry: String,
        /// Of what.
        place: String,
        /// What it should have.
        named: Digest,
        /// What it has.
        actual: Digest,
    },
    /// The registry says what no digest is.
    #[error(
        "registry `{registry}` says that the manifest of `{place}` has the digest `{said}`, which is no sha256"
    )]
    OddDigest {
        /// Which registry.
        registry: String,
        /// Of what.
        place: String,
        /// What it says.
        said: String,
    },
    /// A blob has another digest or size.
    #[error(
        "registry `{registry}` gave another {what} than the manifest of `{place}` names: it has {actual}, and not {named}"
    )]
    BlobDigest {
        /// Which registry.
        registry: String,
        /// What it is.
        what: &'static str,
        /// Of what.
        place: String,
        /// What it should have: digest and length.
        named: String,
        /// What it has.
        actual: String,
    },
    /// The manifest names no component.
    #[error("the manifest of `{place}` {problem}")]
    Image {
        /// Of what.
        place: String,
        /// What is wrong with it.
        problem: image::Error,
    },
    /// What it names is larger than it may be.
    #[error("the {what} of `{place}` has {bytes} bytes, and may have {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Of what.
        place: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// What refers to an image is not listed in a form that is known.
    #[error("registry `{registry}`: the list of what is signed about `{place}` is malformed: {problem}")]
    Index {
        /// Which registry.
        registry: String,
        /// About what.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody signed it.
    #[error("registry `{registry}` has no signature bundle of `{place}`")]
    NoBundle {
        /// Which registry.
        registry: String,
        /// Of what.
        place: String,
    },
    /// The annotations say another version than the component.
    #[error(
        "the annotations of `{place}` name the version `{annotated}`, and the connector is version {version}"
    )]
    OtherVersion {
        /// Of what.
        place: String,
        /// What they say.
        annotated: String,
        /// What it is.
        version: String,
    },
    /// It has another digest there than here.
    #[error("registry `{registry}` keeps `{place}` under {said}, and it has {actual}")]
    Kept {
        /// Which registry.
        registry: String,
        /// What was put there.
        place: String,
        /// What the registry says.
        said: String,
        /// What it has.
        actual: Digest,
    },
    /// A place to publish to is named by a tag.
    #[error("`{place}` is named by its digest, and what is published is named by a tag")]
    NoTag {
        /// Which.
        place: String,
    },
    /// A file with logins.
    #[error("the file with logins {0}")]
    Login(#[from] LoginError),
    /// A key that cannot sign.
    #[error("the key {0}")]
    Key(#[from] sign::Error),
    /// A bundle that cannot be read.
    #[error("the bundle {0}")]
    Bundle(#[from] bundle::Error),
    /// What is to be published cannot be written down.
    #[error("what is published cannot be written: {0}")]
    Written(String),
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Reference(_) | Self::NoTag { .. } | Self::Login(_) | Self::Key(_) => ErrorKind::Usage,
            Self::Address { .. }
            | Self::Status { .. }
            | Self::Redirects { .. }
            | Self::Challenge { .. }
            | Self::Token { .. }
            | Self::Index { .. }
            | Self::Written(_) => ErrorKind::Service,
            Self::Send { .. } | Self::Read { .. } | Self::TimedOut { .. } => ErrorKind::Unavailable,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Refused { .. }
            | Self::Denied { .. }
            | Self::Image { .. }
            | Self::TooLarge { .. }
            | Self::Bundle(_)
            | Self::NoBundle { .. } => ErrorKind::Denied,
            Self::ManifestDigest { .. }
            | Self::OddDigest { .. }
            | Self::BlobDigest { .. }
            | Self::OtherVersion { .. }
            | Self::Kept { .. } => ErrorKind::Corrupt,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Reference(_) => "write it as `oci://registry.acme.com/onedrive:1.4.0`".to_owned(),
            Self::NoTag { .. } => "write `:TAG` after the repository, the version for example".to_owned(),
            Self::Refused { registry, .. } => format!(
                "registries are reached by name, over https and on the internet; if `{registry}` is your own, allow it with `--registry-insecure HOST:PORT`"
            ),
            Self::Send { .. } | Self::TimedOut { .. } => {
                "see that the name is right and the registry works, and run the same command again".to_owned()
            }
            Self::Read { problem: ReadError::TooLarge { .. }, .. } => {
                "do not use this registry: no honest one answers with so much".to_owned()
            }
            Self::Read { .. } => "run the same command again".to_owned(),
            Self::NotFound { .. } => "see that the repository and the tag are right".to_owned(),
            Self::Denied { registry, .. } => format!(
                "if it needs a sign-in, name a file with the login of `{registry}` as `docker login` writes it: `--registry-config FILE`"
            ),
            Self::Login(error) => return error.hint(),
            Self::Key(error) => return error.hint(),
            Self::NoBundle { place, .. } => format!(
                "ask its publisher to sign it: `wharf connector publish FILE OCI --key KEY`, or `cosign sign --key KEY {}` (cosign 3); `--allow-unsigned` installs it all the same, shown as unsigned everywhere",
                place.strip_prefix("oci://").unwrap_or(place)
            ),
            Self::ManifestDigest { .. } | Self::OddDigest { .. } | Self::BlobDigest { .. } => {
                "nothing of it was used; get it from another registry, or ask who runs this one".to_owned()
            }
            Self::Image { .. } | Self::OtherVersion { .. } | Self::Bundle(_) => {
                "ask its publisher for one that `wharf connector publish` made".to_owned()
            }
            Self::TooLarge { .. } => "no connector is that large: see that the reference is right".to_owned(),
            Self::Kept { .. } => "do not tell anybody of this release before you know why".to_owned(),
            Self::Address { .. }
            | Self::Status { .. }
            | Self::Redirects { .. }
            | Self::Challenge { .. }
            | Self::Token { .. }
            | Self::Index { .. } => "see that this is an OCI registry, and whether it is in order".to_owned(),
            Self::Written(_) => return None,
        })
    }
}
