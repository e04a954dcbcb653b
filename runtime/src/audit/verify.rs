//! Does the audit still say what was written?
//!
//! Reads every line of every file in the order in which they were written, recomputes the chain, and
//! compares its ends with what the database of the home knows. It names each place where something
//! does not fit, and changes nothing. A line that was torn by a kill is told, but is no fault: the
//! record after it covers it. Records from before there was a chain are counted; nobody vouches for them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Take};

use serde::Serialize;

use super::chain::{Hash, Link, Place, Running};
use super::head::{Head, Heads};
use super::{Error, FILES_MAX, LOCK_WAIT, Record, file_name};
use crate::home::{self, Home, Name, Subject};
use crate::state::State;

/// Bytes of a line that are looked at in one piece: twice the longest record.
const PIECE_BYTES_MAX: u64 = 16 * 1024;

/// Faults that are told one by one: whoever reads more than these learns nothing new.
pub const FAULTS_MAX: usize = 100;

/// A record that somebody noted elsewhere, out of reach of whoever could change this home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    number: u64,
    hash: Hash,
}

impl std::str::FromStr for Anchor {
    type Err = NotAnAnchor;

    fn from_str(text: &str) -> Result<Self, NotAnAnchor> {
        let (number, hash) = text.split_once(':').ok_or(NotAnAnchor)?;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or(NotAnAnchor)?;
        Ok(Self { number, hash: Hash::parse(hash).ok_or(NotAnAnchor)? })
    }
}

/// A text is no [`Anchor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is a record's number, `:` and 64 hexadecimal digits, as `--verify` prints its head")]
pub struct NotAnAnchor;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The file, in the folder `audit` of the home.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "line {} of `{}`", self.line, self.file)
    }
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// A record is not what it was when the one after it was written.
    #[error("{at}: record {number} was changed, or something was put in after it")]
    Changed {
        /// Where it is.
        at: Line,
        /// Which it is.
        number: u64,
    },
    /// Records are missing in front of a line.
    #[error("{at}: records {first} to {last} are missing before it")]
    Missing {
        /// The line after the gap.
        at: Line,
        /// The first that is missing.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A record stands where it was not written.
    #[error("{at}: record {number} stands after record {after}: it was moved or put in")]
    OutOfPlace {
        /// Where it stands.
        at: Line,
        /// Which it says it is.
        number: u64,
        /// After which it stands.
        after: u64,
    },
    /// A record without a link among those that have one.
    #[error("{at}: a record that was not written by Wharf")]
    Foreign {
        /// Where it stands.
        at: Line,
    },
    /// The end is missing.
    #[error("the end is missing: records {first} to {last} were on disk")]
    Truncated {
        /// The first that is missing.
        first: u64,
        /// The last.
        last: u64,
    },
    /// It is another chain than the one that was noted.
    #[error("record {number} is not the one that was noted")]
    NotNoted {
        /// Which was noted.
        number: u64,
    },
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Records that are linked.
    pub records: u64,
    /// The first one's number, if there is one.
    pub first: Option<u64>,
    /// The last one, `NUMBER:HASH`: noted elsewhere it is an anchor.
    pub head: Option<String>,
    /// Records from before there was a chain.
    pub unlinked: u64,
    /// Lines that a kill tore, and the record after them vouches for.
    pub torn: Vec<Line>,
    /// The last line is torn: no record was written since.
    pub torn_end: Option<Line>,
    /// The database knows nothing of this chain's end, so that a missing one would not be seen.
    pub end_unknown: bool,
    /// How many faults there are.
    pub faults_total: u64,
    /// The first of them, [`FAULTS_MAX`] at most.
    pub faults: Vec<Fault>,
}

