//! What an error is to a program: the case that a script acts on, and an exit code stands for.

/// The kinds of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// What was asked for makes no sense.
    Usage,
    /// Something that was named is not there.
    NotFound,
    /// Something is there that should not be, or was changed meanwhile.
    Exists,
    /// A file stands where a folder is needed, or the other way round.
    WrongKind,
    /// Not granted, not signed, disabled, or forbidden by the service.
    Denied,
    /// The account's sign-in is not, or no longer, good.
    SignIn,
    /// No space left at the service.
    Quota,
    /// The service does not answer, or asks for patience.
    Unavailable,
    /// What is stored, or what came back, is not what was meant.
    Corrupt,
    /// The source changed while it was read.
    SourceChanged,
    /// The service cannot store this name or this length.
    BadName,
    /// The service has no such function.
    Unsupported,
    /// The service refused, for a reason that is not among these.
    Service,
    /// The connector broke down, or is not one.
    Connector,
    /// A file or a folder on this machine.
    Local,
    /// Wharf's own home.
    State,
}
