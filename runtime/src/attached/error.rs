//! An operation that failed: where, why, and what helps.

use std::fmt;

use crate::ErrorKind;
use crate::folder::Folder;
use crate::hint::Hint;
use crate::home::Name;
use crate::path::RelativePath;
use crate::sandbox::Overdrawn;
use crate::sandbox::operation::{self, Refusal};

/// An operation that failed, and where.
#[derive(Debug, Clone)]
pub struct Error {
    /// The destination.
    pub destination: Name,
    /// What was tried, as the contract calls it: `list`, `put`.
    pub operation: &'static str,
    /// At which path.
    pub path: RelativePath,
    /// Why it failed.
    pub problem: operation::Error,
    /// The backup directory, where that is on this machine: what helps is another thing then.
    pub folder: Option<Folder>,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, operation, path, problem, folder: _ } = self;
        write!(formatter, "cannot {} `{destination}:{path}`: {problem}", phrase(operation))
    }
}

/// An operation as people say it.
fn phrase(operation: &str) -> &str {
    match operation {
        "claim" => "leave the mark of ownership",
        "export" => "store the export of the configuration",
        "recover" => "read the export of a configuration",
        "stat" => "look at",
        "make-folder" => "make the folder",
        "put" => "store",
        "begin-upload" | "upload-part" => "upload",
        "upload-status" => "resume the upload of",
        "abort-upload" => "abort the upload of",
        "finish-uploads" => "finish the upload of",
        "get" => "read",
        "relocate" => "move",
        "relocation-status" => "see whether the service has finished",
        "usage" => "ask how full the service is for",
        "changes" => "ask what changed in",
        other => other,
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            operation::Error::Refused { cause: Some(cause), .. } => Some(cause.as_ref()),
            operation::Error::Refused { cause: None, .. }
            | operation::Error::Trapped(_)
            | operation::Error::Overdrawn(_)
            | operation::Error::Nonsense(_)
            | operation::Error::Stopped { .. } => None,
        }
    }
}

impl Error {
    /// What helps, where the host itself refused and knows.
    fn remedy(&self) -> Option<&str> {
        match &self.problem {
            operation::Error::Refused { cause: Some(cause), .. } => cause.remedy.as_deref(),
            operation::Error::Stopped { hint, .. } => hint.as_deref(),
            operation::Error::Refused { cause: None, .. }
            | operation::Error::Trapped(_)
            | operation::Error::Overdrawn(_)
            | operation::Error::Nonsense(_) => None,
        }
    }

    /// Would nothing else fare better that is stored at the destination?
    #[must_use]
    pub const fn is_of_all(&self) -> bool {
        match &self.problem {
            operation::Error::Refused { cause: Some(cause), .. } => cause.of_all,
            operation::Error::Refused { cause: None, .. }
            | operation::Error::Trapped(_)
            | operation::Error::Overdrawn(_)
            | operation::Error::Nonsense(_) => false,
            operation::Error::Stopped { .. } => true,
        }
    }

    /// What it is to a program.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let refusal = match &self.problem {
            operation::Error::Refused { refusal, .. } => refusal,
            operation::Error::Stopped { .. } => return ErrorKind::Denied,
            operation::Error::Trapped(_) | operation::Error::Overdrawn(_) | operation::Error::Nonsense(_) => {
                return ErrorKind::Connector;
            }
        };
        match refusal {
            Refusal::NotFound => ErrorKind::NotFound,
            Refusal::Exists | Refusal::Conflict => ErrorKind::Exists,
            Refusal::WrongKind => ErrorKind::WrongKind,
            Refusal::Denied => ErrorKind::Denied,
            Refusal::SignInAgain => ErrorKind::SignIn,
            Refusal::Quota => ErrorKind::Quota,
            Refusal::Throttled(_)
            | Refusal::Unavailable
            | Refusal::Lost
            | Refusal::SessionGone
            | Refusal::CursorGone => ErrorKind::Unavailable,
            Refusal::BadName(_) | Refusal::TooLarge => ErrorKind::BadName,
            Refusal::Corrupt => ErrorKind::Corrupt,
            Refusal::Unsupported => ErrorKind::Unsupported,
            Refusal::SourceChanged => ErrorKind::SourceChanged,
            Refusal::Other(_) => ErrorKind::Service,
        }
    }
}

