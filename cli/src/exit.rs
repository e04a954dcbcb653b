//! How the command ends: every exit code, in one table.
//!
//! Scripts rely on these numbers. One that has been given out keeps its meaning; a new reason gets a
//! new number.

use std::fmt::Write as _;
use std::process::ExitCode;

use wharf_runtime::{ErrorKind, account, destination, host, oci, recovery, registry, rotation, trust, vault};

/// Why the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// Some of it failed, or nothing below says it better.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// What was named is not there.
    NotFound,
    /// Something is there already, is in use, or was changed by someone else.
    Exists,
    /// No grant covers it, the destination is read-only, or the service refuses it.
    Denied,
    /// The account must sign in again.
    SignIn,
    /// No space left at the service.
    Quota,
    /// The service or the network cannot be used for now.
    Unavailable,
    /// What is stored is not what was meant.
    Corrupt,
    /// The source changed while it was read.
    SourceChanged,
    /// A name or a size that the service cannot store.
    BadName,
    /// A local file or folder could not be read or written.
    Local,
    /// The connector broke down, or was stopped.
    Broken,
    /// The home, or what is configured in it, cannot be used.
    Home,
    /// The file is no connector that may be installed.
    Unfit,
    /// A question was answered with no, or there was nobody to ask.
    Unconfirmed,
    /// Interrupted from the keyboard, or asked to end.
    Interrupted,
}

impl Exit {
    /// All of them, in the order of their codes.
    const ALL: [Self; 18] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Exists,
        Self::Denied,
        Self::SignIn,
        Self::Quota,
        Self::Unavailable,
        Self::Corrupt,
        Self::SourceChanged,
        Self::BadName,
        Self::Local,
        Self::Broken,
        Self::Home,
        Self::Unfit,
        Self::Unconfirmed,
        Self::Interrupted,
    ];

    /// What the operating system is told.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Exists => 4,
            Self::Denied => 5,
            Self::SignIn => 6,
            Self::Quota => 7,
            Self::Unavailable => 8,
            Self::Corrupt => 9,
            Self::SourceChanged => 10,
            Self::BadName => 11,
            Self::Local => 12,
            Self::Broken => 13,
            Self::Home => 14,
            Self::Unfit => 15,
            Self::Unconfirmed => 16,
            // 128 + SIGINT, as shells have it.
            Self::Interrupted => 130,
        }
    }

    /// One word for programs, the `kind` of an error in `--json`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Exists => "exists",
            Self::Denied => "denied",
            Self::SignIn => "sign-in-again",
            Self::Quota => "quota",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::SourceChanged => "source-changed",
            Self::BadName => "bad-name",
            Self::Local => "local",
            Self::Broken => "connector-broken",
            Self::Home => "home",
            Self::Unfit => "unfit",
            Self::Unconfirmed => "unconfirmed",
            Self::Interrupted => "interrupted",
        }
    }

    /// What it means, for people.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "everything that was asked for is done",
            Self::Failed => "some files failed, or something that no other code says",
            Self::Usage => "the command line makes no sense",
            Self::NotFound => "a destination, account, connector, file or folder is not there",
            Self::Exists => "something is there already, is in use, or was changed meanwhile",
            Self::Denied => "no grant covers it, it is read-only, or the service refuses it",
            Self::SignIn => "the account must sign in again",
            Self::Quota => "no space left at the service",
            Self::Unavailable => "the service or the network cannot be used for now",
            Self::Corrupt => "what is stored, or what arrived, is not what was meant",
            Self::SourceChanged => "a file changed while it was read",
            Self::BadName => "a name or a size that the service cannot store",
            Self::Local => "a local file or folder cannot be read or written",
            Self::Broken => "the connector broke down, or was stopped at a limit",
            Self::Home => "the home, or what is configured in it, cannot be used",
            Self::Unfit => "the file is no connector that may be packed or installed",
            Self::Unconfirmed => "a question was answered with no, or nobody was there to ask",
            Self::Interrupted => "interrupted; what was acknowledged until then is kept",
        }
    }

    /// The table that `wharf --help` ends with.
    pub(crate) fn table() -> String {
        let mut table = String::from("Exit codes:\n");
        for exit in Self::ALL {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "  {:>3}  {}", exit.code(), exit.meaning());
        }
        table
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Exists | ErrorKind::WrongKind => Self::Exists,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::SignIn => Self::SignIn,
            ErrorKind::Quota => Self::Quota,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::SourceChanged => Self::SourceChanged,
            ErrorKind::BadName => Self::BadName,
            ErrorKind::Unsupported | ErrorKind::Service => Self::Failed,
            ErrorKind::Connector => Self::Broken,
            ErrorKind::Local => Self::Local,
            ErrorKind::State => Self::Home,
        }
    }
}

