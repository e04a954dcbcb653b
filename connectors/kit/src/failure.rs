//! What the lack of a reply means for an operation.

use crate::{Error, Failure};

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied => Self::Denied,
            Failure::SignInAgain => Self::SignInAgain,
            Failure::Throttled(seconds) => Self::Throttled(seconds),
            Failure::Unreachable | Failure::TimedOut => Self::Unavailable,
            Failure::Lost => Self::Lost,
            // `Error::TooLarge` is about files; a reply beyond every bound has no sense in it.
            Failure::TooLarge => Self::Unavailable,
            Failure::SourceChanged => Self::SourceChanged,
            Failure::Invalid(text) => Self::Other(format!("the host refused a request: {text}")),
        }
    }
}

impl Error {
    /// Would the same trouble meet whatever else this operation sends? Then it should stop asking.
    #[must_use]
    pub const fn ends_operation(&self) -> bool {
        match self {
            Self::SignInAgain | Self::Throttled(_) | Self::Unavailable | Self::Lost | Self::Quota => true,
            Self::NotFound
            | Self::Exists
            | Self::WrongKind
            | Self::Denied
            | Self::Conflict
            | Self::BadName(_)
            | Self::TooLarge
            | Self::Corrupt
            | Self::SessionGone
            | Self::CursorGone
            | Self::Unsupported
            | Self::SourceChanged
            | Self::Other(_) => false,
        }
    }
}
