//! Files of this machine that a command names: read up to a bound, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use wharf_runtime::secret::Secret;

use crate::exit::Exit;
use crate::report::Failure;

/// A file for everybody, as far as the caller's umask lets them.
pub(crate) const PUBLIC_MODE: u32 = 0o666;
/// A file for its owner alone.
pub(crate) const PRIVATE_MODE: u32 = 0o600;

/// A file of at most `limit` bytes, or one byte more, so that whoever checks the length sees that it is
/// too long.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |problem| Failure::local("read", path, problem);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The text of a file that nobody else is to see, as [`read`] reads it.
pub(crate) fn read_secret(path: &Path, limit: usize) -> Result<Secret, Failure> {
    let mut text = String::new();
    let unreadable = |problem| Failure::local("read", path, problem);
    let file = File::open(path).map_err(unreadable)?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = file.take(limit).read_to_string(&mut text);
    let secret = Secret::new(text);
    read.map_err(unreadable)?;
    Ok(secret)
}

/// Write a whole file under its name, in place of one that is there, or nothing.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let beside = suffixed(path, &format!(".{}.partial", std::process::id()));
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside);
    let written = open.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&beside, path));
    written.map_err(|problem| {
        // Of two problems the first is the one to tell.
        let _ = fs::remove_file(&beside);
        Failure::local("write", path, problem)
    })
}

/// Write a file that must not be there yet: a key that is overwritten is lost.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = open.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|problem| {
        if problem.kind() != io::ErrorKind::AlreadyExists {
            return Failure::local("write", path, problem);
        }
        Failure::new(Exit::Exists, format!("there is a file `{}` already", path.display()))
            .with_hint("choose another name, or remove it first if nobody needs it")
    })
}

/// The file beside this one whose name goes on with `suffix`.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
