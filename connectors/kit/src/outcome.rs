//! What became of a write whose reply was lost, or whose reply complains about what may be our own
//! doing: decided by looking at what is stored, never by hope.

use crate::{Broker, Entry, Error, Info, Kind, time};

/// How what is stored compares to what was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The same bytes: size and hash agree.
    Same,
    /// Other bytes, or not a file.
    Different,
    /// The size agrees, and there is no hash to tell.
    Unknown,
}

/// Compare what is stored with the whole source. The host hashes the source for it, so this is for
/// when there is doubt.
pub fn compare<B: Broker>(broker: &B, entry: &Entry, source: &B::Content) -> Likeness {
    if entry.kind != Kind::File || entry.size != broker.size(source) {
        return Likeness::Different;
    }
    let Some(stored) = &entry.hash else { return Likeness::Unknown };
    match broker.hash(source, stored.algorithm) {
        Some(meant) if meant == stored.value => Likeness::Same,
        Some(_) => Likeness::Different,
        None => Likeness::Unknown,
    }
}

/// Settle a doubtful write of `source`: success when its bytes are stored, the complaint when they
/// certainly are not. The complaint about a lost reply is [`Error::Lost`].
///
/// # Errors
/// The complaint; [`Error::WrongKind`] when a folder stands there; [`Error::Lost`] when looking did
/// not tell either.
pub fn settle<B: Broker>(
    broker: &B,
    complaint: Error,
    stored: Result<Entry, Error>,
    source: &B::Content,
) -> Result<Entry, Error> {
    match stored {
        Ok(entry) if entry.kind == Kind::Folder => Err(Error::WrongKind),
        Ok(entry) => match compare(broker, &entry, source) {
            Likeness::Same => Ok(entry),
            Likeness::Different => Err(complaint),
            Likeness::Unknown => Err(Error::Lost),
        },
        Err(Error::NotFound) => Err(complaint),
        Err(_) => Err(Error::Lost),
    }
}

/// Is this what an upload with `info` leaves behind? The bytes themselves are gone by the time this
/// is asked, so it goes by size and time; the host then compares `entry.hash` with what it sent.
///
/// A file without a time of its own is only taken for ours when our request `may_have_arrived`:
/// an older file of the same size would pass otherwise.
#[must_use]
pub fn resembles(entry: &Entry, info: &Info, may_have_arrived: bool) -> bool {
    let same_time = match (&info.modified, &entry.modified) {
        (Some(meant), Some(stored)) => time::is_same_second(meant, stored),
        (Some(_), None) => false,
        (None, _) => may_have_arrived,
    };
    entry.kind == Kind::File && entry.size == info.size && same_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Source};
    use crate::{Algorithm, Datetime, Hash, Mode};

    const HASH: [u8; 20] = [7; 20];

    fn entry(kind: Kind, size: u64, hash: Option<u8>) -> Entry {
        let hash = hash.map(|byte| Hash { algorithm: Algorithm::Quickxor, value: vec![byte; 20] });
        Entry { path: "a".to_owned(), kind, size, modified: None, hash, revision: None }
    }

    #[track_caller]
    fn check_settle(stored: Result<Entry, Error>, source: &Source, expected: Result<(), Error>) {
        let result = settle(&Script::new("{}"), Error::Exists, stored, source);
        assert_eq!(result.map(|_| ()), expected);
    }

    #[test]
    fn only_the_same_bytes_settle_a_doubt() {
        let source = Source::new(5).hashed(Algorithm::Quickxor, &HASH);
        check_settle(Ok(entry(Kind::File, 5, Some(7))), &source, Ok(()));
        check_settle(Ok(entry(Kind::File, 5, Some(8))), &source, Err(Error::Exists));
        check_settle(Ok(entry(Kind::File, 4, Some(7))), &source, Err(Error::Exists));
        check_settle(Ok(entry(Kind::File, 5, None)), &source, Err(Error::Lost));
        check_settle(Ok(entry(Kind::File, 5, Some(7))), &Source::new(5), Err(Error::Lost));
        check_settle(Ok(entry(Kind::Folder, 0, None)), &source, Err(Error::WrongKind));
        check_settle(Err(Error::NotFound), &source, Err(Error::Exists));
        check_settle(Err(Error::Unavailable), &source, Err(Error::Lost));
    }

    #[track_caller]
    fn check_resembles(meant: Option<i64>, stored: Option<i64>, size: u64, arrived: bool, expected: bool) {
        let moment = |seconds| Datetime { seconds, nanoseconds: 0 };
        let info = Info { size: 5, modified: meant.map(moment), keep_modified: false, mode: Mode::Replace };
        let entry = Entry { modified: stored.map(moment), ..entry(Kind::File, size, None) };
        assert_eq!(resembles(&entry, &info, arrived), expected);
    }

    #[test]
    fn an_upload_is_known_by_size_and_time() {
        check_resembles(Some(100), Some(100), 5, false, true);
        check_resembles(Some(100), Some(101), 5, false, true);
        check_resembles(Some(100), Some(102), 5, true, false);
        check_resembles(Some(100), None, 5, true, false);
        check_resembles(Some(100), Some(100), 4, true, false);
        check_resembles(None, Some(100), 5, false, false);
        check_resembles(None, Some(100), 5, true, true);
    }
}
