//! Is a file there already?
//!
//! As rclone has it: same length and same modification time is the same file, and with `--checksum`
//! same length and same hash, where one is known: else it is copied. A service that keeps no modification time is helped by the catalog,
//! which remembers what was stored under which revision; once somebody else has changed the file the
//! revision is another, and the memory does not count.

use jiff::{SignedDuration, Timestamp};

use super::local::FileFacts;
use crate::catalog;
use crate::entry::Entry;
use crate::hash::{Algorithm, Digest};

/// Services keep whole seconds; a difference below that is none.
const TIME_DIFFERENCE_MAX: SignedDuration = SignedDuration::from_secs(1);

/// What is known without reading the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It is the same.
    Same,
    /// It is not.
    Different,
    /// It is the same if it hashes to this.
    IfHash(Digest),
}

/// Compare a local file with what is stored under its name.
pub(super) fn compare(
    local: FileFacts,
    stored: &Entry,
    remembered: Option<&catalog::Entry>,
    checksum: bool,
) -> Comparison {
    if local.size != stored.size {
        return Comparison::Different;
    }
    let remembered = remembered.filter(|memory| is_of(memory, stored));
    if checksum {
        // Who asks for hashes does not want to be told that a file is the same because its time is.
        return hash_of(stored, remembered).map_or(Comparison::Different, Comparison::IfHash);
    }
    let time = match remembered {
        Some(memory) => memory.modified_ns.and_then(|time| Timestamp::from_nanosecond(time.into()).ok()),
        None => stored.modified,
    };
    match (local.modified, time) {
        (Some(local), Some(time)) if is_same_time(local, time) => Comparison::Same,
        // It was touched, or stored by somebody whose times we do not know: only its bytes can tell.
        _ => hash_of(stored, remembered).map_or(Comparison::Different, Comparison::IfHash),
    }
}

/// The time that a stored file's source had.
pub(super) fn modified(stored: &Entry, remembered: Option<&catalog::Entry>) -> Option<Timestamp> {
    let memory = remembered.filter(|memory| is_of(memory, stored));
    let time = memory.and_then(|memory| memory.modified_ns);
    time.and_then(|time| Timestamp::from_nanosecond(time.into()).ok()).or(stored.modified)
}

/// Wharf's own hash of what is stored, if it is remembered.
pub(super) fn own_hash(stored: &Entry, remembered: Option<&catalog::Entry>) -> Option<Digest> {
    let own = remembered.filter(|memory| is_of(memory, stored)).and_then(|memory| memory.block_sha256);
    own.and_then(|bytes| Digest::new(Algorithm::BlockSha256, &bytes).ok())
}

/// Is this memory of the very version that is stored?
fn is_of(memory: &catalog::Entry, stored: &Entry) -> bool {
    memory.size == stored.size && memory.revision.is_some() && memory.revision == stored.revision
}

/// The strongest hash that is known of what is stored: Wharf's own if it is remembered.
fn hash_of(stored: &Entry, remembered: Option<&catalog::Entry>) -> Option<Digest> {
    own_hash(stored, remembered).or_else(|| stored.hash.clone())
}

fn is_same_time(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() < TIME_DIFFERENCE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Kind;
    use crate::path::RelativePath;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn digest(first: u8) -> Digest {
        let mut bytes = [0; 32];
        bytes[0] = first;
        Digest::new(Algorithm::BlockSha256, &bytes).unwrap()
    }

    fn stored(size: u64, modified: Option<i64>, hash: Option<u8>, revision: &str) -> Entry {
        Entry {
            path: RelativePath::parse("a").unwrap(),
            kind: Kind::File,
            size,
            modified: modified.map(time),
            hash: hash.map(digest),
            revision: Some(revision.to_owned()),
        }
    }

    fn memory(size: u64, modified: i64, hash: u8, revision: &str) -> catalog::Entry {
        catalog::Entry {
            path: RelativePath::parse("a").unwrap(),
            size,
            modified_ns: Some(modified * 1_000_000_000),
            revision: Some(revision.to_owned()),
            block_sha256: Some({
                let mut bytes = [0; 32];
                bytes[0] = hash;
                bytes
            }),
            quickxor: None,
            stored_at: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn size_and_time_decide_unless_hashes_are_asked_for() {
        let local = FileFacts { size: 5, modified: Some(time(100)) };
        let check = |stored: Entry, memory: Option<catalog::Entry>, checksum: bool, expected: Comparison| {
            assert_eq!(compare(local, &stored, memory.as_ref(), checksum), expected, "{stored:?} {memory:?}");
        };
        check(stored(6, Some(100), None, "r"), None, false, Comparison::Different);
        check(stored(5, Some(100), Some(1), "r"), None, false, Comparison::Same);
        check(stored(5, Some(101), Some(1), "r"), None, false, Comparison::IfHash(digest(1)));
        check(stored(5, Some(101), None, "r"), None, false, Comparison::Different);
        check(stored(5, None, None, "r"), None, false, Comparison::Different);
        // The service keeps its own time; the catalog remembers the source's.
        check(stored(5, Some(999), None, "r"), Some(memory(5, 100, 2, "r")), false, Comparison::Same);
        // The source was touched since: the service's time must not make it the same.
        check(
            stored(5, Some(100), None, "r"),
            Some(memory(5, 50, 2, "r")),
            false,
            Comparison::IfHash(digest(2)),
        );
        // Somebody else changed it: the memory is of another revision.
        check(
            stored(5, Some(999), Some(3), "new"),
            Some(memory(5, 100, 2, "r")),
            false,
            Comparison::IfHash(digest(3)),
        );
        check(stored(5, Some(100), Some(1), "r"), None, true, Comparison::IfHash(digest(1)));
        check(
            stored(5, Some(100), Some(1), "r"),
            Some(memory(5, 100, 2, "r")),
            true,
            Comparison::IfHash(digest(2)),
        );
        // Without any hash nothing tells that it is the same.
        check(stored(5, Some(100), None, "r"), None, true, Comparison::Different);
        check(stored(5, Some(90), None, "r"), None, true, Comparison::Different);
    }
}
