//! The other way out: the backup directory, where it lies on the host's machine. Only a connector whose
//! manifest asks for it can use this, and only one that uses it imports it.

use crate::bindings::wharf::connector::folder as wit;
use crate::{Broker, Datetime, Entry, Error, Kind, Mode, Removal};

pub use wit::{Item, Kind as ItemKind, Listing, Moment, Named, Problem, Space};

/// What `folder` of `wit/connector.wit` offers, one function each.
pub trait Folder: Broker {
    /// What is stored at a path?
    ///
    /// # Errors
    /// As the contract says, like those of the others.
    fn stat(&mut self, path: &str) -> Result<Item, Problem>;

    /// A page of what is in a folder.
    ///
    /// # Errors
    /// As the contract says.
    fn list(&mut self, path: &str, next: Option<&str>) -> Result<Listing, Problem>;

    /// Make a folder and those on the way to it.
    ///
    /// # Errors
    /// As the contract says.
    fn make_folder(&mut self, path: &str) -> Result<Item, Problem>;

    /// Open a file.
    ///
    /// # Errors
    /// As the contract says.
    fn open(&mut self, path: &str, offset: u64, len: Option<u64>) -> Result<(Item, Self::Body), Problem>;

    /// Store all of a content as a file.
    ///
    /// # Errors
    /// As the contract says.
    fn write(
        &mut self,
        path: &str,
        content: &Self::Content,
        mode: &Mode,
        modified: Option<Datetime>,
    ) -> Result<Item, Problem>;

    /// Remove a file or a folder.
    ///
    /// # Errors
    /// As the contract says.
    fn remove(&mut self, removal: &Removal) -> Result<(), Problem>;

    /// Give something another path.
    ///
    /// # Errors
    /// As the contract says.
    fn rename(&mut self, path: &str, to: &str, mode: &Mode) -> Result<Item, Problem>;

    /// How much room is there?
    ///
    /// # Errors
    /// As the contract says.
    fn usage(&mut self) -> Result<Space, Problem>;
}

impl Item {
    /// As an entry at this path. The file system computes no hash.
    #[must_use]
    pub fn entry(self, path: String) -> Entry {
        let kind = match self.kind {
            wit::Kind::File => Kind::File,
            wit::Kind::Folder => Kind::Folder,
        };
        let modified = self.modified.map(|Moment { seconds, nanoseconds }| Datetime { seconds, nanoseconds });
        // A folder's revision changes with what is in it, and means nothing to the contract.
        let revision = (kind == Kind::File).then_some(self.revision);
        Entry { path, kind, size: self.size, modified, hash: None, revision }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::NotFound => Self::NotFound,
            Problem::Exists => Self::Exists,
            Problem::WrongKind => Self::WrongKind,
            Problem::Denied => Self::Denied,
            Problem::Conflict => Self::Conflict,
            Problem::NoSpace => Self::Quota,
            Problem::BadName(rule) => Self::BadName(rule),
            Problem::TooLarge => Self::TooLarge,
            Problem::SourceChanged => Self::SourceChanged,
            Problem::TimedOut => Self::Unavailable,
            Problem::Invalid(text) => Self::Other(format!("the host refused: {text}")),
            Problem::Other(text) => Self::Other(text),
        }
    }
}

#[cfg(target_family = "wasm")]
mod host {
    use super::{Datetime, Folder, Item, Kind, Listing, Mode, Moment, Problem, Removal, Space, wit};
    use crate::Host;
    use crate::bindings::wharf::connector::broker::Section;
    use crate::bindings::wharf::connector::content::{Body, Content};

    impl Folder for Host {
        fn stat(&mut self, path: &str) -> Result<Item, Problem> {
            wit::stat(path)
        }

        fn list(&mut self, path: &str, next: Option<&str>) -> Result<Listing, Problem> {
            wit::list(path, next)
        }

        fn make_folder(&mut self, path: &str) -> Result<Item, Problem> {
            wit::make_folder(path)
        }

        fn open(&mut self, path: &str, offset: u64, len: Option<u64>) -> Result<(Item, Body), Problem> {
            wit::read(path, offset, len).map(|opened| (opened.item, opened.body))
        }

        fn write(
            &mut self,
            path: &str,
            content: &Content,
            mode: &Mode,
            modified: Option<Datetime>,
        ) -> Result<Item, Problem> {
            let section = Section { source: content, offset: 0, len: content.size() };
            let modified = modified.map(|Datetime { seconds, nanoseconds }| Moment { seconds, nanoseconds });
            wit::write(path, &section, &lower(mode), modified)
        }

        fn remove(&mut self, removal: &Removal) -> Result<(), Problem> {
            let kind = match removal.kind {
                Kind::File => wit::Kind::File,
                Kind::Folder => wit::Kind::Folder,
            };
            wit::remove(&removal.path, kind, removal.revision.as_deref())
        }

        fn rename(&mut self, path: &str, to: &str, mode: &Mode) -> Result<Item, Problem> {
            wit::rename(path, to, &lower(mode))
        }

        fn usage(&mut self) -> Result<Space, Problem> {
            wit::usage()
        }
    }

    fn lower(mode: &Mode) -> wit::Mode {
        match mode {
            Mode::Replace => wit::Mode::Replace,
            Mode::Create => wit::Mode::Create,
            Mode::ReplaceIfRevision(revision) => wit::Mode::ReplaceIfRevision(revision.clone()),
        }
    }
}