impl Verified {
    fn fault(&mut self, fault: Fault) {
        self.faults_total = self.faults_total.saturating_add(1);
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// Verify the audit of a destination.
pub(super) fn verify(
    home: &Home,
    state: &State,
    destination: &Name,
    anchor: Option<Anchor>,
) -> Result<Verified, Error> {
    let unreadable = |error: home::Error| Error::Unreadable {
        destination: destination.clone(),
        source: std::sync::Arc::new(error),
    };
    let (files, head) = open(home, state, destination)?;
    let mut walk = Walk::new(head, anchor);
    for (name, file) in files {
        let path = home.audit().path_of(&name);
        walk.file(name, file)
            .map_err(|source| unreadable(home::Error::Io { doing: "read", path, source }))?;
    }
    Ok(walk.end())
}

type Files = Vec<(String, Take<File>)>;

/// The files as they are at one moment, oldest first, and what is known of their ends.
fn open(home: &Home, state: &State, destination: &Name) -> Result<(Files, Option<Head>), Error> {
    let unreadable =
        |error| Error::Unreadable { destination: destination.clone(), source: std::sync::Arc::new(error) };
    let _lock = home.lock(&Subject::Audit(destination.clone()), LOCK_WAIT).map_err(unreadable)?;
    let head = Heads::new(state.clone(), destination.clone()).load();
    let head = head.map_err(|source| Error::NoHead { destination: destination.clone(), source })?;
    let mut files = Vec::new();
    for age in (0..FILES_MAX).rev() {
        let name = file_name(destination, age);
        if let Some(file) = home.audit().open_to_read(&name).map_err(unreadable)? {
            let file = file.into_std();
            let path = home.audit().path_of(&name);
            let metadata = file.metadata();
            let length = metadata
                .map_err(|source| unreadable(home::Error::Io { doing: "look at", path, source }))?
                .len();
            files.push((name, file.take(length)));
        }
    }
    Ok((files, head))
}

struct Walk {
    head: Option<Head>,
    anchor: Option<Anchor>,
    found: Verified,
    /// The last record that had a place, where it stands, and the hash from its beginning on.
    last: Option<(Place, Line, Running)>,
    /// Torn lines since then.
    torn: Vec<Line>,
}

impl Walk {
    fn new(head: Option<Head>, anchor: Option<Anchor>) -> Self {
        Self { head, anchor, found: Verified::default(), last: None, torn: Vec::new() }
    }

    fn file(&mut self, name: String, file: Take<File>) -> std::io::Result<()> {
        let mut file = BufReader::with_capacity(64 * 1024, file);
        let mut bytes = Vec::new();
        let mut at = Line { file: name, line: 0 };
        let mut within = false;
        loop {
            bytes.clear();
            let read = file.by_ref().take(PIECE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            at.line += u64::from(!within);
            // What does not fit one piece is no record, nor is the rest of it.
            let whole = !within && (bytes.ends_with(b"\n") || bytes.len() < piece_bytes_max());
            within = !bytes.ends_with(b"\n");
            match Place::of(&bytes).filter(|_| whole) {
                Some(place) => self.linked(place, &at, &bytes),
                None => self.unlinked(&at, &bytes),
            }
        }
    }

    fn linked(&mut self, place: Place, at: &Line, bytes: &[u8]) {
        self.found.records += 1;
        match &self.last {
            Some((last, _, _)) if place.number <= last.number => {
                let (number, after) = (place.number, last.number);
                self.found.fault(Fault::OutOfPlace { at: at.clone(), number, after });
                return;
            }
            Some((last, line, running)) => {
                let (first, missing) = (last.number + 1, place.number - 1);
                if first <= missing {
                    self.found.fault(Fault::Missing { at: at.clone(), first, last: missing });
                } else if running.hash() != place.previous {
                    let (at, number) = (line.clone(), last.number);
                    self.found.fault(Fault::Changed { at, number });
                } else {
                    self.found.torn.append(&mut self.torn);
                }
                self.torn.clear();
            }
            None => self.first(place, at),
        }
        let mut running = Running::new();
        running.update(bytes);
        let link = Link { number: place.number, hash: running.hash() };
        self.known(link, at);
        self.found.head = Some(format!("{}:{}", link.number, link.hash));
        self.last = Some((place, at.clone(), running));
    }

    /// The first record that has a place: nothing before it, or what was dropped with its file.
    fn first(&mut self, place: Place, at: &Line) {
        self.found.first = Some(place.number);
        self.torn.clear();
        let floor = self.head.map_or(Link::START, |head| head.floor);
        let (first, missing) = (floor.number + 1, place.number - 1);
        if first <= missing {
            self.found.fault(Fault::Missing { at: at.clone(), first, last: missing });
        } else if first == place.number && floor.hash != place.previous {
            let (number, after) = (place.number, floor.number);
            self.found.fault(Fault::OutOfPlace { at: at.clone(), number, after });
        }
    }

    /// Is this record one that is known from elsewhere, and not the same?
    fn known(&mut self, link: Link, at: &Line) {
        if self.head.is_some_and(|head| head.last.number == link.number && head.last.hash != link.hash) {
            self.found.fault(Fault::Changed { at: at.clone(), number: link.number });
        }
        if let Some(anchor) = self.anchor.take_if(|anchor| anchor.number == link.number)
            && anchor.hash != link.hash
        {
            self.found.fault(Fault::NotNoted { number: anchor.number });
        }
    }

    fn unlinked(&mut self, at: &Line, bytes: &[u8]) {
        let is_record = serde_json::from_slice::<Record>(bytes).is_ok();
        let Some((_, _, running)) = &mut self.last else {
            if is_record {
                self.found.unlinked += 1;
            } else if self.torn.last() != Some(at) {
                self.torn.push(at.clone());
            }
            return;
        };
        running.update(bytes);
        if is_record {
            self.found.fault(Fault::Foreign { at: at.clone() });
        } else if self.torn.last() != Some(at) && self.torn.len() < FAULTS_MAX {
            self.torn.push(at.clone());
        }
    }

    fn end(mut self) -> Verified {
        self.found.torn_end = self.torn.pop();
        let last = self.last.map_or(0, |(place, _, _)| place.number);
        match self.head {
            Some(head) if head.last.number > last => {
                self.found.fault(Fault::Truncated { first: last + 1, last: head.last.number });
            }
            Some(_) => {}
            None => self.found.end_unknown = last > 0,
        }
        if let Some(anchor) = self.anchor {
            self.found.fault(Fault::NotNoted { number: anchor.number });
        }
        self.found
    }
}

fn piece_bytes_max() -> usize {
    usize::try_from(PIECE_BYTES_MAX).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