impl From<&account::Error> for Exit {
    fn from(error: &account::Error) -> Self {
        match error {
            account::Error::NotFound(_) => Self::NotFound,
            account::Error::Exists(_) | account::Error::InUse { .. } => Self::Exists,
            account::Error::Sealed(_)
            | account::Error::SignInAgain { .. }
            | account::Error::ClientRefused { .. }
            | account::Error::StillRefused { .. } => Self::SignIn,
            account::Error::Unavailable { .. } => Self::Unavailable,
            account::Error::File { .. }
            | account::Error::Endpoint { .. }
            | account::Error::Home(_)
            | account::Error::Vault(_) => Self::Home,
        }
    }
}

impl From<&account::sign_in::Error> for Exit {
    fn from(error: &account::sign_in::Error) -> Self {
        match error {
            account::sign_in::Error::Account(error) => Self::from(error),
            account::sign_in::Error::Unsupported { .. }
            | account::sign_in::Error::Declined { .. }
            | account::sign_in::Error::OtherQuestion(_)
            | account::sign_in::Error::Pasted { .. }
            | account::sign_in::Error::TooLate { .. }
            | account::sign_in::Error::Port { .. }
            | account::sign_in::Error::Random(_) => Self::from(error.kind()),
        }
    }
}

impl From<&vault::Error> for Exit {
    fn from(error: &vault::Error) -> Self {
        match error {
            vault::Error::InUse { .. } => Self::Exists,
            vault::Error::NoNewKey { .. } => Self::Usage,
            vault::Error::Home(_)
            | vault::Error::KeyDamaged(_)
            | vault::Error::RecordDamaged
            | vault::Error::NoKey(_)
            | vault::Error::KeyAbsent(_)
            | vault::Error::OtherKey { .. }
            | vault::Error::NotAgreed { .. }
            | vault::Error::OldAbsent(_)
            | vault::Error::NothingSealed
            | vault::Error::NotOurs
            | vault::Error::Sealing => Self::Home,
        }
    }
}

impl From<&rotation::Error> for Exit {
    fn from(error: &rotation::Error) -> Self {
        match error {
            rotation::Error::Vault(error) => Self::from(error),
            rotation::Error::Home(_) | rotation::Error::Account(_) | rotation::Error::State(_) => Self::Home,
        }
    }
}

impl From<&destination::Error> for Exit {
    fn from(error: &destination::Error) -> Self {
        match error {
            destination::Error::NotFound(_) | destination::Error::NoAccount { .. } => Self::NotFound,
            destination::Error::Exists(_) | destination::Error::DirectoryTaken { .. } => Self::Exists,
            destination::Error::ForLife { .. }
            | destination::Error::ReadOnlyDr(_)
            | destination::Error::NotOwner { .. } => Self::Denied,
            destination::Error::File { .. } | destination::Error::Home(_) => Self::Home,
        }
    }
}

impl From<&registry::Error> for Exit {
    fn from(error: &registry::Error) -> Self {
        match error {
            registry::Error::NotInstalled(_) | registry::Error::OtherVersion { .. } => Self::NotFound,
            registry::Error::TypeTaken { .. }
            | registry::Error::Downgrade { .. }
            | registry::Error::SameVersion { .. }
            | registry::Error::SignatureLost { .. }
            | registry::Error::InUse { .. } => Self::Exists,
            registry::Error::Description(_) | registry::Error::TooLarge => Self::Unfit,
            registry::Error::Damaged(_) | registry::Error::Index(_) | registry::Error::Home(_) => Self::Home,
        }
    }
}

impl From<&recovery::Error> for Exit {
    fn from(error: &recovery::Error) -> Self {
        match error {
            recovery::Error::Vault(error) => Self::from(error),
            recovery::Error::Account(error) => Self::from(error),
            recovery::Error::Destination(error) => Self::from(error),
            recovery::Error::Registry(error) => Self::from(error),
            recovery::Error::Trust(error) => Self::from(error),
            recovery::Error::Host(error) => Self::from(error),
            recovery::Error::NoKey
            | recovery::Error::KeyExists
            | recovery::Error::KeyDamaged
            | recovery::Error::NotAKey(_)
            | recovery::Error::NotDr(_)
            | recovery::Error::NoneDr
            | recovery::Error::TooLarge { .. }
            | recovery::Error::NoExport(_)
            | recovery::Error::NotAnExport
            | recovery::Error::Newer { .. }
            | recovery::Error::OtherKey { .. }
            | recovery::Error::Damaged(_)
            | recovery::Error::Record(_)
            | recovery::Error::Home(_)
            | recovery::Error::State(_)
            | recovery::Error::Attached(_) => Self::from(error.kind()),
        }
    }
}