impl Error {
    fn hint_on_the_connector(&self) -> String {
        let report = "report this to the connector's vendor; `RUST_LOG=connector=debug` shows what it logs";
        let option = match &self.problem {
            operation::Error::Overdrawn(Overdrawn::Cpu(_)) => "--guest-limit cpu=SECONDS",
            operation::Error::Overdrawn(Overdrawn::Wall(_)) => "--guest-limit wait=SECONDS",
            operation::Error::Trapped(reason) if reason.contains(operation::MEMORY_REFUSED) => {
                "--guest-limit memory=MIB"
            }
            operation::Error::Trapped(reason) if reason.contains(operation::TABLES_REFUSED) => {
                "--guest-limit tables=ELEMENTS"
            }
            operation::Error::Trapped(reason) if reason.contains(operation::STACK_EXHAUSTED) => {
                "--guest-limit stack=KIB"
            }
            operation::Error::Trapped(reason) if reason.contains(operation::HANDLES_EXHAUSTED) => {
                "--guest-limit handles=NUMBER"
            }
            operation::Error::Trapped(_)
            | operation::Error::Nonsense(_)
            | operation::Error::Refused { .. }
            | operation::Error::Stopped { .. } => return report.to_owned(),
        };
        format!("{report}; `{option}` allows it more")
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let name = &self.destination;
        if let Some(remedy) = self.remedy() {
            return Some(remedy.to_owned());
        }
        if let Some(folder) = &self.folder
            && let Some(hint) = self.hint_on_this_machine(folder)
        {
            return Some(hint);
        }
        match self.kind() {
            ErrorKind::NotFound => Some(format!("run `wharf ls {name}:` to see what is there")),
            ErrorKind::Denied => Some(format!(
                "run `wharf destination show {name}` to see what is granted, and `wharf audit {name}` for the request"
            )),
            ErrorKind::SignIn => Some(format!(
                "run `wharf destination show {name}` to see its account, then give that account a new token"
            )),
            ErrorKind::Quota => Some("free some space at the service, or use another destination".to_owned()),
            ErrorKind::Unavailable => {
                Some(format!("run the same command again later; `wharf audit {name}` has what was tried"))
            }
            ErrorKind::BadName => Some("rename it, or leave it out with `--exclude`".to_owned()),
            ErrorKind::SourceChanged => {
                Some("run the same command again once nothing writes to it, or copy a snapshot".to_owned())
            }
            ErrorKind::Connector => Some(self.hint_on_the_connector()),
            ErrorKind::WrongKind => Some("remove or rename one of the two".to_owned()),
            ErrorKind::Unsupported if matches!(self.operation, "relocate" | "copy") => Some(format!(
                "copy it to a local folder and from there to its new path: `wharf copy {name}:{} ./folder`",
                self.path
            )),
            ErrorKind::Usage
            | ErrorKind::Exists
            | ErrorKind::Corrupt
            | ErrorKind::Unsupported
            | ErrorKind::Service
            | ErrorKind::Local
            | ErrorKind::State => None,
        }
    }
}

impl Error {
    /// The remedy, where it is another than for a service.
    fn hint_on_this_machine(&self, folder: &Folder) -> Option<String> {
        let (name, directory) = (&self.destination, folder.path().display());
        match self.problem.refusal() {
            Some(Refusal::Denied) => Some(format!(
                "see who may read and write in `{directory}`, and with `wharf destination show {name}` what is granted"
            )),
            Some(Refusal::Quota) => Some(format!(
                "free some space on the disk of `{directory}`, then run the same command again: nothing half-written was left"
            )),
            Some(Refusal::Unavailable) => Some(format!("see that the disk of `{directory}` answers")),
            Some(_) | None => None,
        }
    }
}
