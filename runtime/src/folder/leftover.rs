//! Names of files in the making, and what is left of them when a process dies.
//!
//! A file in the making has a name that only Wharf gives: it is in no listing and nobody can ask for
//! it. Whoever makes it holds a lock on it, which ends with the process; one that is old and that
//! nobody holds is a leftover, and whoever lists the folder removes it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{FlockOperation, OFlags};

use super::Problem;
use crate::path::RelativePath;

/// What the name of a file in the making begins with; 32 hexadecimal digits follow.
const PREFIX: &str = ".wharf-tmp-";
const DIGITS: usize = 32;
/// A file in the making is let alone for so long after it was last written, locked or not: its maker
/// has an instant between making and locking it.
const AGE_MIN: Duration = Duration::from_secs(60);
/// Leftovers that one listing removes at most; a process leaves one for each of its threads.
pub(super) const SWEEP_MAX: usize = 400;

/// A name for a file in the making that nobody has.
pub(super) fn temporary_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    // Process ids repeat after a restart; the time keeps a leftover of the old one apart.
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    format!("{PREFIX}{:08x}{time:016x}{number:08x}", std::process::id())
}

/// Is it the name of a file in the making?
pub(super) fn is_temporary(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX);
    digits.is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Files in the making are not there.
pub(super) fn check_readable(path: &RelativePath) -> Result<(), Problem> {
    if path.names().any(is_temporary) { Err(Problem::NotFound) } else { Ok(()) }
}

/// Nobody else gives such names.
pub(super) fn check_writable(path: &RelativePath) -> Result<(), Problem> {
    if path.names().any(is_temporary) {
        return Err(Problem::BadName("Wharf itself uses such names for files in the making"));
    }
    Ok(())
}

/// Remove those of these names whose makers are dead. Best effort: nothing depends on it.
pub(super) fn sweep(dir: &Dir, names: &[String], now: SystemTime) {
    for name in names {
        if is_abandoned(dir, name, now) && dir.remove_file(name).is_ok() {
            tracing::debug!(name, "removed what a dead process left");
        }
    }
}

fn is_abandoned(dir: &Dir, name: &str, now: SystemTime) -> bool {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let Ok(file) = dir.open_with(name, &options) else { return false };
    let Ok(metadata) = file.metadata() else { return false };
    // The time of the last change, since the modification time may be the source's already.
    let changed = {
        use cap_std::fs::MetadataExt as _;
        u64::try_from(metadata.ctime()).map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    };
    let is_old = changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > AGE_MIN));
    is_old && metadata.is_file() && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}
