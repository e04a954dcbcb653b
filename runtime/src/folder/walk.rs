//! From the directory to a place in it, name by name.
//!
//! Every step opens one name below a handle that is open already, and a symbolic link is never
//! followed: no path leads out of the directory, whatever lies in it and whoever changes it meanwhile.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{Mode as Bits, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Item, Problem, expect};
use crate::entry::{Kind, Mode};
use crate::path::RelativePath;

/// A name in a folder that is there; the name itself need not be.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) dir: Dir,
    pub(super) name: String,
}

impl Spot {
    /// What is there, a link not followed; none when there is nothing.
    pub(super) fn item(&self) -> Result<Option<Item>, Problem> {
        let metadata = match self.dir.symlink_metadata(&self.name) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let what =
            if metadata.is_symlink() { "is a symbolic link" } else { "is neither a file nor a folder" };
        Item::of(&metadata).map(Some).ok_or(Problem::WrongKind(what))
    }

    /// Open the file that is there.
    pub(super) fn open(&self) -> Result<(Item, cap_std::fs::File), Problem> {
        // Looked at first, since opening a device may do something by itself.
        expect(&self.item()?.ok_or(Problem::NotFound)?, Kind::File)?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        let file = self.dir.open_with(&self.name, &options)?;
        let item = Item::of(&file.metadata()?).ok_or(Problem::WrongKind("is not a file any more"))?;
        expect(&item, Kind::File)?;
        Ok((item, file))
    }
}

/// Open the directory itself. The operator named it, so links on the way to it are followed.
pub(super) fn open_root(path: &Path) -> Result<Dir, Problem> {
    Ok(Dir::open_ambient_dir(path, ambient_authority())?)
}

/// Make the directory itself and those above it, durably.
pub(super) fn make_root(path: &Path) -> Result<(), Problem> {
    let is_missing = |path: &&Path| matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let mut made: Vec<PathBuf> = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
    std::fs::create_dir_all(path)?;
    made.reverse();
    for folder in made {
        // A folder that may be written and not read cannot be synced.
        if let Ok(above) = File::open(folder.parent().unwrap_or(Path::new("/"))) {
            above.sync_all()?;
        }
    }
    Ok(())
}

/// The folder that holds `path`, and its name there. The directory itself has none.
pub(super) fn find(root: &Dir, path: &RelativePath) -> Result<Spot, Problem> {
    let mut dir = root.try_clone()?;
    let name = path.name().ok_or(Problem::Invalid("this is the backup directory itself"))?;
    for step in path.parent().unwrap_or_default().names() {
        dir = step_into(&dir, step)?;
    }
    Ok(Spot { dir, name: name.to_owned() })
}

/// As [`find`], making the folders on the way.
pub(super) fn find_or_make(root: &Dir, path: &RelativePath) -> Result<Spot, Problem> {
    let name = path.name().ok_or(Problem::Invalid("this is the backup directory itself"))?;
    let dir = make(root, &path.parent().unwrap_or_default())?;
    Ok(Spot { dir, name: name.to_owned() })
}

/// A folder.
pub(super) fn open(root: &Dir, path: &RelativePath) -> Result<Dir, Problem> {
    if path.is_root() {
        return Ok(root.try_clone()?);
    }
    let spot = find(root, path)?;
    expect(&spot.item()?.ok_or(Problem::NotFound)?, Kind::Folder)?;
    step_into(&spot.dir, &spot.name)
}

/// A folder, made where it is not there, with those on the way.
pub(super) fn make(root: &Dir, path: &RelativePath) -> Result<Dir, Problem> {
    let mut dir = root.try_clone()?;
    for name in path.names() {
        dir = match step_into(&dir, name) {
            Err(Problem::NotFound) => {
                match dir.create_dir(name) {
                    Ok(()) => sync(&dir)?,
                    // Somebody else was quicker, which is as good.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error.into()),
                }
                step_into(&dir, name)?
            }
            stepped => stepped?,
        };
    }
    Ok(dir)
}

fn step_into(dir: &Dir, name: &str) -> Result<Dir, Problem> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Bits::empty()) {
        Ok(opened) => Ok(Dir::from_std_file(File::from(opened))),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let is = match dir.symlink_metadata(name) {
                Ok(metadata) if metadata.is_symlink() => "is a symbolic link, which is not followed",
                Ok(_) | Err(_) => "is not a folder",
            };
            Err(Problem::OnTheWay { name: name.to_owned(), is })
        }
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// Give what is at `from` the name `into`, as the mode permits. Under the lock of [`super::lock`].
pub(super) fn place(from: &Spot, into: &Spot, kind: Kind, mode: &Mode) -> Result<(), Problem> {
    let there = into.item()?;
    if let Some(there) = &there {
        match (there.kind, kind) {
            (Kind::File, Kind::File) => {}
            (Kind::Folder, Kind::Folder) if *mode == Mode::Create => return Err(Problem::Exists),
            (Kind::Folder, _) => return Err(Problem::WrongKind("would go where a folder is")),
            (Kind::File, Kind::Folder) => {
                return Err(Problem::WrongKind("is a folder, and would go where a file is"));
            }
        }
    }
    match (mode, there) {
        (Mode::Create, Some(_)) => Err(Problem::Exists),
        (Mode::Create, None) => create(from, into),
        (Mode::ReplaceIfRevision(revision), Some(there)) if there.revision != *revision => {
            Err(Problem::Conflict)
        }
        (Mode::ReplaceIfRevision(_), None) => Err(Problem::Conflict),
        (Mode::Replace | Mode::ReplaceIfRevision(_), _) => {
            Ok(from.dir.rename(&from.name, &into.dir, &into.name)?)
        }
    }
}

/// Take a name that nobody has: the file system sees to it that of two one wins.
fn create(from: &Spot, into: &Spot) -> Result<(), Problem> {
    let taken = rustix::fs::renameat_with(
        &from.dir,
        from.name.as_str(),
        &into.dir,
        into.name.as_str(),
        RenameFlags::NOREPLACE,
    );
    match taken {
        Ok(()) => Ok(()),
        // File systems without that call (NFS, some in user space).
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => create_by_link(from, into),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// The same with a second name; of what cannot have one, under the lock alone.
fn create_by_link(from: &Spot, into: &Spot) -> Result<(), Problem> {
    match from.dir.hard_link(&from.name, &into.dir, &into.name) {
        Ok(()) => Ok(from.dir.remove_file(&from.name)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Problem::Exists),
        Err(_) => match into.item()? {
            Some(_) => Err(Problem::Exists),
            None => Ok(from.dir.rename(&from.name, &into.dir, &into.name)?),
        },
    }
}

/// A handle to a folder that can be synced and locked (a [`Dir`] may be a path only).
pub(super) fn handle(dir: &Dir) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, ".", flags, Bits::empty())?))
}

/// See that the names in a folder are on disk.
pub(super) fn sync(dir: &Dir) -> io::Result<()> {
    match rustix::fs::fsync(handle(dir)?) {
        // Some file systems cannot sync a folder, and have nothing to sync.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