impl From<&trust::Error> for Exit {
    fn from(error: &trust::Error) -> Self {
        use trust::{Error, bundle};
        // A file that is no bundle, or no list, is told apart from one that is not believed.
        if matches!(
            error,
            Error::Bundle(bundle::Error::Malformed(_) | bundle::Error::Refused(_)) | Error::List(_)
        ) {
            return Self::Unfit;
        }
        Self::from(error.kind())
    }
}

impl From<&oci::Error> for Exit {
    fn from(error: &oci::Error) -> Self {
        match error {
            // What is no connector is told apart from what is not believed, as with files.
            oci::Error::Image { .. } | oci::Error::TooLarge { .. } | oci::Error::Bundle(_) => Self::Unfit,
            oci::Error::Reference(_)
            | oci::Error::Address { .. }
            | oci::Error::Send { .. }
            | oci::Error::Refused { .. }
            | oci::Error::Read { .. }
            | oci::Error::TimedOut { .. }
            | oci::Error::NotFound { .. }
            | oci::Error::Denied { .. }
            | oci::Error::Status { .. }
            | oci::Error::Redirects { .. }
            | oci::Error::Challenge { .. }
            | oci::Error::Token { .. }
            | oci::Error::ManifestDigest { .. }
            | oci::Error::OddDigest { .. }
            | oci::Error::BlobDigest { .. }
            | oci::Error::Index { .. }
            | oci::Error::NoBundle { .. }
            | oci::Error::OtherVersion { .. }
            | oci::Error::Kept { .. }
            | oci::Error::NoTag { .. }
            | oci::Error::Login(_)
            | oci::Error::Key(_)
            | oci::Error::Written(_) => Self::from(error.kind()),
        }
    }
}

impl From<&host::Error> for Exit {
    fn from(error: &host::Error) -> Self {
        match error {
            host::Error::Account(error) => Self::from(error),
            host::Error::Destination(error) => Self::from(error),
            host::Error::Registry(error) => Self::from(error),
            // The runtime has one kind for connectors; here a file that never was one is told apart
            // from a connector that broke.
            host::Error::Component(_) => Self::Unfit,
            host::Error::Trust(error) => Self::from(error),
            host::Error::Oci(error) => Self::from(&**error),
            host::Error::Home(_)
            | host::Error::Vault(_)
            | host::Error::State(_)
            | host::Error::Catalog(_)
            | host::Error::Audit(_)
            | host::Error::Network(_)
            | host::Error::Options { .. }
            | host::Error::HomeInside { .. }
            | host::Error::Disabled(_)
            | host::Error::InUse { .. }
            | host::Error::Stopped { .. }
            | host::Error::NoAccount { .. }
            | host::Error::AccountType { .. }
            | host::Error::AccountReadOnly { .. }
            | host::Error::NoClient(_)
            | host::Error::NoSignIn(_)
            | host::Error::Unsigned => Self::from(error.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_are_unique_and_in_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
        let mut words: Vec<&str> = Exit::ALL.iter().map(|exit| exit.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Exit::ALL.len());
    }

    #[test]
    fn the_table_is_stable() {
        insta::assert_snapshot!(Exit::table(), @"
        Exit codes:
            0  everything that was asked for is done
            1  some files failed, or something that no other code says
            2  the command line makes no sense
            3  a destination, account, connector, file or folder is not there
            4  something is there already, is in use, or was changed meanwhile
            5  no grant covers it, it is read-only, or the service refuses it
            6  the account must sign in again
            7  no space left at the service
            8  the service or the network cannot be used for now
            9  what is stored, or what arrived, is not what was meant
           10  a file changed while it was read
           11  a name or a size that the service cannot store
           12  a local file or folder cannot be read or written
           13  the connector broke down, or was stopped at a limit
           14  the home, or what is configured in it, cannot be used
           15  the file is no connector that may be packed or installed
           16  a question was answered with no, or nobody was there to ask
          130  interrupted; what was acknowledged until then is kept
        ");
    }
}
